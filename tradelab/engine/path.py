"""Follow the price inside a bar, and say which exit of a position it meets next.

Nobody knows which way it went. Each answer that is taken for true is a *path*: the stop first (the worst case, our
default), the target first, or from point to point along open, high, low and close. ``next_exit`` is asked again after
every fill, until nothing more happens in the bar; ``line.phase`` remembers how far it has come.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.exits import (
    LIQUIDATION,
    ROI,
    STOP,
    TARGET,
    TRAIL,
    beyond,
    learn,
    liquidation_level,
    roi_level,
    trails_inside,
)
from tradelab.engine.jit import Row, inlined, kernel
from tradelab.engine.terms import COLOUR, FREQTRADE, OHLC, OPTIMISTIC

# How far inside a bar: at its open, then three legs; DONE when nothing more can happen.
OPENING, FIRST, SECOND, THIRD, DONE = 0, 1, 2, 3, 4

HALF_A_DIGIT = 0.5e-8  # freqtrade rounds a profit to eight decimals before it compares it


@inlined
def no_exit() -> tuple[float, int]:
    """Nothing happens any more."""
    return np.nan, 0


@inlined
def passed(direction: int, level: float, price: float) -> bool:
    """Whether a price has reached a level in the direction of profit; NaN levels are never reached."""
    return direction * (price - level) >= 0.0


@inlined
def standing_stop(account: Row, line: Row, terms: Row) -> tuple[float, int]:
    """Level and reason of the stop that guards a position inside a bar: its own or the broker's, the nearer one."""
    direction = 1 if line.qty > 0.0 else -1
    stop, reason = line.stop, line.stop_reason
    if terms.stop_at_close != 0:
        stop = np.nan
    forced = liquidation_level(account, line, terms)
    if not np.isnan(forced) and (np.isnan(stop) or direction * (forced - stop) > 0.0):
        return forced, LIQUIDATION
    return stop, reason


@inlined
def standing_target(line: Row, bar: int, terms: Row) -> tuple[float, int]:
    """Level and reason of the nearest target: the ladder's next, or the one that falls with time."""
    direction = 1 if line.qty > 0.0 else -1
    if terms.roi_steps == 0:
        return line.target, TARGET
    roi = roi_level(line, direction, bar - line.entry_bar, terms)
    if np.isnan(line.target) or direction * (line.target - roi) > 0.0:
        return roi, ROI
    return line.target, TARGET


@inlined
def next_exit(
    account: Row, line: Row, bar: int, open_: float, high: float, low: float, close: float, terms: Row
) -> tuple[float, int]:
    """Price and reason of the next exit that this bar brings to a position; NaN price when it brings none any more."""
    if terms.path == FREQTRADE:
        return next_of_freqtrade(account, line, bar, open_, high, low, terms)
    if terms.path >= OHLC:
        return next_on_path(account, line, bar, open_, high, low, close, terms)
    direction = 1 if line.qty > 0.0 else -1
    stop, stop_reason = standing_stop(account, line, terms)
    target, target_reason = standing_target(line, bar, terms)
    if line.phase == OPENING:
        if terms.gap_beats_stop != 0 and passed(direction, target, open_):
            return open_, target_reason
        if passed(-direction, stop, open_):
            line.phase = DONE
            return open_, stop_reason
        line.phase = FIRST
    worst, best = (low, high) if direction > 0 else (high, low)
    while line.phase < THIRD:
        stop_turn = (line.phase == FIRST) != (terms.path == OPTIMISTIC)
        if stop_turn and passed(-direction, stop, worst):
            line.phase = DONE
            return stop, stop_reason
        if not stop_turn and passed(direction, target, best):
            at_open = passed(direction, target, open_)
            return (open_ if at_open else target), target_reason
        line.phase += 1
    return no_exit()


@kernel
def next_on_path(
    account: Row, line: Row, bar: int, open_: float, high: float, low: float, close: float, terms: Row
) -> tuple[float, int]:
    """The same along four points: a leg towards profit meets targets, a leg towards loss the stop, which follows."""
    direction = 1 if line.qty > 0.0 else -1
    high_first = terms.path == OHLC or (terms.path == COLOUR and close < open_)
    while line.phase < DONE:
        stop, stop_reason = standing_stop(account, line, terms)
        target, target_reason = standing_target(line, bar, terms)
        if line.phase == OPENING:
            begin = end = open_
        elif line.phase == FIRST:
            begin, end = open_, (high if high_first else low)
        elif line.phase == SECOND:
            begin, end = (high, low) if high_first else (low, high)
        else:
            begin, end = (low if high_first else high), close
        if passed(-direction, stop, end):
            line.phase = DONE
            return (begin if passed(-direction, stop, begin) else stop), stop_reason
        if passed(direction, target, end):
            return (begin if passed(direction, target, begin) else target), target_reason
        learn(line, end, end, line.unit if terms.chandelier == 0 else np.nan, terms)
        line.phase += 1
    return no_exit()


