"""Files as brokers, exchanges and spreadsheets write them become the same bars, and the guess says how."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from tradelab.catalog.importing import Guess, read_file
from tradelab.model.errors import ColumnError, CorruptFileError, StorageError, TooFewBarsError, UnknownNameError

MT4 = "2015.01.02,00:00,1.1,1.3,1.0,1.2,100\n2015.01.02,01:00,1.2,1.4,1.1,1.3,90.5\n"
MT5 = (
    "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\r\n"
    "2015.01.02\t00:00:00\t1.1\t1.3\t1.0\t1.2\t100\t0\t2\r\n2015.01.02\t01:00:00\t1.2\t1.4\t1.1\t1.3\t90.5\t0\t2\r\n"
)
DUKASCOPY = (
    "Gmt time,Open,High,Low,Close,Volume\n02.01.2015 01:00:00.000 GMT+0100,1.1,1.3,1.0,1.2,100\n"
    "02.01.2015 02:00:00.000 GMT+0100,1.2,1.4,1.1,1.3,90.5\n"
)
GERMAN = (
    "Date;Time;Open;High;Low;Close;Volume\n"
    "02.01.2015;00:00;1,1;1,3;1,0;1,2;100\n02.01.2015;01:00;1,2;1,4;1,1;1,3;90,5\n"
)
HISTDATA = "20150102 000000;1.1;1.3;1.0;1.2;100\n20150102 010000;1.2;1.4;1.1;1.3;90.5\n"
BINANCE = (
    "1420156800000,1.1,1.3,1.0,1.2,100,1420160399999,1,1,1,1,0\n"
    "1420160400000,1.2,1.4,1.1,1.3,90.5,1420163999999,1,1,1,1,0\n"
)
NEWEST_FIRST = (
    "timestamp,open,high,low,close,adj close,volume\n2015-01-02T01:00Z,1.2,1.4,1.1,1.3,9,90.5\n"
    "\n2015-01-02T00:00Z,1.1,1.3,1.0,1.2,9,100\n"
)
CCXT = "[[1420156800000,1.1,1.3,1.0,1.2,100],[1420160400000,1.2,1.4,1.1,1.3,90.5]]"
ONE = '{"t":1420156800,"o":1.1,"h":1.3,"l":1.0,"c":1.2,"v":100}'
TWO = '{"t":1420160400,"o":1.2,"h":1.4,"l":1.1,"c":1.3,"v":90.5}'
RECORDS = f'{{"data":[{ONE},{TWO}]}}'
LINES = f"{ONE}\n{TWO}\n"


def read(folder: Path, name: str, content: str | bytes, **options: str) -> tuple[pd.DataFrame, Guess]:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_file(file, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "tz"),
    [
        ("mt4.csv", MT4, "UTC"),
        ("mt5.csv", MT5.encode("utf-16"), "UTC"),
        ("bom.csv", b"\xef\xbb\xbf" + DUKASCOPY.encode(), None),
        ("dukascopy.csv", DUKASCOPY, None),
        ("german.txt", GERMAN, "UTC"),
        ("histdata.csv", HISTDATA, "UTC"),
        ("binance.csv", BINANCE, None),
        ("newest_first.csv", NEWEST_FIRST, None),
        ("zipped.csv.gz", gzip.compress(DUKASCOPY.encode()), None),
        ("ccxt.json", CCXT, None),
        ("records.json", RECORDS, None),
        ("lines.jsonl", LINES, None),
    ],
)
def test_every_usual_file_gives_the_same_two_bars(
    tmp_path: Path, name: str, content: str | bytes, tz: str | None
) -> None:
    bars, guess = read(tmp_path, name, content, **({"tz": tz} if tz else {}))
    assert [str(t) for t in bars.index] == ["2015-01-02 00:00:00+00:00", "2015-01-02 01:00:00+00:00"]
    assert bars.to_numpy().tolist() == [[1.1, 1.3, 1.0, 1.2, 100.0], [1.2, 1.4, 1.1, 1.3, 90.5]]
    assert guess.bars == 2
    assert "2 of 1h" in str(guess)


def test_parquet_is_read_with_its_own_zone(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"Open": [1.1], "High": [1.3], "Low": [1.0], "Close": [1.2]},
        index=pd.DatetimeIndex(["2015-01-02"], tz="Europe/Berlin", name="Date"),
    )
    frame.to_parquet(tmp_path / "x.parquet")
    bars, guess = read_file(tmp_path / "x.parquet")
    assert str(bars.index[0]) == "2015-01-01 23:00:00+00:00"
    assert (guess.format, guess.time_columns) == ("Parquet", ("Date",))


def test_the_guess_says_what_a_person_needs_to_object(tmp_path: Path) -> None:
    _, guess = read(tmp_path, "x.csv", GERMAN.replace("02.01.2015;01", "02.01.2015;02"), tz="Europe/Berlin")
    said = str(guess)
    for part in (
        "semicolons",
        "decimal comma",
        "Date + Time",
        "DD.MM.YYYY HH:MM",
        "Europe/Berlin",
        "open = Open",
        "2 of 2h",
    ):
        assert part in said
    _, guess = read(tmp_path, "y.csv", NEWEST_FIRST)
    assert "adj close" in str(guess)
    assert "newest first" in str(guess)


def test_no_value_becomes_nan_and_is_left_to_the_quality_check(tmp_path: Path) -> None:
    bars, _ = read(tmp_path, "x.csv", "date,open,high,low,close,volume\n2024-01-02,null,2,1,2,\n2024-01-03,1,2,1,2,3\n")
    assert bars.isna().sum().tolist() == [1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("word.csv", "date,open,high,low,close\n\n2024-01-02,1,abc,1,2\n", r"line 3: 'high' is 'abc'"),
        ("short.csv", "date,open,high,low,close\n2024-01-02,1,2,1,2\n2024-01-03,1,2", r"line 3 has 3 field"),
        ("long.csv", "date,open,high,low,close\n2024-01-02,1,2,1,2,3,4\n", r"line 2 has 7 field"),
        ("bytes.csv", b"date,open\n\xff\x80\x81,1\n", r"line 2: byte 10"),
        ("cut.csv.gz", gzip.compress(DUKASCOPY.encode())[:-12], "no whole gzip file"),
        ("no.csv.gz", b"plain text", "no whole gzip file"),
        ("cut.parquet", b"PAR1 and then nothing", "no whole Parquet file"),
        ("cut.json", '[{"t": 1,\n "o": x}]', "line 2: Expecting value"),
        ("cut.jsonl", LINES + '{"t": 14', "line 3"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, name: str, content: str | bytes, says: str) -> None:
    with pytest.raises(CorruptFileError, match=says):
        read(tmp_path, name, content)


def test_files_without_bars_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooFewBarsError, match="empty"):
        read(tmp_path, "nothing.csv", "\n\n")
    with pytest.raises(TooFewBarsError, match="no rows"):
        read(tmp_path, "head.csv", "date,open,high,low,close\n")
    with pytest.raises(ColumnError, match="no column of times"):
        read(tmp_path, "untimed.csv", "name,open,high,low,close\nx,1,2,1,2\n")
    with pytest.raises(ColumnError, match="a time and four prices"):
        read(tmp_path, "narrow.csv", "2024-01-02,1,2\n")
    with pytest.raises(ColumnError, match="'close'"):
        read(tmp_path, "noclose.csv", "date,open,high,low,last\n2024-01-02,1,2,1,2\n")


def test_unknown_files_and_formats_name_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "eurusd.csv").write_text(DUKASCOPY)
    with pytest.raises(UnknownNameError, match=r"eurusd\.csv"):
        read_file(tmp_path / "eurusdd.csv")
    with pytest.raises(UnknownNameError, match=r"no file format named '\.xls'"):
        read(tmp_path, "x.xls", "")


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "x.csv").write_text(DUKASCOPY)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StorageError, match="Permission denied"):
        read_file(tmp_path / "x.csv")
