"""Bars end and follow one another on our grid, and on a broker's."""

from __future__ import annotations

import pandas as pd
import pytest

from tradelab.feeds.series import Series
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_HOUR, Timeframe


def ns(text: str) -> int:
    return pd.Timestamp(text, tz="UTC").value


def series(timeframe: Timeframe) -> Series:
    return Series("s", "X", timeframe)


@pytest.mark.parametrize(
    ("timeframe", "opens", "closes"),
    [
        (Timeframe.M1, "2024-01-02 10:31", "2024-01-02 10:32"),
        (Timeframe.W1, "2024-01-01", "2024-01-08"),  # a Monday
        (Timeframe.MN, "2024-02-01", "2024-03-01"),
        (Timeframe.D1, "2024-01-02 22:00", "2024-01-03 22:00"),  # a broker's day that begins at midnight in Athens
        (Timeframe.MN, "2024-01-31 22:00", "2024-03-02 22:00"),  # never too early: a month may have 31 days
    ],
)
def test_a_bar_is_over_a_length_after_it_opened(timeframe: Timeframe, opens: str, closes: str) -> None:
    assert series(timeframe).closes_ns(ns(opens)) == ns(closes)


@pytest.mark.parametrize(
    ("timeframe", "before", "after", "follows"),
    [
        (Timeframe.H1, "2024-01-02 10:00", "2024-01-02 11:00", True),
        (Timeframe.H1, "2024-01-02 10:00", "2024-01-02 12:00", False),
        (Timeframe.H1, "2024-01-02 10:00", "2024-01-02 10:00", False),
        (Timeframe.MN, "2024-01-01", "2024-02-01", True),
        (Timeframe.D1, "2024-03-29 22:00", "2024-03-30 22:00", True),
        (Timeframe.D1, "2024-03-30 22:00", "2024-03-31 21:00", True),  # summer time begins: a day of 23 hours
        (Timeframe.D1, "2024-10-26 21:00", "2024-10-27 22:00", True),  # and ends: 25
        (Timeframe.D1, "2024-03-29 22:00", "2024-03-31 22:00", False),
    ],
)
def test_one_bar_follows_another_when_none_can_lie_between(
    timeframe: Timeframe, before: str, after: str, follows: bool
) -> None:
    assert series(timeframe).is_next(ns(before), ns(after)) is follows
    if follows:
        assert series(timeframe).earliest_after(ns(before)) <= ns(after)


def test_the_number_of_bars_in_a_stretch_is_never_too_small() -> None:
    assert series(Timeframe.H1).bars_between(0, 3 * NS_PER_HOUR) == 3
    assert series(Timeframe.H1).bars_between(0, 3 * NS_PER_HOUR + 1) == 4
    assert series(Timeframe.MN).bars_between(ns("2024-02-01"), ns("2024-04-01")) >= 2


def test_a_candle_becomes_a_row_of_the_catalogue_with_its_mark() -> None:
    row = series(Timeframe.H1).row(Candle(5, 1.0, 2.0, 0.5, 1.5, 9.0, False))
    assert (row.source, row.symbol, row.timeframe, row.time_ns) == ("s", "X", Timeframe.H1, 5)
    assert row.values == (1.0, 2.0, 0.5, 1.5, 9.0)
    assert row.closed is False
