"""Define what a backtest means: one bar after the other, written to be read.

``step`` is the whole semantics. History runs it in a loop (``simulate``), live runs it once a bar; both are the same
machine code. Within one bar, in this order:

1. at the open, what was decided on the previous close is done: exits first, for they free cash, then entries;
2. inside the bar, each position's stop, trail and target are held against the bar's range;
3. at the close, trailing stops learn the bar's extreme, and, where the policy fills at the close, signals are acted on;
4. an account whose equity is gone is closed out and trades no more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.book import ORDER, open_account
from tradelab.engine.exits import RUIN
from tradelab.engine.fills import AT_CLOSE, AT_OPEN, INTRABAR
from tradelab.engine.jit import kernel
from tradelab.engine.trading import Fill, Terms, act, guard, learn, leave


class Market(NamedTuple):
    """Bars as float64 arrays of shape (bars, instruments); NaN open: the instrument has no bar there."""

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray


class Wishes(NamedTuple):
    """What the strategy wants, shape (bars, instruments), each row known at its bar's close.

    ``signals`` holds the four flags as bits; size and fractions are read on the bar that decides. NaN fraction: none.
    """

    signals: np.ndarray
    size: np.ndarray
    stop_frac: np.ndarray
    trail_frac: np.ndarray
    target_frac: np.ndarray


class Run(NamedTuple):
    """What came out: orders in the order they happened, and the account at each close.

    ``equity``, ``cash`` and ``gross`` (absolute position value) have shape (bars,), ``qty`` (bars, instruments).
    """

    orders: np.ndarray
    equity: np.ndarray
    cash: np.ndarray
    gross: np.ndarray
    qty: np.ndarray
    ruined: bool


@kernel
def written(orders: np.ndarray, n: int, bar: int, k: int, when: int, fill: Fill) -> int:
    """Write a fill as order ``n``, if there was one, and return the number of orders."""
    if fill.qty == 0.0:
        return n
    row = orders[n]
    row.bar, row.instrument, row.side = bar, k, fill.side
    row.qty, row.price, row.fees, row.stop = fill.qty, fill.price, fill.fees, fill.stop
    row.when, row.reason = when, fill.reason
    return n + 1


@kernel
def any_waiting(lines: np.ndarray) -> bool:
    """Whether any instrument has signals that wait to be acted on."""
    for k in range(len(lines)):  # noqa: SIM110 (a kernel has no generator)
        if lines[k].signals != 0:
            return True
    return False


@kernel
def act_all(
    account: np.ndarray,
    lines: np.ndarray,
    orders: np.ndarray,
    n: int,
    bar: int,
    quotes: np.ndarray,
    when: int,
    terms: Terms,
) -> int:
    """Do what the waiting signals ask: exits of all instruments first, then entries in column order."""
    for k in range(len(lines)):
        n = written(orders, n, bar, k, when, act(account[0], lines[k], quotes[bar, k], True, terms))
    for k in range(len(lines)):
        n = written(orders, n, bar, k, when, act(account[0], lines[k], quotes[bar, k], False, terms))
    return n


@kernel
def step(
    account: np.ndarray, lines: np.ndarray, orders: np.ndarray, bar: int, market: Market, wishes: Wishes, terms: Terms
) -> int:
    """Live one bar: change ``account`` and ``lines``, write what was ordered to ``orders``, return how many.

    Parameters
    ----------
    account, lines
        The account (one row of ``ACCOUNT``) and its positions (``LINE``, one an instrument); changed in place.
    orders
        Room for at least three orders an instrument (``ORDER``).
    bar
        Row of ``market`` and ``wishes`` to live.
    """
    n = 0
    policy = terms.policy
    if not policy.enter_at_close and any_waiting(lines):
        n = act_all(account, lines, orders, n, bar, market.open, AT_OPEN, terms)
    entered = n  # orders of this open; a line that was entered by one of them is fresh
    for k in range(len(lines)):
        line = lines[k]
        open_ = market.open[bar, k]
        if np.isnan(open_):
            continue
        before = n
        if line.qty != 0.0:
            if policy.exits_on_entry_bar or not is_fresh(orders, entered, k):
                fill = guard(account[0], line, open_, market.high[bar, k], market.low[bar, k], terms)
                n = written(orders, n, bar, k, INTRABAR, fill)
            else:
                learn(line, market.high[bar, k], market.low[bar, k])
        line.last = market.close[bar, k]
        line.signals = wishes.signals[bar, k]
        if line.signals != 0:
            line.size = wishes.size[bar, k]
            line.wish_stop = wishes.stop_frac[bar, k]
            line.wish_trail = wishes.trail_frac[bar, k]
            line.wish_target = wishes.target_frac[bar, k]
        if n > before and policy.enter_at_close and not policy.signals_after_exit:
            line.signals = 0
    if policy.enter_at_close and any_waiting(lines):
        n = act_all(account, lines, orders, n, bar, market.close, AT_CLOSE, terms)
    if equity_of(account, lines) <= 0.0:
        n = close_out(account, lines, orders, n, bar, terms)
    return n


@kernel
def is_fresh(orders: np.ndarray, entered: int, k: int) -> bool:
    """Whether one of the first ``entered`` orders of this bar was instrument ``k``'s."""
    for j in range(entered):  # noqa: SIM110 (a kernel has no generator)
        if orders[j].instrument == k:
            return True
    return False


