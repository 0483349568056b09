"""Draw figures over many windows, block by block: what whole histories and tiles of a sweep have in common.

A block is as many bars as leave its table in the nearest cache: running totals for sums (`tradelab.engine.exact`), or
rows of extremes (`tradelab.engine.extremes`). Every window is then drawn from the same table. No kernel here allocates;
the table lies in ``scratch``, which the caller lends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine import exact, extremes
from tradelab.engine.jit import kernel
from tradelab.engine.wholes import ROOM, SPREAD

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HIGHEST, LOWEST = SPREAD + 1, SPREAD + 2  # figures beside those of `tradelab.engine.wholes`
NO_DDOF = 0  # what a figure that is no deviation gives up

BLOCK = 1024  # bars whose table stays near


@kernel
def _bars(widest: int) -> int:
    """Bars to a block: many more than the values before it that its first window sees, but few enough to fit a grid."""
    return max(BLOCK, min(8 * widest, 4 * BLOCK))


@kernel
def room(figure: int, widest: int, bars: int) -> int:
    """Floats of scratch for windows up to ``widest`` on ``bars`` bars; calls nothing, so Python can call it too."""
    length = min(max(BLOCK, min(8 * widest, 4 * BLOCK)), bars) + widest
    if figure < HIGHEST:
        return 4 * (length + widest + 1) + ROOM
    rows = 0
    while 2 << rows <= widest:
        rows += 1
    return rows * length


@kernel
def rows(
    figure: int, values: Floats, known: tuple[int, int], windows: Ints, ddof: int, first: int, last: int,
    scratch: Floats, out: Floats,
) -> None:  # fmt: skip
    """Write bars ``first … last − 1`` of a figure for every window into a row of ``out``.

    ``values`` are known from bar ``known[0]`` up to ``known[1]``; before a window is full, and from there on, the
    figure is NaN. So is a deviation over ``ddof`` values or fewer.
    """
    end = max(min(last, known[1]), first)
    widest = 0
    for window in windows:
        if known[0] + window - 1 < end and window > ddof:
            widest = max(widest, window)
    step = _bars(widest)
    for begin in range(first, end, step):
        _block(figure, values, known[0], windows, ddof, begin, min(begin + step, end), scratch, begin - first, out)
    for k in range(len(windows)):
        out[k, end - first : last - first] = np.nan


@kernel
def _block(
    figure: int, values: Floats, known: int, windows: Ints, ddof: int, first: int, last: int, scratch: Floats,
    at: int, out: Floats,
) -> None:  # fmt: skip
    """Draw one block into columns of ``out`` from ``at`` on; all its bars are known from bar ``known`` on."""
    widest, reach, pairs = 0, 0, False
    for window in windows:
        begin = max(first, known + window - 1)
        if begin < last and window > ddof:
            widest, reach = max(widest, window), max(reach, window - 1 - (begin - first))
            pairs |= window == 2 or window == 3
    block = values[first - reach : last]  # from the oldest value that any window sees
    fit = (False, 0.0)
    if widest > 0 and figure >= HIGHEST:
        extremes.fill(figure == HIGHEST, block, widest, pairs, scratch)
    elif widest > 0:
        fit = exact.fill(figure, block, scratch)
    for k in range(len(windows)):
        window, row = windows[k], out[k, at : at + last - first]
        begin = max(first, known + window - 1)
        if begin >= last or window <= ddof:
            row[:] = np.nan
            continue
        row[: begin - first] = np.nan
        drawn, start = row[begin - first :], begin - window + 1 - first + reach
        if figure >= HIGHEST:
            extremes.draw(figure == HIGHEST, window, block, scratch, start, drawn)
        else:
            exact.draw(figure, window, ddof, block, fit, scratch, start, drawn)
