"""Roll a window over a series: means, deviations, extremes, changes; and say where two series cross.

Every kernel takes arrays of shape (bars,), oldest first, and returns arrays of that shape. Windows are whole and at
least 1; the face in `tradelab.strategy.indicators` sees to that.

NaN policy: the output is NaN before the first defined bar; NaN at the head of the input moves that bar along, so
indicators chain; a NaN further on makes the output NaN from there, for a figure that remembers a hole is a guess. Only
`roc` and `momentum`, which remember nothing, recover, and `crossings` starts anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine.jit import kernel

Floats = NDArray[np.float64]

_RESTART = 8  # windows between two fresh sums
_TILE = 2048  # values that stay in the nearest cache


@kernel
def first_known(values: Floats) -> int:
    """Place of the first value that is not NaN; the length where there is none."""
    for i in range(len(values)):
        if not np.isnan(values[i]):
            return i
    return len(values)


@kernel
def first_unknown(values: Floats, length: int) -> int:
    """Place of the first NaN among ``length`` values; ``length`` where there is none."""
    for i in range(length):
        if np.isnan(values[i]):
            return i
    return length


@kernel
def blank(n: int, head: int) -> Floats:
    """An array to be filled from ``head`` on; NaN before."""
    out = np.empty(n)
    out[: min(head, n)] = np.nan
    return out


@kernel
def _forget(out: Floats, values: Floats, begin: int) -> None:
    """Blank ``out`` from the first NaN in ``values`` at or after ``begin``."""
    hole = begin + first_unknown(values[begin:], len(values) - begin)
    out[hole:] = np.nan


@kernel
def sma(values: Floats, window: int) -> Floats:
    """Mean of the last ``window`` values: a difference of prefix sums, then one true division.

    The formula is part of the definition: on quantised prices a last-digit difference moves a crossing. It is the one
    of vectorbt's numba engine, so crossings of averages fall on the same bars.
    """
    n = len(values)
    start = first_known(values)
    out = blank(n, start + window - 1)
    if start + window > n:
        return out
    sums = np.empty(n - start)
    total = 0.0
    for i in range(n - start):
        total += values[start + i]
        sums[i] = total
    out[start + window - 1] = sums[window - 1] / window
    for i in range(window, n - start):
        out[start + i] = (sums[i] - sums[i - window]) / window
    return out


@kernel
def smoothed(values: Floats, window: int, weight: float) -> Floats:
    """Exponential average with ``weight`` on the newest value, started at the mean of the first ``window``."""
    n = len(values)
    start = first_known(values)
    out = blank(n, start + window - 1)
    if start + window > n:
        return out
    level = 0.0
    for i in range(start, start + window):
        level += values[i]
    level /= window
    out[start + window - 1] = level
    for i in range(start + window, n):
        level += weight * (values[i] - level)
        out[i] = level
    return out


@kernel
def ema(values: Floats, window: int) -> Floats:
    """Exponential average with weight ``2 / (window + 1)``."""
    return smoothed(values, window, 2.0 / (window + 1.0))


@kernel
def rma(values: Floats, window: int) -> Floats:
    """Wilder's average: exponential, with weight ``1 / window``."""
    return smoothed(values, window, 1.0 / window)


@kernel
def wma(values: Floats, window: int) -> Floats:
    """Mean weighted 1, 2, …, ``window`` from the oldest to the newest value; summed afresh every eight windows."""
    n = len(values)
    start = first_known(values)
    out = blank(n, start + window - 1)
    if start + window > n:
        return out
    share = 2.0 / (window * (window + 1.0))
    for begin in range(start + window - 1, n, _RESTART * window):
        total = weighted = 0.0
        for i in range(window):
            total += values[begin - window + 1 + i]
            weighted += (i + 1.0) * values[begin - window + 1 + i]
        out[begin] = weighted * share
        for i in range(begin + 1, min(begin + _RESTART * window, n)):
            weighted += window * values[i] - total
            total += values[i] - values[i - window]
            out[i] = weighted * share
        if np.isnan(weighted):
            _forget(out, values, begin - window + 1)
            break
    return out


@kernel
def _spread(values: Floats, begin: int, window: int) -> tuple[float, float]:
    """Mean and sum of squared deviations of one window, afresh."""
    mean = 0.0
    for i in range(begin, begin + window):
        mean += values[i]
    mean /= window
    squares = 0.0
    for i in range(begin, begin + window):
        squares += (values[i] - mean) ** 2
    return mean, squares


