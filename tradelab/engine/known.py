"""Tell the compiler what is known of a row of terms, so that what cannot happen is not in the machine code.

Most sweeps use a few of the some eighty terms; of the others it is known that they are off. A row that is declared
*known* (``as_plain(row)``) reads like any other row, but its known fields are constants to the compiler: the
same functions, of one meaning, compiled once more without fee tiers, liquidation or Kelly's fraction.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tradelab.engine.jit import Primitive
from tradelab.engine.terms import LEFT_OPEN, MARKET, PERCENT, PESSIMISTIC

# One instrument, one layer, market orders in a cash account, costs in proportion to the notional.
SIMPLE: dict[str, float] = {
    "path": PESSIMISTIC, "last_bar": LEFT_OPEN, "turns_round": 1, "enters_on_last_bar": 1,
    "size_step": 0.0, "min_qty": 0.0, "min_notional": 0.0, "max_weight": np.inf, "layers": 1, "risk_cap": np.inf,
    "exit_size": 1.0,
    "needs_atr": 0, "entry_type": MARKET, "expiry": 0,
    "maker_fees": np.nan, "fixed_fees": 0.0, "per_unit": 0.0, "min_fees": 0.0, "tiers": 0, "slip_range": 0.0,
    "impact": 0.0, "volume_share": np.inf,
    "leverage": 0.0, "maintenance": 0.0, "liquidation_fee": 0.0, "borrow": 0.0, "interest": 0.0, "swap_long": 0.0,
    "swap_short": 0.0,
    "stop_at_close": 0, "roi_steps": 0, "chandelier": 0, "max_bars": 0, "session_close": 0,
}  # fmt: skip
# The same with a part of the free cash in each position, and exits that stay where they are.
PLAIN: dict[str, float] = {**SIMPLE, "size_type": PERCENT, "trails": 0, "even_at": np.nan}

as_is: Any = Primitive("as_is")
as_simple: Any = Primitive("as_simple")
as_plain: Any = Primitive("as_plain")


def lane_of(rows: np.ndarray) -> int:
    """Which machine code rows of terms may use: that of everything (0), of simple accounts (1) or of plain ones (2)."""
    once = (rows["targets"] == 0) | ((rows["targets"] == 1) & (rows["share"][:, 0] >= 1.0))
    if bool((fits(rows, PLAIN) & once).all()):
        return 2
    return 1 if bool(fits(rows, SIMPLE).all()) else 0


def fits(rows: np.ndarray, known: dict[str, float]) -> np.ndarray:
    """Which rows of terms are as is known; shape (rows,)."""
    same = np.ones(len(rows), bool)
    for name, value in known.items():
        same &= np.isnan(rows[name]) if np.isnan(value) else rows[name] == value
    return same
