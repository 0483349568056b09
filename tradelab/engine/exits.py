"""Exit rules: where stop, trail and target of an open position lie, and which of them a bar reaches first."""

from __future__ import annotations

import numpy as np

from tradelab.engine.fills import FillPolicy, stop_fill, target_fill
from tradelab.engine.jit import Row, kernel

# Why an order happened.
ENTRY, SIGNAL, REVERSAL, STOP, TRAIL, TARGET, RUIN = 0, 1, 2, 3, 4, 5, 6
REASONS = ("entry", "signal", "reversal", "stop", "trail", "target", "ruin")


@kernel
def fixed_stop(direction: int, anchor: float, fraction: float) -> float:
    """Level of a stop a fraction below (long) or above (short) its anchor; NaN fraction: none."""
    return anchor * (1.0 - direction * fraction)


@kernel
def target_level(direction: int, anchor: float, fraction: float) -> float:
    """Level of a target a fraction above (long) or below (short) its anchor; NaN fraction: none."""
    return anchor * (1.0 + direction * fraction)


@kernel
def tighter(direction: int, a: float, b: float) -> float:
    """The stop that is hit first: the higher one of a long position, the lower one of a short; NaN is no stop."""
    if np.isnan(a):
        return b
    if np.isnan(b):
        return a
    return max(a, b) if direction > 0 else min(a, b)


@kernel
def intrabar_exit(line: Row, open_: float, low: float, high: float, policy: FillPolicy) -> tuple[float, int]:
    """Price and reason of the exit that this bar brings to a position; NaN price when it brings none.

    Inside a bar nobody knows what came first, so the stop wins over the target. The open alone is known to come first:
    a target it has passed is filled there, before anything else.
    """
    direction = 1 if line.qty > 0 else -1
    fixed = fixed_stop(direction, line.anchor, line.stop_frac)
    trail = fixed_stop(direction, line.best, line.trail_frac)
    stop = tighter(direction, fixed, trail)
    target = target_level(direction, line.anchor, line.target_frac)

    if policy.gap_beats_stop and direction * (open_ - target) >= 0.0:
        return open_, TARGET
    if not np.isnan(stop):
        price = stop_fill(direction, stop, open_, low, high)
        if not np.isnan(price):
            return price, (STOP if stop == fixed else TRAIL)
    if not np.isnan(target):
        price = target_fill(direction, target, open_, low, high)
        if not np.isnan(price):
            return price, TARGET
    return np.nan, ENTRY
