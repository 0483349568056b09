"""Measure how long positions stood with nothing to stop them: from the first fill on, and whenever it is so again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tradelab.model.states import Protection
from tradelab.spine.snapshot import PositionKey

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Spread:
    """Of so many measurements, half and all but a hundredth are no longer than this; ``None`` without any."""

    count: int
    p50: float | None
    p99: float | None
    longest: float | None


@dataclass(slots=True)
class _Open:
    since_ns: int  # the first fill
    exposed_ns: int | None  # since when nothing stops it
    by: Protection | None = None  # nothing was said of it yet: there may be no stop to stand
    was_at_venue: bool = False


class Exposure:
    """Times without protection, in milliseconds; a fold of fills and of what was said of protection.

    ``unprotected_ms`` has one entry for each time a position stood with neither a stop that the venue's list showed nor
    a fresh quote to watch it by; ``unconfirmed_ms`` one for each position, from its first fill until the venue's own
    list showed its stop.
    """

    def __init__(self) -> None:
        self._open: dict[PositionKey, _Open] = {}
        self.unprotected_ms: list[float] = []
        self.unconfirmed_ms: list[float] = []

    def opened(self, key: PositionKey, at_ns: int) -> None:
        """Begin: a first fill, and nothing stops it yet."""
        self._open[key] = _Open(at_ns, at_ns)

    def changed(self, key: PositionKey, by: Protection, at_ns: int) -> None:
        """Note what stops a position from now on."""
        it = self._open.get(key)
        if it is None:
            return
        it.by = by
        if by is Protection.NONE:
            it.exposed_ns = at_ns if it.exposed_ns is None else it.exposed_ns
        elif it.exposed_ns is not None:
            self.unprotected_ms.append((at_ns - it.exposed_ns) / _NS_PER_MS)
            it.exposed_ns = None
        if by is Protection.VENUE and not it.was_at_venue:
            it.was_at_venue = True
            self.unconfirmed_ms.append((at_ns - it.since_ns) / _NS_PER_MS)

    def closed(self, key: PositionKey, at_ns: int) -> None:
        """End: it is flat."""
        it = self._open.pop(key, None)
        if it is not None and it.exposed_ns is not None and it.by is not None:
            self.unprotected_ms.append((at_ns - it.exposed_ns) / _NS_PER_MS)

    def unwatched(self, since_ns: int) -> None:
        """Note that nobody has watched since then: the engine was not there."""
        for key, it in self._open.items():
            if it.by is Protection.HERE:
                self.changed(key, Protection.NONE, since_ns)

    def exposed_for_ms(self, key: PositionKey, now_ns: int) -> float:
        """How long nothing has stopped a position now; 0 where something does."""
        it = self._open.get(key)
        return 0.0 if it is None or it.exposed_ns is None else (now_ns - it.exposed_ns) / _NS_PER_MS


def spread(values: Sequence[float]) -> Spread:
    """Say how measurements spread, by the nearest rank.

    >>> spread([4.0, 1.0, 3.0, 2.0])
    Spread(count=4, p50=2.0, p99=4.0, longest=4.0)
    """
    ordered = sorted(values)
    if not ordered:
        return Spread(0, None, None, None)
    p50, p99 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.99))
    return Spread(len(ordered), p50, p99, ordered[-1])
