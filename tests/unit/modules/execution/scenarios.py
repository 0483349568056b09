"""What may have happened to an account while nobody looked: one table, each with what must be true afterwards.

``before`` happens while the engine runs, ``meanwhile`` while it is dead (or, where ``alive``, while it hears nothing),
``expect`` is what must hold besides what holds for all (see :mod:`test_reconcile_scenarios`). Where a public failure of
another system is the model, it is named.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from tests.unit.modules.execution.venue import SPOT, D, instrument
from tests.unit.modules.execution.world import BOT, SYMBOL, World
from tradelab.model import messages as said
from tradelab.model.instrument import InstrumentKind
from tradelab.model.orders import OrderStatus, Side
from tradelab.model.states import Leg
from tradelab.spine.order_life import Phase

Act = Callable[[World], Awaitable[None]]
BTC, ETH = (instrument(base, InstrumentKind.SPOT) for base in ("BTC", "ETH"))


async def nothing(_: World) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Scenario:
    """One story."""

    name: str
    before: Act = nothing
    meanwhile: Act = nothing
    held: dict[str | None, str] = field(default_factory=dict)  # by whom, of the first market, afterwards
    expect: Callable[[World], bool] = lambda _: True
    alive: bool = False  # the engine runs all the time, and loses its streams
    how: dict[str, Any] = field(default_factory=dict)


async def long_one(world: World) -> None:
    """A bot is long one, protected by a stop."""
    world.enter("s1")
    await world.settle()
    world.want("stop")
    await world.settle()


async def resting(world: World) -> None:
    """An entry rests."""
    world.enter("s1", price="90")
    await world.settle()


async def half_filled(world: World) -> None:
    """An entry rests, half of it filled."""
    await resting(world)
    world.venue.fill(number(world), D("0.5"))
    await world.settle()


async def two_bots(world: World) -> None:
    """Two bots are long in one symbol, one and two."""
    world.enter("s1", bot="a")
    world.enter("s2", qty="2", bot="b")
    await world.settle()


async def long_and_short(world: World) -> None:
    """Two bots stand against each other."""
    world.enter("s1", qty="3", bot="a")
    world.enter("s2", qty="2", bot="b", side=Side.SELL)
    await world.settle()


def number(world: World, name: str = "o-s1") -> str:
    """The venue's own name of an order."""
    return world.venue.named(name).venue_order_id


def fill(qty: str, name: str = "o-s1", price: str | None = None) -> Act:
    """Fill some of an order, unheard."""

    async def act(world: World) -> None:
        world.venue.fill(number(world, name), D(qty), D(price) if price else None, tell=False)

    return act


def close(status: OrderStatus = OrderStatus.CANCELLED, name: str = "o-s1") -> Act:
    """End an order, unheard."""

    async def act(world: World) -> None:
        world.venue.close(number(world, name), status, tell=False)

    return act


def hand(side: Side, qty: str) -> Act:
    """Trade by hand, unheard."""

    async def act(world: World) -> None:
        world.venue.hand(SYMBOL, side, qty, tell=False)

    return act


def hidden(side: Side, qty: str) -> Act:
    """Trade by hand, and no fill tells of it: a transfer, a settlement, a list that does not reach so far."""

    async def act(world: World) -> None:
        world.venue.hand(SYMBOL, side, qty, tell=False)
        world.venue.hidden_fills.add(world.venue.trades[-1].trade_id)

    return act


def then(*acts: Act) -> Act:
    """One after the other."""

    async def act(world: World) -> None:
        for each in acts:
            await each(world)

    return act


def earn(currency: str, amount: str) -> Act:
    """Move money in or out."""

    async def act(world: World) -> None:
        world.venue.money[currency] += D(amount)

    return act


async def amend(world: World) -> None:
    """Change an order by hand."""
    order = world.venue.orders[number(world)]
    world.venue.orders[number(world)] = replace(order, qty=D(2), price=D(91), updated_ns=world.venue.now() + 1)


async def forget(world: World) -> None:
    """The venue knows an order no more."""
    world.venue.forgotten.add(number(world))


async def remember(world: World) -> None:
    """The venue knows all orders again."""
    world.venue.forgotten.clear()


async def restarted(world: World) -> None:
    """The engine is killed and started."""
    await world.restart()
    await world.advance(5)


