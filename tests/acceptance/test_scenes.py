"""Slices of `make acceptance`: guards trip, entries fill in pieces, records in PostgreSQL, each with kills."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from tests.acceptance import guarding, protecting
from tests.acceptance.crowd import in_files, on_server, run
from tests.acceptance.kills import Scenario, Zygote

pytestmark = pytest.mark.slow
One, Told = TypeVar("One"), TypeVar("Told")

TRIPS = [
    guarding.Trip(1, "binance", "max_daily_loss", "kept TradingStateChanged", "recovers", 0.0),
    guarding.Trip(2, "binanceusdm", "max_drawdown", "before keeping AlarmRaised", "stays", 0.0),
    guarding.Trip(3, "bybit", "max_weekly_loss", "at any time", "stays", 0.4),
]
ENTRIES = [
    protecting.Entry(1, "binanceusdm", protecting.ALONE, 14),  # of which the venue lets ten stops wait
    protecting.Entry(2, "binance", protecting.REFUSED, 8),
    protecting.Entry(3, "bybit", protecting.KILLED, 10),
]
ON_POSTGRESQL = [
    Scenario("binanceusdm", "market", "accepted, then silence", "kept OrderIntended"),
    Scenario("binance", "limit", "none", "before keeping OrderAccepted"),
    Scenario("bybit", "stop", "lost on the way", kills_s=(0.5, 0.3)),
]


def played(scenes: list[One], play: Callable[[One, Zygote, str], Awaitable[Told]]) -> list[Told]:
    async def work() -> list[Told]:
        zygote, told = await Zygote.start(), []
        for each in scenes:
            async with in_files() as database:
                told.append(await play(each, zygote, database))
        await zygote.stop()
        return told

    return asyncio.run(work())


def test_a_guard_that_has_tripped_stays_tripped_through_a_kill_and_nothing_enters() -> None:
    told = played(TRIPS, guarding.play)
    assert [each.wrong for each in told] == [(), (), ()]
    assert [(each.killed, each.state) for each in told] == [(1, "halted")] * 3
    assert told[0].was_kept and not told[1].was_kept  # the second trips at the first look of the next engine
    assert all(each.entries and each.refused >= 10 for each in told)


def test_every_piece_that_fills_is_stopped_and_never_more_than_has_filled() -> None:
    told = played(ENTRIES, protecting.play)
    assert [each.wrong for each in told] == [(), (), ()]
    assert all(len(each.unprotected_ms) >= each.fills for each in told)
    assert all(each.steps > each.fills for each in told)


def test_the_watch_sees_more_to_sell_than_was_bought() -> None:
    from tests.acceptance.kills import venue_of
    from tests.conformance.ccxt_stage import KEY
    from tradelab.model.orders import OrderType, Side

    async def scene(bought: str, sells: str, **more: Any) -> list[str]:
        async with venue_of("binanceusdm") as at:
            exchange, (own,) = at.exchange, at.exchange.tapes
            watch = protecting.Watch(exchange, own)
            exchange.listeners.append(watch.hear)
            buy = exchange.draft(KEY, own, Side.BUY, OrderType.MARKET, protecting.Decimal(bought))
            stop = {"stop_price": protecting.Decimal("41000.0")} | more
            sell = exchange.draft(KEY, own, Side.SELL, OrderType.STOP, protecting.Decimal(sells), **stop)
            assert (exchange.place(buy), exchange.place(sell)) == (None, None)
            return watch.wrong

    assert asyncio.run(scene("0.02", "0.02", reduce_only=True)) == []
    assert "sells 0.03 of 0.02" in str(asyncio.run(scene("0.02", "0.03", reduce_only=True)))
    assert "may open something" in str(asyncio.run(scene("0.02", "0.02")))


def test_engines_that_keep_their_records_in_postgresql_leave_one_order_each(postgresql: str) -> None:
    results = asyncio.run(run(ON_POSTGRESQL, at_once=1, new=on_server(postgresql)))
    assert [f"{each.says}: {each.scenario}" for each in results if each.says != "right"] == []
    assert sum(each.killed for each in results) >= 2
