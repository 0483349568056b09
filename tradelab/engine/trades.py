"""Pair orders into trades: a pure function of what was filled and of the bars in between."""

from __future__ import annotations

import numpy as np

from tradelab.engine.fills import AT_CLOSE, AT_OPEN
from tradelab.engine.jit import Row, kernel

TRADE = np.dtype(
    [
        ("instrument", "i8"),
        ("direction", "i8"),  # +1 long, -1 short
        ("entry_bar", "i8"),
        ("exit_bar", "i8"),  # of an open trade: the last bar
        ("qty", "f8"),
        ("entry_price", "f8"),
        ("exit_price", "f8"),  # of an open trade: the last close
        ("entry_fees", "f8"),
        ("exit_fees", "f8"),
        ("pnl", "f8"),  # fees off
        ("return", "f8"),  # pnl / (qty x entry price)
        ("r", "f8"),  # pnl / what the first stop risked; NaN without a stop
        ("mfe", "f8"),  # best excursion as a fraction of the entry price, >= 0
        ("mae", "f8"),  # worst excursion, <= 0
        ("reason", "u1"),  # of the exit
        ("is_open", "?"),
    ],
    align=True,
)


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
    trade: Row,
    bar: int,
    price: float,
    fees: float,
    reason: int,
    is_open: bool,
    bounds: tuple[int, int],
    stop: float,
    high: np.ndarray,
    low: np.ndarray,
) -> None:
    """Fill in the exit of a trade and all that follows from it; ``bounds`` are the bars it was held through."""
    direction, entry = trade.direction, trade.entry_price
    trade.exit_bar, trade.exit_price, trade.exit_fees = bar, price, fees
    trade.reason, trade.is_open = reason, is_open
    notional = trade.qty * entry
    trade.pnl = direction * (trade.qty * price - notional) - trade.entry_fees - fees
    trade["return"] = trade.pnl / notional
    risk = trade.qty * abs(entry - stop)
    trade.r = trade.pnl / risk if risk > 0.0 else np.nan
    best, worst = excursion(direction, entry, bounds[0], bounds[1], trade.instrument, high, low)
    move = direction * (price / entry - 1.0)
    trade.mfe = max(best, move, 0.0)
    trade.mae = min(worst, move, 0.0)


@kernel
def pair_trades(orders: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Return one row a position (``TRADE``), in order of entry; what is still open is valued at the last close.

    Excursions cover the bars a position was held through: the entry bar counts when it was entered at its open, the
    exit bar counts when it was left at its close; otherwise only the fill itself is known and counted.

    Parameters
    ----------
    orders
        Rows of ``ORDER`` as ``simulate`` returns them: at most one position an instrument at a time.
    high, low, close
        float64, shape (bars, instruments); NaN where an instrument has no bar.
    """
    instruments = close.shape[1]
    trades = np.zeros(len(orders), TRADE)
    current = np.full(instruments, -1)  # index of the open trade of each instrument
    first_bar = np.zeros(instruments, np.int64)
    stops = np.full(instruments, np.nan)
    count = 0
    for j in range(len(orders)):
        order = orders[j]
        k = order.instrument
        left = order.qty  # what the order still has to open once it has closed what was there
        left_fees = order.fees
        if current[k] >= 0:
            trade = trades[current[k]]
            fees = order.fees * trade.qty / order.qty
            last = order.bar if order.when == AT_CLOSE else order.bar - 1
            finish(trade, order.bar, order.price, fees, order.reason, False, (first_bar[k], last), stops[k], high, low)
            left -= trade.qty
            left_fees -= fees
            current[k] = -1
        if left > 1e-9 * order.qty:
            trade = trades[count]
            trade.instrument, trade.direction, trade.entry_bar = k, order.side, order.bar
            trade.qty, trade.entry_price, trade.entry_fees = left, order.price, left_fees
            current[k], stops[k] = count, order.stop
            first_bar[k] = order.bar if order.when == AT_OPEN else order.bar + 1
            count += 1
    bars = len(close)
    for k in range(instruments):
        if current[k] >= 0:
            last = bars - 1
            while last > 0 and np.isnan(close[last, k]):
                last -= 1
            trade = trades[current[k]]
            finish(trade, last, close[last, k], 0.0, 0, True, (first_bar[k], last), stops[k], high, low)
    return trades[:count].copy()
