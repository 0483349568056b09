"""Two databases behave as one: a snapshot for readers, one writer's word, refusals that say what to do."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from tradelab.model.errors import ConfigError, CorruptFileError, StorageError
from tradelab.store import schema
from tradelab.store.database import Database, user

NOTE = update(schema.vault).values(created_ns=7)
READ = select(schema.vault.c.created_ns)


def test_what_is_written_is_read_by_another(url: str, database: Database) -> None:
    with database.writing("note") as connection:
        connection.execute(NOTE)
    with Database(url) as other, other.reading() as connection:
        assert connection.scalar(READ) == 7


def test_on_any_error_nothing_is_kept(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing("note") as connection:
        connection.execute(NOTE)
        raise ZeroDivisionError
    with database.reading() as connection:
        assert connection.scalar(READ) is None


def test_a_reader_sees_one_moment_whatever_is_written_meanwhile(database: Database) -> None:
    with database.reading() as reader:
        assert reader.scalar(READ) is None
        with database.writing("note") as writer:
            writer.execute(NOTE)
        assert reader.scalar(READ) is None
    with database.reading() as reader:
        assert reader.scalar(READ) == 7


def test_foreign_keys_are_held(database: Database) -> None:
    with pytest.raises(IntegrityError), database.writing("note") as connection:
        connection.execute(insert(schema.credentials).values(connection_id="none", field="f", sealed=b""))


def test_an_error_of_the_driver_shows_no_values(database: Database) -> None:
    value = b"hunter" + b"2"  # in halves, since a traceback quotes this line
    with pytest.raises(IntegrityError) as refused, database.writing("note") as connection:
        connection.execute(insert(schema.credentials).values(connection_id="none", field="f", sealed=value))
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


def test_a_second_writer_is_refused_after_its_wait_with_what_to_do(url: str) -> None:
    with Database(url, wait_s=0.05) as database:
        lock = text("lock table vault in exclusive mode") if not database.is_sqlite else text("select 1")
        with database.writing("hold") as holder:
            holder.execute(lock)
            refused = pytest.raises(StorageError, match=r"cannot note .*another process is writing.*try again")
            with refused, database.writing("note") as connection:
                connection.execute(lock)


def test_the_url_comes_from_the_environment_else_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRADELAB_DATABASE", raising=False)
    monkeypatch.setenv("TRADELAB_HOME", str(tmp_path / "home"))
    with Database() as database:
        assert database.url.database == str(tmp_path / "home" / "records.sqlite")
    monkeypatch.setenv("TRADELAB_DATABASE", f"sqlite:///{tmp_path}/other.sqlite")
    with Database() as database:
        assert database.url.database == str(tmp_path / "other.sqlite")


def test_only_the_owner_can_read_the_file_its_log_and_the_folder_made_for_it(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    old = os.umask(0)
    try:
        with Database(f"sqlite:///{folder}/records.sqlite") as database, database.writing("note") as connection:
            connection.execute(NOTE)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    finally:
        os.umask(old)
    assert modes == dict.fromkeys(("records.sqlite", "records.sqlite-shm", "records.sqlite-wal"), 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    path.touch()
    path.chmod(0o644)
    with Database(f"sqlite:///{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/r.sqlite", wait_s=7) as database, database.reading() as connection:
        told = {
            name: connection.scalar(text(f"pragma {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")
        }
    assert told == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 7000,
        "secure_delete": 1,
    }


@pytest.mark.parametrize("url", ["mysql://u:hunter2@h/d", "sqlite://", "sqlite:///:memory:", "hunter2", "://hunter2@"])
def test_another_kind_of_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="postgresql://user@host/database") as refused:
        Database(url)
    shown = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    ours = [frame for frame in shown.stack if "tradelab/store" in frame.filename and frame.name != "__init__"]
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in str([frame.locals for frame in ours])
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada@/d?host={folder}&password={password}",
        "postgresql://ada:{password}@/d?host={folder}&sslpassword={password}",
        "postgresql://ada:a@{password}@localhost/d",
        "postgresql://ada:{password}@localhost:99999/d",
        "postgresql://ada:{password}[@localhost:1/d",
    ],
)
def test_a_password_anywhere_in_the_url_is_not_shown(tmp_path: Path, url: str) -> None:
    password = "hunter" + "2"  # in halves, since a traceback quotes the line
    with pytest.raises((StorageError, ConfigError)) as refused:
        Database(url.format(folder=tmp_path, password=password), wait_s=2)
    assert password not in "".join(traceback.format_exception(refused.value))


def test_a_password_in_the_url_is_not_shown(tmp_path: Path) -> None:
    password = "hunter" + "2"  # in halves, since a traceback quotes the line
    with pytest.raises(StorageError, match=r"cannot open .*See that the server runs") as refused:
        Database(f"postgresql://ada:{password}@/d?host={tmp_path}", wait_s=2)
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(CorruptFileError, match=r"cannot open .*records\.sqlite.*not a database"):
        Database(f"sqlite:///{path}")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot open .*file/sub/records.sqlite.*Make room"):
        Database(f"sqlite:///{tmp_path}/file/sub/records.sqlite")


def test_threads_write_one_after_the_other(database: Database) -> None:
    with database.writing("note") as connection:
        connection.execute(NOTE)

    def add() -> None:
        for _ in range(25):
            with database.writing("count") as connection:
                seen = connection.scalar(READ.with_for_update())
                connection.execute(update(schema.vault).values(created_ns=(seen or 0) + 1))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert connection.scalar(READ) == 7 + 100


_FORK = """
import os, sys
from sqlalchemy import text
from tradelab.store.database import Database
with Database(sys.argv[1]) as database:
    with database.reading() as connection:
        connection.execute(text("select 1"))
    child = os.fork()
    for n in range(50):  # both at once: on one socket each would take the other's answers
        with database.reading() as connection:
            assert connection.scalar(text(f"select {n} + {child}")) == n + child
    if child == 0:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with database.reading() as connection:
        assert connection.scalar(text("select 42")) == 42
"""


def test_a_forked_child_opens_connections_of_its_own(url: str) -> None:
    done = subprocess.run([sys.executable, "-c", _FORK, url], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_who_acts_has_a_name() -> None:
    assert user()
