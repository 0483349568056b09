"""Say what a row of a journal is, and read a page of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy
from sqlalchemy import select

from tradelab.store import schema
from tradelab.store.chain import digest_of

_ROW = schema.journal.c


class FillKey(NamedTuple):
    """What a fill is known by, for ever."""

    account: str
    symbol: str
    trade_id: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row: ``body`` is the message as JSON, ``cause`` the number of the row it followed from."""

    seq: int
    ts_event_ns: int
    ts_init_ns: int
    cause: int | None
    kind: str
    body: str
    digest: str

    def chained(self, node: str, before: str) -> str:
        """Return the digest that this row must have after a row with the digest ``before``."""
        return digest_of(node, self.seq, self.ts_event_ns, self.ts_init_ns, self.cause, self.kind, self.body, before)


def page(connection: sqlalchemy.Connection, node: str, after: int, size: int) -> list[Row]:
    """Return at most ``size`` rows of a journal behind number ``after``."""
    columns = [getattr(_ROW, name) for name in Row.__slots__]
    query = select(*columns).where(_ROW.node == node, _ROW.seq > after).order_by(_ROW.seq).limit(size)
    return [Row(*row) for row in connection.execute(query)]
