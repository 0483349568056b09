"""Say how something is heard of a venue at this moment: whether its stream stands, and how old the newest word is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One stream, as it stands.

    Parameters
    ----------
    what
        What comes by it: ``"bars 1m"``, ``"quotes"``, ``"orders"``, ``"fills"``.
    of
        The connection or account.
    symbol
        Of one market; ``None`` for all that an account does.
    connected
        Whether the stream is open.
    polled
        Whether it is asked for by REST: there is no stream, or it cannot be had just now.
    heard_ns
        When something new came last, by our clock; ``None``: nothing yet.
    reconnects
        How often the stream was opened again.
    """

    what: str
    of: str
    symbol: str | None = None
    connected: bool
    polled: bool = False
    heard_ns: int | None = None
    reconnects: int = 0

    @property
    def is_lost(self) -> bool:
        """Whether it stood before, and nothing comes by any way now."""
        return not self.connected and not self.polled and (self.reconnects > 0 or self.heard_ns is not None)
