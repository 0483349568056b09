"""Another process that writes to the catalogue holds up who writes, and nobody else."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.feeds.following import world_of
from tests.unit.feeds.scripted import START_NS, ScriptedProvider, pass_time, walk
from tradelab.catalog.bars import Catalog
from tradelab.catalog.tail import BarRow
from tradelab.feeds.storing import keep, keep_if_free
from tradelab.model.clock import ManualClock
from tradelab.model.errors import LockedError
from tradelab.model.units import Timeframe

ROW = BarRow("here", "EURUSD", Timeframe.M1, START_NS, 1.0, 1.0, 1.0, 1.0)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A writer of another process: a lock of the file is the same to SQLite."""
    with Catalog(tmp_path):
        pass
    connection = sqlite3.connect(tmp_path / "catalog.sqlite", isolation_level=None)
    yield connection
    connection.close()


def test_the_loop_runs_on_while_another_process_writes(tmp_path: Path, other: sqlite3.Connection) -> None:
    async def scenario() -> None:
        with Catalog(tmp_path) as catalog:
            other.execute("begin immediate")
            writing = asyncio.create_task(keep(catalog, lambda: catalog.append([ROW])))
            for _ in range(20):  # with a wait inside the call none of these turns would come before its 30 s are over
                await asyncio.sleep(0.001)
            assert not writing.done()
            other.execute("rollback")
            assert (await writing).added == 1

    asyncio.run(scenario())


def test_who_writes_for_too_long_is_named_and_nothing_is_written(tmp_path: Path, other: sqlite3.Connection) -> None:
    with Catalog(tmp_path, wait_s=0.02) as catalog:
        other.execute("begin immediate")
        with pytest.raises(LockedError, match=r"cannot append bars: another process is writing to .*Wait for it"):
            asyncio.run(keep(catalog, lambda: catalog.append([ROW])))
        assert not keep_if_free(catalog, lambda: catalog.append([ROW]))
        other.execute("rollback")
        assert keep_if_free(catalog, lambda: catalog.append([ROW]))


def test_outside_a_loop_a_write_still_waits_its_time(tmp_path: Path, other: sqlite3.Connection) -> None:
    with Catalog(tmp_path, wait_s=1.5) as catalog:
        with catalog.unwaiting():
            catalog.append([ROW])
        assert catalog._database._connection().execute("pragma busy_timeout").fetchone() == (1500,)


def test_a_feed_goes_on_once_the_other_writer_is_done(tmp_path: Path, other: sqlite3.Connection) -> None:
    async def scenario() -> None:
        provider = ScriptedProvider(ManualClock(START_NS), walk(30))
        async with world_of(tmp_path, provider) as w:
            follower = await w.follow()
            await pass_time(w.clock, 60)
            other.execute("begin immediate")
            await pass_time(w.clock, 90)
            told = len(follower.closed)
            other.execute("rollback")
            while len(follower.closed) == told:
                await asyncio.sleep(0.001)
            await pass_time(w.clock, 120)
            assert follower.closed == w.stored() == provider.bars[: len(follower.closed)]
            assert len(follower.closed) >= 4
            assert follower.error is None
            await follower.stop()

    asyncio.run(scenario())
