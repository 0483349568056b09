"""Lead history through the live pipeline, bar by bar: the same node, the same modules, a clock that bars move.

Each bar first trades on the paper accounts, as the market would have, then is told to the bots as closed. What follows
from it (orders, fills, their booking) is over before the next bar comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from tradelab.model.account import AccountInfo
from tradelab.model.clock import ManualClock
from tradelab.model.market import Candle, Quote
from tradelab.model.messages import AccountReported, DataReceived
from tradelab.model.rounding import exact
from tradelab.model.units import NS_PER_S, Timeframe
from tradelab.spine.node import Node
from tradelab.spine.view import SeenQuote, Window

_QUIET = 25  # turns of the loop in which nothing was said: then nothing more will be


class TapeBar(NamedTuple):
    """A closed bar of one series."""

    source: str
    symbol: str
    timeframe: Timeframe
    candle: Candle


class TakesBars(Protocol):
    """A venue that fills on the bars it is handed."""

    def on_candle(self, symbol: str, candle: Candle) -> None:
        """Take a bar."""
        ...

    def at_close(self, symbol: str) -> None:
        """Let market orders that were sent inside the last closed bar take its close."""
        ...

    async def account_info(self) -> AccountInfo:
        """Return the account at this moment."""
        ...


class Replay:
    """Runs a node over a tape.

    Parameters
    ----------
    node
        Started; its clock is ``clock``, and it has no source that brings in bars itself.
    venues
        Those that fill on bars, by account.
    lengths
        How many bars each series' window holds.
    """

    def __init__(
        self, node: Node, clock: ManualClock, venues: Mapping[str, TakesBars], lengths: Mapping[tuple[str, str], int]
    ) -> None:
        self._node = node
        self._clock = clock
        self._venues = venues
        self._lengths = lengths

    async def play(self, tape: Iterable[TapeBar]) -> None:
        """Lead every bar through, in the order in which they closed."""
        for bar in tape:
            await self.bar(bar)

    async def bar(self, bar: TapeBar) -> None:
        """Lead one bar through."""
        await self._reach(bar.candle.open_ns)
        for candle in (opening(bar.candle), bar.candle):  # what the open fills is protected inside the bar
            for account in self._venues.values():
                account.on_candle(bar.symbol, candle)
            await self.settle()
        closed_ns = bar.timeframe.next_open(bar.candle.open_ns)
        await self._reach(closed_ns - 1)  # who acts by the clock acts before the close, and meets it
        await self.settle()
        for account in self._venues.values():
            account.at_close(bar.symbol)
        await self.settle()
        await self._reach(closed_ns)
        for name, account in self._venues.items():
            self._node.bus.say(AccountReported(account=name, info=await account.account_info()))
        close = exact(bar.candle.close)
        quote = Quote(symbol=bar.symbol, bid=close, ask=close, ts_ns=closed_ns)  # all that a bar tells of its end
        self._node.market.quotes[bar.source, bar.symbol] = SeenQuote(quote, closed_ns)
        key = (bar.source, bar.symbol, bar.timeframe)
        window = self._node.market.windows.get(key)
        if window is None:
            window = self._node.market.windows[key] = Window(self._lengths[bar.source, bar.symbol])
        if window.add(bar.candle):
            told = DataReceived(source=bar.source, symbol=bar.symbol, timeframe=bar.timeframe, candle=bar.candle)
            self._node.bus.say(told, ts_event_ns=closed_ns)
        await self.settle()

    async def settle(self) -> None:
        """Let all that follows happen."""
        quiet, seq = 0, self._node.ledger.seq
        while quiet < _QUIET:
            await asyncio.sleep(0)
            quiet = quiet + 1 if self._node.ledger.seq == seq else 0
            seq = self._node.ledger.seq

    async def _reach(self, ts_ns: int) -> None:
        if (left := ts_ns - self._clock.now_ns()) > 0:
            await self._clock.advance(left / NS_PER_S)


def opening(candle: Candle) -> Candle:
    """Return a bar as it opens: nothing of its range is known."""
    return Candle(candle.open_ns, candle.open, candle.open, candle.open, candle.open, 0.0, closed=False)
