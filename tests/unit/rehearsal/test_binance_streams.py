"""Hold both dialects' streams to what ccxt.pro asks of them: market data, user data, and all that breaks them."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest
from aiohttp import ClientSession, WSMsgType

from tests.unit.rehearsal.binance_world import KEY, START_MS, Scene, play, until
from tradelab.rehearsal.venue import settle

D = Decimal
BOTH = pytest.mark.parametrize("dialect", ["binance", "binanceusdm"])
ORDER_EVENT = {"binance": "executionReport", "binanceusdm": "ORDER_TRADE_UPDATE"}
MONEY_EVENT = {"binance": "outboundAccountPosition", "binanceusdm": "ACCOUNT_UPDATE"}


async def listening(on: Scene, topic: str, call: Any) -> asyncio.Task[Any]:
    """Start a ``watch_*`` and wait until the venue knows of it."""
    task = asyncio.create_task(call)
    await on.listens(topic)
    await settle()
    return task


# ── market data ──────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_a_candle_is_pushed_while_it_forms(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        seen = []
        for seconds in (5, 54):
            watching = await listening(on, "btcusdt@kline_1m", on.client.watch_ohlcv(on.symbol, "1m"))
            await on.at.advance(seconds)
            seen.append(list((await watching)[-1]))
        return seen

    early, late = play(dialect, act)
    assert early == [START_MS, *[40_000.0] * 4, 2.0]  # a coin at 0 s and at 4.6 s
    assert late == [START_MS, *[40_000.0] * 4, 13.0]


@BOTH
def test_a_candle_that_has_closed_says_so_once_and_is_what_the_list_tells(dialect: str) -> None:
    root = "/ws" if dialect == "binance" else "/market/ws"

    async def act(on: Scene) -> Any:
        url, frames = on.at.url.replace("http", "ws"), []
        async with ClientSession() as session, session.ws_connect(f"{url}{root}/btcusdt@kline_1m") as socket:
            await on.listens("btcusdt@kline_1m")
            await on.at.advance(125)
            while not frames or frames[-1]["k"]["t"] < START_MS + 120_000:
                frames.append(await socket.receive_json())
        return [f["k"] for f in frames if f["k"]["x"]], await on.client.fetch_ohlcv(on.symbol, "1m", START_MS, 2)

    closed, listed = play(dialect, act)
    told = [[k["t"], *(float(k[key]) for key in "ohlcv")] for k in closed]
    assert told == listed
    assert [k["T"] for k in closed] == [START_MS + 59_999, START_MS + 119_999]


@BOTH
def test_best_bid_and_ask_are_pushed_when_they_change(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        watching = await listening(on, "btcusdt@bookTicker", on.client.watch_bids_asks([on.symbol]))
        await on.price("40100", depth="3")
        return (await watching)[on.symbol]

    best = play(dialect, act)
    tick = 0.01 if dialect == "binance" else 0.1
    assert (best["bid"], best["ask"]) == (pytest.approx(40_100 - tick), pytest.approx(40_100 + tick))
    assert (best["bidVolume"], best["askVolume"]) == (3.0, 3.0)


@BOTH
def test_trades_and_tickers_are_pushed(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        trades = await listening(on, "btcusdt@trade", on.client.watch_trades(on.symbol))
        ticker = await listening(on, "btcusdt@miniTicker", on.client.watch_ticker(on.symbol))
        await on.price("39000", depth="2")
        return (await trades)[-1], await ticker

    trade, ticker = play(dialect, act)
    assert (trade["price"], trade["amount"], trade["side"]) == (39_000.0, 2.0, "sell")
    assert (ticker["last"], ticker["open"], ticker["low"]) == (39_000.0, 40_000.0, 39_000.0)


@BOTH
def test_a_book_kept_from_differences_is_the_book_the_venue_tells(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        watching = await listening(on, "btcusdt@depth@100ms", on.client.watch_order_book(on.symbol))
        await until(lambda: on.symbol in on.client.orderbooks)
        await settle()
        await on.price("40000.5", depth="2")
        await watching
        for price in ("40000.9", "39999.5", "40000.0"):
            watching = asyncio.create_task(on.client.watch_order_book(on.symbol))
            await settle()
            await on.price(price)
            await watching
        watching = asyncio.create_task(on.client.watch_order_book(on.symbol))
        await settle()
        await on.client.create_order(on.symbol, "market", "buy", 1.5)
        await watching
        await settle()
        return on.client.orderbooks[on.symbol], await on.client.fetch_order_book(on.symbol)

    kept, told = play(dialect, act)
    assert kept["bids"] == told["bids"]
    assert kept["asks"] == told["asks"]
    assert kept["nonce"] == told["nonce"]


def test_mark_prices_are_pushed_on_futures() -> None:
    async def act(on: Scene) -> Any:
        watching = await listening(on, "btcusdt@markPrice@1s", on.client.watch_mark_price(on.symbol))
        await on.price("40100")
        return await watching

    assert play("binanceusdm", act)["markPrice"] == 40_100.0


def test_streams_are_asked_for_in_the_address_or_by_message_raw_or_combined() -> None:
    async def act(on: Scene) -> Any:
        url = on.at.url.replace("http", "ws")
        async with ClientSession() as session, session.ws_connect(f"{url}/stream?streams=btcusdt@trade") as socket:
            await on.listens("btcusdt@trade#combined")
            await on.price("40001")
            combined = await socket.receive_json()
            await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@kline_1h"], "id": 7})
            ack = await socket.receive_json()
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 8})
            listed = await socket.receive_json()
            names = ["btcusdt@trade", "btcusdt@kline_1h"]
            await socket.send_json({"method": "UNSUBSCRIBE", "params": names, "id": 9})
            await socket.receive_json()
            await socket.send_json({"method": "HOPE", "id": 10})
            wrong = await socket.receive_json()
            await on.price("40002")
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 11})
            after = await socket.receive_json()  # nothing was pushed in between
        return combined, ack, listed, wrong, after

    combined, ack, listed, wrong, after = play("binance", act)
    assert (combined["stream"], combined["data"]["e"], combined["data"]["p"]) == (
        "btcusdt@trade",
        "trade",
        "40001.00000000",
    )
    assert ack == {"result": None, "id": 7}
    assert listed == {"result": ["btcusdt@trade", "btcusdt@kline_1h"], "id": 8}
    assert (wrong["error"]["code"], wrong["id"]) == (2, 10)
    assert after == {"result": [], "id": 11}


def test_the_venue_stops_forming_candles_when_the_last_listener_has_gone() -> None:
    async def act(on: Scene) -> Any:
        url = on.at.url.replace("http", "ws")
        watched = on.at.exchange.watches._watched  # what is formed, whoever looks
        async with ClientSession() as session:
            async with session.ws_connect(f"{url}/ws/btcusdt@kline_5m"):
                await until(lambda: len(watched) == 1)
            await until(lambda: not watched)
        return True

    assert play("binance", act)


# ── user data ────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_orders_fills_and_balances_are_pushed(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        orders = await listening(on, f"user/{KEY}/{ORDER_EVENT[dialect]}", c.watch_orders())
        fills, money = asyncio.create_task(c.watch_my_trades()), asyncio.create_task(c.watch_balance())
        await settle()
        placed = await c.create_order(on.symbol, "limit", "buy", 0.5, 39_000, {"clientOrderId": "pushed"})
        new = dict((await orders)[-1])  # ccxt goes on changing the one it keeps
        held = (await money)["USDT"]["used"] if dialect == "binance" else None
        orders = asyncio.create_task(c.watch_orders())
        await settle()
        await on.price("38990", depth="5")
        filled, fill = (await orders)[-1], (await fills)[-1]
        kept = c.balance["spot" if dialect == "binance" else "linear"]
        await until(lambda: kept["USDT"]["used"] == 0 if dialect == "binance" else kept["USDT"]["total"] < 100_000)
        return placed, new, filled, fill, held, kept

    placed, new, filled, fill, held, money = play(dialect, act)
    assert (new["id"], new["clientOrderId"], new["status"], new["filled"]) == (placed["id"], "pushed", "open", 0.0)
    assert (filled["status"], filled["average"], filled["filled"]) == ("closed", 39_000.0, 0.5)
    assert (fill["price"], fill["amount"], fill["takerOrMaker"], fill["order"]) == (
        39_000.0,
        0.5,
        "maker",
        placed["id"],
    )
    if dialect == "binance":
        assert (held, money["USDT"]["used"], money["BTC"]["free"]) == (19_500.0, 0.0, 0.4995)
    else:
        assert money["USDT"]["total"] == 100_000 - 19.5  # ten basis points of 19 500


@BOTH
def test_a_cancel_is_pushed_under_the_orders_own_name(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        placed = await on.client.create_order(on.symbol, "limit", "buy", 0.5, 39_000, {"clientOrderId": "mine"})
        orders = await listening(on, f"user/{KEY}/{ORDER_EVENT[dialect]}", on.client.watch_orders())
        await on.client.cancel_order(placed["id"], on.symbol)
        return (await orders)[-1]

    order = play(dialect, act)
    assert (order["status"], order["clientOrderId"]) == ("canceled", "mine")


def test_a_deposit_is_pushed_on_spot_as_a_change_and_as_a_balance() -> None:
    async def act(on: Scene) -> Any:
        money = await listening(on, f"user/{KEY}/balanceUpdate", on.client.watch_balance())
        on.at.direct.deposit(KEY, "BTC", D("0.25"))
        first = (await money)["BTC"]["free"]
        on.at.direct.deposit(KEY, "BTC", D("0.25"))
        await until(lambda: on.client.balance["spot"]["BTC"]["free"] == 0.5)
        return first

    assert play("binance", act) == 0.25


def test_positions_are_pushed_on_futures() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        c.options["watchPositions"]["fetchPositionsSnapshot"] = False
        positions = await listening(on, f"user/{KEY}/ACCOUNT_UPDATE", c.watch_positions([on.symbol]))
        await c.create_order(on.symbol, "market", "sell", 0.5)
        return (await positions)[-1]

    position = play("binanceusdm", act)
    assert (position["side"], position["contracts"], position["entryPrice"]) == ("short", 0.5, 39_999.9)


def test_a_conditional_order_is_pushed_through_all_its_life() -> None:
    async def act(on: Scene) -> Any:
        frames = await raw_user_frames(on)
        c = on.client
        await c.create_order(on.symbol, "market", "buy", 0.2)
        await c.create_order(on.symbol, "market", "sell", 0.2, None, {"stopLossPrice": 39_000, "reduceOnly": True})
        await on.price("38990")
        await until(lambda: any(f["e"] == "ALGO_UPDATE" and f["o"]["X"] == "FINISHED" for f in frames))
        return frames

    frames = play("binanceusdm", act)
    told = [(f["e"], f["o"]["X"]) for f in frames if f["e"] in ("ALGO_UPDATE", "ORDER_TRADE_UPDATE")]
    assert told == [
        ("ORDER_TRADE_UPDATE", "NEW"), ("ORDER_TRADE_UPDATE", "FILLED"),
        ("ALGO_UPDATE", "NEW"),
        ("ALGO_UPDATE", "TRIGGERED"), ("ORDER_TRADE_UPDATE", "NEW"),
        ("ALGO_UPDATE", "FINISHED"), ("ORDER_TRADE_UPDATE", "FILLED"),
    ]  # fmt: skip
    algo = [f["o"] for f in frames if f["e"] == "ALGO_UPDATE"]
    spawned = [f["o"] for f in frames if f["e"] == "ORDER_TRADE_UPDATE"][-1]
    assert str(spawned["i"]) == algo[-1]["ai"]
    assert (spawned["si"], spawned["ot"], spawned["o"]) == (algo[-1]["aid"], "STOP_MARKET", "MARKET")


async def raw_user_frames(on: Scene) -> list[dict[str, Any]]:
    """Listen to the user stream without ccxt, until the loop ends; return the list that fills."""
    frames: list[dict[str, Any]] = []
    key = (await on.client.fapiPrivatePostListenKey())["listenKey"]

    async def read() -> None:
        url = on.at.url.replace("http", "ws")
        async with ClientSession() as session, session.ws_connect(f"{url}/ws/{key}") as socket:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    frames.append(json.loads(message.data))

    on.background = asyncio.create_task(read())
    await on.listens(f"user/{KEY}/ALGO_UPDATE")
    return frames


def test_a_listen_key_lives_an_hour_and_longer_when_it_is_kept_alive() -> None:
    async def act(on: Scene) -> Any:
        c, topic = on.client, f"user/{KEY}/ORDER_TRADE_UPDATE"
        frames = await raw_user_frames(on)
        await on.at.advance(3000, step_s=500)
        await c.fapiPrivatePutListenKey()
        await on.at.advance(3000, step_s=500)
        kept = on.at.server.hub.has(topic)
        await on.at.advance(700, step_s=100)
        await until(lambda: frames)
        try:
            await c.fapiPrivatePutListenKey()
        except ccxt.pro.AuthenticationError as error:
            return kept, on.at.server.hub.has(topic), frames[-1]["e"], str(error)
        return None

    kept, after, said, error = play("binanceusdm", act)
    assert (kept, after, said) == (True, False, "listenKeyExpired")
    assert '"code":-1125' in error


@pytest.mark.parametrize(
    ("change", "skew_s", "status", "code"),
    [
        ({"signature": "0" * 64}, 0, 400, -1022),
        ({"apiKey": "nobody"}, 0, 401, -2015),
        ({}, 60, 400, -1021),
        ({}, 0, 200, None),
    ],
)
def test_a_subscription_must_be_signed_and_in_time(
    change: dict[str, str], skew_s: float, status: int, code: int | None
) -> None:
    async def act(on: Scene) -> Any:
        on.at.direct.skew(skew_s)
        params = on.client.sign_params({}) | change
        url = on.at.url.replace("http", "ws") + "/ws-api/v3"
        async with ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_json({"id": "1", "method": "userDataStream.subscribe.signature", "params": params})
            return await socket.receive_json()

    answer = play("binance", act)
    assert (answer["id"], answer["status"]) == ("1", status)
    assert answer.get("error", {}).get("code") == code
    assert answer["rateLimits"][0]["rateLimitType"] == "REQUEST_WEIGHT"
    if code is None:
        assert answer["result"] == {"subscriptionId": 0}


def test_a_subscription_ccxt_may_not_have_leaves_its_own_error_in_the_chain() -> None:
    async def act(on: Scene) -> Any:
        on.client.secret = "wrong"
        with pytest.raises((KeyError, ccxt.pro.BaseError)) as caught:  # 4.5.90 forgets the subscription twice
            await on.client.watch_orders()
        return caught.value

    error = play("binance", act)
    assert isinstance(
        error if isinstance(error, ccxt.pro.BaseError) else error.__context__, ccxt.pro.AuthenticationError
    )


# ── what breaks ──────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_a_broken_socket_is_told_once_and_the_next_watch_is_on_a_new_one(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        topic = "btcusdt@bookTicker"
        watching = await listening(on, topic, on.client.watch_bids_asks([on.symbol]))
        assert on.at.direct.disconnect("bookTicker") == 1
        with pytest.raises(ccxt.pro.NetworkError):
            await watching
        again = await listening(on, topic, on.client.watch_bids_asks([on.symbol]))
        await on.price("40100")
        return (await again)[on.symbol]["bid"]

    assert play(dialect, act) == pytest.approx(40_100, abs=0.11)


@BOTH
def test_a_stalled_stream_says_nothing_while_pings_are_answered(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        topic = "btcusdt@bookTicker"
        watching = await listening(on, topic, on.client.watch_bids_asks([on.symbol]))
        on.at.direct.stall("bookTicker", seconds=60)
        await on.price("40100")
        await settle()
        silent = not watching.done()
        await on.at.advance(61)
        await on.price("40200")
        return silent, (await watching)[on.symbol]["bid"]

    silent, bid = play(dialect, act)
    assert silent
    assert bid == pytest.approx(40_200, abs=0.11)


@BOTH
@pytest.mark.parametrize(("fault", "expected"), [
    ("stream_drop", ["n2"]), ("stream_duplicate", ["n1", "n1", "n2"]),
])  # fmt: skip
def test_frames_are_lost_and_doubled_as_scripted(dialect: str, fault: str, expected: list[str]) -> None:
    async def act(on: Scene) -> Any:
        c, event, seen = on.client, ORDER_EVENT[dialect], []
        watching = await listening(on, f"user/{KEY}/{event}", c.watch_orders())
        on.at.direct.fault(fault, event)
        handle = c.handle_order_update

        def note(client: Any, message: dict[str, Any]) -> None:
            seen.append(message.get("o", message)["c"] if dialect != "binance" else message["c"])
            handle(client, message)

        c.handle_order_update = note
        for name in ("n1", "n2"):
            await c.create_order(on.symbol, "limit", "buy", 0.1, 39_000, {"clientOrderId": name})
        await until(lambda: len(seen) >= len(expected))
        await watching
        return seen

    assert play(dialect, act) == expected


def test_two_frames_change_places_as_scripted() -> None:
    async def act(on: Scene) -> Any:
        frames = await raw_user_frames(on)
        on.at.direct.fault("stream_reorder", "ORDER_TRADE_UPDATE")
        for name in ("n1", "n2", "n3"):
            await on.client.create_order(on.symbol, "limit", "buy", 0.1, 39_000, {"clientOrderId": name})
        await until(lambda: len(frames) == 3)
        return [f["o"]["c"] for f in frames]

    assert play("binanceusdm", act) == ["n2", "n1", "n3"]
