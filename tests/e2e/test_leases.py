"""Ten engines want one account; whoever is not its holder writes no intent, whenever it was stopped and woken again.

``TRADELAB_ACCEPTANCE=full`` runs the thousand rounds of docs/reliability.md on each database.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.e2e.lease_engines import ACCOUNT, LENGTH_S
from tests.store_fixtures import BACKENDS
from tradelab.model.errors import LeaseError
from tradelab.store.database import Database
from tradelab.store.leases import Leases

ENGINES = 10
ROUNDS = 1_000 if os.environ.get("TRADELAB_ACCEPTANCE") == "full" else 3
PATIENCE_S = 120
_SERIAL = {"sqlite": "integer primary key autoincrement", "postgresql": "bigserial primary key"}


@contextlib.contextmanager
def engines(url: str, count: int, *words: str) -> Iterator[dict[str, int]]:
    """Let engines run; their process ids by name."""
    script = str(Path(__file__).with_name("lease_engines.py"))
    command = [sys.executable, script, url, str(count), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdout is not None
        yield json.loads(nursery.stdout.readline())
        nursery.communicate()


def happens(told: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not told():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def until(told: Callable[[], bool], what: str) -> None:
    assert happens(told, PATIENCE_S), f"waited too long until {what}"


class Judge:
    """Looks at the database from outside."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def holder(self) -> tuple[str | None, int]:
        with self.database.reading() as connection:
            holder, fence = connection.execute(text("select holder, fence from leases")).one()
        return holder, fence

    def count(self, where: str = "1 = 1") -> int:
        with self.database.reading() as connection:
            return connection.scalar(text(f"select count(*) from intents where {where}")) or 0

    def wrong(self) -> int:
        """Intents of who did not hold the lease: by what stood in the transaction, or by a number that went back."""
        stood = self.count("holder <> held_by or fence <> held_fence")
        with self.database.reading() as connection:
            fences = connection.scalars(text("select fence from intents order by id")).all()
        return stood + sum(later < earlier for earlier, later in itertools.pairwise(fences))


def prepared(url: str, backend: str) -> Database:
    database = Database(url)
    with database.writing("make the judge's table") as connection:
        columns = "holder varchar(64), fence bigint, held_by varchar(64), held_fence bigint"
        connection.execute(text(f"create table intents (id {_SERIAL[backend]}, {columns})"))
    first = Leases(database, "parent", length_s=LENGTH_S)
    first.release(first.acquire(ACCOUNT))
    return database


def stop_and_wake(judge: Judge, pids: dict[str, int]) -> bool:
    """Stop the holder past its lease, wake it, and let all go on; return whether another took over meanwhile.

    None can where it was stopped inside a transaction: the database keeps others out until that has ended.
    """
    until(lambda: judge.holder()[0] in pids, "an engine holds the lease")
    name, fence = judge.holder()
    assert name is not None
    os.kill(pids[name], signal.SIGSTOP)
    try:
        took_over = happens(lambda: judge.holder()[1] > fence and judge.count(f"fence > {fence}") > 0, 10 * LENGTH_S)
    finally:
        os.kill(pids[name], signal.SIGCONT)
    seen = judge.count()
    until(lambda: judge.count() > seen + 3, "trading goes on")
    return took_over


@pytest.mark.parametrize("backend", BACKENDS)
def test_of_ten_engines_none_writes_an_intent_that_does_not_hold_the_account(
    backend: str, new_url: Callable[[str], str]
) -> None:
    url = new_url(backend)
    database = prepared(url, backend)
    database.close()
    with Database(copied(url, backend, new_url)) as copy, database, engines(url, ENGINES) as pids:
        judge, elsewhere = Judge(database), Leases(copy, "copied", length_s=LENGTH_S)
        rounds = 0
        while rounds < ROUNDS:
            rounds += stop_and_wake(judge, pids)
            with pytest.raises(LeaseError, match="these records were made elsewhere"):
                elsewhere.acquire(ACCOUNT)
        assert judge.wrong() == 0
        assert judge.holder()[1] > ROUNDS
        assert Judge(copy).count() == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_judge_would_see_an_engine_that_does_not_ask(backend: str, new_url: Callable[[str], str]) -> None:
    url = new_url(backend)
    with prepared(url, backend) as database, engines(url, 2, "careless") as pids:
        judge = Judge(database)
        for _ in range(20):
            stop_and_wake(judge, pids)
            if judge.wrong():
                return
    pytest.fail("a careless engine was stopped twenty times past its lease, and nothing was seen")


def copied(url: str, backend: str, new_url: Callable[[str], str]) -> str:
    """Copy the records as somebody would: a file's backup, a server's database restored under another name."""
    other = new_url(backend)
    if backend == "sqlite":
        source, target = (sqlite3.connect(each.removeprefix("sqlite:///")) for each in (url, other))
        source.backup(target)
        source.close()
        target.close()
        return other
    name, copy = (given.split("?")[0].rpartition("/")[2] for given in (url, other))
    engine = create_engine(url.replace(f"/{name}?", "/postgres?").replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database {copy}"))
        connection.execute(text(f"create database {copy} template {name}"))
    engine.dispose()
    return other
