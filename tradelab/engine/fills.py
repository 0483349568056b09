"""Fill rules: when an order meets a bar, does it fill, and at what price."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tradelab.engine.jit import Row, inlined

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
    path
        Which way the price is taken to have gone inside a bar: ``"pessimistic"`` (stop before target),
        ``"optimistic"`` (target before stop), ``"ohlc"``, ``"olhc"`` (along those points), ``"colour"`` (O-L-H-C of a
        bar that rose, O-H-L-C of one that fell), ``"freqtrade"``.
    last_bar
        What is still held when the last bar has been lived: left ``"open"``, or closed at its open
        (``"close_at_open"``, odd but what two tools do) or its close (``"close_at_close"``).
    turns_round
        An opposite entry turns a position round; else it needs the exit signal of what is held beside it, and a
        decision whose flags contradict each other is none (freqtrade).
    enters_on_last_bar
        A decision of the last bar but one is still filled.
    """

    enter_at_close: bool = False
    exits_on_entry_bar: bool = True
    gap_beats_stop: bool = True
    slip_stops: bool = True
    anchor_at_fill: bool = True
    signals_after_exit: bool = True
    path: str = "pessimistic"
    last_bar: str = "open"
    turns_round: bool = True
    enters_on_last_bar: bool = True


NEXT_OPEN = FillPolicy()
CLOSE = FillPolicy(enter_at_close=True)
VECTORBT = FillPolicy(
    enter_at_close=True, gap_beats_stop=False, slip_stops=False, anchor_at_fill=False, signals_after_exit=False
)
POLICIES = {
    "tradelab": NEXT_OPEN,
    "next_open": NEXT_OPEN,
    "close": CLOSE,
    "vectorbt": VECTORBT,
    "backtesting.py": FillPolicy(gap_beats_stop=False, slip_stops=False, last_bar="close_at_open"),
    "freqtrade": FillPolicy(
        slip_stops=False, path="freqtrade", last_bar="close_at_open", turns_round=False, enters_on_last_bar=False
    ),
    "optimistic": FillPolicy(path="optimistic"),
    "ohlc": FillPolicy(path="ohlc"),
    "olhc": FillPolicy(path="olhc"),
    "colour": FillPolicy(path="colour"),
}


@inlined
def slip_of_stops(terms: Row) -> float:
    """Fraction of the price that a triggered stop loses to slippage and half the spread."""
    return terms.slippage + 0.5 * terms.spread if terms.slip_stops != 0 else 0.0


@inlined
def stop_fill(direction: int, level: float, open_: float, low: float, high: float) -> float:
    """Price at which a stop at ``level`` closes a position, NaN when the bar spares it; a gap fills at the open."""
    if direction > 0:
        if open_ <= level:
            return open_
        return level if low <= level else np.nan
    if open_ >= level:
        return open_
    return level if high >= level else np.nan


@inlined
def target_fill(direction: int, level: float, open_: float, low: float, high: float) -> float:
    """Price at which a target at ``level`` closes a position, NaN when the bar misses it; a gap fills at the open."""
    return stop_fill(-direction, level, open_, low, high)
