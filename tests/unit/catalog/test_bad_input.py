"""Every bad input that the catalog can meet: refused by name, with the next step, and nothing half-written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog import quality, samples
from tradelab.catalog.bars import Catalog
from tradelab.catalog.frame import as_bars
from tradelab.catalog.importing import read_file
from tradelab.model.errors import (
    ColumnError,
    CorruptFileError,
    QualityError,
    StorageError,
    TimestampError,
    TooFewBarsError,
    UnknownNameError,
)


@pytest.fixture
def bars() -> pd.DataFrame:
    return samples.load("EURUSD-1h").iloc[:100].copy()


def test_wrong_column_names_the_nearest(bars: pd.DataFrame) -> None:
    with pytest.raises(ColumnError, match=r"no column 'close'; the nearest is 'clsoe'.*Rename it"):
        as_bars(bars.rename(columns={"close": "clsoe"}))


def test_text_in_a_column_is_refused_with_its_first_word(bars: pd.DataFrame) -> None:
    with pytest.raises(ColumnError, match=r"'high' holds text \(the first is 'n/a'\)"):
        as_bars(bars.astype({"high": object}).assign(high="n/a"))


def test_unsorted_stamps_are_refused_with_the_place(bars: pd.DataFrame) -> None:
    with pytest.raises(TimestampError, match=r"not sorted by time: row 2 .*sort_index"):
        as_bars(bars.iloc[[0, 2, 1, 3]])


def test_repeated_stamps_are_refused_with_count_and_place(bars: pd.DataFrame) -> None:
    with pytest.raises(TimestampError, match=r"1 repeated time stamp.*2017-01-01 23:00.*duplicated"):
        as_bars(bars.iloc[[0, 1, 1, 2]])


def test_naive_stamps_are_refused_with_the_fix(bars: pd.DataFrame) -> None:
    with pytest.raises(TimestampError, match=r'without a time zone.*\.tz_localize\("UTC"\)'):
        as_bars(bars.tz_localize(None))


def test_missing_stamps_are_refused(bars: pd.DataFrame) -> None:
    bars.index = bars.index[:-1].append(pd.DatetimeIndex([pd.NaT], tz="UTC"))
    with pytest.raises(TimestampError, match="1 row"):
        as_bars(bars)


def test_an_empty_frame_is_refused(bars: pd.DataFrame) -> None:
    with pytest.raises(TooFewBarsError, match="bars is empty"):
        as_bars(bars.iloc[:0])


@pytest.mark.parametrize(
    ("column", "value", "check"),
    [
        ("close", np.nan, "not a number: 1"),
        ("open", np.inf, "not a number: 1"),
        ("low", 0.0, "price not above zero: 1"),
        ("low", -1.0, "price not above zero: 1"),
        ("high", 0.5, "high below low: 1"),
        ("close", 9.0, "outside the range: 1"),
        ("volume", -1.0, "negative volume: 1"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_place(
    bars: pd.DataFrame, column: str, value: float, check: str
) -> None:
    bars.loc[bars.index[7], column] = value
    with pytest.raises(QualityError, match=rf"EURUSD cannot be trusted: .*{check}.*2017-01-02 05:00"):
        quality.require_sound(bars, name="EURUSD")


def test_unknown_series_names_the_nearest(tmp_path: Path, bars: pd.DataFrame) -> None:
    with Catalog(tmp_path) as catalog:
        catalog.write("sample", "EURUSD", "1h", bars)
        with pytest.raises(UnknownNameError, match="did you mean 'sample EURUSD 1h'"):
            catalog.read("sample", "EURUSDT", "1h")


def test_unknown_sample_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'EURUSD-1h'"):
        samples.load("EURUSD-1")


def test_bars_closer_than_their_timeframe_are_refused(tmp_path: Path, bars: pd.DataFrame) -> None:
    with Catalog(tmp_path) as catalog:
        with pytest.raises(TimestampError, match="are said to be 4h"):
            catalog.write("sample", "EURUSD", "4h", bars)
        assert catalog.list().empty


def test_a_range_that_is_no_date_is_refused(tmp_path: Path, bars: pd.DataFrame) -> None:
    with Catalog(tmp_path) as catalog:
        catalog.write("sample", "EURUSD", "1h", bars)
        with pytest.raises(TimestampError, match="start='yesterdayish' is no date"):
            catalog.read("sample", "EURUSD", "1h", "yesterdayish")


def test_a_broken_file_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "cut.csv"
    file.write_text("time,open,high,low,close\n2024-01-01T00:00Z,1,2,1,2\n2024-01-01T01:00Z,1,2")
    with pytest.raises(CorruptFileError, match=r"cut.csv, line 3 has 3 field"):
        read_file(file)


def test_a_damaged_segment_is_noticed_and_can_be_replaced(tmp_path: Path, bars: pd.DataFrame) -> None:
    with Catalog(tmp_path) as catalog:
        catalog.write("sample", "EURUSD", "1h", bars)
        name = catalog.snapshot("sample", "EURUSD", "1h").segments[0]
        content = bytearray((tmp_path / name).read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / name).write_bytes(bytes(content))
        with pytest.raises(CorruptFileError, match=r"is damaged.*--discard-damaged"):
            catalog.read("sample", "EURUSD", "1h")
        with pytest.raises(CorruptFileError):  # a merge must not build on it either
            catalog.write("sample", "EURUSD", "1h", bars.iloc[:1])
        assert catalog.discard_damaged() == (name,)
        catalog.write("sample", "EURUSD", "1h", bars)
        pd.testing.assert_frame_equal(catalog.read("sample", "EURUSD", "1h"), bars)


def test_a_missing_segment_is_damage_not_an_endless_retry(tmp_path: Path, bars: pd.DataFrame) -> None:
    with Catalog(tmp_path) as catalog:
        catalog.write("sample", "EURUSD", "1h", bars)
        (tmp_path / catalog.snapshot("sample", "EURUSD", "1h").segments[0]).unlink()
        with pytest.raises(CorruptFileError, match="is missing"):
            catalog.read("sample", "EURUSD", "1h")


def test_a_damaged_catalogue_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(CorruptFileError, match="catalogue"):
        Catalog(tmp_path)


def test_a_root_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot open"):
        Catalog(tmp_path / "file")


def files(folder: Path) -> set[Path]:
    return {p for p in (folder / "segments").rglob("*") if p.is_file()}


def test_a_full_disk_leaves_the_old_bars_and_no_new_file(
    tmp_path: Path, bars: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Catalog(tmp_path) as catalog:
        catalog.write("sample", "EURUSD", "1h", bars)
        before = files(tmp_path)

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"No space left on device.*Make room"):
            catalog.write("sample", "EURUSD", "1h", bars * 2)
        monkeypatch.undo()
        assert files(tmp_path) == before
        pd.testing.assert_frame_equal(catalog.read("sample", "EURUSD", "1h"), bars)


LIMITED = """
import resource, sys
from tradelab.catalog import samples
from tradelab.catalog.bars import Catalog
from tradelab.model.errors import StorageError
catalog = Catalog(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    catalog.write("sample", "BIG", "1m", samples.synthetic("1m", 100_000))
except StorageError as error:
    print("refused:", error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is a POSIX one")
def test_a_file_size_limit_stops_a_write_and_leaves_nothing(tmp_path: Path, bars: pd.DataFrame) -> None:
    with Catalog(tmp_path) as catalog:
        catalog.write("sample", "EURUSD", "1h", bars)
        before = files(tmp_path)
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
        )
        assert done.stdout.startswith("refused: cannot write BIG")
        assert files(tmp_path) == before
        assert catalog.list()["symbol"].tolist() == ["EURUSD"]
        pd.testing.assert_frame_equal(catalog.read("sample", "EURUSD", "1h"), bars)


def test_a_second_writer_waits_then_is_refused_by_name(tmp_path: Path, bars: pd.DataFrame) -> None:
    with Catalog(tmp_path) as first, Catalog(tmp_path, wait_s=0.05) as second:
        first.write("sample", "EURUSD", "1h", bars)
        with first._database.writing("hold the lock"):
            with pytest.raises(StorageError, match="another process is writing"):
                second.write("sample", "OTHER", "1h", bars)
            assert len(second.read("sample", "EURUSD", "1h")) == 100, "a reader never waits"
        second.write("sample", "OTHER", "1h", bars)
