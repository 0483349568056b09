"""Hold the orders that risk management makes to what their signals, presets and venues say."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.modules.risk_management.world import (
    EURUSD,
    METATRADER,
    NETTING,
    Bot,
    World,
    code,
    inputs,
    qty,
)
from tradelab.model import messages as said
from tradelab.model.identity import client_order_id
from tradelab.model.orders import Order, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode
from tradelab.model.signal import Action, DropCode, Origin
from tradelab.model.states import Leg, TradingState

D = Decimal

BOUNDED = Bot(limits={"max_slippage_bps": 10})


# ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_market_order_is_named_for_its_signal_and_weighed_against_what_it_would_get():
    for action, side, price in ((Action.ENTER_LONG, Side.BUY, "1.1001"), (Action.ENTER_SHORT, Side.SELL, "1.1")):
        answer = World().enter(action, id="one wish")
        intent = answer.intent
        assert intent is not None
        assert intent.client_order_id == client_order_id("acc", "b", "one wish", "entry")
        assert (intent.side, intent.type, intent.price) == (side, OrderType.MARKET, None)
        assert answer.reference_price == D(price)


@pytest.mark.parametrize(
    ("action", "price", "bound"),
    [
        # decided at 1.1: at most 10 bps above, 1.1011; the ask is 1.1001
        (Action.ENTER_LONG, "1.1", "1.1011"),
        (Action.ENTER_SHORT, "1.1", "1.0989"),
        # 1.09999 * 1.001 = 1.10108999, down to the tick; a seller's 1.09889001 goes up
        (Action.ENTER_LONG, "1.09999", "1.10108"),
        (Action.ENTER_SHORT, "1.09999", "1.0989"),
        # nobody said at what it was decided: from the ask and the bid
        (Action.ENTER_LONG, None, "1.1012"),  # 1.1001 * 1.001 = 1.1012001
        (Action.ENTER_SHORT, None, "1.0989"),
    ],
)
def test_a_market_order_with_a_bound_is_a_limit_that_takes_at_once(action: Action, price: str | None, bound: str):
    answer = World(BOUNDED).enter(action, price=None if price is None else D(price))
    intent = answer.intent
    assert intent is not None
    assert (intent.type, intent.time_in_force, intent.price) == (OrderType.LIMIT, TimeInForce.IOC, D(bound))


@pytest.mark.parametrize("capabilities", [METATRADER, replace(NETTING, limit_may_take=False),
                                          replace(NETTING, times_in_force=frozenset({TimeInForce.GTC}))])  # fmt: skip
def test_where_no_bounded_order_is_offered_a_plain_one_is_sent_and_said_to_be(capabilities: Any):
    answer = World(BOUNDED, capabilities=capabilities).enter()
    assert answer.intent is not None
    assert answer.intent.type is OrderType.MARKET
    assert "nothing holds its price" in inputs(answer)["order_kind"]


@pytest.mark.parametrize(
    ("bot", "kind", "price", "stop_price"),
    [
        (Bot(), OrderType.LIMIT, "1.09", None),
        (Bot(), OrderType.STOP, None, "1.11"),
        (BOUNDED, OrderType.STOP_LIMIT, "1.11111", "1.11"),  # 1.11 * 1.001
    ],
)
def test_an_order_that_waits_waits_where_its_signal_says(bot: Bot, kind: OrderType, price: Any, stop_price: Any):
    answer = World(bot).enter(order_type=kind, order_price=D(stop_price or price))
    intent = answer.intent
    assert intent is not None
    assert (intent.type, intent.time_in_force) == (kind, TimeInForce.GTC)
    assert intent.price == (None if price is None else D(price))
    assert intent.stop_price == (None if stop_price is None else D(stop_price))


def test_a_stop_limit_needs_to_be_told_how_far_its_limit_lies():
    assert code(World().enter(order_type=OrderType.STOP_LIMIT, order_price=D("1.11"))) is DropCode.NOT_OFFERED


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        ({"min_qty": D("0.2")}, RefusalCode.MIN_QTY),
        ({"max_market_qty": D("0.05")}, RefusalCode.MAX_QTY),
        ({"min_notional": D(20_000)}, RefusalCode.MIN_NOTIONAL),
        ({"max_notional": D(11_000)}, RefusalCode.MAX_NOTIONAL),
    ],
)
def test_the_venues_own_rule_is_told_by_its_own_code(rules: dict[str, D], rule: RefusalCode):
    answer = World(instruments=(replace(EURUSD, **rules),)).enter()
    assert code(answer) is DropCode.RULES
    assert inputs(answer)["venue_rule"] == rule.value
    assert answer.verdict.says.startswith(rule.value)


def test_all_that_an_entry_was_decided_on_is_written_down():
    bot = Bot(sizing={"by": "risk", "value": "0.01"}, exits={"stop": "0.005 price"}, limits={"max_daily_loss": "0.1"})
    world = World(bot)
    world.report("9900")
    world.quote("EURUSD", "1.10000", "1.10010", age_s=1.5)
    told = inputs(world.enter(price=D("1.1"), stop_loss=D("1.0951")))
    expected = {
        "bid": "1.1", "ask": "1.1001", "quote_age_s": "1.5", "signal_price": "1.1", "equity": "9900",
        "equity_currency": "USD", "balance_age_s": "0", "daily_loss_fraction": "0.01", "entry_price": "1.1001",
        "stop_price": "1.0951", "distance": "0.005", "sizing_fraction": "0.01", "contract_size": "100000",
        "wished_qty": "0.198", "order_qty": "0.19", "order_notional": "20901.9", "order_notional_currency": "USD",
    }  # fmt: skip
    assert told | expected == told
    assert D(told["spread_bps"]).quantize(D("0.001")) == D("0.909")  # 0.0001 of 1.10005


@pytest.mark.parametrize(("free", "refused"), [("1100.09", DropCode.MARGIN), ("1100.1", None)])
def test_on_margin_an_entry_needs_its_worth_over_the_leverage(free: str, refused: DropCode | None):
    world = World()
    world.report(free_margin=D(free), leverage=D(10))
    assert code(world.enter()) is refused  # 0.1 lots are worth 11 001


def test_the_rules_come_in_their_order():
    """Everything is wrong; what is put right, one after the other, uncovers what comes next."""
    bot = Bot(limits={"max_symbol_notional": "11000.5", "max_daily_loss": "0.05"}, schedule={"days": (3,)},
              exits={"stop": "2 atr"}, sizing={"by": "qty", "value": "60"}, others=("c",))  # fmt: skip
    world = World(bot, instruments=(replace(EURUSD, max_qty=D(50)),))
    world.hold("0.1", bot="b")
    world.hold("0.1", bot="c")
    world.report("9000")
    world.quote("EURUSD", "1.10000", "1.10010", age_s=20)
    assert code(world.enter()) is DropCode.STALE_QUOTE  # sanity
    world.quote("EURUSD", "1.10000", "1.10010")
    assert code(world.enter()) is DropCode.OUTSIDE_DAYS  # schedule
    world.wait(86_400.0)
    world.report("9000")
    world.quote("EURUSD", "1.10000", "1.10010")
    assert code(world.enter()) is DropCode.HALTED  # account
    world.stage.guards = {"acc": {DropCode.DRAWDOWN: D("0.01")}}
    world.change(TradingState.ACTIVE)
    assert code(world.enter()) is DropCode.DRAWDOWN  # guards
    world.stage.guards = {}
    assert code(world.enter()) is DropCode.ALREADY_OPEN  # counts
    world.hold("-0.1", bot="b", leg=Leg.EXIT)
    assert code(world.enter()) is DropCode.MAX_POSITIONS_SYMBOL
    world.hold("0.1", bot="c")
    open_up = world.config.presets["p"].limits.model_copy(update={"max_positions_symbol": None})
    world.config.presets["p"] = world.config.presets["p"].model_copy(update={"limits": open_up})
    assert code(world.enter()) is DropCode.MAX_SYMBOL_NOTIONAL  # no room at all, and so nothing is sized
    world.hold("-0.2", bot="c", leg=Leg.EXIT)
    assert code(world.enter()) is DropCode.NO_UNIT  # size
    assert code(world.enter(unit=D("0.001"))) is DropCode.RULES  # the venue's rules
    answer = world.enter(unit=D("0.001"), qty=D("0.1"))
    assert code(answer) is DropCode.MAX_SYMBOL_NOTIONAL  # the caps once more, of the order itself: 11 001
    assert code(world.enter(unit=D("0.001"), qty=D("0.09"))) is None


# ── entries that turn round ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_may_follow_an_exit_that_is_closing_all_there_is():
    world = World()
    world.hold("0.1")
    assert code(world.enter(Action.ENTER_SHORT)) is DropCode.ALREADY_OPEN
    world.leave()
    assert code(world.enter(Action.ENTER_SHORT)) is None


def test_it_may_be_raised_together_with_that_exit():
    world = World()
    world.hold("0.1")
    leave, enter = world.signal(Action.EXIT_LONG), world.signal(Action.ENTER_SHORT)
    world.raise_together(leave, enter)
    assert code(world.answers[leave.id]) is None
    assert code(world.answers[enter.id]) is None


def test_an_exit_that_waits_for_a_price_makes_no_room():
    world = World()
    world.hold("0.1")
    world.leave(order_type=OrderType.LIMIT, order_price=D("1.2"))
    assert code(world.enter(Action.ENTER_SHORT)) is DropCode.ALREADY_OPEN


def test_what_is_raised_together_counts_before_it_is_kept():
    world = World(Bot(others=("c",)))
    first, second = world.signal(bot="b"), world.signal(bot="c")
    world.raise_together(first, second)
    assert code(world.answers[first.id]) is None
    assert code(world.answers[second.id]) is DropCode.MAX_POSITIONS_SYMBOL


def test_what_was_let_pass_and_never_kept_is_forgotten_when_the_run_is_over():
    world = World(executes=False)
    assert code(world.enter()) is None
    assert code(world.enter()) is None


# ── what may still fill ──────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_told_to_be_filled_counts_until_its_fill_is_booked():
    world = World()
    name = world.order("0.1")
    world.told(name, OrderStatus.FILLED, "0.1")
    assert code(world.enter()) is DropCode.ALREADY_OPEN  # no position yet, no open order any more
    world.hold("0.1", order=name)
    assert code(world.enter()) is DropCode.ALREADY_OPEN  # now a position
    world.hold("-0.1", leg=Leg.EXIT)
    assert code(world.enter()) is None


def test_once_the_account_was_compared_with_the_venue_no_fill_is_waited_for():
    world = World()
    world.told(world.order("0.1"), OrderStatus.FILLED, "0.1")
    world.wait(1.0)
    world.bus.say(said.ReconcileEnded(account="acc", agreed=True, complete=True, findings=()))
    assert code(world.enter()) is None


def test_an_order_that_was_not_taken_counts_while_it_may_be_sent_again():
    world = World()
    name = world.order("0.1")
    world.bus.say(said.OrderRefused(account="acc", client_order_id=name, code=RefusalCode.RATE_LIMITED, says="wait"))
    assert code(world.enter()) is DropCode.ALREADY_OPEN
    world.bus.say(said.OrderAbandoned(account="acc", client_order_id=name, says="too late"))
    assert code(world.enter()) is None


def test_it_counts_no_more_once_it_is_too_old_to_be_sent():
    world = World()
    name = world.order("0.1")
    world.bus.say(said.OrderRefused(account="acc", client_order_id=name, code=RefusalCode.RATE_LIMITED, says="wait"))
    for seconds, refused in ((3_599.0, DropCode.ALREADY_OPEN), (1.0, None)):
        world.wait(seconds)
        world.report()
        world.quote("EURUSD", "1.1", "1.1")
        assert code(world.enter()) is refused


def test_an_order_of_which_nobody_knows_counts():
    world = World()
    name = world.order("0.1")
    world.bus.say(said.OrderUnknown(account="acc", client_order_id=name, says="silence", request_ends_ns=None))
    assert code(world.enter()) is DropCode.ALREADY_OPEN


@pytest.mark.parametrize(("reduce_only", "refused"), [(True, None), (None, DropCode.MAX_ACCOUNT_NOTIONAL)])
def test_a_foreign_order_counts_unless_the_venue_says_that_it_only_reduces(reduce_only: bool | None, refused: Any):
    world = World(Bot(limits={"max_account_notional": "11001", "max_positions_symbol": None}))
    foreign = Order(
        symbol="EURUSD", venue_order_id="7", client_order_id=None, side=Side.BUY, type=OrderType.LIMIT,
        status=OrderStatus.NEW, qty=D("0.01"), filled_qty=D(0), price=D("1.1"), reduce_only=reduce_only,
    )  # fmt: skip
    world.bus.say(said.OrderReported(account="acc", order=foreign))
    assert code(world.enter()) is refused


def test_orders_that_protect_or_leave_are_no_exposure():
    world = World(Bot(limits={"max_account_notional": "11001", "max_positions_symbol": None}))
    for leg in (Leg.EXIT, Leg.STOP, Leg.TARGET, Leg.FLATTEN):
        world.order("0.1", leg, side=Side.SELL, bot="c")
    assert code(world.enter()) is None


@pytest.mark.parametrize(("cap", "refused"), [("16501.24", DropCode.MAX_ACCOUNT_NOTIONAL), ("16501.25", None)])
def test_a_part_of_an_order_that_filled_is_counted_once(cap: str, refused: DropCode | None):
    """0.05 lots of another bot are worth 5 500.25 at 1.10005, filled or not, and 0.1 more are worth 11 001."""
    world = World(Bot(limits={"max_account_notional": cap, "max_positions_symbol": None}))
    name = world.order("0.05", bot="c", price="1.10005")
    world.told(name, OrderStatus.PARTIALLY_FILLED, "0.02")
    world.hold("0.02", bot="c", order=name)
    assert code(world.enter()) is refused


# ── throttle, arming, orders of a person ─────────────────────────────────────────────────────────────────────────────


def test_the_throttle_counts_a_minute_and_survives_a_restart():
    world = World(Bot(limits={"max_orders_per_minute": 1, "max_positions_symbol": None}, others=("c",)))
    world.enter(bot="c")
    world.wait(59.9)
    world.report()
    world.quote("EURUSD", "1.1", "1.1")
    world.restart()
    assert code(world.enter()) is DropCode.ORDER_RATE
    world.wait(0.1)
    assert code(world.enter()) is None


def test_the_throttle_counts_what_is_raised_together():
    world = World(Bot(limits={"max_orders_per_minute": 1, "max_positions_symbol": None}, others=("c",)))
    first, second = world.signal(bot="c"), world.signal()
    world.raise_together(first, second)
    assert code(world.answers[first.id]) is None
    assert code(world.answers[second.id]) is DropCode.ORDER_RATE


def test_exits_are_not_throttled():
    world = World(Bot(limits={"max_orders_per_minute": 1}))
    world.hold("0.1")
    world.order("0.1", bot="c")
    assert code(world.leave()) is None


def test_a_live_account_trades_once_a_person_has_armed_it_and_after_a_restart():
    world = World(Bot(mode="live"))
    world.command("arm", by="program nightly")
    assert code(world.enter()) is DropCode.NOT_ARMED
    world.command("arm", done=False)
    assert code(world.enter()) is DropCode.NOT_ARMED
    world.command("arm")
    world.restart()
    assert code(world.enter()) is None
    world.hold("0.1", leg=Leg.ENTRY)
    world.command("disarm", by="program nightly")
    world.restart()
    assert code(world.leave()) is None
    assert code(world.enter(symbol="EURUSD", id="after")) is DropCode.NOT_ARMED


def test_an_account_that_was_armed_is_not_once_its_connection_is_another():
    world = World(Bot(mode="live"))
    world.identities["acc"] = "binance live, connection 1, set-up 1"
    world.command("arm", of="binance live, connection 1, set-up 1")
    assert code(world.enter()) is None
    world.identities["acc"] = "binance live, connection 1, set-up 2"
    world.restart()
    dropped = world.enter(id="after").verdict
    assert dropped.code is DropCode.NOT_ARMED
    assert "venue, address, key or settings have changed" in dropped.says
    assert dropped.says.endswith("then: tradelab arm acc")
    world.command("arm", of="binance live, connection 1, set-up 2")
    assert code(world.enter(id="again")) is not DropCode.NOT_ARMED


def test_an_arming_of_before_that_was_noted_is_asked_for_again():
    world = World(Bot(mode="live"))
    world.command("arm")
    world.identities["acc"] = "binance live, connection 1, set-up 1"
    world.restart()
    assert code(world.enter()) is DropCode.NOT_ARMED


def test_a_persons_own_signal_passes_the_same_gates():
    world = World()
    world.hold("0.1", bot="b")
    assert code(world.enter(origin=Origin.PERSON, qty=D("0.2"))) is DropCode.ALREADY_OPEN
    assert qty(World().enter(origin=Origin.PERSON, qty=D("0.2"))) == D("0.2")
