"""Declare copy_trading."""

from __future__ import annotations

from tradelab.model.messages import PositionClosed, SignalRaised, TradeExecuted
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="copy_trading",
    shape=Shape.SOURCE,
    says="Turns a leader's entries and closes into signals of its followers.",
    on_error=OnError.ISOLATE,
    requires=("execution", "risk_management"),
    hears=(TradeExecuted, PositionClosed),
    tells=(SignalRaised,),
    stage="tradelab.modules.copy_trading.stage:Stage",
)
