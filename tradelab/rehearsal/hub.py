"""Push frames to the sockets that asked for their topic, with every fault a stream can have."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import WSMsgType, web

from tradelab.model.units import NS_PER_S
from tradelab.rehearsal.clock import VenueClock
from tradelab.rehearsal.faults import Fault, Faults, Script

Send = Callable[[str], Awaitable[None]]


class Session:
    """One open socket: what it listens to, and the frames on their way to it, in order."""

    def __init__(self, send: Send, abort: Callable[[], None]) -> None:
        self.topics: dict[str, Any] = {}  # topic → what the dialect wants to know of the subscription
        self.account: str | None = None
        self._send = send
        self._abort = abort
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._task = asyncio.create_task(self._pump())
        self.held: str | None = None  # a frame that waits for the next one to overtake it

    def push(self, frame: str) -> None:
        """Put a frame on its way."""
        self._queue.put_nowait(frame)

    def abort(self) -> None:
        """Break the connection without a word."""
        self._task.cancel()
        self._abort()

    async def close(self) -> None:
        """Stop sending."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _pump(self) -> None:
        while True:
            frame = await self._queue.get()
            try:
                await self._send(frame)
            except (ConnectionError, RuntimeError):
                return  # the other side has gone; the reader of the socket notices and closes the session


class Hub:
    """All open sockets of a venue."""

    def __init__(self, clock: VenueClock, faults: Faults) -> None:
        self.sessions: list[Session] = []
        self._clock = clock
        self._faults = faults
        self._stalled: list[tuple[str, int]] = []  # a part of a topic, and until when
        self._tasks: set[asyncio.Task[None]] = set()

    def has(self, topic: str) -> bool:
        """Whether anybody listens."""
        return any(topic in s.topics for s in self.sessions)

    def topics(self) -> set[str]:
        """Return everything that is listened to."""
        return {topic for s in self.sessions for topic in s.topics}

    def publish(self, topic: str, frame: object, *, sessions: Iterable[Session] | None = None) -> None:
        """Send a frame to everyone who listens to a topic."""
        listening = [s for s in (self.sessions if sessions is None else sessions) if topic in s.topics]
        if not listening or self.is_stalled(topic):
            return
        text = frame if isinstance(frame, str) else json.dumps(frame, separators=(",", ":"))
        script = self._faults.take(topic, streams=True)
        for session in listening:
            self._deliver(session, text, script)
        if script is not None and script.fault is Fault.STALL:
            self.stall(script.on, script.seconds)

    def stall(self, part: str, seconds: float) -> None:
        """Say nothing on topics that contain ``part`` (``"*"``: on all), while pings are answered."""
        self._stalled.append((part, self._clock.market_ns() + int(seconds * NS_PER_S)))

    def resume(self) -> None:
        """End every stall."""
        self._stalled.clear()

    def is_stalled(self, topic: str) -> bool:
        """Whether a topic is silent now."""
        now = self._clock.market_ns()
        self._stalled = [(part, until) for part, until in self._stalled if until > now]
        return any(part in ("*", "") or part in topic for part, _ in self._stalled)

    def disconnect(self, part: str = "*") -> int:
        """Break every socket that listens to a topic containing ``part``; return how many."""
        broken = [s for s in self.sessions if part == "*" or any(part in t for t in s.topics)]
        for session in broken:
            self.sessions.remove(session)
            session.abort()
        return len(broken)

    def _deliver(self, session: Session, text: str, script: Script | None) -> None:
        fault = None if script is None else script.fault
        if fault in (Fault.STREAM_DROP, Fault.STALL):
            return
        if fault is Fault.DISCONNECT:
            self.sessions.remove(session)
            session.abort()
            return
        if fault is Fault.STREAM_DELAY and script is not None:
            self._later(session, text, script.seconds)
            return
        if fault is Fault.STREAM_REORDER:
            session.held = text
            return
        session.push(text)
        if fault is Fault.STREAM_DUPLICATE:
            session.push(text)
        if session.held is not None:
            session.push(session.held)
            session.held = None

    def _later(self, session: Session, text: str, seconds: float) -> None:
        async def wait() -> None:
            await self._clock.base.sleep(seconds)
            session.push(text)

        task = asyncio.create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End every session and what is still on its way."""
        for task in list(self._tasks):
            task.cancel()
        sessions, self.sessions = self.sessions, []
        for session in sessions:
            session.abort()
            await session.close()


async def converse(
    request: web.Request,
    hub: Hub,
    on_text: Callable[[Session, str], Awaitable[None]],
    begin: Session | None = None,
    *,
    on_open: Callable[[Session], None] | None = None,
    on_close: Callable[[Session], None] | None = None,
    heartbeat: float | None = None,
) -> web.WebSocketResponse:
    """Keep one WebSocket: pings are answered by the library, texts go to ``on_text``, until either side ends it.

    ``on_open`` is called before anything is read, ``on_close`` when all is over; ``heartbeat`` is how often the venue
    itself pings, in seconds of the machine, and whoever does not answer in half that time is cut off.
    """
    socket = web.WebSocketResponse(autoping=True, heartbeat=heartbeat)
    try:
        await socket.prepare(request)
    except ConnectionResetError as gone:  # who asked for it is not there any more
        raise web.HTTPBadRequest from gone

    def abort() -> None:
        if request.transport is not None:
            request.transport.abort()

    session = Session(socket.send_str, abort)
    if begin is not None:
        session.topics, session.account = begin.topics, begin.account
    hub.sessions.append(session)
    try:
        if on_open is not None:
            on_open(session)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await on_text(session, message.data)
    finally:
        if session in hub.sessions:
            hub.sessions.remove(session)
        if on_close is not None:
            on_close(session)
        await session.close()
    return socket
