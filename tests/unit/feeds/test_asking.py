"""A venue is asked patiently, never inside a ban, and not what it refused."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.unit.feeds.scripted import pass_time, settle
from tradelab.feeds.asking import Asker, Patience
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.units import NS_PER_S


class Highest(random.Random):
    """Draws the upper end, so that a pause is its longest."""

    def uniform(self, a: float, b: float) -> float:
        return b


def failing(times: int, clock: ManualClock, asked: list[float], **error: float) -> Callable[[], object]:
    async def question() -> str:
        asked.append(clock.now_ns() / NS_PER_S)
        if len(asked) <= times:
            raise ConnectivityError("502.", **error)
        return "here"

    return question


def test_pauses_double_up_to_the_longest_with_full_jitter() -> None:
    patience = Patience(first_pause_s=1.0, longest_pause_s=10.0)
    assert [patience.pause_s(n, Highest()) for n in (1, 2, 3, 4, 5, 999)] == [1, 2, 4, 8, 10, 10]
    drawn = [patience.pause_s(3, random.Random(seed)) for seed in range(200)]
    assert min(drawn) < 0.2
    assert max(drawn) > 3.8, "anything from nothing to the whole pause"


def test_it_asks_until_there_is_an_answer() -> None:
    async def scenario() -> None:
        clock, asked = ManualClock(), []
        asker = Asker(clock, Highest(), Patience(first_pause_s=1.0))
        task = asyncio.create_task(asker.ask(failing(3, clock, asked)))  # type: ignore[arg-type]
        await pass_time(clock, 10)
        assert await task == "here"
        assert asked == [0, 1, 3, 7]

    asyncio.run(scenario())


def test_after_its_attempts_the_last_failure_is_raised() -> None:
    async def scenario() -> None:
        clock, asked = ManualClock(), []
        task = asyncio.create_task(Asker(clock, Highest()).ask(failing(99, clock, asked), attempts=2))  # type: ignore[arg-type]
        await pass_time(clock, 100)
        with pytest.raises(ConnectivityError):
            await task
        assert len(asked) == 2

    asyncio.run(scenario())


def test_a_refusal_is_not_asked_again() -> None:
    async def scenario() -> None:
        asked = []

        async def question() -> None:
            asked.append(1)
            raise RequestError("no.")

        with pytest.raises(RequestError):
            await Asker(ManualClock(), random.Random(0)).ask(question)
        assert len(asked) == 1

    asyncio.run(scenario())


def test_no_request_falls_inside_a_ban_that_any_of_them_earned() -> None:
    async def scenario() -> None:
        clock, banned, others = ManualClock(), [], []
        asker = Asker(clock, random.Random(0), Patience(first_pause_s=1.0))
        first = asyncio.create_task(asker.ask(failing(1, clock, banned, retry_after_s=120.0)))  # type: ignore[arg-type]
        await settle()
        rest = [asyncio.create_task(asker.ask(failing(0, clock, others))) for _ in range(5)]  # type: ignore[arg-type]
        await pass_time(clock, 119)
        assert (len(banned), others) == (1, [])
        assert asker.banned_until_ns == 120 * NS_PER_S
        await pass_time(clock, 4)
        assert {await t for t in (first, *rest)} == {"here"}
        assert min(banned[1:] + others) >= 120
        assert len(set(others)) == 5, "and they do not all come back in the same moment"

    asyncio.run(scenario())


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -5.0, 1e300])
def test_a_time_to_wait_that_is_none_neither_breaks_the_asker_nor_stops_it_for_ever(nonsense: float) -> None:
    clock = ManualClock(0)
    asker = Asker(clock, random.Random(1))
    asker.note(ConnectivityError("busy.", retry_after_s=nonsense))
    assert 0 <= asker.banned_until_ns <= 7 * 86_400 * NS_PER_S
