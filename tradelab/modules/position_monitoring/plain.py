"""Run kernels of the engine as the plain Python they are written in: the same source, the same IEEE numbers.

A kernel that Python calls would be compiled first, which takes seconds, and an engine that trades has none to spare for
a handful of numbers a bar. So its ``py_func`` is taken, and what it calls in turn is taken so too.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import FunctionType
from typing import Any

from tradelab.engine.jit import Kernel

_worlds: dict[str, dict[str, Any]] = {}


def plain(kernel: Kernel) -> Callable[..., Any]:
    """Return a kernel as a Python function that compiles nothing, and calls nothing that does.

    Examples
    --------
    >>> from tradelab.engine.exits import tighter
    >>> plain(tighter)(1, 99.0, 98.0)
    99.0
    """
    function = kernel.py_func
    return FunctionType(function.__code__, _world(function.__module__), kernel.name, function.__defaults__)


def _world(module: str) -> dict[str, Any]:
    """The names a module knows, each kernel among them as plain Python."""
    if module not in _worlds:
        known = vars(import_module(module))
        _worlds[module] = world = dict(known)  # filed before it is filled: modules may know each other
        for name, value in known.items():
            if isinstance(value, Kernel):
                world[name] = plain(value)
    return _worlds[module]
