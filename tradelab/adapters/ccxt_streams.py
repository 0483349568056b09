"""Yield what a venue pushes, through ccxt.pro; a socket that breaks ends the stream, and nothing is fetched here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable
from typing import Any

from tradelab.adapters.ccxt_client import CcxtClient
from tradelab.adapters.ccxt_sockets import Sockets
from tradelab.adapters.ccxt_words import candle_of, fill_of, order_of, quote_of
from tradelab.model.account import Balance
from tradelab.model.errors import ConnectivityError
from tradelab.model.market import Candle, Quote
from tradelab.model.orders import Fill, Order
from tradelab.model.units import NS_PER_S, Timeframe

Ask = Callable[[], Awaitable[Any]]
_QUIET_NS = 15 * NS_PER_S  # market data that were silent for so long when the last reader left: the socket is doubted


class CcxtStreams:
    """The streams of one ccxt client, each asked for once, whoever reads.

    ccxt.pro reconnects by itself at the next question, without a word about what was missed; so the first failure ends
    the stream here for all its readers, and they know that there is something to catch up on. ccxt counts what is new
    since the last question, whoever put it: two who ask would take from one another. A socket that failed is not used
    again, nor is one on which market data had gone silent when their last reader left.
    """

    def __init__(
        self, client: CcxtClient, money: Callable[[Any], list[Balance]], heard: Callable[[Any], Order] = order_of
    ) -> None:
        self._client = client
        self._money, self._heard = money, heard
        self._sockets = Sockets(client)
        self._shared: dict[Hashable, _Shared] = {}

    async def candles(self, symbol: str, timeframe: Timeframe) -> AsyncIterator[Candle]:
        """Yield bars as they change; ccxt does not pass on whether a bar is closed, so the venue's clock tells."""
        raw = self._client.raw
        async for row in self._read(("candles", symbol, timeframe), lambda: raw.watch_ohlcv(symbol, timeframe.alias)):
            yield candle_of(row, timeframe, self._client.now_ns())

    async def quotes(self, symbol: str) -> AsyncIterator[Quote]:
        """Yield best bid and ask as they change."""
        raw = self._client.raw

        async def ask() -> Iterable[Any]:
            if raw.has.get("watchBidsAsks") is True:
                return [(await raw.watch_bids_asks([symbol]))[symbol]]
            return [await raw.watch_ticker(symbol)]

        async for told in self._read(("quotes", symbol), ask):
            yield quote_of(told, symbol, self._client.now_ns())

    async def orders(self) -> AsyncIterator[Order]:
        """Yield the account's orders as they change."""
        async for told in self._read("orders", self._client.raw.watch_orders):
            yield self._heard(told)

    async def fills(self) -> AsyncIterator[Fill]:
        """Yield the account's trades."""
        async for told in self._read("fills", self._client.raw.watch_my_trades):
            yield fill_of(told)

    async def balances(self) -> AsyncIterator[Balance]:
        """Yield each balance that has changed."""
        known: dict[str, Balance] = {}

        async def ask() -> Iterable[Any]:
            return self._money(await self._client.raw.watch_balance())

        async for balance in self._read("balances", ask):
            if known.get(balance.currency) != balance:
                known[balance.currency] = balance
                yield balance

    async def close(self) -> None:
        """End every stream; its readers are told."""
        for shared in list(self._shared.values()):
            await shared.close()
        await self._sockets.close()

    async def _read(self, name: Hashable, ask: Ask) -> AsyncIterator[Any]:
        shared = self._shared.get(name)
        if shared is None or shared.has_ended:
            shared = self._shared[name] = _Shared(self._client, self._sockets, ask, may_be_silent=isinstance(name, str))
        queue = shared.join()
        try:
            while True:
                told = await queue.get()
                if isinstance(told, ConnectivityError):
                    raise told
                yield told
        finally:
            if not shared.leave(queue):
                self._shared = {n: s for n, s in self._shared.items() if s is not shared}
                await shared.close()


class _Shared:
    """One stream: a task that asks, and the queues of those who read.

    Parameters
    ----------
    may_be_silent
        An account's streams: nothing comes while nothing is traded.
    """

    def __init__(self, client: CcxtClient, sockets: Sockets, ask: Ask, *, may_be_silent: bool) -> None:
        self._client = client
        self._sockets = sockets
        self._ask = ask
        self._may_be_silent = may_be_silent
        self._queues: list[asyncio.Queue[Any]] = []
        self._heard_ns = client.clock.now_ns()
        self._is_closing = False
        self._task = asyncio.create_task(self._run())

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self._is_closing or self._task.done()

    def join(self) -> asyncio.Queue[Any]:
        """Add a reader."""
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._queues.append(queue)
        return queue

    def leave(self, queue: asyncio.Queue[Any]) -> int:
        """Take a reader away; return how many are left."""
        self._queues.remove(queue)
        return len(self._queues)

    async def close(self) -> None:
        """Ask no more."""
        self._is_closing = True
        self._tell(ConnectivityError(f"the stream of {self._client.id} was closed.", fix="Connect again."))
        silent_ns = self._client.clock.now_ns() - self._heard_ns
        self._task.cancel()
        self._sockets.leave(self, broke=silent_ns >= _QUIET_NS and not self._may_be_silent)
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        self._sockets.carry(self)
        while True:
            try:
                news = await self._ask()
            except asyncio.CancelledError:
                if self._is_closing:
                    raise
                return self._break(ConnectionError("ccxt gave the question up"))  # it cancels what it shares
            except Exception as error:  # noqa: BLE001 - whatever broke it, the stream has a hole now
                return self._break(error)
            self._heard_ns = self._client.clock.now_ns()
            for told in news:
                self._tell(told)

    def _break(self, error: Exception) -> None:
        if isinstance(error, KeyError) and isinstance(error.__context__, Exception):
            error = error.__context__  # ccxt stumbles while it cleans up after the real one
        why = self._client.as_read_error(error)
        self._sockets.leave(self, broke=isinstance(why, ConnectivityError))
        fix = "Watch again, and fetch what was missed."
        told = ConnectivityError(f"the stream of {self._client.id} broke: {why}", fix=fix)
        told.retry_after_s = why.retry_after_s if isinstance(why, ConnectivityError) else None
        self._tell(told)

    def _tell(self, told: Any) -> None:
        for queue in self._queues:
            queue.put_nowait(told)
