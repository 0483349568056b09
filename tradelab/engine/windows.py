"""Roll a window over a series: means, deviations, extremes, changes; and say where two series cross.

Every kernel takes arrays of shape (bars,), oldest first, and returns arrays of that shape. Windows are whole and at
least 1; the face in `tradelab.strategy.indicators` sees to that.

A mean, a weighted mean and a deviation are functions of the values in their window and of nothing else, to the last
bit: a live account that loads a few hundred bars must cross its averages on the bars on which years of history crossed
them. A running sum is not such a function, for it keeps the rounding of all that passed through it. An exact one is
(`tradelab.engine.exact`): the sum of a window is rounded once, and so is what it is divided by. Sums of both signs that
cancel are 0, not −0; a window that holds an infinity has an infinite mean, or none if it holds both, and no deviation.

NaN policy: the output is NaN before the first defined bar; NaN at the head of the input moves that bar along, so
indicators chain; a NaN further on makes the output NaN from there, for a figure that remembers a hole is a guess. Only
`roc` and `momentum`, which remember nothing, recover, and `crossings` starts anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine import recursive, rolling, wholes
from tradelab.engine.jit import kernel, maker

Floats = NDArray[np.float64]


@kernel
def first_known(values: Floats) -> int:
    """Place of the first value that is not NaN; the length where there is none."""
    for i in range(len(values)):
        if not np.isnan(values[i]):
            return i
    return len(values)


@kernel
def first_unknown(values: Floats) -> int:
    """Place of the first NaN; the length where there is none."""
    for begin in range(0, len(values), rolling.BLOCK):
        block = values[begin : begin + rolling.BLOCK]
        holes = 0
        for i in range(len(block)):  # counts in vector registers, where a search could not
            holes += block[i] != block[i]
        if holes:
            for i in range(len(block)):
                if np.isnan(block[i]):
                    return begin + i
    return len(values)


def stretch_known(values: Floats) -> tuple[int, int]:
    """`known_stretch` for Python, which has no kernel compiled for it."""
    unknown = np.isnan(values)
    begin = int(unknown.argmin()) if len(values) and not unknown.all() else len(values)
    holes = unknown[begin:]
    return begin, begin + int(holes.argmax()) if holes.any() else len(values)


@kernel
def known_stretch(values: Floats) -> tuple[int, int]:
    """Place of the first value that is not NaN, and of the first NaN after it; the length where there is none."""
    begin = first_known(values)
    return begin, begin + first_unknown(values[begin:])


@maker
def blank(n: int, head: int) -> Floats:
    """An array to be filled from ``head`` on; NaN before."""
    out = np.empty(n)
    out[: min(head, n)] = np.nan
    return out


@maker
def _history(figure: int, values: Floats, window: int, ddof: int) -> Floats:
    """One figure over a whole history."""
    n = len(values)
    out, windows = np.empty((1, n)), np.full(1, window)
    scratch = np.empty(rolling.room(figure, min(window, n), n))
    rolling.rows(figure, values, known_stretch(values), windows, ddof, 0, n, scratch, out)
    return out[0]


@maker
def sma(values: Floats, window: int) -> Floats:
    """Mean of the last ``window`` values."""
    return _history(wholes.SUM, values, window, rolling.NO_DDOF)


@maker
def wma(values: Floats, window: int) -> Floats:
    """Mean weighted 1, 2, …, ``window`` from the oldest to the newest value."""
    return _history(wholes.WEIGHTED, values, window, rolling.NO_DDOF)


@maker
def rolling_std(values: Floats, window: int, ddof: int) -> Floats:
    """Standard deviation of the last ``window`` values over ``window − ddof``; a flat window has exactly none."""
    return _history(wholes.SPREAD, values, window, ddof)


@maker
def highest(values: Floats, window: int) -> Floats:
    """Highest of the last ``window`` values, the newest included."""
    return _history(rolling.HIGHEST, values, window, rolling.NO_DDOF)


@maker
def lowest(values: Floats, window: int) -> Floats:
    """Lowest of the last ``window`` values, the newest included."""
    return _history(rolling.LOWEST, values, window, rolling.NO_DDOF)


@maker
def _smoothed(values: Floats, window: int, weight: float) -> Floats:
    out = np.empty(len(values))
    recursive.smoothed(values, window, weight, 0, len(values), np.zeros(2), out)
    return out


@maker
def ema(values: Floats, window: int) -> Floats:
    """Exponential average with weight ``2 / (window + 1)``, started at the mean of the first ``window`` values."""
    return _smoothed(values, window, 2.0 / (window + 1.0))


@maker
def rma(values: Floats, window: int) -> Floats:
    """Wilder's average: exponential, with weight ``1 / window``, started like `ema`."""
    return _smoothed(values, window, 1.0 / window)


@maker
def roc(values: Floats, window: int) -> Floats:
    """Return over ``window`` bars, a fraction."""
    out = blank(len(values), window)
    before, after, drawn = values[: max(len(values) - window, 0)], values[window:], out[window:]
    for i in range(len(drawn)):
        drawn[i] = after[i] / before[i] - 1.0
    return out


@maker
def momentum(values: Floats, window: int) -> Floats:
    """Difference over ``window`` bars."""
    out = blank(len(values), window)
    before, after, drawn = values[: max(len(values) - window, 0)], values[window:], out[window:]
    for i in range(len(drawn)):
        drawn[i] = after[i] - before[i]
    return out


@maker
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
