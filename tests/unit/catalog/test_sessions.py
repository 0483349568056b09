"""Sessions are those that the exchanges published: dates and hours are copied from their own notices."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tradelab.catalog.sessions import calendar_of, sessions_of
from tradelab.model.errors import MissingExtraError, ParameterError, UnknownNameError
from tradelab.model.instrument import Calendar
from tradelab.model.units import NS_PER_DAY, NS_PER_HOUR


def ns(text: str) -> int:
    return pd.Timestamp(text, tz="UTC").value


def opened(name: str, first: str, last: str) -> dict[str, str]:
    """Sessions of a range, as date to opening and closing time in UTC."""
    found = sessions_of(name, ns(first), ns(last))
    chosen = (found.days >= ns(first) // NS_PER_DAY) & (found.days <= ns(last) // NS_PER_DAY)
    return {
        f"{pd.Timestamp(d, unit='D'):%m-%d}": f"{pd.Timestamp(a):%d %H:%M} to {pd.Timestamp(b):%d %H:%M}"
        for d, a, b in zip(*(x[chosen] for x in (found.days, found.opens, found.closes)), strict=True)
    }


def test_new_york_keeps_independence_day_and_closes_early_on_its_eve() -> None:
    # NYSE, "Holidays & Trading Hours", 2024: 3 July closes at 1:00 p.m. Eastern, 4 July closed
    assert opened("XNYS", "2024-07-02", "2024-07-08") == {
        "07-02": "02 13:30 to 02 20:00",
        "07-03": "03 13:30 to 03 17:00",
        "07-05": "05 13:30 to 05 20:00",
        "07-08": "08 13:30 to 08 20:00",
    }


def test_new_york_opens_an_hour_earlier_in_utc_from_the_second_sunday_in_march() -> None:
    assert opened("XNYS", "2024-03-08", "2024-03-11") == {
        "03-08": "08 14:30 to 08 21:00",
        "03-11": "11 13:30 to 11 20:00",
    }


def test_hong_kong_pauses_for_lunch_and_has_no_afternoon_on_the_eve_of_the_lunar_new_year() -> None:
    # HKEX, 2024 trading calendar: half day on 9 February, closed 12 and 13 February; 09:30-12:00 and 13:00-16:00 HKT
    spans = sessions_of("XHKG", ns("2024-02-01"), ns("2024-02-28")).spans
    near = spans[:, (spans[0] >= ns("2024-02-08")) & (spans[0] < ns("2024-02-15"))]
    assert [f"{pd.Timestamp(a):%d %H:%M}-{pd.Timestamp(b):%H:%M}" for a, b in near.T] == [
        "08 01:30-04:00", "08 05:00-08:00", "09 01:30-04:00", "14 01:30-04:00", "14 05:00-08:00",
    ]  # fmt: skip


def test_foreign_exchange_turns_at_five_in_new_york_in_winter_and_in_summer() -> None:
    assert opened("fx", "2024-03-07", "2024-03-12") == {
        "03-07": "06 22:00 to 07 22:00",
        "03-08": "07 22:00 to 08 22:00",
        "03-11": "10 21:00 to 11 21:00",
        "03-12": "11 21:00 to 12 21:00",
    }


def test_foreign_exchange_rests_on_weekends_christmas_and_new_year_only() -> None:
    found = opened("fx", "2024-12-23", "2025-01-03")
    assert list(found) == ["12-23", "12-24", "12-26", "12-27", "12-30", "12-31", "01-02", "01-03"]
    assert found["12-26"] == "25 22:00 to 26 22:00"
    assert "03-29" in opened("fx", "2024-03-25", "2024-03-31"), "Good Friday is a day like any other"


def test_an_fx_week_is_one_stretch_without_a_pause() -> None:
    spans = sessions_of("fx", ns("2024-01-08"), ns("2024-01-20")).spans
    week = spans[:, (spans[0] >= ns("2024-01-07")) & (spans[0] < ns("2024-01-10"))]
    assert week.T.tolist() == [[ns("2024-01-07 22:00"), ns("2024-01-12 22:00")]]


def test_a_bar_is_open_when_the_market_trades_at_any_moment_of_it() -> None:
    found = sessions_of("XNYS", ns("2024-07-01"), ns("2024-07-05"))
    stamps = np.array([ns(f"2024-07-{t}") for t in ("03 12:30", "03 13:00", "03 16:59", "03 17:00", "04 15:00")])
    assert found.is_open(stamps, NS_PER_HOUR).tolist() == [False, True, True, False, False]
    assert not found.is_open(np.array([ns("2090-01-01")])).any()


def test_foreign_exchange_needs_no_library() -> None:
    code = "from tradelab.catalog.sessions import *; sessions_of('fx', 0, 1); import sys; print([*sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "exchange_calendars" not in loaded


@pytest.mark.parametrize(
    ("said", "meant"),
    [("24/7", Calendar.ALWAYS), ("Sessions", Calendar.SESSIONS), (Calendar.WEEKDAYS, Calendar.WEEKDAYS),
     (" FX ", "fx"), ("xnas", "XNAS"), ("NYSE", "NYSE"), ("US_FUTURES", "us_futures")],
)  # fmt: skip
def test_a_calendar_is_known_by_word_mic_and_usual_name(said: str | Calendar, meant: str | Calendar) -> None:
    assert calendar_of(said) == meant


def test_another_name_of_an_exchange_has_its_sessions() -> None:
    assert opened("NASDAQ", "2024-07-01", "2024-07-08") == opened("XNYS", "2024-07-01", "2024-07-08")


def test_an_unknown_calendar_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no calendar named 'XNYX'; did you mean 'XNYS'\?.*MIC"):
        calendar_of("XNYX")


def test_the_library_is_asked_for_by_name_where_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "tradelab.model.errors.find_spec", lambda name: None if name == "exchange_calendars" else real(name)
    )
    with pytest.raises(
        MissingExtraError, match=r"exchange_calendars\. Install it: pip install 'tradelab\[calendars\]'"
    ):
        calendar_of("XNYS")
    assert calendar_of("fx") == "fx"
    assert calendar_of("24/7") is Calendar.ALWAYS


def test_years_whose_holidays_nobody_knows_are_refused() -> None:
    # the library records Hong Kong's holidays from 1960 to 2049: they follow the moon
    with pytest.raises(ParameterError, match=r"XHKG calendar is known from 1960-01-01 to 2049-12-31; 1950-01-03 to"):
        sessions_of("XHKG", ns("1950-01-03"), ns("1961-01-01"))
    assert len(sessions_of("XHKG", ns("1960-01-04"), ns("1961-01-01")).days)
    assert len(sessions_of("XHKG", ns("2049-01-04"), ns("2049-12-31")).days)


def test_a_range_before_1970_has_sessions_too() -> None:
    # closed on 21 July 1969 for the first steps on the Moon; the library knows the dates, not the shorter hours of then
    assert list(opened("XNYS", "1969-07-18", "1969-07-22")) == ["07-18", "07-22"]
