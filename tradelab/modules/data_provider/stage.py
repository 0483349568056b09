"""Bring in bars and quotes: windows are full before the first bar is told, and every bar is told once.

Bars that closed while the engine was down are told when it is back, oldest first, if this series was followed before
and as far as its window reaches: what was held meanwhile lived them too. On the newest of them strategies decide, for
who was killed at a bar's close decides on it after all; the others are marked as late.
"""

from __future__ import annotations

from dataclasses import replace

from tradelab.catalog.bars import Catalog
from tradelab.catalog.frame import time_ns
from tradelab.feeds.hub import Feeds
from tradelab.feeds.keeper import candles
from tradelab.feeds.rhythm import Rhythm
from tradelab.feeds.series import Series
from tradelab.model.errors import ConnectivityError, InvariantError, UnknownNameError
from tradelab.model.feed_events import BarClosed, BarsMissed, FeedAlarm
from tradelab.model.line import Line
from tradelab.model.market import Candle
from tradelab.model.messages import AlarmRaised, DataReceived, Message, Recorded
from tradelab.model.states import Severity
from tradelab.modules.data_provider.config import Config
from tradelab.modules.data_provider.rules import SeriesKey, quotes_of, series_of, told
from tradelab.spine.desk import Desk
from tradelab.spine.refused import read_table
from tradelab.spine.view import Window

_TRIES = 5  # each asks for twice as long a history, for markets that are closed more than they are open


