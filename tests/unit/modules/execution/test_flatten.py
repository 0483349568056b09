"""Flatten: flat in the end, whatever fails on the way, never through zero, never what is somebody else's."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.modules.execution.venue import SPOT, D, instrument
from tests.unit.modules.execution.world import ACCOUNT, BOT, SYMBOL, World
from tradelab.model import messages as said
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.orders import OrderStatus, Side
from tradelab.model.states import Leg
from tradelab.spine.order_life import Phase

COINS = [f"C{n}" for n in range(50)]
KINDS: dict[str, dict[str, Any]] = {
    "reduce-only": {},
    "netting without reduce-only": {"reduce_only": False},
    "spot": SPOT,
}
FAILS = ("refuse overloaded", "refuse rate_limited 1", "lost", "mute", "raise", "late 1", "refuse bad_request")


def play(scene: Callable[[World], Awaitable[None]], *markets: Instrument, **how: Any) -> World:
    """Play a scene on a started world."""

    async def run() -> World:
        world = await World(*markets, **how).start()
        await scene(world)
        await world.kill()
        assert world.failures() == []
        return world

    return asyncio.run(run())


def markets_of(kind: str) -> list[Instrument]:
    """Fifty markets."""
    spot = InstrumentKind.SPOT if kind == "spot" else InstrumentKind.PERPETUAL
    return [instrument(coin, spot) for coin in COINS]


async def fifty(world: World) -> None:
    """Hold fifty positions, each with a stop; on margin every second one is short."""
    is_spot = not world.venue.capabilities.reduce_only and world.venue._is_spot
    for n, market in enumerate(world.markets):
        side = Side.SELL if n % 2 and not is_spot else Side.BUY
        world.enter(f"e{n}", symbol=market.symbol, side=side)
    await world.settle(300)
    for n, market in enumerate(world.markets):
        side = Side.SELL if world.held(symbol=market.symbol) > 0 else Side.BUY
        world.want(f"stop{n}", symbol=market.symbol, side=side, stop="90" if side is Side.SELL else "110")
    await world.settle(300)
    assert len(world.node.ledger.snapshot().positions) == 50


def fail_some(world: World, seed: int, share: float = 0.2) -> None:
    """Let a part of all that is asked fail, each in some way."""
    chance = random.Random(seed)
    for kind in ("submit", "cancel"):
        some = FAILS if kind == "submit" else FAILS[:5]
        world.venue.script[kind].extend(chance.choice(some) if chance.random() < share else "take" for _ in range(600))
    for read in ("order", "now_ns", "open_orders", "positions"):
        world.venue.script[read].extend("down" if chance.random() < share else "" for _ in range(600))


def require_flat(world: World) -> None:
    """Hold that nothing is held or open, and that nothing went through zero on the way."""
    assert world.node.ledger.snapshot().positions == {}
    assert all(qty == 0 for qty in world.venue.net.values())
    assert world.venue.crossed == []
    assert not [o for o in world.venue.orders.values() if o.status.is_open]
    assert {key.bot for key in world.node.ledger.snapshot().closed_rounds} <= {BOT}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_fifty_positions_are_flat_though_a_fifth_of_all_requests_fails(kind: str, seed: int) -> None:
    async def scene(world: World) -> None:
        await fifty(world)
        fail_some(world, seed)
        asked = await world.command("flatten", "f1")
        await world.until(_done(asked), 300)
        await world.advance(20, 1)
        require_flat(world)
        assert asked.result().done

    play(scene, *markets_of(kind), **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_flatten_that_was_killed_in_the_middle_is_taken_up_by_the_next_start(kind: str) -> None:
    async def scene(world: World) -> None:
        await fifty(world)
        fail_some(world, 3)
        for after_s in (0.1, 0.4, 1.3):
            if after_s == 0.1:
                await world.command("flatten", "f1")
            await world.advance(after_s, 0.1)
            await world.restart()
        for _ in range(120):
            await world.advance(1)
            if world.node.ledger.command("f1") is not None:
                break
        await world.advance(20, 1)
        require_flat(world)
        assert world.kinds().count("CommandDone") == 1

    play(scene, *markets_of(kind), **KINDS[kind])


async def _done(task: asyncio.Task[said.CommandDone]) -> None:
    await asyncio.shield(task)


def scene_of(*, kind: str = "reduce-only", **how: Any) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    """Play a scene at once."""
    market = instrument("BTC", InstrumentKind.SPOT if kind == "spot" else InstrumentKind.PERPETUAL)
    return lambda scene: void(play(scene, market, **KINDS[kind], **how))


def void(_: World) -> None:
    """Nothing more."""


def test_on_spot_a_stop_that_holds_the_units_is_taken_back_before_they_are_sold() -> None:
    @scene_of(kind="spot")
    async def scene(world: World) -> None:
        world.enter()
        await world.settle()
        world.want("stop")
        await world.settle()
        asked = await world.command("flatten", "f1")
        await world.until(_done(asked))
        sent = [c for c in world.venue.calls if c.startswith(("submit", "cancel"))][2:]
        assert sent[0] == "cancel o-stop"
        assert len(sent) == 2
        require_flat(world)


def test_on_spot_what_somebody_else_holds_is_left_alone() -> None:
    @scene_of(kind="spot")
    async def scene(world: World) -> None:
        world.venue.money["BTC"] = D(5)
        world.venue.hand(SYMBOL, Side.BUY, "2")
        world.enter()
        await world.settle()
        asked = await world.command("flatten", "f1")
        await world.until(_done(asked))
        assert (world.venue.money["BTC"], world.held()) == (D(7), D(0))


def test_on_margin_what_is_nobodys_is_closed_too_and_a_bots_scope_is_a_bots() -> None:
    @scene_of(bots=("a", "b"))
    async def scene(world: World) -> None:
        world.enter("s1", bot="a")
        world.enter("s2", bot="b")
        world.venue.hand(SYMBOL, Side.BUY, "2")
        await world.settle()
        await world.until(_done(await world.command("flatten", "f1", scope="bot a")))
        assert (world.held("a"), world.held("b"), world.held(None)) == (D(0), D(1), D(2))
        await world.until(_done(await world.command("flatten", "f2", scope=f"account {ACCOUNT}")))
        assert (world.held("b"), world.held(None), world.venue.net[SYMBOL]) == (D(0), D(0), D(0))


def test_two_bots_against_each_other_are_both_closed() -> None:
    @scene_of(bots=("a", "b"))
    async def scene(world: World) -> None:
        world.enter("s1", qty="3", bot="a")
        world.enter("s2", qty="2", bot="b", side=Side.SELL)
        await world.settle()
        await world.until(_done(await world.command("flatten", "f1")))
        assert (world.held("a"), world.held("b"), world.venue.net[SYMBOL]) == (D(0), D(0), D(0))
        assert world.venue.crossed == []


def test_a_bot_against_which_another_stands_outside_the_scope_is_closed_alone() -> None:
    @scene_of(bots=("a", "b"))
    async def scene(world: World) -> None:
        world.enter("s1", qty="3", bot="a")
        world.enter("s2", qty="2", bot="b", side=Side.SELL)
        await world.settle()
        await world.until(_done(await world.command("flatten", "f1", scope="bot a")))
        assert (world.held("a"), world.held("b"), world.venue.net[SYMBOL]) == (D(0), D(-2), D(-2))


def test_entries_are_taken_back_and_none_leaves_while_it_lasts() -> None:
    @scene_of()
    async def scene(world: World) -> None:
        world.enter("s1", price="90")
        world.enter("s2")
        await world.settle()
        world.venue.script["submit"].append("lost")
        asked = await world.command("flatten", "f1")
        late = world.enter("s3")
        await world.settle()
        assert world.order(late).phase is Phase.ABANDONED
        await world.until(_done(asked))
        assert late not in world.submits()
        assert world.venue.named("o-s1").status is OrderStatus.CANCELLED
        after = world.enter("s4")
        await world.settle()
        assert world.order(after).phase is Phase.CLOSED


def test_an_order_of_it_that_is_refused_for_the_moment_is_not_doubled() -> None:
    @scene_of(kind="netting without reduce-only")
    async def scene(world: World) -> None:
        world.enter()
        await world.settle()
        world.venue.script["submit"].append("refuse rate_limited 4")
        asked = await world.command("flatten", "f1")
        await world.until(_done(asked))
        flattening = [o for o in world.node.ledger.snapshot().orders.values() if o.intended.leg is Leg.FLATTEN]
        assert len(flattening) == 1
        require_flat(world)


def test_a_part_that_filled_is_followed_by_an_order_for_the_rest() -> None:
    @scene_of()
    async def scene(world: World) -> None:
        world.enter(qty="2")
        await world.settle()
        world.venue.pieces = [D("0.7")]
        await world.until(_done(await world.command("flatten", "f1")))
        assert [e.fill.qty for e in world.said(said.TradeExecuted) if e.leg is Leg.FLATTEN] == [D("0.7"), D("1.3")]


def test_a_position_larger_than_one_order_may_be_is_closed_in_several() -> None:
    async def scene(world: World) -> None:
        world.enter("s1", qty="2")
        world.enter("s2", qty="2")
        world.enter("s3", qty="1")
        await world.settle()
        await world.until(_done(await world.command("flatten", "f1")))
        assert [e.fill.qty for e in world.said(said.TradeExecuted) if e.leg is Leg.FLATTEN] == [D(2), D(2), D(1)]

    play(scene, instrument(max_market_qty=D(2)))


def test_what_is_too_small_to_be_traded_is_named_and_ends_it() -> None:
    @scene_of(kind="spot")
    async def scene(world: World) -> None:
        world.enter(qty="0.05")
        await world.settle()
        world.venue.script["submit"].append("refuse min_notional")
        asked = await world.command("flatten", "f1")
        await world.until(_done(asked), 10)
        assert asked.result().says == "node is flat, but for 0.05 BTC/USDT: too small to be traded"


def test_a_venue_that_refuses_every_order_raises_alarms_and_is_not_hammered() -> None:
    @scene_of()
    async def scene(world: World) -> None:
        world.enter()
        await world.settle()
        world.venue.script["submit"].extend(["refuse permission"] * 12)
        asked = await world.command("flatten", "f1")
        await world.advance(30)
        assert 5 <= len(world.submits()) <= 14
        assert [a for a in world.said(said.AlarmRaised) if a.kind == "flatten"]
        await world.until(_done(asked), 60)
        require_flat(world)


def test_a_venue_that_holds_less_than_we_believe_is_compared_with() -> None:
    @scene_of()
    async def scene(world: World) -> None:
        world.enter()
        await world.settle()
        made = world.venue.hand(SYMBOL, Side.SELL, "1", tell=False)
        world.venue.hidden_fills.add(world.venue.trades[-1].trade_id)
        assert made
        asked = await world.command("flatten", "f1")
        await world.until(_done(asked), 20)
        require_flat(world)


def test_a_position_without_a_price_waits_for_one_and_says_so_once() -> None:
    @scene_of()
    async def scene(world: World) -> None:
        world.venue.net[SYMBOL] = D(1)
        world.venue.price[SYMBOL] = D(100)
        await world.until(world.stage.reconcilers[ACCOUNT].compare())
        world.venue.script["quote"].extend(["down"] * 10)
        key = next(iter(world.node.ledger.snapshot().positions))
        held = world.node.ledger.position(key)
        asked = await world.command("flatten", "f1")
        await world.until(_done(asked), 20)
        alarms = [a.says for a in world.said(said.AlarmRaised) if a.kind == "flatten"]
        assert len(alarms) == (0 if held.entry_price else 1)
        require_flat_of_all(world)


def require_flat_of_all(world: World) -> None:
    """Hold that nothing is held, nobody's neither."""
    assert world.node.ledger.snapshot().positions == {}
    assert world.venue.net[SYMBOL] == 0


def test_a_scope_that_is_none_is_refused_and_nothing_is_closed() -> None:
    @scene_of()
    async def scene(world: World) -> None:
        world.enter()
        await world.settle()
        asked = await world.command("flatten", "f1", scope="bot nobody")
        await world.advance(5)
        assert (asked.result().done, world.held()) == (False, D(1))
        await world.restart()
        await world.advance(5)
        assert world.held() == D(1)


def test_nothing_to_close_is_done_at_once() -> None:
    @scene_of()
    async def scene(world: World) -> None:
        asked = await world.command("flatten", "f1")
        await world.settle()
        assert asked.result().says == "node is flat"
