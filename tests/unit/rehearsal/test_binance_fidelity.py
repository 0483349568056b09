"""Hold every message of both dialects to a recorded one of the real venue: same keys, same types, same reading.

The payloads are in ``../shared/venue_payloads/binance`` (see its README); what differs is listed in ``DIFFERS``.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import ccxt
import pytest
from aiohttp import ClientSession, WSMsgType

from tests.unit.rehearsal.binance_world import KEY, Scene, play, until

D = Decimal
TRIGGER = {"trigger": True}


@dataclass(frozen=True)
class Differs:
    """Keys of one payload that ours has not, or has besides, and why."""

    why: str
    without: frozenset[str] = field(default_factory=frozenset)
    besides: frozenset[str] = field(default_factory=frozenset)


def keys(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SHORT = Differs(
    "the payload is shortened; execution_report_wrapped.json and the documentation have these",
    besides=keys("F g I M Y Q W V"),
)
_UPDATE = Differs(
    "AP and cr are documented as sent with trailing stops only; pm and gtd are documented and missing in the payload",
    without=keys("o.AP o.cr"), besides=keys("o.pm o.gtd"),
)  # fmt: skip
DIFFERS = {
    "spot/http_json/exchange_info_response.json": Differs(
        "this venue has no smart order routing", without=keys("sors sors.baseAsset sors.symbols")
    ),
    "spot/user_data_json/execution_report_new.json": _SHORT,
    "spot/user_data_json/execution_report_trade.json": _SHORT,
    "spot/user_data_json/execution_report_canceled.json": _SHORT,
    "spot/user_data_json/execution_report_stop_loss.json": Differs(
        _SHORT.why + "; W is for orders in the book, and this one waits", besides=_SHORT.besides - {"W"}
    ),
    "spot/user_data_json/execution_report_expired.json": _SHORT,
    "futures/http_json/open_algo_orders.json": Differs(
        "developers.binance.com, Current All Algo Open Orders: orderType, not type, and what the payload leaves out",
        without=keys("type"),
        besides=keys(
            "orderType price icebergQuantity selfTradePreventionMode priceMatch closePosition priceProtect triggerTime "
            "goodTillDate actualOrderId actualPrice tpTriggerPrice tpPrice slTriggerPrice slPrice tpOrderType"
        ),
    ),
    "futures/user_data_json/order_update_new.json": Differs(
        _UPDATE.why + "; N and n are documented as not sent without a commission",
        without=_UPDATE.without | keys("o.N o.n"), besides=_UPDATE.besides,
    ),
    "futures/user_data_json/order_update_trade.json": _UPDATE,
    "futures/user_data_json/order_update_trade_partial.json": _UPDATE,
    "futures/user_data_json/order_update_calculated.json": _UPDATE,
}  # fmt: skip
NOT_OURS = {
    "spot/user_data_json/list_status_wrapped.json": "this venue has no order lists (OCO)",
    "futures/user_data_json/order_update_adl.json": "this venue never deleverages",
    "futures/user_data_json/order_update_insurance.json": "the insurance fund pays without a message",
    "futures/user_data_json/order_update_calculated_pending.json": "a liquidation is one message here",
    "futures/user_data_json/order_update_delivery.json": "perpetuals are not delivered",
    "futures/user_data_json/order_update_settlement.json": "perpetuals are not settled",
}


# ── our messages ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def frames_of(on: Scene, path: str, first: dict[str, Any] | None = None) -> list[Any]:
    """Listen to a socket without ccxt; return the list that fills."""
    frames: list[Any] = []

    async def read() -> None:
        url = on.at.url.replace("http", "ws")
        async with ClientSession() as session, session.ws_connect(url + path) as socket:
            if first is not None:
                await socket.send_json(first)
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    frames.append(json.loads(message.data))

    before, task = len(on.at.server.hub.sessions), asyncio.create_task(read())
    on.background = task if on.background is None else asyncio.gather(on.background, task)  # type: ignore[assignment]
    await until(lambda: len(on.at.server.hub.sessions) > before)
    if first is not None:
        await until(lambda: frames)
    return frames


async def get(on: Scene, path: str) -> Any:
    """Ask without ccxt, as JSON."""
    async with ClientSession() as session, session.get(on.at.url + path) as response:
        return await response.json()


@cache
def spot_messages() -> dict[str, Any]:
    async def act(on: Scene) -> Any:
        c, said = on.client, {}
        sign = {"id": "1", "method": "userDataStream.subscribe.signature", "params": c.sign_params({})}
        frames = await frames_of(on, "/ws-api/v3", sign)
        symbol = {"symbol": "BTCUSDT"}
        said["ping"], said["server_time"] = await get(on, "/api/v3/ping"), await get(on, "/api/v3/time")
        said["exchange_info"] = await get(on, "/api/v3/exchangeInfo")
        for name, path in {
            "avg_price": "avgPrice", "book_ticker": "ticker/bookTicker", "depth": "depth", "ticker_24hr": "ticker/24hr",
            "ticker_price": "ticker/price", "trades": "trades", "klines": "klines?interval=1m&limit=2",
        }.items():  # fmt: skip
            said[name] = await get(on, f"/api/v3/{path}{'&' if '?' in path else '?'}symbol=BTCUSDT")
        order = symbol | {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5", "price": "39000"}

        async def raw(call: Any, params: dict[str, Any]) -> Any:
            await call(params)
            return json.loads(c.last_http_response)

        said["new_order_full"] = await raw(
            c.privatePostOrder, symbol | {"side": "SELL", "type": "MARKET", "quantity": "1.5"}
        )
        placed = await raw(c.privatePostOrder, order)
        named = symbol | {"orderId": placed["orderId"]}
        said["order"] = await raw(c.privateGetOrder, named)
        said["open_orders"] = await raw(c.privateGetOpenOrders, symbol)
        said["all_orders"] = [o for o in await raw(c.privateGetAllOrders, symbol) if o["status"] == "NEW"]
        said["account_trades"] = await raw(c.privateGetMyTrades, symbol)
        said["account"] = await raw(c.privateGetAccount, {})
        said["cancel_order"] = await raw(c.privateDeleteOrder, named)
        await raw(c.privatePostOrder, order)
        said["cancel_open_orders"] = await raw(c.privateDeleteOpenOrders, symbol)
        stop = {"type": "STOP_LOSS_LIMIT", "side": "SELL", "stopPrice": "38000", "price": "37900"}
        await raw(c.privatePostOrder, order | stop)
        await raw(c.privatePostOrder, order | {"timeInForce": "IOC"})
        on.at.direct.deposit(KEY, "BTC", D("0.1"))
        await until(lambda: any(f.get("event", {}).get("e") == "balanceUpdate" for f in frames))
        return said, [f for f in frames if "event" in f]

    said, frames = play("binance", act, money={"USDT": D(100_000), "BTC": D(5)})
    reports = [f for f in frames if f["event"]["e"] == "executionReport"]

    def report(**wanted: str) -> Any:
        return next(f for f in reports if all(f["event"][k] == v for k, v in wanted.items()))

    http = {f"spot/http_json/{name}_response.json": message for name, message in said.items()}
    position = next(f for f in frames if f["event"]["e"] == "outboundAccountPosition")
    change = next(f for f in frames if f["event"]["e"] == "balanceUpdate")
    user = {
        "account_position": position["event"], "account_position_wrapped": position,
        "balance_update": change["event"], "balance_update_wrapped": change,
        "execution_report_wrapped": report(x="NEW", o="LIMIT"),
        "execution_report_new": report(x="NEW", o="LIMIT")["event"],
        "execution_report_trade": report(x="TRADE")["event"],
        "execution_report_canceled": report(x="CANCELED")["event"],
        "execution_report_stop_loss": report(x="NEW", o="STOP_LOSS_LIMIT")["event"],
        "execution_report_expired": report(x="EXPIRED")["event"],
    }  # fmt: skip
    return http | {f"spot/user_data_json/{name}.json": message for name, message in user.items()}


@cache
def futures_messages() -> dict[str, Any]:
    async def act(on: Scene) -> Any:
        c, said, symbol = on.client, {}, {"symbol": "BTCUSDT"}
        key = (await c.fapiPrivatePostListenKey())["listenKey"]
        user = await frames_of(on, f"/private/ws?listenKey={key}")
        names = "aggTrade bookTicker depth@100ms kline_1m markPrice ticker trade forceOrder"
        market = await frames_of(on, "/market/ws/" + "/".join(f"btcusdt@{n}" for n in names.split()))
        await on.listens("btcusdt@forceOrder")

        async def raw(call: Any, params: dict[str, Any]) -> Any:
            await call(params)
            return json.loads(c.last_http_response)

        placed = await c.create_order(on.symbol, "limit", "buy", 0.5, 39_000)
        said["order_response"] = await raw(c.fapiPrivateGetOrder, symbol | {"orderId": placed["id"]})
        stop = await c.create_order(on.symbol, "market", "buy", 0.5, None, {"triggerPrice": 41_000})
        said["open_algo_orders"] = await raw(c.fapiPrivateGetOpenAlgoOrders, symbol)
        await c.cancel_order(stop["id"], on.symbol, TRIGGER)
        on.at.direct.fill(int(placed["id"]), D("0.2"))
        on.at.direct.fill(int(placed["id"]))
        said["position_risk"] = await raw(c.fapiPrivateV2GetPositionRisk, symbol)
        said["account_info_v2"] = await raw(c.fapiPrivateV2GetAccount, {})
        said["balance"] = await raw(c.fapiPrivateV2GetBalance, {})
        await on.at.advance(61)
        on.at.direct.deposit(KEY, "USDT", D(-1450))
        await on.price("38000")
        await until(lambda: any(f["e"] == "forceOrder" for f in market))
        await until(lambda: any(f["e"] == "ORDER_TRADE_UPDATE" and f["o"]["x"] == "CALCULATED" for f in user))
        return said, user, market

    said, user, market = play("binanceusdm", act, money={"USDT": D(2000)}, leverage=D(50))

    def of(frames: list[Any], event: str, **wanted: Any) -> Any:
        fits = (f for f in frames if f["e"] == event)
        return next(f for f in fits if all((f.get("o") or f.get("k") or f.get("a"))[k] == v for k, v in wanted.items()))

    streams = {
        "agg_trade_stream": of(market, "aggTrade"), "book_ticker_stream": of(market, "bookTicker"),
        "depth_update_stream": of(market, "depthUpdate"), "kline_stream_open": of(market, "kline", x=False),
        "kline_stream_closed": of(market, "kline", x=True), "liquidation_stream": of(market, "forceOrder"),
        "mark_price_stream": of(market, "markPriceUpdate"), "ticker_stream": of(market, "24hrTicker"),
        "trade_stream": of(market, "trade"),
    }  # fmt: skip
    update = "ORDER_TRADE_UPDATE"
    events = {
        "account_update": of(user, "ACCOUNT_UPDATE", m="ORDER"),
        "account_update_bnfcr": of(user, "ACCOUNT_UPDATE", m="DEPOSIT"),
        "algo_update_new": of(user, "ALGO_UPDATE", X="NEW"),
        "algo_update_canceled": of(user, "ALGO_UPDATE", X="CANCELED"),
        "order_update_new": of(user, update, x="NEW"), "order_update_trade": of(user, update, x="TRADE", X="FILLED"),
        "order_update_trade_partial": of(user, update, x="TRADE", X="PARTIALLY_FILLED"),
        "order_update_calculated": of(user, update, x="CALCULATED"), "trade_lite": of(user, "TRADE_LITE"),
    }  # fmt: skip
    return (
        {f"futures/http_json/{name}.json": message for name, message in said.items()}
        | {f"futures/market_data_json/{name}.json": message for name, message in streams.items()}
        | {f"futures/user_data_json/{name}.json": message for name, message in events.items()}
    )


# ── the comparison ───────────────────────────────────────────────────────────────────────────────────────────────────


def shape(value: Any, at: str = "") -> dict[str, str]:
    """Return the type at every path of keys; a list of objects is told by its first, a row of values by their types."""
    if isinstance(value, dict):
        found = {at: "object"} if at else {}
        for key, part in value.items():
            found |= shape(part, f"{at}.{key}".lstrip("."))
        return found
    if isinstance(value, list):
        if value and isinstance(value[0], dict | list):
            return {at: "list"} | shape(value[0], at)
        kinds = [kind(part) for part in value]
        return {at: "row of " + " ".join(kinds if len(set(kinds)) > 1 else kinds[:1])}
    return {at: kind(value)}


def kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "bool"
    return "number" if isinstance(value, int | float) else "text"


def recorded(shared: Path, name: str) -> Any:
    return json.loads((shared / "venue_payloads" / "binance" / name).read_text())


def messages(name: str) -> dict[str, Any]:
    return spot_messages() if name.startswith("spot") else futures_messages()


def names_of(folder: str) -> list[str]:
    root = Path(__file__).parents[4] / "shared" / "venue_payloads" / "binance"
    return sorted(p.relative_to(root).as_posix() for p in (root / folder).glob("*/*.json"))


PAYLOADS = [n for f in ("spot", "futures") for n in names_of(f) if n not in NOT_OURS] or [
    "spot/http_json/account_response.json"
]


@pytest.mark.parametrize("name", PAYLOADS)
def test_our_message_has_the_keys_and_types_of_the_recorded_one(name: str, shared: Path) -> None:
    theirs, ours = shape(recorded(shared, name)), shape(messages(name)[name])
    empty = {path for side in (theirs, ours) for path, is_ in side.items() if is_ == "row of "}
    theirs, ours = ({k.removeprefix("event."): v for k, v in m.items() if not inside(k, empty)} for m in (theirs, ours))
    differs = DIFFERS.get(name, Differs(""))
    assert (set(theirs) - set(ours), set(ours) - set(theirs)) == (set(differs.without), set(differs.besides))
    both = [p for p in theirs if p in ours and "null" not in (theirs[p], ours[p])]
    assert {p: ours[p] for p in both} == {p: theirs[p] for p in both}


def inside(path: str, lists: set[str]) -> bool:
    """Whether a path is, or leads through, a list that one of the two messages has empty."""
    return any(path == one or path.startswith(f"{one}.") for one in lists)


def test_every_recorded_payload_is_compared_or_named_as_not_ours(shared: Path) -> None:
    everything = set(names_of("spot")) | set(names_of("futures"))
    assert everything == set(spot_messages()) | set(futures_messages()) | set(NOT_OURS)
    assert set(DIFFERS) <= everything


# ── what ccxt reads ──────────────────────────────────────────────────────────────────────────────────────────────────


def parsed(name: str, payload: Any) -> dict[str, Any] | list[Any]:
    """Return what ccxt's own parser makes of a payload of that kind."""
    client = ccxt.pro.binance() if name.startswith("spot") else ccxt.pro.binanceusdm()
    one = payload[0] if isinstance(payload, list) else payload
    stem = Path(name).stem
    if stem in (
        "order_response",
        "open_orders_response",
        "all_orders_response",
        "cancel_order_response",
        "cancel_open_orders_response",
        "new_order_full_response",
        "open_algo_orders",
    ):
        return client.parse_order(one)
    if stem in ("account_trades_response", "trades_response"):
        return client.parse_trade(one)
    if stem in ("ticker_24hr_response", "book_ticker_response"):
        return client.parse_ticker(one)
    if stem == "klines_response":
        return client.parse_ohlcv(one)
    if stem == "position_risk":
        client.options["leverageBrackets"] = {}
        return client.parse_position_risk(one)
    if stem in ("account_response", "balance"):
        return client.parse_balance_custom(payload, "spot" if stem == "account_response" else "linear")
    if stem.startswith(("execution_report", "order_update", "algo_update")):
        body = one.get("event", one)
        return client.parse_ws_order(dict(body.get("o") if isinstance(body.get("o"), dict) else body))
    if stem in ("agg_trade_stream", "trade_stream"):
        return client.parse_ws_trade(one)
    if stem in ("ticker_stream", "book_ticker_stream", "mark_price_stream"):
        return client.parse_ws_ticker(one, "swap")
    if stem == "account_update":
        return client.parse_ws_position(one["a"]["P"][0])
    raise AssertionError(f"no parser for {name}")


