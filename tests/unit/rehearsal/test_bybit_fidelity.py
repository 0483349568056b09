"""Hold the rehearsal of Bybit against recorded messages: the same keys, the same types, the same reading.

``DIFFERS`` lists every key that only one side has, and every type that is not the same, with the reason. A difference
that is not in the table fails, and so does a row of the table that is no longer true.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ccxt.pro
import pytest

from tests.unit.rehearsal.bybit_world import World, bybit
from tests.unit.rehearsal.test_bybit_stream import log_in, plain

Json = Any
STREAM_ORDER = {  # the recorded frames are examples of the documentation, older than the answers of 2025
    "+cumFeeDetail": "2025, quoted in ccxt's parse_order", "+extraFees": "2025, the same",
    "+slippageTolerance": "2025, the same", "+slippageToleranceType": "2025, the same",
    "+isLeverage": "docs/v5/websocket/private/order", "+marketUnit": "docs/v5/websocket/private/order",
}  # fmt: skip
REST_ORDER = {
    "+cumFeeDetail": "2025, quoted in ccxt's parse_order", "+extraFees": "2025, the same",
    "+slippageTolerance": "2025, the same", "+slippageToleranceType": "2025, the same",
    "+createType": "docs/v5/order/open-order", "+marketUnit": "docs/v5/order/open-order",
    "~avgPrice": "recorded null; the documentation and 2025 say text", "~orderIv": "the same",
    "~blockTradeId": "the same",
}  # fmt: skip
LIST = {"+category": "docs/v5/order/open-order; absent from the recording"}
INSTRUMENT = {
    "+copyTrading": "docs/v5/market/instrument", "+displayName": "the same", "+isPreListing": "the same",
    "+preListingInfo": "the same", "+lowerFundingRate": "the same", "+upperFundingRate": "the same",
    "+riskParameters": "the same",
}  # fmt: skip
SPOT_INSTRUMENT = {
    "+stTag": "docs/v5/market/instrument", "+riskParameters": "the same", "lotSizeFilter.+maxLimitOrderQty": "the same",
    "lotSizeFilter.+maxMarketOrderQty": "the same", "lotSizeFilter.+postOnlyMaxLimitOrderSize": "the same",
}  # fmt: skip
WALLET_COIN = {
    f"coin[].+{k}": "docs/v5/websocket/private/wallet; absent from the recording"
    for k in ("bonus", "collateralSwitch", "cumRealisedPnl", "locked", "marginCollateral", "unrealisedPnl", "usdValue")
}
DIFFERS: dict[str, dict[str, str]] = {
    "http_get_account_info": {"+retExtInfo": "the recording is cut short", "+time": "the same"},
    "http_get_executions": {},
    "http_get_fee_rate": {},
    "http_get_instruments_linear": {
        **{f"result.list[].{k}": v for k, v in INSTRUMENT.items()},
        "result.+category": "docs/v5/market/instrument; ccxt needs it",
        "result.~nextPageCursor": "recorded null; the documentation says text",
    },
    "http_get_instruments_spot": {
        **{f"result.list[].{k}": v for k, v in SPOT_INSTRUMENT.items()},
        "result.+category": "docs/v5/market/instrument",
    },
    "http_get_klines_linear": {},
    "http_get_orderbook": {"+retExtInfo": "the recording is cut short"},
    "http_get_orders_history": {f"result.list[].{k}": v for k, v in REST_ORDER.items()}
    | {f"result.{k}": v for k, v in LIST.items()},
    "http_get_orders_realtime": {f"result.list[].{k}": v for k, v in REST_ORDER.items()}
    | {f"result.{k}": v for k, v in LIST.items()},
    "http_get_orders_realtime_tp_sl": {f"result.list[].{k}": v for k, v in REST_ORDER.items()}
    | {f"result.{k}": v for k, v in LIST.items()},
    "http_get_positions": {},
    "http_get_trades_recent": {"+retExtInfo": "the recording is cut short"},
    "http_get_user_query_api": {},
    "http_get_wallet_balance": {},
    "http_get_funding_history": {"+retExtInfo": "the recording is cut short"},
    "ws_account_execution": {
        f"data[].+{k}": "2025, quoted in ccxt's parse_trade"
        for k in ("createType", "execPnl", "extraFees", "feeCoin", "marketUnit")
    },
    "ws_account_execution_fast": {"+id": "recorded in ws_account_execution_fast_envelope_id"},
    "ws_account_order_filled": {f"data[].{k}": v for k, v in STREAM_ORDER.items()},
    "ws_account_order_stop_market": {f"data[].{k}": v for k, v in STREAM_ORDER.items()},
    "ws_account_order_stop_loss": {f"data[].{k}": v for k, v in STREAM_ORDER.items()},
    "ws_account_position": {},
    "ws_account_wallet": {
        **{f"data[].{k}": v for k, v in WALLET_COIN.items()},
        "data[].+accountType": "docs/v5/websocket/private/wallet",
        "data[].+totalPerpUPL": "the documentation's spelling",
        "data[].-totalPerpUpl": "the recording's spelling",
    },
    "ws_kline": {},
    "ws_orderbook_snapshot": {"+cts": "docs/v5/websocket/public/orderbook"},
    "ws_orderbook_delta": {"+cts": "docs/v5/websocket/public/orderbook"},
    "ws_public_trade": {
        "data[].+L": "docs/v5/websocket/public/trade",
        "data[].+seq": "docs/v5/websocket/public/trade",
    },
    "ws_subscription_ack": {},
    "ws_subscription_failure": {},
    "ws_ticker_linear": {
        f"data.+{k}": "docs/v5/market/tickers, the same row"
        for k in ("basis", "basisRate", "curPreListingPhase", "deliveryFeeRate", "deliveryTime", "preOpenPrice",
                  "preQty", "predictedDeliveryPrice")
    },
    "ws_auth_failure": {},
    "ws_auth_success": {
        "+ret_msg": "of the private socket, 2025, quoted in ccxt's handle_authenticate",
        "+conn_id": "the same", "-retCode": "of the trading socket, the same", "-retMsg": "the same",
        "-connId": "the same",
    },
}  # fmt: skip


def differences(ours: Json, theirs: Json, path: str = "") -> set[str]:
    """Return where two messages differ: ``+key`` only ours has, ``-key`` only theirs, ``~key`` another type."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        dot = f"{path}." if path else ""
        found = {f"{dot}+{k}" for k in ours.keys() - theirs.keys()} | {
            f"{dot}-{k}" for k in theirs.keys() - ours.keys()
        }
        return found.union(*(differences(ours[k], theirs[k], f"{dot}{k}") for k in ours.keys() & theirs.keys()))
    if isinstance(ours, list) and isinstance(theirs, list):
        return differences(ours[0], theirs[0], f"{path}[]") if ours and theirs else set()
    if type(ours) is type(theirs):
        return set()
    head, _, last = path.rpartition(".")
    return {f"{head}.~{last}" if head else f"~{last}"}


