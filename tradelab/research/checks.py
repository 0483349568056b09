"""Refuse values that are not allowed, naming them and what would have been right."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from tradelab.model.errors import ParameterError


def require_choice(name: str, value: object, known: Any) -> None:
    """Refuse a value that is not one of ``known``, naming them."""
    if not isinstance(value, str) or value not in known:
        raise ParameterError(f"{name}={value!r} is not known.", allowed=list(known))


def number(
    name: str,
    value: Any,
    *,
    above: float = -np.inf,
    least: float = -np.inf,
    below: float = np.inf,
    most: float = np.inf,
) -> None:
    """Refuse what is not a finite number inside its bounds, naming them."""
    good = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if good and np.isfinite(value) and above < value < below and least <= value <= most:
        return
    low = f"above {above:g}" if np.isfinite(above) else f"from {least:g}" if np.isfinite(least) else "any number"
    high = f" below {below:g}" if np.isfinite(below) else f" up to {most:g}" if np.isfinite(most) else ""
    raise ParameterError(f"{name}={value!r} is not allowed.", allowed=[low + high])


def whole(name: str, value: Any, *, least: int, most: int = 2**31 - 1) -> None:
    """Refuse what is not a whole number inside its bounds, naming them; 5.0 is one."""
    number_like = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if number_like and math.isfinite(value) and int(value) == value and least <= value <= most:
        return
    raise ParameterError(f"{name}={value!r} is not allowed.", allowed=[f"whole numbers from {least} to {most}"])


def is_single(value: Any) -> bool:
    """Whether a value holds for all bars: a number, words or nothing, against one value a bar."""
    return value is None or isinstance(value, (int, float, complex, str, np.generic))


def as_path(value: Any) -> Path:
    """Return a path as such; refuse what names no place."""
    if isinstance(value, (str, os.PathLike)) and os.fspath(value):
        return Path(value)
    raise ParameterError(f"path={value!r} names no place.", allowed=["words or a Path"])


def require_sweep(value: Any) -> None:
    """Refuse what is not the outcome of a sweep."""
    if not hasattr(value, "ranked"):
        raise ParameterError(f"{type(value).__name__} is no sweep.", allowed=["what tl.sweep returned"])
