"""Declare how often a feed should say something, and what to do when it does not."""

from __future__ import annotations

from dataclasses import dataclass

from tradelab.model.errors import ParameterError
from tradelab.model.units import NS_PER_S, Timeframe


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """What is expected of one feed.

    Parameters
    ----------
    expected_interval_s
        The longest that a healthy stream is silent. After twice as long without new data it is stale: an alarm, and a
        new connection.
    poll_s
        How often to ask by REST while there is no stream.
    reconnects
        Connections in a row that brought no data before polling begins.
    longest_pause_s
        The longest wait between two attempts at a stream.
    may_be_silent
        Silence is no sign of death where nothing may be happening (an account's fills): a connection that has stayed
        open for twice the expected interval counts as news.
    """

    expected_interval_s: float
    poll_s: float
    reconnects: int = 5
    longest_pause_s: float = 60.0
    may_be_silent: bool = False

    def __post_init__(self) -> None:
        for name in ("expected_interval_s", "poll_s", "reconnects", "longest_pause_s"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name}={getattr(self, name)!r} must be above zero.")

    @property
    def stale_after_ns(self) -> int:
        """Nanoseconds without new data after which a feed is stale: twice the expected interval."""
        return int(2 * self.expected_interval_s * NS_PER_S)

    @classmethod
    def of_bars(cls, timeframe: Timeframe) -> Rhythm:
        """Return what may be expected of candles: venues push the forming bar every few seconds while there is trade.

        15 seconds leaves room for the slower ones (most push every one or two); a quiet market needs more, or it is
        polled. Polled four times a bar, at least every minute and at most every five seconds.

        >>> Rhythm.of_bars(Timeframe.M1).poll_s, Rhythm.of_bars(Timeframe.H4).poll_s
        (15.0, 60.0)
        """
        return cls(expected_interval_s=15.0, poll_s=min(60.0, max(5.0, timeframe.ns / NS_PER_S / 4)))

    @classmethod
    def of_quotes(cls) -> Rhythm:
        """Return what may be expected of quotes: several a second in a liquid market, fewer elsewhere."""
        return cls(expected_interval_s=5.0, poll_s=2.0)
