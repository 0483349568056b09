"""Replay real bars as trades: every bar becomes a few prints that meet its open, high, low and close."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd

from tradelab.catalog.frame import as_bars, from_arrays, infer_timeframe, time_ns
from tradelab.model.errors import TooFewBarsError
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle
from tradelab.model.units import Timeframe

LEGS = 3  # open to one extreme, to the other, to the close


@dataclass(frozen=True, slots=True)
class Print:
    """One trade of the replayed market."""

    ts_ns: int
    symbol: str
    price: Decimal
    qty: Decimal


class Tape:
    """One market's bars, moved in time so that its bar number ``start_bar`` opens at ``start_ns``.

    A rising bar goes open, low, high, close; a falling one open, high, low, close. Between those corners lie
    ``prints_per_leg`` trades, each with an equal share of the bar's volume. A bar without volume trades
    ``fallback_volume``.

    Parameters
    ----------
    instrument
        What is traded; prices are put on its tick.
    bars
        Real bars as :func:`tradelab.catalog.frame.as_bars` takes them.
    start_ns
        When the replay begins; the bars before ``start_bar`` are history by then. ``None`` leaves the bars in their own
        time.
    start_bar
        How many bars are history at the start.
    """

    def __init__(
        self,
        instrument: Instrument,
        bars: pd.DataFrame,
        *,
        start_ns: int | None = None,
        start_bar: int = 0,
        prints_per_leg: int = 4,
        fallback_volume: float = 100.0,
    ) -> None:
        bars = as_bars(bars)
        if len(bars) <= start_bar:
            raise TooFewBarsError(
                f"{instrument.symbol}: {len(bars)} bars, and the replay begins after {start_bar}.",
                fix="Give more bars, or a shorter history.",
            )
        self.instrument = instrument
        self.timeframe: Timeframe = infer_timeframe(bars)
        stamps = time_ns(bars)
        self.shift_ns = 0 if start_ns is None else self.timeframe.floor(start_ns) - int(stamps[start_bar])
        self.open_ns = stamps + self.shift_ns
        self.start_ns = int(self.open_ns[start_bar])
        self._values = {c: bars[c].to_numpy() for c in ("open", "high", "low", "close")}
        volume = np.nan_to_num(bars["volume"].to_numpy(), nan=0.0)
        self._volume = np.where(volume > 0, volume, fallback_volume)
        self.prints_per_leg = prints_per_leg

    @property
    def bars(self) -> pd.DataFrame:
        """The bars as they are replayed: moved in time, each with a volume."""
        return from_arrays(self.open_ns, {**self._values, "volume": self._volume})

    @property
    def end_ns(self) -> int:
        """When the last bar closes; nothing trades after it."""
        return int(self.open_ns[-1]) + self.timeframe.ns

    @cached_property
    def _tick(self) -> Decimal:
        return self.instrument.tick_size

    def on_tick(self, price: float) -> Decimal:
        """Return a price on the tick."""
        return (Decimal(repr(float(price))) / self._tick).to_integral_value(ROUND_HALF_EVEN) * self._tick

    def prints(self, after_ns: int, until_ns: int) -> Iterator[Print]:
        """Yield the trades after ``after_ns`` up to and with ``until_ns``, in order."""
        first = max(0, int(np.searchsorted(self.open_ns, after_ns, side="right")) - 1)
        last = int(np.searchsorted(self.open_ns, until_ns, side="right"))
        for bar in range(first, last):
            for trade in self._prints_of(bar):
                if after_ns < trade.ts_ns <= until_ns:
                    yield trade

    def _prints_of(self, bar: int) -> list[Print]:
        open_, high, low, close = (float(self._values[c][bar]) for c in ("open", "high", "low", "close"))
        corners = (open_, low, high, close) if close >= open_ else (open_, high, low, close)
        path = [corners[0]]
        for start, end in pairwise(corners):
            path += [start + (end - start) * k / self.prints_per_leg for k in range(1, self.prints_per_leg + 1)]
        step = self.instrument.qty_step
        share = Decimal(repr(float(self._volume[bar]))) / len(path)
        qty = max(step, (share / step).to_integral_value() * step)
        opened, length = int(self.open_ns[bar]), self.timeframe.ns
        times = [opened + length * k // len(path) for k in range(len(path))]
        symbol = self.instrument.symbol
        return [Print(t, symbol, self.on_tick(p), qty) for t, p in zip(times, path, strict=True)]

    def first_price(self) -> Decimal:
        """Return the price of the first trade."""
        return self.on_tick(self._values["open"][0])

    def usual_qty(self) -> Decimal:
        """Return what one print trades, as a rule."""
        step = self.instrument.qty_step
        share = Decimal(repr(float(np.median(self._volume)))) / (LEGS * self.prints_per_leg + 1)
        return max(step, (share / step).to_integral_value() * step)

    # ── candles ──────────────────────────────────────────────────────────────────────────────────────────────────

    def candles(self, timeframe: Timeframe, since_ns: int, until_ns: int, now_ns: int) -> list[Candle]:
        """Return bars that open from ``since_ns`` to before ``until_ns``, as the venue knows them at ``now_ns``.

        The last one may be forming: it holds the prints that have happened.
        """
        if timeframe is not Timeframe.MN and timeframe.ns < self.timeframe.ns:
            return []  # the venue has nothing finer than its tape
        begin = timeframe.floor(max(since_ns, int(self.open_ns[0])))
        end = min(until_ns, now_ns + 1)
        first = int(np.searchsorted(self.open_ns, begin, side="left"))
        last = int(np.searchsorted(self.open_ns, timeframe.next_open(end - 1) if end > begin else begin, side="left"))
        found: list[Candle] = []
        for bar in range(first, last):
            piece = self._piece(bar, now_ns)
            if piece is None:
                break
            opened = timeframe.floor(piece.open_ns)
            if found and found[-1].open_ns == opened:
                found[-1] = _joined(found[-1], piece)
            else:
                found.append(Candle(opened, piece.open, piece.high, piece.low, piece.close, piece.volume, True))
        marked = [_marked(c, timeframe.next_open(c.open_ns) <= now_ns) for c in found]
        return [c for c in marked if since_ns <= c.open_ns < until_ns]

    def _piece(self, bar: int, now_ns: int) -> Candle | None:
        """One bar of the tape as far as it has happened, or ``None`` before its first trade."""
        opened = int(self.open_ns[bar])
        if opened + self.timeframe.ns <= now_ns:
            o, h, lo, c = (float(self.on_tick(self._values[k][bar])) for k in ("open", "high", "low", "close"))
            return Candle(opened, o, h, lo, c, float(self._volume[bar]), True)
        happened = [t for t in self._prints_of(bar) if t.ts_ns <= now_ns]
        if not happened:
            return None
        prices = [float(t.price) for t in happened]
        volume = math.fsum(float(t.qty) for t in happened)
        return Candle(opened, prices[0], max(prices), min(prices), prices[-1], volume, False)


def _joined(a: Candle, b: Candle) -> Candle:
    high, low, volume = max(a.high, b.high), min(a.low, b.low), a.volume + b.volume
    return Candle(a.open_ns, a.open, high, low, b.close, volume, b.closed)


def _marked(c: Candle, closed: bool) -> Candle:
    return Candle(c.open_ns, c.open, c.high, c.low, c.close, c.volume, closed)
