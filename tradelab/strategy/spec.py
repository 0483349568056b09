"""Say what a strategy is: a function from bars to signals, with typed parameters and a declared warm-up."""

from __future__ import annotations

import html
import inspect
import math
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast, get_args, get_origin

import numpy as np
import pandas as pd

from tradelab.model.errors import AlignmentError, ConfigError, ParameterError, UnknownNameError

# Words of backtest, sweep and check: a parameter of that name could never be given to its strategy.
# fmt: off
RESERVED = frozenset({
    "bars", "strategy", "entries", "exits", "short_entries", "short_exits", "benchmark", "calendar", "progress",
    "cuts", "seed", "fill", "direction", "size", "size_type", "init_cash", "fees", "maker_fees", "fixed_fees",
    "per_unit_fees", "min_fees", "fee_tiers", "spread", "slippage", "slippage_range", "impact", "volume_share",
    "size_granularity", "min_size", "min_notional", "max_weight", "kelly_trades", "kelly_start", "layers", "risk_cap",
    "exit_size", "entry_type", "entry_price", "expiry", "latency", "leverage", "maintenance", "liquidation_fee",
    "funding", "borrow", "interest", "swap_long", "swap_short", "sl_stop", "sl_trail", "tp_stop", "sl_price",
    "tp_price", "plan", "session", "train", "test", "anchored", "min_trades",
    "search", "samples", "by", "each", "timeframes", "path", "executor", "threads", "blocks", "on_error",
    "memory_limit", "weights", "finer",
})
# fmt: on
SIGNAL_NAMES = ("long_entry", "long_exit", "short_entry", "short_exit")


@dataclass(frozen=True, slots=True)
class Range:
    """Allowed values of a parameter, both ends included; ``step`` is what a form or a sweep walks by.

    Used in an annotation: ``fast: Annotated[int, Range(2, 200)] = 10``; and as what a sweep draws from, where ``log``
    draws as many values between 1 and 10 as between 10 and 100.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low:g} … {self.high:g}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a strategy: name, kind (``int``, ``float``, ``bool`` or ``str``), default and allowed values."""

    name: str
    kind: type
    default: Any
    allowed: Range | tuple[Any, ...] | None

    def accept(self, value: object, owner: str) -> Any:
        """Return ``value`` in this parameter's kind, or refuse it by name."""
        plain = value.item() if isinstance(value, np.generic) else value
        if self.kind is float and isinstance(plain, int) and not isinstance(plain, bool):
            plain = float(plain)
        if self.kind is int and isinstance(plain, float) and plain.is_integer():
            plain = int(plain)
        if type(plain) is not self.kind:
            raise ParameterError(
                f"{owner}: {self.name}={value!r} is {type(plain).__name__}, not {self.kind.__name__}.",
                allowed=[_shown(self.allowed) or self.kind.__name__],
            )
        if isinstance(self.allowed, Range):
            inside = self.allowed.low <= cast(float, plain) <= self.allowed.high
        else:
            inside = self.allowed is None or plain in self.allowed
        if not inside:
            raise ParameterError(f"{owner}: {self.name}={value!r} is out of range.", allowed=[_shown(self.allowed)])
        return plain


@dataclass(frozen=True, eq=False)
class Signals:
    """Decisions of a strategy, one boolean a bar and side, each made at its bar's close.

    Parameters
    ----------
    long_entry, long_exit, short_entry, short_exit
        Booleans of the bars' length: arrays, Series on the bars' index, or ``None`` for never. NaN counts as no.
    """

    long_entry: Any = None
    long_exit: Any = None
    short_entry: Any = None
    short_exit: Any = None

    def columns(self, bars: pd.DataFrame, owner: str = "signals") -> dict[str, np.ndarray]:
        """Return the four as boolean arrays of the bars' length, or say which one does not fit."""
        return {name: as_flags(getattr(self, name), bars.index, f"{owner}: {name}") for name in SIGNAL_NAMES}


