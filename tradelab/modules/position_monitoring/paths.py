"""Tell what a connection, a bot or a symbol went through from day to day: its return, its drawdown, its ratios.

Every day of the calendar counts: one without a report carries on what was known, one without a trade earned nothing. So
a year has 365 of them wherever it is traded, and a weekend is no gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tradelab.metrics import returns
from tradelab.modules.position_monitoring.days import Cell, Facts, Worth, days_between, fall

_DAYS_A_YEAR = 365.0


@dataclass(frozen=True, slots=True)
class Path:
    """What somebody went through; ``max_drawdown`` at or below zero, ``equity`` what the accounts were worth last."""

    days: int = 0
    total_return: float | None = None
    max_drawdown: float | None = None
    sharpe: float | None = None
    sortino: float | None = None
    equity: Decimal | None = None


def of_account(worth: Mapping[str, Worth], least_days: int) -> Path:
    """Return the path of an account's equity: its return from report to report, its fall at any report.

    The first day's return begins with its first report. A peak of one day and a trough of another are one fall: of the
    lowest of a day below the highest of the days before, or of what that day fell by itself.
    """
    if not worth:
        return Path()
    reports = list(worth.values())
    last, closes = reports[0].first, [reports[0].first]
    for day in days_between(next(iter(worth)), list(worth)[-1]):
        last = worth[day].last if day in worth else last
        closes.append(last)
    if min(each.low for each in reports) <= 0:
        return Path(len(closes) - 1, equity=last)
    wealth = np.array([float(each) for each in closes])
    daily = wealth[1:] / wealth[:-1] - 1.0
    return _path(daily, least_days, last, max_drawdown=deepest(reports))


def deepest(days: Sequence[Worth]) -> float:
    """Return the deepest fall from a peak through several days, at or below zero."""
    peak, found = days[0].first, 0.0
    for each in days:
        found = min(found, each.fall, fall(each.low, peak))
        peak = max(peak, each.high)
    return found


def of_rounds(
    rows: Sequence[tuple[Cell, Facts]], worth: Mapping[str, Mapping[str, Worth]], currency: str | None, least_days: int
) -> Path:  # fmt: skip
    """Return the path of what rounds earned each day over what their accounts were worth when it began.

    Parameters
    ----------
    worth
        By account and day. Nothing is told where one of them is unknown, or is not counted in ``currency``.
    """
    known = [worth.get(account, {}) for account in dict.fromkeys(cell.account for cell, _ in rows)]
    if currency is None or not known or not all(known):
        return Path()
    if any(each.currency not in (None, currency) for days in known for each in days.values()):
        return Path()
    first, last = max(min(days) for days in known), max(max(days) for days in known)
    traded = [cell.day for cell, _ in rows]
    if min(traded) < first:
        return Path()  # an account had traded before anybody said what it is worth
    last = max(last, *traded)
    earned = _earned(rows)
    stands = [_stood(days, first) for days in known]  # what each account was worth when the day began
    daily = []
    for day in days_between(first, last):
        base = sum(stands, Decimal(0))
        daily.append(float(earned.get(day, Decimal(0)) / base) if base > 0 else math.nan)
        stands = [days[day].last if day in days else stood for days, stood in zip(known, stands, strict=True)]
    if not all(math.isfinite(each) and each > -1.0 for each in daily):
        return Path(len(daily))
    return _path(np.array(daily), least_days, sum(stands, Decimal(0)), max_drawdown=returns.max_drawdown(daily))


def _stood(days: Mapping[str, Worth], day: str) -> Decimal:
    before = [worth.last for each, worth in days.items() if each < day]
    return before[-1] if before else days[day].first


def _earned(rows: Sequence[tuple[Cell, Facts]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for cell, facts in rows:
        told = [each.pnl for each in facts.rounds if each.pnl is not None]
        found[cell.day] = found.get(cell.day, Decimal(0)) + sum(told, Decimal(0))
    return found


def _path(daily: np.ndarray, least_days: int, equity: Decimal, *, max_drawdown: float) -> Path:
    enough = len(daily) >= least_days
    return Path(
        days=len(daily),
        total_return=told(returns.total_return(daily)),
        max_drawdown=told(max_drawdown),
        sharpe=told(returns.sharpe(daily, periods_per_year=_DAYS_A_YEAR)) if enough else None,
        sortino=told(returns.sortino(daily, periods_per_year=_DAYS_A_YEAR)) if enough else None,
        equity=equity,
    )


def told(value: float) -> float | None:
    """Return a figure, ``None`` where it is not defined."""
    return value if math.isfinite(value) else None
