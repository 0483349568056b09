"""One SQLite file: snapshots for readers, all or nothing for writers, a newer format is refused."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tradelab.catalog.database import Database
from tradelab.model.errors import StorageError


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "catalog.sqlite", wait_s=0.05)


ADD = "insert into retired values ('x', 0)"
COUNT = "select count(*) from retired"


def test_a_reader_keeps_its_snapshot_while_a_writer_commits(database: Database) -> None:
    other = Database(database.path, wait_s=0.05)
    with database.reading() as reader:
        assert reader.execute(COUNT).fetchone() == (0,)
        with other.writing("add") as writer:
            writer.execute(ADD)
        assert reader.execute(COUNT).fetchone() == (0,)
    with database.reading() as reader:
        assert reader.execute(COUNT).fetchone() == (1,)


def test_an_error_inside_a_write_undoes_all_of_it(database: Database) -> None:
    def fail() -> None:
        with database.writing("add") as writer:
            writer.execute(ADD)
            raise KeyError("anything")

    with pytest.raises(KeyError):
        fail()
    with database.reading() as reader:
        assert reader.execute(COUNT).fetchone() == (0,)


def test_the_second_of_two_writers_is_refused_after_its_wait(database: Database) -> None:
    other = Database(database.path, wait_s=0.05)
    with database.writing("add"), pytest.raises(StorageError, match="another process is writing"), other.writing("add"):
        pass


def test_a_newer_format_is_refused(database: Database) -> None:
    database.close()
    connection = sqlite3.connect(database.path)
    connection.execute("pragma user_version=99")
    connection.close()
    with pytest.raises(StorageError, match=r"written by a newer tradelab \(format 99"):
        Database(database.path, wait_s=0.05)
