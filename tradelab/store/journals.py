"""List the journals that a database holds."""

from __future__ import annotations

from sqlalchemy import select

from tradelab.store import schema
from tradelab.store.database import Database


def journals(database: Database) -> dict[str, int]:
    """Return the number of messages in each engine's journal, by the engine's name.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/records.sqlite") as database:
    ...     journals(database)
    {}
    """
    heads = schema.journal_heads.c
    with database.reading() as connection:
        rows = connection.execute(select(heads.node, heads.seq).order_by(heads.node)).all()
    return {row.node: row.seq for row in rows}
