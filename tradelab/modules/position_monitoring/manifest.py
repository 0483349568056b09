"""Declare position_monitoring."""

from __future__ import annotations

from tradelab.model.messages import (
    AlarmRaised,
    CancelIntended,
    CancelWanted,
    ChangeIntended,
    ChangeWanted,
    CommandDone,
    DataReceived,
    ExitsArmed,
    OrderAbandoned,
    OrderAbsent,
    OrderAccepted,
    OrderIntended,
    OrderRefused,
    OrderReported,
    OrderUnknown,
    OrderVanished,
    OrderWanted,
    PositionAdjusted,
    PositionClosed,
    PositionModified,
    ProtectionChanged,
    ReconcileEnded,
    RequestAnswered,
    TradeExecuted,
)
from tradelab.spine.manifest import Manifest, OnError, Shape

MANIFEST = Manifest(
    name="position_monitoring",
    shape=Shape.SINK,
    says="Keeps every position protected, tells how it stands, and counts how trading goes.",
    on_error=OnError.HALT,
    requires=("execution",),
    hears=(
        TradeExecuted, PositionAdjusted, ExitsArmed, DataReceived, OrderIntended, OrderAccepted, OrderRefused,
        OrderUnknown, OrderAbsent, OrderAbandoned, OrderVanished, OrderReported, CancelIntended, ChangeIntended,
        RequestAnswered, ReconcileEnded, CommandDone,
    ),
    tells=(
        ExitsArmed, OrderWanted, CancelWanted, ChangeWanted, ProtectionChanged, PositionModified, PositionClosed,
        AlarmRaised,
    ),
    stage="tradelab.modules.position_monitoring.stage:Stage",
)  # fmt: skip
