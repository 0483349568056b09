"""Send an order twice, with words ccxt would drop, changed off the grid, unconnected: never another than was meant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.conformance.ccxt_stage import CcxtContract, CcxtStage
from tests.conformance.test_binance_spot import TestBinanceSpot as _BinanceSpot
from tests.conformance.test_binance_usdm import TestBinanceUsdm as _BinanceUsdm
from tests.conformance.test_bybit import TestBybitLinear as _BybitLinear
from tests.conformance.test_bybit import TestBybitSpot as _BybitSpot
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.orders import OrderType, Side, TimeInForce
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown
from tradelab.rehearsal.faults import Fault

on_every_venue = pytest.mark.parametrize(
    "of", [_BinanceSpot, _BinanceUsdm, _BybitLinear, _BybitSpot], ids=lambda of: of.title
)
on_perpetuals = pytest.mark.parametrize("of", [_BinanceUsdm, _BybitLinear], ids=lambda of: of.title)


def play(of: type[CcxtContract], run: Callable[[CcxtStage], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with of().stage() as on:
            await run(on)

    asyncio.run(whole())


def _ccxt(on: CcxtStage) -> CcxtVenue:
    assert isinstance(on.venue, CcxtVenue)
    return on.venue


def _refused(outcome: Outcome, code: RefusalCode) -> bool:
    return isinstance(outcome, Refused) and outcome.code is code


@on_every_venue
def test_a_market_order_sent_again_and_by_two_tasks_at_once_trades_once(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        wish = on.approved(on.intent(Side.BUY, on.unit))
        told = [*await asyncio.gather(on.venue.submit(wish), on.venue.submit(wish)), await on.venue.submit(wish)]
        assert all(isinstance(t, Accepted) for t in told), told
        assert len(on.at.exchange.orders) == 1

    play(of, run)


@on_every_venue
def test_an_order_whose_answer_was_lost_is_found_when_it_is_sent_again(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        wish = on.approved(on.intent(Side.BUY, on.unit))
        on.at.direct.fault(Fault.RESET, "submit")
        assert isinstance(await on.venue.submit(wish), Unknown)
        assert isinstance(await on.venue.submit(wish), Accepted)
        assert len(on.at.exchange.orders) == 1

    play(of, run)


@on_every_venue
def test_an_order_that_never_arrived_is_sent_again_only_when_it_cannot_arrive_any_more(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        wish = on.approved(on.intent(Side.BUY, on.unit))
        on.at.direct.fault(Fault.LOST, "submit")
        assert isinstance(await on.venue.submit(wish), Unknown)
        again = await on.venue.submit(wish)
        assert isinstance(again, Unknown)
        assert "may still arrive" in again.says
        assert on.at.exchange.orders == {}
        await on.advance(60)
        assert isinstance(await on.venue.submit(wish), Accepted)
        assert len(on.at.exchange.orders) == 1

    play(of, run)


@on_every_venue
def test_what_was_refused_is_sent_again_at_once(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        wish = on.approved(on.intent(Side.BUY, on.unit))
        on.at.direct.fault(Fault.BALANCE, "submit")
        assert isinstance(await on.venue.submit(wish), Refused)
        before = on.requests_sent()
        assert isinstance(await on.venue.submit(wish), Accepted)
        assert on.requests_sent() == before + 1

    play(of, run)


@on_every_venue
def test_the_name_of_another_order_is_refused(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        low, high = on.away(-3), on.away(3)
        await on.placed(Side.BUY, 2 * on.unit)  # something to sell
        await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=low, client_order_id="tl-one-name")
        wish = on.approved(on.intent(Side.SELL, on.unit, OrderType.LIMIT, price=high, client_order_id="tl-one-name"))
        assert _refused(await on.venue.submit(wish), RefusalCode.BAD_REQUEST)  # this process remembers it
        await on.reopen()
        assert _refused(await on.venue.submit(wish), RefusalCode.BAD_REQUEST)  # and the next one is told by the venue
        assert len(await on.venue.open_orders(on.symbol)) == 1

    play(of, run)


@on_every_venue
@pytest.mark.parametrize(
    ("kind", "life"),
    [(OrderType.MARKET, TimeInForce.FOK), (OrderType.STOP, TimeInForce.FOK), (OrderType.STOP, TimeInForce.GTD)],
)
def test_an_order_at_the_market_that_must_fill_whole_or_end_is_refused_and_not_sent_without(
    of: type[CcxtContract], kind: OrderType, life: TimeInForce
) -> None:
    async def run(on: CcxtStage) -> None:
        more: dict[str, Any] = {"stop_price": on.away(4)} if kind.needs_stop_price else {}
        if life is TimeInForce.GTD:
            more["expire_ns"] = await on.venue.now_ns() + 3600 * 10**9
        told = await on.submit(Side.BUY, on.unit, kind, time_in_force=life, **more)
        assert _refused(told, RefusalCode.NOT_SUPPORTED)
        assert on.at.exchange.orders == {}

    play(of, run)


@pytest.mark.parametrize("exchange", ["kucoin", "coinbase", "bitstamp", "woo"])
def test_no_exchange_is_said_to_end_an_order_that_ccxt_cannot_tell_the_end_of(exchange: str) -> None:
    assert TimeInForce.GTD not in CcxtVenue(exchange).capabilities.times_in_force


@on_perpetuals
def test_a_change_is_refused_where_ccxt_would_round_it(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-4))
        market = on.instrument
        third = on.away(-3) + market.tick_size / 3
        assert _refused(await on.venue.modify(ref, price=third), RefusalCode.TICK)
        assert _refused(await on.venue.modify(ref, qty=on.unit + market.qty_step / 4), RefusalCode.QTY_STEP)
        for wrong in (Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity")):
            assert _refused(await on.venue.modify(ref, price=wrong), RefusalCode.BAD_REQUEST)
            assert _refused(await on.venue.modify(ref, qty=wrong), RefusalCode.BAD_REQUEST)
        now = await on.order(ref)
        assert (now.qty, now.price) == (on.unit, on.away(-4))

    play(of, run)


@on_perpetuals
def test_a_change_that_cannot_look_first_has_not_been_sent(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-4))
        on.at.direct.fault(Fault.GATEWAY, "*")
        assert _refused(await on.venue.modify(ref, price=on.away(-3)), RefusalCode.NOT_SENT)
        if on.venue.capabilities.modify_protection:
            on.at.direct.fault(Fault.GATEWAY, "*")
            told = await on.venue.modify_protection(on.symbol, stop_loss=on.away(-9), take_profit=None)
            assert _refused(told, RefusalCode.NOT_SENT)

    play(of, run)


@on_every_venue
def test_nothing_is_sent_once_the_venue_was_left(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-4))
        await on.venue.disconnect()
        before = on.requests_sent()
        assert _refused(await on.submit(Side.BUY, on.unit), RefusalCode.NOT_SENT)
        assert _refused(await on.venue.cancel(ref), RefusalCode.NOT_SENT)
        assert on.requests_sent() == before

    play(of, run)


@on_every_venue
def test_an_order_is_under_way_from_when_it_left_and_not_from_when_it_began_to_wait(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        wish = on.approved(on.intent(Side.BUY, on.unit))
        raw = _ccxt(on)._client.raw
        create = raw.create_order

        async def after_a_while(*args: Any) -> Any:
            on.clock.jump((on.venue.capabilities.request_life_ms or 0) / 1000 - 0.1)  # in the queue of the budget, say
            return await create(*args)

        raw.create_order = after_a_while
        on.at.direct.fault(Fault.LOST, "submit")
        assert isinstance(await on.venue.submit(wish), Unknown)
        on.clock.jump(0.5)
        again = await on.venue.submit(wish)
        assert isinstance(again, Unknown), "it left half a second ago, and lives for seconds"
        assert on.at.exchange.orders == {}

    play(of, run)


@on_every_venue
def test_what_may_have_arrived_since_it_was_looked_for_is_not_sent_again(of: type[CcxtContract]) -> None:
    async def run(on: CcxtStage) -> None:
        wish = on.approved(on.intent(Side.BUY, on.unit))
        ways: Any = _ccxt(on)._ways
        look = ways.find

        async def slowly(ref: Any) -> Any:
            try:
                return await look(ref)
            finally:
                on.clock.jump((on.venue.capabilities.request_life_ms or 0) / 1000 + 1)  # the answer's way back

        ways.find = slowly
        on.at.direct.fault(Fault.LOST, "submit")
        assert isinstance(await on.venue.submit(wish), Unknown)
        assert isinstance(await on.venue.submit(wish), Unknown), "it was looked for while it could still arrive"
        assert isinstance(await on.venue.submit(wish), Accepted)

    play(of, run)
