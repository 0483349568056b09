"""Tell readers what happens, in order, and never wait for one of them.

What stands in the journal is told with its number, none left out: a reader who is too slow is cut off, comes back with
the last number he saw, and reads the rest from the journal. What is only of the moment (quotes, a pulse) has no number;
of it the newest is kept and the rest forgotten.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any

from tradelab.model.messages import KINDS, Recorded
from tradelab.spine.codec import encode
from tradelab.store.journal import Journal, Row

ALL, PASSING = "messages", ("pulse", "quote")
MOST = 2_000  # messages that may wait for one reader
_PAGE = 500
_ALIVE_S = 10.0


@dataclass(slots=True)
class Counts:
    """How readers fare, since the start."""

    readers: int = 0
    cut: int = 0
    passing_forgotten: int = 0


class Reader:
    """One who listens: what waits for him, and how he is told that something does."""

    def __init__(self, kinds: Collection[str], most: int, cut: Callable[[], None]) -> None:
        self._kinds = kinds
        self._most = most
        self._cut = cut
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._passing: dict[str, bytes] = {}
        self._woken = asyncio.Event()
        self.is_cut = False

    def wants(self, kind: str) -> bool:
        """Whether he asked for messages of this kind."""
        return wants(self._kinds, kind)

    def push(self, seq: int, frame: bytes) -> bool:
        """Let a numbered message wait for him; ``False``: he is too slow, and was cut off."""
        if len(self._waiting) >= self._most:
            self.is_cut = True
            self._waiting.clear()
            self._passing.clear()
            self._cut()
        else:
            self._waiting.append((seq, frame))
        self._woken.set()
        return not self.is_cut

    def show(self, key: str, frame: bytes) -> bool:
        """Let something of the moment wait for him; ``True``: an older one of the same key was forgotten."""
        forgotten = self._passing.pop(key, None) is not None
        self._passing[key] = frame
        self._woken.set()
        return forgotten

    def leave(self) -> None:
        """Let him go, in good order."""
        self.is_cut = True
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until something is there, at most so long; ``False``: nothing came."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def take(self) -> tuple[list[tuple[int, bytes]], list[bytes]]:
        """Return what waits: numbered, and of the moment; nothing waits after."""
        numbered, passing = list(self._waiting), list(self._passing.values())
        self._waiting.clear()
        self._passing.clear()
        return numbered, passing


class Hub:
    """Hands what the bus keeps on to everybody who reads along.

    Parameters
    ----------
    journal
        Where what was said before is read.
    seq
        Tells the number of the last message.
    most
        How many messages may wait for one reader before he is cut off.
    """

    def __init__(self, journal: Journal, seq: Callable[[], int], *, most: int = MOST) -> None:
        self._journal = journal
        self._seq = seq
        self._most = most
        self._readers: set[Reader] = set()
        self.counts = Counts()

    def told(self, recorded: Recorded[Any]) -> None:
        """Hand a message on; what this costs does not depend on how fast anybody reads."""
        if not self._readers:
            return
        kind, body = encode(recorded.message)
        frame = frame_of(recorded.seq, recorded.ts_event_ns, recorded.ts_init_ns, recorded.cause, kind, body)
        for reader in tuple(self._readers):
            if reader.wants(kind) and not reader.push(recorded.seq, frame):
                self._leave(reader)
                self.counts.cut += 1

    def close(self) -> None:
        """Let every reader go; what they were not told they read when they come back."""
        for reader in tuple(self._readers):
            reader.leave()

    def show(self, key: str, kind: str, data: dict[str, Any]) -> None:
        """Show something of the moment; of one ``key`` a slow reader sees only the newest."""
        if not self._readers:
            return
        frame = f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
        for reader in self._readers:
            if reader.wants(kind):
                self.counts.passing_forgotten += reader.show(key, frame)

    async def read(
        self, after: int | None, kinds: Collection[str], cut: Callable[[], None], *, alive_s: float = _ALIVE_S
    ) -> AsyncGenerator[bytes, None]:
        """Yield frames behind number ``after``, then those that come; ``None`` begins with what comes now.

        Ends when the reader was cut off. Each pause of ``alive_s`` seconds yields a frame that says only how far he is.
        """
        last = self._seq() if after is None else after
        yield f": tradelab\nid: {last}\n\n".encode()
        async for seq, frame in self._old(last, kinds):
            last = seq
            if frame:
                yield frame
        reader = Reader(kinds, self._most, cut)
        self._readers.add(reader)
        self.counts.readers = len(self._readers)
        try:
            async for seq, frame in self._old(last, kinds):  # what was said between the last page and now
                last = seq
                if frame:
                    yield frame
            while not reader.is_cut:
                if not await reader.wait(alive_s):
                    yield f": alive\nid: {last}\n\n".encode()
                numbered, passing = reader.take()
                for seq, frame in numbered:
                    if seq > last:
                        last = seq
                        yield frame
                for frame in passing:
                    yield frame
        finally:
            self._leave(reader)

    def _leave(self, reader: Reader) -> None:
        self._readers.discard(reader)
        self.counts.readers = len(self._readers)

    async def _old(self, after: int, kinds: Collection[str]) -> AsyncIterator[tuple[int, bytes]]:
        """Yield what the journal has behind a number, page by page, read on a thread; other kinds as nothing."""
        while True:
            page = await asyncio.to_thread(lambda last: list(self._journal.rows(last, limit=_PAGE)), after)
            for row in page:
                yield row.seq, _framed(row) if wants(kinds, row.kind) else b""
            if len(page) < _PAGE:
                return
            after = page[-1].seq


def known_kinds() -> tuple[str, ...]:
    """Return what a reader may ask for: all that is numbered, what is of the moment, and each kind by itself."""
    return (ALL, *PASSING, *KINDS)


def wants(kinds: Collection[str], kind: str) -> bool:
    """Whether who asked for ``kinds`` is told one; who asked for none is told all that is numbered.

    >>> wants((), "TradeExecuted"), wants((), "quote"), wants(("messages", "quote"), "quote")
    (True, False, True)
    """
    return kind in kinds or (kind not in PASSING and (not kinds or ALL in kinds))


def frame_of(seq: int, ts_event_ns: int, ts_init_ns: int, cause: int | None, kind: str, body: str) -> bytes:
    r"""Return a message as an event of the stream (WHATWG HTML, 9.2 Server-sent events).

    >>> frame_of(7, 1, 2, None, "NodeStopped", '{"says":"bye"}').decode().splitlines()[:2]
    ['id: 7', 'event: NodeStopped']
    """
    head = f'"seq":{seq},"ts_event_ns":{ts_event_ns},"ts_init_ns":{ts_init_ns},"cause":{json.dumps(cause)}'
    one_line = body.replace("\r", "").replace("\n", " ")  # JSON of ours has no line breaks; an old row might
    return f'id: {seq}\nevent: {kind}\ndata: {{{head},"kind":"{kind}","body":{one_line}}}\n\n'.encode()


def _framed(row: Row) -> bytes:
    return frame_of(row.seq, row.ts_event_ns, row.ts_init_ns, row.cause, row.kind, row.body)
