"""Write USDⓈ-M orders, conditional orders, fills and events as Binance does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderStatus, TimeInForce
from tradelab.rehearsal.dialects.binance_params import places
from tradelab.rehearsal.dialects.binance_spot_shapes import STATUS, eight
from tradelab.rehearsal.orders import SimFill, SimOrder

MS = 1_000_000
NO_STP = "NONE"
AVG_PLACES = 5
EXECUTION = {"new": "NEW", "triggered": "NEW", "trade": "TRADE", "amended": "AMENDMENT", "canceled": "CANCELED",
             "expired": "EXPIRED"}  # fmt: skip
FAILURES = {
    "nothing to reduce": "Reduce Only reject",
    "margin": "Margin is insufficient.",
}  # why a trigger came to nothing
ENGINE_TYPE = {"STOP_MARKET": "MARKET", "TAKE_PROFIT_MARKET": "MARKET", "STOP": "LIMIT", "TAKE_PROFIT": "LIMIT"}


def price_text(instrument: Instrument, value: Decimal | None) -> str:
    """Write a price with the decimals of its tick."""
    return f"{value or Decimal(0):.{places(instrument.tick_size)}f}"


def qty_text(instrument: Instrument, value: Decimal | None) -> str:
    """Write a quantity with the decimals of its step."""
    return f"{value or Decimal(0):.{places(instrument.qty_step)}f}"


def worth_text(instrument: Instrument, value: Decimal | None) -> str:
    """Write a value in the quote currency: as many decimals as price times quantity can have."""
    return f"{value or Decimal(0):.{min(8, places(instrument.tick_size) + places(instrument.qty_step))}f}"


def average_text(instrument: Instrument, value: Decimal | None) -> str:
    """Write an average of prices, which has more decimals than the tick once there is one."""
    return price_text(instrument, None) if value is None else f"{value:.{AVG_PLACES}f}"


# ── which order is which ─────────────────────────────────────────────────────────────────────────────────────────────


def is_algo(order: SimOrder) -> bool:
    """Whether it was sent as a conditional order, which the algo service keeps until its trigger."""
    return order.type.needs_stop_price


def in_engine(order: SimOrder) -> bool:
    """Whether the matching engine knows it: every plain order, and a conditional one once triggered."""
    return not is_algo(order) or "actual" in order.extra


def order_id(order: SimOrder) -> int:
    """Return its number in the matching engine; a conditional order has another than its algo id."""
    return int(order.extra.get("actual", order.number))


def type_of(order: SimOrder) -> str:
    """Return the type it was sent with; a liquidation has none of ours."""
    return str(order.extra.get("type") or "LIMIT")


def engine_type(order: SimOrder) -> str:
    """Return the type it has in the matching engine."""
    return ENGINE_TYPE.get(type_of(order), type_of(order))


def limit_of(order: SimOrder) -> Decimal | None:
    """Return the limit; a liquidation is told as a limit order at what it came to."""
    return order.avg_price if order.extra.get("liquidation") else order.price


def tif_of(order: SimOrder) -> str:
    """Return Binance's time in force."""
    if order.extra.get("liquidation"):
        return "IOC"
    if order.close_all:
        return "GTE_GTC"
    return "GTX" if order.time_in_force is TimeInForce.PO else order.time_in_force.name


def reduces(order: SimOrder) -> bool:
    """Return the flag it was sent with; closing all is a flag of its own."""
    return order.reduce_only and not order.close_all


def _till_ms(order: SimOrder) -> int:
    return 0 if order.expire_ns is None else order.expire_ns // MS


# ── plain orders ─────────────────────────────────────────────────────────────────────────────────────────────────────


