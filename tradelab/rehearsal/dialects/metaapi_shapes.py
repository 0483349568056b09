"""Shape what the venue knows as MetaApi's models: numbers are JSON numbers, tickets are texts, absent is left out.

Sources: https://metaapi.cloud/docs/client/models/ (metatraderAccountInformation, metatraderPosition, metatraderOrder,
metatraderDeal, metatraderSymbolSpecification, metatraderSymbolPrice, metatraderCandle, metatraderTick).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Calendar, Instrument
from tradelab.model.market import Candle
from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.units import Timeframe
from tradelab.rehearsal.dialects.metaapi_times import TIMEFRAMES, broker, iso
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_hedging import HedgingLedger, Ticket
from tradelab.rehearsal.orders import SimFill, SimOrder

Json = dict[str, Any]
MAX_VOLUME = Decimal(100)
_STATES = {
    OrderStatus.UNTRIGGERED: "ORDER_STATE_PLACED",
    OrderStatus.NEW: "ORDER_STATE_PLACED",
    OrderStatus.PARTIALLY_FILLED: "ORDER_STATE_PARTIAL",
    OrderStatus.FILLED: "ORDER_STATE_FILLED",
    OrderStatus.CANCELLED: "ORDER_STATE_CANCELED",
    OrderStatus.EXPIRED: "ORDER_STATE_EXPIRED",
    OrderStatus.REJECTED: "ORDER_STATE_REJECTED",
}
_KINDS = {OrderType.MARKET: "", OrderType.LIMIT: "_LIMIT", OrderType.STOP: "_STOP", OrderType.STOP_LIMIT: "_STOP_LIMIT"}
_WHY = {"sl": "SL", "tp": "TP", "so": "SO"}
_DAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")


def num(value: Decimal | float | None) -> float | int | None:
    """Return a JSON number, whole where it is whole, as JavaScript writes it."""
    if value is None:
        return None
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def told(shape: Json) -> Json:
    """Leave out what there is not."""
    return {k: v for k, v in shape.items() if v is not None}


def account(exchange: Exchange, key: str) -> Json:
    """Return the account's money."""
    ledger = _ledger(exchange, key)
    equity, margin = ledger.equity(exchange), ledger.used_margin(exchange)
    return told(
        {
            "platform": "mt5", "broker": "Tradelab Rehearsal", "currency": ledger.currency, "server": "Rehearsal-Demo",
            "balance": num(ledger.balance), "equity": num(equity), "margin": num(margin),
            "freeMargin": num(equity - margin), "leverage": num(ledger.leverage),
            "marginLevel": num(equity / margin * 100) if margin else None, "tradeAllowed": True, "investorMode": False,
            "marginMode": "ACCOUNT_MARGIN_MODE_RETAIL_HEDGING", "name": "Rehearsal", "login": 1000001, "credit": 0,
            "accountCurrencyExchangeRate": 1, "type": "ACCOUNT_TRADE_MODE_DEMO",
        }
    )  # fmt: skip


def position(exchange: Exchange, key: str, held: Ticket) -> Json:
    """Return one open position."""
    ledger = _ledger(exchange, key)
    bid, ask = exchange.best(held.symbol)
    price = bid if held.side is Side.BUY else ask
    profit, instrument = ledger.profit(held, exchange), exchange.instrument(held.symbol)
    return told(
        {
            "id": held.ticket, "type": f"POSITION_TYPE_{held.side.name}", "symbol": held.symbol, "magic": held.magic,
            "time": iso(held.opened_ns), "brokerTime": broker(held.opened_ns), "updateTime": iso(held.opened_ns),
            "openPrice": num(held.open_price), "currentPrice": num(price),
            "currentTickValue": num(ledger.value_of_move(instrument, instrument.tick_size, Decimal(1), price)),
            "stopLoss": num(held.stop_loss), "takeProfit": num(held.take_profit), "volume": num(held.lots),
            "swap": 0, "realizedSwap": 0, "unrealizedSwap": 0, "profit": num(profit), "realizedProfit": 0,
            "unrealizedProfit": num(profit), "commission": num(-held.commission), "realizedCommission": 0,
            "unrealizedCommission": num(-held.commission), "reason": "POSITION_REASON_EXPERT",
            "clientId": _named(held.client_order_id), "comment": held.comment or None, "platform": "mt5",
            "accountCurrencyExchangeRate": 1,
        }
    )  # fmt: skip


