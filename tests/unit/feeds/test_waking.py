"""A waiter wakes at a knock or at its time, on the clock it was given."""

from __future__ import annotations

import asyncio

from tests.unit.feeds.scripted import pass_time, settle
from tradelab.feeds.waking import Waker
from tradelab.model.clock import ManualClock
from tradelab.model.units import NS_PER_S


def test_it_wakes_at_its_time_and_not_before() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        waker = Waker(clock)
        task = asyncio.create_task(waker.wait(5 * NS_PER_S))
        await pass_time(clock, 4)
        assert not task.done()
        await pass_time(clock, 1)
        assert task.done()
        await waker.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_a_knock_wakes_it_even_one_that_came_before_it_waited() -> None:
    async def scenario() -> None:
        waker = Waker(ManualClock())
        waker.knock()
        await waker.wait(None)
        task = asyncio.create_task(waker.wait(None))
        await settle()
        assert not task.done(), "that knock was answered"
        waker.knock()
        await settle()
        assert task.done()
        await waker.close()

    asyncio.run(scenario())


def test_an_earlier_time_than_the_one_set_is_kept_too() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        waker = Waker(clock)
        waker.knock()
        await waker.wait(50 * NS_PER_S)
        task = asyncio.create_task(waker.wait(5 * NS_PER_S))
        await pass_time(clock, 5)
        assert task.done()
        await waker.close()

    asyncio.run(scenario())


def test_a_time_that_is_past_lets_others_run() -> None:
    async def scenario() -> None:
        waker, ran = Waker(ManualClock(10)), []
        task = asyncio.create_task(settle(1))
        task.add_done_callback(lambda _: ran.append(1))
        for _ in range(5):
            await waker.wait(5)
        assert ran == [1]
        await waker.close()

    asyncio.run(scenario())
