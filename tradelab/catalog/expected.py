"""List the bars that should exist by a named calendar, laid out the way a series lays out its own.

Providers agree on when a market trades and not on where its bars begin: hours of a New York stock open at 14:30 or at
14:00 UTC, four-hour bars go by UTC or by the wall clock, a day is stamped 00:00 UTC, 00:00 at the exchange, or its
session's open. Each way is laid over the stored bars and the one that meets most of them stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from tradelab.catalog.sessions import Sessions, sessions_of
from tradelab.model.units import NS_PER_DAY, NS_PER_HOUR, Timeframe

_SAMPLE = 50_000  # stored bars that tell the layout
_SATURDAY = 2  # 1970-01-03; a week is the one that a bar stamped on any day from Saturday to Friday belongs to
_AHEAD_NS = 14 * NS_PER_HOUR  # midnight on the first, in the zones furthest ahead, is still the month before in UTC


class Expected(NamedTuple):
    """Bars that should exist, in rising order, from the first stored one on.

    ``slots`` int64 (n,) is the open time of each, ``done`` int64 (n,) when it is complete, ``present`` bool (n,)
    whether it is stored; ``outside`` bool, one a *stored* bar, whether it lies where the market is closed.
    """

    slots: np.ndarray
    done: np.ndarray
    present: np.ndarray
    outside: np.ndarray


def expect(stamps: np.ndarray, timeframe: Timeframe, calendar: str, until_ns: int) -> Expected:
    """Return what should exist of a series from its first stored bar to ``until_ns`` (excluded).

    Parameters
    ----------
    stamps
        int64 (n,), open times of the stored bars in nanoseconds, rising, at least one.
    calendar
        ``"fx"`` or the name of an exchange, as :func:`tradelab.catalog.sessions.calendar_of` returns it.
    until_ns
        No bar that opens later is expected; at least the last stamp plus one.
    """
    sessions = sessions_of(calendar, int(stamps[0]), until_ns)
    if timeframe.ns < NS_PER_DAY:
        near = (sessions.spans[1] > stamps[0]) & (sessions.spans[0] < until_ns)
        slots = _intraday(stamps, timeframe.ns, sessions.spans[:, near], sessions.zone)
        slots = slots[(slots >= stamps[0]) & (slots < until_ns)]
        outside = ~sessions.is_open(stamps, timeframe.ns)
        return Expected(slots, slots + timeframe.ns, _is_in(slots, stamps), outside)
    return _whole_days(stamps, timeframe, sessions, until_ns)


def _intraday(stamps: np.ndarray, length: int, spans: np.ndarray, zone: str) -> np.ndarray:
    """Lay bars over the open stretches: by UTC, by the wall clock, or from each stretch's own open."""
    sample = stamps[-_SAMPLE:]
    best, most = stamps[:0], -1
    for shift in _shifts(sample, length, spans, zone):
        slots = _lay(spans, length, shift)
        met = int(np.count_nonzero(_is_in(sample, slots)))
        if met > most:
            best, most = slots, met
        if met == len(sample):
            break
    return best


def _shifts(sample: np.ndarray, length: int, spans: np.ndarray, zone: str) -> Iterator[np.ndarray | None]:
    """Give each way to lay bars: how far its grid is from that of UTC at each span, ``None`` for the span's start."""
    yield np.full(spans.shape[1], -_usual(sample % length))
    if length > NS_PER_HOUR:  # zones are whole or half hours from UTC, and change by a whole one
        wall = _usual((sample + _offset_ns(sample, zone)) % length)
        yield _offset_ns(spans[0], zone) - wall
    yield None


def _lay(spans: np.ndarray, length: int, shift: np.ndarray | None) -> np.ndarray:
    """Return the open times of bars that share a moment with a span, on the grid shifted for each or from its start."""
    starts, ends = spans
    first = starts if shift is None else starts - (starts + shift) % length
    counts = -(-(ends - first) // length)
    nth = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    slots = np.repeat(first, counts) + nth * length
    return slots if (np.diff(slots) > 0).all() else np.unique(slots)  # a lunch break may lie inside one bar


def _whole_days(stamps: np.ndarray, timeframe: Timeframe, sessions: Sessions, until_ns: int) -> Expected:
    """Expect a bar for each day, week or month that has a session."""
    if timeframe.ns == NS_PER_DAY:
        mine, slots = _by_day(stamps, sessions)
        theirs, done = sessions.days, sessions.closes
    else:
        number = _week if timeframe is Timeframe.W1 else _month
        mine, every = number(stamps), number(sessions.days * NS_PER_DAY)
        last = np.append(np.flatnonzero(np.diff(every)), len(every) - 1)
        theirs, done = every[last], sessions.closes[last]
        slots = _week_open(theirs) if timeframe is Timeframe.W1 else _month_open(theirs)
    wanted = (theirs >= mine[0]) & (slots < until_ns)
    return Expected(slots[wanted], done[wanted], _is_in(theirs[wanted], mine), ~_is_in(mine, theirs))


def _by_day(stamps: np.ndarray, sessions: Sessions) -> tuple[np.ndarray, np.ndarray]:
    """Return the day each bar is of, and the stamp that each session's bar should have: by UTC, wall clock or open."""
    wall = stamps + _offset_ns(stamps, sessions.zone)
    at = np.clip(np.searchsorted(sessions.opens, stamps, side="right") - 1, 0, None)
    midnight = sessions.days * NS_PER_DAY
    ways = (
        (stamps // NS_PER_DAY, midnight),
        (wall // NS_PER_DAY, midnight - _offset_ns(midnight, sessions.zone)),
        (np.where(stamps < sessions.closes[at], sessions.days[at], stamps // NS_PER_DAY), sessions.opens),
    )
    return max(ways, key=lambda way: int(np.count_nonzero(_is_in(way[0], sessions.days))))


def _week(stamps: np.ndarray) -> np.ndarray:
    return (stamps // NS_PER_DAY - _SATURDAY) // 7


def _week_open(weeks: np.ndarray) -> np.ndarray:
    return (weeks * 7 + _SATURDAY + 2) * NS_PER_DAY  # Monday


def _month(stamps: np.ndarray) -> np.ndarray:
    return (stamps + _AHEAD_NS).view("M8[ns]").astype("M8[M]").astype(np.int64)


def _month_open(months: np.ndarray) -> np.ndarray:
    return months.astype("M8[M]").astype("M8[ns]").view(np.int64)


def _offset_ns(stamps: np.ndarray, zone: str) -> np.ndarray:
    """Return how far a zone's wall clock is ahead of UTC at each stamp."""
    local = pd.DatetimeIndex(stamps.view("M8[ns]")).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return local.as_unit("ns").asi8 - stamps


def _usual(values: np.ndarray) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[np.argmax(counts)])


def _is_in(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Say of each value whether it is in ``among``, which is sorted: a fraction of what ``np.isin`` takes."""
    if not len(among):
        return np.zeros(len(values), dtype=bool)
    at = np.searchsorted(among, values)
    return among[np.minimum(at, len(among) - 1)] == values
