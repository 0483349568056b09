"""Declare market_data."""

from __future__ import annotations

from tradelab.model.messages import AlarmRaised, DataReceived, DataStored
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="market_data",
    shape=Shape.SINK,
    says="Keeps every closed bar in the catalogue, and its series in order.",
    on_error=OnError.ISOLATE,
    requires=("data_provider",),
    hears=(DataReceived,),
    tells=(DataStored, AlarmRaised),
    stage="tradelab.modules.market_data.stage:Stage",
)
