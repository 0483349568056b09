"""Make a strategy from a function and put it on the shelf under its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

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
            _condition=compile(requires, "<requires>", "eval") if requires else None,
        )
        made.warmup_bars({})  # a warm-up that does not fit the parameters is found now, not in the middle of a sweep
        SHELF[made.name] = made
        return made

    return make
