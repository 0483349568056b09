"""Refuse what the venue's filters refuse, told by remainders so that it owes nothing to the client's rounding."""

from __future__ import annotations

from decimal import Decimal

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderType
from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.orders import SimOrder


def violated(order: SimOrder, instrument: Instrument, reference_price: Decimal) -> RefusalCode | None:
    """Return the first filter an order breaks, in the order in which Binance documents them, or ``None``."""
    return (
        _price(order, instrument, reference_price)
        or _qty(order, instrument)
        or _notional(order, instrument, reference_price)
    )


def _price(order: SimOrder, instrument: Instrument, reference_price: Decimal) -> RefusalCode | None:
    least, most = instrument.min_price, instrument.max_price
    for value in (order.price, order.stop_price):
        if value is None:
            continue
        if value <= 0 or (least is not None and value < least) or (most is not None and value > most):
            return RefusalCode.PRICE_LIMIT
        if value % instrument.tick_size:
            return RefusalCode.TICK
    if order.price is not None:
        up, down = instrument.price_band_up, instrument.price_band_down
        if up is not None and order.price > reference_price * up:
            return RefusalCode.PRICE_LIMIT
        if down is not None and order.price < reference_price * down:
            return RefusalCode.PRICE_LIMIT
    return None


def _qty(order: SimOrder, instrument: Instrument) -> RefusalCode | None:
    limits: list[tuple[Decimal | None, Decimal | None, Decimal | None]]
    limits = [(instrument.qty_step, instrument.min_qty, instrument.max_qty)]
    if order.type in (OrderType.MARKET, OrderType.STOP):
        limits.append((instrument.market_qty_step, instrument.min_market_qty, instrument.max_market_qty))
    for step, least, most in limits:
        if order.qty <= 0 or (least is not None and order.qty < least):
            return RefusalCode.MIN_QTY
        if most is not None and order.qty > most:
            return RefusalCode.MAX_QTY
        if step is not None and order.qty % step:
            return RefusalCode.QTY_STEP
    return None


def _notional(order: SimOrder, instrument: Instrument, reference_price: Decimal) -> RefusalCode | None:
    if order.reduce_only:
        return None
    worth = order.qty * (order.price or order.stop_price or reference_price) * instrument.contract_size
    if instrument.min_notional is not None and worth < instrument.min_notional:
        return RefusalCode.MIN_NOTIONAL
    if instrument.max_notional is not None and worth > instrument.max_notional:
        return RefusalCode.MAX_NOTIONAL
    return None
