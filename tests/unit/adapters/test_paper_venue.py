"""What paper has beside the engine's rules: quotes, arrival, funds, restarts; each case worked out by hand."""

from __future__ import annotations

from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from tradelab.adapters import registry
from tradelab.adapters.paper_config import PaperConfig
from tradelab.adapters.paper_venue import PaperVenue
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock
from tradelab.model.errors import (
    ConnectivityError,
    CorruptFileError,
    ParameterError,
    QualityError,
    RequestError,
    UnknownNameError,
)
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote
from tradelab.model.orders import Liquidity, Order, OrderIntent, OrderRef, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused

D, BUY, SELL = Decimal, Side.BUY, Side.SELL
MINUTE = 60 * 10**9
X = Instrument(symbol="X", venue="paper", quote="USD", base="XXX", tick_size=D("0.01"), qty_step=D("0.1"))


def now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run what never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


class Desk:
    """A paper account and somebody who trades on it."""

    def __init__(self, mode: str = "netting", usd: str = "10000", **terms: Any) -> None:
        self.config = PaperConfig(mode=mode, balances={"USD": usd}, **terms)
        self.clock = ManualClock(0)
        self.venue = PaperVenue(self.config, [X], clock=self.clock)
        now(self.venue.connect())
        self.count = 0

    def quote(self, bid: str, ask: str, bid_qty: str | None = None, ask_qty: str | None = None, at: int = 0) -> None:
        sizes = [None if size is None else D(size) for size in (bid_qty, ask_qty)]
        self.venue.on_quote(
            Quote(symbol="X", bid=D(bid), ask=D(ask), ts_ns=at * MINUTE, bid_qty=sizes[0], ask_qty=sizes[1])
        )

    def bar(self, at: int, o: float, h: float, low: float, c: float, closed: bool = True) -> None:
        self.venue.on_candle("X", Candle(at * MINUTE, o, h, low, c, float("nan"), closed))

    def send(self, side: Side, qty: str, kind: OrderType = OrderType.MARKET, **rest: Any) -> Outcome:
        self.count += 1
        rest.setdefault("client_order_id", f"c{self.count}")
        prices = {
            k: D(v) if isinstance(v, str) and k.endswith(("price", "loss", "profit")) else v for k, v in rest.items()
        }
        intent = OrderIntent(symbol="X", side=side, qty=D(qty), type=kind, **prices)
        order = approve(intent, X, reference_price=D(100), by=("test",), at_ns=0)
        assert isinstance(order, OrderApproved)
        outcome: Outcome = now(self.venue.submit(order))
        return outcome

    def order(self, number: int) -> Order:
        found = now(self.venue.order(OrderRef(symbol="X", client_order_id=f"c{number}")))
        assert found is not None
        return found

    def fills(self) -> list[tuple[Side, D, D]]:
        return [(f.side, f.qty, round(f.price, 9)) for f in now(self.venue.fills(0))]  # the engine's are floats

    @property
    def cash(self) -> D:
        return now(self.venue.account_info()).balance("USD").total


# quotes


def test_where_a_quote_stands_a_market_order_trades_at_once_with_slippage_and_without_the_terms_spread():
    desk = Desk(slippage_bps=10, spread_bps=50)
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1")
    desk.send(SELL, "1")
    assert desk.fills() == [(BUY, 1, D("100.1")), (SELL, 1, D("99.89001"))]  # 100 + 0.1 %, 99.99 - 0.1 %


def test_a_limit_that_a_quote_leaps_over_trades_at_its_own_price_as_a_maker():
    desk = Desk(taker_fee_bps=10, maker_fee_bps=2, slippage_bps=10)
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1", OrderType.LIMIT, price="99.00")
    desk.quote("97.99", "98.00")
    (fill,) = now(desk.venue.fills(0))
    assert (fill.price, fill.liquidity, fill.fee) == (D("99.00"), Liquidity.MAKER, D("0.0198"))


