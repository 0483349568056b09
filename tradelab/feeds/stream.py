"""Run one feed of bars or of quotes for all its subscribers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from tradelab.catalog.bars import Catalog
from tradelab.feeds.alarm import Alarm
from tradelab.feeds.asking import Asker
from tradelab.feeds.backfill import Fetcher
from tradelab.feeds.keeper import BarKeeper, candles
from tradelab.feeds.pump import Pump
from tradelab.feeds.quotes import QuoteDesk
from tradelab.feeds.rhythm import Rhythm
from tradelab.feeds.series import Series
from tradelab.feeds.subscribers import BarSubscriber, QuoteSubscriber
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.capabilities import Stream
from tradelab.model.clock import Clock
from tradelab.model.errors import RequestError
from tradelab.model.feed_events import FeedAlarm
from tradelab.model.line import Line
from tradelab.model.market import Candle, Quote
from tradelab.model.ports import DataProvider


@dataclass(frozen=True, slots=True)
class Venue:
    """One provider and what all its feeds share: patience, its time, what it was found not to have."""

    provider: DataProvider
    catalog: Catalog
    clock: Clock
    asker: Asker
    venue_clock: VenueClock
    fetcher: Fetcher
    tell: Callable[[FeedAlarm], None]


class _Feed:
    """A pump in a task of its own, and those who listen."""

    _pump: Pump[Any]

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def line(self, what: str, of: str, symbol: str) -> Line:
        """Return how its stream stands; one that has ended is not connected."""
        line = self._pump.line(what, of, symbol)
        return line if self.is_alive else replace(line, connected=False, polled=False)

    @property
    def is_alive(self) -> bool:
        """Whether it runs; a feed ends by itself only when going on is of no use."""
        return self._task is not None and not self._task.done()

    def start(self, pump: Pump[Candle] | Pump[Quote], listeners: Sequence[BarSubscriber | QuoteSubscriber]) -> None:
        """Start the task; ``listeners`` may change later, those there at the end are told of it."""
        self._task = asyncio.create_task(self._run(pump, listeners))

    async def stop(self) -> None:
        """End the task and return when every socket and timer of it is closed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(
        self, pump: Pump[Candle] | Pump[Quote], listeners: Sequence[BarSubscriber | QuoteSubscriber]
    ) -> None:
        try:
            await pump.run()
        except asyncio.CancelledError:
            _end_all(listeners, None)
            raise
        except BaseException as error:
            _end_all(listeners, error)
            raise


