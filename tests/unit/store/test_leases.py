"""One engine at a time may send orders to an account; who is not it is refused where the intent would be kept."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tradelab.model.clock import ManualClock
from tradelab.model.errors import LeaseError, UnknownNameError
from tradelab.store.database import Database
from tradelab.store.leases import Lease, Leases, machine_id


class World:
    """Engines that share one database and one clock; on PostgreSQL, whose clock is its own, time passes by hand."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = ManualClock(1_000_000_000)

    def engine(self, name: str, *, machine: str = "here") -> Leases:
        return Leases(self.database, name, length_s=15, clock=self.clock, machine=lambda: machine)

    def pass_s(self, seconds: float) -> None:
        if self.database.is_sqlite:
            self.clock = ManualClock(self.clock.now_ns() + int(seconds * 1e9))
        else:  # every lease is older by so much
            with self.database.writing("let time pass") as connection:
                connection.execute(text("update leases set until_ns = until_ns - :ns"), {"ns": int(seconds * 1e9)})

    def require(self, engine: Leases, lease: Lease) -> None:
        with self.database.writing("keep an intent") as transaction:
            engine.require(transaction, lease)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def test_one_engine_has_the_account_and_another_is_told_who_it_is(world: World) -> None:
    lease = world.engine("a").acquire("paper")
    assert (lease.account, lease.holder, lease.fence) == ("paper", "a", 1)
    with pytest.raises(LeaseError, match=r"account 'paper' is traded by a until 15 s from now\. Stop that engine"):
        world.engine("b").acquire("paper")
    assert world.engine("b").acquire("other").fence == 1


def test_who_is_silent_for_too_long_loses_it_and_the_number_counts_up(world: World) -> None:
    first = world.engine("a").acquire("paper")
    world.pass_s(15.1)
    second = world.engine("b").acquire("paper")
    assert (second.holder, second.fence) == ("b", 2)
    for refused in (lambda: world.engine("a").renew(first), lambda: world.require(world.engine("a"), first)):
        with pytest.raises(LeaseError, match="the lease of account 'paper' was lost: it is held by b"):
            refused()
    world.require(world.engine("b"), second)


def test_an_engine_that_was_away_and_came_back_has_another_number_than_before(world: World) -> None:
    before = world.engine("a").acquire("paper")
    again = world.engine("a").acquire("paper")
    assert again.fence == 2
    with pytest.raises(LeaseError, match="was lost"):
        world.require(world.engine("a"), before)


def test_renewing_prolongs_it(world: World) -> None:
    engine = world.engine("a")
    lease = engine.acquire("paper")
    for _ in range(3):
        world.pass_s(10)
        lease = world.engine("a").renew(lease)
        world.require(world.engine("a"), lease)
    assert lease.fence == 1


def test_a_lease_whose_time_is_over_and_that_nobody_took_is_prolonged_where_it_is_shown(world: World) -> None:
    lease = world.engine("a").acquire("paper")
    world.pass_s(16)
    with world.database.writing("keep an intent") as transaction:
        shown = world.engine("a").require(transaction, lease)
    assert (shown.fence, shown.until_ns > lease.until_ns - int(16e9)) == (1, True)
    with pytest.raises(LeaseError, match="is traded by a until"):
        world.engine("b").acquire("paper")


def test_of_many_who_want_an_account_that_nobody_ever_had_one_gets_it(url: str) -> None:
    told: list[str] = []

    def want(database: Database, name: str) -> None:
        try:
            told.append(f"fence {Leases(database, name).acquire('new').fence}")
        except LeaseError:
            told.append("refused")

    with Database(url) as database:
        engines = [threading.Thread(target=want, args=(database, f"engine{n}")) for n in range(6)]
        for engine in engines:
            engine.start()
        for engine in engines:
            engine.join()
    assert sorted(told) == ["fence 1", *["refused"] * 5]


def test_given_back_it_is_anybodys_at_once(world: World) -> None:
    engine = world.engine("a")
    lease = engine.acquire("paper")
    engine.release(lease)
    with pytest.raises(LeaseError, match="it is held by nobody"):
        world.require(engine, lease)
    assert world.engine("b").acquire("paper").fence == 2


def test_what_was_lost_is_not_given_back_for_who_has_it_now(world: World) -> None:
    first = world.engine("a").acquire("paper")
    world.pass_s(16)
    second = world.engine("b").acquire("paper")
    world.engine("a").release(first)
    world.require(world.engine("b"), second)


def test_nothing_of_a_transaction_is_kept_that_shows_a_lost_lease(world: World) -> None:
    lease = world.engine("a").acquire("paper")
    world.pass_s(16)
    world.engine("b").acquire("paper")
    with pytest.raises(LeaseError), world.database.writing("keep an intent") as transaction:
        transaction.execute(text("insert into journal_heads (node, seq, digest) values ('x', 0, '')"))
        world.engine("a").require(transaction, lease)
    with world.database.reading() as connection:
        assert connection.scalar(text("select count(*) from journal_heads")) == 0


