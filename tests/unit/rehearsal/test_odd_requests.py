"""Send a rehearsal what no client should send: each is refused, and the venue answers the next as if nothing was."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import httpx
import pytest

from tests.unit.rehearsal import bybit_world
from tests.unit.rehearsal.binance_world import KEY, START_MS, scene
from tests.unit.rehearsal.bybit_world import World, bybit
from tests.unit.rehearsal.metaapi_world import TOKEN, world
from tradelab.rehearsal.dialects.bybit_wire import Kind, read

DEEP = "[" * 100_000
ENDLESS = ["1e999999999", "-1e999999999", "1e-999999999", "9" * 5000, "0e999999999"]


@pytest.mark.parametrize("number", ENDLESS)
@pytest.mark.parametrize("kind", [Kind.WHOLE, Kind.NUMBER])
def test_a_number_that_would_take_for_ever_to_write_is_refused(number: str, kind: Kind) -> None:
    """Found by a fuzzer: ``limit=1e999999999`` kept the whole venue busy, for ever."""
    refused, _ = read({"limit": number}, {"limit": kind}, "")
    assert getattr(refused, "code", None) == 10001


def test_bybit_refuses_odd_headers_and_odd_bodies_in_its_own_words() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            for header in ("X-BAPI-TIMESTAMP", "X-BAPI-RECV-WINDOW", "X-BAPI-SIGN"):
                for value in ("²", "é", "9" * 4000):
                    changed: dict[str, Any] = {header.replace("-", "_"): value}
                    status, told, _ = await on.raw("GET", "/v5/order/realtime", **changed)
                    assert (status, told["retCode"] != 0) == (200, True), (header, value)
            status, told = await _posted(on, DEEP)
            assert (status, told["retCode"]) == (200, 10001)
            assert (await on.raw("GET", "/v5/market/time"))[1]["retCode"] == 0

    asyncio.run(play())


async def _posted(on: World, body: str) -> tuple[int, dict[str, object]]:
    stamp = str(on.clock.now_ns() // 1_000_000)
    headers = {
        "X-BAPI-API-KEY": bybit_world.KEY, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": bybit_world.signature(bybit_world.SECRET, f"{stamp}{bybit_world.KEY}5000{body}"),
        "Content-Type": "application/json",
    }  # fmt: skip
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{on.at.url}/v5/order/create", data=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


@pytest.mark.parametrize("dialect", ["binance", "binanceusdm"])
def test_binance_refuses_odd_signatures_and_odd_forms_and_goes_on(dialect: str) -> None:
    root = "/api/v3" if dialect == "binance" else "/fapi/v1"

    async def play() -> None:
        async with scene(dialect) as on, httpx.AsyncClient(base_url=on.at.url, trust_env=False) as http:
            given = {"symbol": "BTCUSDT", "timestamp": str(START_MS)}
            for signature in ("☃", "é", "²"):
                params = given | {"signature": signature}
                answer = await http.get(f"{root}/openOrders", params=params, headers={"X-MBX-APIKEY": KEY})
                assert (answer.status_code, answer.json()["code"]) == (400, -1022)
            for kind in ("", "; charset=utf-8", "; charset=nonsense"):
                headers = {"X-MBX-APIKEY": KEY, "Content-Type": f"application/x-www-form-urlencoded{kind}"}
                answer = await http.post(f"{root}/order", content=b"\xff\xfe=%zz", headers=headers)
                assert answer.status_code == 400
            assert (await http.post("/rehearsal/fault", content=DEEP)).status_code == 400
            assert (await http.get(f"{root}/time")).status_code == 200

    asyncio.run(play())


@pytest.mark.parametrize("said", [DEEP, '{"a":' * 50_000, "x", "5", "null"])
def test_a_socket_of_binance_answers_odd_texts_and_stays_open(said: str) -> None:
    async def play() -> None:
        async with (
            scene("binance") as on,
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{on.at.url}/ws") as socket,
        ):
            await socket.send_str(said)
            assert "error" in json.loads(await socket.receive_str())
            await socket.send_str('{"method": "LIST_SUBSCRIPTIONS", "id": 7}')
            assert json.loads(await socket.receive_str())["id"] == 7

    asyncio.run(play())


@pytest.mark.parametrize("path", ["private", "public/linear"])
@pytest.mark.parametrize(
    "said", [DEEP, "5", '{"op": "auth", "args": 7}', '{"op": "subscribe", "args": 5}', '{"op": []}']
)
def test_a_socket_of_bybit_answers_odd_texts_and_stays_open(path: str, said: str) -> None:
    async def play() -> None:
        async with (
            bybit(True) as on,
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{on.at.url}/v5/{path}") as socket,
        ):
            await socket.send_str(said)
            await socket.receive_str()
            await socket.send_str('{"op": "ping", "req_id": "9"}')
            assert json.loads(await socket.receive_str())["req_id"] == "9"

    asyncio.run(play())


@pytest.mark.parametrize("said", ['42["x"', "42[]", "42", "425", "42" + DEEP])
def test_a_socket_of_metaapi_passes_over_what_is_no_event(said: str) -> None:
    async def play() -> None:
        async with world(adapter=False) as on, aiohttp.ClientSession() as http:
            url = f"{on.venue.url}/ws/?auth-token={TOKEN}&clientId=1&EIO=4&transport=websocket"
            async with http.ws_connect(url) as socket:
                assert (await socket.receive_str()).startswith("0")
                await socket.send_str(said)
                await socket.send_str("2again")
                assert await socket.receive_str() == "3again"

    asyncio.run(play())
