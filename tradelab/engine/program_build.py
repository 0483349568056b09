"""Build a program: name lines and conditions, and what was named before is found again, not made twice.

Every function of `Builder` returns the number of what it names, and takes arrays of numbers as well as single ones: a
sweep names ten thousand crossings in one call. Two combinations that ask for the same thing get the same number,
whoever asked first; `Builder.build` then sees what several combinations share, which is computed once a tile for all,
and what one alone uses, which is computed when its signals are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tradelab.engine import program_ops as ops
from tradelab.engine.bits import Words, words_of
from tradelab.engine.program import NEVER, Program, Tables
from tradelab.engine.program_frame import FRAME
from tradelab.engine.program_rows import KEPT, KINDS
from tradelab.engine.windows import stretch_known

Name = Any  # one number, or an int64 array of numbers

_TWINS = (ops.RISES, ops.CROSSES)  # instructions with two results: which one a name means is its ``n``, 0 up, 1 down
_LEAVES = (ops.COLUMN, ops.CONSTANT, ops.GIVEN, ops.ALWAYS, *KINDS)
_ALONE = (ops.NEGATIVE, ops.SIZE, ops.DELAY, ops.NOT, ops.LATER)
_TWO = (ops.ADD, ops.SUBTRACT, ops.MULTIPLY, ops.DIVIDE, ops.LESSER, ops.GREATER)


class Builder:
    """Collect lines, conditions and combinations over ``bars`` bars."""

    def __init__(self, bars: int) -> None:
        self.bars = bars
        self._columns: list[np.ndarray] = []
        self._given: list[np.ndarray] = []
        self._places: dict[int, int] = {}
        self._known: dict[int, dict[tuple[int, int, int], int]] = {}
        self._names = np.zeros((5, 64), np.int64)  # of each name: op, a, b, n, level
        self._many = 0
        self._roots: list[np.ndarray] = []
        self._quiet: list[np.ndarray] = []

    def _named(self, op: int, a: Name = 0, b: Name = 0, n: Name = 0) -> Name:
        """The number of each row of (op, a, b, n), a new one where there is none yet."""
        known = self._known.setdefault(op, {})
        if np.ndim(a) == 0 and np.ndim(b) == 0 and np.ndim(n) == 0:
            key = (int(a), int(b), int(n))
            return known[key] if key in known else int(self._new(op, known, np.array([key]))[0])
        rows = np.stack(np.broadcast_arrays(a, b, n), axis=-1).astype(np.int64)
        distinct, inverse = _distinct(rows)
        keys = list(map(tuple, distinct.tolist()))
        numbers = np.array([known.get(key, -1) for key in keys], np.int64)
        fresh = numbers < 0
        if fresh.any():
            numbers[fresh] = self._new(op, known, distinct[fresh])
        return numbers[inverse]

    def _new(self, op: int, known: dict[tuple[int, int, int], int], rows: np.ndarray) -> np.ndarray:
        end = self._many + len(rows)
        if end > self._names.shape[1]:
            wider = np.zeros((5, 2 * end), np.int64)
            wider[:, : self._many] = self._names[:, : self._many]
            self._names = wider
        numbers = np.arange(self._many, end)
        self._names[0, self._many : end] = op
        self._names[1:4, self._many : end] = rows.T
        if op not in _LEAVES:  # one level above what it is made of
            level = self._names[4, rows[:, 0]]
            if op not in _ALONE:
                level = np.maximum(level, self._names[4, rows[:, 1]])
            self._names[4, self._many : end] = level + 1
        known.update(zip(map(tuple, rows.tolist()), numbers.tolist(), strict=True))
        self._many = end
        return numbers

    def _op(self, name: Name) -> Any:
        return self._names[0, name]

    def is_line(self, name: Name) -> bool:
        """Whether all of these are lines; else one is a condition."""
        return bool(np.all(self._op(name) < ops.LINES))

    def is_condition(self, name: Name) -> bool:
        """Whether all of these are conditions; else one is a line."""
        return bool(np.all(self._op(name) >= ops.LINES))

    def column(self, values: np.ndarray) -> int:
        """A line that is there already: one value a bar. The same array is the same line."""
        if values.shape != (self.bars,):
            raise ValueError(f"a column has shape {values.shape}, not one value for each of {self.bars} bars.")
        place = self._places.get(id(values))
        if place is None:
            place = self._places[id(values)] = len(self._columns)
            self._columns.append(values)
        return int(self._named(ops.COLUMN, place))

    def constant(self, value: float) -> int:
        """The same number on every bar."""
        bits = int(np.float64(value).view(np.int64))  # 0.0 and −0.0 are equal, and divide differently
        return int(self._named(ops.CONSTANT, bits))

    def rolled(self, kind: int, column: Name, window: Name, ddof: int = 0) -> Name:
        """An indicator from ``SMA`` to ``RSI`` of a column over a window, drawn tile by tile; never held whole."""
        if kind not in KINDS or np.any(self._op(column) != ops.COLUMN):
            raise ValueError("an indicator of rows is one from SMA to RSI, of a column.")
        return self._named(kind, self._names[1, column], window, ddof)

    def negative(self, a: Name) -> Name:
        """The line with its sign turned."""
        return self._named(ops.NEGATIVE, a)

    def size(self, a: Name) -> Name:
        """The line without its sign."""
        return self._named(ops.SIZE, a)

    def combine(self, op: int, a: Name, b: Name) -> Name:
        """Two lines by ``ADD``, ``SUBTRACT``, ``MULTIPLY``, ``DIVIDE``, ``LESSER`` or ``GREATER``."""
        if op not in _TWO:
            raise ValueError(f"operation {op} does not make a line of two; take one from ADD to GREATER.")
        return self._named(op, a, b)

    def delayed(self, a: Name, n: Name) -> Name:
        """The line ``n`` bars late; NaN on the first ``n``."""
        return self._shifted(ops.DELAY, a, n)

    def above(self, a: Name, b: Name) -> Name:
        """Where line ``a`` is above ``b``."""
        return self._named(ops.ABOVE, *self._turned(a, b))

    def reaches(self, a: Name, b: Name) -> Name:
        """Where line ``a`` is at or above ``b``."""
        return self._named(ops.REACHES, *self._turned(a, b))

    def equals(self, a: Name, b: Name) -> Name:
        """Where two lines are equal; NaN equals nothing."""
        return self._named(ops.EQUALS, np.minimum(a, b), np.maximum(a, b))

    def rises_above(self, a: Name, b: Name) -> Name:
        """Where line ``a`` is above ``b`` and was known to be at or below it on the bar before."""
        a, b = self._turned(a, b)
        return self._named(ops.RISES, np.minimum(a, b), np.maximum(a, b), np.where(np.less_equal(a, b), 0, 1))

    def crosses_above(self, a: Name, b: Name) -> Name:
        """Where line ``a`` has come to lie above ``b``, having last lain below (`windows.crossings` is 1)."""
        a, b = self._turned(a, b)
        return self._named(ops.CROSSES, np.minimum(a, b), np.maximum(a, b), np.where(np.less_equal(a, b), 0, 1))

    def _turned(self, a: Name, b: Name) -> tuple[Name, Name]:
        """−a above −b is b above a, and one line less."""
        if np.all(self._op(a) == ops.NEGATIVE) and np.all(self._op(b) == ops.NEGATIVE):
            return self._names[1, b], self._names[1, a]
        return a, b

    def given(self, words: Words) -> int:
        """Words that are there already, 64 bars each (`tradelab.engine.bits.pack`). The same array is the same row."""
        if words.shape != (words_of(self.bars),):
            raise ValueError(f"words have shape {words.shape}, not {words_of(self.bars)} of 64 bars each.")
        place = self._places.get(id(words))
        if place is None:
            place = self._places[id(words)] = len(self._given)
            self._given.append(words)
        return int(self._named(ops.GIVEN, place))

    def always(self) -> int:
        """True on every bar."""
        return int(self._named(ops.ALWAYS))

    def both(self, a: Name, b: Name) -> Name:
        """Where both conditions hold."""
        return self._named(ops.AND, np.minimum(a, b), np.maximum(a, b))

    def either(self, a: Name, b: Name) -> Name:
        """Where one condition holds, or both."""
        return self._named(ops.OR, np.minimum(a, b), np.maximum(a, b))

    def differ(self, a: Name, b: Name) -> Name:
        """Where one condition holds and the other does not."""
        return self._named(ops.DIFFER, np.minimum(a, b), np.maximum(a, b))

    def fails(self, a: Name) -> Name:
        """Where the condition does not hold."""
        return self._named(ops.NOT, a)

    def later(self, a: Name, n: Name) -> Name:
        """The condition ``n`` bars late; false on the first ``n``."""
        return self._shifted(ops.LATER, a, n)

    def _shifted(self, op: int, a: Name, n: Name) -> Name:
        if np.any(np.less(n, 0)):
            raise ValueError(f"a shift by {np.min(n)} bars looks into the future.")
        if np.all(np.equal(n, 0)):
            return a
        shifted = self._named(op, a, 0, n)
        return shifted if np.ndim(shifted) == 0 else np.where(np.equal(n, 0), a, shifted)

    def combination(self, roots: Sequence[int | None], quiet: int = 0) -> int:
        """Add a combination: long entry, long exit, short entry, short exit, ``None`` for never.

        It says nothing before bar ``quiet``. Returns its number.
        """
        self.combinations(np.array([[NEVER if root is None else root for root in roots]]), np.array([quiet]))
        return sum(map(len, self._quiet)) - 1

    def combinations(self, roots: np.ndarray, quiet: np.ndarray) -> None:
        """Add many at once: ``roots`` of shape (combinations, 4) with ``NEVER`` for never, ``quiet`` one each."""
        self._roots.append(np.asarray(roots, np.int64))
        self._quiet.append(np.asarray(quiet, np.int64))

    def build(self) -> Program:
        """Return the program of all that was named and is used; the builder has done its work then."""
        roots = np.concatenate([np.empty((0, 4), np.int64), *self._roots])
        names = self._names[:, : self._many]
        owners = _owners(names, roots)
        plan = _Plan(names, owners)
        groups, windows = plan.groups(self._columns)
        code = plan.code(FRAME + len(groups))
        table = np.empty((len(roots), 7), np.int64)
        everyone = np.arange(len(roots))
        table[:, 0] = np.searchsorted(plan.owners, everyone, side="left")
        table[:, 1] = np.searchsorted(plan.owners, everyone, side="right")
        table[:, 2] = np.concatenate([np.empty(0, np.int64), *self._quiet])
        table[:, 3:] = np.where(roots == NEVER, NEVER, plan.rows[roots]) if len(plan.rows) else NEVER
        shared = int(np.searchsorted(plan.owners, _SHARED, side="right"))
        columns = _stacked(self._columns, self.bars, np.float64)
        given = _stacked(self._given, words_of(self.bars), np.uint64)
        floats, words = _whole_lines(plan.kept[0]), _whole_lines(FRAME + len(groups) + plan.kept[1])
        tables = Tables(code, table, columns, given, shared, floats, words)
        return Program(tables, self.bars, plan.most, groups, windows, plan.delays)


_UNUSED, _SHARED = -2, -1


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of three whole numbers, and which of them each row is."""
    code = np.zeros(len(rows), np.int64)
    for column in rows.T:
        if len(column) and (column != column[0]).any():
            part = np.unique(column, return_inverse=True)[1]
            code = np.unique(code * (int(part.max()) + 1) + part, return_inverse=True)[1]
    _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
    return rows[first], inverse


