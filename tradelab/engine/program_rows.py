"""Draw the indicators of a program tile by tile: all windows of one kind over one column at once.

What a sweep shares most is averages and extremes of a price over many windows. They are never held whole: each tile is
drawn into the lines of the workspace (`tradelab.engine.tiles`), to the bits of the same indicator over all bars.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.jit import Row, kernel
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

# One group: rows from ``row`` on, one for each of the windows ``begin … end − 1``, of a column that is known from bar
# ``known`` up to ``unknown``. Its averages remember in the floats from place ``keep`` on.
GROUP = np.dtype(
    [("kind", "i8"), ("column", "i8"), ("known", "i8"), ("unknown", "i8"), ("begin", "i8"), ("end", "i8"),
     ("row", "i8"), ("keep", "i8"), ("ddof", "i8")], align=True
)  # fmt: skip


@kernel
def draw_group(
    group: Row,
    columns: np.ndarray,
    windows: np.ndarray,
    floats: np.ndarray,
    float_base: int,
    room: int,
    first: int,
    last: int,
) -> None:
    """Draw one group of rows on bars ``first`` up to ``last``, and NaN from there to the end of the last word."""
    kind, values = group.kind, columns[group.column]
    mine = windows[group.begin : group.end]
    many = len(mine)
    begin = float_base + group.row * room
    out = floats[begin : begin + many * room].reshape((many, room))
    known = (group.known, group.unknown)
    if kind == SMA:
        sma_rows(values, known, mine, first, last, out)
    elif kind == WMA:
        wma_rows(values, known, mine, first, last, out)
    elif kind == DEVIATION:
        rolling_std_rows(values, known, mine, group.ddof, first, last, out)
    elif kind == HIGHEST:
        highest_rows(values, known, mine, first, last, out)
    elif kind == LOWEST:
        lowest_rows(values, known, mine, first, last, out)
    else:
        size = 4 if kind == RSI else 2
        state = floats[group.keep : group.keep + size * many].reshape((many, size))
        if kind == EMA:
            ema_rows(values, mine, first, last, state, out)
        elif kind == RMA:
            rma_rows(values, mine, first, last, state, out)
        else:
            rsi_rows(values, mine, first, last, state, out)
    full = (last - first + 63) >> 6 << 6
    for k in range(many):
        for i in range(last - first, full):
            out[k, i] = np.nan
