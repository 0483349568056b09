"""Ask ten times as much as each venue allows: no limit is met, stops go first, nothing starves, a ban is kept.

In the ordinary run a minute or less of the venue's time for each; ``TRADELAB_SOAK=full`` makes it the hour.
``bench/soak.py`` prints the figures.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from tests.property.soak_world import LIMITS, Soak, soak

_FULL = os.environ.get("TRADELAB_SOAK") == "full"
_SECONDS = {"binance": 60.0, "binanceusdm": 40.0, "bybit": 20.0}
pytestmark = pytest.mark.slow
EACH_VENUE = pytest.mark.parametrize("venue", _SECONDS)


def play(venue: str, act: Callable[[Soak], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with soak(venue) as on:
            await act(on)

    asyncio.run(whole())


@EACH_VENUE
def test_ten_times_the_demand_meets_no_limit_and_stops_go_first(venue: str) -> None:
    async def act(on: Soak) -> None:
        await on.weigh()
        await on.run(3600.0 if _FULL else _SECONDS[venue])
        told = on.told
        for scope, limit in LIMITS[venue].items():
            assert told.demand(scope) >= 9.9 * limit, scope
        assert on.at.server.meter.limited == 0
        assert on.at.server.meter.in_ban == 0
        assert told.quantile("stop placed", 0.99) <= 2.0
        assert told.quantile("stop cancelled", 0.99) <= 2.0
        assert told.answered["protect"] >= 0.9 * told.asked["protect"]
        assert not any(told.failed.values()), told.failed
        for kind in told.asked:
            assert told.answered[kind] > 0, f"{kind} starves"
            # longer than a window only because what it had in the window before was more than its share
            assert told.gap_s.get(kind, 0.0) <= 61.0, f"{kind} starves"

    play(venue, act)


@pytest.mark.parametrize(("venue", "seconds"), [("binance", 120), ("binanceusdm", 600), ("bybit", 600)])
def test_nothing_is_asked_inside_a_ban_and_work_goes_on_after_it(venue: str, seconds: int) -> None:
    async def act(on: Soak) -> None:
        went_on_s = await on.banned_at_rest(seconds)
        assert on.at.server.meter.in_ban == 0
        assert on.at.server.meter.limited == 0
        assert went_on_s <= 60.0

    play(venue, act)


@EACH_VENUE
def test_a_ban_amid_it_all_lets_nothing_leave_once_it_is_known(venue: str) -> None:
    async def act(on: Soak) -> None:
        assert await on.banned_at_work(30) == 0

    play(venue, act)
