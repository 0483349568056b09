"""Lay down on what terms an account trades: one row of numbers, the same for a backtest, a sweep and a live bot.

A row holds no prices and no arrays that grow, so a sweep keeps one for each combination, and every field may be swept.
Fractions are fractions of a price or of money, NaN in a distance means *none*.
"""

from __future__ import annotations

import numpy as np

MAX_TARGETS = 8
MAX_ROI = 8
MAX_TIERS = 6

# In what a distance from the entry price is measured. LEVEL is no distance but a price itself.
FRACTION, ATR, R, POINTS, LEVEL = 0, 1, 2, 3, 4
UNITS = ("fraction", "atr", "r", "price", "level")

# What a filled target does to the stop.
THEN_NOTHING, THEN_BREAK_EVEN, THEN_TRAIL, THEN_STOP, THEN_PREVIOUS = 0, 1, 2, 3, 4

# How an entry is sized.
AMOUNT, VALUE, PERCENT, EQUITY, RISK, SCALED, KELLY = 0, 1, 2, 3, 4, 5, 6
SIZE_TYPES = ("amount", "value", "percent", "equity", "risk", "atr", "kelly", "volatility")

# How an entry is ordered.
MARKET, LIMIT, STOP_ENTRY = 0, 1, 2
ENTRY_TYPES = ("market", "limit", "stop")

# Which way the price is taken to have gone inside a bar.
PESSIMISTIC, OPTIMISTIC, OHLC, OLHC, COLOUR, FREQTRADE = 0, 1, 2, 3, 4, 5
PATHS = ("pessimistic", "optimistic", "ohlc", "olhc", "colour", "freqtrade")

# What happens to a position on the last bar of history.
LEFT_OPEN, CLOSED_AT_OPEN, CLOSED_AT_CLOSE = 0, 1, 2
LAST_BAR = ("open", "close_at_open", "close_at_close")

_POLICY = [
    ("enter_at_close", "i8"),
    ("exits_on_entry_bar", "i8"),
    ("gap_beats_stop", "i8"),
    ("slip_stops", "i8"),
    ("anchor_at_fill", "i8"),
    ("signals_after_exit", "i8"),
    ("path", "i8"),
    ("last_bar", "i8"),
    ("turns_round", "i8"),
    ("enters_on_last_bar", "i8"),
    ("latency", "i8"),  # bars between a decision and its order
]
_SIZING = [
    ("size_type", "i8"),
    ("size", "f8"),
    ("size_step", "f8"),  # units are rounded down to it; 0: not
    ("min_qty", "f8"),
    ("min_notional", "f8"),
    ("max_weight", "f8"),  # largest notional of one position as a multiple of equity
    ("kelly_trades", "i8"),  # closed trades before Kelly's fraction is believed
    ("kelly_start", "f8"),  # fraction of equity until then
    ("layers", "i8"),  # entries one position may consist of
    ("risk_cap", "f8"),  # of equity, what all layers together may lose at their stop
    ("exit_size", "f8"),  # fraction of a position that an exit signal closes
]
_ENTRIES = [("entry_type", "i8"), ("expiry", "i8")]  # bars a resting entry lives; 0: until replaced
_COSTS = [
    ("fees", "f8"),
    ("maker_fees", "f8"),  # of orders that rest: limits and targets
    ("fixed_fees", "f8"),
    ("per_unit", "f8"),
    ("min_fees", "f8"),
    ("tiers", "i8"),
    ("tier_from", "f8", (MAX_TIERS,)),  # notional traded so far from which the fee of the same place holds
    ("tier_fees", "f8", (MAX_TIERS,)),
    ("spread", "f8"),  # whole spread, a fraction of the price; market orders pay half of it
    ("slippage", "f8"),
    ("slip_range", "f8"),  # a fraction of the range of the bar before
    ("impact", "f8"),  # times the squared share of the bar's volume
    ("volume_share", "f8"),  # most of a bar's volume that one entry takes
]
_ACCOUNT = [
    ("leverage", "f8"),  # above 0: a margin account with that leverage; 0: a cash account
    ("maintenance", "f8"),  # equity below this fraction of the positions' value is liquidated
    ("liquidation_fee", "f8"),
    ("borrow", "f8"),  # a year, of the value of shorts
    ("interest", "f8"),  # a year, of borrowed cash
    ("swap_long", "f8"),  # price units a night
    ("swap_short", "f8"),
]
_EXITS = [
    ("stop_unit", "i8"),
    ("stop", "f8"),
    ("stop_at_close", "i8"),
    ("targets", "i8"),
    ("target_unit", "i8", (MAX_TARGETS,)),
    ("target", "f8", (MAX_TARGETS,)),
    ("share", "f8", (MAX_TARGETS,)),  # of the quantity entered
    ("then", "i8", (MAX_TARGETS,)),
    ("then_unit", "i8", (MAX_TARGETS,)),
    ("then_at", "f8", (MAX_TARGETS,)),
    ("roi_steps", "i8"),
    ("roi_bars", "i8", (MAX_ROI,)),  # ascending
    ("roi", "f8", (MAX_ROI,)),  # -1: leave at any price
    ("trails", "i8"),
    ("trail_unit", "i8"),
    ("trail", "f8"),
    ("trail_start_unit", "i8"),
    ("trail_start", "f8"),  # NaN: at once
    ("trail_before", "f8"),  # the distance until then; NaN: none
    ("trail_step", "f8"),  # fraction of the entry price; 0: every tick
    ("chandelier", "i8"),  # the ATR of each bar, not that of the entry
    ("even_unit", "i8"),
    ("even_at", "f8"),
    ("even_offset", "f8"),
    ("even_fees", "i8"),
    ("max_bars", "i8"),  # 0: no limit
    ("session_close", "i8"),
    ("needs_atr", "i8"),  # some distance is measured in ATR: no entry before there is one
]

TERMS = np.dtype([*_POLICY, *_SIZING, *_ENTRIES, *_COSTS, *_ACCOUNT, *_EXITS], align=True)

# What a strategy may give bar by bar, each value read on the bar that decides; the bit says that it does.
WISH = np.dtype(
    [
        ("size", "f8"),
        ("stop", "f8"),
        ("trail", "f8"),
        ("target", "f8"),  # of the first target
        ("unit", "f8"),  # ATR, or the size of one unit of risk
        ("price", "f8"),  # of an entry that rests
        ("exit_size", "f8"),
    ],
    align=True,
)
GIVES_SIZE, GIVES_STOP, GIVES_TRAIL, GIVES_EXIT_SIZE = 1, 2, 4, 64  # the others are not in the terms

_NONE = ("stop", "target", "then_at", "roi", "trail", "trail_start", "trail_before", "even_at")
_UNBOUNDED = ("max_weight", "risk_cap", "volume_share")


def plain_terms(count: int = 1) -> np.ndarray:
    """Rows of ``TERMS`` that enter with all free cash at the next open, cost nothing and have no exits.

    >>> plain_terms(2)["exit_size"].tolist()
    [1.0, 1.0]
    """
    rows = np.zeros(count, TERMS)
    for name in _NONE:
        rows[name] = np.nan
    for name in _UNBOUNDED:
        rows[name] = np.inf
    for name, _ in _POLICY[1:6] + _POLICY[8:10]:
        rows[name] = 1
    rows["size_type"], rows["size"] = PERCENT, 1.0
    rows["exit_size"] = 1.0
    rows["layers"] = 1
    rows["maker_fees"] = np.nan
    return rows
