"""Read parameters and grids that were written as text, as command lines and notebook parameters must."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.strategy.registry import find
from tradelab.strategy.spec import Parameter, Range, Strategy

_FORM = "Write name=value pairs: fast=10 slow=30."
_GRID_FORM = "Write name=first:last:step or name=a,b,c: fast=5:50:5 slow=50,100,200."
_AROUND = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


def read_parameters(strategy: str | Strategy, text: str) -> dict[str, Any]:
    """Return the strategy's parameters that ``text`` names, each in its kind.

    >>> read_parameters("sma_cross", "fast=5 slow=40")
    {'fast': 5, 'slow': 40}
    """
    chosen = find(strategy)
    return {name: _value(chosen, name, value) for name, value in _pairs(text, _FORM).items()}


def read_grid(strategy: str | Strategy, text: str) -> dict[str, list[Any]]:
    """Return the values to sweep that ``text`` names; ``first:last:step`` includes its last value.

    >>> read_grid("sma_cross", "fast=5:15:5 slow=20,50")
    {'fast': [5, 10, 15], 'slow': [20, 50]}
    """
    chosen = find(strategy)
    return {name: _values(chosen, name, value) for name, value in _pairs(text, _GRID_FORM).items()}


def grid_around(strategy: str | Strategy, given: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return a small grid around ``given`` (or the defaults): half to three times the first two numbers.

    >>> grid_around("sma_cross", {"fast": 10})
    {'fast': [5, 8, 10, 15, 20, 30], 'slow': [15, 22, 30, 45, 60, 90]}
    """
    chosen = find(strategy)
    full = chosen.resolve(given)
    numbers = [p for p in chosen.parameters.values() if p.kind in (int, float)]
    return {p.name: _around(p, full[p.name]) for p in numbers[:2]}


def _around(parameter: Parameter, value: float) -> list[Any]:
    low, high = (
        (parameter.allowed.low, parameter.allowed.high) if isinstance(parameter.allowed, Range) else (-np.inf, np.inf)
    )
    scaled = [min(max(value * factor, low), high) for factor in _AROUND]
    return list(dict.fromkeys(parameter.kind(round(x)) if parameter.kind is int else float(f"{x:.4g}") for x in scaled))


def _pairs(text: str, form: str) -> dict[str, str]:
    pairs = {}
    for word in text.split():
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ParameterError(f"{word!r} in {text!r} is not name=value.", fix=form)
        if name in pairs:
            raise ParameterError(f"{name} is given twice in {text!r}.", fix=form)
        pairs[name] = value
    return pairs


def _value(strategy: Strategy, name: str, text: str) -> Any:
    if name not in strategy.parameters:
        unknown = UnknownNameError.of("parameter", name, strategy.parameters)
        raise ParameterError(f"{strategy.name}: {unknown.problem}", allowed=unknown.allowed)
    parameter = strategy.parameters[name]
    kinds: dict[type, Any] = {int: int, float: float, str: str, bool: {"true": True, "false": False}.__getitem__}
    try:
        value = kinds[parameter.kind](text.lower() if parameter.kind is bool else text)
    except (ValueError, KeyError):
        raise ParameterError(f"{strategy.name}: {name}={text!r} is not {parameter.kind.__name__}.", fix=_FORM) from None
    return parameter.accept(value, strategy.name)


def _values(strategy: Strategy, name: str, text: str) -> list[Any]:
    if ":" not in text:
        return [_value(strategy, name, part) for part in text.split(",")]
    parts = text.split(":")
    if len(parts) != 3:
        raise ParameterError(f"{name}={text!r} is not first:last:step.", fix=_GRID_FORM)
    try:
        first, last, step = (float(part) for part in parts)
    except ValueError:
        raise ParameterError(f"{name}={text!r} is not numbers.", fix=_GRID_FORM) from None
    if not step > 0 or last < first:
        raise ParameterError(f"{name}={text!r} counts from {first:g} to {last:g} by {step:g}.", fix=_GRID_FORM)
    count = int(np.floor((last - first) / step + 1e-9)) + 1
    return [_value(strategy, name, f"{first + i * step:g}") for i in range(count)]
