"""Every usual form of a date is read; what could mean two things is asked about. Answers are worked by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from tradelab.catalog import dates
from tradelab.model.errors import ParameterError, TimestampError


def read(*stamps: object, tz: str | None = None, date_format: str | None = None) -> list[str]:
    index, _ = dates.parse(pd.Series(list(stamps)), tz=tz, date_format=date_format)
    return [f"{t:%Y-%m-%d %H:%M:%S}" for t in index]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2024-01-31T10:00:00Z", "2024-01-31 10:00:00"),
        ("2024-01-31 10:00:00+00:00", "2024-01-31 10:00:00"),
        ("2024-01-31 10:00:00-05:30", "2024-01-31 15:30:00"),
        ("31.01.2024 10:00:00.000 GMT+0100", "2024-01-31 09:00:00"),
        ("31.01.2024 10:00:00.000 GMT-0430", "2024-01-31 14:30:00"),
        ("31.01.2024 10:00:00.000 UTC", "2024-01-31 10:00:00"),
        (1706695200, "2024-01-31 10:00:00"),
        (1706695200000, "2024-01-31 10:00:00"),
        ("1706695200000000", "2024-01-31 10:00:00"),
        (1706695200000000000, "2024-01-31 10:00:00"),
        (1706695200000.0, "2024-01-31 10:00:00"),
    ],
)
def test_a_stamp_that_states_its_zone_needs_no_other(stamp: object, expected: str) -> None:
    assert read(stamp) == [expected]


@pytest.mark.parametrize(
    "stamp",
    ["2024-01-31 10:00", "2024.01.31 10:00", "2024/1/31 10:00", "31.01.2024 10:00", "31/01/2024 10:00",
     "01/31/2024 10:00", "01/31/2024 10:00:00 AM", "20240131 100000", "20240131100000", "202401311000"],
)  # fmt: skip
def test_a_stamp_without_a_zone_needs_one(stamp: str) -> None:
    assert read(stamp, tz="America/New_York") == ["2024-01-31 15:00:00"]
    with pytest.raises(TimestampError, match="name no zone"):
        read(stamp)


def test_whole_days_are_taken_as_utc_and_that_is_said() -> None:
    index, how = dates.parse(pd.Series(["2024-01-30", "2024-01-31"]))
    assert index[1] == pd.Timestamp("2024-01-31", tz="UTC")
    assert how.zone_assumed
    assert "assumed" in str(how)


def test_days_and_months_that_could_be_swapped_are_refused_with_both_readings() -> None:
    with pytest.raises(
        TimestampError, match=r"01 February 2024 or 02 January 2024.*'%d/%m/%Y %H:%M' or '%m/%d/%Y %H:%M'"
    ):
        read("01/02/2024 10:00", "03/04/2024 10:00", tz="UTC")


def test_the_form_that_the_refusal_offers_is_understood() -> None:
    assert read("01/02/2024 10:00", tz="UTC", date_format="%d/%m/%Y %H:%M") == ["2024-02-01 10:00:00"]
    assert read("01/02/2024 10:00", tz="UTC", date_format="%m/%d/%Y %H:%M") == ["2024-01-02 10:00:00"]


def test_one_day_above_twelve_settles_all() -> None:
    assert read("01/02/2024", "13/02/2024") == ["2024-02-01 00:00:00", "2024-02-13 00:00:00"]
    assert read("02/01/2024", "02/13/2024") == ["2024-02-01 00:00:00", "2024-02-13 00:00:00"]


def test_summer_and_winter_time_are_told_apart_by_the_zone() -> None:
    assert read("2024-01-15 12:00", "2024-07-15 12:00", tz="Europe/Berlin") == [
        "2024-01-15 11:00:00",
        "2024-07-15 10:00:00",
    ]


def test_an_hour_that_the_zone_skips_is_refused() -> None:
    with pytest.raises(TimestampError, match="Europe/Berlin, where clocks are changed"):
        read("2024-03-31 02:30", tz="Europe/Berlin")


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ParameterError, match="'Mars/Olympus' is no time zone"):
        read("2024-01-31 10:00", tz="Mars/Olympus")


def test_some_stamps_with_a_zone_and_some_without_are_refused() -> None:
    with pytest.raises(TimestampError, match=r"'2024-01-31 11:00' does not"):
        read("2024-01-31 10:00Z", "2024-01-31 11:00")


@pytest.mark.parametrize("stamp", ["soon", "12345", "31 Jan 2024"])
def test_an_unknown_form_is_refused_with_the_known_ones(stamp: str) -> None:
    with pytest.raises(TimestampError, match=r"is no date form that is known.*--date-format"):
        read(stamp)


def test_a_row_that_breaks_the_form_is_named() -> None:
    with pytest.raises(TimestampError, match="row 2: '2024-13-01 10:00' is no date"):
        read("2024-12-01 10:00", "2024-13-01 10:00", tz="UTC")


def test_a_broker_s_clock_is_a_zone_and_hours_ahead_of_it() -> None:
    # 17:00 in New York is midnight on such a clock, in winter (22:00 UTC) and in summer (21:00 UTC)
    zone = "America/New_York+7"
    shown = ["2024.01.10 00:00", "2024.07.10 00:00", "2024.07.10 13:30"]
    assert read(*shown, tz=zone) == ["2024-01-09 22:00:00", "2024-07-09 21:00:00", "2024-07-10 10:30:00"]
    stamps = pd.DatetimeIndex(read(*shown, tz=zone), tz="UTC")
    assert dates.wall_clock(stamps, zone).strftime("%Y.%m.%d %H:%M").tolist() == shown


@pytest.mark.parametrize("zone", ["Etc/GMT-2", "UTC", "Asia/Kolkata", "Etc/GMT-2-1"])
def test_a_wall_clock_and_its_reading_are_each_other_s_way_back(zone: str) -> None:
    index = pd.date_range("2024-03-01 00:30", "2024-11-30", freq="7h", tz="UTC")
    wall = dates.wall_clock(index, zone)
    assert read(*(str(t) for t in wall), tz=zone) == index.strftime("%Y-%m-%d %H:%M:%S").tolist()
