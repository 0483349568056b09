"""Write and read times as MetaApi does: ISO in UTC with milliseconds, and the broker's own hours beside them."""

from __future__ import annotations

import datetime as dt

from tradelab.model.units import NS_PER_HOUR, NS_PER_S, Timeframe

BROKER_AHEAD_NS = 3 * NS_PER_HOUR  # as in every documented example
_MS = 1_000_000

TIMEFRAMES = {
    Timeframe.M1: "1m", Timeframe.M3: "3m", Timeframe.M5: "5m", Timeframe.M15: "15m", Timeframe.M30: "30m",
    Timeframe.H1: "1h", Timeframe.H2: "2h", Timeframe.H4: "4h", Timeframe.H6: "6h", Timeframe.H8: "8h",
    Timeframe.H12: "12h", Timeframe.D1: "1d", Timeframe.W1: "1w", Timeframe.MN: "1mn",
}  # fmt: skip
BY_NAME = {name: timeframe for timeframe, name in TIMEFRAMES.items()}


def iso(ts_ns: int) -> str:
    """Write a time in UTC.

    >>> iso(1587092703223000000)
    '2020-04-17T03:05:03.223Z'
    """
    return f"{_second(ts_ns):%Y-%m-%dT%H:%M:%S}.{ts_ns // _MS % 1000:03d}Z"


def broker(ts_ns: int) -> str:
    """Write a time by the broker's clock.

    >>> broker(1587092703223000000)
    '2020-04-17 06:05:03.223'
    """
    return f"{_second(ts_ns + BROKER_AHEAD_NS):%Y-%m-%d %H:%M:%S}.{ts_ns // _MS % 1000:03d}"


def parse(text: str) -> int:
    """Read a time in UTC.

    Raises
    ------
    ValueError
        It is none.

    >>> parse("2020-04-17T03:05:03.223Z")
    1587092703223000000
    """
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    whole = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (whole.days * 86_400 + whole.seconds) * NS_PER_S + whole.microseconds * 1000


def _second(ts_ns: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=ts_ns // NS_PER_S)
