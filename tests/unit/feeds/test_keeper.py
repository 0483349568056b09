"""Which bars are closed, and which word wins: the stream's, the clock's or REST's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.feeds.following import World, world_of
from tests.unit.feeds.scripted import START_NS, ScriptedProvider, pass_time, unfinished, walk
from tradelab.feeds.rhythm import Rhythm
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError
from tradelab.model.feed_events import FeedResumed, FeedStale
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_S, Timeframe

BARS = walk(30)


class Telling(ScriptedProvider):
    """Its stream says exactly what it is given to say, when it is."""

    def __init__(self, **how: object) -> None:
        super().__init__(ManualClock(START_NS), BARS, **how)  # type: ignore[arg-type]
        self.frames: asyncio.Queue[Candle] = asyncio.Queue()

    async def _frames(self) -> AsyncIterator[Candle]:
        while True:
            yield await self.frames.get()

    def say(self, *frames: Candle) -> None:
        for frame in frames:
            self.frames.put_nowait(frame)


def play(folder: Path, scene: Callable[[World, Telling], object], **how: object) -> None:
    """Run a scene over a stream that says what the scene wants."""

    async def scenario() -> None:
        provider = Telling(**how)
        async with world_of(folder, provider) as w:
            await scene(w, provider)  # type: ignore[misc]

    asyncio.run(scenario())


def test_a_marked_close_is_told_at_once_without_a_question(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow()
        await pass_time(w.clock, 60)
        venue.say(BARS[0])
        await pass_time(w.clock, 0.1, 0.1)
        assert follower.closed == [BARS[0]] == w.stored()
        assert venue.asked == []
        await follower.stop()

    play(tmp_path, scene)


def test_a_close_that_was_marked_too_early_is_a_forming_bar(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow(forming=True)
        await pass_time(w.clock, 30)
        venue.say(replace(unfinished(BARS[0], 0.5), closed=True))
        await pass_time(w.clock, 1)
        assert follower.closed == []
        assert [b.closed for b in follower.forming] == [False]
        await pass_time(w.clock, 32)
        assert follower.closed == [BARS[0]] == w.stored(), "REST said how it ended"
        await follower.stop()

    play(tmp_path, scene)


def test_a_bar_whose_close_was_lost_is_taken_from_rest_after_the_grace(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow()
        await pass_time(w.clock, 58)
        venue.say(unfinished(BARS[0], 0.97))
        await pass_time(w.clock, 3)
        assert (follower.closed, venue.asked) == ([], [])
        await pass_time(w.clock, 1)
        assert follower.closed == [BARS[0]] == w.stored(), "not its stale close"
        assert len(venue.asked) == 1
        await follower.stop()

    play(tmp_path, scene)


def test_a_newer_bar_does_not_close_the_old_one_with_its_stale_values(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow(forming=True)
        await pass_time(w.clock, 58)
        venue.say(unfinished(BARS[0], 0.97))
        await pass_time(w.clock, 3)
        venue.say(unfinished(BARS[1], 0.02))
        await pass_time(w.clock, 0.5, 0.5)
        assert follower.closed == []
        assert {b.open_ns for b in follower.forming} == {BARS[0].open_ns}, "nor is the new one shown before it"
        await pass_time(w.clock, 1)
        assert follower.closed == [BARS[0]] == w.stored()
        assert follower.forming[-1].open_ns == BARS[1].open_ns
        await follower.stop()

    play(tmp_path, scene)


def test_a_mark_that_comes_after_a_newer_bar_still_counts(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow()
        await pass_time(w.clock, 60)
        venue.say(unfinished(BARS[1], 0.01), BARS[0])
        await pass_time(w.clock, 1)
        assert follower.closed == [BARS[0]]
        assert venue.asked == []
        await follower.stop()

    play(tmp_path, scene)


def test_a_guess_by_the_clock_is_not_the_venues_word(tmp_path: Path) -> None:
    """A frame sent before the end and read after it: whoever marks by the clock marks a stale close."""

    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow()
        await pass_time(w.clock, 60)
        venue.say(replace(unfinished(BARS[0], 0.99), closed=True))
        await pass_time(w.clock, 3)
        assert follower.closed == [BARS[0]] == w.stored()
        assert len(venue.asked) == 1
        await follower.stop()

    play(tmp_path, scene, marks=False)


def test_late_and_repeated_frames_of_a_bar_that_was_told_change_nothing(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow()
        await pass_time(w.clock, 60)
        venue.say(BARS[0], BARS[0], unfinished(BARS[0], 0.5), replace(unfinished(BARS[0], 0.7), closed=True))
        await pass_time(w.clock, 20)
        assert follower.closed == [BARS[0]] == w.stored()
        await follower.stop()

    play(tmp_path, scene)


def test_a_close_after_a_hole_waits_until_rest_has_filled_it(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow()
        down = [True]

        def fail() -> None:
            if down[0]:
                raise ConnectivityError("503.")

        venue.before_fetch = fail
        await pass_time(w.clock, 3 * 60)
        venue.say(BARS[2])
        await pass_time(w.clock, 10)
        assert follower.closed == [] == w.stored(), "neither told nor stored before the two that are missing"
        down[0] = False
        await pass_time(w.clock, 60)
        assert follower.closed[:3] == BARS[:3] == w.stored()[:3]
        await follower.stop()

    play(tmp_path, scene)


def test_bars_that_rest_is_late_with_are_waited_for(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow()
        await pass_time(w.clock, 50)
        venue.say(unfinished(BARS[0], 0.8))
        await pass_time(w.clock, 20)
        venue.say(unfinished(BARS[1], 0.1))
        await pass_time(w.clock, 10)
        assert follower.closed == [], "REST still shows it forming"
        venue.say(unfinished(BARS[1], 0.5))
        await pass_time(w.clock, 40)
        assert follower.closed == [BARS[0]]
        await follower.stop()

    play(tmp_path, scene, rest_lag_s=25)


def test_a_bar_from_the_future_is_dropped(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow(forming=True)
        await pass_time(w.clock, 30)
        venue.say(replace(BARS[20], closed=True), unfinished(BARS[20], 0.5))
        await pass_time(w.clock, 10)
        assert follower.events == []
        assert w.stored() == []
        venue.say(unfinished(BARS[0], 0.8))
        await pass_time(w.clock, 1)
        assert follower.forming == [unfinished(BARS[0], 0.8)], "and it hides no other"
        await follower.stop()

    play(tmp_path, scene)


def test_rest_that_is_down_for_long_is_an_alarm_and_its_end_is_told(tmp_path: Path) -> None:
    async def scene(w: World, venue: Telling) -> None:
        follower = await w.follow()
        down = [True]

        def fail() -> None:
            if down[0]:
                raise ConnectivityError("503.")

        venue.before_fetch = fail
        for second in range(0, 240, 10):
            index, share = divmod(second, 60)
            venue.say(unfinished(BARS[index], share / 60))  # alive, but its closes are lost
            await pass_time(w.clock, 10)
        (stale,) = w.alarms_of(FeedStale)
        assert isinstance(stale, FeedStale)
        assert "cannot be fetched (scripted BTC/USDT 1m: 503." in stale.says
        down[0] = False
        venue.say(unfinished(BARS[4], 0.1))
        await pass_time(w.clock, 61)
        assert follower.closed[:4] == BARS[:4]
        assert len(w.alarms_of(FeedResumed)) >= 1
        await follower.stop()

    play(tmp_path, scene)


@pytest.mark.parametrize("skew_s", [-600.0, -1.0, 1.0, 600.0])
@pytest.mark.parametrize("marks", [True, False])
def test_our_clock_may_be_wrong_by_ten_minutes(tmp_path: Path, skew_s: float, marks: bool) -> None:
    async def scenario() -> None:
        clock = ManualClock(START_NS + int((30 - skew_s) * NS_PER_S))
        async with world_of(tmp_path, ScriptedProvider(clock, BARS, skew_s=skew_s, marks=marks)) as w:
            follower = await w.follow()
            await pass_time(clock, 10 * 60)
            assert follower.closed == BARS[:10] == w.stored()
            assert w.alarms == []
            await follower.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("step_s", [-600.0, -5.0, 5.0, 600.0])
@pytest.mark.parametrize("marks", [True, False])
def test_our_clock_may_be_set_while_we_follow(tmp_path: Path, step_s: float, marks: bool) -> None:
    async def scenario() -> None:
        clock = ManualClock(START_NS + 30 * NS_PER_S)
        provider = ScriptedProvider(clock, BARS, marks=marks)
        async with world_of(tmp_path, provider) as w:
            follower = await w.follow()
            await pass_time(clock, 5 * 60)
            _set(clock, step_s)
            provider.skew_ns -= int(step_s * NS_PER_S)  # the venue's did not move
            await pass_time(clock, 10 * 60)
            assert follower.closed == BARS[:15] == w.stored()
            await follower.stop()

    asyncio.run(scenario())


def test_silence_is_noticed_even_when_our_clock_was_set_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = ManualClock(START_NS + 30 * NS_PER_S)
        provider = ScriptedProvider(clock, BARS, script=["ok"] * 6 + ["stall"])
        async with world_of(tmp_path, provider) as w:
            follower = await w.follow()
            await pass_time(clock, 75)  # the stall has begun
            _set(clock, -600.0)
            provider.skew_ns += 600 * NS_PER_S
            await pass_time(clock, 70)
            assert provider.opened == 2
            assert len(w.alarms_of(FeedStale)) == 1
            await follower.stop()

    asyncio.run(scenario())


def _set(clock: ManualClock, step_s: float) -> None:
    """Set the clock as an administrator does: sleepers go on by the time that has really passed."""
    step = int(step_s * NS_PER_S)
    clock._now_ns += step
    clock._sleepers = [(due + step, order, woken) for due, order, woken in clock._sleepers]


def test_days_of_a_broker_come_once_each_through_summer_time(tmp_path: Path) -> None:
    hour, day = 3600 * NS_PER_S, 86400 * NS_PER_S
    opens = [1_711_576_800_000_000_000]  # 2024-03-27 22:00 UTC, midnight in Athens
    for number in range(7):
        opens.append(opens[-1] + day - (hour if number == 3 else 0))  # 31 March has 23 hours
    bars = [Candle(t, 1.0, 2.0, 0.5, 1.5, float(n + 1), True) for n, t in enumerate(opens)]

    async def scenario() -> None:
        clock = ManualClock(opens[0] + hour // 2)
        provider = ScriptedProvider(clock, bars, Timeframe.D1, frame_every_s=900, marks=False)
        provider.closes_ns = lambda bar: opens[opens.index(bar.open_ns) + 1] if bar is not bars[-1] else 2**62  # type: ignore[method-assign]
        rhythm = Rhythm(expected_interval_s=1800, poll_s=1800)
        async with world_of(tmp_path, provider, bar_rhythm=lambda _: rhythm) as w:
            follower = await w.follow()
            await pass_time(clock, 6.2 * 86400, step_s=900)
            assert follower.closed == bars[:6]
            await follower.stop()

    asyncio.run(scenario())
