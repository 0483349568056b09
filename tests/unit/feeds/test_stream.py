"""Each closed bar reaches each subscriber once, in order, without a hole, and is stored before it is told."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from tests.unit.feeds.following import RHYTHM, quotes_of, world_of
from tests.unit.feeds.scripted import START_NS, SYMBOL, ScriptedProvider, pass_time, settle, walk
from tradelab.catalog.retention import RetentionPolicy
from tradelab.catalog.samples import load
from tradelab.feeds.keeper import candles
from tradelab.feeds.rhythm import Rhythm
from tradelab.model.capabilities import Stream
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError, RequestError, StorageError, UnknownNameError
from tradelab.model.feed_events import FeedGap, FeedPolling, FeedResumed, FeedStale
from tradelab.model.market import Quote
from tradelab.model.units import NS_PER_S, Timeframe

HALF_PAST_NS = START_NS + 30 * NS_PER_S


def provider_at(seconds: float = 30, count: int = 60, **how: object) -> ScriptedProvider:
    """Return a market whose clock stands so many seconds after its first bar opened."""
    return ScriptedProvider(ManualClock(START_NS + int(seconds * NS_PER_S)), walk(count), **how)  # type: ignore[arg-type]


def test_bars_that_close_while_followed_are_told_once_and_stored(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            follower = await w.follow()
            await pass_time(w.clock, 5 * 60)
            assert follower.closed == w.provider.bars[:5] == w.stored()
            await follower.stop()

    asyncio.run(scenario())


def test_ten_subscribers_are_one_stream_and_one_fetch(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at(marks=False)) as w:
            followers = [await w.follow() for _ in range(10)]
            await pass_time(w.clock, 3 * 60 + 10)
            assert all(f.closed == w.provider.bars[:3] for f in followers)
            assert (w.provider.opened, w.provider.most_watching) == (1, 1)
            assert len(w.provider.asked) == 3, "one question a bar, not one a subscriber"
            for follower in followers:
                await follower.stop()
            assert w.provider.watching == 0

    asyncio.run(scenario())


def test_the_last_subscriber_out_closes_the_stream_and_others_keep_it_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            first, second = await w.follow(), await w.follow()
            await pass_time(w.clock, 60)
            await first.stop()
            assert w.provider.watching == 1
            await pass_time(w.clock, 60)
            assert second.closed == w.provider.bars[:2]
            await second.stop()
            assert w.provider.watching == 0
            third = await w.follow()
            await pass_time(w.clock, 60)
            assert third.closed == [w.provider.bars[2]], "a later one begins with the bar that closes next"
            await third.stop()

    asyncio.run(scenario())


def test_how_a_followed_stream_stands_is_told_and_of_one_that_nobody_follows_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            assert w.feeds.line("scripted", SYMBOL, "1m") is None
            follower = await w.follow()
            await pass_time(w.clock, 60)
            line = w.feeds.line("scripted", SYMBOL, "1m")
            assert line is not None
            assert (line.what, line.connected, line.polled, line.reconnects) == ("bars 1m", True, False, 0)
            assert line.heard_ns is not None
            assert w.clock.now_ns() - line.heard_ns <= 60 * 10**9
            await follower.stop()
            assert w.feeds.line("scripted", SYMBOL, "1m") is None

    asyncio.run(scenario())


def test_a_subscriber_that_is_cancelled_leaves_no_task_behind(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            follower = await w.follow()
            await pass_time(w.clock, 90)
            assert len(asyncio.all_tasks()) > 2
            await follower.stop()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_a_subscriber_that_was_dropped_without_a_word_is_let_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            context = w.feeds.bars("scripted", SYMBOL, "1m")
            await context.__aenter__()
            await pass_time(w.clock, 30)
            assert w.provider.watching == 1
            del context
            gc.collect()
            await settle(30)
            assert w.provider.watching == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_a_subscriber_that_stops_reading_holds_up_nobody_and_gets_every_bar_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            slow, other = await w.follow(queue_bars=4), await w.follow(queue_bars=4)
            await pass_time(w.clock, 60)
            slow.reads.clear()
            await pass_time(w.clock, 20 * 60)
            assert other.closed == w.provider.bars[:21]
            assert len(slow.closed) == 2, "the second is in its hands"
            slow.reads.set()
            await settle()
            assert slow.closed == w.provider.bars[:21]
            assert slow.missed == [19]
            await slow.stop()
            await other.stop()

    asyncio.run(scenario())


def test_what_was_missed_since_the_last_stored_bar_is_fetched_before_anything_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = provider_at(seconds=30 * 60 + 30, page_bars=10)
        async with world_of(tmp_path, provider) as w:
            await w.feeds.backfill("scripted", SYMBOL, "1m", START_NS, START_NS + 5 * 60 * NS_PER_S)
            assert w.stored() == provider.bars[:5]
            follower = await w.follow(after_ns=provider.bars[2].open_ns)
            await pass_time(w.clock, 65)
            assert follower.closed == provider.bars[3:31]
            (gap,) = w.alarms_of(FeedGap)
            assert isinstance(gap, FeedGap)
            assert (gap.first_ns, gap.last_ns, gap.bars) == (provider.bars[5].open_ns, provider.bars[29].open_ns, 25)
            await follower.stop()

    asyncio.run(scenario())


def test_after_ns_fetches_history_when_nothing_is_stored(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at(seconds=30 * 60 + 30)) as w:
            follower = await w.follow(after_ns=w.provider.bars[9].open_ns)
            await pass_time(w.clock, 5)
            assert follower.closed == w.provider.bars[10:30] == w.stored()
            await follower.stop()

    asyncio.run(scenario())


def test_a_subscriber_may_wait_for_bars_that_are_still_to_come(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            follower = await w.follow(after_ns=w.provider.bars[3].open_ns)
            await pass_time(w.clock, 6 * 60)
            assert follower.closed == w.provider.bars[4:6]
            await follower.stop()

    asyncio.run(scenario())


def test_a_later_subscriber_may_begin_earlier_than_the_feed_did(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            first = await w.follow()
            await pass_time(w.clock, 4 * 60)
            second = await w.follow(after_ns=w.provider.bars[0].open_ns)
            await pass_time(w.clock, 60)
            assert second.closed == w.provider.bars[1:5]
            assert second.missed == []
            await first.stop()
            await second.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("word", ["disconnect", "end"])
def test_a_broken_connection_is_opened_again_and_its_gap_filled(tmp_path: Path, word: str) -> None:
    async def scenario() -> None:
        provider = provider_at(script=["ok"] * 9 + [word])
        async with world_of(tmp_path, provider) as w:
            follower = await w.follow()
            await pass_time(w.clock, 10 * 60)
            assert follower.closed == provider.bars[:10] == w.stored()
            assert provider.opened == 2
            assert w.alarms_of(FeedStale) == [], "it was back before data were old"
            await follower.stop()

    asyncio.run(scenario())


def test_a_silent_stall_is_noticed_by_the_age_of_data_within_twice_the_expected_interval(tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = provider_at(script=["ok"] * 6 + ["stall"])
        async with world_of(tmp_path, provider) as w:
            follower = await w.follow()
            await pass_time(w.clock, 60)  # six frames; the seventh stalls
            assert (provider.opened, w.alarms) == (1, [])
            await pass_time(w.clock, 29)
            assert w.alarms == []
            await pass_time(w.clock, 1)
            (stale,) = w.alarms
            assert isinstance(stale, FeedStale)
            assert stale.age_s == pytest.approx(2 * RHYTHM.expected_interval_s)
            assert "silent" in stale.says
            await pass_time(w.clock, 70)
            assert [type(a) for a in w.alarms] == [FeedStale, FeedResumed]
            assert follower.closed == provider.bars[:3]
            await follower.stop()

    asyncio.run(scenario())


def test_frames_about_a_bar_that_is_long_over_are_no_life(tmp_path: Path) -> None:
    """ccxt issue 23214: a stream that repeats old data for hours looks alive to whoever counts messages."""

    async def scenario() -> None:
        provider = provider_at(marks=True)
        frozen = provider.bars[0]

        async def repeats(*_: object) -> object:
            while True:
                await provider.clock.sleep(5)
                yield frozen

        async with world_of(tmp_path, provider) as w:
            provider.watch_candles = repeats  # type: ignore[method-assign, assignment]
            follower = await w.follow()
            await pass_time(w.clock, 4 * 60)
            assert len(w.alarms_of(FeedStale)) == 1
            await follower.stop()

    asyncio.run(scenario())


def test_a_stream_that_cannot_be_had_is_polled_until_it_can(tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = provider_at(script=["disconnect"] * 12)
        async with world_of(tmp_path, provider) as w:
            follower = await w.follow()
            await pass_time(w.clock, 15 * 60)
            kinds = [type(a) for a in w.alarms if not isinstance(a, FeedGap)]
            assert kinds == [FeedStale, FeedPolling, FeedResumed]
            (polling,) = w.alarms_of(FeedPolling)
            assert isinstance(polling, FeedPolling)
            assert polling.every_s == RHYTHM.poll_s
            assert "5 connections in a row" in polling.says
            assert follower.closed == provider.bars[:15] == w.stored()
            assert provider.watching == 1, "the stream is back"
            asked = len(provider.asked)
            await pass_time(w.clock, 5 * 60)
            assert len(provider.asked) <= asked + 5, "nothing is polled any more; these frames tell a close too late"
            await follower.stop()

    asyncio.run(scenario())


def test_a_provider_without_streams_is_polled_once_for_all_and_without_alarm(tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = provider_at(streams=frozenset())
        async with world_of(tmp_path, provider) as w:
            one, other = await w.follow(), await w.follow(forming=True)
            await pass_time(w.clock, 10 * 60)
            assert one.closed == other.closed == provider.bars[:10]
            assert provider.opened == 0
            assert len(provider.asked) <= 2 + 10 * 60 / RHYTHM.poll_s + 10, "each poll, and each bar as it is over"
            assert [a for a in w.alarms if not isinstance(a, FeedGap)] == []
            assert {b.open_ns for b in other.forming} >= {b.open_ns for b in provider.bars[1:10]}
            await one.stop()
            await other.stop()

    asyncio.run(scenario())


def test_the_forming_bar_is_marked_open_and_shown_only_to_who_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            asked, did_not = await w.follow(forming=True), await w.follow()
            await pass_time(w.clock, 45)
            assert did_not.forming == []
            assert len(asked.forming) >= 3
            assert not any(bar.closed for bar in asked.forming)
            with_open = w.catalog.read("scripted", SYMBOL, "1m", include_open=True)
            assert len(with_open) == len(w.stored()) + 1
            await pass_time(w.clock, 60)
            for event, following in zip(asked.events, asked.events[1:], strict=False):
                assert event.candle.open_ns <= following.candle.open_ns  # type: ignore[union-attr]
            await asked.stop()
            await did_not.stop()

    asyncio.run(scenario())


def test_disconnecting_the_provider_ends_its_feeds_with_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            follower, other = await w.follow(), await w.follow()
            quotes = asyncio.create_task(quotes_of(w.feeds, []))
            await pass_time(w.clock, 90)
            await w.provider.disconnect()
            w.provider.script = iter(["disconnect"] * 2)
            await pass_time(w.clock, 60)
            for each in (follower, other):
                assert isinstance(each.error, ConnectivityError)
                assert "was disconnected while scripted BTC/USDT 1m was followed" in str(each.error)
                assert each.task.done()
            with pytest.raises(ConnectivityError, match="quotes of BTC/USDT"):
                await quotes
            assert follower.error is not other.error

    asyncio.run(scenario())


def test_a_venue_that_refuses_ends_the_feed_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = provider_at(seconds=330)

        def refuse() -> None:
            raise RequestError("no such symbol.")

        provider.before_fetch = refuse
        async with world_of(tmp_path, provider) as w:
            follower = await w.follow(after_ns=START_NS - 1)
            await pass_time(w.clock, 90)
            assert isinstance(follower.error, RequestError)
            assert len(provider.asked) == 1

    asyncio.run(scenario())


def test_a_bar_that_cannot_be_stored_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            follower = await w.follow()
            await pass_time(w.clock, 60)

            def full(_: object) -> None:
                raise StorageError("no room.")

            with monkeypatch.context() as patched:
                patched.setattr(w.catalog, "append", full)
                await pass_time(w.clock, 60)
            assert isinstance(follower.error, StorageError)
            assert follower.closed == w.provider.bars[:1] == w.stored()
            again = await w.follow(after_ns=w.provider.bars[0].open_ns)
            await pass_time(w.clock, 60)
            assert again.closed == w.provider.bars[1:3], "subscribing anew starts a new feed"
            await again.stop()

    asyncio.run(scenario())


def test_closing_the_feeds_ends_every_loop(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            follower = await w.follow()
            await pass_time(w.clock, 60)
            await w.feeds.close()
            await settle()
            assert follower.task.done()
            assert follower.error is None

    asyncio.run(scenario())


def test_real_bars_with_weekends_come_whole_and_a_closed_market_is_asked_now_and_then(tmp_path: Path) -> None:
    """EURUSD hours, a week and more: no bar on Saturdays, which no feed may wait for."""
    bars = candles(load("EURUSD-1h"))[:130]
    first, last = bars[0].open_ns, bars[-1].open_ns

    async def scenario() -> None:
        provider = ScriptedProvider(
            ManualClock(first + 1800 * NS_PER_S),
            bars,
            Timeframe.H1,
            frame_every_s=300,
            script=["ok"] * 40 + ["disconnect", "ok", "lost"] * 20,
        )
        rhythm = Rhythm(expected_interval_s=600, poll_s=900)
        async with world_of(tmp_path, provider, bar_rhythm=lambda _: rhythm) as w:
            follower = await w.follow()
            hours = (last - first) // Timeframe.H1.ns + 1
            await pass_time(w.clock, hours * 3600, step_s=300)
            assert follower.closed == bars == w.stored()
            assert len(w.alarms_of(FeedPolling)) >= 1, "the weekend looked like an outage"
            assert len(provider.asked) < 800, "a question or two each bar, and each quarter of an hour of a weekend"
            await follower.stop()

    asyncio.run(scenario())


def test_a_provider_that_is_not_here_is_refused_by_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            with pytest.raises(UnknownNameError, match="did you mean 'scripted'"):
                async with w.feeds.bars("scriptd", SYMBOL, "1m"):
                    pass

    asyncio.run(scenario())


def test_quotes_are_shared_newest_only_and_their_silence_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = provider_at(script=["ok"] * 20 + ["stall"])
        async with world_of(tmp_path, provider) as w:
            one: list[Quote] = []
            other: list[Quote] = []
            tasks = [asyncio.create_task(quotes_of(w.feeds, into)) for into in (one, other)]
            await pass_time(w.clock, 20)
            assert len(one) == 20
            assert provider.opened == 1
            await pass_time(w.clock, 40)
            assert [type(a) for a in w.alarms] == [FeedStale, FeedResumed]
            assert w.alarms[0].timeframe is None
            assert [q.ts_ns for q in one] == sorted({q.ts_ns for q in one}) == [q.ts_ns for q in other]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())


def test_quotes_of_a_venue_that_streams_none_are_its_ticks(tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = provider_at(streams=frozenset({Stream.CANDLES}))
        async with world_of(tmp_path, provider) as w:
            told: list[Quote] = []
            task = asyncio.create_task(quotes_of(w.feeds, told))
            await pass_time(w.clock, 10)
            assert len(told) == 6, "now and every two seconds"
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())


def test_a_slow_reader_of_quotes_gets_the_newest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w, w.feeds.quotes("scripted", SYMBOL) as quotes:
            await pass_time(w.clock, 30)
            quote = await anext(quotes)
            assert quote.ts_ns == w.clock.now_ns()
            assert quotes.latest == quote

    asyncio.run(scenario())


def test_bars_that_retention_took_from_a_slow_subscriber_are_an_error_and_not_a_silence(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with world_of(tmp_path, provider_at()) as w:
            slow, quick = await w.follow(queue_bars=3), await w.follow()
            slow.reads.clear()
            await pass_time(w.clock, 60 * 10)
            w.catalog.add_retention_policy(RetentionPolicy(keep_days=1e-9))
            w.catalog.retain()
            slow.reads.set()
            await settle()
            assert isinstance(slow.error, StorageError)
            assert "were removed from the catalogue before this subscriber read them" in str(slow.error)
            await pass_time(w.clock, 60 * 5)
            assert quick.error is None
            assert quick.closed == w.provider.bars[: len(quick.closed)], "who keeps up loses nothing"
            assert len(quick.closed) >= 14
            await quick.stop()

    asyncio.run(scenario())
