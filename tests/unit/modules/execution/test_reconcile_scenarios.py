"""Each story of the table, and what must hold after every one of them."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import pytest

from tests.unit.modules.execution.scenarios import SCENARIOS, Scenario, foreign_orders
from tests.unit.modules.execution.venue import D, instrument
from tests.unit.modules.execution.world import ACCOUNT, BOT, START_NS, SYMBOL, World
from tradelab.model import messages as said
from tradelab.model.account import PositionMode
from tradelab.model.messages import Recorded
from tradelab.model.orders import Side
from tradelab.model.units import NS_PER_S
from tradelab.spine.order_life import Phase

BY_NAME = {each.name: each for each in SCENARIOS}
_ONCE = ("TradeExecuted", "PositionAdjusted", "OrderReported", "OrderVanished", "OrderAccepted", "InstrumentListed")


async def told(scenario: Scenario) -> World:
    """Tell a story up to where the engine agrees with the venue again."""
    how = dict(scenario.how)
    world = await World(*how.pop("markets", ()), **how).start()
    await scenario.before(world)
    if scenario.alive:
        world.venue.lose_streams()
    else:
        await world.kill()
    await scenario.meanwhile(world)
    if not scenario.alive:
        await world.restart()
    await world.advance(12)
    return world


def require_right(world: World, scenario: Scenario) -> None:
    """Hold what must be true after every story."""
    assert world.is_open()
    assert world.failures() == []
    positions = world.node.ledger.snapshot().positions
    ours = {key.bot: held.qty for key, held in positions.items()}
    assert ours == {bot: D(qty) for bot, qty in scenario.held.items()}
    if world.venue.capabilities.position_mode is PositionMode.NONE:
        assert sum(ours.values(), D(0)) <= world.venue.money["BTC"] + D("0.01")
    else:
        assert sum(ours.values(), D(0)) == world.venue.net[SYMBOL]
    there = {fill.trade_id: fill for fill in world.venue.trades}
    booked = [each.fill for each in world.said(said.TradeExecuted)]
    assert len({fill.trade_id for fill in booked}) == len(booked)
    assert all(there[fill.trade_id] == fill for fill in booked)  # nothing that we made up is called a fill
    open_there = {o.client_order_id for n, o in world.venue.orders.items() if o.status.is_open and o.client_order_id}
    known = {o.client_order_id for n, o in world.venue.orders.items() if n not in world.venue.forgotten}
    ours_open = {n for n, o in world.node.ledger.snapshot().orders.items() if o.phase is Phase.OPEN}
    assert ours_open == open_there & known  # what protects is ours, and known to stand
    assert all(order.client_order_id is None for order in world.node.ledger.snapshot().foreign_orders.values())
    assert scenario.expect(world)


async def require_still(world: World) -> None:
    """Hold that a second pass writes nothing, and that another start books, adjusts and reports nothing again."""
    rows = len(world.keeper.said)
    assert await asyncio.wait_for(world.stage.reconcilers[ACCOUNT].compare(), 5) == ()
    assert len(world.keeper.said) == rows
    before = [kind for kind in world.kinds() if kind in _ONCE]
    held = world.node.ledger.snapshot().positions
    await world.restart()
    await world.advance(12)
    assert [kind for kind in world.kinds() if kind in _ONCE] == before
    assert world.node.ledger.snapshot().positions == held


@pytest.mark.parametrize("name", BY_NAME)
def test_after_each_story_ours_is_the_venues_and_a_second_pass_writes_nothing(name: str) -> None:
    async def run() -> None:
        world = await told(BY_NAME[name])
        require_right(world, BY_NAME[name])
        await require_still(world)
        await world.kill()

    asyncio.run(run())


def test_the_table_is_as_long_as_it_was_promised_and_every_name_is_there_once() -> None:
    assert len(BY_NAME) == len(SCENARIOS) >= 40


def test_two_hundred_orders_and_fifty_positions_are_compared_in_one_pass(capsys: pytest.CaptureFixture[str]) -> None:
    markets = [instrument(f"C{n}") for n in range(50)]

    async def run() -> float:
        world = await World(*markets).start()
        for n, market in enumerate(markets):
            world.enter(f"e{n}", symbol=market.symbol)
            for k in range(4):
                world.enter(f"r{n}-{k}", symbol=market.symbol, price=str(80 + k))
        await world.settle(400)
        assert len(world.node.ledger.snapshot().positions) == 50
        await world.kill()
        for market in markets[::2]:
            world.venue.hand(market.symbol, Side.BUY, "1", tell=False)
        began = time.perf_counter()
        await world.restart(starts=False)
        await world.node.start()
        await world.advance(3)
        took = time.perf_counter() - began
        assert world.is_open()
        open_ones = world.node.ledger.snapshot().open_orders(ACCOUNT)
        assert len(open_ones) == 200
        for market in markets:
            held = world.node.ledger.snapshot().held(ACCOUNT, market.symbol)
            assert held == world.venue.net[market.symbol]
        await world.kill()
        return took

    took = asyncio.run(run())
    with capsys.disabled():
        print(f"\n200 orders and 50 positions compared after a start in {took:.2f} s")  # noqa: T201


# ── single decisions ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_difference_that_is_gone_at_the_second_look_is_not_taken_over() -> None:
    async def run() -> None:
        world = await World().start()
        world.venue.net[SYMBOL] += 1  # the position is told before its fill
        work = asyncio.ensure_future(world.stage.reconcilers[ACCOUNT].compare())
        await world.settle()
        world.venue.net[SYMBOL] -= 1
        await world.advance(3)
        assert await work == ()
        assert world.said(said.PositionAdjusted) == []
        await world.kill()

    asyncio.run(run())


def test_a_fill_that_an_order_tells_of_is_waited_for_before_anything_is_taken_over() -> None:
    async def run() -> None:
        world = await World().start()
        world.enter("s1", price="90")
        await world.settle()
        made = world.venue.fill("v1", D(1), tell=False)
        assert made is not None
        world.venue.hidden_fills.add(made.trade_id)
        work = asyncio.ensure_future(world.stage.reconcilers[ACCOUNT].compare())
        await world.advance(2.5)
        assert world.said(said.PositionAdjusted) == []
        world.venue.hidden_fills.clear()
        await world.advance(2)
        await work
        assert (world.held(), world.said(said.PositionAdjusted)) == (D(1), [])
        await world.kill()

    asyncio.run(run())


def test_a_fill_that_never_comes_is_taken_over_in_the_end_and_one_that_comes_after_is_counted_once() -> None:
    async def run() -> None:
        world = await World().start()
        world.enter("s1", price="90")
        await world.settle()
        made = world.venue.fill("v1", D(1), tell=False)
        assert made is not None
        world.venue.hidden_fills.add(made.trade_id)
        await world.until(world.stage.reconcilers[ACCOUNT].compare())
        assert [(a.bot, a.qty) for a in world.said(said.PositionAdjusted)] == [(None, D(1))]
        world.venue.push("fills", made)  # the stream tells it, late
        await world.advance(3)
        assert (world.held(), world.held(None)) == (D(1), D(0))
        await world.kill()

    asyncio.run(run())


def test_an_order_is_given_up_as_vanished_only_when_it_was_asked_for_twice() -> None:
    async def run() -> None:
        world = await World().start()
        world.enter("s1", price="90")
        await world.settle()
        world.venue.forgotten.add("v1")
        work = asyncio.ensure_future(world.stage.reconcilers[ACCOUNT].compare())
        await world.settle()
        world.venue.forgotten.clear()
        await world.advance(3)
        await work
        assert world.order("o-s1").phase is Phase.OPEN
        await world.kill()

    asyncio.run(run())


def test_an_account_that_never_stands_still_is_not_said_to_agree() -> None:
    async def run() -> None:
        world = await World().start()
        world.venue.net[SYMBOL] = D(1)
        work = asyncio.ensure_future(world.stage.reconcilers[ACCOUNT].until_done())
        for n in range(2, 40):
            world.venue.net[SYMBOL] = Decimal(n)
            await world.advance(0.7)
        assert not work.done()
        assert not world.is_open()
        await world.advance(60, 1)
        assert world.is_open()
        await work
        await world.kill()

    asyncio.run(run())


def test_fills_are_read_from_a_day_before_the_last_one_and_no_longer_from_the_first_day() -> None:
    async def run() -> None:
        world = await World().start()
        asked: list[int] = []
        real = world.venue.fills

        async def fills(since_ns: int, symbol: str | None = None) -> object:
            asked.append(since_ns)
            return await real(since_ns, symbol)

        world.venue.fills = fills  # type: ignore[method-assign, assignment]
        await world.clock.advance(10 * 86_400)
        world.enter()
        await world.settle()
        await world.until(world.stage.reconcilers[ACCOUNT].compare())
        assert asked[-1] == START_NS + 9 * 86_400 * NS_PER_S
        await world.kill()

    asyncio.run(run())


def test_somebodys_orders_are_told_once_and_taken_for_nobodys() -> None:
    async def run() -> None:
        world = await World().start()
        await foreign_orders(world)
        await world.settle()
        found = await world.stage.reconcilers[ACCOUNT].compare()
        rows = len(world.keeper.said)
        assert (len(found), world.held(), world.held(None)) == (0, D(0), D(0))  # the stream had told of them
        assert await world.stage.reconcilers[ACCOUNT].compare() == ()
        assert len(world.keeper.said) == rows
        await world.kill()

    asyncio.run(run())


def test_a_position_in_a_market_that_is_not_listed_raises_one_alarm() -> None:
    async def run() -> None:
        world = await World().start()
        world.venue.net["XYZ/USDT"] += 3
        for _ in range(3):
            await world.until(world.stage.reconcilers[ACCOUNT].compare())
        assert [a.about for a in world.said(said.AlarmRaised)] == ["XYZ/USDT"]
        world.venue.markets["NEW/USDT"] = instrument("NEW")
        world.venue.net["NEW/USDT"] += 2  # listed since the start: it is learnt
        await world.until(world.stage.reconcilers[ACCOUNT].compare())
        assert world.held(None, "NEW/USDT") == D(2)
        await world.kill()

    asyncio.run(run())


def test_a_start_folds_what_was_taken_over_before_as_it_was() -> None:
    async def run() -> None:
        world = await World().start()
        world.venue.hand(SYMBOL, Side.BUY, "2")
        await world.advance(1)
        first: list[Recorded[said.Message]] = list(world.keeper.said)
        await world.restart()
        assert world.keeper.said[: len(first)] == first
        assert (world.held(None), world.held(BOT)) == (D(2), D(0))
        await world.kill()

    asyncio.run(run())
