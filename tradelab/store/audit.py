"""Write down who did what to which connection, in the transaction that does it; read it, and never change it.

Rows are chained (:mod:`tradelab.store.chain`): the last row's digest stands in a row of its own, which whoever writes
holds until his transaction ends. So writers wait for each other, and no row is added, changed or removed unseen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from tradelab.store import schema
from tradelab.store.chain import START, Flaw, digest_of
from tradelab.store.database import Database

_ROW = schema.audit.c
_COLUMNS = tuple(schema.audit.columns)


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
    before = connection.scalar(select(schema.audit_head.c.digest).with_for_update()) or START
    row = {"at_ns": at_ns, "who": who, "what": what, "connection_id": of[0], "name": of[1]}
    row |= {"old": _text(old), "new": _text(new)}
    number = connection.execute(insert(schema.audit).values(**row).returning(_ROW.id)).scalar_one()
    link = {"id": number, "digest": digest_of(number, *row.values(), before)}
    connection.execute(insert(schema.audit_chain).values(**link))
    connection.execute(update(schema.audit_head).values(**link))


def rows(database: Database, name: str | None = None, *, limit: int = 100) -> tuple[AuditRow, ...]:
    """Return the newest actions, newest first; with a ``name``, those on every connection that ever bore it."""
    query = select(schema.audit).order_by(_ROW.id.desc()).limit(limit)
    if name is not None:
        bore = select(_ROW.connection_id).where(_ROW.name == name)
        query = query.where(_ROW.connection_id.in_(bore))
    with database.reading() as connection:
        return tuple(AuditRow(**row._mapping) for row in connection.execute(query))


def verify(database: Database) -> list[Flaw]:
    """Return every row that is not as it was written, and what is missing: nothing, if all is well.

    Who may write to the database may also write a whole chain anew; against that only a copy kept elsewhere helps.
    """
    with database.reading() as connection:
        return flaws_in(connection)


def flaws_in(connection: Connection) -> list[Flaw]:
    """Do what :func:`verify` does, in a transaction of the caller's."""
    told = {row[0]: row for row in connection.execute(select(*_COLUMNS))}
    chain = {row.id: row.digest for row in connection.execute(select(schema.audit_chain))}
    head = connection.execute(select(schema.audit_head.c.id, schema.audit_head.c.digest)).one_or_none()
    flaws: list[Flaw] = []
    last, digest = 0, START
    for number in sorted({*told, *chain}, key=lambda each: (type(each).__name__, each)):
        if number not in told:
            flaws.append(Flaw(number, "the row is missing"))
        elif number not in chain:
            flaws.append(Flaw(number, "the row was added, or its digest is missing"))
        elif digest_of(*told[number], digest) != chain[number]:
            flaws.append(Flaw(number, "it, or the row before it, was changed"))
        last, digest = number, chain.get(number, digest)
    if head is None:
        flaws.append(Flaw(0, "its end is not known: the row in audit_head is missing"))
    elif tuple(head) != (last, digest):
        flaws.append(Flaw(last, f"it ends at row {last}, and was written up to row {head.id}"))
    return flaws


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
