"""Show the gates what they decide on: what is true, what the market was at last, and the bars behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote
from tradelab.model.signal import Signal
from tradelab.model.units import NS_PER_S, Timeframe
from tradelab.spine.config import BotConfig
from tradelab.spine.snapshot import Snapshot

COLUMNS = ("open", "high", "low", "close", "volume")


class Window:
    """The newest closed bars of one series: at most ``length``, oldest first.

    ``ts_ns`` are open times (int64), ``values`` is float64 (bars, 5): open, high, low, close, volume; the volume
    is NaN where there is none.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._ts = np.empty(2 * length, np.int64)
        self._values = np.empty((2 * length, len(COLUMNS)))
        self._end = 0

    def __len__(self) -> int:
        return min(self._end, self._length)

    def add(self, candle: Candle) -> bool:
        """Add a closed bar behind the others; one that is no newer is passed over, and said so by ``False``."""
        if not candle.closed or (self._end and candle.open_ns <= self._ts[self._end - 1]):
            return False
        if self._end == len(self._ts):
            first, keep = self._length + 1, self._length - 1
            self._ts[:keep], self._values[:keep] = self._ts[first:].copy(), self._values[first:].copy()
            self._end = keep
        self._ts[self._end] = candle.open_ns
        self._values[self._end] = (candle.open, candle.high, candle.low, candle.close, candle.volume)
        self._end += 1
        return True

    @property
    def ts_ns(self) -> np.ndarray:
        """Open times; a copy."""
        return self._ts[max(0, self._end - self._length) : self._end].copy()

    @property
    def values(self) -> np.ndarray:
        """Prices and volumes; a copy."""
        return self._values[max(0, self._end - self._length) : self._end].copy()


@dataclass(frozen=True, slots=True)
class SeenQuote:
    """A quote, and when we came to know it."""

    quote: Quote
    seen_ns: int


@dataclass(frozen=True, slots=True)
class View:
    """What a gate may look at; it changes nothing, and nothing in it changes.

    Parameters
    ----------
    now_ns
        By the venue's clock, UTC.
    quotes
        The newest by (connection, symbol).
    windows
        Closed bars by (connection, symbol, timeframe).
    """

    snapshot: Snapshot
    bot: BotConfig
    now_ns: int
    quotes: Mapping[tuple[str, str], SeenQuote]
    windows: Mapping[tuple[str, str, Timeframe], Window]

    @property
    def account(self) -> str:
        """The account that the bot trades."""
        return self.bot.execution

    def instrument(self, symbol: str) -> Instrument | None:
        """Return what is traded; ``None`` where the account does not list it."""
        return self.snapshot.instruments.get((self.account, symbol))

    def quote(self, symbol: str) -> SeenQuote | None:
        """Return the newest quote of the account that is traded, else of the one that data comes from."""
        return self.quotes.get((self.account, symbol)) or self.quotes.get((self.bot.source, symbol))

    def window(self, signal: Signal) -> Window | None:
        """Return the bars behind a signal; ``None`` for what no bar decided."""
        if signal.timeframe is None:
            return None
        return self.windows.get((self.bot.source, signal.symbol, signal.timeframe))

    def age_s(self, ts_ns: int) -> float:
        """How long ago something was."""
        return (self.now_ns - ts_ns) / NS_PER_S

    def equity(self) -> Decimal | None:
        """Return what the account is worth as the venue says, open profit and fees included; ``None``: unknown."""
        state = self.snapshot.accounts.get(self.account)
        return None if state is None or state.info is None else state.info.equity
