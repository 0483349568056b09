"""Spend a venue's request budget by urgency, and ask nothing of a venue that has banned us."""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from tradelab.model.clock import Clock
from tradelab.model.errors import ConnectivityError
from tradelab.model.units import NS_PER_S


class Urgency(enum.IntEnum):
    """What goes first when not everything can go: the smaller, the more urgent."""

    PROTECT = 0  # cancels and stops
    EXIT = 1
    ENTRY = 2
    ACCOUNT = 3  # reading orders, fills, balances
    DATA = 4


# Fraction of a window that each urgency may fill; what is left is kept for what is more urgent.
_SHARE = {Urgency.PROTECT: 1.0, Urgency.EXIT: 0.95, Urgency.ENTRY: 0.9, Urgency.ACCOUNT: 0.85, Urgency.DATA: 0.7}
_LONGEST_WAIT_S = {Urgency.PROTECT: 10.0, Urgency.EXIT: 10.0, Urgency.ENTRY: 5.0}
_URGENCY: ContextVar[Urgency] = ContextVar("urgency", default=Urgency.DATA)


class BudgetError(ConnectivityError):
    """Nothing was sent: the venue has banned us, or the budget has no room in time."""

    banned = False


@contextmanager
def urgency(level: Urgency) -> Iterator[None]:
    """Let every request of this block have an urgency; requests of tasks started in it too."""
    token = _URGENCY.set(level)
    try:
        yield
    finally:
        _URGENCY.reset(token)


@dataclass(slots=True)
class _Waiting:
    cost: float
    level: Urgency
    granted: asyncio.Future[None]


class Budget:
    """So much in any stretch of ``window_s`` seconds, handed out by urgency, first come first served within one.

    A venue that counts by the clock's minutes never sees more than the limit in any of them, because no stretch of that
    length has more.

    Parameters
    ----------
    capacity
        What may be spent in a window, in the unit of the costs.
    window_s
        Length of the window, seconds of ``clock``.
    """

    def __init__(self, clock: Clock, capacity: float, window_s: float) -> None:
        self.capacity = capacity
        self.window_s = window_s
        self._clock = clock
        self._spent: deque[tuple[int, float]] = deque()
        self._queue: list[tuple[int, int, _Waiting]] = []
        self._order = itertools.count()
        self._closed_until_ns = 0
        self._banned = False
        self._pump: asyncio.Task[None] | None = None

    @property
    def closed_for_s(self) -> float:
        """How long the venue wants to hear nothing more; zero when it does not mind."""
        return max(0.0, (self._closed_until_ns - self._clock.now_ns()) / NS_PER_S)

    def used(self) -> float:
        """Return what has been spent in the window that ends now."""
        oldest = self._clock.now_ns() - int(self.window_s * NS_PER_S)
        while self._spent and self._spent[0][0] <= oldest:
            self._spent.popleft()
        return sum(cost for _, cost in self._spent)

    async def spend(self, cost: float) -> None:
        """Return when a request of this cost may be sent; it is counted as sent then.

        Raises
        ------
        BudgetError
            The venue has closed its door, or an order would wait too long; nothing is to be sent.
        """
        self._refuse_if_closed()
        level = _URGENCY.get()
        if self._fits(cost, level) and not self._must_queue(level):
            self._charge(cost)
            return
        waiting = _Waiting(cost, level, asyncio.get_running_loop().create_future())
        heapq.heappush(self._queue, (level, next(self._order), waiting))
        self._pump = self._pump if self._pump and not self._pump.done() else asyncio.create_task(self._grant())
        await self._wait(waiting)

    def close_for(self, seconds: float, *, banned: bool) -> None:
        """Send nothing for so long: the venue said so."""
        self._closed_until_ns = max(self._closed_until_ns, self._clock.now_ns() + int(seconds * NS_PER_S))
        self._banned = banned
        while self._queue:
            waiting = heapq.heappop(self._queue)[2]
            if not waiting.granted.done():
                waiting.granted.set_exception(self._closed())

    def learn_used(self, used: float) -> None:
        """Take over what the venue has counted, where it is more than we know of: others share our address."""
        unknown = used - self.used()
        if unknown > 0:
            self._charge(unknown)

    async def _wait(self, waiting: _Waiting) -> None:
        longest = _LONGEST_WAIT_S.get(waiting.level)
        if longest is None:
            await waiting.granted
            return
        timer = asyncio.ensure_future(self._clock.sleep(longest))
        try:
            await asyncio.wait({waiting.granted, timer}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.granted.done():
                waiting.granted.cancel()
                raise BudgetError(
                    f"no room in the request budget within {longest:g} s; nothing was sent.",
                    fix="Ask for less data at once, or try again in a moment.",
                )
            await waiting.granted
        finally:
            timer.cancel()

    async def _grant(self) -> None:
        """Hand out what there is, most urgent first; what is waited for is the next moment that something is free."""
        while self._queue:
            _, _, waiting = self._queue[0]
            if waiting.granted.done():
                heapq.heappop(self._queue)
            elif self._fits(waiting.cost, waiting.level):
                heapq.heappop(self._queue)
                self._charge(waiting.cost)
                waiting.granted.set_result(None)
            else:
                await self._clock.sleep(self._next_free_s())

    def _must_queue(self, level: Urgency) -> bool:
        """Whether somebody as urgent was here before."""
        return any(other <= level and not waiting.granted.done() for other, _, waiting in self._queue)

    def _fits(self, cost: float, level: Urgency) -> bool:
        room = self.capacity * _SHARE[level] - self.used()
        return cost <= room or not self._spent  # a large one goes alone

    def _charge(self, cost: float) -> None:
        """Count a cost as spent; one that is more than a window holds keeps as many windows closed as it fills."""
        longer_s = max(0.0, cost / self.capacity - 1.0) * self.window_s
        self._spent.append((self._clock.now_ns() + int(longer_s * NS_PER_S), cost))

    def _next_free_s(self) -> float:
        if not self._spent:
            return self.window_s
        return max(0.001, (self._spent[0][0] - self._clock.now_ns()) / NS_PER_S + self.window_s)

    def _refuse_if_closed(self) -> None:
        if self.closed_for_s > 0:
            raise self._closed()

    def _closed(self) -> BudgetError:
        why = "has banned this address" if self._banned else "wants no requests"
        error = BudgetError(
            f"the venue {why} for {self.closed_for_s:.0f} s more; nothing was sent.",
            fix="Wait; whoever asks inside a ban is banned for longer.",
        )
        error.banned = self._banned
        error.retry_after_s = self.closed_for_s
        return error