def recorded(shared: Path, name: str) -> Json:
    return json.loads((shared / "venue_payloads" / "bybit" / f"{name}.json").read_text())


# ── how to bring each message about ──────────────────────────────────────────────────────────────────────────────────


async def _busy(on: World) -> None:
    """Let an account have traded, hold something with protection, and have orders of every kind."""
    params: dict[str, Any] = {"clientOrderId": "in"}
    if on.linear:
        params |= {"stopLoss": {"triggerPrice": 29000}, "takeProfit": {"triggerPrice": 32000}}
    qty = 1 if on.linear else 0.02  # three times the equity: there is a price at which it is liquidated
    await on.client.create_order(on.symbol, "market", "buy", qty, None, params)
    gone = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29500, {"clientOrderId": "gone"})
    await on.client.cancel_order(gone["id"], on.symbol)
    await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29600, {"clientOrderId": "rests"})


REST: dict[str, tuple[bool, str, dict[str, Any]]] = {
    "http_get_account_info": (True, "/v5/account/info", {}),
    "http_get_executions": (True, "/v5/execution/list", {"category": "linear"}),
    "http_get_fee_rate": (True, "/v5/account/fee-rate", {"category": "linear"}),
    "http_get_instruments_linear": (True, "/v5/market/instruments-info", {"category": "linear"}),
    "http_get_instruments_spot": (False, "/v5/market/instruments-info", {"category": "spot"}),
    "http_get_klines_linear": (
        True, "/v5/market/kline", {"category": "linear", "symbol": "BTCUSDT", "interval": "1"},
    ),
    "http_get_orderbook": (True, "/v5/market/orderbook", {"category": "linear", "symbol": "BTCUSDT"}),
    "http_get_orders_history": (True, "/v5/order/history", {"category": "linear", "orderLinkId": "gone"}),
    "http_get_orders_realtime": (True, "/v5/order/realtime", {"category": "linear", "orderLinkId": "rests"}),
    "http_get_orders_realtime_tp_sl": (
        True, "/v5/order/realtime", {"category": "linear", "symbol": "BTCUSDT", "orderFilter": "StopOrder"},
    ),
    "http_get_positions": (True, "/v5/position/list", {"category": "linear", "settleCoin": "USDT"}),
    "http_get_trades_recent": (True, "/v5/market/recent-trade", {"category": "linear", "symbol": "BTCUSDT"}),
    "http_get_user_query_api": (True, "/v5/user/query-api", {}),
    "http_get_wallet_balance": (True, "/v5/account/wallet-balance", {"accountType": "UNIFIED"}),
    "http_get_funding_history": (True, "/v5/market/funding/history", {"category": "linear", "symbol": "BTCUSDT"}),
}  # fmt: skip


