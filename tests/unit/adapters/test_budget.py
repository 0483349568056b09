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


def test_a_request_counts_until_a_window_after_its_answer_for_nobody_knows_when_the_venue_counted_it() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        with urgency(Urgency.PROTECT):
            async with budget.spending(10.0):
                await clock.advance(90.0)  # a long way to the venue
                assert budget.used() == 10.0
            await clock.advance(59.0)
            assert budget.used() == 10.0
            await clock.advance(1.0)
            assert budget.used() == 0.0

    _played(play)


async def _overloaded(
    budget: Budget, clock: ManualClock, levels: dict[Urgency, float], seconds: int
) -> dict[Urgency, list[float]]:
    """Ask for so much each second of every urgency, in requests of one; return when each was let go."""
    gone: dict[Urgency, list[float]] = {level: [] for level in levels}
    tasks = []

    async def ask(level: Urgency) -> None:
        with urgency(level):
            try:
                await budget.spend(1.0)
            except BudgetError:
                return
        gone[level].append(clock.now_ns() / NS_PER_S)

    for _ in range(seconds):
        for level, rate in levels.items():
            tasks += [asyncio.create_task(ask(level)) for _ in range(int(rate))]
        await clock.advance(1.0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return gone


@pytest.mark.parametrize("burst", [0.25, 1.0])
def test_data_gets_its_part_however_much_more_urgent_things_ask_for(burst: float) -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 100.0, 10.0, burst=burst)
        gone = await _overloaded(budget, clock, {Urgency.EXIT: 100, Urgency.ACCOUNT: 50, Urgency.DATA: 5}, 60)
        for level in gone:  # a tenth of what there is, each; but for the first window, in which it is handed out late
            assert len([t for t in gone[level] if t >= 20.0]) >= 0.8 * 10 * 4, level
        for second in range(20, 60):
            assert sum(second <= t < second + 1 for t in gone[Urgency.DATA]) <= 3, "its part comes all at once"

    _played(play)


def test_protection_waits_for_nobody_while_everybody_asks_for_too_much() -> None:
    async def play() -> None:
        clock, waits = ManualClock(), []
        budget = Budget(clock, 100.0, 10.0, burst=0.25)
        flood = asyncio.create_task(
            _overloaded(budget, clock, {Urgency.EXIT: 50, Urgency.ENTRY: 100, Urgency.DATA: 50}, 120)
        )
        for _ in range(110):
            await asyncio.sleep(0)
            began = clock.now_ns()
            with urgency(Urgency.PROTECT):
                for _ in range(3):
                    await budget.spend(1.0)
            waits.append((clock.now_ns() - began) / NS_PER_S)
            until = began + NS_PER_S
            while clock.now_ns() < until and not flood.done():
                await asyncio.sleep(0)
        await flood
        assert len(waits) == 110
        assert sorted(waits)[int(0.99 * len(waits))] <= 1.0

    _played(play)


def test_what_may_not_go_at_once_is_spread_over_the_window() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 100.0, 10.0, burst=0.25)
        gone = (await _overloaded(budget, clock, {Urgency.DATA: 200}, 30))[Urgency.DATA]
        at_once = sum(t == 0.0 for t in gone)
        assert 17 <= at_once <= 18  # a quarter of seven tenths
        for second in range(20, 30):  # seven a second after that
            assert 4 <= sum(second <= t < second + 1 for t in gone) <= 10

    _played(play)


def test_what_costs_nothing_waits_for_nobody_but_is_not_sent_into_a_ban() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        with urgency(Urgency.PROTECT):
            await budget.spend(10.0)
        await asyncio.wait_for(budget.spend(0.0), timeout=5)
        budget.close_for(5.0, banned=True)
        with pytest.raises(BudgetError) as told:
            await budget.spend(0.0)
        assert told.value.code is RefusalCode.BANNED

    _played(play)


def test_a_question_asked_for_the_sake_of_a_stop_is_as_urgent_as_the_stop() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        await budget.spend(7.0)
        with urgency(Urgency.PROTECT), urgency(Urgency.ACCOUNT):
            await asyncio.wait_for(budget.spend(3.0), timeout=5)

    _played(play)


def test_somebody_who_gave_up_waiting_has_spent_nothing() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        await budget.spend(7.0)
        waits = asyncio.create_task(budget.spend(5.0))
        await clock.advance(1.0)
        assert budget.waiting == 1
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        assert budget.waiting == 0
        await clock.advance(60.0)
        assert budget.used() == 0.0
        assert budget.in_flight == 0

    _played(play)


def test_what_was_granted_to_somebody_who_gave_up_in_the_same_moment_is_not_spent() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        await budget.spend(7.0)
        both: list[asyncio.Task[None]] = []

        async def first() -> None:
            await budget.spend(3.0)
            both[1].cancel()

        both += [asyncio.create_task(first()), asyncio.create_task(budget.spend(3.0))]
        await clock.advance(60.0)
        told = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(told[1], asyncio.CancelledError)
        assert (budget.used(), budget.in_flight) == (3.0, 0)

    _played(play)


def test_what_was_let_go_in_the_moment_in_which_a_ban_was_told_is_not_sent() -> None:
    async def play() -> None:
        clock = ManualClock()
        budget = Budget(clock, 10.0, 60.0)
        await budget.spend(10.0)
        late = asyncio.create_task(budget.spend(5.0))
        await asyncio.sleep(0)
        (waiting,) = (each for queue in budget._queues.values() for each in queue)
        waiting.granted.add_done_callback(lambda _: budget.close_for(120.0, banned=True))
        await clock.advance(60.0)
        with pytest.raises(BudgetError, match="has banned this address"):
            await late
        assert (budget.in_flight, budget.used()) == (0, 0.0)

    _played(play)
