"""Keep an account's figures while its history is leapt through: no equity curve, and yet every figure exact.

Between two orders an account is ``cash + qty x close``. Over such a stretch

* with all the money in the market the account's returns are the market's, so their sums are differences of running
  sums over the tile (``RUNNING``); with part of it they are added up bar by bar, in vector registers;
* equity rises and falls with the close, so the highest and lowest close of 32 bars (``BLOCKS``) tell whether a new
  height or a deeper fall can be among them; only then are they looked at one by one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.book import DUST
from tradelab.engine.far import frame_of, grid_at, row_at, run
from tradelab.engine.jit import Row, inlined, kernel, reordered
from tradelab.engine.trades import add_some, close_some, profit, sit

BLOCK = 32  # bars of a block
CLOSE_LOW, CLOSE_HIGH, LOW, HIGH, LOW_AT, HIGH_AT = 0, 1, 2, 3, 4, 5  # columns of a block
# Columns of what runs along: sums up to a bar, and its return; lowest and highest close from where the block of the bar
# before began up to that bar; the same from the bar to where its block ends.
SUM, SQUARES, FALLS_SQUARED, FALLS, CLOSES, MOVE, LOW_TO, HIGH_TO, LOW_FROM, HIGH_FROM = range(10)
RUNNING = 10
ALL_IN = 1e-13  # cash so small beside the position that the account's returns are the market's

TALLY = np.dtype(
    [
        ("equity", "f8"),  # at the last bar that was counted
        ("sum", "f8"),  # of returns, their squares, of the squares of losses, of losses, of products with the market's
        ("squares", "f8"),
        ("falls_squared", "f8"),
        ("falls", "f8"),
        ("products", "f8"),
        ("equities", "f8"),
        ("held", "i8"),
        ("broke", "i8"),  # equity was gone before the last bar
        ("peak", "f8"),
        ("depth", "f8"),  # lowest equity over the peak before it
        ("below", "i8"),  # first bar of the fall that lasts; -1: at a height
        ("longest", "i8"),
        ("part_peak", "f8"),  # the same within a part of history
        ("part_depth", "f8"),
        ("fees", "f8"),
        ("traded", "f8"),
        ("orders", "i8"),
        ("trades", "i8"),
        ("won", "i8"),
        ("lost", "i8"),
        ("profits", "f8"),
        ("losses", "f8"),
        ("mean", "f8"),  # of the trades' P&L, and the sum of squares around it (Welford 1962)
        ("around", "f8"),
        ("best", "f8"),
        ("worst", "f8"),
        ("bars_held", "i8"),
        ("streak", "i8"),  # above 0: wins in a row, below: losses
        ("win_streak", "i8"),
        ("loss_streak", "i8"),
        ("is_open", "i8"),
    ],
    align=True,
)
PART = np.dtype([("sum", "f8"), ("squares", "f8"), ("depth", "f8"), ("equity", "f8")], align=True)


def index_blocks(high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Return the extremes of every 32 bars, shape (blocks, 6); the last two columns say where the closes' lie last."""
    out = np.empty(((len(close) + BLOCK - 1) // BLOCK, 6))
    run(blocks_far, frame_of([np.float64] * 4, high, low, close, out))
    return out


def blocks_far(frame: int, _second: int, _third: int, _fourth: int, _fifth: int) -> None:
    """Index blocks; ``index_blocks`` wrote the frame."""
    high, low, close = row_at(frame, 0, np.float64), row_at(frame, 1, np.float64), row_at(frame, 2, np.float64)
    out = grid_at(frame, 3, np.float64)
    for q in range(len(out)):
        first, last = q * BLOCK, min((q + 1) * BLOCK, len(close))
        bottom, top, at_bottom, at_top = close[first], close[first], 0, 0
        lowest, highest = low[first], high[first]
        for i in range(first, last):
            if close[i] <= bottom:
                bottom, at_bottom = close[i], i - first
            if close[i] >= top:
                top, at_top = close[i], i - first
            lowest = min(lowest, low[i])
            highest = max(highest, high[i])
        out[q, CLOSE_LOW], out[q, CLOSE_HIGH], out[q, LOW], out[q, HIGH] = bottom, top, lowest, highest
        out[q, LOW_AT], out[q, HIGH_AT] = at_bottom, at_top


@kernel
def run_along(close: np.ndarray, first: int, last: int, out: np.ndarray) -> None:
    """Write what runs along bars ``first``, a multiple of 64, up to ``last``: row i is before bar ``first + i``."""
    s, s2, f2, f, c = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(last - first):
        out[i, SUM], out[i, SQUARES], out[i, FALLS_SQUARED], out[i, FALLS], out[i, CLOSES] = s, s2, f2, f, c
        bar = first + i
        r = close[bar] / close[bar - 1] - 1.0 if bar > 0 else 0.0
        out[i, MOVE] = r
        fall = min(r, 0.0)
        s += r
        s2 += r * r
        f2 += fall * fall
        f += fall
        c += close[bar]
    i = last - first
    out[i, SUM], out[i, SQUARES], out[i, FALLS_SQUARED], out[i, FALLS], out[i, CLOSES] = s, s2, f2, f, c
    for begin in range(0, last - first, BLOCK):
        bars = min(BLOCK, last - first - begin)
        low, high = np.inf, -np.inf
        low_from, high_from = np.inf, -np.inf
        for k in range(bars):
            now, then = close[first + begin + k], close[first + begin + bars - 1 - k]
            low, high = min(low, now), max(high, now)
            low_from, high_from = min(low_from, then), max(high_from, then)
            out[begin + k + 1, LOW_TO], out[begin + k + 1, HIGH_TO] = low, high
            out[begin + bars - 1 - k, LOW_FROM], out[begin + bars - 1 - k, HIGH_FROM] = low_from, high_from


@reordered
def sum_returns(
    close: np.ndarray, first: int, last: int, cash_a_unit: float
) -> tuple[float, float, float, float, float]:
    """Sums over returns of ``cash_a_unit + close`` on bars ``first`` to ``last``: r, r², min(r,0)², min(r,0), r·market.

    The order of additions differs from bar-by-bar by design; the sums agree to about 1e-15 of their size.
    """
    before, now = close[first - 1 : last], close[first : last + 1]
    s, s2, f2, f, p = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(len(now)):
        move = now[i] - before[i]
        r = move / (cash_a_unit + before[i])
        fall = min(r, 0.0)
        s += r
        s2 += r * r
        f2 += fall * fall
        f += fall
        p += r * (move / before[i])
    return s, s2, f2, f, p


@inlined
def count_flat(tally: Row, bars: int) -> None:
    """Count bars on which nothing is held and nothing happens: equity is cash, every return is 0."""
    tally.equities += bars * tally.equity


@inlined
def count_bar(tally: Row, bar: int, last_bar: int, equity: float, holds: bool, market_return: float) -> None:
    """Count one bar of which everything is known."""
    r = equity / tally.equity - 1.0
    fall = min(r, 0.0)
    tally.sum += r
    tally.squares += r * r
    tally.falls_squared += fall * fall
    tally.falls += fall
    tally.products += r * market_return
    tally.equities += equity
    tally.equity = equity
    if holds:
        tally.held += 1
    if equity <= 0.0 and bar < last_bar:
        tally.broke = 1
    if equity >= tally.peak:
        if tally.below >= 0:
            tally.longest = max(tally.longest, bar - tally.below)
            tally.below = -1
        tally.peak = equity
    else:
        if tally.below < 0:
            tally.below = bar
        if equity < tally.depth * tally.peak:
            tally.depth = equity / tally.peak
    if equity >= tally.part_peak:
        tally.part_peak = equity
    elif equity < tally.part_depth * tally.part_peak:
        tally.part_depth = equity / tally.part_peak


@inlined
def count_held(
    tally: Row, first: int, last: int, cash: float, qty: float, close: np.ndarray, blocks: np.ndarray,
    running: np.ndarray, origin: int, parts: int,
) -> None:  # fmt: skip
    """Count bars ``first`` to ``last`` on which ``qty`` is held; ``running`` begins at ``origin``."""
    a, b = first - origin, last + 1 - origin
    a_unit = cash / qty
    if abs(a_unit) <= ALL_IN * close[first]:
        s2 = running[b, SQUARES] - running[a, SQUARES]
        tally.sum += running[b, SUM] - running[a, SUM]
        tally.squares += s2
        tally.falls_squared += running[b, FALLS_SQUARED] - running[a, FALLS_SQUARED]
        tally.falls += running[b, FALLS] - running[a, FALLS]
        tally.products += s2
    else:
        s, s2, f2, f, p = sum_returns(close, first, last, a_unit)
        tally.sum += s
        tally.squares += s2
        tally.falls_squared += f2
        tally.falls += f
        tally.products += p
    bars = last - first + 1
    tally.equities += bars * cash + qty * (running[b, CLOSES] - running[a, CLOSES])
    tally.held += bars
    if not stays_below(tally, first, last, cash, qty, blocks, running[a], running[b], parts):
        fathom(tally, first, last, cash, qty, close, blocks, parts)
    tally.equity = cash + qty * close[last]


class Fall(NamedTuple):
    """How far equity has fallen: the peak, the deepest fall before ``lowest`` as a fraction of its own peak, the equity
    below which the fall from this peak is the deepest, and whether it has been there."""

    peak: float
    depth: float
    lowest: float
    fell: bool


@inlined
def deepest(fall: Fall) -> float:
    """Lowest equity over the peak before it."""
    return fall.lowest / fall.peak if fall.fell else fall.depth


@inlined
def sunk(fall: Fall, equity: float) -> Fall:
    """After an equity below the peak."""
    if equity < fall.lowest:
        return Fall(fall.peak, fall.depth, equity, True)
    return fall


@inlined
def risen(fall: Fall, equity: float) -> Fall:
    """After an equity that is a new peak; an infinite one stays."""
    if fall.peak == np.inf:
        return fall
    depth = deepest(fall)
    return Fall(equity, depth, depth * equity, False)


@inlined
def only_rises(fall: Fall, top: float, bottom: float) -> bool:
    """Whether a block whose equity lies between can change nothing but the peak; where there are no parts, it can."""
    return fall.peak == np.inf or (top >= fall.peak and bottom >= fall.depth * top)


@inlined
def stays_below(
    tally: Row, first: int, last: int, cash: float, qty: float, blocks: np.ndarray, before: np.ndarray,
    after: np.ndarray, parts: int,
) -> bool:  # fmt: skip
    """Count bars ``first`` to ``last`` where no height is reached, told by the extremes of closes alone.

    Those from ``first`` to the end of its block and from the beginning of the block of ``last`` run along, so what
    counts is known without looking at a bar. Says whether it was so; where not, nothing was counted.
    """
    q, end = first >> 5, last >> 5
    exact = q < end
    if exact:
        bottom, top = min(before[LOW_FROM], after[LOW_TO]), max(before[HIGH_FROM], after[HIGH_TO])
    else:  # of more bars than these, unless they begin or end the block
        bottom, top = max(before[LOW_FROM], after[LOW_TO]), min(before[HIGH_FROM], after[HIGH_TO])
        exact = first & 31 == 0 or last & 31 == 31
    for k in range(q + 1, end):
        bottom, top = min(bottom, blocks[k, CLOSE_LOW]), max(top, blocks[k, CLOSE_HIGH])
    if qty < 0.0:
        bottom, top = top, bottom
    lowest, highest = cash + qty * bottom, cash + qty * top
    deepest_yet = tally.depth * tally.peak
    own_deepest = tally.part_depth * tally.part_peak
    if highest >= tally.peak or (parts > 0 and highest >= tally.part_peak):
        return False
    if not exact and (lowest < deepest_yet or (parts > 0 and lowest < own_deepest)):
        return False
    if tally.below < 0:
        tally.below = first
    if lowest < deepest_yet:
        tally.depth = lowest / tally.peak
    if parts > 0 and lowest < own_deepest:
        tally.part_depth = lowest / tally.part_peak
    return True


@inlined
def fathom(
    tally: Row, first: int, last: int, cash: float, qty: float, close: np.ndarray, blocks: np.ndarray, parts: int
) -> None:
    """Carry peak, depth and the longest fall over bars ``first`` to ``last`` of an account ``cash + qty x close``.

    Of a block whose highest equity stays below the peak only the lowest counts, and of a whole block that is known. One
    that reaches a new height changes only the peak, when no fall inside it can be the deepest or the longest. The depth
    is a quotient, so it is worked out when the peak moves on, not at every new low. A part of history has a peak and a
    depth of its own, looked at in passing.
    """
    high, low, at = (CLOSE_HIGH, CLOSE_LOW, HIGH_AT) if qty > 0.0 else (CLOSE_LOW, CLOSE_HIGH, LOW_AT)
    fall, below, longest = Fall(tally.peak, tally.depth, tally.depth * tally.peak, False), tally.below, tally.longest
    own = Fall(tally.part_peak, tally.part_depth, tally.part_depth * tally.part_peak, False)
    if parts == 0:
        own = Fall(np.inf, 0.0, -np.inf, False)  # nothing is as high, nothing as deep
    bar = first
    while bar <= last:
        q = bar >> 5
        end = min(last, (q << 5) + 31)
        whole = end - bar == 31
        top, bottom = cash + qty * blocks[q, high], cash + qty * blocks[q, low]
        since = below if below >= 0 else bar
        if top < fall.peak and top < own.peak and (whole or (bottom >= fall.lowest and bottom >= own.lowest)):
            below, fall, own = since, sunk(fall, bottom), sunk(own, bottom)
        elif whole and longest >= end - since + 1 and only_rises(fall, top, bottom) and only_rises(own, top, bottom):
            fall, own = risen(fall, top), risen(own, top)
            highest = bar + np.int64(blocks[q, at])
            below = int(highest) + 1 if highest < end else -1
        else:
            for i in range(bar, end + 1):
                equity = cash + qty * close[i]
                if equity >= fall.peak:
                    longest = max(longest, i - below) if below >= 0 else longest
                    below, fall = -1, risen(fall, equity)
                else:
                    below, fall = below if below >= 0 else i, sunk(fall, equity)
                own = risen(own, equity) if equity >= own.peak else sunk(own, equity)
        bar = end + 1
    tally.peak, tally.depth, tally.below, tally.longest = fall.peak, deepest(fall), below, longest
    if parts > 0:
        tally.part_peak, tally.part_depth = own.peak, deepest(own)


@inlined
def count_order(tally: Row, seat: Row, order: Row) -> None:
    """Take an order into the trade it belongs to, and count the trade when it is over."""
    count_fill(
        tally, seat, order.bar, order.when, order.side, order.qty, order.price, order.fees, order.carry, order.stop
    )


@inlined
def count_fill(
    tally: Row, seat: Row, bar: int, when: int, side: int, qty: float, price: float, fees: float, carry: float,
    stop: float,
) -> None:  # fmt: skip
    """The same of an order that was never written down."""
    tally.orders += 1
    tally.fees += fees
    tally.traded += qty * price
    left, left_fees = qty, fees
    seat.carry += carry
    if seat.direction == side:
        add_some(seat, qty, price, fees)
        return
    if seat.direction != 0:
        part, own = close_some(seat, qty, price, fees)
        left -= part
        left_fees -= own
        if seat.held == 0.0:
            count_trade(tally, profit(seat), seat.cost, bar - seat.entry_bar)
            seat.direction = 0
    if left > DUST * qty:
        sit(seat, bar, when, side, left, price, left_fees, stop)


@inlined
def count_trade(tally: Row, pnl: float, cost: float, bars: int) -> None:
    """Count a trade that is over."""
    tally.trades += 1
    tally.bars_held += bars
    away = pnl - tally.mean
    tally.mean += away / tally.trades
    tally.around += away * (pnl - tally.mean)
    earned = pnl / cost
    tally.best = max(tally.best, earned)
    tally.worst = min(tally.worst, earned)
    if pnl > 0.0:
        tally.won += 1
        tally.profits += pnl
        tally.streak = max(tally.streak, 0) + 1
        tally.win_streak = max(tally.win_streak, tally.streak)
    elif pnl < 0.0:
        tally.lost += 1
        tally.losses -= pnl
        tally.streak = min(tally.streak, 0) - 1
        tally.loss_streak = max(tally.loss_streak, -tally.streak)
    else:
        tally.streak = 0


@kernel
def end_part(tally: Row, part: Row) -> None:
    """Close a part of history: its sums since the last one, and its own deepest fall."""
    part.sum, part.squares = tally.sum, tally.squares
    part.depth, part.equity = tally.part_depth, tally.equity
    tally.part_peak, tally.part_depth = tally.equity, 1.0


@kernel
def finish_tally(tally: Row, seat: Row, bars: int) -> None:
    """Close the books after the last bar."""
    if tally.below >= 0:
        tally.longest = max(tally.longest, bars - tally.below)
    tally.is_open = 1 if seat.direction != 0 else 0