def as_flags(values: object, index: pd.Index, name: str) -> np.ndarray:
    """Return ``values`` as a boolean array that fits ``index``.

    Raises
    ------
    AlignmentError
        When the length or, for a Series, the index is not that of the bars.
    """
    if values is None:
        return np.zeros(len(index), dtype=bool)
    if isinstance(values, pd.Series):
        if not same_times(values.index, index):
            raise AlignmentError(
                f"{name} has {len(values)} rows ({_span(values.index)}), the bars have {len(index)} ({_span(index)}).",
                fix="Compute signals from the very bars you pass, or reindex them: signals.reindex(bars.index).",
            )
        values = values.to_numpy()
    array = np.asarray(values)
    if array.shape != (len(index),):
        raise AlignmentError(
            f"{name} has shape {array.shape}, the bars have {len(index)} rows.",
            fix="Give one boolean a bar.",
        )
    if array.dtype == bool:
        return array
    known = ~np.asarray(pd.isna(array))  # NaN, NA and None are no
    sane = np.isin(array, (0, 1)) if array.dtype != object else np.array([_is_truth(x) for x in array], dtype=bool)
    if (known & ~sane).any():
        at = int(np.argmax(known & ~sane))
        raise AlignmentError(
            f"{name} is {array[at]} at {index[at]}, which is neither yes nor no.",
            allowed=["True", "False", "1", "0", "NaN"],
            fix="Compare to make it so: signals == 1.",
        )
    return np.where(known, array, False).astype(bool)


def _is_truth(value: object) -> bool:
    return isinstance(value, (bool, int, float, np.generic)) and value in (0, 1)


def same_times(given: pd.Index, index: pd.Index) -> bool:
    """Whether two indexes hold the same moments, whatever their zone or unit."""
    if isinstance(given, pd.DatetimeIndex) and isinstance(index, pd.DatetimeIndex) and given.tz is not None:
        given = given.tz_convert(index.tz).as_unit(index.unit)
    return given.equals(index)


def _span(index: pd.Index) -> str:
    return f"{index[0]} … {index[-1]}" if len(index) else "empty"