def test_a_limit_that_takes_slips_no_further_than_its_limit():
    desk = Desk(taker_fee_bps=10, maker_fee_bps=2, slippage_bps=100)
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1", OrderType.LIMIT, price="100.50")
    (fill,) = now(desk.venue.fills(0))
    assert (fill.price, fill.liquidity, fill.fee) == (D("100.50"), Liquidity.TAKER, D("0.1005"))


def test_no_more_is_taken_of_a_quote_than_it_shows_whoever_takes_it():
    desk = Desk()
    desk.quote("99.99", "100.00", bid_qty="5", ask_qty="3")
    desk.send(BUY, "2")
    desk.send(BUY, "2")
    assert desk.fills() == [(BUY, 2, 100), (BUY, 1, 100)]
    assert (desk.order(2).status, desk.order(2).leaves_qty) == (OrderStatus.PARTIALLY_FILLED, 1)
    desk.quote("100.99", "101.00", ask_qty="9")
    assert desk.fills()[2:] == [(BUY, 1, 101)]


def test_a_stop_is_set_off_by_the_price_it_would_trade_at():
    desk = Desk()
    desk.quote("99.00", "101.00")
    desk.send(SELL, "1", OrderType.STOP, stop_price="98.50")
    desk.quote("98.40", "101.50")
    assert desk.fills() == [(SELL, 1, D("98.40"))]


def test_a_stop_loss_on_quotes_fills_at_the_quote_and_a_take_profit_at_its_price():
    desk = Desk(slippage_bps=10)
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1", stop_loss="95.00", take_profit="110.00")
    desk.quote("94.00", "94.01")
    desk.quote("99.99", "100.00")
    desk.send(SELL, "1", stop_loss="105.00", take_profit="90.00")
    desk.quote("88.00", "88.01")
    assert [price for _, _, price in desk.fills()] == [D("100.1"), D("93.906"), D("99.89001"), D("90.00")]


def test_a_crossed_quote_is_refused_and_an_older_one_passed_over():
    desk = Desk()
    desk.quote("99.99", "100.00", at=2)
    with pytest.raises(QualityError, match="no market"):
        desk.quote("101.00", "100.00", at=3)
    desk.quote("49.99", "50.00", at=1)
    assert now(desk.venue.quote("X")).ask == 100


def test_a_market_that_is_quoted_is_lived_by_its_quotes_alone():
    desk = Desk()
    desk.quote("99.99", "100.00", at=1)
    desk.send(BUY, "1", OrderType.LIMIT, price="90.00")
    desk.bar(2, 100, 101, 80, 100)
    assert desk.fills() == []


# bars


def test_a_market_order_on_bars_waits_for_the_next_open():
    desk = Desk(spread_bps=20, slippage_bps=10)
    desk.bar(1, 100, 101, 99, 100)
    desk.send(BUY, "1")
    assert desk.fills() == []
    desk.bar(2, 102, 103, 101, 102)
    assert desk.fills() == [(BUY, 1, D("102.204"))]  # half the spread and the slippage: 0.2 % of 102


def test_at_an_open_what_was_sent_comes_first_then_a_target_it_has_passed_then_the_stop_inside():
    desk = Desk()
    desk.bar(1, 100, 100, 100, 100)
    desk.send(BUY, "3", stop_loss="90.00", take_profit="110.00")
    desk.bar(2, 100, 101, 99, 100)
    desk.send(SELL, "1", reduce_only=True)
    desk.bar(3, 112, 113, 80, 85)
    assert desk.fills() == [(BUY, 3, 100), (SELL, 1, 112), (SELL, 2, 112)]


def test_of_a_bar_that_forms_the_open_is_acted_on_and_nothing_else():
    desk = Desk()
    desk.bar(1, 100, 101, 99, 100)
    desk.send(BUY, "1")
    desk.send(BUY, "1", OrderType.LIMIT, price="95.00")
    desk.bar(2, 102, 102, 90, 91, closed=False)
    assert desk.fills() == [(BUY, 1, 102)]
    desk.bar(2, 102, 102, 90, 91)
    assert desk.fills() == [(BUY, 1, 102), (BUY, 1, 95)]


