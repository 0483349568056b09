"""Compile a kernel the one way this house does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

Row = Any  # one row of a structured array; kernels read and write its fields by name


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first use and keep the machine code on disk; no GIL, IEEE division (x/0 is inf, not an exception)."""
    return njit(cache=True, nogil=True, error_model="numpy")(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile like ``kernel``, but into its callers: where handing the arguments over would cost more than the work."""
    return njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function)
