"""Turn what was watched into a program: instructions where the engine has them, whole columns where it has not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from tradelab.engine import program_ops as ops
from tradelab.engine.bits import pack
from tradelab.engine.program import NEVER, Program
from tradelab.engine.program_build import Builder
from tradelab.strategy.trace_world import Choices, Node, Untraceable

_MEMO_BYTES = 256 * 2**20

Names = Any  # the builder's number for all combinations of a way, or an int64 array with one for each


class Lowering:
    """One program in the making, out of all ways that were watched.

    Parameters
    ----------
    bars
        The real ones.
    whole_bytes
        Most memory for whole columns.
    """

    def __init__(self, bars: pd.DataFrame, whole_bytes: int) -> None:
        self.bars = bars
        self.builder = Builder(len(bars))
        self.whole_lines = 0
        self._bytes, self._limit = 0, whole_bytes
        self._codes: dict[Hashable, int] = {}
        self._columns: dict[Hashable, int] = {}
        self._memo: OrderedDict[Hashable, Any] = OrderedDict()
        self._memo_bytes = 0
        self._names: dict[Node, Names] = {}
        self._alike: dict[Hashable, Node] = {}
        self._choices: dict[Choices, np.ndarray] = {}

    def add(self, roots: Iterable[Node | None], combinations: int) -> np.ndarray:
        """Lower one way's four roots; the builder's numbers, int64 of shape (combinations, 4).

        Raises
        ------
        Untraceable
            Too much would have to be kept whole, or a step gives other things on all bars than on the sample.
        """
        self._names, self._alike, self._choices = {}, {}, {}
        out = np.full((combinations, 4), NEVER, np.int64)
        for k, root in enumerate(roots):
            if root is not None:
                out[:, k] = self.flags(self._merged(root))
        return out

    def build(self) -> Program:
        """The program of all combinations that were added to the builder."""
        self._memo.clear()  # or columns would be held twice while they are stacked
        return self.builder.build()

    def _merged(self, root: Node) -> Node:
        """The same graph, in which steps that do the same are one."""
        merged: dict[Node, Node] = {}
        for node in _in_order(root):
            args = tuple(merged[a] if isinstance(a, Node) else a for a in node.args)
            key = (node.op, node.key, *(self._mark(a) for a in args))
            if key not in self._alike:
                self._alike[key] = Node(node.op, node.key, args, node.real)
            merged[node] = self._alike[key]
        return merged[root]

    def _mark(self, arg: Any) -> Hashable:
        if isinstance(arg, Choices):
            return self.codes(arg).tobytes()
        return arg if isinstance(arg, Node) else _told(arg)

    def codes(self, choices: Choices) -> np.ndarray:
        """A code for each combination's value: equal values of one type have one."""
        if choices not in self._choices:
            codes = self._codes
            told = [codes.setdefault(_told(value), len(codes)) for value in choices.values]
            self._choices[choices] = np.array(told, np.int64)
        return self._choices[choices]

    def names(self, node: Node) -> Names:
        """The builder's numbers of a step."""
        if node not in self._names:
            step = node.args[0] if node.op == "part" else node
            make = _PARTS.get((step.op, node.key)) if node.op == "part" else INSTRUCTIONS.get(node.op)
            self._names[node] = make(self, *step.args) if make else self.whole(node)
        return self._names[node]

    def line(self, arg: Any) -> Names:
        """The builder's numbers of a line, or of a number on every bar."""
        if isinstance(arg, Node):
            names = self.names(arg)
            return names if self.builder.is_line(names) else _differs()
        if isinstance(arg, Choices):
            return self.each(arg, lambda value: self.builder.constant(float(value)))
        return self.builder.constant(float(arg))

    def flags(self, node: Node) -> Names:
        """The builder's numbers of a condition."""
        names = self.names(node)
        return names if self.builder.is_condition(names) else _differs()

    def count(self, arg: Any) -> Any:
        """A whole number, or one for each combination."""
        return self.each(arg, int) if isinstance(arg, Choices) else int(arg)

    def each(self, choices: Choices, make: Callable[[Any], int]) -> np.ndarray:
        """``make`` of each combination's value, done once for each distinct value."""
        _, first, inverse = np.unique(self.codes(choices), return_index=True, return_inverse=True)
        return np.array([make(value) for value in choices.values[first]], np.int64)[inverse]

    def rolled(self, kind: int, source: Any, window: Any, ddof: int = 0) -> Names:
        """The builder's numbers of an indicator that is drawn tile by tile; what it is drawn from is a whole column."""
        while isinstance(source, Node) and source.op == "same":
            source = source.args[0]
        if not isinstance(source, Node):
            raise Untraceable("asks for an indicator of a number")
        column = self.whole(source)
        if not self.builder.is_line(column):
            _differs()
        return self.builder.rolled(kind, column, self.count(window), ddof)

    def whole(self, node: Node) -> Names:
        """Whole columns, one for each distinct set of parameters below a step, done for real."""
        parameters = {id(a): a for step in _in_order(node) for a in step.args if isinstance(a, Choices)}
        columns = [self.codes(choices) for choices in parameters.values()]
        code = columns[0] if columns else np.zeros(1, np.int64)
        for column in columns[1:]:
            code = np.unique(code, return_inverse=True)[1] * (int(column.max()) + 1) + column
        _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        keys = {int(c): self._key(node, int(c)) for c in first}
        self._require_room(node, len(set(keys.values()) - self._columns.keys()))
        for c, key in keys.items():
            if key not in self._columns:
                self._columns[key] = self._column(self._real(node, c))
        names = np.array([self._columns[key] for key in keys.values()], np.int64)
        return names[inverse] if len(names) > 1 else int(names[0])

    def _require_room(self, node: Node, fresh: int) -> None:
        if node.op != "bar":
            line = node.op != "flags"
            self.whole_lines += fresh
            self._bytes += fresh * len(self.bars) * 8 // (1 if line else 64)
        if self._bytes > self._limit:
            raise Untraceable(f"{self.whole_lines} whole columns would take {self._bytes / 1e9:.1f} GB")

    def _column(self, value: Any) -> int:
        array = value.to_numpy() if isinstance(value, pd.Series) else np.asarray(value)
        if array.shape != (len(self.bars),) or array.dtype not in (bool, np.float64):
            _differs()
        if array.dtype == bool:
            return self.builder.given(pack(array))
        return self.builder.column(np.ascontiguousarray(array))

    def _key(self, node: Node, c: int) -> Hashable:
        """What tells a step with one combination's parameters from all others."""
        told = (
            self._key(a, c) if isinstance(a, Node) else _told(a.values[c] if isinstance(a, Choices) else a)
            for a in node.args
        )
        return (node.op, node.key, *told)

    def _real(self, node: Node, c: int) -> Any:
        """What the function itself would have got with one combination's parameters; the latest are kept."""
        if node.op == "bars":
            return self.bars
        key = self._key(node, c)
        if key in self._memo:
            self._memo.move_to_end(key)
            return self._memo[key]
        args = (
            self._real(a, c) if isinstance(a, Node) else a.values[c] if isinstance(a, Choices) else a for a in node.args
        )
        value = node.real(*args)
        self._memo[key] = value
        self._memo_bytes += _size(value)
        while self._memo_bytes > _MEMO_BYTES and len(self._memo) > 1:
            self._memo_bytes -= _size(self._memo.popitem(last=False)[1])
        return value


