"""Tell the venue's time: somebody's clock, and by how much the venue's own is wrong."""

from __future__ import annotations

from tradelab.model.clock import Clock, SystemClock
from tradelab.model.units import NS_PER_S


class VenueClock:
    """The clock the market runs by, and the one the venue shows, which a script may set wrong.

    Parameters
    ----------
    base
        What moves the market. ``skew_s`` is added only where the venue says the time or checks a time stamp.
    """

    def __init__(self, base: Clock) -> None:
        self.base = base
        self.skew_s = 0.0

    @property
    def speed(self) -> float:
        """How many seconds of the market pass in one of the machine; 0 where it is moved by hand."""
        return float(getattr(self.base, "speed", 1.0 if isinstance(self.base, SystemClock) else 0.0))

    @property
    def hurry(self) -> float:
        """By how much a moment of the machine, such as a request's way here, is longer on this clock; at least 1."""
        return max(1.0, self.speed)

    def market_ns(self) -> int:
        """Return the time the market has reached, UTC nanoseconds."""
        return self.base.now_ns()

    def shown_ns(self) -> int:
        """Return what the venue says the time is."""
        return self.base.now_ns() + int(self.skew_s * NS_PER_S)

    def shown_ms(self) -> int:
        """Return what the venue says the time is, in milliseconds."""
        return self.shown_ns() // 1_000_000
