"""A filter lets an entry pass where its conditions hold on the bars behind it, and nowhere else."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.unit.modules.desk import World, node_of
from tests.unit.spine.world import signal
from tradelab.model.errors import ConfigError
from tradelab.model.market import Candle
from tradelab.model.signal import Action, Drop, DropCode, Pass, Verdict
from tradelab.model.units import NS_PER_MIN, Timeframe
from tradelab.modules.filter_strategy.rules import judge, parse
from tradelab.modules.filter_strategy.stage import Stage
from tradelab.spine.view import Window


def window(*closes: float, volume: float = 10.0) -> Window:
    made = Window(500)
    for number, close in enumerate(closes):
        made.add(Candle(number * NS_PER_MIN, close, close + 1, close - 1, close, volume, True))
    return made


def judged(text: str, made: Window | None) -> Verdict:
    return judge((parse(text),), made)


RISING = window(*range(1, 31))  # closes 1 to 30


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("close > 29.5", True),
        ("close > 30", False),
        ("close >= 30", True),
        ("30 <= close", True),
        ("close > sma(3)", True),  # (28 + 29 + 30) / 3 = 29
        ("sma(3) >= 29", True),
        ("sma(3) > 29", False),
        ("rsi(14) > 99.9", True),  # nothing but gains
        ("roc(1) < 0.035", True),  # 30 / 29 - 1 = 0.03448
        ("highest(5) >= 31", True),
        ("lowest(5) <= 25", True),  # the low of the bar that closed at 26
        ("atr(3) < 2.001", True),
        ("volume >= volume_sma(4)", True),
        ("  close   >   open ", False),
        ("low < -1", False),
    ],
)
def test_a_condition_holds_or_not_on_the_newest_bar(text: str, holds: bool) -> None:
    assert isinstance(judged(text, RISING), Pass if holds else Drop)


def test_all_conditions_must_hold_and_the_first_that_does_not_is_named_with_what_it_was_judged_on() -> None:
    verdict = judge((parse("close > 10"), parse("close < 20"), parse("close < 5")), RISING)
    assert isinstance(verdict, Drop)
    assert (verdict.code, verdict.says) == (DropCode.FILTER, "close < 20 does not hold: 30 and 20")
    assert verdict.inputs == (("close", "30.0"), ("10", "10.0"), ("close", "30.0"), ("20", "20.0"))


@pytest.mark.parametrize(
    ("text", "made", "says"),
    [
        ("close > sma(31)", RISING, "cannot be told on 30 bars"),
        ("volume > 1", window(1.0, volume=float("nan")), "cannot be told on 1 bars"),
        ("close > 0", None, "there are no bars"),
        ("close > 0", Window(5), "there are no bars"),
    ],
)
def test_what_cannot_be_told_does_not_pass(text: str, made: Window | None, says: str) -> None:
    verdict = judged(text, made)
    assert isinstance(verdict, Drop)
    assert says in verdict.says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("close", "is no condition"),
        ("close > 1 > 0", "is no condition"),
        ("close = 1", "is no condition"),
        ("closed > 1", "named 'closed'; did you mean 'close'?"),
        ("rsi > 1", "rsi takes 1 whole numbers above zero"),
        ("rsi(0) > 1", "rsi takes 1 whole numbers above zero"),
        ("macd(12, 26) > 0", "macd takes 3 whole numbers"),
        ("__import__('os') > 0", "no value in"),
    ],
)
def test_what_is_no_condition_is_refused_before_anything_runs(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        World(node_of({"filter": "f"}, filters={"f": {"long": [text]}})).add(Stage)
    assert "[filters.f]: long: " in str(refused.value)
    assert says in str(refused.value)


def test_a_filter_without_conditions_is_refused() -> None:
    with pytest.raises(ConfigError, match="conditions are needed for long, short or both"):
        World(node_of(filters={"f": {}})).add(Stage)


def reviewed(filters: Any, bot: Any, made: Window | None = RISING, **changes: Any) -> Verdict:
    world = World(node_of(bot, filters=filters))
    stage = world.add(Stage)
    if made is not None:
        world.desk.market.windows["data", "BTC/USDT", Timeframe.M1] = made
    asked = signal(bot="bot0", timeframe=Timeframe.M1, bar_ns=29 * NS_PER_MIN)
    verdict: Verdict = stage.review(dataclasses.replace(asked, **changes), world.desk.view(world.desk.config.bots[0]))
    return verdict


UP = {"f": {"long": ["close > sma(10)"]}}


def test_a_long_entry_is_judged_by_the_long_side_and_a_side_without_conditions_passes_nothing() -> None:
    assert isinstance(reviewed(UP, {"filter": "f"}), Pass)
    short = reviewed(UP, {"filter": "f"}, action=Action.ENTER_SHORT)
    assert isinstance(short, Drop)
    assert short.says == "the filter has no conditions for this side"


def test_a_bot_without_a_filter_is_not_filtered() -> None:
    assert reviewed(UP, {}) == Pass("the bot has no filter")


def test_a_bar_that_is_not_the_newest_any_more_is_judged_by_nothing() -> None:
    late = reviewed(UP, {"filter": "f"}, bar_ns=28 * NS_PER_MIN)
    assert isinstance(late, Drop)
    assert "not the one that decided" in late.says


def test_a_signal_that_no_bar_decided_is_judged_on_its_bots_own_bars() -> None:
    assert isinstance(reviewed(UP, {"filter": "f"}, timeframe=None, bar_ns=None), Pass)
    assert isinstance(reviewed(UP, {"filter": "f"}, None, timeframe=None, bar_ns=None), Drop)


def test_the_values_are_those_of_the_indicators_that_strategies_use() -> None:
    from tradelab.strategy import indicators as ta

    closes = np.random.default_rng(3).normal(100, 1, 60).cumsum()
    made = window(*closes)
    for name in ("ema", "sma", "rsi"):
        expected = float(getattr(ta, name)(closes, 14)[-1])
        told = judged(f"{name}(14) > -1e9", made).inputs[0]
        assert told == (name, repr(expected))
