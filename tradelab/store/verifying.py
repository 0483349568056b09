"""Hold a journal against its own digests, its end, and the fills that were bound to it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import sqlalchemy
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from tradelab.store import schema
from tradelab.store.chain import START, Flaw
from tradelab.store.database import Database
from tradelab.store.journal_rows import FillKey, Row, page

_PAGE = 2_000
_FILL = "TradeExecuted"
_HEAD, _BOOKED = schema.journal_heads.c, schema.fills.c


def nodes_of(database: Database) -> tuple[str, ...]:
    """Return every node that any row, end or fill speaks of; a row given to a node that never was is found so."""
    with database.reading() as connection:
        return nodes_in(connection)


def flaws_of(database: Database, node: str) -> list[Flaw]:
    """Return where the journal of a node is not as it was written, all of it read in one transaction."""
    with database.reading() as connection:
        return flaws_in(connection, node)


def nodes_in(connection: sqlalchemy.Connection) -> tuple[str, ...]:
    """Do what :func:`nodes_of` does, in a transaction of the caller's."""
    tables = (schema.journal, schema.journal_heads, schema.fills)
    return tuple(sorted({str(node) for t in tables for node in connection.scalars(select(t.c.node).distinct())}))


def flaws_in(connection: sqlalchemy.Connection, node: str) -> list[Flaw]:
    """Do what :func:`flaws_of` does, in a transaction of the caller's."""
    flaws: list[Flaw] = []
    traded: dict[FillKey, int] = {}
    digest, last = START, 0
    for row in _rows(connection, node):
        if isinstance(row, Flaw):
            return [*flaws, row]
        if row.seq != last + 1:
            flaws.append(Flaw(last + 1, _missing(last + 1, row.seq)))
        if row.chained(node, digest) != row.digest:
            flaws.append(Flaw(row.seq, "it, or the row before it, was changed"))
        if row.kind == _FILL:
            traded |= _key(row)
        digest, last = row.digest, row.seq
    flaws += _flaws_of_rest(connection, node)
    flaws += _flaws_of_end(connection, node, last, digest)
    flaws += _flaws_of_fills(connection, node, traded)
    return flaws


def _rows(connection: sqlalchemy.Connection, node: str) -> Iterator[Row | Flaw]:
    """Yield row after row; where SQLite holds text that is none, one by one up to it."""
    after, size = 0, _PAGE
    while True:
        try:
            rows = page(connection, node, after, size)
        except OperationalError as error:
            if "decode" not in str(error.orig):
                raise
            if size == 1:
                yield Flaw(after + 1, "it holds text that cannot be read")
                return
            size = 1
            continue
        if not rows:
            return
        yield from rows
        after = rows[-1].seq


def _missing(first: int, behind: object) -> str:
    if isinstance(behind, int) and behind > first:
        return f"rows {first} to {behind - 1} are missing" if behind > first + 1 else f"row {first} is missing"
    return f"row {first} is missing, and one numbered {behind!r} is in its place"


def _flaws_of_rest(connection: sqlalchemy.Connection, node: str) -> list[Flaw]:
    """Find rows whose number is below one, which no page of the journal ever shows."""
    rows = schema.journal.c
    odd = connection.scalars(select(rows.seq).where(rows.node == node, rows.seq < 1)).all()
    return [Flaw(0, f"a row is numbered {number!r}") for number in odd]


def _flaws_of_end(connection: sqlalchemy.Connection, node: str, last: int, digest: str) -> list[Flaw]:
    head = connection.execute(select(_HEAD.seq, _HEAD.digest).where(_HEAD.node == node)).one_or_none()
    if head is None:
        return [Flaw(0, "its end is not known: the row in journal_heads is missing")]
    if tuple(head) == (last, digest):
        return []
    if head.seq == last:
        return [Flaw(last, "its last row, or the row in journal_heads, was changed")]
    return [Flaw(last + 1, f"it ends at row {last}, and was written up to row {head.seq}")]


def _flaws_of_fills(connection: sqlalchemy.Connection, node: str, traded: dict[FillKey, int]) -> list[Flaw]:
    columns = (_BOOKED.account, _BOOKED.symbol, _BOOKED.trade_id, _BOOKED.seq)
    booked = {FillKey(*row[:3]): row[3] for row in connection.execute(select(*columns).where(_BOOKED.node == node))}
    missing = [(key, seq) for key, seq in traded.items() if key not in booked]
    gone = [Flaw(seq, f"its fill {key.trade_id!r} is booked nowhere") for key, seq in missing]
    strange = [
        Flaw(seq, f"fill {key.trade_id!r} of {key.symbol} is bound to it, and it tells of none such")
        for key, seq in booked.items()
        if traded.get(key) != seq
    ]
    return gone + strange


def _key(row: Row) -> dict[FillKey, int]:
    """Return what a row's fill is known by; nothing where it cannot be read, which its digest has told already."""
    try:
        told = json.loads(row.body)
        return {FillKey(told["account"], told["fill"]["symbol"], told["fill"]["trade_id"]): row.seq}
    except (ValueError, TypeError, KeyError):
        return {}
