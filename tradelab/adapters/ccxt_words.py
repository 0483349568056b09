"""Turn ccxt's dictionaries into the house's words; what ccxt leaves out stays absent."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from tradelab.model.account import Balance, Position
from tradelab.model.errors import RequestError
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.orders import Fill, Liquidity, Order, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.units import Timeframe

Told = dict[str, Any]
_NS_PER_MS = 1_000_000
_STATUS = {
    "open": OrderStatus.NEW,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "cancelled": OrderStatus.CANCELLED,
    "canceling": OrderStatus.NEW,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
_ENDED_UNFILLED = {
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    "REJECTED": OrderStatus.REJECTED,
    "Rejected": OrderStatus.REJECTED,
    "Deactivated": OrderStatus.CANCELLED,
}


def decimal(value: Any) -> Decimal | None:
    """Return an exact number, ``None`` where there is none.

    ccxt's floats are the shortest text of what the venue wrote, so up to 15 digits come back as they were.
    """
    if value is None or value == "":
        return None
    number = Decimal(repr(value) if isinstance(value, float) else str(value))
    return number if number.is_finite() else None


def ns(ms: Any) -> int | None:
    """Return nanoseconds of ccxt's milliseconds; what is not after 1970 is a venue's way to say that there is none."""
    return None if ms is None or int(ms) <= 0 else int(ms) * _NS_PER_MS


def candle_of(row: list[Any], timeframe: Timeframe, now_ns: int) -> Candle:
    """Return a bar; it is closed when its time is over by the venue's clock."""
    open_, high, low, close, volume = (math.nan if v is None else float(v) for v in row[1:6])
    opened = int(row[0]) * _NS_PER_MS
    return Candle(opened, open_, high, low, close, volume, timeframe.next_open(opened) <= now_ns)


def quote_of(told: Told, symbol: str, now_ns: int) -> Quote:
    """Return best bid and ask out of a ticker or an order book.

    Raises
    ------
    RequestError
        One side is missing; half a quote is none.
    """
    if "bids" in told:
        (bid, bid_qty), (ask, ask_qty) = (list(told[side][0][:2]) if told[side] else (None, None) for side in _SIDES)
    else:
        bid, bid_qty, ask, ask_qty = (told.get(k) for k in ("bid", "bidVolume", "ask", "askVolume"))
    best_bid, best_ask = decimal(bid), decimal(ask)
    if not best_bid or not best_ask:
        raise RequestError(
            f"{symbol}: the venue told no bid or no ask.", fix="The market may be closed; ask again later."
        )
    return Quote(
        symbol=symbol,
        bid=best_bid,
        ask=best_ask,
        ts_ns=ns(told.get("timestamp")) or now_ns,
        bid_qty=decimal(bid_qty),
        ask_qty=decimal(ask_qty),
    )


_SIDES = ("bids", "asks")


def tick_of(told: Told) -> Tick:
    """Return a public trade."""
    price = Decimal(str(told["price"]))
    return Tick(ts_ns=int(told["timestamp"]) * _NS_PER_MS, bid=price, ask=price, qty=decimal(told.get("amount")))


def order_of(told: Told) -> Order:
    """Return an order of ccxt's unified shape.

    Raises
    ------
    RequestError
        What no order can lack is missing: id, side or amount.
    """
    missing = [k for k in ("id", "symbol", "side") if told.get(k) is None]
    if missing:
        raise RequestError(f"the venue told an order without {', '.join(missing)}.")
    qty, filled = decimal(told.get("amount")), decimal(told.get("filled")) or Decimal(0)
    stop = decimal(told.get("triggerPrice") or told.get("stopPrice"))
    stop = stop or None
    price = decimal(told.get("price")) or None
    kind = _type(str(told.get("type") or ""), price, stop)
    return Order(
        symbol=told["symbol"],
        venue_order_id=str(told["id"]),
        client_order_id=told.get("clientOrderId") or None,
        side=Side(told["side"]),
        type=kind,
        status=_status(told, qty, filled, stop),
        qty=qty if qty is not None else filled,
        filled_qty=filled,
        price=price if kind.needs_price else None,
        stop_price=stop if kind.needs_stop_price else None,
        avg_price=(decimal(told.get("average")) or None) if filled else None,
        time_in_force=_time_in_force(told),
        reduce_only=told.get("reduceOnly"),
        created_ns=ns(told.get("timestamp")),
        updated_ns=ns(told.get("lastUpdateTimestamp") or told.get("lastTradeTimestamp")),
        stop_loss=decimal(told.get("stopLossPrice")) or None,
        take_profit=decimal(told.get("takeProfitPrice")) or None,
    )


