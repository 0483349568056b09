"""Turn what the event kernel tallied into figures: the formulas of `tradelab.metrics`, over sums instead of series."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.events import State
from tradelab.research.figures import BLOCK

_NAN = float("nan")
_PIECE = 32_768  # bars


class Benchmark(NamedTuple):
    """What figures need of the returns of what an account is measured against."""

    mean: float
    around: float  # sum of squares around the mean
    total: float


def benchmark_of(close: np.ndarray) -> Benchmark:
    """The instrument's own returns, of its closes of shape (bars,): 0 on the first bar.

    Piece by piece, so that all stays in the cache; two pieces' squares around their means are joined as in Chan, Golub
    and LeVeque, "Algorithms for computing the sample variance" (1983).
    """
    count, mean, around = 1, 0.0, 0.0
    for first in range(1, len(close), _PIECE):
        now = close[first : first + _PIECE]
        moves = now / close[first - 1 : first - 1 + len(now)] - 1.0
        own, both = float(moves.mean()), count + len(moves)
        moves -= own
        around += float(np.einsum("i,i->", moves, moves)) + (own - mean) ** 2 * count * len(moves) / both
        mean += (own - mean) * len(moves) / both
        count = both
    return Benchmark(mean, around, float(close[-1] / close[0] - 1.0))


def figures_of(
    state: State, bars: int, init_cash: np.ndarray, per_year: float, market: Benchmark
) -> dict[str, np.ndarray]:
    """Return the figures of ``metrics.Summary`` by name, each of shape (combinations,).

    Value at risk and expected shortfall are quantiles of all returns, which sums do not give; they are not among them.

    Parameters
    ----------
    state
        After a sweep over all bars.
    bars
        How many.
    init_cash
        Shape (combinations,).
    per_year
        Bars a year; NaN: not known.
    market
        The benchmark: the instrument's own returns.
    """
    t = state.tallies
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _of_equity(t, bars, init_cash, per_year) | _of_returns(t, bars, per_year, market) | _of_trades(t)


def blocks_of(parts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return rows of ``figures.BLOCK``, shape (combinations, blocks), of parts as the event kernel leaves them."""
    blocks = np.zeros(parts.shape, BLOCK)
    blocks["n"] = np.diff(edges)
    for name, field in (("sum", "sum"), ("sum_sq", "squares")):
        blocks[name] = np.diff(parts[field], axis=1, prepend=0.0)
    blocks["drawdown"] = parts["depth"] - 1.0
    return blocks


def _of_equity(t: np.ndarray, bars: int, init_cash: np.ndarray, per_year: float) -> dict[str, np.ndarray]:
    total = t["equity"] / init_cash - 1.0
    cagr = np.where(total >= -1.0, (1.0 + total) ** (per_year / bars) - 1.0, _NAN)
    cagr[np.isinf(cagr) | np.isnan(per_year)] = _NAN
    deepest = t["depth"] - 1.0
    return {
        "init_cash": init_cash,
        "final_equity": t["equity"],
        "total_return": total,
        "cagr": cagr,
        "max_drawdown": deepest,
        "max_drawdown_bars": t["longest"],
        "calmar": np.where(deepest < 0.0, cagr / -deepest, _NAN),
        "exposure": t["held"] / bars,
        "turnover": np.where(t["equities"] > 0.0, t["traded"] / (t["equities"] / bars) * per_year / bars, _NAN),
        "fees": t["fees"],
    }


def _of_returns(t: np.ndarray, bars: int, per_year: float, market: Benchmark) -> dict[str, np.ndarray]:
    year = np.sqrt(per_year)
    mean = t["sum"] / bars
    spread = np.maximum(t["squares"] - bars * mean * mean, 0.0)
    deviation = np.sqrt(spread / (bars - 1)) if bars > 1 else np.full(len(t), _NAN)
    shortfall = np.sqrt(t["falls_squared"] / bars)
    gains = t["sum"] - t["falls"]
    several = bars > 1
    free = market.around
    beta = (t["products"] - t["sum"] * market.mean) / free if free > 0.0 else np.full(len(t), _NAN)
    alpha = (1.0 + mean - beta * market.mean) ** per_year - 1.0
    figures = {
        "volatility": deviation * year,
        "sharpe": _over(mean, deviation) * year,
        "sortino": _over(mean, shortfall) * year,
        "omega": _over(gains, -t["falls"]),
        "alpha": np.where(np.isinf(alpha) | np.isnan(per_year), _NAN, alpha),
        "beta": beta,
        "benchmark_return": np.full(len(t), market.total),
    }
    known = several & (t["broke"] == 0)
    return {n: v if n == "benchmark_return" else np.where(known, v, _NAN) for n, v in figures.items()}


def _of_trades(t: np.ndarray) -> dict[str, np.ndarray]:
    n, won, lost = t["trades"], t["won"], t["lost"]
    any_ = n > 0
    varied = (n > 1) & (t["around"] > 0.0)
    spread = np.sqrt(t["around"] / np.maximum(n - 1, 1))
    total = t["mean"] * n
    return {
        "trades": n,
        "open_trades": t["is_open"],
        "win_rate": np.where(any_, won / n, _NAN),
        "profit_factor": _over(t["profits"], t["losses"]),
        "expectancy": np.where(any_, total / n, _NAN),
        "payoff": np.where((won > 0) & (lost > 0), (t["profits"] / won) / (t["losses"] / lost), _NAN),
        "best_trade": np.where(any_, t["best"], _NAN),
        "worst_trade": np.where(any_, t["worst"], _NAN),
        "avg_bars_held": np.where(any_, t["bars_held"] / n, _NAN),
        "longest_win_streak": t["win_streak"],
        "longest_loss_streak": t["loss_streak"],
        "sqn": np.where(varied, np.sqrt(n) * t["mean"] / spread, _NAN),
    }


def _over(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.where(denominator > 0.0, numerator / denominator, _NAN)
