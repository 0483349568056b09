"""Whatever is changed, removed or added in the audit of connections is found."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

from tests.store_fixtures import BACKENDS
from tradelab.store import audit, schema
from tradelab.store.database import Database

ROW = schema.audit.c


def switch_off_triggers(database: Database) -> None:
    """Do what an attacker would who has the database in his hands."""
    with database.writing("sin") as connection:
        if database.is_sqlite:
            names = connection.scalars(text("select name from sqlite_master where type='trigger'")).all()
            for name in names:
                connection.execute(text(f"drop trigger {name}"))
        else:
            for table in ("audit", "audit_chain", "journal", "fills"):
                connection.execute(text(f"alter table {table} disable trigger user"))


@pytest.fixture(scope="module", params=BACKENDS)
def noted(request: pytest.FixtureRequest, any_url: Callable[[str], str]) -> Iterator[Database]:
    """An audit of ten rows whose guards are down; every sin is taken back."""
    with Database(any_url(request.param)) as database:
        for number in range(10):
            with database.writing("note") as connection:
                audit.note(connection, number, "ada", "update", ("id", "spot"), {"v": number}, {"v": number + 1})
        switch_off_triggers(database)
        yield database


def flaws(noted: Database, *sins: Any) -> list[tuple[int, str]]:
    """What is found after sins, which are taken back after."""
    with noted.engine.connect() as connection, connection.begin() as transaction:
        for sin in sins:
            connection.execute(sin)
        told = [(flaw.seq, flaw.says) for flaw in audit.flaws_in(connection)]
        transaction.rollback()
    return told


def test_an_audit_that_nobody_touched_is_as_it_was_written(noted: Database) -> None:
    assert audit.verify(noted) == []
    assert len(audit.rows(noted)) == 10


def test_an_empty_audit_is_whole(database: Database) -> None:
    assert audit.verify(database) == []


@pytest.mark.parametrize("column", [column.name for column in schema.audit.columns if column.name != "id"])
def test_a_changed_column_is_found(noted: Database, column: str) -> None:
    sin = update(schema.audit).where(ROW.id == 4).values({column: 99 if column == "at_ns" else "x"})
    assert flaws(noted, sin) == [(4, "it, or the row before it, was changed")]


@pytest.mark.parametrize("number", [1, 5, 10])
def test_a_removed_row_is_found_the_last_too(noted: Database, number: int) -> None:
    assert flaws(noted, delete(schema.audit).where(ROW.id == number)) == [(number, "the row is missing")]


def test_a_row_removed_with_its_digest_is_found(noted: Database) -> None:
    row, link = (
        delete(schema.audit).where(ROW.id == 10),
        delete(schema.audit_chain).where(schema.audit_chain.c.id == 10),
    )
    assert flaws(noted, row, link) == [(9, "it ends at row 9, and was written up to row 10")]


def test_a_row_that_was_slipped_in_is_found(noted: Database) -> None:
    row = {"at_ns": 1, "who": "eve", "what": "arm", "connection_id": "id", "name": "spot", "old": "{}", "new": "{}"}
    told = flaws(noted, insert(schema.audit).values(id=11, **row))
    assert told[0] == (11, "the row was added, or its digest is missing")


def test_two_rows_that_changed_places_are_found(noted: Database) -> None:
    swaps = [update(schema.audit).where(ROW.id == was).values(id=to) for was, to in ((3, 99), (4, 3), (99, 4))]
    assert [seq for seq, _ in flaws(noted, *swaps)] == [3, 4]


def test_a_missing_or_changed_end_is_found(noted: Database) -> None:
    assert flaws(noted, update(schema.audit_head).values(digest="0" * 64))
    assert "the row in audit_head is missing" in str(flaws(noted, delete(schema.audit_head)))


def test_the_database_itself_refuses_to_change_the_chain(database: Database) -> None:
    with database.writing("note") as connection:
        audit.note(connection, 1, "ada", "create", ("id", "spot"), {}, {})
    with pytest.raises(Exception, match="the audit_chain only grows"), database.writing("sin") as connection:
        connection.execute(update(schema.audit_chain).values(digest="x"))


def test_many_who_write_at_once_make_one_chain(url: str) -> None:
    def write(database: Database, who: str) -> None:
        for number in range(8):
            with database.writing("note") as connection:
                audit.note(connection, number, who, "update", (who, who), {}, {})

    with Database(url) as database:
        writers = [threading.Thread(target=write, args=(database, f"w{n}")) for n in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        with database.reading() as connection:
            assert len(connection.scalars(select(ROW.id)).all()) == 32
        assert audit.verify(database) == []


def test_what_stood_in_the_audit_before_it_was_chained_is_chained_by_the_step_that_makes_the_chain(url: str) -> None:
    with Database(url) as database:
        with database.writing("note") as connection:
            audit.note(connection, 1, "ada", "create", ("id", "spot"), {}, {"é": "😀"})
            audit.note(connection, 2, "ada", "arm", ("id", "spot"), {}, {})
        with database.writing("go back") as connection:
            connection.execute(text("drop table analytics_days"))
            connection.execute(text("drop table analytics_heads"))
            connection.execute(text("drop table audit_chain"))
            connection.execute(text("drop table audit_head"))
            if not database.is_sqlite:
                connection.execute(text("drop function audit_chain_only_grows"))
            connection.execute(text("update tradelab_schema set version_num = 'r0004'"))
    with Database(url) as database:
        assert audit.verify(database) == []
        with database.reading() as connection:
            assert len(connection.scalars(select(schema.audit_chain.c.id)).all()) == 2
