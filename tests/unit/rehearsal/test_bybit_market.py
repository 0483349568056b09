"""What the rehearsal of Bybit tells anybody: time, instruments, candles, book, tickers, trades, funding."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest

from tests.unit.rehearsal.bybit_world import START_NS, World, bybit
from tradelab.rehearsal.tape import Tape

NOW_MS = START_NS // 1_000_000
MINUTE = 60_000
BOTH = pytest.mark.parametrize("linear", [True, False], ids=["linear", "spot"])


@BOTH
def test_the_time_is_the_clocks_and_a_script_may_set_it_wrong(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            assert await on.client.fetch_time() == NOW_MS
            on.at.direct.skew(12.5)
            assert await on.client.fetch_time() == NOW_MS + 12_500

    asyncio.run(play())


def test_ccxt_reads_the_limits_of_a_perpetual() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            market = on.client.market(on.symbol)
            assert (market["type"], market["linear"], market["settle"]) == ("swap", True, "USDT")
            assert (market["precision"]["amount"], market["precision"]["price"]) == (0.001, 0.1)
            assert market["limits"]["amount"] == {"min": 0.001, "max": 1190.0}
            assert market["limits"]["cost"]["min"] == 5.0
            assert market["info"]["lotSizeFilter"]["maxMktOrderQty"] == "500"

    asyncio.run(play())


def test_ccxt_reads_the_limits_of_a_spot_pair() -> None:
    async def play() -> None:
        async with bybit(False) as on:
            market = on.client.market(on.symbol)
            assert (market["type"], market["active"]) == ("spot", True)
            assert (market["precision"]["amount"], market["precision"]["price"]) == (0.000001, 0.01)
            assert market["limits"]["amount"] == {"min": 0.000048, "max": 71.0}
            assert (market["limits"]["cost"]["min"], market["limits"]["cost"]["max"]) == (5.0, 4_000_000.0)

    asyncio.run(play())


@BOTH
def test_a_market_that_was_taken_off_is_no_longer_listed(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            on.at.direct.delist(on.id)
            assert await on.client.fetch_markets() == []
            asked = {"category": on.category, "symbol": on.id}
            _, told, _ = await on.raw("GET", "/v5/market/instruments-info", asked, signed=False)
            assert told["result"]["list"][0]["status"] == "Closed"

    asyncio.run(play())


@BOTH
def test_candles_come_from_the_tape_and_the_last_one_forms(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear, moving=True) as on:
            await on.at.advance(90)
            told = await on.client.fetch_ohlcv(on.symbol, "1m", limit=4)
            assert [row[0] for row in told] == [NOW_MS + k * MINUTE for k in (-2, -1, 0, 1)]
            tape = on.exchange.tapes[on.id]
            assert [row[1:] for row in told[:3]] == _of_tape(tape, NOW_MS - 2 * MINUTE, 3)
            assert told[3][5] < 130.0  # it has seen a half of its minute
            five = await on.client.fetch_ohlcv(on.symbol, "5m", limit=2)
            assert five[0][5] == 650.0

    asyncio.run(play())


def _of_tape(tape: Tape, since_ms: int, count: int) -> list[list[float]]:
    """Return bars as the frame has them, put on the tick: told by the frame, not by the venue."""
    first = list(tape.open_ns).index(since_ms * 1_000_000)
    rows = []
    for k in range(first, first + count):
        prices = [float(tape.on_tick(float(tape._values[c][k]))) for c in ("open", "high", "low", "close")]
        rows.append([*prices, 130.0])
    return rows


@BOTH
def test_candles_page_forward_from_a_start_and_backward_from_an_end(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            since = NOW_MS - 100 * MINUTE
            page = await on.client.fetch_ohlcv(on.symbol, "1m", since, 40)
            assert [row[0] for row in page] == [since + k * MINUTE for k in range(40)]
            rows = await _kline(on, end=NOW_MS - 10 * MINUTE, limit=3)
            assert [int(r[0]) for r in rows] == [NOW_MS - k * MINUTE for k in (10, 11, 12)]
            rows = await _kline(on, start=NOW_MS - 50 * MINUTE, end=NOW_MS - 10 * MINUTE, limit=5)
            assert [int(r[0]) for r in rows] == [NOW_MS - k * MINUTE for k in (10, 11, 12, 13, 14)]
            assert len(await _kline(on, limit=2000)) == 1000
            assert len(await _kline(on)) == 200

    asyncio.run(play())


@BOTH
def test_the_candle_that_contains_the_start_is_told_too(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            rows = await _kline(on, start=NOW_MS - 5 * MINUTE + 17_000, limit=2)
            assert [int(r[0]) for r in rows] == [NOW_MS - 4 * MINUTE, NOW_MS - 5 * MINUTE]

    asyncio.run(play())


async def _kline(on: World, **more: int) -> list[list[str]]:
    asked: dict[str, Any] = {"category": on.category, "symbol": on.id, "interval": "1", **more}
    _, told, _ = await on.raw("GET", "/v5/market/kline", asked, signed=False)
    rows: list[list[str]] = told["result"]["list"]
    return rows


@BOTH
def test_book_ticker_and_trades_agree_on_where_the_market_is(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            on.price("30010")
            on.price("30020")
            tick = 0.1 if linear else 0.01
            book = await on.client.fetch_order_book(on.symbol, 5)
            ticker = await on.client.fetch_ticker(on.symbol)
            trades = await on.client.fetch_trades(on.symbol)
            assert len(book["bids"]) == len(book["asks"]) == 5
            assert book["bids"][0][0] == ticker["bid"] == pytest.approx(30020 - tick)
            assert book["asks"][0][0] == ticker["ask"] == pytest.approx(30020 + tick)
            assert (ticker["last"], ticker["high"], ticker["low"]) == (30020, 30020, 30000)
            assert ticker["baseVolume"] == pytest.approx(1440 * 130, rel=0.001)
            assert [(t["price"], t["side"]) for t in trades] == [(30010, "buy"), (30020, "buy")]

    asyncio.run(play())


@BOTH
def test_a_market_nobody_knows_and_a_category_nobody_has_are_refused(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            asked = {"category": on.category, "symbol": "NOPEUSDT"}
            with pytest.raises(ccxt.BadSymbol if linear else ccxt.InvalidOrder):
                await on.client.public_get_v5_market_tickers(asked)
            with pytest.raises(ccxt.BadRequest):
                await on.client.public_get_v5_market_tickers({"category": "futures"})
            other = {"category": "spot" if linear else "linear"}
            told = await on.client.public_get_v5_market_instruments_info(other)
            assert told["result"]["list"] == []

    asyncio.run(play())


def test_funding_rates_are_told_for_every_eight_hours_that_passed() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            told = await on.client.fetch_funding_rate_history(on.symbol)
            day = NOW_MS // 86_400_000 * 86_400_000  # it is three in the morning: midnight was the last
            assert [row["timestamp"] for row in told] == [
                day - 16 * 3_600_000,
                day - 8 * 3_600_000,
                day,
            ]  # 25 hours known
            assert {row["fundingRate"] for row in told} == {0.0001}
            rate = await on.client.fetch_funding_rate(on.symbol)
            assert rate["fundingTimestamp"] == day + 8 * 3_600_000

    asyncio.run(play())
