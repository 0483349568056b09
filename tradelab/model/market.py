"""Say what a market did: candles, quotes, ticks."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.plain import Plain
from tradelab.model.units import Timeframe


@dataclass(frozen=True, slots=True, repr=False)
class Candle(Plain):
    """One bar by its open time; ``closed`` is false while it forms, and then it is never acted on.

    Prices are floats, as in the catalogue and the kernels; ``volume`` is NaN where there is none.
    """

    open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    closed: bool

    def follows(self, before: Candle, timeframe: Timeframe) -> bool:
        """Whether no bar is missing between ``before`` and this one, on a market that never closes."""
        return self.open_ns == timeframe.next_open(before.open_ns)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Quote(Plain):
    """Best bid and ask at ``ts_ns``, the venue's time; quantities are ``None`` where they were not told."""

    symbol: str
    bid: Decimal
    ask: Decimal
    ts_ns: int
    bid_qty: Decimal | None = None
    ask_qty: Decimal | None = None

    @property
    def mid(self) -> Decimal:
        """Half-way between bid and ask."""
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> Decimal:
        """Ask less bid; below zero is a crossed book that must not be traded on."""
        return self.ask - self.bid


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Tick(Plain):
    """One trade, or one change of the quote where a market has no trades (FX): then ``qty`` is ``None``."""

    ts_ns: int
    bid: Decimal
    ask: Decimal
    qty: Decimal | None = None