def _differs() -> Any:
    raise Untraceable("gives other things on all bars than on the first few hundred")


def _told(value: Any) -> Hashable:
    """A plain value by which it is known: 1 is not 1.0, nor 0.0 −0.0."""
    kind = type(value)
    return (kind, str(value)) if kind is float and value == 0.0 else (kind, value)


def _size(value: Any) -> int:
    parts = value if isinstance(value, tuple) else (value,)
    return sum(int(getattr(part, "nbytes", 0)) for part in parts if isinstance(part, np.ndarray | pd.Series))


def _in_order(root: Node) -> list[Node]:
    """All nodes below ``root``, each after what it is made of."""
    done: dict[Node, None] = {}
    waiting = [(root, False)]
    while waiting:
        node, ready = waiting.pop()
        if node in done:
            continue
        if ready:
            done[node] = None
            continue
        waiting.append((node, True))
        waiting.extend((arg, False) for arg in node.args if isinstance(arg, Node) and arg not in done)
    return list(done)


def _two(op: int) -> Callable[..., Names]:
    return lambda low, a, b: low.builder.combine(op, low.line(a), low.line(b))


def _logic(name: str) -> Callable[..., Names]:
    return lambda low, *flags: getattr(low.builder, name)(*map(low.flags, flags))


def _compared(name: str, *, swapped: bool = False, turned: bool = False) -> Callable[..., Names]:
    def make(low: Lowering, a: Any, b: Any) -> Names:
        left, right = low.line(a), low.line(b)
        made = getattr(low.builder, name)(*((right, left) if swapped else (left, right)))
        return low.builder.fails(made) if turned else made

    return make


