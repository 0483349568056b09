"""Say when a market really trades: sessions by date, with holidays, early closes, lunch breaks and summer time.

An exchange is named by its MIC (``"XNYS"``, ``"XHKG"``) and its sessions come from the library ``exchange_calendars``,
loaded when such a calendar is used. Foreign exchange has no exchange and the library no calendar of it: ``"fx"`` is
declared here, as retail brokers keep it (OANDA, FOREX.com, Dukascopy: Sunday to Friday 17:00 in New York, closed on
Christmas and New Year's Day). The coarse words of :class:`~tradelab.model.instrument.Calendar` need no calendar at all.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from types import ModuleType
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from tradelab.model.errors import MissingExtraError, ParameterError, UnknownNameError
from tradelab.model.instrument import Calendar
from tradelab.model.units import NS_PER_DAY, NS_PER_HOUR

FX = "fx"
_NEW_YORK = "America/New_York"
_FX_TURN_H = 17  # a trading day of foreign exchange ends, and the next one opens, at 17:00 in New York
_FX_HOLIDAYS = np.array([101, 1225])  # month * 100 + day of the trading days on which no bank deals
_YEARS = 5  # sessions are made in runs of years, so that neighbouring ranges share one


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of one market, in rising order.

    Parameters
    ----------
    name, zone
        What the calendar is called and the zone of its clock.
    days
        int64 (n,), the date of each session in days since 1970. A session may open on the evening before.
    opens, closes
        int64 (n,), nanoseconds since 1970, UTC.
    spans
        int64 (2, m), starts and ends of the stretches in which the market is open without a pause: a lunch break makes
        two of one session, sessions that follow one another without a pause make one.
    """

    name: str
    zone: str
    days: np.ndarray
    opens: np.ndarray
    closes: np.ndarray
    spans: np.ndarray

    def is_open(self, stamps: np.ndarray, length_ns: int = 1) -> np.ndarray:
        """Say of each stamp whether the market trades at any moment of the ``length_ns`` that follow it."""
        starts, ends = self.spans
        at = np.searchsorted(ends, stamps, side="right")
        within = at < len(ends)
        within[within] = starts[at[within]] < stamps[within] + length_ns
        return within


def calendar_of(name: str | Calendar) -> str | Calendar:
    """Return a calendar by its name: one of three coarse words, ``"fx"``, or an exchange's MIC or usual name.

    Raises
    ------
    UnknownNameError
        Nothing is called that; the message names the nearest.
    MissingExtraError
        An exchange's calendar is asked for and ``exchange_calendars`` is not installed.

    Examples
    --------
    >>> calendar_of("24/7"), calendar_of("FX"), calendar_of("xnas")
    (<Calendar.ALWAYS: '24/7'>, 'fx', 'XNAS')
    """
    if isinstance(name, Calendar):
        return name
    wanted = str(name).strip()
    coarse = next((c for c in Calendar if c.value == wanted.lower()), None)
    if coarse is not None:
        return coarse
    if wanted.lower() == FX:
        return FX
    known = {n.upper(): n for n in names()}
    if wanted.upper() not in known:
        raise UnknownNameError.of("calendar", name, names(), fix="A stock's calendar is its exchange's MIC.")
    return known[wanted.upper()]


def names() -> tuple[str, ...]:
    """Return every name that :func:`calendar_of` knows: coarse words, ``"fx"``, MICs and their other names."""
    coarse = [c.value for c in Calendar]
    return (*coarse, FX, *(n for n in _library().get_calendar_names() if n not in coarse))


def label(calendar: str | Calendar) -> str:
    """Return a calendar's name as it is said."""
    return calendar.value if isinstance(calendar, Calendar) else calendar


