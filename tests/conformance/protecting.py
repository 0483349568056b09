"""Cards about protection and closing: attached stops and targets, reduce-only, whole and partial closes, both modes."""

from __future__ import annotations

from decimal import Decimal

from tests.conformance.cards import MARKET, POSITIONS, PROTECTED_MARKET, PROTECTS, REDUCE_ONLY, card, holds
from tests.conformance.stage import Stage
from tradelab.model.account import Position, PositionMode
from tradelab.model.orders import OrderRef, OrderStatus, Side
from tradelab.model.outcome import Accepted, RefusalCode, Refused


class Protecting:
    """What guards a position."""

    @card(
        prerequisite="Flat.",
        action="Buy at the market with a stop loss 2 % below and a take profit 2 % above.",
        expects="FILLED, and the protection stands.",
        passes="It is shown on the position, or as orders that are open, both prices exactly.",
        needs=(PROTECTED_MARKET,),
    )
    async def test_attached_stop_loss_and_take_profit_appear(self, on: Stage) -> None:
        await _protected(on)
        assert await _levels(on) == {on.away(-2), on.away(2)}

    @card(
        prerequisite="A long with a stop loss 2 % below and a take profit 2 % above.",
        action="Let the market fall by 3 %.",
        expects="The stop loss closes it.",
        passes="Nothing is held, and the take profit is gone with it.",
        needs=(PROTECTED_MARKET,),
    )
    async def test_the_stop_loss_closes_and_takes_the_take_profit_with_it(self, on: Stage) -> None:
        await _protected(on)
        await on.quote_moves(-3)
        await on.until(lambda: _is_flat(on), "the stop loss has closed it")
        await on.until(lambda: _nothing_open(on), "the take profit is gone")
        await on.quote_moves(3)
        assert await _is_flat(on)

    @card(
        prerequisite="A long with a stop loss 2 % below and a take profit 2 % above.",
        action="Let the market rise by 3 %.",
        expects="The take profit closes it.",
        passes="Nothing is held, at its price or better, and the stop loss is gone with it.",
        needs=(PROTECTED_MARKET,),
    )
    async def test_the_take_profit_closes_and_takes_the_stop_loss_with_it(self, on: Stage) -> None:
        await _protected(on)
        await on.quote_moves(3)
        await on.until(lambda: _is_flat(on), "the take profit has closed it")
        sales = [fill for fill in await on.venue.fills(on.began_ns, on.symbol) if fill.side is Side.SELL]
        assert all(fill.price >= on.away(2) for fill in sales)
        await on.until(lambda: _nothing_open(on), "the stop loss is gone")
        await on.quote_moves(-3)
        assert await _is_flat(on)

    @card(
        prerequisite="A long without protection.",
        action="Set a stop loss and a take profit; move the stop loss; take the take profit away.",
        expects="Accepted each time.",
        passes="The position shows what was set last.",
        needs=(MARKET, POSITIONS, PROTECTS),
    )
    async def test_the_protection_of_a_position_can_be_set_moved_and_taken_away(self, on: Stage) -> None:
        await on.placed(Side.BUY, on.unit)
        ticket = (await _position(on)).position_id
        for stop, target in ((-2, 2), (-1, 2), (-1, None)):
            levels = (on.away(stop), None if target is None else on.away(target))
            outcome = await on.venue.modify_protection(
                on.symbol, position_id=ticket, stop_loss=levels[0], take_profit=levels[1]
            )
            assert isinstance(outcome, Accepted), outcome
            await on.until(lambda: _stands(on, *levels), f"protected by {levels}")  # noqa: B023 (asked at once)

    @card(
        prerequisite="Flat.",
        action="Set the stop loss of a position that is not there.",
        expects="Refused(POSITION_NOT_FOUND).",
        passes="Nothing is open.",
        needs=(PROTECTS,),
    )
    async def test_protection_without_a_position_is_refused(self, on: Stage) -> None:
        ticket = "404" if on.venue.capabilities.position_mode is PositionMode.HEDGING else None
        outcome = await on.venue.modify_protection(
            on.symbol, position_id=ticket, stop_loss=on.away(-2), take_profit=None
        )
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.POSITION_NOT_FOUND
        assert await on.venue.open_orders() == []

    @card(
        prerequisite="A long.",
        action="Set a stop loss above the market.",
        expects="Refused(PROTECTION), or the position is closed at once.",
        passes="It never stands on the wrong side.",
        needs=(MARKET, POSITIONS, PROTECTS),
    )
    async def test_a_stop_loss_on_the_wrong_side_does_not_stand(self, on: Stage) -> None:
        await on.placed(Side.BUY, on.unit)
        ticket = (await _position(on)).position_id
        outcome = await on.venue.modify_protection(
            on.symbol, position_id=ticket, stop_loss=on.away(2), take_profit=None
        )
        if isinstance(outcome, Refused):
            assert outcome.code in (RefusalCode.PROTECTION, RefusalCode.STOP_WOULD_TRIGGER)
            assert (await _position(on)).stop_loss is None
        else:
            await on.until(lambda: _is_flat(on), "closed at once")

    @card(
        prerequisite="A long of one unit.",
        action="Sell three units reduce-only.",
        expects="One unit is sold, or the order is refused with REDUCE_ONLY.",
        passes="The account is long or flat, never short.",
        needs=(MARKET, REDUCE_ONLY, holds(PositionMode.NETTING)),
    )
    async def test_a_reduce_only_order_never_turns_a_position_round(self, on: Stage) -> None:
        await on.placed(Side.BUY, on.unit)
        await _position(on)
        outcome = await on.submit(Side.SELL, 3 * on.unit, reduce_only=True)
        if isinstance(outcome, Refused):
            assert outcome.code is RefusalCode.REDUCE_ONLY
            assert await on.held() == on.unit
        else:
            await on.until(lambda: _is_flat(on), "closed")
        assert await _nothing_open(on)

    @card(
        prerequisite="Flat.",
        action="Sell one unit reduce-only.",
        expects="Refused(REDUCE_ONLY) or Refused(POSITION_NOT_FOUND).",
        passes="Nothing is held, nothing is open, nothing was filled.",
        needs=(MARKET, REDUCE_ONLY),
    )
    async def test_a_reduce_only_order_opens_nothing(self, on: Stage) -> None:
        outcome = await on.submit(Side.SELL, on.unit, reduce_only=True)
        assert isinstance(outcome, Refused)
        assert outcome.code in (RefusalCode.REDUCE_ONLY, RefusalCode.POSITION_NOT_FOUND)
        assert await on.held() == 0
        assert await _nothing_open(on)
        assert await on.venue.fills(on.began_ns) == []


