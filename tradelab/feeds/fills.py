"""Follow an account's fills by stream and by REST together: none missed, none given out twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tradelab.feeds.alarm import Alarm
from tradelab.feeds.asking import Asker
from tradelab.feeds.fill_book import FillBook, FillCursor
from tradelab.feeds.pump import Pump
from tradelab.feeds.rhythm import Rhythm
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.capabilities import Stream
from tradelab.model.clock import Clock, SystemClock
from tradelab.model.errors import ConnectivityError, ParameterError
from tradelab.model.feed_events import FeedAlarm
from tradelab.model.line import Line
from tradelab.model.orders import Fill
from tradelab.model.ports import ExecutionVenue
from tradelab.model.units import NS_PER_S

FILLS = "fills"  # stands for the symbol in alarms: the stream is the whole account's
_CLOCK_AGE_S = 5.0  # how far a look goes back is told by the venue's time, which may have been set
_HOLD_S = 2.0
_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FillRhythm:
    """How often the venue is asked for fills, and how far back.

    Parameters
    ----------
    look_s
        Between two looks by REST, stream or no stream: silence proves nothing where there may be nothing to say.
    margin_s
        How late a venue may list a fill, by the fill's own time; each look goes so far behind the one before.
    remember_s
        How long ids are remembered beyond that, so that a frame which comes hours late is known.
    """

    look_s: float = 30.0
    margin_s: float = 60.0
    remember_s: float = 86_400.0

    def __post_init__(self) -> None:
        for name in ("look_s", "margin_s", "remember_s"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name}={getattr(self, name)!r} must be above zero.")


class FillFeed:
    """The fills of one account, each exactly once, for one reader: an async iterator of :class:`Fill`.

    The stream tells of fills at once; REST is asked at the start, after every reconnection, again five seconds later
    (a subscription may have begun just after a fill that the answer did not have yet), and every ``look_s`` as a safety
    net. What both say is merged by symbol and trade id. Fills that come together come in the order of their time; after
    a reconnection those that were missed come before new ones, unless REST takes longer than two seconds: to know late
    is better than to wait. A fill that comes late is given out late, and once.

    Parameters
    ----------
    cursor
        Where to begin: ``FillCursor(since_ns)``, or the cursor that was kept with the last booking.
    on_alarm
        Told (with ``"fills"`` for the symbol) when neither the stream nor REST can be had, and when they can again; it
        must not raise.
    asker
        That of the feeds of the same venue, if there are any, so that a ban is kept by all.

    Examples
    --------
    Keep :attr:`cursor` in one transaction with the booking: then a crash loses nothing and repeats nothing.

    >>> async def book(venue, ledger):
    ...     async with FillFeed(venue, ledger.cursor()) as fills:
    ...         async for fill in fills:
    ...             ledger.book(fill, fills.cursor)
    """

    def __init__(
        self,
        venue: ExecutionVenue,
        cursor: FillCursor,
        *,
        rhythm: FillRhythm | None = None,
        on_alarm: Callable[[FeedAlarm], None] | None = None,
        asker: Asker | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        clock = clock or SystemClock()
        rhythm = rhythm or FillRhythm()
        asker = asker or Asker(clock, chance or random.Random())
        alarm = Alarm(venue.name, FILLS, None, clock, on_alarm or (lambda _: None))
        self._book = FillBook(cursor, remember_ns=int(rhythm.remember_s * NS_PER_S))
        self._news = asyncio.Event()
        self._desk = _FillDesk(venue, self._book, self._news, rhythm, asker, clock, alarm)
        self._pump: Pump[Fill] = Pump(
            venue.watch_fills if Stream.FILLS in venue.capabilities.streams else None,
            self._desk,
            provider=venue,
            asker=asker,
            clock=clock,
            rhythm=Rhythm(expected_interval_s=15.0, poll_s=rhythm.look_s, may_be_silent=True),
            alarm=alarm,
            what="the account's fills",
        )
        self._desk.knock = self._pump.knock
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> FillFeed:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; no task and no socket is left."""
        assert self._task is not None, "entered before"
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def cursor(self) -> FillCursor:
        """How far fills have been given out, the last one included."""
        return self._book.cursor()

    def line(self, of: str) -> Line:
        """Return how the stream stands."""
        return self._pump.line(FILLS, of)

    def __aiter__(self) -> FillFeed:
        return self

    async def __anext__(self) -> Fill:
        """Return the next fill.

        Raises
        ------
        ConnectivityError, RequestError
            Going on is of no use: the venue was disconnected by its owner, or refuses.
        """
        while (fill := self._book.pop()) is None:
            if self._task is None or self._task.done():
                raise self._why_ended() or StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return fill

    def _why_ended(self) -> BaseException | None:
        return None if self._task is None or self._task.cancelled() else self._task.exception()

    async def _run(self) -> None:
        try:
            await self._pump.run()
        finally:
            await self._desk.close()
            self._news.set()


