"""Trade one position: do what was decided, guard it inside the bar, close it; every fill is settled as it happens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.book import DUST, free_cash, settle
from tradelab.engine.exits import ENTRY, REVERSAL, SIGNAL, TARGET, fixed_stop, intrabar_exit, tighter
from tradelab.engine.fills import Costs, FillPolicy, order_fees, slipped
from tradelab.engine.jit import Row, kernel
from tradelab.engine.sizing import Sizing, entry_qty

LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT = 1, 2, 4, 8

# What a set of signals asks of a position.
NOTHING, CLOSE_IT, GO_LONG, GO_SHORT = 0, 1, 2, 3


class Terms(NamedTuple):
    """On what terms it trades: fills, sizing, costs."""

    policy: FillPolicy
    sizing: Sizing
    costs: Costs


class Fill(NamedTuple):
    """What an order came to; ``qty`` 0: there was none. ``stop`` is where the position it opens is stopped at first."""

    side: int
    qty: float
    price: float
    fees: float
    reason: int
    stop: float


@kernel
def no_fill() -> Fill:
    """Nothing was ordered."""
    return Fill(0, 0.0, np.nan, 0.0, 0, np.nan)


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
def leave(account: Row, line: Row, quote: float, slippage: float, reason: int, costs: Costs) -> Fill:
    """Close a whole position near ``quote``; an exit always fills in full, even if it costs more than there is."""
    side = -1 if line.qty > 0.0 else 1
    qty = abs(line.qty)
    price = slipped(quote, side, slippage)
    fees = order_fees(qty, price, costs)
    settle(account, line, side, qty, price, fees)
    return Fill(side, qty, price, fees, reason, np.nan)


@kernel
def enter(account: Row, line: Row, quote: float, side: int, terms: Terms) -> Fill:
    """Open a position near ``quote``, or turn one round with a single order, as large as the free cash carries."""
    costs = terms.costs
    price = slipped(quote, side, costs.slippage)
    held = abs(line.qty)
    released = 0.0
    if held > 0.0:  # turning round: what closing would leave free
        released = 2.0 * line.debt - side * held * price - held * price * costs.fees
    size = 0.0 if account.ruined else line.size
    qty = entry_qty(size, terms.sizing, free_cash(account, released), quote, price, costs)
    if qty <= DUST * (held + qty):  # nothing, or so little beside what is held that the book would not see it
        return leave(account, line, quote, costs.slippage, SIGNAL, costs) if held > 0.0 else no_fill()
    fees = order_fees(held + qty, price, costs)
    settle(account, line, side, held + qty, price, fees)
    line.anchor = price if terms.policy.anchor_at_fill else quote
    line.best = line.anchor
    line.stop_frac, line.trail_frac, line.target_frac = line.wish_stop, line.wish_trail, line.wish_target
    stop = tighter(side, fixed_stop(side, line.anchor, line.stop_frac), fixed_stop(side, line.anchor, line.trail_frac))
    return Fill(side, held + qty, price, fees, REVERSAL if held > 0.0 else ENTRY, stop)


@kernel
def act(account: Row, line: Row, quote: float, exits: bool, terms: Terms) -> Fill:
    """Do what a line's waiting signals ask, at ``quote``: its exit when it is the turn of ``exits``, else its entry."""
    if line.signals == 0 or np.isnan(quote):
        return no_fill()
    action = decide(line.qty, line.signals)
    if exits:
        if action != CLOSE_IT:
            return no_fill()
        line.signals = 0
        return leave(account, line, quote, terms.costs.slippage, SIGNAL, terms.costs)
    line.signals = 0
    if action == NOTHING:
        return no_fill()
    return enter(account, line, quote, 1 if action == GO_LONG else -1, terms)


@kernel
def guard(account: Row, line: Row, open_: float, high: float, low: float, terms: Terms) -> Fill:
    """Hold a position's stop, trail and target against the bar, then let its trailing stop learn the extreme."""
    price, reason = intrabar_exit(line, open_, low, high, terms.policy)
    if np.isnan(price):
        learn(line, high, low)
        return no_fill()
    slippage = terms.costs.slippage if terms.policy.slip_stops and reason != TARGET else 0.0
    return leave(account, line, price, slippage, reason, terms.costs)


@kernel
def learn(line: Row, high: float, low: float) -> None:
    """Remember the best price since entry, which a trailing stop follows."""
    line.best = max(line.best, high) if line.qty > 0.0 else min(line.best, low)
