"""Give tests both databases: a SQLite file of their own, and one in a real PostgreSQL started for them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.canary import Canary

if TYPE_CHECKING:
    from tradelab.store.database import Database

BACKENDS = ("sqlite", "postgresql")


def _programs() -> Path:
    """The folder of pg_ctl and initdb: on the path, or where Debian keeps the newest."""
    found = shutil.which("pg_ctl")
    if found and shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    if not versions:
        pytest.skip("PostgreSQL is not installed here: no pg_ctl on the path or in /usr/lib/postgresql")
    return versions[-1].parent


def _as_whom() -> tuple[list[str], tuple[int, int] | None]:
    """PostgreSQL refuses to run as root: the words that run a program as somebody else, and who owns the folder."""
    if os.getuid() != 0:
        return [], None
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("we are root, PostgreSQL refuses that, and there is no user named postgres")
    if not shutil.which("setpriv"):
        pytest.skip("we are root, PostgreSQL refuses that, and there is no setpriv to become another user")
    words = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return words, (user.pw_uid, user.pw_gid)


@contextmanager
def postgresql_server(look_in: Callable[[Path], None] = lambda _: None) -> Iterator[str]:
    """Run a server on a unix socket; its URL with ``{}`` where the database's name goes.

    ``look_in`` is shown its folder when it has ended: the bytes of every database, and the server's log. Where none can
    be run, it skips as a test does.
    """
    programs, (words, owner) = _programs(), _as_whom()
    folder = Path(tempfile.mkdtemp(prefix="tl-pg-"))  # short: a socket's path has at most 107 characters
    data, log = folder / "data", folder / "log"

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*words, *command], cwd=folder, capture_output=True, text=True, check=False, timeout=120)

    if owner:
        os.chown(folder, *owner)
    settings = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
    steps = [
        [str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "tests", "-E", "UTF8", "--locale=C", "-N"],
        [str(programs / "pg_ctl"), "-D", str(data), "-l", str(log), "-w", "-t", "60", "-o", settings, "start"],
    ]
    try:
        for step in steps:
            done = run(*step)
            if done.returncode:
                pytest.skip(f"PostgreSQL does not start here: {(done.stderr or done.stdout).strip()[-300:]}")
        yield f"postgresql://tests@/{{}}?host={folder}"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-m", "fast", "-w", "stop")
        look_in(folder)
        shutil.rmtree(folder, ignore_errors=True)


def create(server: str, template: str = "template0") -> str:
    """Create a database on a server that was started here, and return its URL."""
    name = f"t_{uuid.uuid4().hex}"
    _tell(server, f"create database {name} template {template}")
    return server.format(name)


def drop(server: str, url: str) -> None:
    """Drop a database that :func:`create` has made, whoever is still connected to it."""
    _tell(server, f"drop database {name_in(url)} with (force)")


def name_in(url: str) -> str:
    """The database's name in a URL."""
    return url.partition("?")[0].rpartition("/")[2]


def _tell(server: str, what: str) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(server.format("postgres").replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(what))
    engine.dispose()


@pytest.fixture(scope="session")
def postgresql(pytestconfig: pytest.Config) -> Iterator[str]:
    """A server for this pytest process alone; the URL with ``{}`` where the database's name goes."""
    canary: Canary | None = pytestconfig.pluginmanager.get_plugin("canary")
    with postgresql_server(*([] if canary is None else [canary.look_in])) as server:
        yield server


@pytest.fixture(scope="session")
def any_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Return the URL of a new, empty database of the backend named, for tests that share one."""

    def make(backend: str) -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('records')}/t_{uuid.uuid4().hex}.sqlite"
        return create(request.getfixturevalue("postgresql"))

    return make


@pytest.fixture
def new_url(any_url: Callable[[str], str], tmp_path: Path) -> Callable[[str], str]:
    """Return the URL of a new, empty database of the backend named; a file lies in the test's own folder."""

    def make(backend: str) -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path}/records-{uuid.uuid4().hex}.sqlite"
        return any_url(backend)

    return make


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    """The URL of a new, empty database: each test runs once on each."""
    return new_url(request.param)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """New records, migrated."""
    from tradelab.store.database import Database

    with Database(url) as opened:
        yield opened
