"""Make a strategy from a function and put it on the shelf under its name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from tradelab.model.errors import ConfigError
from tradelab.strategy.spec import Signals, Strategy, parameters_of

SHELF: dict[str, Strategy] = {}


def strategy(
    *, warmup: int | Callable[..., int], requires: str = "", name: str | None = None
) -> Callable[[Callable[..., Signals]], Strategy]:
    """Make a strategy of ``function(bars, **parameters) -> Signals`` and register it under its name.

    Parameters
    ----------
    warmup
        Bars needed before a decision can be trusted, the deciding one included: a number, or a function that is given
        the parameters, ``lambda fast, slow: slow + 1``.
    requires
        A condition on several parameters, ``"fast < slow"``: a backtest refuses it broken, a sweep leaves it out.
    name
        Name in the registry; the function's own by default. A later definition of the same name replaces the earlier.

    Examples
    --------
    >>> import tradelab as tl
    >>> @tl.strategy(warmup=lambda window: window)
    ... def above_average(bars, window: int = 20):
    ...     mean = tl.indicators.sma(bars.close, window)
    ...     return tl.Signals(long_entry=bars.close > mean, long_exit=bars.close < mean)
    >>> above_average.defaults
    {'window': 20}
    """

    def make(function: Callable[..., Signals]) -> Strategy:
        says = (inspect.getdoc(function) or "").split("\n")[0]
        needs: Any = warmup if callable(warmup) else (lambda **_: warmup)
        made = Strategy(
            name=name or function.__name__,
            says=says,
            function=function,
            parameters=parameters_of(function),
            warmup=needs,
            requires=requires,
            _condition=_compiled(requires, function.__name__),
        )
        _try_out(made)
        SHELF[made.name] = made
        return made

    return make


def _compiled(requires: str, owner: str) -> Any:
    try:
        return compile(requires, "<requires>", "eval") if requires else None
    except SyntaxError as error:
        raise ConfigError(
            f"{owner}: requires={requires!r} is no expression.", fix='Write it as "fast < slow".'
        ) from error


def _try_out(made: Strategy) -> None:
    """Find a rule or a warm-up that does not fit the parameters now, not in the middle of a sweep."""
    try:
        made.allows(made.defaults)
    except Exception as error:
        raise ConfigError(
            f"{made.name}: requires={made.requires!r} fails: {error}.",
            allowed=made.parameters,
            fix="Compare parameters, without calling functions.",
        ) from error
    full = made.resolve({})
    try:
        bars = math.ceil(made.warmup(**full))
    except Exception as error:
        raise ConfigError(
            f"{made.name}: the warm-up cannot be computed: {error}.",
            fix=f"Give a number of bars, or lambda {', '.join(full) or '**_'}: ...",
        ) from error
    if bars < 0:
        raise ConfigError(f"{made.name}: the warm-up is {bars} bars.", allowed=["0 or more"])
