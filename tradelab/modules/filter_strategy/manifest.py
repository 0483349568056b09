"""Declare filter_strategy."""

from __future__ import annotations

from tradelab.model.messages import DataFiltered, SignalDropped, SignalRaised
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="filter_strategy",
    shape=Shape.GATE,
    says="Lets a signal pass where a condition on indicators of its bars holds.",
    on_error=OnError.DROP,
    requires=("market_data",),
    hears=(SignalRaised,),
    tells=(DataFiltered, SignalDropped),
    stage="tradelab.modules.filter_strategy.stage:Stage",
)