async def cancel_foreign(world: World) -> None:
    """The person cancels one of his."""
    world.venue.close("v1", tell=False)


async def fill_foreign(world: World) -> None:
    """The person's buy fills."""
    world.venue.fill("v1", D(1), tell=False)


async def unlist(world: World) -> None:
    """The list of open orders lacks one that is there."""
    world.venue.unlisted.add(number(world))


async def foreign_orders(world: World) -> None:
    """A person has placed two."""
    world.venue.rest(SYMBOL, Side.BUY, "1", "80")
    world.venue.rest(SYMBOL, Side.SELL, "1", "120")


async def by_venue_id_only(world: World) -> None:
    """Fills do not carry our names."""
    world.venue.tells_ids = False


async def fees_in_base(world: World) -> None:
    """A fee of one in a thousand is taken from what is bought."""
    world.venue.fee = (D("0.001"), "BTC")


async def delist(world: World) -> None:
    """The market is gone from the list."""
    del world.venue.markets[SYMBOL]


async def five_days(world: World) -> None:
    """Nobody looks for five days and an hour."""
    await world.clock.advance(5 * 86_400 + 3600)


async def ten_days(world: World) -> None:
    """Nobody looks for ten days and an hour."""
    await world.clock.advance(10 * 86_400 + 3600)


async def hide_all(world: World) -> None:
    """The venue lists no fill that it ever made."""
    world.venue.hidden_fills.update(fill.trade_id for fill in world.venue.trades)


async def list_twice(world: World) -> None:
    """The venue lists every fill once more, as of now."""
    now_ns = world.clock.now_ns()
    world.venue.trades += [replace(fill, ts_ns=now_ns) for fill in world.venue.trades]


async def fourteen_orders(world: World) -> None:
    """A bot is long, and fourteen of its orders rest."""
    await long_one(world)
    for n in range(14):
        world.enter(f"r{n}", price=str(70 + n))
    await world.settle()


async def lists_are_late(world: World) -> None:
    """A fill is in the position, and in the list only a little later."""
    world.venue.fill(number(world), D(1), tell=False)
    trade = world.venue.trades[-1].trade_id
    world.venue.hidden_fills.add(trade)

    async def later() -> None:
        await world.clock.sleep(2.0)
        world.venue.hidden_fills.discard(trade)

    world.node._tasks.begin(later(), "the venue's list catches up")


async def killed_in_a_comparison(world: World) -> None:
    """It dies between the fills it books and the positions it reads."""
    await hand(Side.BUY, "2")(world)
    world.venue.script["positions"].extend(["down"] * 50)
    await world.restart()
    await world.kill()
    world.venue.script["positions"].clear()


def phases(world: World, *names: str) -> set[Phase]:
    """Where orders are."""
    return {world.order(name).phase for name in names}


def foreign(world: World) -> int:
    """How many open orders are none of ours."""
    return len(world.node.ledger.snapshot().foreign_orders)


def adjusted(world: World) -> list[Decimal]:
    """What was taken over."""
    return [each.qty for each in world.said(said.PositionAdjusted)]


def booked(world: World) -> list[str]:
    """Fills, in the order in which they were booked."""
    return [each.fill.trade_id for each in world.said(said.TradeExecuted)]


