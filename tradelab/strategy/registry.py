"""Find strategies by name, the built-in ones included."""

from __future__ import annotations

import tradelab.strategy.builtin  # noqa: F401  (puts the built-in ones on the shelf)
from tradelab.model.errors import ConfigError, UnknownNameError
from tradelab.strategy.define import SHELF
from tradelab.strategy.spec import Strategy


def find(wanted: str | Strategy) -> Strategy:
    """Return the strategy itself, or the one registered under that name.

    Raises
    ------
    UnknownNameError
        No such strategy; the message lists the nearest and all.
    ConfigError
        A plain function, which has no declared warm-up.
    """
    if isinstance(wanted, Strategy):
        return wanted
    if not isinstance(wanted, str):
        raise ConfigError(
            f"{wanted!r} is not a strategy.",
            fix="Decorate the function: @tl.strategy(warmup=…), or give a registered name.",
        )
    known = registered()
    if wanted not in known:
        raise UnknownNameError.of("strategy", wanted, known)
    return known[wanted]


def registered() -> dict[str, Strategy]:
    """Every strategy by name, the built-in ones included."""
    return dict(sorted(SHELF.items()))


def is_built_in(strategy: Strategy) -> bool:
    """Whether every process that imports tradelab knows this very strategy by its name, and our tests hold it."""
    return strategy.function.__module__.startswith("tradelab.") and SHELF.get(strategy.name) is strategy
