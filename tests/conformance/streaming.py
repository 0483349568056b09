"""Cards about streams: everything once, and once only, also when the stream was cut and REST fills the gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from tests.conformance.cards import LIMIT, MARKET, card, pushes, stages
from tests.conformance.stage import Fault, Stage
from tradelab.model.capabilities import Stream
from tradelab.model.orders import OrderStatus, OrderType, Side


class Reader:
    """Read a stream to the end in a task of its own, and keep what it said."""

    def __init__(self, stream: AsyncIterator[Any]) -> None:
        self.seen: list[Any] = []
        self.error: BaseException | None = None
        self._task = asyncio.get_running_loop().create_task(self._read(stream))

    @classmethod
    async def of(cls, on: Stage, stream: AsyncIterator[Any]) -> Reader:
        """Begin to read, and give the subscription a moment to stand."""
        reader = cls(stream)
        for _ in range(20):
            await on.settle()
        return reader

    async def _read(self, stream: AsyncIterator[Any]) -> None:
        try:
            async for item in stream:
                self.seen.append(item)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 (the card says which it must be)
            self.error = error

    async def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self._task.done()

    def holds(self, wanted: Callable[[Any], bool]) -> Callable[[], Awaitable[bool]]:
        """Make a question of a condition: whether something that was said meets it."""

        async def ask() -> bool:
            assert self.error is None, self.error
            return any(wanted(item) for item in self.seen)

        return ask

    async def stop(self) -> None:
        """Read no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Streaming:
    """What a venue pushes."""

    @card(
        prerequisite="The stream of orders is read.",
        action="Place a limit, let it fill.",
        expects="The order NEW, and later FILLED.",
        passes="It is told in this order, the filled quantity never falls, and the last word is what REST says.",
        needs=(LIMIT, pushes(Stream.ORDERS)),
    )
    async def test_orders_are_pushed_as_they_change(self, on: Stage) -> None:
        reader = await Reader.of(on, on.venue.watch_orders())
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        await on.until(reader.holds(lambda o: o.status is OrderStatus.NEW), "NEW is pushed")
        await on.quote_moves(-2)
        await on.until(reader.holds(lambda o: o.status is OrderStatus.FILLED), "FILLED is pushed")
        told = [order for order in reader.seen if order.client_order_id == ref.client_order_id]
        filled = [order.filled_qty for order in told]
        assert filled == sorted(filled)
        last = await on.order(ref)
        assert (told[-1].status, told[-1].filled_qty) == (last.status, last.filled_qty)
        await reader.stop()

    @card(
        prerequisite="The stream of orders is read; a limit rests.",
        action="Cancel it.",
        expects="The order CANCELLED.",
        passes="It is pushed.",
        needs=(LIMIT, pushes(Stream.ORDERS)),
    )
    async def test_a_cancel_is_pushed(self, on: Stage) -> None:
        reader = await Reader.of(on, on.venue.watch_orders())
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        await on.venue.cancel(ref)
        await on.until(reader.holds(lambda o: o.status is OrderStatus.CANCELLED), "CANCELLED is pushed")
        await reader.stop()

    @card(
        prerequisite="The stream of fills is read.",
        action="Buy five times at the market.",
        expects="The fills of all five.",
        passes="The same that REST lists, each exactly once, in the same order.",
        needs=(MARKET, pushes(Stream.FILLS)),
    )
    async def test_fills_are_pushed_exactly_once(self, on: Stage) -> None:
        reader = await Reader.of(on, on.venue.watch_fills())
        for _ in range(5):
            await on.placed(Side.BUY, on.unit)

        async def all_there() -> bool:
            return sum(fill.qty for fill in reader.seen) >= 5 * on.unit

        await on.until(all_there, "five units are pushed")
        for _ in range(5):
            await on.settle()
        pushed = [(fill.trade_id, fill.qty, fill.price) for fill in reader.seen]
        listed = [(fill.trade_id, fill.qty, fill.price) for fill in await on.venue.fills(on.began_ns, on.symbol)]
        assert sorted(pushed) == sorted(listed)
        await reader.stop()

    @card(
        prerequisite="The stream of fills is read; it is cut; two fills happen before it is read again.",
        action="Read again, ask REST for the fills since before, take each id once; buy once more.",
        expects="Four fills in all.",
        passes="None is missing and none is there twice.",
        needs=(MARKET, pushes(Stream.FILLS), stages(Fault.DROP_STREAMS)),
    )
    async def test_after_a_cut_no_fill_is_missed_and_none_is_booked_twice(self, on: Stage) -> None:
        first = await Reader.of(on, on.venue.watch_fills())
        await on.placed(Side.BUY, on.unit)
        await on.until(first.holds(lambda f: True), "the first fill is pushed")
        await on.fault(Fault.DROP_STREAMS)
        await on.until(first.has_ended, "the stream is cut")
        for _ in range(2):
            await on.placed(Side.BUY, on.unit)
        second = await Reader.of(on, on.venue.watch_fills())
        booked = {f.trade_id: f for f in [*first.seen, *await on.venue.fills(on.began_ns, on.symbol)]}
        await on.placed(Side.BUY, on.unit)
        await on.until(second.holds(lambda f: f.trade_id not in booked), "the last fill is pushed")
        booked |= {fill.trade_id: fill for fill in second.seen}
        assert sum(fill.qty for fill in booked.values()) == 4 * on.unit
        assert set(booked) == {fill.trade_id for fill in await on.venue.fills(on.began_ns, on.symbol)}
        await second.stop()

    @card(
        prerequisite="The stream of balances is read.",
        action="Buy at the market.",
        expects="The balance of the money that paid.",
        passes="The last one pushed is what REST says.",
        needs=(MARKET, pushes(Stream.BALANCES)),
    )
    async def test_balances_are_pushed_as_they_change(self, on: Stage) -> None:
        reader = await Reader.of(on, on.venue.watch_balances())
        ref = await on.placed(Side.BUY, on.unit)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")

        async def agrees() -> bool:
            told = [balance for balance in reader.seen if balance.currency == on.money]
            return bool(told) and told[-1].total == await on.cash()

        await on.until(agrees, "the new balance is pushed")
        await reader.stop()

    @card(
        prerequisite="Two readers of the stream of fills.",
        action="Buy at the market.",
        expects="Both are told.",
        passes="One reader takes nothing from the other.",
        needs=(MARKET, pushes(Stream.FILLS)),
    )
    async def test_two_readers_are_both_told(self, on: Stage) -> None:
        readers = [await Reader.of(on, on.venue.watch_fills()) for _ in range(2)]
        await on.placed(Side.BUY, on.unit)
        for reader in readers:
            await on.until(reader.holds(lambda f: f.side is Side.BUY), "the fill is pushed")
            await reader.stop()
