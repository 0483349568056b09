"""Know which socket carries which stream of a ccxt client, and never use one again that has died."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from contextvars import ContextVar
from typing import Any

from tradelab.adapters.ccxt_client import CcxtClient

_STREAM: ContextVar[Hashable | None] = ContextVar("stream", default=None)
_RENEWAL = "keep_alive_listen_key"


class Sockets:
    """The sockets of one ccxt client and the streams on each.

    ccxt keeps a socket for ever under its address, with a note of what was subscribed to. One that is open and silent,
    or whose subscription the venue forgot, would be given again to whoever watches again, and nothing be sent. So a
    socket whose streams have all ended is closed, and one that failed a stream is closed for all of them: they hear
    that it broke, and the next to watch dials and subscribes anew.

    ccxt's own timers (the renewal of listen keys) run by our clock here, and end with the connection.
    """

    def __init__(self, client: CcxtClient) -> None:
        self._client = client
        self._raw = client.raw
        self._clock = client.clock
        self._dial = self._raw.client
        self._carries: dict[Any, set[Hashable]] = {}
        self._dialling: dict[Any, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewal: asyncio.Task[None] | None = None
        self._raw.client, self._raw.delay = self._note, self._later

    def carry(self, stream: Hashable) -> None:
        """Count every socket that the running task asks ccxt for as one of this stream's."""
        _STREAM.set(stream)

    def leave(self, stream: Hashable, *, broke: bool) -> None:
        """Take a stream that has ended off its sockets; close those that carry nothing more, or all that ``broke``.

        One that ended in the middle of a login takes all who wait for that login with it: ccxt logs in once for all,
        and nobody would ever hear the end of it.
        """
        for socket in [s for s, streams in self._carries.items() if stream in streams]:
            self._carries[socket].discard(stream)
            if not _is_dialled(socket):
                socket.reject(_gone())
            elif broke or not self._carries[socket] or _is_logging_in(socket):
                self._drop(socket)

    async def close(self) -> None:
        """End what runs in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _note(self, url: str) -> Any:
        if "://" in url and url not in self._raw.clients:
            self._client.budgets.whole.require_open()  # to dial is to ask, too
        socket = self._dial(url)
        if socket not in self._carries:
            self._carries[socket] = set()
            _hush(socket)
            self._open_by_our_clock(socket)
        if (stream := _STREAM.get()) is not None:
            self._carries[socket].add(stream)
        return socket

    def _open_by_our_clock(self, socket: Any) -> None:
        """Let ccxt's pause before it dials again pass on our clock, and end with the connection."""
        dial = socket.open

        async def wait_and_dial(session: Any, pause_s: float) -> None:
            await self._clock.sleep(pause_s)
            await dial(session)

        def open_(session: Any, pause_s: float = 0) -> asyncio.Task[None]:
            self._dialling[socket] = self._run(wait_and_dial(session, pause_s) if pause_s else dial(session))
            return self._dialling[socket]

        socket.open = open_

    def _drop(self, socket: Any) -> None:
        del self._carries[socket]
        if self._raw.clients.get(socket.url) is socket:
            del self._raw.clients[socket.url]
        socket.error = socket.error or _gone()  # else ccxt, on its close, forgets the next socket of that address
        socket.on_message_callback = lambda *_: None
        socket.reject(_gone())
        if (dialling := self._dialling.pop(socket, None)) is not None:
            dialling.cancel()
        self._run(socket.close())

    # ── what ccxt does later ─────────────────────────────────────────────────────────────────────────────────────

    def _later(self, timeout_ms: float, method: Callable[..., Any], *args: Any) -> None:
        renews = method.__name__ == _RENEWAL
        if renews and self._renewal not in (None, asyncio.current_task()):
            self._renewal.cancel()
        task = self._run(self._wait_and_do(timeout_ms, method, *args))
        if renews:
            self._renewal = task

    async def _wait_and_do(self, timeout_ms: float, method: Callable[..., Any], *args: Any) -> None:
        await self._clock.sleep(timeout_ms / 1000)
        this = asyncio.current_task()
        await asyncio.gather(method(*args), return_exceptions=True)  # who waits for what it does is told by ccxt
        if self._renewal is this and self._has_listen_key():
            self._later(timeout_ms, method, *args)  # ccxt means to, and looks for its sockets where there are none

    def _has_listen_key(self) -> bool:
        return any(isinstance(kind, dict) and kind.get("listenKey") for kind in self._raw.options.values())

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _gone() -> ConnectionError:
    return ConnectionError("the socket was given up")


def _is_dialled(socket: Any) -> bool:
    """Whether it is more than a plain name, under which ccxt keeps what is under way."""
    return "://" in socket.url


def _is_logging_in(socket: Any) -> bool:
    waiting = (f for name, f in socket.futures.items() if str(name).startswith("authenticat"))
    return any(f.cancelled() or not f.done() for f in waiting)


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
