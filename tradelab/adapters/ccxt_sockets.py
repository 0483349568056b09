"""Know which socket carries which stream of a ccxt client, and never use one again that has died."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import Any

from tradelab.adapters.ccxt_client import CcxtClient

_STREAM: ContextVar[Hashable | None] = ContextVar("stream", default=None)
_DIAL_S = 15.0  # longer than ccxt waits for a connection


class Sockets:
    """The sockets of one ccxt client and the streams on each.

    ccxt keeps a socket for ever under its address, with a note of what was subscribed to. One that is open and silent,
    or whose subscription the venue forgot, would be given again to whoever watches again, and nothing be sent. So a
    socket whose streams have all ended is closed, and one that failed a stream is closed for all of them: they hear
    that it broke, and the next to watch dials and subscribes anew.

    ccxt's own timers (the renewal of listen keys) run by our clock here, and end with the connection.
    """

    def __init__(self, client: CcxtClient) -> None:
        self._raw = client.raw
        self._clock = client.clock
        self._dial = self._raw.client
        self._carries: dict[Any, set[Hashable]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._raw.client, self._raw.delay = self._note, self._later

    def carry(self, stream: Hashable) -> None:
        """Count every socket that the running task asks ccxt for as one of this stream's."""
        _STREAM.set(stream)

    def leave(self, stream: Hashable, *, broke: bool) -> None:
        """Take a stream that has ended off its sockets; close those that carry nothing more, or all that ``broke``."""
        for socket in [s for s, streams in self._carries.items() if stream in streams]:
            self._carries[socket].discard(stream)
            if broke or not self._carries[socket]:
                self._drop(socket)

    async def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note(self, url: str) -> Any:
        socket = self._dial(url)
        if "://" not in url:  # ccxt also keeps clients that are never dialled, by a plain name
            return socket
        if socket not in self._carries:
            self._carries[socket] = set()
            _hush(socket)
        if (stream := _STREAM.get()) is not None:
            self._carries[socket].add(stream)
        return socket

    def _drop(self, socket: Any) -> None:
        del self._carries[socket]
        if self._raw.clients.get(socket.url) is socket:
            del self._raw.clients[socket.url]
        gone = ConnectionError("the socket was given up")
        socket.error = socket.error or gone  # else ccxt, on its close, forgets the next socket of that address
        socket.reject(gone)
        self._run(_close(socket))

    def _later(self, timeout_ms: float, method: Callable[..., Any], *args: Any) -> None:
        async def wait() -> None:
            await self._clock.sleep(timeout_ms / 1000)
            self._raw.spawn(method, *args)

        self._run(wait())

    def _run(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _close(socket: Any) -> None:
    """Close a socket, which may still be dialling."""
    if socket.connecting:
        await asyncio.wait({socket.connected}, timeout=_DIAL_S)
    await socket.close()


def _hush(socket: Any) -> None:
    """Let no future of a socket complain that nobody asked how it ended: whoever waits for one is told anyway."""
    make = socket.future

    def future(name: str) -> Any:
        made = make(name)
        made.remove_done_callback(_look)
        made.add_done_callback(_look)
        return made

    socket.future = future


def _look(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
