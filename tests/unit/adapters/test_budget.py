"""A budget is never overspent in any window, serves the urgent first, and is silent while the venue wants silence."""

from __future__ import annotations

import asyncio
import random

import pytest

from tradelab.adapters.budget import Budget, BudgetError, Urgency, urgency
from tradelab.model.clock import ManualClock
from tradelab.model.outcome import RefusalCode
from tradelab.model.units import NS_PER_S


def _played(play) -> None:  # type: ignore[no-untyped-def]
    asyncio.run(play())


def test_no_window_of_any_place_holds_more_than_the_capacity() -> None:
    async def play() -> None:
        clock, rng = ManualClock(), random.Random(5)
        budget, sent = Budget(clock, 100.0, 60.0), []

        async def ask() -> None:
            cost = rng.choice([1.0, 2.0, 5.0, 20.0])
            with urgency(rng.choice(list(Urgency))):
                try:
                    await budget.spend(cost)
                except BudgetError:
                    return  # an order that would have waited too long
            sent.append((clock.now_ns(), cost))

        tasks = []
        for _ in range(400):
            tasks.append(asyncio.create_task(ask()))
            await clock.advance(rng.uniform(0.0, 2.0))
        for _ in range(2_000):
            if all(t.done() for t in tasks):
                break
            await clock.advance(5.0)
        await asyncio.gather(*tasks)
        assert len(sent) > 200
        for at, _ in sent:
            inside = sum(cost for t, cost in sent if at - 60 * NS_PER_S < t <= at)
            assert inside <= 100.0

    _played(play)


def test_the_urgent_goes_first_when_not_everything_can() -> None:
    async def play() -> None:
        clock, order = ManualClock(), []
        budget = Budget(clock, 10.0, 60.0)
        with urgency(Urgency.DATA):
            await budget.spend(7.0)  # all that data may use

        async def ask(level: Urgency) -> None:
            with urgency(level):
                await budget.spend(2.0)
            order.append(level)

        data = [asyncio.create_task(ask(Urgency.DATA)) for _ in range(2)]
        await asyncio.sleep(0)
        stop = asyncio.create_task(ask(Urgency.PROTECT))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await clock.advance(61.0)
        await asyncio.gather(stop, *data)
        assert order == [Urgency.PROTECT, Urgency.DATA, Urgency.DATA]

    _played(play)


def test_what_is_kept_for_protection_is_there_at_once_however_much_data_is_asked_for() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        data = [asyncio.create_task(budget.spend(1.0)) for _ in range(50)]
        await asyncio.sleep(0)
        with urgency(Urgency.PROTECT):
            await asyncio.wait_for(budget.spend(1.0), timeout=5)
        assert clock.now_ns() == 0
        for task in data:
            task.cancel()
        await asyncio.gather(*data, return_exceptions=True)

    _played(play)


def test_an_order_that_would_wait_too_long_is_told_so_and_is_not_sent_later() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        with urgency(Urgency.PROTECT):
            await budget.spend(10.0)
        with urgency(Urgency.ENTRY):
            late = asyncio.create_task(budget.spend(1.0))
            await clock.advance(5.5)
        with pytest.raises(BudgetError, match="nothing was sent"):
            await late
        await clock.advance(120.0)
        assert budget.used() == 0.0

    _played(play)


def test_nothing_is_sent_inside_a_ban_and_those_who_wait_are_told() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        await budget.spend(7.0)
        waiting = asyncio.create_task(budget.spend(5.0))
        await asyncio.sleep(0)
        budget.close_for(120.0, banned=True)
        with pytest.raises(BudgetError, match="banned") as told:
            await waiting
        assert told.value.code is RefusalCode.BANNED
        assert told.value.retry_after_s == pytest.approx(120.0)
        await clock.advance(119.0)
        with pytest.raises(BudgetError, match="banned"):
            await budget.spend(0.1)
        await clock.advance(1.0)
        await budget.spend(0.1)

    _played(play)


def test_what_others_spend_from_our_address_is_counted() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        await budget.spend(1.0)
        budget.learn_used(6.5)
        assert budget.used() == 6.5
        budget.learn_used(3.0)  # an older answer, overtaken
        assert budget.used() == 6.5

    _played(play)


def test_a_request_larger_than_its_share_goes_alone_instead_of_never() -> None:
    async def play() -> None:
        budget = Budget(ManualClock(), 10.0, 60.0)
        await asyncio.wait_for(budget.spend(9.0), timeout=5)

    _played(play)


def test_a_request_larger_than_a_window_closes_as_many_windows_as_it_fills() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        await asyncio.wait_for(budget.spend(20.0), timeout=5)
        next_one = asyncio.create_task(budget.spend(1.0))
        await clock.advance(119.0)
        assert not next_one.done()
        await clock.advance(1.5)
        await asyncio.wait_for(next_one, timeout=5)

    _played(play)
