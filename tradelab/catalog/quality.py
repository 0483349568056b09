"""Look bars over before anyone trusts them: hard failures no backtest may run on, soft notes to look at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tradelab.catalog.coverage import assess, guess_calendar
from tradelab.catalog.frame import PRICES, as_bars, infer_timeframe, moment_ns, time_ns
from tradelab.catalog.sessions import calendar_of, label
from tradelab.model.errors import QualityError, TimestampError, TooFewBarsError
from tradelab.model.instrument import Calendar
from tradelab.model.units import Timeframe

_SPIKE = 20.0  # a move this many times the usual absolute move, taken back by the next bar
_STALE = 30  # this many bars in a row with one and the same price and no range
_PLACES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of trouble: what it is, how many bars have it, and the first places."""

    check: str
    says: str
    count: int
    places: tuple[pd.Timestamp, ...]

    def __str__(self) -> str:
        shown = ", ".join(f"{p:%Y-%m-%d %H:%M}" for p in self.places)
        more = f" and {self.count - len(self.places):,} more" if self.count > len(self.places) else ""
        return f"{self.check}: {self.count:,} ({self.says}){f': {shown}{more}' if shown else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """What an inspection found; ``hard`` refuses a backtest, ``soft`` is for a person to judge."""

    bars: int
    timeframe: Timeframe | None
    calendar: Calendar | str | None
    hard: tuple[Finding, ...]
    soft: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether a backtest may run on these bars."""
        return not self.hard

    def __str__(self) -> str:
        of = f" of {self.timeframe.alias}" if self.timeframe else ""
        head = f"{self.bars:,} bars{of}: {'sound' if self.is_sound else 'not fit for a backtest'}"
        lines = [f"  FAIL {f}" for f in self.hard] + [f"  note {f}" for f in self.soft]
        return "\n".join([head, *lines])

    def _repr_html_(self) -> str:
        head, *_ = str(self).splitlines()
        rows = "".join(
            f"<tr><td>{kind}</td><td>{f.check}</td><td>{f.count:,}</td><td>{f.says}</td>"
            f"<td>{', '.join(map(str, f.places))}</td></tr>"
            for kind, found in (("fail", self.hard), ("note", self.soft))
            for f in found
        )
        titles = "".join(f"<th>{t}</th>" for t in ("", "check", "bars", "what it means", "first places"))
        return f"<p>{head}</p><table><tr>{titles}</tr>{rows}</table>" if rows else f"<p>{head}</p>"


def inspect(
    bars: pd.DataFrame,
    timeframe: str | Timeframe | None = None,
    *,
    calendar: Calendar | str | None = None,
    now: str | dt.datetime | None = None,
) -> QualityReport:
    """Return what is wrong with bars, with counts and places; nothing is changed and nothing raised for bad values.

    Hard: NaN or infinite prices, prices of zero or less, high below low, open or close outside high and low, a negative
    volume, stamps that are repeated or out of order. Soft: missing bars, bars at closed times and a stale tail (by the
    calendar; holidays count by the coarse ones), spikes (a close 20 times the usual move away and back at once), prices
    that do not move for 30 bars, no volume.

    Parameters
    ----------
    bars
        Bars as :func:`~tradelab.catalog.frame.as_bars` takes them, but repeated and unsorted stamps are reported.
    timeframe, calendar
        Inferred and guessed when not given. A calendar is one of three coarse words, ``"fx"`` or an exchange's MIC.
    now
        When given: note how many bars should have come since the last one, by then.
    """
    stamps = time_ns(bars) if isinstance(bars.index, pd.DatetimeIndex) and bars.index.tz is not None else None
    order = [] if stamps is None else list(_order(bars, stamps))
    if order:
        bars = bars[~bars.index.duplicated(keep="last")].sort_index()
    bars = as_bars(bars)
    stamps = time_ns(bars)
    values = {c: bars[c].to_numpy() for c in bars.columns}
    length = _timeframe(bars, timeframe)
    hard = [*order, *(_finding(*f, bars.index) for f in _impossible(values))]
    soft = [_finding(*f, bars.index) for f in _suspicious(values)]
    if length is not None:
        calendar = guess_calendar(stamps, length) if calendar is None else calendar_of(calendar)
        soft = [*_by_calendar(bars.index, stamps, length, calendar, now), *soft]
    return QualityReport(
        bars=len(bars),
        timeframe=length,
        calendar=calendar,
        hard=tuple(f for f in hard if f.count),
        soft=tuple(f for f in soft if f.count),
    )


def _by_calendar(
    index: pd.Index, stamps: np.ndarray, length: Timeframe, calendar: Calendar | str, now: str | dt.datetime | None
) -> Iterable[Finding]:
    gaps, outside, behind = assess(stamps, length, calendar, None if now is None else moment_ns(now, name="now"))
    by = f"by the {label(calendar)} calendar"
    says = f"{sum(g.bars for g in gaps):,} bar(s) missing {by}"
    yield Finding("gaps", says, len(gaps), tuple(g.first for g in gaps[:_PLACES]))
    yield _finding("outside hours", f"the market is closed then {by}", outside, index)
    says = f"bar(s) should have come since {index[-1]:%Y-%m-%d %H:%M} {by}"
    yield Finding("stale tail", says, behind or 0, ())


