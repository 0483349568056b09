"""Spend a venue's request budget by urgency, and ask nothing of a venue that has banned us."""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from tradelab.adapters.spending import Spending
from tradelab.model.clock import Clock, elapsed_ns
from tradelab.model.errors import ConnectivityError
from tradelab.model.outcome import RefusalCode
from tradelab.model.units import NS_PER_S


class Urgency(enum.IntEnum):
    """What goes first when not everything can go: the smaller, the more urgent."""

    PROTECT = 0  # cancels and stops
    EXIT = 1
    ENTRY = 2
    ACCOUNT = 3  # reading orders, fills, balances
    DATA = 4


# Fraction of a window that may be full when each urgency goes; what is left is kept for what is more urgent.
_SHARE = {Urgency.PROTECT: 1.0, Urgency.EXIT: 0.9, Urgency.ENTRY: 0.85, Urgency.ACCOUNT: 0.8, Urgency.DATA: 0.7}
# Fraction, or one request, that each can have of a window while it waits, however much is asked for by what is more
# urgent. Protection alone may take all there is.
_FLOOR = {Urgency.PROTECT: 0.0, Urgency.EXIT: 0.1, Urgency.ENTRY: 0.05, Urgency.ACCOUNT: 0.1, Urgency.DATA: 0.1}
_LONGEST_WAIT_S = {Urgency.PROTECT: 10.0, Urgency.EXIT: 10.0, Urgency.ENTRY: 5.0}
_SHORTEST_SLICE_S = 1.0
_URGENCY: ContextVar[Urgency] = ContextVar("urgency", default=Urgency.DATA)


class BudgetError(ConnectivityError):
    """Nothing was sent: the venue has banned us, the budget has no room in time, or the order would come too late."""

    code = RefusalCode.RATE_LIMITED


@contextmanager
def urgency(level: Urgency) -> Iterator[None]:
    """Let every request of this block have an urgency, also of tasks started in it; a more urgent one around it stays.

    So what has to be asked before a stop can be placed or an order cancelled is as urgent as that.
    """
    token = _URGENCY.set(min(level, _URGENCY.get()))
    try:
        yield
    finally:
        _URGENCY.reset(token)


@dataclass(slots=True)
class _Waiting:
    cost: float
    granted: asyncio.Future[None]


