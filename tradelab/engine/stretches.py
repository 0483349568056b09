"""Put a figure over a window together from figures over stretches of 1, 2, 4, 8, … values, a tile of bars at a time.

A figure over 2, 4, 8, … values is made of two halves. A window is read as a hexadecimal number, each digit of which is
put together from the stretches that are its bits, and then the digits are put together, all from the oldest value to
the newest::

    window 0x2B = 43:    |······ 32 values ······|···· 8 ····|·2·|1|
                          digit 2, of sixteens     digit B, of ones

So a figure depends on the values in its window and on nothing else, to the last bit, and no value waits for its
neighbour: every pass runs in vector registers. And windows have their digits in common: all windows up to 255 together
need thirty rows, after which one window more is a single addition.

The table of a tile has shape (channels, 16 · places, values). Row ``16 · place + digit`` holds the figure over the
``digit · 16^place`` values that begin at each place of the tile; rows of digit 0, which mean nothing, are for scratch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine.jit import maker
from tradelab.engine.rounding import quotient

Floats = NDArray[np.float64]

TILE = 1024  # bars whose stretches stay in the nearest caches

SUM, WEIGHTED, SPREAD, HIGHEST, LOWEST = range(5)  # figures; WEIGHTED and SPREAD fill a second channel


@maker
def blank_table(figure: int, widest: int, length: int) -> tuple[Floats, NDArray[np.bool_]]:
    """An empty table for windows up to ``widest`` over ``length`` values, and its rows wanted, none so far."""
    places = 1
    while widest >> (4 * places):
        places += 1
    channels = 2 if figure in (WEIGHTED, SPREAD) else 1
    return np.empty((channels, 16 * places, length)), np.zeros(16 * places, np.bool_)


@maker
def _longest(window: int) -> tuple[int, int]:
    """Row and length of the longest stretch of 1, 2, 4, … values that ``window`` has room for."""
    row, span = 1, 1
    while 2 * span <= window:
        span *= 2
        row += row & 15 if row & 7 else 9  # after the 8 of a place comes the 1 of the next
    return row, span


@maker
def want(figure: int, window: int, wanted: NDArray[np.bool_]) -> None:
    """Mark the rows which a figure over ``window`` is made of."""
    if figure in (HIGHEST, LOWEST):
        window = _longest(window)[1]  # two of them, overlapping, make any window
    for place in range(len(wanted) // 16):
        rest = window >> (4 * place)
        for bit in range(4):
            if rest >> bit and (place > 0 or bit > 1):
                wanted[16 * place + (1 << bit)] = True
        digit = rest & 15
        while digit:
            wanted[16 * place + digit] = True
            wanted[16 * place + (digit & -digit)] = True
            digit &= digit - 1
    wanted[1] |= wanted[2]


@maker
def _join_one(figure: int, older: Floats, newer: Floats, out: Floats) -> None:
    """Join stretches for the figures of one channel."""
    if figure == SUM:
        for i in range(len(out)):
            out[i] = older[i] + newer[i]
    elif figure == HIGHEST:
        for i in range(len(out)):
            out[i] = older[i] if older[i] > newer[i] else newer[i]
    else:
        for i in range(len(out)):
            out[i] = older[i] if older[i] < newer[i] else newer[i]


@maker
def _join_weighted(
    older: Floats, older_sum: Floats, newer: Floats, newer_sum: Floats, shift: float, out: Floats, out_sum: Floats
) -> None:
    """Join weighted sums: the weights of the newer values rise by the number of older ones, ``shift``."""
    for i in range(len(out)):
        last = newer_sum[i]
        total, plain = newer[i] + shift * last + older[i], older_sum[i] + last
        out[i], out_sum[i] = total, plain


@maker
def _join_spread(
    older: Floats,
    older_mean: Floats,
    newer: Floats,
    newer_mean: Floats,
    share: float,
    weight: float,
    out: Floats,
    out_mean: Floats,
) -> None:
    """Join squared deviations (Chan, Golub & LeVeque 1979, eq. 1.5).

    ``share`` is the older values' part of all, ``weight`` their part times the number of the newer ones.
    """
    for i in range(len(out)):
        last = newer_mean[i]
        apart = older_mean[i] - last
        total, mean = newer[i] + older[i] + apart * apart * weight, last + apart * share
        out[i], out_mean[i] = total, mean


@maker
def _join_four(figure: int, a: Floats, b: Floats, c: Floats, d: Floats, out: Floats, other: Floats) -> None:
    """Join four values at once, to the bits of joining two and two; ``other`` is the first channel if there are two."""
    if figure == SUM:
        for i in range(len(out)):
            out[i] = (a[i] + b[i]) + (c[i] + d[i])
    elif figure == WEIGHTED:
        for i in range(len(out)):
            older, newer = a[i] + b[i], c[i] + d[i]
            total = (d[i] + d[i] + c[i]) + 2.0 * newer + (b[i] + b[i] + a[i])
            other[i], out[i] = older + newer, total
    elif figure == SPREAD:
        for i in range(len(out)):
            left, right = a[i] - b[i], c[i] - d[i]
            newer = d[i] + right * 0.5
            apart = b[i] + left * 0.5 - newer
            total = right * right * 0.5 + left * left * 0.5 + apart * apart
            other[i], out[i] = newer + apart * 0.5, total
    elif figure == HIGHEST:
        for i in range(len(out)):
            older, newer = a[i] if a[i] > b[i] else b[i], c[i] if c[i] > d[i] else d[i]
            out[i] = older if older > newer else newer
    else:
        for i in range(len(out)):
            older, newer = a[i] if a[i] < b[i] else b[i], c[i] if c[i] < d[i] else d[i]
            out[i] = older if older < newer else newer


@maker
def _join(
    figure: int,
    table: Floats,
    older: int,
    start: int,
    olders: int,
    newer: int,
    then: int,
    newers: int,
    row: int,
    n: int,
) -> None:
    """Join ``n`` stretches of ``olders`` values with the ``newers`` values after them, into ``row``.

    Row ``older`` has the former from place ``start`` on, row ``newer`` the latter from ``then`` on.
    """
    stop, end = start + n, then + n
    if figure == WEIGHTED:
        _join_weighted(
            table[1, older, start:stop], table[0, older, start:stop], table[1, newer, then:end],
            table[0, newer, then:end], olders, table[1, row, :n], table[0, row, :n],
        )  # fmt: skip
    elif figure == SPREAD:
        share = olders / (olders + newers)
        _join_spread(
            table[1, older, start:stop], table[0, older, start:stop], table[1, newer, then:end],
            table[0, newer, then:end], share, share * newers, table[1, row, :n], table[0, row, :n],
        )  # fmt: skip
    else:
        _join_one(figure, table[0, older, start:stop], table[0, newer, then:end], table[0, row, :n])


@maker
def _begin(figure: int, values: Floats, out: Floats, other: Floats) -> None:
    """Write single values as figures: a sum is the value, weighed or not, and one value does not deviate."""
    for i in range(len(values)):
        out[i] = values[i]
    if figure == WEIGHTED:
        for i in range(len(values)):
            other[i] = values[i]
    elif figure == SPREAD:
        for i in range(len(values)):
            other[i] = 0.0


@maker
def fill(figure: int, values: Floats, wanted: NDArray[np.bool_], table: Floats) -> None:
    """Compute the rows wanted over the values of a tile, each from two rows before it, the first ones from values."""
    length = len(values)
    if wanted[1]:
        _begin(figure, values, table[0, 1], table[-1, 1])
    for row in range(2, len(wanted)):
        if wanted[row] and row == 4 and not wanted[2]:
            n = length - 3
            _join_four(figure, values[:n], values[1:], values[2:], values[3:], table[-1, 4, :n], table[0, 4, :n])
        elif wanted[row]:
            digit = row & 15
            low = digit & -digit
            if digit > low:
                older, newer = row - low, row - digit + low
            else:
                older = newer = row - low // 2 if low > 1 else row - 9  # the 1 of a place is twice the 8 before it
            olders, newers = (older & 15) << 4 * (older >> 4), (newer & 15) << 4 * (newer >> 4)
            _join(figure, table, older, 0, olders, newer, olders, newers, row, length - olders - newers + 1)


@maker
def _digit(window: int, place: int) -> tuple[int, int]:
    """Row and length of the stretch that is one hexadecimal digit of ``window``."""
    digit = (window >> (4 * place)) & 15
    return 16 * place + digit, digit << (4 * place)


@maker
def _put_together(figure: int, window: int, table: Floats, start: int, n: int) -> tuple[int, int]:
    """Join the digits of ``window`` for ``n`` windows from ``start`` on; return the row and where they begin in it."""
    places = table.shape[1] // 16
    row, taken = _digit(window, places - 1)
    at = start
    for place in range(places - 2, -1, -1):
        newer, newers = _digit(window, place)
        if newers and taken:
            _join(figure, table, row, at, taken, newer, start + taken, newers, 16 * place, n)
            row, at = 16 * place, 0
        elif newers:
            row = newer
        taken += newers
    return row, at


@maker
def _divided(totals: Floats, count: float, out: Floats) -> None:
    share = 1.0 / count
    for i in range(len(out)):
        out[i] = quotient(totals[i], count, share)


@maker
def _mean(older: Floats, newer: Floats, count: float, out: Floats) -> None:
    """Join two sums and divide, in one pass."""
    share = 1.0 / count
    for i in range(len(out)):
        out[i] = quotient(older[i] + newer[i], count, share)


@maker
def _rooted(totals: Floats, count: float, out: Floats) -> None:
    share = 1.0 / count
    for i in range(len(out)):
        out[i] = np.sqrt(quotient(totals[i], count, share))


@maker
def draw(figure: int, window: int, ddof: int, table: Floats, start: int, out: Floats) -> None:
    """Write the figures over ``window`` values that begin at ``start``, ``start + 1``, … of the tile.

    A sum becomes a mean, a weighted sum a weighted mean, and squared deviations a deviation over ``window − ddof``.
    """
    n = len(out)
    if figure in (HIGHEST, LOWEST):
        row, span = _longest(window)
        then = start + window - span
        _join_one(figure, table[0, row, start : start + n], table[0, row, then : then + n], out)
        return
    place = 0
    while (window >> (4 * place)) & 15 == 0:
        place += 1
    newest, few = _digit(window, place)
    if figure == SUM and few < window:  # the last of the digits is joined and divided in one pass
        then = start + window - few
        row, at = _put_together(figure, window - few, table, start, n)
        _mean(table[0, row, at : at + n], table[0, newest, then : then + n], window, out)
        return
    row, at = _put_together(figure, window, table, start, n)
    if figure == SPREAD:
        _rooted(table[1, row, at : at + n], window - ddof, out)
    elif figure == WEIGHTED:
        _divided(table[1, row, at : at + n], window * (window + 1) // 2, out)
    else:
        _divided(table[0, row, at : at + n], window, out)


@maker
def loom(figure: int, window: int, bars: int) -> tuple[int, NDArray[np.bool_], Floats]:
    """Bars to a tile for one window over so many bars, the rows that it wants, and their table."""
    tile = min(max(TILE, 4 * window), bars)
    table, wanted = blank_table(figure, window, tile + window - 1)
    want(figure, window, wanted)
    return tile, wanted, table
