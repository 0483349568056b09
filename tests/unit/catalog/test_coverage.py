"""Missing bars are told from closed hours; the answers are counted by hand from the calendar."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog import samples
from tradelab.catalog.coverage import Gap, cover, find_gaps, guess_calendar
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


def minutes(*spans: tuple[str, str], every: str = "1min") -> pd.DatetimeIndex:
    """Open times from each start to before each end, UTC."""
    parts = [pd.date_range(a, b, freq=every, tz="UTC", inclusive="left") for a, b in spans]
    return pd.DatetimeIndex(np.concatenate(parts), tz="UTC")


def said(*gaps: Gap) -> list[str]:
    return [f"{g.first:%m-%d %H:%M} to {g.last:%m-%d %H:%M}, {g.bars}" for g in gaps]


JULY = minutes(("2024-07-02 13:30", "2024-07-02 20:00"), ("2024-07-03 13:30", "2024-07-03 17:00"),
               ("2024-07-05 13:30", "2024-07-05 20:00"))  # fmt: skip


def test_a_holiday_a_weekend_and_an_early_close_are_no_gaps_in_minutes_of_a_stock() -> None:
    found = cover(bars_at(JULY), Timeframe.M1, "XNYS")
    assert (found.missing, found.outside, found.share, found.calendar) == (0, 0, 1.0, "XNYS")
    assert "0 missing in 0 gap(s) by the XNYS calendar (100.00% there)" in str(found)


def test_minutes_of_a_session_that_are_missing_are_found_to_the_minute() -> None:
    lost = (JULY >= "2024-07-03 16:55Z") & (
        JULY < "2024-07-05 13:32Z"
    )  # five before the early close, two after the open
    found = cover(bars_at(JULY[~lost]), Timeframe.M1, "XNYS")
    assert said(*found.gaps) == ["07-03 16:55 to 07-05 13:31, 7"]
    assert found.share == 983 / 990  # 390 + 210 + 390 minutes


def test_bars_at_closed_times_are_counted_and_are_no_share_of_what_should_be_there() -> None:
    early = minutes(("2024-07-02 13:00", "2024-07-02 13:30"), ("2024-07-04 13:30", "2024-07-04 13:40"))
    found = cover(bars_at(JULY.append(early).sort_values()), Timeframe.M1, "XNYS")
    assert (found.missing, found.outside, found.share) == (0, 40, 1.0)
    assert "40 at times when the market is closed" in str(found)


@pytest.mark.parametrize("opens", ["13:30", "13:00"])
def test_hours_of_a_stock_may_begin_at_its_open_or_at_the_full_hour(opens: str) -> None:
    days = [minutes((f"2024-07-{d} {opens}", f"2024-07-{d} {end}"), every="1h")
            for d, end in (("01", "20:00"), ("02", "20:00"), ("03", "17:00"), ("05", "20:00"))]  # fmt: skip
    index = pd.DatetimeIndex(np.concatenate(days), tz="UTC")
    assert cover(bars_at(index), Timeframe.H1, "XNYS").missing == 0
    hour = f"07-02 14:{opens[3:]}"
    assert said(*cover(bars_at(index.delete(8)), Timeframe.H1, "XNYS").gaps) == [f"{hour} to {hour}, 1"]


def test_a_lunch_break_is_no_gap() -> None:
    half_hours = minutes(("2024-02-08 01:30", "2024-02-08 04:00"), ("2024-02-08 05:00", "2024-02-08 08:00"),
                         ("2024-02-09 01:30", "2024-02-09 04:00"), ("2024-02-14 01:30", "2024-02-14 04:00"),
                         every="30min")  # fmt: skip
    assert cover(bars_at(half_hours), Timeframe.M30, "XHKG").missing == 0
    assert cover(bars_at(half_hours), Timeframe.M30, Calendar.SESSIONS).missing > 0, "which the coarse word cannot know"


@pytest.mark.parametrize(
    "stamp", ["2024-01-02 00:00+00:00", "2024-01-02 00:00-05:00", "2024-01-02 09:30-05:00", "2024-01-02 16:00+00:00"]
)
def test_days_may_be_stamped_by_utc_by_the_wall_clock_or_by_the_open(stamp: str) -> None:
    first = pd.Timestamp(stamp)
    zone = "UTC" if first.utcoffset() == pd.Timedelta(0) else "America/New_York"
    every = pd.date_range(first.tz_convert(zone), periods=366, freq="D")
    holidays = ["01-15", "02-19", "03-29", "05-27", "06-19", "07-04", "09-02", "11-28", "12-25"]  # NYSE, 2024
    index = every[(every.day_of_week < 5) & ~every.strftime("%m-%d").isin(holidays) & (every.year == 2024)]
    assert len(index) == 252  # sessions in 2024, the first on 2 January
    found = cover(bars_at(index.tz_convert("UTC")), Timeframe.D1, "XNYS")
    assert (found.missing, found.outside) == (0, 0)
    short = cover(bars_at(index.tz_convert("UTC").delete([100, 101])), Timeframe.D1, "XNYS")
    assert [g.bars for g in short.gaps] == [2]


def test_thirteen_years_of_real_daily_bars_are_whole_by_the_calendar_of_their_exchange() -> None:
    found = cover(samples.load("AAPL-1d"), Timeframe.D1, "XNAS")
    assert (found.bars, found.missing, found.outside) == (3270, 0, 0)  # 11 to 14 September 2001 among the holidays


@pytest.mark.parametrize(("sample", "outside"), [("EURUSD-1h", 9), ("EURUSD-4h", 3)])
def test_real_bars_of_a_currency_have_no_gap_at_christmas(sample: str, outside: int) -> None:
    found = cover(samples.load(sample), Timeframe.of(sample[-2:]), "fx")
    assert (found.missing, found.outside) == (0, outside)


def test_fx_days_stamped_at_their_open_are_the_days_of_the_evening_after() -> None:
    local = pd.date_range("2024-02-25 17:00", "2024-03-21 17:00", freq="D", tz="America/New_York")
    index = local[~local.day_of_week.isin([4, 5])].tz_convert("UTC")  # no day opens on Friday or Saturday evening
    found = cover(bars_at(index), Timeframe.D1, "fx")
    assert (found.missing, found.outside) == (0, 0)
    assert said(*cover(bars_at(index.delete(10)), Timeframe.D1, "fx").gaps) == ["03-10 21:00 to 03-10 21:00, 1"]


def test_four_hour_bars_of_a_broker_s_day_keep_to_the_wall_clock_when_clocks_change() -> None:
    local = pd.date_range("2024-02-25 17:00", "2024-03-22 13:00", freq="4h", tz="UTC").tz_localize(None)
    local = local[~((local.day_of_week == 5) | (local.day_of_week == 4) & (local.hour >= 17)
                    | (local.day_of_week == 6) & (local.hour < 17))]  # fmt: skip
    index = local.tz_localize("America/New_York").tz_convert("UTC")
    assert (cover(bars_at(index), Timeframe.H4, "fx").missing, len(index)) == (0, 4 * 30)
    assert cover(bars_at(index.delete([7, 70])), Timeframe.H4, "fx").missing == 2


@pytest.mark.parametrize("weekday", ["W-MON", "W-SUN"])
def test_a_week_without_a_session_has_no_bar(weekday: str) -> None:
    index = pd.date_range("2024-09-01", "2024-10-31", freq=weekday, tz="UTC")
    golden = [
        i
        for i, t in enumerate(index)
        if t in (pd.Timestamp("2024-09-29", tz="UTC"), pd.Timestamp("2024-09-30", tz="UTC"))
    ]
    assert cover(bars_at(index), Timeframe.W1, "XSHG").missing == 0
    assert cover(bars_at(index.delete(golden)), Timeframe.W1, "XSHG").missing == 1  # it opened on 30 September
    rest = pd.date_range("2023-09-18", "2023-10-16", freq="W-MON", tz="UTC").delete(
        2
    )  # closed 29 September to 6 October
    assert cover(bars_at(rest), Timeframe.W1, "XSHG").missing == 0


@pytest.mark.parametrize("first", ["2024-01-01", "2024-01-01 05:00", "2023-12-31 15:00", "2024-01-02"])
def test_months_are_stamped_on_the_first_somewhere_in_the_world(first: str) -> None:
    start = pd.Timestamp(first, tz="UTC")
    index = pd.DatetimeIndex([start + pd.DateOffset(months=m) for m in range(12)])
    assert cover(bars_at(index), Timeframe.MN, "XNYS").missing == 0
    assert said(*cover(bars_at(index.delete([4, 5])), Timeframe.MN, "XNYS").gaps) == ["05-01 00:00 to 06-01 00:00, 2"]


def at(text: str) -> pd.Timestamp:
    return pd.Timestamp(text, tz="UTC")


@pytest.mark.parametrize(
    ("now", "behind"),
    [("2024-07-05 20:04", 0), ("2024-07-08 13:35", 0), ("2024-07-08 13:36", 1), ("2024-07-08 14:05", 30)],
)
def test_a_stock_s_minutes_are_not_behind_before_the_next_session_has_begun(now: str, behind: int) -> None:
    found = cover(bars_at(JULY), Timeframe.M1, "XNYS", now=at(now))
    assert found.behind == behind
    assert ("should have come since" in str(found)) is bool(behind)


@pytest.mark.parametrize(
    ("now", "behind"),
    [("2024-07-03 17:04", 0), ("2024-07-03 17:05", 1), ("2024-07-05 20:00", 1), ("2024-07-05 20:05", 2)],
)
def test_a_day_is_due_after_its_own_early_close(now: str, behind: int) -> None:
    days = bars_at(pd.DatetimeIndex(["2024-07-01", "2024-07-02"], tz="UTC"))
    assert cover(days, Timeframe.D1, "XNYS", now=at(now)).behind == behind


@pytest.mark.parametrize(
    ("calendar", "now", "behind"),
    [
        (Calendar.ALWAYS, "2024-07-07 00:05", 29),  # from Friday 19:00, the last to close at Sunday 00:00
        (Calendar.WEEKDAYS, "2024-07-07 21:00", 2),  # Friday 19:00 and 20:00; New York closes at 21:00 UTC
        (Calendar.WEEKDAYS, "2024-07-07 22:05", 3),
        ("fx", "2024-07-07 22:05", 3),
    ],
)
def test_an_hourly_series_is_behind_by_the_hours_its_market_was_open(
    calendar: Calendar | str, now: str, behind: int
) -> None:
    bars = bars_at(pd.date_range("2024-07-04", "2024-07-05 18:00", freq="h", tz="UTC"))
    assert cover(bars, Timeframe.H1, calendar, now=at(now)).behind == behind


def test_months_are_due_when_the_next_has_begun() -> None:
    bars = bars_at(pd.date_range("2023-01-01", "2024-01-01", freq="MS", tz="UTC"))
    assert cover(bars, Timeframe.MN, Calendar.ALWAYS, now=at("2024-04-01 00:04")).behind == 1
    assert cover(bars, Timeframe.MN, Calendar.ALWAYS, now=at("2024-04-01 00:05")).behind == 2
    assert cover(bars, Timeframe.MN, Calendar.ALWAYS, now=at("2023-06-01")).behind == 0
    assert cover(bars, Timeframe.MN, Calendar.ALWAYS).behind is None
