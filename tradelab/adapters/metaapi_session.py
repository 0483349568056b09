"""Keep one connection to MetaApi's stream: subscribe, synchronize, and hand its packets, in order, to all who listen.

Source: https://metaapi.cloud/docs/client/websocket/ (synchronizing, marketDataStreaming). A packet that is missing ends
the session for everybody: who listens connects again and fetches what was missed by REST.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tradelab.adapters.metaapi_parse import iso
from tradelab.adapters.metaapi_sequence import Packet, Sequencer
from tradelab.adapters.metaapi_socket import SocketIo
from tradelab.model.clock import Clock
from tradelab.model.errors import ConnectivityError, RequestError, VenueError

_REFRESH_S = 300.0  # a subscription to market data expires unless it is asked for again
_TELLS = ("update", "prices", "accountInformation")

Inbox = asyncio.Queue[Packet | VenueError]


@dataclass(frozen=True, slots=True)
class Market:
    """One subscription to market data: quotes of a symbol, or its bars of a timeframe."""

    symbol: str
    timeframe: str | None = None

    @property
    def shape(self) -> dict[str, str]:
        """What MetaApi calls it."""
        return {"type": "quotes"} if self.timeframe is None else {"type": "candles", "timeframe": self.timeframe}


class Session:
    """One connection, from its beginning to its only end.

    Parameters
    ----------
    socket
        Open already.
    now_ns
        The venue's time.
    timeout_s
        Longest wait for an answer, and for the first synchronization.
    """

    def __init__(
        self, socket: SocketIo, account_id: str, clock: Clock, now_ns: Callable[[], int], timeout_s: float
    ) -> None:
        self._socket, self._account_id, self._clock, self._now_ns = socket, account_id, clock, now_ns
        self._timeout_s = timeout_s
        self._inboxes: list[Inbox] = []
        self._markets: Counter[Market] = Counter()
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._authenticated, self._synchronized = asyncio.Event(), asyncio.Event()
        self._name, self._host = secrets.token_hex(16), None  # ours; and the server that keeps the account
        self._sequence = Sequencer(lambda: socket.fail("a packet was lost"))
        self._over: VenueError | None = None
        self._reader = asyncio.create_task(self._read())
        self._refresher = asyncio.create_task(self._refresh())

    @property
    def is_over(self) -> bool:
        """Whether it has ended; it does not begin again."""
        return self._over is not None

    async def begin(self) -> None:
        """Wait until the account is there and everything it has has been told.

        Raises
        ------
        ConnectivityError
            It was not in time.
        RequestError
            MetaApi refused.
        """
        await self._ask("subscribe", sessionId=self._name)
        await self._within(self._authenticated.wait(), "the account is not connected to its broker")
        now = iso(self._now_ns())
        await self._ask(
            "synchronize", version=2, host=self._host, startingDealTime=now, startingHistoryOrderTime=now,
            specificationsHashes=[], positionsHashes=[], ordersHashes=[],
        )  # fmt: skip
        await self._within(self._synchronized.wait(), "the account did not synchronize")

    async def join(self, market: Market | None) -> Inbox:
        """Let somebody listen: to the account, and to a market where one is given."""
        inbox: Inbox = asyncio.Queue()
        self._inboxes.append(inbox)
        if market is None:
            return inbox
        self._markets[market] += 1
        try:
            if self._markets[market] == 1:
                await self._ask("subscribeToMarketData", symbol=market.symbol, subscriptions=[market.shape])
        except BaseException:
            await self.leave(inbox, market)
            raise
        return inbox

    async def leave(self, inbox: Inbox, market: Market | None) -> None:
        """Let somebody go; the last one ends the session."""
        self._inboxes.remove(inbox)
        if not self._inboxes:
            await self.close()
            return
        if market is None:
            return
        self._markets[market] -= 1
        if self._markets[market] <= 0:
            del self._markets[market]
            with contextlib.suppress(VenueError):  # what is not wanted any more is passed over anyway
                await self._ask("unsubscribeFromMarketData", symbol=market.symbol, subscriptions=[market.shape])

    async def close(self) -> None:
        """End it; who still listens is told."""
        self._end(ConnectivityError("the stream was closed.", fix="Connect again."))
        await self._socket.close()  # its reader ends by that
        await asyncio.gather(self._reader, self._refresher, return_exceptions=True)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, kind: str, **more: Any) -> None:
        """Send a request and wait for its answer."""
        if self._over is not None:
            raise self._over
        name = secrets.token_hex(16)
        answer = self._answers[name] = asyncio.get_running_loop().create_future()
        asked = {
            "type": kind, "accountId": self._account_id, "requestId": name, "application": "MetaApi",
            "instanceIndex": 0, "timestamps": {"clientProcessingStarted": iso(self._clock.now_ns())}, **more,
        }  # fmt: skip
        try:
            await self._socket.emit("request", asked)
            await self._within(answer, f"{kind} was not answered")
        finally:
            self._answers.pop(name, None)
            answer.cancel()

    async def _within(self, awaited: Awaitable[Any], otherwise: str) -> None:
        try:
            await asyncio.wait_for(awaited, self._timeout_s)
        except TimeoutError:
            raise ConnectivityError(f"{otherwise} in {self._timeout_s:.0f} s.", fix="Try again.") from None
        if self._over is not None:
            raise self._over

    async def _refresh(self) -> None:
        while True:
            await self._clock.sleep(_REFRESH_S)
            wanted = [{"symbol": m.symbol, "subscriptions": [m.shape]} for m in self._markets]
            if wanted:
                with contextlib.suppress(VenueError):  # a stream that has ended is told of by its reader
                    await self._ask("refreshMarketDataSubscriptions", subscriptions=wanted)

    # ── listening ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _read(self) -> None:
        """Read the connection to its end, and tell everybody why it ended."""
        try:
            async for name, data in self._socket.events():
                if isinstance(data, dict):
                    self._take(name, data)
        except VenueError as error:
            self._end(error)
        finally:
            await self._socket.close()

    def _take(self, name: str, data: Packet) -> None:
        if name in ("response", "processingError"):
            self._answered(name, data)
        elif name == "synchronization" and self._is_ours(data):
            for packet in self._sequence.put(data):
                self._hand_on(packet)

    def _is_ours(self, packet: Packet) -> bool:
        """Whether a packet is about our account, as told by the first server that greeted us for this session."""
        if packet.get("accountId") != self._account_id or packet.get("sessionId") not in (None, self._name):
            return False
        return self._host is None or packet.get("host") in (None, self._host)

    def _answered(self, name: str, data: Packet) -> None:
        answer = self._answers.get(str(data.get("requestId")))
        if answer is None or answer.done():
            return
        if name == "response":
            answer.set_result(None)
        else:
            said = f"{data.get('error')}: {data.get('message')}"
            answer.set_exception(RequestError(f"MetaApi's stream refuses: {said}."))

    def _hand_on(self, packet: Packet) -> None:
        kind = packet.get("type")
        if kind == "authenticated":
            if self._synchronized.is_set():  # the terminal was started anew, and waits to be synchronized
                self._socket.fail("the account was connected to its broker anew")
            self._host = packet.get("host")
            self._authenticated.set()
        elif kind == "dealSynchronizationFinished":
            self._synchronized.set()
        elif kind == "disconnected" or (kind == "status" and packet.get("connected") is False):
            self._socket.fail("the account has lost its broker")
        elif kind in _TELLS and "synchronizationId" not in packet:
            for inbox in self._inboxes:
                inbox.put_nowait(packet)

    def _end(self, why: VenueError) -> None:
        if self._over is not None:
            return
        self._over = why
        self._sequence.stop()
        self._refresher.cancel()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(why)
        self._authenticated.set()
        self._synchronized.set()
        for inbox in self._inboxes:
            inbox.put_nowait(why)
