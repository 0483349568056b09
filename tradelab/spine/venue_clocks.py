"""Measure how far each venue's clock is from ours: its time is asked, and half of the way there and back allowed for.

A venue refuses what is stamped seconds away from its own time, and bars close by its clock. What is measured here is
shown; adapters sign by what they measure themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tradelab.model.clock import Clock, speed_of
from tradelab.model.errors import VenueError
from tradelab.model.ports import Connected
from tradelab.model.units import NS_PER_S

_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Offset:
    """One measurement: the venue's time less ours, how long the way took, and when it was made.

    The error is at most half of the way.
    """

    offset_ns: int
    trip_ns: int
    asked_ns: int


class VenueClocks:
    """The newest measurement of every connection that is somewhere else.

    Parameters
    ----------
    connections
        By name; one that lives in this process has our clock, and is not asked.
    """

    def __init__(self, connections: Mapping[str, Connected], clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[str, Connected] = {}
        for name, connection in connections.items():
            in_process = getattr(getattr(connection, "capabilities", None), "in_process", False)
            if not in_process and all(connection is not other for other in self._asked.values()):
                self._asked[name] = connection
        self._offsets: dict[str, Offset] = {}
        self._troubles: dict[str, str] = {}

    async def look(self) -> None:
        """Ask every venue for its time once; one that does not answer keeps what was measured before, which ages."""
        for name, connection in self._asked.items():
            sent_ns = self._clock.now_ns()
            try:
                told_ns = await connection.now_ns()
            except VenueError as error:
                self._troubles[name] = error.problem
                continue
            came_ns = self._clock.now_ns()
            self._troubles.pop(name, None)
            self._offsets[name] = Offset(told_ns - (sent_ns + came_ns) // 2, came_ns - sent_ns, sent_ns)

    def offset(self, name: str) -> Offset | None:
        """Return the newest measurement of a connection."""
        return self._offsets.get(name)

    def told(self) -> dict[str, dict[str, Any]]:
        """Return all of it as the health shows it; what was never measured is ``None``.

        ``speed`` is that of our clock: in a rehearsal at sixty times the speed, an answer that takes ten milliseconds
        more on the wall is off by six tenths of a second here.
        """
        now_ns = self._clock.now_ns()
        return {name: self._shown(name, now_ns) for name in self._asked}

    def _shown(self, name: str, now_ns: int) -> dict[str, Any]:
        it, trouble = self._offsets.get(name), self._troubles.get(name)
        speed = speed_of(self._clock)
        if it is None:
            return {"offset_ms": None, "trip_ms": None, "age_s": None, "trouble": trouble, "speed": speed}
        return {
            "offset_ms": round(it.offset_ns / _MS, 3),
            "trip_ms": round(it.trip_ns / _MS, 3),
            "age_s": round((now_ns - it.asked_ns) / NS_PER_S, 1),
            "trouble": trouble,
            "speed": speed,
        }
