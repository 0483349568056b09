"""Measure a list of trades: how often it wins, how much, and how long it holds.

Every function takes plain arrays, one entry a trade in order of exit: ``pnl`` is profit or loss in account currency,
fees paid; a trade wins with ``pnl > 0``, loses with ``pnl < 0``, and one of exactly 0 does neither. Whether an open
trade, marked to the last close, counts as a trade is the caller's choice of what to pass; `tradelab.metrics.summary`
passes closed ones, as vectorbt's ``Portfolio.stats()`` does; its ``trades.win_rate()`` and the like count open ones.
Undefined is NaN, never infinity: no trades, no losing trade to divide by, no dispersion. A NaN or an infinity among the
inputs is refused with ValueError.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tradelab.metrics.arrays import Floats, Ints, finite, same_length
from tradelab.metrics.returns import longest_run

_NAN = float("nan")


class TradeColumns(NamedTuple):
    """The columns of a trade list that figures are made of, each of shape (trades,).

    ``returns`` is pnl over the entry's notional, a fraction; ``entry_bar`` and ``exit_bar`` count bars from 0 (an open
    trade's ``exit_bar`` is the last bar); ``is_open`` marks trades that the data ended before their exit.
    """

    pnl: Floats
    returns: Floats
    entry_bar: Ints
    exit_bar: Ints
    is_open: NDArray[np.bool_]

    @classmethod
    def of(
        cls, *, pnl: ArrayLike, returns: ArrayLike, entry_bar: ArrayLike, exit_bar: ArrayLike, is_open: ArrayLike
    ) -> TradeColumns:
        """Check and convert columns given as any arrays.

        Raises
        ------
        ValueError
            A NaN or an infinity, or columns of different lengths.
        """
        columns = cls(
            finite(pnl, "pnl"),
            finite(returns, "returns"),
            np.asarray(entry_bar, dtype=np.int64),
            np.asarray(exit_bar, dtype=np.int64),
            np.asarray(is_open, dtype=bool),
        )
        same_length(**columns._asdict())
        return columns

    def closed(self) -> TradeColumns:
        """The trades that have been exited."""
        keep = ~self.is_open
        return TradeColumns(
            self.pnl[keep], self.returns[keep], self.entry_bar[keep], self.exit_bar[keep], self.is_open[keep]
        )


def win_rate(pnl: ArrayLike) -> float:
    """Share of trades that win, 0 to 1; a trade of exactly 0 counts among all and not among the winners."""
    pnl = finite(pnl, "pnl")
    return float(np.count_nonzero(pnl > 0) / len(pnl)) if len(pnl) else _NAN


def profit_factor(pnl: ArrayLike) -> float:
    """Gross profit over gross loss; NaN when nothing was lost (vectorbt: infinity, the original system: 0).

    >>> profit_factor([30.0, -10.0, -5.0]), profit_factor([30.0])
    (2.0, nan)
    """
    pnl = finite(pnl, "pnl")
    lost = -pnl[pnl < 0].sum()
    return float(pnl[pnl > 0].sum() / lost) if lost > 0 else _NAN


def expectancy(pnl: ArrayLike) -> float:
    """Mean profit of a trade, in account currency."""
    pnl = finite(pnl, "pnl")
    return float(pnl.mean()) if len(pnl) else _NAN


def expectancy_r(pnl: ArrayLike, risk: ArrayLike) -> float:
    """Mean profit in R (Tharp 1998): pnl over what the trade put at risk at its entry, ``risk`` > 0, in currency.

    Trades without a stop have no R: leave them out of both arrays.
    """
    pnl, risk = finite(pnl, "pnl"), finite(risk, "risk")
    same_length(pnl=pnl, risk=risk)
    if (risk <= 0).any():
        raise ValueError(f"risk[{int(np.argmax(risk <= 0))}] is not above 0; a trade without risk has no R.")
    return float((pnl / risk).mean()) if len(pnl) else _NAN


def payoff(pnl: ArrayLike) -> float:
    """Mean winning trade over the size of the mean losing one; NaN unless there are both.

    >>> payoff([30.0, 10.0, -5.0])
    4.0
    """
    pnl = finite(pnl, "pnl")
    wins, losses = pnl[pnl > 0], pnl[pnl < 0]
    return float(wins.mean() / -losses.mean()) if len(wins) and len(losses) else _NAN


def kelly(pnl: ArrayLike) -> float:
    """Kelly's fraction for a bet of two outcomes (Kelly 1956): win rate minus losing rate over payoff.

    Break-even trades are left out. A bound to stay far below, not a size to trade: it takes the past for the odds.

    >>> round(kelly([2.0, 2.0, -1.0]), 12)
    0.5
    """
    decided = finite(pnl, "pnl")
    decided = decided[decided != 0]
    chance = win_rate(decided)
    return chance - (1.0 - chance) / payoff(decided)


def sqn(pnl: ArrayLike) -> float:
    """System quality number (Tharp 2008): ``√n · mean / deviation`` of pnl (ddof = 1), not capped at 100 trades.

    NaN below two trades and when all are equal.
    """
    pnl = finite(pnl, "pnl")
    if len(pnl) < 2 or pnl.min() == pnl.max():
        return _NAN
    return float(math.sqrt(len(pnl)) * pnl.mean() / pnl.std(ddof=1))


class Extremes(NamedTuple):
    """The best and the worst trade."""

    best: float
    worst: float


def extremes(returns: ArrayLike) -> Extremes:
    """Highest and lowest return of a trade, as fractions; NaN without trades."""
    returns = finite(returns, "returns")
    return Extremes(float(returns.max()), float(returns.min())) if len(returns) else Extremes(_NAN, _NAN)


class Streaks(NamedTuple):
    """The longest run of winning and of losing trades."""

    wins: int
    losses: int


def streaks(pnl: ArrayLike) -> Streaks:
    """Longest unbroken runs of wins and of losses; a break-even trade ends both.

    >>> streaks([1.0, 2.0, 0.0, 3.0, -1.0])
    Streaks(wins=2, losses=1)
    """
    pnl = finite(pnl, "pnl")
    return Streaks(longest_run(pnl > 0), longest_run(pnl < 0))


def average_bars_held(entry_bar: ArrayLike, exit_bar: ArrayLike) -> float:
    """Mean of ``exit_bar − entry_bar``; a trade entered and left on one bar held 0 bars."""
    entry, exit_ = np.asarray(entry_bar, dtype=np.int64), np.asarray(exit_bar, dtype=np.int64)
    same_length(entry_bar=entry, exit_bar=exit_)
    return float((exit_ - entry).mean()) if len(entry) else _NAN


def exposure(in_position: ArrayLike) -> float:
    """Share of bars that end in a position, 0 to 1; ``in_position`` is True at those bars."""
    held = np.asarray(in_position, dtype=bool)
    return float(held.mean()) if len(held) else _NAN
