"""Declare data_provider."""

from __future__ import annotations

from tradelab.model.messages import AlarmRaised, DataReceived
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="data_provider",
    shape=Shape.SOURCE,
    says="Brings in bars and quotes of the connections that bots follow.",
    on_error=OnError.ISOLATE,
    tells=(DataReceived, AlarmRaised),
    stage="tradelab.modules.data_provider.stage:Stage",
)
