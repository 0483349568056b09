"""Draw the indicators of a program tile by tile: all windows of one kind over one column at once.

What a sweep shares most is averages and extremes of a price over many windows. They are never held whole: each tile is
drawn into the lines of the workspace (`tradelab.engine.tiles`), to the bits of the same indicator over all bars. What
draws a kind is compiled when the first program needs it, and called by its address.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import carray

from tradelab.engine import recursive, rolling, wholes
from tradelab.engine.far import pointer
from tradelab.engine.jit import kernel
from tradelab.engine.program_frame import (
    FLOAT_BASE,
    GROUP_COUNT,
    GROUPS,
    ROOM,
    SCRATCH,
    WINDOW_COUNT,
    WINDOWS,
    columns_of,
    floats_of,
    frame_at,
)
from tradelab.engine.program_ops import DEVIATION, EMA, HIGHEST, LOWEST, RMA, RSI, SMA, WMA
from tradelab.engine.tiles import (
    ema_rows,
    highest_rows,
    lowest_rows,
    rma_rows,
    rolling_std_rows,
    rsi_rows,
    sma_rows,
    wma_rows,
)

KINDS = (SMA, WMA, DEVIATION, HIGHEST, LOWEST, EMA, RMA, RSI)
KEPT = {EMA: 2, RMA: 2, RSI: 4}  # floats that a window keeps from tile to tile
_FIGURES = {
    SMA: wholes.SUM,
    WMA: wholes.WEIGHTED,
    DEVIATION: wholes.SPREAD,
    HIGHEST: rolling.HIGHEST,
    LOWEST: rolling.LOWEST,
}

# Columns of the table of groups: rows from ``ROW`` on, one for each of the windows ``BEGIN … END − 1``, of a column
# that is known from bar ``KNOWN`` up to ``UNKNOWN``. Its averages remember in the floats from place ``KEEP`` on.
KIND, COLUMN, KNOWN, UNKNOWN, BEGIN, END, ROW, KEEP, DDOF = range(9)

Floats = np.ndarray


def scratch_of(groups: np.ndarray, windows: np.ndarray, tile: int) -> int:
    """Floats that drawing a tile of any of these groups needs beside its rows; groups are drawn one after another."""
    most = 0
    for group in groups.tolist():
        own = windows[group[BEGIN] : group[END]]
        if group[KIND] in _FIGURES:
            most = max(most, rolling.room.py_func(_FIGURES[group[KIND]], int(own.max()), tile))
        else:
            most = max(most, recursive.room.py_func(len(own)))
    return most


@kernel
def _sheet(address: int, k: int) -> tuple[np.ndarray, Floats, np.ndarray, Floats, Floats]:
    """Group ``k``, its column, its windows, what is lent to it, and the rows it is drawn into."""
    frame = frame_at(address)
    group = carray(pointer(frame[GROUPS]), (frame[GROUP_COUNT], 9), np.int64)[k]
    windows = carray(pointer(frame[WINDOWS]), (frame[WINDOW_COUNT],), np.int64)[group[BEGIN] : group[END]]
    room = frame[ROOM]
    begin = frame[FLOAT_BASE] + group[ROW] * room
    floats = floats_of(frame)
    out = floats[begin : begin + len(windows) * room].reshape((len(windows), room))
    return group, columns_of(frame)[group[COLUMN]], windows, floats[frame[SCRATCH] :], out


@kernel
def _memory(address: int, keep: int, windows: int, size: int) -> Floats:
    """What the averages of a group remember, shape (windows, size)."""
    return floats_of(frame_at(address))[keep : keep + windows * size].reshape((windows, size))


@kernel
def _blank(out: Floats, bars: int) -> None:
    """NaN after the last bar, to the end of its word."""
    for k in range(len(out)):
        for i in range(bars, (bars + 63) >> 6 << 6):
            out[k, i] = np.nan


def _draw_sma(address: int, k: int, first: int, last: int, _none: int) -> None:
    group, values, windows, scratch, out = _sheet(address, k)
    sma_rows(values, (group[KNOWN], group[UNKNOWN]), windows, first, last, scratch, out)
    _blank(out, last - first)


def _draw_wma(address: int, k: int, first: int, last: int, _none: int) -> None:
    group, values, windows, scratch, out = _sheet(address, k)
    wma_rows(values, (group[KNOWN], group[UNKNOWN]), windows, first, last, scratch, out)
    _blank(out, last - first)


def _draw_deviation(address: int, k: int, first: int, last: int, _none: int) -> None:
    group, values, windows, scratch, out = _sheet(address, k)
    rolling_std_rows(values, (group[KNOWN], group[UNKNOWN]), windows, group[DDOF], first, last, scratch, out)
    _blank(out, last - first)


def _draw_highest(address: int, k: int, first: int, last: int, _none: int) -> None:
    group, values, windows, scratch, out = _sheet(address, k)
    highest_rows(values, (group[KNOWN], group[UNKNOWN]), windows, first, last, scratch, out)
    _blank(out, last - first)


def _draw_lowest(address: int, k: int, first: int, last: int, _none: int) -> None:
    group, values, windows, scratch, out = _sheet(address, k)
    lowest_rows(values, (group[KNOWN], group[UNKNOWN]), windows, first, last, scratch, out)
    _blank(out, last - first)


def _draw_ema(address: int, k: int, first: int, last: int, _none: int) -> None:
    group, values, windows, scratch, out = _sheet(address, k)
    ema_rows(values, windows, first, last, _memory(address, group[KEEP], len(windows), 2), scratch, out)
    _blank(out, last - first)


def _draw_rma(address: int, k: int, first: int, last: int, _none: int) -> None:
    group, values, windows, scratch, out = _sheet(address, k)
    rma_rows(values, windows, first, last, _memory(address, group[KEEP], len(windows), 2), scratch, out)
    _blank(out, last - first)


def _draw_rsi(address: int, k: int, first: int, last: int, _none: int) -> None:
    group, values, windows, scratch, out = _sheet(address, k)
    rsi_rows(values, windows, first, last, _memory(address, group[KEEP], len(windows), 4), scratch, out)
    _blank(out, last - first)


# By kind: draws group ``k`` of the program whose frame lies at an address, on bars ``first`` up to ``last``.
DRAW: dict[int, Callable[..., None]] = {
    SMA: _draw_sma,
    WMA: _draw_wma,
    DEVIATION: _draw_deviation,
    HIGHEST: _draw_highest,
    LOWEST: _draw_lowest,
    EMA: _draw_ema,
    RMA: _draw_rma,
    RSI: _draw_rsi,
}
