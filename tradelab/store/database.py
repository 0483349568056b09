"""Open the records' database by URL, SQLite or PostgreSQL, and give it out one transaction at a time."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import sqlite3
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import Pool

from tradelab.model.errors import ConfigError, CorruptFileError, MissingExtraError, StorageError
from tradelab.store.home import home as home
from tradelab.store.migrate import is_current, migrate

_ALLOWED = ("postgresql://user@host/database", "sqlite:////folder/records.sqlite")
_PUT_BACK = "Move the file away, and put back your last copy of it."
_MEANS = {  # SQLite's words for a disk that is full or read-only
    "unable to open database file": " (its folder must be writable too: SQLite keeps its log beside it)",
    "disk I/O error": " (a full disk says so too)",
    "attempt to write a readonly database": " (the disk or the file is read-only)",
}
_MAKE_ROOM = "Make room, or make it writable, then try again; nothing was half-written."


class Database:
    """The records, migrated to the present schema when opened.

    Parameters
    ----------
    url
        ``postgresql://…`` or ``sqlite:///file``; by default ``TRADELAB_DATABASE``, else ``records.sqlite`` in
        ``$TRADELAB_HOME``, else in your user data folder. A new SQLite file is 0600, a folder made for it 0700.
    wait_s
        How long a writer waits for another one before it is refused.

    Raises
    ------
    ConfigError
        The URL is of another kind, or cannot be read.
    StorageError
        Not writable, locked for too long, not reachable, or written by a newer tradelab.

    Examples
    --------
    >>> import tempfile
    >>> from sqlalchemy import text
    >>> with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/records.sqlite") as database:
    ...     with database.reading() as connection:
    ...         connection.scalar(text("select count(*) from connections"))
    0
    """

    def __init__(self, url: str | None = None, *, wait_s: float = 30.0) -> None:
        self.url = _parse(url)
        self._wait_s = wait_s
        self.engine = _sqlite(self.url, wait_s) if self.is_sqlite else _postgresql(self.url, wait_s)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a SQLite file; else it is PostgreSQL."""
        return self.url.get_backend_name() == "sqlite"

    def __repr__(self) -> str:
        if "url" not in vars(self):  # shown by a traceback of a URL that was refused
            return "Database(?)"
        return f"Database({_place(self.url)})"

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; a later call opens new ones."""
        self.engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one consistent snapshot, whatever a writer does meanwhile."""
        with self._failing("read"), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[Connection]:
        """Give a transaction: all that is done inside is kept, or on any error none of it.

        SQLite takes its one writer's lock at once. On PostgreSQL the rows that are to be changed must be asked for
        with ``with_for_update()``.
        """
        with self._failing(what), self.engine.connect() as connection:
            connection.execution_options(tradelab_writes=True)
            with connection.begin():
                yield connection

    def _open(self) -> None:
        with self._failing("open"):
            if self.is_sqlite:
                _prepare_file(Path(self.url.database or ""))
                _use_wal(self.engine, self._wait_s)
            with self.engine.connect() as connection:
                current = is_current(connection)
        if not current:
            with self.writing("migrate") as connection:
                migrate(connection)

    @contextlib.contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        """Turn what disk, driver and server raise into our errors, with the place and the next step."""
        place = _place(self.url)
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot {what} {place}: {error.strerror or error}.", fix=_MAKE_ROOM) from None
        except (DBAPIError, sqlite3.Error) as error:
            failure = _translate(error, f"cannot {what} {place}")
            if failure is None:
                raise
            raise failure from None  # the driver's frames hold the server's password


