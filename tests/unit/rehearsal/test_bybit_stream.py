"""What the sockets of the rehearsal of Bybit say, to ccxt.pro and to a plain one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, TypeVar

import aiohttp
import ccxt
import pytest

from tests.unit.rehearsal.bybit_world import KEY, SECRET, START_NS, World, bybit, new_client
from tradelab.rehearsal.dialects.bybit_door import signature
from tradelab.rehearsal.events import MoneyChanged
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.venue import settle

D = Decimal
T = TypeVar("T")
NOW_MS = START_NS // 1_000_000
BOTH = pytest.mark.parametrize("linear", [True, False], ids=["linear", "spot"])


class Plain:
    """A socket without ccxt: what is said, and what was heard, in order."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def say(self, **said: object) -> None:
        await self._socket.send_str(json.dumps(said))

    async def hear(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await asyncio.wait_for(self._socket.receive(), 30)).data)
        return found

    async def hear_topic(self, topic: str) -> dict[str, Any]:
        while True:
            frame = await self.hear()
            if frame.get("topic") == topic:
                return frame


@asynccontextmanager
async def plain(on: World, path: str) -> AsyncIterator[Plain]:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{on.at.url}{path}") as socket:
        yield Plain(socket)


def log_in(on: World, secret: str = SECRET, key: str = KEY) -> dict[str, object]:
    expires = on.clock.now_ns() // 1_000_000 + 10_000
    return {"op": "auth", "args": [key, expires, signature(secret, f"GET/realtime{expires}")]}


async def soon(what: Awaitable[T]) -> T:
    return await asyncio.wait_for(what, 30)


async def listening(on: World, topic: str) -> None:
    """Wait until the venue has heard a subscription."""
    for _ in range(2000):
        if on.at.server.hub.has(topic):
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"nobody listens to {topic}: {on.at.server.hub.topics()}")


# ── public ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_a_candle_forms_and_is_confirmed_when_its_minute_is_over(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on, plain(on, f"/v5/public/{on.category}") as socket:
            await socket.say(op="subscribe", args=["kline.1.BTCUSDT"], req_id="7")
            assert (await socket.hear())["success"]
            on.price("30050")
            row = (await socket.hear_topic("kline.1.BTCUSDT"))["data"][0]
            assert (row["start"], row["end"], row["interval"]) == (NOW_MS, NOW_MS + 59_999, "1")
            assert (row["confirm"], D(row["close"])) == (False, D(30050))
            on.at.direct.release_price(on.id)
            await on.at.advance(61)
            rows = [row]
            while not rows[-1]["confirm"]:
                rows.append((await socket.hear_topic("kline.1.BTCUSDT"))["data"][0])
            assert rows[-1]["start"] == NOW_MS
            assert rows[-1]["volume"] == "130"

    asyncio.run(play())


@BOTH
def test_ccxt_watches_candles_trades_ticker_and_best_prices(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            watched = [
                asyncio.ensure_future(w)
                for w in (
                    on.client.watch_ohlcv(on.symbol, "1m"),
                    on.client.watch_trades(on.symbol),
                    on.client.watch_bids_asks([on.symbol]),
                )
            ]
            for topic in ("kline.1.BTCUSDT", "publicTrade.BTCUSDT", "orderbook.1.BTCUSDT"):
                await listening(on, topic)
            on.price("30100")
            candles, trades, _ = await soon(asyncio.gather(*watched))
            assert candles[-1][4] == 30100
            assert [(t["price"], t["side"]) for t in trades] == [(30100, "buy")]
            on.price("30200")
            best = await soon(on.client.watch_bids_asks([on.symbol]))
            assert best[on.symbol]["bid"] == pytest.approx(30200, abs=0.2)
            ticker = await soon(on.client.watch_ticker(on.symbol))
            assert ticker["last"] == 30200
            change = asyncio.ensure_future(on.client.watch_ticker(on.symbol))
            await settle()
            on.price("30300")
            assert (await soon(change))["last"] == 30300  # linear tells what changed, ccxt puts it together

    asyncio.run(play())


@BOTH
@pytest.mark.parametrize("depth", [1, 50])
def test_a_book_put_together_from_changes_is_the_book(linear: bool, depth: int) -> None:
    async def play() -> None:
        async with bybit(linear, level_qty=D(1)) as on, plain(on, f"/v5/public/{on.category}") as socket:
            topic = f"orderbook.{depth}.BTCUSDT"
            await socket.say(op="subscribe", args=[topic])
            assert (await socket.hear())["success"]
            sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}
            types = []

            async def take() -> None:
                frame = await socket.hear_topic(topic)
                types.append(frame["type"])
                for side, told in sides.items():
                    if frame["type"] == "snapshot":
                        told.clear()
                    for price, qty in frame["data"][side]:
                        if D(qty):
                            told[price] = qty
                        else:
                            del told[price]

            await take()
            on.price("30000.50")
            await take()
            await on.client.create_order(on.symbol, "market", "buy", 0.2)  # takes from the best ask
            await take()
            book = await on.client.fetch_order_book(on.symbol, depth)
            for side, name in (("b", "bids"), ("a", "asks")):
                assert {float(p): float(q) for p, q in sides[side].items()} == {p: q for p, q, *_ in book[name]}
            assert types == (["snapshot"] * 3 if depth == 1 else ["snapshot", "delta", "delta"])

    asyncio.run(play())