@dataclass(frozen=True, eq=False)
class Strategy:
    """A strategy: called with bars and parameters it returns ``Signals``.

    Parameters
    ----------
    name, says
        Name in the registry, and its first line of documentation.
    function
        ``function(bars, **parameters) -> Signals``; bars are the canonical frame.
    parameters
        By name, in the order of the signature.
    warmup
        Bars needed, the deciding one included, before a decision can be trusted; a function of the parameters.
    requires
        Condition on several parameters together and its words, e.g. ``"fast < slow"``.
    """

    name: str
    says: str
    function: Callable[..., Signals]
    parameters: Mapping[str, Parameter]
    warmup: Callable[..., int]
    requires: str = ""
    _condition: Any = field(default=None, repr=False)

    @property
    def defaults(self) -> dict[str, Any]:
        """Every parameter's default."""
        return {p.name: p.default for p in self.parameters.values()}

    def resolve(self, given: Mapping[str, object]) -> dict[str, Any]:
        """Return all parameters, defaults filled in, or refuse the first wrong one.

        Raises
        ------
        ParameterError
            Unknown name, wrong kind, out of range, or together against ``requires``.
        """
        for name in given:
            if name not in self.parameters:
                unknown = UnknownNameError.of("parameter", name, self.parameters)
                raise ParameterError(f"{self.name}: {unknown.problem}", allowed=unknown.allowed)
        full = {name: p.accept(given.get(name, p.default), self.name) for name, p in self.parameters.items()}
        if not self.allows(full):
            shown = ", ".join(f"{name}={value!r}" for name, value in full.items())
            raise ParameterError(f"{self.name}: {shown} together break the rule {self.requires}.")
        return full

    def allows(self, full: Mapping[str, Any]) -> bool:
        """Whether parameters that are fine alone are fine together."""
        return self._condition is None or bool(eval(self._condition, {"__builtins__": {}}, dict(full)))

    def allows_each(self, columns: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Whether each of many combinations is fine, given as arrays of objects; ``None``: this rule takes them singly.

        Raises
        ------
        ValueError, TypeError, AttributeError
            The rule does what arrays cannot (``and``, ``or``, a chain of comparisons); ask ``allows`` for each.
        """
        if self._condition is None:
            return None
        verdict = eval(self._condition, {"__builtins__": {}}, dict(columns))
        return verdict.astype(bool) if isinstance(verdict, np.ndarray) else None

    def warmup_bars(self, given: Mapping[str, object]) -> int:
        """Bars the strategy needs with these parameters."""
        return math.ceil(self.warmup(**self.resolve(given)))

    def decide(self, bars: pd.DataFrame, given: Mapping[str, object]) -> dict[str, np.ndarray]:
        """Signals over ``bars`` as four boolean arrays; nothing is decided before the warm-up is over."""
        full = self.resolve(given)
        signals = self.function(bars, **full)
        if not isinstance(signals, Signals):
            raise ConfigError(
                f"{self.name} returned {type(signals).__name__}, not Signals.",
                fix="End it with: return tl.Signals(long_entry=…, long_exit=…).",
            )
        columns = signals.columns(bars, self.name)
        quiet = max(math.ceil(self.warmup(**full)) - 1, 0)
        return {name: _quiet_until(flags, quiet) for name, flags in columns.items()}

    def __call__(self, bars: pd.DataFrame, **given: object) -> Signals:
        return self.function(bars, **self.resolve(given))

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{p.name}</td><td>{p.kind.__name__}</td><td>{html.escape(str(p.default))}</td>"
            f"<td>{html.escape(_shown(p.allowed))}</td></tr>"
            for p in self.parameters.values()
        )
        rule = f"<p>Rule: <code>{html.escape(self.requires)}</code></p>" if self.requires else ""
        return (
            f"<b>{html.escape(self.name)}</b> — {html.escape(self.says)}<table><thead><tr><th>parameter</th>"
            f"<th>kind</th><th>default</th><th>allowed</th></tr></thead><tbody>{rows}</tbody></table>{rule}"
        )


def _shown(allowed: Range | tuple[Any, ...] | None) -> str:
    """Allowed values for a reader."""
    return ", ".join(map(str, allowed)) if isinstance(allowed, tuple) else str(allowed or "")


def _quiet_until(flags: np.ndarray, bars: int) -> np.ndarray:
    if bars == 0 or not flags[:bars].any():
        return flags
    flags = flags.copy()
    flags[:bars] = False
    return flags


def parameters_of(function: Callable[..., Any]) -> dict[str, Parameter]:
    """Read a function's parameters after the first (the bars) from its signature and annotations."""
    hints = typing.get_type_hints(function, include_extras=True)
    found: dict[str, Parameter] = {}
    entries = list(inspect.signature(function).parameters.values())
    if not entries or entries[0].kind not in (entries[0].POSITIONAL_ONLY, entries[0].POSITIONAL_OR_KEYWORD):
        raise ConfigError(f"{function.__name__} takes no bars.", fix=f"Write def {function.__name__}(bars, ...).")
    for entry in entries[1:]:
        if entry.kind not in (entry.POSITIONAL_OR_KEYWORD, entry.KEYWORD_ONLY):
            raise ConfigError(
                f"{function.__name__}: {entry} cannot be given by its name.",
                fix="Write each parameter: window: int = 10.",
            )
        if entry.name in RESERVED:
            raise ConfigError(
                f"{function.__name__}: parameter {entry.name!r} bears the name of a term of the backtest.",
                fix=f"Call it something else: {entry.name}_of_signal.",
            )
        if entry.default is inspect.Parameter.empty:
            raise ConfigError(
                f"{function.__name__}: parameter {entry.name!r} has no default.", fix=f"Write {entry.name}: int = 10."
            )
        found[entry.name] = _parameter(function.__name__, entry, hints.get(entry.name))
    return found


def _parameter(owner: str, entry: inspect.Parameter, hint: Any) -> Parameter:
    kind: Any = type(entry.default)
    allowed: Range | tuple[Any, ...] | None = None
    if get_origin(hint) is Annotated:
        kind, *extras = get_args(hint)
        allowed = next((x for x in extras if isinstance(x, Range)), None)
        hint = kind
    if get_origin(hint) is typing.Literal:
        choices = get_args(hint)
        kind, allowed = type(choices[0]), choices
    elif hint is not None:
        kind = hint
    if kind not in (int, float, bool, str):
        raise ConfigError(f"{owner}: parameter {entry.name!r} is {kind!r}.", allowed=["int", "float", "bool", "str"])
    parameter = Parameter(entry.name, kind, entry.default, allowed)
    return Parameter(entry.name, kind, parameter.accept(entry.default, owner), allowed)


def signal_union(frames: Iterable[dict[str, np.ndarray]]) -> np.ndarray:
    """Stack the flags of several instruments into bit masks of shape (bars, instruments)."""
    columns = [sum((frame[name].astype(np.uint8) << i for i, name in enumerate(SIGNAL_NAMES))) for frame in frames]
    return np.ascontiguousarray(np.column_stack(columns), dtype=np.uint8)
