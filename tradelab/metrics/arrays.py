"""Take arrays in at the door: one dimension, float64, finite, of equal length."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def finite(values: ArrayLike, name: str) -> Floats:
    """Return ``values`` as a one-dimensional float64 array without NaN or infinity.

    Raises
    ------
    ValueError
        Not one-dimensional, or not finite; the message names the array and the first bad place. This floor knows no
        error tree of its own: whoever hands it user input checks that first.

    Examples
    --------
    >>> finite([0.01, float("nan")], "returns")
    Traceback (most recent call last):
        ...
    ValueError: returns[1] is nan; figures skip nothing: drop or fill it first.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must have one dimension, not {array.ndim}.")
    if not np.isfinite(array).all():
        place = int(np.argmin(np.isfinite(array)))
        raise ValueError(f"{name}[{place}] is {array[place]}; figures skip nothing: drop or fill it first.")
    return array


def same_length(**arrays: NDArray) -> None:
    """Refuse arrays of different lengths, naming each with its length."""
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name} {len(array)}" for name, array in arrays.items())
        raise ValueError(f"arrays must have equal lengths, not {lengths}.")
