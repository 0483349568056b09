"""Declare ai_analysis."""

from __future__ import annotations

from tradelab.model.messages import DataFiltered, SignalAnalyzed, SignalDropped, SignalRaised
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="ai_analysis",
    shape=Shape.GATE,
    says="Asks a model to confirm a signal; its silence is a no unless the bot says otherwise.",
    on_error=OnError.DROP,
    requires=("market_data",),
    after=("filter_strategy",),
    hears=(SignalRaised, DataFiltered),
    tells=(SignalAnalyzed, SignalDropped),
    stage="tradelab.modules.ai_analysis.stage:Stage",
)
