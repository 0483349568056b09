"""Declare backtesting."""

from __future__ import annotations

from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="backtesting",
    shape=Shape.OFFLINE,
    says="Runs a bot's strategy, size and exits over history.",
    on_error=OnError.ISOLATE,
    requires=("market_data",),
    after=("filter_strategy", "ai_analysis", "risk_management"),
)
