"""Every example of docs/connections.md runs and answers as printed."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from tests.house.tree import ROOT


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADELAB_HOME", str(tmp_path))
    monkeypatch.setenv("TRADELAB_KEY", "replaced by the page")
    monkeypatch.delenv("TRADELAB_DATABASE", raising=False)
    page = ROOT / "docs" / "connections.md"
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert failed == 0
    assert tried >= 25
