"""Thin long series for the screen, keeping every bucket's first, lowest, highest and last value where they happened.

A screen is some thousand pixels wide; of half a million bars it can show no more than the extremes of each column. What
is kept keeps its own time, so nothing is moved and no peak or trough is lost.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

MOST_POINTS = 8_000  # a browser draws and moves this many at ease
_BUCKETS = 800


def thin(*columns: np.ndarray, most: int = MOST_POINTS, buckets: int = _BUCKETS) -> np.ndarray:
    """Positions to keep of columns that share one axis, ascending; all of them up to ``most``.

    Parameters
    ----------
    *columns
        Shape (points,) each; NaN is neither lowest nor highest, and a bucket of nothing but NaN keeps its first and
        last point, so that a gap stays a gap.

    Examples
    --------
    >>> thin(np.array([0.0, 5.0, 1.0, 1.0, -3.0, 1.0]), most=4, buckets=1).tolist()
    [0, 1, 4, 5]
    """
    count = len(columns[0])
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, buckets + 1).astype(int)
    kept = [edges[:-1], edges[1:] - 1]
    for column in columns:
        values = np.asarray(column, dtype=float)
        for fill, extreme in ((np.inf, np.argmin), (-np.inf, np.argmax)):
            filled = np.where(np.isnan(values), fill, values)
            kept.append(np.array([a + extreme(filled[a:b]) for a, b in pairwise(edges)]))
    return np.unique(np.concatenate(kept))


def stamps(times: pd.DatetimeIndex | pd.Series, like: pd.DatetimeIndex | None = None) -> list[str]:
    """Write UTC times as short as ``like`` (default: ``times``) allows: by day, by minute or by second.

    Examples
    --------
    >>> stamps(pd.DatetimeIndex(["2024-01-02", "2024-01-03"], tz="UTC"))
    ['2024-01-02', '2024-01-03']
    >>> stamps(pd.DatetimeIndex(["2024-01-02 09:30"], tz="UTC"))
    ['2024-01-02T09:30']
    """
    own = pd.DatetimeIndex(times)
    seconds = (own if like is None else like).as_unit("ns").asi8 // 10**9
    unit: Literal["D", "m", "s"] = "D" if not (seconds % 86_400).any() else "m" if not (seconds % 60).any() else "s"
    moments = own.tz_convert("UTC").tz_localize(None).to_numpy(dtype="M8[ns]")
    return [str(text) for text in np.datetime_as_string(moments, unit=unit)]


def rounded(values: np.ndarray | pd.Series, digits: int = 7) -> list[float | None]:
    """Round to ``digits`` significant digits of the largest value, which no screen shows more of; NaN becomes None.

    Examples
    --------
    >>> rounded(np.array([1.052360000001, np.nan, 0.5]))
    [1.05236, None, 0.5]
    """
    array = np.asarray(values, dtype=float)
    finite = np.abs(array[np.isfinite(array)])
    top = float(finite.max()) if len(finite) else 0.0
    places = digits - 1 - int(np.floor(np.log10(top))) if top > 0 else 0
    return [None if np.isnan(value) else value for value in np.round(array, min(max(places, 0), 15)).tolist()]
