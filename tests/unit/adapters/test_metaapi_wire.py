"""See what each answer of MetaApi's servers proves, that numbers keep their digits, and that no token gets out."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from tradelab.adapters.metaapi_settings import MetaApiSettings, hosts, safe_url
from tradelab.adapters.metaapi_wire import RefusedError, Wire, dumps
from tradelab.model.clock import ManualClock
from tradelab.model.credentials import Credentials
from tradelab.model.errors import ConnectivityError, TradelabError

TOKEN = "canary.wire.token-0123456789"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def wire(handler: Handler | None, now_ns: int = 0) -> AsyncIterator[tuple[Wire, str]]:
    """A wire, and a server that answers everything in one way; nothing at all without a handler."""
    app = web.Application()
    if handler is not None:
        app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    if handler is None:
        await runner.cleanup()
    made = Wire(Credentials({"api_token": TOKEN}), ManualClock(now_ns), 0.5, trust_env=False)
    try:
        yield made, url
    finally:
        await made.close()
        await runner.cleanup()


def answering(status: int, text: str, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    return answer


def get(handler: Handler | None, now_ns: int = 0) -> Any:
    async def run() -> Any:
        async with wire(handler, now_ns) as (made, url):
            return await made.get(f"{url}/x")

    return asyncio.run(run())


def test_a_number_keeps_the_digits_it_was_written_with() -> None:
    told = get(answering(200, '{"bid": 1.160010000000000001, "volume": 0.10, "digits": 5}'))
    assert told["bid"] == Decimal("1.160010000000000001")
    assert str(told["volume"]) == "0.10"
    assert told["digits"] == 5


def test_a_number_is_sent_with_its_own_digits() -> None:
    sent = dumps({"volume": Decimal("0.07"), "openPrice": Decimal("1E-7"), "magic": 7, "clientId": 'q"', "on": True})
    assert sent == '{"volume":0.07,"openPrice":0.0000001,"magic":7,"clientId":"q\\"","on":true}'
    assert json.loads(sent)["clientId"] == 'q"'


def test_a_rate_limit_tells_how_long_to_wait_by_header_or_by_body() -> None:
    second = 10**9
    cases = [
        (answering(429, "{}", **{"Retry-After": "7"}), 7.0),
        (answering(429, "{}", **{"Retry-After": "Thu, 01 Jan 1970 00:01:40 GMT"}), 90.0),
        (answering(429, '{"metadata": {"recommendedRetryTime": "1970-01-01T00:00:25.500Z"}}'), 15.5),
        (answering(429, "{}"), None),
    ]
    for handler, wait_s in cases:
        with pytest.raises(ConnectivityError) as caught:
            get(handler, 10 * second)
        assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_what_is_refused_is_not_to_be_tried_again(status: int) -> None:
    body = '{"id": 1, "error": "SomeError", "message": "no, because", "details": [{"parameter": "volume"}]}'
    with pytest.raises(RefusedError, match=r"no, because.*volume") as caught:
        get(answering(status, body))
    assert caught.value.status == status


@pytest.mark.parametrize(
    "handler",
    [
        answering(500, '{"error": "InternalError", "message": "m"}'),
        answering(502, "<html><h1>502 Bad Gateway</h1></html>"),
        answering(504, '{"error": "TimeoutError", "message": "m"}'),
        answering(200, '{"balance": 12'),
        answering(302, "", Location="/elsewhere"),
        None,
    ],
    ids=["500", "html", "504", "half", "redirect", "nobody"],
)
def test_what_proves_nothing_is_to_be_tried_again(handler: Handler | None) -> None:
    with pytest.raises(ConnectivityError):
        get(handler)


def test_only_a_connection_that_never_was_proves_that_nothing_was_sent() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async def cut(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def ask(handler: Handler | None) -> bool:
        async with wire(handler) as (made, url):
            reply = await made.ask("POST", f"{url}/trade", body="{}")
            assert reply.status is None
            return reply.was_sent

    assert [asyncio.run(ask(h)) for h in (None, hang, cut)] == [False, True, True]


def test_a_token_is_in_no_error_and_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Also where the server says it back."""
    caplog.set_level(logging.DEBUG)
    echo = answering(400, json.dumps({"error": "ValidationError", "message": f"bad token {TOKEN}"}))
    told = []
    for handler in (echo, answering(500, f"<p>{TOKEN}</p>"), None):
        with pytest.raises(TradelabError) as caught:
            get(handler)
        error = caught.value
        told.append(f"{error!r} {error} {error.__cause__!r} {error.__context__!r}")
    assert not any(TOKEN in text for text in [*told, caplog.text])


def test_hosts_are_told_by_region_and_domain_or_all_by_one_address() -> None:
    found = hosts(MetaApiSettings(), "new-york", "agiliumtrade.ai", "mt-client-api-dedicated")
    # the addresses of https://metaapi.cloud/docs/client/restApi/, and what the SDK makes of region and instance
    assert found.provisioning == "https://mt-provisioning-api-v1.agiliumtrade.agiliumtrade.ai"
    assert found.client == "https://mt-client-api-v1.new-york.agiliumtrade.ai"
    assert found.market == "https://mt-market-data-client-api-v1.new-york.agiliumtrade.ai"
    assert found.stream == "https://mt-client-api-dedicated.new-york-a.agiliumtrade.ai"
    here = hosts(MetaApiSettings(base_url="http://127.0.0.1:8000/"), "new-york", "agiliumtrade.ai", "x")
    assert {here.provisioning, here.client, here.market, here.stream} == {"http://127.0.0.1:8000"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "https://example.com"])
def test_a_token_may_be_sent_over_tls_or_on_this_machine(url: str) -> None:
    assert safe_url(url) == url


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "ftp://127.0.0.1", "127.0.0.1:80"]
)
def test_a_token_is_sent_nowhere_else(url: str) -> None:
    with pytest.raises(ValueError, match=r"token in the clear|is no address"):
        MetaApiSettings(base_url=url)
