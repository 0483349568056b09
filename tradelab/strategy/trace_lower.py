"""Turn what was watched into a program: each distinct step once, as instructions where the engine has them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradelab.engine import program_ops as ops
from tradelab.engine.bits import pack
from tradelab.engine.program import Program
from tradelab.engine.program_build import Builder
from tradelab.strategy.trace_world import Choices, Node, Untraceable

_MEMO_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Ref:
    """An argument that is another step."""

    place: int


@dataclass(frozen=True, eq=False)
class Step:
    """One distinct step: a node, with the parameters of the combinations that ask for it."""

    op: str
    args: tuple[Any, ...]
    real: Callable[..., Any]


class Steps:
    """All distinct steps of all ways, and what becomes of each."""

    def __init__(self, bars: pd.DataFrame) -> None:
        self.bars = bars
        self.builder = Builder(len(bars))
        self.steps: list[Step] = []
        self._known: dict[Hashable, int] = {}
        self._lowered: dict[int, int] = {}
        self._memo: OrderedDict[int, Any] = OrderedDict()
        self._memo_bytes = 0

    def distinct(self, roots: Iterable[Node | None], combinations: int) -> list[np.ndarray | None]:
        """For each root, the step of each combination: int64 of shape (combinations,)."""
        kept = list(roots)
        places: dict[Node, np.ndarray | int] = {}
        for node in _in_order(kept):
            places[node] = self._numbered(node, places, combinations)
        return [None if r is None else np.broadcast_to(np.int64(places[r]), (combinations,)) for r in kept]

    def _numbered(self, node: Node, places: dict[Node, Any], combinations: int) -> np.ndarray | int:
        """Number a node's distinct steps; one number where all combinations share one."""
        codes: list[Any] = []
        for arg in node.args:
            if isinstance(arg, Node):
                codes.append(places[arg])
            else:
                codes.append(_coded(arg.values) if isinstance(arg, Choices) else 0)
        many = [code for code in codes if isinstance(code, np.ndarray)]
        if not many:
            return self._step(node, places, 0)
        _, first, inverse = _unique_rows(many)
        numbers = np.array([self._step(node, places, int(c)) for c in first], np.int64)
        return numbers[inverse] if len(numbers) > 1 else int(numbers[0])

    def _step(self, node: Node, places: dict[Node, Any], combination: int) -> int:
        """The step that a node is for one combination."""
        args: list[Any] = []
        for arg in node.args:
            if isinstance(arg, Node):
                place = places[arg]
                args.append(Ref(int(place[combination] if isinstance(place, np.ndarray) else place)))
            else:
                args.append(arg.values[combination] if isinstance(arg, Choices) else arg)
        key = (node.op, node.key, *(a if isinstance(a, Ref) else (type(a), repr(a)) for a in args))
        if key not in self._known:
            self._known[key] = len(self.steps)
            self.steps.append(Step(node.op, tuple(args), node.real))
        return self._known[key]

    def whole(self, roots: Iterable[int]) -> tuple[int, int]:
        """How many whole lines and whole conditions a program with these roots keeps in memory."""
        seen: set[int] = set()
        waiting, lines, flags = list(roots), 0, 0
        while waiting:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            step = self.steps[place]
            if step.op in INSTRUCTIONS:
                waiting.extend(arg.place for arg in step.args if isinstance(arg, Ref))
            elif step.op == "flags":
                flags += 1
            elif step.op != "bar":
                lines += 1
        return lines, flags

    def lower(self, place: int) -> int:
        """The builder's number of a step."""
        found = self._lowered.get(place)
        if found is None:
            step = self.steps[place]
            make = INSTRUCTIONS.get(step.op)
            found = make(self, *step.args) if make else self._column(self.real(place))
            self._lowered[place] = found
        return found

    def line(self, arg: Any) -> int:
        """The builder's number of a line, or of a number on every bar."""
        return self._sort(self.lower(arg.place), True) if isinstance(arg, Ref) else self.builder.constant(float(arg))

    def flags(self, arg: Ref) -> int:
        """The builder's number of a condition."""
        return self._sort(self.lower(arg.place), False)

    def _sort(self, number: int, line: bool) -> int:
        if self.builder.is_line(number) != line:
            raise Untraceable("gives other things on all bars than on the first few hundred")
        return number

    def build(self) -> Program:
        """The program of all combinations that were added to the builder."""
        self._memo.clear()  # or columns would be held twice while they are stacked
        return self.builder.build()

    def _column(self, value: Any) -> int:
        array = value.to_numpy() if isinstance(value, pd.Series) else np.asarray(value)
        if array.shape != (len(self.bars),) or array.dtype not in (bool, np.float64):
            raise Untraceable("gives other things on all bars than on the first few hundred")
        if array.dtype == bool:
            return self.builder.given(pack(array))
        return self.builder.column(np.ascontiguousarray(array))

    def real(self, place: int) -> Any:
        """What the function itself would have got; the latest are kept."""
        if place in self._memo:
            self._memo.move_to_end(place)
            return self._memo[place]
        step = self.steps[place]
        if step.op == "bars":
            return self.bars
        value = step.real(*(self.real(a.place) if isinstance(a, Ref) else a for a in step.args))
        self._memo[place] = value
        self._memo_bytes += _size(value)
        while self._memo_bytes > _MEMO_BYTES and len(self._memo) > 1:
            self._memo_bytes -= _size(self._memo.popitem(last=False)[1])
        return value


