"""Hold what a run is given and what it leaves: bars, decisions, the account at each close, orders."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


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
