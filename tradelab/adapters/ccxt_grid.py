"""Keep ccxt from rounding an order in silence, and tell apart what a venue says in one word."""

from __future__ import annotations

from dataclasses import replace

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent, OrderType
from tradelab.model.outcome import RefusalCode, Refused


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
