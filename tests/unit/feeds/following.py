"""Follow a scripted provider as a strategist would, and keep what one was told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.unit.feeds.scripted import SYMBOL, ScriptedProvider, settle
from tradelab.catalog.bars import Catalog
from tradelab.feeds.hub import Feeds
from tradelab.feeds.keeper import candles
from tradelab.feeds.rhythm import Rhythm
from tradelab.model.clock import ManualClock
from tradelab.model.feed_events import BarClosed, BarForming, BarsMissed, FeedAlarm
from tradelab.model.market import Candle, Quote

RHYTHM = Rhythm(expected_interval_s=15.0, poll_s=15.0)
QUOTE_RHYTHM = Rhythm(expected_interval_s=5.0, poll_s=2.0)


@dataclass
class World:
    """A catalog, a provider, the feeds between them, and every alarm there was."""

    catalog: Catalog
    provider: ScriptedProvider
    clock: ManualClock
    feeds: Feeds
    alarms: list[FeedAlarm] = field(default_factory=list)

    def stored(self) -> list[Candle]:
        """Return the closed bars in the catalog."""
        if self.catalog.last_closed("scripted", SYMBOL, self.provider.timeframe) is None:
            return []
        return candles(self.catalog.read("scripted", SYMBOL, self.provider.timeframe))

    def alarms_of(self, kind: type) -> list[FeedAlarm]:
        """Return the alarms of one kind."""
        return [a for a in self.alarms if isinstance(a, kind)]

    async def follow(self, **how: object) -> Follower:
        """Start to follow the series."""
        follower = Follower(self.feeds, self.provider.timeframe.alias, how)
        await settle()
        return follower


@asynccontextmanager
async def world_of(folder: Path, provider: ScriptedProvider, **more: object) -> AsyncIterator[World]:
    """Give feeds over a provider; at the end nothing of them may be left running."""
    with Catalog(folder) as catalog:
        world = World(catalog, provider, provider.clock, None)  # type: ignore[arg-type]
        how = {"bar_rhythm": lambda _: RHYTHM, "quote_rhythm": QUOTE_RHYTHM} | more
        world.feeds = Feeds(
            catalog,
            provider,
            clock=provider.clock,
            chance=random.Random(1),
            on_alarm=world.alarms.append,
            **how,  # type: ignore[arg-type]
        )
        before = asyncio.all_tasks()
        yield world
        await world.feeds.close()
        await settle()
        left = [t for t in asyncio.all_tasks() - before if not getattr(t, "is_follower", False) and not t.done()]
        assert left == [], "tasks that nobody ended"
        assert provider.watching == 0, "streams that nobody closed"


class Follower:
    """Reads a feed in a task."""

    def __init__(self, feeds: Feeds, timeframe: str, how: dict[str, object]) -> None:
        self.events: list[BarClosed | BarForming | BarsMissed] = []
        self.error: Exception | None = None
        self.reads = asyncio.Event()  # cleared: it reads no more
        self.reads.set()
        self.task = asyncio.create_task(self._follow(feeds, timeframe, how))

    @property
    def closed(self) -> list[Candle]:
        """Return the closed bars it was told, in the order it was."""
        return [e.candle for e in self.events if isinstance(e, BarClosed)]

    @property
    def forming(self) -> list[Candle]:
        """Return the forming bars it was shown."""
        return [e.candle for e in self.events if isinstance(e, BarForming)]

    @property
    def missed(self) -> list[int]:
        """Return how many bars it was told it missed, each time."""
        return [e.bars for e in self.events if isinstance(e, BarsMissed)]

    async def stop(self) -> None:
        """End it as a cancelled task ends."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _follow(self, feeds: Feeds, timeframe: str, how: dict[str, object]) -> None:
        async with feeds.bars("scripted", SYMBOL, timeframe, **how) as bars:  # type: ignore[arg-type]
            try:
                async for event in bars:
                    self.events.append(event)
                    await self.reads.wait()
            except Exception as error:  # noqa: BLE001 - which one it was is asserted by the test
                self.error = error


async def quotes_of(feeds: Feeds, into: list[Quote]) -> None:
    """Follow quotes until cancelled."""
    async with feeds.quotes("scripted", SYMBOL) as quotes:
        async for quote in quotes:
            into.append(quote)
