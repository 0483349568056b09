"""Fills are all there, whichever end of a span a venue's pages begin at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.ccxt_stage import CcxtContract
from tests.conformance.test_binance_spot import TestBinanceSpot as BinanceSpot
from tests.conformance.test_binance_usdm import TestBinanceUsdm as BinanceUsdm
from tests.conformance.test_bybit import TestBybitLinear as BybitLinear
from tradelab.adapters.ccxt_fills import Trades
from tradelab.model.errors import RequestError
from tradelab.model.orders import OrderType, Side

NOW_MS = 10_000
LIMIT = 5
Rows = list[dict[str, Any]]
FROM_ITS_BEGINNING: Callable[[Rows], Rows] = lambda rows: rows[:LIMIT]  # noqa: E731
FROM_ITS_END: Callable[[Rows], Rows] = lambda rows: rows[-LIMIT:][::-1]  # noqa: E731


def trades(times: list[int], page_of: Callable[[Rows], Rows], span_s: int | None, marks: bool) -> Trades:
    """Return the walker in front of a venue that has a trade at each of these milliseconds."""
    rows = [
        {"id": str(n), "symbol": "A/B", "order": "1", "side": "buy", "amount": 1, "price": 1, "timestamp": t}
        for n, t in enumerate(sorted(times))
    ]

    async def fetch(symbol: str | None, since: int, limit: int, more: dict[str, Any] | None = None) -> Rows:
        until = (more or {}).get("until", NOW_MS * 2)
        assert span_s is None or until - since < span_s * 1000, "the venue refuses longer spans"
        there = [r for r in rows if since <= r["timestamp"] <= until]
        if not marks:
            return page_of(there)
        left = there[: len(there) - int((more or {}).get("cursor", 0))]
        page = [dict(r) for r in page_of(left)]
        if page:
            page[-1]["info"] = {"nextPageCursor": str(len(there) - len(left) + len(page))}
        return page

    async def ask(question: Any, *args: Any) -> Any:
        return await question(*args)

    client: Any = SimpleNamespace(
        id="made-up", ask=ask, now_ns=lambda: NOW_MS * 1_000_000, raw=SimpleNamespace(fetch_my_trades=fetch)
    )
    ways: Any = SimpleNamespace(
        fills_need_symbol=False,
        longest_fill_span_s=span_s,
        features=lambda: {"fetchMyTrades": {"limit": LIMIT}},
        fills_kept_s=None,
        fills_by_number=False,
    )
    return Trades(client, ways, ())


def told(
    times: list[int], page_of: Callable[[Rows], Rows], span_s: int | None = 2, since: int = 0, marks: bool = False
) -> list[int]:
    fills = asyncio.run(trades(times, page_of, span_s, marks).since(since * 1_000_000, None))
    assert len({f.trade_id for f in fills}) == len(fills)
    return [f.ts_ns // 1_000_000 for f in fills]


few_at_once = st.lists(st.integers(0, NOW_MS), max_size=60).filter(
    lambda times: max((times.count(t) for t in times), default=0) < LIMIT
)


@pytest.mark.parametrize("page_of", [FROM_ITS_BEGINNING, FROM_ITS_END], ids=["from its beginning", "from its end"])
@given(times=few_at_once, since=st.integers(0, NOW_MS))
def test_every_fill_is_found_whichever_end_pages_begin_at(
    page_of: Callable[[Rows], Rows], times: list[int], since: int
) -> None:
    assert told(times, page_of, since=since) == sorted(t for t in times if t >= since)


@given(times=few_at_once)
def test_a_venue_of_which_no_span_is_known_is_walked_forward(times: list[int]) -> None:
    assert told(times, FROM_ITS_BEGINNING, span_s=None) == sorted(times)


@pytest.mark.parametrize("page_of", [FROM_ITS_BEGINNING, FROM_ITS_END])
@pytest.mark.parametrize("span_s", [2, None])
def test_more_fills_in_a_millisecond_than_a_page_holds_are_not_guessed(
    page_of: Callable[[Rows], Rows], span_s: int | None
) -> None:
    with pytest.raises(RequestError, match="more than 5 fills in one millisecond"):
        told([7] * 6, page_of, span_s=span_s)


@given(times=st.lists(st.integers(0, 3), max_size=40))
def test_a_venue_that_marks_its_pages_may_have_any_number_of_fills_in_a_millisecond(times: list[int]) -> None:
    assert told(times, FROM_ITS_END, marks=True) == sorted(times)


@pytest.mark.parametrize("contract", [BybitLinear, BinanceSpot])
def test_more_fills_than_a_page_holds_are_all_told_by_the_real_client(contract: type[CcxtContract]) -> None:
    async def act() -> None:
        async with contract().stage() as on:
            await on.placed(Side.BUY, 260 * on.unit, OrderType.LIMIT, price=on.away(-1))
            (order,) = on.at.exchange.open.values()
            for _ in range(260):  # at one time, as when a large order sweeps the book
                on.at.direct.fill(order.number, on.unit)
            fills = await on.venue.fills(on.clock.now_ns() - 60 * 10**9, on.symbol)
            assert len({f.trade_id for f in fills}) == len(fills) == len(on.at.exchange.fills) == 260

    asyncio.run(act())


@pytest.mark.parametrize("contract", [BinanceSpot, BinanceUsdm], ids=lambda of: of.title)
def test_every_fill_there_ever_was_is_told_in_a_few_requests(contract: type[CcxtContract]) -> None:
    """Binance answers for a day or a week at once: from 1970 on that were twenty thousand questions."""

    async def act() -> None:
        async with contract().stage() as on:
            venue: Any = on.venue
            most = int(venue._ways.features()["fetchMyTrades"]["limit"])
            on.at.exchange.deposit(on.at.account.key, on.money, 100 * on.funds)
            await on.placed(Side.BUY, (most + 1) * on.unit, OrderType.LIMIT, price=on.away(-1))
            (order,) = on.at.exchange.open.values()
            for _ in range(most + 1):
                on.at.direct.fill(order.number, on.unit)
            before = on.requests_sent()
            fills = await on.venue.fills(0, on.symbol)
            assert on.requests_sent() - before == 2
            assert len({f.trade_id for f in fills}) == len(fills) == most + 1

    asyncio.run(act())


def test_no_fill_is_looked_for_before_the_venue_keeps_any() -> None:
    walker = trades([9_000], FROM_ITS_BEGINNING, 1, False)
    walker._ways.fills_kept_s = 4
    asked: list[int] = []
    fetch = walker._client.raw.fetch_my_trades

    async def note(symbol: str | None, since: int, *rest: Any) -> Rows:
        asked.append(since)
        return await fetch(symbol, since, *rest)

    walker._client.raw.fetch_my_trades = note
    assert len(asyncio.run(walker.since(0, None))) == 1
    assert (min(asked), len(asked)) == (NOW_MS + 1000 - 4000, 5)


def test_what_a_liquidation_traded_is_a_fill_too() -> None:
    async def act() -> None:
        async with BybitLinear().stage() as on:
            await on.placed(Side.BUY, on.instrument.floor_qty(9 * on.funds / on.price))
            await on.quote_moves(-15)
            fills = await on.venue.fills(on.clock.now_ns() - 60 * 10**9, on.symbol)
            assert await on.held() == 0, "liquidated"
            assert sum(f.qty * f.side.sign for f in fills) == 0
            assert len(fills) == len(on.at.exchange.fills)

    asyncio.run(act())
