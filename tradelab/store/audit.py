"""Write down who did what to which connection, in the transaction that does it; read it, and never change it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from tradelab.store import schema
from tradelab.store.database import Database

_ROW = schema.audit.c


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One action: when (UTC ns), by whom, what, on which connection, and what it changed from and to.

    ``old`` and ``new`` are JSON with the changed entries only; of credentials they hold the field names.
    """

    id: int
    at_ns: int
    who: str
    what: str
    connection_id: str
    name: str
    old: str
    new: str


def note(
    connection: Connection,
    at_ns: int,
    who: str,
    what: str,
    of: tuple[str, str],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
) -> None:
    """Add a row about the connection ``of`` (id, name); it is kept if the caller's transaction is."""
    row = {"at_ns": at_ns, "who": who, "what": what, "connection_id": of[0], "name": of[1]}
    connection.execute(insert(schema.audit).values(**row, old=_text(old), new=_text(new)))


def rows(database: Database, name: str | None = None, *, limit: int = 100) -> tuple[AuditRow, ...]:
    """Return the newest actions, newest first; with a ``name``, those on every connection that ever bore it."""
    query = select(schema.audit).order_by(_ROW.id.desc()).limit(limit)
    if name is not None:
        bore = select(_ROW.connection_id).where(_ROW.name == name)
        query = query.where(_ROW.connection_id.in_(bore))
    with database.reading() as connection:
        return tuple(AuditRow(**row._mapping) for row in connection.execute(query))


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
