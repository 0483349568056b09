"""Stand in for bars, lines, conditions and parameters while a strategy is watched (`tradelab.strategy.trace_world`).

A stand-in answers what can be answered for all bars and all combinations at once: arithmetic, comparisons, logic,
shifts, indicators, any method or function that the real thing has, applied as a whole. It refuses the rest.
"""

from __future__ import annotations

import hashlib
import math
import operator
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradelab.strategy.trace_world import Choices, Fork, Node, Untraceable, World

_PLAIN = (bool, int, float, str, bytes, type(None), np.generic, type, np.dtype, pd.Timedelta, pd.Timestamp)


class Symbol:
    """Anything made of the bars: a window, a frame, a column of whole numbers."""

    __pandas_priority__ = 9000  # a Series or Index asked to add, compare … leaves it to us
    __hash__: Any = None

    def __init__(self, world: World, node: Any, series: bool = False) -> None:
        self.world, self.node = world, node
        self.series = series  # whether the real thing is a Series, not an array
        self.viewed = False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        real = getattr(self.world.seen(self.node), name)  # what the real thing has not, this has not
        self.viewed = True
        if callable(real) and not isinstance(real, type):
            return lambda *args, **kwargs: replay(self.world, _Method(name), (self, *args), kwargs)
        return replay(self.world, _Attribute(name), (self,), {})

    def __getitem__(self, key: Any) -> Any:
        self.viewed = True
        return replay(self.world, operator.getitem, (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        raise Untraceable("writes into bars or lines")

    def __len__(self) -> int:
        raise Untraceable("asks for the length of what depends on the bars")

    def __bool__(self) -> bool:
        raise Untraceable("decides by values of the bars")

    def __iter__(self) -> Any:
        raise Untraceable("goes through bars one by one")

    def __float__(self) -> float:
        raise Untraceable("takes a single number from the bars")

    __int__ = __index__ = __float__

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise Untraceable("hands lines to a function that wants arrays")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if "out" in kwargs:
            raise Untraceable("writes into bars or lines")
        if method != "__call__" or kwargs:
            return replay(self.world, getattr(ufunc, method), inputs, kwargs)
        return combine(self.world, ufunc, *inputs)

    def __array_function__(self, function: Any, _types: Any, args: Any, kwargs: Any) -> Any:
        return replay(self.world, function, args, kwargs)


class Line(Symbol):
    """One number a bar."""

    def __len__(self) -> int:
        return len(self.world.bars)

    def shift(self, periods: Any = 1, **other: Any) -> Any:
        """The line some bars late."""
        if other or not self.series or not _are_delays(periods):
            return replay(self.world, _Method("shift"), (self, periods), other)
        return Line(self.world, Node("delay", "", (self.node, plain(periods)), pd.Series.shift), True)

    def to_numpy(self, *args: Any, **other: Any) -> Any:
        """The line as an array."""
        if args or other or not self.series:
            return replay(self.world, _Method("to_numpy"), (self, *args), other)
        return type(self)(self.world, Node("same", "array", (self.node,), pd.Series.to_numpy))

    @property
    def values(self) -> Any:
        """The line as an array."""
        return self.to_numpy()


class Flags(Line):
    """One boolean a bar."""

    def shift(self, periods: Any = 1, **other: Any) -> Any:
        """The condition some bars late; without a ``fill_value`` pandas makes objects of it, and that is replayed."""
        fills = other.keys() == {"fill_value"} and other["fill_value"] is False
        if not fills or not self.series or not _are_delays(periods):
            return replay(self.world, _Method("shift"), (self, periods), other)
        return Flags(self.world, Node("later", "", (self.node, plain(periods)), _later), True)


class Bars(Symbol):
    """The frame of bars."""

    def __init__(self, world: World) -> None:
        super().__init__(world, world.frame)

    def __len__(self) -> int:
        return len(self.world.bars)

    def __getattr__(self, name: str) -> Any:
        return self[name] if name in self.world.bars.columns else super().__getattr__(name)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and key in self.world.bars.columns:
            return named(self.world, Node("bar", key, (self.node,), _Item(key)))
        return super().__getitem__(key)

    @property
    def index(self) -> pd.Index:
        """The real times: they depend on no parameter."""
        return self.world.bars.index

    @property
    def columns(self) -> pd.Index:
        """The real names."""
        return self.world.bars.columns


class Number(Symbol):
    """A parameter, or what was reckoned from parameters: each combination has its own."""

    def __init__(self, world: World, values: np.ndarray) -> None:
        super().__init__(world, Choices(values))
        self.values = values

    @classmethod
    def of(cls, world: World, values: Sequence[Any]) -> Any:
        """One number for each combination; the plain number itself where it is the same for all."""
        first = values[0]
        if all(type(v) is type(first) and v == first for v in values) and (
            first != 0 or len(set(map(str, values))) == 1
        ):
            return first
        held = np.empty(len(values), dtype=object)
        held[:] = values
        return cls(world, held)

    def _one(self, of: Callable[[Any], Any]) -> Any:
        answers = [of(value) for value in self.values]
        if len(set(answers)) > 1:
            raise Fork(answers)
        return answers[0]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise Untraceable(f"asks a parameter for .{name}")

    def __bool__(self) -> bool:
        return bool(self._one(bool))

    def __int__(self) -> int:
        return int(self._one(int))

    def __index__(self) -> int:
        return int(self._one(operator.index))

    def __float__(self) -> float:
        return float(self._one(float))

    def __str__(self) -> str:
        return str(self._one(str))

    def __array__(self, *_: Any, **__: Any) -> Any:
        return np.asarray(self._one(lambda value: (type(value), value))[1])

    def __format__(self, spec: str) -> str:
        return str(self._one(lambda value: format(value, spec)))

    def __round__(self, *digits: int) -> Any:
        return combine(self.world, round, self, *digits)

    def __floor__(self) -> Any:
        return combine(self.world, math.floor, self)

    def __ceil__(self) -> Any:
        return combine(self.world, math.ceil, self)

    def __trunc__(self) -> Any:
        return combine(self.world, math.trunc, self)

    __iter__: Any = None


@dataclass(frozen=True)
class _Method:
    """Call a method by name."""

    name: str

    def __call__(self, thing: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(thing, self.name)(*args, **kwargs)


@dataclass(frozen=True)
class _Attribute:
    """Read an attribute by name."""

    name: str

    def __call__(self, thing: Any) -> Any:
        return getattr(thing, self.name)


@dataclass(frozen=True)
class _Item:
    """Take one part."""

    key: Any

    def __call__(self, thing: Any) -> Any:
        return thing[self.key]


def _later(flags: pd.Series, bars: int) -> pd.Series:
    return flags.shift(bars, fill_value=False)


def _are_delays(periods: Any) -> bool:
    values = periods.values if isinstance(periods, Number) else [periods]
    return all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in values)


def plain(value: Any) -> Any:
    """What a node keeps of an argument: the node of a stand-in, a plain value as it is."""
    return value.node if isinstance(value, Symbol) else value


# What the engine has instructions for, by the functions and ufuncs that mean it.
_OF_LINES: dict[Any, str] = {
    operator.add: "add", np.add: "add", operator.sub: "subtract", np.subtract: "subtract", operator.mul: "multiply",
    np.multiply: "multiply", operator.truediv: "divide", np.divide: "divide", operator.neg: "negative",
    np.negative: "negative", operator.abs: "size", np.absolute: "size", np.fabs: "size", np.minimum: "lesser",
    np.maximum: "greater",
}  # fmt: skip
_OF_COMPARISON: dict[Any, str] = {
    operator.gt: "above", np.greater: "above", operator.ge: "reaches", np.greater_equal: "reaches",
    operator.lt: "below", np.less: "below", operator.le: "within", np.less_equal: "within", operator.eq: "equals",
    np.equal: "equals", operator.ne: "unequal", np.not_equal: "unequal", np.isnan: "unknown",
}  # fmt: skip
_OF_FLAGS: dict[Any, str] = {
    operator.and_: "both", np.logical_and: "both", np.bitwise_and: "both", operator.or_: "either",
    np.logical_or: "either", np.bitwise_or: "either", operator.xor: "differ", np.logical_xor: "differ",
    np.bitwise_xor: "differ", operator.invert: "fails", np.logical_not: "fails", np.invert: "fails",
}  # fmt: skip


def combine(world: World, function: Any, *operands: Any) -> Any:
    """Do one step of arithmetic, comparison or logic to stand-ins, plain numbers and real columns."""
    if all(isinstance(x, Number | bool | int | float | np.generic) for x in operands):
        columns = [x.values if isinstance(x, Number) else None for x in operands]
        many = next(len(c) for c in columns if c is not None)
        rows = zip(*(c if c is not None else [x] * many for c, x in zip(columns, operands, strict=True)), strict=True)
        return Number.of(world, [function(*row) for row in rows])
    held = [standing(world, x) for x in operands]
    series = any(isinstance(x, Symbol) and x.series for x in held)
    if function in _OF_FLAGS and all(isinstance(x, Flags) for x in held):
        return Flags(world, Node(_OF_FLAGS[function], "", tuple(map(plain, held)), function), series)
    if all(_is_numeric(x) for x in held):
        op = _OF_LINES.get(function)
        if op:
            return Line(world, Node(op, "", tuple(map(plain, held)), function), series)
        op = _OF_COMPARISON.get(function)
        if op:
            return Flags(world, Node(op, "", tuple(map(plain, held)), function), series)
    return replay(world, function, operands, {})


def _is_numeric(value: Any) -> bool:
    if isinstance(value, Number):
        return not any(isinstance(v, bool | np.bool_) for v in value.values)
    if isinstance(value, Symbol):
        return type(value) is Line
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def standing(world: World, value: Any) -> Any:
    """A stand-in for a real column of the bars' length; anything else as it is."""
    if not isinstance(value, np.ndarray | pd.Series | pd.Index) or value.shape != (len(world.bars),):
        return value
    if isinstance(value, pd.Series) and not (value.index is world.bars.index or value.index.equals(world.bars.index)):
        raise Untraceable("uses a Series that is not on the index of its bars")
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise Untraceable("uses a column of objects")
    digest = hashlib.blake2b(array.tobytes(), digest_size=16).digest()
    held = value.copy() if isinstance(value, np.ndarray) else value
    return named(world, Node("given", (type(value), str(array.dtype), digest), (), lambda: held))


def part_of(node: Node, k: int) -> Node:
    """One of several things that a step gives."""
    return Node("part", k, (node,), _Item(k))


def named(world: World, node: Node) -> Any:
    """The stand-in that fits what a step gives on the sample."""
    seen = world.seen(node)
    if isinstance(seen, Symbol) or seen is None:
        raise Untraceable("changes bars or lines in place")
    if isinstance(seen, tuple) and hasattr(seen, "_fields"):
        return type(seen)(*(named(world, part_of(node, k)) for k in range(len(seen))))
    if isinstance(seen, np.ndarray | pd.Series) and seen.shape == (len(world.sample),):
        kind: type[Symbol] = {"bool": Flags, "float64": Line}.get(str(seen.dtype), Symbol)
        return kind(world, node, isinstance(seen, pd.Series))
    return Symbol(world, node)


def replay(world: World, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Note any other step, to be done for real on the real bars, once for each distinct set of arguments."""
    inputs: list[Any] = []
    shape = _shape((list(args), kwargs), world, inputs)

    def real(*values: Any) -> Any:
        given, named_ones = _filled(shape, values)
        return function(*given, **named_ones)

    try:
        hash((function, shape))
    except TypeError as error:
        raise Untraceable(f"passes something on that cannot be compared: {error}") from error
    return named(world, Node("replay", (function, shape), tuple(inputs), real))


@dataclass(frozen=True)
class _Slot:
    """Where an input goes."""

    place: int


def _shape(value: Any, world: World, inputs: list[Any]) -> Hashable:
    """``value`` with stand-ins and columns taken out into ``inputs``; a description that can be compared."""
    value = standing(world, value)
    if isinstance(value, Symbol):
        inputs.append(value.node)
        return _Slot(len(inputs) - 1)
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return (type(value), *(_shape(part, world, inputs) for part in value))
    if isinstance(value, dict):
        return (dict, *((name, _shape(part, world, inputs)) for name, part in value.items()))
    if isinstance(value, slice):
        return (slice, *(_shape(part, world, inputs) for part in (value.start, value.stop, value.step)))
    if isinstance(value, _PLAIN):
        return (object, (type(value), repr(value)), value)
    if callable(value):
        return (object, None, value)
    raise Untraceable(f"passes on {type(value).__name__}")


def _filled(shape: Any, values: Sequence[Any]) -> Any:
    if isinstance(shape, _Slot):
        return values[shape.place]
    kind, *parts = shape
    if kind is object:
        return parts[1]
    if kind is dict:
        return {name: _filled(part, values) for name, part in parts}
    filled = [_filled(part, values) for part in parts]
    return slice(*filled) if kind is slice else kind(filled)


def _install() -> None:
    """Give every stand-in Python's operators; those that change a thing in place rename the result."""
    two = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor"]
    for name in [*two, "gt", "ge", "lt", "le", "eq", "ne"]:
        function = getattr(operator, name)
        bare = name.rstrip("_")
        setattr(Symbol, f"__{bare}__", lambda a, b, f=function: combine(a.world, f, a, b))
        if name in two:
            setattr(Symbol, f"__r{bare}__", lambda a, b, f=function: combine(a.world, f, b, a))
            setattr(Symbol, f"__i{bare}__", lambda a, b, f=function: _changed(a, combine(a.world, f, a, b)))
    for name in ["neg", "pos", "abs", "invert"]:
        function = getattr(operator, name)
        setattr(Symbol, f"__{name}__", lambda a, f=function: combine(a.world, f, a))


def _changed(symbol: Symbol, result: Any) -> Any:
    """What ``a += b`` leaves in ``a``, and so in every other name of the same thing."""
    if isinstance(symbol, Number):
        return result
    if type(symbol) is not type(result) or type(symbol) is Symbol or symbol.viewed:
        raise Untraceable("changes in place what may have other names")
    symbol.node = result.node
    return symbol


_install()