def fill_of(told: Told) -> Fill:
    """Return a trade of ours; a fee that ccxt did not find stays unknown."""
    raw: Told = told.get("info") or {}
    wrapped = raw.get("o")
    raw = wrapped if isinstance(wrapped, dict) else raw  # Binance's futures wrap the report
    fee = told.get("fee") or {}
    cost = decimal(fee.get("cost"))
    maker = told.get("takerOrMaker")
    return Fill(
        trade_id=str(told["id"]),
        symbol=told["symbol"],
        venue_order_id=str(told["order"]),
        client_order_id=str(raw.get("orderLinkId") or raw.get("c") or "") or None,
        side=Side(told["side"]),
        qty=Decimal(str(told["amount"])),
        price=Decimal(str(told["price"])),
        fee=cost,
        fee_currency=fee.get("currency") if cost is not None else None,
        liquidity=Liquidity(maker) if maker in ("maker", "taker") else Liquidity.UNKNOWN,
        ts_ns=int(told["timestamp"]) * _NS_PER_MS,
    )


def position_of(told: Told) -> Position | None:
    """Return a position, ``None`` for one that is flat."""
    qty = decimal(told.get("contracts")) or Decimal(0)
    price = decimal(told.get("entryPrice"))
    if not qty or price is None:
        return None
    signed = -abs(qty) if told.get("side") == "short" else abs(qty)
    return Position(
        symbol=told["symbol"],
        qty=signed,
        avg_price=price,
        mark_price=decimal(told.get("markPrice")) or None,
        unrealized_pnl=decimal(told.get("unrealizedPnl")),
        liquidation_price=decimal(told.get("liquidationPrice")) or None,
        leverage=decimal(told.get("leverage")),
        stop_loss=decimal(told.get("stopLossPrice")) or None,
        take_profit=decimal(told.get("takeProfitPrice")) or None,
        opened_ns=ns(told.get("timestamp")),
    )


def balances_of(told: Told) -> list[Balance]:
    """Return what is not zero, by currency."""
    found = []
    for currency in sorted(told.get("total") or {}):
        free, used = decimal(told["free"].get(currency)), decimal(told["used"].get(currency))
        total = decimal(told["total"].get(currency))
        if total is None or not total:
            continue
        free = free if free is not None else total - (used or Decimal(0))
        found.append(Balance(currency, free, used if used is not None else total - free))
    return found


def instrument_of(market: Told, venue: str) -> Instrument | None:
    """Return a market's steps and limits, or ``None`` where the venue does not say them in steps."""
    precision, limits = market["precision"], market["limits"]
    tick, step = decimal(precision.get("price")), decimal(precision.get("amount"))
    if not tick or not step:
        return None
    market_limits = limits.get("market") or {}
    bands = _bands(market)
    return Instrument(
        symbol=market["symbol"],
        venue=venue,
        quote=market["quote"],
        base=market.get("base"),
        settle=market.get("settle"),
        kind=InstrumentKind.SPOT if market.get("spot") else InstrumentKind.PERPETUAL if market.get("swap") else
        InstrumentKind.OTHER,
        tick_size=tick,
        qty_step=step,
        contract_size=decimal(market.get("contractSize")) or Decimal(1),
        min_qty=decimal(limits["amount"]["min"]) or None,
        max_qty=decimal(limits["amount"]["max"]) or None,
        min_market_qty=decimal(market_limits.get("min")) or None,
        max_market_qty=decimal(market_limits.get("max")) or None,
        min_notional=decimal(limits["cost"]["min"]) or None,
        max_notional=decimal(limits["cost"]["max"]) or None,
        min_price=decimal(limits["price"]["min"]) or None,
        max_price=decimal(limits["price"]["max"]) or None,
        market_qty_step=_market_step(market),
        **bands,
    )  # fmt: skip


