"""Draw the indicators that strategies use most over a whole history, by machine code that may be made ahead of time.

The same figures, to the last bit, as the kernels of `tradelab.engine.windows` and `tradelab.engine.indicators`, which
other kernels call; these are for Python, and need numba only where nothing was made ahead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tradelab.engine import recursive, rolling, wholes
from tradelab.engine.far import frame_of, grid_at, row_at, run
from tradelab.engine.windows import stretch_known

Floats = NDArray[np.float64]
_EMA, _RMA, _RSI = 0, 1, 2
_KINDS = (np.float64, np.int64, np.float64, np.float64)


def sma(values: Floats, window: int) -> Floats:
    """Mean of the last ``window`` values."""
    return _figure(wholes.SUM, values, window, rolling.NO_DDOF)


def wma(values: Floats, window: int) -> Floats:
    """Mean weighted 1, 2, …, ``window`` from the oldest to the newest value."""
    return _figure(wholes.WEIGHTED, values, window, rolling.NO_DDOF)


def rolling_std(values: Floats, window: int, ddof: int) -> Floats:
    """Standard deviation of the last ``window`` values over ``window − ddof``."""
    return _figure(wholes.SPREAD, values, window, ddof)


def highest(values: Floats, window: int) -> Floats:
    """Highest of the last ``window`` values, the newest included."""
    return _figure(rolling.HIGHEST, values, window, rolling.NO_DDOF)


def lowest(values: Floats, window: int) -> Floats:
    """Lowest of the last ``window`` values, the newest included."""
    return _figure(rolling.LOWEST, values, window, rolling.NO_DDOF)


def ema(values: Floats, window: int) -> Floats:
    """Exponential average with weight ``2 / (window + 1)``, started at the mean of the first ``window`` values."""
    return _average(_EMA, values, window)


def rma(values: Floats, window: int) -> Floats:
    """Wilder's average: exponential, with weight ``1 / window``, started like `ema`."""
    return _average(_RMA, values, window)


def rsi(values: Floats, window: int) -> Floats:
    """Wilder's relative strength index, 0 to 100."""
    return _average(_RSI, values, window)


def _figure(figure: int, values: Floats, window: int, ddof: int) -> Floats:
    values, n = np.ascontiguousarray(values, np.float64), len(values)
    out, terms = np.empty((1, n)), np.array([window, ddof, *stretch_known(values)], np.int64)
    scratch = np.empty(rolling.room.py_func(figure, min(window, n), n))
    run(figure_far, frame_of(_KINDS, values, terms, scratch, out), figure)
    return out[0]


def _average(kind: int, values: Floats, window: int) -> Floats:
    values = np.ascontiguousarray(values, np.float64)
    out, terms = np.empty((1, len(values))), np.array([window], np.int64)
    run(average_far, frame_of(_KINDS, values, terms, np.zeros(4), out), kind)
    return out[0]


def figure_far(frame: int, figure: int, _third: int, _fourth: int, _fifth: int) -> None:
    """Draw a figure over a window; ``_figure`` wrote the frame."""
    values, terms = row_at(frame, 0, np.float64), row_at(frame, 1, np.int64)
    scratch, out = row_at(frame, 2, np.float64), grid_at(frame, 3, np.float64)
    known = (terms[2], terms[3])
    rolling.rows(figure, values, known, terms[:1], terms[1], np.int64(0), len(values), scratch, out)


def average_far(frame: int, kind: int, _third: int, _fourth: int, _fifth: int) -> None:
    """Draw an average that remembers everything; ``_average`` wrote the frame."""
    values, window = row_at(frame, 0, np.float64), row_at(frame, 1, np.int64)[0]
    state, out = row_at(frame, 2, np.float64), grid_at(frame, 3, np.float64)
    if kind == _RSI:
        recursive.strength(values, window, np.int64(0), len(values), state, out[0])
    else:
        weight = 2.0 / (window + 1.0) if kind == _EMA else 1.0 / window
        recursive.smoothed(values, window, weight, np.int64(0), len(values), state, out[0])
