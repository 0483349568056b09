"""Make longer bars of shorter ones: first open, highest high, lowest low, last close, summed volume."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tradelab.catalog.frame import as_bars, from_arrays, infer_timeframe, time_ns
from tradelab.model.errors import ParameterError
from tradelab.model.units import NS_PER_DAY, Timeframe

_MONDAY_1970_NS = 4 * NS_PER_DAY


def resample(bars: pd.DataFrame, timeframe: str | Timeframe, *, keep_incomplete: bool = False) -> pd.DataFrame:
    """Return bars of a longer timeframe, each stamped with its open time.

    Weeks open on Monday and months on the first, 00:00 UTC. A long bar is complete when its first moment is covered and
    its last moment has passed; so at most the first and the last can be incomplete, and they are left out. A hole in
    the middle (a weekend, a maintenance) makes no bar incomplete and no bar of its own.

    Parameters
    ----------
    bars
        Canonical bars, or what :func:`~tradelab.catalog.frame.as_bars` takes.
    timeframe
        A multiple of the bars' own; the same one returns the bars as they are.
    keep_incomplete
        Keep the incomplete first and last bar too.

    Raises
    ------
    ParameterError
        When the timeframe is shorter than the bars' own or does not contain a whole number of them.

    Examples
    --------
    >>> from tradelab.catalog import samples
    >>> resample(samples.load("EURUSD-1h"), "1d").index[0]
    Timestamp('2017-01-02 00:00:00+0000', tz='UTC')
    """
    bars = as_bars(bars)
    target = Timeframe.of(timeframe)
    own = infer_timeframe(bars)
    if own is target:
        return bars
    _require_divides(own, target)
    stamps = time_ns(bars)
    opens = floor_times(stamps, target)
    starts = np.flatnonzero(np.concatenate(([True], opens[1:] != opens[:-1])))
    ends = np.append(starts[1:], len(bars)) - 1
    values = {c: bars[c].to_numpy() for c in bars.columns}
    longer = {
        "open": values["open"][starts],
        "high": np.fmax.reduceat(values["high"], starts),
        "low": np.fmin.reduceat(values["low"], starts),
        "close": values["close"][ends],
        "volume": np.add.reduceat(values["volume"], starts),
    }
    result = from_arrays(opens[starts], longer)
    result.attrs = dict(bars.attrs)
    if keep_incomplete:
        return result
    first = 0 if stamps[0] == opens[0] else 1
    covered = own.next_open(int(stamps[-1])) >= target.next_open(int(opens[-1]))
    return result.iloc[first : len(result) if covered else len(result) - 1]


def floor_times(stamps: np.ndarray, timeframe: Timeframe) -> np.ndarray:
    """Return the open time of the ``timeframe`` bar that contains each stamp; int64 nanoseconds in and out."""
    if timeframe is Timeframe.MN:
        return stamps.view("M8[ns]").astype("M8[M]").astype("M8[ns]").view(np.int64)
    offset = _MONDAY_1970_NS if timeframe is Timeframe.W1 else 0
    return stamps - (stamps - offset) % timeframe.ns


def _require_divides(own: Timeframe, target: Timeframe) -> None:
    whole = own.ns <= NS_PER_DAY if target is Timeframe.MN else own is not Timeframe.MN and target.ns % own.ns == 0
    if not whole:
        longer = [t.alias for t in Timeframe if t.ns > own.ns and (t.ns % own.ns == 0 or t is Timeframe.MN)]
        raise ParameterError(
            f"{own.alias} bars cannot make {target.alias} bars.",
            allowed=longer,
            fix="Get shorter bars; detail that was never stored cannot be made up.",
        )
