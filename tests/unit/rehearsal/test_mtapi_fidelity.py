"""Hold the messages of our mtapi.io venue to what is known of the real one: keys and JSON types, and from where.

No payload could be recorded. What stands here was carried over by hand from docs.metatraderapi.dev (the documented
answer of OrderSend for MetaTrader 5 and 4, of OrderHistory) and from the note of a client that had looked at
mt5.mtapi.io (tartarixinc/TScopier, docs/mtapi-conformance-sanitized.md); the paths and parameters are those of
mt5.mtapi.io/readme (seed-features §22.1).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.rehearsal.mtapi_world import PASSWORD, USER, plain, world

NUMBER, TEXT, FLAG, LIST, OBJECT = "number", "text", "flag", "list", "object"


def _kind(value: Any) -> str:
    kinds = {bool: FLAG, int: NUMBER, float: NUMBER, str: TEXT, list: LIST, dict: OBJECT, type(None): "nothing"}
    return kinds[type(value)]


# docs.metatraderapi.dev, metatrader-5-api/trading: the answer of OrderSend
ORDER5 = {
    "ticket": NUMBER, "profit": NUMBER, "swap": NUMBER, "commission": NUMBER, "fee": NUMBER, "closePrice": NUMBER,
    "closeTime": TEXT, "closeLots": NUMBER, "closeComment": TEXT, "openPrice": NUMBER, "openTime": TEXT, "lots": NUMBER,
    "contractSize": NUMBER, "expertId": NUMBER, "placedType": TEXT, "orderType": TEXT, "dealType": TEXT, "symbol": TEXT,
    "comment": TEXT, "state": TEXT, "stopLoss": NUMBER, "takeProfit": NUMBER, "requestId": NUMBER, "digits": NUMBER,
    "profitRate": NUMBER, "stopLimitPrice": NUMBER, "dealInternalIn": OBJECT,
}  # fmt: skip
# the same page cuts off there; a client of mt5.mtapi.io has the rest (index file 491105501)
ORDER5_REST = {
    "dealInternalOut": OBJECT, "orderInternal": OBJECT, "partialCloseDeals": LIST, "partialFillDeals": LIST,
    "closeVolume": NUMBER, "volume": NUMBER, "expirationType": TEXT, "expirationTime": TEXT, "fillPolicy": TEXT,
    "openTimestampUTC": NUMBER, "closeTimestampUTC": NUMBER,
}  # fmt: skip
DEAL5 = {
    "ticketNumber": NUMBER, "id": TEXT, "login": NUMBER, "historyTime": NUMBER, "orderTicket": NUMBER,
    "openTime": NUMBER, "symbol": TEXT, "type": TEXT, "direction": TEXT, "openPrice": NUMBER, "price": NUMBER,
    "stopLoss": NUMBER, "takeProfit": NUMBER, "volume": NUMBER, "profit": NUMBER, "profitRate": NUMBER,
    "volumeRate": NUMBER, "commission": NUMBER, "fee": NUMBER, "swap": NUMBER, "expertId": NUMBER,
    "positionTicket": NUMBER, "comment": TEXT, "contractSize": NUMBER, "digits": NUMBER, "moneyDigits": NUMBER,
    "freeProfit": NUMBER, "trailRounder": NUMBER, "openTimeMs": NUMBER, "placedType": TEXT, "openTimeAsDateTime": TEXT,
    "lots": NUMBER,
}  # fmt: skip
PLACED5 = {
    "ticketNumber": NUMBER, "id": TEXT, "login": NUMBER, "symbol": TEXT, "historyTime": NUMBER, "openTime": NUMBER,
    "expirationTime": NUMBER, "executionTime": NUMBER, "type": TEXT, "fillPolicy": TEXT, "expirationType": TEXT,
    "placedType": TEXT, "openPrice": NUMBER, "stopLimitPrice": NUMBER, "price": NUMBER, "stopLoss": NUMBER,
    "takeProfit": NUMBER, "volume": NUMBER, "requestVolume": NUMBER, "state": TEXT, "expertId": NUMBER,
    "dealTicket": NUMBER, "comment": TEXT, "contractSize": NUMBER, "digits": NUMBER, "baseDigits": NUMBER,
    "profitRate": NUMBER, "openTimeMs": NUMBER, "ticket": NUMBER, "executionTimeAsDateTime": TEXT, "lots": NUMBER,
    "requestLots": NUMBER, "openTimeMsAsDateTime": TEXT, "openTimeAsDateTime": TEXT,
}  # fmt: skip
# docs.metatraderapi.dev, metatrader-4-api/trading: the answer of OrderSend; ``ex`` is MetaTrader's raw record
ORDER4 = {
    "ticket": NUMBER, "openTime": TEXT, "closeTime": TEXT, "expiration": TEXT, "type": TEXT, "lots": NUMBER,
    "symbol": TEXT, "openPrice": NUMBER, "stopLoss": NUMBER, "takeProfit": NUMBER, "closePrice": NUMBER,
    "magicNumber": NUMBER, "swap": NUMBER, "commission": NUMBER, "comment": TEXT, "profit": NUMBER, "rateOpen": NUMBER,
    "rateClose": NUMBER, "rateMargin": NUMBER, "ex": OBJECT, "placedType": TEXT, "state": TEXT, "digits": NUMBER,
}  # fmt: skip
# TScopier's note: AccountSummary, GetQuote, SymbolParams, OrderHistory, as it saw them
ACCOUNT = {
    "balance": NUMBER, "credit": NUMBER, "profit": NUMBER, "equity": NUMBER, "margin": NUMBER, "freeMargin": NUMBER,
    "marginLevel": NUMBER, "leverage": NUMBER, "currency": TEXT, "method": TEXT, "type": TEXT, "isInvestor": FLAG,
    "synced": FLAG,
}  # fmt: skip
QUOTE = {"symbol": TEXT, "bid": NUMBER, "ask": NUMBER, "time": TEXT, "last": NUMBER, "volume": NUMBER}
SYMBOL = {"symbol": TEXT, "symbolInfo": OBJECT, "symbolGroup": OBJECT}
SYMBOL_INFO = {"digits": NUMBER, "points": NUMBER, "contractSize": NUMBER}
SYMBOL_GROUP = {
    "minLots": NUMBER, "maxLots": NUMBER, "lotsStep": NUMBER, "tradeMode": TEXT, "tradeType": TEXT, "fillPolicy": TEXT,
    "expiration": TEXT, "swapLong": NUMBER, "swapShort": NUMBER,
}  # fmt: skip
HISTORY = {"partialResponse": FLAG, "orders": LIST, "internalDeals": LIST, "internalOrders": LIST, "action": NUMBER}
# clients of mt5.mtapi.io; spread: the vendor's gRPC reference
BAR5 = {
    "time": TEXT, "openPrice": NUMBER, "highPrice": NUMBER, "lowPrice": NUMBER, "closePrice": NUMBER,
    "tickVolume": NUMBER, "spread": NUMBER, "volume": NUMBER,
}  # fmt: skip
ERROR = {"message": TEXT, "code": TEXT, "stackTrace": TEXT}

# What differs on purpose, and why.
MORE = {  # keys that we tell and the note does not show: it shows a part of each object
    "symbolInfo": {"currency", "profitCurrency", "marginCurrency", "description"},  # assumed
}
EMPTY_HERE = {  # told as null where there is nothing; the documentation shows them filled
    "dealInternalOut": "an open position", "dealInternalIn": "an order that waits", "stackTrace": "an error of the "
    "broker's", "ex": "never told: nothing we know of reads it",
}  # fmt: skip


def _holds(told: dict[str, Any], known: dict[str, str], more: set[str] | None = None) -> None:
    assert set(told) == set(known) | (more or set())
    for name, kind in known.items():
        if told[name] is None:
            assert name in EMPTY_HERE, name
        else:
            assert _kind(told[name]) == kind, (name, told[name])


def test_messages_of_metatrader_5_have_the_keys_and_types_that_are_known() -> None:
    async def play() -> None:
        async with world(adapter=False) as on, plain(on) as client:
            sent = {"symbol": "EURUSD", "operation": "Buy", "volume": "0.1", "comment": "c"}
            order = (await client.get("/OrderSend", **sent)).json()
            _holds(order, ORDER5 | ORDER5_REST)
            _holds(order["dealInternalIn"], DEAL5)
            _holds(order["orderInternal"], PLACED5)
            closed = (await client.get("/OrderClose", ticket=order["ticket"])).json()
            _holds(closed, ORDER5 | ORDER5_REST)
            _holds(closed["dealInternalOut"], DEAL5)
            waits = (await client.get("/OrderSend", **(sent | {"operation": "BuyLimit", "price": "1.15"}))).json()
            _holds(waits, ORDER5 | ORDER5_REST)
            (listed,) = (await client.get("/OpenedOrders")).json()
            _holds(listed, ORDER5 | ORDER5_REST)
            told = (await client.get("/OrderHistory", from_="2026-09-11T00:00:00", to="2026-09-12T00:00:00")).json()
            _holds(told, HISTORY)
            for deal in told["internalDeals"]:
                _holds(deal, DEAL5)
            for placed in told["internalOrders"]:
                _holds(placed, PLACED5)
            _holds((await client.get("/AccountSummary")).json(), ACCOUNT)
            _holds((await client.get("/GetQuote", symbol="EURUSD")).json(), QUOTE)
            asked = (await client.get("/SymbolParams", symbol="EURUSD")).json()
            _holds(asked, SYMBOL)
            _holds(asked["symbolInfo"], SYMBOL_INFO, MORE["symbolInfo"])
            _holds(asked["symbolGroup"], SYMBOL_GROUP)
            span = {"from_": "2026-09-11T05:00:00", "to": "2026-09-11T06:00:00", "timeFrame": 5}
            for bar in (await client.get("/PriceHistory", symbol="EURUSD", **span)).json():
                _holds(bar, BAR5)
            _holds((await client.get("/GetQuote", symbol="NOSUCH")).json(), ERROR)

    asyncio.run(play())


def test_tickets_of_metatrader_4_have_the_keys_and_types_that_are_known() -> None:
    async def play() -> None:
        async with world(adapter=False, dialect="mtapi-mt4") as on, plain(on) as client:
            order = (await client.get("/OrderSend", symbol="EURUSD", operation="Buy", volume="0.1")).json()
            _holds(order, ORDER4)
            _holds((await client.get("/OrderClose", ticket=order["ticket"])).json(), ORDER4)
            told = (await client.get("/OrderHistory", from_="2026-09-11T00:00:00", to="2026-09-12T00:00:00")).json()
            assert [set(row) for row in told] == [set(ORDER4)]  # a bare list

    asyncio.run(play())


@pytest.mark.parametrize(("path", "asked"), [
    ("/Connect", {"user": USER, "password": PASSWORD, "host": "78.140.180.198", "port": "443"}),
    ("/AccountSummary", {}), ("/OpenedOrders", {}), ("/Symbols", {}), ("/SymbolParams", {"symbol": "EURUSD"}),
    ("/OrderHistory", {"from": "1970-01-01T00:00:00", "to": "2022-09-01T00:00:00"}),
])  # fmt: skip
def test_every_request_of_the_readme_is_answered(path: str, asked: dict[str, str]) -> None:
    async def play() -> None:
        async with world(adapter=False) as on, plain(on) as client:
            told = await client.http.get(path, params=asked if path == "/Connect" else {"id": client.token} | asked)
            assert told.status_code == 200
            assert on.dialect.unknown_params == []

    asyncio.run(play())


def test_a_market_order_a_close_and_a_cancel_say_the_states_that_were_seen() -> None:
    # TScopier: Filled for market orders, Placed for pending ones, Started after a close, Cancelled after a cancel;
    # a volume of one million is a hundredth of a lot
    async def play() -> None:
        async with world(adapter=False) as on, plain(on) as client:
            sent = {"symbol": "EURUSD", "volume": "0.01"}
            bought = (await client.get("/OrderSend", operation="Buy", **sent)).json()
            waits = (await client.get("/OrderSend", operation="BuyLimit", price="1.15", **sent)).json()
            closed = (await client.get("/OrderClose", ticket=bought["ticket"])).json()
            gone = (await client.get("/OrderClose", ticket=waits["ticket"])).json()
            states = [told["state"] for told in (bought, waits, closed, gone)]
            assert states == ["Filled", "Placed", "Started", "Cancelled"]
            assert (closed["closeVolume"], closed["closeLots"]) == (1_000_000, 0.01)

    asyncio.run(play())
