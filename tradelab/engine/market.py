"""Hold what a run is given and what it leaves: bars, decisions, the account at each close, orders.

Instruments share one time axis and need not all have a bar at each of its times; latency and nights are counted along
an instrument's own bars.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.jit import kernel


class Market(NamedTuple):
    """Bars as float64 arrays of shape (bars, instruments); NaN open: the instrument has no bar there.

    What follows the prices may have no rows, which means none: ``volume``; ``funding``, the fraction of its value a
    long position pays at that bar's open; ``nights`` of shape (bars,), how many nights the bar's open ends;
    ``session_end`` of shape (bars, instruments), 1 on the last bar of a session; ``finer`` of shape (finer bars, 4),
    open to close of shorter bars, and ``within`` of shape (bars, instruments, 2), which of them lie in a bar: from the
    first row up to before the second.
    """

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    funding: np.ndarray
    nights: np.ndarray
    session_end: np.ndarray
    finer: np.ndarray
    within: np.ndarray


class Wishes(NamedTuple):
    """What the strategy wants, shape (bars, instruments), each row known at its bar's close.

    ``signals`` holds the flags as bits. ``rows`` of ``WISH`` has what is given bar by bar, and ``given`` says which
    fields are; without rows all is in the terms.
    """

    signals: np.ndarray
    rows: np.ndarray
    given: int


class Marks(NamedTuple):
    """The account at each close, as it is lived; ``origin`` is the bar of the first row."""

    equity: np.ndarray
    cash: np.ndarray
    gross: np.ndarray
    qty: np.ndarray
    origin: int


class Run(NamedTuple):
    """What came out: orders in the order they happened, and the account at each close.

    ``equity``, ``cash`` and ``gross`` (absolute position value) have shape (bars,), ``qty`` (bars, instruments);
    ``carry`` of shape (instruments,) was charged to what is still open since its last order.
    """

    orders: np.ndarray
    equity: np.ndarray
    cash: np.ndarray
    gross: np.ndarray
    qty: np.ndarray
    ruined: bool
    carry: np.ndarray


@kernel
def bar_before(market: Market, bar: int, k: int, bars: int) -> int:
    """The bar of an instrument so many of its own bars before another; -1: it has not had so many."""
    if market.open.shape[1] == 1:
        return max(bar - bars, -1)
    while bars > 0 and bar >= 0:
        bar -= 1
        if bar >= 0 and not np.isnan(market.open[bar, k]):
            bars -= 1
    return bar


@kernel
def nights_until(market: Market, bar: int, k: int) -> float:
    """Nights that end at an instrument's open: those before bars of others, which it did not have, among them."""
    if len(market.nights) == 0:
        return 0.0
    nights = market.nights[bar]
    while bar > 0 and np.isnan(market.open[bar - 1, k]):
        bar -= 1
        nights += market.nights[bar]
    return nights
