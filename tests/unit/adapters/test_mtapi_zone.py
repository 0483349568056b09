"""Hold the broker's clock to calendars and to what nobody can know."""

from __future__ import annotations

import datetime as dt

import pytest

from tradelab.adapters.mtapi_answers import AnswerError
from tradelab.adapters.mtapi_zone import asked, declared, offset_min
from tradelab.model.errors import ParameterError


def _ns(*when: int) -> int:
    return int(dt.datetime(*when, tzinfo=dt.UTC).timestamp()) * 10**9  # type: ignore[misc]


@pytest.mark.parametrize(("text", "minutes"), [
    ("UTC+2", 120), ("UTC-5", -300), ("+05:30", 330), ("GMT+3", 180), ("UTC", 0), ("utc+02:00", 120),
    ("EET", None), ("2", None), ("UTC+25", None), ("UTC+2 or so", None), ("", None),
])  # fmt: skip
def test_an_offset_is_read_or_is_none(text: str, minutes: int | None) -> None:
    assert offset_min(text) == minutes


def test_an_offset_shifts_both_ways() -> None:
    zone = declared("UTC+2")
    assert zone is not None
    assert zone.utc_ns("2026-09-11T01:01:13.176") == _ns(2026, 9, 10, 23, 1, 13) + 176_000_000
    assert zone.told(_ns(2026, 9, 10, 23, 1, 13)) == "2026-09-11T01:01:13"
    assert zone.utc_ns_of_ms(1000) == -7199 * 10**9


def test_a_named_zone_knows_summer_time() -> None:
    zone = declared("Europe/Athens")
    assert zone is not None
    assert zone.utc_ns("2026-01-15T12:00:00") == _ns(2026, 1, 15, 10)
    assert zone.utc_ns("2026-07-15T12:00:00") == _ns(2026, 7, 15, 9)
    assert (zone.told(_ns(2026, 1, 15, 10)), zone.told(_ns(2026, 7, 15, 9))) == (
        "2026-01-15T12:00:00", "2026-07-15T12:00:00",
    )  # fmt: skip


def test_the_day_of_most_fx_brokers_ends_when_new_york_closes() -> None:
    # 17:00 in New York is midnight at the broker's, in winter, in summer, and in the weeks when Europe has not changed
    zone = declared("ny-close")
    assert zone is not None
    for utc in (_ns(2026, 1, 15, 22), _ns(2026, 7, 15, 21), _ns(2026, 3, 12, 21)):
        assert zone.told(utc).endswith("T00:00:00")
        assert zone.utc_ns(zone.told(utc)) == utc


def test_what_is_no_zone_is_refused_with_what_is() -> None:
    with pytest.raises(ParameterError, match=r"server_zone='Mars/Base' is no zone.*ask, ny-close"):
        declared("Mars/Base")


@pytest.mark.parametrize("told", ["yesterday", "2026-13-01T00:00:00", "2026-09-11", "1789000000", ""])
def test_what_is_no_time_is_said_to_be_none(told: str) -> None:
    zone = declared("UTC")
    assert zone is not None
    with pytest.raises(AnswerError, match="is no time"):
        zone.utc_ns(told)


@pytest.mark.parametrize("answer", [2, "2", "EET", None, {"offset": 2}, "UTC+2 (approximately)"])
def test_an_answer_that_leaves_doubt_is_no_zone(answer: object) -> None:
    assert asked(answer, 0) is None


def test_an_asked_offset_holds_since_last_sunday_and_a_declared_one_for_ever() -> None:
    friday = _ns(2026, 9, 11, 4)
    told, said = asked("UTC+3", friday), declared("UTC+3")
    assert told is not None
    assert said is not None
    assert told.knows(_ns(2026, 9, 6))  # the Sunday before
    assert not told.knows(_ns(2026, 9, 5, 23, 59))
    assert told.knows(friday + 10**18)
    assert said.knows(0)
