"""Write an ``ExitPlan`` into the engine's row of terms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tradelab.engine import terms as words
from tradelab.model.exits import Distance, ExitPlan, Target, Trail

_THEN = {"break_even": words.THEN_BREAK_EVEN, "trail": words.THEN_TRAIL, "previous": words.THEN_PREVIOUS}
_ROUNDING = 1e-9  # by which fractions that are meant to add up to 1 may miss it


def write_plan(row: Any, plan: ExitPlan) -> None:
    """Fill in the exits of one row of ``engine.terms.TERMS``."""
    if isinstance(plan.stop, Distance):
        row["stop"], row["stop_unit"] = plan.stop.value, words.UNITS.index(plan.stop.unit)
    row["stop_at_close"] = plan.stop_at_close
    row["session_close"] = plan.session_close
    row["max_bars"] = plan.max_bars or 0
    for i, target in enumerate(plan.targets):
        _write_target(row, i, target)
    ladder = tuple(plan.targets)
    row["targets"] = len(ladder)
    if sum(t.fraction for t in ladder) >= 1.0 - _ROUNDING:  # a whole ladder: its last target closes what is left
        row["share"][len(ladder) - 1] = 1.0
    row["needs_atr"] = plan.in_atr
    row["roi_steps"] = len(plan.roi)
    for i, (bars, fraction) in enumerate(plan.roi):
        row["roi_bars"][i], row["roi"][i] = bars, fraction
    if plan.trail is not None:
        _write_trail(row, plan.trail, starts_by_target=any(t.then == "trail" for t in plan.targets))
    if plan.break_even is not None:
        at = plan.break_even.at
        row["even_at"], row["even_unit"] = at.value, words.UNITS.index(at.unit)
        row["even_offset"], row["even_fees"] = plan.break_even.offset, plan.break_even.fees
    elif any(t.then == "break_even" for t in plan.targets):
        row["even_fees"] = 1


def _write_target(row: Any, i: int, target: Target) -> None:
    at: Any = target.at
    row["target"][i], row["target_unit"][i], row["share"][i] = at.value, words.UNITS.index(at.unit), target.fraction
    if isinstance(target.then, Distance):
        row["then"][i] = words.THEN_STOP
        row["then_at"][i], row["then_unit"][i] = target.then.value, words.UNITS.index(target.then.unit)
    elif target.then is not None:
        row["then"][i] = _THEN[str(target.then)]


def _write_trail(row: Any, trail: Trail, *, starts_by_target: bool) -> None:
    far: Any = trail.distance
    row["trails"], row["trail"], row["trail_unit"] = 1, far.value, words.UNITS.index(far.unit)
    start: Any = trail.start
    if start is not None:
        row["trail_start"], row["trail_start_unit"] = start.value, words.UNITS.index(start.unit)
    elif starts_by_target:  # by nothing else
        row["trail_start"], row["trail_start_unit"] = math.inf, words.POINTS
    before: Any = trail.before
    step: Any = trail.step
    row["trail_before"] = np.nan if before is None else before.value
    row["trail_step"] = 0.0 if step is None else step.value
    row["chandelier"] = trail.chandelier
