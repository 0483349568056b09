"""Timeframes floor time as pandas does, and know every spelling people type."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradelab.model.errors import ParameterError
from tradelab.model.units import NS_PER_DAY, NS_PER_HOUR, Timeframe

_ANY_TIME = st.integers(
    pd.Timestamp("1950-01-01", tz="UTC").value, pd.Timestamp("2100-01-01", tz="UTC").value
)  # before the epoch too
_PANDAS = {
    Timeframe.M1: "1min", Timeframe.M3: "3min", Timeframe.M5: "5min", Timeframe.M15: "15min", Timeframe.M30: "30min",
    Timeframe.H1: "1h", Timeframe.H2: "2h", Timeframe.H4: "4h", Timeframe.H6: "6h", Timeframe.H8: "8h",
    Timeframe.H12: "12h", Timeframe.D1: "1D", Timeframe.W1: "W-SUN", Timeframe.MN: "M",
}  # fmt: skip


def _floor_by_pandas(timeframe: Timeframe, ts_ns: int) -> int:
    time = pd.Timestamp(ts_ns, unit="ns")
    if timeframe in {Timeframe.W1, Timeframe.MN}:
        return time.to_period(_PANDAS[timeframe]).start_time.as_unit("ns").value
    return time.floor(_PANDAS[timeframe]).value


@pytest.mark.parametrize("timeframe", Timeframe, ids=lambda t: t.code)
@given(ts_ns=_ANY_TIME)
def test_a_bar_opens_where_pandas_says(timeframe: Timeframe, ts_ns: int) -> None:
    assert timeframe.floor(ts_ns) == _floor_by_pandas(timeframe, ts_ns)


@pytest.mark.parametrize("timeframe", Timeframe, ids=lambda t: t.code)
@given(ts_ns=_ANY_TIME)
def test_bars_tile_time_without_gap_or_overlap(timeframe: Timeframe, ts_ns: int) -> None:
    opened, closed = timeframe.floor(ts_ns), timeframe.next_open(ts_ns)
    assert opened <= ts_ns < closed
    assert timeframe.floor(opened) == opened
    assert timeframe.floor(closed) == closed
    assert timeframe.floor(closed - 1) == opened


@pytest.mark.parametrize(
    ("timeframe", "time", "opened", "next_opened"),  # worked by hand with a calendar
    [
        ("MN", "2024-02-29T23:59:59", "2024-02-01", "2024-03-01"),
        ("MN", "2023-12-31T12:00:00", "2023-12-01", "2024-01-01"),
        ("MN", "1969-12-31T23:00:00", "1969-12-01", "1970-01-01"),
        ("W1", "2024-03-03T23:59:59", "2024-02-26", "2024-03-04"),  # a Sunday belongs to the week begun on Monday
        ("W1", "2024-03-04T00:00:00", "2024-03-04", "2024-03-11"),
        ("W1", "1970-01-01T00:00:00", "1969-12-29", "1970-01-05"),
        ("H4", "2024-03-04T03:59:59", "2024-03-04T00:00", "2024-03-04T04:00"),
    ],
)
def test_calendar_bars_open_on_mondays_and_on_the_first(
    timeframe: str, time: str, opened: str, next_opened: str
) -> None:
    bar = Timeframe.of(timeframe)
    ts_ns = pd.Timestamp(time, tz="UTC").value
    assert bar.floor(ts_ns) == pd.Timestamp(opened, tz="UTC").value
    assert bar.next_open(ts_ns) == pd.Timestamp(next_opened, tz="UTC").value


def test_every_timeframe_is_found_by_its_code_its_alias_and_itself() -> None:
    for timeframe in Timeframe:
        assert Timeframe.of(timeframe.code) is timeframe
        assert Timeframe.of(timeframe.alias) is timeframe
        assert Timeframe.of(timeframe) is timeframe


@pytest.mark.parametrize(
    ("typed", "code"),
    [("1h", "H1"), ("h1", "H1"), ("H1", "H1"), (" 60min ", "H1"), ("60m", "H1"), ("hourly", "H1"), ("1d", "D1"),
     ("1D", "D1"), ("Daily", "D1"), ("1m", "M1"), ("m1", "M1"), ("1M", "MN"), ("MN1", "MN"), ("mn", "MN"), ("1w", "W1"),
     ("1W", "W1"), ("15T", "M15"), ("5min", "M5")],
)  # fmt: skip
def test_what_people_type_is_understood(typed: str, code: str) -> None:
    assert Timeframe.of(typed).code == code


def test_a_minute_and_a_month_differ_by_case_alone() -> None:
    assert (Timeframe.of("1m"), Timeframe.of("1M")) == (Timeframe.M1, Timeframe.MN)


@pytest.mark.parametrize("typed", ["", "7h", "H0", "1y", "0", "tick"])
def test_an_unknown_timeframe_is_refused_with_the_known_ones(typed: str) -> None:
    with pytest.raises(ParameterError, match=r"is not known\. Allowed: M1 \(1m\).* MN \(1M\)"):
        Timeframe.of(typed)


def test_lengths_are_in_nanoseconds_and_grow_with_the_timeframe() -> None:
    assert Timeframe.H1.ns == NS_PER_HOUR == 3_600 * 10**9
    assert Timeframe.D1.ns == NS_PER_DAY
    lengths = [timeframe.ns for timeframe in Timeframe]
    assert lengths == sorted(set(lengths))


@given(ts_ns=_ANY_TIME)
def test_a_month_is_never_stepped_by_its_nominal_length(ts_ns: int) -> None:
    days = (Timeframe.MN.next_open(ts_ns) - Timeframe.MN.floor(ts_ns)) // NS_PER_DAY
    first = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=Timeframe.MN.floor(ts_ns) // NS_PER_DAY)
    assert days == pd.Timestamp(first).days_in_month
