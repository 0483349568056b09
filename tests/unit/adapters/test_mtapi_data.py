"""Hold bars and quotes of mtapi.io to the tape: forward pages, weekends, broker's hours, pushes and polls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.rehearsal.mtapi_world import BARS_BEFORE, START_NS, World, world
from tradelab.adapters.mtapi_data import PAGE
from tradelab.model.errors import ConnectivityError, ParameterError, RequestError
from tradelab.model.market import Candle
from tradelab.model.units import NS_PER_DAY, NS_PER_MIN, Timeframe
from tradelab.rehearsal.faults import Fault

M1 = Timeframe.M1
DECLARED = {"server_zone": "UTC+2"}


def played(play: Callable[[World], Awaitable[None]], **kind: Any) -> None:
    async def run() -> None:
        async with world(**kind) as on:
            await play(on)

    asyncio.run(run())


def _true(on: World, timeframe: Timeframe, since_ns: int, until_ns: int) -> list[Candle]:
    (tape,) = on.venue.exchange.tapes.values()
    told = tape.candles(timeframe, since_ns, until_ns, on.venue.exchange.now_ns)
    return [replace(bar, volume=float(int(bar.volume))) for bar in told]  # MetaTrader counts ticks: whole numbers


@pytest.mark.parametrize("dialect", ["mtapi", "mtapi-mt4"])
@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M5, Timeframe.H1])
def test_pages_read_forwards_are_the_whole_tape(dialect: str, timeframe: Timeframe) -> None:
    async def play(on: World) -> None:
        since = START_NS - BARS_BEFORE * NS_PER_MIN
        read: list[Candle] = []
        while page := await on.adapter.fetch_ohlcv("EURUSD", timeframe, since_ns=since):
            assert len(page) <= PAGE
            read += page
            since = timeframe.next_open(page[-1].open_ns)
        assert read == _true(on, timeframe, START_NS - BARS_BEFORE * NS_PER_MIN, START_NS + 1)
        assert [bar.closed for bar in read[-2:]] == [True, False]

    played(play, dialect=dialect, settings=DECLARED)


def test_the_newest_bars_are_the_last_of_the_tape() -> None:
    async def play(on: World) -> None:
        read = await on.adapter.fetch_ohlcv("EURUSD", M1, limit=7)
        assert list(read) == _true(on, M1, START_NS - 100 * NS_PER_MIN, START_NS + 1)[-7:]

    played(play)


def test_a_page_that_begins_in_a_long_silence_begins_with_the_first_bar_after_it() -> None:
    async def play(on: World) -> None:
        first = START_NS - BARS_BEFORE * NS_PER_MIN
        asked = len(on.venue.server.log)
        page = await on.adapter.fetch_ohlcv("EURUSD", M1, since_ns=first - 90 * NS_PER_DAY, limit=100)
        assert list(page) == _true(on, M1, first, first + 100 * NS_PER_MIN)
        assert sum(a.kind == "candles" for a in list(on.venue.server.log)[asked:]) < 40  # days are not asked one by one

    played(play, settings=DECLARED)


def test_a_server_that_cuts_a_long_answer_loses_us_no_bar() -> None:
    async def play(on: World) -> None:
        on.dialect.most_bars = PAGE + 5
        first = START_NS - BARS_BEFORE * NS_PER_MIN
        page = await on.adapter.fetch_ohlcv("EURUSD", M1, since_ns=first - 20 * NS_PER_DAY)
        assert [bar.open_ns for bar in page] == [
            b.open_ns for b in _true(on, M1, first, first + len(page) * 60 * 10**9)
        ]
        assert page[0].open_ns == first

    played(play, settings=DECLARED)


def test_from_now_on_there_is_nothing() -> None:
    async def play(on: World) -> None:
        assert await on.adapter.fetch_ohlcv("EURUSD", M1, since_ns=START_NS + 5 * NS_PER_MIN) == []

    played(play)


def test_bars_from_before_the_asked_offset_is_known_to_hold_are_refused_not_guessed() -> None:
    async def play(on: World) -> None:
        with pytest.raises(RequestError, match=r"might be an hour off.*Set server_zone"):
            await on.adapter.fetch_ohlcv("EURUSD", M1, since_ns=START_NS - 8 * NS_PER_DAY)

    played(play)


def test_a_server_that_does_not_tell_its_zone_beyond_doubt_is_not_connected_to() -> None:
    async def play(on: World) -> None:
        on.venue.direct.fault(Fault.FILTER, "other", times=None)  # ServerTimezone answers with an error
        with pytest.raises(RequestError, match=r"does not tell its time zone.*Set server_zone"):
            await on.made().connect()
        declared = on.made(**DECLARED)
        await declared.connect()
        await declared.disconnect()

    played(play)


@pytest.mark.parametrize("timeframe", [Timeframe.H4, Timeframe.D1, Timeframe.W1, Timeframe.MN])
def test_bars_that_begin_by_the_brokers_midnight_are_not_offered(timeframe: Timeframe) -> None:
    async def play(on: World) -> None:
        assert timeframe not in on.adapter.data_capabilities.timeframes
        with pytest.raises(ParameterError, match="Fetch H1 and resample"):
            await on.adapter.fetch_ohlcv("EURUSD", timeframe)

    played(play)


def test_a_symbol_that_is_not_there_is_named() -> None:
    async def play(on: World) -> None:
        with pytest.raises(RequestError, match=r"bars of NOSUCH.*INVALID_SYMBOL"):
            await on.adapter.fetch_ohlcv("NOSUCH", M1, limit=3)
        with pytest.raises(RequestError, match="the quote of NOSUCH"):
            await on.adapter.quote("NOSUCH")

    played(play)


def test_what_is_not_offered_says_so() -> None:
    async def play(on: World) -> None:
        with pytest.raises(RequestError, match="no ticks"):
            await on.adapter.fetch_ticks("EURUSD")
        with pytest.raises(RequestError, match="no stream of M1 bars"):
            await anext(on.adapter.watch_candles("EURUSD", M1))

    played(play)


def test_quotes_are_pushed_after_subscribing_and_a_cut_is_an_error() -> None:
    async def play(on: World) -> None:
        quotes = on.adapter.watch_quotes("EURUSD")
        waiting = asyncio.ensure_future(anext(quotes))
        while not on.venue.server.hub.topics():
            await asyncio.sleep(0.01)
        await on.move("1.16200")
        quote = await waiting
        assert (quote.bid, quote.ask, quote.ts_ns) == (Decimal("1.16199"), Decimal("1.16201"), START_NS)
        waiting = asyncio.ensure_future(anext(quotes))
        on.venue.direct.disconnect()
        with pytest.raises(ConnectivityError, match="was closed"):
            await waiting

    played(play)


def test_quotes_are_asked_for_again_and_again_where_there_is_no_socket() -> None:
    async def play(on: World) -> None:
        from tradelab.adapters import mtapi_streams

        real = mtapi_streams.Streams._connected

        async def none(self: Any, http: Any, call: Any) -> Any:
            raise mtapi_streams.NoSocketError("mtapi: no such socket.")

        mtapi_streams.Streams._connected = none  # type: ignore[method-assign]
        try:
            quotes = on.adapter.watch_quotes("EURUSD")
            assert (await anext(quotes)).bid == Decimal("1.15999")
            waiting = asyncio.ensure_future(anext(quotes))
            await on.move("1.16300")
            while not waiting.done():
                await on.clock.advance(1.0)
                await asyncio.sleep(0.01)
            assert waiting.result().bid == Decimal("1.16299")
            await quotes.aclose()
        finally:
            mtapi_streams.Streams._connected = real  # type: ignore[method-assign]

    played(play)


def test_the_bridges_time_is_its_date_and_our_clock_fills_in_the_second() -> None:
    async def play(on: World) -> None:
        await on.clock.advance(0.25)
        assert await on.adapter.now_ns() == START_NS + 250_000_000
        on.venue.direct.skew(600)
        assert await on.adapter.now_ns() == START_NS + 600 * 10**9
        on.venue.direct.skew(-600)
        assert await on.adapter.now_ns() == START_NS - 599 * 10**9 - 1
        told = await on.adapter.test_connection()
        assert told.clock_offset_ms == pytest.approx(-599_250, abs=1000)

    played(play)
