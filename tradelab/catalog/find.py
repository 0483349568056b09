"""Get bars by symbol and timeframe, whether they came with the package or lie in the catalog."""

from __future__ import annotations

import pandas as pd

from tradelab.catalog import samples
from tradelab.catalog.bars import Catalog
from tradelab.model.errors import TimestampError, TooFewBarsError
from tradelab.model.units import Timeframe


def bars(
    symbol: str,
    timeframe: str | Timeframe,
    source: str = "sample",
    *,
    start: str | pd.Timestamp | None = None,
    end: str | pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Return canonical bars of one series.

    Parameters
    ----------
    symbol, timeframe
        ``"EURUSD"``, ``"1h"``.
    source
        ``"sample"`` for the bars that come with the package, else a source of the catalog (``"binance"``).
    start, end
        First open time, and the open time before which to stop; UTC unless they say otherwise. ``None``: no bound.

    Raises
    ------
    UnknownNameError
        No such series; the message lists the nearest.
    TimestampError, TooFewBarsError
        A bound that is no time, or that leaves no bar.

    Examples
    --------
    >>> bars("GOOG", "1d", start="2013-01-01").index[0]
    Timestamp('2013-01-02 00:00:00+0000', tz='UTC')
    """
    first, last = _utc("start", start), _utc("end", end)
    if source == "sample":
        whole = samples.load(f"{symbol}-{Timeframe.of(timeframe).alias}")
        chosen = whole.loc[first:last]
        if last is not None and len(chosen) and chosen.index[-1] == last:
            chosen = chosen.iloc[:-1]
        chosen.attrs = dict(whole.attrs)
    else:
        with Catalog() as catalog:
            chosen = catalog.read(source, symbol, timeframe, start=first, end=last)
    if chosen.empty:
        raise TooFewBarsError(
            f"{source} {symbol} {timeframe} has no bars from {first or 'the beginning'} to {last or 'the end'}.",
            fix="Ask for a range it covers: see `tradelab data list` and `tradelab data samples`.",
        )
    return chosen


def _utc(name: str, time: str | pd.Timestamp | None) -> pd.Timestamp | None:
    if time is None or time == "":
        return None
    try:
        stamp = pd.Timestamp(time)
    except ValueError as error:
        raise TimestampError(
            f"{name}={time!r} is not a time.", fix="Write it like 2024-01-31 or 2024-01-31T12:00Z."
        ) from error
    return stamp.tz_localize("UTC") if stamp.tz is None else stamp.tz_convert("UTC")
