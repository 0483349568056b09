"""A ccxt client speaks to the venue it was given, and goes nowhere else: not by a redirect, not inside a ban."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp import web

from tests.conformance.test_binance_spot import TestBinanceSpot as _BinanceSpot
from tests.conformance.test_bybit import TestBybitLinear as _BybitLinear
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.errors import ConnectivityError
from tradelab.model.orders import Side
from tradelab.model.outcome import RefusalCode, Refused, Unknown
from tradelab.rehearsal.faults import Fault


@asynccontextmanager
async def listening(answer: str | None) -> AsyncIterator[tuple[str, list[str]]]:
    """Listen on this machine and note every path; ``answer`` is where to redirect to."""
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        if answer is None:
            return web.json_response({"serverTime": 1})
        return web.Response(status=307, headers={"Location": answer + request.path})

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", note)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def _ccxt(venue: object) -> CcxtVenue:
    assert isinstance(venue, CcxtVenue)
    return venue


def test_a_redirect_is_not_followed() -> None:
    """It would carry key and signed order along, and a rehearsal off this machine."""

    async def play() -> None:
        async with listening(None) as (elsewhere, led), listening(elsewhere) as (here, asked):
            venue = CcxtVenue("binance", base_url=here, credentials={"api_key": "key-1f", "api_secret": "secret-1f"})
            try:
                with pytest.raises(ConnectivityError, match=r"answered 307, a redirect to 127\.0\.0\.1"):
                    await venue.connect()
            finally:
                await venue.disconnect()
            assert (len(asked), led) == (1, [])

    asyncio.run(play())


def test_an_order_answered_with_a_redirect_is_unknown_and_sent_once() -> None:
    async def play() -> None:
        async with _BinanceSpot().stage() as on, listening(None) as (elsewhere, led):
            async with listening(elsewhere) as (here, asked):
                raw = _ccxt(on.venue)._client.raw
                sign = raw.sign

                def elsewhere_signed(*args: object, **more: object) -> dict[str, str]:
                    signed: dict[str, str] = sign(*args, **more)
                    return signed | {"url": signed["url"].replace(on.at.url, here)}

                raw.sign = elsewhere_signed
                outcome = await on.submit(Side.BUY, on.unit)
            assert isinstance(outcome, Unknown), outcome
            assert (asked, led) == (["POST /api/v3/order"], [])

    asyncio.run(play())


def test_no_socket_is_opened_inside_a_ban() -> None:
    async def play() -> None:
        async with _BinanceSpot().stage() as on:
            on.at.direct.fault(Fault.BANNED, "submit", seconds=300.0)
            outcome = await on.submit(Side.BUY, on.unit)
            assert isinstance(outcome, Refused)
            assert outcome.code is RefusalCode.BANNED
            before = on.requests_sent()
            venue = _ccxt(on.venue)
            for stream in (venue.watch_quotes(on.symbol), venue.watch_orders(), venue.watch_fills()):
                with pytest.raises(ConnectivityError) as told:
                    await anext(stream)
                assert 0 < (told.value.retry_after_s or 0) <= 300
            assert (on.at.server.hub.sessions, on.requests_sent()) == ([], before)

    asyncio.run(play())


@pytest.mark.parametrize("level", [Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("0.0812345")])
def test_protection_that_no_position_can_have_is_refused_and_nothing_is_taken_away(level: Decimal) -> None:
    async def play() -> None:
        async with _BybitLinear().stage() as on:
            await on.placed(Side.BUY, on.unit, stop_loss=on.away(-3))
            before = on.requests_sent()
            outcome = await on.venue.modify_protection(on.symbol, stop_loss=level, take_profit=None)
            assert isinstance(outcome, Refused), outcome
            assert outcome.code in (RefusalCode.BAD_REQUEST, RefusalCode.TICK)
            assert on.requests_sent() == before
            (held,) = await on.venue.positions(on.symbol)
            assert held.stop_loss == on.away(-3)

    asyncio.run(play())
