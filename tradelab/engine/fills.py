"""Fill rules: when an order meets a bar, does it fill, and at what price."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.jit import kernel

BUY, SELL = 1, -1

# When inside a bar a fill happens; also the order in which it does.
AT_OPEN, INTRABAR, AT_CLOSE = 0, 1, 2


class FillPolicy(NamedTuple):
    """What a fill means where bars leave room for opinion; ``docs/semantics.md`` says each rule in prose.

    Parameters
    ----------
    enter_at_close
        Fill at the close of the deciding bar instead of the open of the next one.
    exits_on_entry_bar
        Stops and targets already work on the bar whose open was bought.
    gap_beats_stop
        A target that the open has already passed fills before a stop that the bar touches later.
    slip_stops
        A triggered stop is a market order and pays slippage (a target is a limit order and never does).
    anchor_at_fill
        Measure stops and targets from the fill price, slippage included; else from the quoted price.
    signals_after_exit
        A bar on which a stop or target fired may still act on its own close (close fills only).
    """

    enter_at_close: bool = False
    exits_on_entry_bar: bool = True
    gap_beats_stop: bool = True
    slip_stops: bool = True
    anchor_at_fill: bool = True
    signals_after_exit: bool = True


NEXT_OPEN = FillPolicy()
CLOSE = FillPolicy(enter_at_close=True)
VECTORBT = FillPolicy(
    enter_at_close=True, gap_beats_stop=False, slip_stops=False, anchor_at_fill=False, signals_after_exit=False
)
POLICIES = {"next_open": NEXT_OPEN, "close": CLOSE, "vectorbt": VECTORBT}


class Costs(NamedTuple):
    """What an order costs: a fraction of its notional, a sum per order, and a fraction of the price."""

    fees: float
    fixed_fees: float
    slippage: float


@kernel
def slipped(price: float, side: int, slippage: float) -> float:
    """Worsen a price by the slippage: a buyer pays more, a seller gets less."""
    return price * (1.0 + side * slippage)


@kernel
def order_fees(qty: float, price: float, costs: Costs) -> float:
    """Commission of one order in account currency."""
    return qty * price * costs.fees + costs.fixed_fees


@kernel
def stop_fill(direction: int, level: float, open_: float, low: float, high: float) -> float:
    """Price at which a stop at ``level`` closes a position, NaN when the bar spares it; a gap fills at the open."""
    if direction > 0:
        if open_ <= level:
            return open_
        return level if low <= level else np.nan
    if open_ >= level:
        return open_
    return level if high >= level else np.nan


@kernel
def target_fill(direction: int, level: float, open_: float, low: float, high: float) -> float:
    """Price at which a target at ``level`` closes a position, NaN when the bar misses it; a gap fills at the open."""
    return stop_fill(-direction, level, open_, low, high)
