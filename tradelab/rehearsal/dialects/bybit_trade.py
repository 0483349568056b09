"""Take orders as Bybit does: a create, an amend or a cancel is acknowledged, and what becomes of it is told elsewhere.

What the venue's gateway checks (parameters, filters, money, a used ``orderLinkId``) is refused in the answer. What its
matching finds later (a post-only order that would take, nothing to meet at once) is acknowledged and then cancelled.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.dialects import bybit_errors as no
from tradelab.rehearsal.dialects.bybit_branch import Branch
from tradelab.rehearsal.dialects.bybit_door import Route
from tradelab.rehearsal.dialects.bybit_errors import Refusal
from tradelab.rehearsal.dialects.bybit_protect import Protection, wrong_level
from tradelab.rehearsal.dialects.bybit_shapes import POST_ONLY
from tradelab.rehearsal.dialects.bybit_wire import LINK, Asked, Kind, Row, at
from tradelab.rehearsal.events import OrderChanged
from tradelab.rehearsal.orders import Rejection, SimOrder

T, N, W, F = Kind.TEXT, Kind.NUMBER, Kind.WHOLE, Kind.FLAG
_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
_TIFS = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK, "PostOnly": TimeInForce.PO}
NAMED = {"category": T, "symbol": T, "orderId": T, "orderLinkId": T}
LEVELS = {
    "takeProfit": N, "stopLoss": N, "tpTriggerBy": T, "slTriggerBy": T, "tpslMode": T, "tpOrderType": T,
    "slOrderType": T, "tpLimitPrice": N, "slLimitPrice": N,
}  # fmt: skip
CREATE = NAMED | LEVELS | {
    "side": T, "orderType": T, "qty": N, "price": N, "timeInForce": T, "positionIdx": W, "isLeverage": W,
    "marketUnit": T, "triggerPrice": N, "triggerDirection": W, "triggerBy": T, "orderFilter": T, "reduceOnly": F,
    "closeOnTrigger": F, "smpType": T, "mmp": F, "slippageToleranceType": T, "slippageTolerance": N,
    "rpiTakerAccess": F,
}  # fmt: skip
AMEND = NAMED | LEVELS | {"qty": N, "price": N, "triggerPrice": N, "triggerBy": T}
CANCEL_ALL = {"category": T, "symbol": T, "baseCoin": T, "settleCoin": T, "orderFilter": T, "stopOrderType": T}


class Trade:
    """Create, amend, cancel."""

    def __init__(self, branch: Branch, protection: Protection) -> None:
        self._branch = branch
        self._protection = protection

    def routes(self) -> list[Route]:
        """Return the addresses that change orders."""
        return [
            Route("POST", "/v5/order/create", "submit", self.create, CREATE),
            Route("POST", "/v5/order/amend", "modify", self.amend, AMEND),
            Route("POST", "/v5/order/cancel", "cancel", self.cancel, NAMED | {"orderFilter": T}),
            Route("POST", "/v5/order/cancel-all", "cancel_all", self.cancel_all, CANCEL_ALL),
        ]

    # ── create ───────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, asked: Asked) -> Row | Refusal:
        """Take an order; the answer says that it was taken, and nothing of what became of it."""
        order = self._draft(asked)
        if isinstance(order, Refusal):
            return order
        order.extra["last"] = at(
            self._branch.exchange.mark(order.symbol), self._branch.instrument(order.symbol).tick_size
        )
        rejection = self._branch.exchange.place(order)
        if rejection is not None and rejection.code is not RefusalCode.WOULD_TAKE:
            return self._says(rejection, order)
        if order.extra.get("linked"):
            self._branch.links[order.account, order.client_order_id] = order.number
        if rejection is not None:
            self._turn_down(order)
        return self._ack(order)

    def _draft(self, asked: Asked) -> SimOrder | Refusal:
        branch, symbol = self._branch, asked.text("symbol")
        if asked.text("category") not in ("linear", "spot", "inverse", "option"):
            return no.ILLEGAL_CATEGORY
        if asked.text("category") != branch.category or symbol not in branch.exchange.tapes:
            return no.UNKNOWN_SPOT if asked.text("category") == "spot" else no.UNKNOWN_LINEAR
        words = self._words(asked)
        if isinstance(words, Refusal):
            return words
        side, type_, more = words
        refused = self._name(asked, more) or self._levels(asked, side, more) or self._quantity(asked, side, type_, more)
        if refused is not None:
            return refused
        qty = more.pop("qty")
        return branch.exchange.draft(asked.account, symbol, side, type_, qty, **more)

    def _words(self, asked: Asked) -> tuple[Side, OrderType, dict[str, Any]] | Refusal:
        """Read side, type, price, trigger and time in force."""
        linear = self._branch.linear
        side, limit = _SIDES.get(asked.text("side")), {"Limit": True, "Market": False}.get(asked.text("orderType"))
        tif = _TIFS.get(asked.text("timeInForce", "GTC"))
        if side is None:
            return no.wrong("Side") if linear else Refusal(170117, "Invalid side.")
        if limit is None:
            return no.wrong("OrderType") if linear else Refusal(170116, "Invalid orderType.")
        if tif is None:
            return no.wrong("TimeInForce") if linear else Refusal(170115, "Invalid timeInForce.")
        price, trigger = asked.number("price") if limit else None, asked.number("triggerPrice")
        if limit and not price:
            return no.wrong("price") if linear else Refusal(170105, "Parameter 'price' was empty.")
        plain = OrderType.LIMIT if limit else OrderType.MARKET
        waits = OrderType.STOP_LIMIT if limit else OrderType.STOP
        more: dict[str, Any] = {
            "price": price, "time_in_force": tif if limit else TimeInForce.IOC,
            "reduce_only": linear and (asked.flag("reduceOnly") or asked.flag("closeOnTrigger")),
            "extra": {"close_on_trigger": asked.flag("closeOnTrigger")},
        }  # fmt: skip
        if not trigger:
            return side, plain, more
        rises = self._rises(asked, trigger)
        if isinstance(rises, Refusal):
            return rises
        filter_ = asked.text("orderFilter", "StopOrder")
        more |= {
            "stop_price": trigger, "trigger_rises": rises, "trigger_by_mark": asked.text("triggerBy") == "MarkPrice",
            "pays_when_triggered": linear or filter_ == "StopOrder",
        }  # fmt: skip
        more["extra"] |= {"filter": filter_, "trigger_by": asked.text("triggerBy", "LastPrice")}
        return side, waits, more

    def _rises(self, asked: Asked, trigger: Decimal) -> bool | Refusal:
        """Tell from which side the trigger is reached: linear says so, spot looks where the price is."""
        if not self._branch.linear:
            return trigger > self._branch.exchange.mark(asked.text("symbol"))
        direction = asked.whole("triggerDirection", 0)
        return no.wrong("TriggerDirection") if direction not in (1, 2) else direction == 1

    def _name(self, asked: Asked, more: dict[str, Any]) -> Refusal | None:
        """Check the client's name for the order: at most 36 characters, and never used before, open or not."""
        if self._branch.linear and asked.whole("positionIdx", 0) != 0:
            return no.HEDGE_IDX
        link = asked.text("orderLinkId") or ("" if self._branch.linear else self._branch.made_up_link())
        if not link:
            return None
        if not LINK.match(link):
            return no.wrong("orderLinkId")
        if (asked.account, link) in self._branch.links:
            return no.DUPLICATE_LINEAR if self._branch.linear else no.DUPLICATE_SPOT
        more["client_order_id"] = link
        more["extra"]["linked"] = True
        return None

    def _levels(self, asked: Asked, side: Side, more: dict[str, Any]) -> Refusal | None:
        """Read the stop loss and the take profit that come with an order; of the whole position, at the market."""
        stop_loss, take_profit = asked.number("stopLoss") or None, asked.number("takeProfit") or None
        if stop_loss is None and take_profit is None:
            return None
        if not self._branch.linear or asked.text("tpslMode", "Full") != "Full":
            return no.NO_PARTIAL
        if more["reduce_only"]:
            return no.wrong("takeProfit")  # "When reduceOnly is true, take profit/stop loss cannot be set"
        bid, ask = self._branch.exchange.best(asked.text("symbol"))
        base = more["price"] or more.get("stop_price") or (ask if side is Side.BUY else bid)
        more |= {"stop_loss": stop_loss, "take_profit": take_profit}
        return wrong_level(side, base, stop_loss, take_profit)

    def _quantity(self, asked: Asked, side: Side, type_: OrderType, more: dict[str, Any]) -> Refusal | None:
        """Read the quantity: in base, or in quote for a spot market order, or all of the position for a zero."""
        qty, branch, symbol = asked.number("qty"), self._branch, asked.text("symbol")
        if qty is None:
            return no.wrong("qty") if branch.linear else Refusal(170105, "Parameter 'qty' was empty.")
        if branch.linear and not qty and more["reduce_only"] and asked.flag("closeOnTrigger"):
            held = branch.perp(asked.account).position(symbol).qty
            more |= {"qty": max(Decimal(0), -held * side.sign), "close_all": type_.needs_stop_price}
            return None if more["qty"] else no.of_order(RefusalCode.REDUCE_ONLY, linear=True)
        unit = asked.text("marketUnit", "quoteCoin" if side is Side.BUY else "baseCoin")
        if not branch.linear and type_ is OrderType.MARKET:
            more["extra"]["market_unit"] = unit
            if unit == "quoteCoin":
                more["extra"]["quote_qty"] = str(qty)
                qty = self._base_for(symbol, side, qty)
        more["qty"] = qty
        return None

    def _base_for(self, symbol: str, side: Side, quote: Decimal) -> Decimal:
        """Return how much base a sum of quote buys, or a sale must give for it, down the book and on the step."""
        base = Decimal(0)
        for _, price, there in self._branch.exchange.books[symbol].side(side):
            part = min(there, quote / price)
            base, quote = base + part, quote - part * price
            if quote <= 0:
                break
        return self._branch.instrument(symbol).floor_qty(base)

    def _turn_down(self, order: SimOrder) -> None:
        """Take a post-only order that would take, and end it: perpetuals say cancelled, spot says rejected."""
        exchange = self._branch.exchange
        order.created_ns = order.updated_ns = exchange.now_ns
        order.status = OrderStatus.CANCELLED if self._branch.linear else OrderStatus.REJECTED
        order.reason = POST_ONLY
        exchange.orders[order.number] = order
        exchange.tell(OrderChanged(order, "canceled", exchange.now_ns))

    # ── amend ────────────────────────────────────────────────────────────────────────────────────────────────────

    def amend(self, asked: Asked) -> Row | Refusal:
        """Change an order in place."""
        order = self._named(asked)
        if order is None or not order.is_open:
            return no.GONE_AMEND if self._branch.linear else no.GONE_SPOT
        if order.extra.get("protects"):
            moved = self._protection.move(order, asked.number("triggerPrice"))
            return self._ack(order) if moved is None else moved
        qty, stop_loss, take_profit = asked.number("qty"), asked.number("stopLoss"), asked.number("takeProfit")
        if qty is not None and qty <= order.filled_qty:
            return no.BELOW_FILLED
        base = asked.number("price") or order.price or order.stop_price or self._branch.exchange.mark(order.symbol)
        refused = wrong_level(order.side, base, stop_loss or None, take_profit or None)
        if refused is not None:
            return refused
        changed = self._take_levels_away(order, stop_loss, take_profit)
        rejection = self._branch.exchange.amend(
            order, qty=qty, price=asked.number("price") or None, stop_price=asked.number("triggerPrice") or None,
            stop_loss=stop_loss or order.stop_loss, take_profit=take_profit or order.take_profit,
        )  # fmt: skip
        if rejection is not None and rejection.code is RefusalCode.WOULD_TAKE:
            self._branch.exchange.cancel(order, reason=POST_ONLY)
        elif rejection is not None and not (changed and rejection.code is RefusalCode.NO_CHANGE):
            return self._says(rejection, order)
        return self._ack(order)

    def _take_levels_away(self, order: SimOrder, stop_loss: Decimal | None, take_profit: Decimal | None) -> bool:
        """Drop the levels that are given as zero; return whether there were any."""
        dropped = False
        for name, given in (("stop_loss", stop_loss), ("take_profit", take_profit)):
            if given == 0 and getattr(order, name) is not None:
                setattr(order, name, None)
                dropped = True
        return dropped

    # ── cancel ───────────────────────────────────────────────────────────────────────────────────────────────────

    def cancel(self, asked: Asked) -> Row | Refusal:
        """Cancel one order, by either id."""
        if not asked.text("orderId") and not asked.text("orderLinkId"):
            return no.NO_ORDER_NAMED
        order = self._named(asked)
        if order is None or not order.is_open:
            return no.GONE_CANCEL if self._branch.linear else no.GONE_SPOT
        if not self._branch.linear and not filtered(order, asked.text("orderFilter", "Order")):
            return no.GONE_SPOT  # "If not passed, Order by default": a spot order is looked for among its kind only
        self._end(order)
        return self._ack(order)

    def cancel_all(self, asked: Asked) -> Row | Refusal:
        """Cancel what a symbol or a coin has; linear cancels every kind without a filter, spot ordinary orders."""
        branch = self._branch
        if asked.text("category") != branch.category:
            return {"list": [], "success": "1"}
        by_coin = asked.text("baseCoin") or asked.text("settleCoin")
        if branch.linear and not asked.text("symbol") and not by_coin:
            return Refusal(10001, "params error: symbol, baseCoin or settleCoin is required")
        wanted = asked.text("orderFilter", "" if branch.linear else "Order")
        ended = []
        for order in branch.exchange.open_orders(asked.account, asked.text("symbol") or None):
            instrument = branch.instrument(order.symbol)
            if (
                by_coin
                and not asked.text("symbol")
                and by_coin not in (instrument.base, instrument.settle or instrument.quote)
            ):
                continue
            if order.is_open and filtered(order, wanted):
                self._end(order)
                ended.append(self._ack(order))
        return {"list": ended, "success": "1"}

    def _end(self, order: SimOrder) -> None:
        self._branch.exchange.cancel(order)
        self._protection.forget(order)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _named(self, asked: Asked) -> SimOrder | None:
        order = self._branch.find(asked.account, asked.text("orderId"), asked.text("orderLinkId"))
        right = order is not None and order.symbol == asked.text("symbol", order.symbol)
        return order if right and asked.text("category") == self._branch.category else None

    def _ack(self, order: SimOrder) -> Row:
        return {"orderId": self._branch.order_id(order), "orderLinkId": self._branch.link(order)}

    def _says(self, rejection: Rejection, order: SimOrder) -> Refusal:
        if rejection.code is RefusalCode.STOP_WOULD_TRIGGER:
            return no.RISING_PASSED if order.trigger_rises else no.FALLING_PASSED
        if rejection.code is RefusalCode.TOO_MANY_ORDERS and order.stop_price is not None and self._branch.linear:
            return Refusal(110009, "The number of stop orders exceeds the maximum allowable limit")
        if rejection.code is RefusalCode.PRICE_LIMIT and not self._branch.linear and order.price is not None:
            return _beyond(order, self._branch)
        return no.of_order(rejection.code, linear=self._branch.linear)


def filtered(order: SimOrder, wanted: str) -> bool:
    """Whether an order is of the kind that ``orderFilter`` names; without one, every order is."""
    if not wanted:
        return True
    if order.stop_price is None or order.triggered_ns is not None:
        return wanted in ("Order", "OpenOrder")
    return wanted == str(order.extra.get("filter", "StopOrder"))


def _beyond(order: SimOrder, branch: Branch) -> Refusal:
    """Say which way a spot price is out of bounds, and by which bound."""
    instrument, last = branch.instrument(order.symbol), branch.exchange.mark(order.symbol)
    assert order.price is not None
    if order.price > last:
        bound = min(
            x for x in (instrument.max_price, _times(last, instrument.price_band_up), order.price) if x is not None
        )
        return Refusal(170193, f"Buy order price cannot be higher than {at(bound, instrument.tick_size)}.")
    bound = max(
        x for x in (instrument.min_price, _times(last, instrument.price_band_down), order.price) if x is not None
    )
    return Refusal(170194, f"Sell order price cannot be lower than {at(bound, instrument.tick_size)}.")


def _times(price: Decimal, factor: Decimal | None) -> Decimal | None:
    return None if factor is None else price * factor
