"""A thousand disconnects and two hundred silent stalls: the bars afterwards are those of the run without any."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.unit.feeds.scripted import START_NS, SYMBOL, ScriptedProvider, from_, pass_time, walk
from tradelab.catalog.bars import Catalog
from tradelab.catalog.frame import content_hash
from tradelab.feeds.hub import Feeds
from tradelab.feeds.rhythm import Rhythm
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError
from tradelab.model.feed_events import BarClosed, FeedAlarm, FeedGap, FeedPolling, FeedResumed, FeedStale
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_S

DISCONNECTS, STALLS = 1_000, 200
OUTAGES, LENGTH = 6, 10  # of the stalls, sixty come ten in a row: long enough for polling to begin
OTHERS = {
    "ok": 4_000,
    "twice": 300,
    "late": 300,
    "reordered": 300,
    "early": 300,
    "unmarked": 300,
    "lost": 300,
    "end": 50,
}
RHYTHM = Rhythm(expected_interval_s=15.0, poll_s=15.0)


def script(seed: int) -> list[str]:
    """Return a thousand disconnects, two hundred stalls and every other fault, shuffled."""
    chance = random.Random(seed)
    words = [[word] for word, count in OTHERS.items() for _ in range(count)]
    words += [["disconnect"] for _ in range(DISCONNECTS)]
    words += [["stall"] for _ in range(STALLS - OUTAGES * LENGTH)] + [["stall"] * LENGTH for _ in range(OUTAGES)]
    chance.shuffle(words)
    return [word for burst in words for word in burst]


class UnreliableRest:
    """REST that fails, for minutes too, answers from a copy that lags, mixes its pages, repeats rows, keeps bars back.

    Each bar is kept back at most once: of a venue that always denies a bar nothing can be known.
    """

    def __init__(self, provider: ScriptedProvider, seed: int) -> None:
        self._provider = provider
        self._chance = random.Random(seed)
        self._kept_back: set[int] = set()
        self._down_until_ns = 0
        self.failures = 0
        provider.before_fetch = self._maybe_fail
        provider.page = self._page

    def _maybe_fail(self) -> None:
        now = self._provider.clock.now_ns()
        if now >= self._down_until_ns and self._chance.random() < 0.02:
            self._down_until_ns = now + self._chance.randint(60, 400) * NS_PER_S
        if now < self._down_until_ns or self._chance.random() < 0.1:
            self.failures += 1
            raise ConnectivityError("502 Bad Gateway.")

    def _page(self, there: list[Candle], since: int, limit: int) -> list[Candle]:
        chance = self._chance
        if chance.random() < 0.3:  # a copy that lags: it still shows the last bars forming, or not at all
            there = self._provider.visible(self._provider.clock.now_ns() - chance.randint(1, 90) * NS_PER_S)
        rows = from_(there, since)[:limit]
        if chance.random() < 0.3:
            back = {b.open_ns for b in rows if b.open_ns not in self._kept_back and chance.random() < 0.3}
            self._kept_back |= back
            rows = [b for b in rows if b.open_ns not in back]
        if rows and chance.random() < 0.2:
            rows.append(chance.choice(rows))
        if chance.random() < 0.3:
            chance.shuffle(rows)
        return rows


@dataclass
class Run:
    """What one run told its subscriber and its alarm, and what it stored."""

    told: list[Candle] = field(default_factory=list)
    alarms: list[FeedAlarm] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    minutes: int = 0
    rest_failures: int = 0


async def run(folder: Path, bars: list[Candle], words: list[str], *, marks: bool, minutes: int | None = None) -> Run:
    """Follow ``bars`` for so many minutes, or until the script is used up and five minutes more."""
    clock, done = ManualClock(START_NS + 30 * NS_PER_S), Run()
    with Catalog(folder) as catalog:
        provider = ScriptedProvider(clock, bars, script=words, marks=marks)
        rest = UnreliableRest(provider, 3) if words else None
        feeds = Feeds(
            catalog,
            provider,
            clock=clock,
            chance=random.Random(5),
            on_alarm=done.alarms.append,
            bar_rhythm=lambda _: RHYTHM,
        )
        task = asyncio.create_task(_follow(feeds, catalog, done))
        while sum(provider.counts.values()) < len(words) or done.minutes < (minutes or 0):
            await pass_time(clock, 60, step_s=10)
            done.minutes += 1
            assert not task.done(), task
        if minutes is None:
            await pass_time(clock, 300, step_s=10)
            done.minutes += 5
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await feeds.close()
        assert len(asyncio.all_tasks()) == 1, "only this test is left"
        assert provider.watching == 0
        done.counts, done.rest_failures = provider.counts, rest.failures if rest else 0
    return done


async def _follow(feeds: Feeds, catalog: Catalog, done: Run) -> None:
    async with feeds.bars("scripted", SYMBOL, "1m") as subscriber:
        async for event in subscriber:
            assert isinstance(event, BarClosed)
            done.told.append(event.candle)
            kept = catalog.last_closed("scripted", SYMBOL, "1m")
            assert kept is not None
            assert kept.value >= event.candle.open_ns, "told before it was stored"


@pytest.mark.parametrize("marks", [True, False], ids=["marks are the venue's word", "marks are guesses"])
def test_a_thousand_disconnects_and_two_hundred_silent_stalls_leave_the_bars_of_the_run_without_any(
    tmp_path: Path, marks: bool
) -> None:
    bars = walk(4_000)
    faulty = asyncio.run(run(tmp_path / "faulty", bars, script(11), marks=marks))
    clean = asyncio.run(run(tmp_path / "clean", bars, [], marks=True, minutes=faulty.minutes))

    assert (faulty.counts["disconnect"], faulty.counts["stall"]) == (DISCONNECTS, STALLS)
    assert faulty.rest_failures > 100
    kinds = Counter(type(alarm) for alarm in faulty.alarms)
    assert kinds[FeedStale] >= 50, "silent stalls were noticed"
    assert kinds[FeedPolling] >= OUTAGES
    assert kinds[FeedGap] > 0
    assert kinds[FeedResumed] > OUTAGES

    assert clean.alarms == []
    assert clean.told == bars[: faulty.minutes]
    assert faulty.told == clean.told
    with Catalog(tmp_path / "faulty") as one, Catalog(tmp_path / "clean") as other:
        hashes = [content_hash(catalog.read("scripted", SYMBOL, "1m")) for catalog in (one, other)]
    assert hashes[0] == hashes[1]
