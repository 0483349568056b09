"""Build a program: name lines and conditions one by one, and what was named before is found again, not made twice.

Every function of `Builder` returns the number of what it names. Two combinations that ask for the same thing get the
same number, whoever asked first; `Builder.build` then sees what several combinations share, which is computed once a
tile for all, and what one alone uses, which is computed when its signals are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tradelab.engine import program_ops as ops
from tradelab.engine.bits import Words, words_of
from tradelab.engine.program import NEVER, Program, Tables

_UNUSED, _SHARED = -1, -2
_TWINS = (ops.RISES, ops.CROSSES)  # instructions with two results: which one a name means is its ``n``, 0 up, 1 down
_LEAVES = (ops.COLUMN, ops.CONSTANT, ops.GIVEN, ops.ALWAYS)
_ALONE = (ops.NEGATIVE, ops.SIZE, ops.DELAY, ops.NOT, ops.LATER)


class Builder:
    """Collect lines, conditions and combinations over ``bars`` bars."""

    def __init__(self, bars: int) -> None:
        self.bars = bars
        self._columns: list[np.ndarray] = []
        self._given: list[np.ndarray] = []
        self._op: list[int] = []
        self._a: list[int] = []
        self._b: list[int] = []
        self._n: list[int] = []
        self._value: list[float] = []
        self._known: dict[tuple[object, ...], int] = {}
        self._places: dict[int, int] = {}
        self._roots: list[tuple[int, ...]] = []
        self._quiet: list[int] = []

    def _named(self, op: int, a: int = 0, b: int = 0, n: int = 0, value: float = 0.0) -> int:
        key = (op, a, b, n, value.hex())  # by its digits: 0.0 and −0.0 are equal, and divide differently
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = len(self._op)
            self._op.append(op)
            self._a.append(a)
            self._b.append(b)
            self._n.append(n)
            self._value.append(value)
        return found

    def is_line(self, number: int) -> bool:
        """Whether a number names a line; else it names a condition."""
        return self._op[number] < ops.LINES

    def column(self, values: np.ndarray) -> int:
        """A line that is there already: one value a bar. The same array is the same line."""
        if values.shape != (self.bars,):
            raise ValueError(f"a column has shape {values.shape}, not one value for each of {self.bars} bars.")
        place = self._places.get(id(values))
        if place is None:
            place = self._places[id(values)] = len(self._columns)
            self._columns.append(values)
        return self._named(ops.COLUMN, place)

    def constant(self, value: float) -> int:
        """The same number on every bar."""
        return self._named(ops.CONSTANT, value=float(value))

    def negative(self, a: int) -> int:
        """The line with its sign turned."""
        return self._a[a] if self._op[a] == ops.NEGATIVE else self._named(ops.NEGATIVE, a)

    def size(self, a: int) -> int:
        """The line without its sign."""
        return self._named(ops.SIZE, a)

    def combine(self, op: int, a: int, b: int) -> int:
        """Two lines by ``ADD``, ``SUBTRACT``, ``MULTIPLY``, ``DIVIDE``, ``LESSER`` or ``GREATER``."""
        if op not in (ops.ADD, ops.SUBTRACT, ops.MULTIPLY, ops.DIVIDE, ops.LESSER, ops.GREATER):
            raise ValueError(f"operation {op} does not make a line of two; take one from ADD to GREATER.")
        return self._named(op, a, b)

    def delayed(self, a: int, n: int) -> int:
        """The line ``n`` bars late; NaN on the first ``n``."""
        self._require_past(n)
        return self._named(ops.DELAY, a, n=n) if n else a

    def above(self, a: int, b: int) -> int:
        """Where line ``a`` is above ``b``."""
        if self._op[a] == self._op[b] == ops.NEGATIVE:
            return self._named(ops.ABOVE, self._a[b], self._a[a])
        return self._named(ops.ABOVE, a, b)

    def reaches(self, a: int, b: int) -> int:
        """Where line ``a`` is at or above ``b``."""
        if self._op[a] == self._op[b] == ops.NEGATIVE:
            return self._named(ops.REACHES, self._a[b], self._a[a])
        return self._named(ops.REACHES, a, b)

    def equals(self, a: int, b: int) -> int:
        """Where two lines are equal; NaN equals nothing."""
        return self._named(ops.EQUALS, min(a, b), max(a, b))

    def rises_above(self, a: int, b: int) -> int:
        """Where line ``a`` is above ``b`` and was known to be at or below it on the bar before."""
        return self._twin(ops.RISES, a, b)

    def crosses_above(self, a: int, b: int) -> int:
        """Where line ``a`` has come to lie above ``b``, having last lain below (`windows.crossings` is 1)."""
        return self._twin(ops.CROSSES, a, b)

    def _twin(self, op: int, a: int, b: int) -> int:
        if self._op[a] == self._op[b] == ops.NEGATIVE:
            a, b = self._a[b], self._a[a]
        return self._named(op, a, b, 0) if a <= b else self._named(op, b, a, 1)

    def given(self, words: Words) -> int:
        """Words that are there already, 64 bars each (`tradelab.engine.bits.pack`). The same array is the same row."""
        if words.shape != (words_of(self.bars),):
            raise ValueError(f"words have shape {words.shape}, not {words_of(self.bars)} of 64 bars each.")
        place = self._places.get(id(words))
        if place is None:
            place = self._places[id(words)] = len(self._given)
            self._given.append(words)
        return self._named(ops.GIVEN, place)

    def always(self) -> int:
        """True on every bar."""
        return self._named(ops.ALWAYS)

    def both(self, a: int, b: int) -> int:
        """Where both conditions hold."""
        return a if a == b else self._named(ops.AND, min(a, b), max(a, b))

    def either(self, a: int, b: int) -> int:
        """Where one condition holds, or both."""
        return a if a == b else self._named(ops.OR, min(a, b), max(a, b))

    def differ(self, a: int, b: int) -> int:
        """Where one condition holds and the other does not."""
        return self._named(ops.DIFFER, min(a, b), max(a, b))

    def fails(self, a: int) -> int:
        """Where the condition does not hold."""
        return self._a[a] if self._op[a] == ops.NOT else self._named(ops.NOT, a)

    def later(self, a: int, n: int) -> int:
        """The condition ``n`` bars late; false on the first ``n``."""
        self._require_past(n)
        return self._named(ops.LATER, a, n=n) if n else a

    def _require_past(self, n: int) -> None:
        if n < 0:
            raise ValueError(f"a shift by {n} bars looks into the future.")

    def combination(self, roots: Sequence[int | None], quiet: int = 0) -> int:
        """Add a combination: long entry, long exit, short entry, short exit, ``None`` for never.

        It says nothing before bar ``quiet``.
        """
        self._roots.append(tuple(NEVER if root is None else root for root in roots))
        self._quiet.append(quiet)
        return len(self._roots) - 1

    def build(self) -> Program:
        """Return the program of all that was named and is used; the builder has done its work then."""
        owners = self._owners()
        own: dict[int, list[int]] = {}
        for node, owner in enumerate(owners):
            if owner != _UNUSED:
                own.setdefault(owner, []).append(node)
        writer = _Writer(self)
        writer.write(own.get(_SHARED, ()))
        shared, common = len(writer.code), (dict(writer.rows), writer.lines, writer.words)
        lines, words = writer.lines, writer.words
        table = np.empty((len(self._roots), 7), np.int64)
        for c, roots in enumerate(self._roots):
            rows, writer.lines, writer.words = common
            writer.rows = dict(rows) if c == 0 else writer.rows
            begin = len(writer.code)
            writer.write(own.get(c, ()))
            table[c] = (begin, len(writer.code), self._quiet[c], *(writer.rows[r] if r >= 0 else NEVER for r in roots))
            lines, words = max(lines, writer.lines), max(words, writer.words)
        return Program(
            Tables(
                np.array(writer.code, ops.INSTRUCTION),
                table,
                _stacked(self._columns, self.bars, np.float64),
                _stacked(self._given, words_of(self.bars), np.uint64),
                shared,
                -(-writer.kept_floats // 8) * 8,
                -(-writer.kept_words // 8) * 8,
            ),
            self.bars,
            (lines, words),
        )

    def _owners(self) -> list[int]:
        """Of each name, the one combination that uses it, or that several do, or none."""
        owners = [_UNUSED] * len(self._op)
        for c, roots in enumerate(self._roots):
            waiting = [root for root in roots if root >= 0]
            while waiting:
                node = waiting.pop()
                if owners[node] in (c, _SHARED):
                    continue
                owners[node] = c if owners[node] == _UNUSED else _SHARED
                waiting.extend(self._needs(node))
        return owners

    def _needs(self, node: int) -> Iterable[int]:
        op = self._op[node]
        if op in _LEAVES:
            return ()
        return (self._a[node],) if op in _ALONE else (self._a[node], self._b[node])


def _stacked(rows: list[np.ndarray], length: int, dtype: type) -> np.ndarray:
    """Rows as one array; the list is emptied on the way, so that what nobody else holds is not held twice."""
    out: np.ndarray = np.empty((len(rows), length), dtype)
    for k in range(len(rows)):
        out[k], rows[k] = rows[k], np.empty(0)
    return out


class _Writer:
    """Write names as instructions, and give each a row."""

    def __init__(self, source: Builder) -> None:
        self.source = source
        self.code: list[tuple[int, int, int, int, int, int, float]] = []
        self.rows: dict[int, int] = {}
        self.lines = self.words = 0
        self.kept_floats = self.kept_words = 0

    def write(self, nodes: Iterable[int]) -> None:
        """Write instructions for ``nodes``, in the order they were named, which is one they can be computed in."""
        of, pairs = self.source, {}
        for node in nodes:
            op, a, b, n = of._op[node], of._a[node], of._b[node], of._n[node]
            if op in _TWINS:
                if (op, a, b) not in pairs:
                    pairs[op, a, b] = self._row(op, 2)
                    self._put(op, pairs[op, a, b], a, b, self._keep(op, n), n, 0.0)
                self.rows[node] = pairs[op, a, b] + n
                continue
            into = self.rows[node] = self._row(op, 1)
            self._put(op, into, a, b, self._keep(op, n), n, of._value[node])

    def _put(self, op: int, into: int, a: int, b: int, keep: int, n: int, value: float) -> None:
        if op not in _LEAVES:
            a = self.rows[a]
            b = 0 if op in _ALONE else self.rows[b]
        self.code.append((op, into, a, b, keep, n, value))

    def _row(self, op: int, many: int) -> int:
        if op < ops.LINES:
            self.lines += many
            return self.lines - many
        self.words += many
        return self.words - many

    def _keep(self, op: int, n: int) -> int:
        """Room to keep what the next tile must know."""
        if op == ops.DELAY:
            self.kept_floats += n
            return self.kept_floats - n
        size = {ops.RISES: 1, ops.CROSSES: 1, ops.LATER: (n >> 6) + 1}.get(op, 0)
        self.kept_words += size
        return self.kept_words - size
