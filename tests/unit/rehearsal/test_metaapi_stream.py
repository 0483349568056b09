"""Listen to the rehearsal venue that speaks as MetaApi, with the reference client of socket.io."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from aiohttp import ClientSession

from tests.unit.rehearsal.metaapi_world import ACCOUNT, TOKEN, World, plain, world
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.venue import settle

Packet = dict[str, Any]


class Listener:
    """What one client of the stream has been told."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.packets: list[Packet] = []
        self.answers: dict[str, Packet] = {}
        self.errors: list[Packet] = []
        self.client.on("synchronization", self.packets.append)
        self.client.on("response", lambda told: self.answers.update({told["requestId"]: told}))
        self.client.on("processingError", self.errors.append)

    async def ask(self, kind: str, request_id: str, **more: Any) -> None:
        asked = {"type": kind, "accountId": ACCOUNT, "requestId": request_id, "application": "MetaApi"}
        await self.client.emit("request", {**asked, "instanceIndex": 0, **more})
        await self.until(lambda: request_id in self.answers or self.errors)

    async def until(self, holds: Callable[[], Any]) -> None:
        for _ in range(2000):
            if holds():
                return
            await settle()
        raise AssertionError("it never came")

    def of(self, kind: str) -> list[Packet]:
        return [p for p in self.packets if p["type"] == kind]

    async def synchronize(self) -> None:
        await self.ask("subscribe", "r1")
        await self.until(lambda: self.of("authenticated"))
        await self.ask("synchronize", "sync", version=2, host=self.of("authenticated")[0]["host"])
        await self.until(lambda: self.of("dealSynchronizationFinished"))


@asynccontextmanager
async def listening(on: World, token: str = TOKEN) -> AsyncIterator[Listener]:
    """Connect the reference client."""
    listener = Listener()
    url = f"{on.venue.url}?auth-token={token}&clientId=1&protocol=3"
    await listener.client.connect(url, socketio_path="ws", transports=["websocket"])
    try:
        yield listener
    finally:
        await listener.client.disconnect()


def play(run: Callable[[World, Listener], Awaitable[None]]) -> None:
    """Play with one listener on a fresh venue."""

    async def whole() -> None:
        async with world(adapter=False) as on, listening(on) as listener:
            await run(on, listener)

    asyncio.run(whole())


async def enter(on: World, **fields: Any) -> Packet:
    async with plain(on) as http:
        body = {"actionType": "ORDER_TYPE_BUY", "symbol": "EURUSD", "volume": 0.1, "clientId": "tl1"} | fields
        told: Packet = (await http.post("/trade", json=body)).json()
        return told


def test_a_synchronization_tells_everything_in_metaapis_order_and_numbers_it() -> None:
    async def run(on: World, listener: Listener) -> None:
        await enter(on)
        await enter(on, actionType="ORDER_TYPE_BUY_LIMIT", openPrice=1.15, clientId="tl2")
        await listener.synchronize()
        numbered = [p for p in listener.packets if "sequenceNumber" in p]
        assert [p["type"] for p in numbered] == [
            "synchronizationStarted", "specifications", "accountInformation", "positions", "orders", "historyOrders",
            "orderSynchronizationFinished", "deals", "dealSynchronizationFinished",
        ]  # fmt: skip
        assert [p["sequenceNumber"] for p in numbered] == list(range(9))
        assert {p["synchronizationId"] for p in numbered} == {"sync"}
        told = {p["type"]: p for p in numbered}
        assert [p["clientId"] for p in told["positions"]["positions"]] == ["tl1"]
        assert [o["clientId"] for o in told["orders"]["orders"]] == ["tl2"]
        assert [d["clientId"] for d in told["deals"]["deals"]] == ["tl1"]

    play(run)


def test_an_order_that_waits_fills_and_is_told_with_its_deal_and_position() -> None:
    async def run(on: World, listener: Listener) -> None:
        await listener.synchronize()
        placed = await enter(on, actionType="ORDER_TYPE_BUY_LIMIT", openPrice=1.15)
        await listener.until(lambda: any("updatedOrders" in p for p in listener.of("update")))
        on.move("1.149")
        await listener.until(lambda: any("deals" in p for p in listener.of("update")))
        (done,) = [p for p in listener.of("update") if "deals" in p]
        # the keys of the protocol test "should process synchronization updates" of metaapi-javascript-sdk
        assert set(done) >= {"historyOrders", "completedOrderIds", "deals", "updatedPositions", "accountId",
                             "instanceIndex", "host"}  # fmt: skip
        assert done["completedOrderIds"] == [placed["orderId"]]
        assert done["historyOrders"][0]["state"] == "ORDER_STATE_FILLED"
        assert done["deals"][0]["orderId"] == placed["orderId"] == done["updatedPositions"][0]["id"]
        assert any("accountInformation" in p for p in listener.of("update"))

    play(run)


