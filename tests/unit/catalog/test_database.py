"""One SQLite file: snapshots for readers, all or nothing for writers, a newer format is refused."""

from __future__ import annotations

import sqlite3
import threading
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from tradelab.catalog import samples
from tradelab.catalog.bars import Catalog
from tradelab.catalog.database import Database
from tradelab.model.errors import StorageError
from tradelab.model.instrument import Calendar, Instrument, InstrumentKind


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


FORMAT_1 = """
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
insert into instruments values ('sample', 'EURUSD', 'USD', '0.000010', '0.01', '100000', '0.01', null, null, '24/5');
insert into instruments values ('binance', 'BTC/USDT', 'USDT', '0.01', '1E-8', '1', null, '9000', '5', '24/7');
pragma user_version=1;
"""  # as tradelab 0.1.0 made it, written down here so that no later change of ours can reach it


def format_1(folder: Path) -> Path:
    """Make a catalogue as the first format had it, with bars in segments and in the tail."""
    year = samples.load("EURUSD-1h")
    with Catalog(folder) as catalog:
        catalog.write("sample", "EURUSD", "1h", year)
        with catalog._database.reading() as connection:
            segments = connection.execute("select * from segments").fetchall()
    for file in folder.glob("catalog.sqlite*"):
        file.unlink()
    connection = sqlite3.connect(folder / "catalog.sqlite")
    connection.execute("pragma journal_mode=wal")
    connection.executescript(FORMAT_1)
    connection.execute("insert into series values (1, 'sample', 'EURUSD', 'H1', 7)")
    connection.executemany("insert into segments values (?,?,?,?,?,?,?,?)", segments)
    late = year.index[-1].value + 3_600_000_000_000
    connection.execute("insert into tail values (1, ?, 1.1, 1.2, 1.0, 1.15, null, 1)", (late,))
    connection.commit()
    connection.close()
    return folder


def test_a_catalogue_of_the_first_format_opens_and_keeps_all_it_had(tmp_path: Path) -> None:
    with Catalog(format_1(tmp_path)) as catalog:
        bars = catalog.read("sample", "EURUSD", "1h")
        pd.testing.assert_frame_equal(bars.iloc[:-1], samples.load("EURUSD-1h"), check_exact=True)
        assert bars["close"].iloc[-1] == 1.15
        assert catalog.list()["revised"].tolist() == [7]
        assert catalog.damaged() == ()
        assert catalog.instrument("sample", "EURUSD") == Instrument(
            symbol="EURUSD", venue="sample", quote="USD", tick_size=Decimal("0.00001"), qty_step=Decimal("0.01"),
            contract_size=Decimal(100_000), min_qty=Decimal("0.01"), calendar=Calendar.WEEKDAYS,
        )  # fmt: skip
        old = catalog.instrument("binance", "BTC/USDT")
    assert old is not None
    assert (str(old.qty_step), str(old.max_qty), old.kind) == ("1E-8", "9000", InstrumentKind.OTHER)


def test_a_catalogue_of_the_first_format_is_changed_once_and_then_as_a_new_one_is(tmp_path: Path) -> None:
    def tables(folder: Path) -> list[tuple[str, str, str]]:
        found = []
        with Database(folder / "catalog.sqlite", wait_s=0.05).reading() as connection:
            for (table,) in connection.execute("select name from sqlite_master where type='table' order by name"):
                columns = connection.execute(f"select name, type, dflt_value from pragma_table_info('{table}')")
                found += [(table, name, f"{kind.lower()} {default}") for name, kind, default in columns.fetchall()]
            found.append(("version", *connection.execute("pragma user_version").fetchone(), ""))
        return found

    old = format_1(tmp_path / "old")
    assert tables(old) == tables(old) == tables(tmp_path / "new")
    assert ("instruments", "price_band_up", "text None") in tables(old)


def test_two_that_open_an_old_catalogue_at_once_change_it_once(tmp_path: Path) -> None:
    path = format_1(tmp_path) / "catalog.sqlite"
    failed: list[BaseException] = []
    ready = threading.Barrier(4)

    def open_it() -> None:
        ready.wait()
        try:
            Database(path, wait_s=30.0).close()
        except BaseException as error:  # noqa: BLE001 - a thread has nobody else to tell
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
