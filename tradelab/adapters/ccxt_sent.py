"""Remember which orders this process has sent, by name, so that the same wish is not sent twice by mistake."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from weakref import WeakValueDictionary

_REMEMBERED = 10_000
_NS_PER_MS = 1_000_000


class Sent:
    """Names of orders that may be at the venue; the oldest of very many are forgotten.

    A venue that refuses a name only while its order is open (Binance does) takes a market order of the same name again,
    and fills it again.

    >>> sent = Sent()
    >>> sent.mark("tl-1", 0)
    >>> sent.is_under_way("tl-1", 4_000_000_000, 5000), sent.is_under_way("tl-1", 6_000_000_000, 5000)
    (True, False)
    >>> sent.forget("tl-1"); "tl-1" in sent
    False
    """

    def __init__(self) -> None:
        self._at_ns: OrderedDict[str, int] = OrderedDict()
        self._alone: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def __contains__(self, name: str) -> bool:
        return name in self._at_ns

    def alone(self, name: str) -> asyncio.Lock:
        """Return what lets one task at a time send an order of that name."""
        lock = self._alone.get(name) or asyncio.Lock()
        self._alone[name] = lock
        return lock

    def mark(self, name: str, now_ns: int) -> None:
        """Note that an order of that name leaves now."""
        self._at_ns[name] = now_ns
        self._at_ns.move_to_end(name)
        if len(self._at_ns) > _REMEMBERED:
            self._at_ns.popitem(last=False)

    def forget(self, name: str) -> None:
        """Note that the venue has not taken it."""
        self._at_ns.pop(name, None)

    def is_under_way(self, name: str, now_ns: int, life_ms: int) -> bool:
        """Whether it may still arrive: it left no longer ago than a request lives."""
        return now_ns - self._at_ns[name] <= life_ms * _NS_PER_MS