NOT_READ = (  # by a parser of its own: handled whole, in test_binance_streams.py, or not at all by ccxt
    "ping server_time exchange_info depth avg_price ticker_price kline_stream liquidation account_position "
    "balance_update bnfcr account_info_v2 trade_lite"
)
READ = [n for n in PAYLOADS if not any(part in n for part in NOT_READ.split())]
# What depends on the example and not on the dialect: a position that is flat in one, a trailing stop, a price of zero.
BY_EXAMPLE = {
    "futures/user_data_json/account_update.json": {"side"},
    "futures/user_data_json/order_update_new.json": {"price", "stopPrice", "triggerPrice", "average", "cost"},
    "futures/user_data_json/algo_update_new.json": {"price", "takeProfitPrice"},
    "futures/user_data_json/algo_update_canceled.json": {"price", "takeProfitPrice"},
}


@pytest.mark.parametrize("name", READ)
def test_ccxt_reads_ours_and_the_recorded_one_into_the_same_shape(name: str, shared: Path) -> None:
    theirs, ours = parsed(name, recorded(shared, name)), parsed(name, messages(name)[name])
    if isinstance(theirs, list) or isinstance(ours, list):
        assert [type(v) for v in theirs] == [type(v) for v in ours]
        return
    skip = BY_EXAMPLE.get(name, set()) | {"info", "symbol"} | {k for k in {*theirs, *ours} if k.isupper()}
    filled = [
        {k: type(v) for k, v in told.items() if v not in (None, [], {}) and k not in skip} for told in (theirs, ours)
    ]
    assert set(filled[0]) == set(filled[1])
    number = {int: float}
    assert {k: number.get(v, v) for k, v in filled[0].items()} == {k: number.get(v, v) for k, v in filled[1].items()}
