"""The statistics count what is on the disk, and say it in words that a person reads."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from tradelab.catalog import samples
from tradelab.catalog.bars import BarRow, Catalog
from tradelab.catalog.statistics import in_words
from tradelab.model.units import NS_PER_HOUR, Timeframe


def marks(root: Path) -> list[Path]:
    return [path for path in (root / "used").rglob("*") if path.is_file()]


def filled(root: Path) -> Catalog:
    catalog = Catalog(root)
    hours, days = samples.load("EURUSD-1h"), samples.load("AAPL-1d")
    catalog.write("fx", "EURUSD", "1h", hours)
    catalog.write("yahoo", "AAPL", "1d", days)
    late = hours.index[-1].value + NS_PER_HOUR
    catalog.append([BarRow("fx", "EURUSD", Timeframe.H1, late, 1.2, 1.2, 1.2, 1.2)])
    catalog.write("fx", "EURUSD", "1h", hours.iloc[:1] * 1.5)
    return catalog


def test_an_empty_catalog_has_nothing_but_its_index(tmp_path: Path) -> None:
    found = Catalog(tmp_path).statistics()
    assert (found.bars, found.series, found.retired) == (0, (), 0)
    assert found.size == found.index_size > 0
    assert str(found).startswith("0 series, 0 bars, ")
    assert len(found.frame()) == 0
    assert "0 series" in found._repr_html_()


def test_each_series_is_counted_as_it_lies_on_the_disk(tmp_path: Path) -> None:
    found = filled(tmp_path).statistics()
    fx, stock = found.series
    assert (fx.source, fx.symbol, fx.timeframe, fx.bars, fx.tail, fx.revised) == (
        "fx",
        "EURUSD",
        Timeframe.H1,
        6226,
        1,
        1,
    )
    assert (stock.bars, stock.segments, stock.tail, stock.revised) == (3270, 2, 0, 0)  # 2000s and 2010s
    assert (f"{stock.first:%Y-%m-%d}", f"{stock.last:%Y-%m-%d}") == ("2000-03-01", "2013-03-01")
    assert found.bars == 6226 + 3270


def test_the_room_taken_is_that_of_the_files(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    found = catalog.statistics()
    assert found.size == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert (found.retired, found.retired_size > 0) == (1, True)  # the year as it was before its first bar was revised
    catalog.vacuum(grace_s=0)
    assert catalog.statistics().retired == 0


def test_the_last_use_is_told_and_its_absence_too(tmp_path: Path) -> None:
    catalog = filled(tmp_path)
    for mark in marks(tmp_path):
        if "AAPL" in str(mark):
            mark.unlink()
        else:
            os.utime(mark, (1_700_000_000, 1_700_000_000))
    fx, stock = catalog.statistics().series
    assert fx.last_use == pd.Timestamp("2023-11-14 22:13:20", tz="UTC")
    assert stock.last_use is None
    shown = str(catalog.statistics())
    assert "2023-11-14 22:13" in shown
    assert "not known" in shown


def test_it_reads_as_a_table_of_words(tmp_path: Path) -> None:
    found = filled(tmp_path).statistics()
    head, titles, first, _ = str(found).splitlines()
    assert head.startswith("2 series, 9,496 bars, ")
    assert "1 replaced file(s), " in head
    assert " ".join(titles.split()) == "source symbol timeframe bars first last segments size tail last use revised"
    assert first.split()[:4] == ["fx", "EURUSD", "1h", "6,226"]
    assert found._repr_html_().count("<tr") == 3
    assert found.frame()["size"].sum() == sum(s.size for s in found.series)


def test_bytes_are_said_in_steps_of_a_thousand() -> None:
    assert [in_words(n) for n in (0, 999, 1000, 91_400_000, 2.5e12, 4e15)] == [
        "0 B", "999 B", "1.0 kB", "91.4 MB", "2.5 TB", "4000.0 TB",
    ]  # fmt: skip
