"""Keep ccxt from making another order of the one that is meant, and tell apart what a venue says in one word."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent, OrderType, TimeInForce
from tradelab.model.outcome import RefusalCode, Refused


def unsaid(intent: OrderIntent) -> Refused | None:
    """Refuse what ccxt would leave out without a word: only an order with a limit tells the venue how long it lives.

    An order at the market fills what it can at once, which is IOC; it cannot be bound to fill whole, nor to end.
    """
    if intent.type.needs_price or intent.time_in_force in (TimeInForce.GTC, TimeInForce.IOC):
        return None
    says = f"a {intent.type.value} order cannot be {intent.time_in_force.name}: it would be sent without"
    return Refused(RefusalCode.NOT_SUPPORTED, says)


def change_off_grid(instrument: Instrument, **asked: Decimal | None) -> Refused | None:
    """Refuse a change that ccxt would round, or that no order can have: another one than the one that is meant."""
    for name, value in asked.items():
        if value is None:
            continue
        if not isinstance(value, Decimal) or not value.is_finite() or value <= 0:
            return Refused(RefusalCode.BAD_REQUEST, f"{name}={value} must be a Decimal above zero")
        code, step = (
            (RefusalCode.QTY_STEP, instrument.qty_step) if name == "qty" else (RefusalCode.TICK, instrument.tick_size)
        )
        if value % step:
            return Refused(code, f"{name}={value} is not a multiple of {step}")
    return None


def off_grid(intent: OrderIntent, instrument: Instrument) -> Refused | None:
    """Refuse what ccxt would round to the step or the tick: another order than the one that was approved."""
    if intent.qty % instrument.qty_step:
        return Refused(RefusalCode.QTY_STEP, f"qty={intent.qty} is not a multiple of {instrument.qty_step}")
    for name in ("price", "stop_price", "stop_loss", "take_profit"):
        value = getattr(intent, name)
        if value is not None and value % instrument.tick_size:
            return Refused(RefusalCode.TICK, f"{name}={value} is not a multiple of {instrument.tick_size}")
    return None


def told_apart(refused: Refused, intent: OrderIntent, instrument: Instrument) -> Refused:
    """Return which of its limits a quantity broke, where the venue has one word for all (Binance: LOT_SIZE)."""
    if refused.code is not RefusalCode.QTY_STEP:
        return refused
    is_market = intent.type in (OrderType.MARKET, OrderType.STOP)
    least = max(filter(None, (instrument.min_qty, instrument.min_market_qty if is_market else None)), default=None)
    most = min(filter(None, (instrument.max_qty, instrument.max_market_qty if is_market else None)), default=None)
    if least is not None and intent.qty < least:
        return replace(refused, code=RefusalCode.MIN_QTY)
    if most is not None and intent.qty > most:
        return replace(refused, code=RefusalCode.MAX_QTY)
    return refused