class Closing:
    """How a position ends."""

    @card(
        prerequisite="A long of one unit.",
        action="Close it: an order of the other side, reduce-only and by its id where the venue has those.",
        expects="FILLED.",
        passes="No position is left, and none the other way.",
        needs=(MARKET, POSITIONS),
    )
    async def test_a_position_can_be_closed(self, on: Stage) -> None:
        await on.placed(Side.BUY, on.unit)
        ref = await _close(on, await _position(on), on.unit)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        await on.until(lambda: _is_flat(on), "flat")
        assert await on.venue.positions() == []

    @card(
        prerequisite="A long of one unit.",
        action="Close half of it.",
        expects="FILLED.",
        passes="Half a unit is left, at the same average price; its id is the same where it has one.",
        needs=(MARKET, POSITIONS),
    )
    async def test_half_a_position_can_be_closed(self, on: Stage) -> None:
        await on.placed(Side.BUY, on.unit)
        before = await _position(on)
        await _close(on, before, on.unit / 2)

        async def halved() -> bool:
            return await on.held() == on.unit / 2

        await on.until(halved, "half is left")
        after = await _position(on)
        assert (after.qty, after.avg_price) == (on.unit / 2, before.avg_price)

    @card(
        prerequisite="A short of one unit.",
        action="Buy it back.",
        expects="FILLED.",
        passes="It was a position below zero, and is none now.",
        needs=(MARKET, POSITIONS),
    )
    async def test_a_short_is_a_position_below_zero(self, on: Stage) -> None:
        await on.placed(Side.SELL, on.unit)
        short = await _position(on)
        assert short.qty == -on.unit
        await _close(on, short, on.unit)
        await on.until(lambda: _is_flat(on), "flat")

    @card(
        prerequisite="A long of one unit on a netting account.",
        action="Sell three units at the market.",
        expects="FILLED.",
        passes="One position of minus two units, its average price the price of that sale.",
        needs=(MARKET, holds(PositionMode.NETTING)),
    )
    async def test_on_a_netting_account_a_larger_order_turns_the_position_round(self, on: Stage) -> None:
        await on.placed(Side.BUY, on.unit)
        await _position(on)
        ref = await on.placed(Side.SELL, 3 * on.unit)
        await on.becomes(ref, lambda o: o.status is OrderStatus.FILLED, "is filled")
        (position,) = await on.venue.positions(on.symbol)
        assert position.qty == -2 * on.unit
        (price,) = {fill.price for fill in await on.fills_of(ref)}
        assert position.avg_price == price

    @card(
        prerequisite="Two entries on a hedging account, one each way.",
        action="Close the first by its id.",
        expects="Two positions with ids of their own; then the second alone.",
        passes="The second is untouched.",
        needs=(MARKET, holds(PositionMode.HEDGING)),
    )
    async def test_on_a_hedging_account_every_entry_is_a_position_of_its_own(self, on: Stage) -> None:
        await on.placed(Side.BUY, on.unit)
        long = await _position(on)
        await on.placed(Side.SELL, 2 * on.unit)

        async def both() -> bool:
            return len(await on.venue.positions(on.symbol)) == 2

        await on.until(both, "two positions")
        (short,) = [p for p in await on.venue.positions(on.symbol) if p.position_id != long.position_id]
        assert short.qty == -2 * on.unit
        await _close(on, long, on.unit)

        async def one() -> bool:
            return len(await on.venue.positions(on.symbol)) == 1

        await on.until(one, "one position")
        (left,) = await on.venue.positions(on.symbol)
        assert (left.position_id, left.qty, left.avg_price) == (short.position_id, short.qty, short.avg_price)

    @card(
        prerequisite="A hedging account without positions.",
        action="Close a position by an id that never was.",
        expects="Refused(POSITION_NOT_FOUND).",
        passes="Nothing is held and nothing was filled.",
        needs=(MARKET, holds(PositionMode.HEDGING)),
    )
    async def test_closing_a_position_that_is_not_there_is_refused(self, on: Stage) -> None:
        reduces = on.venue.capabilities.reduce_only
        outcome = await on.submit(Side.SELL, on.unit, reduce_only=reduces, position_id="404")
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.POSITION_NOT_FOUND
        assert await on.venue.positions() == []
        assert await on.venue.fills(on.began_ns) == []

    @card(
        prerequisite="A long; the market has risen by 2 %.",
        action="Close it.",
        expects="The profit is paid.",
        passes="The money has grown by what price differences times quantity come to, less all fees, to the last digit "
        "the venue keeps.",
        needs=(MARKET, POSITIONS),
    )
    async def test_closing_pays_exactly_the_profit(self, on: Stage) -> None:
        await on.placed(Side.BUY, on.unit)
        position = await _position(on)
        await on.quote_moves(2)
        await _close(on, position, on.unit)
        await on.until(lambda: _is_flat(on), "flat")
        fills = await on.venue.fills(on.began_ns, on.symbol)
        earned = sum(-f.side.sign * f.qty * f.price * on.instrument.contract_size for f in fills)
        fees = sum(f.fee for f in fills if f.fee is not None and f.fee_currency == on.money)
        assert abs(await on.cash() - on.funds - (earned - fees)) <= Decimal("0.01")
        assert earned > 0


