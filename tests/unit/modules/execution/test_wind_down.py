"""The end of an engine, in many states: soon, every entry taken back, nothing unprotected that was protected."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.modules.execution.scenarios import half_filled, long_and_short, long_one, resting, then
from tests.unit.modules.execution.venue import SPOT, D, instrument
from tests.unit.modules.execution.world import ACCOUNT, BOT, SYMBOL, World
from tradelab.model import messages as said
from tradelab.model.instrument import InstrumentKind
from tradelab.model.orders import OrderStatus, OrderType, Side
from tradelab.model.states import Severity, TradingState
from tradelab.spine.order_life import Phase

Act = Callable[[World], Awaitable[None]]


async def nothing(_: World) -> None:
    """Nothing is on."""


def script(call: str, *answers: str) -> Act:
    """Let the next requests come to this."""

    async def act(world: World) -> None:
        world.venue.script[call].extend(answers)

    return act


def entry(name: str = "e1", price: str | None = "90", **more: Any) -> Act:
    """Send an entry."""

    async def act(world: World) -> None:
        world.enter(name, price=price, **more)
        await world.settle()

    return act


def command(name: str, **given: str) -> Act:
    """Ask for something."""

    async def act(world: World) -> None:
        await world.command(name, f"c {name}", **given)

    return act


async def short_one(world: World) -> None:
    """A bot is short one, protected."""
    world.enter("s1", side=Side.SELL)
    await world.settle()
    world.want("stop", side=Side.BUY, stop="110")
    await world.settle()


async def half_protected(world: World) -> None:
    """Half an entry has filled, and that half is protected."""
    await half_filled(world)
    world.want("stop", qty="0.5")
    await world.settle()


async def exit_on_its_way(world: World) -> None:
    """A target has been asked for, and not answered."""
    world.venue.script["submit"].append("wait 3")
    world.want("target", stop=None, price="120")
    await world.settle()


async def streams_are_lost(world: World) -> None:
    """Nothing is heard."""
    world.venue.lose_streams()
    await world.settle()


async def cancel_is_lost(world: World) -> None:
    """A cancel came to nothing."""
    world.venue.script["cancel"].extend(["lost", "refuse overloaded"])
    world.cancel("o-e1")
    await world.settle()


async def twenty_entries(world: World) -> None:
    """Twenty rest."""
    for n in range(20):
        world.enter(f"r{n}", price=str(60 + n))
    await world.settle(200)


async def fills_as_it_ends(world: World) -> None:
    """The stop fills, and nobody has heard of it."""
    world.venue.fill(world.venue.named("o-stop").venue_order_id, D(1), D(90), tell=False)


async def somebodys_orders(world: World) -> None:
    """A person has an order of his own."""
    world.venue.rest(SYMBOL, Side.BUY, "1", "70")
    await world.settle()


STATES: dict[str, tuple[Act, dict[str, Any]]] = {
    "nothing is on": (nothing, {}),
    "an entry rests": (resting, {}),
    "twenty entries rest": (twenty_entries, {}),
    "half an entry has filled, and is protected": (half_protected, {}),
    "long and protected": (long_one, {}),
    "short and protected": (short_one, {}),
    "long, protected, and an entry rests": (then(long_one, entry()), {}),
    "two bots against each other": (long_and_short, {"bots": ("a", "b")}),
    "an entry is on its way": (then(long_one, script("submit", "wait 2"), entry()), {}),
    "an entry is on its way and is refused": (then(long_one, script("submit", "refuse margin"), entry()), {}),
    "nobody knows of an entry that is there": (then(long_one, script("submit", "mute"), entry()), {}),
    "nobody knows of one that is not there": (then(long_one, script("submit", "lost"), entry()), {}),
    "nobody knows of one that arrives late": (then(long_one, script("submit", "late 3"), entry()), {}),
    "an entry waits to be sent again": (then(long_one, script("submit", "refuse rate_limited 2"), entry()), {}),
    "an exit is on its way": (then(long_one, exit_on_its_way), {}),
    "a cancel came to nothing": (then(long_one, entry(), cancel_is_lost), {}),
    "cancels come to nothing": (then(long_one, entry(), script("cancel", "lost", "raise", "refuse overloaded")), {}),
    "trading is halted": (then(long_one, entry(), command("halt")), {}),
    "trading is reducing": (then(long_one, entry(), command("reduce")), {}),
    "the bot is paused": (then(long_one, entry(), command("pause", bot=BOT)), {}),
    "the streams were lost": (then(long_one, entry(), streams_are_lost), {}),
    "the account is being compared": (
        then(long_one, entry(), script("open_orders", "down", "down"), streams_are_lost), {},
    ),
    "a flatten is under way": (then(long_one, script("submit", "refuse overloaded"), command("flatten")), {}),
    "the stop fills as it ends": (then(long_one, entry(), fills_as_it_ends), {}),
    "somebody has orders, too": (then(long_one, entry(), somebodys_orders), {}),
    "spot, long and protected": (
        then(long_one, entry()), SPOT | {"markets": (instrument("BTC", InstrumentKind.SPOT),)},
    ),
    "netting without reduce-only": (then(long_one, entry()), {"reduce_only": False}),
}  # fmt: skip


def stops(world: World) -> Decimal:
    """How much is protected at the venue."""
    live = [o for o in world.venue.orders.values() if o.status.is_open and o.type is OrderType.STOP]
    return sum((o.leaves_qty for o in live), D(0))


def entries(world: World) -> list[str | None]:
    """The entries that are open at the venue."""
    return [
        o.client_order_id
        for o in world.venue.orders.values()
        if o.status.is_open and o.client_order_id and world.order(o.client_order_id).intended.leg.value == "entry"
    ]


@pytest.mark.parametrize("policy", ["keep", "cancel_entries", "flatten"])
@pytest.mark.parametrize("state", STATES)
def test_an_engine_ends_within_ten_seconds_and_leaves_what_its_policy_says(state: str, policy: str) -> None:
    async def run() -> None:
        act, how = STATES[state]
        how = dict(how)
        world = await World(*how.pop("markets", ()), **how).start()
        await act(world)
        protected, there = stops(world), entries(world)
        took_s = await world.until(world.node.stop(policy), 20)
        assert took_s <= 10
        assert world.failures() == []
        assert world.kinds()[-1] == "NodeStopped"
        await world.advance(15)  # what was on its way arrives now, and nobody is there
        net = abs(world.venue.net[SYMBOL])
        if policy == "flatten":
            assert (net, world.venue.crossed) == (0, [])
        else:
            assert stops(world) >= min(protected, net)
        if policy == "keep":
            assert set(there) <= set(entries(world))
        else:
            assert entries(world) == []
        assert len(world.node._tasks) == 0

    asyncio.run(run())


def test_the_table_of_states_is_as_long_as_it_was_promised() -> None:
    assert len(STATES) >= 20


def test_by_default_each_account_does_what_its_own_table_says() -> None:
    async def run(policy: str) -> tuple[int, Decimal]:
        world = await World(accounts={ACCOUNT: {"stop_policy": policy}}).start()
        await then(long_one, entry())(world)
        await world.until(world.node.stop(), 20)
        return len(entries(world)), world.venue.net[SYMBOL]

    assert asyncio.run(run("keep")) == (1, D(1))
    assert asyncio.run(run("cancel_entries")) == (0, D(1))
    assert asyncio.run(run("flatten")) == (0, D(0))


def test_a_venue_that_is_down_ends_it_all_the_same_with_an_alarm_and_the_next_start_goes_on() -> None:
    async def run() -> None:
        world = await World().start()
        await then(long_one, entry())(world)
        world.venue.is_down = True
        assert await world.until(world.node.stop("cancel_entries"), 20) <= 10
        alarms = [a for a in world.said(said.AlarmRaised) if a.kind == "stop"]
        assert [a.severity for a in alarms] == [Severity.CRITICAL]
        world.venue.is_down = False
        await world.restart()
        await world.advance(5)
        assert entries(world) == []
        assert stops(world) == D(1)
        await world.kill()

    asyncio.run(run())


def test_nothing_that_opens_something_begins_once_it_winds_down() -> None:
    async def run() -> None:
        world = await World().start()
        await resting(world)
        world.venue.script["cancel"].extend(["lost"] * 3)
        ending = asyncio.ensure_future(world.node.stop("cancel_entries"))
        await world.settle()
        await world.command("signal", "late", bot=BOT, symbol=SYMBOL, action="enter_long")
        assert [(d.by, d.says) for d in world.said(said.SignalDropped)] == [("node", "the engine is about to end")]
        await world.advance(9)
        await ending

    asyncio.run(run())


@pytest.mark.parametrize("by", ["risk_management", "ada"])
@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.REDUCING])
def test_entries_that_rest_are_taken_back_when_trading_is_halted_whoever_has_said_so(
    state: TradingState, by: str
) -> None:
    async def run() -> None:
        world = await World().start()
        await then(long_one, entry())(world)
        changed = said.TradingStateChanged(scope=f"account {ACCOUNT}", state=state, by=by, says="a guard")
        world.node.bus.say(changed)
        await world.advance(2)
        assert entries(world) == []
        assert stops(world) == D(1)
        await world.kill()

    asyncio.run(run())


# ── a person's cancel ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_person_cancels_one_order_by_our_name_or_by_the_venues() -> None:
    async def run() -> None:
        world = await World().start()
        await then(entry("e1"), entry("e2"))(world)
        await world.command("cancel", "c1", order="o-e1")
        await world.command("cancel", "c2", order=world.venue.named("o-e2").venue_order_id, account=ACCOUNT)
        await world.advance(2)
        assert {world.order(f"o-e{n}").phase for n in (1, 2)} == {Phase.CLOSED}
        await world.kill()

    asyncio.run(run())


def test_a_person_cancels_an_order_that_is_none_of_ours() -> None:
    async def run() -> None:
        world = await World().start()
        number = world.venue.rest(SYMBOL, Side.BUY, "1", "70")
        await world.settle()
        await world.command("cancel", "c1", order=number, account=ACCOUNT)
        await world.settle()
        assert world.venue.orders[number].status is OrderStatus.CANCELLED
        assert not world.node.ledger.snapshot().foreign_orders
        await world.kill()

    asyncio.run(run())


@pytest.mark.parametrize("order", ["o-nothing", "", "o-s1"])
def test_a_cancel_of_what_is_not_open_is_refused_with_what_is(order: str) -> None:
    async def run() -> None:
        world = await World().start()
        await then(long_one, entry())(world)
        answer = await world.command("cancel", "c1", order=order)
        await world.settle()
        assert not answer.result().done
        assert ("is closed" if order == "o-s1" else "o-e1") in answer.result().says
        await world.kill()

    asyncio.run(run())
