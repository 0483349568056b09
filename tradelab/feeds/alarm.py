"""Raise one alarm when a feed goes stale and lower it once, whatever number of reasons it had."""

from __future__ import annotations

from collections.abc import Callable

from tradelab.model.clock import Clock
from tradelab.model.feed_events import FeedAlarm, FeedPolling, FeedResumed, FeedStale
from tradelab.model.units import NS_PER_S, Timeframe


class Alarm:
    """The state of one feed's alarm: up while there is any reason for it.

    Parameters
    ----------
    timeframe
        ``None`` for quotes.
    tell
        Who is told of each change; it must not raise.
    """

    def __init__(
        self, source: str, symbol: str, timeframe: Timeframe | None, clock: Clock, tell: Callable[[FeedAlarm], None]
    ) -> None:
        self._name = (source, symbol, timeframe)
        self._clock = clock
        self.tell = tell
        self._reasons: set[str] = set()
        self._since_ns = 0

    @property
    def is_up(self) -> bool:
        """Whether there is a reason for alarm now."""
        return bool(self._reasons)

    def stale(self, reason: str, age_s: float, says: str) -> None:
        """Data are ``age_s`` old, for ``reason``: told the first time only."""
        if reason not in self._reasons:
            self._add(reason)
            self.tell(FeedStale(*self._name, age_s, says))

    def polling(self, every_s: float, says: str) -> None:
        """The stream is given up for now."""
        if "polling" not in self._reasons:
            self._add("polling")
            self.tell(FeedPolling(*self._name, every_s, says))

    def clear(self, *reasons: str) -> None:
        """These reasons are gone; when they were the last ones, the feed has resumed."""
        if self._reasons and not (self._reasons - set(reasons)):
            self.tell(FeedResumed(*self._name, (self._clock.now_ns() - self._since_ns) / NS_PER_S))
        self._reasons -= set(reasons)

    def _add(self, reason: str) -> None:
        if not self._reasons:
            self._since_ns = self._clock.now_ns()
        self._reasons.add(reason)
