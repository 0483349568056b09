"""Whatever pages a venue makes up, a backfill ends with exactly the bars it has: none skipped, none invented."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from dataclasses import dataclass

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.feeds.scripted import START_NS, SYMBOL, ScriptedProvider, from_, walk
from tradelab.catalog.bars import BarRow, Catalog
from tradelab.feeds.asking import Asker, Patience
from tradelab.feeds.backfill import Fetcher, Filled
from tradelab.feeds.keeper import candles
from tradelab.feeds.series import Series
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_S, Timeframe


@dataclass
class Adversary:
    """A venue that does, at random, everything venues do to pages.

    No bar is kept back at random a second time (``withheld``), for nothing can be proved of a venue that always lies;
    all else it does as often as it likes.
    """

    chance: random.Random
    page_bars: int
    exclusive_since: bool  # "since" means "later than", as some venues have it
    window: bool  # answers only for [since, since + limit bars), empty if there is nothing, as some venues do
    minute_ns: int
    failures: float = 0.0

    def __post_init__(self) -> None:
        self.withheld: set[int] = set()
        self.failed = 0

    def before(self) -> None:
        if self.chance.random() < self.failures:
            self.failed += 1
            raise ConnectivityError("502.", retry_after_s=self.chance.choice([None, 3.0]))

    def page(self, there: list[Candle], since: int, limit: int) -> list[Candle]:
        rows = from_(there, since)
        if self.exclusive_since and rows and rows[0].open_ns == since:
            self.withheld.add(since)
            rows = rows[1:]
        if self.window:
            rows = [b for b in rows if b.open_ns < since + limit * self.minute_ns]
        short = self.chance.randint(max(1, limit // 2), limit) if self.chance.random() < 0.3 else limit
        rows = rows[:short]
        if self.chance.random() < 0.3:  # begins late, or leaves bars out
            late = self.chance.randint(0, 3)
            back = [b for i, b in enumerate(rows) if b.open_ns not in self.withheld and (i < late or i % 5 == 3)]
            self.withheld |= {b.open_ns for b in back}
            rows = [b for b in rows if b not in back]
        if self.chance.random() < 0.3:  # begins early
            before = there[: len(there) - len(from_(there, since))][-3:]
            rows = (before + rows)[: self.page_bars + 3]
        if rows and self.chance.random() < 0.3:
            rows += self.chance.choices(rows, k=3)
        if self.chance.random() < 0.5:
            self.chance.shuffle(rows)
        return rows


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Candle], set[int], Adversary]:
    """Return a market with holes of its own, what is stored of it already, and how the venue misbehaves."""
    bars = walk(draw(st.integers(5, 120)), seed=draw(st.integers(0, 99)))
    holes = draw(st.lists(st.tuples(st.integers(0, 119), st.integers(1, 30)), max_size=3))
    gone = {n for start, length in holes for n in range(start, start + length)}
    market = [b for n, b in enumerate(bars) if n not in gone] or bars[:1]
    stored = draw(st.sets(st.sampled_from([b.open_ns for b in market]), max_size=len(market)))
    adversary = Adversary(
        random.Random(draw(st.integers(0, 10**6))),
        page_bars=draw(st.integers(8, 30)),
        exclusive_since=draw(st.booleans()),
        window=draw(st.booleans()),
        minute_ns=Timeframe.M1.ns,
        failures=draw(st.sampled_from([0.0, 0.3])),
    )
    return market, stored, adversary


@settings(max_examples=300)
@given(world=worlds(), lead=st.integers(1, 60), compacts=st.booleans())
def test_a_backfill_over_an_adversary_equals_the_full_set_of_bars(
    world: tuple[list[Candle], set[int], Adversary], lead: int, compacts: bool
) -> None:
    market, stored, adversary = world
    since = START_NS - lead * Timeframe.M1.ns  # before the listing
    with tempfile.TemporaryDirectory() as folder, Catalog(folder) as catalog:
        clock = ManualClock(market[-1].open_ns + 25 * NS_PER_S)  # the last bar still forms
        provider = ScriptedProvider(clock, market, page=adversary.page, page_bars=adversary.page_bars)
        provider.before_fetch = adversary.before
        closed = market[:-1]
        catalog.append([_row(b) for b in closed if b.open_ns in stored])
        if compacts:
            catalog.compact()

        done, again = asyncio.run(_twice(provider, catalog, clock, since))

        assert candles(_read(catalog)) == closed
        assert done.bars == len([b for b in closed if b.open_ns not in stored])
        assert again.bars == 0
        assert [b for b in closed if any(a <= b.open_ns < z for a, z in done.holes)] == [], "no hole that is none"


async def _twice(provider: ScriptedProvider, catalog: Catalog, clock: ManualClock, since: int) -> tuple[Filled, Filled]:
    asker = Asker(clock, random.Random(0), Patience(attempts=50))
    fetcher = Fetcher(provider, catalog, asker, VenueClock(provider, clock, asker))
    series = fetcher.series(SYMBOL, Timeframe.M1)
    done = []
    for _ in range(2):
        task = asyncio.create_task(fetcher.backfill(series, since, provider.bars[-1].open_ns))
        await asyncio.sleep(0)
        while not task.done():
            await clock.advance(1.0)
        done.append(await task)
    return done[0], done[1]


@settings(max_examples=100)
@given(world=worlds(), kills=st.lists(st.integers(1, 12), max_size=4))
def test_an_update_killed_again_and_again_leaves_no_hole(
    world: tuple[list[Candle], set[int], Adversary], kills: list[int]
) -> None:
    market, _, adversary = world
    adversary.failures = 0.0
    with tempfile.TemporaryDirectory() as folder, Catalog(folder) as catalog:
        clock = ManualClock(market[-1].open_ns + 25 * NS_PER_S)
        provider = ScriptedProvider(clock, market, page=adversary.page, page_bars=adversary.page_bars)
        catalog.append([_row(market[0])] if len(market) > 1 else [])
        if len(market) > 1:
            for pages in kills:
                asyncio.run(_killed_after(provider, catalog, clock, pages))
            provider.before_fetch = lambda: None
            asyncio.run(_fetcher(provider, catalog, clock).fetch_new(_series(provider)))
            assert candles(_read(catalog)) == market[:-1]


class Killed(BaseException):
    """The process dies here."""


async def _killed_after(provider: ScriptedProvider, catalog: Catalog, clock: ManualClock, pages: int) -> None:
    left = [pages]

    def die() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    provider.before_fetch = die
    with contextlib.suppress(Killed):
        await _fetcher(provider, catalog, clock).fetch_new(_series(provider))


def _fetcher(provider: ScriptedProvider, catalog: Catalog, clock: ManualClock) -> Fetcher:
    asker = Asker(clock, random.Random(0))
    return Fetcher(provider, catalog, asker, VenueClock(provider, clock, asker))


def _series(provider: ScriptedProvider) -> Series:
    return Series(provider.name, SYMBOL, Timeframe.M1)


def _row(bar: Candle) -> BarRow:
    return BarRow(
        "scripted", SYMBOL, Timeframe.M1, bar.open_ns, bar.open, bar.high, bar.low, bar.close, bar.volume, True
    )


def _read(catalog: Catalog) -> pd.DataFrame:
    if catalog.last_closed("scripted", SYMBOL, "1m") is None:
        catalog.append([BarRow("scripted", SYMBOL, Timeframe.M1, 0, 1, 1, 1, 1, 1, False)])  # an empty series
    return catalog.read("scripted", SYMBOL, "1m")