def test_a_position_that_is_closed_is_told_removed() -> None:
    async def run(on: World, listener: Listener) -> None:
        await listener.synchronize()
        ticket = (await enter(on))["positionId"]
        await enter(on, actionType="POSITION_CLOSE_ID", positionId=ticket, clientId="tl2")
        await listener.until(lambda: any("removedPositionIds" in p for p in listener.of("update")))
        assert [p["removedPositionIds"] for p in listener.of("update") if "removedPositionIds" in p] == [[ticket]]

    play(run)


def test_quotes_and_forming_bars_are_pushed_to_who_subscribed_until_they_unsubscribe() -> None:
    async def run(on: World, listener: Listener) -> None:
        await listener.synchronize()
        wanted = [{"type": "quotes"}, {"type": "candles", "timeframe": "1m"}]
        await listener.ask("subscribeToMarketData", "r2", symbol="EURUSD", subscriptions=wanted)
        on.venue.direct.release_price("EURUSD")
        await on.venue.advance(120, step_s=10)
        quoted = [row for p in listener.of("prices") for row in p.get("prices", ())]
        formed = [row for p in listener.of("prices") for row in p.get("candles", ())]
        assert len(quoted) > 10
        assert all(row["ask"] > row["bid"] for row in quoted)
        assert {row["timeframe"] for row in formed} == {"1m"}
        assert len({row["time"] for row in formed}) == 3
        await listener.ask("unsubscribeFromMarketData", "r3", symbol="EURUSD", subscriptions=wanted)
        before = len(listener.packets)
        await on.venue.advance(60, step_s=10)
        assert len(listener.packets) == before

    play(run)


def test_requests_that_make_no_sense_are_answered_by_processing_errors() -> None:
    async def run(on: World, listener: Listener) -> None:
        await listener.ask("synchronize", "r1")
        await listener.ask("subscribeToMarketData", "r2", symbol="NOSUCH")
        await listener.ask("getPositions", "r3")
        await listener.client.emit("request", {"type": "subscribe", "accountId": "nobody", "requestId": "r4"})
        await listener.until(lambda: len(listener.errors) == 4)
        assert [(e["requestId"], e["error"]) for e in listener.errors] == [
            ("r1", "NotAuthenticatedError"), ("r2", "NotFoundError"), ("r3", "ValidationError"),
            ("r4", "NotFoundError"),
        ]  # fmt: skip
        assert on.dialect.unknown_params == ["getPositions"]

    play(run)


def test_a_wrong_token_is_not_let_in() -> None:
    async def whole() -> None:
        async with world(adapter=False) as on:
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with listening(on, "wrong"):
                    pass

    asyncio.run(whole())


def test_a_frame_that_is_dropped_leaves_a_hole_in_the_numbers() -> None:
    async def run(on: World, listener: Listener) -> None:
        await listener.synchronize()
        on.venue.direct.fault(Fault.STREAM_DROP, f"account:{ACCOUNT}")
        await enter(on)
        await enter(on)
        await listener.until(lambda: len([p for p in listener.of("update") if "deals" in p]) >= 1)
        numbers = [p["sequenceNumber"] for p in listener.packets if "sequenceNumber" in p]
        assert len(set(range(numbers[-1] + 1)) - set(numbers)) == 1

    play(run)


def test_a_client_of_the_protocol_before_may_poll_first_and_is_told_to_upgrade() -> None:
    """What MetaApi's own clients do (python-socketio 4, socket.io-client 2): handshake by polling, then a WebSocket."""

    async def whole() -> None:
        async with world(adapter=False) as on, ClientSession() as http:
            query = f"auth-token={TOKEN}&EIO=3"
            polled = await (await http.get(f"{on.venue.url}/ws/?{query}&transport=polling")).text()
            length, _, rest = polled.partition(":")
            opened, connected = rest[: int(length)], rest[int(length) :]
            assert (opened[0], connected) == ("0", "2:40")
            sid = opened.partition('"sid": "')[2].partition('"')[0]
            async with http.ws_connect(f"{on.venue.url}/ws/?{query}&transport=websocket&sid={sid}") as socket:
                await socket.send_str("2probe")
                assert (await socket.receive()).data == "3probe"
                await socket.send_str("5")
                await socket.send_str("2")
                assert (await socket.receive()).data == "3"

    asyncio.run(whole())
