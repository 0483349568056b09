"""Draw many windows at once, a tile of bars at a time: what a sweep reads while it is still in the nearest cache.

Each kernel writes bars ``first … last − 1`` of one indicator for every window of ``windows`` (shape (windows,), int64,
each at least 1, in any order) into ``out`` (shape (windows, at least ``last − first``), C order); columns further on
are left alone. Every row has the bits of the same indicator over the whole history, NaN included.

Figures over a window read at most ``max(windows) − 1`` bars before ``first``, so tiles may be drawn in any order; what
they cannot see, where values are known at all, is handed in: ``known = windows.known_stretch(values)``, once a series.
``scratch`` is lent by the caller, float64 of shape (at least `rolling.room`,), or (at least `recursive.room`,) for
averages that remember everything; what is in it before and after means nothing, and no kernel here allocates.

Averages that remember everything take tiles in order and carry what they remember in ``state``, zeros before the first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine import recursive, rolling, wholes
from tradelab.engine.jit import kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@kernel
def sma_rows(
    values: Floats, known: tuple[int, int], windows: Ints, first: int, last: int, scratch: Floats, out: Floats
) -> None:
    """Mean of the last ``window`` values: a tile of `windows.sma` a row."""
    rolling.rows(wholes.SUM, values, known, windows, rolling.NO_DDOF, first, last, scratch, out)


@kernel
def wma_rows(
    values: Floats, known: tuple[int, int], windows: Ints, first: int, last: int, scratch: Floats, out: Floats
) -> None:
    """Mean weighted 1, 2, …, ``window``: a tile of `windows.wma` a row."""
    rolling.rows(wholes.WEIGHTED, values, known, windows, rolling.NO_DDOF, first, last, scratch, out)


@kernel
def rolling_std_rows(
    values: Floats,
    known: tuple[int, int],
    windows: Ints,
    ddof: int,
    first: int,
    last: int,
    scratch: Floats,
    out: Floats,
) -> None:
    """Standard deviation over ``window − ddof``: a tile of `windows.rolling_std` a row."""
    rolling.rows(wholes.SPREAD, values, known, windows, ddof, first, last, scratch, out)


@kernel
def highest_rows(
    values: Floats, known: tuple[int, int], windows: Ints, first: int, last: int, scratch: Floats, out: Floats
) -> None:
    """Highest of the last ``window`` values: a tile of `windows.highest` a row."""
    rolling.rows(rolling.HIGHEST, values, known, windows, rolling.NO_DDOF, first, last, scratch, out)


@kernel
def lowest_rows(
    values: Floats, known: tuple[int, int], windows: Ints, first: int, last: int, scratch: Floats, out: Floats
) -> None:
    """Lowest of the last ``window`` values: a tile of `windows.lowest` a row."""
    rolling.rows(rolling.LOWEST, values, known, windows, rolling.NO_DDOF, first, last, scratch, out)


@kernel
def ema_rows(values: Floats, windows: Ints, first: int, last: int, state: Floats, scratch: Floats, out: Floats) -> None:
    """Exponential average: the next tile of `windows.ema` a row; ``state`` float64 (windows, 2)."""
    recursive.smoothed_rows(values, windows, 2.0, 1.0, first, last, state, scratch, out)


@kernel
def rma_rows(values: Floats, windows: Ints, first: int, last: int, state: Floats, scratch: Floats, out: Floats) -> None:
    """Wilder's average: the next tile of `windows.rma` a row; ``state`` float64 (windows, 2)."""
    recursive.smoothed_rows(values, windows, 1.0, 0.0, first, last, state, scratch, out)


@kernel
def rsi_rows(values: Floats, windows: Ints, first: int, last: int, state: Floats, scratch: Floats, out: Floats) -> None:
    """Relative strength index: the next tile of `indicators.rsi` a row; ``state`` float64 (windows, 4)."""
    recursive.strength_rows(values, windows, first, last, state, scratch, out)
