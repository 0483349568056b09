"""Speak socket.io to servers that are not our rehearsal: the reference, and those that say it wrongly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from aiohttp import web

from tests.unit.rehearsal.metaapi_world import ACCOUNT, TOKEN
from tradelab.adapters.metaapi_session import Market, Session
from tradelab.adapters.metaapi_socket import SocketIo
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError, RequestError


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_the_reference_server_of_socket_io_understands_us_by_its_own_protocol() -> None:
    async def run() -> None:
        server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=0.05, ping_timeout=5)
        app = web.Application()
        server.attach(app, socketio_path="ws")
        seen: list[Any] = []

        async def request(sid: str, data: Any) -> None:
            seen.append(data)
            await server.emit("response", {"requestId": data["requestId"], "price": 1.10})

        server.on("request", request)
        async with serving(app) as url:
            socket = await SocketIo.connect(url, {"auth-token": TOKEN}, version=4, timeout_s=5)
            told = socket.events()
            for number in range(3):
                await asyncio.sleep(0.1)  # so that the server pings, and would part with one that does not answer
                await socket.emit("request", {"requestId": number})
                name, data = await anext(told)
                assert (name, data["requestId"], str(data["price"])) == ("response", number, "1.1")
            assert [s["requestId"] for s in seen] == [0, 1, 2]
            await socket.close()
            with pytest.raises(ConnectivityError):
                await SocketIo.connect(url, {"auth-token": TOKEN}, version=3, timeout_s=5)

    asyncio.run(run())


def test_a_ping_of_the_server_is_answered() -> None:
    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(HELLO)
        assert (await socket.receive()).data == "40"
        await socket.send_str('40{"sid":"x"}')
        await socket.send_str("2")
        assert (await socket.receive()).data == "3"
        await socket.send_str('42["answered"]')
        await socket.receive()
        return socket

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/ws/", answer)
        async with serving(app) as url:
            socket = await SocketIo.connect(url, {}, version=4, timeout_s=5)
            assert await asyncio.wait_for(anext(socket.events()), 20) == ("answered", None)
            await socket.close()

    asyncio.run(run())


HELLO = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([HELLO, "40", "42[not json"], "cannot be read"),
        ([HELLO, "40", "42{}"], "cannot be read"),
        ([HELLO, "40", "41"], "server ended it"),
        ([HELLO, "40", "1"], "server ended it"),
        ([HELLO, "40"], "was cut"),
        ([HELLO], "could not be opened|has ended"),
        (["0nonsense"], "could not be opened"),
        (["0{}"], "could not be opened"),
    ],
)
def test_whatever_a_server_says_wrongly_ends_the_stream_and_hangs_nobody(frames: list[str], why: str) -> None:
    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for frame in frames:
            await socket.send_str(frame)
        await socket.close()
        return socket

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/ws/", answer)
        async with serving(app) as url:
            with pytest.raises(ConnectivityError, match=why):
                socket = await SocketIo.connect(url, {"auth-token": TOKEN}, version=3, timeout_s=5)
                try:
                    async for _ in socket.events():
                        raise AssertionError("nothing can be read")
                finally:
                    await socket.close()

    asyncio.run(run())


def test_an_account_without_a_broker_is_waited_for_no_longer_than_told() -> None:
    """The request is answered, but `authenticated` never comes."""

    async def run() -> None:
        server = socketio.AsyncServer(async_mode="aiohttp")
        app = web.Application()
        server.attach(app, socketio_path="ws")

        async def request(sid: str, data: Any) -> None:
            await server.emit("response", {"requestId": data["requestId"]})

        server.on("request", request)
        async with serving(app) as url:
            socket = await SocketIo.connect(url, {}, version=4, timeout_s=5)
            session = Session(socket, ACCOUNT, ManualClock(0), lambda: 0, 0.2)
            with pytest.raises(ConnectivityError, match="not connected to its broker"):
                await session.begin()
            await session.close()
            with pytest.raises(ConnectivityError):
                await session.join(Market("EURUSD"))

    asyncio.run(run())


@pytest.mark.parametrize(("status", "error"), [(401, RequestError), (403, RequestError), (502, ConnectivityError)])
def test_a_door_that_says_no_is_a_matter_of_the_token_and_a_broken_one_is_not(
    status: int, error: type[Exception]
) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Client-Id"] == request.query["clientId"] == "0123"
        return web.Response(status=status, text=request.query["auth-token"])

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/ws/", answer)
        async with serving(app) as url:
            with pytest.raises(error, match=str(status)) as caught:
                await SocketIo.connect(url, {"auth-token": TOKEN, "clientId": "0123"}, version=3, timeout_s=5)
            assert TOKEN not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"

    asyncio.run(run())
