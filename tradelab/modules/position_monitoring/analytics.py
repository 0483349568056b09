"""Count how trading goes, by bot, symbol, connection or day: pure functions of what the journal holds.

What cannot be told is ``None``: a profit factor where nothing was lost, a mean of nothing, a ratio without dispersion.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tradelab.metrics import returns, trades
from tradelab.model.errors import ParameterError
from tradelab.model.messages import PositionClosed
from tradelab.model.units import NS_PER_DAY
from tradelab.modules.position_monitoring.analytics_log import Slip, TradeLog, Wait, Worth
from tradelab.modules.position_monitoring.exposure import spread

if TYPE_CHECKING:
    import pandas as pd

By = Literal["bot", "symbol", "connection", "day"]
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one group's trading came to.

    ``trades`` are rounds that are over, ``untold`` those of them whose profit nobody knows, which are in no figure.
    ``pnl``, ``fees`` and ``expectancy`` are money in the currency prices are said in, ``expectancy_r`` is in R,
    ``slippage_bps`` the mean by value, above zero is worse than the price the order was weighed by.
    """

    group: str
    trades: int
    untold: int
    pnl: Decimal
    fees: Decimal
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    expectancy_r: float | None
    slippage_bps: float | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What an account's equity went through, by its last value of each UTC day; ``max_drawdown`` at or below zero."""

    account: str
    days: int
    total_return: float | None
    max_drawdown: float | None
    sharpe: float | None
    sortino: float | None


def figures(log: TradeLog, *, by: By, since_ns: int = 0) -> tuple[Figures, ...]:
    """Return the figures of each group, in the order of their names.

    Parameters
    ----------
    by
        ``"bot"``, ``"symbol"``, ``"connection"`` (the account that is traded) or ``"day"`` (UTC, of the close).
    since_ns
        What closed, filled or was accepted before is left out.
    """
    if by not in _GROUPS:
        raise ParameterError(f"by={by!r} is not allowed.", allowed=list(_GROUPS))
    of = _GROUPS[by]
    rounds = _grouped((r for r in log.rounds if r.closed_ns >= since_ns), lambda r: of(r, r.closed_ns))
    slips = _grouped((s for s in log.slips if s.ts_ns >= since_ns), lambda s: of(s, s.ts_ns))
    waits = _grouped((w for w in log.waits if w.ts_ns >= since_ns), lambda w: of(w, w.ts_ns))
    groups = sorted({*rounds, *slips, *waits})
    return tuple(_figures(group, rounds[group], slips[group], waits[group]) for group in groups)


def _figures(group: str, rounds: Sequence[PositionClosed], slips: Sequence[Slip], waits: Sequence[Wait]) -> Figures:
    told = [r.realized_pnl for r in rounds if r.realized_pnl is not None]
    in_r = [float(r.r_multiple) for r in rounds if r.r_multiple is not None]
    pnl = np.array([float(value) for value in told])
    value = sum((s.value for s in slips), Decimal(0))
    waited = spread([w.ms for w in waits])
    return Figures(
        group=group,
        trades=len(rounds),
        untold=len(rounds) - len(told),
        pnl=sum(told, Decimal(0)),
        fees=sum((r.fees for r in rounds), Decimal(0)),
        win_rate=_told(trades.win_rate(pnl)),
        profit_factor=_told(trades.profit_factor(pnl)),
        expectancy=_told(trades.expectancy(pnl)),
        expectancy_r=float(np.mean(in_r)) if in_r else None,
        slippage_bps=float(sum((s.value * s.bps for s in slips), Decimal(0)) / value) if value else None,
        latency_p50_ms=waited.p50,
        latency_p99_ms=waited.p99,
    )


def growth(worth: Iterable[Worth], *, periods_per_year: float) -> tuple[Growth, ...]:
    """Return what each account's equity went through.

    Parameters
    ----------
    periods_per_year
        Days in a year on which the account can earn: 365 where it trades every day, about 252 on an exchange.
    """
    by_account = _grouped(worth, lambda w: w.account)
    return tuple(_growth(account, by_account[account], periods_per_year) for account in sorted(by_account))


def _growth(account: str, worth: Sequence[Worth], periods_per_year: float) -> Growth:
    points = sorted(worth, key=lambda w: w.ts_ns)
    equity = np.array([float(w.equity) for w in points])
    last = {w.ts_ns // NS_PER_DAY: float(w.equity) for w in points}
    days = np.array([last[day] for day in sorted(last)])
    sound = len(days) > 1 and bool((equity > 0).all())
    daily = days[1:] / days[:-1] - 1.0 if sound else np.empty(0)
    return Growth(
        account=account,
        days=len(days),
        total_return=float(days[-1] / days[0] - 1.0) if sound else None,
        max_drawdown=float(returns.drawdown_of_wealth(equity, start=equity[0]).min()) if len(equity) else None,
        sharpe=_told(returns.sharpe(daily, periods_per_year=periods_per_year)) if sound else None,
        sortino=_told(returns.sortino(daily, periods_per_year=periods_per_year)) if sound else None,
    )


def frame(rows: Sequence[Figures] | Sequence[Growth]) -> pd.DataFrame:
    """Return figures as a table, one row a group; what cannot be told is empty. ``.to_csv()`` writes it."""
    import pandas as pd

    return pd.DataFrame([asdict(row) for row in rows])


def _told(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _grouped(rows: Iterable[Any], key: Callable[[Any], str]) -> defaultdict[str, list[Any]]:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def _day(ts_ns: int) -> str:
    return (_EPOCH + dt.timedelta(days=ts_ns // NS_PER_DAY)).isoformat()


_GROUPS: dict[str, Callable[[Any, int], str]] = {
    "bot": lambda row, _: row.bot or "nobody",
    "symbol": lambda row, _: row.symbol,
    "connection": lambda row, _: row.account,
    "day": lambda _, ts_ns: _day(ts_ns),
}
