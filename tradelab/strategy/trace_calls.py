"""Note an indicator that was asked for, instead of reckoning it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tradelab.strategy.trace_symbols import Flags, Line, Number, Symbol, part_of, plain, standing
from tradelab.strategy.trace_world import Node, World


def world_of(arguments: Mapping[str, Any]) -> World | None:
    """The watching that one of the arguments belongs to; ``None`` when all are real."""
    return next((value.world for value in arguments.values() if isinstance(value, Symbol)), None)


def called(
    world: World,
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    checks: Mapping[str, Callable[[str, Any], Any]],
    gives: Any,
) -> Any:
    """Stand-ins for what ``function`` gives.

    Parameters
    ----------
    function
        The indicator as its users call it.
    arguments
        All of them, in the order of its signature.
    checks
        By argument, what refuses a wrong value: each of the combinations' values goes through it.
    gives
        ``float`` for a line, ``bool`` for a condition, or the named tuple of several lines.
    """
    for name, check in checks.items():
        value = arguments[name]
        for one in set(value.values) if isinstance(value, Number) else [value]:
            check(f"{function.__name__}: {name}", one)
    held = [standing(world, value) for value in arguments.values()]
    series = any(isinstance(value, Symbol) and value.series for value in held)
    node = Node(f"ta.{function.__name__}", "", tuple(map(plain, held)), function)
    if gives in (float, bool):
        return (Line if gives is float else Flags)(world, node, series)
    return gives(*(Line(world, part_of(node, k), series) for k in range(len(gives._fields))))
