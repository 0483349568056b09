"""Watch a strategy's function once for all combinations that take the same way through it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradelab.strategy.spec import SIGNAL_NAMES, Signals, Strategy, as_flags
from tradelab.strategy.trace_symbols import Bars, Flags, Number, Symbol, plain, standing
from tradelab.strategy.trace_world import Fork, Node, Untraceable, World

MOST_WAYS = 5_000  # watchings; one takes about a millisecond


@dataclass(frozen=True, eq=False)
class Way:
    """What combinations that take one way through the function ask for.

    Parameters
    ----------
    places
        Which combinations, ascending.
    roots
        Long entry, long exit, short entry, short exit; ``None`` for never.
    """

    places: np.ndarray
    roots: tuple[Node | None, ...]


def watch(strategy: Strategy, bars: pd.DataFrame, columns: dict[str, list[Any]], combinations: int) -> list[Way]:
    """Every way through the function, with the combinations that take it.

    Parameters
    ----------
    columns
        By parameter, each combination's value, accepted by the strategy.

    Raises
    ------
    Untraceable
        The function does what cannot be watched, or takes too many ways.
    """
    words = [name for name, parameter in strategy.parameters.items() if parameter.kind in (str, bool)]
    waiting = _parted(np.arange(combinations), list(zip(*(columns[name] for name in words), strict=True)))
    ways: list[Way] = []
    watchings = 0
    while waiting:
        places = waiting.pop()
        watchings += 1
        if watchings > MOST_WAYS:
            raise Untraceable(f"takes more than {MOST_WAYS} ways, depending on its parameters")
        try:
            ways.append(Way(places, _watched(strategy, bars, columns, places)))
        except Fork as fork:
            waiting += _parted(places, fork.labels)
    return ways


def _parted(places: np.ndarray, labels: Sequence[Hashable]) -> list[np.ndarray]:
    """Places that bear the same label, together; all of them where there are no labels."""
    parts: dict[Hashable, list[int]] = {}
    for place, label in zip(places, labels or [()] * len(places), strict=True):
        parts.setdefault(label, []).append(place)
    return [np.array(part) for part in parts.values()]


def _watched(
    strategy: Strategy, bars: pd.DataFrame, columns: dict[str, list[Any]], places: np.ndarray
) -> tuple[Node | None, ...]:
    world = World(bars)
    numbers = {name: Number.of(world, [values[p] for p in places]) for name, values in columns.items()}
    try:
        signals = strategy.function(Bars(world), **numbers)
    except Exception as error:  # on real bars it may be no error; if it is, the real run will say so
        raise Untraceable(f"{type(error).__name__} while watched: {error}") from error
    if not isinstance(signals, Signals):
        raise Untraceable("does not return Signals")
    return tuple(_root(world, getattr(signals, name), f"{strategy.name}: {name}") for name in SIGNAL_NAMES)


def _root(world: World, value: Any, name: str) -> Node | None:
    if value is None:
        return None
    value = standing(world, value)
    if not isinstance(value, Symbol):
        raise Untraceable(f"gives {type(value).__name__} for {name}")
    if isinstance(value, Flags):
        return plain(value)
    return Node("flags", name, (plain(value),), lambda real: as_flags(real, world.bars.index, name))
