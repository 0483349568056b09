"""Declare ai_analysis."""

from __future__ import annotations

from tradelab.model.messages import DataFiltered, SignalAnalyzed, SignalDropped, SignalRaised
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="ai_analysis",
    shape=Shape.GATE,
    says="Waits for an answer that confirms a signal; silence is a no unless the profile says otherwise.",
    on_error=OnError.DROP,
    requires=("market_data",),
    after=("filter_strategy",),
    hears=(SignalRaised, DataFiltered),
    tells=(SignalAnalyzed, SignalDropped),
    stage="tradelab.modules.ai_analysis.stage:Stage",
)
