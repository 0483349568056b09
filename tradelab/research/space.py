"""Read what each swept parameter may be, and hold the combinations of a sweep as columns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradelab.engine.fills import FillPolicy
from tradelab.model.errors import ConfigError, ParameterError
from tradelab.strategy.spec import Range, Strategy

_MOST_VALUES = 2_000_000  # of one parameter


@dataclass(frozen=True, eq=False)
class Choices:
    """Values to choose from, in the order they were given."""

    values: tuple[Any, ...]

    @property
    def size(self) -> float:
        """How many."""
        return len(self.values)

    def listed(self, name: str) -> tuple[Any, ...]:
        """Return every value."""
        return self.values

    def ends(self) -> tuple[Any, Any]:
        """Return the least and the greatest value where they can be compared, else the first and the last."""
        try:
            return min(self.values), max(self.values)
        except TypeError:
            return self.values[0], self.values[-1]

    def at(self, unit: np.ndarray) -> list[Any]:
        """Map numbers in [0, 1) to values, each equally often."""
        return [self.values[k] for k in (unit * len(self.values)).astype(np.int64)]

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.values[:6]))
        return shown if len(self.values) <= 6 else f"{shown} … {self.values[-1]} ({len(self.values)} values)"


@dataclass(frozen=True, eq=False)
class Span:
    """Every number of a ``Range``: whole ones, steps, or all; ``log`` draws evenly on a logarithmic scale."""

    low: float
    high: float
    step: float | None
    log: bool
    whole: bool

    @property
    def size(self) -> float:
        """How many values; infinite without steps."""
        step = self.step or (1.0 if self.whole else None)
        return math.inf if step is None else math.floor((self.high - self.low) / step + 1e-9) + 1

    def listed(self, name: str) -> tuple[Any, ...]:
        """Return every value, or refuse where there is no end of them."""
        if math.isinf(self.size) or self.log:
            raise ParameterError(
                f"{name} goes from {self.low:g} to {self.high:g} without steps.",
                fix=f'Give it steps, Range({self.low:g}, {self.high:g}, step), or draw: search="random", samples=500.',
            )
        return tuple(self.at((np.arange(int(self.size)) + 0.5) / self.size))

    def at(self, unit: np.ndarray) -> list[Any]:
        """Map numbers in [0, 1) to values, evenly spread over the span or its logarithm."""
        if self.log:
            values = np.exp(math.log(self.low) + unit * (math.log(self.high) - math.log(self.low)))
            values = np.clip(np.rint(values) if self.whole else values, self.low, self.high)
        elif math.isinf(self.size):
            values = self.low + unit * (self.high - self.low)
        else:
            step = self.step or 1.0
            values = self.low + np.floor(unit * self.size) * step
            values = np.round(values, 12)  # 0.1 + 2 × 0.1 is 0.3
        return [int(v) for v in values.tolist()] if self.whole else values.tolist()

    def ends(self) -> tuple[Any, Any]:
        """Return the lowest and the highest value."""
        first, last = self.at(np.array([0.0, 1.0 if self.log or math.isinf(self.size) else 1.0 - 0.5 / self.size]))
        return first, last

    def __str__(self) -> str:
        return f"{self.low:g} … {self.high:g}{f' by {self.step:g}' if self.step else ''}{' (log)' if self.log else ''}"


Domain = Choices | Span


@dataclass(frozen=True, eq=False)
class Axis:
    """One swept parameter as a column: its distinct values, and which of them each combination has."""

    name: str
    values: tuple[Any, ...] | np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, name: str, column: list[Any]) -> Axis:
        """Return the column of these values, one a combination."""
        if column and all(type(v) is float for v in column):
            distinct, codes = np.unique(np.array(column), return_inverse=True)
            return cls(name, distinct, codes.astype(smallest(len(distinct))))
        places: dict[Any, int] = {}
        codes = np.array([places.setdefault((type(v), v), len(places)) for v in column], np.int64)
        return cls(name, tuple(v for _, v in places), codes.astype(smallest(len(places))))

    def value(self, combination: int) -> Any:
        """Return the value of one combination, as it was given."""
        value = self.values[self.codes[combination]]
        return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True, eq=False)
class Space:
    """The combinations of a sweep, as columns.

    Parameters
    ----------
    axes
        One a swept parameter, all of one length.
    total, left_out
        How many combinations were looked at, and how many of those break the strategy's rule.
    """

    axes: tuple[Axis, ...]
    total: int
    left_out: int

    def __len__(self) -> int:
        return len(self.axes[0].codes)

    @property
    def names(self) -> tuple[str, ...]:
        """The swept parameters, in the order they were given."""
        return tuple(axis.name for axis in self.axes)

    @property
    def nbytes(self) -> int:
        """Memory of the columns."""
        return sum(axis.codes.nbytes + 8 * len(axis.values) for axis in self.axes)

    def point(self, combination: int) -> dict[str, Any]:
        """Return the parameters of one combination, as they were given."""
        return {axis.name: axis.value(combination) for axis in self.axes}

    def columns(self, combinations: np.ndarray) -> dict[str, list[Any]]:
        """Return the values of these combinations by name, as they were given."""
        found = {}
        for axis in self.axes:
            values = axis.values.tolist() if isinstance(axis.values, np.ndarray) else axis.values
            found[axis.name] = [values[code] for code in axis.codes[combinations].tolist()]
        return found

    def take(self, combinations: np.ndarray) -> Space:
        """Return the space of just these combinations; values that none of them has are left behind."""
        axes = []
        for axis in self.axes:
            used, codes = np.unique(axis.codes[combinations], return_inverse=True)
            values = axis.values[used] if isinstance(axis.values, np.ndarray) else tuple(axis.values[k] for k in used)
            axes.append(Axis(axis.name, values, codes.astype(smallest(len(used)))))
        return Space(tuple(axes), self.total, self.left_out)


def kind_of(domain: Domain) -> str:
    """Return how a column of such values is kept in a file: int, float, bool, str, or json where they are mixed."""
    if isinstance(domain, Span):
        return "int" if domain.whole else "float"
    kinds = {type(value) for value in domain.values}
    return kinds.pop().__name__ if len(kinds) == 1 and kinds <= {int, float, bool, str} else "json"


def smallest(values: int) -> np.dtype:
    """Return the smallest unsigned type that counts so many values from 0."""
    return np.min_scalar_type(max(values - 1, 0))


def domains_of(strategy: Strategy, parameters: Mapping[str, Any]) -> dict[str, Domain]:
    """Pick the parameters that were given as several values or as a ``Range``, and read what they may be."""
    found: dict[str, Domain] = {}
    for name, value in parameters.items():
        if isinstance(value, Range):
            kind = strategy.parameters[name].kind if name in strategy.parameters else float
            found[name] = _span(name, value, kind)
        elif is_many(name, value):
            found[name] = Choices(_values(name, value))
    if not found:
        raise ConfigError("nothing to sweep.", fix="Give at least one parameter several values: fast=range(5, 50, 5).")
    return found


def _span(name: str, given: Range, kind: type) -> Span:
    whole = kind is int
    if kind not in (int, float):
        raise ParameterError(f"{name} is {kind.__name__}, which has no range.", fix=f"List its values: {name}=[…].")
    if not (math.isfinite(given.low) and math.isfinite(given.high) and given.low < given.high):
        raise ParameterError(f"{name} goes from {given.low} to {given.high}.", allowed=["a low end below the high end"])
    if given.step is not None and not given.step > 0:
        raise ParameterError(f"{name} has steps of {given.step}.", allowed=["above 0"])
    if whole and not all(float(x).is_integer() for x in (given.low, given.high, given.step or 1)):
        raise ParameterError(f"{name}={given} is of whole numbers.", fix="Give whole ends and steps.")
    if given.log and (given.low <= 0 or given.step is not None):
        raise ParameterError(
            f"{name} from {given.low:g} by {given.step} has no logarithmic scale.",
            allowed=["a low end above 0, no step"],
        )
    return Span(float(given.low), float(given.high), given.step, given.log, whole)


def is_many(name: str, value: Any) -> bool:
    """Say whether a parameter's value is several values to sweep over."""
    if name == "fee_tiers" and isinstance(value, (list, tuple)):  # one value of it is pairs of numbers
        return not all(
            np.isscalar(part) for tier in value for part in (tier if isinstance(tier, (list, tuple)) else ())
        )
    if isinstance(value, FillPolicy) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return False
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping, pd.Series, pd.DataFrame))


def _values(name: str, value: Iterable[Any]) -> tuple[Any, ...]:
    values = [v.item() if isinstance(v, np.generic) else v for v in itertools.islice(value, _MOST_VALUES + 1)]
    if len(values) > _MOST_VALUES:
        raise ParameterError(
            f"{name} has more than {_MOST_VALUES:,} values, which nobody should hold.",
            fix=f"Draw them: {name}=tl.Range(low, high) with search='sobol' and samples=….",
        )
    if not values:
        raise ParameterError(f"{name} has no values to sweep.", fix="Give at least one.")
    try:
        distinct = list(dict.fromkeys(values))
        return tuple(sorted(distinct) if isinstance(value, (set, frozenset)) else distinct)  # a set has no order
    except TypeError as error:
        raise ParameterError(
            f"{name} cannot be swept over {type(values[0]).__name__} values: {error}.",
            fix="Sweep numbers and words; values bar by bar are given one at a time, as a Series.",
        ) from error
