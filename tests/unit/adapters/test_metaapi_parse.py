"""Read MetaApi's documented examples, and what they leave open, into our models."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tradelab.adapters import metaapi_parse as parse
from tradelab.model.errors import RequestError
from tradelab.model.instrument import Calendar, InstrumentKind
from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce

D = Decimal


def loads(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


# https://metaapi.cloud/docs/client/restApi/api/readTradingTerminalState/readPositions/
POSITION = loads("""{"id": "46648037", "type": "POSITION_TYPE_BUY", "symbol": "AUDNZD", "magic": 1000,
 "time": "2020-04-17T04:30:03.223Z", "brokerTime": "2020-04-17 07:30:03.223", "openPrice": 1.05782,
 "currentPrice": 1.05307, "currentTickValue": 0.5994, "stopLoss": 0.99876, "volume": 0.1, "swap": -0.5,
 "profit": -28.472110000000026, "updateTime": "2020-04-20T08:54:42.119Z", "commission": -0.5,
 "clientId": "AS_AUDNZD_46648037", "unrealizedProfit": -28.471500000000194,
 "realizedProfit": -0.0006099999998312455}""")
# https://metaapi.cloud/docs/client/restApi/api/readTradingTerminalState/readOrder/
ORDER = loads("""{"id": "47067192", "type": "ORDER_TYPE_BUY_LIMIT", "state": "ORDER_STATE_PLACED", "symbol": "AUDNZD",
 "magic": 123456, "time": "2020-04-21T07:39:18.904Z", "brokerTime": "2020-04-21 10:39:18.904", "openPrice": 1.05235,
 "currentPrice": 1.05335, "platform": "mt5", "volume": 0.01, "currentVolume": 0.01}""")
# https://metaapi.cloud/docs/client/restApi/api/retrieveHistoricalData/readDealsByPosition/
DEAL = loads("""{"clientId": "AS_AUDNZD_3zfxXl3RvJ", "commission": -0.42, "entryType": "DEAL_ENTRY_IN",
 "id": "33582357", "magic": 1000, "platform": "mt5", "orderId": "46648037", "positionId": "46648037",
 "price": 1.05782, "profit": 0, "swap": 0, "symbol": "AUDNZD", "time": "2020-04-17T04:30:03.223Z",
 "brokerTime": "2020-04-17 07:30:03.223", "type": "DEAL_TYPE_BUY", "volume": 0.12}""")
# https://metaapi.cloud/docs/client/restApi/api/readTradingTerminalState/readAccountInformation/
ACCOUNT = loads("""{"broker": "True ECN Trading Ltd", "currency": "USD", "server": "ICMarketsSC-Demo",
 "balance": 7319.9, "equity": 7306.649913200001, "margin": 184.1, "freeMargin": 7120.22, "leverage": 100,
 "marginLevel": 3967.58283542, "tradeAllowed": true, "marginMode": "ACCOUNT_MARGIN_MODE_RETAIL_HEDGING",
 "name": "Will Turner", "login": 367906877, "credit": 0, "accountCurrencyExchangeRate": 1,
 "type": "ACCOUNT_TRADE_MODE_DEMO"}""")
# https://metaapi.cloud/docs/client/restApi/api/retrieveMarketData/readSymbolSpecification/ (its first lines; the rest
# by the model's page)
SPECIFICATION = loads("""{"symbol": "AUDNZD", "tickSize": 0.00001, "minVolume": 0.01, "maxVolume": 100,
 "volumeStep": 0.01, "contractSize": 100000, "quoteSessions": {}, "tradeSessions": {"SUNDAY": [],
 "MONDAY": [{"from": "00:05:00.000", "to": "23:59:59.999"}],
 "TUESDAY": [{"from": "00:05:00.000", "to": "23:59:59.999"}],
 "WEDNESDAY": [{"from": "00:05:00.000", "to": "23:59:59.999"}], "SATURDAY": []}, "digits": 5,
 "baseCurrency": "AUD", "profitCurrency": "NZD", "priceCalculationMode": "SYMBOL_CALC_MODE_FOREX",
 "tradeMode": "SYMBOL_TRADE_MODE_FULL", "stopsLevel": 5}""")


def test_a_position_is_read_with_its_side_in_the_sign_and_its_time_in_utc() -> None:
    long = parse.position(POSITION)
    assert (long.qty, long.avg_price, long.stop_loss, long.take_profit) == (D("0.1"), D("1.05782"), D("0.99876"), None)
    assert long.opened_ns == 1_587_097_803_223_000_000  # 2020-04-17 04:30:03.223 UTC, not the broker's 07:30
    assert long.unrealized_pnl == D("-28.471500000000194")
    assert parse.position(POSITION | {"type": "POSITION_TYPE_SELL"}).qty == D("-0.1")


def test_an_order_is_read_open_partly_filled_and_done() -> None:
    order = parse.order(ORDER)
    assert order is not None
    assert (order.type, order.side, order.status) == (OrderType.LIMIT, Side.BUY, OrderStatus.NEW)
    assert (order.price, order.stop_price, order.qty, order.filled_qty) == (D("1.05235"), None, D("0.01"), 0)
    partly = parse.order(ORDER | {"state": "ORDER_STATE_PARTIAL", "volume": D(3), "currentVolume": D(2)})
    assert partly is not None
    assert (partly.status, partly.filled_qty, partly.leaves_qty) == (OrderStatus.PARTIALLY_FILLED, 1, 2)
    done = parse.order(ORDER | {"state": "ORDER_STATE_FILLED", "currentVolume": 0, "positionId": "47067192",
                                "doneTime": "2020-04-21T08:00:00.000Z", "clientId": "tl1"})  # fmt: skip
    assert done is not None
    assert (done.status, done.filled_qty, done.client_order_id, done.reduce_only) == (
        OrderStatus.FILLED, D("0.01"), "tl1", False,
    )  # fmt: skip
    assert done.updated_ns == 1_587_456_000_000_000_000


@pytest.mark.parametrize(
    ("word", "kind", "price", "stop"),
    [
        ("SELL_STOP", OrderType.STOP, None, D("1.05235")),
        ("BUY_STOP_LIMIT", OrderType.STOP_LIMIT, D("1.05"), D("1.05235")),
        ("SELL_LIMIT", OrderType.LIMIT, D("1.05235"), None),
        ("SELL", OrderType.MARKET, None, None),
    ],
)
def test_each_order_type_has_its_prices_where_ours_has_them(
    word: str, kind: OrderType, price: Decimal | None, stop: Decimal | None
) -> None:
    raw = ORDER | {"type": f"ORDER_TYPE_{word}", "stopLimitPrice": D("1.05"), "expirationType": "ORDER_TIME_SPECIFIED"}
    order = parse.order(raw)
    assert order is not None
    assert (order.type, order.price, order.stop_price) == (kind, price, stop)
    assert order.status is (OrderStatus.UNTRIGGERED if kind.needs_stop_price else OrderStatus.NEW)
    assert order.time_in_force is (None if kind is OrderType.MARKET else TimeInForce.GTD)


def test_an_order_that_closes_one_position_by_another_has_no_side_and_is_left_out() -> None:
    assert parse.order(ORDER | {"type": "ORDER_TYPE_CLOSE_BY"}) is None


def test_a_deal_is_read_with_its_commission_as_a_fee_and_no_other_row_is_a_fill() -> None:
    fill = parse.fill(DEAL, "USD")
    assert fill is not None
    assert (fill.fee, fill.fee_currency, fill.qty, fill.price) == (D("0.42"), "USD", D("0.12"), D("1.05782"))
    assert (fill.trade_id, fill.venue_order_id, fill.position_id) == ("33582357", "46648037", "46648037")
    untold = parse.fill({k: v for k, v in DEAL.items() if k != "commission"}, "USD")
    assert untold is not None
    assert (untold.fee, untold.fee_currency) == (None, None)
    for word in ("BALANCE", "CREDIT", "COMMISSION", "INTEREST"):
        assert parse.fill({"id": "1", "type": f"DEAL_TYPE_{word}", "time": DEAL["time"], "profit": 5}, "USD") is None


def test_an_average_price_is_that_of_the_orders_own_fills() -> None:
    order, fill = parse.order(ORDER | {"id": "46648037"}), parse.fill(DEAL, "USD")
    assert order is not None
    assert fill is not None
    other = replace(fill, venue_order_id="1", price=D(9))
    more = replace(fill, trade_id="2", qty=D("0.24"), price=D("1.05785"))
    assert parse.with_average(order, [fill, other, more]).avg_price == (D("1.05782") + 2 * D("1.05785")) / 3
    assert parse.with_average(order, [other]).avg_price is None


def test_an_account_is_read_as_the_money_that_is_there() -> None:
    account = parse.account(ACCOUNT, 5)
    (money,) = account.balances
    assert (money.total, money.used, account.equity) == (D("7319.9"), D("184.1"), D("7306.649913200001"))
    assert account.may_trade is True
    assert parse.account(ACCOUNT | {"investorMode": True}, 5).may_trade is False
    assert parse.account(ACCOUNT | {"balance": 0}, 5).balances == ()


def test_a_specification_is_our_instrument() -> None:
    read = parse.specification(SPECIFICATION, "broker", "USD")
    market = read.instrument
    assert (market.tick_size, market.qty_step, market.min_qty, market.max_qty) == (D("1e-5"), D("0.01"), D("0.01"), 100)
    assert (market.contract_size, market.base, market.quote, market.settle) == (100_000, "AUD", "NZD", "USD")
    assert (market.kind, market.calendar, market.session, market.venue) == (
        InstrumentKind.FX, Calendar.WEEKDAYS, "fx", "broker",
    )  # fmt: skip
    assert (read.stops_level, read.may_open) == (5, True)
    assert parse.specification(SPECIFICATION | {"tickSize": 0, "digits": 3}, "b", "USD").instrument.tick_size == D(
        "0.001"
    )
    assert not parse.specification(SPECIFICATION | {"tradeMode": "SYMBOL_TRADE_MODE_CLOSEONLY"}, "b", "USD").may_open


@pytest.mark.parametrize(
    ("hours", "weekend", "calendar"),
    [
        ([{"from": "00:00:00.000", "to": "23:59:59.999"}], True, Calendar.ALWAYS),
        ([{"from": "16:30:00.000", "to": "23:00:00.000"}], False, Calendar.SESSIONS),
        ([{"from": "01:00:00.000", "to": "23:59:59.999"}], False, Calendar.WEEKDAYS),
    ],
)
def test_a_calendar_is_told_by_the_hours_of_trade(hours: list[Any], weekend: bool, calendar: Calendar) -> None:
    sessions = {"WEDNESDAY": hours, "SATURDAY": hours if weekend else []}
    assert parse.specification(SPECIFICATION | {"tradeSessions": sessions}, "b", "USD").instrument.calendar is calendar


def test_a_tick_keeps_the_side_that_did_not_change() -> None:
    rows = loads("""[{"time": "2020-04-07T03:45:01.000Z", "ask": 1.2}, {"time": "2020-04-07T03:45:00.000Z", "bid": 1.0},
      {"time": "2020-04-07T03:45:02.000Z", "bid": 1.1, "last": 1.15, "volume": 0.13}]""")
    told = parse.ticks(rows)
    assert [(t.bid, t.ask, t.qty) for t in told] == [(D("1.0"), D("1.2"), None), (D("1.1"), D("1.2"), D("0.13"))]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"volume": None}, "number was expected"),
        ({"volume": "0.1"}, "number was expected"),
        ({"type": "POSITION_TYPE_SIDEWAYS"}, "SIDEWAYS"),
        ({"openPrice": True}, "number was expected"),
    ],
)
def test_an_answer_that_is_not_as_documented_is_an_error_and_never_a_guess(broken: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        parse.read("position", parse.position, POSITION | broken)
    with pytest.raises(RequestError, match="openPrice"):
        parse.read("position", parse.position, {k: v for k, v in POSITION.items() if k != "openPrice"})
