"""Keep the account: cash, one line a position, and what an order does to them.

Short proceeds are collateral, not spending money: a short sale locks its own proceeds and as much again, so
``free cash = cash - 2 x (entry value of open shorts)``, and nobody goes short with more than the account holds.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.jit import Row, kernel

ACCOUNT = np.dtype(
    [
        ("cash", "f8"),
        ("debt", "f8"),  # entry value of all open shorts
        ("dust", "f8"),  # money too little to mean anything: what float arithmetic leaves of spent cash
        ("ruined", "?"),
    ],
    align=True,
)

LINE = np.dtype(
    [
        ("qty", "f8"),  # signed units held
        ("debt", "f8"),  # entry value of the short part
        ("anchor", "f8"),  # price from which stop and target are measured
        ("best", "f8"),  # best price since entry: what a trailing stop follows
        ("stop_frac", "f8"),
        ("trail_frac", "f8"),
        ("target_frac", "f8"),
        ("signals", "i8"),  # decided on the last bar, waiting to be acted on; below: what was wished with them
        ("size", "f8"),
        ("wish_stop", "f8"),
        ("wish_trail", "f8"),
        ("wish_target", "f8"),
        ("last", "f8"),  # last close seen: values the position where the instrument has no bar
    ],
    align=True,
)

ORDER = np.dtype(
    [
        ("bar", "i8"),
        ("instrument", "i8"),
        ("side", "i8"),
        ("qty", "f8"),
        ("price", "f8"),
        ("fees", "f8"),
        ("stop", "f8"),  # where the stop of the position it opens lies at first; NaN: none, or nothing opened
        ("when", "u4"),  # four bytes each, so that a row has no padding and equal orders are equal bytes
        ("reason", "u4"),
    ],
    align=True,
)

DUST = 1e-9  # of an order's quantity, or of the initial cash: what float arithmetic may leave behind


@kernel
def free_cash(account: Row, released: float) -> float:
    """Cash that may open positions: all but what shorts lock, and what an order releases before it opens one."""
    free = account.cash - 2.0 * account.debt + released
    return free if free > account.dust else 0.0


@kernel
def settle(account: Row, line: Row, side: int, qty: float, price: float, fees: float) -> None:
    """Book a fill: move cash, quantity and the debt of the short part."""
    before = line.qty
    after = before + side * qty
    if abs(after) <= DUST * qty:
        after = 0.0
    debt = line.debt
    if before < 0.0 and side > 0:
        covered = min(qty, -before)
        debt -= debt * covered / -before
    if after == 0.0 or after > 0.0:
        debt = 0.0
    elif side < 0:
        debt += min(qty, -after) * price
    account.debt += debt - line.debt
    account.cash -= side * qty * price + fees
    line.debt = debt
    line.qty = after


@kernel
def open_account(cash: float, instruments: int) -> tuple[np.ndarray, np.ndarray]:
    """A fresh account of one row and one empty line an instrument."""
    account = np.zeros(1, ACCOUNT)
    account[0].cash = cash
    account[0].dust = DUST * cash
    lines = np.zeros(instruments, LINE)
    for k in range(instruments):
        lines[k].last = np.nan
    return account, lines
