"""Do a trade of MetaApi: every action type of POST /trade against the venue's orders and positions.

Source: https://metaapi.cloud/docs/client/models/metatraderTrade/. There is no idempotency: the same clientId twice is
two orders.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, overload

from aiohttp import web

from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce
from tradelab.rehearsal.dialects import metaapi_errors as say
from tradelab.rehearsal.dialects.metaapi_times import parse
from tradelab.rehearsal.events import MoneyChanged, OrderChanged
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_hedging import HedgingLedger, Ticket
from tradelab.rehearsal.matching import meets
from tradelab.rehearsal.orders import SimOrder
from tradelab.rehearsal.protection import wrong_side
from tradelab.rehearsal.reading import from_json, is_whole

_ENTRIES = {
    f"ORDER_TYPE_{side.name}{suffix}": (side, kind)
    for side in Side
    for suffix, kind in (
        ("", OrderType.MARKET), ("_LIMIT", OrderType.LIMIT), ("_STOP", OrderType.STOP),
        ("_STOP_LIMIT", OrderType.STOP_LIMIT),
    )
}  # fmt: skip
KINDS = {  # what faults of the script are aimed by
    "ORDER_CANCEL": "cancel",
    "ORDER_MODIFY": "modify",
    "POSITION_MODIFY": "protect",
}
_KNOWN = frozenset(
    {
        "actionType", "symbol", "volume", "openPrice", "stopLimitPrice", "stopLoss", "takeProfit", "stopLossUnits",
        "takeProfitUnits", "stopPriceBase", "openPriceUnits", "openPriceBase", "stopLimitPriceUnits",
        "stopLimitPriceBase", "orderId", "positionId", "closeByPositionId", "comment", "clientId", "magic", "slippage",
        "fillingModes", "expiration", "trailingStopLoss",
    }
)  # fmt: skip
_NAMES_LENGTH = 26  # of clientId and comment together: https://metaapi.cloud/docs/client/models/metatraderTrade/


class Trades:
    """Trades of any account; ``unknown_params`` are the fields that no documentation names."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.unknown_params: list[str] = []

    def do(self, account: str, raw: bytes) -> web.Response:
        """Answer one POST /trade."""
        trade = self._read(raw)
        action = str(trade.get("actionType"))
        if action in _ENTRIES:
            return self._enter(account, trade, *_ENTRIES[action])
        doers = {
            "POSITION_MODIFY": self._protect,
            "POSITION_PARTIAL": self._close_part,
            "POSITION_CLOSE_ID": self._close,
            "POSITIONS_CLOSE_SYMBOL": self._close_symbol,
            "ORDER_MODIFY": self._modify,
            "ORDER_CANCEL": self._cancel,
        }
        if action == "POSITION_CLOSE_BY":  # closing one position by another is not rehearsed
            return say.trade_says(say.UNSUPPORTED)
        if action not in doers:
            raise say.Told(say.invalid("actionType", "Unexpected value."))
        return doers[action](account, trade)

    def _read(self, raw: bytes) -> dict[str, Any]:
        try:
            trade = from_json(raw, parse_float=Decimal)
        except ValueError:
            raise say.Told(say.invalid("trade", "Body is not JSON.")) from None
        if not isinstance(trade, dict):
            raise say.Told(say.invalid("trade"))
        self.unknown_params += sorted(set(trade) - _KNOWN)
        if len(str(trade.get("clientId", ""))) + len(str(trade.get("comment", ""))) > _NAMES_LENGTH:
            raise say.Told(say.invalid("clientId", f"clientId and comment have more than {_NAMES_LENGTH} characters."))
        for units in ("stopLossUnits", "takeProfitUnits", "openPriceUnits", "stopLimitPriceUnits"):
            if trade.get(units, "ABSOLUTE_PRICE") != "ABSOLUTE_PRICE":
                raise say.Told(say.invalid(units, "Only ABSOLUTE_PRICE is rehearsed."))
        return trade

    # ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _enter(self, account: str, trade: dict[str, Any], side: Side, kind: OrderType) -> web.Response:
        symbol, volume = str(_required(trade, "symbol")), _number(trade, "volume", required=True)
        if symbol not in self._exchange.tapes:
            raise say.Told(say.not_found(f"Symbol {symbol} is not defined for this broker"))
        open_price = _number(trade, "openPrice", required=kind is not OrderType.MARKET)
        limit = _number(trade, "stopLimitPrice", required=True) if kind is OrderType.STOP_LIMIT else open_price
        trigger = open_price if kind.needs_stop_price else None
        expires = self._expiry(trade)
        one = self._exchange.draft(
            account, symbol, side, kind, volume, client_order_id=trade.get("clientId"),
            price=limit if kind.needs_price else None, stop_price=trigger,
            time_in_force=TimeInForce.GTC if expires is None else TimeInForce.GTD, expire_ns=expires,
            stop_loss=_number(trade, "stopLoss"), take_profit=_number(trade, "takeProfit"),
            trigger_rises=None if trigger is None else side is Side.BUY, extra=_marks(trade),
        )  # fmt: skip
        if self._is_misplaced(one):
            return say.trade_says(say.INVALID_PRICE)
        return self._placed(one)

    def _is_misplaced(self, one: SimOrder) -> bool:
        """Whether a pending order lies where MetaTrader takes none: a limit beyond the market, a stop behind its limit.

        Source: "The checks a trading robot must pass" (mql5.com/en/articles/2555): Ask - price >= stops level.
        """
        bid, ask = self._exchange.best(one.symbol)
        if one.type is OrderType.LIMIT and one.price is not None:
            return meets(one, bid, ask) and one.price != (ask if one.side is Side.BUY else bid)
        if one.type is OrderType.STOP_LIMIT and one.price is not None and one.stop_price is not None:
            return (one.price - one.stop_price) * one.side.sign > 0
        return False

    def _expiry(self, trade: dict[str, Any]) -> int | None:
        expiration = trade.get("expiration") or {}
        if expiration.get("type", "ORDER_TIME_GTC") == "ORDER_TIME_GTC":
            return None
        if expiration["type"] != "ORDER_TIME_SPECIFIED":
            raise say.Told(say.invalid("expiration.type", "Only GTC and SPECIFIED are rehearsed."))
        try:
            expires = parse(str(expiration.get("time")))
        except ValueError:
            raise say.Told(say.invalid("expiration.time", "Not a time.")) from None
        if expires <= self._exchange.now_ns:
            raise say.Told(say.trade_says(say.INVALID_EXPIRATION))
        return expires

    def _placed(self, one: SimOrder) -> web.Response:
        rejection = self._exchange.place(one)
        if rejection is not None:
            return say.trade_says(say.CODES.get(rejection.code, say.INVALID))
        ids = {"orderId": str(one.number)}
        if one.filled_qty:
            ids["positionId"] = one.position_id or str(one.number)
        if one.type is OrderType.MARKET and one.status is not OrderStatus.FILLED:
            return say.trade_says(say.PARTIAL, **ids) if one.filled_qty else say.trade_says(say.PRICE_OFF)
        return say.trade_says(say.DONE, **ids)

    # ── positions ────────────────────────────────────────────────────────────────────────────────────────────────

    def _ticket(self, account: str, trade: dict[str, Any]) -> Ticket:
        ledger = self._exchange.ledgers[account]
        assert isinstance(ledger, HedgingLedger)
        held = ledger.tickets.get(str(_required(trade, "positionId")))
        if held is None:
            raise say.Told(say.trade_says(say.NO_POSITION))
        return held

    def _protect(self, account: str, trade: dict[str, Any]) -> web.Response:
        held = self._ticket(account, trade)
        stop_loss, take_profit = _number(trade, "stopLoss"), _number(trade, "takeProfit")
        bid, ask = self._exchange.best(held.symbol)
        ids = {"positionId": held.ticket}
        if (stop_loss, take_profit) == (held.stop_loss, held.take_profit):
            return say.trade_says(say.NO_CHANGES, **ids)
        if wrong_side(held.side, bid if held.side is Side.BUY else ask, stop_loss, take_profit):
            return say.trade_says(say.INVALID_STOPS)
        tick = self._exchange.instrument(held.symbol).tick_size
        if any(level is not None and level % tick for level in (stop_loss, take_profit)):
            return say.trade_says(say.INVALID_STOPS)
        held.stop_loss, held.take_profit = stop_loss, take_profit
        self._exchange.tell(MoneyChanged(account, "protection", self._exchange.now_ns, held.symbol))
        return say.trade_says(say.DONE, **ids)

    def _close_part(self, account: str, trade: dict[str, Any]) -> web.Response:
        held = self._ticket(account, trade)
        volume = _number(trade, "volume", required=True)
        if volume > held.lots:
            return say.trade_says(say.CLOSE_VOLUME)
        return self._closing(account, held, volume, trade)

    def _close(self, account: str, trade: dict[str, Any]) -> web.Response:
        held = self._ticket(account, trade)
        return self._closing(account, held, held.lots, trade)

    def _close_symbol(self, account: str, trade: dict[str, Any]) -> web.Response:
        symbol = str(_required(trade, "symbol"))
        ledger = self._exchange.ledgers[account]
        assert isinstance(ledger, HedgingLedger)
        mine = [t for t in ledger.tickets.values() if t.symbol == symbol]
        if not mine:
            return say.trade_says(say.NO_POSITION)
        for held in mine:
            self._closing(account, held, held.lots, trade)
        return say.trade_says(say.DONE)

    def _closing(self, account: str, held: Ticket, lots: Decimal, trade: dict[str, Any]) -> web.Response:
        return self._placed(
            self._exchange.draft(
                account,
                held.symbol,
                held.side.opposite,
                OrderType.MARKET,
                lots,
                position_id=held.ticket,
                client_order_id=trade.get("clientId"),
                extra=_marks(trade),
            )
        )

    # ── pending orders ───────────────────────────────────────────────────────────────────────────────────────────

    def _pending(self, account: str, trade: dict[str, Any]) -> SimOrder:
        number = str(_required(trade, "orderId"))
        one = self._exchange.find(account, number=int(number)) if is_whole(number) else None
        if one is None or not one.is_open:
            raise say.Told(say.trade_says(say.NO_ORDER))
        return one

    def _modify(self, account: str, trade: dict[str, Any]) -> web.Response:
        """Change prices and protection of a pending order; protection that is left out is taken away."""
        one = self._pending(account, trade)
        waits, open_price = one.status is OrderStatus.UNTRIGGERED, _number(trade, "openPrice", required=True)
        limit = (_number(trade, "stopLimitPrice") or one.price) if waits else open_price
        after = replace(
            one, price=limit if one.type.needs_price else None, stop_price=open_price if waits else one.stop_price,
            stop_loss=_number(trade, "stopLoss"), take_profit=_number(trade, "takeProfit"),
        )  # fmt: skip
        ids = {"orderId": str(one.number)}
        if after == one:
            return say.trade_says(say.NO_CHANGES, **ids)
        if self._is_misplaced(after):
            return say.trade_says(say.INVALID_PRICE)
        if wrong_side(one.side, after.price or after.stop_price or Decimal(0), after.stop_loss, after.take_profit):
            return say.trade_says(say.INVALID_STOPS)
        if (after.price, after.stop_price) != (one.price, one.stop_price):
            kept = {"stop_loss": one.stop_loss, "take_profit": one.take_profit}
            rejection = self._exchange.amend(one, price=after.price, stop_price=after.stop_price, **kept)
            if rejection is not None:
                return say.trade_says(say.CODES.get(rejection.code, say.INVALID))
        one.stop_loss, one.take_profit = after.stop_loss, after.take_profit
        self._exchange.tell(OrderChanged(one, "amended", self._exchange.now_ns))
        return say.trade_says(say.DONE, **ids)

    def _cancel(self, account: str, trade: dict[str, Any]) -> web.Response:
        one = self._pending(account, trade)
        self._exchange.cancel(one)
        return say.trade_says(say.DONE, orderId=str(one.number))


def _marks(trade: dict[str, Any]) -> dict[str, Any]:
    """What a trade wants its order to be remembered by."""
    return {"comment": str(trade.get("comment", "")), "magic": int(trade.get("magic", 0))}


def _required(trade: dict[str, Any], name: str) -> Any:
    value = trade.get(name)
    if value is None:
        raise say.Told(say.invalid(name))
    return value


@overload
def _number(trade: dict[str, Any], name: str, *, required: Literal[True]) -> Decimal: ...
@overload
def _number(trade: dict[str, Any], name: str, *, required: bool = ...) -> Any: ...
def _number(trade: dict[str, Any], name: str, *, required: bool = False) -> Any:
    value = trade.get(name)
    if value is None:
        if required:
            raise say.Told(say.invalid(name))
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise say.Told(say.invalid(name, "Number expected."))
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise say.Told(say.invalid(name, "Number expected.")) from None
    if number < 0:
        raise say.Told(say.invalid(name, "Must be zero or more."))
    return number or None if name in ("stopLoss", "takeProfit") else number
