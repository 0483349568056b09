"""Trade one position: do what was decided, guard it inside the bar, close it; every fill is settled as it happens."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.book import DUST, clear, free_cash, settle
from tradelab.engine.costs import affordable, bearable, fee_rate, moved, order_fees, slipped
from tradelab.engine.exits import (
    ENTRY,
    LIQUIDATION,
    REBALANCE,
    REVERSAL,
    ROI,
    SCALE,
    SESSION,
    SIGNAL,
    STOP,
    TARGET,
    TIME,
    after_target,
    arm,
    learn,
    re_arm,
)
from tradelab.engine.fills import stop_fill
from tradelab.engine.jit import Row, inlined, kernel
from tradelab.engine.path import DONE, FIRST, OPENING, next_exit, passed, standing_stop
from tradelab.engine.sizing import entry_qty, floored, wished_qty
from tradelab.engine.terms import AMOUNT, FREQTRADE, KELLY, LIMIT, MARKET, OHLC, VALUE

LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT, AIM = 1, 2, 4, 8, 16

# What a set of signals asks of a position.
NOTHING, CLOSE_IT, GO_LONG, GO_SHORT = 0, 1, 2, 3

# How an order meets the market: at once, as a stop that was triggered, or as a limit that waited.
AT_MARKET, AS_STOP, AS_LIMIT = 0, 1, 2


class Fill(NamedTuple):
    """What an order came to; ``qty`` 0: there was none. ``stop`` is where the position it opens is stopped at first."""

    side: int
    qty: float
    price: float
    fees: float
    reason: int
    stop: float


class Bar(NamedTuple):
    """One bar of one instrument; NaN volume: unknown."""

    number: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@inlined
def no_fill() -> Fill:
    """Nothing was ordered."""
    return Fill(0, 0.0, np.nan, 0.0, 0, np.nan)


@inlined
def decide(qty: float, signals: int, layers_left: bool, turns_round: bool) -> int:
    """Turn four flags into one action; flags that contradict each other cancel, an entry adds only to spare layers."""
    if not turns_round:
        return decide_strictly(qty, signals)
    long_in, long_out = (signals & LONG_ENTRY) != 0, (signals & LONG_EXIT) != 0
    short_in, short_out = (signals & SHORT_ENTRY) != 0, (signals & SHORT_EXIT) != 0
    if long_in and long_out:
        long_in = long_out = False
    if short_in and short_out:
        short_in = short_out = False
    if long_in and short_in:
        long_in = short_in = False
    if qty > 0.0:
        if short_in:
            return GO_SHORT
        return CLOSE_IT if long_out else (GO_LONG if long_in and layers_left else NOTHING)
    if qty < 0.0:
        if long_in:
            return GO_LONG
        return CLOSE_IT if short_out else (GO_SHORT if short_in and layers_left else NOTHING)
    return GO_LONG if long_in else (GO_SHORT if short_in else NOTHING)


@kernel
def decide_strictly(qty: float, signals: int) -> int:
    """The same where nothing may contradict an entry, and a position is left only by its own exit signal."""
    long_in, long_out = (signals & LONG_ENTRY) != 0, (signals & LONG_EXIT) != 0
    short_in, short_out = (signals & SHORT_ENTRY) != 0, (signals & SHORT_EXIT) != 0
    goes_long = long_in and not long_out and not short_in
    goes_short = short_in and not short_out and not long_in
    if qty == 0.0:
        return GO_LONG if goes_long else (GO_SHORT if goes_short else NOTHING)
    if qty > 0.0:
        out, turn = long_out and not long_in, GO_SHORT if goes_short else CLOSE_IT
    else:
        out, turn = short_out and not short_in, GO_LONG if goes_long else CLOSE_IT
    return turn if out else NOTHING


@kernel
def leave(account: Row, line: Row, quote: float, qty: float, kind: int, reason: int, volume: float, terms: Row) -> Fill:
    """Close ``qty`` units near ``quote``; an exit always fills in full, even if it costs more than there is."""
    side = -1 if line.qty > 0.0 else 1
    price = quote
    if kind == AT_MARKET or (kind == AS_STOP and terms.slip_stops != 0):
        price = moved(slipped(quote, side, line.range, terms), side, qty, volume, terms)
    fees = order_fees(qty, price, fee_rate(account, kind == AS_LIMIT, terms), terms)
    if reason == LIQUIDATION:
        fees += terms.liquidation_fee * qty * price
    settle(account, line, side, qty, price, fees)
    if line.qty == 0.0:
        if terms.size_type == KELLY:
            remember(line, -line.spent)
        clear(line)
        if line.rest_side == -side:  # an entry that was to add to it goes with it
            line.rest_side = 0
    return Fill(side, qty, price, fees, reason, np.nan)


@kernel
def remember(line: Row, pnl: float) -> None:
    """Note how a trade ended, as a fraction of what its entries cost."""
    if not line.staked > 0.0:
        return
    if pnl > 0.0:
        line.wins += 1
        line.won += pnl / line.staked
    elif pnl < 0.0:
        line.losses += 1
        line.lost -= pnl / line.staked


@kernel
def enter(
    account: Row, line: Row, bar: Bar, quote: float, side: int, kind: int, units: float, reason: int, terms: Row
) -> Fill:
    """Open a position near ``quote``, add to it, or turn it round with one order, as large as the free cash carries.

    ``units`` beside what it closes; NaN: as many as the wish that waits on the line comes to. ``reason`` of an order
    that only closes, because nothing could be opened.
    """
    rate = fee_rate(account, kind == AS_LIMIT, terms)
    price = quote if kind == AS_LIMIT else slipped(quote, side, line.range, terms)
    turns = line.qty * side < 0.0
    held = abs(line.qty) if turns else 0.0
    released = 0.0
    if turns:  # what closing would leave free
        if terms.leverage > 0.0:
            released = abs(line.value) / terms.leverage + line.qty * price - line.value - held * price * rate
        else:
            released = 2.0 * line.debt - side * held * price - held * price * rate
    qty = 0.0
    if account.ruined == 0:
        free = free_cash(account, released, terms)
        wish = wished_qty(account, line, side, quote, price, free, rate, terms) if np.isnan(units) else units
        if terms.impact > 0.0 and kind != AS_LIMIT and wish > 0.0:
            wish = min(wish, affordable(free, price, rate, terms))
            wish = bearable(wish, held, side, price, free, rate, bar.volume, terms)
        qty = entry_qty(account, line, wish, side, price, free, rate, bar.volume, terms)
    if qty <= DUST * (held + qty):  # nothing, or so little beside what is held that the book would not see it
        if turns:
            return leave(account, line, quote, held, kind, reason, bar.volume, terms)
        return no_fill()
    if kind != AS_LIMIT:
        price = moved(price, side, held + qty, bar.volume, terms)
    return opened(account, line, bar, Fill(side, qty, price, 0.0, ENTRY, quote), held, rate, terms)


@kernel
def opened(account: Row, line: Row, bar: Bar, wish: Fill, held: float, rate: float, terms: Row) -> Fill:
    """Book an entry of ``wish.qty`` units beside what it closes, and give the position its exits."""
    side, qty, price, quote = wish.side, wish.qty, wish.price, wish.stop
    fees = order_fees(held + qty, price, rate, terms)
    before, entered = abs(line.qty) - held, line.entered
    if held > 0.0:
        share = held / (held + qty)
        if terms.size_type == KELLY:
            remember(line, -(line.spent + side * held * price + fees * share))
        clear(line)
        entered = 0.0
    settle(account, line, side, held + qty, price, fees)
    if held > 0.0:
        line.spent = side * qty * price + fees * (qty / (held + qty))
    line.entered = entered + qty
    line.staked += qty * price
    line.layers += 1
    anchor = price if terms.anchor_at_fill != 0 else quote
    if before > 0.0:
        re_arm(line, side, (line.anchor * before + anchor * qty) / (before + qty), terms)
        return Fill(side, qty, price, fees, SCALE, np.nan)
    line.entry_bar = bar.number
    arm(line, side, anchor, terms)
    return Fill(side, held + qty, price, fees, REVERSAL if held > 0.0 else ENTRY, line.stop)


@inlined
def stays(line: Row) -> bool:
    """Whether an entry rests that what was decided leaves alone: an exit of the other side, or flags that cancel."""
    if line.rest_side == 0:
        return False
    signals = line.signals
    own_in, own_out, other_in, other_out = LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT
    if line.rest_side < 0:
        own_in, own_out, other_in, other_out = SHORT_ENTRY, SHORT_EXIT, LONG_ENTRY, LONG_EXIT
    enters = (signals & own_in) != 0 and (signals & own_out) == 0
    leaves = (signals & own_out) != 0 and (signals & own_in) == 0
    turns = (signals & other_in) != 0 and (signals & other_out) == 0
    return not leaves and enters == turns


@inlined
def withdraw(line: Row) -> None:
    """Take back an entry that rests when what was decided contradicts it, or is another entry."""
    if not stays(line):
        line.rest_side = 0


@kernel
def forget_entry(line: Row, terms: Row) -> None:
    """Let only what closes a position wait."""
    if decide(line.qty, line.signals, line.layers < terms.layers, terms.turns_round != 0) == NOTHING:
        line.signals = 0
    line.signals &= LONG_EXIT | SHORT_EXIT


@inlined
def act(account: Row, line: Row, bar: Bar, quote: float, exits: bool, terms: Row) -> Fill:
    """Do what waits on a line, at ``quote``: its exit when it is the turn of ``exits``, else its entry."""
    if np.isnan(quote):
        return no_fill()
    if exits and line.due != 0:
        reason, line.due = line.due, 0
        if line.qty != 0.0:
            kind = AS_STOP if reason == STOP else AT_MARKET
            return leave(account, line, quote, abs(line.qty), kind, reason, bar.volume, terms)
    if line.signals == 0:
        return no_fill()
    if (line.signals & AIM) != 0:
        return aim(account, line, bar, quote, exits, terms)
    action = decide(line.qty, line.signals, line.layers < terms.layers, terms.turns_round != 0)
    if exits:
        if action != CLOSE_IT:
            return no_fill()
        withdraw(line)
        line.signals = 0
        share = line.wish_exit
        qty = abs(line.qty)
        if share < 1.0:
            qty = min(qty, floored(qty * share, terms.size_step))
        if not qty > 0.0:
            return no_fill()
        return leave(account, line, quote, qty, AT_MARKET, SIGNAL, bar.volume, terms)
    withdraw(line)
    line.signals = 0
    if action == NOTHING:
        return no_fill()
    side = 1 if action == GO_LONG else -1
    if terms.entry_type != MARKET:
        if np.isnan(line.wish_price):  # an entry that is to wait for a price, and has none, is not sent
            return no_fill()
        line.rest_side, line.rest_price = side, line.wish_price
        first = bar.number + 1 if terms.enter_at_close != 0 else bar.number
        line.rest_until = first + terms.expiry if terms.expiry > 0 else 2**62
        return no_fill()
    return enter(account, line, bar, quote, side, AT_MARKET, np.nan, SIGNAL, terms)


@inlined
def aims_wait(lines: np.ndarray) -> bool:
    """Whether any position waits to be brought to its target."""
    for k in range(len(lines)):  # noqa: SIM110 (a kernel has no generator)
        if (lines[k].signals & AIM) != 0:
            return True
    return False


@kernel
def aim(account: Row, line: Row, bar: Bar, quote: float, exits: bool, terms: Row) -> Fill:
    """Bring a position to the signed size that is wished for: what it gives up among the exits, the rest after."""
    equity = max(account.cash + account.net, 0.0)
    wish = line.size
    if terms.size_type == VALUE:
        wish = line.size / quote
    elif terms.size_type != AMOUNT:
        wish = line.size * equity / quote
    if not exits or np.isnan(wish):
        line.signals = 0
    if np.isnan(wish):
        return no_fill()
    wish = np.sign(wish) * min(abs(wish), terms.max_weight * equity / quote)
    turns = line.qty * wish < 0.0
    shrinks = turns or abs(wish) < abs(line.qty)
    if exits != shrinks:
        return no_fill()
    delta = abs(line.qty)
    if not turns:  # a position that turns round is closed first, which frees cash, and opened after
        line.signals = 0
        if wish != 0.0:
            delta = floored(abs(wish - line.qty), terms.size_step)
            if delta < terms.min_qty or delta * quote < terms.min_notional:
                return no_fill()
        if delta <= DUST * max(abs(wish), abs(line.qty)):
            return no_fill()
    if shrinks:
        return leave(account, line, quote, delta, AT_MARKET, REBALANCE, bar.volume, terms)
    return enter(account, line, bar, quote, 1 if wish > 0.0 else -1, AT_MARKET, delta, REBALANCE, terms)


@kernel
def fill_resting(account: Row, line: Row, bar: Bar, terms: Row) -> Fill:
    """Hold a resting entry against the bar: a limit waits for a better price, a stop for a worse one."""
    if bar.number >= line.rest_until:
        line.rest_side = 0
        return no_fill()
    side = line.rest_side
    limits = terms.entry_type == LIMIT
    meets = side if limits else -side  # a buy limit is met from above, as the stop of a long position is
    quote = stop_fill(meets, line.rest_price, bar.open, bar.low, bar.high)
    if np.isnan(quote):
        return no_fill()
    line.rest_side = 0
    fill = enter(account, line, bar, quote, side, AS_LIMIT if limits else AT_MARKET, np.nan, SIGNAL, terms)
    if fill.qty > 0.0 and line.entry_bar == bar.number:
        line.inside = 0 if quote == bar.open else 1
    return fill


@inlined
def opens_on(line: Row, bar: Bar, terms: Row) -> bool:
    """Whether the open of a bar meets an entry that rests."""
    if line.rest_side == 0 or bar.number >= line.rest_until:
        return False
    meets = line.rest_side if terms.entry_type == LIMIT else -line.rest_side
    return not np.isnan(stop_fill(meets, line.rest_price, bar.open, bar.open, bar.open))


@inlined
def guard(account: Row, line: Row, bar: Bar, terms: Row) -> Fill:
    """Return the next exit that the bar brings to a position; ask again until there is none."""
    if line.inside != 0:
        return guard_late(account, line, bar, terms)
    while True:
        price, reason = next_exit(account, line, bar.number, bar.open, bar.high, bar.low, bar.close, terms)
        if np.isnan(price):
            return no_fill()
        if reason != TARGET and reason != ROI:
            return leave(account, line, price, abs(line.qty), AS_STOP, reason, bar.volume, terms)
        qty = abs(line.qty)
        if reason == TARGET:
            qty = target_qty(line, terms)
            after_target(line, 1 if line.qty > 0.0 else -1, terms)
        if qty > 0.0:  # else its share is less than one step: on to the next
            return leave(account, line, price, qty, AS_LIMIT, reason, bar.volume, terms)


@inlined
def target_qty(line: Row, terms: Row) -> float:
    """Units that the next target closes: its share of all that was entered, or what is left."""
    held, i = abs(line.qty), line.next_target
    share = terms.share[i] if i < terms.targets else 1.0
    qty = floored(line.entered * share, terms.size_step)
    return qty if qty < held * (1.0 - DUST) else held


@kernel
def guard_late(account: Row, line: Row, bar: Bar, terms: Row) -> Fill:
    """Guard a position that was entered inside the bar: its worst price may have come after, its best may not.

    A stop that the entry's own price has passed already is hit there, at the price at which the entry rested.
    """
    line.phase = DONE
    direction = 1 if line.qty > 0.0 else -1
    stop, reason = standing_stop(account, line, terms)
    if passed(-direction, stop, bar.low if direction > 0 else bar.high):
        price = line.rest_price if passed(-direction, stop, line.rest_price) else stop
        return leave(account, line, price, abs(line.qty), AS_STOP, reason, bar.volume, terms)
    return no_fill()


@inlined
def begin_bar(line: Row) -> None:
    """Look at a position afresh."""
    line.phase = OPENING if line.inside == 0 else FIRST


@inlined
def end_inside(line: Row, bar: Bar, unit: float, terms: Row) -> None:
    """Hold a stop that looks at closes against this one, then let the exits learn the bar, unless its path did."""
    direction = 1 if line.qty > 0.0 else -1
    if terms.stop_at_close != 0 and passed(-direction, line.stop, bar.close):
        line.due = STOP
    if line.inside != 0:
        line.inside = 0
        learn(line, bar.close, bar.close, unit, terms)
    elif terms.path < OHLC or terms.path == FREQTRADE or terms.chandelier != 0:
        learn(line, bar.high, bar.low, unit, terms)


@kernel
def end_piece(line: Row, piece: Bar, terms: Row) -> None:
    """Let the exits learn a finer bar, unless its path did; a chandelier waits for the ATR of the whole bar."""
    unit = line.unit if terms.chandelier == 0 else np.nan
    if line.inside != 0:
        line.inside = 0
        learn(line, piece.close, piece.close, unit, terms)
    elif terms.path < OHLC:
        learn(line, piece.high, piece.low, unit, terms)


@kernel
def end_pieces(line: Row, bar: Bar, unit: float, terms: Row) -> None:
    """Close a bar whose finer bars the exits have learnt: what looks at its close, and what is measured by its ATR."""
    direction = 1 if line.qty > 0.0 else -1
    if terms.stop_at_close != 0 and passed(-direction, line.stop, bar.close):
        line.due = STOP
    if terms.chandelier != 0:
        learn(line, line.best, line.best, unit, terms)


@inlined
def close_bar(line: Row, bar: Bar, session_ends: bool, terms: Row) -> None:
    """Decide at the close what the clock asks: an exit that is done as a market order is."""
    next_fill = bar.number if terms.enter_at_close != 0 else bar.number + 1
    if terms.max_bars > 0 and next_fill - line.entry_bar >= terms.max_bars:
        line.due = TIME
    if session_ends and terms.session_close != 0:
        line.due = SESSION
