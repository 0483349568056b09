"""Count trading beside it, never in its way: later, in a quiet moment; a mistake in it ends nothing but itself."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

from tradelab.model.messages import Recorded
from tradelab.modules.position_monitoring.analytics_log import KINDS, TradeLog
from tradelab.modules.position_monitoring.drift import Drift

_AT_MOST = 10_000  # messages that wait: a start tells millions


class Aside:
    """A trade log that is told at once, and counts when it is asked or when there is time.

    ``failure`` says in words why it has given up, which a restart of a mended tradelab makes good: all of it is a fold
    of the journal.
    """

    def __init__(self, log: logging.Logger) -> None:
        self.failure: str | None = None
        self._trades = TradeLog()
        self._waiting: deque[Recorded[Any]] = deque()
        self._found: list[Drift] = []
        self._log = log

    def remember(self, recorded: Recorded[Any]) -> None:
        """Note one message; the work is done later."""
        if self.failure is None and isinstance(recorded.message, KINDS):
            self._waiting.append(recorded)
            if len(self._waiting) > _AT_MOST:
                self.catch_up()

    def catch_up(self) -> TradeLog:
        """Count all that waits, and return the log."""
        try:
            while self._waiting:
                self._found.extend(self._trades.remember(self._waiting.popleft()))
        except Exception as error:  # noqa: BLE001 (told in the log and in the health; trading goes on)
            self.failure = f"trading is not counted any more: {type(error).__name__}: {error}"
            self._waiting.clear()
            self._log.exception("analytics have failed, and are left out")
        return self._trades

    def drifts(self) -> list[Drift]:
        """Return the trades that were compared with their shadows since this was asked last."""
        self.catch_up()
        found, self._found = self._found, []
        return found
