"""An order is fitted to what its instrument allows: never larger, never worse, or refused with a code."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tradelab.model.approval import OrderApproved, approve
from tradelab.model.errors import InvariantError, ParameterError
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode, Refused
from tradelab.model.rounding import fit

BTC = Instrument(
    symbol="BTC/USDT",
    venue="x",
    quote="USDT",
    tick_size=Decimal("0.5"),
    qty_step=Decimal("0.01"),
    min_qty=Decimal("0.02"),
    max_qty=Decimal(10),
    max_market_qty=Decimal(5),
    min_notional=Decimal(100),
    max_notional=Decimal(200_000),
    min_price=Decimal(10),
    max_price=Decimal(90_000),
    price_band_up=Decimal("1.1"),
    price_band_down=Decimal("0.9"),
)


def _order(side: Side = Side.BUY, kind: OrderType = OrderType.LIMIT, qty: str = "1", **more: object) -> OrderIntent:
    if kind.needs_price:
        more.setdefault("price", Decimal(40_000))
    if kind.needs_stop_price:
        more.setdefault("stop_price", Decimal(40_000))
    return OrderIntent(client_order_id="a", symbol="BTC/USDT", side=side, type=kind, qty=Decimal(qty), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("order", "name", "becomes"),
    [
        (_order(qty="1.019"), "qty", "1.01"),  # down
        (_order(price=Decimal("40000.4")), "price", "40000.0"),  # a buy no dearer
        (_order(Side.SELL, price=Decimal("40000.1")), "price", "40000.5"),  # a sell no cheaper
        (
            _order(Side.SELL, OrderType.STOP, stop_price=Decimal("39000.1")),
            "stop_price",
            "39000.5",
        ),  # protection no later
        (_order(Side.BUY, OrderType.STOP, stop_price=Decimal("41000.4")), "stop_price", "41000.0"),
        (_order(stop_loss=Decimal("39000.1"), take_profit=Decimal("41000.4")), "stop_loss", "39000.5"),
        (_order(stop_loss=Decimal("39000.1"), take_profit=Decimal("41000.4")), "take_profit", "41000.0"),
        (_order(Side.SELL, stop_loss=Decimal("41000.4"), take_profit=Decimal("39000.1")), "stop_loss", "41000.0"),
        (_order(Side.SELL, stop_loss=Decimal("41000.4"), take_profit=Decimal("39000.1")), "take_profit", "39000.5"),
    ],
)
def test_what_is_rounded_and_which_way(order: OrderIntent, name: str, becomes: str) -> None:
    fitted = fit(order, BTC, Decimal(40_000))
    assert isinstance(fitted, OrderIntent), fitted
    assert getattr(fitted, name) == Decimal(becomes)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (_order(qty="0.009"), RefusalCode.MIN_QTY),  # rounds to nothing
        (_order(qty="0.019"), RefusalCode.MIN_QTY),
        (_order(qty="10.01"), RefusalCode.MAX_QTY),
        (_order(kind=OrderType.MARKET, qty="5.01"), RefusalCode.MAX_QTY),
        (_order(qty="6"), RefusalCode.MAX_NOTIONAL),
        (_order(qty="0.02", price=Decimal(36_000), side=Side.BUY), None),
        (_order(price=Decimal("0.4")), RefusalCode.TICK),
        (_order(price=Decimal(9)), RefusalCode.PRICE_LIMIT),
        (_order(price=Decimal("44000.5")), RefusalCode.PRICE_LIMIT),  # 1.1 times the market and a tick
        (_order(price=Decimal(44_000)), None),
        (_order(price=Decimal("35999.5")), RefusalCode.PRICE_LIMIT),
    ],
)
def test_what_is_refused_and_why(order: OrderIntent, code: RefusalCode | None) -> None:
    fitted = fit(order, BTC, Decimal(40_000))
    assert (fitted.code if isinstance(fitted, Refused) else None) is code


def test_too_small_a_value_is_refused_but_a_rest_may_always_be_closed() -> None:
    small = _order(kind=OrderType.MARKET, qty="0.02")
    refused = fit(small, BTC, Decimal(4_000))
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.MIN_NOTIONAL
    rest = _order(kind=OrderType.MARKET, qty="0.02", reduce_only=True)
    assert isinstance(fit(rest, BTC, Decimal(4_000)), OrderIntent)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity"])
def test_a_price_that_is_none_gives_no_order(price: str) -> None:
    refused = fit(_order(), BTC, Decimal(price))
    assert isinstance(refused, Refused)
    assert refused.code is RefusalCode.STALE_INPUT


def test_an_approved_order_is_made_by_approve_and_by_nothing_else() -> None:
    approved = approve(_order(qty="1.019"), BTC, reference_price=Decimal(40_000), by=("person",), at_ns=1)
    assert isinstance(approved, OrderApproved)
    assert approved.intent.qty == Decimal("1.01")
    with pytest.raises(InvariantError, match="approve"):
        OrderApproved(
            intent=approved.intent, approved_by=("me",), approved_ns=1, reference_price=Decimal(1), seal=object()
        )
    with pytest.raises(ParameterError, match="nobody approved"):
        approve(_order(), BTC, reference_price=Decimal(40_000), by=(), at_ns=1)
    other = Instrument(symbol="ETH/USDT", venue="x", quote="USDT", tick_size=Decimal(1), qty_step=Decimal(1))
    with pytest.raises(ParameterError, match="ETH/USDT"):
        approve(_order(), other, reference_price=Decimal(40_000), by=("person",), at_ns=1)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"qty": Decimal(0)}, "qty=0 must be above zero"),
        ({"qty": 1.5}, "qty=1.5 must be a finite Decimal"),
        ({"price": Decimal("NaN")}, "price=Decimal"),
        ({"price": None}, "a limit order needs price"),
        ({"stop_price": Decimal(1)}, "a limit order has no stop_price"),
        ({"time_in_force": TimeInForce.GTD}, "expire_ns"),
        ({"expire_ns": 5}, "expire_ns"),
        ({"type": OrderType.MARKET, "price": None, "time_in_force": TimeInForce.PO}, "post-only"),
        ({"client_order_id": ""}, "client_order_id"),
    ],
)
def test_an_order_that_makes_no_sense_cannot_be_written_down(wrong: dict[str, object], says: str) -> None:
    right = {
        "client_order_id": "a", "symbol": "S", "side": Side.BUY, "type": OrderType.LIMIT, "qty": Decimal(1),
        "price": Decimal(2),
    }  # fmt: skip
    with pytest.raises(ParameterError, match=says):
        OrderIntent(**(right | wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("qty", "step"),
    [
        ("0.9999999999999999999999999999999", "1"),
        ("9999999999999999999999999.9999999", "0.01"),
        ("0.0029999999999999999999999999999", "0.003"),
    ],
)
def test_more_digits_than_python_keeps_do_not_make_an_order_larger(qty: str, step: str) -> None:
    """A quotient of 28 digits is itself rounded, and up: an order was larger than what was asked for."""
    market = Instrument(symbol="BTC/USDT", venue="x", quote="USDT", tick_size=Decimal(1), qty_step=Decimal(step))
    fitted = fit(_order(kind=OrderType.MARKET, qty=qty), market, Decimal(10))
    assert isinstance(fitted, Refused) or fitted.qty <= Decimal(qty)
    assert market.floor_qty(Decimal(qty)) <= Decimal(qty)
    assert market.floor_price(Decimal("99.999999999999999999999999999999")) == 99
    assert market.ceil_price(Decimal("99.000000000000000000000000000001")) == 100


@pytest.mark.parametrize("qty", ["1e40", "1e-40", "1e999999"])
def test_a_number_no_market_has_is_refused_when_it_is_written_down(qty: str) -> None:
    with pytest.raises(ParameterError, match="no number that any market has"):
        _order(qty=qty)
