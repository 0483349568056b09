"""Fold fills and bars as they come live, and hold the levels against a backtest of the same ones."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import tradelab as tl
from tests.unit.modules.position_monitoring.test_levels import COSTS, PLANS, Beside
from tests.unit.modules.position_monitoring.world import ACCOUNT, BOT, KEY, START_NS, SYMBOL, World
from tradelab.engine.book import ORDER
from tradelab.engine.exits import REASONS
from tradelab.engine.simulate import ORDERS_A_BAR, step
from tradelab.model import messages as said
from tradelab.model.market import Candle
from tradelab.model.orders import Fill, Liquidity, OrderIntent, OrderType, Side
from tradelab.model.signal import Action, Origin, Signal
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_MIN, Timeframe
from tradelab.spine.view import Window

_BAR_NS = 5 * NS_PER_MIN
_WRITTEN: dict[str, dict[str, Any]] = {  # as a preset's table writes them
    "all at once": {
        "stop": "2 atr", "targets": [["0.7 r", 0.3, "break_even"], ["1.5 r", 0.3, "trail"]], "trail": "2 atr",
        "break_even": "1.2 r", "max_bars": 40,
    },
    "ladder to a distance": {"stop": "2 atr", "targets": [["1 r", 0.5, "0.25 r"], ["2 r", 0.25, "1 r"]]},
}  # fmt: skip


class Live(Beside):
    """The reference kernel, and beside it a node that hears of the same fills and bars."""

    def __init__(self, name: str, bars: int) -> None:
        super().__init__(tl.samples.load("EURUSD-1h").iloc[:bars], PLANS[name])
        instrument = {"tick_size": Decimal("0.00001"), "qty_step": Decimal(1)}
        settings = {"costs": {ACCOUNT: COSTS.model_dump()}}
        self.world = World(_WRITTEN[name], instrument=instrument, settings=settings)
        self.window = Window(bars + 1)
        self.world.market.windows["src", SYMBOL, Timeframe.M5] = self.window
        self.signal, self.trades = "", 0

    def run(self) -> None:
        """Live all bars; compare after each that ends in a position."""
        page = np.zeros(ORDERS_A_BAR, ORDER)
        for bar in range(len(self.tape.index)):
            self.world.clock._now_ns = START_NS + bar * _BAR_NS
            count = step(self.account, self.lines, page, bar, self.market, self.wishes, self.terms)
            for order in page[:count]:
                self.tell(order, bar)
            self.world.clock._now_ns = START_NS + (bar + 1) * _BAR_NS
            m = self.market
            prices = (float(column[bar, 0]) for column in (m.open, m.high, m.low, m.close))
            candle = Candle(START_NS + bar * _BAR_NS, *prices, math.nan, True)
            self.window.add(candle)
            told = said.DataReceived(source="src", symbol=SYMBOL, timeframe=Timeframe.M5, candle=candle)
            self.world.say(told)
            if self.lines[0]["qty"]:
                self.hold(bar)

    def tell(self, order: Any, bar: int) -> None:
        """Book a fill of the kernel's."""
        reason = REASONS[order["reason"]]
        side = Side.BUY if order["side"] > 0 else Side.SELL
        leg = {"target": Leg.TARGET, "entry": Leg.ENTRY, "reversal": Leg.ENTRY}.get(reason, Leg.STOP)
        if leg is Leg.ENTRY:
            self.signal = f"s{bar}"
            self.raised(side, bar)
        self.trades += 1
        now_ns = self.world.clock.now_ns()
        fill = Fill(
            trade_id=str(self.trades), symbol=SYMBOL, venue_order_id=f"v{self.trades}",
            client_order_id=f"o{self.trades}", side=side, qty=Decimal(repr(float(order["qty"]))),
            price=Decimal(repr(float(order["price"]))), fee=Decimal(0), fee_currency="USDT",
            liquidity=Liquidity.TAKER, ts_ns=now_ns,
        )  # fmt: skip
        told = said.TradeExecuted(account=ACCOUNT, bot=BOT, signal_id=self.signal, leg=leg, fill=fill)
        self.world.say(told)

    def raised(self, side: Side, bar: int) -> None:
        """Raise the signal that an entry followed from, decided by the bar before."""
        action = Action.ENTER_LONG if side is Side.BUY else Action.ENTER_SHORT
        now_ns = self.world.clock.now_ns()
        signal = Signal(
            id=self.signal, bot=BOT, symbol=SYMBOL, action=action, origin=Origin.STRATEGY, decided_ns=now_ns,
            expires_ns=now_ns + 1, timeframe=Timeframe.M5, bar_ns=now_ns - _BAR_NS,
        )  # fmt: skip
        self.world.say(said.SignalRaised(signal))

    def hold(self, bar: int) -> None:
        """Hold stop, target and what is due against the kernel's, bit for bit."""
        theirs, ours = self.lines[0], self.world.held.levels()
        assert ours is not None, bar
        target = ours.targets[0][0] if ours.targets else math.nan
        wanted = np.array([theirs["stop"], theirs["target"], theirs["r"], theirs["unit"]], float)
        assert np.array([ours.stop, target, ours.r, ours.unit]).tobytes() == wanted.tobytes(), bar
        assert ours.due == (REASONS[theirs["due"]] if theirs["due"] else None), bar
        self.compared += 1


@pytest.mark.parametrize("name", _WRITTEN)
def test_levels_of_live_fills_and_bars_are_those_of_the_backtest_of_them(name: str) -> None:
    live = Live(name, 900)
    live.run()
    assert live.compared > 200 and live.trades > 40


