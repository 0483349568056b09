"""Keep the account: cash, one line a position, and what an order does to them.

In a cash account short proceeds are collateral, not spending money: a short sale locks its own proceeds and as much
again, so ``free cash = cash - 2 x (entry value of open shorts)``, and nobody goes short with more than the account
holds. In a margin account every position, long or short, locks its value over the leverage.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.jit import Row, inlined, kernel

ACCOUNT = np.dtype(
    [
        ("cash", "f8"),
        ("debt", "f8"),  # entry value of all open shorts
        ("net", "f8"),  # signed value of all positions, each at its last close or fill
        ("gross", "f8"),  # the same without signs
        ("traded", "f8"),  # notional of all orders so far: fee tiers are by it
        ("dust", "f8"),  # money too little to mean anything: what float arithmetic leaves of spent cash
        ("ruined", "i8"),
    ],
    align=True,
)

LINE = np.dtype(
    [
        # what is held
        ("qty", "f8"),  # signed units
        ("debt", "f8"),  # entry value of the short part
        ("value", "f8"),  # signed, at the last close or fill
        ("last", "f8"),  # last close seen: values the position where the instrument has no bar
        ("range", "f8"),  # high less low of the last bar
        # the open position and its exits
        ("anchor", "f8"),  # price from which stop and targets are measured: the average entry
        ("entered", "f8"),  # units entered, all layers
        ("layers", "i8"),
        ("entry_bar", "i8"),
        ("r", "f8"),  # distance of the first stop
        ("unit", "f8"),  # ATR when it was decided
        ("best", "f8"),  # best price since entry: what a trailing stop follows
        ("stop", "f8"),  # where it stands now; NaN: none
        ("stop_reason", "i8"),
        ("next_stop", "f8"),  # where a filled target puts it from the next bar on
        ("trail", "f8"),  # distance of its trail, and of its first target where the strategy gave one
        ("first_target", "f8"),
        ("trailing", "i8"),  # a filled target has started the trail
        ("evens", "i8"),  # a filled target has asked for break-even, and the price has not been beyond it yet
        ("next_target", "i8"),
        ("target", "f8"),  # level of the next target; NaN: none left
        ("phase", "i8"),  # how far inside the bar it has been looked at
        ("inside", "i8"),  # entered inside this bar: of its range only what can hurt is taken for later
        # decided on the last bar, waiting to be acted on
        ("signals", "i8"),
        ("size", "f8"),
        ("wish_stop", "f8"),
        ("wish_trail", "f8"),
        ("wish_target", "f8"),
        ("wish_unit", "f8"),
        ("wish_price", "f8"),
        ("wish_exit", "f8"),
        ("due", "i8"),  # reason of an exit that the clock or the close has decided; 0: none
        # an entry that rests in the market
        ("rest_side", "i8"),  # 0: none
        ("rest_price", "f8"),
        ("rest_until", "i8"),
        # what its closed trades were like, for Kelly's fraction
        ("wins", "i8"),
        ("losses", "i8"),
        ("won", "f8"),
        ("lost", "f8"),
        ("spent", "f8"),  # cash out less cash in since it was flat
        ("carry", "f8"),  # charged for holding it, since its last order
        ("staked", "f8"),  # notional of its entries
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
        ("carry", "f8"),  # charged for holding the position since the order before
        ("stop", "f8"),  # where the stop of the position it opens lies at first; NaN: none, or nothing opened
        ("when", "u4"),  # four bytes each, so that a row has no padding and equal orders are equal bytes
        ("reason", "u4"),
    ],
    align=True,
)

DUST = 1e-9  # of an order's quantity, or of the initial cash: what float arithmetic may leave behind


@inlined
def free_cash(account: Row, released: float, terms: Row) -> float:
    """Cash that may open positions: all but what positions lock, and what an order releases before it opens one."""
    if terms.leverage > 0.0:
        free = account.cash + account.net - account.gross / terms.leverage + released
    else:
        free = account.cash - 2.0 * account.debt + released
    return free if free > account.dust else 0.0


@inlined
def settle(account: Row, line: Row, side: int, qty: float, price: float, fees: float) -> None:
    """Book a fill: move cash, quantity, the debt of the short part and the value held."""
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
    account.traded += qty * price
    line.debt = debt
    line.qty = after
    line.spent += side * qty * price + fees
    value_at(account, line, price)


@inlined
def value_at(account: Row, line: Row, price: float) -> None:
    """Value a position at a price, in the line and in the account's totals."""
    value = line.qty * price if line.qty != 0.0 else 0.0
    account.net += value - line.value
    account.gross += abs(value) - abs(line.value)
    line.value = value


@kernel
def value_at_open(account: Row, lines: np.ndarray, open_: np.ndarray, bar: int) -> None:
    """Value every position at the open of a bar; one without a bar keeps its last close."""
    for k in range(len(lines)):
        if lines[k].qty != 0.0 and not np.isnan(open_[bar, k]):
            value_at(account, lines[k], open_[bar, k])


def open_account(cash: float, instruments: int) -> tuple[np.ndarray, np.ndarray]:
    """A fresh account of one row and one empty line an instrument."""
    return fresh_accounts(np.array([cash])), fresh_lines(instruments)


def fresh_accounts(cash: np.ndarray) -> np.ndarray:
    """Accounts that hold nothing but cash, one row each."""
    accounts = np.zeros(len(cash), ACCOUNT)
    accounts["cash"], accounts["dust"] = cash, DUST * cash
    return accounts


def fresh_lines(count: int) -> np.ndarray:
    """Empty lines, as ``clear`` leaves them, that have seen no bar."""
    lines = np.zeros(count, LINE)
    for name in ("r", "stop", "next_stop", "target", "last", "range"):
        lines[name] = np.nan
    return lines


@inlined
def clear(line: Row) -> None:
    """Forget a position that is gone, its exits with it."""
    line.entered = 0.0
    line.layers = 0
    line.spent = 0.0
    line.staked = 0.0
    line.trailing = 0
    line.evens = 0
    line.next_target = 0
    line.due = 0
    line.inside = 0
    line.r = np.nan
    line.stop = np.nan
    line.next_stop = np.nan
    line.target = np.nan