@kernel
def rolling_std(values: Floats, window: int, ddof: int) -> Floats:
    """Standard deviation of the last ``window`` values over ``window − ddof``.

    Squared deviations are updated as one value replaces another (Welford 1962), which loses no digits to cancellation,
    and summed afresh every eight windows, so that a spike leaves nothing behind for long.
    """
    n = len(values)
    start = first_known(values)
    out = blank(n, start + window - 1 if window > ddof else n)
    if start + window > n or window <= ddof:
        return out
    freedom = 1.0 / (window - ddof)
    share = 1.0 / window
    for begin in range(start + window - 1, n, _RESTART * window):
        mean, squares = _spread(values, begin - window + 1, window)
        equal = 1  # values in a row: a flat window has no deviation at all, not a residue of one
        while equal < window and values[begin - equal] == values[begin]:
            equal += 1
        out[begin] = np.sqrt(squares * freedom)
        for i in range(begin + 1, min(begin + _RESTART * window, n)):
            before = mean
            change = values[i] - values[i - window]
            mean += change * share
            squares += change * (values[i] - mean + values[i - window] - before)
            equal = equal + 1 if values[i] == values[i - 1] else 1
            if equal >= window:
                mean, squares = values[i], 0.0
            out[i] = np.sqrt(0.0 if squares < 0.0 else squares * freedom)
        if np.isnan(squares):
            _forget(out, values, begin - window + 1)
            break
    return out


@kernel
def _larger(left: Floats, right: Floats, out: Floats, length: int, sign: float) -> None:
    """``out = sign · max(left, right)`` on the first ``length`` places."""
    for i in range(length):
        out[i] = sign * (left[i] if left[i] > right[i] else right[i])


@kernel
def _extreme(values: Floats, window: int, sign: float) -> Floats:
    """Highest (sign 1) or lowest (sign −1) of the last ``window`` values.

    Extremes of 2, 4, 8, … values are each the larger of two of the former, and two overlapping ones make any window:
    log2(window) passes in which no value waits for its neighbour, so they run in vector registers, tile by tile.
    """
    n = len(values)
    start = first_known(values)
    out = blank(n, start + window - 1)
    tile = max(_TILE, 4 * window)
    here, there = np.empty(tile + window), np.empty(tile + window)
    for begin in range(start + window - 1, n, tile):
        first = begin - window + 1
        length = min(begin + tile, n) - first
        holes = 0
        for i in range(length):
            here[i] = sign * values[first + i]
            holes += here[i] != here[i]
        if holes > 0:
            length = first_unknown(here, length)
        span = 1
        while 2 * span <= window:
            _larger(here, here[span:], there, length - 2 * span + 1, 1.0)
            here, there = there, here
            span *= 2
        _larger(here, here[window - span :], out[begin:], length - window + 1, sign)
        if holes > 0:
            out[first + length :] = np.nan
            return out
    return out


@kernel
def highest(values: Floats, window: int) -> Floats:
    """Highest of the last ``window`` values, the newest included."""
    return _extreme(values, window, 1.0)


@kernel
def lowest(values: Floats, window: int) -> Floats:
    """Lowest of the last ``window`` values, the newest included."""
    return _extreme(values, window, -1.0)


@kernel
def roc(values: Floats, window: int) -> Floats:
    """Return over ``window`` bars, a fraction."""
    out = blank(len(values), window)
    for i in range(window, len(values)):
        out[i] = values[i] / values[i - window] - 1.0
    return out


@kernel
def momentum(values: Floats, window: int) -> Floats:
    """Difference over ``window`` bars."""
    out = blank(len(values), window)
    for i in range(window, len(values)):
        out[i] = values[i] - values[i - window]
    return out


@kernel
def crossings(a: Floats, b: Floats) -> NDArray[np.int8]:
    """+1 where ``a`` has come to lie above ``b``, −1 where it has come to lie below, else 0 (int8).

    Strict hysteresis: touching changes no side, so above → equal → above crosses once and above → equal → below crosses
    on the last bar. The first known side is no crossing, and a NaN forgets the side.
    """
    out = np.zeros(len(a), np.int8)
    side = 0
    for i in range(len(a)):
        if a[i] > b[i]:
            out[i] = side < 0
            side = 1
        elif a[i] < b[i]:
            out[i] = -(side > 0)
            side = -1
        elif a[i] != b[i]:
            side = 0
    return out
