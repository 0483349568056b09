"""Give a module its own ear at the bus: a mistake inside it leads to what its manifest says, and to nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tradelab.model.errors import InvariantError
from tradelab.model.messages import Message, Recorded
from tradelab.spine.bus import Bus, Heard, M


class ModuleBus:
    """The bus as one module has it.

    Parameters
    ----------
    failed
        Told of an exception inside one of the module's hearers, in the same transaction.
    """

    def __init__(self, bus: Bus, failed: Callable[[BaseException], None]) -> None:
        self._bus = bus
        self._failed = failed
        self.is_deaf = False

    def hear(self, kind: type[M], hearer: Callable[[Recorded[M]], None]) -> None:
        """Let the module hear a kind of message, as long as it is not left out."""

        def guarded(recorded: Recorded[M]) -> None:
            if self.is_deaf:
                return
            try:
                hearer(recorded)
            except InvariantError:
                raise
            except Exception as error:  # noqa: BLE001 (what it leads to is the module's own declaration)
                self._failed(error)

        self._bus.hear(kind, guarded)

    def look_on(self, onlooker: Heard) -> None:
        """See everything that is kept."""
        self._bus.look_on(onlooker)

    def say(self, message: Message, *, ts_event_ns: int | None = None) -> None:
        """Say something."""
        self._bus.say(message, ts_event_ns=ts_event_ns)

    def then(self, deed: Callable[[], None]) -> None:
        """Do something once what was said is kept."""
        self._bus.then(deed)

    @property
    def transaction(self) -> Any:
        """The transaction in which it is kept."""
        return self._bus.transaction
