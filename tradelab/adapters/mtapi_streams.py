"""Listen to a bridge of mtapi.io: quotes as they are pushed, and the account whenever a push says that it changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import aiohttp

from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_account import Account
from tradelab.adapters.mtapi_answers import AnswerError, parsed, query, record
from tradelab.adapters.mtapi_book import Book
from tradelab.adapters.mtapi_rows import FrameRow
from tradelab.model.account import Balance
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConnectivityError
from tradelab.model.market import Quote
from tradelab.model.orders import Fill, Order
from tradelab.model.units import NS_PER_S

_NOT_THERE = (404, 405, 501)
_CLOSED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
_BEFORE_NS = 60 * NS_PER_S  # how far one look reaches back before the last


class NoSocketError(ConnectivityError):
    """The bridge offers no such socket."""


class Streams:
    """What is pushed.

    A push about the account is taken as word that something happened; what it was is asked by REST. So nothing is
    missed when a push is lost or merged with another, and little of the wire need be known.
    """

    def __init__(self, account: Account) -> None:
        self._at = account
        self._open: set[aiohttp.ClientSession] = set()

    async def close(self) -> None:
        """Close every socket."""
        for http in list(self._open):
            await http.close()

    async def quotes(self, symbol: str) -> AsyncIterator[Quote]:
        """Yield quotes as they are pushed, or ask for them again and again where the bridge has no socket."""
        await self._at.session.ask(wire.SUBSCRIBE, f"quotes of {symbol}", symbol=symbol)
        try:
            async with aclosing(self._frames(wire.QUOTE_SOCKET)) as frames:
                async for frame in frames:
                    if frame.kind == wire.QUOTE_FRAME:
                        quote = self._at.read_quote(frame.carries)
                        if quote.symbol == symbol:
                            yield quote
        except NoSocketError:
            async for quote in self._polled(symbol):
                yield quote

    async def orders(self) -> AsyncIterator[Order]:
        """Yield each order whenever it is not as it was when the stream began."""
        known: dict[str, Order] = {}
        async with aclosing(self._books()) as books:
            async for first, book in books:
                changed = {ticket: order for ticket, order in book.orders().items() if known.get(ticket) != order}
                known |= changed
                for order in () if first else changed.values():
                    yield order

    async def fills(self) -> AsyncIterator[Fill]:
        """Yield each fill once that happens after the stream began."""
        told: set[str] = set()
        async with aclosing(self._books()) as books:
            async for first, book in books:
                new = [fill for fill in book.fills(0) if fill.trade_id not in told]
                told |= {fill.trade_id for fill in new}
                for fill in () if first else new:
                    yield fill

    async def balances(self) -> AsyncIterator[Balance]:
        """Yield the money whenever it is not as it was."""
        known = (await self._at.info()).balances
        async with aclosing(self._pushes()) as pushes:
            async for _ in pushes:
                now = (await self._at.info()).balances
                for balance in now:
                    if balance not in known:
                        yield balance
                known = now

    async def _books(self) -> AsyncGenerator[tuple[bool, Book], None]:
        """Yield what the account holds and did: at the beginning, when the socket stands, and after each push."""
        clock = self._at.session.clock
        since_ns = clock.now_ns() - _BEFORE_NS
        yield True, await self._at.book(since_ns)
        async with aclosing(self._pushes()) as pushes:
            async for _ in pushes:
                asked_ns = clock.now_ns()
                yield False, await self._at.book(since_ns)
                since_ns = asked_ns - _BEFORE_NS

    async def _pushes(self) -> AsyncGenerator[None, None]:
        """Yield once when the socket stands, then for every push, and a moment after it.

        Pushes that wait count as one. The second look is for what the server had not yet written to its history.
        """
        heard, standing = asyncio.Event(), asyncio.Event()
        failed: list[ConnectivityError | AnswerError] = []

        async def again() -> None:
            await self._at.session.clock.sleep(self._at.session.settings.poll_s)
            heard.set()

        async def listen() -> None:
            echo: asyncio.Task[None] | None = None
            try:
                async with aclosing(self._frames(wire.ORDER_SOCKET, standing)) as frames:
                    async for frame in frames:
                        if frame.kind == wire.ORDER_FRAME:
                            heard.set()
                            echo = echo if echo is not None and not echo.done() else asyncio.create_task(again())
            except (ConnectivityError, AnswerError) as error:
                failed.append(error)
            finally:
                if echo is not None:
                    echo.cancel()
                standing.set()
                heard.set()

        task = asyncio.create_task(listen())
        try:
            await standing.wait()
            heard.set()
            while await heard.wait():
                heard.clear()
                if failed:
                    raise failed[0]
                yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _polled(self, symbol: str) -> AsyncIterator[Quote]:
        last: Quote | None = None
        while True:
            quote = await self._at.quote(symbol)
            if quote != last:
                last = quote
                yield quote
            await self._at.session.clock.sleep(self._at.session.settings.poll_s)

    async def _frames(self, call: wire.Call, standing: asyncio.Event | None = None) -> AsyncGenerator[FrameRow, None]:
        """Yield the frames of one socket until it ends, which is an error; none of it tells the token."""
        settings = self._at.session.settings
        http = aiohttp.ClientSession(trust_env=not settings.is_loopback)
        self._open.add(http)
        socket: aiohttp.ClientWebSocketResponse | None = None
        try:
            socket = await self._connected(http, call)
            if standing is not None:
                standing.set()
            while (message := await socket.receive()).type not in _CLOSED:
                if message.type is aiohttp.WSMsgType.TEXT:
                    frame: FrameRow = record(wire.FRAME, parsed(message.data))
                    yield frame
            raise ConnectivityError(f"mtapi: the socket of {settings.base_url} was closed.", fix="Listen again.")
        finally:
            self._open.discard(http)
            if socket is not None:
                await socket.close()
            await http.close()

    async def _connected(self, http: aiohttp.ClientSession, call: wire.Call) -> aiohttp.ClientWebSocketResponse:
        """Open a socket; the session is renewed first, for a socket of a dead one says nothing for ever."""
        session = self._at.session
        await session.ask(wire.PING, "whether the session lives")
        url = session.settings.base_url.replace("http", "ws", 1) + call.paths[self._at.platform]
        asked = query(call, self._at.platform, token=session.token)
        failed: ConnectivityError | None = None
        try:
            plain = {k: v.reveal() if isinstance(v, Secret) else v for k, v in asked.items()}
            return await http.ws_connect(url, params=plain, heartbeat=20.0, timeout=_patience(), max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            kind = NoSocketError if error.status in _NOT_THERE else ConnectivityError
            failed = kind(f"mtapi: {url} refused the socket with status {error.status}.")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failed = ConnectivityError(f"mtapi: {url} could not be reached ({type(error).__name__}).")
        finally:
            plain = {}  # a traceback that shows local variables shows nothing
        raise failed


def _patience() -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_receive=None, ws_close=2.0)
