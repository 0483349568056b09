"""Turn the broker's clock into UTC and back: MetaTrader tells times without a zone, so somebody must say which."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tradelab.adapters.mtapi_answers import AnswerError
from tradelab.model.errors import ParameterError
from tradelab.model.units import NS_PER_DAY, NS_PER_MIN

ASK = "ask"
NEW_YORK_CLOSE = "ny-close"
_OFFSET = re.compile(r"^(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?$", re.IGNORECASE)
_TOLD = re.compile(r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?$")
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC).replace(tzinfo=None)
_SUNDAY_NS = 3 * NS_PER_DAY  # 1970-01-04; the epoch was a Thursday


@dataclass(frozen=True, slots=True)
class BrokerZone:
    """The zone of a broker's clock: an offset, or rules that know summer time.

    ``asked_ns`` is when the server told the offset, where it was asked; it holds since the clocks may last have been
    changed, which is on a Sunday, and of bars before that nobody can say what it was.
    """

    name: str
    offset_min: int | None = None
    rules: ZoneInfo | None = None
    shift_min: int = 0
    asked_ns: int | None = None

    def knows(self, utc_ns: int) -> bool:
        """Whether times as old as that can be told without a guess."""
        return self.asked_ns is None or utc_ns >= self.asked_ns - (self.asked_ns - _SUNDAY_NS) % (7 * NS_PER_DAY)

    def utc_ns(self, told: str) -> int:
        """Return a time as the server tells it in UTC nanoseconds.

        An hour that the clocks repeat in autumn is taken as its first.

        Raises
        ------
        AnswerError
            It is no time.
        """
        found = _TOLD.match(told.removesuffix("Z"))
        if found is None:
            raise AnswerError(f"{told!r} is no time")
        try:
            local = dt.datetime.fromisoformat(f"{found[1]}T{found[2]}")
        except ValueError:
            raise AnswerError(f"{told!r} is no time") from None
        return self._utc(local) + int((found[3] or "").ljust(9, "0"))

    def utc_ns_of_ms(self, local_ms: int) -> int:
        """Return milliseconds since 1970 on the broker's clock in UTC nanoseconds."""
        seconds, ms = divmod(local_ms, 1000)
        return self._utc(_EPOCH + dt.timedelta(seconds=seconds)) + ms * 1_000_000

    def told(self, utc_ns: int) -> str:
        """Return a UTC time as the server wants it, cut to the second."""
        moment = dt.datetime.fromtimestamp(utc_ns // 1_000_000_000, dt.UTC)
        local = moment.replace(tzinfo=None) + dt.timedelta(minutes=self._offset_min(moment))
        return local.isoformat(timespec="seconds")

    def offset_min_at(self, utc_ns: int) -> int:
        """Return by how many minutes the broker's clock is ahead of UTC then."""
        return self._offset_min(dt.datetime.fromtimestamp(utc_ns // 1_000_000_000, dt.UTC))

    def _offset_min(self, moment: dt.datetime) -> int:
        if self.rules is None:
            return self.offset_min or 0
        offset = moment.astimezone(self.rules).utcoffset() or dt.timedelta(0)
        return int(offset.total_seconds() // 60) + self.shift_min

    def _utc(self, local: dt.datetime) -> int:
        if self.rules is not None:
            wall = (local - dt.timedelta(minutes=self.shift_min)).replace(tzinfo=self.rules)
            return int(wall.timestamp()) * 1_000_000_000
        return int((local - _EPOCH).total_seconds()) * 1_000_000_000 - (self.offset_min or 0) * NS_PER_MIN


def declared(text: str) -> BrokerZone | None:
    """Return the zone that a setting names; ``None`` for ``"ask"``.

    Parameters
    ----------
    text
        ``"ask"``; an offset (``"UTC+2"``, ``"+02:00"``); an IANA name (``"Europe/Athens"``); or ``"ny-close"``, seven
        hours ahead of New York, so that the broker's day ends with New York's, as most FX brokers have it.

    Raises
    ------
    ParameterError
        It is none of these.
    """
    if text == ASK:
        return None
    if text == NEW_YORK_CLOSE:
        return BrokerZone(text, rules=ZoneInfo("America/New_York"), shift_min=7 * 60)
    minutes = offset_min(text)
    if minutes is not None:
        return BrokerZone(text, offset_min=minutes)
    try:
        return BrokerZone(text, rules=ZoneInfo(text))
    except (ZoneInfoNotFoundError, ValueError):
        allowed = [ASK, NEW_YORK_CLOSE, "an offset such as UTC+2", "a name such as Europe/Athens"]
        raise ParameterError(f"server_zone={text!r} is no zone.", allowed=allowed) from None


def asked(answer: object, now_ns: int) -> BrokerZone | None:
    """Return the zone that the server told, if what it told is an offset beyond doubt."""
    minutes = offset_min(str(answer)) if isinstance(answer, str) else None
    return None if minutes is None else BrokerZone(str(answer), offset_min=minutes, asked_ns=now_ns)


def offset_min(text: str) -> int | None:
    """Return the minutes of ``"UTC+2"``, ``"UTC"`` or ``"+05:30"``; ``None`` for any other text."""
    if text.upper() in ("UTC", "GMT"):
        return 0
    found = _OFFSET.match(text.strip())
    if found is None:
        return None
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return (1 if found[1] == "+" else -1) * minutes if minutes <= 14 * 60 else None
