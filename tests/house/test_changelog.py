"""Keep the changelog in its form (Keep a Changelog 1.1) and the version said in one way."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import re
import tomllib

import tradelab
from tests.house.tree import ROOT

_LINES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
_KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
_RELEASE = re.compile(r"## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})")


def _released() -> list[tuple[tuple[int, ...], dt.date]]:
    found = [match for match in map(_RELEASE.fullmatch, _LINES) if match]
    return [(tuple(map(int, match[1].split("."))), dt.date.fromisoformat(match[2])) for match in found]


def test_the_changelog_opens_with_its_title_and_unreleased() -> None:
    assert _LINES[0] == "# Changelog"
    assert next(line for line in _LINES if line.startswith("## ")) == "## [Unreleased]"


def test_every_release_is_a_version_and_a_date_newest_first() -> None:
    headings = [line for line in _LINES if line.startswith("## ")]
    assert all(_RELEASE.fullmatch(line) for line in headings[1:])
    assert _released() == sorted(_released(), reverse=True)


def test_every_section_is_one_of_the_six_and_not_empty() -> None:
    text = "\n".join(_LINES)
    sections = re.findall(r"^### (.*)\n((?:(?!##).*\n?)*)", text, flags=re.MULTILINE)
    assert sections
    for kind, body in sections:
        assert kind in _KINDS
        assert any(line.startswith("- ") for line in body.splitlines()), f"### {kind} says nothing"


def test_every_entry_is_a_sentence() -> None:
    entries = re.findall(r"^- (.*(?:\n  .*)*)", "\n".join(_LINES), flags=re.MULTILINE)
    assert [entry for entry in entries if not re.search(r"[.!?)]$", entry.strip())] == []


def test_the_version_is_the_same_everywhere() -> None:
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert said == tradelab.__version__
    assert said == importlib.metadata.version("tradelab"), "run `make setup` after changing the version"
    assert all(version <= tuple(map(int, said.split("."))) for version, _ in _released())
