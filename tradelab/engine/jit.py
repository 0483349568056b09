"""Compile a kernel the way this house does, when somebody needs it.

A kernel works on what it is handed and allocates nothing, so it is compiled without numba's memory manager: nobody
counts who holds an array (with atomic instructions, which cost more than a bar does), and its machine code calls
nothing but itself. What makes arrays and returns them is a ``maker``.

numba takes longer to import than a sweep may take to run, and where the machine code was made ahead of time
(`tradelab.engine.native`) nobody needs it. So a kernel here is a promise: numba is imported when it is first called
from Python, or when another kernel is compiled that calls it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

Row = Any  # one row of a structured array; kernels read and write its fields by name


class Kernel:
    """A function that becomes machine code on first use, kept on disk; to numba it is the compiled function itself.

    Parameters
    ----------
    function
        What numba compiles.
    options
        Beside the house's own: no GIL, and IEEE division (x/0 is inf, not an exception).
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        functools.update_wrapper(self, function)
        self.name = function.__name__
        self.py_func = function
        self.options = options

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        return self.compiled(*arguments)

    @functools.cached_property
    def compiled(self) -> Any:
        """numba's dispatcher."""
        from tradelab.engine.cache import stamped_numba

        return stamped_numba().njit(cache=True, nogil=True, error_model="numpy", **self.options)(self.py_func)

    @property
    def _numba_type_(self) -> Any:
        return self.compiled._numba_type_

    def __reduce__(self) -> Any:
        return _named, (self.__module__, self.name)


def _named(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


class Primitive:
    """Something of `tradelab.engine.primitives` by its name: what a kernel asks of the machine itself."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any) -> Any:
        """Refuse: it is compiled into kernels, never called by itself."""
        raise TypeError(f"{self.name} is for kernels; Python cannot call it.")

    def __reduce__(self) -> Any:
        return Primitive, (self.name,)

    @property
    def _numba_type_(self) -> Any:
        from numba.core.registry import cpu_target

        primitive = getattr(import_module("tradelab.engine.primitives"), self.name)
        cpu_target.typing_context.refresh()
        return cpu_target.typing_context.resolve_value_type(primitive)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile what allocates nothing."""
    return Kernel(function, _nrt=False)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile like ``kernel``, but into its callers: where handing the arguments over would cost more than the work."""
    return Kernel(function, _nrt=False, forceinline=True)


def reordered(function: Callable[..., Any]) -> Any:
    """Compile like ``kernel`` a sum whose terms may be added in any order, which is what vector registers need."""
    return Kernel(function, _nrt=False, fastmath={"reassoc", "nsz", "contract"})


def maker(function: Callable[..., Any]) -> Any:
    """Compile what allocates arrays and returns them."""
    return Kernel(function)
