"""Write spot's orders, fills and events as Binance does."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderStatus, TimeInForce
from tradelab.rehearsal.orders import SimFill, SimOrder

MS = 1_000_000
STATUS = {
    OrderStatus.UNTRIGGERED: "NEW",
    OrderStatus.NEW: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELLED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
    OrderStatus.REJECTED: "REJECTED",
}
EXECUTION = {
    "new": "NEW",
    "triggered": "NEW",
    "trade": "TRADE",
    "amended": "REPLACED",
    "canceled": "CANCELED",
    "expired": "EXPIRED",
}
NO_STP = "NONE"


def eight(value: Decimal | None) -> str:
    """Write a number as spot does, with eight decimals; ``None`` is zero."""
    return f"{value or Decimal(0):.8f}"


def price_text(_: Instrument, value: Decimal) -> str:
    """Write a price."""
    return eight(value)


def type_of(order: SimOrder) -> str:
    """Return Binance's name of the order's type; orders of the script's own have none yet."""
    return str(order.extra.get("type") or order.type.name)


def tif_of(order: SimOrder) -> str:
    """Return Binance's time in force; a post-only order is GTC."""
    return order.time_in_force.name if order.time_in_force is not TimeInForce.PO else "GTC"


def working_ms(order: SimOrder) -> int:
    """Return since when the order stands in the book, -1 while it waits for its trigger."""
    if order.status is OrderStatus.UNTRIGGERED or (order.type.needs_stop_price and order.triggered_ns is None):
        return -1
    return (order.triggered_ns or order.created_ns) // MS


def _core(order: SimOrder) -> dict[str, Any]:
    return {
        "price": eight(order.price),
        "origQty": eight(order.qty),
        "executedQty": eight(order.filled_qty),
        "origQuoteOrderQty": eight(_quote_qty(order)),
        "cummulativeQuoteQty": eight(order.filled_quote),
        "status": STATUS[order.status],
        "timeInForce": tif_of(order),
        "type": type_of(order),
        "side": order.side.name,
    }


def _quote_qty(order: SimOrder) -> Decimal:
    return Decimal(str(order.extra.get("quoteOrderQty", "0")))


def _stop(order: SimOrder) -> dict[str, Any]:
    return {} if order.stop_price is None else {"stopPrice": eight(order.stop_price)}


def told(order: SimOrder) -> dict[str, Any]:
    """Return an order as queries tell it."""
    return {
        "symbol": order.symbol, "orderId": order.number, "orderListId": -1, "clientOrderId": order.client_order_id,
        **_core(order), "stopPrice": eight(order.stop_price), "icebergQty": eight(None),
        "time": order.created_ns // MS, "updateTime": order.updated_ns // MS,
        "isWorking": order.status is not OrderStatus.UNTRIGGERED, "workingTime": working_ms(order),
        "selfTradePreventionMode": NO_STP,
    }  # fmt: skip


def acknowledged(order: SimOrder) -> dict[str, Any]:
    """Return the shortest answer to a new order."""
    return {
        "symbol": order.symbol, "orderId": order.number, "orderListId": -1, "clientOrderId": order.client_order_id,
        "transactTime": order.updated_ns // MS,
    }  # fmt: skip


def placed(order: SimOrder) -> dict[str, Any]:
    """Return the answer to a new order without its fills."""
    more = {"workingTime": working_ms(order), "selfTradePreventionMode": NO_STP}
    return acknowledged(order) | _core(order) | _stop(order) | more


def placed_with_fills(order: SimOrder, fills: Iterable[SimFill]) -> dict[str, Any]:
    """Return the answer to a new order with all it traded at once."""
    made = [
        {
            "price": eight(f.price), "qty": eight(f.qty), "commission": eight(f.fee),
            "commissionAsset": f.fee_currency, "tradeId": f.number,
        }
        for f in fills
    ]  # fmt: skip
    return placed(order) | {"fills": made}


def cancelled(order: SimOrder) -> dict[str, Any]:
    """Return the answer to a cancel: the cancel's own id, and the id the order had."""
    return {
        "symbol": order.symbol, "origClientOrderId": order.client_order_id, "orderId": order.number,
        "orderListId": -1, "clientOrderId": order.extra["cancel_id"], "transactTime": order.updated_ns // MS,
        **_core(order), **_stop(order), "selfTradePreventionMode": NO_STP,
    }  # fmt: skip


def amended(order: SimOrder, number: int, before: str) -> dict[str, Any]:
    """Return the answer to an amendment that keeps the order's turn."""
    after = {
        "symbol": order.symbol, "orderId": order.number, "orderListId": -1, "origClientOrderId": before,
        "clientOrderId": order.client_order_id, "price": eight(order.price), "qty": eight(order.qty),
        "executedQty": eight(order.filled_qty), "preventedQty": eight(None), "quoteOrderQty": eight(None),
        "cumulativeQuoteQty": eight(order.filled_quote), "status": STATUS[order.status],
        "timeInForce": tif_of(order), "type": type_of(order), "side": order.side.name,
        "workingTime": working_ms(order), "selfTradePreventionMode": NO_STP,
    }  # fmt: skip
    return {"transactTime": order.updated_ns // MS, "executionId": number, "amendedOrder": after}


def own_trade(fill: SimFill) -> dict[str, Any]:
    """Return a fill as the list of own trades tells it."""
    return {
        "symbol": fill.symbol, "id": fill.number, "orderId": fill.order, "orderListId": -1, "price": eight(fill.price),
        "qty": eight(fill.qty), "quoteQty": eight(fill.price * fill.qty), "commission": eight(fill.fee),
        "commissionAsset": fill.fee_currency, "time": fill.ts_ns // MS, "isBuyer": fill.side.sign > 0,
        "isMaker": fill.maker, "isBestMatch": True,
    }  # fmt: skip


def report(order: SimOrder, what: str, fill: SimFill | None, now_ms: int, number: int) -> dict[str, Any]:
    """Return the execution report of something that happened to an order."""
    client_id, original = order.client_order_id, ""
    if what == "canceled" and "cancel_id" in order.extra:
        client_id, original = str(order.extra["cancel_id"]), order.client_order_id
    elif what == "amended":
        original = str(order.extra.get("amended_from", ""))
    said = {
        "e": "executionReport", "E": now_ms, "s": order.symbol, "c": client_id, "S": order.side.name,
        "o": type_of(order), "f": tif_of(order), "q": eight(order.qty), "p": eight(order.price),
        "P": eight(order.stop_price), "F": eight(None), "g": -1, "C": original, "x": EXECUTION[what],
        "X": STATUS[order.status], "r": "NONE", "i": order.number, "l": eight(fill.qty if fill else None),
        "z": eight(order.filled_qty), "L": eight(fill.price if fill else None), "n": eight(fill.fee) if fill else "0",
        "N": fill.fee_currency if fill else None, "T": order.updated_ns // MS, "t": fill.number if fill else -1,
        "I": number, "w": order.rests, "m": bool(fill and fill.maker), "M": False, "O": order.created_ns // MS,
        "Z": eight(order.filled_quote), "Y": eight(fill.qty * fill.price if fill else None),
        "Q": eight(_quote_qty(order)),
        "V": NO_STP,
    }  # fmt: skip
    if what == "expired" and order.reason == "nothing left to meet":
        said["eR"] = "INSUFFICIENT_LIQUIDITY"
    return said if working_ms(order) < 0 else said | {"W": working_ms(order)}
