"""Say what belongs to the house: its root, the files git knows, and their text."""

from __future__ import annotations

import ast
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("tradelab", "widgets", "tools", "bench")


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Every file git tracks, or would if asked to: new files count, ignored ones do not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files are ours")
    names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return tuple(path for path in map(ROOT.joinpath, names) if path.is_file())


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Name and text of each tracked file with one of ``suffixes`` (all text files when none is given)."""
    for path in tracked():
        if suffixes and path.suffix not in suffixes:
            continue
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def sources() -> Iterator[tuple[str, str, ast.Module]]:
    """Name, text and syntax tree of each of our source files."""
    for name, text in texts(".py"):
        if name.startswith(SOURCES):
            yield name, text, ast.parse(text)
