"""Share one MetaApi stream: open while anybody listens, and opened anew for who comes after it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from tradelab.adapters.metaapi_sequence import Packet
from tradelab.adapters.metaapi_session import Inbox, Market, Session
from tradelab.adapters.metaapi_socket import SocketIo
from tradelab.model.clock import Clock
from tradelab.model.errors import VenueError


class Stream:
    """The stream of one account.

    Parameters
    ----------
    dial
        Opens a connection.
    now_ns
        The venue's time.
    timeout_s
        Longest wait for an answer, and for the first synchronization.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[SocketIo]],
        account_id: str,
        clock: Clock,
        now_ns: Callable[[], int],
        timeout_s: float,
    ) -> None:
        self._dial, self._account_id, self._clock, self._now_ns = dial, account_id, clock, now_ns
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._session: Session | None = None

    async def packets(self, market: Market | None = None) -> AsyncGenerator[Packet, None]:
        """Yield what happens from now on: updates of the account, and prices of what anybody subscribed to.

        Raises
        ------
        ConnectivityError
            The stream has ended, or could not begin.
        RequestError
            MetaApi refuses the token, or the subscription.
        """
        session, inbox = await self._join(market)
        try:
            while True:
                packet = await inbox.get()
                if isinstance(packet, VenueError):
                    raise packet
                yield packet
        finally:
            await session.leave(inbox, market)

    async def close(self) -> None:
        """Close the connection, if there is one; who still listens is told."""
        if self._session is not None:
            await self._session.close()

    async def _join(self, market: Market | None) -> tuple[Session, Inbox]:
        async with self._lock:
            session = self._session
            if session is None or session.is_over:
                socket = await self._dial()
                session = self._session = Session(socket, self._account_id, self._clock, self._now_ns, self._timeout_s)
                try:
                    await session.begin()
                except BaseException:
                    await session.close()
                    raise
            return session, await session.join(market)
