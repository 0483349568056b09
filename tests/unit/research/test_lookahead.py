"""``tl.check`` finds strategies that cheat, and names the first bar on which they do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import LookaheadError, ParameterError, TooFewBarsError
from tradelab.strategy import registry


@pytest.fixture(autouse=True)
def keep_registry():
    kept = dict(registry.SHELF)
    yield
    registry.SHELF.clear()
    registry.SHELF.update(kept)


@pytest.fixture
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:400]


def test_a_strategy_that_peeks_at_tomorrow_is_caught_on_the_first_bar_it_does(bars):
    @tl.strategy(warmup=1)
    def peek(bars):
        return tl.Signals(long_entry=bars.close.shift(-1) > bars.close)

    verdict = tl.check(peek, bars, cuts=399)
    rises = bars["close"].shift(-1) > bars["close"]
    assert verdict.lookahead.bar == np.flatnonzero(rises)[0]  # without tomorrow it says no
    assert verdict.lookahead.signal == "long_entry"
    assert (verdict.lookahead.full, verdict.lookahead.truncated) == (True, False)
    with pytest.raises(LookaheadError, match=r"peek: long_entry at 2004-.* it looks ahead"):
        verdict.require()


def test_a_statistic_of_the_whole_history_is_caught(bars):
    @tl.strategy(warmup=1)
    def whole(bars):
        return tl.Signals(long_entry=bars.close > bars.close.mean())

    assert tl.check(whole, bars).lookahead is not None


def test_a_warm_up_that_is_too_short_is_caught_and_a_long_enough_one_is_not(bars):
    def above(bars):
        return tl.Signals(long_entry=bars.close > bars.close.rolling(20).mean())

    short = tl.check(tl.strategy(warmup=19, name="short")(above), bars)
    assert short.lookahead is None
    assert "warm-up is too short" in str(short.warm_up)
    assert tl.check(tl.strategy(warmup=20, name="enough")(above), bars).ok


def test_memory_without_end_is_caught_by_its_warm_up(bars):
    @tl.strategy(warmup=50)
    def since_ever(bars):
        return tl.Signals(long_entry=bars.close >= bars.close.cummax())

    assert tl.check(since_ever, bars.iloc[::-1].set_axis(bars.index)).warm_up is not None


def test_too_few_bars_for_a_verdict_is_said(bars):
    with pytest.raises(TooFewBarsError, match="at least 33 bars"):
        tl.check("sma_cross", bars.iloc[:20])


def test_the_verdict_shows_how_much_was_tried(bars):
    verdict = tl.check("sma_cross", bars, cuts=50)
    assert verdict.ok and verdict.require() is verdict
    assert "50 cuts" in str(verdict) and "none found" in str(verdict)
    assert "✓" in verdict._repr_html_()


def test_a_strategy_that_only_shuns_tomorrows_crash_is_found_out(keep_registry):
    bars = tl.samples.load("GOOG-1d")

    @tl.strategy(warmup=1)
    def dodger(bars):
        crash = (bars["close"].shift(-1) / bars["close"] < 0.93).to_numpy()  # some eight days in nine years
        return tl.Signals(long_entry=~crash, long_exit=crash)

    verdict = tl.check(dodger, bars, cuts=100)
    assert verdict.lookahead is not None and verdict.lookahead.truncated != verdict.lookahead.full


def test_an_error_on_less_history_says_how_much_there_was(keep_registry):
    @tl.strategy(warmup=5)
    def needs_more(bars):
        return tl.Signals(long_entry=bars["close"] > bars["close"].iloc[50])

    with pytest.raises(IndexError) as caught:
        tl.check(needs_more, tl.samples.load("GOOG-1d").iloc[:200])
    assert "needs_more was given" in caught.value.__notes__[0]


def test_a_strategy_that_never_decides_is_said_to_prove_nothing(keep_registry):
    @tl.strategy(warmup=1)
    def never(bars):
        return tl.Signals()

    assert "nothing is proved" in str(tl.check(never, tl.samples.load("GOOG-1d").iloc[:50]))


def test_no_cuts_prove_nothing():
    with pytest.raises(ParameterError, match="cuts=0"):
        tl.check("sma_cross", tl.samples.load("GOOG-1d"), cuts=0)
