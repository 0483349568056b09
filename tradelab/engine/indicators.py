"""Compute technical indicators of bars in one pass: oscillators, bands, ranges and stops.

Plain averages, deviations and extremes are in `tradelab.engine.windows`, which also states the NaN policy; of the
kernels here only `true_range` recovers after a hole. Formulas and seeds are TA-Lib's (Wilder 1978 for his own), so
figures agree with it to rounding, with two exceptions: RSI and the stochastic of a market that stands still are 50,
neither bought nor sold, where TA-Lib says 0, which reads as sold out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.jit import maker
from tradelab.engine.recursive import NEUTRAL, smoothed, strength
from tradelab.engine.rounding import fma
from tradelab.engine.windows import Floats, blank, first_known, first_unknown, highest, lowest, rolling_std, sma


class Macd(NamedTuple):
    """The difference of two exponential averages, its own average, and the difference of those."""

    line: Floats
    signal: Floats
    histogram: Floats


class Bands(NamedTuple):
    """A middle line with a line above and one below it."""

    upper: Floats
    middle: Floats
    lower: Floats


class Stochastic(NamedTuple):
    """Where the close lies in the range of its window, 0 to 100, smoothed once and twice."""

    k: Floats
    d: Floats


class Directional(NamedTuple):
    """Wilder's average directional index and the two indicators it is made of, 0 to 100."""

    adx: Floats
    plus_di: Floats
    minus_di: Floats


@maker
def bollinger(values: Floats, window: int, width: float) -> Bands:
    """Mean of the window and ``width`` population deviations above and below it (Bollinger 2001)."""
    middle = sma(values, window)
    upper = rolling_std(values, window, 0)
    lower = np.empty(len(values))
    for i in range(len(values)):
        reach = width * upper[i]
        upper[i] = middle[i] + reach
        lower[i] = middle[i] - reach
    return Bands(upper, middle, lower)


@maker
def rsi(values: Floats, window: int) -> Floats:
    """Wilder's relative strength index, 0 to 100: average rise over average rise plus average fall."""
    out = np.empty(len(values))
    strength(values, window, 0, len(values), np.zeros(4), out)
    return out


@maker
def macd(values: Floats, fast: int, slow: int, signal: int) -> Macd:
    """Appel's convergence and divergence; both averages are first known on the same bar, as in TA-Lib.

    ``fast`` is below ``slow``. The line starts at bar ``slow − 1``, the signal at ``slow + signal − 2``.
    """
    n = len(values)
    line, mean, histogram = np.empty(n), np.empty(n), np.empty(n)
    shares = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0), 2.0 / (signal + 1.0)
    state = np.zeros((3, 2))
    start = first_known(values)
    head = min(start + slow + signal, n)  # from here on all three averages are under way
    smoothed(values, slow, shares[1], 0, head, state[1], line)
    ahead = min(start + slow - fast, head)
    smoothed(values, fast, shares[0], ahead, head, state[0], mean)
    for i in range(head - ahead):
        line[ahead + i] = mean[i] - line[ahead + i]
    smoothed(line, signal, shares[2], 0, head, state[2], mean)
    for i in range(head):
        histogram[i] = line[i] - mean[i]
    quick, slack, trend = state[0, 1], state[1, 1], state[2, 1]
    for i in range(head, n):  # in one loop, for each alone would wait for itself
        quick = fma(shares[0], values[i] - quick, quick)
        slack = fma(shares[1], values[i] - slack, slack)
        apart = quick - slack
        trend = fma(shares[2], apart - trend, trend)
        line[i], mean[i], histogram[i] = apart, trend, apart - trend
    return Macd(line, mean, histogram)


@maker
def _reach(high: Floats, low: Floats, close: Floats, i: int) -> float:
    """Range of bar ``i`` stretched to the close before; NaN if one of the three is."""
    return np.maximum(high[i], close[i - 1]) - np.minimum(low[i], close[i - 1])


@maker
def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """Wilder's true range: the bar's range, stretched to the close before; NaN on the first bar, which has none."""
    out = blank(len(high), 1)
    for i in range(1, len(high)):
        out[i] = _reach(high, low, close, i)
    return out


@maker
def atr(high: Floats, low: Floats, close: Floats, window: int) -> Floats:
    """Wilder's average of the true range, first known at bar ``window``; fused, one array instead of two."""
    start = max(first_known(high), first_known(low), first_known(close))
    stop = start + min(first_unknown(high[start:]), first_unknown(low[start:]), first_unknown(close[start:]) + 1)
    head = start + window
    out = blank(len(high), head)
    out[max(head, stop) :] = np.nan
    if head >= stop:
        return out
    level = 0.0
    for i in range(start + 1, head + 1):
        level += _reach(high, low, close, i)
    level /= window
    out[head] = level
    share = 1.0 / window
    keep = 1.0 - share
    tops, floors, before, drawn = high[head + 1 : stop], low[head + 1 : stop], close[head : stop - 1], out[head + 1 :]
    for i in range(len(tops)):  # all known, and a plain choice is quicker than np.maximum, which heeds NaN
        top = tops[i] if tops[i] > before[i] else before[i]
        floor = floors[i] if floors[i] < before[i] else before[i]
        level = fma(keep, level, share * (top - floor))
        drawn[i] = level
    return out


