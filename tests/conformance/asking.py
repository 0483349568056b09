"""Cards about asking: orders by either name, lists that are whole, exact fills, names that are unique for ever."""

from __future__ import annotations

from tests.conformance.cards import BY_CLIENT_ID, LIMIT, MARKET, card, holds
from tests.conformance.stage import Stage
from tradelab.model.account import PositionMode
from tradelab.model.orders import OrderRef, OrderStatus, OrderType, Side
from tradelab.model.outcome import Accepted

_MANY = 60  # more than one page of any venue's list


class Asking:
    """What the venue tells of orders and fills."""

    @card(
        prerequisite="A limit rests.",
        action="Ask for it by our id alone, cancel it, ask again.",
        expects="The order, open and then closed.",
        passes="All that was asked for is in the answer.",
        needs=(LIMIT, BY_CLIENT_ID),
    )
    async def test_an_order_is_found_by_our_id_open_and_closed(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        ours = OrderRef(symbol=on.symbol, client_order_id=ref.client_order_id)
        order = await on.order(ours)
        assert (order.venue_order_id, order.side, order.type) == (ref.venue_order_id, Side.BUY, OrderType.LIMIT)
        assert (order.qty, order.price, order.status) == (on.unit, on.away(-1), OrderStatus.NEW)
        await on.venue.cancel(ours)
        await on.becomes(ours, lambda o: o.status is OrderStatus.CANCELLED, "is cancelled")

    @card(
        prerequisite="A market order has filled.",
        action="Ask for it by the venue's id alone.",
        expects="The order, FILLED.",
        passes="It bears our id.",
        needs=(MARKET,),
    )
    async def test_an_order_is_found_by_the_venues_id(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit)
        theirs = OrderRef(symbol=on.symbol, venue_order_id=ref.venue_order_id)
        order = await on.becomes(theirs, lambda o: o.status is OrderStatus.FILLED, "is filled")
        assert order.client_order_id == ref.client_order_id

    @card(
        prerequisite="No order at all.",
        action="Ask for one that never was, by our id.",
        expects="None.",
        passes="No error and no other order.",
        needs=(BY_CLIENT_ID,),
    )
    async def test_an_order_that_never_was_is_none(self, on: Stage) -> None:
        assert await on.venue.order(OrderRef(symbol=on.symbol, client_order_id="tlneverwas000000000001")) is None

    @card(
        prerequisite="Sixty limits are open, or as many as the instrument allows.",
        action="Ask for open orders, of the symbol and of all.",
        expects="All of them, both times.",
        passes="The client ids are those that were sent, each once.",
        needs=(LIMIT,),
    )
    async def test_open_orders_are_complete_beyond_one_page(self, on: Stage) -> None:
        count = min(_MANY, on.instrument.max_orders or _MANY)
        sent = [await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1)) for _ in range(count)]
        for listed in (await on.venue.open_orders(on.symbol), await on.venue.open_orders()):
            assert sorted(str(o.client_order_id) for o in listed) == sorted(str(r.client_order_id) for r in sent)
            assert all(order.status is OrderStatus.NEW for order in listed)

    @card(
        prerequisite="Flat.",
        action="Buy five times at the market; ask for the fills since before, since the third, since now.",
        expects="Lists of fills.",
        passes="Complete, oldest first, no id twice, and since the third exactly those from its time on.",
        needs=(MARKET,),
    )
    async def test_fills_are_complete_sorted_and_from_the_time_asked_on(self, on: Stage) -> None:
        refs = []
        for _ in range(5):
            refs.append(await on.placed(Side.BUY, on.unit))
            await on.becomes(refs[-1], lambda o: o.status is OrderStatus.FILLED, "is filled")
            await on.advance(1)
        fills = list(await on.venue.fills(on.began_ns, on.symbol))
        assert {fill.venue_order_id for fill in fills} == {ref.venue_order_id for ref in refs}
        assert sum(fill.qty for fill in fills) == 5 * on.unit
        assert len({fill.trade_id for fill in fills}) == len(fills)
        assert [fill.ts_ns for fill in fills] == sorted(fill.ts_ns for fill in fills)
        since = next(fill.ts_ns for fill in fills if fill.venue_order_id == refs[2].venue_order_id)
        assert list(await on.venue.fills(since)) == [fill for fill in fills if fill.ts_ns >= since]
        assert list(await on.venue.fills(await on.venue.now_ns() + 1)) == []

    @card(
        prerequisite="A market order has filled.",
        action="Ask for the order and for its fills.",
        expects="Both say the same.",
        passes="The fills add up to its filled quantity, their average to its average price; each bears both names.",
        needs=(MARKET,),
    )
    async def test_an_order_and_its_fills_agree(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, 3 * on.unit)
        order = await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        fills = await on.fills_of(ref)
        assert sum(fill.qty for fill in fills) == order.filled_qty
        average = sum(fill.qty * fill.price for fill in fills) / order.filled_qty
        assert order.avg_price is not None
        assert abs(order.avg_price - average) <= on.instrument.tick_size
        for fill in fills:
            assert (fill.symbol, fill.side) == (on.symbol, Side.BUY)
            assert fill.venue_order_id == ref.venue_order_id

    @card(
        prerequisite="Buys have been made on a spot account, and some of it sold.",
        action="Ask for positions.",
        expects="None.",
        passes="What is held is in the balances.",
        needs=(MARKET, holds(PositionMode.NONE)),
    )
    async def test_a_spot_account_has_balances_and_no_positions(self, on: Stage) -> None:
        await on.placed(Side.BUY, 2 * on.unit)
        await on.until(on.held, "bought")
        await on.placed(Side.SELL, on.unit)
        assert await on.venue.positions() == []
        assert on.instrument.base in {balance.currency for balance in await on.venue.balances()}