@kernel
def next_of_freqtrade(
    account: Row, line: Row, bar: int, open_: float, high: float, low: float, terms: Row
) -> tuple[float, int]:
    """The same as freqtrade's backtest has it: the trail learns first, then stop, falling target, trailed stop.

    Source: freqtrade's documentation, "Assumptions made by backtesting" and "Stop loss"; ``tests/oracles`` has the
    cases. A stop fills at its level even where the open has passed it, as long as the bar has traded there; one that
    the entry itself had passed, which freqtrade does not know, is hit at once.
    """
    if line.phase == DONE:
        return no_exit()
    direction = 1 if line.qty > 0.0 else -1
    worst, best = (low, high) if direction > 0 else (high, low)
    distance = np.nan
    if line.phase == OPENING:
        line.phase = FIRST
        if terms.trails != 0 and trails_inside(terms) and not passed(-direction, line.stop, worst):
            distance = trail_of_freqtrade(line, direction, best, terms)
    stop, reason = standing_stop(account, line, terms)
    stopped = passed(-direction, stop, worst)
    if stopped and reason != TRAIL:
        line.phase = DONE
        wrong = passed(-direction, stop, line.anchor) and (reason == STOP or line.entry_bar == bar)
        return (open_ if wrong or direction * (best - stop) < 0.0 else stop), reason
    price, what = target_of_freqtrade(line, direction, bar, open_, high, low, terms)
    if not np.isnan(price):
        return price, what
    line.phase = DONE
    if not stopped:
        return no_exit()
    if line.entry_bar == bar and not np.isnan(distance):  # the worst that can have been on the bar of the entry
        far = line.anchor * (1.0 - direction * distance)
        if np.isnan(terms.trail_before) and not np.isnan(terms.trail_start) and line.trailing == 0:
            start = beyond(line.anchor, direction, terms.trail_start, terms.trail_start_unit, line)
            far = start - direction * line.trail * line.anchor
        return max(low, far) if direction > 0 else min(high, far), reason
    return (stop if direction * (best - stop) >= 0.0 else open_), reason


@kernel
def trail_of_freqtrade(line: Row, direction: int, best: float, terms: Row) -> float:
    """Move the stop behind this bar's own best price, and return the distance used; NaN: it did not start."""
    distance = line.trail
    if not np.isnan(terms.trail_start) and line.trailing == 0:
        start = beyond(line.anchor, direction, terms.trail_start, terms.trail_start_unit, line)
        ahead = direction * (best - start) / line.anchor  # profits are compared to eight decimals
        if np.isnan(terms.trail_before) and ahead < -HALF_A_DIGIT:
            return np.nan
        if ahead < HALF_A_DIGIT:
            distance = line.r / line.anchor if np.isnan(terms.trail_before) else terms.trail_before
    stop = best * (1.0 - direction * distance)
    if np.isnan(line.stop) or direction * (stop - line.stop) > 0.0:
        line.stop, line.stop_reason = stop, TRAIL
    return distance


@kernel
def target_of_freqtrade(
    line: Row, direction: int, bar: int, open_: float, high: float, low: float, terms: Row
) -> tuple[float, int]:
    """Price at which a target, or the one that falls with time, is met; NaN: it is not."""
    held, best = bar - line.entry_bar, high if direction > 0 else low
    step = -1
    for i in range(terms.roi_steps):
        if held >= terms.roi_bars[i]:
            step = i
    if step >= 0:
        rate = line.anchor * (1.0 + direction * terms.roi[step])
        if terms.roi[step] <= -1.0:
            return open_, ROI
        if direction * (best - rate) >= HALF_A_DIGIT * line.anchor:
            if held == terms.roi_bars[step] and held > 0 and direction * (open_ - rate) > 0.0:
                return open_, ROI
            return min(max(rate, low), high), ROI
    if passed(direction, line.target, best):
        return (open_ if passed(direction, line.target, open_) else line.target), TARGET
    return no_exit()
