"""Share one thing among all who hold it: started for the first, stopped after the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Coordinator(Generic[K, V]):
    """Reference-counted things by key, such as one feed a series for any number of subscribers.

    A holder that was dropped without a word (its context manager collected) lets go too: asyncio closes the generators
    behind :func:`~contextlib.asynccontextmanager` when they are collected, and with them what they hold.

    Parameters
    ----------
    stop
        Ends a thing; called when nobody holds it any more. The next holder waits until that is done, so that two never
        run side by side.
    is_alive
        Whether a thing may be given to one more holder; of a dead one a new one is started, and those who hold the old
        one keep it.
    """

    def __init__(self, stop: Callable[[V], Awaitable[None]], is_alive: Callable[[V], bool] = lambda _: True) -> None:
        self._stop = stop
        self._is_alive = is_alive
        self._held: dict[K, Held[K, V]] = {}
        self._ending: dict[K, asyncio.Task[None]] = {}

    def holders(self, key: K) -> int:
        """Return how many hold the thing of this key."""
        held = self._held.get(key)
        return 0 if held is None else held.holders

    def value(self, key: K) -> V | None:
        """Return the thing of this key, to look at; ``None`` where nobody holds it."""
        held = self._held.get(key)
        return None if held is None else held.value

    def keys(self) -> tuple[K, ...]:
        """Return the keys of all that is held."""
        return tuple(self._held)

    @asynccontextmanager
    async def hold(self, key: K, start: Callable[[], V]) -> AsyncIterator[V]:
        """Give the thing of ``key`` for the length of a block; ``start`` makes it if nobody holds it yet."""
        held = await self.acquire(key, start)
        try:
            yield held.value
        finally:
            await self.release(held)

    async def acquire(self, key: K, start: Callable[[], V]) -> Held[K, V]:
        """Take the thing of ``key``; what is taken so must be released once, or it runs for ever: prefer ``hold``."""
        while (ending := self._ending.get(key)) is not None:
            await asyncio.shield(ending)
        held = self._held.get(key)
        if held is None or not self._is_alive(held.value):
            held = self._held[key] = Held(key, start())
        held.holders += 1
        return held

    async def release(self, held: Held[K, V]) -> None:
        """Let go; the last one stops the thing and returns when it has ended."""
        held.holders -= 1
        if held.holders == 0:
            await asyncio.shield(self._end(held))

    async def close(self) -> None:
        """Stop everything, held or not."""
        for held in list(self._held.values()):
            self._end(held)
        await asyncio.gather(*self._ending.values())

    def _end(self, held: Held[K, V]) -> asyncio.Task[None]:
        if self._held.get(held.key) is held:
            del self._held[held.key]
        task = asyncio.ensure_future(self._run_stop(held))
        self._ending[held.key] = task
        task.add_done_callback(lambda done: self._ended(held.key, done))
        return task

    async def _run_stop(self, held: Held[K, V]) -> None:
        if not held.is_stopped:
            held.is_stopped = True
            await self._stop(held.value)

    def _ended(self, key: K, task: asyncio.Task[None]) -> None:
        if self._ending.get(key) is task:
            del self._ending[key]


class Held(Generic[K, V]):
    """One thing and how many hold it."""

    def __init__(self, key: K, value: V) -> None:
        self.key = key
        self.value = value
        self.holders = 0
        self.is_stopped = False
