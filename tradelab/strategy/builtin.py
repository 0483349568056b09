"""Offer eight classic strategies, ready to run and to read.

Each decides from closed bars only, keeps no state between bars and gives signals for both sides; ``direction="long"``
in a backtest takes the long ones alone. A warm-up of a recursive average is long enough that what came before weighs
less than one part in 10^8.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from tradelab.strategy import indicators as ta
from tradelab.strategy.define import strategy
from tradelab.strategy.spec import Range, Signals

_RECURSIVE_SPANS = 10  # of an exponential average with alpha = 2/(n+1): (1-alpha)^(10 n) is about 2e-9
_WILDER_SPANS = 20  # of one with alpha = 1/n


__all__ = [
    "bollinger_reversion", "buy_and_hold", "donchian_breakout", "ema_cross", "macd", "psar_trend", "rsi_reversion",
    "sma_cross",
]  # fmt: skip


def _both_ways(up: np.ndarray, down: np.ndarray) -> Signals:
    """Always in the market: long on the one, short on the other."""
    return Signals(long_entry=up, long_exit=down, short_entry=down, short_exit=up)


@strategy(warmup=lambda fast, slow: max(fast, slow) + 1, requires="fast < slow")
def sma_cross(
    bars: pd.DataFrame, fast: Annotated[int, Range(1, 500)] = 10, slow: Annotated[int, Range(2, 1000)] = 30
) -> Signals:
    """Follow the trend when a fast simple average crosses a slow one."""
    close = bars["close"].to_numpy()
    a, b = ta.sma(close, fast), ta.sma(close, slow)
    return _both_ways(ta.rises_above(a, b), ta.rises_above(b, a))


@strategy(warmup=lambda fast, slow: _RECURSIVE_SPANS * max(fast, slow) + 1, requires="fast < slow")
def ema_cross(
    bars: pd.DataFrame, fast: Annotated[int, Range(1, 500)] = 12, slow: Annotated[int, Range(2, 1000)] = 26
) -> Signals:
    """Follow the trend when a fast exponential average crosses a slow one."""
    close = bars["close"].to_numpy()
    a, b = ta.ema(close, fast), ta.ema(close, slow)
    return _both_ways(ta.rises_above(a, b), ta.rises_above(b, a))


@strategy(warmup=lambda window, **_: _WILDER_SPANS * window + 2, requires="low < middle < high")
def rsi_reversion(
    bars: pd.DataFrame,
    window: Annotated[int, Range(2, 200)] = 14,
    low: Annotated[float, Range(0, 100)] = 30.0,
    high: Annotated[float, Range(0, 100)] = 70.0,
    middle: Annotated[float, Range(0, 100)] = 50.0,
) -> Signals:
    """Buy when RSI climbs out of the oversold zone, sell at the middle; the mirror image for shorts."""
    rsi = ta.rsi(bars["close"].to_numpy(), window)
    return Signals(
        long_entry=ta.rises_above(rsi, low),
        long_exit=ta.rises_above(rsi, middle),
        short_entry=ta.rises_above(-rsi, -high),
        short_exit=ta.rises_above(-rsi, -middle),
    )


@strategy(warmup=lambda window, exit_window: max(window, exit_window) + 1)
def donchian_breakout(
    bars: pd.DataFrame, window: Annotated[int, Range(2, 500)] = 20, exit_window: Annotated[int, Range(2, 500)] = 10
) -> Signals:
    """Buy a close above the highest high of the bars before, leave below the lowest low of fewer (the turtles)."""
    close, high, low = (bars[c].to_numpy() for c in ("close", "high", "low"))
    return Signals(
        long_entry=close > ta.previous(ta.highest(high, window)),
        long_exit=close < ta.previous(ta.lowest(low, exit_window)),
        short_entry=close < ta.previous(ta.lowest(low, window)),
        short_exit=close > ta.previous(ta.highest(high, exit_window)),
    )


@strategy(warmup=lambda window, **_: window + 1)
def bollinger_reversion(
    bars: pd.DataFrame,
    window: Annotated[int, Range(2, 500)] = 20,
    width: Annotated[float, Range(0.1, 10)] = 2.0,
) -> Signals:
    """Buy when the close falls below the lower band, leave at the average; the mirror image for shorts."""
    close = bars["close"].to_numpy()
    bands = ta.bollinger(close, window, width)
    return Signals(
        long_entry=ta.rises_above(-close, -bands.lower),
        long_exit=ta.rises_above(close, bands.middle),
        short_entry=ta.rises_above(close, bands.upper),
        short_exit=ta.rises_above(-close, -bands.middle),
    )


@strategy(warmup=lambda fast, slow, signal: _RECURSIVE_SPANS * (max(fast, slow) + signal) + 1, requires="fast < slow")
def macd(
    bars: pd.DataFrame,
    fast: Annotated[int, Range(1, 200)] = 12,
    slow: Annotated[int, Range(2, 400)] = 26,
    signal: Annotated[int, Range(1, 200)] = 9,
) -> Signals:
    """Follow the MACD line when it crosses its signal line."""
    lines = ta.macd(bars["close"].to_numpy(), fast, slow, signal)
    return _both_ways(ta.rises_above(lines.line, lines.signal), ta.rises_above(lines.signal, lines.line))


@strategy(warmup=500)
def psar_trend(
    bars: pd.DataFrame,
    step: Annotated[float, Range(0.001, 0.2)] = 0.02,
    maximum: Annotated[float, Range(0.01, 1.0)] = 0.2,
) -> Signals:
    """Follow Wilder's parabolic stop-and-reverse; it forgets its start after a few reversals."""
    close = bars["close"].to_numpy()
    sar = ta.psar(bars["high"].to_numpy(), bars["low"].to_numpy(), step, maximum)
    return _both_ways(ta.rises_above(close, sar), ta.rises_above(sar, close))


@strategy(warmup=1)
def buy_and_hold(bars: pd.DataFrame) -> Signals:
    """Buy once and keep: the yardstick."""
    return Signals(long_entry=np.ones(len(bars), dtype=bool))


def __dir__() -> list[str]:
    return __all__
