"""The built-in strategies are honest on real bars and mean what their books say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.strategy.registry import registered

BUILT_IN = [
    "bollinger_reversion", "buy_and_hold", "donchian_breakout", "ema_cross", "macd", "psar_trend", "rsi_reversion",
    "sma_cross",
]  # fmt: skip


def test_there_are_the_eight_classics():
    assert set(BUILT_IN) <= set(registered())


@pytest.mark.parametrize("sample", ["EURUSD-1h", "AAPL-1d"])
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_sees_no_future_and_declares_an_honest_warm_up(name, sample):
    verdict = tl.check(name, tl.samples.load(sample), cuts=120)
    assert verdict.ok, str(verdict)
    assert verdict.signals > 20


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_trades_and_its_defaults_are_allowed(name):
    result = tl.backtest(tl.samples.load("IBM-1d"), name)
    assert len(result.trades) >= 1
    assert result.parameters == registered()[name].defaults


def by_hand(values: list[float]) -> pd.DataFrame:
    close = pd.Series(values, pd.date_range("2024-01-01", periods=len(values), tz="UTC"), dtype=float)
    return pd.DataFrame({"open": close, "high": close + 1, "low": close - 1, "close": close})


def fired(name: str, bars: pd.DataFrame, **parameters) -> dict[str, list[int]]:
    flags = registered()[name].decide(bars, parameters)
    return {key: np.flatnonzero(value).tolist() for key, value in flags.items()}


def test_sma_cross_fires_on_the_bar_that_crosses():
    # SMA(1) is the close; SMA(3) of 10 10 10 13 13 7 7 is 10, 11, 12, 11, 9 from the third bar on
    flags = fired("sma_cross", by_hand([10, 10, 10, 13, 13, 7, 7]), fast=1, slow=3)
    assert flags == {"long_entry": [3], "long_exit": [5], "short_entry": [5], "short_exit": [3]}


def test_donchian_compares_with_the_bars_before_and_not_with_its_own():
    # highest high before bar 4 is 11; the close of 12 is above it. lowest low of the two bars before bar 6 is 11
    flags = fired("donchian_breakout", by_hand([10, 10, 10, 10, 12, 12, 10.5]), window=4, exit_window=2)
    assert flags["long_entry"] == [4]
    assert flags["long_exit"] == [6]


def test_buy_and_hold_is_the_return_of_the_bars_from_the_second_open():
    bars = tl.samples.load("MSFT-1d")
    result = tl.backtest(bars, "buy_and_hold")
    assert result.summary.total_return == pytest.approx(bars["close"].iloc[-1] / bars["open"].iloc[1] - 1)