async def rest(name: str) -> Json:
    linear, path, params = REST[name]
    async with bybit(linear) as on:
        await _busy(on)
        on.price("30001")
        _, told, _ = await on.raw("GET", path, params)
        assert told["retCode"] == 0
        return told


async def _limit(on: World) -> None:
    await on.client.create_order(on.symbol, "limit", "buy", 0.01, 30100, {"clientOrderId": "taken"})


async def _short(on: World) -> None:
    await on.client.create_order(on.symbol, "market", "sell", 0.5)


async def _stop(on: World) -> None:
    params = {"triggerPrice": 29000, "triggerDirection": "descending", "clientOrderId": "waits"}
    await on.client.create_order(on.symbol, "market", "sell", 0.01, None, params)


async def _stop_limit_with_levels(on: World) -> None:
    params = {"triggerPrice": 30500, "triggerDirection": "ascending", "clientOrderId": "everything"}
    levels = {"stopLoss": {"triggerPrice": 29000}, "takeProfit": {"triggerPrice": 32000}}
    await on.client.create_order(on.symbol, "limit", "buy", 0.1, 30600, params | levels)
    on.price("30500")


async def _protected(on: World) -> None:
    await on.client.create_order(on.symbol, "market", "buy", 0.01, None, {"stopLoss": {"triggerPrice": 29000}})


async def _move(on: World) -> None:
    on.price("30000.50")


Act = Callable[[World], Awaitable[None]]
STREAMS: dict[str, tuple[str, str, Act, Callable[[Json], bool]]] = {
    "ws_account_execution": ("/v5/private", "execution", _limit, bool),
    "ws_account_execution_fast": ("/v5/private", "execution.fast", _limit, bool),
    "ws_account_order_filled": (
        "/v5/private", "order", _stop_limit_with_levels, lambda f: bool(f["data"][0]["orderStatus"] == "Filled"),
    ),
    "ws_account_order_stop_market": ("/v5/private", "order", _stop, bool),
    "ws_account_order_stop_loss": (
        "/v5/private", "order", _protected, lambda f: bool(f["data"][0]["stopOrderType"] == "StopLoss"),
    ),
    "ws_account_position": ("/v5/private", "position", _short, lambda f: bool(f["data"][0]["side"])),
    "ws_account_wallet": ("/v5/private", "wallet", _limit, bool),
    "ws_kline": ("/v5/public/linear", "kline.5.BTCUSDT", _move, bool),
    "ws_orderbook_snapshot": ("/v5/public/linear", "orderbook.1.BTCUSDT", _move, bool),
    "ws_orderbook_delta": ("/v5/public/linear", "orderbook.50.BTCUSDT", _move, lambda f: bool(f["type"] == "delta")),
    "ws_public_trade": ("/v5/public/linear", "publicTrade.BTCUSDT", _move, bool),
    "ws_ticker_linear": ("/v5/public/linear", "tickers.BTCUSDT", _move, bool),
}  # fmt: skip


async def stream(name: str) -> Json:
    path, topic, act, wanted = STREAMS[name]
    async with bybit(True) as on, plain(on, path) as socket:
        if path == "/v5/private":
            await socket.say(**log_in(on))
            await socket.hear()
        await socket.say(op="subscribe", args=[topic])
        await socket.hear()
        await act(on)
        while True:
            frame = await socket.hear_topic(topic)
            if wanted(frame):
                return frame


