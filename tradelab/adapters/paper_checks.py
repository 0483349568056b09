"""Refuse what a venue refuses: orders off its steps and limits, beyond the funds, or senseless in this market."""

from __future__ import annotations

from decimal import Decimal

from tradelab.adapters.paper_account import PaperAccount
from tradelab.adapters.paper_orders import Working
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderType, TimeInForce
from tradelab.model.outcome import RefusalCode, Refused


def outside(market: Instrument, order: Working, reference: Decimal) -> Refused | None:
    """Hold an order against its instrument's filters, as a venue does: nothing is rounded, what is off is refused."""
    as_market = order.price is None
    step = market.market_qty_step or market.qty_step if as_market else market.qty_step
    least = max(filter(None, (market.min_qty, market.min_market_qty if as_market else None)), default=None)
    most = min(filter(None, (market.max_qty, market.max_market_qty if as_market else None)), default=None)
    if order.qty % market.qty_step or order.qty % step:
        return Refused(RefusalCode.QTY_STEP, f"qty={order.qty} is no multiple of {max(step, market.qty_step)}")
    if least is not None and order.qty < least:
        return Refused(RefusalCode.MIN_QTY, f"qty={order.qty} is below {least}")
    if most is not None and order.qty > most:
        return Refused(RefusalCode.MAX_QTY, f"qty={order.qty} is above {most}")
    return _price_outside(market, order, reference) or _notional_outside(market, order, reference)


def _price_outside(market: Instrument, order: Working, reference: Decimal) -> Refused | None:
    for name in ("price", "stop_price", "stop_loss", "take_profit"):
        value = getattr(order, name)
        if value is not None and value % market.tick_size:
            return Refused(RefusalCode.TICK, f"{name}={value} is no multiple of {market.tick_size}")
    for name in ("price", "stop_price"):
        value = getattr(order, name)
        if value is None:
            continue
        if (market.min_price and value < market.min_price) or (market.max_price and value > market.max_price):
            return Refused(RefusalCode.PRICE_LIMIT, f"{name}={value} is outside what may be asked")
    if order.price is not None:
        down, up = market.price_band_down, market.price_band_up
        if (down and order.price < reference * down) or (up and order.price > reference * up):
            return Refused(RefusalCode.PRICE_LIMIT, f"price={order.price} is too far from {reference}")
    return None


def _notional_outside(market: Instrument, order: Working, reference: Decimal) -> Refused | None:
    notional = order.qty * (order.price or order.stop_price or reference) * market.contract_size
    if market.min_notional and notional < market.min_notional and not order.closes:
        return Refused(RefusalCode.MIN_NOTIONAL, f"notional={notional} is below {market.min_notional}")
    if market.max_notional and notional > market.max_notional:
        return Refused(RefusalCode.MAX_NOTIONAL, f"notional={notional} is above {market.max_notional}")
    return None


def too_many(account: PaperAccount, order: Working) -> Refused | None:
    """Hold the number of open orders against what the instrument allows."""
    market = account.instruments[order.symbol]
    there = account.open_orders(order.symbol)
    waiting = sum(o.waits_for_trigger for o in there)
    for count, most in (
        (len(there), market.max_orders),
        (waiting if order.waits_for_trigger else -1, market.max_trigger_orders),
    ):
        if most is not None and count >= most:
            return Refused(RefusalCode.TOO_MANY_ORDERS, f"{count} orders are open, {most} may be")
    return None


def misplaced(account: PaperAccount, order: Working, reference: Decimal) -> Refused | None:
    """Hold protection, and what only closes, against the market and what is held."""
    entry = order.price or order.stop_price or reference
    if wrong_protection(order.side.sign, entry, order.stop_loss, order.take_profit):
        says = f"stop_loss={order.stop_loss}, take_profit={order.take_profit} are not around {entry}"
        return Refused(RefusalCode.PROTECTION, says)
    if order.closes and account.closable(order) == 0:
        if order.position_id is not None:
            return Refused(RefusalCode.POSITION_NOT_FOUND, f"there is no position {order.position_id} to close")
        return Refused(RefusalCode.REDUCE_ONLY, f"nothing is held in {order.symbol} that it could reduce")
    if order.position_id is not None and order.qty > account.closable(order):
        return Refused(RefusalCode.REDUCE_ONLY, f"qty={order.qty} is more than position {order.position_id} holds")
    return None


def wrong_protection(direction: int, price: Decimal, stop_loss: Decimal | None, take_profit: Decimal | None) -> bool:
    """Whether a stop loss or take profit lies on the wrong side of a price, or on it."""
    below, above = (stop_loss, take_profit) if direction > 0 else (take_profit, stop_loss)
    return (below is not None and below >= price) or (above is not None and above <= price)


def beyond_funds(account: PaperAccount, order: Working) -> Refused | None:
    """Hold what an order asks to be there against what is free."""
    need = account.need(order)
    free = account.free(need.currency, without=order)
    if need.amount <= free or (order.closes and account.config.mode != "spot"):
        return None
    code = RefusalCode.BALANCE if account.config.mode == "spot" else RefusalCode.MARGIN
    return Refused(code, f"it takes {need.amount} {need.currency} and {free} is free")


def senseless(account: PaperAccount, order: Working) -> Refused | None:
    """Hold an order that arrives against the market it meets: a passed stop, a maker that takes, all-or-nothing."""
    seen = account.seen[order.symbol]
    touch = seen.touch(order.side)
    if touch is None:
        return None
    sign = order.side.sign
    passed = order.price is None or sign * (order.price - touch) >= 0
    if order.time_in_force is TimeInForce.PO and passed:
        return Refused(RefusalCode.WOULD_TAKE, f"price={order.price} would take at {touch}")
    if seen.quote is None:  # a bar's close is over: whether it fills is the next bar's to say
        return None
    if order.waits_for_trigger and order.stop_price is not None and sign * (touch - order.stop_price) >= 0:
        return Refused(RefusalCode.STOP_WOULD_TRIGGER, f"stop_price={order.stop_price} has been passed by {touch}")
    if order.time_in_force is TimeInForce.FOK and order.type in (OrderType.MARKET, OrderType.LIMIT):
        left = seen.left(order.side)
        if not passed or (left is not None and left < order.leaves):
            return Refused(RefusalCode.UNFILLABLE, f"{order.leaves} cannot be had at once at {order.price or touch}")
    return None
