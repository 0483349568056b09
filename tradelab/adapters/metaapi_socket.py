"""Speak socket.io as MetaApi's own clients do: Engine.IO 3 on a WebSocket, or 4, numbers by their text.

The reference client for Python speaks 4 only from its version 5 on, and MetaApi's Python and JavaScript SDKs both pin
the generation before (python-socketio < 5, socket.io-client ~2.4): ``docs/decisions/0025-metaapi-by-httpx.md``.
Protocols: https://github.com/socketio/engine.io-protocol, https://github.com/socketio/socket.io-protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp

from tradelab.model.errors import ConnectivityError, RequestError

_GONE = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


class SocketIo:
    """One open connection; :meth:`connect` makes it."""

    def __init__(self, http: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, host: str) -> None:
        self._http, self._socket, self._host = http, socket, host
        self._beat: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._silence_s = 45.0
        self._why = ""

    @classmethod
    async def connect(cls, base_url: str, query: Mapping[str, str], *, version: int, timeout_s: float) -> SocketIo:
        """Open a connection and be welcomed.

        Raises
        ------
        ConnectivityError
            Nothing answers there, or not in time.
        RequestError
            The server does not want us: the token, as a rule.
        """
        parts = urlsplit(base_url)
        scheme, asked = ("wss" if parts.scheme == "https" else "ws"), {"EIO": str(version), "transport": "websocket"}
        url = f"{scheme}://{parts.netloc}/ws/?{urlencode({**query, **asked})}"
        headers = {"Client-Id": query.get("clientId", "")}  # as MetaApi's own clients say it again
        http = aiohttp.ClientSession(trust_env=parts.scheme == "https")
        opened, failure, is_refused = None, "", False
        try:
            socket = await asyncio.wait_for(http.ws_connect(url, headers=headers, max_msg_size=0), timeout_s)
            opened = cls(http, socket, parts.hostname or "")
            await asyncio.wait_for(opened._greet(version), timeout_s)
        except aiohttp.WSServerHandshakeError as error:
            failure, is_refused = f"HTTP {error.status}", error.status in (401, 403)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, LookupError) as error:
            failure = type(error).__name__
        except BaseException:
            await (http.close() if opened is None else opened.close())
            raise
        if opened is not None and not failure:
            return opened
        await (http.close() if opened is None else opened.close())
        # said outside, so that no exception carries the address and its token along
        if is_refused:
            raise RequestError(f"the stream at {parts.hostname} refuses the token ({failure}).", fix="Check api_token.")
        raise ConnectivityError(f"the stream at {parts.hostname} could not be opened ({failure}).", fix="Try again.")

    async def emit(self, name: str, data: object) -> None:
        """Send one event."""
        try:
            await self._socket.send_str("42" + json.dumps([name, data], separators=(",", ":")))
        except (ConnectionError, aiohttp.ClientError):
            self.fail("the connection was cut")
        if self._why:
            raise self._ended()

    async def events(self) -> AsyncIterator[tuple[str, Any]]:
        """Yield events by name; ends by ``ConnectivityError`` only."""
        while True:
            text = await self._receive()
            if text.startswith("42"):
                try:
                    name, *rest = json.loads(text[2:], parse_float=Decimal)
                except (ValueError, TypeError):
                    self.fail("something came that cannot be read")
                    continue
                yield str(name), rest[0] if rest else None
            elif text.startswith(("41", "1", "44")):
                self.fail("the server ended it")

    def fail(self, why: str) -> None:
        """End the connection from this side, for a reason that its reader is told."""
        if not self._why:
            self._why = why
            self._closing = asyncio.create_task(self._shut())

    async def close(self) -> None:
        """Close the connection; calling it twice does no harm."""
        if self._beat is not None:
            self._beat.cancel()
            await asyncio.gather(self._beat, return_exceptions=True)
        await self._shut()
        if self._closing is not None:
            await asyncio.gather(self._closing, return_exceptions=True)
        await self._http.close()

    async def _shut(self) -> None:
        """Close the socket; whoever reads it is told at once."""
        with contextlib.suppress(TimeoutError, ConnectionError, aiohttp.ClientError):
            await asyncio.wait_for(self._socket.close(), 1.0)

    # ── what keeps it alive ──────────────────────────────────────────────────────────────────────────────────────

    async def _greet(self, version: int) -> None:
        """Wait for the handshake and for the namespace; from then on somebody pings."""
        handshake = json.loads((await self._receive()).removeprefix("0"))
        interval_s, patience_s = handshake["pingInterval"] / 1000, handshake["pingTimeout"] / 1000
        self._silence_s = interval_s + patience_s
        if version == 4:
            await self._socket.send_str("40")
        else:  # this side pings, and the server answers
            self._beat = asyncio.create_task(self._ping(interval_s))
        while not (text := await self._receive()).startswith("40"):
            if text.startswith("44"):
                raise RequestError(f"the stream at {self._host} refuses us.", fix="Check api_token.")  # no echo

    async def _ping(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await self._socket.send_str("2")

    async def _receive(self) -> str:
        """Return the next frame that says something; pings are answered."""
        while not self._why:
            try:
                message = await asyncio.wait_for(self._socket.receive(), self._silence_s)
            except TimeoutError:
                self.fail(f"nothing came for {self._silence_s:.0f} s, no ping either")
                break
            if message.type in _GONE:
                self.fail("the connection was cut")
            elif message.type is aiohttp.WSMsgType.TEXT:
                text = str(message.data)
                if text == "2":
                    await self._socket.send_str("3")
                elif text != "3":
                    return text
        raise self._ended()

    def _ended(self) -> ConnectivityError:
        return ConnectivityError(f"the stream at {self._host} has ended: {self._why}.", fix="Connect again.")