def _size(value: Any) -> int:
    parts = value if isinstance(value, tuple) else (value,)
    return sum(int(getattr(part, "nbytes", 0)) for part in parts if isinstance(part, np.ndarray | pd.Series))


def _in_order(roots: Iterable[Node | None]) -> list[Node]:
    """All nodes below ``roots``, each after what it is made of."""
    done: dict[Node, None] = {}
    waiting = [(root, False) for root in roots if root is not None]
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


def _coded(values: np.ndarray) -> np.ndarray:
    """Equal numbers of one type get one code; 0.0 and −0.0, or 1 and 1.0, are not the same."""
    codes: dict[Hashable, int] = {}
    return np.array([codes.setdefault((type(v), repr(v)), len(codes)) for v in values], np.int64)


def _unique_rows(columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct rows of several columns of numbers: their codes, where each is first, and which each row is."""
    code = np.unique(columns[0], return_inverse=True)[1].astype(np.int64)
    for column in columns[1:]:
        other = np.unique(column, return_inverse=True)[1]
        code = np.unique(code * (int(other.max()) + 1) + other, return_inverse=True)[1]
    return np.unique(code, return_index=True, return_inverse=True)


def _two(op: int) -> Callable[..., int]:
    return lambda steps, a, b: steps.builder.combine(op, steps.line(a), steps.line(b))


def _flags(name: str) -> Callable[..., int]:
    return lambda steps, *flags: getattr(steps.builder, name)(*(steps.flags(f) for f in flags))


def _compared(name: str, *, swapped: bool = False, turned: bool = False) -> Callable[..., int]:
    def make(steps: Steps, a: Any, b: Any) -> int:
        left, right = steps.line(a), steps.line(b)
        made = int(getattr(steps.builder, name)(*((right, left) if swapped else (left, right))))
        return steps.builder.fails(made) if turned else made

    return make


def _unknown(steps: Steps, a: Any) -> int:
    return steps.builder.fails(steps.builder.equals(steps.line(a), steps.line(a)))


INSTRUCTIONS: dict[str, Callable[..., int]] = {
    "same": lambda steps, a: steps.lower(a.place),
    "delay": lambda steps, a, n: steps.builder.delayed(steps.line(a), n),
    "ta.previous": lambda steps, a, n: steps.builder.delayed(steps.line(a), n),
    "later": lambda steps, a, n: steps.builder.later(steps.flags(a), n),
    "negative": lambda steps, a: steps.builder.negative(steps.line(a)),
    "size": lambda steps, a: steps.builder.size(steps.line(a)),
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
    "both": _flags("both"),
    "either": _flags("either"),
    "differ": _flags("differ"),
    "fails": _flags("fails"),
}
