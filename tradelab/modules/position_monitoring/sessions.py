"""Say whether a bar that has closed was the last one of its session, before the next one can tell."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np

from tradelab.catalog.sessions import sessions_of
from tradelab.model.instrument import Calendar, Instrument
from tradelab.model.units import NS_PER_DAY, NS_PER_S, Timeframe


def ends_session(open_ns: int, timeframe: Timeframe, instrument: Instrument, zone: str) -> bool:
    """Return whether the next bar belongs to another day of the clock in ``zone``, as a backtest counts days.

    Where the market's calendar is known, the next bar is the next one that can be; else the one that follows at once.

    Examples
    --------
    >>> from decimal import Decimal
    >>> btc = Instrument(symbol="BTC", venue="x", quote="USD", tick_size=Decimal(1), qty_step=Decimal(1))
    >>> [ends_session(hour * 3_600_000_000_000, Timeframe.H1, btc, "UTC") for hour in (22, 23)]
    [False, True]
    """
    following = _next_bar(timeframe.next_open(open_ns), timeframe, instrument)
    return _day(open_ns, zone) != _day(following, zone)


def is_past_session(filled_ns: int, now_ns: int, timeframe: Timeframe, instrument: Instrument, zone: str) -> bool:
    """Return whether what was filled at ``filled_ns`` has outlasted its session, and its market trades again.

    Nobody may have been there when the session ended, and the bar that ended it is told to nobody who comes later.
    """
    open_ns = timeframe.floor(now_ns)
    is_over = _day(timeframe.floor(filled_ns), zone) < _day(open_ns, zone)
    return is_over and _next_bar(open_ns, timeframe, instrument) == open_ns


def _next_bar(from_ns: int, timeframe: Timeframe, instrument: Instrument) -> int:
    name = instrument.session or ("fx" if instrument.calendar is Calendar.WEEKDAYS else None)
    if name is None or timeframe.ns >= NS_PER_DAY:
        return from_ns
    starts, ends = sessions_of(name, from_ns, from_ns + 7 * NS_PER_DAY).spans
    at = int(np.searchsorted(ends, from_ns, side="right"))
    if at == len(ends):
        return from_ns
    return max(from_ns, timeframe.floor(int(starts[at])))


def _day(ts_ns: int, zone: str) -> dt.date:
    return dt.datetime.fromtimestamp(ts_ns // NS_PER_S, ZoneInfo(zone)).date()
