"""Any usual frame becomes canonical bars; anything else is refused with the next step in the message."""

from __future__ import annotations

import hashlib
import struct
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog.frame import as_bars, content_hash, infer_timeframe
from tradelab.model.errors import ColumnError, TimestampError, TooFewBarsError
from tradelab.model.units import Timeframe


def frame(count: int = 3, **columns: object) -> pd.DataFrame:
    index = pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC")
    values = {"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5, "volume": 10.0} | columns
    return pd.DataFrame(values, index=index)


def test_result_has_the_canonical_shape() -> None:
    bars = as_bars(frame().rename(columns=str.title))
    assert list(bars.columns) == ["open", "high", "low", "close", "volume"]
    assert bars.index.name == "time"
    assert str(bars.index.dtype) == "datetime64[ns, UTC]"
    assert set(bars.dtypes.astype(str)) == {"float64"}


def test_canonical_bars_come_back_as_they_are() -> None:
    bars = as_bars(frame())
    assert as_bars(bars) is bars


def test_short_names_are_understood() -> None:
    assert as_bars(frame().rename(columns=lambda c: c[0].upper()))["high"].tolist() == [2.0, 2.0, 2.0]


def test_adjusted_close_and_strangers_are_left_out() -> None:
    assert "adj close" not in as_bars(frame(**{"Adj Close": 9.0, "trades": 3})).columns


def test_absent_volume_becomes_nan() -> None:
    assert as_bars(frame().drop(columns="volume"))["volume"].isna().all()


@pytest.mark.parametrize("name", ["time", "Timestamp", "date", "DateTime", "open_time"])
def test_times_may_stand_in_a_column(name: str) -> None:
    given = frame().reset_index(names=name)
    assert as_bars(given).index[1] == pd.Timestamp("2024-01-01 01:00", tz="UTC")


def test_another_zone_is_turned_into_utc() -> None:
    given = frame()
    given.index = given.index.tz_convert("America/New_York")
    assert as_bars(given).index[0] == pd.Timestamp("2024-01-01", tz="UTC")
    assert str(as_bars(given).index.tz) == "UTC"


def test_yfinance_columns_in_two_levels_are_flattened() -> None:
    given = frame()
    given.columns = pd.MultiIndex.from_product([given.columns.str.title(), ["AAPL"]])
    assert as_bars(given)["close"].tolist() == [1.5, 1.5, 1.5]


def test_two_instruments_side_by_side_are_refused() -> None:
    given = pd.concat({"AAPL": frame(), "IBM": frame()}, axis=1)
    with pytest.raises(ColumnError, match="several instruments"):
        as_bars(given)


def test_decimals_become_floats() -> None:
    assert as_bars(frame(close=[Decimal("1.1")] * 3))["close"].tolist() == [1.1, 1.1, 1.1]


def test_the_caller_s_frame_is_not_shared() -> None:
    given = frame().rename(columns=str.title)
    bars = as_bars(given)
    bars.iloc[0, 0] = 99.0
    assert given["Open"].iloc[0] == 1.0


def test_a_column_there_twice_is_refused() -> None:
    given = frame(OPEN=1.0)
    with pytest.raises(ColumnError, match="2 columns for 'open'"):
        as_bars(given)


def test_epoch_numbers_are_refused_with_the_way_to_parse_them() -> None:
    given = frame().reset_index(drop=True).assign(timestamp=[1704067200000, 1704070800000, 1704074400000])
    with pytest.raises(TimestampError, match='unit="ms"'):
        as_bars(given)


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("min", Timeframe.M1),
        ("15min", Timeframe.M15),
        ("4h", Timeframe.H4),
        ("W-MON", Timeframe.W1),
        ("MS", Timeframe.MN),
    ],
)
def test_timeframe_is_told_from_the_spacing(freq: str, expected: Timeframe) -> None:
    index = pd.date_range("2024-01-01", periods=30, freq=freq, tz="UTC", name="time")
    assert infer_timeframe(pd.DataFrame({"open": 1.0}, index=index)) is expected


def test_timeframe_survives_weekends_and_daylight_saving() -> None:
    days = pd.bdate_range("2024-01-01", "2024-12-31", tz="America/New_York").tz_convert("UTC")
    assert infer_timeframe(pd.DataFrame({"open": 1.0}, index=days)) is Timeframe.D1


def test_timeframe_survives_many_gaps() -> None:
    index = pd.date_range("2024-01-01", periods=1000, freq="min", tz="UTC")[np.random.default_rng(1).random(1000) < 0.6]
    assert infer_timeframe(pd.DataFrame({"open": 1.0}, index=index)) is Timeframe.M1


def test_spacing_that_is_no_timeframe_is_refused() -> None:
    index = pd.date_range("2024-01-01", periods=30, freq="10min", tz="UTC")
    with pytest.raises(TimestampError, match="0 days 00:10:00 apart"):
        infer_timeframe(pd.DataFrame({"open": 1.0}, index=index))


def test_one_bar_has_no_timeframe() -> None:
    with pytest.raises(TooFewBarsError):
        infer_timeframe(frame(1))


def test_content_hash_is_the_written_definition() -> None:
    """Worked from the docstring with struct alone: seed, count, stamps, then each column."""
    nanoseconds = 1_704_067_200_000_000_000
    said = (
        b"tradelab bars 1"
        + struct.pack("<Q", 1)
        + struct.pack("<q", nanoseconds)
        + struct.pack("<5d", 1, 2, 0.5, 1.5, 10)
    )
    assert content_hash(frame(1)) == hashlib.sha256(said).hexdigest()


def test_content_hash_sees_one_bit_and_no_spelling() -> None:
    changed = frame()
    changed.iloc[2, 3] = np.nextafter(1.5, 2)
    assert content_hash(frame()) == content_hash(frame().rename(columns=str.upper))
    assert content_hash(frame()) != content_hash(changed)
