"""Hold the MetaApi dialect to MetaApi's documented examples: the same keys, the same JSON types.

No recorded payload of MetaApi could be had. Each example below is quoted from the page that stands beside it; a key of
ours that it does not have must be one that the model's own page documents.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.unit.rehearsal.metaapi_world import ACCOUNT, TOKEN, World, plain, world

_DOCS = "https://metaapi.cloud/docs/client"
_PROVISIONING = "https://metaapi.cloud/docs/provisioning"

# page → (example as documented, the model's further documented keys)
EXAMPLES: dict[str, tuple[dict[str, Any], set[str]]] = {
    f"{_DOCS}/restApi/api/readTradingTerminalState/readAccountInformation/": (
        {
            "broker": "True ECN Trading Ltd", "currency": "USD", "server": "ICMarketsSC-Demo", "balance": 7319.9,
            "equity": 7306.649913200001, "margin": 184.1, "freeMargin": 7120.22, "leverage": 100,
            "marginLevel": 3967.58283542, "tradeAllowed": True, "marginMode": "ACCOUNT_MARGIN_MODE_RETAIL_HEDGING",
            "name": "Will Turner", "login": 367906877, "credit": 0, "accountCurrencyExchangeRate": 1,
            "type": "ACCOUNT_TRADE_MODE_DEMO",
        },
        {"platform", "investorMode"},
    ),
    f"{_DOCS}/restApi/api/readTradingTerminalState/readPositions/": (
        {
            "id": "46648037", "type": "POSITION_TYPE_BUY", "symbol": "AUDNZD", "magic": 1000,
            "time": "2020-04-17T04:30:03.223Z", "brokerTime": "2020-04-17 07:30:03.223", "openPrice": 1.05782,
            "currentPrice": 1.05307, "currentTickValue": 0.5994, "stopLoss": 0.99876, "volume": 0.1, "swap": -0.5,
            "profit": -28.472110000000026, "updateTime": "2020-04-20T08:54:42.119Z", "commission": -0.5,
            "clientId": "AS_AUDNZD_46648037", "unrealizedProfit": -28.471500000000194,
            "realizedProfit": -0.0006099999998312455,
        },
        {"takeProfit", "realizedSwap", "unrealizedSwap", "realizedCommission", "unrealizedCommission", "reason",
         "comment", "platform", "accountCurrencyExchangeRate"},
    ),
    f"{_DOCS}/restApi/api/readTradingTerminalState/readOrders/": (
        {
            "id": "47067192", "type": "ORDER_TYPE_BUY_LIMIT", "state": "ORDER_STATE_PLACED", "symbol": "AUDNZD",
            "magic": 123456, "time": "2020-04-21T07:39:18.904Z", "brokerTime": "2020-04-21 10:39:18.904",
            "platform": "mt5", "openPrice": 1.05235, "currentPrice": 1.05335, "volume": 0.01, "currentVolume": 0.01,
        },
        {"clientId", "reason", "fillingMode", "expirationType", "accountCurrencyExchangeRate"},
    ),
    f"{_DOCS}/restApi/api/retrieveHistoricalData/readHistoryOrdersByTimeRange/": (
        {
            "clientId": "AS_AUDNZD_YSwKkvRe1B", "currentVolume": 0, "doneTime": "2020-04-20T05:30:04.361Z",
            "doneBrokerTime": "2020-04-20 08:30:04.361", "id": "46849507", "magic": 1000, "platform": "mt5",
            "positionId": "46849507", "state": "ORDER_STATE_FILLED", "symbol": "AUDNZD",
            "time": "2020-04-20T05:30:04.361Z", "type": "ORDER_TYPE_BUY", "volume": 0.12,
        },
        {"brokerTime", "openPrice", "stopLoss", "reason", "fillingMode", "expirationType",
         "accountCurrencyExchangeRate"},
    ),
    f"{_DOCS}/restApi/api/retrieveHistoricalData/readDealsByPosition/": (
        {
            "clientId": "AS_AUDNZD_3zfxXl3RvJ", "commission": -0.42, "entryType": "DEAL_ENTRY_IN", "id": "33582357",
            "magic": 1000, "platform": "mt5", "orderId": "46648037", "positionId": "46648037", "price": 1.05782,
            "profit": 0, "swap": 0, "symbol": "AUDNZD", "time": "2020-04-17T04:30:03.223Z",
            "brokerTime": "2020-04-17 07:30:03.223", "type": "DEAL_TYPE_BUY", "volume": 0.12,
        },
        {"reason", "accountCurrencyExchangeRate", "stopLoss"},
    ),
    f"{_DOCS}/models/metatraderSymbolPrice/": (
        {
            "symbol": "AUDNZD", "bid": 1.05297, "ask": 1.05309, "profitTickValue": 0.59731, "lossTickValue": 0.59736,
            "time": "2020-04-07T03:45:23.345Z", "brokerTime": "2020-04-07 06:45:23.345",
        },
        {"accountCurrencyExchangeRate"},
    ),
    f"{_DOCS}/models/metatraderCandle/": (
        {
            "symbol": "AUDNZD", "timeframe": "15m", "time": "2020-04-07T03:45:00.000Z",
            "brokerTime": "2020-04-07 06:45:00.000", "open": 1.03297, "high": 1.06309, "low": 1.02705, "close": 1.043,
            "tickVolume": 1435, "spread": 17, "volume": 345,
        },
        set(),
    ),
    f"{_DOCS}/restApi/api/readTradingTerminalState/readServerTime/": (
        {
            "time": "2022-04-05T12:54:55.345Z", "brokerTime": "2022-04-05 15:54:55.345",
            "lastQuoteTime": "2022-04-05T12:54:55.145Z", "lastQuoteBrokerTime": "2022-04-05 15:54:55.145",
        },
        set(),
    ),
    f"{_DOCS}/restApi/api/trade/": (
        {"numericCode": 10009, "stringCode": "TRADE_RETCODE_DONE", "message": "Request completed",
         "orderId": "47137555"},
        {"positionId"},
    ),
    f"{_PROVISIONING}/api/account/readAccount/": (
        {
            "_id": "1eda642a-a9a3-457c-99af-3bc5e8d5c4c9", "login": "50194988", "name": "mt5a",
            "server": "ICMarketsSC-Demo", "magic": 123456, "connectionStatus": "DISCONNECTED", "state": "DEPLOYED",
            "type": "cloud-g2", "region": "vint-hill", "manualTrades": True, "quoteStreamingIntervalInSeconds": 2.5,
            "tags": [], "reliability": "high", "baseCurrency": "USD", "copyFactoryRoles": ["PROVIDER"],
            "resourceSlots": 1, "copyFactoryResourceSlots": 4, "version": 4, "hash": 18093, "primaryReplica": True,
            "userId": "7b17e36a88502fd2faae5dd9d2166873", "accountReplicas": [], "metastatsApiEnabled": False,
            "riskManagementApiEnabled": False, "createdAt": "2022-12-11T09:09:27.454Z",
        },
        set(),
    ),
}  # fmt: skip
# https://metaapi.cloud/docs/client/restApi/api/retrieveMarketData/readTick/
TICK = {"symbol", "time", "brokerTime", "bid", "ask", "last", "volume", "side"}
# https://metaapi.cloud/docs/client/restApi/api/retrieveMarketData/readSymbolSpecification/, as far as it was stored
SPECIFICATION = {
    "symbol": "AUDNZD", "tickSize": 0.00001, "minVolume": 0.01, "maxVolume": 100, "volumeStep": 0.01,
    "contractSize": 100000, "quoteSessions": {}, "tradeSessions": {},
}  # fmt: skip
# Required fields of https://metaapi.cloud/docs/client/models/metatraderSymbolSpecification/ and its SDK model
SPECIFICATION_REQUIRED = {
    "symbol", "tickSize", "minVolume", "maxVolume", "volumeStep", "fillingModes", "executionMode", "contractSize",
    "quoteSessions", "tradeSessions", "initialMargin", "maintenanceMargin", "marginCurrency", "priceCalculationMode",
    "baseCurrency", "swapMode", "swapRollover3Days", "allowedExpirationModes", "allowedOrderTypes", "digits", "point",
    "description", "stopsLevel", "freezeLevel",
}  # fmt: skip


async def _answers(on: World) -> dict[str, Any]:
    """Bring about one of each, and ask for it."""
    async with plain(on) as http:
        waits = {"actionType": "ORDER_TYPE_BUY_LIMIT", "symbol": "EURUSD", "volume": 0.01, "openPrice": 1.1,
                 "clientId": "waits"}  # fmt: skip
        enters = {"actionType": "ORDER_TYPE_BUY", "symbol": "EURUSD", "volume": 0.1, "stopLoss": 1.1,
                  "clientId": "enters"}  # fmt: skip
        await http.post("/trade", json=waits)
        done = (await http.post("/trade", json=enters)).json()
        whole = "1970-01-01T00:00:00.000Z/2100-01-01T00:00:00.000Z"

        async def rows(path: str) -> Any:
            told = (await http.get(path)).json()
            return told[0] if isinstance(told, list) else told

        paths = {
            "readAccountInformation": "/account-information", "readPositions": "/positions", "readOrders": "/orders",
            "readHistoryOrdersByTimeRange": f"/history-orders/time/{whole}",
            "readDealsByPosition": f"/history-deals/position/{done['positionId']}",
            "metatraderSymbolPrice": "/symbols/EURUSD/current-price",
            "metatraderCandle": "/historical-market-data/symbols/EURUSD/timeframes/15m/candles",
            "readServerTime": "/server-time", "readAccount": str(http.base_url).rstrip("/"),
        }  # fmt: skip
        found = {name: await rows(path) for name, path in paths.items()}
        return found | {"trade": done, "tick": await rows("/symbols/EURUSD/current-tick"),
                        "specification": await rows("/symbols/EURUSD/specification")}  # fmt: skip


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """One answer of the rehearsal venue for each documented example."""

    async def ask() -> dict[str, Any]:
        async with world(adapter=False) as on:
            return await _answers(on)

    return asyncio.run(ask())


@pytest.mark.parametrize("page", EXAMPLES)
def test_an_answer_has_the_keys_and_types_of_the_documented_example(page: str, answers: dict[str, Any]) -> None:
    example, further = EXAMPLES[page]
    ours = answers[page.rstrip("/").rpartition("/")[2]]
    assert set(example) <= set(ours)
    assert set(ours) <= set(example) | further
    assert {k: _kind(ours[k]) for k in example} == {k: _kind(v) for k, v in example.items()}


def test_a_tick_of_fx_is_the_documented_one_without_a_deal(answers: dict[str, Any]) -> None:
    assert set(answers["tick"]) == TICK - {"last", "volume", "side"}


def test_a_specification_has_the_documented_keys_and_types(answers: dict[str, Any]) -> None:
    ours = answers["specification"]
    assert set(ours) >= SPECIFICATION_REQUIRED
    assert {k: _kind(ours[k]) for k in SPECIFICATION} == {k: _kind(v) for k, v in SPECIFICATION.items()}
    assert set(ours["tradeSessions"]) == {"SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY"}
    assert ours["tradeSessions"]["MONDAY"] == [{"from": "00:00:00.000", "to": "23:59:59.999"}]


def test_errors_have_the_documented_bodies() -> None:
    """Models: tooManyRequestsError, webSocketError (ValidationError), error."""

    async def ask() -> None:
        async with world(adapter=False, weight_per_min=100) as on, plain(on) as http:
            refused = await http.post("/trade", json={"actionType": "ORDER_TYPE_BUY"})
            assert refused.status_code == 400
            assert set(refused.json()) == {"id", "error", "message", "details"}
            assert refused.json()["details"] == [{"parameter": "symbol", "message": "Required value."}]
            await http.get("/positions")
            limited = await http.get("/positions")
            assert limited.status_code == 429
            body = limited.json()
            assert (body["error"], set(body)) == ("TooManyRequestsError", {"id", "error", "message", "metadata"})
            assert set(body["metadata"]) >= {
                "total", "available", "needed", "resourceId", "multiplierId", "exceededConfig", "exceededPeriod",
                "recommendedRetryTime",
            }  # fmt: skip
            assert int(limited.headers["Retry-After"]) <= 60

    asyncio.run(ask())


def test_a_token_is_asked_for_and_an_account_that_is_not_ours_is_not_found() -> None:
    async def ask() -> None:
        async with world(adapter=False) as on:
            base = f"{on.venue.url}/users/current/accounts"
            async with httpx.AsyncClient(trust_env=False) as http:
                for headers in ({}, {"auth-token": "wrong"}):
                    answer = await http.get(f"{base}/{ACCOUNT}/positions", headers=headers)
                    assert (answer.status_code, answer.json()["error"]) == (401, "UnauthorizedError")
                answer = await http.get(f"{base}/nobody/positions", headers={"auth-token": TOKEN})
                assert (answer.status_code, answer.json()["error"]) == (404, "NotFoundError")

    asyncio.run(ask())


def _kind(value: Any) -> str:
    """The JSON type of a value: JavaScript has one kind of number."""
    text = json.dumps(value)
    return {"{": "object", "[": "array", '"': "string", "t": "boolean", "f": "boolean", "n": "null"}.get(
        text[0], "number"
    )