class Stage:
    """The source of bars and quotes of a node."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.config = read_table(Config, desk.settings, "[modules.data_provider]")
        self._lengths = series_of(desk.config)
        self._quotes = quotes_of(desk.config, desk.providers)
        for source, symbol in {*((key.source, key.symbol) for key in self._lengths), *self._quotes}:
            if source not in desk.providers:
                raise UnknownNameError.of(f"connection for data of {symbol}", source, desk.providers)
        self._told_ns: dict[SeriesKey, int] = {}
        self._newest_ns: dict[SeriesKey, int] = {}  # the newest bar that had closed when we started
        self._catalog: Catalog | None = None
        self._feeds: Feeds | None = None

    def remember(self, recorded: Recorded[Message]) -> None:
        """Remember the newest bar of each series that was told."""
        it = recorded.message
        if isinstance(it, DataReceived):
            key = SeriesKey(it.source, it.symbol, it.timeframe)
            self._told_ns[key] = max(it.candle.open_ns, self._told_ns.get(key, it.candle.open_ns))

    async def start(self) -> None:
        """Fill every window from the catalogue and the venue, then follow.

        Raises
        ------
        RequestError, UnknownNameError
            A venue has no such symbol or bars; one that cannot be reached is an alarm, and is asked again for ever.
        """
        providers = {self._desk.providers[key.source].name: self._desk.providers[key.source] for key in self._lengths}
        providers |= {self._desk.providers[source].name: self._desk.providers[source] for source, _ in self._quotes}
        self._catalog = Catalog(self.config.catalog)
        self._feeds = Feeds(
            self._catalog,
            *providers.values(),
            on_alarm=self._alarm,
            quote_rhythm=replace(Rhythm.of_quotes(), expected_interval_s=self.config.quote_interval_s),
            grace_s=self.config.grace_s,
            clock=self._desk.clock,
        )
        follow = [(key, await self._fill(key, length)) for key, length in self._lengths.items()]
        for key, after_ns in follow:
            self._desk.tasks.begin(self._follow(key, after_ns), f"bars of {key.source} {key.symbol}")
        for source, symbol in self._quotes:
            self._desk.tasks.begin(self._watch(source, symbol), f"quotes of {source} {symbol}")

    async def stop(self) -> None:
        """Stop every feed and close the catalogue."""
        feeds, self._feeds = self._feeds, None
        if feeds is not None:
            await feeds.close()
        catalog, self._catalog = self._catalog, None
        if catalog is not None:
            catalog.close()

    def lines(self) -> list[Line]:
        """Return how every stream of bars and quotes stands."""
        if self._feeds is None:
            return []
        names = {source: provider.name for source, provider in self._desk.providers.items()}
        found = [(key.source, self._feeds.line(names[key.source], key.symbol, key.timeframe)) for key in self._lengths]
        found += [(source, self._feeds.line(names[source], symbol)) for source, symbol in self._quotes]
        return [replace(line, of=source) for source, line in found if line is not None]

    # ── windows ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _fill(self, key: SeriesKey, length: int) -> int | None:
        """Fill a window, and return the bar after which it is to be followed; ``None``: from now on."""
        try:
            await self._fetch(key, length)
        except ConnectivityError as error:
            about = f"{key.source} {key.symbol} {key.timeframe.alias}"
            says = f"history could not be fetched, and is what the catalogue has: {error}"
            self._desk.bus.say(AlarmRaised(kind="feed_history", about=about, severity=Severity.WARNING, says=says))
        bars = self._stored(key, length)
        window = self._desk.market.windows[key] = Window(length)
        if not bars:
            return None
        self._newest_ns[key] = bars[-1].open_ns
        told_ns = self._told_ns.get(key, bars[-1].open_ns)
        shown = [bar for bar in bars if bar.open_ns <= told_ns] or bars[:1]  # the others are told, not only shown
        for bar in shown:
            window.add(bar)
        return shown[-1].open_ns

    async def _fetch(self, key: SeriesKey, length: int) -> None:
        """Bring a series up to date, and fetch older bars until there are enough or no more come."""
        feeds, name = self._open()[1], self._desk.providers[key.source].name
        span_ns, before = (length + 1) * key.timeframe.ns, -1
        for _ in range(_TRIES):
            await feeds.backfill(name, key.symbol, key.timeframe, self._desk.clock.now_ns() - span_ns)
            stored = len(self._stored(key, length))
            if stored in (length, before):
                return
            span_ns, before = 2 * span_ns, stored

    def _stored(self, key: SeriesKey, length: int) -> list[Candle]:
        catalog, name = self._open()[0], self._desk.providers[key.source].name
        if catalog.last_closed(name, key.symbol, key.timeframe) is None:
            return []
        bars = catalog.read(name, key.symbol, key.timeframe)
        return candles(bars.iloc[max(0, len(time_ns(bars)) - length) :])

    # ── following ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(self, key: SeriesKey, after_ns: int | None) -> None:
        feeds, name = self._open()[1], self._desk.providers[key.source].name
        async with feeds.bars(name, key.symbol, key.timeframe, after_ns=after_ns) as bars:
            async for event in bars:
                if isinstance(event, BarClosed):
                    self._closed(key, event.candle)
                elif isinstance(event, BarsMissed):
                    self._desk.log.warning("%s: %d bars were read late", key, event.bars)

    def _closed(self, key: SeriesKey, candle: Candle) -> None:
        if not self._desk.market.windows[key].add(candle):
            return
        closes_ns = Series(*key).closes_ns(candle.open_ns)
        late = candle.open_ns < self._newest_ns.get(key, candle.open_ns)
        received = DataReceived(source=key.source, symbol=key.symbol, timeframe=key.timeframe, candle=candle, late=late)
        self._desk.bus.say(received, ts_event_ns=closes_ns)

    async def _watch(self, source: str, symbol: str) -> None:
        name = self._desk.providers[source].name
        async with self._open()[1].quotes(name, symbol) as quotes:
            async for quote in quotes:
                self._desk.market.quoted(source, quote, self._desk.clock.now_ns())

    def _alarm(self, alarm: FeedAlarm) -> None:
        try:
            self._desk.bus.say(told(alarm))
        except InvariantError as error:  # the engine is ending; a feed is not to end by it
            self._desk.log.warning("an alarm was not kept (%s): %s", error.problem, alarm)

    def _open(self) -> tuple[Catalog, Feeds]:
        if self._catalog is None or self._feeds is None:
            raise InvariantError("data_provider was asked for bars before it was started.")
        return self._catalog, self._feeds
