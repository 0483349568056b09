"""Ask a venue patiently: never inside a ban, and later each time, at random, so that no two ask in step."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tradelab.model.clock import Clock
from tradelab.model.errors import ConnectivityError
from tradelab.model.units import NS_PER_S

T = TypeVar("T")
_LONGEST_BAN_S = 7 * 86_400.0  # asked again after a week, a venue that means longer says so again


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often to ask and how long to wait between: exponential, with full jitter.

    Full jitter waits anything from nothing to the whole pause (M. Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015), which spreads those who failed together.
    """

    attempts: int = 6
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0

    def pause_s(self, failures: int, chance: random.Random) -> float:
        """Return how long to wait after the ``failures``-th failure in a row (1, 2, ...)."""
        longest = min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(failures - 1, 30))
        return chance.uniform(0.0, longest)


class Asker:
    """All requests to one venue go through here, so that a ban that one of them earned is kept by all.

    Parameters
    ----------
    chance
        Where the jitter comes from; seeded in tests.
    """

    def __init__(self, clock: Clock, chance: random.Random, patience: Patience | None = None) -> None:
        self._clock = clock
        self._chance = chance
        self.patience = patience or Patience()
        self._banned_until_ns = 0

    @property
    def banned_until_ns(self) -> int:
        """When the venue may be asked again, by our clock; zero or past when it may now."""
        return self._banned_until_ns

    def jitter_s(self, failures: int, patience: Patience | None = None) -> float:
        """Return the pause after the ``failures``-th failure in a row."""
        return (patience or self.patience).pause_s(failures, self._chance)

    async def ask(self, question: Callable[[], Awaitable[T]], *, attempts: int | None = None) -> T:
        """Return the answer to ``question``, asked again while the venue cannot be reached.

        Raises
        ------
        ConnectivityError
            The last one, after ``attempts`` (by default, as patience says).
        RequestError
            At once: asking again would not help.
        """
        most = attempts or self.patience.attempts
        for failures in range(1, most + 1):
            await self._wait_out_the_ban()
            try:
                return await question()
            except ConnectivityError as error:
                self.note(error)
                if failures == most:
                    raise
                await self._clock.sleep(self.jitter_s(failures))
        raise AssertionError("unreachable")

    def note(self, error: ConnectivityError) -> None:
        """Keep away for as long as the venue asked, whoever heard it."""
        asked_s = error.retry_after_s
        if asked_s is not None and asked_s > 0:  # NaN is not: another package's adapter may tell anything
            until = self._clock.now_ns() + int(min(asked_s, _LONGEST_BAN_S) * NS_PER_S)
            self._banned_until_ns = max(self._banned_until_ns, until)

    async def _wait_out_the_ban(self) -> None:
        while (left := self._banned_until_ns - self._clock.now_ns()) > 0:
            await self._clock.sleep(left / NS_PER_S + self._chance.uniform(0.0, self.patience.first_pause_s))