def _filters(market: Told) -> dict[str, Told]:
    info = market.get("info") or {}
    return {f["filterType"]: f for f in info.get("filters") or [] if isinstance(f, dict) and "filterType" in f}


def _market_step(market: Told) -> Decimal | None:
    """Binance has a step of its own for market orders; zero means the ordinary one."""
    return decimal((_filters(market).get("MARKET_LOT_SIZE") or {}).get("stepSize")) or None


def _bands(market: Told) -> dict[str, Any]:
    """Return the price band and the number of open orders, where the venue's own description has them."""
    filters = _filters(market)
    band = filters.get("PERCENT_PRICE_BY_SIDE")
    found: dict[str, Any] = {}
    if band is not None:  # the narrower of the two sides
        found["price_band_up"] = min(Decimal(str(band[f"{s}MultiplierUp"])) for s in ("bid", "ask"))
        found["price_band_down"] = max(Decimal(str(band[f"{s}MultiplierDown"])) for s in ("bid", "ask"))
    elif (band := filters.get("PERCENT_PRICE")) is not None:
        found["price_band_up"] = Decimal(str(band["multiplierUp"]))
        found["price_band_down"] = Decimal(str(band["multiplierDown"]))
    for name, filter_name, keys in (
        ("max_orders", "MAX_NUM_ORDERS", ("maxNumOrders", "limit")),
        ("max_trigger_orders", "MAX_NUM_ALGO_ORDERS", ("maxNumAlgoOrders", "limit")),
    ):
        told = filters.get(filter_name) or {}
        value = next((told[k] for k in keys if k in told), None)
        if value is not None:
            found[name] = int(value)
    return found


def _type(told: str, price: Decimal | None, stop: Decimal | None) -> OrderType:
    is_market = "market" in told.lower() or (told.lower() in ("stop_loss", "take_profit", "stop") and price is None)
    if stop is not None:
        return OrderType.STOP if is_market or price is None else OrderType.STOP_LIMIT
    return OrderType.MARKET if is_market or price is None else OrderType.LIMIT


def _status(told: Told, qty: Decimal | None, filled: Decimal, stop: Decimal | None) -> OrderStatus:
    raw = told.get("info") or {}
    own = str(raw.get("status") or raw.get("orderStatus") or raw.get("algoStatus") or raw.get("X") or "")
    status = _STATUS.get(str(told.get("status")), OrderStatus.NEW)
    if own in _ENDED_UNFILLED:
        return _ENDED_UNFILLED[own]
    if status is OrderStatus.FILLED and qty is not None and filled < qty:
        return OrderStatus.CANCELLED  # ended with something left
    if status is OrderStatus.NEW and filled > 0:
        return OrderStatus.PARTIALLY_FILLED
    if status is OrderStatus.NEW and stop is not None and not _is_triggered(raw, own):
        return OrderStatus.UNTRIGGERED
    return status


def _is_triggered(raw: Told, own: str) -> bool:
    return (
        own in ("Triggered", "TRIGGERED", "PartiallyFilled") or raw.get("isWorking") in (True, "true") or own == "New"
    )


def _time_in_force(told: Told) -> TimeInForce | None:
    if told.get("postOnly"):
        return TimeInForce.PO
    name = str(told.get("timeInForce") or "").lower()
    return TimeInForce(name) if name in {t.value for t in TimeInForce} else None