async def answer(name: str) -> Json:
    """Return what a socket answers to what is said to it."""
    async with bybit(True) as on, plain(on, "/v5/private" if "auth" in name else "/v5/public/linear") as socket:
        said: dict[str, Any] = {
            "ws_subscription_ack": {"op": "subscribe", "req_id": "sub-orderbook-1", "args": ["orderbook.1.BTCUSDT"]},
            "ws_subscription_failure": {"op": "subscribe", "args": ["invalid.topic.BTCUSDT"]},
            "ws_auth_success": log_in(on),
            "ws_auth_failure": log_in(on, key="nobody"),
        }[name]
        await socket.say(**said)
        return await socket.hear()


async def ours(name: str) -> Json:
    if name in REST:
        return await rest(name)
    return await (stream(name) if name in STREAMS else answer(name))


@pytest.mark.parametrize("name", DIFFERS)
def test_our_message_has_the_keys_and_types_of_the_recorded_one(name: str, shared: Path) -> None:
    found = differences(asyncio.run(ours(name)), recorded(shared, name))
    expected = set(DIFFERS[name])
    assert found == expected, f"not in the table: {found - expected}; no longer true: {expected - found}"


# ── what ccxt makes of both ──────────────────────────────────────────────────────────────────────────────────────────


def reader() -> Any:
    """Return a ccxt client that knows the market and was never connected."""
    client = ccxt.pro.bybit()
    rows = [("BTCUSDT", "BTC"), ("ETHUSDT", "ETH"), ("SOLUSDT", "SOL")]
    shape: dict[str, Any] = {"type": "swap", "swap": True, "spot": False, "linear": True, "inverse": False}
    shape |= {"contract": True, "contractSize": 1.0, "quote": "USDT", "quoteId": "USDT", "settle": "USDT"}
    named = [{"id": id_, "symbol": f"{base}/USDT:USDT", "base": base, "baseId": base} for id_, base in rows]
    client.set_markets([client.safe_market_structure(shape | {"settleId": "USDT"} | name) for name in named])
    return client


def _list(message: Json) -> Json:
    return message["result"]["list"][0] if "result" in message else message["data"][0]


PARSED: dict[str, Callable[[Any, Json], Any]] = {
    "http_get_orders_realtime": lambda c, m: c.parse_order(_list(m)),
    "http_get_orders_realtime_tp_sl": lambda c, m: c.parse_order(_list(m)),
    "http_get_executions": lambda c, m: c.parse_trade(_list(m)),
    "http_get_trades_recent": lambda c, m: c.parse_trade(_list(m)),
    "http_get_positions": lambda c, m: c.parse_position(_list(m)),
    "http_get_klines_linear": lambda c, m: dict(enumerate(c.parse_ohlcv(_list(m)))),
    "http_get_fee_rate": lambda c, m: c.parse_trading_fee(_list(m)),
    "ws_account_execution": lambda c, m: c.parse_trade(_list(m)),
    "ws_account_order_filled": lambda c, m: c.parse_order(_list(m)),
    "ws_account_order_stop_market": lambda c, m: c.parse_order(_list(m)),
    "ws_account_order_stop_loss": lambda c, m: c.parse_order(_list(m)),
    "ws_account_position": lambda c, m: c.parse_position(_list(m)),
    "ws_kline": lambda c, m: dict(enumerate(c.parse_ws_ohlcv(_list(m)))),
    "ws_public_trade": lambda c, m: c.parse_ws_trade(_list(m)),
    "ws_ticker_linear": lambda c, m: c.parse_ticker(m["data"]),
}
READ_OTHERWISE: dict[str, dict[str, str]] = {
    "http_get_orders_realtime_tp_sl": {
        "clientOrderId": "an order the venue made itself has no name; theirs is made up"
    },
    "ws_account_order_stop_loss": {"clientOrderId": "the same"},
    "ws_account_order_filled": {"fee": "cumFeeDetail, which the older recording lacks"},
}


def shape(read: dict[Any, Any]) -> dict[Any, str]:
    """Return what ccxt found, and its type; a whole number is a number."""
    kinds = {int: "number", float: "number"}
    return {k: kinds.get(type(v), type(v).__name__) for k, v in read.items() if v is not None and k != "info"}


@pytest.mark.parametrize("name", PARSED)
def test_ccxt_reads_our_message_as_it_reads_the_recorded_one(name: str, shared: Path) -> None:
    client = reader()
    mine = shape(PARSED[name](client, asyncio.run(ours(name))))
    theirs = shape(PARSED[name](client, recorded(shared, name)))
    odd = {k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k)}
    assert odd == set(READ_OTHERWISE.get(name, {})), {k: (mine.get(k), theirs.get(k)) for k in odd}
