"""Place the exits of an open position: its stop, its next target, and how both move.

All levels are prices. The stop only ever tightens, and between fills it is a function of the best price since entry
(but for a chandelier, which follows each bar's own ATR): that is what lets the event kernel leap over quiet bars.
Break-even is one too, for it waits until the best price has been beyond where the stop goes.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.fills import slip_of_stops
from tradelab.engine.jit import Row, inlined, kernel
from tradelab.engine.terms import (
    ATR,
    FRACTION,
    FREQTRADE,
    LEVEL,
    POINTS,
    THEN_BREAK_EVEN,
    THEN_PREVIOUS,
    THEN_STOP,
    THEN_TRAIL,
    R,
)

# Why an order happened.
ENTRY, SIGNAL, REVERSAL, STOP, TRAIL, TARGET, RUIN = 0, 1, 2, 3, 4, 5, 6
BREAK_EVEN, ROI, TIME, SESSION, LIQUIDATION, LAST, REBALANCE, SCALE = 7, 8, 9, 10, 11, 12, 13, 14
REASONS = (
    "entry", "signal", "reversal", "stop", "trail", "target", "ruin",
    "break_even", "roi", "time", "session", "liquidation", "end", "rebalance", "scale",
)  # fmt: skip


@inlined
def beyond(anchor: float, ahead: int, value: float, unit: int, line: Row) -> float:
    """Price a distance ahead of (+1) or behind (-1) an anchor; NaN distance: NaN."""
    if unit == FRACTION:
        return anchor * (1.0 + ahead * value)
    if unit == LEVEL:
        return value
    scale = 1.0
    if unit == ATR:
        scale = line.unit
    elif unit == R:
        scale = line.r
    elif unit != POINTS:
        return np.nan
    return anchor + ahead * value * scale


@inlined
def tighter(direction: int, a: float, b: float) -> float:
    """The stop that is hit first: the higher one of a long position, the lower one of a short; NaN is no stop."""
    if np.isnan(a):
        return b
    if np.isnan(b):
        return a
    return max(a, b) if direction > 0 else min(a, b)


@inlined
def arm(line: Row, direction: int, anchor: float, terms: Row) -> None:
    """Give a fresh position its exits."""
    line.anchor = anchor
    line.best = anchor
    line.unit, line.trail, line.first_target = line.wish_unit, line.wish_trail, line.wish_target
    line.stop = beyond(anchor, -direction, line.wish_stop, terms.stop_unit, line)
    line.stop_reason = STOP
    if np.isnan(line.wish_stop):
        line.stop = np.nan
    line.r = abs(anchor - line.stop)
    line.next_target = 0
    line.trailing = 0
    line.evens = 0
    line.next_stop = np.nan
    line.target = target_level(line, direction, terms)
    follow(line, direction, terms)


@kernel
def re_arm(line: Row, direction: int, anchor: float, terms: Row) -> None:
    """Measure the exits of a position that grew from its new average entry; its stop keeps to the tighter side."""
    before, reason, r = line.stop, line.stop_reason, line.r
    stop = beyond(anchor, -direction, line.wish_stop, terms.stop_unit, line)
    line.anchor = anchor
    line.stop = tighter(direction, before, stop)
    line.stop_reason = reason if line.stop == before else STOP
    line.r = r
    line.target = target_level(line, direction, terms)
    follow(line, direction, terms)


@inlined
def target_level(line: Row, direction: int, terms: Row) -> float:
    """Level of the next target of the ladder; NaN: none left."""
    i = line.next_target
    if i == 0 and not np.isnan(line.first_target):
        return beyond(line.anchor, direction, line.first_target, terms.target_unit[0], line)
    if i >= terms.targets:
        return np.nan
    return beyond(line.anchor, direction, terms.target[i], terms.target_unit[i], line)


@inlined
def trail_level(line: Row, direction: int, best: float, unit: float, terms: Row) -> float:
    """Where the trail stands when the best price since entry is ``best``; NaN: it has not started."""
    distance = line.trail
    if not np.isnan(terms.trail_start) and line.trailing == 0:
        start = beyond(line.anchor, direction, terms.trail_start, terms.trail_start_unit, line)
        if direction * (best - start) < 0.0:
            distance = terms.trail_before
    if np.isnan(distance):
        return np.nan
    if terms.trail_step > 0.0:
        step = terms.trail_step * line.anchor
        best = line.anchor + direction * np.floor(direction * (best - line.anchor) / step + 1e-9) * step
    if terms.trail_unit == FRACTION:
        return best * (1.0 - direction * distance)
    scale = 1.0
    if terms.trail_unit == ATR:
        scale = unit
    elif terms.trail_unit == R:
        scale = line.r
    return best - direction * distance * scale


@kernel
def even_level(line: Row, direction: int, terms: Row) -> float:
    """The price that leaves a position without loss: its entry, the fees of both ways if asked for, and the offset."""
    price = line.anchor
    if terms.even_fees != 0:
        f, s = terms.fees, slip_of_stops(terms)
        orders = line.layers + 1  # its entries, and the one that closes it
        a_unit = 2.0 * terms.per_unit + orders * terms.fixed_fees / max(line.entered, 1e-300)
        if direction > 0:
            price = (price * (1.0 + f) + a_unit) / ((1.0 - f) * (1.0 - s))
        else:
            price = (price * (1.0 - f) - a_unit) / ((1.0 + f) * (1.0 + s))
    return price + direction * terms.even_offset * line.anchor


@inlined
def evened(line: Row, direction: int, best: float, stop: float, reason: int, terms: Row) -> tuple[float, int]:
    """Stop and its reason once break-even has been looked at: it waits until the price has been beyond it."""
    if not np.isnan(terms.even_at):
        trigger = beyond(line.anchor, direction, terms.even_at, terms.even_unit, line)
        if direction * (best - trigger) >= 0.0:
            even = even_level(line, direction, terms)
            if direction * (best - even) > 0.0 and (np.isnan(stop) or direction * (even - stop) > 0.0):
                stop, reason = even, BREAK_EVEN
    return stop, reason


@inlined
def trails_inside(terms: Row) -> bool:
    """Whether the trail is one that freqtrade knows, under its rules: it learns a bar before its exits (``path``)."""
    plain = terms.trail_unit == FRACTION and terms.trail_step == 0.0 and terms.chandelier == 0
    return terms.path == FREQTRADE and plain


@inlined
def stop_at(line: Row, direction: int, best: float, unit: float, terms: Row) -> tuple[float, int]:
    """Stop and its reason when the best price since entry is ``best``: never looser than where it stands."""
    stop, reason = line.stop, line.stop_reason
    if terms.trails != 0 or line.trailing != 0:
        trail = trail_level(line, direction, best, unit, terms)
        if not np.isnan(trail) and (np.isnan(stop) or direction * (trail - stop) > 0.0):
            stop, reason = trail, TRAIL
    return evened(line, direction, best, stop, reason, terms)


@inlined
def follow(line: Row, direction: int, terms: Row) -> None:
    """Let the stop follow the best price since entry."""
    line.stop, line.stop_reason = stop_at(line, direction, line.best, line.unit, terms)


@inlined
def learn(line: Row, high: float, low: float, unit: float, terms: Row) -> None:
    """Close the bar for a position: remember its extreme, and move the stop to where it stands from the next bar on."""
    direction = 1 if line.qty > 0.0 else -1
    line.best = max(line.best, high) if direction > 0 else min(line.best, low)
    if not np.isnan(line.next_stop):
        if np.isnan(line.stop) or direction * (line.next_stop - line.stop) > 0.0:
            line.stop, line.stop_reason = line.next_stop, BREAK_EVEN
        line.next_stop = np.nan
    if line.evens != 0:
        even = even_level(line, direction, terms)
        if direction * (line.best - even) > 0.0:
            line.evens = 0
            if np.isnan(line.stop) or direction * (even - line.stop) > 0.0:
                line.stop, line.stop_reason = even, BREAK_EVEN
    if trails_inside(terms):
        line.stop, line.stop_reason = evened(line, direction, line.best, line.stop, line.stop_reason, terms)
        return
    seen = unit if terms.chandelier != 0 else line.unit
    line.stop, line.stop_reason = stop_at(line, direction, line.best, seen, terms)


@kernel
def after_target(line: Row, direction: int, terms: Row) -> None:
    """Turn to the next target of the ladder, and do what the filled one asks of the stop from the next bar on."""
    i = line.next_target
    filled = line.target
    before = line.anchor
    if i > 0:
        before = beyond(line.anchor, direction, terms.target[i - 1], terms.target_unit[i - 1], line)
        if i == 1 and not np.isnan(line.first_target):
            before = beyond(line.anchor, direction, line.first_target, terms.target_unit[0], line)
    then = terms.then[i]
    stop = np.nan
    if then == THEN_BREAK_EVEN:
        stop = even_level(line, direction, terms)
        if direction * (stop - filled) >= 0.0:  # it waits for a price beyond it
            line.evens = 1
            stop = np.nan
    elif then == THEN_STOP:
        stop = beyond(line.anchor, direction, terms.then_at[i], terms.then_unit[i], line)
    elif then == THEN_PREVIOUS:
        stop = before
    elif then == THEN_TRAIL:
        line.trailing = 1
    if not np.isnan(stop) and direction * (stop - filled) <= 0.0:
        line.next_stop = tighter(direction, line.next_stop, stop)
    line.next_target = i + 1
    line.target = target_level(line, direction, terms)


@inlined
def roi_level(line: Row, direction: int, bars_held: int, terms: Row) -> float:
    """Level of the target that falls with time: the step reached after ``bars_held`` bars; NaN: none yet."""
    level = np.nan
    for i in range(terms.roi_steps):
        if bars_held >= terms.roi_bars[i]:
            level = line.anchor * (1.0 + direction * terms.roi[i])
    return level


@kernel
def liquidation_level(account: Row, line: Row, terms: Row) -> float:
    """Price at which the account's equity falls to the maintenance margin, other positions as they stand; NaN: none.

    With cash C, the others' net value N and gross value G: ``C + N + q p = m (|q| p + G)``, solved for p.
    """
    if terms.maintenance <= 0.0 or terms.leverage <= 0.0:
        return np.nan
    m = terms.maintenance
    owned = account.cash + (account.net - line.value) - m * (account.gross - abs(line.value))
    level = -owned / (line.qty * (1.0 - m)) if line.qty > 0.0 else owned / (-line.qty * (1.0 + m))
    return level if level > 0.0 else np.nan
