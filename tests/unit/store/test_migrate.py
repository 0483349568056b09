"""Models and migrations agree, many may start at once, and a newer schema is not touched."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Executable, delete, insert, inspect, select, text, update
from sqlalchemy.exc import DatabaseError

from tests.unit.store.world import Clock, find_provider
from tradelab.model.errors import StorageError
from tradelab.model.ports import ConnectionTest
from tradelab.store import schema
from tradelab.store.connections import Connections
from tradelab.store.database import Database
from tradelab.store.migrate import SCRIPTS, VERSION_TABLE, migrate
from tradelab.store.sealing import Key


def test_migrations_make_what_the_models_say(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, schema.metadata) == []


def test_the_comparison_would_see_a_forgotten_column(database: Database) -> None:
    with database.writing("sin") as connection:
        connection.execute(text("alter table vault add column forgotten integer"))
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert "forgotten" in str(compare_metadata(context, schema.metadata))


def test_checks_of_the_models_are_in_the_database_too(database: Database) -> None:
    with database.reading() as connection:
        told = inspect(connection)
        for table in schema.metadata.sorted_tables:
            made = {check["name"] for check in told.get_check_constraints(table.name)}
            assert made == {c.name for c in table.constraints if isinstance(c, CheckConstraint)}


def test_the_head_that_the_code_knows_is_the_newest_script() -> None:
    assert ScriptDirectory(SCRIPTS).get_heads() == [schema.HEAD]


def test_what_was_active_before_the_step_that_remembers_it_comes_back_by_itself(
    url: str, key: Key, clock: Clock
) -> None:
    with Database(url) as database:
        before = Connections(database, find_provider, clock=clock)
        login = {"api_key": "k-123456", "secret": "s-123456"}
        for name in ("off", "used"):
            before.create(name, "ccxt:binance", purposes=["data"], credentials=login)
            before.end_test(before.begin_test(name), ConnectionTest(True, ""))
        before.activate("used")
        with database.writing("go back to the first schema") as connection:
            for table in ("audit_chain", "audit_head", "analytics_days", "analytics_heads"):
                connection.execute(text(f"drop table {table}"))
            if not database.is_sqlite:
                connection.execute(text("drop function audit_chain_only_grows"))
            connection.execute(text("alter table connections drop column activated_setup"))
            connection.execute(text(f"update {VERSION_TABLE} set version_num = 'r0003'"))
    with Database(url) as database:
        after = Connections(database, find_provider, clock=clock)
        for name in ("off", "used"):
            after.end_test(after.begin_test(name), ConnectionTest(False, "no answer"))
            after.end_test(after.begin_test(name), ConnectionTest(True, ""))
        assert [(known.name, known.status.value) for known in after.list()] == [("off", "inactive"), ("used", "active")]


def test_migrating_twice_changes_nothing(database: Database) -> None:
    with database.writing("migrate") as connection:
        migrate(connection)
        assert connection.scalar(text(f"select count(*) from {VERSION_TABLE}")) == 1


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    with Database(url) as database, database.writing("upgrade") as connection:
        connection.execute(text(f"update {VERSION_TABLE} set version_num = 'r9999'"))
    with pytest.raises(StorageError, match=r"newer tradelab \(schema 'r9999'.*Upgrade tradelab"):
        Database(url)


def test_a_migration_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    real = op.create_index

    def fail(name: str, *args: object, **kwargs: object) -> None:
        if name == "ix_audit_connection_id":
            raise RuntimeError("killed")
        real(name, *args, **kwargs)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", fail)
        with pytest.raises(RuntimeError, match="killed"):
            Database(url)
    with Database(url) as database, database.reading() as connection:  # and the next start makes all of it
        assert connection.scalar(select(schema.audit.c.id)) is None


_START = """
import sys
from tradelab.store.database import Database
print("ready", flush=True)
sys.stdin.readline()
with Database(sys.argv[1]) as database, database.reading() as connection:
    print("opened", flush=True)
"""


def test_ten_processes_that_start_at_once_make_one_schema(url: str) -> None:
    command = [sys.executable, "-c", _START, url]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate() for process in started]
    assert [out for out, _ in told] == ["opened\n"] * 10, told
    with Database(url) as database, database.reading() as connection:
        assert connection.scalars(text(f"select version_num from {VERSION_TABLE}")).all() == [schema.HEAD]


@pytest.mark.parametrize("sin", ["update", "delete", "truncate"])
def test_the_database_itself_refuses_to_change_the_audit(database: Database, sin: str) -> None:
    row = {"at_ns": 1, "who": "ada", "what": "create", "connection_id": "c", "name": "n", "old": "{}", "new": "{}"}
    with database.writing("note") as connection:
        connection.execute(insert(schema.audit).values(**row))
    sins: dict[str, Executable] = {
        "update": update(schema.audit).values(who="eve"),
        "delete": delete(schema.audit),
        "truncate": text("truncate audit"),
    }
    if database.is_sqlite and sin == "truncate":
        pytest.skip("SQLite has no truncate: its delete without a condition fires the trigger too")
    with pytest.raises(DatabaseError, match="the audit only grows"), database.writing("sin") as connection:
        connection.execute(sins[sin])
    with database.reading() as connection:
        assert connection.scalar(select(schema.audit.c.who)) == "ada"
