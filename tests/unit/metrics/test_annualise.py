"""Bars a year: expected counts are worked by hand from the calendar each history was made to keep."""

import numpy as np
import pandas as pd
import pytest

from tradelab.metrics.annualise import annualisation


def ns(index):
    return index.as_unit("ns").asi8


def hours_of(zone, first, last, freq="1h"):
    """Bars of a year of weekdays between two local hours."""
    index = pd.date_range("2022-01-01", "2022-12-31", freq=freq, tz=zone)
    clock = index.hour + index.minute / 60
    return ns(index[(index.day_of_week < 5) & (clock >= first) & (clock < last)].tz_convert("UTC"))


def currency(freq, start="2022-01-02", end="2022-12-30"):
    """Bars from Sunday 22:00 to Friday 22:00 UTC."""
    index = pd.date_range(start, end, freq=freq)
    day, hour = index.day_of_week, index.hour
    return ns(index[((day < 4) | ((day == 4) & (hour < 22)) | ((day == 6) & (hour >= 22)))])


@pytest.mark.parametrize(
    ("freq", "per_year"),
    [("1min", 525_600), ("15min", 35_040), ("1h", 8_760), ("4h", 2_190), ("12h", 730), ("1D", 365), ("3D", 365 / 3)],
)
def test_bars_on_saturdays_make_a_year_of_365_days(freq, per_year):
    found = annualisation(ns(pd.date_range("2022-01-01", "2022-03-01", freq=freq)))
    assert found.calendar == "24/7"
    assert found.periods_per_year == pytest.approx(per_year)


@pytest.mark.parametrize(("freq", "per_year"), [("5min", 74_880), ("1h", 6_240), ("4h", 1_560)])
def test_weekday_bars_around_the_clock_make_a_year_of_260_days(freq, per_year):
    found = annualisation(currency(freq))
    assert (found.calendar, found.periods_per_year) == ("24/5", per_year)


def test_daily_bars_without_saturdays_make_a_year_of_252_sessions():
    found = annualisation(ns(pd.bdate_range("2004-08-19", "2013-03-01")))
    assert (found.calendar, found.periods_per_year) == ("sessions", 252)
    assert found.says == "252 bars a year (sessions calendar, daily bars)"


@pytest.mark.parametrize(
    ("zone", "first", "last", "freq", "a_session"),
    [
        ("America/New_York", 9.5, 16, "30min", 13),
        ("America/New_York", 4, 20, "1h", 16),
        ("Asia/Tokyo", 9, 15, "1h", 6),
        ("Australia/Sydney", 10, 16, "1h", 6),  # one session lies on two UTC days
    ],
)
def test_a_session_is_counted_from_night_to_night_in_any_time_zone(zone, first, last, freq, a_session):
    found = annualisation(hours_of(zone, first, last, freq))
    assert (found.calendar, found.periods_per_year) == ("sessions", 252 * a_session)


def test_half_days_and_missing_bars_do_not_move_the_count():
    ts_ns = hours_of("America/New_York", 9.5, 16, "30min")
    kept = np.delete(ts_ns, np.r_[50:55, 400:402, 1000:1040])
    assert annualisation(kept).periods_per_year == 252 * 13


def test_random_gaps_do_not_move_a_round_the_clock_count():
    ts_ns = ns(pd.date_range("2022-01-01", "2022-02-01", freq="1min"))
    kept = ts_ns[np.random.default_rng(3).random(len(ts_ns)) < 0.4]
    assert annualisation(kept).periods_per_year == 525_600


@pytest.mark.parametrize(
    ("freq", "per_year", "calendar"),
    [("W-MON", 52, "weeks"), ("2W-MON", 26, "weeks"), ("MS", 12, "months"), ("QS", 4, "months"), ("YS", 1, "months")],
)
def test_long_bars_need_no_calendar(freq, per_year, calendar):
    found = annualisation(ns(pd.date_range("2000-01-01", "2012-01-01", freq=freq)))
    assert (found.periods_per_year, found.calendar) == (per_year, calendar)


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (pd.date_range("2022-01-03", periods=2, freq="1h"), "too few"),
        (pd.date_range("2022-01-03", "2022-01-06", freq="1h"), "24/7 from 24/5"),
        (pd.date_range("2022-01-03", "2022-01-06", freq="1D"), "24/7 from sessions"),
        (pd.date_range("2022-01-03 14:30", periods=60, freq="1min"), "no night"),
    ],
)
def test_bars_that_cannot_tell_are_not_annualised_and_say_why(index, reason):
    found = annualisation(ns(index))
    assert np.isnan(found.periods_per_year)
    assert found.calendar == "unknown"
    assert reason in found.says


def test_a_named_calendar_overrides_the_bars():
    daily = ns(pd.bdate_range("2022-01-03", "2022-03-01"))
    assert annualisation(daily, calendar="24/5").periods_per_year == 260
    assert annualisation(ns(pd.date_range("2022-01-03", periods=60, freq="1min")), calendar="24/7").says == (
        "525 600 bars a year (24/7 calendar, 1-minute bars)"
    )


def test_an_unknown_calendar_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'NYSE'.*24/7, 24/5, sessions"):
        annualisation(ns(pd.bdate_range("2022-01-03", "2022-03-01")), calendar="NYSE")


def test_times_that_do_not_increase_are_refused_with_their_place():
    with pytest.raises(ValueError, match="place 3"):
        annualisation(np.array([0, 1, 2, 2, 3]))
