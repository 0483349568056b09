"""Guard an account's equity: losses of the day and the week, and what it is below its peak; once tripped, for good.

All is a fold of what the venue told of the account (open profit, fees and funding are in its equity), of the alarms
that were raised, and of the person who let trading go on: a restart knows what was known before.

* A day's loss is measured from the higher of the last equity before it began and the first one in it, so that neither
  a loss nor a deposit overnight makes room. So is a week's.
* A guard that has tripped stays tripped, whatever the equity does and whatever the day, until a person lets the account
  trade again. From then on **it** is measured from the equity at that moment; guards that had not tripped are not
  touched.
* Money paid in or out is not told by venues: what was taken out looks like a loss, and a person has to say that it is
  none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from zoneinfo import ZoneInfo

from tradelab.model.signal import DropCode
from tradelab.model.units import NS_PER_S
from tradelab.modules.risk_management.config import Config
from tradelab.spine.presets import Limits

DAILY, WEEKLY, DRAWDOWN = DropCode.DAILY_LOSS, DropCode.WEEKLY_LOSS, DropCode.DRAWDOWN
GUARDS = (DAILY, WEEKLY, DRAWDOWN)
SINCE: Mapping[DropCode, str] = MappingProxyType(
    {DAILY: "the day began", WEEKLY: "the week began", DRAWDOWN: "its peak"}
)


@dataclass(frozen=True, slots=True)
class Guarded:
    """What the guards know of one account; ``None`` until its equity was told."""

    equity: Decimal | None = None
    day: dt.date | None = None
    week: dt.date | None = None
    bases: Mapping[DropCode, Decimal] = field(
        default_factory=lambda: MappingProxyType({})
    )  # what each guard measures from
    tripped: frozenset[DropCode] = frozenset()


@dataclass(frozen=True, slots=True)
class Breach:
    """A guard that has been reached: ``loss`` and ``limit`` are fractions of ``base``."""

    code: DropCode
    loss: Decimal
    limit: Decimal
    base: Decimal
    equity: Decimal

    @property
    def says(self) -> str:
        """In words."""
        return (
            f"equity {self.equity:f} is {self.loss * 100:.2f} % below the {self.base:f} of when {SINCE[self.code]};"
            f" the limit is {self.limit * 100:.2f} %"
        )


def trading_day(ts_ns: int, config: Config) -> dt.date:
    """Return the day that a moment belongs to, by the clock on the wall of the configured place.

    Examples
    --------
    >>> new_york = Config(timezone="America/New_York", day_starts=dt.time(17))
    >>> trading_day(1_704_146_400_000_000_000, new_york)  # Monday 2024-01-01, 17:00 in New York
    datetime.date(2024, 1, 1)
    >>> trading_day(1_704_146_399_000_000_000, new_york)
    datetime.date(2023, 12, 31)
    """
    wall = dt.datetime.fromtimestamp(ts_ns // NS_PER_S, ZoneInfo(config.timezone)).replace(tzinfo=None)
    begins = config.day_starts
    return (wall - dt.timedelta(hours=begins.hour, minutes=begins.minute, seconds=begins.second)).date()


def trading_week(day: dt.date, config: Config) -> dt.date:
    """Return the first day of the week that a day belongs to.

    >>> trading_week(dt.date(2024, 1, 3), Config()), trading_week(dt.date(2024, 1, 3), Config(week_starts=7))
    (datetime.date(2024, 1, 1), datetime.date(2023, 12, 31))
    """
    return day - dt.timedelta(days=(day.isoweekday() - config.week_starts) % 7)


def reported(guarded: Guarded, equity: Decimal | None, ts_ns: int, config: Config) -> Guarded:
    """Take in what the venue says the account is worth; ``None`` is not known, and changes nothing.

    Parameters
    ----------
    ts_ns
        When we came to know, UTC: a venue's own stamp may come from any clock.
    """
    if equity is None:
        return guarded
    day = trading_day(ts_ns, config)
    week = trading_week(day, config)
    fresh = max(equity, equity if guarded.equity is None else guarded.equity)
    bases = dict(guarded.bases)
    if day != guarded.day:
        bases[DAILY] = fresh
    if week != guarded.week:
        bases[WEEKLY] = fresh
    bases[DRAWDOWN] = max(bases.get(DRAWDOWN, equity), equity)
    return replace(guarded, equity=equity, day=day, week=week, bases=MappingProxyType(bases))


def tripped(guarded: Guarded, code: DropCode) -> Guarded:
    """Keep that a guard has tripped."""
    return replace(guarded, tripped=guarded.tripped | {code})


def acknowledged(guarded: Guarded) -> Guarded:
    """Let a person's word re-arm what has tripped: it is measured from the equity now."""
    if guarded.equity is None or not guarded.tripped:
        return replace(guarded, tripped=frozenset())
    anew = dict.fromkeys(guarded.tripped, guarded.equity)
    return replace(guarded, bases=MappingProxyType({**guarded.bases, **anew}), tripped=frozenset())


def loss(guarded: Guarded, code: DropCode) -> Decimal | None:
    """Return the fraction that is lost by a guard's measure, below zero where it is a gain; ``None``: not known.

    Of a base of nothing or less, everything is lost: there is no fraction to tell, and nothing to go on with.
    """
    base = guarded.bases.get(code)
    if guarded.equity is None or base is None:
        return None
    return (base - guarded.equity) / base if base > 0 else Decimal(1)


def breaches(guarded: Guarded, limits: Mapping[DropCode, Decimal]) -> tuple[Breach, ...]:
    """Return the guards that have been reached; one that is reached exactly, is."""
    found = []
    for code, limit in limits.items():
        lost = loss(guarded, code)
        if lost is not None and lost >= limit and guarded.equity is not None:
            found.append(Breach(code, lost, limit, guarded.bases[code], guarded.equity))
    return tuple(found)


def strictest(limits: Iterable[Limits]) -> Mapping[DropCode, Decimal]:
    """Return what guards an account that several bots trade: of each limit the least; a guard without one is left out.

    >>> both = strictest([Limits(max_daily_loss=Decimal("0.05")), Limits(max_daily_loss=Decimal("0.03"))])
    >>> dict(both)
    {<DropCode.DAILY_LOSS: 'daily_loss'>: Decimal('0.03')}
    """
    least: dict[DropCode, Decimal] = {}
    for each in limits:
        of_each = zip(GUARDS, (each.max_daily_loss, each.max_weekly_loss, each.max_drawdown), strict=True)
        for code, limit in of_each:
            if limit is not None:
                least[code] = min(limit, least.get(code, limit))
    return MappingProxyType(least)
