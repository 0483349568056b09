"""Whose a fill is, and what is said of orders and fills that are told more than once, late, or out of order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from tests.unit.modules.execution.venue import D
from tests.unit.modules.execution.world import ACCOUNT, BOT, SYMBOL, World
from tradelab.model import messages as said
from tradelab.model.capabilities import Stream
from tradelab.model.orders import OrderStatus, Side
from tradelab.model.states import Leg
from tradelab.spine.order_life import Phase


def play(scene: Callable[[World], Awaitable[None]], **can: object) -> None:
    """Play a scene on a started world."""

    async def run() -> None:
        world = await World(**can).start()  # type: ignore[arg-type]
        await scene(world)
        await world.kill()
        assert world.failures() == []

    asyncio.run(run())


def test_a_fill_that_is_faster_than_the_answer_is_its_bots_and_the_answer_changes_nothing() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("wait 3")
        name = world.enter()
        await world.settle()
        world.venue.take(world.order(name).intended.intent)  # the venue has it, its answer is on the way
        await world.settle()
        assert (world.held(), world.order(name).phase) == (D(1), Phase.CLOSED)
        assert world.said(said.OrderAccepted) == []

    play(scene)


def test_a_fill_by_the_venues_name_only_is_asked_for_and_booked_as_the_bots() -> None:
    async def scene(world: World) -> None:
        world.venue.tells_ids = False
        world.venue.script["submit"].append("mute")
        name = world.enter()
        await world.advance(3)
        (executed,) = world.said(said.TradeExecuted)
        assert (executed.bot, executed.leg, world.order(name).filled_qty) == (BOT, Leg.ENTRY, D(1))

    play(scene)


def test_a_fill_waits_for_its_order_where_the_venue_knows_the_fill_first() -> None:
    async def scene(world: World) -> None:
        world.venue.tells_ids = False
        world.venue.forgotten.add("v1")
        world.venue.script["submit"].append("mute")
        world.enter()
        await world.advance(3)
        assert world.said(said.TradeExecuted) == []
        world.venue.forgotten.clear()
        await world.advance(3)
        assert [e.bot for e in world.said(said.TradeExecuted)] == [BOT]

    play(scene, streams=frozenset({Stream.FILLS}))


def test_somebodys_fill_is_nobodys_and_is_asked_for_only_while_it_may_be_ours() -> None:
    async def scene(world: World) -> None:
        world.venue.hand(SYMBOL, Side.BUY, "2")
        await world.settle()
        (executed,) = world.said(said.TradeExecuted)
        assert (executed.bot, executed.signal_id, world.held(None)) == (None, None, D(2))
        assert "order" not in world.venue.calls
        world.enter(price="90")
        await world.settle()
        world.venue.hand(SYMBOL, Side.BUY, "1")
        await world.settle()
        assert world.venue.calls.count("order") == 1
        assert (world.held(), world.held(None)) == (D(0), D(3))

    play(scene)


def test_a_venue_that_will_not_say_whose_a_fill_is_leaves_it_nobodys() -> None:
    async def scene(world: World) -> None:
        world.enter(price="90")
        await world.settle()
        world.venue.script["order"].append("refuse")
        world.venue.hand(SYMBOL, Side.BUY, "1")
        await world.settle()
        assert world.held(None) == D(1)

    play(scene)


def test_a_fill_whose_order_cannot_be_asked_for_waits_until_it_can() -> None:
    async def scene(world: World) -> None:
        world.enter(price="90")
        await world.settle()
        world.venue.script["order"].extend(["down"] * 3)
        world.venue.hand(SYMBOL, Side.BUY, "1")
        await world.settle()
        assert world.said(said.TradeExecuted) == []
        await world.advance(5)
        assert world.held(None) == D(1)

    play(scene)


def test_a_fill_that_is_told_again_by_stream_and_list_is_booked_once() -> None:
    async def scene(world: World) -> None:
        world.enter()
        await world.settle()
        for _ in range(3):
            world.venue.push("fills", world.venue.trades[0])
            await world.settle()
            await world.until(world.stage.reconcilers[ACCOUNT].compare())
        assert world.kinds().count("TradeExecuted") == 1

    play(scene)


def test_two_who_book_one_fill_at_the_same_time_book_it_once() -> None:
    async def scene(world: World) -> None:
        world.enter(price="90")
        await world.settle()
        world.venue.tells_ids = False
        fill = world.venue.fill("v1", D(1), tell=False)
        assert fill is not None
        unknown = replace(fill, venue_order_id="x9")
        booked = await asyncio.gather(*[world.stage.bookers[ACCOUNT].book(unknown) for _ in range(3)])
        assert sorted(booked) == [False, False, True]

    play(scene)


def test_a_report_that_is_late_changes_nothing_and_a_repeated_one_is_not_said() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        early = world.venue.orders["v1"]
        world.venue.fill("v1", D(1))
        await world.settle()
        rows = len(world.keeper.said)
        world.venue.push("orders", world.venue.orders["v1"])
        await world.settle()
        assert len(world.keeper.said) == rows
        world.venue.push("orders", early)
        await world.settle()
        assert world.order(name).phase is Phase.CLOSED
        assert world.order(name).told.status is OrderStatus.FILLED  # type: ignore[union-attr]

    play(scene)


def test_somebodys_order_that_is_over_when_it_is_first_seen_is_not_said() -> None:
    async def scene(world: World) -> None:
        number = world.venue.rest(SYMBOL, Side.BUY, "1", "80")
        await world.settle()
        rows = len(world.keeper.said)
        other = replace(world.venue.orders[number], venue_order_id="v99", status=OrderStatus.CANCELLED)
        assert world.stage.bookers[ACCOUNT].report(other) is False
        assert len(world.keeper.said) == rows

    play(scene)


def test_what_is_traded_is_told_once_and_again_when_it_has_changed() -> None:
    async def scene(world: World) -> None:
        listed = world.kinds().count("InstrumentListed")
        await world.restart()
        assert world.kinds().count("InstrumentListed") == listed
        world.venue.markets[SYMBOL] = replace(world.venue.markets[SYMBOL], tick_size=D("0.5"))
        await world.restart()
        assert world.kinds().count("InstrumentListed") == listed + 1
        assert world.node.ledger.snapshot().instruments[ACCOUNT, SYMBOL].tick_size == D("0.5")

    play(scene)


def test_a_fill_in_a_market_that_is_not_listed_is_not_booked_and_raises_one_alarm() -> None:
    async def scene(world: World) -> None:
        world.enter()
        await world.settle()
        old_name = replace(world.venue.trades[0], symbol="BTCUSDT")
        for _ in range(2):
            assert await world.stage.bookers[ACCOUNT].book(old_name) is False
        assert [a.about for a in world.said(said.AlarmRaised)] == ["BTCUSDT"]
        assert (world.held(), world.node.bus.is_broken) == (D(1), False)

    play(scene)


def test_what_is_held_of_a_market_that_is_gone_is_not_taken_for_closed() -> None:
    async def scene(world: World) -> None:
        world.enter()
        await world.settle()
        await world.kill()
        del world.venue.markets[SYMBOL]
        world.venue.net["BTCUSDT"] = world.venue.net.pop(SYMBOL)  # the venue tells it under another name
        await world.restart()
        await world.advance(5)
        assert (world.held(), world.is_open()) == (D(1), True)
        assert world.said(said.PositionAdjusted) == []
        assert "BTCUSDT" in [a.about for a in world.said(said.AlarmRaised)]

    play(scene)
