"""Tell which exits depend on what happened inside their bar, by living that bar again along other ways of the price.

Each such bar is lived from the same account, so one bar's doubt does not spread to the next. Without a trail the ways
differ only where a stop and a target were both touched; a trail may also be pulled tight before it is hit.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.book import ORDER, open_account
from tradelab.engine.exits import BREAK_EVEN, LIQUIDATION, ROI, STOP, TARGET, TRAIL
from tradelab.engine.fills import INTRABAR
from tradelab.engine.jit import Row, inlined, maker
from tradelab.engine.simulate import ORDERS_A_BAR, Market, Wishes, step
from tradelab.engine.terms import OHLC, OLHC, OPTIMISTIC, PESSIMISTIC

WAYS = np.array([PESSIMISTIC, OPTIMISTIC, OHLC, OLHC])


@inlined
def left_inside(order: Row) -> bool:
    """Whether an order closed a position inside its bar."""
    return order.when == INTRABAR and order.reason in (STOP, TRAIL, TARGET, BREAK_EVEN, ROI, LIQUIDATION)


@maker
def differs(ours: np.ndarray, n: int, theirs: np.ndarray, m: int, k: int) -> bool:
    """Whether one instrument's orders of a bar are others, in units, price or reason."""
    i, j = 0, 0
    while True:
        while i < n and ours[i].instrument != k:
            i += 1
        while j < m and theirs[j].instrument != k:
            j += 1
        if i == n or j == m:
            return i < n or j < m
        one, other = ours[i], theirs[j]
        if one.qty != other.qty or one.price != other.price or one.reason != other.reason or one.side != other.side:
            return True
        i, j = i + 1, j + 1


@maker
def ways_part(
    account: np.ndarray, lines: np.ndarray, one: np.ndarray, two: np.ndarray, bar: int, k: int, market: Market,
    wishes: Wishes, terms: np.ndarray,
) -> bool:  # fmt: skip
    """Whether an instrument's orders of a bar are others on one of ``WAYS``; ``one`` and ``two`` are room to write."""
    n = 0
    for i in range(len(WAYS)):
        terms[0].path = WAYS[i]
        m = step(account.copy(), lines.copy(), one if i == 0 else two, bar, market, wishes, terms)
        if i == 0:
            n = m
        elif differs(one, n, two, m, k):
            return True
    return False


def doubtful_exits(market: Market, wishes: Wishes, terms: np.ndarray, init_cash: float) -> np.ndarray:
    """Count, instrument by instrument, the bars with an exit inside, and those where the way of the price decides.

    Parameters
    ----------
    market, wishes, init_cash
        As for ``simulate``.
    terms
        One row of ``TERMS``.

    Returns
    -------
    ndarray
        Shape (instruments, 2), int64: bars in which a stop, a trail, a target, … left a position; in how many of
        them the orders are not the same on all of ``WAYS``.
    """
    account, lines = open_account(init_cash, market.close.shape[1])
    return _counted(account, lines, market, wishes, terms)


@maker
def _counted(account: np.ndarray, lines: np.ndarray, market: Market, wishes: Wishes, terms: np.ndarray) -> np.ndarray:
    """The counts of an account that begins as given."""
    bars, instruments = market.close.shape
    room = ORDERS_A_BAR * instruments
    ours, one, two = np.empty(room, ORDER), np.empty(room, ORDER), np.empty(room, ORDER)
    other = terms.copy()
    counts = np.zeros((instruments, 2), np.int64)
    for bar in range(bars):
        account_before, lines_before = account.copy(), lines.copy()
        n = step(account, lines, ours, bar, market, wishes, terms)
        for k in range(instruments):
            left = False
            for i in range(n):
                left = left or (ours[i].instrument == k and left_inside(ours[i]))
            if not left:
                continue
            counts[k, 0] += 1
            if ways_part(account_before, lines_before, one, two, bar, k, market, wishes, other):
                counts[k, 1] += 1
    return counts
