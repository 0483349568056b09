"""A backtest measures against the benchmark it was given, or says why it cannot."""

from __future__ import annotations

import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import DataError
from tradelab.strategy.define import SHELF


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:200]


def benchmark_return(bars: pd.DataFrame, prices: pd.Series) -> float:
    return tl.backtest(bars, "sma_cross", benchmark=prices).summary.benchmark_return


def test_a_missing_benchmark_price_loses_no_return(bars):
    holed = bars["close"].copy()
    holed.iloc[1:199:2] = float("nan")
    assert benchmark_return(bars, holed) == pytest.approx(bars["close"].iloc[-1] / bars["close"].iloc[0] - 1.0)


def test_a_benchmark_in_another_zone_or_order_is_the_same(bars):
    expected = bars["close"].iloc[-1] / bars["close"].iloc[0] - 1.0
    assert benchmark_return(bars, bars["close"].tz_convert("Asia/Tokyo")) == pytest.approx(expected)
    assert benchmark_return(bars, bars["close"][::-1]) == pytest.approx(expected)


def test_a_benchmark_that_begins_late_stands_still_until_then(bars):
    late = bars["close"].iloc[50:]
    assert benchmark_return(bars, late) == pytest.approx(late.iloc[-1] / late.iloc[0] - 1.0)


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        (lambda p: p.to_numpy(), "ndarray without times"),
        (lambda p: p.to_frame(), "DataFrame without times"),
        (lambda p: p.tz_localize(None), "without a time zone"),
        (lambda p: pd.concat([p, p]), "repeated time stamps"),
        (lambda p: p * 0.0, "infinite, zero or below"),
        (lambda p: p.astype(str) + " USD", "not numbers"),
        (lambda p: p.shift(freq="9999D"), "no price up to"),
    ],
)
def test_a_benchmark_that_cannot_be_measured_against_is_refused(bars, spoilt, words):
    with pytest.raises(DataError, match=words):
        benchmark_return(bars, spoilt(bars["close"]))


def test_a_strategy_that_writes_into_its_bars_changes_nobody_elses(bars):
    before = bars.copy()
    scribbler = tl.strategy(warmup=1, name="scribbler")(_scribble)
    tl.check(scribbler, bars)
    result = tl.backtest(bars, scribbler)
    SHELF.pop("scribbler")
    pd.testing.assert_frame_equal(bars, before)
    assert (result.frames["GOOG"]["close"] == before["close"]).all()


def _scribble(bars):
    bars.loc[:, "close"] = 1.0
    return tl.Signals(long_entry=bars["close"] > 0)
