"""Pair orders into trades: a pure function of what was filled and of the bars in between.

A trade is a position from flat to flat: all its entries, at their average price, against all its exits. A *seat* is
where the trade of one instrument is put together, order by order; the sweep keeps nothing else of it.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.book import DUST, ORDER
from tradelab.engine.far import frame_of, grid_at, row_at, run
from tradelab.engine.fills import AT_CLOSE, AT_OPEN
from tradelab.engine.jit import Row, inlined, kernel

TRADE = np.dtype(
    [
        ("instrument", "i8"),
        ("direction", "i8"),  # +1 long, -1 short
        ("entry_bar", "i8"),
        ("exit_bar", "i8"),  # of an open trade: the last bar
        ("qty", "f8"),  # all that was entered
        ("entry_price", "f8"),
        ("exit_price", "f8"),  # of an open trade: the last close, averaged with what was closed before
        ("entry_fees", "f8"),
        ("exit_fees", "f8"),
        ("carry", "f8"),  # funding, swap and borrowing
        ("pnl", "f8"),  # fees and carry off
        ("return", "f8"),  # pnl / (qty x entry price)
        ("r", "f8"),  # pnl / what the first stop risked; NaN without a stop
        ("mfe", "f8"),  # best excursion as a fraction of the entry price, >= 0
        ("mae", "f8"),  # worst excursion, <= 0
        ("reason", "u1"),  # of the last exit
        ("is_open", "?"),
    ],
    align=True,
)


SEAT = np.dtype(
    [
        ("direction", "i8"),  # 0: nobody sits here
        ("entry_bar", "i8"),
        ("when", "i8"),  # of the entry
        ("held", "f8"),
        ("qty", "f8"),  # entered
        ("price", "f8"),  # average entry
        ("cost", "f8"),  # notional of the entries
        ("got", "f8"),  # notional of the exits
        ("entry_fees", "f8"),
        ("exit_fees", "f8"),
        ("carry", "f8"),
        ("stop", "f8"),
    ],
    align=True,
)


@inlined
def sit(seat: Row, bar: int, when: int, side: int, qty: float, price: float, fees: float, stop: float) -> None:
    """Begin a trade with the part of an order that opens it."""
    seat.direction, seat.entry_bar, seat.when = side, bar, when
    seat.held = seat.qty = qty
    seat.price, seat.cost, seat.got = price, qty * price, 0.0
    seat.entry_fees, seat.exit_fees, seat.carry = fees, 0.0, 0.0
    seat.stop = stop


@inlined
def close_some(seat: Row, qty: float, price: float, fees: float) -> tuple[float, float]:
    """Take an order's closing part into the trade; return its units and its share of the fees."""
    part = min(qty, seat.held)
    own = fees * part / qty
    seat.got += part * price
    seat.exit_fees += own
    seat.held -= part
    if seat.held <= DUST * qty:
        seat.held = 0.0
    return part, own


@inlined
def add_some(seat: Row, qty: float, price: float, fees: float) -> None:
    """Take a further layer into the trade."""
    seat.held += qty
    seat.qty += qty
    seat.cost += qty * price
    seat.price = seat.cost / seat.qty
    seat.entry_fees += fees


@inlined
def profit(seat: Row) -> float:
    """Profit or loss of all that was closed, fees and carry off; meant for a trade that holds nothing any more."""
    return seat.direction * (seat.got - seat.cost) - seat.entry_fees - seat.exit_fees - seat.carry


@kernel
def excursion(
    direction: int, entry: float, first: int, last: int, k: int, high: np.ndarray, low: np.ndarray
) -> tuple[float, float]:
    """Best and worst move from ``entry`` over bars ``first`` to ``last`` inclusive, as fractions of the entry price."""
    top, bottom = entry, entry
    for i in range(first, last + 1):
        if high[i, k] > top:  # NaN bars compare false
            top = high[i, k]
        if low[i, k] < bottom:
            bottom = low[i, k]
    if direction > 0:
        return top / entry - 1.0, bottom / entry - 1.0
    return 1.0 - bottom / entry, 1.0 - top / entry


