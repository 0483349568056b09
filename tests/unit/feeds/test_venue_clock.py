"""The venue's time is known between two bounds, however slow its answer and wrong our clock."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.unit.feeds.scripted import START_NS, ScriptedProvider, pass_time, walk
from tradelab.feeds.asking import Asker
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.clock import ManualClock
from tradelab.model.errors import InvariantError
from tradelab.model.units import NS_PER_S


def clocks(skew_s: float, delay_s: float = 0.0) -> tuple[ManualClock, ScriptedProvider, VenueClock]:
    clock = ManualClock(START_NS)
    provider = ScriptedProvider(clock, walk(5), skew_s=skew_s)
    plain = provider.now_ns

    async def slow() -> int:
        said = await plain()
        await clock.sleep(delay_s)
        return said

    provider.now_ns = slow  # type: ignore[method-assign]
    return clock, provider, VenueClock(provider, clock, Asker(clock, random.Random(0)))


@pytest.mark.parametrize("skew_s", [0.0, -600.0, 600.0])
@pytest.mark.parametrize("delay_s", [0.0, 3.0])
def test_the_truth_lies_between_the_bounds(skew_s: float, delay_s: float) -> None:
    async def scenario() -> None:
        clock, provider, venue = clocks(skew_s, delay_s)
        task = asyncio.create_task(venue.measure(5.0))
        await pass_time(clock, 10)
        await task
        truth = clock.now_ns() + provider.skew_ns
        assert venue.at_least_ns() <= truth <= venue.at_most_ns()
        assert venue.at_most_ns() - venue.at_least_ns() == int(delay_s * NS_PER_S)
        assert venue.ours_ns(venue.at_least_ns()) == clock.now_ns()

    asyncio.run(scenario())


def test_who_asks_together_asks_once_and_a_young_answer_serves() -> None:
    async def scenario() -> None:
        clock, provider, venue = clocks(0.0, delay_s=1.0)
        tasks = [asyncio.create_task(venue.measure(5.0)) for _ in range(10)]
        await pass_time(clock, 4)
        await asyncio.gather(*tasks)
        await venue.measure(5.0)
        assert provider.times_asked == 1
        again = asyncio.create_task(venue.measure(1.0))
        await pass_time(clock, 2)
        await again
        assert provider.times_asked == 2

    asyncio.run(scenario())


def test_a_clock_of_ours_that_was_set_back_makes_the_answer_worthless() -> None:
    async def scenario() -> None:
        clock, _, venue = clocks(0.0)
        assert venue.age_s() == float("inf")
        await venue.measure(5.0)
        assert venue.age_s() == 0.0
        clock._now_ns -= 600 * NS_PER_S
        assert venue.age_s() == float("inf")

    asyncio.run(scenario())


def test_nobody_uses_a_time_that_was_never_asked_for() -> None:
    async def scenario() -> None:
        _, _, venue = clocks(0.0)
        assert not venue.is_known
        with pytest.raises(InvariantError):
            venue.at_least_ns()

    asyncio.run(scenario())
