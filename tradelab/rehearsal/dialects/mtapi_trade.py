"""Do what OrderSend, OrderModify and OrderClose ask, against the venue's orders and positions.

There is no idempotency: two orders with one comment are two orders. Where a pending order may lie was seen by
tartarixinc/TScopier on mt5.mtapi.io: a buy limit not above the bid, a sell limit not below it, a stop beyond the
market.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce
from tradelab.rehearsal.dialects import mtapi_errors as say
from tradelab.rehearsal.dialects.mtapi_shapes import Shapes, read_time
from tradelab.rehearsal.events import MoneyChanged, OrderChanged
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_hedging import Ticket
from tradelab.rehearsal.orders import SimOrder
from tradelab.rehearsal.protection import wrong_side
from tradelab.rehearsal.reading import is_whole

_ENTRIES = {
    f"{side.name.capitalize()}{suffix}": (kind, side)
    for side in Side
    for suffix, kind in (
        ("", OrderType.MARKET), ("Limit", OrderType.LIMIT), ("Stop", OrderType.STOP),
        ("StopLimit", OrderType.STOP_LIMIT),
    )
}  # fmt: skip
_NUMBERS = {str(n): word for n, word in enumerate(
    ("Buy", "Sell", "BuyLimit", "SellLimit", "BuyStop", "SellStop", "BuyStopLimit", "SellStopLimit")
)}  # fmt: skip
_COMMENT_LENGTH = 31  # of MetaTrader; what is longer is cut

Asked = dict[str, str]  # parameters by their name in lower case: ASP.NET does not mind case


class Trades:
    """Trades of any account."""

    def __init__(self, exchange: Exchange, shapes: Shapes, *, has_stop_limit: bool = True) -> None:
        self._exchange, self._shapes, self._has_stop_limit = exchange, shapes, has_stop_limit

    def send(self, account: str, asked: Asked) -> SimOrder:
        """Place an order."""
        kind, side = self._operation(asked)
        symbol, lots = _text(asked, "symbol"), _needed(asked, "volume")
        if symbol not in self._exchange.tapes:
            raise say.Told(say.no(say.INVALID_SYMBOL))
        waits = None if kind is OrderType.MARKET else _number(asked, "price")
        limit = _number(asked, "stoplimitprice") if kind is OrderType.STOP_LIMIT else waits
        if kind is not OrderType.MARKET and (waits is None or limit is None):
            raise say.Told(say.no(say.INVALID_PRICE))
        trigger, expires = waits if kind.needs_stop_price else None, self._expiry(asked)
        comment = asked.get("comment", "")[:_COMMENT_LENGTH]
        one = self._exchange.draft(
            account, symbol, side, kind, lots, client_order_id=comment or None,
            price=limit if kind.needs_price else None, stop_price=trigger,
            time_in_force=TimeInForce.GTC if expires is None else TimeInForce.GTD, expire_ns=expires,
            stop_loss=_number(asked, "stoploss"), take_profit=_number(asked, "takeprofit"),
            trigger_rises=None if trigger is None else side is Side.BUY,
            extra={"comment": comment, "magic": int(_number(asked, "expertid") or _number(asked, "magic") or 0)},
        )  # fmt: skip
        if self._is_misplaced(one):
            raise say.Told(say.no(say.INVALID_PRICE))
        return self._placed(one)

    def modify(self, account: str, asked: Asked) -> SimOrder:
        """Change levels of a position, or levels and prices of an order that waits; what is left out is taken away."""
        held, one = self._ticket(account, asked)
        levels = (_number(asked, "stoploss"), _number(asked, "takeprofit"))
        if held is not None:
            self._protect(account, held, *levels)
        else:
            self._amend(one, asked, *levels)
        return one

    def close(self, account: str, asked: Asked) -> tuple[SimOrder, dict[str, Any]]:
        """Close a position or a part of it, or cancel an order that waits; return the ticket and what is told of it."""
        held, one = self._ticket(account, asked)
        if held is None:
            self._exchange.cancel(one)
            return one, {}
        lots = _number(asked, "lots") or _number(asked, "volume") or held.lots
        if lots > held.lots:
            raise say.Told(say.no(say.INVALID_CLOSE_VOLUME))
        closing = self._exchange.draft(
            account, held.symbol, held.side.opposite, OrderType.MARKET, lots, position_id=held.ticket,
            client_order_id=asked.get("comment") or None,
            extra={"comment": asked.get("comment", "")[:_COMMENT_LENGTH], "magic": held.magic},
        )  # fmt: skip
        self._placed(closing)
        last = [f for f in self._exchange.fills if f.order == closing.number][-1]
        return one, {
            "state": "Started", "closeLots": float(lots), "dealInternalOut": self._shapes.deal(last),
            "closePrice": float(last.price),
        }  # fmt: skip

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _operation(self, asked: Asked) -> tuple[OrderType, Side]:
        word = _text(asked, "operation")
        kind = _ENTRIES.get(_NUMBERS.get(word, word))
        if kind is None or (kind[0] is OrderType.STOP_LIMIT and not self._has_stop_limit):
            raise say.Told(say.no(say.INVALID_REQUEST))
        return kind

    def _is_misplaced(self, one: SimOrder) -> bool:
        bid, _ = self._exchange.best(one.symbol)
        if one.type is OrderType.LIMIT and one.price is not None:
            return (one.price - bid) * one.side.sign > 0
        if one.type is OrderType.STOP_LIMIT and one.price is not None and one.stop_price is not None:
            return (one.price - one.stop_price) * one.side.sign > 0  # the limit lies this side of the trigger
        return False

    def _placed(self, one: SimOrder) -> SimOrder:
        rejection = self._exchange.place(one)
        if rejection is not None:
            raise say.Told(say.no(say.REFUSED.get(rejection.code, say.INVALID_REQUEST)))
        if one.type is OrderType.MARKET and not one.filled_qty:
            raise say.Told(say.no(say.PRICE_OFF))
        return one

    def _ticket(self, account: str, asked: Asked) -> tuple[Ticket | None, SimOrder]:
        told = _text(asked, "ticket")
        if not is_whole(told):
            raise say.Told(say.unreadable("ticket", told))
        one = self._exchange.find(account, number=int(told))
        held = self._shapes.ledger(account).tickets.get(told)
        if one is None or (held is None and not one.is_open):
            raise say.Told(say.no(say.INVALID_TICKET))
        return held, one

    def _protect(self, account: str, held: Ticket, stop_loss: Decimal | None, take_profit: Decimal | None) -> None:
        bid, ask = self._exchange.best(held.symbol)
        if (stop_loss, take_profit) == (held.stop_loss, held.take_profit):
            raise say.Told(say.no(say.NO_CHANGES))
        tick = self._exchange.instrument(held.symbol).tick_size
        off = any(level is not None and level % tick for level in (stop_loss, take_profit))
        if off or wrong_side(held.side, bid if held.side is Side.BUY else ask, stop_loss, take_profit):
            raise say.Told(say.no(say.INVALID_STOPS))
        held.stop_loss, held.take_profit = stop_loss, take_profit
        self._exchange.tell(MoneyChanged(account, "protection", self._exchange.now_ns, held.symbol))

    def _amend(self, one: SimOrder, asked: Asked, stop_loss: Decimal | None, take_profit: Decimal | None) -> None:
        waits = one.status is OrderStatus.UNTRIGGERED
        told = _number(asked, "price") or (one.stop_price if waits else one.price)
        limit = (_number(asked, "stoplimitprice") or one.price) if waits else told
        price = limit if one.type.needs_price else None
        trigger = told if waits else one.stop_price
        if (price, trigger, stop_loss, take_profit) == (one.price, one.stop_price, one.stop_loss, one.take_profit):
            raise say.Told(say.no(say.NO_CHANGES))
        before = one.price, one.stop_price
        one.price, one.stop_price = price, trigger
        misplaced = self._is_misplaced(one)
        one.price, one.stop_price = before
        if misplaced:
            raise say.Told(say.no(say.INVALID_PRICE))
        if wrong_side(one.side, price or trigger or Decimal(0), stop_loss, take_profit):
            raise say.Told(say.no(say.INVALID_STOPS))
        if (price, trigger) != before:
            kept = {"stop_loss": one.stop_loss, "take_profit": one.take_profit}
            rejection = self._exchange.amend(one, price=price, stop_price=trigger, **kept)
            if rejection is not None:
                raise say.Told(say.no(say.REFUSED.get(rejection.code, say.INVALID_REQUEST)))
        one.stop_loss, one.take_profit = stop_loss, take_profit
        self._exchange.tell(OrderChanged(one, "amended", self._exchange.now_ns))

    def _expiry(self, asked: Asked) -> int | None:
        told = asked.get("expiration")
        if not told or asked.get("expirationtype", "Specified") != "Specified":
            return None
        try:
            expires = read_time(told)
        except ValueError:
            raise say.Told(say.unreadable("expiration", told)) from None
        if expires <= self._exchange.now_ns:
            raise say.Told(say.no(say.INVALID_EXPIRATION))
        return expires


def _text(asked: Asked, name: str) -> str:
    if not asked.get(name):
        raise say.Told(say.unreadable(name, None))
    return asked[name]


def _needed(asked: Asked, name: str) -> Decimal:
    _text(asked, name)
    return _number(asked, name) or Decimal(0)


def _number(asked: Asked, name: str) -> Decimal | None:
    """Return a number; zero is none, as in MetaTrader."""
    told = asked.get(name)
    if not told:
        return None
    try:
        value = Decimal(told)
    except InvalidOperation:
        raise say.Told(say.unreadable(name, told)) from None
    if not value.is_finite():
        raise say.Told(say.unreadable(name, told))
    return value or None
