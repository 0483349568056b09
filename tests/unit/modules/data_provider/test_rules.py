"""Which bars and quotes bots need."""

from __future__ import annotations

import pytest

from tests.unit.modules.desk import node_of
from tradelab.model.feed_events import FeedAlarm, FeedGap, FeedPolling, FeedResumed, FeedStale
from tradelab.model.states import Severity
from tradelab.model.units import Timeframe
from tradelab.modules.data_provider.rules import bars_wanted, quotes_of, series_of, told

M1 = Timeframe.M1


def test_a_strategy_is_shown_four_warm_ups_and_at_least_five_hundred_bars() -> None:
    short, long, own, none = node_of(
        {"strategy": "sma_cross"},
        {"strategy": "sma_cross", "parameters": {"fast": 10, "slow": 300}},
        {"strategy": "sma_cross", "max_bars": 40},
        {},
    ).bots
    assert [bars_wanted(bot) for bot in (short, long, own, none)] == [500, 4 * 301, 40, 500]


def test_a_series_that_several_bots_follow_is_had_once_and_is_as_long_as_the_longest_wants() -> None:
    config = node_of({"max_bars": 5}, {"max_bars": 9, "symbols": ["BTC/USDT", "ETH/USDT"]}, {"timeframe": "1h"})
    assert series_of(config) == {
        ("data", "BTC/USDT", M1): 9, ("data", "ETH/USDT", M1): 9, ("data", "BTC/USDT", Timeframe.H1): 500,
    }  # fmt: skip


def test_quotes_are_those_of_the_account_where_it_has_some_else_of_where_bars_come_from() -> None:
    config = node_of({}, {"execution": "live"})
    assert quotes_of(config, {"data", "live"}) == (("data", "BTC/USDT"), ("live", "BTC/USDT"))


@pytest.mark.parametrize(
    ("alarm", "kind", "severity", "says"),
    [
        (FeedStale("x", "S", M1, 61.0, "silent"), "feed_stale", Severity.WARNING, "nothing new for 61 s: silent"),
        (FeedPolling("x", "S", M1, 5.0, "shut"), "feed_polling", Severity.WARNING, "every 5 s, for there is no stream"),
        (FeedResumed("x", "S", None, 9.0), "feed_resumed", Severity.INFO, "streams again after 9 s"),
        (FeedGap("x", "S", M1, 0, 60, 2), "feed_gap", Severity.INFO, "2 bars that the stream did not show"),
    ],
)
def test_an_alarm_of_a_feed_is_told_in_words(alarm: FeedAlarm, kind: str, severity: Severity, says: str) -> None:
    message = told(alarm)
    assert (message.kind, message.severity) == (kind, severity)
    assert message.about == ("x S quotes" if alarm.timeframe is None else "x S 1m")  # type: ignore[union-attr]
    assert says in message.says