def test_an_order_does_not_meet_a_bar_that_had_opened_before_it_came():
    desk = Desk()
    desk.bar(1, 100, 101, 99, 100)
    desk.bar(2, 100, 100, 100, 100, closed=False)
    desk.send(BUY, "1", OrderType.LIMIT, price="95.00")
    desk.bar(2, 100, 101, 90, 100)
    assert desk.fills() == []
    desk.bar(3, 100, 101, 94, 100)
    assert desk.fills() == [(BUY, 1, 95)]


def test_a_bar_that_was_seen_is_passed_over():
    desk = Desk()
    desk.bar(2, 100, 101, 99, 100)
    desk.send(BUY, "1")
    desk.bar(2, 100, 101, 99, 100)
    desk.bar(1, 100, 101, 99, 100)
    assert desk.fills() == []


def test_of_what_follows_a_trigger_inside_a_bar_only_the_close_is_known():
    """Trigger 102, limit 101: the low of 100 may have been before the trigger; a close at 100.5 was after it."""
    for close, filled in ((101.5, False), (100.5, True)):
        desk = Desk()
        desk.bar(1, 101.5, 101.6, 101.4, 101.5)
        desk.send(BUY, "1", OrderType.STOP_LIMIT, stop_price="102.00", price="101.00")
        desk.bar(2, 101.5, 103, 100, close)
        assert bool(desk.fills()) is filled
        assert desk.order(1).status is (OrderStatus.FILLED if filled else OrderStatus.NEW)


def test_a_stop_limit_that_the_open_sets_off_has_the_whole_bar():
    desk = Desk()
    desk.bar(1, 101, 101, 101, 101)
    desk.send(BUY, "1", OrderType.STOP_LIMIT, stop_price="102.00", price="101.00")
    desk.bar(2, 103, 104, 100, 103)
    assert desk.fills() == [(BUY, 1, 101)]


def test_what_was_entered_inside_a_bar_may_be_stopped_in_it_but_not_reach_its_target():
    for low, sold in ((96.0, []), (94.0, [(SELL, D(1), D("95.00"))])):
        desk = Desk()
        desk.bar(1, 100, 100, 100, 100)
        desk.send(BUY, "1", OrderType.LIMIT, price="98.00", stop_loss="95.00", take_profit="99.00")
        desk.bar(2, 100, 101, low, 98.5)
        assert desk.fills() == [(BUY, 1, 98), *sold]


def test_an_order_good_till_a_date_is_gone_on_the_bar_that_opens_then():
    desk = Desk()
    desk.bar(1, 100, 100, 100, 100)
    desk.send(BUY, "1", OrderType.LIMIT, price="95.00", time_in_force=TimeInForce.GTD, expire_ns=3 * MINUTE)
    desk.bar(2, 100, 100, 99, 100)
    desk.bar(3, 100, 100, 90, 100)
    assert desk.fills() == []
    assert desk.order(1).status is OrderStatus.EXPIRED


def test_fill_or_kill_on_bars_trades_whole_at_the_open_or_not_at_all():
    desk = Desk(volume_share="0.5")
    for volume, status in ((1.0, OrderStatus.CANCELLED), (2.0, OrderStatus.FILLED)):
        desk.venue.on_candle("X", Candle(desk.count * 2 * MINUTE, 100, 100, 100, 100, 9.0, True))
        desk.send(BUY, "1", time_in_force=TimeInForce.FOK)
        desk.venue.on_candle("X", Candle((desk.count * 2 - 1) * MINUTE, 100, 100, 100, 100, volume, True))
        assert desk.order(desk.count).status is status


# arrival


