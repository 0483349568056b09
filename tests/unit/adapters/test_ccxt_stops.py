"""A stop that waits at the venue: under which id it is told of, and what of it can be changed in place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from tests.conformance import test_binance_spot, test_binance_usdm, test_bybit
from tests.conformance.ccxt_stage import CcxtContract, CcxtStage
from tests.conformance.streaming import Reader
from tradelab.model.orders import Order, OrderRef, OrderType, Side
from tradelab.model.outcome import Accepted, RefusalCode, Refused

VENUES = [test_binance_spot.TestBinanceSpot, test_binance_usdm.TestBinanceUsdm, test_bybit.TestBybitLinear]
each = pytest.mark.parametrize("contract", VENUES, ids=lambda c: c.title)


def play(contract: type[CcxtContract], act: Callable[[CcxtStage], Awaitable[None]]) -> None:
    async def run() -> None:
        async with contract().stage() as on:
            await act(on)

    asyncio.run(run())


async def stopped(on: CcxtStage) -> OrderRef:
    """Hold something, with a stop beneath it."""
    await on.placed(Side.BUY, 3 * on.unit)
    bound = {"reduce_only": True} if on.venue.capabilities.reduce_only else {}
    return await on.placed(Side.SELL, on.unit, OrderType.STOP, stop_price=on.away(-4), **bound)


@each
def test_it_is_cancelled_under_the_id_by_which_the_stream_tells_of_it(contract: type[CcxtContract]) -> None:
    async def act(on: CcxtStage) -> None:
        reader: Reader[Order] = await Reader.of(on, on.venue.watch_orders())
        ref = await stopped(on)
        named = reader.holds(lambda order: order.client_order_id == ref.client_order_id)
        await on.until(named, "the stream tells of it")
        (told, *_) = (order for order in reader.seen if order.client_order_id == ref.client_order_id)
        assert told.venue_order_id == ref.venue_order_id
        assert (await on.order(told.ref)).stop_price == told.stop_price
        assert isinstance(await on.venue.cancel(told.ref), Accepted)
        assert await on.venue.open_orders() == []
        await reader.stop()

    play(contract, act)


@each
def test_what_it_says_can_be_changed_of_it_is_changed_and_the_rest_is_refused_before_it_is_sent(
    contract: type[CcxtContract],
) -> None:
    async def act(on: CcxtStage) -> None:
        ref = await stopped(on)
        offers = on.venue.capabilities
        wishes: dict[str, Decimal] = {"qty": 2 * on.unit, "stop_price": on.away("-3.5")}
        for name, value in wishes.items():
            outcome = await on.venue.modify(ref, **{name: value})
            if name in offers.modifies(OrderType.STOP):
                assert isinstance(outcome, Accepted)
                assert getattr(await on.order(ref), name) == value
            else:
                assert isinstance(outcome, Refused) and outcome.code is RefusalCode.NOT_SUPPORTED
        changed = [line for line in on.at.server.log if "modify" in str(line)]
        assert offers.modifies(OrderType.STOP) or changed == []

    play(contract, act)
