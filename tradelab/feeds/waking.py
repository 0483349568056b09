"""Wait for a knock or for a time, whichever is first, on any clock."""

from __future__ import annotations

import asyncio

from tradelab.model.clock import Clock
from tradelab.model.units import NS_PER_S


class Waker:
    """One waiter, any number of knocks; a knock while nobody waits is not lost."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._knocked = asyncio.Event()
        self._timer: asyncio.Task[None] | None = None
        self._timer_ns = 0

    def knock(self) -> None:
        """Wake the waiter."""
        self._knocked.set()

    async def wait(self, until_ns: int | None) -> None:
        """Return at the next knock, or when the clock says ``until_ns``, or a little earlier: look again."""
        if until_ns is not None and until_ns <= self._clock.now_ns():
            await asyncio.sleep(0)  # others run too
        else:
            self._set_timer(until_ns)
            await self._knocked.wait()
        self._knocked.clear()

    async def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)
            self._timer = None

    def _set_timer(self, until_ns: int | None) -> None:
        """Have a timer that rings at ``until_ns`` or before; one that runs already is kept if it is early enough."""
        runs = self._timer is not None and not self._timer.done()
        if until_ns is None or (runs and self._timer_ns <= until_ns):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_ns = until_ns
        self._timer = asyncio.create_task(self._ring(until_ns))

    async def _ring(self, until_ns: int) -> None:
        await self._clock.sleep((until_ns - self._clock.now_ns()) / NS_PER_S)
        self._knocked.set()
