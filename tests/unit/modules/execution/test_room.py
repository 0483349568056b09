"""An exit on spot, where the stop holds the coins: executor and monitor together, before a venue that locks them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.unit.modules.execution.venue import SPOT, D, instrument
from tests.unit.modules.execution.world import ACCOUNT, BOT, SETTINGS, START_NS, SYMBOL, World
from tradelab.model import messages as said
from tradelab.model.instrument import InstrumentKind
from tradelab.model.market import Quote
from tradelab.model.orders import OrderIntent, OrderStatus, OrderType, Side
from tradelab.model.signal import Action, DropCode, Origin, Pass, Signal
from tradelab.model.states import Severity
from tradelab.model.units import NS_PER_S
from tradelab.modules.execution.manifest import MANIFEST as EXECUTION
from tradelab.modules.execution.stage import Stage
from tradelab.modules.position_monitoring.manifest import MANIFEST as MONITORING
from tradelab.modules.position_monitoring.stage import Stage as Monitor
from tradelab.spine.config import parse_node
from tradelab.spine.node import Node, Part
from tradelab.spine.order_life import Phase
from tradelab.spine.view import SeenQuote

STOP = {"stop": "2 %"}


class Spot(World):
    """An account of coins, with both modules at work."""

    def __init__(self, exits: dict[str, Any] | None = None, *, monitored: bool = True, **can: Any) -> None:
        self.exits, self.monitored = exits if exits is not None else STOP, monitored
        super().__init__(instrument("BTC", InstrumentKind.SPOT), **{**SPOT, "modify": frozenset(), **can})

    def _made(self) -> Node:
        modules: dict[str, Any] = {"risk_management": {}, "execution": SETTINGS}
        if self.monitored:
            modules["position_monitoring"] = {"max_quote_age_s": 1e6}
        bot = {"symbols": [SYMBOL], "timeframe": "1m", "source": "src", "execution": ACCOUNT, "preset": "p"}
        preset = {"sizing": {"by": "qty", "value": "1"}, "exits": self.exits}
        self.config = parse_node({"name": "test", "modules": modules, "bots": {BOT: bot}, "presets": {"p": preset}})
        log = logging.getLogger("tests.execution")
        log.disabled = True
        parts = [Part(EXECUTION, Stage)] + [Part(MONITORING, Monitor)] * self.monitored
        return Node(
            self.config, parts, self.keeper, clock=self.clock, permit=lambda _: self.permit,
            venues={ACCOUNT: self.venue},  # type: ignore[dict-item]
            providers={}, log=log,
        )  # fmt: skip

    async def kill(self) -> None:
        """Let the process die, with all that runs in it."""
        if self.monitored:
            await self.node.stage("position_monitoring")._desk.tasks.stop()
        await super().kill()

    def quote(self, bid: str) -> None:
        """Let the market be seen to stand somewhere."""
        quote = Quote(symbol=SYMBOL, bid=D(bid), ask=D(bid) + D("0.1"), ts_ns=self.clock.now_ns())
        self.stage._desk.market.quotes[ACCOUNT, SYMBOL] = SeenQuote(quote, self.clock.now_ns())

    def leave(self, name: str = "x1", qty: str = "1", price: str | None = None) -> str:
        """Let risk management pass an exit; return the name of its order."""
        now_ns, kind = self.clock.now_ns(), OrderType.LIMIT if price else OrderType.MARKET
        signal = Signal(
            id=name, bot=BOT, symbol=SYMBOL, action=Action.EXIT_LONG, origin=Origin.STRATEGY, decided_ns=now_ns,
            expires_ns=now_ns + 60 * NS_PER_S, order_type=kind, order_price=D(price) if price else None,
        )  # fmt: skip
        intent = OrderIntent(
            client_order_id=f"o-{name}", symbol=SYMBOL, side=Side.SELL, type=kind, qty=D(qty),
            price=D(price) if price else None,
        )  # fmt: skip
        self.node.bus.say(said.SignalRaised(signal))
        told = said.RiskCalculated(bot=BOT, signal_id=name, verdict=Pass(), intent=intent, reference_price=D(100))
        self.node.bus.say(told)
        return intent.client_order_id

    def sent(self) -> list[str]:
        """Orders and cancels that were sent, by type: of what protects ``stop``, of what leaves ``exit``."""
        legs = {each.intent.client_order_id: each.leg.value for each in self.said(said.OrderIntended)}
        calls = [call.split(" ") for call in self.venue.calls if call.startswith(("submit ", "cancel "))]
        return [f"{verb} {legs[name]}" for verb, name in calls]

    def stops(self) -> list[str]:
        """Open quantity of each stop at the venue."""
        orders = self.venue.orders.values()
        return [f"{o.leaves_qty.normalize():f}" for o in orders if o.type is OrderType.STOP and o.status.is_open]

    def alarms(self) -> list[str]:
        """What a person was woken for."""
        return [a.says for a in self.said(said.AlarmRaised) if a.severity is Severity.CRITICAL]


def play(scene: Callable[[Spot], Awaitable[None]], exits: dict[str, Any] | None = None, **how: Any) -> Spot:
    """Play a scene with one coin that is held, and its stop at the venue."""

    async def run() -> Spot:
        world = Spot(exits, **how)
        await world.start()
        world.quote("100")
        world.enter()
        await world.settle()
        assert world.stops() == ([] if exits == {} or not world.monitored else ["1"])
        await scene(world)
        await world.kill()
        assert world.failures() == []
        assert world.venue.money["BTC"] >= 0 and world.venue.crossed == []
        return world

    return asyncio.run(run())


def require_left(world: Spot) -> None:
    """Hold that all of it is sold, and nothing waits."""
    assert (world.held(), world.venue.money["BTC"]) == (D(0), D(0))
    assert not [o for o in world.venue.orders.values() if o.status.is_open]


def test_what_holds_the_coins_goes_first_and_the_exit_leaves_as_soon_as_it_is_gone_and_nobody_is_woken() -> None:
    async def scene(world: Spot) -> None:
        began_ns = world.clock.now_ns()
        name = world.leave()
        await world.settle()
        assert world.clock.now_ns() == began_ns  # no time has passed: nothing waits for a clock
        assert world.sent()[2:] == ["cancel stop", "submit exit"]
        assert world.order(name).phase is Phase.CLOSED
        require_left(world)
        assert world.alarms() == [] and world.said(said.OrderRefused) == []
        assert world.said(said.PositionClosed)[0].reason == "signal"

    play(scene)


def test_where_no_stop_rests_the_exit_leaves_at_once() -> None:
    async def scene(world: Spot) -> None:
        world.leave()
        await world.settle()
        assert world.sent() == ["submit entry", "submit exit"]
        assert world.said(said.OrderAbsent) == []

    play(scene, {})


def test_without_who_looks_after_positions_the_executor_makes_room_by_itself() -> None:
    async def scene(world: Spot) -> None:
        world.want("stop")
        await world.settle()
        world.leave()
        await world.settle()
        assert world.sent()[2:] == ["cancel stop", "submit exit"]
        require_left(world)

    play(scene, monitored=False)


def test_a_part_leaves_and_the_stop_of_the_rest_stands_at_once() -> None:
    async def scene(world: Spot) -> None:
        world.leave(qty="0.4")
        await world.settle()
        assert (world.held(), world.stops(), world.alarms()) == (D("0.6"), ["0.6"], [])

    play(scene)


@pytest.mark.parametrize("answer", ["refuse bad_request", "refuse other", "refuse balance"])
def test_the_stop_is_put_back_at_once_where_the_exit_is_refused(answer: str) -> None:
    async def scene(world: Spot) -> None:
        world.venue.script["submit"].extend([answer] * (2 if "balance" in answer else 1))
        began_ns = world.clock.now_ns()
        world.leave()
        await world.settle()
        assert world.clock.now_ns() == began_ns
        assert (world.stops(), world.held()) == (["1"], D(1))
        assert len(world.alarms()) == 1
        if "balance" in answer:  # somebody had locked the coins, and may have let go: it is tried again
            await world.advance(3, 0.1)
            require_left(world)

    play(scene)


def test_an_exit_that_was_lost_is_sent_again_when_that_is_proved_and_the_rest_of_the_time_is_watched_here() -> None:
    async def scene(world: Spot) -> None:
        world.venue.script["submit"].append("lost")
        name = world.leave()
        await world.settle()
        assert world.stops() == [] and world.order(name).phase is Phase.UNKNOWN
        await world.advance(12)
        assert world.submits().count(name) == 2
        require_left(world)

    play(scene)


def test_a_stop_that_triggers_before_its_cancel_sells_and_the_exit_is_not_sent() -> None:
    async def scene(world: Spot) -> None:
        (number,) = (n for n, o in world.venue.orders.items() if o.type is OrderType.STOP)
        world.venue.script["cancel"].append("refuse order_closed")
        world.venue.fill(number, D(1), D(98))
        name = world.leave()
        await world.advance(3)
        assert name not in world.submits() and world.order(name).phase is Phase.ABANDONED
        assert world.alarms() == []
        require_left(world)

    play(scene)


def test_what_a_stop_has_left_over_is_left_all_the_same() -> None:
    async def scene(world: Spot) -> None:
        (number,) = (n for n, o in world.venue.orders.items() if o.type is OrderType.STOP)
        world.venue.script["cancel"].append("wait 1")
        name = world.leave()
        await world.settle()
        world.venue.fill(number, D("0.3"), D(98))
        await world.advance(4, 0.1)
        assert name not in world.submits()  # one coin is not there any more
        require_left(world)
        assert world.alarms() == []

    play(scene)


@pytest.mark.parametrize("cancel", ["lost", "mute", "refuse overloaded", "raise", "wait 3"])
def test_the_exit_waits_until_the_cancel_is_certain_and_is_sent_once(cancel: str) -> None:
    async def scene(world: Spot) -> None:
        world.venue.script["cancel"].append(cancel)
        name = world.leave()
        await world.advance(20)
        assert world.submits().count(name) == 1 and len(world.submits()) == 3
        require_left(world)
        assert world.alarms() == []

    play(scene)


def test_an_exit_whose_stop_the_venue_will_not_let_go_wakes_a_person_and_the_stop_stays() -> None:
    async def scene(world: Spot) -> None:
        world.venue.script["cancel"].extend(["refuse permission"] * 100)
        name = world.leave()
        await world.advance(15)
        assert world.stops() == ["1"] and name not in world.submits()
        assert any("still holds what it is to sell" in says for says in world.alarms())

    play(scene)


@pytest.mark.parametrize("kills", [("wait 3", 0.0), ("wait 3", 1.0), ("mute", 0.0), ("lost", 0.5)])
def test_killed_while_it_waits_it_is_sent_once_by_the_next_start_without_asking_for_it(
    kills: tuple[str, float],
) -> None:
    async def scene(world: Spot) -> None:
        world.venue.script["cancel"].append(kills[0])
        name = world.leave()
        await world.advance(kills[1], 0.1)
        assert name not in world.submits()
        await world.restart()
        await world.advance(15, 0.5)
        assert world.submits().count(name) == 1
        require_left(world)

    play(scene)


def test_killed_after_it_was_sent_it_is_asked_for_and_not_sent_twice() -> None:
    async def scene(world: Spot) -> None:
        world.venue.script["submit"].append("mute")
        name = world.leave()
        await world.settle(8)
        await world.restart()
        await world.advance(15)
        assert world.submits().count(name) == 1
        require_left(world)

    play(scene)


# ── a close that is to wait for its price ────────────────────────────────────────────────────────────────────────────


def test_a_close_at_a_limit_is_refused_beside_the_stop_and_told_why_and_what_to_do() -> None:
    async def scene(world: Spot) -> None:
        name = world.leave(price="110")
        await world.settle()
        (dropped,) = world.said(said.SignalDropped)
        assert (dropped.by, dropped.code) == ("execution", DropCode.LOCKED)
        assert "a limit order to close 1 BTC/USDT cannot rest beside stop " in dropped.says
        assert "Close at the market, or enter with a take profit" in dropped.says
        assert world.node.ledger.order(name) is None and world.stops() == ["1"]
        assert world.alarms() == []

    play(scene)


def test_without_a_stop_a_close_at_a_limit_rests_and_one_at_the_market_takes_its_place() -> None:
    async def scene(world: Spot) -> None:
        waits = world.leave(price="110")
        await world.settle()
        assert world.venue.named(waits).status is OrderStatus.NEW
        world.leave("x2")
        await world.settle()
        assert world.venue.named(waits).status is OrderStatus.CANCELLED
        require_left(world)
        assert world.alarms() == []

    play(scene, {})


# ── flatten ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_flatten_whose_sale_is_refused_puts_the_stop_back_in_the_same_moment_until_it_tries_again() -> None:
    async def scene(world: Spot) -> None:
        world.venue.script["submit"].extend(["refuse other", "take"] * 3)  # each sale is refused, each stop taken
        asked = await world.command("flatten", "f1")
        bare_s = longest_s = 0.0
        while not asked.done():
            await world.advance(0.1, 0.1)
            bare_s = 0.0 if world.stops() or not world.held() else bare_s + 0.1
            longest_s = max(longest_s, bare_s)
            assert world.clock.now_ns() - START_NS < 60 * NS_PER_S
        assert longest_s <= 0.35, longest_s  # one round of a flatten is 0.2 s
        assert world.sent().count("submit stop") == 4 and world.sent().count("submit flatten") == 4
        require_left(world)

    play(scene)


def test_a_flatten_that_was_killed_while_it_is_stuck_leaves_the_stop_and_goes_on() -> None:
    async def scene(world: Spot) -> None:
        world.venue.script["submit"].extend(["refuse other"])
        await world.command("flatten", "f1")
        while not world.said(said.OrderRefused):
            await world.advance(0.1, 0.1)
        assert world.stops() == ["1"]
        await world.restart()
        await world.advance(10, 0.1)
        require_left(world)

    play(scene)


def test_a_flatten_without_a_price_takes_no_stop_back() -> None:
    async def scene(world: Spot) -> None:
        world.stage.flattener._price = _no_price  # type: ignore[method-assign,assignment]
        await world.command("flatten", "f1")
        await world.advance(2)
        assert world.stops() == ["1"]

    play(scene)


async def _no_price(_: Any) -> None:
    return None
