"""Keep the face small, sorted and whole."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import tradelab as tl


def test_public_names_are_sorted_and_unique() -> None:
    assert sorted(set(tl.__all__)) == tl.__all__


@pytest.mark.parametrize("name", tl.__all__)
def test_a_public_name_resolves(name: str) -> None:
    assert getattr(tl, name) is not None


def test_completion_offers_the_public_names_and_nothing_else() -> None:
    assert dir(tl) == tl.__all__


def test_an_editor_reads_the_same_names_as_the_interpreter() -> None:
    body = ast.parse(Path(tl.__file__).read_text(encoding="utf-8")).body
    block = next(node for node in body if isinstance(node, ast.If))
    seen = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(tl.__all__) - {"__version__"}


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no 'backtset'.*backtest"):
        tl.backtset  # noqa: B018


@pytest.mark.parametrize("name", tl.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    if name != "__version__":
        assert (getattr(tl, name).__doc__ or "").strip(), f"tradelab.{name} has no docstring"


def test_a_public_function_can_be_called_even_after_every_room_was_imported() -> None:
    rooms = [f"tradelab.{room.name}" for room in pkgutil.iter_modules(tl.__path__) if room.name != "__main__"]
    program = (
        f"import {', '.join(rooms)}\nimport tradelab as tl\nprint(*[n for n in tl.__all__ if callable(getattr(tl, n))])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    # importing the package `tradelab.strategy` sets an attribute of that name on `tradelab`
    assert {"backtest", "check", "load", "strategy", "sweep"} <= set(told.stdout.split())
