"""Cards about orders that trade at once: market orders, and limits that take, by every time in force."""

from __future__ import annotations

from decimal import Decimal

from tests.conformance.cards import LIMIT, MARKET, TAKES, card, holds, keeps
from tests.conformance.stage import Stage
from tradelab.model.account import PositionMode
from tradelab.model.orders import Fill, Liquidity, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode, Refused


class Trading:
    """Orders that meet the market when they arrive."""

    @card(
        prerequisite="Flat.",
        action="Buy twice the unit at the market.",
        expects="Accepted, then FILLED.",
        passes="What is held has grown by exactly what the fills say, less fees taken in what was bought.",
        needs=(MARKET,),
    )
    async def test_a_market_buy_fills_and_changes_what_is_held_by_exactly_that(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, 2 * on.unit)
        order = await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        assert (order.filled_qty, order.leaves_qty, order.side) == (2 * on.unit, 0, Side.BUY)
        fills = await on.fills_of(ref)
        assert sum(fill.qty for fill in fills) == 2 * on.unit
        assert await on.held() == _gained(on, fills)

    @card(
        prerequisite="Twice the unit is held.",
        action="Sell the unit at the market.",
        expects="Accepted, then FILLED.",
        passes="The fill is a sale at the bid or lower, of exactly the unit.",
        needs=(MARKET, holds(PositionMode.NONE, PositionMode.NETTING)),
    )
    async def test_a_market_sale_fills_and_lessens_what_is_held_by_exactly_that(self, on: Stage) -> None:
        await on.placed(Side.BUY, 2 * on.unit)
        before = await on.until(on.held, "bought")
        bid = (await on.venue.quote(on.symbol)).bid
        ref = await on.placed(Side.SELL, on.unit)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        fills = await on.fills_of(ref)
        assert {fill.side for fill in fills} == {Side.SELL}
        assert all(fill.price <= bid for fill in fills)
        assert await on.held() == before + _gained(on, fills)

    @card(
        prerequisite="Flat.",
        action="Buy at the market.",
        expects="A fill at the ask or higher.",
        passes="Spot: the money has shrunk by price times quantity and fees. Else: by the fees alone.",
        needs=(MARKET,),
    )
    async def test_a_purchase_costs_exactly_its_price_and_fees(self, on: Stage) -> None:
        ask = (await on.venue.quote(on.symbol)).ask
        ref = await on.placed(Side.BUY, on.unit)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        fills = await on.fills_of(ref)
        assert all(fill.price >= ask for fill in fills)
        assert on.funds - await on.cash() == _paid(on, fills)

    @card(
        prerequisite="Flat.",
        action="Buy at the market.",
        expects="Fills that say their fee.",
        passes="The fee is zero or more, in a currency that is named, and taken as a taker's.",
        needs=(MARKET,),
    )
    async def test_a_fill_tells_its_fee_and_in_what(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        for fill in await on.fills_of(ref):
            assert fill.fee is not None
            assert fill.fee >= 0
            assert fill.fee_currency
            assert fill.liquidity in (Liquidity.TAKER, Liquidity.UNKNOWN)

    @card(
        prerequisite="Flat; plenty in the book.",
        action="Buy with a limit 2 % above the market.",
        expects="FILLED at once.",
        passes="No fill is worse than the limit, and the first is at the ask.",
        needs=(LIMIT, TAKES),
    )
    async def test_a_limit_through_the_market_fills_at_the_markets_price(self, on: Stage) -> None:
        ask = (await on.venue.quote(on.symbol)).ask
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(2))
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        prices = [fill.price for fill in await on.fills_of(ref)]
        assert prices[0] == min(prices) == ask
        assert max(prices) <= on.away(2)

    @card(
        prerequisite="One unit stands at the ask.",
        action="Buy three units with a limit at the ask.",
        expects="PARTIALLY_FILLED: one unit filled, two left.",
        passes="Quantity, filled and leaves add up, and the order is listed open.",
        needs=(LIMIT,),
    )
    async def test_a_partial_fill_is_told_with_what_is_left(self, on: Stage) -> None:
        await on.quote_moves(0, depth=on.unit)
        ask = (await on.venue.quote(on.symbol)).ask
        ref = await on.placed(Side.BUY, 3 * on.unit, OrderType.LIMIT, price=ask)
        order = await on.becomes(ref, lambda o: o.filled_qty > 0, "is partly filled")
        assert order.status is OrderStatus.PARTIALLY_FILLED
        assert (order.filled_qty, order.leaves_qty) == (on.unit, 2 * on.unit)
        assert [o.venue_order_id for o in await on.venue.open_orders(on.symbol)] == [order.venue_order_id]

    @card(
        prerequisite="A buy of three units at the ask has one filled.",
        action="Let the market fall by 1 %, with plenty in the book.",
        expects="FILLED.",
        passes="Its average price is that of its fills, which are in the order of their time.",
        needs=(LIMIT,),
    )
    async def test_the_rest_of_a_partial_fill_fills_later(self, on: Stage) -> None:
        await on.quote_moves(0, depth=on.unit)
        ask = (await on.venue.quote(on.symbol)).ask
        ref = await on.placed(Side.BUY, 3 * on.unit, OrderType.LIMIT, price=ask)
        await on.becomes(ref, lambda o: o.filled_qty == on.unit, "is partly filled")
        await on.quote_moves(-1)
        order = await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        fills = await on.fills_of(ref)
        assert len(fills) >= 2
        assert [fill.ts_ns for fill in fills] == sorted(fill.ts_ns for fill in fills)
        average = sum(fill.qty * fill.price for fill in fills) / (3 * on.unit)
        assert order.avg_price is not None
        assert abs(order.avg_price - average) <= on.instrument.tick_size

    @card(
        prerequisite="One unit stands at the ask.",
        action="Buy three units immediate-or-cancel with a limit at the ask.",
        expects="One unit filled, the rest cancelled (some venues say expired).",
        passes="Nothing is left open.",
        needs=(LIMIT, keeps(TimeInForce.IOC)),
    )
    async def test_what_an_ioc_order_leaves_is_cancelled(self, on: Stage) -> None:
        await on.quote_moves(0, depth=on.unit)
        ask = (await on.venue.quote(on.symbol)).ask
        ref = await on.placed(Side.BUY, 3 * on.unit, OrderType.LIMIT, price=ask, time_in_force=TimeInForce.IOC)
        order = await on.becomes(ref, lambda o: not o.status.is_open, "is closed")
        assert order.status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED)
        assert (order.filled_qty, order.leaves_qty) == (on.unit, 0)
        assert await on.venue.open_orders(on.symbol) == []

    @card(
        prerequisite="One unit stands at the ask.",
        action="Buy three units fill-or-kill with a limit at the ask.",
        expects="Refused(UNFILLABLE), or an order that was closed at once without a fill.",
        passes="Nothing is held and nothing is open.",
        needs=(LIMIT, keeps(TimeInForce.FOK)),
    )
    async def test_a_fok_order_that_cannot_fill_whole_trades_nothing(self, on: Stage) -> None:
        await on.quote_moves(0, depth=on.unit)
        ask = (await on.venue.quote(on.symbol)).ask
        intent = on.intent(Side.BUY, 3 * on.unit, OrderType.LIMIT, price=ask, time_in_force=TimeInForce.FOK)
        outcome = await on.venue.submit(on.approved(intent))
        if isinstance(outcome, Refused):
            assert outcome.code is RefusalCode.UNFILLABLE
        assert await on.held() == 0
        assert await on.venue.fills(on.began_ns) == []
        assert await on.venue.open_orders() == []

    @card(
        prerequisite="Plenty in the book.",
        action="Buy fill-or-kill with a limit 2 % above the market.",
        expects="FILLED.",
        passes="All of it.",
        needs=(LIMIT, keeps(TimeInForce.FOK)),
    )
    async def test_a_fok_order_that_can_fill_whole_does(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(2), time_in_force=TimeInForce.FOK)
        order = await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        assert order.filled_qty == on.unit

    @card(
        prerequisite="Flat.",
        action="Buy post-only with a limit 2 % above the market.",
        expects="Refused(WOULD_TAKE), or an order that was closed at once without a fill.",
        passes="Nothing is held and nothing is open.",
        needs=(LIMIT, keeps(TimeInForce.PO)),
    )
    async def test_a_post_only_order_that_would_take_trades_nothing(self, on: Stage) -> None:
        intent = on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(2), time_in_force=TimeInForce.PO)
        outcome = await on.venue.submit(on.approved(intent))
        if isinstance(outcome, Refused):
            assert outcome.code is RefusalCode.WOULD_TAKE
        assert await on.held() == 0
        assert await on.venue.open_orders() == []

    @card(
        prerequisite="Flat.",
        action="Buy post-only 1 % below the market; let the market fall by 2 %.",
        expects="NEW, then FILLED.",
        passes="It was filled as a maker, at its price.",
        needs=(LIMIT, keeps(TimeInForce.PO)),
    )
    async def test_a_post_only_order_that_rests_is_filled_as_a_maker(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1), time_in_force=TimeInForce.PO)
        assert (await on.order(ref)).status is OrderStatus.NEW
        await on.quote_moves(-2)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        for fill in await on.fills_of(ref):
            assert fill.price == on.away(-1)
            assert fill.liquidity in (Liquidity.MAKER, Liquidity.UNKNOWN)


def _gained(on: Stage, fills: list[Fill]) -> Decimal:
    """What fills add to what is held; a fee taken in it is less of it."""
    gained = sum((fill.side.sign * fill.qty for fill in fills), Decimal(0))
    if on.venue.capabilities.position_mode is PositionMode.NONE:
        gained -= _fees(fills, str(on.instrument.base))
    return gained


def _paid(on: Stage, fills: list[Fill]) -> Decimal:
    """What fills take from the money."""
    paid = _fees(fills, on.money)
    if on.venue.capabilities.position_mode is PositionMode.NONE:
        paid += sum(
            (fill.side.sign * fill.qty * fill.price * on.instrument.contract_size for fill in fills), Decimal(0)
        )
    return paid


def _fees(fills: list[Fill], currency: str) -> Decimal:
    return sum((fill.fee or Decimal(0) for fill in fills if fill.fee_currency == currency), Decimal(0))
