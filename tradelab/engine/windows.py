"""Roll a window over a series: means, deviations, extremes, changes; and say where two series cross.

Every kernel takes arrays of shape (bars,), oldest first, and returns arrays of that shape. Windows are whole and at
least 1; the face in `tradelab.strategy.indicators` sees to that.

A mean, a weighted mean and a deviation are functions of the values in their window and of nothing else, to the last
bit: a live account that loads a few hundred bars must cross its averages on the bars on which years of history crossed
them. A running sum is not such a function, for it keeps the rounding of all that passed through it. Instead, figures of
2, 4, 8, … values are each made of two halves, and a window is put together of those whose lengths are its bits::

    window 10:   |··8 values··|·2·|      log2(window) passes in which no value waits for its neighbour,
                   older        newer    so they run in vector registers, tile by tile

NaN policy: the output is NaN before the first defined bar; NaN at the head of the input moves that bar along, so
indicators chain; a NaN further on makes the output NaN from there, for a figure that remembers a hole is a guess. Only
`roc` and `momentum`, which remember nothing, recover, and `crossings` starts anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine.jit import kernel

Floats = NDArray[np.float64]

_TILE = 1024  # values that stay in the nearest cache


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
def _added(left: Floats, right: Floats, out: Floats, length: int) -> None:
    """``out = left + right`` on the first ``length`` places; ``out`` may be one of the two."""
    for i in range(length):
        out[i] = left[i] + right[i]


@kernel
def _window_sums(here: Floats, there: Floats, total: Floats, length: int, window: int) -> None:
    """Sum the last ``window`` values of ``here`` into ``total``; both work arrays are overwritten."""
    span, taken = 1, 0
    while True:
        if window & span:
            first = taken + span - 1  # the first place with enough values before it
            if taken == 0:
                total[first:length] = here[first:length]
            else:
                _added(total[first:], here[span - 1 :], total[first:], length - first)
            taken += span
        if taken == window:
            return
        _added(here[2 * span - 1 :], here[span - 1 :], there[2 * span - 1 :], length - 2 * span + 1)
        here, there = there, here
        span *= 2


@kernel
def sma(values: Floats, window: int) -> Floats:
    """Mean of the last ``window`` values."""
    n = len(values)
    start = first_known(values)
    out = blank(n, start + window - 1)
    tile = max(_TILE, 4 * window)
    here, there, total = np.empty(tile + window), np.empty(tile + window), np.empty(tile + window)
    for begin in range(start + window - 1, n, tile):
        first = begin - window + 1
        length = min(begin + tile, n) - first
        here[:length] = values[first : first + length]
        _window_sums(here, there, total, length, window)
        for i in range(length - window + 1):
            out[begin + i] = total[window - 1 + i] / window
    _forget(out, values, start)
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
def _weighed(
    newer: Floats,
    newer_sum: Floats,
    older: Floats,
    older_sum: Floats,
    shift: float,
    out: Floats,
    out_sum: Floats,
    n: int,
) -> None:
    """Put a newer and an older stretch together: the newer weights rise by the ``shift`` older values."""
    for i in range(n):
        out[i] = newer[i] + shift * newer_sum[i] + older[i]
        out_sum[i] = newer_sum[i] + older_sum[i]


@kernel
def wma(values: Floats, window: int) -> Floats:
    """Mean weighted 1, 2, …, ``window`` from the oldest to the newest value."""
    n = len(values)
    start = first_known(values)
    out = blank(n, start + window - 1)
    tile = max(_TILE, 4 * window)
    work = np.empty((6, tile + window))  # weighted and plain sums: of spans, of spans twice as long, of the window
    share = 2.0 / (window * (window + 1.0))
    for begin in range(start + window - 1, n, tile):
        at = begin - window + 1
        length = min(begin + tile, n) - at
        here, here_sum, there, there_sum, total, total_sum = work[0], work[1], work[2], work[3], work[4], work[5]
        here[:length] = values[at : at + length]
        here_sum[:length] = here[:length]
        span, taken = 1, 0
        while taken < window:
            if window & span:
                a, b = taken + span - 1, span - 1
                if taken == 0:
                    total[a:length] = here[a:length]
                    total_sum[a:length] = here_sum[a:length]
                else:
                    _weighed(
                        total[a:], total_sum[a:], here[b:], here_sum[b:], span, total[a:], total_sum[a:], length - a
                    )
                taken += span
            a, b = 2 * span - 1, span - 1
            _weighed(here[a:], here_sum[a:], here[b:], here_sum[b:], span, there[a:], there_sum[a:], length - a)
            here, here_sum, there, there_sum = there, there_sum, here, here_sum
            span *= 2
        for i in range(length - window + 1):
            out[begin + i] = total[window - 1 + i] * share
    _forget(out, values, start)
    return out


@kernel
def _spread(
    newer: Floats,
    newer_mean: Floats,
    older: Floats,
    older_mean: Floats,
    share: float,
    weight: float,
    out: Floats,
    out_mean: Floats,
    n: int,
) -> None:
    """Join squared deviations of two stretches (Chan, Golub & LeVeque 1979, eq. 1.5).

    ``share`` is the older values' part of all, ``weight`` their number times the newer ones' part.
    """
    for i in range(n):
        apart = older_mean[i] - newer_mean[i]
        out[i] = newer[i] + older[i] + apart * apart * weight
        out_mean[i] = newer_mean[i] + apart * share


@kernel
def rolling_std(values: Floats, window: int, ddof: int) -> Floats:
    """Standard deviation of the last ``window`` values over ``window − ddof``; a flat window has exactly none."""
    n = len(values)
    start = first_known(values)
    out = blank(n, start + window - 1 if window > ddof else n)
    if window <= ddof:
        return out
    tile = max(_TILE, 4 * window)
    work = np.empty((6, tile + window))  # squared deviations and means: of spans, of longer spans, of the window
    freedom = 1.0 / (window - ddof)
    for begin in range(start + window - 1, n, tile):
        at = begin - window + 1
        length = min(begin + tile, n) - at
        here, here_mean, there, there_mean, total, total_mean = work[0], work[1], work[2], work[3], work[4], work[5]
        here[:length] = 0.0
        here_mean[:length] = values[at : at + length]
        span, taken = 1, 0
        while taken < window:
            if window & span:
                a, b = taken + span - 1, span - 1
                if taken == 0:
                    total[a:length] = here[a:length]
                    total_mean[a:length] = here_mean[a:length]
                else:
                    share = span / (taken + span)
                    _spread(
                        total[a:], total_mean[a:], here[b:], here_mean[b:], share, share * taken, total[a:],
                        total_mean[a:], length - a,
                    )  # fmt: skip
                taken += span
            a, b = 2 * span - 1, span - 1
            _spread(
                here[a:], here_mean[a:], here[b:], here_mean[b:], 0.5, 0.5 * span, there[a:], there_mean[a:], length - a
            )
            here, here_mean, there, there_mean = there, there_mean, here, here_mean
            span *= 2
        for i in range(length - window + 1):
            out[begin + i] = np.sqrt(total[window - 1 + i] * freedom)
    _forget(out, values, start)
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