class Naming:
    """A client id names one order for ever."""

    @card(
        prerequisite="A limit rests.",
        action="Send the very same order again.",
        expects="The first order's answer.",
        passes="One order is open.",
        needs=(LIMIT,),
    )
    async def test_the_same_client_id_twice_is_one_order(self, on: Stage) -> None:
        order = on.approved(on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1)))
        first = await on.venue.submit(order)
        assert isinstance(first, Accepted)
        second = await on.venue.submit(order)
        assert isinstance(second, Accepted), second
        assert second.venue_order_id == first.venue_order_id
        assert len(await on.venue.open_orders()) == 1

    @card(
        prerequisite="A limit rests; the adapter is thrown away as by a crash.",
        action="Connect a new one; ask for the order by our id; ask for what is open.",
        expects="The order.",
        passes="Same venue id, same price, still one order.",
        needs=(LIMIT, BY_CLIENT_ID),
    )
    async def test_after_a_restart_an_order_is_found_by_our_id(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
        on.venue = await on.reopen()
        order = await on.order(OrderRef(symbol=on.symbol, client_order_id=ref.client_order_id))
        assert (order.venue_order_id, order.price, order.status) == (
            ref.venue_order_id, on.away(-1), OrderStatus.NEW,
        )  # fmt: skip
        assert len(await on.venue.open_orders()) == 1

    @card(
        prerequisite="A market order has filled; the adapter is thrown away as by a crash.",
        action="Connect a new one; ask for the fills.",
        expects="The same fills.",
        passes="Same ids, quantities, prices and times; the same is held.",
        needs=(MARKET,),
    )
    async def test_after_a_restart_fills_and_holdings_are_the_same(self, on: Stage) -> None:
        ref = await on.placed(Side.BUY, on.unit)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        before, held = list(await on.venue.fills(on.began_ns, on.symbol)), await on.held()
        on.venue = await on.reopen()
        assert list(await on.venue.fills(on.began_ns, on.symbol)) == before
        assert await on.held() == held

    @card(
        prerequisite="A limit rests; the adapter is thrown away as by a crash.",
        action="Connect a new one and send the very same order again.",
        expects="The first order's answer.",
        passes="One order is open.",
        needs=(LIMIT, BY_CLIENT_ID),
    )
    async def test_after_a_restart_the_same_client_id_is_still_one_order(self, on: Stage) -> None:
        order = on.approved(on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1)))
        first = await on.venue.submit(order)
        assert isinstance(first, Accepted)
        on.venue = await on.reopen()
        second = await on.venue.submit(order)
        assert isinstance(second, Accepted), second
        assert second.venue_order_id == first.venue_order_id
        assert len(await on.venue.open_orders()) == 1
