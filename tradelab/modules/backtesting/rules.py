"""Say in research's words what a preset says of size and exits."""

from __future__ import annotations

from typing import Any

from tradelab.spine.presets import Preset

SIZES = {"qty": "amount", "notional": "value", "equity": "equity", "risk": "risk", "volatility": "atr"}


def terms_of(preset: Preset) -> dict[str, Any]:
    """Return a preset's exits and size as terms of a backtest; its limits and its schedule are none."""
    sizing = preset.sizing
    return {"plan": preset.exits, "size": float(sizing.value), "size_type": SIZES[sizing.by]}
