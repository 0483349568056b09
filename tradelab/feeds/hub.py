"""Follow, fetch and backfill the series of any number of providers: the door to this room."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from tradelab.catalog.bars import Catalog
from tradelab.feeds.asking import Asker, Patience
from tradelab.feeds.backfill import GRACE_S, Fetcher, Filled, Progress
from tradelab.feeds.coordinator import Coordinator
from tradelab.feeds.rhythm import Rhythm
from tradelab.feeds.series import Series
from tradelab.feeds.stream import BarFeed, QuoteFeed, Venue
from tradelab.feeds.subscribers import BarSubscriber, QuoteSubscriber
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.clock import Clock, SystemClock
from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.model.feed_events import FeedAlarm
from tradelab.model.line import Line
from tradelab.model.ports import DataProvider
from tradelab.model.units import Timeframe

QUEUE_BARS = 256


class Feeds:
    """Every feed of a process: each (source, symbol, timeframe) is fetched once, whoever asks for it.

    Parameters
    ----------
    catalog
        Where bars are kept; a closed bar is in it before anybody is told.
    providers
        Connected ones; each is known by its name. They stay whose they are: nothing here connects or disconnects.
    on_alarm
        Told of stale, resumed, polled feeds and of filled gaps, on the event loop; it must not raise.
    bar_rhythm, quote_rhythm
        What is expected of feeds (:class:`~tradelab.feeds.rhythm.Rhythm`).
    grace_s
        A bar is closed by REST only this long after its end, for venues still add late trades to it.
    clock, chance
        Time, and where jitter comes from.

    Examples
    --------
    >>> async def follow(feeds):
    ...     async with feeds.bars("binance", "BTC/USDT", "1m") as bars:
    ...         async for event in bars:
    ...             ...  # BarClosed, or BarsMissed if we were slow
    """

    def __init__(
        self,
        catalog: Catalog,
        *providers: DataProvider,
        on_alarm: Callable[[FeedAlarm], None] | None = None,
        bar_rhythm: Callable[[Timeframe], Rhythm] = Rhythm.of_bars,
        quote_rhythm: Rhythm | None = None,
        grace_s: float = GRACE_S,
        patience: Patience | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._catalog = catalog
        self._tell = on_alarm or (lambda _: None)
        self._bar_rhythm = bar_rhythm
        self._quote_rhythm = quote_rhythm or Rhythm.of_quotes()
        self._grace_s = grace_s
        self._patience = patience
        self._clock = clock or SystemClock()
        self._chance = chance or random.Random()
        self._venues: dict[str, Venue] = {}
        self._bars: Coordinator[Series, BarFeed] = Coordinator(BarFeed.stop, lambda feed: feed.is_alive)
        self._quotes: Coordinator[tuple[str, str], QuoteFeed] = Coordinator(QuoteFeed.stop, lambda feed: feed.is_alive)
        self._fetches: Coordinator[tuple[object, ...], asyncio.Task[Filled]] = Coordinator(_cancel)
        for provider in providers:
            self.add(provider)

    def add(self, provider: DataProvider) -> None:
        """Make a provider known by its name."""
        if provider.name in self._venues:
            raise ParameterError(f"a provider named {provider.name!r} is here already.", fix="Use that one.")
        asker = Asker(self._clock, self._chance, self._patience)
        venue_clock = VenueClock(provider, self._clock, asker)
        fetcher = Fetcher(provider, self._catalog, asker, venue_clock, grace_s=self._grace_s)
        self._venues[provider.name] = Venue(
            provider, self._catalog, self._clock, asker, venue_clock, fetcher, self._tell
        )

    async def close(self) -> None:
        """Stop every feed and fetch; subscribers' loops end."""
        await self._bars.close()
        await self._quotes.close()
        await self._fetches.close()

    # ── following ────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def bars(
        self,
        source: str,
        symbol: str,
        timeframe: str | Timeframe,
        *,
        forming: bool = False,
        after_ns: int | None = None,
        queue_bars: int = QUEUE_BARS,
    ) -> AsyncIterator[BarSubscriber]:
        """Follow a series: an iterator of :class:`~tradelab.model.feed_events.BarClosed` and, if slow, ``BarsMissed``.

        Every closed bar comes exactly once, in order, without a hole, whatever happens to the connection.

        Parameters
        ----------
        forming
            Also show the forming bar (``BarForming``), whenever it changes and this subscriber has time to look.
        after_ns
            Begin after the bar that opens here, such as the last one of the history that was read; those stored
            already come from the catalogue. By default, with the first bar that closes from now on.
        queue_bars
            How many bars may wait for this subscriber.

        Raises
        ------
        UnknownNameError
            No such provider here.
        ConnectivityError, RequestError, StorageError
            In the loop, when going on is of no use: disconnected by its owner, refused, no room.
        """
        venue = self._venue(source)
        series = Series(source, symbol, Timeframe.of(timeframe))
        start_ns = None if after_ns is None else after_ns + 1
        rhythm = self._bar_rhythm(series.timeframe)
        async with self._bars.hold(series, lambda: BarFeed(venue, series, rhythm, start_ns=start_ns)) as feed:
            subscriber = feed.join(forming=forming, after_ns=after_ns, queue_bars=queue_bars)
            try:
                yield subscriber
            finally:
                feed.leave(subscriber)

    @asynccontextmanager
    async def quotes(self, source: str, symbol: str) -> AsyncIterator[QuoteSubscriber]:
        """Follow best bid and ask: an iterator that gives the newest quote each time there is one."""
        venue = self._venue(source)
        async with self._quotes.hold((source, symbol), lambda: QuoteFeed(venue, symbol, self._quote_rhythm)) as feed:
            subscriber = feed.join()
            try:
                yield subscriber
            finally:
                feed.leave(subscriber)

    def line(self, source: str, symbol: str, timeframe: str | Timeframe | None = None) -> Line | None:
        """Return how the stream of a series, or of a symbol's quotes, stands; ``None`` where nobody follows it."""
        if timeframe is None:
            quotes = self._quotes.value((source, symbol))
            return None if quotes is None else quotes.line("quotes", source, symbol)
        series = Series(source, symbol, Timeframe.of(timeframe))
        bars = self._bars.value(series)
        return None if bars is None else bars.line(f"bars {series.timeframe.alias}", source, symbol)

    # ── fetching ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def fetch_new(
        self,
        source: str,
        symbol: str,
        timeframe: str | Timeframe,
        *,
        on_page: Callable[[Progress], None] | None = None,
    ) -> Filled:
        """Bring a series up to date from its last stored bar; who asks for it meanwhile shares this fetch."""
        fetcher, series = self._of(source, symbol, timeframe)
        return await self._once((series,), lambda: fetcher.fetch_new(series, on_page=on_page))

    async def backfill(
        self,
        source: str,
        symbol: str,
        timeframe: str | Timeframe,
        since_ns: int,
        until_ns: int | None = None,
        *,
        on_page: Callable[[Progress], None] | None = None,
    ) -> Filled:
        """Fetch what is missing of a range; who asks for the same range meanwhile shares this fetch."""
        fetcher, series = self._of(source, symbol, timeframe)
        key = (series, since_ns, until_ns)
        return await self._once(key, lambda: fetcher.backfill(series, since_ns, until_ns, on_page=on_page))

    async def _once(self, key: tuple[object, ...], job: Callable[[], Coroutine[Any, Any, Filled]]) -> Filled:
        async with self._fetches.hold(key, lambda: asyncio.create_task(job())) as task:
            return await asyncio.shield(task)  # a caller that gives up takes nothing from the others

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _venue(self, source: str) -> Venue:
        if source not in self._venues:
            raise UnknownNameError.of("provider", source, self._venues, fix="Connect it and add it to the feeds first.")
        return self._venues[source]

    def _of(self, source: str, symbol: str, timeframe: str | Timeframe) -> tuple[Fetcher, Series]:
        fetcher = self._venue(source).fetcher
        return fetcher, fetcher.series(symbol, Timeframe.of(timeframe))


async def _cancel(task: asyncio.Task[Filled]) -> None:
    """Stop a fetch that nobody waits for any more; one that has ended is left as it is."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