class BarFeed(_Feed):
    """One series, streamed, stored and handed out to any number of subscribers."""

    def __init__(self, venue: Venue, series: Series, rhythm: Rhythm, *, start_ns: int | None) -> None:
        super().__init__()
        self.series = series
        self._venue = venue
        self._subscribers: list[BarSubscriber] = []
        self._joined_ns: dict[BarSubscriber, int] = {}  # by our clock; until the venue's time is known
        alarm = Alarm(series.source, series.symbol, series.timeframe, venue.clock, venue.tell)
        self._keeper = BarKeeper(
            series,
            fetcher=venue.fetcher,
            catalog=venue.catalog,
            asker=venue.asker,
            venue_clock=venue.venue_clock,
            clock=venue.clock,
            rhythm=rhythm,
            alarm=alarm,
            trusts_marks=venue.provider.data_capabilities.marks_closed,
            hand_out=self._hand_out,
            show=self._show,
            began=self._began,
            start_ns=start_ns,
        )
        streams = Stream.CANDLES in venue.provider.data_capabilities.streams
        self._pump = Pump[Candle](
            (lambda: venue.provider.watch_candles(series.symbol, series.timeframe)) if streams else None,
            self._keeper,
            provider=venue.provider,
            asker=venue.asker,
            clock=venue.clock,
            rhythm=rhythm,
            alarm=alarm,
            what=str(series),
        )
        self.start(self._pump, self._subscribers)

    def join(self, *, forming: bool, after_ns: int | None, queue_bars: int) -> BarSubscriber:
        """Add a subscriber: of bars that open after ``after_ns``, or of those that close from now on."""
        subscriber = BarSubscriber(
            self.series, self._read_stored, after_ns=after_ns, forming=forming, queue_bars=queue_bars
        )
        self._subscribers.append(subscriber)
        self._joined_ns[subscriber] = self._venue.clock.now_ns()
        if self._keeper.has_begun:
            self._admit(subscriber)
        return subscriber

    def leave(self, subscriber: BarSubscriber) -> None:
        """Take a subscriber out; it is told nothing more."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)
        self._joined_ns.pop(subscriber, None)
        subscriber.end()

    def _began(self) -> None:
        for subscriber in self._subscribers:
            self._admit(subscriber)

    def _admit(self, subscriber: BarSubscriber) -> None:
        """Say where a subscriber's bars begin, now that the venue's time is known; give it those that are stored."""
        joined_ns = self._joined_ns.pop(subscriber, self._venue.clock.now_ns())
        if subscriber.after_ns is None:
            since_ns = self._venue.clock.now_ns() - joined_ns
            subscriber.after_ns = self._last_closed_at(self._venue.venue_clock.at_least_ns() - since_ns)
        newest = self._keeper.newest_ns
        if newest is not None and subscriber.after_ns < newest:
            subscriber.read_up_to(newest)

    def _last_closed_at(self, moment_ns: int) -> int:
        """Return an open time after which every bar closes later than ``moment_ns``."""
        timeframe = self.series.timeframe
        return min(timeframe.floor(moment_ns) - 1, moment_ns - timeframe.ns)

    def _hand_out(self, bars: list[Candle]) -> None:
        for subscriber in self._subscribers:
            subscriber.put(bars)

    def _show(self, forming: Candle) -> None:
        for subscriber in self._subscribers:
            subscriber.show(forming)

    def _read_stored(self, after_ns: int, until_ns: int) -> list[Candle]:
        s = self.series
        return candles(
            self._venue.catalog.read(s.source, s.symbol, s.timeframe, _stamp(after_ns + 1), _stamp(until_ns + 1))
        )


class QuoteFeed(_Feed):
    """One symbol's best bid and ask for any number of subscribers; nothing is stored."""

    def __init__(self, venue: Venue, symbol: str, rhythm: Rhythm) -> None:
        super().__init__()
        offers = venue.provider.data_capabilities
        streams = Stream.QUOTES in offers.streams
        if not streams and not offers.ticks:
            raise RequestError(
                f"{venue.provider.name} offers neither a stream of quotes nor ticks.", fix="Use bars, or another venue."
            )
        self.latest: Quote | None = None
        self._subscribers: list[QuoteSubscriber] = []
        desk = QuoteDesk(venue.provider, symbol, venue.asker, venue.venue_clock, venue.clock, rhythm, self._hand_out)
        self._pump = Pump[Quote](
            (lambda: venue.provider.watch_quotes(symbol)) if streams else None,
            desk,
            provider=venue.provider,
            asker=venue.asker,
            clock=venue.clock,
            rhythm=rhythm,
            alarm=Alarm(venue.provider.name, symbol, None, venue.clock, venue.tell),
            what=f"quotes of {symbol}",
        )
        self.start(self._pump, self._subscribers)

    def join(self) -> QuoteSubscriber:
        """Add a subscriber, who gets the latest quote at once, if there is one."""
        subscriber = QuoteSubscriber()
        self._subscribers.append(subscriber)
        if self.latest is not None:
            subscriber.put(self.latest)
        return subscriber

    def leave(self, subscriber: QuoteSubscriber) -> None:
        """Take a subscriber out; it is told nothing more."""
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)
        subscriber.end()

    def _hand_out(self, quote: Quote) -> None:
        self.latest = quote
        for subscriber in self._subscribers:
            subscriber.put(quote)


def _end_all(listeners: Sequence[BarSubscriber | QuoteSubscriber], error: BaseException | None) -> None:
    for listener in listeners:
        listener.end(error)


def _stamp(ns: int) -> pd.Timestamp:
    return pd.Timestamp(ns, unit="ns", tz="UTC")
