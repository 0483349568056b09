"""Put the packets of MetaApi's stream in the order of their numbers, and notice the one that never comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Packet = dict[str, Any]
PATIENCE_S = 10.0  # how long a packet that was overtaken is waited for; MetaApi's own clients wait a minute


class Sequencer:
    """The numbers of one connection, which begin anew with each ``synchronizationStarted``.

    A packet that overtook others waits for them; two of the same number pass, as they do in MetaApi's own clients, so
    who reads them must not count anything twice.

    Parameters
    ----------
    lost
        Called when a packet has been missing for ``patience_s``.
    """

    def __init__(self, lost: Callable[[], None], patience_s: float = PATIENCE_S) -> None:
        self._lost, self._patience_s = lost, patience_s
        self._last: int | None = None
        self._waiting: dict[int, Packet] = {}
        self._alarm: asyncio.TimerHandle | None = None

    def put(self, packet: Packet) -> list[Packet]:
        """Take a packet; return those whose turn it is."""
        number = packet.get("sequenceNumber")
        if not isinstance(number, int):
            return [packet]
        if packet.get("type") == "synchronizationStarted":
            self._last, self._waiting = number, {n: p for n, p in self._waiting.items() if n > number}
            return [packet, *self._next()]
        if self._last is None or number < self._last:
            return []  # of a synchronization before
        if number == self._last:
            return [packet]
        self._waiting[number] = packet
        return self._next()

    def stop(self) -> None:
        """Miss nothing any more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _next(self) -> list[Packet]:
        ready = []
        while self._last is not None and self._last + 1 in self._waiting:
            self._last += 1
            ready.append(self._waiting.pop(self._last))
        if ready or not self._waiting:
            self.stop()
        if self._waiting and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(self._patience_s, self._lost)
        return ready