STOP_STANDS = "o-stop"
LONG = {BOT: "1"}
SCENARIOS = [
    Scenario("nothing happened", long_one, held=LONG, expect=lambda w: not adjusted(w)),
    Scenario("a resting entry filled while down", resting, fill("1"), LONG, lambda w: not adjusted(w)),
    Scenario("it filled in five pieces while down", resting, then(*[fill("0.2")] * 5), LONG,
             lambda w: len(booked(w)) == 5),
    Scenario("a partly filled one filled up while down", half_filled, fill("0.5"), LONG),
    Scenario("filled in part, then cancelled by hand", resting, then(fill("0.4"), close()), {BOT: "0.4"},
             lambda w: phases(w, "o-s1") == {Phase.CLOSED} and not adjusted(w)),
    Scenario("cancelled by hand while down", resting, close(), {}, lambda w: phases(w, "o-s1") == {Phase.CLOSED}),
    Scenario("expired while down", resting, close(OrderStatus.EXPIRED), {},
             lambda w: w.order("o-s1").told.status is OrderStatus.EXPIRED),  # type: ignore[union-attr]
    Scenario("rejected by the venue after it had it", resting, close(OrderStatus.REJECTED), {}),
    Scenario("amended by hand while down", resting, amend, {}, lambda w: w.order("o-s1").told.qty == D(2)),  # type: ignore[union-attr]
    Scenario("amended by hand, then filled to the new size", resting, then(amend, fill("2")), {BOT: "2"}),
    Scenario("a protective stop filled while down", long_one, fill("1", "o-stop", "90"), {},
             lambda w: w.said(said.TradeExecuted)[-1].leg is Leg.STOP),
    Scenario("a protective stop was cancelled by hand", long_one, close(name="o-stop"), LONG,
             lambda w: phases(w, STOP_STANDS) == {Phase.CLOSED}),
    Scenario("opened by hand", nothing, hand(Side.BUY, "2"), {None: "2"}, lambda w: not adjusted(w)),
    Scenario("opened by hand, and no fill tells of it", nothing, hidden(Side.BUY, "2"), {None: "2"},
             lambda w: adjusted(w) == [D(2)] and not booked(w)),
    Scenario("grown by hand", long_one, hand(Side.BUY, "2"), {BOT: "1", None: "2"}),
    Scenario("reduced by hand", long_one, hand(Side.SELL, "0.4"), {BOT: "0.6"}),
    Scenario("closed by hand", long_one, hand(Side.SELL, "1"), {}, lambda w: phases(w, STOP_STANDS) == {Phase.OPEN}),
    Scenario("closed by hand, and no fill tells of it", long_one, hidden(Side.SELL, "1"), {}),
    Scenario("turned round by hand", long_one, hand(Side.SELL, "3"), {None: "-2"}),
    Scenario("turned round, and no fill tells of it", long_one, hidden(Side.SELL, "3"), {None: "-2"}),
    Scenario("closed and opened again by hand", long_one, then(hand(Side.SELL, "1"), hand(Side.BUY, "1")), LONG),
    Scenario("liquidated", long_one, then(close(name="o-stop"), hidden(Side.SELL, "1")), {}),
    Scenario("funding was paid", long_one, earn("USDT", "-12.5"), LONG, lambda w: not adjusted(w)),
    Scenario("money was deposited", long_one, earn("USDT", "5000"), LONG, lambda w: not adjusted(w)),
    Scenario("two bots in one symbol, less is there", two_bots, hand(Side.SELL, "2.5"), {"a": "0.5"},
             how={"bots": ("a", "b")}),
    Scenario("two bots in one symbol, more is there", two_bots, hand(Side.BUY, "1"), {"a": "1", "b": "2", None: "1"},
             how={"bots": ("a", "b")}),
    Scenario("two bots against each other, closed by hand", long_and_short, hand(Side.SELL, "1"), {"a": "2", "b": "-2"},
             how={"bots": ("a", "b")}),
    Scenario("somebody's orders are open", long_one, foreign_orders, LONG, lambda w: foreign(w) == 2),
    Scenario("somebody's orders were there and one was cancelled", then(foreign_orders, long_one), cancel_foreign, LONG,
             lambda w: foreign(w) == 1),
    Scenario("somebody's order filled", foreign_orders, fill_foreign, {None: "1"}, lambda w: foreign(w) == 1),
    Scenario("an order vanished", resting, forget, {}, lambda w: w.kinds().count("OrderVanished") == 1),
    Scenario("an order vanished after it had filled in part", half_filled, forget, {BOT: "0.5"},
             lambda w: phases(w, "o-s1") == {Phase.CLOSED}),
    Scenario("a list of open orders lacks one that is there", resting, unlist, {},
             lambda w: phases(w, "o-s1") == {Phase.OPEN} and not w.kinds().count("OrderVanished")),
    Scenario("an order that had vanished is there again", then(resting, forget, restarted), remember, {},
             lambda w: phases(w, "o-s1") == {Phase.OPEN}),
    Scenario("a fill by the venue's name while down", then(by_venue_id_only, resting), fill("1"), LONG,
             lambda w: w.said(said.TradeExecuted)[0].leg is Leg.ENTRY),
    Scenario("the list of fills is behind the position", resting, lists_are_late, LONG,
             lambda w: not adjusted(w) and len(booked(w)) == 1, alive=True),
    Scenario("spot: somebody has the currency, too", then(earn("BTC", "5"), long_one), hand(Side.BUY, "1"), LONG,
             how=SPOT | {"markets": (BTC,)}),
    Scenario("spot: somebody sells his own", then(earn("BTC", "5"), long_one), hand(Side.SELL, "4"), LONG,
             how=SPOT | {"markets": (BTC,)}),
    Scenario("spot: somebody sells the bot's", long_one, hand(Side.SELL, "0.4"), {BOT: "0.6"},
             how=SPOT | {"markets": (BTC,)}),
    Scenario("spot: fees in the base currency", then(fees_in_base, long_one), nothing, {BOT: "0.999"},
             lambda w: not adjusted(w), how=SPOT | {"markets": (BTC,)}),
    Scenario("spot: dust is converted away", long_one, earn("BTC", "-0.005"), LONG, lambda w: not adjusted(w),
             how=SPOT | {"markets": (BTC,)}),
    Scenario("spot: the currency is withdrawn", long_one, earn("BTC", "-1"), {}, how=SPOT | {"markets": (BTC,)}),
    Scenario("spot: some is deposited", long_one, earn("BTC", "3"), LONG, lambda w: not adjusted(w),
             how=SPOT | {"markets": (BTC,)}),
    Scenario("the market is listed no more", long_one, delist, LONG, lambda w: not adjusted(w)),
    Scenario("killed in the middle of a comparison", long_one, killed_in_a_comparison, {BOT: "1", None: "2"}),
    Scenario("a stream breaks in the middle of fills", resting,
             then(fill("0.3"), fill("0.3"), fill("0.4")), LONG, lambda w: len(booked(w)) == 3, alive=True),
    # public failures of others
    Scenario("nautilus #4736: warm start with an open position", long_one, nothing, LONG,
             lambda w: booked(w) == ["1"] and not adjusted(w)),
    Scenario("nautilus #3046: fills that were booked are told once more at a start", long_one,
             then(list_twice, list_twice), LONG, lambda w: booked(w) == ["1"] and not adjusted(w)),
    Scenario("nautilus #3104: a position of ten days whose fills the venue lists no more", long_one,
             then(ten_days, hide_all), LONG, lambda w: booked(w) == ["1"] and not adjusted(w)),
    Scenario("nautilus #5000: fourteen working orders while the position does not fit its fills", fourteen_orders,
             hidden(Side.BUY, "1"), {BOT: "1", None: "1"},
             lambda w: phases(w, *[f"o-r{n}" for n in range(14)]) == {Phase.OPEN} and foreign(w) == 0),
    Scenario("nautilus #3176: an order and its fill are there after each start, once", long_one, nothing, LONG,
             lambda w: len(w.node.ledger.snapshot().orders) == 2 and foreign(w) == 0),
    Scenario("nautilus #3878: a partial fill stays its bot's through any number of starts", half_filled, nothing,
             {BOT: "0.5"}, lambda w: [e.bot for e in w.said(said.TradeExecuted)] == [BOT]),
    Scenario("nautilus #3476: an open order's partial fill is counted once", half_filled, nothing, {BOT: "0.5"},
             lambda w: w.order("o-s1").filled_qty == D("0.5") and not adjusted(w)),
    Scenario("nautilus #3054: what was closed at the venue is closed here, not held against itself", long_one,
             hidden(Side.SELL, "1"), {}, lambda w: not w.node.ledger.snapshot().positions),
    Scenario("hummingbot-api #243: after a kill the position has its owner and its stop", long_one, nothing, LONG,
             lambda w: phases(w, STOP_STANDS) == {Phase.OPEN} and w.order("o-stop").intended.bot == BOT),
    Scenario("Lean.IB #249: fills that came while the line was dead", resting, fill("1"), LONG,
             lambda w: booked(w) == ["1"], alive=True),
    Scenario("freqtrade: an order older than five days that one question does not find stays open", resting,
             then(five_days, unlist), {}, lambda w: phases(w, "o-s1") == {Phase.OPEN}),
]  # fmt: skip
