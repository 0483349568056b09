"""Keep the catalogue in one SQLite file: snapshots for readers, one writer at a time, every failure in our words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from tradelab.model.errors import CorruptFileError, LockedError, StorageError

# A new file walks through every step, so that it and an old one that was brought up to date are the same.
_STEPS = (
    """
create table series (
    id integer primary key, source text not null, symbol text not null, timeframe text not null,
    revised integer not null default 0, unique (source, symbol, timeframe));
create table segments (
    series integer not null, period integer not null, name text not null, first_ns integer not null,
    last_ns integer not null, rows integer not null, sha256 text not null, size integer not null,
    primary key (series, period)) without rowid;
create table tail (
    series integer not null, time_ns integer not null, open real, high real, low real, close real, volume real,
    closed integer not null, primary key (series, time_ns)) without rowid;
create table retired (name text primary key, retired_s real not null) without rowid;
create table instruments (
    venue text not null, symbol text not null, quote text not null, tick_size text not null, qty_step text not null,
    contract_size text not null, min_qty text, max_qty text, min_notional text, calendar text not null,
    primary key (venue, symbol)) without rowid;
""",
    """
alter table instruments add column session text;
alter table instruments add column base text;
alter table instruments add column settle text;
alter table instruments add column kind text not null default 'other';
alter table instruments add column min_price text;
alter table instruments add column max_price text;
alter table instruments add column min_market_qty text;
alter table instruments add column max_market_qty text;
alter table instruments add column market_qty_step text;
alter table instruments add column max_notional text;
alter table instruments add column price_band_up text;
alter table instruments add column price_band_down text;
alter table instruments add column max_orders integer;
alter table instruments add column max_trigger_orders integer;
create table retention (
    source text not null, symbol text not null, timeframe text not null, keep_days real, unused_days real,
    primary key (source, symbol, timeframe)) without rowid;
""",
)
_VERSION = len(_STEPS)


class Database:
    """One SQLite file in WAL mode, with a connection for each thread and process that asks.

    Readers see a snapshot and never wait. Writers wait for one another up to ``wait_s`` seconds; SQLite's own lock is
    the writer's lock, so a killed writer leaves none behind.
    """

    def __init__(self, path: Path, wait_s: float) -> None:
        self.path = path
        self.wait_s = wait_s
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._finalize = weakref.finalize(self, _close_all, self._open)
        with failures(path.parent, f"open {path.name}"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._prepare()

    def close(self) -> None:
        """Close every connection; the next use opens a new one."""
        _close_all(self._open)
        self._local = threading.local()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give one consistent snapshot, whatever a writer does meanwhile."""
        with failures(self.path.parent, f"read {self.path.name}"), self._transaction("begin") as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[sqlite3.Connection]:
        """Give the writer's lock; all that is done inside is kept, or on any error none of it."""
        with failures(self.path.parent, what), self._transaction("begin immediate") as connection:
            yield connection

    @contextlib.contextmanager
    def unwaiting(self) -> Iterator[None]:
        """Inside, have this thread's writes refused at once by ``LockedError`` while another process writes."""
        connection = self._connection()
        connection.execute("pragma busy_timeout=0")
        try:
            yield
        finally:
            connection.execute(f"pragma busy_timeout={round(self.wait_s * 1000)}")

    def checkpoint(self) -> None:
        """Move committed pages from the log into the database file and flush them."""
        with failures(self.path.parent, "flush the catalogue"):
            self._connection().execute("pragma wal_checkpoint(full)").fetchall()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        connection.execute(begin)
        try:
            yield connection
            connection.execute("commit")
        except BaseException:
            if connection.in_transaction:
                connection.execute("rollback")
            raise

    def _connection(self) -> sqlite3.Connection:
        known = getattr(self._local, "pair", None)
        if known and known[0] == os.getpid():  # after a fork the parent's connection must not be used
            return known[1]
        connection = sqlite3.connect(self.path, timeout=self.wait_s, isolation_level=None, check_same_thread=False)
        connection.execute("pragma synchronous=normal")
        self._open.append(connection)
        self._local.pair = (os.getpid(), connection)
        return connection

    def _prepare(self) -> None:
        connection = self._connection()
        version = self._version(connection)
        if version == 0:
            _use_wal(connection, self.wait_s)
        if version < _VERSION:
            with self._transaction("begin immediate"):
                for step in _STEPS[self._version(connection) :]:  # asked again: another process may have been first
                    for statement in step.split(";")[:-1]:
                        connection.execute(statement)
                connection.execute(f"pragma user_version={_VERSION}")

    def _version(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("pragma user_version").fetchone()[0])
        if version > _VERSION:
            raise StorageError(
                f"{self.path} was written by a newer tradelab (format {version}; this one knows {_VERSION}).",
                fix="Upgrade tradelab, or point TRADELAB_HOME elsewhere.",
            )
        return version


@contextlib.contextmanager
def failures(root: Path, what: str) -> Iterator[None]:
    """Turn what the disk and SQLite raise into our errors, with the place and the next step."""
    try:
        yield
    except FileNotFoundError:
        raise  # a replaced segment: the reader asks the catalogue again
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise LockedError(
                f"cannot {what}: another process is writing to {root}.", fix="Wait for it to end, then try again."
            ) from error
        raise StorageError(f"cannot {what} in {root}: {error}.", fix=_MAKE_ROOM) from error
    except sqlite3.DatabaseError as error:
        raise CorruptFileError(
            f"the catalogue in {root} cannot be read: {error}.",
            fix="Move catalog.sqlite away and import or download again; the segments beside it are whole.",
        ) from error
    except OSError as error:
        raise StorageError(f"cannot {what} in {root}: {error.strerror or error}.", fix=_MAKE_ROOM) from error


_MAKE_ROOM = "Make room or make it writable, then try again; nothing was half-written."


def _use_wal(connection: sqlite3.Connection, wait_s: float) -> None:
    """Switch to write-ahead logging; SQLite does not wait by itself when two processes do this at once."""
    until = time.monotonic() + wait_s
    while True:
        try:
            connection.execute("pragma journal_mode=wal").fetchall()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _close_all(connections: list[sqlite3.Connection]) -> None:
    while connections:
        connections.pop().close()