def order(exchange: Exchange, one: SimOrder) -> Json:
    """Return an order, open or done."""
    bid, ask = exchange.best(one.symbol)
    limit_waits = one.type is OrderType.STOP_LIMIT and one.status is OrderStatus.UNTRIGGERED
    kind = OrderType.LIMIT if one.type is OrderType.STOP_LIMIT and one.is_open and not limit_waits else one.type
    shown = one.stop_price if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else one.price
    done = not one.is_open
    expires = one.time_in_force is TimeInForce.GTD
    return told(
        {
            "id": str(one.number), "type": f"ORDER_TYPE_{one.side.name}{_KINDS[kind]}", "state": _STATES[one.status],
            "symbol": one.symbol, "magic": int(one.extra.get("magic", 0)), "time": iso(one.created_ns),
            "brokerTime": broker(one.created_ns), "doneTime": iso(one.updated_ns) if done else None,
            "doneBrokerTime": broker(one.updated_ns) if done else None,
            "openPrice": num(shown if shown is not None else one.avg_price or Decimal(0)),
            "stopLimitPrice": num(one.price) if kind is OrderType.STOP_LIMIT else None,
            "currentPrice": None if done else num(ask if one.side is Side.BUY else bid),
            "stopLoss": num(one.stop_loss), "takeProfit": num(one.take_profit), "volume": num(one.qty),
            "currentVolume": num(one.leaves_qty), "positionId": _position_of(one), "platform": "mt5",
            "reason": f"ORDER_REASON_{_WHY.get(one.extra.get('why', ''), 'EXPERT')}",
            "fillingMode": "ORDER_FILLING_FOK" if kind is OrderType.MARKET else "ORDER_FILLING_RETURN",
            "expirationType": "ORDER_TIME_SPECIFIED" if expires else "ORDER_TIME_GTC",
            "expirationTime": None if one.expire_ns is None else iso(one.expire_ns),
            "clientId": _named(one.client_order_id), "comment": one.extra.get("comment") or None,
            "accountCurrencyExchangeRate": 1,
        }
    )  # fmt: skip


def deal(exchange: Exchange, made: SimFill) -> Json:
    """Return one trade of one order."""
    of = exchange.orders[made.order]
    return told(
        {
            "id": str(made.number), "type": f"DEAL_TYPE_{made.side.name}",
            "entryType": "DEAL_ENTRY_IN" if made.entry else "DEAL_ENTRY_OUT", "symbol": made.symbol,
            "magic": int(of.extra.get("magic", 0)), "time": iso(made.ts_ns), "brokerTime": broker(made.ts_ns),
            "volume": num(made.qty), "price": num(made.price), "commission": num(-made.fee), "swap": 0,
            "profit": num(made.realized_pnl), "positionId": made.position_id, "orderId": str(made.order),
            "clientId": _named(made.client_order_id), "comment": of.extra.get("comment") or None, "platform": "mt5",
            "reason": f"DEAL_REASON_{_WHY.get(of.extra.get('why', ''), 'EXPERT')}", "accountCurrencyExchangeRate": 1,
            "stopLoss": num(of.stop_loss), "takeProfit": num(of.take_profit),
        }
    )  # fmt: skip


