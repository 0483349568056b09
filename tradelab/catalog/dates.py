"""Read time stamps as people write them; where a stamp could mean two days or two zones, ask instead of guessing."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass

import pandas as pd

from tradelab.model.errors import ParameterError, TimestampError

_EPOCH_UNITS = {10: "s", 13: "ms", 16: "us", 19: "ns"}
_COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_YEAR_FIRST = re.compile(r"\d{4}[-./]\d{1,2}[-./]\d{1,2}")
_YEAR_LAST = re.compile(r"(\d{1,2})([-./])(\d{1,2})[-./]\d{4}")
_HISTDATA = re.compile(r"\d{8} \d{6}")
_AHEAD = re.compile(r"(.+?)([+-]\d{1,2})")
_OFFSET = r"\s*(?:GMT|UTC)?\s*([+-]\d{2}:?\d{2})$|\s*(Z|GMT|UTC)$"


@dataclass(frozen=True, slots=True)
class DateGuess:
    """How stamps were read: the form, the zone, and whether the zone was assumed."""

    form: str
    zone: str
    zone_assumed: bool = False

    def __str__(self) -> str:
        return f"{self.form}, zone {self.zone}{' (assumed: the file states none)' if self.zone_assumed else ''}"


def parse(
    stamps: pd.Series, *, tz: str | None = None, date_format: str | None = None
) -> tuple[pd.DatetimeIndex, DateGuess]:
    """Return stamps in UTC, and how they were read.

    Parameters
    ----------
    stamps
        Text, integers (seconds, milli-, micro- or nanoseconds since 1970) or datetimes.
    tz
        The zone of stamps that name none, or hours ahead of one, as :func:`wall_clock` takes it. Dates without a time
        of day need none: they are taken as 00:00 UTC.
    date_format
        A ``strptime`` form, when the guess is refused or wrong.

    Raises
    ------
    TimestampError
        A form that is not known, a day and month that could be swapped, or stamps without a zone.
    """
    if pd.api.types.is_datetime64_any_dtype(stamps.dtype):
        return _zoned(pd.DatetimeIndex(stamps), "time stamps", tz)
    if pd.api.types.is_float_dtype(stamps.dtype) and stamps.notna().all():
        stamps = stamps.astype("int64")
    text = stamps.astype(str).str.strip()
    if date_format is not None:
        return _zoned(_strptime(text, date_format), date_format, tz)
    first = text.iloc[0]
    if re.fullmatch(r"\d+(\.0*)?", first):
        return _digits(text.str.partition(".")[0], tz)
    body, offset = _without_offset(text)
    index, form = _calendar_form(body, first)
    if offset is not None:
        moved = index - pd.to_timedelta(offset, unit="s")
        return pd.DatetimeIndex(moved).tz_localize("UTC"), DateGuess(form, "as stated in each stamp")
    return _zoned(index, form, tz)


def wall_clock(index: pd.Index, tz: str | None) -> pd.DatetimeIndex:
    """Return stamps as a clock on the wall shows them, without a zone: the other way round from :func:`parse`.

    Parameters
    ----------
    tz
        The clock's zone, or a zone and whole hours ahead of it: ``"America/New_York+7"`` is the clock of the many
        brokers whose day ends at 17:00 in New York. Whole days (00:00 UTC) are dates, and stay those dates in any zone.

    Raises
    ------
    ParameterError
        No such zone, or none is said and the stamps are no whole days.
    TimestampError
        Two stamps show the same time, where clocks are put back.
    """
    stamps = pd.DatetimeIndex(index).tz_convert("UTC")
    if (stamps == stamps.normalize()).all():
        return stamps.tz_localize(None)
    if tz is None:
        raise ParameterError(
            "the file cannot say which zone its times are in, so you must.",
            fix="Give the clock of the broker's server: --tz UTC, Europe/Athens or America/New_York+7.",
        )
    zone, ahead = _zone(tz)
    wall = stamps.tz_convert(zone).tz_localize(None) + ahead
    if not wall.is_unique:
        twice = wall[wall.duplicated()][0]
        raise TimestampError(
            f"two bars would be stamped {twice}: clocks in {tz} are put back then.",
            fix="Use a zone that never is, such as UTC or Etc/GMT-2.",
        )
    return wall


def _zone(tz: str) -> tuple[zoneinfo.ZoneInfo, pd.Timedelta]:
    """Return a zone and how far a clock is ahead of it: ``America/New_York+7`` is seven hours."""
    known = _zone_named(tz)
    if known is not None:
        return known, pd.Timedelta(0)
    ahead = _AHEAD.fullmatch(tz)
    base = _zone_named(ahead[1]) if ahead else None
    if ahead and base is not None:
        return base, pd.Timedelta(hours=int(ahead[2]))
    raise ParameterError(
        f"tz={tz!r} is no time zone.",
        fix="Use a name such as UTC, Europe/Berlin or America/New_York, or hours ahead of one: America/New_York+7.",
    )


def _zone_named(name: str) -> zoneinfo.ZoneInfo | None:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # no such zone, no name, or a folder of zones
        return None


def _digits(text: pd.Series, tz: str | None) -> tuple[pd.DatetimeIndex, DateGuess]:
    length = len(text.iloc[0])
    if length in _COMPACT:
        return _zoned(_strptime(text, _COMPACT[length]), _COMPACT[length], tz)
    unit = _EPOCH_UNITS.get(length)
    if unit is None:
        raise _unknown(text.iloc[0])
    scale = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[unit]
    index = pd.DatetimeIndex((text.astype("int64") * scale).to_numpy().view("M8[ns]"))
    return index.tz_localize("UTC"), DateGuess(f"{unit} since 1970", "UTC")


def _without_offset(text: pd.Series) -> tuple[pd.Series, pd.Series | None]:
    """Split ``... GMT+0100`` or ``...Z`` into the stamp and its seconds east of UTC; ``None`` if no stamp has one."""
    found = text.str.extract(_OFFSET)
    has = text.str.contains(":", regex=False) & (found[0].notna() | found[1].notna())
    if not has.any():
        return text, None
    if not has.all():
        odd = text[~has].iloc[0]
        raise TimestampError(f"some stamps name a zone and some do not: {odd!r} does not.", fix="Make them alike.")
    signs = found[0].fillna("+0000").str.replace(":", "", regex=False)
    seconds = signs.map({s: (int(s[:3]) * 60 + int(s[0] + s[3:])) * 60 for s in signs.unique()})
    return text.str.replace(_OFFSET, "", regex=True), seconds


def _calendar_form(text: pd.Series, shown: str) -> tuple[pd.DatetimeIndex, str]:
    first = text.iloc[0]
    clock = " HH:MM" if ":" in first else ""
    if _HISTDATA.fullmatch(first):
        return _strptime(text, "%Y%m%d %H%M%S"), "YYYYMMDD HHMMSS"
    if _YEAR_FIRST.match(first):
        mark = first[4]
        if mark != "-":
            text = text.str.replace(mark, "-", n=2, regex=False)
        return _iso(text), f"YYYY{mark}MM{mark}DD{clock}"
    if _YEAR_LAST.match(first):
        form, day_first = _day_or_month_first(text)
        return _year_last(text, day_first), f"{form}{clock}"
    raise _unknown(shown)


def _day_or_month_first(text: pd.Series) -> tuple[str, bool]:
    parts = text.str.extract(_YEAR_LAST)
    if parts[0].isna().any():
        raise _unknown(text[parts[0].isna()].iloc[0])
    mark = parts[1].iloc[0]
    one, two = parts[0].astype(int), parts[2].astype(int)
    if mark == "." or one.max() > 12:  # with dots the day comes first wherever dates are written with dots
        return f"DD{mark}MM{mark}YYYY", True
    if two.max() > 12:
        return f"MM{mark}DD{mark}YYYY", False
    stamp = text.iloc[0]
    readings = [_year_last(text.iloc[:1], day_first)[0].strftime("%d %B %Y") for day_first in (True, False)]
    raise TimestampError(
        f"{stamp!r} could be {readings[0]} or {readings[1]}, and no stamp in the file tells which.",
        fix=f"Say it: --date-format '{_strptime_form(stamp, True)}' or '{_strptime_form(stamp, False)}'.",
    )


def _strptime_form(stamp: str, day_first: bool) -> str:
    mark = _YEAR_LAST.match(stamp)[2]  # type: ignore[index]
    date = mark.join(("%d", "%m", "%Y") if day_first else ("%m", "%d", "%Y"))
    return date + {0: "", 1: " %H:%M", 2: " %H:%M:%S"}[min(2, stamp.count(":"))] + (".%f" if "." in stamp[10:] else "")


def _year_last(text: pd.Series, day_first: bool) -> pd.DatetimeIndex:
    order = r"\4-\3-\1" if day_first else r"\4-\1-\3"
    return _iso(text.str.replace(r"^(\d{1,2})([-./])(\d{1,2})[-./](\d{4})", order, regex=True))


def _iso(text: pd.Series) -> pd.DatetimeIndex:
    padded = text.str.replace(r"-(\d)(?=\D|$)", r"-0\1", regex=True)
    form = "ISO8601" if not padded.str.contains("[AP]M", case=False).any() else "%Y-%m-%d %I:%M:%S %p"
    return _strptime(padded, form)


def _strptime(text: pd.Series, form: str) -> pd.DatetimeIndex:
    try:
        return pd.DatetimeIndex(pd.to_datetime(text, format=form, utc="%z" in form))
    except ValueError:
        parsed = pd.to_datetime(text, format=form, errors="coerce", utc=True)
        bad = int(parsed.isna().to_numpy().argmax())
        raise TimestampError(
            f"row {bad + 1}: {text.iloc[bad]!r} is no date in the form {form}.",
            fix="Repair the row, or give the form with --date-format '%d.%m.%Y %H:%M'.",
        ) from None


def _zoned(index: pd.DatetimeIndex, form: str, tz: str | None) -> tuple[pd.DatetimeIndex, DateGuess]:
    if index.tz is not None:
        return index.tz_convert("UTC"), DateGuess(form, "as stated")
    if tz is None:
        if (index == index.normalize()).all():  # whole days: a date, not a moment
            return index.tz_localize("UTC"), DateGuess(form, "UTC", zone_assumed=True)
        raise TimestampError(
            f"the time stamps name no zone (the first is {index[0]}).",
            fix="Say it: --tz UTC, or the zone of the broker's clock, such as --tz Europe/Athens.",
        )
    zone, ahead = _zone(tz)
    try:
        return (index - ahead).tz_localize(zone, ambiguous="infer").tz_convert("UTC"), DateGuess(form, tz)
    except ValueError as error:
        raise TimestampError(
            f"a time stamp does not exist or exists twice in {tz}, where clocks are changed: {error}.",
            fix="Is that the zone of the file? Brokers' files are often in a fixed zone, such as Etc/GMT-2.",
        ) from error


def _unknown(stamp: str) -> TimestampError:
    return TimestampError(
        f"{stamp!r} is no date form that is known.",
        allowed=[
            "2024-01-31 23:59[:59][Z]",
            "2024.01.31 23:59",
            "31.01.2024 23:59:59.000 GMT+0100",
            "20240131 235959",
            "epoch s, ms, us, ns",
        ],
        fix="Give the form, for example --date-format '%d.%m.%Y %H:%M'.",
    )
