"""Push Binance's books: differences that carry on from a snapshot, and the first levels whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.model.orders import Side
from tradelab.rehearsal.dialects.binance_market import Market

MS = 1_000_000
SPEEDS = ("", "@100ms", "@250ms", "@500ms", "@1000ms")  # ours pushes at every change, whatever speed was asked for
PARTIAL = (5, 10, 20)
CHANNEL = re.compile(r"^depth(5|10|20)?(@(100|250|500|1000)ms)?$")
Levels = dict[str, str]  # price → quantity, as written


class Depth:
    """What each book looked like when it was last told, by market.

    Every change of a book has a number; an event says from which to which it leads, so that a client can join it to
    the ``lastUpdateId`` of a snapshot.
    """

    def __init__(self, market: Market) -> None:
        self.market = market
        self._told: dict[str, tuple[int, Levels, Levels]] = {}

    def begin(self, symbol: str) -> None:
        """Remember the book from which differences start, when somebody begins to listen."""
        if symbol in self.market.exchange.tapes and symbol not in self._told:
            self._told[symbol] = self._now(self.market.instrument(symbol))

    def _now(self, instrument: Instrument) -> tuple[int, Levels, Levels]:
        number = self.market.book_numbers[instrument.symbol]
        bids, asks = (dict(self._pairs(instrument, side)) for side in (Side.SELL, Side.BUY))
        return number, bids, asks

    def _pairs(self, instrument: Instrument, taker: Side) -> list[tuple[str, str]]:
        return [(price, qty) for price, qty in self.market.levels(instrument, taker)]

    def push(self, symbol: str, head: dict[str, Any], send: Callable[[str, Callable[[], object]], None]) -> None:
        """Push what changed since it was last told; nothing where nobody listens."""
        before = self._told.get(symbol)
        if before is None:
            return
        instrument, name = self.market.instrument(symbol), symbol.lower()
        now = self._told[symbol] = self._now(instrument)
        futures = self.market.style.is_futures
        event = head | {"U": before[0] + 1, "u": now[0]}
        if futures:
            event |= {"T": self.market.exchange.now_ns // MS, "pu": before[0]}
        event |= {"b": self._changes(instrument, before[1], now[1]), "a": self._changes(instrument, before[2], now[2])}
        for speed in SPEEDS:
            send(f"{name}@depth{speed}", lambda: event)
            for count in PARTIAL:
                send(f"{name}@depth{count}{speed}", lambda count=count: self._first(event, now, count))  # type: ignore[misc]

    def _changes(self, instrument: Instrument, before: Levels, now: Levels) -> list[list[str]]:
        gone = self.market.style.qty(instrument, instrument.qty_step * 0)
        changed = [[price, qty] for price, qty in now.items() if before.get(price) != qty]
        return changed + [[price, gone] for price in before if price not in now]

    def _first(self, event: dict[str, Any], now: tuple[int, Levels, Levels], count: int) -> dict[str, Any]:
        bids, asks = ([list(pair) for pair in list(side.items())[:count]] for side in now[1:])
        if self.market.style.is_futures:
            return event | {"b": bids, "a": asks}
        return {"lastUpdateId": now[0], "bids": bids, "asks": asks}
