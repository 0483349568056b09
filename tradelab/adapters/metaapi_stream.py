"""Share one MetaApi stream: subscribe, synchronize, keep its packets in order, and hand each to all who listen.

Source: https://metaapi.cloud/docs/client/websocket/ (synchronizing, marketDataStreaming). A packet that is missing ends
the stream for everybody: who listens connects again and fetches what was missed by REST.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tradelab.adapters.metaapi_parse import iso
from tradelab.adapters.metaapi_socket import SocketIo
from tradelab.model.clock import Clock
from tradelab.model.errors import ConnectivityError, RequestError, VenueError

Packet = dict[str, Any]
_GAP_S = 10.0  # how long a packet that was overtaken is waited for; MetaApi's own clients wait a minute
_REFRESH_S = 300.0  # a subscription to market data expires unless it is asked for again
_TELLS = ("update", "prices", "accountInformation")


@dataclass(frozen=True, slots=True)
class Market:
    """One subscription to market data: quotes of a symbol, or its bars of a timeframe."""

    symbol: str
    timeframe: str | None = None

    @property
    def shape(self) -> dict[str, str]:
        """What MetaApi calls it."""
        return {"type": "quotes"} if self.timeframe is None else {"type": "candles", "timeframe": self.timeframe}


class Stream:
    """The stream of one account, open while anybody listens.

    Parameters
    ----------
    dial
        Opens a connection.
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
        self._listeners: list[asyncio.Queue[Packet | VenueError]] = []
        self._markets: Counter[Market] = Counter()
        self._lock = asyncio.Lock()
        self._socket: SocketIo | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._answers: dict[str, asyncio.Future[None]] = {}
        self._authenticated = self._synchronized = asyncio.Event()
        self._order = Orderer()

    async def packets(self, market: Market | None = None) -> AsyncGenerator[Packet, None]:
        """Yield what happens from now on: updates of the account, and prices of what anybody subscribed to.

        Raises
        ------
        ConnectivityError
            The stream has ended, or could not begin.
        """
        queue: asyncio.Queue[Packet | VenueError] = asyncio.Queue()
        async with self._lock:
            self._listeners.append(queue)
            try:
                if self._socket is None:
                    await self._begin()
                await self._add(market)
            except BaseException:
                self._listeners.remove(queue)
                if not self._listeners:
                    await self.close()
                raise
        try:
            while True:
                packet = await queue.get()
                if isinstance(packet, VenueError):
                    raise packet
                yield packet
        finally:
            await self._leave(queue, market)

    async def close(self) -> None:
        """Close the connection, if there is one; who still listens is told."""
        socket, self._socket = self._socket, None
        tasks, self._tasks = self._tasks, []
        self._markets.clear()
        if socket is not None:
            await socket.close()  # its reader ends by that, and closes what is left
        for refreshing in tasks[1:]:
            refreshing.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tell(ConnectivityError("the stream was closed.", fix="Connect again."))

    # ── beginning ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self) -> None:
        self._authenticated, self._synchronized = asyncio.Event(), asyncio.Event()
        self._order = Orderer()
        socket = self._socket = await self._dial()
        self._tasks = [asyncio.create_task(self._pump(socket)), asyncio.create_task(self._refresh())]
        await self._ask("subscribe", sessionId=secrets.token_hex(16))
        await self._within(self._authenticated.wait(), "the account is not connected to its broker")
        now = iso(self._now_ns())
        await self._ask(
            "synchronize", request_id=secrets.token_hex(16), version=2, host=self._order.host, startingDealTime=now,
            startingHistoryOrderTime=now, specificationsHashes=[], positionsHashes=[], ordersHashes=[],
        )  # fmt: skip
        await self._within(self._synchronized.wait(), "the account did not synchronize")

    async def _add(self, market: Market | None) -> None:
        if market is not None:
            self._markets[market] += 1
            if self._markets[market] == 1:
                await self._ask("subscribeToMarketData", symbol=market.symbol, subscriptions=[market.shape])

    async def _leave(self, queue: asyncio.Queue[Packet | VenueError], market: Market | None) -> None:
        if queue in self._listeners:
            self._listeners.remove(queue)
        if not self._listeners:
            await self.close()
            return
        if market is None or self._socket is None:
            return
        self._markets[market] -= 1
        if self._markets[market] <= 0:
            del self._markets[market]
            with contextlib.suppress(VenueError):
                await self._ask("unsubscribeFromMarketData", symbol=market.symbol, subscriptions=[market.shape])

    async def _ask(self, kind: str, *, request_id: str | None = None, **more: Any) -> None:
        """Send a request and wait for its answer."""
        socket = self._socket
        if socket is None:
            raise ConnectivityError("the stream has ended.", fix="Connect again.")
        request_id = request_id or secrets.token_hex(16)
        answer = self._answers[request_id] = asyncio.get_running_loop().create_future()
        asked = {
            "type": kind, "accountId": self._account_id, "requestId": request_id, "application": "MetaApi",
            "instanceIndex": 0, "timestamps": {"clientProcessingStarted": iso(self._clock.now_ns())}, **more,
        }  # fmt: skip
        try:
            await socket.emit("request", asked)
            await self._within(answer, f"{kind} was not answered")
        finally:
            self._answers.pop(request_id, None)

    async def _within(self, awaited: Awaitable[Any], otherwise: str) -> None:
        try:
            await asyncio.wait_for(awaited, self._timeout_s)
        except TimeoutError:
            raise ConnectivityError(f"{otherwise} in {self._timeout_s:.0f} s.", fix="Try again.") from None

    # ── going on ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pump(self, socket: SocketIo) -> None:
        """Read the connection to its end, and tell everybody why it ended."""
        try:
            async for name, data in socket.events():
                if isinstance(data, dict):
                    self._take(socket, name, data)
        except VenueError as error:
            self._socket = None
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(error)
            self._tell(error)
            self._authenticated.set()
            self._synchronized.set()
        finally:
            await socket.close()

    def _take(self, socket: SocketIo, name: str, data: Packet) -> None:
        if name in ("response", "processingError"):
            answer = self._answers.get(str(data.get("requestId")))
            if answer is None or answer.done():
                return
            if name == "response":
                answer.set_result(None)
            else:
                said = f"{data.get('error')}: {data.get('message')}"
                answer.set_exception(RequestError(f"MetaApi refuses the subscription: {said}."))
        elif name == "synchronization" and data.get("accountId") == self._account_id:
            for packet in self._order.put(data, lambda: socket.fail("a packet was lost")):
                self._hand_on(socket, packet)

    def _hand_on(self, socket: SocketIo, packet: Packet) -> None:
        kind = packet.get("type")
        if kind == "authenticated":
            self._order.host = packet.get("host")
            self._authenticated.set()
        elif kind == "dealSynchronizationFinished":
            self._synchronized.set()
        elif kind == "disconnected" or (kind == "status" and packet.get("connected") is False):
            socket.fail("the account has lost its broker")
        elif kind in _TELLS and "synchronizationId" not in packet:
            self._tell(packet)

    def _tell(self, said: Packet | VenueError) -> None:
        for queue in self._listeners:
            queue.put_nowait(said)

    async def _refresh(self) -> None:
        while True:
            await self._clock.sleep(_REFRESH_S)
            wanted = [{"symbol": m.symbol, "subscriptions": [m.shape]} for m in self._markets]
            if wanted and self._socket is not None:
                with contextlib.suppress(VenueError):  # a stream that has ended is told of by its reader
                    await self._ask("refreshMarketDataSubscriptions", subscriptions=wanted)