@maker
def _bar_moves(high: Floats, low: Floats, close: Floats, i: int) -> tuple[float, float, float]:
    """Directional movement up, down, and true range of bar ``i`` against the one before; NaN if one is unknown."""
    up = high[i] - high[i - 1]
    down = low[i - 1] - low[i]
    reach = _reach(high, low, close, i)
    return (up if up > down and up > 0.0 else 0.0), (down if down > up and down > 0.0 else 0.0), reach


@maker
def adx(high: Floats, low: Floats, close: Floats, window: int) -> Directional:
    """Wilder's directional system: indicators first known at bar ``window``, their index at ``2·window − 1``."""
    n = len(high)
    out, plus, minus = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    start = max(first_known(high), first_known(low), first_known(close))
    up = down = reach = 0.0
    for i in range(start + 1, min(start + window, n)):
        moves = _bar_moves(high, low, close, i)
        up += moves[0]
        down += moves[1]
        reach += moves[2]
    level = 0.0
    seeded = start + 2 * window - 1
    keep = 1.0 - 1.0 / window
    for i in range(start + window, n):
        moves = _bar_moves(high, low, close, i)
        up = up * keep + moves[0]
        down = down * keep + moves[1]
        reach = reach * keep + moves[2]
        plus[i] = 0.0 if reach == 0.0 else 100.0 * up / reach
        minus[i] = 0.0 if reach == 0.0 else 100.0 * down / reach
        total = plus[i] + minus[i]
        index = level if total == 0.0 else 100.0 * abs(plus[i] - minus[i]) / total  # no movement: as it was
        if i <= seeded:
            level += 0.0 if total == 0.0 else index
            if i == seeded:
                level /= window
        else:
            level += (index - level) / window
        if i >= seeded:
            out[i] = level
    return Directional(out, plus, minus)


@maker
def donchian(high: Floats, low: Floats, window: int) -> Bands:
    """Donchian's channel: highest high, lowest low and the line half-way, the newest bar included."""
    upper, lower = highest(high, window), lowest(low, window)
    middle = np.empty(len(high))
    for i in range(len(high)):
        middle[i] = 0.5 * (upper[i] + lower[i])
    return Bands(upper, middle, lower)


@maker
def stochastic(high: Floats, low: Floats, close: Floats, window: int, smooth: int, signal: int) -> Stochastic:
    """Lane's stochastic: the close's place in the range of its window, its mean ``k`` and that one's mean ``d``."""
    place, floor = highest(high, window), lowest(low, window)
    for i in range(len(close)):
        reach = place[i] - floor[i]
        place[i] = NEUTRAL if reach == 0.0 else 100.0 * (close[i] - floor[i]) / reach
    k = sma(place, smooth)
    return Stochastic(k, sma(k, signal))


@maker
def psar(high: Floats, low: Floats, step: float, maximum: float) -> Floats:
    """Wilder's parabolic stop and reverse, first known on the second bar.

    Starts short if the second bar moved down by more than up, else long (TA-Lib's choice). The stop moves towards the
    extreme of the trend by a share that grows by ``step`` up to ``maximum`` with every new extreme, never into the last
    two bars; a bar that touches it turns the trend round, and the stop jumps to the extreme.
    """
    n = len(high)
    out = np.full(n, np.nan)
    start = max(first_known(high), first_known(low))
    stop = start + min(first_unknown(high[start:]), first_unknown(low[start:]))
    if start + 1 >= stop:
        return out
    fell, rose = low[start] - low[start + 1], high[start + 1] - high[start]
    side = -1.0 if fell > 0.0 and fell > rose else 1.0  # a short is a long in a mirror: all prices times −1
    extreme = high[start + 1] if side > 0.0 else -low[start + 1]
    level = low[start] if side > 0.0 else -high[start]
    i = start + 1
    share = min(step, maximum)
    while i < stop:
        tops, floors = (high, low) if side > 0.0 else (low, high)
        near = side * floors[max(i - 1, start + 1)]
        while i < stop and side * floors[i] > level:  # one trend
            out[i] = side * level
            before, near, far = near, side * floors[i], side * tops[i]
            pressed = min(share + step, maximum)
            share = pressed if far > extreme else share
            extreme = far if far > extreme else extreme
            level = min(level + share * (extreme - level), min(before, near))
            i += 1
        if i < stop:
            far, far_before = side * tops[i], side * tops[max(i - 1, start + 1)]
            level = max(extreme, far_before, far)
            out[i] = side * level
            level, extreme, share = -level, -side * floors[i], min(step, maximum)
            level = min(level + share * (extreme - level), -far_before, -far)
            side = -side
            i += 1
    return out
