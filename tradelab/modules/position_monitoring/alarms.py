"""Raise the same alarm about the same thing once in a while, a restart not forgotten."""

from __future__ import annotations

from tradelab.model.units import NS_PER_S


class Told:
    """When each alarm was raised last; a fold of what was raised.

    >>> told = Told()
    >>> told.raised("near_stop", "trend EURUSD", 0)
    >>> told.may("near_stop", "trend EURUSD", 5_000_000_000, every_s=10.0)
    False
    """

    def __init__(self) -> None:
        self._last_ns: dict[tuple[str, str], int] = {}

    def raised(self, kind: str, about: str, at_ns: int) -> None:
        """Note one."""
        self._last_ns[kind, about] = at_ns

    def may(self, kind: str, about: str, now_ns: int, *, every_s: float) -> bool:
        """Say whether it is time again."""
        last_ns = self._last_ns.get((kind, about))
        return last_ns is None or now_ns - last_ns >= every_s * NS_PER_S