class _FillDesk:
    """The desk of the stream of fills: what came goes into the book, and REST is asked beside it."""

    def __init__(
        self,
        venue: ExecutionVenue,
        book: FillBook,
        news: asyncio.Event,
        rhythm: FillRhythm,
        asker: Asker,
        clock: Clock,
        alarm: Alarm,
    ) -> None:
        self.knock: Callable[[], None] = lambda: None
        self._venue = venue
        self._book = book
        self._news = news
        self._rhythm = rhythm
        self._asker = asker
        self._clock = clock
        self._alarm = alarm
        self._venue_clock = VenueClock(venue, clock, asker)
        self._look: asyncio.Task[bool] | None = None
        self._next_ns = self._looked_ns = clock.now_ns()
        self._has_reconnected = True  # since the last look began: what was missed is to come before what is new
        self._looks_again = True
        self._tries = 0

    async def take(self, fill: Fill) -> bool:
        """Take a fill of the stream; any is a sign of life."""
        self._keep([fill])
        return True

    def replaces(self, newer: Fill, older: Fill) -> bool:
        """Never: each fill counts."""
        return False

    def reconnected(self) -> None:
        """Look at once, and once more a little later."""
        self._next_ns = self._clock.now_ns()
        self._has_reconnected = self._looks_again = True

    def due_ns(self) -> int | None:
        """When to look; while a look is under way, not before it is done."""
        if self._look is not None:
            return self._clock.now_ns() if self._look.done() else None
        longest_ns = int(max(self._rhythm.look_s, _AGAIN_S) * NS_PER_S)
        self._next_ns = min(self._next_ns, self._clock.now_ns() + longest_ns)  # should our clock have been set back
        return max(self._next_ns, self._asker.banned_until_ns)

    async def settle(self) -> None:
        """Begin a look, or end one; wait for it a little where the order counts."""
        if self._look is None:
            wants_order, self._has_reconnected = self._has_reconnected, False
            self._look = asyncio.create_task(self._ask())
            self._look.add_done_callback(lambda _: self.knock())
            if wants_order:
                await self._hold(self._look)
        if self._look.done():
            look, self._look = self._look, None
            self._plan(answered=look.result())

    async def poll(self) -> bool:
        """Return whether the venue has answered a look lately: the looks are made anyway."""
        return self._clock.now_ns() - self._looked_ns < int(2 * self._rhythm.look_s * NS_PER_S)

    async def close(self) -> None:
        """End the look that is under way."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.gather(self._look, return_exceptions=True)

    async def _ask(self) -> bool:
        """Book what the venue lists; return whether it answered."""
        try:
            await self._venue_clock.measure(_CLOCK_AGE_S, attempts=1)
            surely_ns = self._venue_clock.at_least_ns() - int(self._rhythm.margin_s * NS_PER_S)
            since_ns = min(self._book.since_ns, surely_ns)  # a clock that was set back takes the window with it
            fills = await self._asker.ask(lambda: self._venue.fills(since_ns), attempts=1)
        except ConnectivityError as error:
            silent_ns = self._clock.now_ns() - self._looked_ns
            if silent_ns >= int(2 * self._rhythm.look_s * NS_PER_S):
                self._alarm.stale("rest", silent_ns / NS_PER_S, f"fills cannot be asked for ({error.problem})")
            return False
        self._keep(fills)
        self._book.listed_until(surely_ns)
        self._looked_ns = self._clock.now_ns()
        self._alarm.clear("rest")
        return True

    def _plan(self, *, answered: bool) -> None:
        """Say when to look next."""
        self._tries = 0 if answered else self._tries + 1
        if not answered:
            pause_s = max(0.1, min(self._asker.jitter_s(self._tries), self._rhythm.look_s))
        elif self._has_reconnected:
            pause_s = 0.0
        elif self._looks_again:
            pause_s, self._looks_again = _AGAIN_S, False
        else:
            pause_s = self._rhythm.look_s
        self._next_ns = self._clock.now_ns() + int(pause_s * NS_PER_S)

    async def _hold(self, look: asyncio.Task[bool]) -> None:
        """Wait for a look, but not for long."""
        timer = asyncio.ensure_future(self._clock.sleep(_HOLD_S))
        try:
            await asyncio.wait({look, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            await asyncio.gather(timer, return_exceptions=True)

    def _keep(self, fills: Sequence[Fill]) -> None:
        if self._book.take(fills):
            self._news.set()
