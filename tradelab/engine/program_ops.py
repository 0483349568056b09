"""Carry out the instructions of a program on one tile of bars: lines of numbers, and words of 64 yes-or-no bars.

An instruction names what to do, the row it writes and the rows it reads. Lines live in one flat float64 memory, words
in one flat uint64 memory, for every array handed from kernel to kernel costs more than a handful of instructions. What
must be known from the tile before (the last values of a delayed line, the side on which two lines last lay) is kept at
the head of the same memories, at the instruction's own place ``keep``.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.bits import before, last_bit, ordered, side_before, side_kept
from tradelab.engine.jit import Row, kernel

INSTRUCTION = np.dtype(
    [("op", "i4"), ("into", "i4"), ("a", "i4"), ("b", "i4"), ("keep", "i4"), ("n", "i4"), ("value", "f8")], align=True
)

# Lines: `a` is a column for COLUMN, else `a` and `b` are rows of lines.
COLUMN, CONSTANT, NEGATIVE, SIZE, ADD, SUBTRACT, MULTIPLY, DIVIDE, LESSER, GREATER, DELAY = range(11)
# Lines that are drawn a tile at a time, many windows at once (`tradelab.engine.program_rows`): no instructions.
SMA, WMA, DEVIATION, HIGHEST, LOWEST, EMA, RMA, RSI = range(11, 19)
# Words out of two lines. RISES writes two rows, `into` where a rises above b and the next where it falls below;
# CROSSES likewise, with a memory of the side through touches.
ABOVE, REACHES, EQUALS, RISES, CROSSES = range(19, 24)
# Words out of words: `a` is a row of given words for GIVEN, else `a` and `b` are rows of words.
GIVEN, ALWAYS, AND, OR, DIFFER, NOT, LATER = range(24, 31)
LINES = ABOVE  # operations below make lines

_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_ONE, _TWO = np.uint64(1), np.uint64(2)


@kernel
def _column(columns: np.ndarray, column: int, first: int, last: int, floats: np.ndarray, into: int, room: int) -> None:
    """Lay a stretch of a column down; NaN after its end."""
    for i in range(last - first):
        floats[np.uint64(into + i)] = columns[np.uint64(column), np.uint64(first + i)]
    for i in range(last - first, room):
        floats[into + i] = np.nan


@kernel
def _alone(op: int, floats: np.ndarray, into: int, a: int, value: float, room: int) -> None:
    """Lines out of one line or none."""
    if op == CONSTANT:
        for i in range(room):
            floats[np.uint64(into + i)] = value
    elif op == NEGATIVE:
        for i in range(room):
            floats[np.uint64(into + i)] = -floats[np.uint64(a + i)]
    else:
        for i in range(room):
            floats[np.uint64(into + i)] = abs(floats[np.uint64(a + i)])


@kernel
def _together(op: int, floats: np.ndarray, into: int, a: int, b: int, room: int) -> None:
    """Lines out of two lines; a NaN in either is a NaN."""
    if op == ADD:
        for i in range(room):
            floats[np.uint64(into + i)] = floats[np.uint64(a + i)] + floats[np.uint64(b + i)]
    elif op == SUBTRACT:
        for i in range(room):
            floats[np.uint64(into + i)] = floats[np.uint64(a + i)] - floats[np.uint64(b + i)]
    elif op == MULTIPLY:
        for i in range(room):
            floats[np.uint64(into + i)] = floats[np.uint64(a + i)] * floats[np.uint64(b + i)]
    elif op == DIVIDE:
        for i in range(room):
            floats[np.uint64(into + i)] = floats[np.uint64(a + i)] / floats[np.uint64(b + i)]
    elif op == LESSER:
        for i in range(room):
            x, y = floats[np.uint64(a + i)], floats[np.uint64(b + i)]
            floats[np.uint64(into + i)] = x if x <= y or x != x else y
    else:
        for i in range(room):
            x, y = floats[np.uint64(a + i)], floats[np.uint64(b + i)]
            floats[np.uint64(into + i)] = x if x >= y or x != x else y


@kernel
def _delay(floats: np.ndarray, into: int, a: int, keep: int, n: int, bars: int) -> None:
    """A line ``n`` bars late: first what is kept of the tiles before, then this tile's; the newest ``n`` are kept."""
    held = min(n, bars)
    for i in range(held):
        floats[into + i] = floats[keep + i]
    for i in range(n, bars):
        floats[np.uint64(into + i)] = floats[np.uint64(a + i - n)]
    for i in range(n - held):
        floats[keep + i] = floats[keep + i + held]
    for i in range(held):
        floats[keep + n - held + i] = floats[a + bars - held + i]


@kernel
def _compare(op: int, floats: np.ndarray, a: int, b: int, words: np.ndarray, into: int, count: int) -> None:
    """One comparison of two lines."""
    for w in range(count):
        ge, le = ordered(floats, a + 64 * w, b + 64 * w)
        if op == ABOVE:
            ge &= ~le
        elif op == EQUALS:
            ge &= le
        words[into + w] = ge


