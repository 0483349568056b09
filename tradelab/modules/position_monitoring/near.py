"""Say when a position comes near to its stop or its target, in what it risked, not in percent of a price."""

from __future__ import annotations

import math

from tradelab.model.market import Quote
from tradelab.modules.position_monitoring.config import Config
from tradelab.modules.position_monitoring.levels import Levels
from tradelab.modules.position_monitoring.triggers import price_that_leaves


def nearness(levels: Levels, direction: int, quote: Quote, config: Config) -> list[tuple[str, str]]:
    """Return kind and words of each alert; none where there is neither R nor ATR to measure by."""
    unit, name, limit = _measure(levels, config)
    if math.isnan(unit):
        return []
    price = float(price_that_leaves(quote, direction))
    target = levels.targets[0][0] if levels.targets else math.nan
    found = []
    for kind, level, towards in (("near_stop", levels.stop, -direction), ("near_target", target, direction)):
        away = towards * (level - price) / unit
        if 0.0 <= away <= limit:
            found.append((kind, f"{away:.2f} {name} from its {kind[5:]} at {level:g}"))
    return found


def _measure(levels: Levels, config: Config) -> tuple[float, str, float]:
    if not math.isnan(levels.r) and levels.r > 0.0:
        return levels.r, "R", config.near_r
    if not math.isnan(levels.unit) and levels.unit > 0.0:
        return levels.unit, "ATR", config.near_atr
    return math.nan, "", 0.0