def told(order: SimOrder, instrument: Instrument) -> dict[str, Any]:
    """Return an order as queries tell it."""
    return {
        "orderId": order_id(order), "symbol": order.symbol, "status": STATUS[order.status],
        "clientOrderId": order.client_order_id, "price": price_text(instrument, limit_of(order)),
        "avgPrice": average_text(instrument, order.avg_price), "origQty": qty_text(instrument, order.qty),
        "executedQty": qty_text(instrument, order.filled_qty), "cumQuote": worth_text(instrument, order.filled_quote),
        "timeInForce": tif_of(order), "type": engine_type(order), "reduceOnly": reduces(order),
        "closePosition": order.close_all, "side": order.side.name, "positionSide": "BOTH",
        "stopPrice": price_text(instrument, order.stop_price),
        "workingType": order.extra.get("workingType", "CONTRACT_PRICE"), "priceProtect": False,
        "origType": type_of(order), "priceMatch": "NONE", "selfTradePreventionMode": NO_STP,
        "goodTillDate": _till_ms(order), "time": order.created_ns // MS, "updateTime": order.updated_ns // MS,
    }  # fmt: skip


def answered(order: SimOrder, instrument: Instrument) -> dict[str, Any]:
    """Return the answer to placing or cancelling: no time of creation, but the quantity once more."""
    said = told(order, instrument)
    said["cumQty"] = said["executedQty"]
    del said["time"]
    return said


def acknowledged(order: SimOrder, instrument: Instrument) -> dict[str, Any]:
    """Return the answer of type ACK: as the order was before anything traded."""
    nothing = {"status": "NEW", "executedQty": qty_text(instrument, None), "cumQty": qty_text(instrument, None)}
    more = {"cumQuote": worth_text(instrument, None), "avgPrice": price_text(instrument, None)}
    return answered(order, instrument) | nothing | more


def modified(order: SimOrder, instrument: Instrument) -> dict[str, Any]:
    """Return the answer to a modification."""
    return answered(order, instrument) | {"pair": order.symbol, "cumBase": "0"}


def own_trade(fill: SimFill, order: SimOrder, instrument: Instrument) -> dict[str, Any]:
    """Return a fill as the list of own trades tells it."""
    return {
        "symbol": fill.symbol, "id": fill.number, "orderId": order_id(order), "side": fill.side.name,
        "price": price_text(instrument, fill.price), "qty": qty_text(instrument, fill.qty),
        "realizedPnl": eight(fill.realized_pnl), "quoteQty": worth_text(instrument, fill.price * fill.qty),
        "commission": eight(fill.fee), "commissionAsset": fill.fee_currency, "time": fill.ts_ns // MS,
        "positionSide": "BOTH", "buyer": fill.side.sign > 0, "maker": fill.maker,
    }  # fmt: skip


# ── conditional orders ───────────────────────────────────────────────────────────────────────────────────────────────


def algo_status(order: SimOrder) -> str:
    """Return where a conditional order is in its own life."""
    if order.status is OrderStatus.UNTRIGGERED:
        return "NEW"
    if "actual" in order.extra:
        return "TRIGGERED" if order.is_open else "FINISHED"
    if order.status is OrderStatus.CANCELLED:
        return "CANCELED"
    return "REJECTED" if order.triggered_ns is not None else "EXPIRED"


def algo_placed(order: SimOrder, instrument: Instrument) -> dict[str, Any]:
    """Return a conditional order as the answer to placing it tells it."""
    return {
        "algoId": order.number, "clientAlgoId": order.client_order_id, "algoType": "CONDITIONAL",
        "orderType": type_of(order), "symbol": order.symbol, "side": order.side.name, "positionSide": "BOTH",
        "timeInForce": tif_of(order), "quantity": qty_text(instrument, order.qty),
        "algoStatus": algo_status(order), "triggerPrice": price_text(instrument, order.stop_price),
        "price": price_text(instrument, order.price), "icebergQuantity": None, "selfTradePreventionMode": NO_STP,
        "workingType": order.extra.get("workingType", "CONTRACT_PRICE"), "priceMatch": "NONE",
        "closePosition": order.close_all, "priceProtect": False, "reduceOnly": reduces(order),
        "createTime": order.created_ns // MS, "updateTime": order.updated_ns // MS,
        "triggerTime": (order.triggered_ns or 0) // MS, "goodTillDate": _till_ms(order),
    }  # fmt: skip


