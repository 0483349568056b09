"""Hold the streams of mtapi.io to this: a push is word that something happened, and what it was is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.rehearsal.mtapi_world import FUNDS, World, world
from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_book import Book
from tradelab.adapters.mtapi_rows import HistoryRow
from tradelab.model.errors import ConnectivityError
from tradelab.model.orders import OrderStatus, OrderType, Side
from tradelab.rehearsal.faults import Fault


class Reader:
    """Reads a stream in the background."""

    def __init__(self, stream: AsyncIterator[Any]) -> None:
        self.seen: list[Any] = []
        self.error: BaseException | None = None
        self._task = asyncio.ensure_future(self._read(stream))

    async def _read(self, stream: AsyncIterator[Any]) -> None:
        try:
            async for item in stream:
                self.seen.append(item)
        except ConnectivityError as error:
            self.error = error

    async def has(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.seen) < count and self.error is None:
                await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def _listening(on: World, stream: AsyncIterator[Any], sockets: int = 1) -> Reader:
    reader = Reader(stream)
    async with asyncio.timeout(20):
        while len(on.venue.server.hub.sessions) < sockets:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    return reader


def played(play: Callable[[World], Awaitable[None]], **kind: Any) -> None:
    async def run() -> None:
        async with world(**kind) as on:
            await play(on)

    asyncio.run(run())


@pytest.mark.parametrize("fault", [Fault.STREAM_DUPLICATE, Fault.STREAM_REORDER, Fault.STREAM_DROP])
def test_pushes_that_are_doubled_swapped_or_lost_change_nothing_of_what_is_told(fault: Fault) -> None:
    async def play(on: World) -> None:
        reader = await _listening(on, on.adapter.watch_fills())
        on.venue.direct.fault(fault, "OnOrderUpdate")
        for _ in range(3):
            await on.submit(Side.BUY, "0.01")
        await on.submit(Side.BUY, "0.01")
        await reader.has(4)
        told = [f.trade_id for f in reader.seen]
        assert told == [f.trade_id for f in await on.adapter.fills(0)]
        await reader.stop()

    played(play)


def test_what_the_history_tells_late_is_found_a_moment_later() -> None:
    async def play(on: World) -> None:
        reader = await _listening(on, on.adapter.watch_fills())
        real, late = on.adapter._account.book, True

        async def book(since_ns: int) -> Book:
            told: Book = await real(since_ns)
            return Book(told.reader, (), HistoryRow(orders=())) if late else told

        on.adapter._account.book = book
        await on.venue.server.advance()
        order = on.approved(on.intent(Side.BUY, "0.01"))
        await on.adapter._session.tell(
            wire.SEND, symbol="EURUSD", operation="Buy", lots=order.intent.qty, comment=order.intent.client_order_id
        )
        await asyncio.sleep(0.1)
        assert reader.seen == []
        late = False
        async with asyncio.timeout(20):
            while not reader.seen:  # the second look, a second of our clock after the push
                await on.clock.advance(1.0)
                await asyncio.sleep(0.01)
        await reader.stop()

    played(play)


def test_orders_and_balances_are_told_when_they_change_and_not_before() -> None:
    async def play(on: World) -> None:
        await on.submit(Side.BUY, "0.10", OrderType.LIMIT, price=Decimal("1.15"))
        orders = await _listening(on, on.adapter.watch_orders())
        money = await _listening(on, on.adapter.watch_balances(), sockets=2)
        assert orders.seen == []
        await on.move("1.14900")
        await orders.has(1)
        await money.has(1)
        assert [o.status for o in orders.seen] == [OrderStatus.FILLED]
        assert money.seen[-1].total == FUNDS - Decimal("0.7")
        for reader in (orders, money):
            await reader.stop()

    played(play)


def test_a_socket_that_is_cut_is_an_error_and_a_new_stream_has_what_comes_after() -> None:
    async def play(on: World) -> None:
        reader = await _listening(on, on.adapter.watch_orders())
        on.venue.direct.disconnect()
        await reader.has(1)
        assert "was closed" in str(reader.error)
        again = await _listening(on, on.adapter.watch_orders())
        await on.submit(Side.BUY, "0.10")
        await again.has(1)
        assert len(again.seen) == 1
        await again.stop()

    played(play)


def test_a_stream_of_a_forgotten_session_logs_in_before_it_listens() -> None:
    async def play(on: World) -> None:
        on.dialect.forget()
        reader = await _listening(on, on.adapter.watch_orders())
        await on.submit(Side.BUY, "0.10")
        await reader.has(1)
        assert reader.error is None
        await reader.stop()

    played(play)


def test_disconnecting_ends_every_stream() -> None:
    async def play(on: World) -> None:
        reader = await _listening(on, on.adapter.watch_orders())
        await on.adapter.disconnect()
        await reader.has(1)
        assert isinstance(reader.error, ConnectivityError)

    played(play)
