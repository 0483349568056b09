"""Turn pages that run backwards from a time into pages that run forwards from one, skipping and repeating nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from tradelab.model.market import Candle
from tradelab.model.units import Timeframe

MOST = 1000  # bars of one answer
MARGIN = 10  # more bars than fit by the clock may open in a span: days of 23 hours, months of 28 days
PAGE = MOST - MARGIN

Ask = Callable[[int | None, int], Awaitable[Sequence[Candle]]]
"""Return the last bars (at most so many) that open no later than a time, or the newest, in the order of time."""

TIMEFRAMES = {
    Timeframe.M1: "1m", Timeframe.M3: "3m", Timeframe.M5: "5m", Timeframe.M15: "15m", Timeframe.M30: "30m",
    Timeframe.H1: "1h", Timeframe.H2: "2h", Timeframe.H4: "4h", Timeframe.H6: "6h", Timeframe.H8: "8h",
    Timeframe.H12: "12h", Timeframe.D1: "1d", Timeframe.W1: "1w", Timeframe.MN: "1mn",
}  # fmt: skip
MT4_TIMEFRAMES = tuple(
    t for t in TIMEFRAMES if TIMEFRAMES[t] in ("1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w", "1mn")
)


async def forward_page(ask: Ask, timeframe: Timeframe, since_ns: int, limit: int, now_ns: int) -> list[Candle]:
    """Return the first bars from ``since_ns`` (included) on, at most ``limit``, oldest first.

    A span that may hold ``limit`` bars is asked for from its end. An answer that reaches back before the span holds all
    of the span. One that does not may have lost the span's first bars: they are asked for too, where they may be few;
    else the span is halved, unless nothing opens before. An answer that holds nothing of the span (a weekend, or years
    before the first bar) moves the span on and doubles it. So the number of requests grows with the logarithm of the
    gap.

    Parameters
    ----------
    now_ns
        The venue's time; nothing opens after it.

    Returns
    -------
    list of Candle
        Without a hole of our making, but perhaps fewer than ``limit`` where there was a gap; empty only when nothing
        opens from ``since_ns`` to ``now_ns``.
    """
    count, low, span = min(MOST, limit + MARGIN), since_ns, limit
    while low <= now_ns:
        until = min(now_ns, low + span * timeframe.ns - 1)
        answered = await ask(until, count)
        fresh = [bar for bar in answered if bar.open_ns >= low]
        before = (fresh[0].open_ns - low) // timeframe.ns if fresh else 0
        if not fresh:
            low, span = until + 1, span * 2
        elif len(fresh) < len(answered):
            return fresh[:limit]
        elif before <= limit:
            return (await _back_to(ask, low, fresh, count))[:limit]
        elif len(answered) < count and await _begins(ask, fresh[0], low):
            return fresh[:limit]
        else:
            span = max(before // 2, limit)
    return []


async def _back_to(ask: Ask, low_ns: int, known: list[Candle], count: int) -> list[Candle]:
    """Add all bars from ``low_ns`` on that open before the known ones, however few the venue tells at once."""
    while known[0].open_ns > low_ns:
        answered = await ask(known[0].open_ns - 1, count)
        fresh = [bar for bar in answered if bar.open_ns >= low_ns]
        known = fresh + known
        if not fresh or len(fresh) < len(answered):
            break
    return known


async def _begins(ask: Ask, first: Candle, low_ns: int) -> bool:
    """Whether nothing of the span opens before its first known bar."""
    before = await ask(first.open_ns - 1, 1)
    return not before or before[-1].open_ns < low_ns


def with_closed(bars: Sequence[Candle], timeframe: Timeframe, now_ns: int) -> list[Candle]:
    """Mark bars closed that a later one follows, or whose time is over by the venue's clock."""
    marked = [replace(bar, closed=True) for bar in bars[:-1]]
    return marked + [replace(bar, closed=_is_over(bar, timeframe, now_ns)) for bar in bars[-1:]]


def _is_over(bar: Candle, timeframe: Timeframe, now_ns: int) -> bool:
    if timeframe is Timeframe.MN:  # a broker's month may begin hours before ours; no month has more than 31 days
        return now_ns >= bar.open_ns + 31 * Timeframe.D1.ns
    return now_ns >= bar.open_ns + timeframe.ns
