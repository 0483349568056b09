"""Stop the holder of a lease past its end, wake it, and see in the database that only holders wrote intents.

Ten engines, each a process of its own, want one account; meanwhile somebody tries to trade a copy of their records.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.e2e.lease_engines import ACCOUNT, LENGTH_S
from tests.store_fixtures import create, drop, name_in
from tradelab.model.errors import LeaseError, StorageError
from tradelab.store.database import Database
from tradelab.store.leases import Leases

ENGINES = 10
PATIENCE_S = 120
PASSED_S = 5 * LENGTH_S  # by then another has taken over, if it can at all
_SCRIPT = Path(__file__).parents[1] / "e2e" / "lease_engines.py"
_SERIAL = {True: "integer primary key autoincrement", False: "bigserial primary key"}


@dataclass(frozen=True)
class World:
    """What came of some rounds: intents of who held nothing, and engines that a copy of the records let in."""

    rounds: int
    intents: int
    fences: int
    wrong: int
    let_in: int
    not_taken: int  # stops in which nobody could take over: the holder stood inside a transaction

    @property
    def is_right(self) -> bool:
        """Whether nobody wrote who did not hold, the copy let nobody in, and each round had another holder."""
        return self.wrong == self.let_in == 0 and self.fences >= self.rounds


@contextlib.contextmanager
def engines(url: str, count: int, *words: str) -> Iterator[dict[str, int]]:
    """Let engines run; their process ids by name."""
    command = [sys.executable, str(_SCRIPT), url, str(count), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdout is not None
        try:
            yield json.loads(nursery.stdout.readline())
        finally:
            nursery.communicate()


def happens(told: Callable[[], bool], within_s: float) -> bool:
    """Whether something becomes true in time."""
    deadline = time.monotonic() + within_s
    while not told():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def until(told: Callable[[], bool], what: str) -> None:
    """Wait for something that must become true."""
    assert happens(told, PATIENCE_S), f"waited too long until {what}"


class Judge:
    """Looks at the database from outside."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def holder(self) -> tuple[str | None, int]:
        """Who holds the lease, and under which number."""
        ((holder, fence),) = self._rows("select holder, fence from leases")
        return holder, fence

    def count(self, where: str = "1 = 1") -> int:
        """How many intents were kept."""
        ((count,),) = self._rows(f"select count(*) from intents where {where}")
        return int(count)

    def wrong(self) -> int:
        """Intents of who did not hold the lease: by what stood in the transaction, or by a number that went back."""
        stood = self.count("holder <> held_by or fence <> held_fence")
        fences = [fence for (fence,) in self._rows("select fence from intents order by id")]
        return stood + sum(later < earlier for earlier, later in itertools.pairwise(fences))

    def _rows(self, query: str) -> list[Any]:
        """Read, again and again: who was stopped may hold the lock that SQLite takes for the shortest of times."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self.database.reading() as connection:
                    return list(connection.execute(text(query)).all())
            except StorageError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def prepared(url: str) -> Database:
    """Open records with the judge's table, and a lease that was held once and given back."""
    database = Database(url)
    with database.writing("make the judge's table") as connection:
        columns = "holder varchar(64), fence bigint, held_by varchar(64), held_fence bigint"
        connection.execute(text(f"create table intents (id {_SERIAL[database.is_sqlite]}, {columns})"))
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
        took_over = happens(lambda: judge.holder()[1] > fence and judge.count(f"fence > {fence}") > 0, PASSED_S)
    finally:
        os.kill(pids[name], signal.SIGCONT)
    seen = judge.count()
    until(lambda: judge.count() > seen + 3, "trading goes on")
    return took_over


def play(url: str, copy_url: str, rounds: int) -> World:
    """Play so many rounds in which another took over; the copy was made before they began."""
    with Database(copy_url) as copy, Database(url) as database, engines(url, ENGINES) as pids:
        judge, elsewhere = Judge(database), Leases(copy, "copied", length_s=LENGTH_S)
        played = not_taken = let_in = 0
        while played < rounds:
            took_over = stop_and_wake(judge, pids)
            played += took_over
            not_taken += not took_over
            try:
                elsewhere.acquire(ACCOUNT)
                let_in += 1
            except LeaseError as error:
                assert "these records were made elsewhere" in str(error)
        copied = Judge(copy).count()
        return World(played, judge.count(), judge.holder()[1], judge.wrong(), let_in + copied, not_taken)


def copied(url: str, server: str) -> str:
    """Copy the records as somebody would: a file's backup, a server's database restored under another name."""
    if url.startswith("sqlite"):
        other = f"{url}-copy"
        source, target = (sqlite3.connect(each.removeprefix("sqlite:///")) for each in (url, other))
        source.backup(target)
        source.close()
        target.close()
        return other
    return create(server, name_in(url))


def a_world(server: str, folder: Path, rounds: int) -> World:
    """Make records and their copy, play, and take the databases away again; without a server it is a file."""
    url = create(server) if server else f"sqlite:///{folder}/records.sqlite"
    prepared(url).close()
    copy = copied(url, server)
    try:
        return play(url, copy, rounds)
    finally:
        for each in (url, copy) if server else ():
            drop(server, each)
