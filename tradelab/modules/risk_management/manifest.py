"""Declare risk_management."""

from __future__ import annotations

from tradelab.model.messages import (
    AccountReported,
    AlarmRaised,
    DataFiltered,
    RiskCalculated,
    SignalAnalyzed,
    SignalDropped,
    SignalRaised,
    TradingStateChanged,
)
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="risk_management",
    shape=Shape.GATE,
    says="Guards the account, and sizes what passes.",
    on_error=OnError.HALT,
    after=("filter_strategy", "ai_analysis"),
    hears=(SignalRaised, DataFiltered, SignalAnalyzed, AccountReported, TradingStateChanged),
    tells=(RiskCalculated, SignalDropped, TradingStateChanged, AlarmRaised),
    stage="tradelab.modules.risk_management.stage:Stage",
)
