"""Fills by stream and by REST together: what is missed is found, what comes twice is known."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.feeds.scripted import pass_time
from tradelab.feeds.fill_book import FillCursor
from tradelab.feeds.fills import FILLS, FillFeed, FillRhythm
from tradelab.model.capabilities import Stream
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError, ParameterError, RequestError
from tradelab.model.feed_events import FeedAlarm, FeedPolling, FeedResumed, FeedStale
from tradelab.model.orders import Fill, Liquidity, Side
from tradelab.model.units import NS_PER_S

START_NS = 1_704_153_600_000_000_000
BROKEN = ConnectivityError("the socket broke.")


class Venue:
    """An account that trades; its stream and its REST fail when they are told to."""

    name = "made-up"

    def __init__(self, clock: ManualClock, *, streams: bool = True) -> None:
        self.clock = clock
        self.is_connected = True
        self.capabilities = SimpleNamespace(streams=frozenset({Stream.FILLS}) if streams else frozenset())
        self.made: list[Fill] = []
        self.asked: list[int] = []  # since when
        self.rest_fails: Exception | None = None
        self.rest_waits: Callable[[], Awaitable[None]] | None = None
        self.lists_after_s = 0.0
        self.skew_ns = 0
        self.when_opened: Callable[[], object] = lambda: None
        self.opened = 0
        self._socket: asyncio.Queue[Fill | Exception] | None = None

    @property
    def time_ns(self) -> int:
        return self.clock.now_ns() + self.skew_ns

    def trade(self, number: int, *, pushed: bool = True) -> Fill:
        """Make a fill now, and push it, unless the frame is lost."""
        fill = Fill(
            trade_id=str(number), symbol="A/B", venue_order_id="o", client_order_id=None, side=Side.BUY, qty=Decimal(1),
            price=Decimal(1), fee=None, fee_currency=None, liquidity=Liquidity.TAKER, ts_ns=self.time_ns,
        )  # fmt: skip
        self.made.append(fill)
        if pushed:
            self.push(fill)
        return fill

    def push(self, said: Fill | Exception) -> None:
        if self._socket is not None:
            self._socket.put_nowait(said)

    async def now_ns(self) -> int:
        if self.rest_fails is not None:
            raise self.rest_fails
        return self.time_ns

    async def fills(self, since_ns: int, symbol: str | None = None) -> Sequence[Fill]:
        self.asked.append(since_ns)
        if self.rest_waits is not None:
            await self.rest_waits()
        if self.rest_fails is not None:
            raise self.rest_fails
        shown_ns = self.time_ns - int(self.lists_after_s * NS_PER_S)
        return [f for f in self.made if since_ns <= f.ts_ns <= shown_ns]

    async def watch_fills(self) -> AsyncIterator[Fill]:
        self.opened += 1
        socket = self._socket = asyncio.Queue()
        self.when_opened()
        try:
            while True:
                said = await socket.get()
                if isinstance(said, Exception):
                    raise said
                yield said
        finally:
            if self._socket is socket:
                self._socket = None


class Desk:
    """A venue, a feed of its fills, and a reader that books them."""

    def __init__(self, venue: Venue, feed: FillFeed, alarms: list[FeedAlarm]) -> None:
        self.venue, self.feed, self.alarms = venue, feed, alarms
        self.booked: list[Fill] = []
        self.error: BaseException | None = None

    @property
    def numbers(self) -> list[int]:
        return [int(f.trade_id) for f in self.booked]

    async def read(self) -> None:
        try:
            async for fill in self.feed:
                self.booked.append(fill)
        except (ConnectivityError, RequestError) as error:
            self.error = error

    async def pass_time(self, seconds: float) -> None:
        await pass_time(self.venue.clock, seconds, step_s=0.5)


def play(
    act: Callable[[Desk], Awaitable[Any]], *, cursor: FillCursor | None = None, venue: Venue | None = None, **how: Any
) -> Desk:
    """Run a feed until ``act`` is done; nothing of it may be left."""

    async def run() -> Desk:
        at = venue or Venue(ManualClock(START_NS))
        alarms: list[FeedAlarm] = []
        feed = FillFeed(
            at,  # type: ignore[arg-type]
            cursor or FillCursor(START_NS),
            clock=at.clock, chance=random.Random(2), on_alarm=alarms.append, **how,
        )  # fmt: skip
        desk = Desk(at, feed, alarms)
        async with feed:
            reader = asyncio.create_task(desk.read())
            await desk.pass_time(1)
            await act(desk)
        await reader
        assert len(asyncio.all_tasks()) == 1, "nothing is left running"
        return desk

    return asyncio.run(run())


def test_a_fill_is_told_as_soon_as_it_is_pushed() -> None:
    async def act(on: Desk) -> None:
        on.venue.trade(1)
        await on.pass_time(0.5)
        assert on.numbers == [1]

    assert play(act).numbers == [1], "and REST, which lists it too, adds nothing"


def test_what_was_missed_while_disconnected_comes_before_what_is_new() -> None:
    async def act(on: Desk) -> None:
        on.venue.push(BROKEN)
        await on.pass_time(0)
        on.venue.trade(1)
        on.venue.trade(2)
        on.venue.when_opened = lambda: on.venue.trade(3)

        async def slow() -> None:
            await on.venue.clock.sleep(1.5)

        on.venue.rest_waits = slow
        await on.pass_time(5)

    assert play(act).numbers == [1, 2, 3]


def test_a_lost_frame_is_found_by_the_next_look() -> None:
    async def act(on: Desk) -> None:
        await on.pass_time(10)
        on.venue.trade(1, pushed=False)
        await on.pass_time(30)

    assert play(act).numbers == [1]


def test_a_fill_between_the_answer_and_the_subscription_is_found_five_seconds_later() -> None:
    async def act(on: Desk) -> None:
        on.venue.trade(1, pushed=False)
        await on.pass_time(6)
        assert on.numbers == [1]

    play(act)


def test_a_fill_that_the_venue_lists_late_is_found_within_the_margin() -> None:
    async def act(on: Desk) -> None:
        on.venue.lists_after_s = 50
        on.venue.trade(1, pushed=False)
        await on.pass_time(90)

    assert play(act).numbers == [1]


def test_a_frame_that_comes_hours_late_is_known() -> None:
    async def act(on: Desk) -> None:
        fill = on.venue.trade(1)
        await on.pass_time(3 * 3600)
        on.venue.push(fill)
        await on.pass_time(1)

    assert play(act, rhythm=FillRhythm(look_s=600)).numbers == [1]


def test_silence_is_no_trouble() -> None:
    async def act(on: Desk) -> None:
        await on.pass_time(3600)

    on = play(act, rhythm=FillRhythm(look_s=60))
    assert on.venue.opened == 1
    assert on.alarms == []
    assert 60 <= len(on.venue.asked) <= 65


def test_a_connection_that_lasted_counts_as_good_so_that_the_next_wait_is_short() -> None:
    async def act(on: Desk) -> None:
        for _ in range(30):
            on.venue.push(BROKEN)
            await on.pass_time(45)

    on = play(act)
    assert on.venue.opened == 31
    assert not [a for a in on.alarms if isinstance(a, FeedPolling)]


def test_a_hanging_look_holds_up_no_frame_for_long() -> None:
    async def act(on: Desk) -> None:
        async def hang() -> None:
            await on.venue.clock.sleep(600)

        on.venue.rest_waits = hang
        on.venue.push(BROKEN)
        await on.pass_time(2)
        on.venue.trade(1)
        await on.pass_time(2.5)
        assert on.numbers == [1], "after a reconnection it waits two seconds for order"
        on.venue.trade(2)
        await on.pass_time(0.5)
        assert on.numbers == [1, 2]

    play(act)


def test_while_rest_fails_the_stream_still_tells_and_the_alarm_is_raised_once() -> None:
    async def act(on: Desk) -> None:
        on.venue.rest_fails = ConnectivityError("502 Bad Gateway.")
        await on.pass_time(120)
        on.venue.trade(1)
        await on.pass_time(1)
        assert on.numbers == [1]
        assert [type(a) for a in on.alarms] == [FeedStale]
        on.venue.rest_fails = None
        await on.pass_time(60)

    on = play(act)
    assert [type(a) for a in on.alarms] == [FeedStale, FeedResumed]
    assert {a.symbol for a in on.alarms} == {FILLS}
    assert on.numbers == [1]


def test_a_venue_without_a_stream_of_fills_is_asked() -> None:
    async def act(on: Desk) -> None:
        for n in range(5):
            on.venue.trade(n)
            await on.pass_time(31)

    on = play(act, venue=Venue(ManualClock(START_NS), streams=False))
    assert (on.numbers, on.venue.opened, on.alarms) == ([0, 1, 2, 3, 4], 0, [])


def test_a_crash_repeats_nothing_that_was_booked_and_loses_nothing_that_was_not() -> None:
    venue = Venue(ManualClock(START_NS))

    async def before(on: Desk) -> None:
        on.venue.trade(1)
        await on.pass_time(100)
        on.venue.trade(2)
        await on.pass_time(1)

    first = play(before, venue=venue)
    kept = first.feed.cursor
    assert kept.since_ns > START_NS, "not everything is asked for again"
    venue.trade(3)

    async def after(on: Desk) -> None:
        on.venue.trade(4)
        await on.pass_time(100)

    assert first.numbers == [1, 2]
    assert play(after, venue=venue, cursor=kept).numbers == [3, 4]


def test_each_look_asks_from_the_last_one_less_the_margin() -> None:
    async def act(on: Desk) -> None:
        await on.pass_time(600)
        assert (on.venue.clock.now_ns() - on.venue.asked[-1]) / NS_PER_S < 60 + 2 * 30 + 1

    play(act)


def test_a_clock_of_the_venue_that_is_set_back_hides_nothing() -> None:
    async def act(on: Desk) -> None:
        await on.pass_time(300)
        on.venue.skew_ns = -200 * NS_PER_S
        on.venue.trade(1, pushed=False)
        await on.pass_time(100)

    assert play(act).numbers == [1]


def test_a_refusal_ends_the_feed_with_the_venues_words() -> None:
    async def act(on: Desk) -> None:
        on.venue.rest_fails = RequestError("this key may not read trades.")
        await on.pass_time(60)

    assert "may not read trades" in str(play(act).error)


def test_disconnecting_the_venue_ends_the_feed_with_words() -> None:
    async def act(on: Desk) -> None:
        on.venue.is_connected = False
        on.venue.push(BROKEN)
        await on.pass_time(1)

    assert "was disconnected while the account's fills was followed" in str(play(act).error)


@pytest.mark.parametrize("name", ["look_s", "margin_s", "remember_s"])
def test_a_rhythm_needs_times_above_zero(name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name}=0 must be above zero"):
        FillRhythm(**{name: 0})
