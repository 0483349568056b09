"""Write trades as MetaApi takes them, and read what became of each: accepted, refused with a code, or unknown.

Source: https://metaapi.cloud/docs/client/models/metatraderTrade/. MetaApi has no idempotency: a trade that is sent
twice is done twice, so nothing here is sent again. ``comment`` stays empty: it shares 26 characters with ``clientId``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tradelab.adapters.metaapi_codes import PRICE, VOLUME, Verdict, meaning
from tradelab.adapters.metaapi_parse import Specification, iso
from tradelab.adapters.metaapi_settings import MetaApiSettings
from tradelab.adapters.metaapi_wire import Reply
from tradelab.model.account import Position
from tradelab.model.instrument import Instrument
from tradelab.model.orders import Order, OrderIntent, OrderType, TimeInForce
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown

NAME_LENGTH = 26
Trade = dict[str, Any]
_SUFFIX = {
    OrderType.MARKET: "",
    OrderType.LIMIT: "_LIMIT",
    OrderType.STOP: "_STOP",
    OrderType.STOP_LIMIT: "_STOP_LIMIT",
}
_STATUS = {
    400: RefusalCode.BAD_REQUEST,
    401: RefusalCode.AUTHENTICATION,
    403: RefusalCode.PERMISSION,
    404: RefusalCode.OTHER,
    429: RefusalCode.RATE_LIMITED,
}


def entry(intent: OrderIntent, settings: MetaApiSettings) -> Trade:
    """Return the trade that opens what an order asks for."""
    trade: Trade = {
        "actionType": f"ORDER_TYPE_{intent.side.name}{_SUFFIX[intent.type]}",
        "symbol": intent.symbol,
        "volume": intent.qty,
        "openPrice": intent.stop_price if intent.type.needs_stop_price else intent.price,
        "stopLimitPrice": intent.price if intent.type is OrderType.STOP_LIMIT else None,
        "stopLoss": intent.stop_loss,
        "takeProfit": intent.take_profit,
    }
    if intent.time_in_force is TimeInForce.GTD and intent.expire_ns is not None:
        trade["expiration"] = {"type": "ORDER_TIME_SPECIFIED", "time": iso(intent.expire_ns)}
    return _marked(trade, intent, settings)


def closing(intent: OrderIntent, held: Position | None, settings: MetaApiSettings) -> Trade:
    """Return the trade that closes a position, or the part of it that was asked for.

    Where the position is not known, only the part is asked for, which never closes more.
    """
    whole = held is not None and intent.qty >= abs(held.qty)
    trade: Trade = {
        "actionType": "POSITION_CLOSE_ID" if whole else "POSITION_PARTIAL",
        "positionId": intent.position_id,
        "volume": None if whole else intent.qty,
    }
    return _marked(trade, intent, settings)


def protection(position_id: str, stop_loss: Decimal | None, take_profit: Decimal | None) -> Trade:
    """Return the trade that sets both levels of a position; one that is left out is taken away."""
    return _told({"actionType": "POSITION_MODIFY", "positionId": position_id, "stopLoss": stop_loss,
                  "takeProfit": take_profit})  # fmt: skip


def change(now: Order, raw: Mapping[str, Any], price: Decimal | None, stop_price: Decimal | None) -> Trade:
    """Return the trade that changes the prices of an open order, and keeps all else that it has.

    Parameters
    ----------
    now, raw
        The order as it is, ours and MetaApi's.
    """
    price, stop_price = price or now.price, stop_price or now.stop_price
    trade: Trade = {
        "actionType": "ORDER_MODIFY",
        "orderId": now.venue_order_id,
        "openPrice": stop_price if now.type.needs_stop_price else price,
        "stopLimitPrice": price if now.type is OrderType.STOP_LIMIT else None,
        "stopLoss": now.stop_loss,
        "takeProfit": now.take_profit,
    }
    if raw.get("expirationTime") and raw.get("expirationType"):
        trade["expiration"] = {"type": raw["expirationType"], "time": raw["expirationTime"]}
    return _told(trade)


def cancelling(order_id: str) -> Trade:
    """Return the trade that cancels an open order."""
    return {"actionType": "ORDER_CANCEL", "orderId": order_id}


def impossible(intent: OrderIntent, is_mt4: bool) -> Refused | None:
    """Say what of an order no terminal can do, before anything is sent."""
    market = intent.type is OrderType.MARKET
    checks = (
        (market or intent.position_id is None, "only a market order closes a position"),
        (market or not intent.reduce_only, "only a market order is reduce-only"),
        (not market or intent.time_in_force is not TimeInForce.GTD, "a market order has no end"),
        (not is_mt4 or intent.type is not OrderType.STOP_LIMIT, "MetaTrader 4 has no stop-limit orders"),
        (len(intent.client_order_id) <= NAME_LENGTH, f"client_order_id has more than {NAME_LENGTH} characters"),
    )
    missing = [words for possible, words in checks if not possible]
    if missing:
        return Refused(RefusalCode.NOT_SUPPORTED, "; ".join(missing))
    if intent.reduce_only and intent.position_id is None:
        return Refused(RefusalCode.REDUCE_ONLY, "on a hedging account name the position to close: position_id")
    return None


def outcome(reply: Reply, client_order_id: str | None, ids: tuple[str, ...]) -> Outcome:
    """Say what a reply to a trade proves; where it proves nothing, ``Unknown``.

    Parameters
    ----------
    ids
        The fields that may hold the order's number, in turn.
    """
    if not reply.was_sent:
        return Refused(RefusalCode.NOT_SENT, reply.words)
    status, body = reply.status, reply.body
    answer = body if isinstance(body, dict) else {}
    if status is None or status >= 500:
        return Unknown(reply.words)
    if "numericCode" in answer:
        return _judged(answer, client_order_id, ids)
    if status in _STATUS:
        return Refused(_STATUS[status], reply.words, reply.retry_after_s)
    return Unknown(reply.words)


def _judged(answer: Mapping[str, Any], client_order_id: str | None, ids: tuple[str, ...]) -> Outcome:
    number, constant = answer.get("numericCode"), answer.get("stringCode")
    says = f"{number} {constant}: {answer.get('message', '')}"
    found = meaning(number, constant)
    if isinstance(found, RefusalCode):
        return Refused(found, says)
    if found is Verdict.UNKNOWN:
        return Unknown(says)
    name = next((str(answer[key]) for key in ids if answer.get(key) not in (None, "", 0)), None)
    if name is None:
        return Unknown(f"{says}, and no number of the order was told")
    return Accepted(client_order_id, name)


def explained(refused: Outcome, intent: OrderIntent, of: Specification) -> Outcome:
    """Say which limit an order broke, where MetaTrader has one code for several."""
    if not isinstance(refused, Refused):
        return refused
    number = refused.says.partition(" ")[0]
    code = int(number) if number.lstrip("-").isdigit() else 0
    if code in VOLUME:
        return Refused(_volume_fault(intent.qty, of.instrument), refused.says)
    if code in PRICE:
        return Refused(_price_fault(intent, of.instrument), refused.says)
    if refused.code is RefusalCode.PROTECTION and of.stops_level:
        return Refused(refused.code, f"{refused.says}; levels must lie {of.stops_level} points from the market")
    return refused


def _volume_fault(qty: Decimal, of: Instrument) -> RefusalCode:
    if of.min_qty is not None and qty < of.min_qty:
        return RefusalCode.MIN_QTY
    if of.max_qty is not None and qty > of.max_qty:
        return RefusalCode.MAX_QTY
    return RefusalCode.QTY_STEP


def _price_fault(intent: OrderIntent, of: Instrument) -> RefusalCode:
    if any(p is not None and p % of.tick_size for p in (intent.price, intent.stop_price)):
        return RefusalCode.TICK
    return RefusalCode.STOP_WOULD_TRIGGER if intent.type.needs_stop_price else RefusalCode.PRICE_LIMIT


def _marked(trade: Trade, intent: OrderIntent, settings: MetaApiSettings) -> Trade:
    trade["clientId"], trade["magic"] = intent.client_order_id, settings.magic
    trade["slippage"] = settings.slippage_points if intent.type is OrderType.MARKET else None
    return _told(trade)


def _told(trade: Trade) -> Trade:
    return {name: value for name, value in trade.items() if value is not None}