async def _protected(on: Stage) -> None:
    await on.placed(Side.BUY, on.unit, stop_loss=on.away(-2), take_profit=on.away(2))
    await on.until(on.held, "bought")

    async def stands() -> bool:
        return bool(await _levels(on))

    await on.until(stands, "protected")


async def _levels(on: Stage) -> set[Decimal]:
    """Prices at which something guards what is held: on positions, or as orders that sell."""
    levels = {level for p in await on.venue.positions(on.symbol) for level in (p.stop_loss, p.take_profit)}
    for order in await on.venue.open_orders(on.symbol):
        levels |= {order.stop_price or order.price, order.stop_loss, order.take_profit}
    return {level for level in levels if level is not None}


async def _position(on: Stage) -> Position:
    async def one() -> list[Position]:
        return list(await on.venue.positions(on.symbol))

    listed = await on.until(one, "a position")
    assert len(listed) == 1, listed
    position: Position = listed[0]
    return position


async def _close(on: Stage, position: Position, qty: Decimal) -> OrderRef:
    can = on.venue.capabilities
    by_id = position.position_id if can.position_mode is PositionMode.HEDGING else None
    side = Side.SELL if position.qty > 0 else Side.BUY
    return await on.placed(side, qty, reduce_only=can.reduce_only, position_id=by_id)


async def _stands(on: Stage, stop: Decimal | None, target: Decimal | None) -> bool:
    position = await _position(on)
    return (position.stop_loss, position.take_profit) == (stop, target)


async def _is_flat(on: Stage) -> bool:
    """Nothing is held, but for what a fee in the base currency leaves below one step."""
    return abs(await on.held()) < on.unit / 4


async def _nothing_open(on: Stage) -> bool:
    return await on.venue.open_orders(on.symbol) == []
