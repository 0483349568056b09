"""Size an entry: how many units a wish is, and how many of them the account can carry."""

from __future__ import annotations

import numpy as np

from tradelab.engine.costs import affordable
from tradelab.engine.exits import beyond
from tradelab.engine.jit import Row, inlined, kernel
from tradelab.engine.terms import AMOUNT, EQUITY, KELLY, PERCENT, RISK, SCALED, VALUE


@inlined
def floored(qty: float, step: float) -> float:
    """Round units down to the step; a quantity within a billionth of the next step counts as that step."""
    if step <= 0.0:
        return qty
    return np.floor(qty / step + 1e-9) * step


@kernel
def kelly_fraction(line: Row, terms: Row) -> float:
    """Kelly's fraction (Kelly 1956) of a two-outcome bet from the trades closed so far: ``W - (1 - W) / payoff``.

    The start fraction until ``kelly_trades`` have closed, and while none of them won or none lost.
    """
    trades = line.wins + line.losses
    if trades < terms.kelly_trades or line.wins == 0 or line.losses == 0:
        return terms.kelly_start
    chance = line.wins / trades
    payoff = (line.won / line.wins) / (line.lost / line.losses)
    return max(line.size * (chance - (1.0 - chance) / payoff), 0.0)


@inlined
def wished_qty(
    account: Row, line: Row, side: int, quote: float, price: float, free: float, rate: float, terms: Row
) -> float:
    """Units that the wish asks for, before what the account can carry; NaN and below zero ask for nothing."""
    size, kind = line.size, terms.size_type
    equity = account.cash + account.net
    if kind == PERCENT:
        return affordable(size * free, price, rate, terms)
    if kind == VALUE:
        return size / quote
    if kind == AMOUNT:
        return size
    if kind == EQUITY:
        return size * equity / price
    if kind == RISK:
        anchor = price if terms.anchor_at_fill != 0 else quote
        unit, line.unit = line.unit, line.wish_unit
        stop = beyond(anchor, -side, line.wish_stop, terms.stop_unit, line)
        line.unit = unit
        return size * equity / (side * (anchor - stop)) if side * (anchor - stop) > 0.0 else np.nan
    if kind == SCALED:
        return size * equity / line.wish_unit if line.wish_unit > 0.0 else np.nan
    if kind == KELLY:
        return np.nan if np.isnan(size) else kelly_fraction(line, terms) * equity / price
    return np.nan


@inlined
def bears(room: float, each: float) -> float:
    """Units that so much money bears, when the stop of one loses ``each``; NaN: there is no stop, so none."""
    if np.isnan(room) or np.isnan(each):
        return 0.0
    return max(room, 0.0) / each if each > 0.0 else np.inf


@kernel
def within_risk(account: Row, line: Row, side: int, price: float, qty: float, terms: Row) -> float:
    """Cut an entry so that all layers together lose no more than the cap at their stop.

    After a further layer the stop is the tighter one of where it stands and where the average entry puts it; what is
    lost there is the lesser of the two, so the greater of what each allows is allowed.
    """
    if not terms.risk_cap < np.inf:
        return qty
    cap = terms.risk_cap * (account.cash + account.net)
    adds, unit = line.qty * side > 0.0, line.unit
    if not adds:
        line.unit = line.wish_unit
    stop = beyond(price, -side, line.wish_stop, terms.stop_unit, line)
    line.unit = unit
    each = side * (price - stop)
    if not adds:
        return min(qty, bears(cap, each))
    held = abs(line.qty)
    anew = beyond(line.anchor, -side, line.wish_stop, terms.stop_unit, line)
    if np.isnan(line.wish_stop):
        anew = np.nan
    stands = bears(cap - max(side * (line.anchor - line.stop) * held, 0.0), side * (price - line.stop))
    moves = bears(cap - max(side * (line.anchor - anew) * held, 0.0), each)
    return min(qty, max(stands, moves))


@inlined
def entry_qty(
    account: Row, line: Row, wish: float, side: int, price: float, free: float, rate: float, volume: float, terms: Row
) -> float:
    """Units to open: the wish, cut to what cash, caps and the bar's volume carry, rounded down; too little is nothing.

    Parameters
    ----------
    wish
        Units asked for; NaN, zero and less open nothing.
    price
        What is paid for one, slippage included.
    free
        Cash that may be spent or locked.
    rate
        Fee rate of this order.
    volume
        Of the bar it is filled on; NaN: unknown, no limit.
    """
    if not wish > 0.0 or (terms.needs_atr != 0 and np.isnan(line.wish_unit)):
        return 0.0
    qty = min(wish, affordable(free, price, rate, terms))
    if terms.max_weight < np.inf:
        held = max(line.qty * side, 0.0)
        qty = min(qty, max(terms.max_weight * (account.cash + account.net) / price - held, 0.0))
    if terms.volume_share < np.inf and volume >= 0.0:
        qty = min(qty, terms.volume_share * volume)
    qty = floored(within_risk(account, line, side, price, qty, terms), terms.size_step)
    if qty < terms.min_qty or qty * price < terms.min_notional:
        return 0.0
    return qty
