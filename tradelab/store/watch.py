"""Test connections in the background, now and then, never one of them twice at once."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from tradelab.model.errors import ConfigError, StorageError
from tradelab.model.ports import ConnectionTest
from tradelab.store.connections import Connections
from tradelab.store.records import Connection, Status

_WATCHED = (Status.ACTIVE, Status.ERROR)
_log = logging.getLogger(__name__)

Test = Callable[[Connection], Awaitable[ConnectionTest]]


class HealthWatch:
    """Test each active connection, and each in error, about every ``every_s`` seconds.

    Inactive ones are left alone: somebody put them out of use. What a test shows is recorded with
    :meth:`Connections.end_test`, so a failure puts an active connection in error, and a later success makes it active
    again; only one that the venue refused, its credentials say, is activated again by a person.

    Parameters
    ----------
    connections
        The records; the lease of a test keeps other processes from testing the same connection.
    test
        Tries one connection; what it raises counts as a failed test.
    every_s, jitter
        Each pause is ``every_s`` times a random factor between ``1 - jitter`` and ``1 + jitter``, so that many
        watchers and many connections do not knock at the same moment.
    at_once
        How many tests may run at the same time.
    timeout_s
        After how long a test is given up as failed.
    sleep, uniform
        The pause and the random number, to be replaced in tests.
    """

    def __init__(
        self,
        connections: Connections,
        test: Test,
        *,
        every_s: float = 900.0,
        jitter: float = 0.2,
        at_once: int = 4,
        timeout_s: float = 60.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._connections = connections
        self._test = test
        self._every_s = every_s
        self._jitter = jitter
        self._at_once = at_once
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._uniform = uniform

    async def run(self) -> None:
        """Watch until cancelled; a failing database is logged and tried again after the next pause."""
        while True:
            await self._sleep(self._every_s * self._uniform(1 - self._jitter, 1 + self._jitter))
            try:
                await self.sweep()
            except StorageError as error:
                _log.warning("connections were not tested: %s", error)

    async def sweep(self) -> tuple[Connection, ...]:
        """Test every watched connection once, and return those whose test was recorded, as they are then."""
        places = asyncio.Semaphore(self._at_once)
        watched = [known for known in await asyncio.to_thread(self._connections.list) if known.status in _WATCHED]

        async def one(name: str) -> Connection | None:
            async with places:
                return await self._one(name)

        tested = await asyncio.gather(*(one(connection.name) for connection in watched))
        return tuple(connection for connection in tested if connection is not None)

    async def _one(self, name: str) -> Connection | None:
        lease_s = self._timeout_s + 60.0  # room for writing the result down
        try:
            lease = await asyncio.to_thread(self._connections.begin_test, name, lease_s=lease_s)
            result = await self._tried(lease.connection)
            return await asyncio.to_thread(self._connections.end_test, lease, result)
        except (
            StorageError,
            ConfigError,
        ) as error:  # tested or changed by somebody else meanwhile, deleted, incomplete
            _log.warning("connection %r was not tested: %s", name, error)
            return None

    async def _tried(self, connection: Connection) -> ConnectionTest:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._test(connection)
        except TimeoutError:
            return ConnectionTest(False, f"no answer within {self._timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 - whatever a test raises is its result, kept with the connection
            return ConnectionTest(False, f"{type(error).__name__}: {error}")
