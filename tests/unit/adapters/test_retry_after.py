"""How long a venue asks us to wait is read the same way of all of them, nonsense included."""

from __future__ import annotations

import asyncio
import doctest
import math
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.adapters.test_http_provider import played
from tradelab.adapters import retry_after
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.adapters.retry_after import LONGEST_S, seconds_of
from tradelab.model.errors import ConnectivityError

NONSENSE = ["nan", "inf", "-5", "1e400", "\u00b2", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "\u0663", "soon", ""]


def test_the_examples_run() -> None:
    module: ModuleType = retry_after
    assert doctest.testmod(module).failed == 0


@given(st.text())
def test_whatever_is_told_is_a_time_to_wait_or_nothing(told: str) -> None:
    seconds = seconds_of(told)
    assert seconds is None or (math.isfinite(seconds) and 0 <= seconds <= LONGEST_S)


@pytest.mark.parametrize("told", NONSENSE)
def test_an_http_api_that_tells_nonsense_is_waited_for_a_week_at_most(told: str) -> None:
    from aiohttp import web

    async def play(provider: Any, api: Any, clock: Any) -> float | None:
        api.answer = web.Response(status=429, headers={"Retry-After": told})
        with pytest.raises(ConnectivityError) as busy:
            await provider.now_ns()
        return busy.value.retry_after_s

    seconds = played(play)
    assert seconds is None or 0 <= seconds <= LONGEST_S


@pytest.mark.parametrize("told", NONSENSE)
@pytest.mark.parametrize("header", ["Retry-After", "X-Bapi-Limit-Reset-Timestamp"])
def test_a_banned_client_waits_whatever_the_ban_is_said_to_last(header: str, told: str) -> None:
    async def banned_for_s() -> float:
        from tradelab.adapters import registry

        venue: CcxtVenue = registry.execution_venue("ccxt", {"exchange": "bybit", "base_url": "http://127.0.0.1:1"})
        try:
            venue._client._learn(429, {header: told})
            return venue._client.budgets.whole.closed_for_s
        finally:
            await venue.disconnect()

    assert 0 < asyncio.run(banned_for_s()) <= LONGEST_S
