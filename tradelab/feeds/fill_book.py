"""Give each fill of an account out once, whatever way it comes, however often, in whatever order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from tradelab.model.orders import Fill

Key = tuple[str, str]


def key_of(fill: Fill) -> Key:
    """Return what a fill of one account at one venue is known by: symbol and trade id."""
    return fill.symbol, fill.trade_id


@dataclass(frozen=True, slots=True)
class FillCursor:
    """How far the fills of an account have been booked: enough to go on from, after a crash too.

    Parameters
    ----------
    since_ns
        Every fill before this was booked, or is none of ours; by the venue's clock, UTC nanoseconds.
    booked
        Symbol, trade id and time of the fills from then on that were booked.
    """

    since_ns: int
    booked: frozenset[tuple[str, str, int]] = frozenset()


class FillBook:
    """What is known of an account's fills, and those that wait to be taken.

    A fill is new if its symbol and id were not seen before. What was seen is remembered for ``remember_ns`` before the
    time up to which the venue has listed everything; a fill from before that is taken for one that was booked.

    Examples
    --------
    >>> book = FillBook(FillCursor(0), remember_ns=0)
    >>> book.pop() is None
    True
    """

    def __init__(self, cursor: FillCursor, *, remember_ns: int) -> None:
        self.since_ns = cursor.since_ns  # up to here the venue has listed everything
        self._floor_ns = cursor.since_ns  # older fills are none of ours
        self._remember_ns = remember_ns
        self._seen: dict[Key, int] = {(symbol, id_): ts_ns for symbol, id_, ts_ns in cursor.booked}
        self._waiting: deque[Fill] = deque()

    def __len__(self) -> int:
        """Return how many fills wait."""
        return len(self._waiting)

    def take(self, fills: Iterable[Fill]) -> int:
        """Let those that are new wait, oldest first among themselves; return how many."""
        new = {key_of(f): f for f in fills if f.ts_ns >= self._floor_ns and key_of(f) not in self._seen}
        for key, fill in sorted(new.items(), key=lambda item: (item[1].ts_ns, _in_order(item[1].trade_id))):
            self._seen[key] = fill.ts_ns
            self._waiting.append(fill)
        return len(new)

    def listed_until(self, ts_ns: int) -> None:
        """Know that the venue has listed every fill before ``ts_ns``, and forget those that are long past."""
        self.since_ns = max(self.since_ns, ts_ns)
        floor_ns = self._oldest_open_ns() - self._remember_ns
        if floor_ns > self._floor_ns:
            self._floor_ns = floor_ns
            self._seen = {key: at for key, at in self._seen.items() if at >= floor_ns}

    def pop(self) -> Fill | None:
        """Take the next fill that waits; from now on the cursor counts it as booked."""
        return self._waiting.popleft() if self._waiting else None

    def cursor(self) -> FillCursor:
        """Return how far fills have been taken; those that wait are not among them."""
        since_ns = self._oldest_open_ns()
        waiting = {key_of(f) for f in self._waiting}
        booked = ((*key, at) for key, at in self._seen.items() if at >= since_ns and key not in waiting)
        return FillCursor(since_ns, frozenset(booked))

    def _oldest_open_ns(self) -> int:
        """Return the time from which on not everything has been taken."""
        return min([self.since_ns, *(f.ts_ns for f in self._waiting)])


def _in_order(trade_id: str) -> tuple[int, str]:
    """Return a key by which ids that are numbers come in the order of numbers."""
    return (int(trade_id), "") if trade_id.isdigit() else (0, trade_id)
