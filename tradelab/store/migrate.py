"""Bring a database to the present schema, under a lock, so that any number of processes may start at once."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from tradelab.model.errors import StorageError
from tradelab.store.schema import HEAD

VERSION_TABLE = "tradelab_schema"  # a name of our own: the server's database may be shared with others
SCRIPTS = Path(__file__).with_name("migrations")
_LOCK = 0x7472616465  # "trade": the key of PostgreSQL's advisory lock
_ONE_THREAD = threading.Lock()  # Alembic's `op` is global to the process


def is_current(connection: Connection) -> bool:
    """Say whether the schema is the present one: the usual case, answered without Alembic."""
    return _version(connection) == HEAD


def migrate(connection: Connection) -> None:
    """Run the steps that are missing, inside the caller's transaction; the first of several processes does it for all.

    Raises
    ------
    StorageError
        The database was written by a newer tradelab.
    """
    if connection.dialect.name == "postgresql":  # SQLite's writer's lock is held already
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if is_current(connection):  # made by another process while this one waited
        return
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(SCRIPTS)
    version = _version(connection)
    if version is not None and version not in {script.revision for script in scripts.walk_revisions()}:
        raise StorageError(
            f"these records were written by a newer tradelab (schema {version!r}; this one knows {HEAD!r} and older).",
            fix="Upgrade tradelab, or let TRADELAB_DATABASE or TRADELAB_HOME name other records.",
        )
    context = MigrationContext.configure(
        connection,
        opts={
            "version_table": VERSION_TABLE,
            "transactional_ddl": True,
            "fn": lambda revision, _: scripts._upgrade_revs("head", revision),
        },
    )
    with _ONE_THREAD, Operations.context(context):
        context.run_migrations()


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(text(f"select version_num from {VERSION_TABLE}"))
