"""Cards about orders that wait: limits, stops, stop-limits, and an end to waiting."""

from __future__ import annotations

from tests.conformance.cards import LIMIT, STOP, card, keeps, takes
from tests.conformance.stage import Stage
from tradelab.model.orders import OrderRef, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import Accepted, RefusalCode, Refused


class Resting:
    """Orders that the market comes to."""

    @card(
        prerequisite="Flat.",
        action="Buy with a limit 1 % below the market; let the market fall by 2 %.",
        expects="NEW, then FILLED.",
        passes="No fill before the fall; then at its price or lower.",
        needs=(LIMIT,),
    )
    async def test_a_buy_limit_rests_until_the_market_comes_down_to_it(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        order = await on.order(ref)
        assert (order.status, order.filled_qty, order.price) == (OrderStatus.NEW, 0, on.away(-1))
        assert await on.held() == 0
        await on.quote_moves(-2)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        assert all(fill.price <= on.away(-1) for fill in await on.fills_of(ref))

    @card(
        prerequisite="Two units are held.",
        action="Sell one with a limit 1 % above the market; let the market rise by 2 %.",
        expects="NEW, then FILLED.",
        passes="No fill before the rise; then at its price or higher.",
        needs=(LIMIT,),
    )
    async def test_a_sell_limit_rests_until_the_market_comes_up_to_it(self, on: Stage) -> None:
        await _bought(on)
        ref = await on.placed(Side.SELL, on.unit, OrderType.LIMIT, price=on.away(1))
        assert (await on.order(ref)).status is OrderStatus.NEW
        await on.quote_moves(2)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        assert all(fill.price >= on.away(1) for fill in await on.fills_of(ref))

    @card(
        prerequisite="Flat.",
        action="Buy with a limit 1 % below the market; move the market up and down by half a percent.",
        expects="NEW all the time.",
        passes="Nothing is filled.",
        needs=(LIMIT,),
    )
    async def test_a_limit_that_the_market_does_not_reach_stays(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        for percent in ("0.5", "-0.5", "0"):
            await on.quote_moves(percent)
            assert (await on.order(ref)).status is OrderStatus.NEW
        assert await on.venue.fills(on.began_ns) == []

    @card(
        prerequisite="Flat.",
        action="Buy 2 % below the market, good for an hour; let an hour and a minute pass; let the market fall by 3 %.",
        expects="NEW, then EXPIRED (some venues say cancelled).",
        passes="Nothing was filled.",
        needs=(LIMIT, keeps(TimeInForce.GTD)),
    )
    async def test_an_order_good_till_a_date_expires(self, on: Stage) -> None:
        until = await on.venue.now_ns() + 3600 * 10**9
        ref = await on.placed(
            Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-2), time_in_force=TimeInForce.GTD, expire_ns=until
        )
        assert (await on.order(ref)).status is OrderStatus.NEW
        await on.advance(3660)
        order = await on.becomes(ref, lambda o: not o.status.is_open, "has expired")
        assert order.status in (OrderStatus.EXPIRED, OrderStatus.CANCELLED)
        await on.quote_moves(-3)
        assert await on.venue.fills(on.began_ns) == []
        assert await on.venue.open_orders() == []

    @card(
        prerequisite="Flat.",
        action="Place a stop that buys 1 % above the market; let the market rise by 2 %.",
        expects="UNTRIGGERED, then FILLED.",
        passes="It filled at the market's price then, not before, and no lower than its trigger.",
        needs=(STOP,),
    )
    async def test_a_stop_waits_and_then_trades_at_the_market(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.STOP, stop_price=on.away(1))
        order = await on.order(ref)
        assert (order.status, order.stop_price) == (OrderStatus.UNTRIGGERED, on.away(1))
        await on.quote_moves("0.5")
        assert (await on.order(ref)).status is OrderStatus.UNTRIGGERED
        await on.quote_moves(2)
        await on.until(on.held, "the stop has bought")
        fills = await on.venue.fills(on.began_ns, on.symbol)
        assert sum(fill.qty for fill in fills) == on.unit
        assert all(fill.price >= on.away(1) for fill in fills)
        assert await on.venue.open_orders(on.symbol) == []

    @card(
        prerequisite="Two units are held.",
        action="Place a stop that sells one 1 % below the market; let the market fall by 2 %.",
        expects="UNTRIGGERED, then a sale.",
        passes="It sold exactly one, at its trigger or lower.",
        needs=(STOP, LIMIT),
    )
    async def test_a_stop_that_sells_waits_for_the_market_to_fall(self, on: Stage) -> None:
        bought = await _bought(on)
        before = await on.held()
        ref = await on.placed(Side.SELL, on.unit, OrderType.STOP, stop_price=on.away(-1))
        assert (await on.order(ref)).status is OrderStatus.UNTRIGGERED
        await on.quote_moves(-2)

        async def sold() -> bool:
            return await on.held() != before

        await on.until(sold, "the stop has sold")
        known = {fill.trade_id for fill in await on.fills_of(bought)}
        fills = [f for f in await on.venue.fills(on.began_ns, on.symbol) if f.trade_id not in known]
        assert sum(fill.qty for fill in fills) == on.unit
        assert all(fill.side is Side.SELL and fill.price <= on.away(-1) for fill in fills)

    @card(
        prerequisite="Flat.",
        action="Place a stop that buys 1 % below the market: its trigger has been passed already.",
        expects="Refused(STOP_WOULD_TRIGGER), or a fill at once.",
        passes="It does not rest.",
        needs=(STOP,),
    )
    async def test_a_stop_that_the_market_has_passed_does_not_rest(self, on: Stage) -> None:
        outcome = await on.submit(Side.BUY, on.unit, OrderType.STOP, stop_price=on.away(-1))
        if isinstance(outcome, Refused):
            assert outcome.code is RefusalCode.STOP_WOULD_TRIGGER
            assert await on.held() == 0
        else:
            assert isinstance(outcome, Accepted)
            await on.until(on.held, "the stop has bought")
        assert await on.venue.open_orders(on.symbol) == []

    @card(
        prerequisite="Flat.",
        action="Place a stop-limit, trigger 1 % above the market, limit at it; let it rise by 2 % and fall back.",
        expects="UNTRIGGERED; triggered it rests as a limit; FILLED when the market has come back.",
        passes="No fill while the market is above its limit, then none above it.",
        needs=(takes(OrderType.STOP_LIMIT),),
    )
    async def test_a_stop_limit_rests_at_its_limit_once_it_is_triggered(self, on: Stage) -> None:
        limit = on.away(0)
        ref = await on.placed(Side.BUY, on.unit, OrderType.STOP_LIMIT, stop_price=on.away(1), price=limit)
        assert (await on.order(ref)).status is OrderStatus.UNTRIGGERED
        await on.quote_moves(2)
        assert await on.held() == 0
        assert len(await on.venue.open_orders(on.symbol)) == 1
        await on.quote_moves(-1)
        await on.until(on.held, "the stop-limit has bought")
        fills = await on.venue.fills(on.began_ns, on.symbol)
        assert sum(fill.qty for fill in fills) == on.unit
        assert all(fill.price <= limit for fill in fills)

    @card(
        prerequisite="A stop-limit waits for its trigger.",
        action="Let the market fall to its limit without touching the trigger; cancel it.",
        expects="UNTRIGGERED, then CANCELLED.",
        passes="Nothing was filled.",
        needs=(takes(OrderType.STOP_LIMIT),),
    )
    async def test_a_stop_limit_does_nothing_before_its_trigger(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.STOP_LIMIT, stop_price=on.away(1), price=on.away("0.5"))
        await on.quote_moves(-1)
        assert (await on.order(ref)).status is OrderStatus.UNTRIGGERED
        assert isinstance(await on.venue.cancel(ref), Accepted)
        assert await on.venue.open_orders(on.symbol) == []
        assert await on.venue.fills(on.began_ns) == []


async def _bought(on: Stage) -> OrderRef:
    """Two units, bought at once: by a limit, or at the market where limits beyond it are refused."""
    if on.venue.capabilities.limit_may_take:
        ref = await on.placed(Side.BUY, 2 * on.unit, OrderType.LIMIT, price=on.away(2))
    else:
        ref = await on.placed(Side.BUY, 2 * on.unit)
    await on.until(on.held, "bought")
    return ref
