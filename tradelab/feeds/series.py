"""Name one series of bars, and tell when its bars end and which may follow which."""

from __future__ import annotations

from dataclasses import dataclass

from tradelab.catalog.bars import BarRow
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_DAY, Timeframe


@dataclass(frozen=True, slots=True)
class Series:
    """One (source, symbol, timeframe).

    Most bars open on our grid (:meth:`Timeframe.floor`). Those of a broker whose day begins in New York or Athens do
    not, and come an hour early or late twice a year; every answer here allows for that.

    >>> from tradelab.model.units import NS_PER_HOUR
    >>> hours = Series("binance", "BTC/USDT", Timeframe.H1)
    >>> hours.closes_ns(0) == NS_PER_HOUR, hours.is_next(0, NS_PER_HOUR), hours.is_next(0, 2 * NS_PER_HOUR)
    (True, True, False)
    """

    source: str
    symbol: str
    timeframe: Timeframe

    def __str__(self) -> str:
        return f"{self.source} {self.symbol} {self.timeframe.alias}"

    def on_grid(self, open_ns: int) -> bool:
        """Whether a bar opens where ours do."""
        return self.timeframe.floor(open_ns) == open_ns

    def closes_ns(self, open_ns: int) -> int:
        """Return when the bar that opens there is over; off the grid never too early (a month counts 31 days)."""
        if self.on_grid(open_ns):
            return self.timeframe.next_open(open_ns)
        return open_ns + (31 * NS_PER_DAY if self.timeframe is Timeframe.MN else self.timeframe.ns)

    def is_next(self, before_ns: int, open_ns: int) -> bool:
        """Whether no bar can be missing between the bars that open at these two times."""
        if self.on_grid(before_ns) and self.on_grid(open_ns):
            return open_ns == self.timeframe.next_open(before_ns)
        return before_ns < open_ns and 2 * (open_ns - before_ns) < 3 * self.timeframe.ns

    def earliest_after(self, open_ns: int) -> int:
        """Return the earliest time at which the next bar could open."""
        if self.on_grid(open_ns):
            return self.timeframe.next_open(open_ns)
        return open_ns + self.timeframe.ns // 2

    def bars_between(self, start_ns: int, end_ns: int) -> int:
        """Return how many bars open from ``start_ns`` to before ``end_ns`` at most."""
        shortest = 28 * NS_PER_DAY if self.timeframe is Timeframe.MN else self.timeframe.ns
        return -((start_ns - end_ns) // shortest)

    def row(self, candle: Candle) -> BarRow:
        """Return the candle as the catalogue takes it."""
        c = candle
        return BarRow(
            self.source, self.symbol, self.timeframe, c.open_ns, c.open, c.high, c.low, c.close, c.volume, c.closed
        )