@BOTH
def test_pings_are_answered_and_what_is_not_understood_is_refused(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on, plain(on, f"/v5/public/{on.category}") as socket:
            await socket.say(op="ping", req_id="100001")
            pong = await socket.hear()
            assert {k: pong[k] for k in ("success", "ret_msg", "op", "req_id")} == {
                "success": True, "ret_msg": "pong", "op": "ping", "req_id": "100001",
            }  # fmt: skip
            await socket.say(op="subscribe", args=["invalid.topic.BTCUSDT"])
            refused = await socket.hear()
            assert (refused["success"], refused["ret_msg"]) == (False, "Invalid topic: invalid.topic.BTCUSDT")
            await socket.say(op="dance")
            assert not (await socket.hear())["success"]
            await socket.say(op="subscribe", args=["kline.1.BTCUSDT"] * 11)
            assert (await socket.hear())["success"] is linear  # spot takes ten at a time

    asyncio.run(play())


@BOTH
def test_after_unsubscribing_nothing_is_told_and_no_candle_is_formed_for_nobody(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on, plain(on, f"/v5/public/{on.category}") as socket:
            await socket.say(op="subscribe", args=["kline.5.BTCUSDT"])
            await socket.hear()
            assert on.exchange.watches._watched
            await socket.say(op="unsubscribe", args=["kline.5.BTCUSDT"], req_id="2")
            assert (await socket.hear())["op"] == "unsubscribe"
            on.price("30100")
            await socket.say(op="ping")
            assert (await socket.hear())["op"] == "ping"
            assert not on.exchange.watches._watched
            await socket.say(op="subscribe", args=["kline.5.BTCUSDT"])
            await socket.hear()
        assert not on.exchange.watches._watched  # the socket has gone

    asyncio.run(play())


# ── private ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_private_socket_wants_a_login_and_says_pong_in_its_own_way() -> None:
    async def play() -> None:
        async with bybit(True) as on, plain(on, "/v5/private") as socket:
            await socket.say(op="subscribe", args=["order"])
            assert not (await socket.hear())["success"]
            await socket.say(**log_in(on, secret="wrong"))
            assert (await socket.hear())["retCode"] == 10004
            await socket.say(**log_in(on, key="nobody"))
            assert (await socket.hear())["retCode"] == 10003
            await socket.say(**log_in(on))
            assert (await socket.hear())["success"]
            await socket.say(op="ping", req_id="9")
            pong = await socket.hear()
            assert (pong["op"], pong["args"], pong["req_id"]) == ("pong", [str(NOW_MS)], "9")
            await socket.say(op="subscribe", args=["order", "execution.fast", f"wallet.{on.category}"])
            assert (await socket.hear())["success"]

    asyncio.run(play())


def test_ccxt_is_told_that_its_key_is_wrong() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            stranger = new_client(on.at, on.clock, linear=True, secret="another")
            stranger.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": True}
            try:
                await stranger.load_markets()
                with pytest.raises(ccxt.AuthenticationError):
                    await soon(stranger.watch_orders())
            finally:
                await stranger.close()

    asyncio.run(play())


@BOTH
def test_ccxt_watches_its_order_its_trade_and_its_money(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            watched = [asyncio.ensure_future(w) for w in (on.client.watch_orders(), on.client.watch_my_trades())]
            balance = asyncio.ensure_future(on.client.watch_balance())
            for topic in ("order", "execution", "wallet"):
                await listening(on, topic)
            await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29900, {"clientOrderId": "mine"})
            (order,) = await soon(watched[0])
            assert (order["clientOrderId"], order["status"], order["symbol"]) == ("mine", "open", on.symbol)
            total = (await soon(balance))["USDT"]["total"]
            assert total == 10_000
            on.price("29900")
            (trade,) = await soon(watched[1])
            assert (trade["price"], trade["amount"], trade["takerOrMaker"]) == (29900, 0.01, "maker")
            fee = ("USDT", 0.0598) if linear else ("BTC", 0.000002)
            assert (trade["fee"]["currency"], trade["fee"]["cost"]) == fee
            while order["status"] != "closed":
                (order,) = await soon(on.client.watch_orders())
            assert (order["filled"], order["average"]) == (0.01, 29900)

    asyncio.run(play())


def test_ccxt_watches_its_position_and_a_conditional_order_as_it_goes() -> None:
    async def play() -> None:
        async with bybit(True) as on, plain(on, "/v5/private") as socket:
            await socket.say(**log_in(on))
            await socket.hear()
            await socket.say(op="subscribe", args=["order.linear"])
            await socket.hear()
            on.client.options["watchPositions"]["fetchPositionsSnapshot"] = False
            positions = asyncio.ensure_future(on.client.watch_positions())
            await listening(on, "position")
            params = {"triggerPrice": 30500, "triggerDirection": "ascending"}
            await on.client.create_order(on.symbol, "market", "buy", 0.01, None, params)
            await soon(positions)  # told although it has not changed, as documented
            on.price("30600")
            states = []
            while "Filled" not in states:
                states.append((await socket.hear_topic("order.linear"))["data"][0]["orderStatus"])
            assert states == ["Untriggered", "New", "Filled"]
            for _ in range(2000):
                position = on.client.positions[-1]
                if position["contracts"]:
                    break
                await asyncio.sleep(0.005)
            assert (position["side"], position["contracts"]) == ("long", 0.01)

    asyncio.run(play())


def test_funding_is_told_as_an_execution() -> None:
    async def play() -> None:
        async with bybit(True) as on, plain(on, "/v5/private") as socket:
            await socket.say(**log_in(on))
            await socket.hear()
            await on.client.create_order(on.symbol, "market", "sell", 0.1)
            await socket.say(op="subscribe", args=["execution", "wallet"])
            await socket.hear()
            await on.at.advance(5 * 3600 + 1, step_s=600)
            row = (await socket.hear_topic("execution"))["data"][0]
            assert (row["execType"], D(row["execFee"])) == ("Funding", D("-0.3"))  # the short receives

    asyncio.run(play())


@BOTH
def test_one_account_hears_nothing_of_another(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on, plain(on, "/v5/private") as socket:
            await socket.say(**log_in(on))
            await socket.hear()
            await socket.say(op="subscribe", args=["wallet"])
            await socket.hear()
            on.exchange.tell(MoneyChanged("somebody else", "deposit", on.exchange.now_ns))
            on.at.direct.deposit(KEY, "USDT", D(5))
            row = (await socket.hear_topic("wallet"))["data"][0]
            assert D(row["coin"][0]["walletBalance"]) == D(10_005)

    asyncio.run(play())


# ── faults of streams ────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_a_broken_socket_is_an_error_once_and_the_next_watch_hears_again(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            first = asyncio.ensure_future(on.client.watch_trades(on.symbol))
            await listening(on, "publicTrade.BTCUSDT")
            assert on.at.direct.disconnect("publicTrade") == 1
            with pytest.raises(ccxt.NetworkError):
                await soon(first)
            second = asyncio.ensure_future(on.client.watch_trades(on.symbol))
            await listening(on, "publicTrade.BTCUSDT")
            on.price("30100")
            assert (await soon(second))[-1]["price"] == 30100

    asyncio.run(play())


def test_while_frames_are_stalled_pings_are_answered() -> None:
    async def play() -> None:
        async with bybit(True) as on, plain(on, "/v5/public/linear") as socket:
            await socket.say(op="subscribe", args=["publicTrade.BTCUSDT"])
            await socket.hear()
            on.at.direct.stall("publicTrade", 60)
            on.price("30100")
            await socket.say(op="ping")
            assert (await socket.hear())["ret_msg"] == "pong"
            await on.at.advance(61)
            assert (await socket.hear())["topic"] == "publicTrade.BTCUSDT"

    asyncio.run(play())


def test_a_frame_may_be_lost_doubled_or_overtaken() -> None:
    async def play() -> None:
        async with bybit(True) as on, plain(on, "/v5/public/linear") as socket:
            await socket.say(op="subscribe", args=["publicTrade.BTCUSDT"])
            await socket.hear()
            for fault in (Fault.STREAM_DROP, Fault.STREAM_DUPLICATE, Fault.STREAM_REORDER):
                on.at.direct.fault(fault, "publicTrade")
            for price in (30001, 30002, 30003, 30004):
                on.price(price)
            prices = [D((await socket.hear())["data"][0]["p"]) for _ in range(4)]
            assert prices == [30002, 30002, 30004, 30003]

    asyncio.run(play())