def _unknown(low: Lowering, a: Any) -> Names:
    return low.builder.fails(low.builder.equals(low.line(a), low.line(a)))


# By the name of the step: what the engine does itself.
INSTRUCTIONS: dict[str, Callable[..., Names]] = {
    "same": lambda low, a: low.names(a),
    "delay": lambda low, a, n: low.builder.delayed(low.line(a), low.count(n)),
    "ta.previous": lambda low, a, n: low.builder.delayed(low.line(a), low.count(n)),
    "later": lambda low, a, n: low.builder.later(low.flags(a), low.count(n)),
    "negative": lambda low, a: low.builder.negative(low.line(a)),
    "size": lambda low, a: low.builder.size(low.line(a)),
    "add": _two(ops.ADD),
    "subtract": _two(ops.SUBTRACT),
    "multiply": _two(ops.MULTIPLY),
    "divide": _two(ops.DIVIDE),
    "lesser": _two(ops.LESSER),
    "greater": _two(ops.GREATER),
    "above": _compared("above"),
    "below": _compared("above", swapped=True),
    "reaches": _compared("reaches"),
    "within": _compared("reaches", swapped=True),
    "equals": _compared("equals"),
    "unequal": _compared("equals", turned=True),
    "unknown": _unknown,
    "ta.rises_above": _compared("rises_above"),
    "ta.cross_above": _compared("crosses_above"),
    "ta.cross_below": _compared("crosses_above", swapped=True),
    "both": _logic("both"),
    "either": _logic("either"),
    "differ": _logic("differ"),
    "fails": _logic("fails"),
}


def _rolled(kind: int, ddof: int = 0) -> Callable[..., Names]:
    return lambda low, values, window: low.rolled(kind, values, window, ddof)


def _momentum(low: Lowering, a: Any, n: Any) -> Names:
    now = low.line(a)
    return low.builder.combine(ops.SUBTRACT, now, low.builder.delayed(now, low.count(n)))


def _roc(low: Lowering, a: Any, n: Any) -> Names:
    now = low.line(a)
    ratio = low.builder.combine(ops.DIVIDE, now, low.builder.delayed(now, low.count(n)))
    return low.builder.combine(ops.SUBTRACT, ratio, low.builder.constant(1.0))


def _band(op: int) -> Callable[..., Names]:
    def make(low: Lowering, values: Any, window: Any, width: Any) -> Names:
        reach = low.builder.combine(ops.MULTIPLY, low.line(width), low.rolled(ops.DEVIATION, values, window))
        return low.builder.combine(op, low.rolled(ops.SMA, values, window), reach)

    return make


def _half_way(low: Lowering, high: Any, lows: Any, window: Any) -> Names:
    both = low.builder.combine(ops.ADD, low.rolled(ops.HIGHEST, high, window), low.rolled(ops.LOWEST, lows, window))
    return low.builder.combine(ops.MULTIPLY, low.builder.constant(0.5), both)


INSTRUCTIONS |= {
    "ta.sma": _rolled(ops.SMA),
    "ta.wma": _rolled(ops.WMA),
    "ta.ema": _rolled(ops.EMA),
    "ta.rma": _rolled(ops.RMA),
    "ta.rsi": _rolled(ops.RSI),
    "ta.highest": _rolled(ops.HIGHEST),
    "ta.lowest": _rolled(ops.LOWEST),
    "ta.rolling_std": _rolled(ops.DEVIATION, 1),
    "ta.momentum": _momentum,
    "ta.roc": _roc,
}
# By indicator and place, single lines of those that have several.
_PARTS: dict[tuple[str, Hashable], Callable[..., Names]] = {
    ("ta.bollinger", 0): _band(ops.ADD),
    ("ta.bollinger", 1): lambda low, values, window, _width: low.rolled(ops.SMA, values, window),
    ("ta.bollinger", 2): _band(ops.SUBTRACT),
    ("ta.donchian", 0): lambda low, high, _low, window: low.rolled(ops.HIGHEST, high, window),
    ("ta.donchian", 1): _half_way,
    ("ta.donchian", 2): lambda low, _high, lows, window: low.rolled(ops.LOWEST, lows, window),
}
