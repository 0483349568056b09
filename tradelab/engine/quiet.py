"""Leap over bars on which nothing can happen to a position.

An open position lives in a corridor: as long as no bar's low reaches down to one level and no high up to another,
nothing happens but that the stop may follow. The corridor is asked of 32 bars at once, by their extremes; only where
those leave doubt is a bar looked at by itself, and only a bar that leaves doubt is lived in full. A bar lived in vain
costs time, never exactness: leaping errs on the side of looking.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.exits import liquidation_level, roi_level, stop_at, tighter
from tradelab.engine.jit import Row, inlined, kernel
from tradelab.engine.tally import HIGH, LOW
from tradelab.engine.terms import FREQTRADE, LIMIT, OHLC

FAR = 2**62


@inlined
def leaps(terms: Row) -> bool:
    """Whether bars may be leapt over while a position is held; else its exits need every one of them."""
    if terms.path == FREQTRADE or terms.chandelier != 0:
        return False
    return terms.path < OHLC or not moves(terms)


@inlined
def moves(terms: Row) -> bool:
    """Whether the stop follows the best price."""
    return terms.trails != 0 or not np.isnan(terms.even_at)


@inlined
def next_clock(line: Row, terms: Row, bar: int, last_bar: int) -> int:
    """The next bar from ``bar`` on that a held position must live in full because of what the clock says."""
    then = FAR
    if line.evens != 0:  # a stop that waits for a price beyond it: look at every bar
        return bar
    if terms.max_bars > 0:
        then = line.entry_bar + terms.max_bars - (0 if terms.enter_at_close != 0 else 1)
    if terms.last_bar != 0:
        then = min(then, last_bar)
    for i in range(terms.roi_steps):
        step = line.entry_bar + terms.roi_bars[i]
        if step > bar:
            then = min(then, step)
    return max(then, bar)


@inlined
def corridor(account: Row, line: Row, bar: int, terms: Row) -> tuple[float, float]:
    """Levels between which a bar does nothing to a position but teach its stop: its low above one, its high below."""
    direction = 1 if line.qty > 0.0 else -1
    stop = tighter(direction, line.stop, liquidation_level(account, line, terms))
    if (account.cash < 0.0) == (line.qty > 0.0):
        gone = -account.cash / line.qty  # where the account's equity is 0
        stop = tighter(direction, stop, gone * (1.0 + direction * 1e-9))
    target = line.target
    if terms.roi_steps > 0:
        target = tighter(-direction, target, roi_level(line, direction, bar - line.entry_bar, terms))
    if direction > 0:
        return (-np.inf if np.isnan(stop) else stop), (np.inf if np.isnan(target) else target)
    return (-np.inf if np.isnan(target) else target), (np.inf if np.isnan(stop) else stop)


@inlined
def resting_corridor(line: Row, terms: Row) -> tuple[float, float]:
    """The same for an entry that rests while nothing is held."""
    waits_below = (line.rest_side > 0) == (terms.entry_type == LIMIT)
    return (line.rest_price, np.inf) if waits_below else (-np.inf, line.rest_price)


@inlined
def leap(
    low: float, high: float, first: int, last: int, lows: np.ndarray, highs: np.ndarray, blocks: np.ndarray
) -> int:
    """First bar from ``first`` to ``last`` that leaves the corridor; ``last + 1`` where none does."""
    bar = first
    while bar <= last:
        q = bar >> 5
        end = min(last, (q << 5) + 31)
        if not (blocks[q, LOW] > low and blocks[q, HIGH] < high):
            for i in range(bar, end + 1):
                if lows[i] <= low or highs[i] >= high:
                    return i
        bar = end + 1
    return last + 1


@kernel
def leap_following(
    line: Row, low: float, high: float, first: int, last: int, lows: np.ndarray, highs: np.ndarray,
    blocks: np.ndarray, terms: Row,
) -> int:  # fmt: skip
    """The same while the stop follows the best price; ``line`` learns the bars leapt over.

    A block is leapt over when even the stop that its own best price would give stays untouched by its worst.
    """
    direction = 1 if line.qty > 0.0 else -1
    bar, best, unit = first, line.best, line.unit
    while bar <= last:
        q = bar >> 5
        end = min(last, (q << 5) + 31)
        top = max(best, blocks[q, HIGH]) if direction > 0 else min(best, blocks[q, LOW])
        floor = stop_at(line, direction, top, unit, terms)[0]
        if direction > 0:
            calm = not (blocks[q, LOW] <= max(low, floor)) and blocks[q, HIGH] < high
        else:
            calm = not (blocks[q, HIGH] >= min(high, floor)) and blocks[q, LOW] > low
        if np.isnan(floor):
            calm = blocks[q, LOW] > low and blocks[q, HIGH] < high
        if calm:
            if end - bar == 31:
                best = top
            else:
                for i in range(bar, end + 1):
                    best = max(best, highs[i]) if direction > 0 else min(best, lows[i])
            line.best = best
            line.stop, line.stop_reason = stop_at(line, direction, best, unit, terms)
        else:
            for i in range(bar, end + 1):
                stop = line.stop
                hit = lows[i] <= low or highs[i] >= high
                if hit or (direction > 0 and lows[i] <= stop) or (direction < 0 and highs[i] >= stop):
                    return i
                best = max(best, highs[i]) if direction > 0 else min(best, lows[i])
                line.best = best
                line.stop, line.stop_reason = stop_at(line, direction, best, unit, terms)
        bar = end + 1
    return last + 1
