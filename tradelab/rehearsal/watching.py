"""Form the bars that somebody watches, trade by trade, and close each when its time is over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from tradelab.model.market import Candle
from tradelab.model.units import Timeframe
from tradelab.rehearsal.events import CandleChanged
from tradelab.rehearsal.host import Host


@dataclass(slots=True)
class _Watch:
    watchers: int
    forming: Candle | None


class Watches:
    """The bars that are being watched, by symbol and timeframe; each is formed once for all who watch."""

    def __init__(self, host: Host) -> None:
        self._at = host
        self._watched: dict[tuple[str, Timeframe], _Watch] = {}

    def add(self, symbol: str, timeframe: Timeframe) -> None:
        """Begin to form a series, or count one watcher more."""
        watch = self._watched.setdefault((symbol, timeframe), _Watch(0, self._forming(symbol, timeframe)))
        watch.watchers += 1

    def remove(self, symbol: str, timeframe: Timeframe) -> None:
        """Count one watcher less; forget the series with the last."""
        watch = self._watched.get((symbol, timeframe))
        if watch is not None:
            watch.watchers -= 1
            if watch.watchers <= 0:
                del self._watched[symbol, timeframe]

    def forming(self, symbol: str, timeframe: Timeframe) -> Candle | None:
        """Return the bar that forms now, ``None`` before its first trade."""
        watch = self._watched.get((symbol, timeframe))
        return self._forming(symbol, timeframe) if watch is None else watch.forming

    def trade(self, symbol: str, price: Decimal, qty: Decimal, ts_ns: int) -> None:
        """Let one trade into the bars of its symbol."""
        value, volume = float(price), float(qty)
        for (of, timeframe), watch in list(self._watched.items()):
            if of != symbol:
                continue
            opened, bar = timeframe.floor(ts_ns), watch.forming
            if bar is None or bar.open_ns != opened:
                watch.forming = Candle(opened, value, value, value, value, volume, False)
            else:
                high, low = max(bar.high, value), min(bar.low, value)
                watch.forming = replace(bar, high=high, low=low, close=value, volume=bar.volume + volume)
            self._at.tell(CandleChanged(symbol, timeframe, watch.forming, ts_ns))

    def pass_time(self, now_ns: int) -> None:
        """Close every bar whose time is over."""
        for (symbol, timeframe), watch in list(self._watched.items()):
            bar = watch.forming
            if bar is not None and timeframe.next_open(bar.open_ns) <= now_ns:
                watch.forming = None
                told = self._at.tapes[symbol].candles(timeframe, bar.open_ns, bar.open_ns + 1, now_ns)
                closed = replace(told[0] if told and symbol not in self._at.pinned else bar, closed=True)
                self._at.tell(CandleChanged(symbol, timeframe, closed, timeframe.next_open(bar.open_ns)))

    def _forming(self, symbol: str, timeframe: Timeframe) -> Candle | None:
        now = self._at.now_ns
        found = self._at.tapes[symbol].candles(timeframe, timeframe.floor(now), now + 1, now)
        return found[-1] if found and not found[-1].closed else None
