"""Cards about orders that are open: cancelling one and all, and changing them in place."""

from __future__ import annotations

from tests.conformance.cards import LIMIT, MARKET, STOP, card, declared, modifies
from tests.conformance.stage import Stage
from tradelab.model.orders import OrderRef, OrderStatus, OrderType, Side
from tradelab.model.outcome import Accepted, RefusalCode, Refused

_GONE = (RefusalCode.ORDER_CLOSED, RefusalCode.ORDER_NOT_FOUND)


class Cancelling:
    """Taking orders back."""

    @card(
        prerequisite="A limit rests.",
        action="Cancel it; let the market pass its price.",
        expects="Accepted; CANCELLED.",
        passes="It is listed no more and never fills; what it had promised is free again.",
        needs=(LIMIT,),
    )
    async def test_a_cancelled_order_is_closed_and_never_fills(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        assert isinstance(await on.venue.cancel(ref), Accepted)
        order = await on.becomes(ref, lambda o: not o.status.is_open, "is closed")
        assert (order.status, order.filled_qty, order.leaves_qty) == (OrderStatus.CANCELLED, 0, 0)
        await on.quote_moves(-2)
        assert await on.venue.open_orders() == []
        assert await on.venue.fills(on.began_ns) == []
        assert (await on.venue.account_info()).balance(on.money).free == on.funds

    @card(
        prerequisite="A market order has filled.",
        action="Cancel it.",
        expects="Refused(ORDER_CLOSED) or Refused(ORDER_NOT_FOUND).",
        passes="What it bought is held.",
        needs=(MARKET,),
    )
    async def test_cancelling_a_filled_order_is_refused(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        outcome = await on.venue.cancel(ref)
        assert isinstance(outcome, Refused)
        assert outcome.code in _GONE
        assert await on.held() > 0

    @card(
        prerequisite="A limit was cancelled.",
        action="Cancel it again.",
        expects="Refused(ORDER_CLOSED) or Refused(ORDER_NOT_FOUND).",
        passes="The order still says CANCELLED.",
        needs=(LIMIT,),
    )
    async def test_cancelling_twice_is_refused(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        assert isinstance(await on.venue.cancel(ref), Accepted)
        await on.becomes(ref, lambda o: not o.status.is_open, "is closed")
        outcome = await on.venue.cancel(ref)
        assert isinstance(outcome, Refused)
        assert outcome.code in _GONE

    @card(
        prerequisite="No order at all.",
        action="Cancel one that never was.",
        expects="Refused(ORDER_NOT_FOUND) or Refused(ORDER_CLOSED).",
        passes="Nothing happens.",
    )
    async def test_cancelling_an_unknown_order_is_refused(self, on: Stage) -> None:
        outcome = await on.venue.cancel(OrderRef(symbol=on.symbol, client_order_id="tlneverwas000000000001"))
        assert isinstance(outcome, Refused)
        assert outcome.code in _GONE

    @card(
        prerequisite="A buy of three units has one filled.",
        action="Cancel it.",
        expects="Accepted; CANCELLED with one unit filled.",
        passes="One unit stays filled; nothing is left open.",
        needs=(LIMIT,),
    )
    async def test_cancelling_keeps_what_has_filled(self, on: Stage) -> None:
        await on.quote_moves(0, depth=on.unit)
        ask = (await on.venue.quote(on.symbol)).ask
        ref = await on.placed(Side.BUY, 3 * on.unit, OrderType.LIMIT, price=ask)
        await on.becomes(ref, lambda o: o.filled_qty == on.unit, "is partly filled")
        assert isinstance(await on.venue.cancel(ref), Accepted)
        order = await on.becomes(ref, lambda o: not o.status.is_open, "is closed")
        assert (order.filled_qty, order.leaves_qty) == (on.unit, 0)
        assert sum(fill.qty for fill in await on.fills_of(ref)) == on.unit

    @card(
        prerequisite="Three limits and, where the venue has them, a stop are open.",
        action="Cancel all.",
        expects="One Accepted for each.",
        passes="Each order is named in the answer, nothing is open, nothing is promised.",
        needs=(LIMIT,),
    )
    async def test_cancel_all_takes_conditional_orders_too(self, on: Stage) -> None:
        refs = [await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-n)) for n in (1, 2, 3)]
        if OrderType.STOP in on.venue.capabilities.order_types:
            refs.append(await on.placed(Side.BUY, on.unit, OrderType.STOP, stop_price=on.away(1)))
        assert len(await on.venue.open_orders(on.symbol)) == len(refs)
        answers = await on.venue.cancel_all(on.symbol)
        assert {ref.venue_order_id for ref, _ in answers} == {ref.venue_order_id for ref in refs}
        assert all(isinstance(outcome, Accepted) for _, outcome in answers)
        assert await on.venue.open_orders() == []
        assert (await on.venue.account_info()).balance(on.money).free == on.funds

    @card(
        prerequisite="Nothing is open.",
        action="Cancel all.",
        expects="An empty answer.",
        passes="No error.",
    )
    async def test_cancel_all_of_nothing_is_nothing(self, on: Stage) -> None:
        assert list(await on.venue.cancel_all()) == []


class Changing:
    """Changing orders in place."""

    @card(
        prerequisite="A limit rests 2 % below the market.",
        action="Change its price to 1 % below; let the market fall by 1.5 %.",
        expects="Accepted; FILLED.",
        passes="It kept its client id and filled at its new price or better.",
        needs=(LIMIT, modifies("price")),
    )
    async def test_the_price_of_an_order_can_be_changed(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-2))
        outcome = await on.venue.modify(ref, price=on.away(-1))
        assert isinstance(outcome, Accepted), outcome
        order = await on.order(_by_client_id(on, ref, outcome))
        assert (order.price, order.qty, order.client_order_id) == (on.away(-1), on.unit, ref.client_order_id)
        await on.quote_moves("-1.5")
        await on.until(on.held, "bought")
        assert all(fill.price <= on.away(-1) for fill in await on.venue.fills(on.began_ns))

    @card(
        prerequisite="A limit for one unit rests.",
        action="Change its quantity to two units; let the market pass it.",
        expects="Accepted; FILLED.",
        passes="Two units were bought, by one order.",
        needs=(LIMIT, modifies("qty")),
    )
    async def test_the_quantity_of_an_order_can_be_changed(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        outcome = await on.venue.modify(ref, qty=2 * on.unit)
        assert isinstance(outcome, Accepted), outcome
        assert len(await on.venue.open_orders(on.symbol)) == 1
        await on.quote_moves(-2)
        await on.until(on.held, "bought")
        assert sum(fill.qty for fill in await on.venue.fills(on.began_ns)) == 2 * on.unit

    @card(
        prerequisite="A stop that buys rests 2 % above the market.",
        action="Change its trigger to 1 % above; let the market rise by 1.5 %.",
        expects="Accepted; it triggers.",
        passes="It has bought.",
        needs=(STOP, modifies("stop_price")),
    )
    async def test_the_trigger_of_a_stop_can_be_changed(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.STOP, stop_price=on.away(2))
        outcome = await on.venue.modify(ref, stop_price=on.away(1))
        assert isinstance(outcome, Accepted), outcome
        await on.quote_moves("1.5")
        await on.until(on.held, "bought")

    @card(
        prerequisite="A buy of three units has one filled.",
        action="Change its quantity to half a unit.",
        expects="Refused, or the order is closed with what has filled.",
        passes="One unit is filled, and never less nor more.",
        needs=(LIMIT, modifies("qty")),
    )
    async def test_a_quantity_below_what_has_filled_leaves_nothing_to_trade(self, on: Stage) -> None:
        await on.quote_moves(0, depth=on.unit)
        ask = (await on.venue.quote(on.symbol)).ask
        ref = await on.placed(Side.BUY, 3 * on.unit, OrderType.LIMIT, price=ask)
        await on.becomes(ref, lambda o: o.filled_qty == on.unit, "is partly filled")
        outcome = await on.venue.modify(ref, qty=on.unit / 2)
        order = await on.order(ref)
        if isinstance(outcome, Refused):
            assert outcome.code in (RefusalCode.BAD_REQUEST, RefusalCode.MIN_QTY, RefusalCode.OTHER)
            assert order.leaves_qty == 2 * on.unit
        else:
            assert order.leaves_qty == 0
        assert order.filled_qty == on.unit

    @card(
        prerequisite="A limit was cancelled.",
        action="Change its price.",
        expects="Refused(ORDER_CLOSED) or Refused(ORDER_NOT_FOUND).",
        passes="Nothing is open.",
        needs=(LIMIT, modifies("price")),
    )
    async def test_changing_a_closed_order_is_refused(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-2))
        await on.venue.cancel(ref)
        outcome = await on.venue.modify(ref, price=on.away(-1))
        assert isinstance(outcome, Refused)
        assert outcome.code in _GONE
        assert await on.venue.open_orders() == []

    @card(
        prerequisite="A limit rests; the venue declares that not every field can be changed in place.",
        action="Change such a field.",
        expects="Refused(NOT_SUPPORTED), with no request sent.",
        passes="The order is as it was.",
        needs=(
            LIMIT,
            declared(
                "a field that cannot be changed",
                lambda can: not {"qty", "price"} <= can.modify,
                "price and quantity can both be changed",
            ),
        ),
    )
    async def test_a_field_that_cannot_be_changed_is_refused_before_anything_is_sent(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-2))
        field = min({"qty", "price"} - on.venue.capabilities.modify)
        sent = on.requests_sent()
        outcome = await on.venue.modify(ref, **{field: on.away(-1) if field == "price" else 2 * on.unit})
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.NOT_SUPPORTED
        assert on.requests_sent() == sent
        order = await on.order(ref)
        assert (order.price, order.qty) == (on.away(-2), on.unit)


def _by_client_id(on: Stage, ref: OrderRef, outcome: Accepted) -> OrderRef:
    """Where our id finds it, the venue may have given it a new one of its own."""
    if on.venue.capabilities.query_by_client_id:
        return OrderRef(symbol=on.symbol, client_order_id=ref.client_order_id)
    return OrderRef(symbol=on.symbol, venue_order_id=outcome.venue_order_id)
