"""Look for the password and the token wherever a failing connection to mtapi.io might leave them."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.unit.rehearsal.mtapi_world import PASSWORD, USER, World, world
from tradelab.adapters.mtapi_quiet import quietly
from tradelab.adapters.mtapi_settings import CREDENTIALS, MtapiSettings
from tradelab.adapters.mtapi_venue import MtapiVenue
from tradelab.model.clock import SystemClock
from tradelab.model.credentials import check_credentials
from tradelab.model.errors import VenueError
from tradelab.model.orders import OrderType, Side
from tradelab.model.outcome import Unknown
from tradelab.rehearsal.faults import Fault

ODD = 'pa ss+wörd/="&?%'  # all that a URL must escape


def _adapter(url: str, password: str = PASSWORD, **settings: Any) -> MtapiVenue:
    given = {"base_url": url, "server_zone": "UTC+2", "timeout_s": 1.0, "trade_timeout_s": 1.0} | settings
    login = {"user": USER, "password": password, "host": "203.0.113.9"}
    return MtapiVenue(MtapiSettings(**given), check_credentials(CREDENTIALS, login, provider="mtapi"), SystemClock())


def _shown(error: BaseException) -> str:
    """All that a page of errors may show: causes, contexts, and the local variables of every frame."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    told.stack[:] = [frame for frame in told.stack if "/tests/" not in frame.filename]  # ours know the secrets
    parts = ["".join(told.format()), repr(error), str(error)]
    parts += [repr(e) for e in (error.__cause__, error.__context__) if e is not None]
    return "\n".join(parts)


async def _fails(adapter: MtapiVenue) -> str:
    try:
        await adapter.connect()
    except VenueError as error:
        return _shown(error)
    finally:
        await adapter.disconnect()
    raise AssertionError("it connected")


def _serving(answer: Callable[[web.Request], Any]) -> Any:
    """Make a test server whose every address answers so; used as ``async with``."""
    from aiohttp.test_utils import TestServer

    async def handle(request: web.Request) -> web.StreamResponse:
        told: web.StreamResponse = answer(request)
        return told

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    return TestServer(app)


