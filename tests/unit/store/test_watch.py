"""The background check tests what is in use, one test each at a time, and outlives whatever a test does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.store.world import Clock, find_provider
from tradelab.model.errors import StorageError
from tradelab.model.ports import ConnectionTest
from tradelab.store.connections import Connections
from tradelab.store.records import Connection, Status
from tradelab.store.watch import HealthWatch

GOOD = ConnectionTest(True, "", 3.0)


def make(connections: Connections, *names: str) -> None:
    """Active connections."""
    for name in names:
        login = {"api_key": "k-123456", "secret": "s-123456"}
        connections.create(name, "ccxt:binance", purposes=["data"], credentials=login)
        connections.end_test(connections.begin_test(name), GOOD)
        connections.activate(name)


def answering(result: ConnectionTest = GOOD) -> Callable[[Connection], Awaitable[ConnectionTest]]:
    async def test(_: Connection) -> ConnectionTest:
        return result

    return test


def sweep(watch: HealthWatch) -> dict[str, Status]:
    return {connection.name: connection.status for connection in asyncio.run(watch.sweep())}


def test_active_ones_and_those_in_error_are_tested_and_inactive_ones_are_left_alone(connections: Connections) -> None:
    make(connections, "used", "wrong", "off")
    connections.mark_error("wrong", "no answer")
    connections.deactivate("off")
    assert sweep(HealthWatch(connections, answering())) == {"used": Status.ACTIVE, "wrong": Status.ACTIVE}
    assert [len(connections.tests(name)) for name in ("used", "wrong", "off")] == [2, 2, 1]


def test_a_failure_that_passes_is_an_error_meanwhile_and_takes_nothing_out_of_use(connections: Connections) -> None:
    make(connections, "main")
    assert sweep(HealthWatch(connections, answering(ConnectionTest(False, "no answer")))) == {"main": Status.ERROR}
    assert connections.get("main").resumes
    assert sweep(HealthWatch(connections, answering())) == {"main": Status.ACTIVE}


def test_what_the_venue_refused_is_activated_again_by_a_person_only(connections: Connections) -> None:
    make(connections, "main")
    refused = ConnectionTest(False, "no such key", refused=True)
    assert sweep(HealthWatch(connections, answering(refused))) == {"main": Status.ERROR}
    assert not connections.get("main").resumes
    assert sweep(HealthWatch(connections, answering())) == {"main": Status.INACTIVE}
    assert connections.activate("main").status is Status.ACTIVE


def test_a_failing_test_is_a_result_and_the_others_go_on(connections: Connections) -> None:
    make(connections, "a", "b", "c", "d")

    async def test(connection: Connection) -> ConnectionTest:
        if connection.name == "a":
            raise ConnectionError("refused for key s-123456")
        if connection.name == "b":
            return ConnectionTest(False, "no such key")
        if connection.name == "c":
            await asyncio.Event().wait()
        return GOOD

    found = sweep(HealthWatch(connections, test, timeout_s=0.05))
    assert found == {"a": Status.ERROR, "b": Status.ERROR, "c": Status.ERROR, "d": Status.ACTIVE}
    assert [connections.get(name).error for name in "abcd"] == [
        "ConnectionError: refused for key ****",
        "no such key",
        "no answer within 0.05 s",
        None,
    ]


def test_one_connection_is_never_tested_twice_at_once(
    connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    make(connections, "main")
    running, most = 0, 0

    async def test(_: Connection) -> ConnectionTest:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return GOOD

    watch = HealthWatch(connections, test)

    async def together() -> list[tuple[Connection, ...]]:
        return await asyncio.gather(*(watch.sweep() for _ in range(6)))

    with caplog.at_level(logging.WARNING):
        done = asyncio.run(together())
    assert most == 1
    assert sum(map(len, done)) == len(connections.tests("main")) - 1 >= 1
    assert all("is being tested" in record.getMessage() for record in caplog.records)


def test_only_so_many_are_tested_at_once(connections: Connections) -> None:
    make(connections, *"abcdef")
    running, most = 0, 0
    pair = asyncio.Barrier(2)

    async def test(_: Connection) -> ConnectionTest:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await pair.wait()  # no test ends before a second one runs beside it
        running -= 1
        return GOOD

    assert set(sweep(HealthWatch(connections, test, at_once=2)).values()) == {Status.ACTIVE}
    assert most == 2


def test_a_result_for_a_connection_that_was_changed_meanwhile_is_dropped(
    connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    make(connections, "a", "b")

    async def test(connection: Connection) -> ConnectionTest:
        if connection.name == "a":
            connections.deactivate("a")
            connections.delete("a")
        else:
            connections.update("b", settings={"leverage": 2})
        return GOOD

    with caplog.at_level(logging.WARNING):
        assert sweep(HealthWatch(connections, test)) == {}
    assert connections.get("b").status is Status.INACTIVE
    told = sorted(record.getMessage().partition(":")[0] for record in caplog.records)
    assert told == ["connection 'a' was not tested", "connection 'b' was not tested"]


class EnoughError(Exception):
    """Ends an endless watch."""


def test_the_pauses_have_jitter_and_a_failing_database_does_not_end_the_watch(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make(connections, "main")
    pauses: list[float] = []
    factors = iter([0.9, 1.0, 1.15, 1.0])
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return next(factors)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            raise EnoughError

    real, calls = connections.list, []

    def list_() -> tuple[Connection, ...]:
        calls.append(1)
        if len(calls) == 2:
            raise StorageError("the database is away.")
        return real()

    monkeypatch.setattr(connections, "list", list_)
    watch = HealthWatch(connections, answering(), every_s=100, jitter=0.2, sleep=sleep, uniform=uniform)
    with caplog.at_level(logging.WARNING), pytest.raises(EnoughError):
        asyncio.run(watch.run())
    assert pauses == pytest.approx([90.0, 100.0, 115.0, 100.0])
    assert set(asked) == {(0.8, 1.2)}
    assert len(connections.tests("main")) == 3  # before the watch, and twice in it
    assert [record.getMessage() for record in caplog.records] == ["connections were not tested: the database is away."]


def test_a_watch_that_is_cancelled_ends_and_its_test_ends_by_itself(connections: Connections, clock: Clock) -> None:
    make(connections, "main")

    async def cancel() -> None:
        began = asyncio.Event()

        async def test(_: Connection) -> ConnectionTest:
            began.set()
            await asyncio.Event().wait()
            return GOOD

        async def at_once(_: float) -> None: ...

        task = asyncio.create_task(HealthWatch(connections, test, sleep=at_once).run())
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    with pytest.raises(StorageError, match="is being tested"):
        connections.begin_test("main")
    clock.pass_s(121)
    assert Connections(connections.database, find_provider, clock=clock).begin_test("main")
