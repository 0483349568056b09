"""Fill entries in pieces while the venue refuses, delays and forgets, and the engine is killed: nothing is sold twice.

The venue is a fake that counts; bus, ledger, keeper and the module are the real ones. A kill falls on any message, and
takes the transaction with it, as a database does.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.modules.position_monitoring.world import ACCOUNT, BOT, KEY, SPOT, SYMBOL, Killed, World
from tradelab.model import messages as said
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.outcome import RefusalCode
from tradelab.model.states import Leg

D = Decimal
STEPS = 10_000
VENUES: dict[str, dict[str, Any]] = {
    "spot that amends nothing": {**SPOT, "modify": frozenset()},
    "spot that amends prices": {**SPOT, "modify": frozenset({"stop_price"})},
    "spot that amends all": SPOT,
    "margin that amends nothing": {"modify": frozenset()},
    "margin that amends all": {},
    "margin that amends no stops": {"modify_stops": frozenset()},
    "margin that refuses to amend what it said it would": {},
    "spot without stops": {**SPOT, "order_types": frozenset({OrderType.MARKET, OrderType.LIMIT})},
}
PLANS: tuple[dict[str, Any], ...] = (
    {"stop": "2 %"},
    {"stop": "2 %", "trail": "1.5 %"},
    {"stop": "2 %", "targets": [["1 r", 0.4, "break_even"], "2 r"]},
)


class Chaos:
    """One position after the other on one venue, and everything that can go wrong with it."""

    def __init__(self, can: dict[str, Any], seed: int) -> None:
        self.chance = random.Random(seed)
        self.can = can
        self.steps = self.kills = self.rounds = self.exits = 0
        self.worst = D(0)
        self.crossed = False
        self.refuses_changes = False

    def run(self, steps: int) -> None:
        """Live rounds until so many steps have been made."""
        while self.steps < steps:
            self.round()

    def round(self) -> None:
        """Enter in pieces, with all that happens meanwhile; then let the dust settle and look."""
        world = World(self.chance.choice(PLANS), **self.can)
        world.venue.refuses_changes = self.refuses_changes
        world.quote("100")
        pieces = self.chance.randint(1, 50)
        name = world.enter(str(D("0.02") * pieces))
        price = D(100)
        for _ in range(pieces):
            self._act(world, world.fill, name, "0.02", str(price), later=True)
            for _ in range(self.chance.randint(0, 4)):
                price = max(D("97"), min(D("105"), price + D(self.chance.randint(-5, 5)) / 10))
                self._act(world, self._anything, world, price)
        self._count(world)
        self._settled(world, price)
        self.rounds += 1

    def _act(self, world: World, what: Any, *arguments: Any, **more: Any) -> None:
        """Do one step, and perhaps die in it."""
        self.steps += 1
        if self.chance.random() < 0.02:
            world.keeper.dies_in = self.chance.randint(0, 6)
        try:
            what(*arguments, **more)
        except Killed:
            self.kills += 1
            world.restart()
        self._count(world)

    def _anything(self, world: World, price: Decimal) -> None:
        draw = self.chance.random()
        if draw < 0.4 and world.wire:
            how = self.chance.choices(("take", "refuse", "later", "mute", "lost"), (12, 1, 1, 1, 1))[0]
            world.deliver(how, self.chance.randrange(len(world.wire)))
        elif draw < 0.7 and world.inbox:
            world.hear(self.chance.randrange(len(world.inbox)))
        elif draw < 0.8:
            world.quote(str(price))
        elif draw < 0.85:
            world.pass_s(self.chance.choice((0.1, 1.0, 5.0)))
            world.stage.look()
        elif draw < 0.9:
            world.resolve()
        elif draw < 0.93:
            world.bar(float(price), float(price) + 0.5, float(price) - 0.5, float(price))
        elif draw < 0.94:
            self._leaves(world)
        else:
            self._trades(world, price)

    def _leaves(self, world: World) -> None:
        """Let an exit of a signal find fewer units free than the executor knew of."""
        held = world.held.round.qty if KEY in world.stage.positions.held else D(0)
        if held <= 0:
            return
        intent = OrderIntent(
            client_order_id=f"out-{self.steps}", symbol=SYMBOL, side=Side.SELL, type=OrderType.MARKET, qty=held,
            reduce_only=world.venue.capabilities.reduce_only,
        )  # fmt: skip
        world.say(
            said.OrderIntended(
                account=ACCOUNT, bot=BOT, signal_id=f"x{self.steps}", leg=Leg.EXIT, approved_by=("risk",),
                reference_price=D(100), fresh_until_ns=world.clock.now_ns(), fence=1, intent=intent,
            )
        )  # fmt: skip
        code = RefusalCode.BALANCE
        world.say(said.OrderRefused(account=ACCOUNT, client_order_id=f"out-{self.steps}", code=code, says="locked"))
        self.exits += 1

    def _trades(self, world: World, price: Decimal) -> None:
        """Let an exit at the venue trade some, whatever the price: what the venue does is its own affair."""
        exits = world.venue.exits()
        if exits and world.venue.position > 0:
            live = self.chance.choice(exits)
            part = (live.leaves * D(self.chance.randint(1, 4)) / 4).quantize(D("0.01"))
            if live.intent.type is not OrderType.STOP or self.chance.random() < 0.3:
                world.fill(live.intent.client_order_id, max(part, D("0.01")), str(price), later=True)

    def _count(self, world: World) -> None:
        self.worst = max(self.worst, world.venue.worst)
        self.crossed = self.crossed or world.venue.crossed
        assert world.venue.worst == 0, f"step {self.steps}: {world.venue.worst} more could be sold than was held"
        assert not world.venue.crossed and world.venue.position >= 0, f"step {self.steps}"

    def _settled(self, world: World, price: Decimal) -> None:
        """Whatever has happened, in the end the stop closes exactly what is held."""
        world.keeper.dies_in = None
        entry = world.venue.orders["entry-s1"]
        if entry.status.is_open:
            world.venue.cancel("entry-s1")
        world.reconcile()
        world.quote(str(price))
        for _ in range(20):
            world.settle()
            markets = world.venue.exits(OrderType.MARKET)
            if not markets:
                break
            for live in markets:
                world.fill(live.intent.client_order_id, live.leaves, str(price))
        self._count(world)
        held = world.venue.position
        assert world.held.round.qty == held
        stops = sum((o.leaves for o in world.venue.exits(OrderType.STOP)), D(0))
        if OrderType.STOP in world.venue.capabilities.order_types:
            assert stops == held, (self.steps, world.stops(), held)
        else:
            assert stops == 0
        if held:
            levels = {o.intent.stop_price for o in world.venue.exits(OrderType.STOP)}
            assert len(levels) == (1 if stops else 0)
        else:
            assert world.venue.exits() == []


@pytest.mark.parametrize("venue", VENUES)
def test_exits_never_close_more_than_has_filled_and_end_up_exactly_at_it(venue: str) -> None:
    chaos = Chaos(VENUES[venue], seed=sum(map(ord, venue)))
    chaos.refuses_changes = "refuses to amend" in venue
    chaos.run(STEPS // len(VENUES) + 1)
    assert chaos.rounds > 5 and chaos.kills > 5 and chaos.exits > 0
    assert chaos.worst == 0
