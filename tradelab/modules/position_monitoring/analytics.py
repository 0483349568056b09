"""Count how trading goes, by bot, symbol, connection or day: pure functions of what each day came to.

What cannot be told is ``None``: a profit factor where nothing was lost, a ratio without dispersion, a mean of nothing
or of too few, money of two currencies. The formulas of ratios are those of ``tradelab.metrics``, with their sources.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

import numpy as np

from tradelab.metrics import trades
from tradelab.model.errors import ParameterError
from tradelab.modules.position_monitoring.days import Cell, Days, Facts, Worth
from tradelab.modules.position_monitoring.exposure import spread
from tradelab.modules.position_monitoring.paths import Path, of_account, of_rounds, told

By = Literal["bot", "symbol", "connection", "day"]
BY: tuple[By, ...] = ("bot", "symbol", "connection", "day")
LEAST_TRADES = 5  # of fewer no rate or mean is told
LEAST_DAYS = 10  # of fewer returns no ratio is told
_BPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one group's trading came to.

    Parameters
    ----------
    trades, wins, losses, untold
        Rounds that are over; those that won and lost; those whose profit nobody knows, which are in no figure.
    pnl, fees, expectancy
        Money in ``currency``, which prices are said in; profit after fees and before funding. ``None`` where prices
        of the group are said in several.
    profit_factor, win_rate, expectancy, expectancy_r
        As in ``tradelab.metrics.trades``, of at least ``least_trades`` rounds; the last one in R.
    total_return, max_drawdown, sharpe, sortino
        Of the returns of every day of the calendar, Sharpe and Sortino a year of 365 and without a risk-free rate
        (``tradelab.metrics.returns``), of at least ``least_days``. A connection's return is that of its equity, open
        profit, fees and funding in it, and its drawdown is from peak to trough at any report. A bot's and a symbol's
        is the profit of the rounds that closed, over what the accounts were worth when the day began.
    slippage_bps
        What fills cost against the prices that their orders waited for, or were weighed by where they were to trade at
        once; by value; above zero is worse.
    drift_bps, drift_equity_bps, compared
        What rounds cost against those of the shadow book, of what was entered, and of what the accounts were worth
        last; and how many rounds that is.
    not_compared, not_compared_why
        Rounds that have no shadow to be held against, and why, with how many of each; ``None`` where there are none.
    latency_p50_ms, latency_p99_ms
        From the intent that was kept to the venue's yes, by nearest rank.
    """

    group: str
    currency: str | None
    trades: int
    wins: int
    losses: int
    untold: int
    pnl: Decimal | None
    fees: Decimal | None
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    expectancy_r: float | None
    days: int
    total_return: float | None
    max_drawdown: float | None
    sharpe: float | None
    sortino: float | None
    slippage_bps: float | None
    drift_bps: float | None
    drift_equity_bps: float | None
    compared: int
    not_compared: int
    not_compared_why: str | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None


def figures(
    days: Days, *, by: By, first: str = "", last: str = "", least_trades: int = LEAST_TRADES,
    least_days: int = LEAST_DAYS,
) -> tuple[Figures, ...]:  # fmt: skip
    """Return the figures of each group, in the order of their names.

    Parameters
    ----------
    by
        ``"bot"``, ``"symbol"``, ``"connection"`` (the account that is traded) or ``"day"`` (of UTC).
    first, last
        Days, both among them, such as ``"2024-01-31"``; by default all.

    Raises
    ------
    ParameterError
        There is no such group.
    """
    if by not in BY:
        raise ParameterError(f"by={by!r} is not allowed.", allowed=list(BY))
    window = _Window(days, first, last)
    groups: defaultdict[str, list[tuple[Cell, Facts]]] = defaultdict(list)
    for cell, facts in days.facts.items():
        if window.has(cell.day):
            groups[_GROUPS[by](cell)].append((cell, facts))
    if by == "connection":
        for day, account in days.worth:
            if window.has(day):
                groups.setdefault(account, [])
    counts = _Counts(window, by, least_trades, least_days)
    return tuple(counts.of(group, sorted(groups[group], key=_order)) for group in sorted(groups))


_GROUPS: dict[By, Callable[[Cell], str]] = {
    "bot": lambda cell: cell.bot or "nobody",
    "symbol": lambda cell: cell.symbol,
    "connection": lambda cell: cell.account,
    "day": lambda cell: cell.day,
}