def algo_told(order: SimOrder, instrument: Instrument) -> dict[str, Any]:
    """Return a conditional order as queries tell it."""
    zero = price_text(instrument, None)
    more = {
        "actualOrderId": str(order.extra.get("actual", "")),
        "actualPrice": f"{order.avg_price or Decimal(0):.{AVG_PLACES}f}",
        "tpTriggerPrice": zero, "tpPrice": zero, "slTriggerPrice": zero, "slPrice": zero, "tpOrderType": "",
    }  # fmt: skip
    return algo_placed(order, instrument) | more


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def order_event(
    order: SimOrder, instrument: Instrument, what: str, fill: SimFill | None, now_ms: int
) -> dict[str, Any]:
    """Return ORDER_TRADE_UPDATE."""
    liquidation = bool(order.extra.get("liquidation"))
    buys, left = order.side.sign > 0, (order.leaves_qty if order.rests else Decimal(0)) * (order.price or Decimal(0))
    update = {
        "s": order.symbol, "c": order.client_order_id, "S": order.side.name, "o": engine_type(order),
        "f": tif_of(order), "q": qty_text(instrument, order.qty), "p": price_text(instrument, limit_of(order)),
        "ap": average_text(instrument, order.avg_price), "sp": price_text(instrument, order.stop_price),
        "x": "CALCULATED" if liquidation else EXECUTION[what], "X": STATUS[order.status], "i": order_id(order),
        "l": qty_text(instrument, fill.qty if fill else None), "z": qty_text(instrument, order.filled_qty),
        "L": price_text(instrument, fill.price if fill else None), "T": order.updated_ns // MS,
        "t": fill.number if fill else 0, "b": worth_text(instrument, left if buys else None),
        "a": worth_text(instrument, None if buys else left), "m": bool(fill and fill.maker), "R": reduces(order),
        "wt": order.extra.get("workingType", "CONTRACT_PRICE"), "ot": type_of(order), "ps": "BOTH",
        "cp": order.close_all, "rp": eight(fill.realized_pnl if fill else None), "pP": False,
        "si": order.number if is_algo(order) else 0, "ss": 0, "V": NO_STP, "pm": "NONE", "gtd": _till_ms(order),
    }  # fmt: skip
    if fill is not None:
        update |= {"N": fill.fee_currency, "n": eight(fill.fee)}
    if what == "expired":
        update["er"] = "0"
    return {"e": "ORDER_TRADE_UPDATE", "T": order.updated_ns // MS, "E": now_ms, "o": update}


def trade_lite(order: SimOrder, instrument: Instrument, fill: SimFill, now_ms: int) -> dict[str, Any]:
    """Return TRADE_LITE, which comes first and says least."""
    return {
        "e": "TRADE_LITE", "E": now_ms, "T": fill.ts_ns // MS, "s": order.symbol,
        "q": qty_text(instrument, order.qty), "p": price_text(instrument, order.price), "m": fill.maker,
        "c": order.client_order_id, "S": order.side.name, "L": price_text(instrument, fill.price),
        "l": qty_text(instrument, fill.qty), "t": fill.number, "i": order_id(order),
    }  # fmt: skip


def algo_event(order: SimOrder, instrument: Instrument, now_ms: int) -> dict[str, Any]:
    """Return ALGO_UPDATE."""
    failed = algo_status(order) == "REJECTED"
    update = {
        "caid": order.client_order_id, "aid": order.number, "at": "CONDITIONAL", "o": type_of(order),
        "s": order.symbol, "S": order.side.name, "ps": "BOTH", "f": tif_of(order),
        "q": qty_text(instrument, order.qty), "X": algo_status(order), "ai": str(order.extra.get("actual", "")),
        "ap": f"{order.avg_price or Decimal(0):.{AVG_PLACES}f}", "aq": f"{order.filled_qty:.{AVG_PLACES}f}",
        "act": engine_type(order) if "actual" in order.extra else "0",
        "tp": price_text(instrument, order.stop_price), "p": price_text(instrument, order.price), "V": NO_STP,
        "wt": order.extra.get("workingType", "CONTRACT_PRICE"), "pm": "NONE", "cp": order.close_all, "pP": False,
        "R": reduces(order), "tt": (order.triggered_ns or 0) // MS, "gtd": _till_ms(order),
        "rm": FAILURES.get(order.reason, order.reason) if failed else "",
    }  # fmt: skip
    return {"e": "ALGO_UPDATE", "T": order.updated_ns // MS, "E": now_ms, "o": update}
