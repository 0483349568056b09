"""A client's clock follows the market of a rehearsal, and nobody else's."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiohttp import web

from tests.unit.app.venue_beside import START_NS, venue_beside
from tradelab.adapters.rehearsal_clock import clock_of, follow
from tradelab.model.clock import ManualClock, ScaledClock, SystemClock
from tradelab.model.errors import ConfigError
from tradelab.model.units import NS_PER_S


def test_it_runs_with_the_market_at_its_speed() -> None:
    market = ScaledClock(START_NS, 600.0)
    with venue_beside("s", market) as at:
        ours = asyncio.run(follow(at.url))
    assert ours is not None
    assert ours.speed == 600.0
    for _ in range(3):  # the distance stays what it is: at most half of the shortest way, here a tenth of a second
        assert abs(ours.now_ns() - market.now_ns()) < 0.1 * 600 * NS_PER_S
        time.sleep(0.01)


def test_a_venue_s_wrong_clock_is_not_the_market_s() -> None:
    """What a script sets wrong is the venue's clock, which a client must find out; the market goes on."""
    with venue_beside("s") as at:
        at.direct.skew(3600)
        ours = asyncio.run(follow(at.url))
        assert ours is not None
        assert abs(ours.now_ns() - at.exchange.clock.market_ns()) < 30 * 30 * NS_PER_S


def test_a_clock_moved_by_hand_cannot_be_followed() -> None:
    with venue_beside("s", ManualClock(START_NS)) as at, pytest.raises(ConfigError, match="moved by hand"):
        asyncio.run(follow(at.url))


async def _not_found(_: web.Request) -> web.Response:
    return web.Response(status=404, text="no such page")


async def _another(_: web.Request) -> web.Response:
    return web.json_response({"time": 5})


@pytest.mark.parametrize("answer", [_not_found, _another])
def test_an_address_that_is_no_rehearsal_leaves_the_machine_s_clock(answer: object) -> None:
    async def run() -> None:
        app = web.Application()
        app.router.add_get("/rehearsal/clock", answer)  # type: ignore[arg-type]
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        assert await follow(url) is None
        assert isinstance(await clock_of(url), SystemClock)
        await runner.cleanup()
        assert isinstance(await clock_of(url), SystemClock), "nor does one where nobody answers"

    asyncio.run(run())


@pytest.mark.parametrize("url", [None, 5, "", "https://api.example.com"])
def test_nobody_but_this_machine_is_asked(url: object) -> None:
    assert isinstance(asyncio.run(clock_of(url)), SystemClock)