def sessions_of(name: str, first_ns: int, last_ns: int) -> Sessions:
    """Return the sessions of a named calendar in the years around a range: those asked for and some more.

    Raises
    ------
    ParameterError
        The calendar's holidays are not known for all of the range.
    """
    first, last = (int(ns // NS_PER_DAY) for ns in (first_ns, last_ns))
    begin, end = _year(first - 7) // _YEARS * _YEARS, _year(last + 7)
    if name == FX:
        return _fx(begin, end)
    try:
        return _exchange(name, *_year_days(begin, end))
    except ValueError:  # some holidays follow the moon or a decree, and are known for some years only
        return _exchange(name, *_known(name, first, last))


@functools.lru_cache(maxsize=8)
def _fx(first_year: int, last_year: int) -> Sessions:
    """Declare foreign exchange: Monday to Friday, each day from 17:00 of the evening before in New York."""
    days = np.arange(*_year_days(first_year, last_year))
    dates = pd.DatetimeIndex((days * NS_PER_DAY).view("M8[ns]"))
    holiday = (dates.month.to_numpy() * 100 + dates.day.to_numpy())[:, None] == _FX_HOLIDAYS
    days = days[(dates.day_of_week.to_numpy() < 5) & ~holiday.any(axis=1)]
    opens, closes = (_local_ns(days - back, _FX_TURN_H, _NEW_YORK) for back in (1, 0))
    return Sessions(FX, _NEW_YORK, days, opens, closes, _joined(opens, closes))


@functools.lru_cache(maxsize=16)
def _exchange(name: str, first: int, end: int) -> Sessions:
    with warnings.catch_warnings():  # how the library uses pandas is not our reader's business
        warnings.simplefilter("ignore")
        calendar = _library().get_calendar(name, start=_date(first), end=_date(end - 1))
        table = calendar.schedule
    opens, closes, pauses, resumes = (_ns(table[c]) for c in ("open", "close", "break_start", "break_end"))
    has = ~table["break_start"].isna().to_numpy()
    starts, ends = np.concatenate([opens, resumes[has]]), np.concatenate([np.where(has, pauses, closes), closes[has]])
    order = np.argsort(starts)
    days = pd.DatetimeIndex(table.index).as_unit("ns").asi8 // NS_PER_DAY
    return Sessions(name, str(calendar.tz), days, opens, closes, _joined(starts[order], ends[order]))


def _known(name: str, first: int, last: int) -> tuple[int, int]:
    """Return the days for which a calendar is known, at most some years around the range, which must be among them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calendar = _library().get_calendar(name)
    earliest, latest = calendar.bound_min(), calendar.bound_max()
    begin, end = _year_days(_year(first - 7), _year(last + 7))
    low = begin if earliest is None else max(begin, _day(earliest))
    high = end if latest is None else min(end, _day(latest) + 1)
    if first < low or last >= high:
        edges = " ".join(f"{word} {e:%Y-%m-%d}" for word, e in (("from", earliest), ("to", latest)) if e is not None)
        raise ParameterError(
            f"the {name} calendar is known {edges}; {_date(first):%Y-%m-%d} to {_date(last):%Y-%m-%d} is asked for.",
            fix="Upgrade exchange_calendars, or go by the coarse calendar: sessions.",
        )
    return low, high


def _library() -> ModuleType:
    MissingExtraError.unless("exchange_calendars", "calendars", "the calendar of an exchange")
    import exchange_calendars

    return exchange_calendars


def _year_days(first_year: int, last_year: int) -> tuple[int, int]:
    """Return the first day of the first year and the day after the last one, in days since 1970."""
    return _day(pd.Timestamp(first_year, 1, 1)), _day(pd.Timestamp(last_year + 1, 1, 1))


def _year(day: int) -> int:
    return _date(day).year


def _date(day: int) -> pd.Timestamp:
    return pd.Timestamp(day, unit="D")


def _day(date: pd.Timestamp) -> int:
    return date.as_unit("ns").value // NS_PER_DAY


def _joined(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Join stretches that follow one another without a pause."""
    if not len(starts):
        return np.empty((2, 0), np.int64)
    breaks = np.flatnonzero(starts[1:] > ends[:-1])
    return np.stack([starts[np.append(0, breaks + 1)], ends[np.append(breaks, len(ends) - 1)]])


def _local_ns(days: np.ndarray, hour: int, zone: str) -> np.ndarray:
    wall = pd.DatetimeIndex((days * NS_PER_DAY + hour * NS_PER_HOUR).view("M8[ns]"))
    return wall.tz_localize(ZoneInfo(zone)).tz_convert("UTC").as_unit("ns").asi8


def _ns(column: pd.Series) -> np.ndarray:
    return pd.DatetimeIndex(column).as_unit("ns").asi8


__all__ = ["FX", "Sessions", "calendar_of", "label", "names", "sessions_of"]
