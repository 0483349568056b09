"""Hold exits to their word: nothing that guards entries holds them up, and they never close more than there is."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.modules.risk_management.world import (
    BTC_SPOT,
    EURUSD,
    METATRADER,
    NOON_NS,
    SPOT,
    Bot,
    World,
    code,
    inputs,
    qty,
)
from tradelab.model import messages as said
from tradelab.model.identity import client_order_id
from tradelab.model.orders import OrderStatus, OrderType, Side
from tradelab.model.signal import Action, DropCode
from tradelab.model.states import BotStatus, Leg, TradingState
from tradelab.model.units import NS_PER_HOUR

D = Decimal

EVERYTHING = {
    "halted": lambda w: w.change(TradingState.HALTED, scope="node"),
    "reducing": lambda w: w.change(TradingState.REDUCING),
    "guards": lambda w: w.report("100"),
    "equity unknown": lambda w: w.report(None),
    "reconciling": lambda w: w.bus.say(said.ReconcileBegan(account="acc", says="so")),
    "disconnected": lambda w: setattr(w.venue, "is_connected", False),
    "paused": lambda w: w.bus.say(said.BotStatusChanged(bot="b", status=BotStatus.PAUSED, by="ada")),
    "stale": lambda w: w.wait(3_000.0),
    "no quote": lambda w: w.market.quotes.clear(),
    "crossed": lambda w: w.quote("EURUSD", "1.2", "1.1"),
    "spread": lambda w: w.quote("EURUSD", "1", "2"),
    "clock": lambda w: w.quote("EURUSD", "1.1", "1.1", age_s=-60),
    "margin": lambda w: w.report("100", free_margin=D(0)),
}
STRICT = Bot(
    mode="live",
    limits={
        "max_daily_loss": "0.01", "max_weekly_loss": "0.01", "max_drawdown": "0.01", "max_order_notional": 1,
        "max_symbol_notional": 1, "max_bot_notional": 1, "max_account_notional": 1, "max_positions": 1,
        "max_spread_bps": 1, "max_slippage_bps": 0, "max_deviation_bps": 0, "max_orders_per_minute": 1,
        "max_bar_age_s": 1,
    },
    schedule={"start": dt.time(1), "end": dt.time(2), "days": (7,)},
    exits={"stop": "2 atr"},
    cooldown_s=1e6,
)  # fmt: skip


@pytest.mark.parametrize("what", EVERYTHING)
def test_nothing_that_refuses_an_entry_holds_up_an_exit(what: str):
    world = World(STRICT)
    world.hold("0.1")
    EVERYTHING[what](world)
    entry = world.enter(symbol="EURUSD")
    assert code(entry) is not None
    answer = world.leave(price=D("1.1"))
    assert code(answer) is None, answer.verdict
    assert answer.intent is not None
    assert (answer.intent.side, answer.intent.qty, answer.intent.reduce_only) == (Side.SELL, D("0.1"), True)


def test_all_of_it_at_once_holds_up_no_exit_either():
    world = World(STRICT)
    world.hold("0.1")
    for happens in EVERYTHING.values():
        happens(world)
    assert code(world.leave()) is None


def test_an_exit_is_named_for_its_signal_and_goes_the_other_way():
    for held, action, side in (("0.1", Action.EXIT_LONG, Side.SELL), ("-0.1", Action.EXIT_SHORT, Side.BUY)):
        world = World()
        world.hold(held)
        answer = world.leave(action, id="out")
        assert answer.intent is not None
        assert answer.intent.client_order_id == client_order_id("acc", "b", "out", "exit")
        assert (answer.intent.side, answer.intent.type) == (side, OrderType.MARKET)


def test_where_reduce_only_is_not_offered_it_is_not_asked_for():
    world = World(Bot(symbols=("BTC/USDT",)), instruments=(BTC_SPOT,), capabilities=SPOT)
    world.hold("0.01", symbol="BTC/USDT", price="40000")
    answer = world.leave(symbol="BTC/USDT")
    assert answer.intent is not None
    assert answer.intent.reduce_only is False
    assert inputs(answer)["reduce_only"] == "false"


@pytest.mark.parametrize(
    ("signal", "closes"),
    [
        ({}, "0.33"),
        ({"share": D("0.5")}, "0.16"),  # 0.165, rounded down
        ({"qty": D("0.2")}, "0.2"),
        ({"qty": D("5")}, "0.33"),
    ],
)
def test_an_exit_closes_its_share_and_never_more_than_is_held(signal: dict[str, Any], closes: str):
    world = World()
    world.hold("0.33")
    world.hold("7", bot="c")  # another bot's is not touched
    assert qty(world.leave(**signal)) == D(closes)


def test_what_other_exits_close_already_is_left_to_them():
    world = World()
    world.hold("1")
    assert qty(world.leave(share=D("0.5"))) == D("0.5")
    assert qty(world.leave(share=D("0.5"))) == D("0.25")  # half of what is left, as if the first had filled
    assert qty(world.leave()) == D("0.25")
    assert code(world.leave()) is DropCode.SIZE_ZERO


def test_exits_of_one_run_share_what_there_is():
    world = World()
    world.hold("1")
    first, second = world.signal(Action.EXIT_LONG, share=D("0.5")), world.signal(Action.EXIT_LONG)
    world.raise_together(first, second)
    assert [qty(world.answers[each.id]) for each in (first, second)] == [D("0.5"), D("0.5")]


def test_an_exit_told_to_be_filled_counts_until_its_fill_is_booked():
    world = World()
    world.hold("1")
    name = world.order("0.4", Leg.EXIT, side=Side.SELL)
    world.told(name, OrderStatus.FILLED, "0.4")
    assert qty(world.leave(share=D("0.5"))) == D("0.3")


def test_stops_and_targets_of_the_plan_do_not_hold_up_an_exit():
    world = World()
    world.hold("0.1")
    world.order("0.1", Leg.STOP, side=Side.SELL, kind=OrderType.STOP, price="1.09")
    world.order("0.1", Leg.TARGET, side=Side.SELL, kind=OrderType.LIMIT, price="1.2")
    assert qty(world.leave()) == D("0.1")


def test_an_exit_beyond_the_most_of_one_order_is_cut_to_it_and_says_so():
    world = World(instruments=(replace(EURUSD, max_market_qty=D("0.5")),))
    world.hold("0.8")
    answer = world.leave()
    assert qty(answer) == D("0.5")
    assert (inputs(answer)["cut_to_most_qty"], inputs(answer)["beyond_most_qty"]) == ("0.5", "0.3")


def test_an_exit_worth_more_than_one_order_may_be_is_cut_too():
    world = World(instruments=(replace(EURUSD, max_notional=D(55_000)),))
    world.quote("EURUSD", "1.1", "1.1")
    world.hold("0.8")
    assert qty(world.leave()) == D("0.5")


# ── late exits ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_exit_that_comes_late_still_closes_the_position_it_was_about():
    world = World()
    world.hold("0.1")
    signal = world.signal(Action.EXIT_LONG)
    world.wait(7_200.0)
    assert code(world.raise_(signal)) is None


def test_it_does_not_close_one_that_was_opened_after_it_had_expired():
    world = World()
    world.wait(7_200.0)
    world.hold("0.1")
    late = world.signal(Action.EXIT_LONG, decided_ns=NOON_NS, expires_ns=NOON_NS + NS_PER_HOUR)
    assert code(world.raise_(late)) is DropCode.NO_POSITION


# ── positions with an id ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_position_with_an_id_is_closed_by_it_after_a_restart_too():
    world = World(capabilities=METATRADER)
    world.hold("0.1", position_id="77")
    world.hold("0.2", bot="c", position_id="78")
    world.restart()
    answer = world.leave()
    assert answer.intent is not None
    assert (answer.intent.position_id, answer.intent.qty) == ("77", D("0.1"))


def test_of_several_ids_the_largest_is_closed_and_no_more_than_it_holds():
    world = World(capabilities=METATRADER)
    world.hold("0.1", position_id="1")
    world.hold("0.3", position_id="2")
    answer = world.leave()
    assert answer.intent is not None
    assert (answer.intent.position_id, answer.intent.qty) == ("2", D("0.3"))
    assert inputs(answer)["cut_to_ticket_qty"] == "0.3"
    world.hold("-0.3", position_id="2", leg=Leg.EXIT, order=answer.intent.client_order_id)
    again = world.leave()
    assert again.intent is not None
    assert (again.intent.position_id, again.intent.qty) == ("1", D("0.1"))


def test_an_id_that_was_closed_past_us_is_not_used_again():
    world = World(capabilities=METATRADER)
    world.hold("0.1", position_id="1")
    closed = said.PositionAdjusted(account="acc", bot="b", symbol="EURUSD", qty=D("-0.1"), price=None, says="by hand")
    world.bus.say(closed)
    world.wait(1.0)
    world.hold("0.2", position_id="2")
    answer = world.leave()
    assert answer.intent is not None
    assert answer.intent.position_id == "2"