@kernel
def close_out(account: np.ndarray, lines: np.ndarray, orders: np.ndarray, n: int, bar: int, terms: Terms) -> int:
    """Close everything at the last close because equity is gone; the account opens nothing any more."""
    account[0].ruined = True
    for k in range(len(lines)):
        if lines[k].qty != 0.0:
            fill = leave(account[0], lines[k], lines[k].last, terms.costs.slippage, RUIN, terms.costs)
            n = written(orders, n, bar, k, AT_CLOSE, fill)
    return n


@kernel
def equity_of(account: np.ndarray, lines: np.ndarray) -> float:
    """Cash plus the value of every position at its last close."""
    total = account[0].cash
    for k in range(len(lines)):
        if lines[k].qty != 0.0:
            total += lines[k].qty * lines[k].last
    return total


@kernel
def doubled(orders: np.ndarray) -> np.ndarray:
    """The same orders with twice the room."""
    room = np.empty(2 * len(orders), ORDER)
    room[: len(orders)] = orders
    return room


@kernel
def simulate(market: Market, wishes: Wishes, terms: Terms, init_cash: float) -> Run:
    """Run history bar by bar.

    Parameters
    ----------
    market
        float64 arrays of shape (bars, instruments). NaN open: no bar, no fill, last close keeps its value.
    wishes
        Signals and sizes of the same shape, each row known at its bar's close.
    terms
        Fill policy, sizing, costs.
    init_cash
        Money at the start, in the currency of the prices.
    """
    bars, instruments = market.close.shape
    account, lines = open_account(init_cash, instruments)
    page = np.empty(3 * instruments, ORDER)
    orders = np.empty(256, ORDER)
    count = 0
    equity, cash, gross = np.empty(bars), np.empty(bars), np.empty(bars)
    qty = np.empty((bars, instruments))
    for bar in range(bars):
        n = step(account, lines, page, bar, market, wishes, terms)
        while count + n > len(orders):
            orders = doubled(orders)
        for j in range(n):
            orders[count + j] = page[j]
        count += n
        held = 0.0
        for k in range(instruments):
            qty[bar, k] = lines[k].qty
            if lines[k].qty != 0.0:
                held += abs(lines[k].qty * lines[k].last)
        equity[bar] = equity_of(account, lines)
        cash[bar] = account[0].cash
        gross[bar] = held
    return Run(orders[:count].copy(), equity, cash, gross, qty, account[0].ruined)
