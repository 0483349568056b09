"""Say time in one way: canonical timeframes, and integer nanoseconds in UTC."""

from __future__ import annotations

import datetime as dt
import enum

from tradelab.model.errors import ParameterError

NS_PER_S = 1_000_000_000
NS_PER_MIN = 60 * NS_PER_S
NS_PER_HOUR = 60 * NS_PER_MIN
NS_PER_DAY = 24 * NS_PER_HOUR

_MONDAY_1970_NS = 4 * NS_PER_DAY  # 1970-01-05; the epoch was a Thursday
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Timeframe(enum.Enum):
    """Length of a bar, by its canonical code; the value is the number of minutes (0: a calendar month).

    >>> Timeframe.of("1h"), Timeframe.of("H1").alias
    (<Timeframe.H1: 60>, '1h')
    """

    M1 = 1
    M3 = 3
    M5 = 5
    M15 = 15
    M30 = 30
    H1 = 60
    H2 = 120
    H4 = 240
    H6 = 360
    H8 = 480
    H12 = 720
    D1 = 1440
    W1 = 10080
    MN = 0

    @property
    def code(self) -> str:
        """Canonical code, ``"H1"``."""
        return self.name

    @property
    def alias(self) -> str:
        """The ccxt spelling, ``"1h"``; a month is ``"1M"``."""
        if self is Timeframe.MN:
            return "1M"
        if self is Timeframe.W1:
            return "1w"
        return f"{self.name[1:]}{self.name[0].lower()}"

    @property
    def ns(self) -> int:
        """Length in nanoseconds; a month counts 30 days, which is good for ordering and never for stepping."""
        return (self.value or 30 * 1440) * NS_PER_MIN

    def floor(self, ts_ns: int) -> int:
        """Open time of the bar that contains ``ts_ns`` (weeks open on Monday, months on the first, UTC)."""
        if self is Timeframe.MN:
            day = _date(ts_ns).replace(day=1)
            return _ns(day)
        if self is Timeframe.W1:
            return ts_ns - (ts_ns - _MONDAY_1970_NS) % self.ns
        return ts_ns - ts_ns % self.ns

    def next_open(self, ts_ns: int) -> int:
        """Open time of the bar after the one that contains ``ts_ns``; also the close time of that one."""
        start = self.floor(ts_ns)
        if self is Timeframe.MN:
            return self.floor(start + 32 * NS_PER_DAY)
        return start + self.ns

    @classmethod
    def of(cls, text: str | Timeframe) -> Timeframe:
        """Return the timeframe that ``text`` names: a code, a ccxt alias, or a word people type.

        Raises
        ------
        ParameterError
            When nothing is called that; the message lists what is.
        """
        if isinstance(text, Timeframe):
            return text
        name = str(text).strip()
        if name == "1M":  # ccxt's month; every other spelling ignores case
            return cls.MN
        found = _ALIASES.get(name.lower())
        if found is None:
            raise ParameterError(f"timeframe {text!r} is not known.", allowed=[f"{t.code} ({t.alias})" for t in cls])
        return found


def _date(ts_ns: int) -> dt.datetime:
    return (_EPOCH + dt.timedelta(days=ts_ns // NS_PER_DAY)).replace(hour=0)


def _ns(day: dt.datetime) -> int:
    return (day - _EPOCH).days * NS_PER_DAY


_ALIASES: dict[str, Timeframe] = {t.code.lower(): t for t in Timeframe} | {
    t.alias: t for t in Timeframe if t is not Timeframe.MN
}
_ALIASES |= {f"{t.value}min": t for t in Timeframe if 0 < t.value < 1440}
_ALIASES |= {f"{t.value}t": t for t in Timeframe if 0 < t.value < 60}
_ALIASES |= {
    "hourly": Timeframe.H1,
    "60m": Timeframe.H1,
    "240m": Timeframe.H4,
    "daily": Timeframe.D1,
    "day": Timeframe.D1,
    "24h": Timeframe.D1,
    "weekly": Timeframe.W1,
    "week": Timeframe.W1,
    "monthly": Timeframe.MN,
    "month": Timeframe.MN,
    "mn1": Timeframe.MN,
    "1mo": Timeframe.MN,
    "1mn": Timeframe.MN,
}
