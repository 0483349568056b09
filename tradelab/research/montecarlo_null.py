"""Ask what no strategy at all would have made: as many trades, held as long, entered at random."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tradelab.model.errors import TooFewBarsError
from tradelab.research.montecarlo_draws import MonteCarlo, generator
from tradelab.research.result import Result

_CELLS = 1 << 20


def random_entries(result: Result, *, runs: int = 1_000, seed: int | np.random.Generator = 0) -> MonteCarlo:
    """Trade as often, as long, on the same sides and at the same costs as the strategy did, at random times.

    Each closed trade keeps its side, its bars held and what it paid; where it stands in time is drawn anew. Trades of
    one instrument do not overlap (unless the strategy's own did); they are entered and left at opens. What the mean
    random trade makes is what the market gave anybody; a strategy that times entries does better (the null of "random
    portfolios", Burns 2006, and of the permutation tests of Aronson 2006, chapter 6).

    Parameters
    ----------
    result
        With at least one closed trade.
    runs, seed
        How many random traders, and where chance begins.

    Returns
    -------
    Figures ``mean_trade``, the mean of the trades' returns, and ``total_return``, these returns compounded. The p-value
    of ``mean_trade`` is that of the strategy's timing; where it is the best of a search it is too small, for it knows
    nothing of the search: see ``tl.scrutinise``.
    """
    rng = generator(runs, seed)
    trades = result.outcome.trades
    closed = trades[~trades["is_open"]]
    if not len(closed):
        raise TooFewBarsError("no trade was closed, so there is none to draw anew.", fix="Backtest more bars.")
    mean, growth = np.zeros(runs), np.zeros(runs)
    for number, frame in enumerate(result.frames.values()):
        own = closed[closed["instrument"] == number]
        if not len(own):
            continue
        rows = result.index.get_indexer(frame.index)
        held = np.searchsorted(rows, own["exit_bar"]) - np.searchsorted(rows, own["entry_bar"])
        paid = _paid(result, own)
        first = int(np.searchsorted(rows, trades["entry_bar"][trades["instrument"] == number].min()))
        drawn = _random_returns(frame.iloc[first:], own["direction"], held, paid, runs, rng)
        mean += drawn[0]
        growth += drawn[1]
    own = closed["return"]
    actual = {"mean_trade": float(own.mean()), "total_return": float(np.exp(_log_growth(own).sum()) - 1.0)}
    draws = pd.DataFrame({"mean_trade": mean / len(closed), "total_return": np.exp(growth) - 1.0})
    says = f"{len(closed)} trades held as long as the strategy's, at random times, {runs:,} times"
    return MonteCarlo("random entries", says, actual, draws)


def _paid(result: Result, trades: np.ndarray) -> np.ndarray:
    """What each trade paid, over its notional: fees and carry as they were, and slippage and half the spread twice."""
    terms = result.settings
    on_price = 2.0 * float(terms.get("slippage") or 0.0) + float(terms.get("spread") or 0.0)
    carry = trades["carry"] if "carry" in (trades.dtype.names or ()) else 0.0
    return (trades["entry_fees"] + trades["exit_fees"] + carry) / (trades["qty"] * trades["entry_price"]) + on_price


def _random_returns(
    frame: pd.DataFrame, side: np.ndarray, held: np.ndarray, paid: np.ndarray, runs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the trades' returns and of their log growth, shape (runs,) each."""
    opens, closes = frame["open"].to_numpy(), frame["close"].to_numpy()
    count, bars = len(held), len(frame)
    room = np.maximum(held, 1)
    apart = int(room.sum()) < bars
    total, growth = np.empty(runs), np.empty(runs)
    step = max(_CELLS // count, 1)
    for begin in range(0, runs, step):
        rows = min(step, runs - begin)
        order = np.argsort(rng.random((rows, count)), axis=1)
        if apart:
            gaps = np.sort(rng.integers(bars - int(room.sum()), size=(rows, count)), axis=1)
            taken = np.cumsum(room[order], axis=1) - room[order]
            at = gaps + taken
        else:  # the strategy held several at once: so may chance
            at = (rng.random((rows, count)) * (bars - room[order])).astype(np.int64)
        # A trade held for no bar is left at the close of the bar it was entered on.
        left = np.where(held[order] > 0, opens[np.minimum(at + held[order], bars - 1)], closes[at])
        made = side[order] * (left / opens[at] - 1.0) - paid[order]
        total[begin : begin + rows] = made.sum(axis=1)
        growth[begin : begin + rows] = _log_growth(made).sum(axis=1)
    return total, growth


def _log_growth(returns: np.ndarray) -> np.ndarray:
    """Log of wealth after each return; one of −100 % or worse leaves next to nothing."""
    return np.log(np.maximum(1.0 + returns, 1e-12))