def require_sound(bars: pd.DataFrame, *, name: str = "bars") -> None:
    """Refuse bars that fail a hard check.

    Raises
    ------
    QualityError
        Names each check that failed, how many bars failed it, and the first of them.
    """
    values = {c: bars[c].to_numpy() for c in bars.columns}
    if _is_sound(values):
        return
    found = [_finding(*f, bars.index) for f in _impossible(values)]
    failed = [str(f) for f in found if f.count]
    if failed:
        raise QualityError(
            f"{name} cannot be trusted: {'; '.join(failed)}.",
            fix="`tradelab data verify` shows every place; repair or drop those bars, then try again.",
        )


_Check = tuple[str, str, np.ndarray]
_CHUNK = 65_536  # bars whose comparisons stay in the cache


def _is_sound(values: dict[str, np.ndarray]) -> bool:
    """Whether no hard check fails, told without marking the bars that do; a NaN compares false."""
    columns = [values[c] for c in (*PRICES, "volume")]
    for begin in range(0, len(columns[0]), _CHUNK):
        open_, high, low, close, volume = (column[begin : begin + _CHUNK] for column in columns)
        inside = (low <= open_) & (low <= close) & (open_ <= high) & (close <= high)
        if not (inside & (low > 0.0) & (high < np.inf) & ~(volume < 0)).all():
            return False
    return True


def _impossible(values: dict[str, np.ndarray]) -> Iterable[_Check]:
    open_, high, low, close = (values[c] for c in PRICES)
    whole = np.isfinite(open_) & np.isfinite(high) & np.isfinite(low) & np.isfinite(close)
    yield "not a number", "a price is NaN or infinite", ~whole
    yield "price not above zero", "open, high, low or close <= 0", np.minimum(np.minimum(open_, close), low) <= 0
    crossed = high < low
    yield "high below low", "impossible in one bar", crossed
    top, bottom = np.maximum(open_, close), np.minimum(open_, close)
    yield "outside the range", "open or close above high or below low", ~crossed & ((top > high) | (bottom < low))
    yield "negative volume", "volume < 0", values["volume"] < 0


def _suspicious(values: dict[str, np.ndarray]) -> Iterable[_Check]:
    close, volume = values["close"], values["volume"]
    yield "spike", f"moves {_SPIKE:g} times the usual and comes back", _spikes(close)
    yield "stale", f"the same price for {_STALE} bars or more", _stale(values)
    absent = np.isnan(volume)
    if not absent.all():
        yield "no volume", "volume is missing", absent
        yield "zero volume", "no trade in the bar", volume == 0


def _spikes(close: np.ndarray) -> np.ndarray:
    """Mark bars whose close leaves by far more than the usual move and is undone by the next bar's."""
    found = np.zeros(len(close), dtype=bool)
    if len(close) < 3:
        return found
    with np.errstate(divide="ignore", invalid="ignore"):
        move = np.diff(close) / close[:-1]
    size = np.abs(move)
    usual = np.nanmedian(size[:: max(1, len(size) // 100_000)])  # a sample tells the median well enough
    floor = max(_SPIKE * float(usual), 0.01) if np.isfinite(usual) else np.inf
    there, back = move[:-1], move[1:]
    found[1:-1] = (size[:-1] > floor) & (size[1:] > floor / 2) & (there * back < 0)
    return found


def _stale(values: dict[str, np.ndarray]) -> np.ndarray:
    """Mark bars in runs of ``_STALE`` or more in which neither the close moves nor any range shows."""
    close = values["close"]
    still = (np.diff(close, prepend=close[:1]) == 0) & (values["high"] == values["low"])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], still, [False])).astype(np.int8)))
    found = np.zeros(len(close), dtype=bool)
    for a, b in edges.reshape(-1, 2)[edges[1::2] - edges[::2] >= _STALE]:
        found[a:b] = True
    return found


def _order(bars: pd.DataFrame, stamps: np.ndarray) -> Iterable[Finding]:
    repeated = bars.index.duplicated(keep="first")
    late = np.concatenate(([False], np.diff(stamps) < 0))
    checks: tuple[_Check, ...] = (
        ("repeated stamp", "two bars with one open time", repeated),
        ("out of order", "a bar earlier than the one before", late),
    )
    for check in checks:
        found = _finding(*check, bars.index)
        if found.count:
            yield found


def _finding(check: str, says: str, mask: np.ndarray, index: pd.Index) -> Finding:
    count = int(np.count_nonzero(mask))
    return Finding(check, says, count, tuple(index[np.flatnonzero(mask)[:_PLACES]]) if count else ())


def _timeframe(bars: pd.DataFrame, timeframe: str | Timeframe | None) -> Timeframe | None:
    if timeframe is not None:
        return Timeframe.of(timeframe)
    try:
        return infer_timeframe(bars)
    except (TooFewBarsError, TimestampError):
        return None
