"""Draw the indicators of a program tile by tile: all windows of one kind over one column at once.

What a sweep shares most is averages and extremes of a price over many windows. They are never held whole: each tile is
drawn into the lines of the workspace (`tradelab.engine.tiles`), to the bits of the same indicator over all bars. What
draws a kind is compiled when the first program needs it, and called by its address.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine import recursive, rolling
from tradelab.engine.far import Far, grid_at, number_at, row_at, table_at
from tradelab.engine.jit import kernel
from tradelab.engine.program_frame import COLUMNS, FLOAT_BASE, FLOATS, GROUPS, ROOM, SCRATCH, WINDOWS
from tradelab.engine.program_ops import DEVIATION, EMA, HIGHEST, LOWEST, RMA, RSI, SMA, WMA
from tradelab.engine.tiles import ema_rows, rma_rows, rsi_rows

KINDS = (SMA, WMA, DEVIATION, HIGHEST, LOWEST, EMA, RMA, RSI)
KEPT = {EMA: 2, RMA: 2, RSI: 4}  # floats that a window keeps from tile to tile

# Columns of the table of groups: rows from ``ROW`` on, one for each of the windows ``BEGIN … END − 1``, of a column
# that is known from bar ``KNOWN`` up to ``UNKNOWN``. Its averages remember in the floats from place ``KEEP`` on.
KIND, COLUMN, KNOWN, UNKNOWN, BEGIN, END, ROW, KEEP, DDOF = range(9)

Floats = np.ndarray


def scratch_of(groups: np.ndarray, windows: np.ndarray, tile: int) -> int:
    """Floats that drawing a tile of any of these groups needs beside its rows; groups are drawn one after another."""
    most = 0
    for group in groups.tolist():
        own = windows[group[BEGIN] : group[END]]
        if group[KIND] not in KEPT:
            most = max(most, rolling.room.py_func(group[KIND] - SMA, int(own.max()), tile))
        else:
            most = max(most, recursive.room.py_func(len(own)))
    return most


@kernel
def _blank(out: Floats, bars: int) -> None:
    """NaN after the last bar, to the end of its word."""
    for k in range(len(out)):
        for i in range(bars, (bars + 63) >> 6 << 6):
            out[k, i] = np.nan


def draw_figures(address: int, k: int, first: int, last: int, _none: int) -> None:
    """Draw group ``k``, of a figure over a window, on bars ``first`` up to ``last``."""
    group = grid_at(address, GROUPS, np.int64)[k]
    windows = row_at(address, WINDOWS, np.int64)[group[BEGIN] : group[END]]
    values = grid_at(address, COLUMNS, np.float64)[group[COLUMN]]
    floats, room = row_at(address, FLOATS, np.float64), number_at(address, ROOM)
    out = table_at(floats, number_at(address, FLOAT_BASE) + group[ROW] * room, len(windows), room)
    known, scratch = (group[KNOWN], group[UNKNOWN]), floats[number_at(address, SCRATCH) :]
    rolling.rows(group[KIND] - SMA, values, known, windows, group[DDOF], first, last, scratch, out)
    _blank(out, last - first)


def draw_averages(address: int, k: int, first: int, last: int, _none: int) -> None:
    """Draw group ``k``, of averages that remember everything, on bars ``first`` up to ``last``."""
    group = grid_at(address, GROUPS, np.int64)[k]
    windows = row_at(address, WINDOWS, np.int64)[group[BEGIN] : group[END]]
    values = grid_at(address, COLUMNS, np.float64)[group[COLUMN]]
    floats, room = row_at(address, FLOATS, np.float64), number_at(address, ROOM)
    out = table_at(floats, number_at(address, FLOAT_BASE) + group[ROW] * room, len(windows), room)
    kept, scratch = 4 if group[KIND] == RSI else 2, floats[number_at(address, SCRATCH) :]
    state = table_at(floats, group[KEEP], len(windows), kept)
    if group[KIND] == RSI:
        rsi_rows(values, windows, first, last, state, scratch, out)
    elif group[KIND] == EMA:
        ema_rows(values, windows, first, last, state, scratch, out)
    else:
        rma_rows(values, windows, first, last, state, scratch, out)
    _blank(out, last - first)


def drawer_of(kind: int) -> Far:
    """What draws groups of a kind of the program whose frame lies at an address."""
    return draw_averages if kind in KEPT else draw_figures