def test_nothing_of_the_http_client_is_logged_while_we_speak(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> str:
        async with world() as on:
            await on.adapter.account_info()
            token: str = on.adapter._session.token.reveal()
            return token

    with caplog.at_level(logging.DEBUG):
        token = asyncio.run(play())
    assert PASSWORD not in caplog.text
    assert token not in caplog.text
    assert not any(r.name.startswith(("httpx", "httpcore")) and "http11" in r.name for r in caplog.records)


def test_the_log_of_other_clients_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with world() as on, httpx.AsyncClient(trust_env=False) as other:
            await other.get(on.venue.url + "/Ping")
            with quietly():
                await other.get(on.venue.url + "/NotThis")

    with caplog.at_level(logging.INFO, logger="httpx"):
        asyncio.run(play())
    assert "/Ping" in caplog.text
    assert "/NotThis" not in caplog.text


def test_a_server_that_is_not_there_leaves_no_url_in_the_error() -> None:
    told = asyncio.run(_fails(_adapter("http://127.0.0.1:9")))
    assert "could not be reached" in told
    assert PASSWORD not in told


@pytest.mark.parametrize("status", [201, 302, 400, 401, 403, 404, 429, 500, 502])
@pytest.mark.parametrize("password", [PASSWORD, ODD])
def test_a_server_that_repeats_our_request_is_not_repeated_by_us(status: int, password: str) -> None:
    def answer(request: web.Request) -> web.Response:
        body = {"message": f"cannot do {request.url} {request.raw_path} {request.query['password']}", "code": "X"}
        headers = {"Location": str(request.url)} if status == 302 else {}
        return web.json_response(body, status=status, headers=headers)

    async def play() -> str:
        async with _serving(answer) as server:
            return await _fails(_adapter(f"http://127.0.0.1:{server.port}", password))

    told = asyncio.run(play())
    for spelling in (password, json.dumps(password)[1:-1], httpx.QueryParams({"p": password}).__str__()[2:]):
        assert spelling not in told


def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"})

    async def play() -> str:
        async with _serving(answer) as server:
            return await _fails(_adapter(f"http://127.0.0.1:{server.port}"))

    assert "status 302" in asyncio.run(play())
    assert asked == ["/Connect"]


def test_a_connection_that_breaks_at_any_moment_tells_neither_password_nor_token() -> None:
    async def play(on: World, fault: Fault, request: str) -> str:
        token = on.adapter._session.token.reveal()
        on.venue.direct.fault(fault, request)
        try:
            await (on.adapter.account_info() if request == "account" else on.adapter.quote("EURUSD"))
        except VenueError as error:
            shown = _shown(error)
            assert token not in shown
            return shown
        raise AssertionError(f"{fault} was not noticed")

    async def all_of_them() -> None:
        async with world(settings={"timeout_s": 0.5}) as on:
            for fault in (Fault.LOST, Fault.RESET, Fault.TRUNCATED, Fault.HANG, Fault.GATEWAY, Fault.UNKNOWN_ERROR):
                for request in ("account", "quote"):
                    assert PASSWORD not in await play(on, fault, request)

    asyncio.run(all_of_them())


def test_a_token_that_the_server_repeats_is_starred() -> None:
    async def play() -> None:
        async with world() as on:
            token = on.adapter._session.token.reveal()
            on.dialect.forget()
            on.venue.direct.fault(Fault.UNKNOWN_ERROR, "login")
            with pytest.raises(VenueError) as caught:
                await on.adapter.quote("EURUSD")
            assert token not in _shown(caught.value)
            again = on.made()
            await again.connect()
            on.dialect.forget()
            heard = await again._session.tell(_close(), ticket="1")
            assert "Client with id = **** not found" in repr(heard)
            assert "Client with id = **** not found" in again._session.words(heard)
            await again.disconnect()

    asyncio.run(play())


def _close() -> Any:
    from tradelab.adapters import mtapi_wire

    return mtapi_wire.CLOSE


def test_an_order_that_is_cut_off_tells_nothing_in_its_outcome() -> None:
    async def play() -> None:
        async with world(settings={"trade_timeout_s": 0.5}) as on:
            token = on.adapter._session.token.reveal()
            for fault in (Fault.HANG, Fault.RESET, Fault.TRUNCATED):
                on.venue.direct.fault(fault, "submit")
                outcome = await on.submit(Side.BUY, "0.01", OrderType.LIMIT, price=on.venue.exchange.mark("EURUSD") / 2)
                assert isinstance(outcome, Unknown)
                assert PASSWORD not in repr(outcome)
                assert token not in repr(outcome)

    asyncio.run(play())


def test_a_request_that_is_cancelled_shows_no_secret() -> None:
    async def play() -> str:
        async with world() as on:
            on.venue.direct.fault(Fault.HANG, "login")
            other = on.made(trade_timeout_s=30.0)
            task = asyncio.create_task(other.connect())
            await asyncio.sleep(0.05)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError as error:
                return _shown(error)
        raise AssertionError("it was not cancelled")

    assert PASSWORD not in asyncio.run(play())


def test_an_adapter_shows_itself_without_secrets() -> None:
    async def play() -> None:
        async with world() as on:
            token = on.adapter._session.token.reveal()
            shown = [repr(on.adapter), str(on.adapter), repr(vars(on.adapter)), repr(vars(on.adapter._session))]
            shown.append(repr(await on.adapter.test_connection()))
            assert not any(PASSWORD in text or token in text for text in shown)

    asyncio.run(play())


def test_a_socket_that_is_refused_does_not_tell_the_token() -> None:
    async def play() -> None:
        async with world() as on:
            token = on.adapter._session.token.reveal()
            on.venue.direct.fault(Fault.GATEWAY, "stream")
            with pytest.raises(VenueError) as caught:
                await anext(on.adapter.watch_orders())
            shown = _shown(caught.value)
            assert "refused the socket with status 502" in shown
            assert token not in shown

    asyncio.run(play())