class Orderer:
    """Put the packets of one session in the order of their numbers.

    A number begins anew with each ``synchronizationStarted``. A packet that overtook others waits for them; two of the
    same number pass, as they do in MetaApi's own clients, so who reads them must not count anything twice.
    """

    def __init__(self) -> None:
        self.host: str | None = None
        self._last: int | None = None
        self._waiting: dict[int, Packet] = {}
        self._alarm: asyncio.TimerHandle | None = None

    def put(self, packet: Packet, lost: Callable[[], None]) -> list[Packet]:
        """Take a packet; return those whose turn it is. ``lost`` is called when one has been missing too long."""
        number = packet.get("sequenceNumber")
        if not isinstance(number, int):
            return [packet]
        if packet.get("type") == "synchronizationStarted":
            self._last, self._waiting = number, {n: p for n, p in self._waiting.items() if n > number}
            return [packet, *self._next(lost)]
        if self._last is None or number < self._last:
            return []  # of a session before
        if number == self._last:
            return [packet]
        self._waiting[number] = packet
        return self._next(lost)

    def _next(self, lost: Callable[[], None]) -> list[Packet]:
        ready = []
        while self._last is not None and self._last + 1 in self._waiting:
            self._last += 1
            ready.append(self._waiting.pop(self._last))
        if self._alarm is not None and (ready or not self._waiting):
            self._alarm.cancel()
            self._alarm = None
        if self._waiting and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(_GAP_S, lost)
        return ready