def test_a_lease_that_was_taken_here_is_not_adopted_away_from_who_holds_it(world: World) -> None:
    lease = world.engine("a").acquire("paper")
    world.engine("b").adopt("paper")
    world.require(world.engine("a"), lease)


def test_an_account_that_was_never_leased_cannot_be_adopted(world: World) -> None:
    world.engine("a").acquire("paper")
    with pytest.raises(UnknownNameError, match="no leased account named 'papr'; did you mean 'paper'"):
        world.engine("a").adopt("papr")


# ── copies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def refused_then_adopted(copy: Database, machine: str = "here") -> None:
    engine = Leases(copy, "b", clock=ManualClock(10**15), machine=lambda: machine)  # long after the lease was over
    with pytest.raises(LeaseError, match=r"these records were made elsewhere .*tradelab lease adopt paper"):
        engine.acquire("paper")
    engine.adopt("paper")
    assert engine.acquire("paper").fence == 2


def file_of(tmp_path: Path, name: str = "records.sqlite") -> Database:
    return Database(f"sqlite:///{tmp_path}/{name}")


def test_a_copied_file_is_refused_until_somebody_says_that_the_first_is_gone(tmp_path: Path) -> None:
    with file_of(tmp_path) as database:
        Leases(database, "a", clock=ManualClock(), machine=lambda: "here").acquire("paper")
        with sqlite3.connect(tmp_path / "records.sqlite") as raw, sqlite3.connect(tmp_path / "copy.sqlite") as copy:
            raw.backup(copy)
        raw.close()
        copy.close()
    with file_of(tmp_path, "copy.sqlite") as copied:
        refused_then_adopted(copied)


def test_a_copy_put_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with file_of(tmp_path) as database:
        Leases(database, "a", clock=ManualClock(), machine=lambda: "here").acquire("paper")
    shutil.copy(tmp_path / "records.sqlite", tmp_path / "backup")
    shutil.move(tmp_path / "backup", tmp_path / "records.sqlite")
    with file_of(tmp_path) as restored:
        refused_then_adopted(restored)


def test_the_same_file_on_another_machine_is_refused(tmp_path: Path) -> None:
    with file_of(tmp_path) as database:
        Leases(database, "a", clock=ManualClock(), machine=lambda: "here").acquire("paper")
        refused_then_adopted(database, machine="there")


def test_records_that_are_moved_away_under_an_engine_let_it_keep_nothing_more(tmp_path: Path) -> None:
    with file_of(tmp_path) as database:
        engine = Leases(database, "a", machine=lambda: "here")
        lease = engine.acquire("paper")
        moved = Leases(database, "a", machine=lambda: "there")
        with pytest.raises(LeaseError, match="these records were moved"), database.writing("x") as transaction:
            moved.require(transaction, lease)


def test_a_file_opened_through_a_link_is_the_same_file(tmp_path: Path) -> None:
    with file_of(tmp_path) as database:
        lease = Leases(database, "a").acquire("paper")
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "records.sqlite")
    with file_of(tmp_path, "link.sqlite") as linked:
        assert Leases(linked, "a").renew(lease).fence == 1


def test_a_path_however_long_finds_room(tmp_path: Path) -> None:
    folder = tmp_path / ("f" * 200)
    folder.mkdir()
    with file_of(folder) as database:
        assert Leases(database, "a", machine=lambda: "m" * 64).acquire("paper").fence == 1


def test_a_dumped_and_restored_server_database_is_refused(new_url: Callable[[str], str]) -> None:
    url, other = new_url("postgresql"), new_url("postgresql")
    with Database(url) as database:
        Leases(database, "a").acquire("paper")
    name, copy = (given.split("?")[0].rpartition("/")[2] for given in (url, other))
    engine = create_engine(url.replace(f"/{name}?", "/postgres?").replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"drop database {copy}"))
        connection.execute(text(f"create database {copy} template {name}"))  # what dump and restore come to
        connection.execute(text(f"update pg_database set datallowconn = true where datname = '{copy}'"))
    engine.dispose()
    with Database(other) as copied:
        refused_then_adopted(copied)


def test_a_server_tells_where_it_is_to_who_is_no_superuser_too(new_url: Callable[[str], str]) -> None:
    url = new_url("postgresql")
    with Database(url) as database:
        with database.writing("make a user") as connection:
            name = f"plain_{url.split('?')[0].rpartition('/')[2]}"
            connection.execute(text(f"create role {name} login"))
            connection.execute(text(f"grant all on all tables in schema public to {name}"))
        mine = Leases(database, "a").acquire("paper")
        with Database(url.replace("tests@", f"{name}@")) as plain:
            assert Leases(plain, "a").renew(mine).fence == 1
        with database.writing("unmake it") as connection:
            connection.execute(text(f"drop owned by {name}"))
            connection.execute(text(f"drop role {name}"))


def test_this_machine_has_a_name_and_keeps_it() -> None:
    assert machine_id() == machine_id() != ""
