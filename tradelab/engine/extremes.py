"""Find the highest or lowest of windows from those over 2, 4, 8, … values, each of two halves.

The longest of them that fit a window, one at its beginning and one at its end, overlap and cover it. No value waits for
its neighbour, so every pass runs in vector registers, and all windows of a sweep share the passes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine.jit import kernel

Floats = NDArray[np.float64]


@kernel
def _longest(window: int) -> tuple[int, int]:
    """The longest of 1, 2, 4, … values that ``window`` has room for, as exponent and number."""
    level = 0
    while 2 << level <= window:
        level += 1
    return level, 1 << level


@kernel
def _higher(a: Floats, b: Floats, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = a[i] if a[i] > b[i] else b[i]


@kernel
def _lower(a: Floats, b: Floats, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = a[i] if a[i] < b[i] else b[i]


@kernel
def _highest_of_four(a: Floats, b: Floats, c: Floats, d: Floats, out: Floats) -> None:
    for i in range(len(out)):
        older, newer = a[i] if a[i] > b[i] else b[i], c[i] if c[i] > d[i] else d[i]
        out[i] = older if older > newer else newer


@kernel
def _lowest_of_four(a: Floats, b: Floats, c: Floats, d: Floats, out: Floats) -> None:
    for i in range(len(out)):
        older, newer = a[i] if a[i] < b[i] else b[i], c[i] if c[i] < d[i] else d[i]
        out[i] = older if older < newer else newer


@kernel
def _join(highest: bool, a: Floats, b: Floats, out: Floats) -> None:
    if highest:
        _higher(a, b, out)
    else:
        _lower(a, b, out)


@kernel
def fill(highest: bool, values: Floats, widest: int, pairs: bool, scratch: Floats) -> None:
    """Compute the rows for windows up to ``widest``; those of two values only where ``pairs`` are wanted."""
    n = len(values)
    levels, halves = _longest(widest)[0], values
    for level in range(1, levels + 1):
        row, half = scratch[(level - 1) * n : level * n], 1 << (level - 1)
        count = n - 2 * half + 1
        if level == 1 and not pairs:
            continue
        if level == 2 and not pairs and highest:
            _highest_of_four(values[:count], values[1:], values[2:], values[3:], row[:count])
        elif level == 2 and not pairs:
            _lowest_of_four(values[:count], values[1:], values[2:], values[3:], row[:count])
        else:
            _join(highest, halves[:count], halves[half : half + count], row[:count])
        halves = row


@kernel
def draw(highest: bool, window: int, values: Floats, scratch: Floats, start: int, out: Floats) -> None:
    """Write the extremes of ``window`` values that begin at ``start``, ``start + 1``, … of the block."""
    n = len(values)
    level, span = _longest(window)
    row = scratch[(level - 1) * n : level * n] if level else values
    then = start + window - span
    _join(highest, row[start : start + len(out)], row[then : then + len(out)], out)
