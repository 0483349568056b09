"""Tell the time and wait for it, so that a test or a rehearsal may tell another."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol

from tradelab.model.units import NS_PER_S


class Clock(Protocol):
    """Where a part of the house gets its time from; nothing that trades asks the operating system itself."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of this clock; at once for zero or less."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC, as this machine believes."""
        return time.time_ns()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(max(0.0, seconds))


def speed_of(clock: Clock) -> float:
    """Return how many of its seconds a clock lets pass in one on the wall; 1 of one that says nothing of it.

    A rehearsal may run at sixty times the speed: what a bound in seconds allows for, the way of an answer and the
    coarseness of a machine, lasts sixty times as long by its clock.

    >>> speed_of(SystemClock())
    1.0
    """
    return float(getattr(clock, "speed", 1.0))


def elapsed_ns(clock: Clock) -> int:
    """Return a reading of a clock from which what has passed can be told: it is never set.

    The machine's own clock may be set at any moment, by a person or by its time service; how long ago something was is
    told by one that only counts, where the system has it through the machine's sleep too.

    >>> elapsed_ns(ManualClock(7))
    7
    """
    if not isinstance(clock, SystemClock):
        return clock.now_ns()
    return time.clock_gettime_ns(_COUNTER) if _COUNTER is not None else time.monotonic_ns()


_COUNTER: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class ScaledClock:
    """A clock that began at ``start_ns`` and runs ``speed`` times as fast as the machine's.

    >>> stands_still = ScaledClock(5, speed=0.0)
    >>> stands_still.now_ns()
    5
    """

    def __init__(self, start_ns: int, speed: float) -> None:
        self.start_ns = start_ns
        self.speed = speed
        self._began_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC, on this clock."""
        return self.start_ns + int((time.monotonic_ns() - self._began_ns) * self.speed)

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of this clock, so ``seconds / speed`` of the machine's.

        Raises
        ------
        RuntimeError
            On a clock that stands still: nobody would ever wake up.
        """
        if self.speed <= 0:
            raise RuntimeError("a clock that stands still cannot be waited for; use ManualClock and advance it")
        await asyncio.sleep(max(0.0, seconds) / self.speed)


class ManualClock:
    """A clock that moves when it is told to; sleepers wake in the order of their time.

    >>> clock = ManualClock(100)
    >>> asyncio.run(clock.advance(2.0))
    >>> clock.now_ns()
    2000000100
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_ns(self) -> int:
        """Return where the hands stand."""
        return self._now_ns

    async def sleep(self, seconds: float) -> None:
        """Wait until somebody has advanced the clock by ``seconds``."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_ns + int(seconds * NS_PER_S), next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Move the hands on, stopping at each sleeper's time so that it wakes at that time."""
        until = self._now_ns + int(seconds * NS_PER_S)
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, woken = heapq.heappop(self._sleepers)
            self._now_ns = max(self._now_ns, due)
            if not woken.done():
                woken.set_result(None)
            await _settle()
        self._now_ns = max(self._now_ns, until)
        await _settle()


async def _settle() -> None:
    """Let every task that can run now run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)
