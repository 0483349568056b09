"""Fixtures of a daemon: its file, and one that runs beside the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.app.engine_beside import Beside, daemon_beside, write_file
from tests.unit.app.venue_beside import make_home


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a node on paper, and a home of its own."""
    make_home(tmp_path / "home", monkeypatch)
    return write_file(tmp_path)


@pytest.fixture
def beside(file: Path) -> Iterator[Beside]:
    """A daemon that runs on it."""
    with daemon_beside(file) as running:
        yield running