@kernel
def rises(floats: np.ndarray, a: int, b: int, words: np.ndarray, up: int, down: int, keep: int, count: int) -> None:
    """Where line ``a`` is above ``b`` and was known not to be on the bar before, and the same of ``b`` above ``a``."""
    kept = words[keep]
    was_le, was_ge = kept & _ONE, kept >> _ONE
    for w in range(count):
        ge, le = ordered(floats, a + 64 * w, b + 64 * w)
        words[up + w] = ge & ~le & before(le, was_le)
        words[down + w] = le & ~ge & before(ge, was_ge)
        was_le, was_ge = last_bit(le), last_bit(ge)
    words[keep] = was_le | (was_ge << _ONE)


@kernel
def crosses(floats: np.ndarray, a: int, b: int, words: np.ndarray, up: int, down: int, keep: int, count: int) -> None:
    """Where line ``a`` has come to lie above ``b``, having last lain below, and the reverse; a NaN forgets the side."""
    kept = words[keep]
    was_below, was_above = kept & _ONE, kept >> _ONE
    for w in range(count):
        ge, le = ordered(floats, a + 64 * w, b + 64 * w)
        above, below, touching = ge & ~le, le & ~ge, ge & le
        words[up + w] = above & side_before(below, touching, was_below)
        words[down + w] = below & side_before(above, touching, was_above)
        was_below, was_above = side_kept(below, touching, was_below), side_kept(above, touching, was_above)
    words[keep] = was_below | (was_above << _ONE)


@kernel
def _combine(op: int, words: np.ndarray, into: int, a: int, b: int, count: int) -> None:
    """Words out of words, bar by bar."""
    for w in range(count):
        x, y = words[np.uint64(a + w)], words[np.uint64(b + w)]
        if op == AND:
            z = x & y
        elif op == OR:
            z = x | y
        elif op == DIFFER:
            z = x ^ y
        else:
            z = ~x
        words[np.uint64(into + w)] = z


@kernel
def _later(words: np.ndarray, into: int, a: int, keep: int, n: int, count: int) -> None:
    """Words ``n`` bars late: ``n // 64`` words, and the rest by bits; the newest words are kept."""
    whole, rest = n >> 6, np.uint64(n & 63)
    held = whole + 1
    for w in range(count):
        newer = words[a + w - whole] if w >= whole else words[keep + held + w - whole]
        older = words[a + w - whole - 1] if w > whole else words[keep + held + w - whole - 1]
        words[into + w] = (newer << rest) | ((older >> _ONE) >> (np.uint64(63) - rest))
    moved = min(held, count)
    for i in range(held - moved):
        words[keep + i] = words[keep + i + moved]
    for i in range(moved):
        words[keep + held - moved + i] = words[a + count - moved + i]


@kernel
def _from_words(
    step: Row, given: np.ndarray, words: np.ndarray, base: int, stride: int, first: int, count: int
) -> None:
    """Instructions that read words alone."""
    into = base + step.into * stride
    if step.op == GIVEN:
        for w in range(count):
            words[into + w] = given[step.a, (first >> 6) + w]
    elif step.op == ALWAYS:
        for w in range(count):
            words[into + w] = _ALL
    elif step.op == LATER:
        _later(words, into, base + step.a * stride, step.keep, step.n, count)
    else:
        _combine(step.op, words, into, base + step.a * stride, base + step.b * stride, count)


@kernel
def execute(
    code: np.ndarray,
    begin: int,
    end: int,
    columns: np.ndarray,
    given: np.ndarray,
    floats: np.ndarray,
    words: np.ndarray,
    float_base: int,
    word_base: int,
    room: int,
    first: int,
    last: int,
) -> None:
    """Carry out instructions ``begin`` up to ``end`` on bars ``first`` up to ``last``, at most ``room`` of them.

    Row ``r`` of lines begins at place ``float_base + r·room``, row ``r`` of words at ``word_base + r·(room/64)``.
    """
    bars = last - first
    count = (bars + 63) >> 6
    full, stride = count << 6, room >> 6
    for k in range(begin, end):
        step = code[k]
        op = step.op
        a, b = float_base + step.a * room, float_base + step.b * room
        if op >= GIVEN:
            _from_words(step, given, words, word_base, stride, first, count)
        elif op == RISES or op == CROSSES:  # noqa: SIM109 (a set made on the way costs more than it says)
            up = word_base + step.into * stride
            if op == RISES:
                rises(floats, a, b, words, up, up + stride, step.keep, count)
            else:
                crosses(floats, a, b, words, up, up + stride, step.keep, count)
        elif op >= ABOVE:
            _compare(op, floats, a, b, words, word_base + step.into * stride, count)
        else:
            into = float_base + step.into * room
            if op == COLUMN:
                _column(columns, step.a, first, last, floats, into, full)
            elif op == DELAY:
                _delay(floats, into, a, step.keep, step.n, bars)
            elif op <= SIZE:
                _alone(op, floats, into, a, step.value, full)
            else:
                _together(op, floats, into, a, b, full)
