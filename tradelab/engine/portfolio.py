"""Rebalance a portfolio: value everything at the open before anything is traded at it, so that weights are weights.

``live`` values positions at their last close. An account that aims at weights would then take what the night has done
to its positions for a drift of their weights, instrument by instrument; here all of them are valued at the open they
trade at, first. Where the policy fills at the close, they are so already.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.book import ORDER, open_account, value_at
from tradelab.engine.jit import kernel, maker
from tradelab.engine.simulate import ORDERS_A_BAR, Market, Run, Wishes, blank_marks, doubled, live
from tradelab.engine.trading import AIM


@kernel
def aims_wait(lines: np.ndarray) -> bool:
    """Whether any position waits to be brought to its target."""
    for k in range(len(lines)):  # noqa: SIM110 (a kernel has no generator)
        if (lines[k].signals & AIM) != 0:
            return True
    return False


@kernel
def value_at_open(account: np.ndarray, lines: np.ndarray, market: Market, bar: int) -> None:
    """Value every position at the open of a bar; one without a bar keeps its last close."""
    for k in range(len(lines)):
        if lines[k].qty != 0.0 and not np.isnan(market.open[bar, k]):
            value_at(account[0], lines[k], market.open[bar, k])


@kernel
def next_aim(signals: np.ndarray, bar: int) -> int:
    """First bar from ``bar`` on that decides on a target; the number of bars where none does."""
    for row in range(max(bar, 0), len(signals)):
        for k in range(signals.shape[1]):
            if (signals[row, k] & AIM) != 0:
                return row
    return len(signals)


@maker
def simulate_aims(market: Market, wishes: Wishes, terms: np.ndarray, init_cash: float) -> Run:
    """Run history bar by bar for an account that rebalances; otherwise as ``simulate``.

    Parameters
    ----------
    market
        float64 arrays of shape (bars, instruments). NaN open: no bar, no fill, last close keeps its value.
    wishes
        Bit ``AIM`` where an instrument is brought to its size, and the sizes in ``rows``.
    terms
        One row of ``TERMS``, ``size_type`` of ``EQUITY``.
    init_cash
        Money at the start, in the currency of the prices.
    """
    bars, instruments = market.close.shape
    account, lines = open_account(init_cash, instruments)
    orders = np.empty(max(256, 2 * ORDERS_A_BAR * instruments), ORDER)
    marks = blank_marks(bars, instruments, 0)
    bar, count = 0, 0
    while bar < bars:
        last = min(next_aim(wishes.signals, bar - terms[0].latency) + terms[0].latency + 1, bars)
        if terms[0].enter_at_close == 0 and aims_wait(lines):
            value_at_open(account, lines, market, bar)
            last = bar + 1
        reached, count = live(account, lines, orders, count, bar, last, market, wishes, terms[0], marks)
        if reached < last:
            orders = doubled(orders)
        bar = reached
    carry = np.empty(instruments)
    for k in range(instruments):
        carry[k] = lines[k].carry
    return Run(orders[:count].copy(), marks.equity, marks.cash, marks.gross, marks.qty, account[0].ruined != 0, carry)
