"""Carry averages that remember everything from bar to bar, and from tile to tile.

A whole history is one tile. What a tile leaves behind for the next is a row of ``state``, zeros at first: how many
values were seen, and the averages; before ``window`` values were seen, their sums. NaN at the head is passed over, and
a NaN further on stays in the average for good.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine.jit import kernel
from tradelab.engine.rounding import fma

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEUTRAL = 50.0  # the strength of a market that stands still

_BLOCK = 16  # bars of all windows that stay in the nearest cache until they are turned round
_FEW = 4  # below as many windows one after another is faster than side by side


@kernel
def smoothed(values: Floats, window: int, weight: float, first: int, last: int, state: Floats, out: Floats) -> None:
    """Exponential average of bars ``first … last − 1`` with ``weight`` on the newest, from the mean of ``window`` on.

    ``state`` has shape (2,): values seen, and their sum or average.
    """
    seen, level = state[0], state[1]
    i = first
    while i < last and seen < window:
        if seen > 0.0 or not np.isnan(values[i]):
            level += values[i]
            seen += 1.0
        if seen == window:
            level /= window
        out[i - first] = level if seen == window else np.nan
        i += 1
    rest, drawn = values[i:last], out[i - first : last - first]
    for j in range(len(rest)):
        level = fma(weight, rest[j] - level, level)
        drawn[j] = level
    state[0], state[1] = seen, level


@kernel
def room(windows: int) -> int:
    """Floats of scratch for so many windows side by side."""
    return (4 + _BLOCK) * windows


@kernel
def _under_way(state: Floats, windows: Ints, least: int, going: Floats) -> int:
    """Write the rows that have seen ``least`` values more than their window; how many, or 0 if it is but a few."""
    count = 0
    for k in range(len(windows)):
        if state[k, 0] >= windows[k] + least:
            going[count] = k
            count += 1
    return count if count >= _FEW else 0


@kernel
def smoothed_rows(
    values: Floats, windows: Ints, rise: float, more: float, first: int, last: int, state: Floats, scratch: Floats,
    out: Floats,
) -> None:  # fmt: skip
    """`smoothed` with weights ``rise / (window + more)`` for many windows, those under way side by side.

    ``state`` has shape (windows, 2), ``out`` (windows, at least as many as bars); ``scratch`` as many as `room` says.
    """
    n = len(windows)
    count = _under_way(state, windows, 0, scratch)
    going, levels, shares = scratch[:count], scratch[n : n + count], scratch[2 * n : 2 * n + count]
    drawn = scratch[4 * n : 4 * n + _BLOCK * count]
    for k in range(count):
        row = int(going[k])
        levels[k], shares[k] = state[row, 1], rise / (windows[row] + more)
    for begin in range(first, last if count else first, _BLOCK):
        bars = min(_BLOCK, last - begin)
        for i in range(bars):
            value, line = values[begin + i], drawn[i * count : (i + 1) * count]
            for k in range(len(levels)):
                level = fma(shares[k], value - levels[k], levels[k])
                levels[k], line[k] = level, level
        _turn(drawn, bars, going, begin - first, out)
    for k in range(n):
        if count == 0 or state[k, 0] < windows[k]:
            smoothed(values, windows[k], rise / (windows[k] + more), first, last, state[k], out[k])
    for k in range(count):
        state[int(going[k]), 1] = levels[k]


@kernel
def _turn(drawn: Floats, bars: int, rows: Floats, at: int, out: Floats) -> None:
    """Write columns of a block of bars into ``rows`` of ``out``, from column ``at`` on."""
    for k in range(len(rows)):
        row = out[int(rows[k]), at : at + bars]
        for i in range(bars):
            row[i] = drawn[i * len(rows) + k]


@kernel
def _strength(rise: float, fall: float) -> float:
    """Share of rises in all that moved, 0 to 100."""
    return NEUTRAL if rise + fall == 0.0 else 100.0 * rise / (rise + fall)


@kernel
def strength(values: Floats, window: int, first: int, last: int, state: Floats, out: Floats) -> None:
    """Wilder's relative strength index of bars ``first … last − 1``.

    ``state`` has shape (4,): values seen, sum or average of rises, the same of falls, and the value before.
    """
    seen, rise, fall, before = state[0], state[1], state[2], state[3]
    share = 1.0 / window
    i = first
    while i < last and seen <= window:
        if seen > 0.0:
            change = values[i] - before
            rise += 0.5 * (abs(change) + change)  # max(change, 0), but a NaN stays one
            fall += 0.5 * (abs(change) - change)
        if seen > 0.0 or not np.isnan(values[i]):
            before = values[i]
            seen += 1.0
        if seen > window:
            rise *= share
            fall *= share
        out[i - first] = _strength(rise, fall) if seen > window else np.nan
        i += 1
    rest, drawn = values[i:last], out[i - first : last - first]
    for j in range(len(rest)):
        change = rest[j] - before
        before = rest[j]
        rise = fma(share, 0.5 * (abs(change) + change) - rise, rise)
        fall = fma(share, 0.5 * (abs(change) - change) - fall, fall)
        drawn[j] = _strength(rise, fall)
    state[0], state[1], state[2], state[3] = seen, rise, fall, before


@kernel
def strength_rows(
    values: Floats, windows: Ints, first: int, last: int, state: Floats, scratch: Floats, out: Floats
) -> None:
    """`strength` for many windows, those under way side by side.

    ``state`` has shape (windows, 4), ``out`` (windows, at least as many as bars); ``scratch`` as many as `room` says.
    """
    n = len(windows)
    count = _under_way(state, windows, 1, scratch)
    going, rises = scratch[:count], scratch[n : n + count]
    falls, shares = scratch[2 * n : 2 * n + count], scratch[3 * n : 3 * n + count]
    drawn = scratch[4 * n : 4 * n + _BLOCK * count]
    for k in range(count):
        row = int(going[k])
        rises[k], falls[k], shares[k] = state[row, 1], state[row, 2], 1.0 / windows[row]
    before = state[int(going[0]), 3] if count else 0.0
    for begin in range(first, last if count else first, _BLOCK):
        bars = min(_BLOCK, last - begin)
        for i in range(bars):
            change, line = values[begin + i] - before, drawn[i * count : (i + 1) * count]
            before = values[begin + i]
            gain, loss = 0.5 * (abs(change) + change), 0.5 * (abs(change) - change)
            for k in range(len(rises)):
                rise = fma(shares[k], gain - rises[k], rises[k])
                fall = fma(shares[k], loss - falls[k], falls[k])
                rises[k], falls[k], line[k] = rise, fall, _strength(rise, fall)
        _turn(drawn, bars, going, begin - first, out)
    for k in range(n):
        if count == 0 or state[k, 0] <= windows[k]:
            strength(values, windows[k], first, last, state[k], out[k])
    for k in range(count):
        row = int(going[k])
        state[row, 1], state[row, 2], state[row, 3] = rises[k], falls[k], before
