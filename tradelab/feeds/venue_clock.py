"""Know the venue's time between two bounds, so that a wrong clock here closes no bar too early."""

from __future__ import annotations

import asyncio

from tradelab.feeds.asking import Asker
from tradelab.model.clock import Clock
from tradelab.model.errors import InvariantError
from tradelab.model.ports import Connected
from tradelab.model.units import NS_PER_S


class VenueClock:
    """The venue's time, asked now and then, and carried on by our clock meanwhile.

    The answer was given somewhere between our question and its arrival. So the venue's time is at least what it said
    plus what has passed since the arrival, and at most that plus what has passed since the question. REST bars close by
    the first bound, and a stream's "closed" is believed by the second.
    """

    def __init__(self, provider: Connected, clock: Clock, asker: Asker) -> None:
        self._provider = provider
        self._clock = clock
        self._asker = asker
        self._asking = asyncio.Lock()
        self._measured_ns: int | None = None  # by our clock
        self._least_ns = self._most_ns = 0  # the venue's clock less ours

    @property
    def is_known(self) -> bool:
        """Whether the venue has been asked at all."""
        return self._measured_ns is not None

    def age_s(self) -> float:
        """Seconds since the venue was asked; infinite when it never was, or when our clock was set back since."""
        if self._measured_ns is None or self._clock.now_ns() < self._measured_ns:
            return float("inf")
        return (self._clock.now_ns() - self._measured_ns) / NS_PER_S

    def at_least_ns(self) -> int:
        """The venue's time is this or later."""
        return self._clock.now_ns() + self._offset(self._least_ns)

    def at_most_ns(self) -> int:
        """The venue's time is this or earlier."""
        return self._clock.now_ns() + self._offset(self._most_ns)

    def ours_ns(self, venue_ns: int) -> int:
        """Return when, by our clock, the venue's time is surely ``venue_ns`` or later."""
        return venue_ns - self._offset(self._least_ns)

    async def measure(self, max_age_s: float, *, attempts: int | None = None) -> None:
        """Ask the venue for its time unless it was asked within ``max_age_s``; who asks together, asks once."""
        async with self._asking:
            if self.age_s() <= max_age_s:
                return
            said, before, after = await self._asker.ask(self._ask, attempts=attempts)
            self._least_ns, self._most_ns = said - after, said - before
            self._measured_ns = after

    async def _ask(self) -> tuple[int, int, int]:
        before = self._clock.now_ns()
        said = await self._provider.now_ns()
        return said, before, self._clock.now_ns()

    def _offset(self, offset_ns: int) -> int:
        if self._measured_ns is None:
            raise InvariantError("the venue's time was used before it was asked for.")
        return offset_ns
