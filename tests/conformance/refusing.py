"""Cards about no: what cannot be approved, what a venue refuses when it is forced on it, what is declared missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.conformance.cards import LIMIT, MARKET, Need, card, declared, staged
from tests.conformance.stage import Stage
from tradelab.model.account import PositionMode
from tradelab.model.approval import approve
from tradelab.model.orders import OrderIntent, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode, Refused


def _limits(name: str) -> Need:
    return staged(f"instrument with {name}", lambda on: bool(getattr(on.instrument, name)))


class Refusing:
    """Nos, each with the code of its remedy, and nothing traded."""

    @card(
        prerequisite="The stage's funds.",
        action="Buy the most that one order may be, far beyond the funds, with a limit 1 % below the market.",
        expects="Refused(BALANCE) or Refused(MARGIN).",
        passes="Nothing is open and nothing is promised.",
        needs=(LIMIT,),
    )
    async def test_more_than_the_account_can_bear_is_refused(self, on: Stage) -> None:
        market = on.instrument
        price, most = on.away(-1), market.max_qty
        if market.max_notional is not None:
            cap = market.max_notional / (price * market.contract_size)
            most = cap if most is None else min(cap, most)
        qty = on.unit * 1_000_000 if most is None else market.floor_qty(most)
        outcome = await on.submit(Side.BUY, qty, OrderType.LIMIT, price=price)
        assert isinstance(outcome, Refused), "the stage's funds must not bear the largest order"
        assert outcome.code in (RefusalCode.BALANCE, RefusalCode.MARGIN)
        await _nothing_happened(on)

    @card(
        prerequisite="An instrument with a least quantity.",
        action="Ask for less; force it on the venue.",
        expects="Not approved, MIN_QTY; forced: Refused(MIN_QTY), MIN_NOTIONAL or QTY_STEP.",
        passes="Nothing is open.",
        needs=(LIMIT, _limits("min_qty")),
    )
    async def test_less_than_the_least_quantity_is_refused(self, on: Stage) -> None:
        qty = (on.instrument.min_qty or Decimal(0)) / 2
        intent = on.intent(Side.BUY, qty, OrderType.LIMIT, price=on.away(-1))
        assert _refusal(on, intent) is RefusalCode.MIN_QTY
        loosened = {"qty_step": qty, "min_qty": None, "min_notional": None}
        expected = (RefusalCode.MIN_QTY, RefusalCode.MIN_NOTIONAL, RefusalCode.QTY_STEP)
        await _is_refused_when_forced(on, intent, expected, **loosened)

    @card(
        prerequisite="An instrument with a least value of an order.",
        action="Ask for less than that; force it on the venue.",
        expects="Not approved, MIN_NOTIONAL; forced: Refused(MIN_NOTIONAL).",
        passes="Nothing is open.",
        needs=(LIMIT, _limits("min_notional")),
    )
    async def test_less_than_the_least_value_is_refused(self, on: Stage) -> None:
        market = on.instrument
        value = on.away(-1) * market.contract_size
        qty = max(market.floor_qty((market.min_notional or Decimal(0)) / value / 2), market.min_qty or market.qty_step)
        assert qty * value < (market.min_notional or 0), "the least quantity must be worth less than the least value"
        intent = on.intent(Side.BUY, qty, OrderType.LIMIT, price=on.away(-1))
        assert _refusal(on, intent) is RefusalCode.MIN_NOTIONAL
        await _is_refused_when_forced(on, intent, (RefusalCode.MIN_NOTIONAL,), min_notional=None)

    @card(
        prerequisite="An instrument with a step of quantity.",
        action="Ask for one step and a half more than the unit; force it on the venue.",
        expects="Approved only rounded down; forced: Refused(QTY_STEP).",
        passes="Nothing is open.",
        needs=(LIMIT,),
    )
    async def test_a_quantity_off_the_step_is_refused(self, on: Stage) -> None:
        step = on.instrument.qty_step
        intent = on.intent(Side.BUY, on.unit + step * 3 / 2, OrderType.LIMIT, price=on.away(-1))
        assert on.approved(intent).intent.qty == on.unit + step
        await _is_refused_when_forced(on, intent, (RefusalCode.QTY_STEP,), qty_step=step / 10)

    @card(
        prerequisite="An instrument with a tick.",
        action="Ask for a price between two ticks; force it on the venue.",
        expects="Approved only rounded to the safe side; forced: Refused(TICK).",
        passes="Nothing is open.",
        needs=(LIMIT,),
    )
    async def test_a_price_off_the_tick_is_refused(self, on: Stage) -> None:
        tick = on.instrument.tick_size
        intent = on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1) + tick / 2)
        assert on.approved(intent).intent.price == on.away(-1)
        expected = (RefusalCode.TICK, RefusalCode.PRICE_LIMIT)
        await _is_refused_when_forced(on, intent, expected, tick_size=tick / 10)

    @card(
        prerequisite="An instrument with a greatest quantity.",
        action="Ask for one step more; force it on the venue.",
        expects="Not approved, MAX_QTY; forced: Refused(MAX_QTY), or for want of money.",
        passes="Nothing is open.",
        needs=(LIMIT, _limits("max_qty")),
    )
    async def test_more_than_the_greatest_quantity_is_refused(self, on: Stage) -> None:
        qty = (on.instrument.max_qty or Decimal(0)) + on.instrument.qty_step
        intent = on.intent(Side.BUY, qty, OrderType.LIMIT, price=on.away(-1))
        assert _refusal(on, intent) is RefusalCode.MAX_QTY
        expected = (RefusalCode.MAX_QTY, RefusalCode.MAX_NOTIONAL, RefusalCode.BALANCE, RefusalCode.MARGIN)
        await _is_refused_when_forced(on, intent, expected, max_qty=None, max_notional=None)

    @card(
        prerequisite="A connected venue.",
        action="Buy a symbol that does not exist; ask for its quote.",
        expects="Refused(UNKNOWN_SYMBOL); an error from the tree that names it.",
        passes="Nothing is open.",
        needs=(LIMIT,),
    )
    async def test_a_symbol_that_does_not_exist_is_refused(self, on: Stage) -> None:
        intent = on.intent(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1), symbol="NOSUCH")
        outcome = await on.venue.submit(on.approved(intent))
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.UNKNOWN_SYMBOL
        await _nothing_happened(on)

    @card(
        prerequisite="The venue declares that it lacks something of an order.",
        action="Send an order that asks for it.",
        expects="Refused(NOT_SUPPORTED), which names it.",
        passes="No request was sent, and nothing is open.",
        needs=(declared("something it lacks", lambda can: bool(_missing(can)), "it offers everything"),),
    )
    async def test_what_is_declared_missing_is_refused_before_anything_is_sent(self, on: Stage) -> None:
        for kind, rest in _missing(on.venue.capabilities):
            if kind.needs_price:
                rest = {"price": on.away(-1), **rest}
            if kind.needs_stop_price:
                rest = {"stop_price": on.away(1), **rest}
            if rest.get("time_in_force") is TimeInForce.GTD:
                rest = {"expire_ns": await on.venue.now_ns() + 3600 * 10**9, **rest}
            order = on.approved(on.intent(Side.BUY, on.unit, kind, **rest))
            sent = on.requests_sent()
            outcome = await on.venue.submit(order)
            assert isinstance(outcome, Refused), (kind, rest)
            assert outcome.code is RefusalCode.NOT_SUPPORTED
            assert on.requests_sent() == sent
        await _nothing_happened(on)

    @card(
        prerequisite="One unit's worth of money is promised to limits, again and again.",
        action="Buy, sell and cancel for a while as the market moves.",
        expects="Orders of every fate.",
        passes="No balance, free or used, is ever below zero; free and used add up to what there is.",
        needs=(MARKET, LIMIT),
    )
    async def test_balances_are_never_below_zero(self, on: Stage) -> None:
        for turn in range(8):
            await on.submit(Side.BUY, on.unit)
            await on.submit(Side.BUY, on.unit, OrderType.LIMIT, price=on.away(-1))
            await on.submit(Side.SELL, on.unit, OrderType.LIMIT, price=on.away(1))
            await on.quote_moves((-2, 2, 0)[turn % 3])
            if turn % 3 == 2:
                await on.venue.cancel_all(on.symbol)
            account = await on.venue.account_info()
            for balance in account.balances:
                assert balance.free >= 0
                assert balance.used >= 0
                assert balance.total == balance.free + balance.used


def _refusal(on: Stage, intent: OrderIntent) -> RefusalCode:
    refused = approve(intent, on.instrument, reference_price=on.price, by=("person",), at_ns=0)
    assert isinstance(refused, Refused), refused
    return refused.code


async def _is_refused_when_forced(
    on: Stage, intent: OrderIntent, expected: tuple[RefusalCode, ...], **loosened: Any
) -> None:
    """Approve it as if the limit were not known, and see the venue refuse it."""
    forced = on.approved(intent, **loosened)
    assert (forced.intent.qty, forced.intent.price) == (intent.qty, intent.price), "it was rounded after all"
    outcome = await on.venue.submit(forced)
    assert isinstance(outcome, Refused), outcome
    assert outcome.code in expected, outcome
    await _nothing_happened(on)


async def _nothing_happened(on: Stage) -> None:
    assert await on.venue.open_orders() == []
    assert await on.venue.fills(on.began_ns) == []
    assert (await on.venue.account_info()).balance(on.money).free == on.funds


def _missing(can: Any) -> list[tuple[OrderType, dict[str, Any]]]:
    """One order for each thing that a venue's capabilities lack."""
    lacking: list[tuple[OrderType, dict[str, Any]]] = [(kind, {}) for kind in OrderType if kind not in can.order_types]
    if OrderType.LIMIT in can.order_types:
        lacking += [
            (OrderType.LIMIT, {"time_in_force": time}) for time in TimeInForce if time not in can.times_in_force
        ]
    if OrderType.MARKET in can.order_types:
        if not can.reduce_only:
            lacking.append((OrderType.MARKET, {"reduce_only": True}))
        if can.position_mode is not PositionMode.HEDGING:
            lacking.append((OrderType.MARKET, {"position_id": "1"}))
    return lacking
