"""Size an entry: how many units a wish is, and how many of them the account can carry."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.fills import Costs
from tradelab.engine.jit import kernel

AMOUNT, VALUE, PERCENT = 0, 1, 2
SIZE_TYPES = ("amount", "value", "percent")


class Sizing(NamedTuple):
    """How entries are sized: the kind of ``size``, and the step to which units are rounded down (0: none)."""

    size_type: int
    step: float


@kernel
def affordable(cash: float, price: float, costs: Costs) -> float:
    """Units that ``cash`` opens at ``price`` (slippage included), fees paid from the same cash."""
    return max(cash - costs.fixed_fees, 0.0) / (price * (1.0 + costs.fees))


@kernel
def floored(qty: float, step: float) -> float:
    """Round units down to the step; a quantity within a billionth of the next step counts as that step."""
    if step <= 0.0:
        return qty
    return np.floor(qty / step + 1e-9) * step


@kernel
def entry_qty(size: float, sizing: Sizing, cash: float, quote: float, price: float, costs: Costs) -> float:
    """Units to open: the wish, cut to what the free cash carries, rounded down.

    ``size`` is units, money at the quoted price, or a fraction of the free cash, by ``sizing.size_type``. NaN: nothing.
    """
    if sizing.size_type == PERCENT:
        wish = affordable(size * cash, price, costs)
    elif sizing.size_type == VALUE:
        wish = size / quote
    else:
        wish = size
    limit = affordable(cash, price, costs)
    if not wish > 0.0:  # zero, negative and NaN wishes open nothing
        return 0.0
    return floored(min(wish, limit), sizing.step)
