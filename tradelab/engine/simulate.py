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

from tradelab.engine.book import DUST, ORDER, free_cash, open_account, settle
from tradelab.engine.exits import (
    ENTRY,
    REVERSAL,
    RUIN,
    SIGNAL,
    TARGET,
    fixed_stop,
    intrabar_exit,
    tighter,
)
from tradelab.engine.fills import AT_CLOSE, AT_OPEN, INTRABAR, Costs, FillPolicy, order_fees, slipped
from tradelab.engine.jit import Row, kernel
from tradelab.engine.sizing import Sizing, entry_qty

LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT = 1, 2, 4, 8

# What a set of signals asks of a position.
NOTHING, CLOSE_IT, GO_LONG, GO_SHORT = 0, 1, 2, 3


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


class Terms(NamedTuple):
    """On what terms it trades: fills, sizing, costs."""

    policy: FillPolicy
    sizing: Sizing
    costs: Costs


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
def decide(qty: float, signals: int) -> int:
    """Turn four flags into one action; flags that contradict each other cancel, and no entry adds to a position."""
    long_in, long_out = (signals & LONG_ENTRY) != 0, (signals & LONG_EXIT) != 0
    short_in, short_out = (signals & SHORT_ENTRY) != 0, (signals & SHORT_EXIT) != 0
    if long_in and long_out:
        long_in = long_out = False
    if short_in and short_out:
        short_in = short_out = False
    if long_in and short_in:
        long_in = short_in = False
    if qty > 0.0:
        return GO_SHORT if short_in else (CLOSE_IT if long_out else NOTHING)
    if qty < 0.0:
        return GO_LONG if long_in else (CLOSE_IT if short_out else NOTHING)
    return GO_LONG if long_in else (GO_SHORT if short_in else NOTHING)


@kernel
def write_order(
    orders: np.ndarray,
    n: int,
    bar: int,
    k: int,
    side: int,
    qty: float,
    price: float,
    fees: float,
    when: int,
    reason: int,
    stop: float,
) -> int:
    """Write order ``n`` and return the number of orders."""
    row = orders[n]
    row.bar, row.instrument, row.side = bar, k, side
    row.qty, row.price, row.fees, row.stop = qty, price, fees, stop
    row.when, row.reason = when, reason
    return n + 1


@kernel
def close_line(
    account: Row,
    line: Row,
    orders: np.ndarray,
    n: int,
    bar: int,
    k: int,
    quote: float,
    slippage: float,
    when: int,
    reason: int,
    costs: Costs,
) -> int:
    """Close a whole position near ``quote``; an exit always fills in full, even if it costs more than there is."""
    side = -1 if line.qty > 0.0 else 1
    qty = abs(line.qty)
    price = slipped(quote, side, slippage)
    fees = order_fees(qty, price, costs)
    settle(account, line, side, qty, price, fees)
    return write_order(orders, n, bar, k, side, qty, price, fees, when, reason, np.nan)


@kernel
def enter_line(
    account: Row,
    line: Row,
    orders: np.ndarray,
    n: int,
    bar: int,
    k: int,
    quote: float,
    side: int,
    when: int,
    wishes: Wishes,
    terms: Terms,
) -> int:
    """Open a position near ``quote``, or turn one round with a single order, as large as the free cash carries."""
    costs, policy = terms.costs, terms.policy
    decided = line.decided
    price = slipped(quote, side, costs.slippage)
    held = abs(line.qty)
    cash = free_cash(account)
    if held > 0.0:  # turning round: what closing would leave free
        cash += 2.0 * line.debt - side * held * price - held * price * costs.fees
    size = 0.0 if account.ruined else wishes.size[decided, k]
    qty = entry_qty(size, terms.sizing, cash, quote, price, costs)
    if qty <= DUST * (held + qty):  # nothing, or so little beside what is held that the book would not see it
        if held > 0.0:
            return close_line(account, line, orders, n, bar, k, quote, costs.slippage, when, SIGNAL, costs)
        return n
    fees = order_fees(held + qty, price, costs)
    settle(account, line, side, held + qty, price, fees)
    line.anchor = price if policy.anchor_at_fill else quote
    line.best = line.anchor
    line.stop_frac = wishes.stop_frac[decided, k]
    line.trail_frac = wishes.trail_frac[decided, k]
    line.target_frac = wishes.target_frac[decided, k]
    line.entry_bar = bar
    stop = tighter(side, fixed_stop(side, line.anchor, line.stop_frac), fixed_stop(side, line.anchor, line.trail_frac))
    reason = REVERSAL if held > 0.0 else ENTRY
    return write_order(orders, n, bar, k, side, held + qty, price, fees, when, reason, stop)


