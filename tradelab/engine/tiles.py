"""Draw many windows at once, a tile of bars at a time: what a sweep reads while it is still in the nearest cache.

Each kernel writes bars ``first … last − 1`` of one indicator for every window of ``windows`` (shape (windows,), int64,
each at least 1, in any order) into ``out`` (shape (windows, at least ``last − first``), C order); columns further on
are left alone. Every row has the bits of the same indicator over the whole history, NaN included.

Figures over a window read at most ``max(windows) − 1`` bars before ``first``, so tiles may be drawn in any order; what
they cannot see, where values are known at all, is handed in: ``known = windows.known_stretch(values)``, once a series.
Averages that remember everything take tiles in order and carry what they remember in ``state``, zeros before the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine import recursive, stretches
from tradelab.engine.jit import maker

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@maker
def _rows(
    figure: int, values: Floats, known: tuple[int, int], windows: Ints, ddof: int, first: int, last: int, out: Floats
) -> None:
    """One tile of a figure for every window, from one table of the stretches they have in common."""
    end = min(last, known[1])
    widest, reach = 0, 0
    for window in windows:
        begin = max(first, known[0] + window - 1)
        if begin < end and window > ddof:
            widest, reach = max(widest, window), max(reach, window - 1 - (begin - first))
    start = first - reach  # the oldest value that any window sees
    table, wanted = stretches.blank_table(figure, widest, max(end - start, 0))
    for window in windows:
        if window <= widest and window > ddof:
            stretches.want(figure, window, wanted)
    if widest > 0:
        stretches.fill(figure, values[start:end], wanted, table)
    for k in range(len(windows)):
        window, row = windows[k], out[k]
        begin = max(first, known[0] + window - 1)
        if begin >= end or window <= ddof:
            row[: last - first] = np.nan
            continue
        row[: begin - first] = np.nan
        row[end - first : last - first] = np.nan
        stretches.draw(figure, window, ddof, table, begin - window + 1 - start, row[begin - first : end - first])


@maker
def sma_rows(values: Floats, known: tuple[int, int], windows: Ints, first: int, last: int, out: Floats) -> None:
    """Mean of the last ``window`` values: a tile of `windows.sma` a row."""
    _rows(stretches.SUM, values, known, windows, 0, first, last, out)


@maker
def wma_rows(values: Floats, known: tuple[int, int], windows: Ints, first: int, last: int, out: Floats) -> None:
    """Mean weighted 1, 2, …, ``window``: a tile of `windows.wma` a row."""
    _rows(stretches.WEIGHTED, values, known, windows, 0, first, last, out)


@maker
def rolling_std_rows(
    values: Floats, known: tuple[int, int], windows: Ints, ddof: int, first: int, last: int, out: Floats
) -> None:
    """Standard deviation over ``window − ddof``: a tile of `windows.rolling_std` a row."""
    _rows(stretches.SPREAD, values, known, windows, ddof, first, last, out)


@maker
def highest_rows(values: Floats, known: tuple[int, int], windows: Ints, first: int, last: int, out: Floats) -> None:
    """Highest of the last ``window`` values: a tile of `windows.highest` a row."""
    _rows(stretches.HIGHEST, values, known, windows, 0, first, last, out)


@maker
def lowest_rows(values: Floats, known: tuple[int, int], windows: Ints, first: int, last: int, out: Floats) -> None:
    """Lowest of the last ``window`` values: a tile of `windows.lowest` a row."""
    _rows(stretches.LOWEST, values, known, windows, 0, first, last, out)


@maker
def ema_rows(values: Floats, windows: Ints, first: int, last: int, state: Floats, out: Floats) -> None:
    """Exponential average: the next tile of `windows.ema` a row; ``state`` float64 (windows, 2)."""
    recursive.smoothed_rows(values, windows, 2.0 / (windows + 1.0), first, last, state, out)


@maker
def rma_rows(values: Floats, windows: Ints, first: int, last: int, state: Floats, out: Floats) -> None:
    """Wilder's average: the next tile of `windows.rma` a row; ``state`` float64 (windows, 2)."""
    recursive.smoothed_rows(values, windows, 1.0 / windows, first, last, state, out)


@maker
def rsi_rows(values: Floats, windows: Ints, first: int, last: int, state: Floats, out: Floats) -> None:
    """Relative strength index: the next tile of `indicators.rsi` a row; ``state`` float64 (windows, 4)."""
    recursive.strength_rows(values, windows, first, last, state, out)
