"""Measure every indicator against TA-Lib's, nanoseconds a bar on one core (goal: at most 1.5 times TA-Lib's).

Means, weighted means and deviations are exact sums (decision 0015), whose time does not depend on the window, as a
running sum's does not; extremes make a pass for every doubling. So usual settings and awkward ones are measured. Then
series on which exact sums are hard (a tick, a market that hardly moves, returns, spikes), for deviations need whole
numbers of any length where a float would not know which way to round. Last, a tile of a sweep, 140 windows at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import talib

from tradelab.engine import indicators as ours
from tradelab.engine import recursive, rolling, tiles, wholes, windows

BARS = 500_000
ROUNDS = 25


def bars() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """High, low and close of a seeded random walk."""
    rng = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, BARS)))
    reach = 1 + np.abs(rng.normal(0, 0.0005, (2, BARS)))
    return close * reach[0], close / reach[1], close


def pairs() -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Our call and TA-Lib's for each indicator, same settings."""
    high, low, close = bars()
    return {
        "sma 20": (lambda: windows.sma(close, 20), lambda: talib.SMA(close, 20)),
        "sma 5": (lambda: windows.sma(close, 5), lambda: talib.SMA(close, 5)),
        "sma 14": (lambda: windows.sma(close, 14), lambda: talib.SMA(close, 14)),
        "sma 200": (lambda: windows.sma(close, 200), lambda: talib.SMA(close, 200)),
        "sma 255": (lambda: windows.sma(close, 255), lambda: talib.SMA(close, 255)),
        "ema 20": (lambda: windows.ema(close, 20), lambda: talib.EMA(close, 20)),
        "wma 20": (lambda: windows.wma(close, 20), lambda: talib.WMA(close, 20)),
        "wma 5": (lambda: windows.wma(close, 5), lambda: talib.WMA(close, 5)),
        "wma 14": (lambda: windows.wma(close, 14), lambda: talib.WMA(close, 14)),
        "wma 200": (lambda: windows.wma(close, 200), lambda: talib.WMA(close, 200)),
        "wma 255": (lambda: windows.wma(close, 255), lambda: talib.WMA(close, 255)),
        "rsi 14": (lambda: ours.rsi(close, 14), lambda: talib.RSI(close, 14)),
        "macd 12 26 9": (lambda: ours.macd(close, 12, 26, 9), lambda: talib.MACD(close, 12, 26, 9)),
        "bollinger 20": (lambda: ours.bollinger(close, 20, 2.0), lambda: talib.BBANDS(close, 20, 2.0, 2.0)),
        "rolling_std 20": (lambda: windows.rolling_std(close, 20, 0), lambda: talib.STDDEV(close, 20)),
        "rolling_std 5": (lambda: windows.rolling_std(close, 5, 0), lambda: talib.STDDEV(close, 5)),
        "rolling_std 14": (lambda: windows.rolling_std(close, 14, 0), lambda: talib.STDDEV(close, 14)),
        "rolling_std 200": (lambda: windows.rolling_std(close, 200, 0), lambda: talib.STDDEV(close, 200)),
        "rolling_std 255": (lambda: windows.rolling_std(close, 255, 0), lambda: talib.STDDEV(close, 255)),
        "true_range": (lambda: ours.true_range(high, low, close), lambda: talib.TRANGE(high, low, close)),
        "atr 14": (lambda: ours.atr(high, low, close, 14), lambda: talib.ATR(high, low, close, 14)),
        "adx 14 and DI": (
            lambda: ours.adx(high, low, close, 14),
            lambda: (
                talib.ADX(high, low, close, 14),
                talib.PLUS_DI(high, low, close, 14),
                talib.MINUS_DI(high, low, close, 14),
            ),
        ),
        "stochastic 14 3 3": (
            lambda: ours.stochastic(high, low, close, 14, 3, 3),
            lambda: talib.STOCH(high, low, close, 14, 3, 0, 3, 0),
        ),
        "highest 20": (lambda: windows.highest(high, 20), lambda: talib.MAX(high, 20)),
        "highest 200": (lambda: windows.highest(high, 200), lambda: talib.MAX(high, 200)),
        "donchian 20": (
            lambda: ours.donchian(high, low, 20),
            lambda: (talib.MAX(high, 20), talib.MIDPRICE(high, low, 20), talib.MIN(low, 20)),
        ),
        "psar": (lambda: ours.psar(high, low, 0.02, 0.2), lambda: talib.SAR(high, low, 0.02, 0.2)),
        "roc 10": (lambda: windows.roc(close, 10), lambda: talib.ROCP(close, 10)),
        "momentum 10": (lambda: windows.momentum(close, 10), lambda: talib.MOM(close, 10)),
    }


