"""Play a backtest again under other luck: trades in another order, other stretches of time, other prices, no strategy.

``monte_carlo(result, method)`` is the door; each method is a function of its own:

``shuffle_trades``    the same trades in another order: how deep could it have fallen on the way?
``bootstrap_trades``  as many trades drawn anew from them: what if the lucky ones had not come?
``bootstrap_returns`` stretches of the account's returns drawn anew, joined: the same, with its rhythm kept.
``perturb_prices``    noise on every bar, and the strategy run again: does it hang on exact prices?
``resample_prices``   stretches of the market drawn anew, and the strategy run again: does it hang on this one history?
``random_entries``    as many trades held as long, at random times: would no strategy have done as well?

Every draw comes from the seed that is given. A p-value is ``(1 + draws at least as good) / (1 + draws)``, which is
never 0 (Davison and Hinkley, "Bootstrap Methods and their Application", Cambridge 1997, equation 4.11).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from tradelab.metrics.datasnooping import optimal_block_length, stationary_bootstrap
from tradelab.model.errors import TooFewBarsError, UnknownNameError
from tradelab.research.montecarlo_draws import MonteCarlo, generator
from tradelab.research.montecarlo_null import random_entries
from tradelab.research.montecarlo_paths import perturb_prices, resample_prices
from tradelab.research.result import Result

__all__ = [
    "MonteCarlo",
    "bootstrap_returns",
    "bootstrap_trades",
    "monte_carlo",
    "perturb_prices",
    "random_entries",
    "resample_prices",
    "shuffle_trades",
]

_LEAST_TRADES = 2
_MOST_STEPS = 20_000  # longer histories are joined into so many equal steps before they are drawn from
_CELLS = 1 << 21


def monte_carlo(result: Result, method: str = "random_entries", **options: Any) -> MonteCarlo:
    """Play a backtest again under other luck.

    Parameters
    ----------
    result
        What ``tl.backtest`` returned.
    method
        ``"shuffle_trades"``, ``"bootstrap_trades"``, ``"bootstrap_returns"``, ``"perturb_prices"``,
        ``"resample_prices"`` or ``"random_entries"``.
    **options
        Of that function: ``runs``, ``seed`` and its own.

    Examples
    --------
    >>> import tradelab as tl
    >>> result = tl.backtest(tl.samples.load("GOOG-1d"), "sma_cross", fast=10, slow=30)
    >>> luck = monte_carlo(result, "shuffle_trades", runs=500, seed=1)
    >>> len(luck.draws), luck.actual["max_drawdown"] < 0
    (500, True)
    """
    if method not in METHODS:
        raise UnknownNameError.of("Monte Carlo method", method, METHODS)
    return METHODS[method](result, **options)


def shuffle_trades(result: Result, *, runs: int = 1_000, seed: int | np.random.Generator = 0) -> MonteCarlo:
    """Put the closed trades into another order, each keeping what it made of the equity it met.

    What they come to is the same in any order; how deep the account falls on the way is not. Drawdowns are of the
    account as it stands when trades close, which is what an order of trades can say.

    Parameters
    ----------
    result
        With at least two closed trades.
    runs, seed
        How many orders, and where chance begins.
    """
    grown = _growth_of_trades(result)
    rng = generator(runs, seed)
    drawn = rng.permuted(np.broadcast_to(grown, (runs, len(grown))), axis=1)
    says = f"the {len(grown)} closed trades in {runs:,} other orders"
    own = _of_paths(grown[None])[0]["max_drawdown"]
    return MonteCarlo("shuffled trades", says, {"max_drawdown": own}, _table(drawn)[["max_drawdown"]])


def bootstrap_trades(result: Result, *, runs: int = 1_000, seed: int | np.random.Generator = 0) -> MonteCarlo:
    """Draw as many trades anew from the closed ones, with replacement; parameters as for `shuffle_trades`."""
    grown = _growth_of_trades(result)
    rng = generator(runs, seed)
    drawn = grown[rng.integers(len(grown), size=(runs, len(grown)))]
    says = f"{len(grown)} trades drawn from the closed ones, {runs:,} times"
    return MonteCarlo("bootstrapped trades", says, _of_paths(grown[None])[0], _table(drawn))


def bootstrap_returns(
    result: Result, *, runs: int = 1_000, mean_block: float | None = None, seed: int | np.random.Generator = 0
) -> MonteCarlo:
    """Draw stretches of the account's returns anew and join them (stationary bootstrap, Politis and Romano 1994).

    Parameters
    ----------
    result
        With at least 32 bars on which equity is above 0.
    runs, seed
        How many histories, and where chance begins.
    mean_block
        Mean length of a stretch, in bars; ``None``: chosen from the returns' autocorrelation (Politis and White 2004).
    """
    returns = result.returns.to_numpy()
    returns = returns[np.isfinite(returns)]
    if len(returns) < 32:
        raise TooFewBarsError(f"{len(returns)} returns cannot be drawn from.", fix="Backtest at least 32 bars.")
    rng = generator(runs, seed)
    joined = max(math.ceil(len(returns) / _MOST_STEPS), 1)
    steps = _joined(returns, joined)
    block = optimal_block_length(steps).stationary if mean_block is None else max(mean_block / joined, 1.0)
    per_year = result.annualisation.periods_per_year / joined
    parts = []
    for rows in _chunks(runs, len(steps)):
        parts.append(_figures(steps[stationary_bootstrap(len(steps), block, rows, rng)], per_year))
    says = f"stretches of {block * joined:,.1f} bars on average drawn from the account's returns, {runs:,} times"
    own = _figures(steps[None], per_year)
    actual = {str(name): float(own[name].iloc[0]) for name in own}
    return MonteCarlo("bootstrapped returns", says, actual, pd.concat(parts, ignore_index=True))


def _growth_of_trades(result: Result) -> np.ndarray:
    """What each closed trade, in order of exit, made of the equity it met, as a fraction above −1."""
    trades = result.outcome.trades
    closed = trades[~trades["is_open"]]
    if len(closed) < _LEAST_TRADES:
        raise TooFewBarsError(
            f"{len(closed)} closed trades have no order.", fix=f"Backtest more bars: at least {_LEAST_TRADES} trades."
        )
    closed = closed[np.argsort(closed["exit_bar"], kind="stable")]
    equity = np.concatenate([[result.init_cash], result.equity.to_numpy()])
    before = equity[closed["entry_bar"]]
    return np.maximum(closed["pnl"] / np.where(before > 0.0, before, np.nan), -1.0)


def _of_paths(growth: np.ndarray) -> list[dict[str, float]]:
    """Total return and deepest drawdown of paths, shape (paths, steps) of fractions, each from 1."""
    wealth = np.cumprod(1.0 + growth, axis=1)
    peak = np.maximum(np.maximum.accumulate(wealth, axis=1), 1.0)
    deepest = np.minimum((wealth / peak - 1.0).min(axis=1), 0.0)
    total = wealth[:, -1] - 1.0
    return [{"total_return": float(t), "max_drawdown": float(d)} for t, d in zip(total, deepest, strict=True)]


def _table(growth: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame([path for rows in np.array_split(growth, 8) for path in _of_paths(rows)])


def _figures(returns: np.ndarray, per_year: float) -> pd.DataFrame:
    table = pd.DataFrame(_of_paths(returns))
    spread = returns.std(axis=1, ddof=1)
    mean = returns.mean(axis=1)
    table["sharpe"] = np.divide(mean, spread, out=np.full(len(mean), np.nan), where=spread > 0.0) * math.sqrt(per_year)
    return table


def _joined(returns: np.ndarray, by: int) -> np.ndarray:
    """Returns of ``by`` bars at a time, the last ones left out where they do not fill a step."""
    whole = len(returns) // by * by
    return np.prod(1.0 + returns[:whole].reshape(-1, by), axis=1) - 1.0 if by > 1 else returns


def _chunks(runs: int, steps: int) -> Iterator[int]:
    size = max(_CELLS // steps, 1)
    for first in range(0, runs, size):
        yield min(size, runs - first)


METHODS: dict[str, Callable[..., MonteCarlo]] = {
    "shuffle_trades": shuffle_trades,
    "bootstrap_trades": bootstrap_trades,
    "bootstrap_returns": bootstrap_returns,
    "perturb_prices": perturb_prices,
    "resample_prices": resample_prices,
    "random_entries": random_entries,
}
