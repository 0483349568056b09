"""Show who may send orders to which account; nothing is taken and nothing given back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from tradelab.model.clock import Clock, SystemClock
from tradelab.model.units import NS_PER_S
from tradelab.store import schema
from tradelab.store.database import Database

_ROW = schema.leases.c


@dataclass(frozen=True, slots=True)
class HeldLease:
    """The lease of an account: ``holder`` is ``None`` where nobody has it, ``left_s`` below zero where it is over."""

    account: str
    holder: str | None
    fence: int
    left_s: float
    home: str

    @property
    def is_held(self) -> bool:
        """Whether somebody may send now."""
        return self.holder is not None and self.left_s > 0


def leases(database: Database, clock: Clock | None = None) -> tuple[HeldLease, ...]:
    """Return the leases of all accounts that were ever traded, by account."""
    now_ns = (clock or SystemClock()).now_ns()
    query = select(_ROW.account, _ROW.holder, _ROW.fence, _ROW.until_ns, _ROW.home).order_by(_ROW.account)
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return tuple(HeldLease(r.account, r.holder, r.fence, (r.until_ns - now_ns) / NS_PER_S, r.home) for r in rows)
