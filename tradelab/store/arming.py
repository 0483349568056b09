"""Arm a live account: a person says that it may be traded with; every change of its set-up takes that back."""

from __future__ import annotations

from tradelab.model.clock import Clock, SystemClock
from tradelab.model.errors import ConfigError
from tradelab.store.changes import changing
from tradelab.store.connections import Connections
from tradelab.store.records import AccountKind, Connection, Status


def arm(kept: Connections, name: str, clock: Clock | None = None) -> Connection:
    """Let a live connection be given out to trade with; who said so, and when, is kept and audited.

    Raises
    ------
    ConfigError
        It is not active, or its account is not a live one.
    """
    now_ns = (clock or SystemClock()).now_ns()
    with changing(kept.database, name, "arm", kept.who, now_ns) as change:
        if change.row["account_kind"] != AccountKind.LIVE.value:
            kind = change.row["account_kind"]
            raise ConfigError(f"connection {name!r} is an account of {kind}: only a live one is armed.")
        if change.row["status"] != Status.ACTIVE.value:
            raise ConfigError(
                f"connection {name!r} is {change.row['status']}; only an active one is armed.",
                fix=f"Next: tradelab connections test {name}, then: tradelab connections activate {name}",
            )
        change.set(armed_at_ns=now_ns, armed_by=kept.who)
        change.save("arm")
    return kept.get(name)


def disarm(kept: Connections, name: str, clock: Clock | None = None) -> Connection:
    """Let a live connection give data alone from the next start of an engine on."""
    with changing(kept.database, name, "disarm", kept.who, (clock or SystemClock()).now_ns()) as change:
        change.set(armed_at_ns=None, armed_by=None)
        change.save("disarm")
    return kept.get(name)
