"""Missing bars are told from closed hours; the answers are counted by hand from the calendar."""

from __future__ import annotations

import pandas as pd

from tradelab.catalog import samples
from tradelab.catalog.coverage import cover, find_gaps, guess_calendar
from tradelab.catalog.frame import time_ns
from tradelab.model.instrument import Calendar
from tradelab.model.units import Timeframe


def bars_at(index: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0), index=index.rename("time"))


def test_an_always_open_market_misses_every_absent_bar() -> None:
    index = pd.date_range("2024-01-01", periods=240, freq="h", tz="UTC").delete([5, 6, 7, 100])
    found = cover(bars_at(index), Timeframe.H1)
    assert (found.calendar, found.missing, len(found.gaps)) == (Calendar.ALWAYS, 4, 2)
    assert (str(found.gaps[0].first), str(found.gaps[0].last)) == (
        "2024-01-01 05:00:00+00:00",
        "2024-01-01 07:00:00+00:00",
    )
    assert found.share == 236 / 240
    assert "4 missing in 2 gap(s)" in str(found)
    assert "2024-01-01 05:00" in found._repr_html_()


def test_an_fx_weekend_is_closed_in_summer_and_winter() -> None:
    bars = samples.load("EURUSD-1h")
    found = cover(bars, Timeframe.H1)
    assert found.calendar is Calendar.WEEKDAYS
    assert found.missing == 15  # Christmas alone


def test_sessions_know_weekends_but_no_holidays() -> None:
    found = cover(samples.load("AAPL-1d"), Timeframe.D1)
    assert found.calendar is Calendar.SESSIONS
    longest = found.largest(1)[0]
    assert (f"{longest.first:%Y-%m-%d}", f"{longest.last:%Y-%m-%d}", longest.bars) == ("2001-09-11", "2001-09-14", 4)


def test_an_exchange_s_nights_are_closed_and_a_missing_hour_is_not() -> None:
    index = pd.date_range("2024-01-01", "2024-03-01", freq="h", tz="UTC")
    index = index[(index.day_of_week < 5) & (index.hour >= 9) & (index.hour < 17)]
    assert guess_calendar(index.as_unit("ns").asi8, Timeframe.H1) is Calendar.SESSIONS
    assert cover(bars_at(index), Timeframe.H1).missing == 0
    assert cover(bars_at(index.delete(20)), Timeframe.H1).missing == 1


def test_months_are_stepped_by_the_calendar() -> None:
    index = pd.date_range("2023-01-01", periods=14, freq="MS", tz="UTC").delete([1, 2])
    gaps = find_gaps(time_ns(bars_at(index)), Timeframe.MN, Calendar.ALWAYS)
    assert [(f"{g.first:%Y-%m}", f"{g.last:%Y-%m}", g.bars) for g in gaps] == [("2023-02", "2023-03", 2)]


def test_days_at_local_midnight_have_no_gap_when_clocks_change() -> None:
    index = pd.date_range("2024-01-01", "2024-12-31", freq="D", tz="America/New_York").tz_convert("UTC")
    assert cover(bars_at(index), Timeframe.D1, Calendar.ALWAYS).missing == 0


def test_no_bars_have_no_coverage() -> None:
    found = cover(samples.load("FB-1d").iloc[:0], Timeframe.D1)
    assert str(found) == "no bars"
    assert found.gaps == ()
