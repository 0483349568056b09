"""Keep one stream running: watch the age of its data, connect again, poll by REST while it cannot be had."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from tradelab.feeds.alarm import Alarm
from tradelab.feeds.asking import Asker, Patience
from tradelab.feeds.rhythm import Rhythm
from tradelab.feeds.waking import Waker
from tradelab.model.clock import Clock
from tradelab.model.errors import ConnectivityError
from tradelab.model.line import Line
from tradelab.model.ports import Connected
from tradelab.model.units import NS_PER_S

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Desk(Protocol[T_contra]):
    """What is done with the data of one stream."""

    async def take(self, item: T_contra) -> bool:
        """Take what was pushed; return whether it is news, so that old frames over and over do not look like life."""
        ...

    def replaces(self, newer: T_contra, older: T_contra) -> bool:
        """Whether ``older`` need not be looked at any more once ``newer`` is there."""
        ...

    def due_ns(self) -> int | None:
        """When, by our clock, :meth:`settle` is to be called; ``None``: not needed."""
        ...

    async def settle(self) -> None:
        """Ask by REST for what is due; a venue that cannot be reached moves the next time on, and is not raised."""
        ...

    async def poll(self) -> bool:
        """Ask by REST for everything new; return whether something was."""
        ...

    def reconnected(self) -> None:
        """The stream was opened again: something may have been missed."""
        ...


class Pump(Generic[T]):
    """One task that reads one stream for its desk.

    Heartbeat is the age of the data, not an answered ping: a socket that is open and silent is as dead as a closed one.

    Parameters
    ----------
    watch
        Opens the stream; ``None`` where the provider has none: then it is polled from the start, without alarm.
    """

    def __init__(
        self,
        watch: Callable[[], AsyncIterator[T]] | None,
        desk: Desk[T],
        *,
        provider: Connected,
        asker: Asker,
        clock: Clock,
        rhythm: Rhythm,
        alarm: Alarm,
        what: str,
    ) -> None:
        self._watch = watch
        self._desk = desk
        self._provider = provider
        self._asker = asker
        self._clock = clock
        self._rhythm = rhythm
        self._alarm = alarm
        self._what = what
        self._patience = Patience(longest_pause_s=rhythm.longest_pause_s)
        self._waker = Waker(clock)
        self._reader: _Reader[T] | None = None
        self._failures = 0
        self._last_news_ns = self._last_heard_ns = self._reconnect_ns = clock.now_ns()  # news by any way; by the stream
        self._poll_ns: int | None = None if watch else clock.now_ns()
        self._heard_ns: int | None = None
        self._openings = 0
        self._last_trouble = "nothing came"

    @property
    def last_news_ns(self) -> int:
        """When, by our clock, new data came last; the start, if none has come yet."""
        return self._last_news_ns

    def line(self, what: str, of: str, symbol: str | None = None) -> Line:
        """Return how it stands."""
        return Line(
            what=what, of=of, symbol=symbol, connected=self._reader is not None, polled=self._poll_ns is not None,
            heard_ns=self._heard_ns, reconnects=max(0, self._openings - 1),
        )  # fmt: skip

    def knock(self) -> None:
        """Have the desk asked when it is due: that has changed."""
        self._waker.knock()

    async def run(self) -> None:
        """Run until cancelled.

        Raises
        ------
        ConnectivityError
            The provider was disconnected by its owner: nobody is left to ask.
        RequestError, StorageError
            The venue refuses, or the catalogue cannot be written to: trying again would not help.
        """
        try:
            while True:
                if (due := self._desk.due_ns()) is not None and due <= self._clock.now_ns():
                    await self._desk.settle()
                self._open_if_due()
                await self._read()
                self._mind_the_clock()
                await self._check_age()
                await self._poll_if_due()
                await self._waker.wait(self._next_ns())
        finally:
            await self._close_reader()
            await self._waker.close()

    # ── the stream ───────────────────────────────────────────────────────────────────────────────────────────────

    def _open_if_due(self) -> None:
        if self._watch is None or self._reader is not None or self._reconnect_ns > self._clock.now_ns():
            return
        self._require_connected()
        if self._asker.banned_until_ns > self._clock.now_ns():
            self._reconnect_ns = self._asker.banned_until_ns
            return
        self._reader = _Reader(self._watch, self._desk.replaces, self._waker.knock)
        self._openings += 1
        self._last_heard_ns = self._clock.now_ns()
        if self._poll_ns is None:  # else polling looks anyway
            self._desk.reconnected()

    async def _read(self) -> None:
        """Take all that came; when the stream has ended, arrange for the next."""
        reader = self._reader
        if reader is None:
            return
        while reader.inbox:
            if await self._desk.take(reader.inbox.pop(0)):
                self._have_news()
                self._heard_ns = self._last_news_ns
        if reader.task.done():
            await self._lose(reader.trouble())

    def _have_news(self) -> None:
        self._last_news_ns = self._last_heard_ns = self._clock.now_ns()
        self._failures = 0
        self._poll_ns = None
        self._alarm.clear("silent", "polling")

    async def _lose(self, trouble: ConnectivityError) -> None:
        """Drop the stream and say when to try again."""
        await self._close_reader()
        self._require_connected(trouble)
        self._asker.note(trouble)
        self._failures += 1
        self._last_trouble = trouble.problem
        now = self._clock.now_ns()
        pause_s = self._asker.jitter_s(self._failures, self._patience)
        self._reconnect_ns = max(now + int(pause_s * NS_PER_S), self._asker.banned_until_ns)
        if self._failures >= self._rhythm.reconnects and self._poll_ns is None:
            self._poll_ns = now
            self._alarm.polling(
                self._rhythm.poll_s, f"{self._failures} connections in a row brought nothing ({self._last_trouble})"
            )

    async def _check_age(self) -> None:
        """Raise the alarm when data are too old, and give a stream up that stays silent."""
        now = self._clock.now_ns()
        is_silent = self._reader is not None and now - self._last_heard_ns >= self._rhythm.stale_after_ns
        if is_silent and self._rhythm.may_be_silent:
            self._have_news()
        age = now - self._last_news_ns
        if age >= self._limit_ns():
            self._alarm.stale("silent", age / NS_PER_S, f"no new data for {age / NS_PER_S:.0f} s ({self._trouble()})")
        if is_silent and not self._rhythm.may_be_silent:
            await self._lose(ConnectivityError("the connection was open and silent"))

    def _limit_ns(self) -> int:
        """Return the age at which data are stale; polled data, and those of a feed that may be silent, are older."""
        polled_ns = 0 if self._poll_ns is None else int(2 * self._rhythm.poll_s * NS_PER_S)
        silent_ns = 2 * self._rhythm.stale_after_ns if self._rhythm.may_be_silent else 0
        return max(self._rhythm.stale_after_ns, polled_ns, silent_ns)

    def _trouble(self) -> str:
        if self._watch is None:
            return "asked by REST"
        return self._last_trouble if self._reader is None else "the connection is open and silent"

    async def _close_reader(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            await reader.close()

    def _require_connected(self, cause: ConnectivityError | None = None) -> None:
        if not self._provider.is_connected:
            raise ConnectivityError(
                f"{self._provider.name} was disconnected while {self._what} was followed.",
                fix="Connect it again, then subscribe anew.",
            ) from cause

    # ── REST and time ────────────────────────────────────────────────────────────────────────────────────────────

    async def _poll_if_due(self) -> None:
        if self._poll_ns is None or self._poll_ns > self._clock.now_ns():
            return
        self._require_connected()
        news = await self._desk.poll()
        now = self._clock.now_ns()
        if news:
            self._last_news_ns = self._heard_ns = now
            self._alarm.clear("silent")
        self._poll_ns = max(now + int(self._rhythm.poll_s * NS_PER_S), self._asker.banned_until_ns)

    def _next_ns(self) -> int | None:
        """Return the earliest time at which something is to be done without a knock."""
        times = [self._desk.due_ns(), self._poll_ns]
        if self._reader is not None:
            times.append(self._last_heard_ns + self._rhythm.stale_after_ns)
        elif self._watch is not None:
            times.append(self._reconnect_ns)
        if not self._alarm.is_up:
            times.append(self._last_news_ns + self._limit_ns())
        return min((t for t in times if t is not None), default=None)

    def _mind_the_clock(self) -> None:
        """When our clock was set back, let no deadline lie further off than it was meant to."""
        now = self._clock.now_ns()
        self._last_news_ns = min(self._last_news_ns, now)
        self._last_heard_ns = min(self._last_heard_ns, now)
        self._reconnect_ns = min(self._reconnect_ns, now + int(self._rhythm.longest_pause_s * NS_PER_S))
        if self._poll_ns is not None:
            self._poll_ns = min(self._poll_ns, now + int(self._rhythm.poll_s * NS_PER_S))


class _Reader(Generic[T]):
    """A task that moves what a stream yields into an inbox, and drops what newer items have replaced."""

    def __init__(
        self, watch: Callable[[], AsyncIterator[T]], replaces: Callable[[T, T], bool], knock: Callable[[], None]
    ) -> None:
        self.inbox: list[T] = []
        self._replaces = replaces
        self._knock = knock
        self.task = asyncio.create_task(self._run(watch))

    def trouble(self) -> ConnectivityError:
        """Return why a stream that is over is over; anything but the network's failure is raised."""
        error = None if self.task.cancelled() else self.task.exception()
        if error is None:
            return ConnectivityError("the stream ended without a word")
        if isinstance(error, ConnectivityError):
            return error
        raise error

    async def close(self) -> None:
        """Stop reading and close the stream."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _run(self, watch: Callable[[], AsyncIterator[T]]) -> None:
        stream = None
        try:
            stream = watch()
            async for item in stream:
                if self.inbox and self._replaces(item, self.inbox[-1]):
                    self.inbox.pop()
                self.inbox.append(item)
                self._knock()
        finally:
            self._knock()
            close = getattr(stream, "aclose", None)  # generators have it, other iterators need not
            if close is not None:
                with suppress(ConnectivityError):  # the socket is gone either way
                    await close()
