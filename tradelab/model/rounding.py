"""Fit an order to what its instrument allows: quantities down, prices to the safe side, else a refusal with a code."""

from __future__ import annotations

from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from tradelab.model.instrument import Instrument, on_step
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.outcome import RefusalCode, Refused


def fit(intent: OrderIntent, instrument: Instrument, reference_price: Decimal) -> OrderIntent | Refused:
    """Return the order that the venue's filters let pass and that is nowhere more than was asked, or why there is none.

    A quantity is rounded down. A limit is rounded to where it trades no worse: a buy down, a sell up. A trigger is
    rounded towards the market, so that protection comes no later than asked: a stop that sells up, one that buys down;
    so are the attached stop loss and take profit of a position.

    Parameters
    ----------
    intent
        What is asked.
    instrument
        Its steps and limits; one that is ``None`` is a limit the venue does not have.
    reference_price
        What the market trades at; the notional value of an order without a limit is told by it, and so is the band
        inside which the venue takes limits.
    """
    if not reference_price.is_finite() or reference_price <= 0:
        return Refused(RefusalCode.STALE_INPUT, f"{intent.symbol}: reference_price={reference_price} is no price")
    fitted = _fit_prices(intent, instrument)
    if isinstance(fitted, Refused):
        return fitted
    fitted = _fit_qty(fitted, instrument)
    if isinstance(fitted, Refused):
        return fitted
    return _outside(fitted, instrument, reference_price) or fitted


def _fit_prices(intent: OrderIntent, instrument: Instrument) -> OrderIntent | Refused:
    buys = intent.side is Side.BUY
    no_worse = ROUND_FLOOR if buys else ROUND_CEILING
    towards = {"price": no_worse, "stop_price": no_worse}
    # what protects a long (entered by a buy) sells: its stop goes up to the tick, its target down
    towards |= {"stop_loss": ROUND_CEILING if buys else ROUND_FLOOR}
    towards |= {"take_profit": ROUND_FLOOR if buys else ROUND_CEILING}
    changes: dict[str, Any] = {}
    for name, rounding in towards.items():
        asked = getattr(intent, name)
        if asked is None:
            continue
        changes[name] = on_step(asked, instrument.tick_size, rounding)
        if changes[name] <= 0:
            return Refused(RefusalCode.TICK, f"{name}={asked} is below one tick of {instrument.tick_size}")
    return replace(intent, **changes) if changes else intent


def _fit_qty(intent: OrderIntent, instrument: Instrument) -> OrderIntent | Refused:
    trades_as_market = intent.type in (OrderType.MARKET, OrderType.STOP)
    step, least, most = instrument.qty_step, instrument.min_qty, instrument.max_qty
    if trades_as_market:
        step = max(step, instrument.market_qty_step or step)
        least = max(filter(None, (least, instrument.min_market_qty)), default=None)
        most = min(filter(None, (most, instrument.max_market_qty)), default=None)
    qty = on_step(intent.qty, step, ROUND_FLOOR)
    if qty <= 0 or (least is not None and qty < least):
        least = step if least is None else max(least, step)
        return Refused(RefusalCode.MIN_QTY, f"qty={intent.qty} rounds to {qty}, below the least of {least}")
    if most is not None and qty > most:
        return Refused(RefusalCode.MAX_QTY, f"qty={qty} is above the most of one order, {most}")
    return replace(intent, qty=qty)


def _outside(intent: OrderIntent, instrument: Instrument, reference_price: Decimal) -> Refused | None:
    for name in ("price", "stop_price"):
        value = getattr(intent, name)
        if value is None:
            continue
        least, most = instrument.min_price, instrument.max_price
        if (least is not None and value < least) or (most is not None and value > most):
            return Refused(RefusalCode.PRICE_LIMIT, f"{name}={value} is outside {least} to {most}")
    if intent.price is not None:
        down, up = instrument.price_band_down, instrument.price_band_up
        if (down is not None and intent.price < reference_price * down) or (
            up is not None and intent.price > reference_price * up
        ):
            says = f"price={intent.price} is outside {down} to {up} times the market's {reference_price}"
            return Refused(RefusalCode.PRICE_LIMIT, says)
    notional = intent.qty * (intent.price or intent.stop_price or reference_price) * instrument.contract_size
    # a rest too small to be worth an order of its own must still be closed
    if instrument.min_notional is not None and notional < instrument.min_notional and not intent.reduce_only:
        return Refused(RefusalCode.MIN_NOTIONAL, f"notional={notional} is below {instrument.min_notional}")
    if instrument.max_notional is not None and notional > instrument.max_notional:
        return Refused(RefusalCode.MAX_NOTIONAL, f"notional={notional} is above {instrument.max_notional}")
    return None


def exact(value: float) -> Decimal:
    """Return the shortest decimal that names a float.

    >>> exact(0.1)
    Decimal('0.1')
    """
    return Decimal(repr(float(value)))