def user() -> str:
    """Return who acts, by the name of the operating system's account."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return f"uid {os.getuid()}"


# ── URLs ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _parse(given: str | None) -> URL:
    text = given or os.environ.get("TRADELAB_DATABASE")
    if not text:
        return URL.create("sqlite", database=str(home() / "records.sqlite"))
    try:
        url: URL | None = make_url(re.sub(r"^postgres://", "postgresql://", text))
    except (ArgumentError, ValueError):
        url = None  # not raised here: the URL, and so a password, would be shown with the cause
    del text, given
    if url is None:
        raise ConfigError("the database's URL cannot be read.", allowed=_ALLOWED, fix="Look at TRADELAB_DATABASE.")
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database and url.database != ":memory:":
        return url.set(drivername="sqlite", database=str(Path(url.database).absolute()))
    if backend == "postgresql" and "@" in (url.host or ""):  # its tail would be told as the host that is not found
        fix = "Write the password's signs as in any URL: @ is %40, / is %2F, : is %3A."
        raise ConfigError("the database's URL has two @: the password holds one, or the user's name.", fix=fix)
    if backend == "postgresql":
        among = url.query.get("password")
        password = among if isinstance(among, str) else url.password
        url = url.difference_update_query(["password"]).set(password=password)  # shown by nobody there
        return url.set(drivername="postgresql+psycopg")
    raise ConfigError(f"records are not kept in {backend!r}.", allowed=_ALLOWED, fix="Look at TRADELAB_DATABASE.")


def _place(url: URL) -> str:
    """Say where the records are, without the password and without options, for these may hold one too."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)


# ── engines ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _sqlite(url: URL, wait_s: float) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": wait_s})

    @event.listens_for(engine, "connect")
    def _configure(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # we say begin ourselves
        raw.execute("pragma foreign_keys=on")
        raw.execute("pragma synchronous=full")
        raw.execute("pragma secure_delete=on")  # what a rotation replaced is not left in free pages

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("tradelab_writes")
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    _engines.add(engine)
    return engine


def _postgresql(url: URL, wait_s: float) -> Engine:
    MissingExtraError.unless("psycopg", "postgres", "keeping records in PostgreSQL")
    options = {
        "connect_timeout": max(2, round(wait_s)),
        "application_name": "tradelab",
        "options": f"-c lock_timeout={round(wait_s * 1000)} -c timezone=UTC",
    }
    given = {name: options[name] for name in options if name not in url.query}
    engine = create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=given)
    _engines.add(engine)
    return engine


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_inherited: list[Pool] = []


def _forget_after_a_fork() -> None:
    """Let a forked child open its own connections; the parent's must be neither used nor closed by it."""
    for engine in list(_engines):
        _inherited.append(engine.pool)  # kept, for being collected would close them
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_after_a_fork)


def _prepare_file(path: Path) -> None:
    """Make the file before SQLite does, so that nobody else can ever read it; SQLite gives its log the same mode."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, mode=0o700)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _use_wal(engine: Engine, wait_s: float) -> None:
    """Switch to write-ahead logging; SQLite does not wait by itself when two processes do this at once."""
    until = time.monotonic() + wait_s
    while True:
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("pragma journal_mode=wal").fetchall()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
        finally:
            raw.close()


# ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _translate(error: DBAPIError | sqlite3.Error, what: str) -> StorageError | CorruptFileError | None:
    """Name what the driver said; ``None`` for what only a mistake of ours can cause."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    said = " ".join(str(origin).split())
    state = getattr(origin, "sqlstate", None) or ""
    if "locked" in said or state in {"55P03", "40001", "40P01"}:
        return StorageError(f"{what}: another process is writing.", fix="Wait for it to end, then try again.")
    if type(origin).__name__ == "DatabaseError" and isinstance(origin, sqlite3.DatabaseError):
        return CorruptFileError(f"{what}: {said}.", fix=_PUT_BACK)
    if state[:2] != "23" and any(sign in said for sign in ("no such table", "no such column", "already exists")):
        return CorruptFileError(f"{what}: {said}, so a part of it is lost.", fix=_PUT_BACK)
    if isinstance(origin, sqlite3.OperationalError):
        return StorageError(f"{what}: {said}{_MEANS.get(said, '')}.", fix=_MAKE_ROOM)
    if type(origin).__name__ in {"OperationalError", "ConnectionTimeout", "AdminShutdown"} or state[:2] in {
        "08",
        "57",
        "53",
    }:
        return StorageError(f"{what}: {said}.", fix="See that the server runs and lets you in, then try again.")
    return None
