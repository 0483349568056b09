"""Each closed bar reaches each subscriber once, in order, without a hole, and is stored before it is told."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from tests.unit.feeds.scripted import START_NS, SYMBOL, ScriptedProvider, pass_time, walk
from tradelab.catalog.bars import Catalog
from tradelab.feeds.hub import Feeds
from tradelab.feeds.keeper import candles
from tradelab.feeds.rhythm import Rhythm
from tradelab.model.clock import ManualClock
from tradelab.model.feed_events import BarClosed, FeedAlarm
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_S, Timeframe

M1 = Timeframe.M1
RHYTHM = Rhythm(expected_interval_s=15.0, poll_s=15.0)


class Follower:
    """Reads a feed in a task, as a strategist would, and keeps what it was told."""

    def __init__(self, feeds: Feeds, **how: object) -> None:
        self.events: list[object] = []
        self.error: BaseException | None = None
        self.task = asyncio.create_task(self._follow(feeds, how))

    async def _follow(self, feeds: Feeds, how: dict[str, object]) -> None:
        async with feeds.bars("scripted", SYMBOL, "1m", **how) as bars:  # type: ignore[arg-type]
            try:
                async for event in bars:
                    self.events.append(event)
            except Exception as error:  # noqa: BLE001 - what it was is asserted by the test
                self.error = error

    @property
    def closed(self) -> list[Candle]:
        return [e.candle for e in self.events if isinstance(e, BarClosed)]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def stored(catalog: Catalog) -> list[Candle]:
    return candles(catalog.read("scripted", SYMBOL, "1m"))


def feeds_of(catalog: Catalog, provider: ScriptedProvider, alarms: list[FeedAlarm] | None = None) -> Feeds:
    told = (lambda _: None) if alarms is None else alarms.append
    return Feeds(
        catalog,
        provider,
        clock=provider.clock,
        chance=random.Random(1),
        on_alarm=told,
        bar_rhythm=lambda _: RHYTHM,
        quote_rhythm=Rhythm(expected_interval_s=5.0, poll_s=2.0),
    )


def test_bars_that_close_while_followed_come_once_and_are_in_the_catalogue_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        bars = walk(20)
        clock = ManualClock(START_NS + 30 * NS_PER_S)
        with Catalog(tmp_path) as catalog:
            provider = ScriptedProvider(clock, bars)
            feeds = feeds_of(catalog, provider)
            follower = Follower(feeds)
            await pass_time(clock, 5 * 60)
            assert follower.closed == bars[:5] == stored(catalog)
            await follower.stop()
            await feeds.close()
            assert provider.watching == 0

    asyncio.run(scenario())
