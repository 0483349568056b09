"""Read MetaApi's models into ours: prices by their text, times in UTC, sides out of words; what is missing is an error.

Models: https://metaapi.cloud/docs/client/models/. ``brokerTime`` is never used: it is the broker's wall clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

from tradelab.model.account import AccountInfo, Balance, Position, PositionMode
from tradelab.model.errors import RequestError
from tradelab.model.instrument import Calendar, Instrument, InstrumentKind
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.orders import Fill, Liquidity, Order, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.units import NS_PER_S

Json = Mapping[str, Any]
Read = TypeVar("Read")
_ZERO = Decimal(0)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_STATES = {
    "ORDER_STATE_STARTED": OrderStatus.NEW,
    "ORDER_STATE_PLACED": OrderStatus.NEW,
    "ORDER_STATE_REQUEST_ADD": OrderStatus.NEW,
    "ORDER_STATE_REQUEST_MODIFY": OrderStatus.NEW,
    "ORDER_STATE_REQUEST_CANCEL": OrderStatus.NEW,
    "ORDER_STATE_PARTIAL": OrderStatus.PARTIALLY_FILLED,
    "ORDER_STATE_FILLED": OrderStatus.FILLED,
    "ORDER_STATE_CANCELED": OrderStatus.CANCELLED,
    "ORDER_STATE_REJECTED": OrderStatus.REJECTED,
    "ORDER_STATE_EXPIRED": OrderStatus.EXPIRED,
}
_KINDS = {"": OrderType.MARKET, "LIMIT": OrderType.LIMIT, "STOP": OrderType.STOP, "STOP_LIMIT": OrderType.STOP_LIMIT}
_CALC = {
    "SYMBOL_CALC_MODE_FOREX": InstrumentKind.FX,
    "SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE": InstrumentKind.FX,
    "SYMBOL_CALC_MODE_CFD": InstrumentKind.CFD,
    "SYMBOL_CALC_MODE_CFDINDEX": InstrumentKind.CFD,
    "SYMBOL_CALC_MODE_CFDLEVERAGE": InstrumentKind.CFD,
    "SYMBOL_CALC_MODE_EXCH_STOCKS": InstrumentKind.STOCK,
    "SYMBOL_CALC_MODE_EXCH_STOCKS_MOEX": InstrumentKind.STOCK,
}


@dataclass(frozen=True, slots=True)
class Specification:
    """What a broker says of a symbol: our instrument, and what only MetaTrader has."""

    instrument: Instrument
    stops_level: int  # points between the market and a stop, at least
    may_open: bool


def read(what: str, make: Callable[[Any], Read], raw: Any) -> Read:
    """Make a model of an answer.

    Raises
    ------
    RequestError
        The answer is not what MetaApi documents; it says what is missing or wrong.
    """
    try:
        return make(raw)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise RequestError(f"MetaApi's {what} cannot be read: {said}.", fix="Report it: the API has changed.") from None


def time_ns(text: object) -> int | None:
    """Read a time in UTC; ``None`` for nothing, and for years beyond all reason, which MetaApi writes with a plus.

    >>> time_ns("2020-04-17T03:05:03.223Z"), time_ns("+010000-01-01T00:00:00.000Z")
    (1587092703223000000, None)
    """
    if not isinstance(text, str) or text.startswith("+"):
        return None
    moment = dt.datetime.fromisoformat(text)
    since = moment.replace(tzinfo=moment.tzinfo or dt.UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000


def iso(ts_ns: int) -> str:
    """Write a time in UTC, to the millisecond before it.

    >>> iso(1587092703223999999)
    '2020-04-17T03:05:03.223Z'
    """
    whole = _EPOCH + dt.timedelta(seconds=ts_ns // NS_PER_S)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ts_ns // 1_000_000 % 1000:03d}Z"


def account(raw: Json, ts_ns: int) -> AccountInfo:
    """Read the account: free money is the balance without what margin takes."""
    balance, margin, currency = _number(raw["balance"]), _number(raw["margin"]), str(raw["currency"])
    money = (Balance(currency, balance - margin, margin),) if balance else ()
    return AccountInfo(
        balances=money, ts_ns=ts_ns, currency=currency, equity=_number(raw["equity"]), used_margin=margin,
        free_margin=_number(raw["freeMargin"]), leverage=_maybe(raw, "leverage"),
        may_trade=bool(raw["tradeAllowed"]) and not raw.get("investorMode", False), position_mode=PositionMode.HEDGING,
    )  # fmt: skip


def position(raw: Json) -> Position:
    """Read an open position; a short is below zero."""
    volume = _number(raw["volume"])
    return Position(
        symbol=str(raw["symbol"]), qty=volume * _side(raw["type"], "POSITION_TYPE_").sign,
        avg_price=_number(raw["openPrice"]), position_id=str(raw["id"]), mark_price=_maybe(raw, "currentPrice"),
        unrealized_pnl=_maybe(raw, "unrealizedProfit"), stop_loss=_maybe(raw, "stopLoss"),
        take_profit=_maybe(raw, "takeProfit"), opened_ns=time_ns(raw["time"]),
    )  # fmt: skip


def order(raw: Json) -> Order | None:
    """Read an order, open or done; ``None`` for one that closes a position by another, which has no side."""
    word = str(raw["type"]).removeprefix("ORDER_TYPE_")
    if word == "CLOSE_BY":
        return None
    way, _, suffix = word.partition("_")
    kind, state = _KINDS[suffix], _STATES[raw["state"]]
    opened, limit = _maybe(raw, "openPrice"), _maybe(raw, "stopLimitPrice")
    waits = state is OrderStatus.NEW and kind.needs_stop_price
    volume, left, ticket = _number(raw["volume"]), _maybe(raw, "currentVolume"), str(raw["id"])
    held = None if raw.get("positionId") is None else str(raw["positionId"])
    filled = volume if state is OrderStatus.FILLED else volume - (volume if left is None else left)
    return Order(
        symbol=str(raw["symbol"]), venue_order_id=ticket, client_order_id=raw.get("clientId"), side=Side[way],
        type=kind,
        status=OrderStatus.UNTRIGGERED if waits else state, qty=volume, filled_qty=filled,
        price=limit if kind is OrderType.STOP_LIMIT else opened if kind is OrderType.LIMIT else None,
        stop_price=opened if kind.needs_stop_price else None, time_in_force=_force(raw, kind),
        reduce_only=None if held is None else held != ticket, created_ns=time_ns(raw["time"]),
        updated_ns=time_ns(raw.get("doneTime")) or time_ns(raw["time"]), position_id=held,
        stop_loss=_maybe(raw, "stopLoss"), take_profit=_maybe(raw, "takeProfit"),
    )  # fmt: skip


def with_average(of: Order, fills: Iterable[Fill]) -> Order:
    """Return the order with the average price of its fills, which MetaApi tells on deals only."""
    mine = [f for f in fills if f.venue_order_id == of.venue_order_id]
    lots = sum((f.qty for f in mine), _ZERO)
    if not lots:
        return of
    return replace(of, avg_price=sum((f.qty * f.price for f in mine), _ZERO) / lots)


def fill(raw: Json, currency: str) -> Fill | None:
    """Read a deal; ``None`` for one that trades nothing (a deposit, a fee, interest)."""
    word = str(raw["type"])
    if word not in ("DEAL_TYPE_BUY", "DEAL_TYPE_SELL"):
        return None
    commission, held = _maybe(raw, "commission"), raw.get("positionId")
    return Fill(
        trade_id=str(raw["id"]), symbol=str(raw["symbol"]), venue_order_id=str(raw.get("orderId") or raw["positionId"]),
        client_order_id=raw.get("clientId"), side=_side(word, "DEAL_TYPE_"), qty=_number(raw["volume"]),
        price=_number(raw["price"]), fee=None if commission is None else -commission,
        fee_currency=None if commission is None else currency, liquidity=Liquidity.UNKNOWN, ts_ns=_time(raw["time"]),
        position_id=None if held is None else str(held),
    )  # fmt: skip


def specification(raw: Json, venue: str, account_currency: str) -> Specification:
    """Read what a symbol asks of an order."""
    tick = _maybe(raw, "tickSize") or Decimal(1).scaleb(-int(raw["digits"]))
    calendar, kind = _calendar(raw.get("tradeSessions") or {}), _CALC.get(str(raw.get("priceCalculationMode")))
    quote = raw.get("profitCurrency") or raw.get("marginCurrency") or account_currency
    market = Instrument(
        symbol=str(raw["symbol"]), venue=venue, quote=str(quote), base=raw.get("baseCurrency"), settle=account_currency,
        tick_size=tick, qty_step=_number(raw["volumeStep"]), min_qty=_number(raw["minVolume"]),
        max_qty=_number(raw["maxVolume"]), contract_size=_number(raw["contractSize"]), calendar=calendar,
        session="fx" if calendar is Calendar.WEEKDAYS else None, kind=kind or InstrumentKind.OTHER,
    )  # fmt: skip
    closed = raw.get("tradeMode") in ("SYMBOL_TRADE_MODE_DISABLED", "SYMBOL_TRADE_MODE_CLOSEONLY")
    return Specification(market, int(raw.get("stopsLevel") or 0), not closed)


def quote(raw: Json) -> Quote:
    """Read best bid and ask."""
    bid, ask = _number(raw["bid"]), _number(raw["ask"])
    return Quote(symbol=str(raw["symbol"]), bid=bid, ask=ask, ts_ns=_time(raw["time"]))


def candle(raw: Json) -> Candle:
    """Read a bar; it counts as open until somebody knows better. Its volume is the count of ticks: FX has no other."""
    o, h, lo, c = (float(raw[name]) for name in ("open", "high", "low", "close"))
    return Candle(_time(raw["time"]), o, h, lo, c, float(raw["tickVolume"]), False)


def ticks(rows: Iterable[Json]) -> list[Tick]:
    """Read ticks in the order of time; a tick tells what has changed, the other side of the quote stands as it did."""
    found, bid, ask = [], None, None
    for raw in sorted(rows, key=lambda r: _time(r["time"])):
        bid, ask = _maybe(raw, "bid") or bid, _maybe(raw, "ask") or ask
        if bid is not None and ask is not None:
            traded = raw.get("last") is not None and raw.get("volume") is not None
            qty = _number(raw["volume"]) if traded else None
            found.append(Tick(ts_ns=_time(raw["time"]), bid=bid, ask=ask, qty=qty))
    return found


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise TypeError(f"a number was expected, not {value!r}")
    return Decimal(value)


def _maybe(raw: Json, name: str) -> Decimal | None:
    return None if raw.get(name) is None else _number(raw[name])


def _time(text: object) -> int:
    ts_ns = time_ns(text)
    if ts_ns is None:
        raise ValueError(f"a time was expected, not {text!r}")
    return ts_ns


def _side(word: object, prefix: str) -> Side:
    return Side[str(word).removeprefix(prefix)]


def _force(raw: Json, kind: OrderType) -> TimeInForce | None:
    if kind is OrderType.MARKET:
        return None
    words = {"ORDER_TIME_GTC": TimeInForce.GTC, "ORDER_TIME_SPECIFIED": TimeInForce.GTD}
    return words.get(str(raw.get("expirationType")))


def _calendar(sessions: Mapping[str, Any]) -> Calendar:
    """Tell around the clock, weekdays and exchange hours apart by when a symbol trades."""
    if sessions.get("SATURDAY"):
        return Calendar.ALWAYS
    midweek = sessions.get("WEDNESDAY") or []
    hours = sum(_hours(s.get("from")) - _hours(s.get("to")) for s in midweek if isinstance(s, dict))
    return Calendar.WEEKDAYS if not sessions or hours <= -22 else Calendar.SESSIONS


def _hours(text: object) -> float:
    hour, minute, *_ = (*str(text).split(":"), "0", "0")
    return int(hour) + int(minute) / 60