def hard_pairs() -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Means, weighted means and deviations of series on which exact sums are hard."""
    rng = np.random.default_rng(8)
    close = bars()[2]
    still = 100 + np.cumsum(np.where(rng.random(BARS) < 0.05, rng.normal(0, 0.05, BARS), 0.0))
    series = {
        "on a tick": np.round(close, 2),
        "hardly moving": np.round(still, 2),
        "returns": np.diff(np.log(close), prepend=np.log(100.0)),
        "with spikes": np.where(rng.random(BARS) < 1e-4, 1e9, rng.normal(0, 1, BARS)),
    }
    out = {}
    for name, values in series.items():
        for window in (20, 200):
            out[f"sma {window} {name}"] = (partial(windows.sma, values, window), partial(talib.SMA, values, window))
            out[f"wma {window} {name}"] = (partial(windows.wma, values, window), partial(talib.WMA, values, window))
            mine = partial(windows.rolling_std, values, window, 0)
            out[f"rolling_std {window} {name}"] = (mine, partial(talib.STDDEV, values, window))
    return out


def alternating(left: Callable[[], object], right: Callable[[], object]) -> tuple[float, float]:
    """Best nanoseconds a bar of each, the two called in turn so that both meet the same noise."""
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for side, call in enumerate((left, right)):
            began = time.perf_counter_ns()
            call()
            best[side] = min(best[side], (time.perf_counter_ns() - began) / BARS)
    return best[0], best[1]


def tile_costs(length: int) -> dict[str, float]:
    """Best nanoseconds a bar and window of each tile kernel, 140 windows from 5 to 250 on tiles of ``length`` bars."""
    close = bars()[2]
    many = np.unique(np.linspace(5, 250, 140).astype(np.int64))
    known, out = windows.known_stretch(close), np.empty((len(many), length))
    figures = (wholes.SUM, wholes.WEIGHTED, wholes.SPREAD, rolling.HIGHEST)
    lent = np.empty(max([rolling.room(figure, 250, length) for figure in figures] + [recursive.room(len(many))]))
    calls = {
        "sma_rows": lambda first, _: tiles.sma_rows(close, known, many, first, first + length, lent, out),
        "wma_rows": lambda first, _: tiles.wma_rows(close, known, many, first, first + length, lent, out),
        "rolling_std_rows": lambda first, _: tiles.rolling_std_rows(
            close, known, many, 0, first, first + length, lent, out
        ),
        "highest_rows": lambda first, _: tiles.highest_rows(close, known, many, first, first + length, lent, out),
        "ema_rows": lambda first, state: tiles.ema_rows(
            close, many, first, first + length, state[:, :2].copy(), lent, out
        ),
        "rsi_rows": lambda first, state: tiles.rsi_rows(close, many, first, first + length, state, lent, out),
    }
    best = dict.fromkeys(calls, float("inf"))
    state = np.column_stack((many + 1.0, np.ones((len(many), 3))))  # all under way
    for _ in range(ROUNDS):
        for name, call in calls.items():
            began = time.perf_counter_ns()
            for first in range(4096, 4096 + 8 * length, length):
                call(first, state)
            best[name] = min(best[name], (time.perf_counter_ns() - began) / (8 * length * len(many)))
    return best


def main() -> None:
    """Print one line an indicator."""
    print(f"{BARS:,} bars, best of {ROUNDS}, ns a bar")
    print(f"{'indicator':<30}{'tradelab':>10}{'TA-Lib':>10}{'ratio':>8}")
    for name, (left, right) in (pairs() | hard_pairs()).items():
        left(), right()  # compile, warm the caches
        mine, theirs = alternating(left, right)
        print(f"{name:<30}{mine:>10.2f}{theirs:>10.2f}{mine / theirs:>8.2f}")
    print("140 windows at once, ns a bar and window")
    costs = {length: tile_costs(length) for length in (1024, 2048, 4096)}
    print(f"{'bars to a tile':<20}" + "".join(f"{length:>10}" for length in costs))
    for name in costs[1024]:
        print(f"{name:<20}" + "".join(f"{costs[length][name]:>10.3f}" for length in costs))


if __name__ == "__main__":
    main()