@kernel
def any_waiting(lines: np.ndarray) -> bool:
    """Whether any instrument has signals that wait to be acted on."""
    for k in range(len(lines)):  # noqa: SIM110 (a kernel has no generator)
        if lines[k].signals != 0:
            return True
    return False


@kernel
def act(
    account: np.ndarray,
    lines: np.ndarray,
    orders: np.ndarray,
    n: int,
    bar: int,
    quotes: np.ndarray,
    when: int,
    wishes: Wishes,
    terms: Terms,
) -> int:
    """Do what the waiting signals ask, at ``quotes``: exits of all instruments first, then entries in column order."""
    for k in range(len(lines)):
        line = lines[k]
        if np.isnan(quotes[bar, k]) or line.signals == 0:
            continue
        if decide(line.qty, line.signals) == CLOSE_IT:
            n = close_line(
                account[0], line, orders, n, bar, k, quotes[bar, k], terms.costs.slippage, when, SIGNAL, terms.costs
            )
            line.signals = 0
    for k in range(len(lines)):
        line = lines[k]
        if np.isnan(quotes[bar, k]) or line.signals == 0:
            continue
        action = decide(line.qty, line.signals)
        if action != NOTHING:
            side = 1 if action == GO_LONG else -1
            n = enter_line(account[0], line, orders, n, bar, k, quotes[bar, k], side, when, wishes, terms)
        line.signals = 0
    return n


@kernel
def guard(
    account: Row,
    line: Row,
    orders: np.ndarray,
    n: int,
    bar: int,
    k: int,
    open_: float,
    high: float,
    low: float,
    policy: FillPolicy,
    costs: Costs,
) -> int:
    """Hold one position's stop, trail and target against the bar, then let its trailing stop learn the extreme."""
    if line.entry_bar != bar or policy.exits_on_entry_bar:
        price, reason = intrabar_exit(line, open_, low, high, policy)
        if not np.isnan(price):
            slippage = costs.slippage if policy.slip_stops and reason != TARGET else 0.0
            return close_line(account, line, orders, n, bar, k, price, slippage, INTRABAR, reason, costs)
    line.best = max(line.best, high) if line.qty > 0.0 else min(line.best, low)
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
    at_close = terms.policy.enter_at_close
    if not at_close and any_waiting(lines):
        n = act(account, lines, orders, n, bar, market.open, AT_OPEN, wishes, terms)
    for k in range(len(lines)):
        line = lines[k]
        if np.isnan(market.open[bar, k]):
            continue
        before = n
        if line.qty != 0.0:
            n = guard(
                account[0],
                line,
                orders,
                n,
                bar,
                k,
                market.open[bar, k],
                market.high[bar, k],
                market.low[bar, k],
                terms.policy,
                terms.costs,
            )
        line.last = market.close[bar, k]
        line.decided = bar
        exited = n > before
        if exited and at_close and not terms.policy.signals_after_exit:
            line.signals = 0
        else:
            line.signals = wishes.signals[bar, k]
    if at_close and any_waiting(lines):
        n = act(account, lines, orders, n, bar, market.close, AT_CLOSE, wishes, terms)
    return close_out_if_ruined(account, lines, orders, n, bar, terms)


@kernel
def close_out_if_ruined(
    account: np.ndarray, lines: np.ndarray, orders: np.ndarray, n: int, bar: int, terms: Terms
) -> int:
    """Close everything at the last close once equity is gone; the account opens nothing any more."""
    if account[0].ruined or equity_of(account, lines) > 0.0:
        return n
    account[0].ruined = True
    for k in range(len(lines)):
        if lines[k].qty != 0.0:
            n = close_line(
                account[0],
                lines[k],
                orders,
                n,
                bar,
                k,
                lines[k].last,
                terms.costs.slippage,
                AT_CLOSE,
                RUIN,
                terms.costs,
            )
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