@kernel
def finish(
    trade: Row, seat: Row, bar: int, price: float, reason: int, is_open: bool, bounds: tuple[int, int],
    high: np.ndarray, low: np.ndarray,
) -> None:  # fmt: skip
    """Write down a trade that ends at ``price``; ``bounds`` are the bars it was held through."""
    direction, entry = seat.direction, seat.price
    trade.direction, trade.entry_bar, trade.exit_bar = direction, seat.entry_bar, bar
    trade.qty, trade.entry_price = seat.qty, entry
    trade.exit_price = price if seat.got == seat.qty * price else seat.got / seat.qty
    trade.entry_fees, trade.exit_fees, trade.carry = seat.entry_fees, seat.exit_fees, seat.carry
    trade.reason, trade.is_open = reason, is_open
    trade.pnl = profit(seat)
    trade["return"] = trade.pnl / seat.cost
    risk = seat.qty * abs(entry - seat.stop)
    trade.r = trade.pnl / risk if risk > 0.0 else np.nan
    best, worst = excursion(direction, entry, bounds[0], bounds[1], trade.instrument, high, low)
    move = direction * (price / entry - 1.0)
    trade.mfe = max(best, move, 0.0)
    trade.mae = min(worst, move, 0.0)


def pair_trades(
    orders: np.ndarray, carry: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray
) -> np.ndarray:
    """Return one row a position (``TRADE``), in order of entry; what is still open is valued at the last close.

    Excursions cover the bars a position was held through: the entry bar counts when it was entered at its open, the
    exit bar counts when it was left at its close; otherwise only the fill itself is known and counted.

    Parameters
    ----------
    orders
        Rows of ``ORDER`` as ``simulate`` returns them: at most one position an instrument at a time.
    carry
        Shape (instruments,): what was charged to open positions since their last order.
    high, low, close
        float64, shape (bars, instruments); NaN where an instrument has no bar.
    """
    instruments = close.shape[1]
    trades, seats = np.zeros(len(orders), TRADE), np.zeros(instruments, SEAT)
    current, counted = np.zeros(instruments, np.int64), np.zeros(1, np.int64)  # row of the open trade of each; rows
    kinds = (ORDER, np.float64, np.float64, np.float64, np.float64, TRADE, SEAT, np.int64, np.int64)
    run(pair_far, frame_of(kinds, orders, carry, high, low, close, trades, seats, current, counted))
    return trades[: counted[0]].copy()


def pair_far(frame: int, _second: int, _third: int, _fourth: int, _fifth: int) -> None:
    """Pair orders into trades; ``pair_trades`` wrote the frame."""
    orders, carry = row_at(frame, 0, ORDER), row_at(frame, 1, np.float64)
    high, low, close = grid_at(frame, 2, np.float64), grid_at(frame, 3, np.float64), grid_at(frame, 4, np.float64)
    trades, seats = row_at(frame, 5, TRADE), row_at(frame, 6, SEAT)
    current, counted = row_at(frame, 7, np.int64), row_at(frame, 8, np.int64)
    bars, instruments = close.shape
    count = 0
    for j in range(len(orders)):
        order, seat = orders[j], seats[orders[j].instrument]
        k = order.instrument
        left, left_fees = order.qty, order.fees
        seat.carry += order.carry
        if seat.direction == order.side:
            add_some(seat, order.qty, order.price, order.fees)
            continue
        if seat.direction != 0:
            part, fees = close_some(seat, order.qty, order.price, order.fees)
            left -= part
            left_fees -= fees
            if seat.held == 0.0:
                last = order.bar if order.when == AT_CLOSE else order.bar - 1
                bounds = (first_held(seat), last)
                finish(trades[current[k]], seat, order.bar, order.price, order.reason, False, bounds, high, low)
                seat.direction = 0
        if left > DUST * order.qty:
            sit(seat, order.bar, order.when, order.side, left, order.price, left_fees, order.stop)
            trades[count].instrument = k
            current[k] = count
            count += 1
    for k in range(instruments):
        seat = seats[k]
        if seat.direction != 0:
            last = bars - 1
            while last > 0 and np.isnan(close[last, k]):
                last -= 1
            price = close[last, k]
            seat.got += seat.held * price
            seat.carry += carry[k]
            finish(trades[current[k]], seat, last, price, 0, True, (first_held(seat), last), high, low)
    counted[0] = count


@inlined
def first_held(seat: Row) -> int:
    """First bar that a trade was held through from open to close."""
    return seat.entry_bar if seat.when == AT_OPEN else seat.entry_bar + 1
