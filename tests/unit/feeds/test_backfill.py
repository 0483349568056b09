"""Only what is missing is asked for, each page is kept at once, and the forming bar is never taken for a closed one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.feeds.following import world_of
from tests.unit.feeds.scripted import START_NS, SYMBOL, ScriptedProvider, from_, pass_time, settle, walk
from tradelab.catalog.bars import Catalog
from tradelab.feeds.asking import Asker, Patience
from tradelab.feeds.backfill import Fetcher, Progress
from tradelab.feeds.keeper import candles
from tradelab.feeds.venue_clock import VenueClock
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError, TimestampError
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_S, Timeframe


class Desk:
    """A catalog, a venue and the fetcher between them."""

    def __init__(self, catalog: Catalog, provider: ScriptedProvider, **patience: float) -> None:
        self.catalog, self.provider, self.clock = catalog, provider, provider.clock
        asker = Asker(self.clock, random.Random(2), Patience(**patience))  # type: ignore[arg-type]
        self.fetcher = Fetcher(provider, catalog, asker, VenueClock(provider, self.clock, asker))
        self.series = self.fetcher.series(SYMBOL, provider.timeframe)

    def store(self, bars: Sequence[Candle]) -> None:
        self.catalog.append([self.series.row(b) for b in bars])

    def stored(self, *, include_open: bool = False) -> list[Candle]:
        s = self.series
        return candles(self.catalog.read(s.source, s.symbol, s.timeframe, include_open=include_open))

    def asked(self) -> list[tuple[int, int]]:
        """Return the pages asked for: the number of the first bar, and how many."""
        first = self.provider.bars[0].open_ns
        return [((since - first) // self.provider.timeframe.ns, limit) for since, limit in self.provider.asked]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)


def at(bars: Sequence[Candle], seconds: float = 30, **how: object) -> ScriptedProvider:
    """Return a venue whose last bar opened so many seconds ago."""
    return ScriptedProvider(ManualClock(bars[-1].open_ns + int(seconds * NS_PER_S)), bars, **how)  # type: ignore[arg-type]


def test_a_backfill_stores_the_closed_bars_page_by_page_and_not_the_forming_one(catalog: Catalog) -> None:
    desk = Desk(catalog, at(walk(26), page_bars=10))
    told: list[Progress] = []
    filled = asyncio.run(desk.fetcher.backfill(desk.series, START_NS, on_page=told.append))
    assert desk.stored() == desk.provider.bars[:25] == desk.stored(include_open=True)
    assert desk.asked() == [(0, 10), (10, 10), (20, 6)]
    assert (filled.bars, filled.pages, filled.holes, filled.unsettled_ns) == (25, 3, (), None)
    assert (filled.first_ns, filled.last_ns) == (START_NS, desk.provider.bars[24].open_ns)
    assert [p.bars for p in told] == [10, 20, 25]
    assert [p.share for p in told] == [0.4, 0.8, 1.0]


def test_only_holes_are_asked_for(catalog: Catalog) -> None:
    desk = Desk(catalog, at(walk(40), page_bars=100))
    desk.store(desk.provider.bars[:10] + desk.provider.bars[13:39])
    filled = asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.asked() == [(10, 4)]
    assert (filled.bars, desk.stored()) == (3, desk.provider.bars[:39])
    asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert len(desk.asked()) == 1, "there is nothing left to ask for"


def test_an_update_goes_on_from_the_last_stored_bar_and_keeps_the_forming_one_open(catalog: Catalog) -> None:
    desk = Desk(catalog, at(walk(20)))
    desk.store(desk.provider.bars[:15])
    filled = asyncio.run(desk.fetcher.fetch_new(desk.series))
    assert desk.asked() == [(15, 6)]
    assert desk.stored() == desk.provider.bars[:19]
    assert filled.forming is not None
    assert not filled.forming.closed
    assert [b.open_ns for b in desk.stored(include_open=True)][-1] == desk.provider.bars[19].open_ns

    asyncio.run(desk.clock.advance(35))
    asyncio.run(desk.fetcher.fetch_new(desk.series))
    assert desk.stored() == desk.provider.bars[:20] == desk.stored(include_open=True), "its close replaced it"


def test_an_update_mends_the_holes_a_killed_one_left(catalog: Catalog) -> None:
    desk = Desk(catalog, at(walk(60), page_bars=8))
    desk.store([b for n, b in enumerate(desk.provider.bars[:50]) if n not in (30, 42)])
    assert desk.fetcher.resume_ns(desk.series) == desk.provider.bars[33].open_ns, "two pages back"
    asyncio.run(desk.fetcher.fetch_new(desk.series))
    assert desk.stored() == [b for n, b in enumerate(desk.provider.bars[:59]) if n != 30], (
        "older holes are a backfill's"
    )


def test_where_an_update_looks_begins_at_a_bar_that_follows_another(catalog: Catalog) -> None:
    """A fetch that was killed may have left a hole longer than the pages it had stored beyond it."""
    desk = Desk(catalog, at(walk(120), page_bars=8))
    desk.store(desk.provider.bars[:20] + desk.provider.bars[90:100])
    asyncio.run(desk.fetcher.fetch_new(desk.series))
    assert desk.stored() == desk.provider.bars[:119]


def test_an_update_of_nothing_says_where_to_begin(catalog: Catalog) -> None:
    desk = Desk(catalog, at(walk(5)))
    with pytest.raises(TimestampError, match="--since"):
        asyncio.run(desk.fetcher.fetch_new(desk.series))


def test_an_empty_range_is_refused(catalog: Catalog) -> None:
    desk = Desk(catalog, at(walk(5)))
    with pytest.raises(TimestampError, match="no bar of scripted BTC/USDT 1m closes from"):
        asyncio.run(desk.fetcher.backfill(desk.series, START_NS + NS_PER_DAY))


@pytest.mark.parametrize(("after_s", "closed"), [(59.9, 3), (60.0, 3), (61.9, 3), (62.0, 4)])
def test_a_bar_is_closed_two_seconds_after_its_end(catalog: Catalog, after_s: float, closed: int) -> None:
    desk = Desk(catalog, at(walk(4), after_s))
    asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.stored() == desk.provider.bars[:closed]


@pytest.mark.parametrize(("after_s", "closed"), [(61.9, 3), (62.0, 4)])
def test_an_update_waits_out_the_grace_too(catalog: Catalog, after_s: float, closed: int) -> None:
    desk = Desk(catalog, at(walk(4), after_s))
    desk.store(desk.provider.bars[:2])
    asyncio.run(desk.fetcher.fetch_new(desk.series))
    assert desk.stored() == desk.provider.bars[:closed]


@pytest.mark.parametrize("skew_s", [-600.0, -1.0, 1.0, 600.0])
def test_a_bar_is_closed_by_the_venues_clock_and_not_by_ours(catalog: Catalog, skew_s: float) -> None:
    bars = walk(30)
    provider = ScriptedProvider(
        ManualClock(bars[20].open_ns + 30 * NS_PER_S - int(skew_s * NS_PER_S)), bars, skew_s=skew_s
    )
    desk = Desk(catalog, provider)
    asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.stored() == bars[:20]


def test_a_bar_marked_closed_that_still_forms_is_not_believed(catalog: Catalog) -> None:
    def marks_all(there: list[Candle], since: int, limit: int) -> list[Candle]:
        return [Candle(b.open_ns, b.open, b.high, b.low, b.close, b.volume, True) for b in from_(there, since)][:limit]

    desk = Desk(catalog, at(walk(8), page=marks_all))
    asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.stored() == desk.provider.bars[:7]


def test_an_answer_from_a_copy_that_lags_closes_no_bar(catalog: Catalog) -> None:
    provider = at(walk(8), 3)  # three seconds into bar 7: bar 6 is over
    provider.page = lambda there, since, limit: from_(provider.visible(provider.clock.now_ns() - 10 * NS_PER_S), since)
    desk = Desk(catalog, provider)
    filled = asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.stored() == provider.bars[:6], "bar 6 is shown as it was ten seconds ago"
    assert filled.unsettled_ns == provider.bars[6].open_ns
    provider.page = None
    asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.stored() == provider.bars[:7]


@pytest.mark.parametrize("ahead_ns", [120 * NS_PER_S, 365 * NS_PER_DAY, 2**61])
def test_a_bar_of_the_future_in_a_page_is_neither_kept_nor_believed(catalog: Catalog, ahead_ns: int) -> None:
    provider = at(walk(8), 3)  # three seconds into bar 7
    ahead = replace(provider.bars[7], open_ns=provider.bars[7].open_ns + ahead_ns, closed=False)
    lagging = provider.clock.now_ns() - 10 * NS_PER_S
    provider.page = lambda there, since, limit: [*from_(provider.visible(lagging), since), ahead]
    desk = Desk(catalog, provider)
    desk.store(provider.bars[:2])
    filled = asyncio.run(desk.fetcher.fetch_new(desk.series))
    assert desk.stored() == provider.bars[:6], "bar 6 is shown as it was ten seconds ago, and no later bar is shown"
    assert (filled.forming, filled.holes) == (None, ())
    assert desk.stored(include_open=True) == provider.bars[:6]


def test_a_hole_of_the_venues_own_is_asked_for_twice_and_then_never_again(catalog: Catalog) -> None:
    bars = walk(60)
    desk = Desk(catalog, at(bars[:20] + bars[30:], page_bars=100))
    filled = asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert filled.holes == ((bars[20].open_ns, bars[30].open_ns),)
    assert len(desk.asked()) == 2
    for _ in range(5):
        asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert len(desk.asked()) == 2
    desk.fetcher.forget_holes()
    desk.provider.bars = bars
    asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.stored() == bars[:59], "a venue may mend its history: a new process asks again"


def test_bars_that_may_only_be_late_are_asked_for_next_time(catalog: Catalog) -> None:
    provider = at(walk(10), rest_lag_s=90)
    desk = Desk(catalog, provider)
    filled = asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.stored() == provider.bars[:8]
    assert (filled.unsettled_ns, filled.holes) == (provider.bars[8].open_ns, ())
    asyncio.run(provider.clock.advance(60))
    asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.stored() == provider.bars[:9]


def test_a_page_is_kept_before_the_next_is_asked_for(catalog: Catalog) -> None:
    desk = Desk(catalog, at(walk(31), page_bars=10), attempts=1)
    counts = []

    def count() -> None:
        empty = catalog.last_closed("scripted", SYMBOL, "1m") is None
        counts.append(0 if empty else len(desk.stored()))
        if len(counts) == 3:
            raise ConnectivityError("the line is dead.")

    desk.provider.before_fetch = count
    with pytest.raises(ConnectivityError, match=r"20 bar\(s\) were stored, up to 2024-01-02 00:19 UTC"):
        asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert counts == [0, 10, 20]
    assert desk.stored() == desk.provider.bars[:20]
    desk.provider.before_fetch = lambda: None
    asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.asked()[3] == (20, 10), "the next one goes on from there"
    assert desk.stored() == desk.provider.bars[:30]


def test_retry_after_is_honoured_to_the_second(catalog: Catalog) -> None:
    async def scenario() -> None:
        desk = Desk(catalog, at(walk(10)))
        failed = []

        def ban() -> None:
            if not failed:
                failed.append(1)
                raise ConnectivityError("418 I'm a teapot.", retry_after_s=300.0)

        desk.provider.before_fetch = ban
        began = desk.clock.now_ns()
        task = asyncio.create_task(desk.fetcher.backfill(desk.series, START_NS))
        await pass_time(desk.clock, 302)
        await task
        banned, then = desk.provider.asked_at
        assert banned == began
        assert 300 * NS_PER_S <= then - began <= 301 * NS_PER_S

    asyncio.run(scenario())


def test_stored_bars_are_not_overwritten_by_what_a_page_repeats(catalog: Catalog) -> None:
    bars = walk(10)
    desk = Desk(catalog, at(bars, page=lambda there, since, limit: there))
    other = [Candle(b.open_ns, 1.0, 1.0, 1.0, 1.0, 1.0, True) for b in bars[:4]]
    desk.store(other)
    asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
    assert desk.stored() == other + bars[4:9]


def test_of_a_bar_twice_in_a_page_the_closed_one_stands(catalog: Catalog) -> None:
    bars = walk(6)
    stale = Candle(bars[2].open_ns, 1.0, 1.0, 1.0, 1.0, 1.0, False)
    for order in (lambda rows: [stale, *rows], lambda rows: [*rows, stale]):
        desk = Desk(catalog, at(bars, page=lambda there, since, limit, o=order: o(from_(there, since)[:limit])))
        asyncio.run(desk.fetcher.backfill(desk.series, START_NS))
        assert desk.stored() == bars[:5]


def test_months_are_stepped_by_the_calendar(catalog: Catalog) -> None:
    bars = walk(30, Timeframe.MN)
    desk = Desk(catalog, at(bars, 3600, timeframe=Timeframe.MN, page_bars=7))
    asyncio.run(desk.fetcher.backfill(desk.series, bars[0].open_ns))
    assert desk.stored() == bars[:29]


def test_days_of_a_broker_in_athens_come_whole_through_summer_time(catalog: Catalog) -> None:
    opens, stamp = [], 1_709_244_000_000_000_000  # 2024-02-29 22:00 UTC, midnight in Athens
    for day in range(60):
        opens.append(stamp)
        stamp += NS_PER_DAY - (NS_PER_HOUR if day == 30 else 0)  # 31 March has 23 hours
    bars = [Candle(t, 1.0, 2.0, 0.5, 1.5, float(n), True) for n, t in enumerate(opens)]
    desk = Desk(catalog, at(bars, 3600, timeframe=Timeframe.D1, page_bars=7))
    asyncio.run(desk.fetcher.backfill(desk.series, bars[0].open_ns))
    assert desk.stored() == bars[:59]
    asked = len(desk.asked())
    asyncio.run(desk.fetcher.fetch_new(desk.series))
    assert len(desk.asked()) - asked <= 3, "what is stored is not taken for holes"


def test_ten_who_fetch_the_same_at_once_share_one_fetch_and_none_can_spoil_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = at(walk(30))
        door = asyncio.Event()
        provider.before_fetch = door.wait  # type: ignore[assignment]
        async with world_of(tmp_path, provider) as w:
            tasks = [
                asyncio.create_task(w.feeds.backfill("scripted", SYMBOL, "1m", START_NS, START_NS + 600 * NS_PER_S))
                for _ in range(10)
            ]
            await settle()
            tasks[0].cancel()
            await settle()
            door.set()
            told = await asyncio.gather(*tasks[1:])
            assert {t.bars for t in told} == {10}
            assert len(provider.asked) == 1
            assert w.stored() == provider.bars[:10]

    asyncio.run(scenario())


def test_a_fetch_that_nobody_waits_for_any_more_is_stopped(tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = at(walk(30))
        provider.before_fetch = asyncio.Event().wait  # type: ignore[assignment]
        async with world_of(tmp_path, provider) as w:
            task = asyncio.create_task(w.feeds.backfill("scripted", SYMBOL, "1m", START_NS))
            await settle()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