def test_with_latency_an_order_meets_the_first_quote_after_it_has_arrived():
    desk = Desk(latency_ms=90_000)
    desk.quote("99.99", "100.00")
    assert isinstance(desk.send(BUY, "1"), Accepted)
    desk.quote("100.99", "101.00", at=1)
    assert desk.fills() == []
    desk.quote("101.99", "102.00", at=2)
    assert desk.fills() == [(BUY, 1, 102)]


def test_an_order_that_makes_no_sense_any_more_when_it_arrives_is_rejected():
    desk = Desk(latency_ms=1000)
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1", OrderType.LIMIT, price="99.00", time_in_force=TimeInForce.PO)
    desk.quote("97.99", "98.00", at=1)
    assert desk.order(1).status is OrderStatus.REJECTED
    assert desk.fills() == []


# funds


def test_what_cannot_be_paid_for_at_the_open_is_rejected_whole():
    desk = Desk("spot", usd="1000")
    desk.bar(1, 100, 100, 100, 100)
    assert isinstance(desk.send(BUY, "9"), Accepted)
    desk.bar(2, 120, 120, 120, 120)
    assert desk.order(1).status is OrderStatus.REJECTED
    assert desk.cash == 1000


def test_what_rests_is_promised_and_cannot_be_promised_again():
    desk = Desk("spot", usd="1000", taker_fee_bps=100)
    desk.quote("99.99", "100.00")
    desk.send(BUY, "9", OrderType.LIMIT, price="50.00")
    balance = now(desk.venue.account_info()).balance("USD")
    assert (balance.free, balance.used) == (D("545.5"), D("454.5"))  # 450 and one percent
    refused = desk.send(BUY, "6", OrderType.LIMIT, price="99.00")
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.BALANCE


def test_leverage_binds_a_part_of_the_value():
    desk = Desk(usd="1000", leverage=10)
    desk.quote("99.99", "100.01")
    desk.send(BUY, "50")  # at 100.01; marked at 100.00: 5 000 held, 500 bound
    info = now(desk.venue.account_info())
    assert (info.used_margin, info.equity, info.free_margin) == (500, D("999.5"), D("499.5"))
    refused = desk.send(BUY, "60")
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.MARGIN


def test_equity_below_the_maintenance_margin_is_liquidated_at_the_engines_level():
    """1 000 of money, long 50 at 100, kept at 5 %: 1000 - 5000 + 50 p = 0.05 * 50 p, so p = 84.2105..."""
    desk = Desk(usd="1000", leverage=10, maintenance="0.05")
    desk.bar(1, 100, 100, 100, 100)
    desk.send(BUY, "50")
    desk.bar(2, 100, 100, 100, 100)
    (position,) = now(desk.venue.positions())
    assert float(position.liquidation_price) == pytest.approx(4000 / 47.5, abs=1e-9)
    desk.bar(3, 95, 96, 80, 82)
    assert now(desk.venue.positions()) == []
    assert float(desk.fills()[-1][2]) == pytest.approx(4000 / 47.5, abs=1e-9)


def test_an_account_whose_equity_is_gone_is_closed_out():
    desk = Desk(usd="1000", leverage=10)
    desk.quote("99.99", "100.00")
    desk.send(BUY, "50")
    desk.send(BUY, "1", OrderType.LIMIT, price="50.00")
    desk.quote("75.00", "75.01")
    assert now(desk.venue.positions()) == []
    assert now(desk.venue.open_orders()) == []
    assert desk.cash == -250
    refused = desk.send(BUY, "1")
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.MARGIN


def test_a_maker_may_be_paid():
    desk = Desk(maker_fee_bps=-1)
    desk.quote("99.99", "100.00")
    desk.send(BUY, "10", OrderType.LIMIT, price="99.00")
    desk.quote("98.00", "98.01")
    (fill,) = now(desk.venue.fills(0))
    assert fill.fee == D("-0.099")
    assert desk.cash == D("10000.099")


