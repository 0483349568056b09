"""Tell which bars are missing, and which hours the market was simply closed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tradelab.catalog.expected import Expected, expect
from tradelab.catalog.frame import moment_ns, time_ns
from tradelab.catalog.sessions import label
from tradelab.model.instrument import Calendar
from tradelab.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN, Timeframe

_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday, Monday is 0
_SHOWN = 10
_GUESSED_FROM = 100_000
ON_ITS_WAY_NS = 5 * NS_PER_MIN  # a bar that closed so lately may still be on its way to us


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of bars that should be there: open times of the first and last missing one, and how many."""

    first: pd.Timestamp
    last: pd.Timestamp
    bars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What is stored of a series and what is missing, by a calendar.

    ``outside`` counts stored bars at times when the market is closed, which only a named calendar can tell. ``behind``
    counts bars that should have come after the last one by the time of the question; ``None`` when no time was given.
    """

    timeframe: Timeframe
    calendar: Calendar | str
    first: pd.Timestamp | None
    last: pd.Timestamp | None
    bars: int
    missing: int
    gaps: tuple[Gap, ...]
    outside: int = 0
    behind: int | None = None

    @property
    def share(self) -> float:
        """Bars that are there, as a fraction of those that should be, between the first and the last."""
        there = self.bars - self.outside
        return there / (there + self.missing) if there + self.missing else float("nan")

    def largest(self, count: int = _SHOWN) -> list[Gap]:
        """Return the longest gaps, longest first."""
        return sorted(self.gaps, key=lambda g: -g.bars)[:count]

    def __str__(self) -> str:
        if self.first is None:
            return "no bars"
        head = (
            f"{self.bars:,} bars of {self.timeframe.alias}, {self.first:%Y-%m-%d %H:%M} to {self.last:%Y-%m-%d %H:%M} "
            f"UTC; {self.missing:,} missing in {len(self.gaps):,} gap(s) by the {label(self.calendar)} calendar "
            f"({self.share:.2%} there)"
        )
        if self.outside:
            head += f"; {self.outside:,} at times when the market is closed"
        if self.behind:
            head += f"; {self.behind:,} should have come since"
        lines = [
            f"  {g.bars:>8,} bars from {g.first:%Y-%m-%d %H:%M} to {g.last:%Y-%m-%d %H:%M}" for g in self.largest()
        ]
        return "\n".join([head, *lines])

    def _repr_html_(self) -> str:
        head = str(self).splitlines()[0]
        rows = "".join(f"<tr><td>{g.first}</td><td>{g.last}</td><td>{g.bars:,}</td></tr>" for g in self.largest())
        table = (
            f"<table><tr><th>first missing</th><th>last missing</th><th>bars</th></tr>{rows}</table>" if rows else ""
        )
        return f"<p>{head}</p>{table}"


def cover(
    bars: pd.DataFrame,
    timeframe: Timeframe,
    calendar: Calendar | str | None = None,
    *,
    now: str | dt.datetime | None = None,
) -> Coverage:
    """Return the coverage of canonical bars.

    Parameters
    ----------
    calendar
        As :func:`tradelab.catalog.sessions.calendar_of` returns it; guessed from the bars when not given. ``"fx"`` and
        the calendars of exchanges know holidays, early closes and breaks; the coarse ones do not.
    now
        The moment at which to ask how far behind the series is; UTC if it names no zone. A bar counts from five minutes
        after its close: until then it may be on its way.
    """
    stamps = time_ns(bars)
    calendar = calendar or guess_calendar(stamps, timeframe)
    gaps, outside, behind = assess(stamps, timeframe, calendar, None if now is None else moment_ns(now, name="now"))
    return Coverage(
        timeframe=timeframe,
        calendar=calendar,
        first=bars.index[0] if len(bars) else None,
        last=bars.index[-1] if len(bars) else None,
        bars=len(bars),
        missing=sum(g.bars for g in gaps),
        gaps=gaps,
        outside=int(np.count_nonzero(outside)),
        behind=behind,
    )


def assess(
    stamps: np.ndarray, timeframe: Timeframe, calendar: Calendar | str, now_ns: int | None = None
) -> tuple[tuple[Gap, ...], np.ndarray, int | None]:
    """Return the gaps, a mark for each stored bar that lies at a closed time, and how many bars are due by ``now_ns``.

    The coarse calendars tell no bar to be outside: where the series trades is what they are read off.
    """
    if isinstance(calendar, Calendar):
        due = None if now_ns is None else _due(stamps, timeframe, calendar, now_ns)
        return find_gaps(stamps, timeframe, calendar), np.zeros(len(stamps), dtype=bool), due
    if not len(stamps):
        return (), np.zeros(0, dtype=bool), None if now_ns is None else 0
    last = int(stamps[-1])
    wanted = expect(stamps, timeframe, calendar, last + 1 if now_ns is None else max(last + 1, now_ns))
    due = None
    if now_ns is not None:
        later = (wanted.slots > last) & ~wanted.present
        due = int(np.count_nonzero(later & (wanted.done <= now_ns - ON_ITS_WAY_NS)))
    return _runs(wanted, last), wanted.outside, due


def _runs(wanted: Expected, last_ns: int) -> tuple[Gap, ...]:
    """Return runs of expected bars that are not stored, up to the last that is."""
    lost = np.flatnonzero(~wanted.present & (wanted.slots <= last_ns))
    if not len(lost):
        return ()
    starts = np.flatnonzero(np.diff(lost, prepend=lost[0] - 2) > 1)
    ends = np.append(starts[1:], len(lost))
    return tuple(_gap(wanted.slots[lost[a:b]]) for a, b in zip(starts, ends, strict=True))


def _gap(slots: np.ndarray) -> Gap:
    return Gap(pd.Timestamp(slots[0], tz="UTC"), pd.Timestamp(slots[-1], tz="UTC"), len(slots))


def _due(stamps: np.ndarray, timeframe: Timeframe, calendar: Calendar, now_ns: int) -> int:
    """Count the bars after the last one that a coarse calendar expects to be complete and here by now."""
    if not len(stamps):
        return 0
    months = now_ns // Timeframe.MN.ns - int(stamps[-1]) // Timeframe.MN.ns + 2
    count = months if timeframe is Timeframe.MN else (now_ns - int(stamps[-1])) // timeframe.ns
    if count <= 0:
        return 0
    slots = _missing_slots(stamps, np.array([len(stamps) - 1]), np.array([count + 1]), timeframe)
    slots, done = slots[:-1], slots[1:]
    slots = slots[done <= now_ns - ON_ITS_WAY_NS]
    return int(np.count_nonzero(_is_open(slots, stamps, timeframe, calendar)))


def guess_calendar(stamps: np.ndarray, timeframe: Timeframe) -> Calendar:
    """Guess when a market is open from when it traded, by the latest hundred thousand bars.

    Bars on Saturdays mean always, and so does a range without a Saturday. Else daily bars mean sessions, and so do
    intraday bars, unless weekdays have bars at most hours of the day: that means around the clock.
    """
    stamps = stamps[-_GUESSED_FROM:]
    if timeframe.ns > NS_PER_DAY or not _spans_a_saturday(stamps):
        return Calendar.ALWAYS
    weekday = _weekday(stamps)
    if np.count_nonzero(weekday == 5) * 20 > len(stamps):  # a seventh when always open
        return Calendar.ALWAYS
    if timeframe.ns == NS_PER_DAY:
        return Calendar.SESSIONS
    return Calendar.WEEKDAYS if _usual_slots(stamps, timeframe).mean() > 0.8 else Calendar.SESSIONS


def find_gaps(stamps: np.ndarray, timeframe: Timeframe, calendar: Calendar) -> tuple[Gap, ...]:
    """Return runs of bars that are missing while the market was open, in order of time.

    ``24/5`` is closed from Friday 17:00 to Sunday 17:00 in New York; ``sessions`` on weekends and at times of the day
    at which the series hardly ever has bars. Holidays are not known and show as gaps.
    """
    if len(stamps) < 2:
        return ()
    missing_after = _missing_counts(stamps, timeframe)
    places = np.flatnonzero(missing_after > 0)
    if calendar is Calendar.WEEKDAYS and timeframe.ns < NS_PER_DAY:
        places = places[~_is_weekend_only(stamps[places], stamps[places + 1], timeframe)]
    if not len(places):
        return ()
    counts = missing_after[places]
    slots = _missing_slots(stamps, places, counts, timeframe)
    gap_of = np.repeat(np.arange(len(places)), counts)
    opened = _is_open(slots, stamps, timeframe, calendar)
    slots, gap_of = slots[opened], gap_of[opened]
    if not len(slots):
        return ()
    starts = np.flatnonzero(np.concatenate(([True], gap_of[1:] != gap_of[:-1])))
    ends = np.append(starts[1:], len(slots))
    return tuple(_gap(slots[a:b]) for a, b in zip(starts, ends, strict=True))


def _missing_counts(stamps: np.ndarray, timeframe: Timeframe) -> np.ndarray:
    if timeframe is Timeframe.MN:
        return np.diff(stamps.view("M8[ns]").astype("M8[M]").astype(np.int64)) - 1
    step = np.diff(stamps)
    return np.where(step < 2 * timeframe.ns - timeframe.ns // 2, 0, np.rint(step / timeframe.ns).astype(np.int64) - 1)


def _missing_slots(stamps: np.ndarray, places: np.ndarray, counts: np.ndarray, timeframe: Timeframe) -> np.ndarray:
    nth = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    before = np.repeat(stamps[places], counts)
    if timeframe is Timeframe.MN:
        return (before.view("M8[ns]").astype("M8[M]") + nth).astype("M8[ns]").view(np.int64)
    return before + nth * timeframe.ns


def _is_open(slots: np.ndarray, stamps: np.ndarray, timeframe: Timeframe, calendar: Calendar) -> np.ndarray:
    if calendar is Calendar.ALWAYS or timeframe.ns > NS_PER_DAY:
        return np.ones(len(slots), dtype=bool)
    if timeframe.ns == NS_PER_DAY:
        return _weekday(slots) < 5
    if calendar is Calendar.WEEKDAYS:
        return is_fx_week(slots)
    return (_weekday(slots) < 5) & _usual_slots(stamps, timeframe)[slots % NS_PER_DAY // timeframe.ns]


def _is_weekend_only(before: np.ndarray, after: np.ndarray, timeframe: Timeframe) -> np.ndarray:
    """Mark gaps that are one closed weekend and no more; nearly all are, and need no bar by bar look."""
    both_closed = ~is_fx_week(before + timeframe.ns) & ~is_fx_week(after - timeframe.ns)
    return both_closed & (after - before < 3 * NS_PER_DAY)


def is_fx_week(slots: np.ndarray) -> np.ndarray:
    """Say of each stamp whether the FX week is on: Sunday to Friday, 17:00 in New York."""
    hours = slots // NS_PER_HOUR  # zones change on the hour: convert each hour once
    is_new = np.diff(hours, prepend=hours[:1] - 1) != 0
    local = (
        pd.DatetimeIndex((hours[is_new] * NS_PER_HOUR).view("M8[ns]")).tz_localize("UTC").tz_convert("America/New_York")
    )
    since_monday = local.day_of_week.to_numpy() * 24 + local.hour.to_numpy()
    return ((since_monday < 4 * 24 + 17) | (since_monday >= 6 * 24 + 17))[np.cumsum(is_new) - 1]


def _spans_a_saturday(stamps: np.ndarray) -> bool:
    """Say whether a whole Saturday lies between the first and the last stamp."""
    if not len(stamps):
        return False
    next_saturday = stamps[0] // NS_PER_DAY + (5 - _weekday(stamps[:1])[0] - 1) % 7 + 1
    return bool(stamps[-1] >= (next_saturday + 1) * NS_PER_DAY)


def _usual_slots(stamps: np.ndarray, timeframe: Timeframe) -> np.ndarray:
    """Mark the times of the day at which at least a fifth of the weekdays have a bar."""
    weekdays = stamps[_weekday(stamps) < 5]
    days = int(np.count_nonzero(np.diff(weekdays // NS_PER_DAY))) + 1
    seen = np.bincount(weekdays % NS_PER_DAY // timeframe.ns, minlength=NS_PER_DAY // timeframe.ns)
    return seen * 5 >= days


def _weekday(stamps: np.ndarray) -> np.ndarray:
    return (stamps // NS_PER_DAY + _EPOCH_WEEKDAY) % 7
