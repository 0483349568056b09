"""Define what a backtest means: one bar after the other, written to be read.

``live`` is the whole semantics. History runs it over all bars (``simulate``), live trading over one (``step``); both
are the same machine code. Within one bar, in this order:

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


class Marks(NamedTuple):
    """The account at each close, as it is lived; ``origin`` is the bar of the first row."""

    equity: np.ndarray
    cash: np.ndarray
    gross: np.ndarray
    qty: np.ndarray
    origin: int


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
def live(
    account: np.ndarray,
    lines: np.ndarray,
    orders: np.ndarray,
    count: int,
    first: int,
    last: int,
    market: Market,
    wishes: Wishes,
    terms: Terms,
    marks: Marks,
) -> tuple[int, int]:
    """Live bars ``first`` up to ``last``, and return where it stopped and how many orders there are.

    It stops early when ``orders`` may not hold the next bar's; the caller makes room and calls again. One kernel walks
    many bars because every array handed from one kernel to another costs more than a bar does.
    """
    opens, highs, lows, closes = market.open, market.high, market.low, market.close
    policy, k_all = terms.policy, len(lines)
    n = count
    for bar in range(first, last):
        if n + 3 * k_all > len(orders):
            return bar, n
        begun = n
        if not policy.enter_at_close and any_waiting(lines):
            n = act_all(account, lines, orders, n, bar, opens, AT_OPEN, terms)
        entered = n  # orders of this open; a line that was entered by one of them is fresh
        for k in range(k_all):
            line = lines[k]
            if np.isnan(opens[bar, k]):
                continue
            before = n
            if line.qty != 0.0:
                if policy.exits_on_entry_bar or not is_fresh(orders, begun, entered, k):
                    fill = guard(account[0], line, opens[bar, k], highs[bar, k], lows[bar, k], terms)
                    n = written(orders, n, bar, k, INTRABAR, fill)
                else:
                    learn(line, highs[bar, k], lows[bar, k])
            line.last = closes[bar, k]
            line.signals = wishes.signals[bar, k]
            if line.signals != 0:
                line.size = wishes.size[bar, k]
                line.wish_stop = wishes.stop_frac[bar, k]
                line.wish_trail = wishes.trail_frac[bar, k]
                line.wish_target = wishes.target_frac[bar, k]
            if n > before and policy.enter_at_close and not policy.signals_after_exit:
                line.signals = 0
        if policy.enter_at_close and any_waiting(lines):
            n = act_all(account, lines, orders, n, bar, closes, AT_CLOSE, terms)
        if equity_of(account[0].cash, lines) <= 0.0:
            n = close_out(account, lines, orders, n, bar, terms)
        mark = bar - marks.origin
        held = 0.0
        for k in range(k_all):
            marks.qty[mark, k] = lines[k].qty
            if lines[k].qty != 0.0:
                held += abs(lines[k].qty * lines[k].last)
        marks.equity[mark] = equity_of(account[0].cash, lines)
        marks.cash[mark] = account[0].cash
        marks.gross[mark] = held
    return last, n


@kernel
def blank_marks(bars: int, instruments: int, origin: int) -> Marks:
    """Room for the account at each of ``bars`` closes, the first of them bar ``origin``."""
    return Marks(np.empty(bars), np.empty(bars), np.empty(bars), np.empty((bars, instruments)), origin)


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
    marks = blank_marks(1, len(lines), bar)
    return live(account, lines, orders, 0, bar, bar + 1, market, wishes, terms, marks)[1]


@kernel
def is_fresh(orders: np.ndarray, begun: int, entered: int, k: int) -> bool:
    """Whether one of the orders ``begun`` up to ``entered``, those of this bar's open, was instrument ``k``'s."""
    for j in range(begun, entered):  # noqa: SIM110 (a kernel has no generator)
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
def equity_of(cash: float, lines: np.ndarray) -> float:
    """Cash plus the value of every position at its last close."""
    total = cash
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
    orders = np.empty(max(256, 6 * instruments), ORDER)
    marks = blank_marks(bars, instruments, 0)
    bar, count = 0, 0
    while bar < bars:
        bar, count = live(account, lines, orders, count, bar, bars, market, wishes, terms, marks)
        if bar < bars:
            orders = doubled(orders)
    return Run(orders[:count].copy(), marks.equity, marks.cash, marks.gross, marks.qty, account[0].ruined)
