"""Declare execution."""

from __future__ import annotations

from tradelab.model.messages import (
    CommandReceived,
    OrderAccepted,
    OrderIntended,
    OrderRefused,
    OrderReported,
    OrderUnknown,
    PositionAdjusted,
    RiskCalculated,
    TradeExecuted,
)
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="execution",
    shape=Shape.EXECUTOR,
    says="Makes each order happen exactly once, and knows what the venue has.",
    on_error=OnError.HALT,
    requires=("risk_management",),
    live_requires=("position_monitoring",),
    hears=(RiskCalculated, CommandReceived),
    tells=(OrderIntended, OrderAccepted, OrderRefused, OrderUnknown, OrderReported, TradeExecuted, PositionAdjusted),
    stage="tradelab.modules.execution.stage:Stage",
)