def _order(row: tuple[Cell, Facts]) -> tuple[str, str, str, str]:
    cell, _ = row
    return cell.day, cell.account, cell.bot or "", cell.symbol


@dataclass(frozen=True, slots=True)
class _Window:
    """The days that are asked for."""

    days: Days
    first: str
    last: str

    def has(self, day: str) -> bool:
        """Whether a day is asked for."""
        return (not self.first or day >= self.first) and (not self.last or day <= self.last)

    def worth(self) -> dict[str, dict[str, Worth]]:
        """What accounts were worth in these days, by account and day, in the order of days."""
        found: defaultdict[str, dict[str, Worth]] = defaultdict(dict)
        for day, account in sorted(self.days.worth):
            if self.has(day):
                found[account][day] = self.days.worth[day, account]
        return dict(found)


class _Counts:
    """Counts one group after the other."""

    def __init__(self, window: _Window, by: By, least_trades: int, least_days: int) -> None:
        self._by, self._least_trades, self._least_days = by, least_trades, least_days
        self._worth = window.worth()

    def of(self, group: str, rows: Sequence[tuple[Cell, Facts]]) -> Figures:
        """Return the figures of a group."""
        facts = [each for _, each in rows]
        ended = [each for one in facts for each in one.rounds]
        known = [each.pnl for each in ended if each.pnl is not None]
        in_r = [float(each.r) for each in ended if each.r is not None]
        pnl = np.array([float(value) for value in known])
        currencies = {one.currency for one in facts}
        is_one = len(currencies) <= 1
        currency = currencies.pop() if len(currencies) == 1 else None
        enough = len(known) >= self._least_trades
        path = self._path(group, rows, currency)
        slip_cost, slip_value = _sum(f.slip_cost for f in facts), _sum(f.slip_value for f in facts)
        apart = [each for one in facts for each in one.apart]
        drift = _sum(each.money for each in apart)
        without = _together(one.not_compared for one in facts)
        waited = spread([ms for one in facts for ms in one.waits_ms])
        return Figures(
            group=group,
            currency=currency,
            trades=len(ended),
            wins=sum(value > 0 for value in known),
            losses=sum(value < 0 for value in known),
            untold=len(ended) - len(known),
            pnl=_sum(known) if is_one else None,
            fees=_sum(each.fees for each in ended) if is_one else None,
            win_rate=told(trades.win_rate(pnl)) if enough else None,
            profit_factor=told(trades.profit_factor(pnl)) if enough and is_one else None,
            expectancy=told(trades.expectancy(pnl)) if enough and is_one else None,
            expectancy_r=float(np.mean(in_r)) if len(in_r) >= max(self._least_trades, 1) else None,
            days=path.days,
            total_return=path.total_return,
            max_drawdown=path.max_drawdown,
            sharpe=path.sharpe,
            sortino=path.sortino,
            slippage_bps=_bps(slip_cost, slip_value) if is_one else None,
            drift_bps=_bps(drift, _sum(each.value for each in apart)) if is_one else None,
            drift_equity_bps=_bps(drift, path.equity) if is_one and apart else None,
            compared=len(apart),
            not_compared=sum(without.values()),
            not_compared_why="; ".join(f"{why} ({n})" for why, n in sorted(without.items())) or None,
            latency_p50_ms=waited.p50,
            latency_p99_ms=waited.p99,
        )

    def _path(self, group: str, rows: Sequence[tuple[Cell, Facts]], currency: str | None) -> Path:
        if self._by == "connection":
            path = of_account(self._worth.get(group, {}), self._least_days)
            kept = {each.currency for each in self._worth.get(group, {}).values()}
            return path if not rows or kept <= {None, currency} else replace(path, equity=None)
        worth = self._worth
        if self._by == "day":
            worth = {account: {group: days[group]} for account, days in worth.items() if group in days}
        return of_rounds(rows, worth, currency, self._least_days)


def _sum(values: Iterable[Decimal]) -> Decimal:
    return sum(values, Decimal(0))


def _together(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for each in counts:
        found.update(each)
    return found


def _bps(cost: Decimal, value: Decimal | None) -> float | None:
    return float(cost / value * _BPS) if value else None
