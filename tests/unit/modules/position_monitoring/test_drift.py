"""The shadow book beside an account: every drift is worked out by hand from the bars and the scripted fills."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.modules.position_monitoring.world import ACCOUNT, BOT, KEY, START_NS, SYMBOL, D, World
from tradelab.model import messages as said
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.signal import Action, Origin, Signal
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_MIN, NS_PER_S, Timeframe
from tradelab.modules.position_monitoring.analytics import figures
from tradelab.modules.position_monitoring.drift import Drift

BAR_NS = 5 * NS_PER_MIN


class Decided(World):
    """A world in which bars decide: a signal follows from the bar that closed last, and its order from that."""

    def __init__(self, exits: dict[str, Any], **more: Any) -> None:
        super().__init__(exits, **more)
        self.answers: list[Signal] = []
        self.bus.hear(said.DataReceived, self._decide)

    def _begin(self) -> None:
        super()._begin()
        if hasattr(self, "answers"):
            self.bus.hear(said.DataReceived, self._decide)

    def _decide(self, recorded: Any) -> None:
        for signal in self.answers:
            candle = recorded.message.candle
            self.bus.say(said.SignalRaised(replace(signal, bar_ns=candle.open_ns, decided_ns=candle.open_ns + BAR_NS)))
        self.answers = []

    def decide(self, action: Action, name: str, bar: tuple[float, ...], **more: Any) -> None:
        """Close a bar, and let it decide."""
        self.answers = [
            Signal(
                id=name, bot=BOT, symbol=SYMBOL, action=action, origin=Origin.STRATEGY, decided_ns=0,
                expires_ns=START_NS * 2, timeframe=Timeframe.M5, bar_ns=0, **more,
            )
        ]  # fmt: skip
        self.bar(*bar)  # type: ignore[arg-type]

    def order(self, name: str, signal: str, leg: Leg, side: Side, qty: str = "1", **more: Any) -> None:
        """Send an order that the venue takes."""
        intent = OrderIntent(
            client_order_id=name, symbol=SYMBOL, side=side, qty=D(qty), **{"type": OrderType.MARKET} | more
        )
        self.say(
            said.OrderIntended(
                account=ACCOUNT, bot=BOT, signal_id=signal, leg=leg, intent=intent, approved_by=("risk",),
                reference_price=D(100), fresh_until_ns=self.clock.now_ns() + NS_PER_S, fence=1,
            )
        )  # fmt: skip
        self.venue.take(intent)
        self.say(said.OrderAccepted(account=ACCOUNT, client_order_id=name, venue_order_id=name))

    def enter_long(self, fill: str, *, decided: tuple[float, ...] = (100, 100, 100, 100), **more: Any) -> None:
        """Let a bar decide on a long, and the account enter at a price."""
        self.decide(Action.ENTER_LONG, "in", decided)
        self.order("e", "in", Leg.ENTRY, Side.BUY, **more)
        self.fill("e", "1", fill)

    @property
    def drifts(self) -> list[Drift]:
        """What was compared so far."""
        return self.stage.trades.catch_up().drifts.found

    @property
    def untold(self) -> list[str]:
        """Why trades could not be compared."""
        return [each.why for each in self.stage.trades.catch_up().drifts.untold]


def test_an_entry_and_an_exit_that_bars_decided_are_held_against_the_opens_that_followed() -> None:
    world = Decided({})
    world.enter_long("100.3")  # the shadow: 100, the open of the next bar
    world.decide(Action.EXIT_LONG, "out", (100, 111, 99, 110))
    world.order("x", "out", Leg.EXIT, Side.SELL)
    world.fill("x", "1", "109.8")
    assert world.drifts == []  # the bar in which it left is not over
    world.bar(110, 112, 108, 111)  # the shadow: 110
    (drift,) = world.drifts
    assert (drift.money, drift.value) == (D("0.5"), D(100))
    assert drift.bps == D(50)
    assert (drift.entry_bps, round(drift.exit_bps, 9)) == (D(30), round(D("0.2") / 110 * 10_000, 9))
    assert drift.key == KEY


def test_a_better_fill_than_the_backtests_is_below_zero() -> None:
    world = Decided({})
    world.enter_long("99.9")
    world.decide(Action.EXIT_LONG, "out", (100, 111, 99, 110))
    world.order("x", "out", Leg.EXIT, Side.SELL)
    world.fill("x", "1", "110")
    world.bar(110, 112, 108, 111)
    assert world.drifts[0].bps == D(-10)


def test_a_short_is_signed_as_a_long_is() -> None:
    world = Decided({})
    world.decide(Action.ENTER_SHORT, "in", (100, 100, 100, 100))
    world.order("e", "in", Leg.ENTRY, Side.SELL)
    world.fill("e", "1", "99.8")  # 20 bp less than was to be had
    world.decide(Action.EXIT_SHORT, "out", (100, 101, 89, 90))
    world.order("x", "out", Leg.EXIT, Side.BUY)
    world.fill("x", "1", "90.1")
    world.bar(90, 91, 88, 89)
    assert world.drifts[0].money == D("0.3")


def stopped(bar: tuple[float, ...], fill: str) -> Decided:
    """A long at 100 whose stop at 98 fills inside a bar."""
    world = Decided({"stop": "2 %"})
    world.enter_long("100")
    world.deliver()
    world.settle_inbox()
    world.bar(100, 101, 99, 100)
    (stop,) = world.venue.exits(OrderType.STOP)
    world.fill(stop.intent.client_order_id, "1", fill)
    world.bar(*bar)  # type: ignore[arg-type]
    return world


def test_a_stop_is_held_against_its_level_in_a_bar_that_touches_it() -> None:
    assert stopped((100, 100, 97, 97.5), "97.8").drifts[0].money == D("0.2")


def test_a_stop_that_the_open_has_passed_is_held_against_the_open() -> None:
    assert stopped((97, 97.5, 96, 97), "97").drifts[0].bps == D(0)


def test_a_stop_of_the_account_that_no_bar_shows_is_held_against_the_close_of_its_bar() -> None:
    (drift,) = stopped((100, 100.5, 98.5, 99.5), "98").drifts
    assert drift.money == D("1.5")


def test_a_stop_that_the_bars_show_and_the_account_was_spared_is_a_gain_where_it_recovers() -> None:
    world = Decided({"stop": "2 %"})
    world.enter_long("100")
    world.bar(100, 101, 97.9, 100)  # the shadow leaves at 98
    world.decide(Action.EXIT_LONG, "out", (100, 106, 99, 105))
    world.order("x", "out", Leg.EXIT, Side.SELL)
    world.fill("x", "1", "105")
    (drift,) = world.drifts  # nothing more to wait for
    assert drift.money == D(-7)


def test_a_ladder_is_held_against_the_average_of_what_left() -> None:
    world = Decided({"stop": "2 %", "targets": [["1 r", 0.5], "2 r"]}, reduce_only=True)
    world.enter_long("100")
    while world.wire:
        world.deliver()
    world.settle_inbox()
    first, second = sorted(world.venue.exits(OrderType.LIMIT), key=lambda each: each.intent.price or D(0))
    world.fill(first.intent.client_order_id, "0.5", "102")
    world.fill(second.intent.client_order_id, "0.5", "103.9")  # a tenth short of 104
    world.bar(100, 104.5, 99.5, 104)
    assert world.drifts[0].money == D("0.05")


def test_a_limit_that_rested_is_held_against_its_own_price() -> None:
    world = Decided({})
    world.decide(Action.ENTER_LONG, "in", (100, 100, 100, 100))
    world.order("e", "in", Leg.ENTRY, Side.BUY, type=OrderType.LIMIT, price=D(99))
    world.bar(100, 101, 99.5, 100)  # not met
    world.fill("e", "1", "99")
    world.bar(100, 100, 98, 99)
    world.decide(Action.EXIT_LONG, "out", (99, 100, 98, 100))
    world.order("x", "out", Leg.EXIT, Side.SELL)
    world.fill("x", "1", "100")
    world.bar(100, 101, 99, 100)
    assert world.drifts[0].bps == D(0)


def test_what_no_bar_decided_is_not_compared() -> None:
    world = World({})
    world.bar(100, 100, 100, 100)
    world.fill(world.enter("1"), "1", "100.3")
    world.say(
        said.PositionAdjusted(account=ACCOUNT, bot=BOT, symbol=SYMBOL, qty=D(-1), price=D(90), says="closed by hand")
    )
    world.bar(100, 100, 100, 100)
    drifts = world.stage.trades.catch_up().drifts
    assert drifts.found == [] and [each.why for each in drifts.untold] == ["no bar decided it"]


@pytest.mark.parametrize("leg", [Leg.FLATTEN, Leg.HAND, Leg.EXIT])
def test_what_a_person_closed_is_not_compared(leg: Leg) -> None:
    world = Decided({})
    world.enter_long("100")
    world.order("x", "by hand", leg, Side.SELL)
    world.fill("x", "1", "90")
    world.bar(100, 100, 100, 100)
    assert world.drifts == [] and world.untold == ["it was closed past its plan and its strategy"]


def test_what_was_added_to_is_not_compared() -> None:
    world = Decided({})
    world.enter_long("100")
    world.order("more", "more", Leg.ENTRY, Side.BUY)
    world.fill("more", "1", "101")
    world.decide(Action.EXIT_LONG, "out", (100, 100, 100, 100))
    world.order("x", "out", Leg.EXIT, Side.SELL, "2")
    world.fill("x", "2", "100")
    world.bar(100, 100, 100, 100)
    assert world.drifts == [] and world.untold == ["it was added to"]


def test_an_entry_that_the_bars_never_met_is_not_compared() -> None:
    world = Decided({})
    world.decide(Action.ENTER_LONG, "in", (100, 100, 100, 100))
    world.order("e", "in", Leg.ENTRY, Side.BUY, type=OrderType.LIMIT, price=D(99))
    world.fill("e", "1", "99")
    world.decide(Action.EXIT_LONG, "out", (100, 101, 99.5, 100))
    world.order("x", "out", Leg.EXIT, Side.SELL)
    world.fill("x", "1", "100")
    world.bar(100, 101, 99.5, 100)
    assert world.drifts == [] and world.untold == ["its bars would not have entered it"]


def test_what_the_venue_held_otherwise_is_not_compared() -> None:
    world = Decided({})
    world.enter_long("100")
    world.say(said.PositionAdjusted(account=ACCOUNT, bot=BOT, symbol=SYMBOL, qty=D(1), price=D(90), says="by hand"))
    world.decide(Action.EXIT_LONG, "out", (100, 100, 100, 100))
    world.order("x", "out", Leg.EXIT, Side.SELL, "2")
    world.fill("x", "2", "100")
    world.bar(100, 100, 100, 100)
    assert world.drifts == [] and world.untold == ["the venue held something else"]


def test_how_many_are_not_compared_and_why_is_among_the_figures() -> None:
    world = Decided({})
    for name in ("s1", "s2"):
        world.fill(world.enter("1", signal=name), "1", "100.3")
        world.say(
            said.PositionAdjusted(account=ACCOUNT, bot=BOT, symbol=SYMBOL, qty=D(-1), price=D(90), says="by hand")
        )
    (row,) = figures(world.stage.trades.catch_up().days, by="bot")
    assert (row.compared, row.not_compared, row.not_compared_why) == (0, 2, "no bar decided it (2)")


def test_a_restart_in_the_middle_of_a_trade_finds_the_same_drift() -> None:
    world = Decided({"stop": "2 %"})
    world.enter_long("100.3")
    world.restart()
    world.decide(Action.EXIT_LONG, "out", (100, 111, 99, 110))
    world.order("x", "out", Leg.EXIT, Side.SELL)
    world.restart()
    world.fill("x", "1", "109.8")
    world.bar(110, 112, 108, 111)
    assert world.drifts[0].money == D("0.5")
    world.restart()
    assert [drift.money for drift in world.drifts] == [D("0.5")]


def test_a_person_is_told_of_a_trade_that_came_out_far_worse_and_of_no_other() -> None:
    for fill, alarms in (("100.4", 0), ("100.6", 1)):
        world = Decided({}, settings={"drift_alarm_bps": 50})
        world.enter_long(fill)
        world.decide(Action.EXIT_LONG, "out", (100, 111, 99, 110))
        world.order("x", "out", Leg.EXIT, Side.SELL)
        world.fill("x", "1", "110")
        world.bar(110, 112, 108, 111)
        world.stage.look()
        world.stage.look()
        told = [alarm for alarm in world.said(said.AlarmRaised) if alarm.kind == "drift"]
        assert len(told) == alarms
    assert "60.0 bp of what was entered worse" in told[0].says and told[0].about == " ".join(map(str, KEY))


def test_nothing_is_counted_while_an_order_is_on_its_way_and_a_mistake_in_it_stops_no_trading(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("tradelab.modules.position_monitoring.drift.Drifts.remember", broken)
    world = Decided({"stop": "2 %"})
    world.enter_long("100")
    world.deliver()
    assert world.stops() == [("98.0", "1")]
    assert world.stage.trades.failure is None  # it was noted, and nothing was computed
    with caplog.at_level(logging.CRITICAL):
        world.stage.look()
    assert "ZeroDivisionError: a mistake of ours" in str(world.stage.trades.failure)
    world.bar(100, 104, 97, 103)
    world.settle()
    assert world.stops() == [("98.0", "1")]


def test_declared_costs_are_the_shadows_too() -> None:
    world = Decided({}, settings={"costs": {ACCOUNT: {"slippage": 0.001, "spread": 0.002, "fees": 0.5}}})
    world.enter_long("100.2")  # 100 x (1 + 0.001 + half of 0.002)
    world.decide(Action.EXIT_LONG, "out", (100, 111, 99, 110))
    world.order("x", "out", Leg.EXIT, Side.SELL)
    world.fill("x", "1", "109.78")
    world.bar(110, 112, 108, 111)
    assert abs(world.drifts[0].bps) < D("1e-9")
