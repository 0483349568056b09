"""Keep messages in the journal of the records, or in memory for a replay of history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tradelab.model.errors import InvariantError
from tradelab.model.messages import Message, Recorded
from tradelab.spine.codec import decode, encode
from tradelab.store.journal import FillKey, Journal, Writing


class JournalKeeper:
    """Keeps messages in a journal of the records."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @contextmanager
    def writing(self) -> Iterator[_Kept]:
        """Give a transaction."""
        with self._journal.writing() as writing:
            yield _Kept(writing)

    def recorded(self, after: int = 0) -> Iterator[Recorded[Any]]:
        """Yield all that was ever said behind number ``after``, in order."""
        for row in self._journal.rows(after):
            yield Recorded(row.seq, row.ts_event_ns, row.ts_init_ns, row.cause, decode(row.kind, row.body))


class _Kept:
    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self.transaction: Any = writing.transaction

    def append(self, message: Message, ts_event_ns: int, ts_init_ns: int, cause: int | None) -> int:
        """Add a message."""
        return self._writing.append(*encode(message), ts_event_ns, ts_init_ns, cause).seq

    def book(self, account: str, symbol: str, trade_id: str) -> None:
        """Bind it to a fill."""
        self._writing.book(FillKey(account, symbol, trade_id))


class MemoryKeeper:
    """Keeps messages in a list: a replay of history needs no disk.

    >>> keeper = MemoryKeeper()
    >>> with keeper.writing() as keeping:
    ...     keeping.append(Message(), 0, 0, None)
    1
    """

    transaction: Any = None

    def __init__(self) -> None:
        self.said: list[Recorded[Any]] = []
        self._fills: set[tuple[str, str, str]] = set()

    @contextmanager
    def writing(self) -> Iterator[MemoryKeeper]:
        """Give itself: nothing is taken back here, for a replay that fails is thrown away."""
        yield self

    def recorded(self, after: int = 0) -> Iterator[Recorded[Any]]:
        """Yield all that was said behind number ``after``."""
        yield from self.said[after:]

    def append(self, message: Message, ts_event_ns: int, ts_init_ns: int, cause: int | None) -> int:
        """Add a message."""
        self.said.append(Recorded(len(self.said) + 1, ts_event_ns, ts_init_ns, cause, message))
        return len(self.said)

    def book(self, account: str, symbol: str, trade_id: str) -> None:
        """Note a fill."""
        key = (account, symbol, trade_id)
        if key in self._fills:
            raise InvariantError(f"fill {trade_id!r} of {symbol} on {account!r} was about to be booked twice.")
        self._fills.add(key)
