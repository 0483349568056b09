"""How the streams of an account stand is told: open, lost and opened again, how old the newest word is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.unit.modules.execution.world import ACCOUNT, World
from tradelab.app.daemon_views import faults_of
from tradelab.model.line import Line


def play(act: Callable[[World], Awaitable[Any]], **how: Any) -> Any:
    async def run() -> Any:
        world = await World(**how).start()
        return await act(world)

    return asyncio.run(run())


def lines(world: World) -> dict[str, Line]:
    return {line.what: line for line in world.stage.lines()}


def test_a_stream_that_is_lost_says_so_and_counts_when_it_is_opened_again() -> None:
    async def act(world: World) -> None:
        assert {what: (one.of, one.connected, one.heard_ns, one.reconnects) for what, one in lines(world).items()} == {
            "orders": (ACCOUNT, True, None, 0), "fills": (ACCOUNT, True, None, 0),
        }  # fmt: skip
        world.enter()
        await world.settle()
        now_ns = world.clock.now_ns()
        assert [one.heard_ns for one in lines(world).values()] == [now_ns, now_ns]
        world.venue.is_down = True
        world.venue.lose_streams()
        await world.settle()
        told = world.node.health()["streams"]
        assert next((one["what"], one["connected"], one["lost"]) for one in told) == ("orders", False, True)
        assert "the stream of orders of acc is lost, and is tried again" in faults_of(world.node.health())
        world.venue.is_down = False
        await world.advance(20.0)
        assert all(one.connected and one.reconnects >= 1 for one in lines(world).values()), lines(world)
        assert world.node.health()["streams"][0]["age_s"] >= 20.0
        assert not [fault for fault in faults_of(world.node.health()) if "stream" in fault]

    play(act)


def test_an_account_without_a_stream_of_orders_is_polled_and_not_lost() -> None:
    async def act(world: World) -> None:
        orders = lines(world)["orders"]
        assert (orders.connected, orders.polled, orders.is_lost) == (False, True, False)

    play(act, streams=frozenset())


def test_what_runs_beside_the_bus_is_named() -> None:
    async def act(world: World) -> None:
        workers = world.node.health()["workers"]
        assert {f"{what} of {ACCOUNT}" for what in ("fills", "orders", "money", "comparison")} <= set(
            workers["execution"]
        )

    play(act)