class Budget:
    """So much in any stretch of ``window_s`` seconds, handed out by urgency, first come first served within one.

    A request counts from when it may leave until a window after its answer: it was somewhere in between that the venue
    counted it. So a venue that counts by the clock's minutes never sees more than the limit in any of them, however
    long requests are on their way.

    Parameters
    ----------
    capacity
        What may be spent in a window, in the unit of the costs.
    window_s
        Length of the window, seconds of ``clock``; a system clock that is set meanwhile changes nothing.
    burst
        Fraction of what an urgency may fill that goes at once; the rest is spread over the window, so that there is
        always something about to be free again. One spreads nothing. Protection is never spread.
    """

    def __init__(self, clock: Clock, capacity: float, window_s: float, *, burst: float = 1.0) -> None:
        self.capacity = capacity
        self.window_s = window_s
        self.burst = burst
        self._clock = clock
        self._slice_s = max(_SHORTEST_SLICE_S, window_s / 10)
        self._window, self._slice = Spending(window_s), Spending(self._slice_s)
        self._flying = dict.fromkeys(Urgency, 0.0)
        self._in_flight = 0
        self._queues: dict[Urgency, deque[_Waiting]] = {level: deque() for level in Urgency}
        self._closed_until_ns = 0
        self._banned = False
        self._pump: asyncio.Task[None] | None = None

    @property
    def closed_for_s(self) -> float:
        """How long the venue wants to hear nothing more; zero when it does not mind."""
        return max(0.0, (self._closed_until_ns - elapsed_ns(self._clock)) / NS_PER_S)

    @property
    def in_flight(self) -> int:
        """How many requests are on their way."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """How many requests wait for room."""
        return sum(not each.granted.done() for queue in self._queues.values() for each in queue)

    def used(self) -> float:
        """Return what has been spent in the window that ends now."""
        self._forget()
        return self._window.total + sum(self._flying.values())

    async def spend(self, cost: float) -> None:
        """Return when a request of this cost may be sent; it is counted as sent, and answered, then.

        Raises
        ------
        BudgetError
            The venue has closed its door, or an order would wait too long; nothing is to be sent.
        """
        async with self.spending(cost):
            return

    @asynccontextmanager
    async def spending(self, cost: float) -> AsyncIterator[None]:
        """Make a request of this cost within the block, which ends with its answer; one of no cost waits for nobody.

        Raises
        ------
        BudgetError
            As of :meth:`spend`.
        """
        level = _URGENCY.get()
        self.require_open()
        if cost and (self._must_queue(level) or not self._fits(cost, level)):
            await self._wait(cost, level)
        else:
            self._depart(cost, level)
        sent = False
        try:
            self.require_open()  # the door may have closed since this was let through it
            sent = True
            yield
        finally:
            self._arrive(cost, level, sent=sent)

    def close_for(self, seconds: float, *, banned: bool) -> None:
        """Send nothing for so long: the venue said so."""
        self._closed_until_ns = max(self._closed_until_ns, elapsed_ns(self._clock) + int(seconds * NS_PER_S))
        self._banned = banned
        for queue in self._queues.values():
            while queue:
                waiting = queue.popleft()
                if not waiting.granted.done():
                    waiting.granted.set_exception(self._closed())

    def require_open(self) -> None:
        """Raise BudgetError while the venue wants to hear nothing."""
        if self.closed_for_s > 0:
            raise self._closed()

    def learn_used(self, used: float) -> None:
        """Take over what the venue has counted, where it is more than we know of: others share our address."""
        unknown = used - self.used()
        if unknown > 0:
            self._window.add(elapsed_ns(self._clock), unknown, None)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _wait(self, cost: float, level: Urgency) -> None:
        waiting = _Waiting(cost, asyncio.get_running_loop().create_future())
        self._queues[level].append(waiting)
        self._pump = self._pump if self._pump and not self._pump.done() else asyncio.create_task(self._grant())
        longest = _LONGEST_WAIT_S.get(level)
        timer = None if longest is None else asyncio.ensure_future(self._clock.sleep(longest))
        try:
            await asyncio.wait({waiting.granted, timer} if timer else {waiting.granted}, return_when="FIRST_COMPLETED")
            _require_granted(waiting, longest)
        except BaseException:
            self._give_back(waiting, level)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _give_back(self, waiting: _Waiting, level: Urgency) -> None:
        """Leave the queue; what was granted to somebody who has given up meanwhile was not sent, and is not counted."""
        if not waiting.granted.cancel() and waiting.granted.exception() is None:
            self._arrive(waiting.cost, level, sent=False)

    async def _grant(self) -> None:
        """Hand out what there is, most urgent first; what is waited for is the next moment that something is free."""
        while any(self._queues.values()):
            if not self._grant_one():
                await self._clock.sleep(self._next_free_s())

    def _grant_one(self) -> bool:
        """Let the most urgent go that may; return whether one did."""
        for level, queue in self._queues.items():
            while queue and queue[0].granted.done():
                queue.popleft()
            if queue and self._fits(queue[0].cost, level):
                waiting = queue.popleft()
                self._depart(waiting.cost, level)
                waiting.granted.set_result(None)
                return True
        return not any(self._queues.values())

    def _must_queue(self, level: Urgency) -> bool:
        """Whether somebody as urgent was here before."""
        return any(self._head(other) is not None for other in Urgency if other <= level)

    def _head(self, level: Urgency) -> _Waiting | None:
        queue = self._queues[level]
        while queue and queue[0].granted.done():
            queue.popleft()
        return queue[0] if queue else None

    def _fits(self, cost: float, level: Urgency) -> bool:
        used = self.used()
        if not used:
            return True  # a large one goes alone
        if level is Urgency.PROTECT:
            return used + cost <= self.capacity
        if self._is_in_floor(cost, level, used):
            return True
        share = self.capacity * _SHARE[level]
        kept = sum(self._kept_for(other) for other in Urgency if other > level)
        is_burst = used + cost <= share * self.burst
        return used + cost + kept <= share and (is_burst or self._slice.total < share * self._slice_s / self.window_s)

    def _is_in_floor(self, cost: float, level: Urgency, used: float) -> bool:
        """Whether this is of what nobody but protection can take from an urgency."""
        if used + cost > self.capacity * _SHARE[Urgency.EXIT]:
            return False
        own, floor = self._own(level), self.capacity * _FLOOR[level]
        in_slice = self._slice.of(level)
        return not own or (own + cost <= floor and in_slice < floor * self._slice_s / self.window_s)

    def _kept_for(self, level: Urgency) -> float:
        """What of its floor an urgency has not had yet, while it waits."""
        head = self._head(level)
        if head is None:
            return 0.0
        return max(0.0, max(self.capacity * _FLOOR[level], head.cost) - self._own(level))

    def _own(self, level: Urgency) -> float:
        return self._window.of(level) + self._flying[level]

    def _depart(self, cost: float, level: Urgency) -> None:
        self._in_flight += 1
        self._flying[level] += cost
        self._slice.add(elapsed_ns(self._clock), cost, level)

    def _arrive(self, cost: float, level: Urgency, *, sent: bool = True) -> None:
        """Count a cost as spent; one that is more than a window holds keeps as many windows closed as it fills."""
        self._in_flight -= 1
        self._flying[level] -= cost
        if not self._in_flight:
            self._flying = dict.fromkeys(Urgency, 0.0)  # no rests of rounding stay
        if sent:
            longer_s = max(0.0, cost / self.capacity - 1.0) * self.window_s
            self._window.add(elapsed_ns(self._clock) + int(longer_s * NS_PER_S), cost, level)

    def _forget(self) -> None:
        now_ns = elapsed_ns(self._clock)
        self._window.forget(now_ns)
        self._slice.forget(now_ns)

    def _next_free_s(self) -> float:
        due = [at for spending in (self._window, self._slice) if (at := spending.next_free_ns()) is not None]
        if not due:
            return self.window_s / 20  # everything is on its way
        return max(0.001, (min(due) - elapsed_ns(self._clock)) / NS_PER_S)

    def _closed(self) -> BudgetError:
        why = "has banned this address" if self._banned else "wants no requests"
        error = BudgetError(
            f"the venue {why} for {self.closed_for_s:.0f} s more; nothing was sent.",
            fix="Wait; whoever asks inside a ban is banned for longer.",
        )
        error.code = RefusalCode.BANNED if self._banned else RefusalCode.RATE_LIMITED
        error.retry_after_s = self.closed_for_s
        return error


def _require_granted(waiting: _Waiting, longest_s: float | None) -> None:
    if not waiting.granted.done():
        raise BudgetError(
            f"no room in the request budget within {longest_s:g} s; nothing was sent.",
            fix="Ask for less data at once, or try again in a moment.",
        )
    waiting.granted.result()
