"""Name what an engine, a bot, an order's purpose and an alarm may be."""

from __future__ import annotations

import enum


class TradingState(enum.Enum):
    """What may be sent: anything, only what makes positions smaller, or only what cancels and reduces by hand."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class BotStatus(enum.Enum):
    """Whether a bot looks for trades."""

    STOPPED = "stopped"
    RUNNING = "running"
    PAUSED = "paused"


class Leg(enum.Enum):
    """What an order is for: part of its name, so that a signal has one of each (targets are numbered)."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"
    FLATTEN = "flatten"
    HAND = "hand"


class Protection(enum.Enum):
    """What closes a position at its stop."""

    VENUE = "venue"  # an order of the whole quantity that the venue's own list shows
    HERE = "here"  # we do, by a fresh quote
    NONE = "none"


class Severity(enum.Enum):
    """How soon a person should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
