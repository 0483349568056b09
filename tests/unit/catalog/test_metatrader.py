"""MetaTrader's files are as its terminals write them: compared with lines and bytes made by hand, and read back."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog import samples
from tradelab.catalog.bars import Catalog
from tradelab.catalog.frame import from_arrays
from tradelab.catalog.importing import read_file
from tradelab.catalog.metatrader import hst_bytes, mt4_text, mt5_text, read_hst
from tradelab.model.errors import CorruptFileError, ParameterError, QualityError, TimestampError, UnknownNameError
from tradelab.model.units import Timeframe

KEY = ("sample", "EURUSD", "1h")
NEW_YORK_CLOSE = "America/New_York+7"


def bars(*stamps: str, volume: float = 7.0) -> pd.DataFrame:
    time = pd.DatetimeIndex(stamps).as_unit("ns").asi8
    prices = {"open": 1.1, "high": 1.10521, "low": 1.0, "close": 1.10005, "volume": volume}
    return from_arrays(time, {name: np.full(len(time), value) for name, value in prices.items()})


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = Catalog(tmp_path / "bars")
    made.write(*KEY, samples.load("EURUSD-1h"))
    return made


def test_a_line_of_metatrader_4_is_as_its_history_center_exports_it() -> None:
    # the form of HistData's "MetaTrader" files: 2012.02.01,00:00,1.306600,1.306600,1.306560,1.306560,0
    assert mt4_text(bars("2024-01-31 11:05", "2024-07-31 11:05"), "Europe/Athens") == (
        "2024.01.31,13:05,1.10000,1.10521,1.00000,1.10005,7\r\n2024.07.31,14:05,1.10000,1.10521,1.00000,1.10005,7\r\n"
    )


def test_a_line_of_metatrader_5_stands_under_its_nine_names() -> None:
    head, line, end = mt5_text(bars("2024-01-31 11:05"), "Etc/GMT-2").split("\r\n")
    assert head == "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    assert line == "2024.01.31\t13:05:00\t1.10000\t1.10521\t1.00000\t1.10005\t7\t0\t0"
    assert end == ""


def test_an_hst_file_is_148_bytes_and_60_a_bar() -> None:
    data = hst_bytes(bars("2024-01-31 11:05"), "Europe/Athens", "EURUSD", Timeframe.M5)
    server = 1_706_706_300  # `date -u -d "2024-01-31 13:05" +%s`: the server's clock, counted as if it were UTC
    expected = struct.pack("<i", 401) + b"tradelab".ljust(64, b"\0") + b"EURUSD".ljust(12, b"\0")
    expected += struct.pack("<iiii", 5, 5, 0, 0) + bytes(52)
    expected += struct.pack("<q", server) + struct.pack("<dddd", 1.1, 1.10521, 1.0, 1.10005)
    expected += struct.pack("<qiq", 7, 0, 0)
    assert data == expected
    assert len(data) == 148 + 60


def test_a_month_is_43200_minutes_and_whole_days_are_dates_in_any_zone() -> None:
    found = read_hst(hst_bytes(bars("2024-01-01", "2024-02-01"), None, "EURUSD", Timeframe.MN), "x.hst")
    assert (found.minutes, found.symbol, found.version) == (43_200, "EURUSD", 401)
    assert mt4_text(bars("2024-01-01"), "Asia/Tokyo").startswith("2024.01.01,00:00,")


def test_a_file_of_the_old_version_has_low_before_high() -> None:
    head = struct.pack("<i64s12siiii52x", 400, b"(C)opyright 2003", b"USDJPY", 60, 3, 0, 0)
    data = head + struct.pack("<iddddd", 1_706_706_300, 147.1, 146.9, 147.5, 147.2, 812.0)
    found = read_hst(data, "USDJPY60.hst").bars.iloc[0]
    assert (found["open"], found["low"], found["high"], found["close"], found["volume"]) == (
        147.1,
        146.9,
        147.5,
        147.2,
        812,
    )
    assert found["time"] == pd.Timestamp("2024-01-31 13:05")


@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT-2", "Europe/Athens", NEW_YORK_CLOSE])
@pytest.mark.parametrize(("name", "format"), [("out.csv", "mt4"), ("out.csv", "mt5"), ("EURUSD60.hst", None)])
def test_what_is_exported_is_imported_unchanged_but_for_fractions_of_volume(
    catalog: Catalog, tmp_path: Path, zone: str, name: str, format: str | None
) -> None:
    assert catalog.export(tmp_path / name, *KEY, format=format, tz=zone) == 6225
    back, guess = read_file(tmp_path / name, tz=zone)
    year = samples.load("EURUSD-1h")
    pd.testing.assert_frame_equal(back, year.assign(volume=year["volume"].round()), check_exact=True)
    assert guess.timeframe is Timeframe.H1
    assert {p.name for p in tmp_path.iterdir()} == {"bars", name}, "nothing half-written is left"


def test_the_clock_of_most_brokers_turns_its_day_when_new_york_closes(catalog: Catalog, tmp_path: Path) -> None:
    catalog.export(tmp_path / "out.csv", *KEY, "2017-03-10", "2017-03-14", format="mt4", tz=NEW_YORK_CLOSE)
    clock = [line.split(",")[:2] for line in (tmp_path / "out.csv").read_text().splitlines()]
    at = clock.index(["2017.03.10", "23:00"])  # Friday's last hour, then Monday's first: clocks changed in between
    assert clock[at + 1] == ["2017.03.13", "00:00"]


def test_an_imported_hst_says_what_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD60.hst"
    path.write_bytes(hst_bytes(bars("2024-01-31 11:00", "2024-01-31 12:00"), "UTC", "EURUSD", Timeframe.H1))
    _, guess = read_file(path, tz="UTC")
    assert str(guess).startswith(
        "file      EURUSD60.hst: MetaTrader history, EURUSD, version 401, 60 minutes, 5 digits\n"
    )
    assert guess.left_out == ("spread", "real_volume")
    with pytest.raises(TimestampError, match=r"name no zone .*--tz"):
        read_file(path)


def test_a_symbol_becomes_what_a_terminal_can_call_it() -> None:
    one = bars("2024-01-31 11:00")
    assert read_hst(hst_bytes(one, "UTC", "BTC/USDT", Timeframe.H1), "x").symbol == "BTCUSDT"
    with pytest.raises(ParameterError, match=r"'1000SHIBUSDTUSDT' must have 1 to 11 letters\. .*--mt-symbol"):
        hst_bytes(one, "UTC", "1000SHIB/USDT:USDT", Timeframe.H1)


def test_volume_is_a_whole_number_and_none_is_zero() -> None:
    assert mt4_text(bars("2024-01-31 11:05", volume=12.6), "UTC").endswith(",13\r\n")
    assert mt4_text(bars("2024-01-31 11:05", volume=np.nan), "UTC").endswith(",0\r\n")


def test_prices_on_no_decimal_grid_are_written_in_full_and_never_with_an_exponent() -> None:
    odd = bars("2024-01-31 11:05") * np.pi / 1e7
    fields = mt4_text(odd, "UTC").split(",")
    assert [float(f) for f in fields[2:6]] == odd.iloc[0, :4].tolist()
    assert "e" not in "".join(fields)


def test_the_zone_must_be_said(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"which zone its times are in.*America/New_York\+7"):
        catalog.export(tmp_path / "out.hst", *KEY)
    with pytest.raises(ParameterError, match=r"tz='Mars' is no time zone\. Use a name such as"):
        catalog.export(tmp_path / "out.hst", *KEY, tz="Mars")
    with pytest.raises(ParameterError, match="tz='UTC': csv files say their zone themselves"):
        catalog.export(tmp_path / "out.csv", *KEY, tz="UTC")
    assert {p.name for p in tmp_path.iterdir()} == {"bars"}


def test_an_hour_that_happens_twice_on_the_server_s_clock_is_refused() -> None:
    twice = bars("2024-10-27 00:30", "2024-10-27 01:30")
    with pytest.raises(TimestampError, match=r"two bars would be stamped 2024-10-27 03:30:00: clocks in Europe/Athens"):
        mt4_text(twice, "Europe/Athens")
    assert mt4_text(twice, NEW_YORK_CLOSE).count("\r\n") == 2


def test_a_price_that_is_none_is_refused() -> None:
    with pytest.raises(QualityError, match="NaN or infinite"):
        mt5_text(bars("2024-01-31 11:05") * np.nan, "UTC")


def test_a_gzip_is_nothing_for_metatrader(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="reads no gzip"):
        catalog.export(tmp_path / "out.csv.gz", *KEY, format="mt4", tz="UTC")


def test_a_format_that_is_none_is_refused_and_the_nearest_named(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no file format named 'mt6'; did you mean 'mt5'\?"):
        catalog.export(tmp_path / "out.csv", *KEY, format="mt6", tz="UTC")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:100], r"no \.hst file: 100 bytes"),
        (lambda data: data[:-1], "cut off: 59 bytes after its header are no multiple of 60 a bar"),
        (lambda data: b"\x07" + data[1:], r"of version 263\. Allowed: 401, 400"),
    ],
)
def test_a_damaged_hst_is_named(change: object, says: str, tmp_path: Path) -> None:
    data = hst_bytes(bars("2024-01-31 11:05"), "UTC", "EURUSD", Timeframe.M5)
    (tmp_path / "x.hst").write_bytes(change(data))  # type: ignore[operator]
    with pytest.raises(CorruptFileError, match=says):
        read_file(tmp_path / "x.hst", tz="UTC")
