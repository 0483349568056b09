"""Look at longer bars from shorter ones, each of which sees only what had closed by its own close."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tradelab.catalog.frame import COLUMNS, as_bars, from_arrays, infer_timeframe, time_ns
from tradelab.catalog.resample import floor_times, resample
from tradelab.model.errors import AlignmentError, DataError, TooFewBarsError
from tradelab.model.units import Timeframe


def higher(
    bars: pd.DataFrame | pd.Series, timeframe: str | Timeframe, function: Callable[[Any], Any] | None = None
) -> Any:
    """Work something out on longer bars, and lay it out on the short ones without look-ahead.

    A long bar is seen from the short bar at whose close it is closed too: the four bars of 15 minutes from 10:00 see
    the hour of 09:00, but the last of them, which closes at 11:00, sees the hour of 10:00. Incomplete long bars are
    seen by none. Warm-up counts in short bars: an average of 50 days on hours needs 51 days of them, and the day that
    has begun.

    Parameters
    ----------
    bars
        Short bars, or one column of them (an indicator, a spread), of which each long bar takes the last value.
    timeframe
        Of the long bars, a multiple of the bars' own: ``"4h"``, ``"1d"``, ``"1w"``.
    function
        Called with the long bars (or the long column); returns a Series, a DataFrame or an array with a row a long
        bar, or a named tuple of them. ``None``: the long bars themselves.

    Returns
    -------
    Series, DataFrame, ndarray or named tuple
        What the function returned, on the index of ``bars``. Before the first long bar has closed: NaN, ``False`` where
        there are booleans.

    Raises
    ------
    AlignmentError
        The function returned something that has not one row a long bar.
    ParameterError
        The timeframe is shorter than the bars' own, or no multiple of it.
    TooFewBarsError
        No long bar is complete.

    Examples
    --------
    Buy on hours while the trend of the days is up:

    >>> import tradelab as tl
    >>> from tradelab.research.timeframes import higher
    >>> @tl.strategy(warmup=30 * 24)
    ... def with_the_days(bars, window: int = 10):
    ...     trend = higher(bars, "1d", lambda days: tl.indicators.sma(days.close, window))
    ...     return tl.Signals(long_entry=bars.close > trend, long_exit=bars.close < trend)
    >>> tl.check(with_the_days, tl.samples.load("EURUSD-1h").iloc[:2000], cuts=20).ok
    True
    """
    short = _as_bars(bars)
    target = Timeframe.of(timeframe)
    own = infer_timeframe(short)
    longer = resample(short, target)
    if len(longer) == 0:
        raise TooFewBarsError(
            f"{len(short)} bars of {own.alias} make no complete one of {target.alias}.",
            fix="Load more history, or declare a longer warm-up.",
        )
    given = pd.Series(longer["close"], name=bars.name) if isinstance(bars, pd.Series) else longer
    made = given if function is None else function(given)
    return _laid_out(made, longer.index, bars.index, _seen(short, own, longer, target))


def _as_bars(bars: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """Bars as they are; a column as bars that stand still at it."""
    if not isinstance(bars, pd.Series):
        return as_bars(bars)
    column = as_bars(pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), bars), bars.index), name="the column")
    return from_arrays(time_ns(column), {name: column[name].to_numpy() for name in COLUMNS})


def _seen(short: pd.DataFrame, own: Timeframe, longer: pd.DataFrame, target: Timeframe) -> np.ndarray:
    """For each short bar, the position of the last long bar that it sees; -1: none yet."""
    stamps = time_ns(short)
    closes = _closes(time_ns(longer), target)
    by_clock = np.searchsorted(closes, _closes(stamps, own), side="right")
    lasts = np.searchsorted(stamps, closes, side="left") - 1  # the last short bar in each long one
    by_place = np.searchsorted(lasts, np.arange(len(stamps)), side="right")  # where stamps are crooked, clocks may lie
    return np.minimum(by_clock, by_place) - 1


def _closes(stamps: np.ndarray, timeframe: Timeframe) -> np.ndarray:
    """When bars close, int64 nanoseconds."""
    if timeframe is Timeframe.MN:
        return np.array([timeframe.next_open(stamp) for stamp in stamps.tolist()], dtype=np.int64)
    return floor_times(stamps, timeframe) + timeframe.ns


def _laid_out(made: Any, longer: pd.Index, index: pd.Index, seen: np.ndarray) -> Any:
    """Lay values of long bars out on short ones."""
    if isinstance(made, tuple):
        return type(made)(*(_laid_out(part, longer, index, seen) for part in made))
    if isinstance(made, pd.DataFrame):
        columns = {name: _laid_out(made[name], longer, index, seen) for name in made.columns}
        return pd.DataFrame(columns, index)
    if isinstance(made, pd.Series):
        if not made.index.equals(longer):
            raise AlignmentError(
                f"the function returned {len(made)} rows that are not those of the {len(longer)} long bars.",
                fix="Keep the index it was given: no dropna, no slices.",
            )
        return pd.Series(_laid_out(made.to_numpy(), longer, index, seen), index, name=made.name)
    if not isinstance(made, np.ndarray):
        raise DataError(f"the function returned {type(made).__name__}.", allowed=["a Series, a DataFrame or an array"])
    if made.shape != (len(longer),):
        raise AlignmentError(f"the function returned shape {made.shape} for {len(longer)} long bars.")
    nothing: Any = False if made.dtype == bool else np.nan
    values = made if made.dtype == bool else made.astype(float)
    return np.where(seen < 0, nothing, values[np.maximum(seen, 0)])