def specification(exchange: Exchange, symbol: str) -> Json:
    """Return what a symbol asks of an order."""
    of = exchange.instrument(symbol)
    digits = max(0, -int(of.tick_size.normalize().as_tuple().exponent))
    off = symbol in exchange.delisted
    return {
        "symbol": symbol, "tickSize": num(of.tick_size), "minVolume": num(of.min_qty or of.qty_step),
        "maxVolume": num(of.max_qty or MAX_VOLUME), "volumeStep": num(of.qty_step),
        "fillingModes": ["SYMBOL_FILLING_FOK", "SYMBOL_FILLING_IOC"],
        "executionMode": "SYMBOL_TRADE_EXECUTION_MARKET", "contractSize": num(of.contract_size),
        "quoteSessions": _sessions(of), "tradeSessions": _sessions(of),
        "tradeMode": "SYMBOL_TRADE_MODE_DISABLED" if off else "SYMBOL_TRADE_MODE_FULL",
        "initialMargin": 0, "maintenanceMargin": 0, "hedgedMargin": num(of.contract_size),
        "marginCurrency": of.base or of.quote, "priceCalculationMode": "SYMBOL_CALC_MODE_FOREX",
        "baseCurrency": of.base or of.quote, "profitCurrency": of.quote, "swapMode": "SYMBOL_SWAP_MODE_POINTS",
        "swapLong": 0, "swapShort": 0, "swapRollover3Days": "WEDNESDAY",
        "allowedExpirationModes": [
            "SYMBOL_EXPIRATION_GTC", "SYMBOL_EXPIRATION_DAY", "SYMBOL_EXPIRATION_SPECIFIED",
            "SYMBOL_EXPIRATION_SPECIFIED_DAY",
        ],
        "allowedOrderTypes": [
            "SYMBOL_ORDER_MARKET", "SYMBOL_ORDER_LIMIT", "SYMBOL_ORDER_STOP", "SYMBOL_ORDER_STOP_LIMIT",
            "SYMBOL_ORDER_SL", "SYMBOL_ORDER_TP", "SYMBOL_ORDER_CLOSEBY",
        ],
        "orderGTCMode": "SYMBOL_ORDERS_GTC", "digits": digits, "point": num(Decimal(1).scaleb(-digits)),
        "path": f"Rehearsal\\{symbol}", "description": symbol, "pipSize": num(Decimal(10).scaleb(-digits)),
        "stopsLevel": 0, "freezeLevel": 0,
    }  # fmt: skip


def price(exchange: Exchange, symbol: str) -> Json:
    """Return best bid and ask."""
    of, (bid, ask) = exchange.instrument(symbol), exchange.best(symbol)
    value = num(of.tick_size * of.contract_size)
    return {
        "symbol": symbol, "bid": num(bid), "ask": num(ask), "profitTickValue": value, "lossTickValue": value,
        "accountCurrencyExchangeRate": 1, "time": iso(exchange.now_ns), "brokerTime": broker(exchange.now_ns),
    }  # fmt: skip


def candle(symbol: str, timeframe: Timeframe, bar: Candle) -> Json:
    """Return one bar; whether it is closed, MetaApi does not say."""
    return {
        "symbol": symbol, "timeframe": TIMEFRAMES[timeframe], "time": iso(bar.open_ns),
        "brokerTime": broker(bar.open_ns),
        "open": num(bar.open), "high": num(bar.high), "low": num(bar.low), "close": num(bar.close),
        "tickVolume": num(bar.volume), "spread": 2, "volume": 0,
    }  # fmt: skip


def tick(symbol: str, ts_ns: int, bid: Decimal, ask: Decimal) -> Json:
    """Return one change of the quote."""
    return {"symbol": symbol, "time": iso(ts_ns), "brokerTime": broker(ts_ns), "bid": num(bid), "ask": num(ask)}


def _sessions(of: Instrument) -> Json:
    whole = [{"from": "00:00:00.000", "to": "23:59:59.999"}]
    open_days = _DAYS if of.calendar is Calendar.ALWAYS else _DAYS[1:6]
    return {day: whole if day in open_days else [] for day in _DAYS}


def _named(client_order_id: str) -> str | None:
    """A client id, unless the venue made one up itself."""
    return None if not client_order_id or client_order_id.startswith("auto") else client_order_id


def _position_of(one: SimOrder) -> str | None:
    if one.position_id is not None:
        return one.position_id
    return str(one.number) if one.filled_qty else None


def _ledger(exchange: Exchange, key: str) -> HedgingLedger:
    ledger = exchange.ledgers[key]
    if not isinstance(ledger, HedgingLedger):
        raise TypeError("MetaApi is rehearsed on hedging accounts only; set VenueSetup(ledger=Ledger.HEDGING)")
    return ledger
