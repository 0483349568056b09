"""Offer the indicators on Series and arrays, with windows checked and indexes kept.

Every function takes pandas Series or NumPy arrays of shape (bars,), oldest first, and answers in kind: a Series on the
same index for a Series, an array for an array, a named tuple of those where an indicator has several lines. Values are
those known at each bar's close, the bar itself included: comparing a close with `highest` of the same bars never finds
it above; take the bar before (``.shift(1)``).

NaN: undefined before enough bars, and after a hole in the data (`tradelab.engine.windows` has the policy).

Raises, all of them: `ParameterError` for a window that is no whole number of at least 1, a width or step that is not
above 0, or values that are not one column of numbers; `AlignmentError` for Series on different indexes or arrays of
different lengths.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from tradelab.engine import histories, windows
from tradelab.engine import indicators as kernels
from tradelab.engine.indicators import Bands, Directional, Macd, Stochastic
from tradelab.model.errors import AlignmentError, ParameterError
from tradelab.strategy.trace_calls import called, world_of
from tradelab.strategy.trace_memory import CURRENT

__all__ = [
    "adx", "atr", "bollinger", "cross_above", "cross_below", "donchian", "ema", "highest", "lowest", "macd", "momentum",
    "previous", "psar", "rises_above", "rma", "roc", "rolling_std", "rsi", "sma", "stochastic", "true_range", "wma",
]  # fmt: skip

Values = Any  # a Series or an array of numbers
Truths = Any  # a Series or an array of booleans
ValuesOrLevel = Any  # the same, or one number for all bars
Window = int  # whole, at least 1
Positive = float  # above 0
Function = TypeVar("Function", bound=Callable[..., Any])


def _window(where: str, value: Any) -> int:
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise ParameterError(f"{where}={value!r} is not a window.", allowed=["whole numbers from 1"])


def _positive(where: str, value: Any) -> float:
    if _is_number(value) and 0 < value < float("inf"):
        return float(value)
    raise ParameterError(f"{where}={value!r} is out of range.", allowed=["numbers above 0"])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _values(where: str, value: Any) -> np.ndarray:
    if np.ndim(value) != 1:
        raise ParameterError(f"{where} has {np.ndim(value)} dimensions, not 1.", fix="Give one column.")
    try:
        array = value.to_numpy(np.float64, na_value=np.nan) if isinstance(value, pd.Series) else value
        return np.require(array, np.float64, ["C", "W"])  # pandas hands out read-only ones: another compilation each
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{where} is not a column of numbers.", fix="Give one column of prices.") from error


# By the annotation of what an indicator returns, what it gives.
_GIVES = {
    "Values": float,
    "Truths": bool,
    "Macd": Macd,
    "Bands": Bands,
    "Directional": Directional,
    "Stochastic": Stochastic,
}
_SCALARS: dict[str, Callable[[str, Any], Any]] = {"Window": _window, "Positive": _positive}


def _on_series(function: Function) -> Function:
    """Let a function of arrays take Series: check each argument by its annotation, and put the index back."""
    signature = inspect.signature(function)
    kinds = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    name = function.__name__
    checks = {argument: _SCALARS[kind] for argument, kind in kinds.items() if kind in _SCALARS}

    @functools.wraps(function)
    def lifted(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        watching = world_of(given)
        if watching is not None:  # a sweep learns what is asked for, once for all its combinations
            return called(watching, lifted, given, checks, _GIVES[signature.return_annotation])
        series = {n: v for n, v in given.items() if isinstance(v, pd.Series)}
        length = _common_length(name, {n: v for n, v in given.items() if kinds[n] not in _SCALARS}, series)
        asked = dict(given)
        for argument, value in given.items():
            where = f"{name}: {argument}"
            if kinds[argument] in _SCALARS:
                given[argument] = _SCALARS[kinds[argument]](where, value)
            elif kinds[argument] == "ValuesOrLevel" and _is_number(value):
                given[argument] = np.full(length, float(value))
            else:
                given[argument] = _values(where, value)
        memory = CURRENT.get()
        if memory is None:
            out = function(*bound.args, **bound.kwargs)
        else:
            out = memory.recall(name, asked, lambda: function(*bound.args, **bound.kwargs))
        return _indexed(out, next(iter(series.values())).index, name) if series else out

    return lifted  # type: ignore[return-value]


def _common_length(function: str, values: dict[str, Any], series: dict[str, pd.Series]) -> int:
    for (first, one), (other, two) in itertools.pairwise(series.items()):
        if one.index is not two.index and not one.index.equals(two.index):
            raise AlignmentError(
                f"{function}: {first} and {other} are on different indexes.", fix="Take both from the same bars."
            )
    lengths = {n: len(v) for n, v in values.items() if np.ndim(v) == 1}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{n} {length}" for n, length in lengths.items())
        raise AlignmentError(f"{function}: lengths differ: {shown}.", fix="Take all from the same bars.")
    return next(iter(lengths.values()), 0)


def _indexed(out: Any, index: pd.Index, name: str) -> Any:
    if isinstance(out, tuple):
        return type(out)(*(pd.Series(line, index, name=n) for n, line in zip(out._fields, out, strict=True)))  # type: ignore[attr-defined]
    return pd.Series(out, index, name=name)


@_on_series
def sma(values: Values, window: Window) -> Values:
    """Simple moving average.

    A function of the values in its window alone, to the last bit: where history begins moves no crossing.

    >>> sma(np.array([1.0, 2.0, 4.0, 8.0]), 2).tolist()
    [nan, 1.5, 3.0, 6.0]
    """
    return histories.sma(values, window)


@_on_series
def ema(values: Values, window: Window) -> Values:
    """Exponential moving average with weight ``2 / (window + 1)``, started at the mean of the first ``window`` values.

    The start is TA-Lib's; ``Series.ewm(span=window, adjust=False)`` starts at the first value and agrees after some
    ten windows.

    >>> ema(np.array([1.0, 3.0, 2.0, 4.0]), 3).tolist()
    [nan, nan, 2.0, 3.0]
    """
    return histories.ema(values, window)


@_on_series
def rma(values: Values, window: Window) -> Values:
    """Wilder's moving average (Wilder 1978): exponential, with weight ``1 / window``.

    >>> rma(np.array([1.0, 3.0, 6.0]), 2).tolist()
    [nan, 2.0, 4.0]
    """
    return histories.rma(values, window)


@_on_series
def wma(values: Values, window: Window) -> Values:
    """Moving average weighted 1, 2, …, ``window`` from the oldest to the newest value.

    >>> wma(np.array([1.0, 4.0, 7.0]), 2).tolist()
    [nan, 3.0, 6.0]
    """
    return histories.wma(values, window)


@_on_series
def rolling_std(values: Values, window: Window) -> Values:
    """Sample standard deviation (ddof = 1, as pandas) of the last ``window`` values; NaN for a window of 1.

    >>> rolling_std(np.array([1.0, 3.0, 3.0]), 2).round(6).tolist()
    [nan, 1.414214, 0.0]
    """
    return histories.rolling_std(values, window, 1)


@_on_series
def highest(values: Values, window: Window) -> Values:
    """Highest of the last ``window`` values, the newest included.

    >>> highest(np.array([3.0, 1.0, 2.0]), 2).tolist()
    [nan, 3.0, 2.0]
    """
    return histories.highest(values, window)


@_on_series
def lowest(values: Values, window: Window) -> Values:
    """Lowest of the last ``window`` values, the newest included.

    >>> lowest(np.array([3.0, 1.0, 2.0]), 2).tolist()
    [nan, 1.0, 1.0]
    """
    return histories.lowest(values, window)


@_on_series
def roc(values: Values, window: Window = 1) -> Values:
    """Rate of change over ``window`` bars, a fraction (TA-Lib's ROCP; its ROC is percent).

    >>> roc(pd.Series([1.0, 2.0, 3.0])).tolist()
    [nan, 1.0, 0.5]
    """
    return windows.roc(values, window)


@_on_series
def momentum(values: Values, window: Window = 1) -> Values:
    """Difference over ``window`` bars.

    >>> momentum(np.array([1.0, 2.0, 4.0])).tolist()
    [nan, 1.0, 2.0]
    """
    return windows.momentum(values, window)


@_on_series
def rsi(values: Values, window: Window = 14) -> Values:
    """Relative strength index, 0 to 100 (Wilder 1978): average rise over average rise plus average fall.

    First known at bar ``window``. A market that never moved is 50 (TA-Lib: 0, which reads as oversold).

    >>> rsi(np.array([10.0, 11.0, 10.0, 13.0]), 2).tolist()
    [nan, nan, 50.0, 87.5]
    """
    return histories.rsi(values, window)


@_on_series
def macd(values: Values, fast: Window = 12, slow: Window = 26, signal: Window = 9) -> Macd:
    """Moving average convergence and divergence (Appel 1979): ``line``, ``signal`` and their ``histogram``.

    The line is first known at bar ``slow − 1``, the signal at ``slow + signal − 2``; TA-Lib withholds the line until
    then. Raises `ParameterError` unless ``fast < slow``.

    >>> macd(np.arange(6.0), 2, 3, 2).line.tolist()
    [nan, nan, 0.5, 0.5, 0.5, 0.5]
    """
    if fast >= slow:
        raise ParameterError(f"macd: fast={fast} is not below slow={slow}.", fix="Swap them, or choose others.")
    return kernels.macd(values, fast, slow, signal)


@_on_series
def bollinger(values: Values, window: Window = 20, width: Positive = 2.0) -> Bands:
    """Bollinger bands: the simple average, and ``width`` population deviations above and below (Bollinger 2001).

    >>> [line[-1].item() for line in bollinger(np.array([1.0, 3.0]), 2)]
    [4.0, 2.0, 0.0]
    """
    return kernels.bollinger(values, window, width)


@_on_series
def true_range(high: Values, low: Values, close: Values) -> Values:
    """True range (Wilder 1978): the bar's range, stretched to the close before; NaN on the first bar.

    >>> true_range(np.array([5.0, 9.0]), np.array([4.0, 8.0]), np.array([4.5, 8.5])).tolist()
    [nan, 4.5]
    """
    return kernels.true_range(high, low, close)


@_on_series
def atr(high: Values, low: Values, close: Values, window: Window = 14) -> Values:
    """Average true range (Wilder 1978), in price; first known at bar ``window``.

    >>> atr(np.array([5.0, 9.0, 9.0]), np.array([4.0, 8.0, 8.0]), np.array([4.5, 8.5, 8.5]), 2).tolist()
    [nan, nan, 2.75]
    """
    return kernels.atr(high, low, close, window)


@_on_series
def adx(high: Values, low: Values, close: Values, window: Window = 14) -> Directional:
    """Directional movement (Wilder 1978): ``adx``, ``plus_di`` and ``minus_di``, 0 to 100.

    The indicators are first known at bar ``window``, their index at ``2·window − 1``.

    >>> rising = np.arange(10.0)
    >>> adx(rising + 1, rising - 1, rising, 2).adx[-1].item()
    100.0
    """
    return kernels.adx(high, low, close, window)


@_on_series
def stochastic(
    high: Values, low: Values, close: Values, window: Window = 14, smooth: Window = 3, signal: Window = 3
) -> Stochastic:
    """Slow stochastic (Lane 1984), 0 to 100: the close's place in the range of ``window`` bars, smoothed.

    ``k`` is the simple average of ``smooth`` places, ``d`` that of ``signal`` ``k``; ``smooth=1`` gives the fast one. A
    window without range is 50 (TA-Lib: 0).

    >>> rising = np.arange(10.0)
    >>> stochastic(rising + 1, rising - 1, rising, 3).k[-1].item()
    75.0
    """
    return kernels.stochastic(high, low, close, window, smooth, signal)


@_on_series
def donchian(high: Values, low: Values, window: Window = 20) -> Bands:
    """Donchian channel: highest high, lowest low and the line half-way, the newest bar included.

    >>> [line[-1].item() for line in donchian(np.array([3.0, 2.0]), np.array([1.0, 0.0]), 2)]
    [3.0, 1.5, 0.0]
    """
    return kernels.donchian(high, low, window)


@_on_series
def psar(high: Values, low: Values, step: Positive = 0.02, maximum: Positive = 0.2) -> Values:
    """Parabolic stop and reverse (Wilder 1978): below the market in a rise, above it in a fall.

    First known on the second bar; starts as TA-Lib's does. ``maximum`` caps the acceleration.

    >>> psar(np.array([2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0])).tolist()
    [nan, 1.0, 1.04]
    """
    return kernels.psar(high, low, step, maximum)


@_on_series
def rises_above(a: ValuesOrLevel, b: ValuesOrLevel) -> Truths:
    """True where ``a`` is above ``b`` and was known not to be on the bar before; either may be a level.

    Two bars tell it all. `cross_above` also remembers on which side of a touch it came from, however long ago, and no
    declared warm-up could be honest about that. A NaN is neither above nor below.

    >>> rises_above(np.array([1.0, 3.0, 2.0, 3.0]), 2).tolist()
    [False, True, False, True]
    """
    risen = np.zeros(len(a), dtype=bool)
    risen[1:] = (a[1:] > b[1:]) & (a[:-1] <= b[:-1])
    return risen


@_on_series
def previous(values: Values, bars: Window = 1) -> Values:
    """The value of some bars before; NaN on the first ones (``Series.shift`` for arrays too).

    >>> previous(np.array([1.0, 3.0, 2.0])).tolist()
    [nan, 1.0, 3.0]
    """
    late = np.full(len(values), np.nan)
    late[bars:] = values[: max(len(values) - bars, 0)]
    return late


@_on_series
def cross_above(a: Values, b: ValuesOrLevel) -> Truths:
    """True where ``a`` has come to lie above ``b``, another line or a level, having last lain below.

    Touching is no crossing: above → equal → above is none, below → equal → above is one, on the last bar. A NaN forgets
    what was before it.

    >>> cross_above(np.array([1.0, 3.0, 2.0, 3.0]), 2).tolist()
    [False, True, False, False]
    """
    return windows.crossings(a, b) == 1


@_on_series
def cross_below(a: Values, b: ValuesOrLevel) -> Truths:
    """True where ``a`` has come to lie below ``b``: `cross_above` in the mirror.

    >>> cross_below(np.array([3.0, 2.0, 1.0]), 2).tolist()
    [False, False, True]
    """
    return windows.crossings(a, b) == -1


def __dir__() -> list[str]:
    return __all__