def test_what_only_closes_goes_when_a_stop_has_closed_before_it():
    desk = Desk()
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1", stop_loss="95.00")
    desk.send(SELL, "1", OrderType.LIMIT, price="105.00", reduce_only=True)
    desk.quote("94.00", "94.01")
    assert desk.order(2).status is OrderStatus.CANCELLED
    assert now(desk.venue.positions()) == []


# names and restarts


def test_a_client_id_names_one_order_for_ever_also_when_it_has_filled_and_after_a_restart():
    desk = Desk()
    desk.quote("99.99", "100.00")
    first = desk.send(BUY, "1", client_order_id="mine")
    assert desk.send(BUY, "1", client_order_id="mine") == first
    again = PaperVenue(desk.config, [X], clock=desk.clock, saved=desk.venue.export_state())
    now(again.connect())
    desk.venue = again
    assert desk.send(BUY, "1", client_order_id="mine") == first
    assert desk.fills() == [(BUY, 1, 100)]


def test_the_name_of_a_buy_is_no_name_for_a_sell():
    desk = Desk()
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1", client_order_id="mine")
    told = desk.send(SELL, "1", client_order_id="mine")
    assert isinstance(told, Refused)
    assert told.code is RefusalCode.BAD_REQUEST
    assert desk.fills() == [(BUY, 1, 100)]


@pytest.mark.parametrize("value", [D(0), D(-1), D("NaN"), D("Infinity"), 12.5])
@pytest.mark.parametrize("name", ["price", "qty"])
def test_an_order_is_not_changed_to_what_no_order_can_have(name, value):
    desk = Desk()
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1", OrderType.LIMIT, price="95.00")
    told = now(desk.venue.modify(OrderRef(symbol="X", client_order_id="c1"), **{name: value}))
    assert isinstance(told, Refused)
    assert told.code is RefusalCode.BAD_REQUEST
    assert (desk.order(1).qty, desk.order(1).price) == (1, D("95.00"))


def test_a_restart_goes_on_with_what_is_left_of_a_quote_and_of_an_order():
    desk = Desk("hedging", slippage_bps=1)
    desk.quote("99.99", "100.00", ask_qty="3")
    desk.send(BUY, "5", OrderType.LIMIT, price="100.00", stop_loss="90.00")
    saved = desk.venue.export_state()
    desk.venue = PaperVenue(desk.config, [X], clock=desk.clock, saved=saved)
    now(desk.venue.connect())
    assert desk.venue.export_state() == saved
    desk.send(BUY, "1", OrderType.LIMIT, price="100.00", time_in_force=TimeInForce.IOC)
    assert desk.order(2).filled_qty == 0
    desk.quote("98.99", "99.00", at=1)
    assert desk.order(1).status is OrderStatus.FILLED
    (position,) = now(desk.venue.positions())
    assert (position.qty, position.stop_loss, position.position_id) == (5, 90, desk.order(1).venue_order_id)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda state: state | {"format": 99}, "format 99"),
        (lambda state: state | {"start": {"USD": "5"}}, "began with 5 USD, not 10000 USD"),
        (lambda state: state | {"money": {"USD": "plenty"}}, "money.USD"),
        (lambda state: {}, "cannot be read"),
        (lambda state: state | {"seen": {}, "orders": [state["orders"][0] | {"symbol": "Y"}]}, "orders in Y"),
    ],
)
def test_a_state_that_is_not_of_this_account_is_refused(spoil, says):
    desk = Desk()
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1")
    with pytest.raises(CorruptFileError, match=says):
        PaperVenue(desk.config, [X], clock=desk.clock, saved=spoil(desk.venue.export_state()))


# the rest of the contract


def test_money_has_no_default_and_may_not_be_nonsense():
    for wrong in ({}, {"balances": {}}, {"balances": {"USD": -1}}, {"balances": {"USD": 1}, "leverage": 2}):
        with pytest.raises(ValidationError):
            PaperConfig(**wrong)