def _owners(names: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """Of each name, the one combination that uses it, or that several do (``_SHARED``), or none (``_UNUSED``)."""
    op, a, b, _, level = names
    lowest, highest = np.full(len(op), len(roots)), np.full(len(op), -1)
    for column in roots.T:
        users = np.flatnonzero(column >= 0)
        np.minimum.at(lowest, column[users], users)
        np.maximum.at(highest, column[users], users)
    leaf, alone = np.isin(op, _LEAVES), np.isin(op, _ALONE)
    for at in range(int(level.max(initial=0)), 0, -1):
        here = np.flatnonzero((level == at) & (highest >= 0) & ~leaf)
        for part, children in ((here, a), (here[~alone[here]], b)):
            np.minimum.at(lowest, children[part], lowest[part])
            np.maximum.at(highest, children[part], highest[part])
    return np.where(highest < 0, _UNUSED, np.where(lowest == highest, lowest, _SHARED))


class _Plan:
    """Names in the order in which they are computed, each with its row: what is shared first, then one by one.

    ``rows`` has the row of each name; ``owners`` the owner of each instruction; ``kept`` how many floats and words are
    kept from tile to tile, ``most`` how many rows of lines and of words are in use at once.
    """

    def __init__(self, names: np.ndarray, owners: np.ndarray) -> None:
        self.names = names
        op, a, b, n, _ = names
        rolled = np.isin(op, KINDS)
        drawn = np.flatnonzero((owners != _UNUSED) & rolled)
        self.drawn = drawn[np.lexsort((b[drawn], n[drawn], a[drawn], op[drawn]))]  # one kind, column and ddof together
        used = np.flatnonzero((owners != _UNUSED) & ~rolled)
        twin = np.isin(op[used], _TWINS)
        order = np.lexsort((np.where(twin, 0, n[used]), b[used], a[used], op[used], owners[used]))
        used, twin = used[order], twin[order]
        same = np.zeros(len(used), bool)  # as the name before, but for which of the two results is meant
        same[1:] = twin[1:] & (owners[used][1:] == owners[used][:-1])
        for column in (op, a, b):
            same[1:] &= column[used][1:] == column[used][:-1]
        head = used[~same]
        by_level = np.lexsort((head, names[4, head], owners[head]))
        self.heads = head[by_level]
        self.owners = owners[self.heads]
        place = np.empty(len(head), np.int64)
        place[by_level] = np.arange(len(head))
        self._lay_rows()
        self.rows = np.zeros(len(op), np.int64)
        self.rows[self.drawn] = np.arange(len(self.drawn))
        self.rows[used] = self.into[place[np.cumsum(~same) - 1]] + np.where(twin, n[used], 0)

    def _lay_rows(self) -> None:
        op, n = self.names[0, self.heads], self.names[3, self.heads]
        line = op < ops.LINES
        size = np.where(np.isin(op, _TWINS), 2, 1)
        shared = self.owners == _SHARED
        begins = np.searchsorted(self.owners, self.owners)  # where each one's owner begins
        self.into = np.zeros(len(op), np.int64)
        most = []
        for kind, before in ((line, len(self.drawn)), (~line, 0)):
            taken = np.concatenate([[0], np.cumsum(np.where(kind, size, 0))]) + before
            common = int(np.sum(np.where(kind & shared, size, 0))) + before
            rows = taken[:-1] - np.where(shared, 0, taken[begins] - common)
            self.into[kind] = rows[kind]
            most.append(int(max((rows + size)[kind].max(initial=0), common)))
        self.most = (most[0], most[1])
        floats = np.where(op == ops.DELAY, n, 0)
        words = np.where(np.isin(op, _TWINS), 1, np.where(op == ops.LATER, (n >> 6) + 1, 0))
        self.delays = int(floats.sum())
        kinds = self.names[0, self.drawn]
        self.kept = (
            self.delays + sum(size * int((kinds == kind).sum()) for kind, size in KEPT.items()),
            int(words.sum()),
        )
        self.keep = np.where(op == ops.DELAY, np.cumsum(floats) - floats, np.cumsum(words) - words)

    def groups(self, columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """What is drawn tile by tile, and over which windows."""
        kind, column, window, ddof, _ = self.names[:, self.drawn]
        several = np.stack([kind, column, ddof], axis=-1)
        begins = np.flatnonzero(np.append(True, (several[1:] != several[:-1]).any(axis=1))[: len(kind)])
        rows, keep = [], self.delays
        for begin, end in zip(begins, [*begins[1:], len(kind)], strict=False):
            known, unknown = stretch_known(columns[column[begin]])
            rows.append((kind[begin], column[begin], known, unknown, begin, end, begin, keep, ddof[begin]))
            keep += KEPT.get(int(kind[begin]), 0) * (end - begin)
        return np.array(rows, np.int64).reshape(-1, 9), np.ascontiguousarray(window)

    def code(self, frame: int) -> np.ndarray:
        """The instructions; words are kept behind the ``frame`` first ones."""
        op, a, b, n, _ = self.names[:, self.heads]
        leaf, alone = np.isin(op, _LEAVES), np.isin(op, _ALONE)
        code = np.zeros(len(op), ops.INSTRUCTION)
        constant = op == ops.CONSTANT
        code["op"], code["into"], code["keep"], code["n"] = op, self.into, self.keep, n
        code["keep"] += np.where(op < ops.LINES, 0, frame)
        code["a"] = np.where(constant, 0, np.where(leaf, a, self.rows[np.where(leaf, 0, a)]))
        code["b"] = np.where(leaf | alone, 0, self.rows[np.where(leaf | alone, 0, b)])
        code["value"][constant] = a[constant].view(np.float64)
        return code


def _whole_lines(size: int) -> int:
    """Rounded up to whole cache lines of eight."""
    return -(-size // 8) * 8


def _stacked(rows: list[np.ndarray], length: int, dtype: type) -> np.ndarray:
    """Rows as one array; the list is emptied on the way, so that what nobody else holds is not held twice."""
    if len(rows) == 1:  # the close, of nearly all strategies
        return np.ascontiguousarray(rows.pop(), dtype).reshape(1, length)
    out: np.ndarray = np.empty((len(rows), length), dtype)
    for k in range(len(rows)):
        out[k], rows[k] = rows[k], np.empty(0)
    return out
