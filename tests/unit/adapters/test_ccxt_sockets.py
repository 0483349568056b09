"""Sockets of the real ccxt client: none that died is used again, nobody is left waiting, nothing is left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.property.gap_world import KEY, Play, World, world_of
from tradelab.feeds.fill_book import FillCursor
from tradelab.feeds.fills import FillFeed
from tradelab.feeds.hub import Feeds
from tradelab.model.errors import ConnectivityError
from tradelab.model.orders import OrderType, Side
from tradelab.model.units import Timeframe
from tradelab.rehearsal.faults import Fault

M1, M5 = Timeframe.M1, Timeframe.M5
SPOT = Play(dialect="binance", exchange="binance", market="spot", disconnects=0, stalls=0)
USDM = Play(dialect="binanceusdm", exchange="binance", market="linear", disconnects=0, stalls=0)
BYBIT = Play(dialect="bybit", exchange="bybit", market="linear", disconnects=0, stalls=0)
ALL = pytest.mark.parametrize("play", [SPOT, USDM, BYBIT], ids=lambda p: p.dialect)


class Reader:
    """A task that reads a stream, and what became of it."""

    def __init__(self, stream: AsyncIterator[Any]) -> None:
        self.seen: list[Any] = []
        self.error: ConnectivityError | None = None
        self.task = asyncio.create_task(self._read(stream))

    async def _read(self, stream: AsyncIterator[Any]) -> None:
        try:
            async for item in stream:
                self.seen.append(item)
        except ConnectivityError as error:
            self.error = error
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


def scene(play: Play, folder: Path, act: Callable[[World], Awaitable[Any]], minutes: int = 300) -> None:
    """Connect, act, disconnect; no task is left, and no error that nobody looked at."""

    async def run() -> None:
        async with world_of(play, folder, minutes) as on:
            await on.meanwhile(on.venue.connect())
            await act(on)
            await on.venue.disconnect()
        assert on.told.left == []
        assert on.told.complaints == []

    asyncio.run(run())


async def until(on: World, holds: Callable[[], object]) -> None:
    """Let time pass until something is so."""
    for _ in range(300):
        if holds():
            return
        await on.pass_time(1, 1)
        await asyncio.sleep(0.002)
    raise AssertionError("never came to be")


def forget(on: World, part: str) -> None:
    """Let the venue forget who had subscribed to a topic, without a word, and go on answering pings."""
    for session in on.at.server.hub.sessions:
        for topic in [t for t in session.topics if part in t]:
            del session.topics[topic]


@ALL
def test_a_subscription_that_the_venue_forgot_is_made_anew(play: Play, tmp_path: Path) -> None:
    async def act(on: World) -> None:
        first = Reader(on.venue.watch_candles(play.symbol, M1))
        await until(on, lambda: first.seen)
        forget(on, "kline")
        await on.pass_time(20)
        await first.stop()
        second = Reader(on.venue.watch_candles(play.symbol, M1))
        await until(on, lambda: second.seen)
        await second.stop()

    scene(play, tmp_path, act)


@ALL
def test_who_shares_a_socket_that_is_given_up_is_told(play: Play, tmp_path: Path) -> None:
    async def act(on: World) -> None:
        one, other = (Reader(on.venue.watch_candles(play.symbol, t)) for t in (M1, M5))
        await until(on, lambda: one.seen and other.seen)
        forget(on, "kline_1m" if play.exchange == "binance" else "kline.1.")
        await on.pass_time(20)
        assert other.error is None, "its own data have not been silent"
        await one.stop()
        await until(on, lambda: other.error)
        assert "the socket was given up" in str(other.error)

    scene(play, tmp_path, act)


@ALL
def test_leaving_a_stream_that_is_alive_leaves_the_others_alone(play: Play, tmp_path: Path) -> None:
    async def act(on: World) -> None:
        one, other = (Reader(on.venue.watch_candles(play.symbol, t)) for t in (M1, M5))
        await until(on, lambda: one.seen and other.seen)
        sockets = list(on.at.server.hub.sessions)
        await one.stop()
        seen = len(other.seen)
        await until(on, lambda: len(other.seen) > seen + 3)
        assert other.error is None
        again = Reader(on.venue.watch_candles(play.symbol, M1))
        await until(on, lambda: again.seen)
        assert on.at.server.hub.sessions == sockets
        await again.stop()
        await other.stop()

    scene(play, tmp_path, act)


@ALL
def test_a_socket_that_nobody_reads_is_closed(play: Play, tmp_path: Path) -> None:
    async def act(on: World) -> None:
        readers = [Reader(s) for s in (on.venue.watch_candles(play.symbol, M1), on.venue.watch_fills())]
        await on.streaming()
        for reader in readers:
            await reader.stop()
        await until(on, lambda: not on.at.server.hub.sessions)

    scene(play, tmp_path, act)


@ALL
def test_a_stream_that_broke_can_be_watched_again_at_once(play: Play, tmp_path: Path) -> None:
    async def act(on: World) -> None:
        for _ in range(5):
            candles, fills = Reader(on.venue.watch_candles(play.symbol, M1)), Reader(on.venue.watch_fills())
            await on.streaming()
            on.at.direct.disconnect()
            await until(on, lambda c=candles, f=fills: c.error and f.error)
        await on.pass_time(1)

    scene(play, tmp_path, act)


@ALL
def test_of_quotes_that_come_together_the_newest_is_told_though_nothing_follows_it(play: Play, tmp_path: Path) -> None:
    async def act(on: World) -> None:
        reader = Reader(on.venue.watch_quotes(play.symbol))
        await until(on, lambda: reader.seen)
        last, tick = on.at.exchange.best(play.instrument.symbol)[0], play.instrument.tick_size
        for n in range(1, 61):
            on.at.direct.move_price(play.instrument.symbol, last + 10 * n * tick)
        best = on.at.exchange.best(play.instrument.symbol)[0]
        for _ in range(300):  # the market stands still meanwhile
            if reader.seen[-1].bid == best:
                break
            await asyncio.sleep(0.01)
        assert reader.seen[-1].bid == best
        await reader.stop()

    scene(play, tmp_path, act)


@ALL
def test_the_quote_is_known_though_the_market_stands_still(play: Play, tmp_path: Path) -> None:
    """Streams tell of changes: an order a moment after the start of an engine was refused, for no quote was known."""

    async def act(on: World) -> None:
        feeds = Feeds(on.catalog, on.venue, clock=on.clock, chance=random.Random(5))
        async with feeds.quotes(on.venue.name, play.symbol) as quotes:
            first = asyncio.ensure_future(anext(aiter(quotes)))
            for _ in range(400):
                if first.done():
                    break
                await asyncio.sleep(0.01)
            assert first.done()
            assert first.result().bid == on.at.exchange.best(play.instrument.symbol)[0]
        await feeds.close()

    scene(play, tmp_path, act)


@ALL
@pytest.mark.parametrize("rounds", [0, 1, 2, 5, 10, 20, 40, 80])
def test_disconnecting_at_any_moment_ends_every_reader_and_leaves_nothing(
    play: Play, rounds: int, tmp_path: Path
) -> None:
    async def act(on: World) -> None:
        streams = [on.venue.watch_candles(play.symbol, M1), on.venue.watch_fills(), on.venue.watch_orders()]
        readers = [Reader(s) for s in [*streams, on.venue.watch_quotes(play.symbol), on.venue.watch_balances()]]
        for _ in range(rounds):
            await asyncio.sleep(0)
        await on.venue.disconnect()
        if rounds:  # else they had not begun
            await asyncio.wait_for(asyncio.gather(*(r.task for r in readers)), 10)
            assert all(r.error for r in readers)
        for reader in readers:
            await reader.stop()

    scene(play, tmp_path, act)


@ALL
@pytest.mark.parametrize("rounds", [1, 2, 5, 10, 20, 40])
def test_who_leaves_while_a_login_is_under_way_strands_nobody(play: Play, rounds: int, tmp_path: Path) -> None:
    async def act(on: World) -> None:
        leaver, stayer = Reader(on.venue.watch_orders()), Reader(on.venue.watch_fills())
        for _ in range(rounds):
            await asyncio.sleep(0)
        await leaver.stop()

        async def traded() -> bool:
            if stayer.error or stayer.seen:
                return True
            await on.pass_time(2, 2)
            order = on.at.exchange.draft(KEY, "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.01"))
            assert on.at.exchange.place(order) is None
            return False

        for _ in range(200):
            if await traded():
                break
        assert stayer.error or stayer.seen
        await stayer.stop()

    scene(play, tmp_path, act)


def test_while_sockets_cannot_be_had_attempts_are_few_and_everything_is_asked_for(tmp_path: Path) -> None:
    async def act(on: World) -> None:
        how: dict[str, Any] = {"clock": on.clock, "on_alarm": on.told.alarms.append}
        feeds = Feeds(on.catalog, on.venue, chance=random.Random(5), **how)
        fills = FillFeed(on.venue, FillCursor(on.clock.now_ns()), chance=random.Random(6), **how)
        on.at.direct.fault(Fault.LOST, "stream", times=10**6)
        async with fills, feeds.bars(on.venue.name, SPOT.symbol, "1m") as bars:
            seen = Reader(bars)  # type: ignore[arg-type]
            await on.pass_time(600)
            (script,) = on.at.server.faults.waiting()
            attempts = 10**6 - (script.times or 0)
            # two streams, each every half minute in the end, and each time aiohttp may try twice
            assert 10 < attempts < 130
            assert len(seen.seen) >= 8, "bars come by REST meanwhile"
            on.at.direct.all_well()
            await on.streaming()
            seen.task.cancel()
        await feeds.close()

    scene(SPOT, tmp_path, act)


def test_a_listen_key_is_renewed_by_the_clock_that_the_venue_runs_by(tmp_path: Path) -> None:
    async def act(on: World) -> None:
        reader = Reader(on.venue.watch_fills())
        await until(on, lambda: any(t.startswith("user/") for t in on.at.server.hub.topics()))
        await on.pass_time(70 * 60, 20)
        assert reader.error is None
        order = on.at.exchange.draft(KEY, "BTCUSDT", Side.BUY, OrderType.MARKET, Decimal("0.01"))
        on.at.exchange.place(order)
        await until(on, lambda: reader.seen)
        renewed = [a for a in on.at.server.log if a.method == "PUT" and "listenKey" in a.path]
        assert len(renewed) == 3, "every twenty minutes"
        await reader.stop()

    scene(USDM, tmp_path, act)


def test_a_stream_that_is_refused_says_why(tmp_path: Path) -> None:
    async def act(on: World) -> None:
        accounts = on.at.exchange.accounts
        accounts[KEY] = replace(accounts[KEY], secret="another")
        reader = Reader(on.venue.watch_fills())
        await until(on, lambda: reader.error)
        assert "Signature for this request is not valid" in str(reader.error)

    scene(SPOT, tmp_path, act)


def test_how_long_to_wait_reaches_who_reads(tmp_path: Path) -> None:
    async def act(on: World) -> None:
        on.at.direct.fault(Fault.RATE_LIMITED, "*", seconds=7)
        reader = Reader(on.venue.watch_fills())
        await until(on, lambda: reader.error)
        assert reader.error is not None
        assert reader.error.retry_after_s is not None
        assert 6 <= reader.error.retry_after_s <= 7

    scene(USDM, tmp_path, act)


@ALL
def test_who_watches_orders_sets_off_no_questions_of_ccxts_own(play: Play, tmp_path: Path) -> None:
    """ccxt asked for positions in the background: cut off by a close, it complained of a future nobody waited for."""

    async def act(on: World) -> None:
        orders, money = Reader(on.venue.watch_orders()), Reader(on.venue.watch_balances())
        await until(on, lambda: on.at.server.hub.sessions)
        await on.pass_time(5)
        asked = {each.kind for each in on.at.server.log}
        assert "positions" not in asked
        await orders.stop()
        await money.stop()

    scene(play, tmp_path, act)