def test_the_registry_opens_a_paper_account_and_names_what_is_wrong_with_its_settings():
    instrument = {"symbol": "X", "venue": "paper", "quote": "USD", "tick_size": "0.01", "qty_step": "0.1"}
    venue = registry.execution_venue("paper", {"balances": {"USD": "1000"}, "instruments": [instrument]})
    assert [market.tick_size for market in now(venue.instruments())] == [D("0.01")]
    assert now(venue.test_connection()).passed
    with pytest.raises(UnknownNameError, match="did you mean 'balances'"):
        registry.execution_venue("paper", {"balance": {"USD": "1000"}})
    with pytest.raises(ParameterError, match="taker_fee_bps"):
        registry.execution_venue("paper", {"balances": {"USD": "1000"}, "taker_fee_bps": "-1"})
    with pytest.raises(ParameterError, match=r"X: tick_size=.* must be a Decimal above zero"):
        registry.execution_venue("paper", {"balances": {"USD": "1"}, "instruments": [instrument | {"tick_size": "0"}]})
    with pytest.raises(ParameterError, match="balances"):
        registry.execution_venue("paper")


def test_nothing_is_sent_or_told_before_it_is_connected():
    desk = Desk()
    desk.quote("99.99", "100.00")
    now(desk.venue.disconnect())
    refused = desk.send(BUY, "1")
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.NOT_SENT
    with pytest.raises(ConnectivityError, match="not connected"):
        now(desk.venue.positions())


def test_a_market_that_was_never_seen_has_no_price():
    desk = Desk()
    with pytest.raises(RequestError, match="no price of X"):
        now(desk.venue.quote("X"))
    refused = desk.send(BUY, "1")
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.MARKET_CLOSED
    with pytest.raises(UnknownNameError, match="no symbol named 'Y'"):
        now(desk.venue.quote("Y"))


def test_a_change_is_held_to_the_same_rules_as_an_order():
    desk = Desk("spot", usd="1000")
    desk.quote("99.99", "100.00")
    desk.send(BUY, "5", OrderType.LIMIT, price="90.00", time_in_force=TimeInForce.PO)
    ref = desk.order(1).ref
    codes = [
        now(desk.venue.modify(ref, **change)).code
        for change in (
            {"price": D("100.00")}, {"qty": D(50)}, {"price": D("90.005")}, {"qty": D("5")}, {"stop_price": D(95)},
        )
    ]  # fmt: skip
    assert codes == [
        RefusalCode.WOULD_TAKE, RefusalCode.BALANCE, RefusalCode.TICK, RefusalCode.NO_CHANGE, RefusalCode.BAD_REQUEST,
    ]  # fmt: skip
    assert (desk.order(1).price, desk.order(1).qty) == (90, 5)


def test_a_limit_moved_through_the_market_takes():
    desk = Desk(taker_fee_bps=10, maker_fee_bps=0)
    desk.quote("99.99", "100.00")
    desk.send(BUY, "1", OrderType.LIMIT, price="90.00")
    now(desk.venue.modify(desk.order(1).ref, price=D("101.00")))
    (fill,) = now(desk.venue.fills(0))
    assert (fill.price, fill.liquidity, fill.fee) == (100, Liquidity.TAKER, D("0.1"))


def test_what_is_sent_in_the_last_moment_of_a_bar_takes_its_close():
    desk = Desk(slippage_bps=10)
    desk.bar(1, 100, 104, 98, 102)
    desk.send(BUY, "1")
    desk.send(BUY, "1", OrderType.LIMIT, price="103")
    desk.venue.at_close("X")
    assert desk.fills() == [(BUY, 1, D("102.102"))]
    desk.venue.at_close("X")
    desk.bar(2, 101, 101, 101, 101)
    assert desk.fills() == [(BUY, 1, D("102.102")), (BUY, 1, D("101"))]
