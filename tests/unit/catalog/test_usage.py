"""A use is noted at most once an hour, needs no lock, and stops no read where it cannot be noted."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tradelab.catalog import samples, usage
from tradelab.catalog.bars import BarRow, Catalog
from tradelab.catalog.database import Database
from tradelab.model.units import Timeframe

KEY = ("s", "X", Timeframe.H1)
HOUR_S = 3600.0


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    with Catalog(tmp_path) as made:
        made.write("s", "X", "1h", samples.load("EURUSD-1h").iloc[:50])
        return made


def marks(root: Path) -> list[Path]:
    return [path for path in (root / "used").rglob("*") if path.is_file()]


def age(catalog: Catalog, hours: float) -> float:
    """Make the last use so many hours old; return it in seconds since 1970."""
    (mark,) = marks(catalog.root)
    then = time.time() - hours * HOUR_S
    os.utime(mark, (then, then))
    return mark.stat().st_mtime


def test_a_series_that_nobody_touched_has_no_last_use(tmp_path: Path) -> None:
    assert usage.last_use(tmp_path, KEY) is None
    assert list(tmp_path.iterdir()) == []


def test_writing_appending_and_reading_are_uses(catalog: Catalog) -> None:
    row = BarRow("s", "X", Timeframe.H1, 0, 1.0, 1.0, 1.0, 1.0)
    for use in (
        lambda: catalog.read("s", "X", "1h"),
        lambda: catalog.write("s", "X", "1h", samples.load("EURUSD-1h").iloc[:5]),
        lambda: catalog.append([row]),
        lambda: catalog.export(catalog.root / "out.csv", "s", "X", "1h"),
    ):
        then = age(catalog, hours=2)
        use()
        assert (usage.last_use(catalog.root, KEY) or 0) > then + HOUR_S


def test_looking_after_a_series_is_no_use_of_it(catalog: Catalog) -> None:
    then = age(catalog, hours=48)
    catalog.coverage("s", "X", "1h", now="2024-01-01")
    catalog.inspect("s", "X", "1h")
    catalog.last_closed("s", "X", "1h")
    catalog.snapshot("s", "X", "1h")
    catalog.statistics()
    catalog.plan_retention()
    catalog.retain()
    catalog.compact()
    catalog.damaged()
    assert usage.last_use(catalog.root, KEY) == then


def test_a_use_is_written_down_once_an_hour_and_no_more(catalog: Catalog) -> None:
    then = age(catalog, hours=0.9)
    catalog.read("s", "X", "1h")
    assert usage.last_use(catalog.root, KEY) == then


def test_a_read_on_a_disk_that_cannot_be_written_to_goes_on(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    then = age(catalog, hours=48)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert len(catalog.read("s", "X", "1h")) == 50
    assert usage.last_use(catalog.root, KEY) == then


def test_a_first_note_that_cannot_be_made_goes_unmade(tmp_path: Path) -> None:
    (tmp_path / "used").write_text("a file where the folder should be")
    usage.mark(tmp_path, KEY)
    assert usage.last_use(tmp_path, KEY) is None


def test_a_read_takes_no_writer_s_lock_to_note_its_use(catalog: Catalog) -> None:
    then = age(catalog, hours=48)
    other = Database(catalog.root / "catalog.sqlite", wait_s=0.01)
    with other.writing("hold the lock"):
        assert len(catalog.read("s", "X", "1h")) == 50
    assert (usage.last_use(catalog.root, KEY) or 0) > then


def test_a_clock_that_ran_ahead_does_no_harm(catalog: Catalog) -> None:
    ahead = age(catalog, hours=-48)
    catalog.read("s", "X", "1h")
    assert usage.last_use(catalog.root, KEY) == ahead
