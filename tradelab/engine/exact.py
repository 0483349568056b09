"""Sum windows without rounding, so that it does not matter where a sum began.

A running total keeps the rounding of every value that ever passed through it; a figure drawn from it would remember
what is no longer in its window. Unless nothing is rounded: a block of values is laid on a grid of whole steps, each
value in two parts, the coarse one in large steps and the rest of it in small ones::

    value   |············53 bits············|
    coarse  |·········k bits·········|0 0 0 0 …           steps of 2^(top − k), |value| < 2^top
    rest                              |·······k bits·······|   steps of 2^(top − 2k − 1)

A float64 counts up to 2⁵³ steps without rounding, so running totals of either part are exact while ``k`` bits and the
number of values (for weighted sums, its square) stay below that. The sum of a window is two differences and one
addition, the only step that rounds: the exact sum, rounded once. That depends on the values in the window alone,
whatever the grid was; and one window more is a handful of operations on every bar, in vector registers.

Squared deviations need four times as many bits. They are computed in pairs of floats, with a bound on what was lost.
Where a figure this close to the true one could be rounded either way (one in a hundred thousand), the grid of its own
window is finer. Where that does not help either, and where sums fit no grid, `tradelab.engine.wholes` adds up whole
numbers of any length, slowly, to the same bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine import wholes
from tradelab.engine.jit import kernel
from tradelab.engine.rounding import bits_of, float_of, fma, power_of_two, quotient
from tradelab.engine.wholes import SPREAD, SUM, WEIGHTED

Floats = NDArray[np.float64]

_FURTHEST = 300  # exponents of two up to which squares of squares neither overflow nor vanish


@kernel
def _reach(values: Floats, centre: float) -> float:
    """Largest distance from ``centre``; infinite or NaN if one is. Compared as whole numbers, which have no NaN."""
    top = 0
    for i in range(len(values)):
        top = max(top, bits_of(values[i] - centre) & 0x7FFF_FFFF_FFFF_FFFF)
    return float_of(top)


@kernel
def _exponent(size: float) -> int:
    """The least power of two above ``size`` (0 for 0, which lies on every grid)."""
    return (bits_of(size) >> 52) - 1022 if size != 0.0 else 0


@kernel
def _bits(count: int) -> int:
    """Bits of the least power of two that is no less than ``count``."""
    bits = 0
    while 1 << bits < count:
        bits += 1
    return bits


@kernel
def _grid(exponent: int) -> float:
    """What rounds a number to a multiple of 2^``exponent`` when it is added and taken away again."""
    return 1.5 * power_of_two(52 + exponent)


@kernel
def _parts(values: Floats, coarse: float, fine: float, larges: Floats, rests: Floats) -> int:
    """Lay values on two grids; say how many do not lie on the fine one."""
    astray = 0
    for i in range(len(values)):
        large = (values[i] + coarse) - coarse
        rest = values[i] - large
        astray += (rest + fine) - fine != rest
        larges[i], rests[i] = large, rest
    return astray


@kernel
def _square_parts(
    values: Floats, centre: float, grids: tuple[float, float, float, float], a: Floats, b: Floats, c: Floats, d: Floats
) -> None:
    """Lay deviations from ``centre`` on two grids, and their squares on two more; what is finer is lost."""
    for i in range(len(values)):
        apart = values[i] - centre
        large = (apart + grids[0]) - grids[0]
        rest = ((apart - large) + grids[1]) - grids[1]  # wanted for the square of a sum, (Σ large)² + 2 Σ large Σ rest
        square = apart * apart
        below = fma(apart, apart, -square)
        most = (square + grids[2]) - grids[2]
        least = (((square - most) + below) + grids[3]) - grids[3]
        a[i], b[i], c[i], d[i] = large, -2.0 * rest, most, least


@kernel
def _run(steps: Floats) -> None:
    """Running totals in place, four at a time: in exact sums the order does not matter."""
    total, whole = 0.0, len(steps) >> 2 << 2
    for i in range(0, whole, 4):
        first, third = steps[i], steps[i + 2]
        second = first + steps[i + 1]
        fourth = second + (third + steps[i + 3])
        steps[i], steps[i + 1], steps[i + 2] = total + first, total + second, total + (second + third)
        total += fourth
        steps[i + 3] = total
    for i in range(whole, len(steps)):
        total += steps[i]
        steps[i] = total


@kernel
def _run_twice(larges: Floats, rests: Floats, larges_before: Floats, rests_before: Floats) -> None:
    """Running totals in place, and running totals of those, each of all totals before it."""
    large, rest, large_before, rest_before = 0.0, 0.0, 0.0, 0.0
    for i in range(len(larges)):
        large_before += large
        rest_before += rest
        large += larges[i]
        rest += rests[i]
        larges[i], rests[i], larges_before[i], rests_before[i] = large, rest, large_before, rest_before


@kernel
def _run_four(a: Floats, b: Floats, c: Floats, d: Floats) -> None:
    """Four running totals in place, side by side, so that none waits for the others."""
    e, f, g, h = 0.0, 0.0, 0.0, 0.0
    for i in range(len(a)):
        e += a[i]
        f += b[i]
        g += c[i]
        h += d[i]
        a[i], b[i], c[i], d[i] = e, f, g, h


@kernel
def fill(figure: int, values: Floats, scratch: Floats) -> tuple[bool, float]:
    """Compute the running totals of a block; say whether it fits a grid, and how far a spread may be off (`_spread`).

    How far is in units of the window's square.
    """
    n = len(values)
    centre = values[0] if figure == SPREAD else 0.0
    reach = _reach(values, centre)
    if figure == SPREAD and not reach <= 0.5 * abs(centre):  # nearer than that, deviations are exact (Sterbenz 1974)
        centre = 0.0
        reach = _reach(values, centre)
    top = _exponent(reach)
    k = min(53 - _bits(n * (n + 1) // 2 if figure == WEIGHTED else n), 45)
    if abs(top) > _FURTHEST or k < 8:
        return False, 0.0
    size = n + 1  # a running total more than values, for the first is that of none
    a, b, c, d = scratch[:size], scratch[size : 2 * size], scratch[2 * size : 3 * size], scratch[3 * size : 4 * size]
    a[0], b[0], c[0], d[0] = 0.0, 0.0, 0.0, 0.0
    if figure == SPREAD:
        grids = _grid(top - k), _grid(top - 2 * k - 1), _grid(2 * top - k), _grid(2 * (top - k) - 1)
        _square_parts(values, centre, grids, a[1:], b[1:], c[1:], d[1:])
        _run_four(a[1:], b[1:], c[1:], d[1:])
        return True, power_of_two(2 * (top - k))
    if _parts(values, _grid(top - k), _grid(top - 2 * k - 1), a[1:], b[1:]):
        return False, 0.0
    if figure == WEIGHTED:
        _run_twice(a[1:], b[1:], c[1:], d[1:])
    else:
        _run(a[1:])
        _run(b[1:])
    return True, 0.0


@kernel
def _mean(a: Floats, from_a: Floats, b: Floats, from_b: Floats, count: float, out: Floats) -> None:
    """Sums of windows as differences of running totals, divided."""
    share = 1.0 / count
    for i in range(len(out)):
        out[i] = quotient((a[i] - from_a[i]) + (b[i] - from_b[i]), count, share)


@kernel
def _weighted(
    a: Floats, c: Floats, from_c: Floats, b: Floats, d: Floats, from_d: Floats, window: float, out: Floats
) -> None:
    """Weighted sums: ``window`` times the total at the end, less all totals before the end; divided."""
    count = window * (window + 1.0) * 0.5
    share = 1.0 / count
    for i in range(len(out)):
        large, rest = fma(window, a[i], from_c[i] - c[i]), fma(window, b[i], from_d[i] - d[i])
        out[i] = quotient(large + rest, count, share)


@kernel
def _spread(
    a: Floats, from_a: Floats, b: Floats, from_b: Floats, c: Floats, from_c: Floats, d: Floats, from_d: Floats,
    window: float, count: float, slack: float, out: Floats,
) -> int:  # fmt: skip
    """Deviations: ``window`` times the sum of squares, less the square of the sum; divided, and the root of that.

    Products and differences are kept with what rounding took from them (Dekker 1971), so the figure is known as
    ``apart + low`` to within ``slack``. Where both ends of that are not rounded to the same float, NaN is written
    (Ziv 1991); returns how many those are.
    """
    share = 1.0 / count
    unsure = 0
    for i in range(len(out)):
        total, rest = a[i] - from_a[i], b[i] - from_b[i]
        most, least = c[i] - from_c[i], d[i] - from_d[i]
        squares, square = window * most, total * total
        squares_below, square_below = fma(window, most, -squares), fma(total, total, -square)
        apart = squares - square
        apart_below = (squares - apart) - square
        low = ((squares_below - square_below) + apart_below) + fma(total, rest, window * least)
        figure = apart + (low + slack)
        sure = figure == apart + (low - slack)
        unsure += not sure
        out[i] = np.sqrt(figure * share) if sure else np.nan
    return unsure


@kernel
def _stand_still(window: int, values: Floats, out: Floats) -> int:
    """Write 0 for unsure windows of equal values, which no bound could make sure; how many others are left."""
    unsure, since = 0, 0  # values are equal since then
    for i in range(len(out)):
        for j in range(i + window - 1 if i else 1, i + window):
            if values[j] != values[j - 1]:
                since = j
        if out[i] != out[i]:
            if since <= i and np.isfinite(values[i]):
                out[i] = 0.0
            else:
                unsure += 1
    return unsure


@kernel
def _closer(window: int, count: float, values: Floats, scratch: Floats, out: Floats) -> int:
    """Draw unsure deviations once more, each on the finer grid of its own window; how many stay unsure."""
    unsure, size, end = 0, window + 1, window
    a, b, c, d = scratch[:size], scratch[size : 2 * size], scratch[2 * size : 3 * size], scratch[3 * size : 4 * size]
    for i in range(len(out)):
        if out[i] != out[i]:
            fits, slack = fill(SPREAD, values[i : i + window], scratch)
            if fits:
                slack *= float(window) * window
                unsure += _spread(
                    a[end:], a[:1], b[end:], b[:1], c[end:], c[:1], d[end:], d[:1], window, count, slack, out[i : i + 1]
                )
            else:
                unsure += 1
    return unsure


@kernel
def draw(
    figure: int,
    window: int,
    ddof: int,
    values: Floats,
    fit: tuple[bool, float],
    scratch: Floats,
    start: int,
    out: Floats,
) -> None:
    """Write the figures over ``window`` values that begin at ``start``, ``start + 1``, … of the block.

    A sum becomes a mean, a weighted sum a weighted mean, and squared deviations a deviation over ``window − ddof``.
    """
    n, size, end = len(out), len(values) + 1, start + window
    a, b, c, d = scratch[:size], scratch[size : 2 * size], scratch[2 * size : 3 * size], scratch[3 * size : 4 * size]
    last, stop, spare = start + n, end + n, scratch[4 * size :]
    fits, slack = fit
    if fits and figure == SUM:
        _mean(a[end:stop], a[start:last], b[end:stop], b[start:last], window, out)
        return
    if fits and figure == WEIGHTED:
        _weighted(a[end:stop], c[end:stop], c[start:last], b[end:stop], d[end:stop], d[start:last], window, out)
        return
    own, unsure, count = values[start : last + window - 1], n, float(window) * (window - ddof)
    if fits:
        slack *= float(window) * window
        unsure = _spread(
            a[end:stop], a[start:last], b[end:stop], b[start:last], c[end:stop], c[start:last], d[end:stop],
            d[start:last], window, count, slack, out,
        )  # fmt: skip
    else:
        out[:] = np.nan
    if unsure and figure == SPREAD:
        unsure = _stand_still(window, own, out)
        unsure = _closer(window, count, own, spare, out) if unsure else 0
    if unsure:
        wholes.draw(figure, window, ddof, own, spare, out)
