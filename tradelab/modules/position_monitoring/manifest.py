"""Declare position_monitoring."""

from __future__ import annotations

from tradelab.model.messages import (
    AlarmRaised,
    DataReceived,
    OrderReported,
    PositionClosed,
    PositionModified,
    TradeExecuted,
)
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="position_monitoring",
    shape=Shape.SINK,
    says="Keeps every position protected, tells how it stands, and counts how trading goes.",
    on_error=OnError.HALT,
    requires=("execution",),
    hears=(TradeExecuted, DataReceived, OrderReported),
    tells=(PositionModified, PositionClosed, AlarmRaised),
    stage="tradelab.modules.position_monitoring.stage:Stage",
)
