"""A dead-man's switch is begun anew while the engine lives, takes back entries alone, and is used nowhere else.

The venue here is a double whose switch does what OKX documents of its own: it cancels what carries the tag. No venue
was ever asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.modules.execution.venue import D, ScriptedVenue
from tests.unit.modules.execution.world import ACCOUNT, World
from tradelab.model import messages as said
from tradelab.model.capabilities import DeadMan
from tradelab.model.errors import ConfigError, ConnectivityError
from tradelab.model.orders import OrderRef
from tradelab.model.units import NS_PER_S
from tradelab.spine.order_life import Phase

SWITCH = DeadMan(shortest_s=10, longest_s=120, least_gap_s=1.0)


class Switched(ScriptedVenue):
    """A venue that takes entries back when it has not been asked for so long."""

    armed: list[int]

    async def arm_dead_man(self, seconds: int) -> None:
        """Begin the countdown anew."""
        if self.is_down:
            raise ConnectivityError("no answer")
        self.armed.append(seconds)
        self.fires_ns = self.clock.now_ns() + seconds * NS_PER_S if seconds else None
        asyncio.get_running_loop().create_task(self._count(self.fires_ns))

    async def _count(self, fires_ns: int | None) -> None:
        if fires_ns is None:
            return
        await self.clock.sleep((fires_ns - self.clock.now_ns()) / NS_PER_S)
        if self.fires_ns == fires_ns:
            for order in [one for one in self.orders.values() if one.status.is_open and not one.reduce_only]:
                self._cancel(OrderRef(symbol=order.symbol, venue_order_id=order.venue_order_id))


def play(act: Callable[[World, Switched], Awaitable[Any]], seconds: int = 60) -> Any:
    async def run() -> Any:
        world = World(accounts={ACCOUNT: {"dead_man_s": seconds}}, dead_man=SWITCH)
        venue = Switched(world.clock, world.markets, dead_man=SWITCH)
        venue.armed = []
        world.venue = venue
        world.node = world._made()
        await world.start()
        return await act(world, venue)

    return asyncio.run(run())


def alarms(world: World) -> list[str]:
    return [one.says for one in world.said(said.AlarmRaised) if one.kind == "dead_man"]


def test_it_is_begun_anew_four_times_before_it_would_fire() -> None:
    async def act(world: World, venue: Switched) -> None:
        assert venue.armed == [60]
        await world.advance(150.0)
        assert venue.armed == [60] * 11  # at 0, 15, … 150 s
        assert alarms(world) == []

    play(act)


def test_of_an_engine_that_died_entries_are_taken_back_and_what_protects_stays() -> None:
    async def act(world: World, venue: Switched) -> None:
        world.enter("in", "1")
        await world.settle()
        stop, entry = world.want("stop"), world.enter("later", "1", "90")
        await world.settle()
        assert {world.order(stop).phase, world.order(entry).phase} == {Phase.OPEN}
        await world.kill()
        await world.clock.advance(61.0)
        world.node = world._made()
        await world.start()
        assert world.order(stop).phase is Phase.OPEN
        assert world.order(entry).phase is Phase.CLOSED
        assert (world.held(), venue.net["BTC/USDT"]) == (D(1), D(1))

    play(act)


def test_when_the_venue_was_away_for_too_long_the_account_is_compared_again() -> None:
    async def act(world: World, venue: Switched) -> None:
        entry = world.enter("later", "1", "90")
        await world.settle()
        venue.is_down = True
        await world.advance(80.0)
        assert [says.partition(":")[0] for says in alarms(world)] == [
            "it could not be begun anew, and fires within 60 s"
        ], "once, however often it is tried"
        venue.is_down = False
        await world.advance(40.0)
        assert alarms(world)[-1] == "it was begun anew: what would have opened positions may be gone"
        assert world.order(entry).phase is Phase.CLOSED
        assert venue.armed[-1] == 60

    play(act)


def test_an_orderly_end_disarms_it_so_that_what_was_kept_on_purpose_stays() -> None:
    async def act(world: World, venue: Switched) -> None:
        entry = world.enter("later", "1", "90")
        await world.settle()
        stopping = asyncio.ensure_future(world.node.stop("keep"))
        await world.settle()
        await world.advance(1.0)
        await stopping
        assert venue.armed[-1] == 0
        await world.clock.advance(300.0)
        assert venue.orders[world.order(entry).venue_order_id or ""].status.is_open

    play(act)


def test_who_has_lost_the_lease_neither_renews_nor_ends_it() -> None:
    async def act(world: World, venue: Switched) -> None:
        world.permit.is_lost = True
        await world.advance(100.0)
        await world.stage.stop()
        assert venue.armed == [60], "the engine that has the lease now does that"

    play(act)


@pytest.mark.parametrize(
    ("table", "can", "says"),
    [
        ({"dead_man_s": 60}, {}, "scripted has no dead-man's switch that is known to spare protective stops"),
        ({"dead_man_s": 5}, {"dead_man": SWITCH}, "dead_man_s=5 is not what scripted takes. Allowed: 10 to 120"),
    ],
)
def test_a_venue_whose_switch_would_take_stops_too_is_refused_before_anything_starts(
    table: dict[str, Any], can: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        World(accounts={ACCOUNT: table}, **can)


def test_it_is_off_where_nobody_asked_for_it() -> None:
    async def run() -> None:
        world = World(dead_man=SWITCH)  # the double has no such method: it would fail
        await world.start()
        await world.advance(60.0)

    asyncio.run(run())
