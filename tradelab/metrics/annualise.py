"""Derive how many bars make a year from the bars themselves and the calendar they keep.

A Sharpe ratio is multiplied by the root of this number, so a wrong year is a wrong ratio: hourly crypto counted as 252
daily bars is off by a factor of six. Three calendars are told apart by *when* there are bars:

``24/7``
    Saturdays are as busy as weekdays (crypto): 365 days of 24 hours.
``24/5``
    intraday bars around the clock, no Saturdays (foreign exchange): 260 weekdays (52 × 5) of 24 hours.
``sessions``
    anything else (equities, and daily bars without Saturdays): 252 sessions of the usual number of bars.

Weekly and longer bars need no calendar: 52 weeks or 12 months make a year. Where the bars cannot tell (five weekdays of
round-the-clock minutes may be crypto or currency), the answer is NaN and ``says`` tells what would settle it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tradelab.metrics.arrays import Ints

CALENDARS = ("24/7", "24/5", "sessions")

_MINUTE_NS = 60_000_000_000
_HOUR_NS = 60 * _MINUTE_NS
_DAY_NS = 24 * _HOUR_NS
_MONTH_NS = 2_629_800 * 1_000_000_000  # 365.25 / 12 days

_STEP_SAMPLE = 20_000  # the most frequent of the first steps is the bar length, however long the history
_SESSION_BREAK_NS = 5 * _HOUR_NS  # longer than any lunch break, shorter than any night
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Annualisation:
    """How many bars make a year, and why.

    Attributes
    ----------
    periods_per_year
        Bars a year; NaN when the bars cannot tell.
    calendar
        ``"24/7"``, ``"24/5"`` or ``"sessions"``; ``"weeks"`` or ``"months"`` for bars that long; ``"unknown"``.
    says
        The same for a reader, or the reason for NaN.
    """

    periods_per_year: float
    calendar: str
    says: str

    @classmethod
    def _unknown(cls, reason: str) -> Annualisation:
        return cls(float("nan"), "unknown", f"not annualised: {reason}")


def annualisation(ts_ns: Ints, *, calendar: str | None = None) -> Annualisation:
    """Derive bars a year from bar open times.

    Parameters
    ----------
    ts_ns
        Shape (bars,): UTC nanoseconds, strictly increasing. Gaps do no harm; the bar length is the most frequent step.
    calendar
        One of ``CALENDARS`` when you know better than the bars do (daily currency bars are ``"24/5"``, which no bar
        shows). ``None``: infer it.

    Raises
    ------
    ValueError
        Times not strictly increasing, or an unknown calendar.

    Examples
    --------
    >>> hour = 3_600_000_000_000
    >>> annualisation(np.arange(24 * 14) * hour).says
    '8 760 bars a year (24/7 calendar, 1-hour bars)'
    >>> annualisation(np.arange(24 * 14) * hour, calendar="24/5").periods_per_year
    6240.0
    >>> annualisation(np.arange(2) * hour).says
    'not annualised: 2 bars are too few to tell their length'
    """
    if calendar is not None and calendar not in CALENDARS:
        raise ValueError(f"calendar {calendar!r} is not known; allowed: {', '.join(CALENDARS)}.")
    ts_ns = np.asarray(ts_ns, dtype=np.int64)
    if len(ts_ns) < 3:
        return Annualisation._unknown(f"{len(ts_ns)} bars are too few to tell their length")
    rises = ts_ns[1:] > ts_ns[:-1]
    if not rises.all():
        raise ValueError(f"ts_ns must increase strictly; it does not at place {int(np.argmin(rises)) + 1}.")
    step = _most_frequent(np.diff(ts_ns[: _STEP_SAMPLE + 1]))
    if step >= 5 * _DAY_NS:
        return _long_bars(step)
    found = calendar or _infer_calendar(ts_ns, step)
    if found not in CALENDARS:
        return Annualisation._unknown(found)
    periods = _periods(ts_ns, step, found)
    if not periods:
        return Annualisation._unknown("no night among the bars to tell the length of a session")
    return Annualisation(periods, found, f"{_count(periods)} bars a year ({found} calendar, {_bars_word(step)} bars)")


def _most_frequent(steps: Ints) -> int:
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])


def _long_bars(step: int) -> Annualisation:
    if step < 27 * _DAY_NS:
        weeks = max(1, round(step / (7 * _DAY_NS)))
        periods, calendar, word = 52 / weeks, "weeks", "weekly" if weeks == 1 else f"{weeks}-week"
    else:
        months = max(1, round(step / _MONTH_NS))
        periods, calendar, word = 12 / months, "months", "monthly" if months == 1 else f"{months}-month"
    return Annualisation(periods, calendar, f"{_count(periods)} bars a year ({word} bars)")


def _infer_calendar(ts_ns: Ints, step: int) -> str:
    """Return a calendar, or the reason why none can be told."""
    days = np.arange(ts_ns[0] // _DAY_NS, ts_ns[-1] // _DAY_NS + 1)
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    bars = np.diff(np.searchsorted(ts_ns, np.append(days, days[-1] + 1) * _DAY_NS))  # of each day
    saturday_bars = int(bars[weekday == _SATURDAY].sum())
    saturday_ns, working_ns = _time_covered(int(ts_ns[0]), int(ts_ns[-1]) + step)
    saturday_seen = saturday_ns >= min(_DAY_NS, 8 * step)
    if saturday_seen:
        working_bars = int(bars[weekday < _SATURDAY].sum())
        if saturday_bars * working_ns >= 0.5 * working_bars * saturday_ns:
            return "24/7"
    intraday = step < _DAY_NS
    if intraday and _around_the_clock(ts_ns[np.repeat(weekday < _SATURDAY, bars)], step):
        return "24/5" if saturday_seen else "no Saturday among the bars to tell 24/7 from 24/5: pass calendar="
    if not intraday:
        return "sessions" if saturday_seen else "no weekend among the bars to tell 24/7 from sessions: pass calendar="
    return "sessions"


def _time_covered(start: int, end: int) -> tuple[int, int]:
    """Nanoseconds of Saturdays, and of Mondays to Fridays, between two times."""
    days = np.arange(start // _DAY_NS, (end - 1) // _DAY_NS + 1)
    inside = np.minimum((days + 1) * _DAY_NS, end) - np.maximum(days * _DAY_NS, start)
    weekday = (days + 3) % 7
    return int(inside[weekday == _SATURDAY].sum()), int(inside[weekday < _SATURDAY].sum())


def _around_the_clock(ts_ns: Ints, step: int) -> bool:
    """Whether nine tenths of the hours of the day (or of the bars of a day, if longer) are regularly filled."""
    slot_ns = max(step, _HOUR_NS)
    slots = -(-_DAY_NS // slot_ns)
    filled = np.bincount(ts_ns % _DAY_NS // slot_ns, minlength=slots)
    return bool(np.count_nonzero(filled >= 0.1 * filled.max()) >= 0.9 * slots)


def _periods(ts_ns: Ints, step: int, calendar: str) -> float:
    if calendar == "24/7":
        return 365 * _DAY_NS / step
    if calendar == "24/5":
        return 260 * _DAY_NS / step
    if step >= _DAY_NS:
        return 252 / round(step / _DAY_NS)
    return 252 * _bars_a_session(np.diff(ts_ns), step)


def _bars_a_session(steps: Ints, step: int) -> float:
    """Median bars between two nights, the longest where no session is whole, 0 where no night is seen."""
    nights = np.flatnonzero(steps > max(_SESSION_BREAK_NS, 1.5 * step)) + 1
    if len(nights) == 0:
        return 0.0
    sizes = np.diff(np.concatenate(([0], nights, [len(steps) + 1])))
    return float(np.median(sizes[1:-1]) if len(sizes) > 2 else sizes.max())


def _count(periods: float) -> str:
    return f"{periods:,.0f}".replace(",", " ") if periods == round(periods) else f"{periods:,.2f}".replace(",", " ")


def _bars_word(step: int) -> str:
    for unit_ns, unit in ((_DAY_NS, "day"), (_HOUR_NS, "hour"), (_MINUTE_NS, "minute")):
        if step % unit_ns == 0:
            return "daily" if step == _DAY_NS else f"{step // unit_ns}-{unit}"
    return f"{step / 1e9:g}-second"