def test_what_was_folded_live_is_what_a_restart_folds() -> None:
    live = Live("all at once", 300)
    live.run()
    before = live.world.stage.positions
    live.world._begin()
    after = live.world.stage.positions
    key = next(iter(before.held))
    assert after.held[key].levels() == before.held[key].levels()
    assert (after.held[key].mfe, after.held[key].mae) == (before.held[key].mfe, before.held[key].mae)
    assert after.held[key].round == before.held[key].round
    assert after.exposure.unprotected_ms == before.exposure.unprotected_ms


def test_a_plan_in_atr_without_bars_raises_an_alarm_and_is_measured_once_there_are_some() -> None:
    world = World({"stop": "2 atr", "atr_window": 3})
    world.fill(world.enter("1"), "1")
    assert world.said(said.AlarmRaised)[0].kind == "unarmed"
    window = Window(10)
    world.market.windows["src", SYMBOL, Timeframe.M5] = window
    for n in range(5):
        window.add(Candle(START_NS - (5 - n) * _BAR_NS, 100.0, 101.0, 99.0, 100.0, 1.0, True))
    world.bar(100, 101, 99, 100)
    world.settle()
    assert world.stops() == [("96.0", "1")]  # each bar reaches 2: two of that below 100


def test_a_unit_that_the_signal_brings_along_stands_for_the_atr_where_there_are_too_few_bars() -> None:
    world = World({"stop": "2 atr"})
    world.fill(world.enter("1", unit=Decimal("1.5")), "1")
    world.settle()
    assert world.stops() == [("97.0", "1")]


def test_the_fee_of_the_entry_is_taken_for_both_ways_where_no_costs_are_declared() -> None:
    world = World({"stop": "2 %", "break_even": "1 %"})
    name = world.enter("1")
    fill = world.venue.fill(name, Decimal(1), Decimal(100), world.clock.now_ns())
    assert fill is not None
    told = world._trade(fill)
    paid = said.TradeExecuted(
        account=ACCOUNT, bot=BOT, signal_id=told.signal_id, leg=told.leg,
        fill=type(fill)(**{f: getattr(fill, f) for f in fill.__slots__} | {"fee": Decimal("0.1")}),
    )  # fmt: skip
    world.say(paid)
    world.bar(100, 102, 100, 101.5)
    levels = world.held.levels()
    assert levels is not None and levels.stop == pytest.approx(100 * 1.001 / 0.999)


def test_bars_before_the_entry_teach_its_exits_nothing() -> None:
    world = World({"trail": "2 %"})
    world.bar(100, 110, 100, 100)
    world.fill(world.enter("1"), "1")
    late = Candle(START_NS, 100.0, 110.0, 100.0, 100.0, 1.0, True)
    world.say(said.DataReceived(source="src", symbol=SYMBOL, timeframe=Timeframe.M5, candle=late))
    levels = world.held.levels()
    assert levels is not None and levels.stop == 98.0


def test_an_entry_that_rested_learns_only_the_close_of_its_bar() -> None:
    world = World({"trail": "2 %"})
    world.fill(world.enter("1", price="100"), "1", "100")
    world.bar(104, 105, 99, 101)
    levels = world.held.levels()
    assert levels is not None and levels.stop == 101 * 0.98


def test_a_reversal_closes_one_round_and_opens_another() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "1")
    world.settle()
    world.fill(world.enter("3", signal="s2", side=Side.SELL), "3", "101")
    (closed,) = world.said(said.PositionClosed)
    assert (closed.realized_pnl, closed.reason, closed.qty) == (Decimal(1), "reversal", Decimal(1))
    held = world.stage.positions.held[KEY]
    assert (held.round.qty, held.signal_id, held.direction) == (Decimal(-2), "s2", -1)
    world.settle()
    stops = [o for o in world.venue.orders.values() if o.status.is_open and o.intent.type is OrderType.STOP]
    assert [(o.intent.side, o.intent.stop_price, o.leaves) for o in stops] == [(Side.BUY, Decimal("103.0"), Decimal(2))]


def test_a_stop_of_a_signal_that_opened_twice_has_a_name_of_its_own_each_time() -> None:
    """A rest of the entry that fills after its stop was hit must not be taken for what was stopped before."""
    world = World({"stop": "2 %"})
    name = world.enter("1", price="100")
    world.fill(name, "0.5")
    world.settle()
    world.fill(world.venue.exits(OrderType.STOP)[0].intent.client_order_id, "0.5", "98")
    world.settle()
    world.fill(name, "0.5")
    world.settle()
    assert world.stops() == [("98.0", "0.5")]
    names = [m.intent.client_order_id for m in world.said(said.OrderIntended) if m.leg is Leg.STOP]
    assert len(set(names)) == len(names) == 2


def test_orders_of_a_person_are_left_alone() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "1")
    world.settle()
    intent = OrderIntent(
        client_order_id="hand", symbol=SYMBOL, side=Side.BUY, type=OrderType.LIMIT, qty=Decimal(1), price=Decimal(90)
    )
    meant = said.OrderIntended(
        account=ACCOUNT, bot=BOT, signal_id="h", leg=Leg.HAND, intent=intent, approved_by=("person",),
        reference_price=Decimal(100), fresh_until_ns=0, fence=1,
    )  # fmt: skip
    world.say(meant)
    world.venue.take(intent)
    world._report("hand")
    world.settle()
    assert world.venue.orders["hand"].status.is_open
