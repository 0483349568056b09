"""Take spot orders as Binance does: read, checked by filters and by the engine, answered short or long."""

from __future__ import annotations

import secrets
import string
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal import filters
from tradelab.rehearsal.dialects import binance_spot_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Ask, Route, Security
from tradelab.rehearsal.dialects.binance_errors import (
    BinanceError,
    unknown_order,
    unknown_symbol,
    unwanted,
)
from tradelab.rehearsal.dialects.binance_params import Params, names, places
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.orders import Rejection, SimOrder

CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
ASSET_PLACES = 8
TYPES = {
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT": OrderType.STOP,
    "TAKE_PROFIT_LIMIT": OrderType.STOP_LIMIT,
}
_WITH_TIF = ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
PLACING = names(
    "symbol side type timeInForce quantity quoteOrderQty price newClientOrderId strategyId strategyType stopPrice "
    "trailingDelta icebergQty newOrderRespType selfTradePreventionMode pegPriceType pegOffsetValue "
    "pegOffsetType"
)
REPLACING = PLACING | names(
    "cancelReplaceMode cancelNewClientOrderId cancelOrigClientOrderId cancelOrderId cancelRestrictions "
    "orderRateLimitExceededMode"
)
_NOT_REHEARSED = ("trailingDelta", "icebergQty", "pegPriceType", "pegOffsetValue", "pegOffsetType")
_NAMED = "symbol orderId origClientOrderId"

_WORDS: dict[RefusalCode, tuple[int, str]] = {
    RefusalCode.MIN_NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    RefusalCode.MAX_NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    RefusalCode.MARKET_CLOSED: (-1013, "Market is closed."),
    RefusalCode.BALANCE: (-2010, "Account has insufficient balance for requested action."),
    RefusalCode.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    RefusalCode.STOP_WOULD_TRIGGER: (-2010, "Stop price would trigger immediately."),
}


def new_id() -> str:
    """Return an id such as Binance makes up: 22 letters and digits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(22))


class SpotOrders:
    """Everything that is done to orders on spot."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def routes(self) -> list[Route]:
        """Return the addresses of trading."""
        signed = Security.SIGNED
        one, more = names(_NAMED), names("newClientOrderId cancelRestrictions")
        return [
            Route("POST", "/api/v3/order", "submit", self.place, 1, signed, PLACING, orders=1),
            Route("POST", "/api/v3/order/test", "other", self.test, 1, signed, PLACING | {"computeCommissionRates"}),
            Route("DELETE", "/api/v3/order", "cancel", self.cancel, 1, signed, one | more),
            Route("DELETE", "/api/v3/openOrders", "cancel_all", self.cancel_all, 1, signed, frozenset({"symbol"})),
            Route("POST", "/api/v3/order/cancelReplace", "modify", self.replace, 1, signed, REPLACING, orders=1),
            Route("PUT", "/api/v3/order/amend/keepPriority", "modify", self.amend, 4, signed,
                  one | {"newClientOrderId", "newQty"}),
        ]  # fmt: skip

    # ── placing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, ask: Ask) -> object:
        """Take an order."""
        order = self._read(ask.params, ask.account)
        answer_type = self._answer_type(ask.params)
        self._put(order)
        return self._answer(order, answer_type)

    def test(self, ask: Ask) -> object:
        """Check an order and do nothing."""
        order = self._read(ask.params, ask.account)
        self._answer_type(ask.params)
        self._filter(order)
        return {}

    def _answer_type(self, params: Params) -> str:
        default = "FULL" if params.given.get("type") in ("MARKET", "LIMIT") else "ACK"
        return params.choice("newOrderRespType", ("ACK", "RESULT", "FULL")) or default

    def _answer(self, order: SimOrder, answer_type: str) -> dict[str, Any]:
        if answer_type == "ACK":
            return shapes.acknowledged(order)
        if answer_type == "RESULT":
            return shapes.placed(order)
        fills = [f for f in self.exchange.fills if f.order == order.number] if order.filled_qty else []
        return shapes.placed_with_fills(order, fills)

    def _read(self, params: Params, account: str) -> SimOrder:
        symbol = params.required("symbol")
        if symbol not in self.exchange.tapes:
            raise unknown_symbol()
        instrument = self.exchange.instrument(symbol)
        params.required("side")
        side = Side[str(params.choice("side", ("BUY", "SELL"), lambda: BinanceError(-1117, "Invalid side.")))]
        params.required("type")
        kind = str(params.choice("type", TYPES, lambda: BinanceError(-1116, "Invalid orderType.")))
        for name in _NOT_REHEARSED:
            if name in params.given:
                raise BinanceError(-1020, "This operation is not supported.")
        price = self._price(params, kind)
        stop_price = self._stop_price(params, kind)
        tif = self._tif(params, kind)
        extra: dict[str, Any] = {"type": kind}
        qty = self._qty(params, kind, side, instrument, extra)
        rises = None if stop_price is None else (side is Side.BUY) == kind.startswith("STOP_LOSS")
        return self.exchange.draft(
            account, symbol, side, TYPES[kind], qty, price=price, stop_price=stop_price, time_in_force=tif,
            client_order_id=params.text("newClientOrderId", CLIENT_ID) or new_id(), trigger_rises=rises, extra=extra,
        )  # fmt: skip

    def _price(self, params: Params, kind: str) -> Decimal | None:
        if not TYPES[kind].needs_price:
            if "price" in params.given:
                raise unwanted("price")
            return None
        return _precise("price", params.needed("price"))

    def _stop_price(self, params: Params, kind: str) -> Decimal | None:
        if not TYPES[kind].needs_stop_price:
            if "stopPrice" in params.given:
                raise unwanted("stopPrice")
            return None
        if "stopPrice" not in params.given:
            raise BinanceError(-1102, "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!")
        return _precise("stopPrice", params.needed("stopPrice"))

    def _tif(self, params: Params, kind: str) -> TimeInForce:
        if kind not in _WITH_TIF:
            if "timeInForce" in params.given:
                raise unwanted("timeInForce")
            return TimeInForce.PO if kind == "LIMIT_MAKER" else TimeInForce.GTC
        params.required("timeInForce")
        wrong = BinanceError(-1115, "Invalid timeInForce.")
        return TimeInForce[str(params.choice("timeInForce", ("GTC", "IOC", "FOK"), lambda: wrong))]

    def _qty(self, params: Params, kind: str, side: Side, instrument: Instrument, extra: dict[str, Any]) -> Decimal:
        quote_qty = params.decimal("quoteOrderQty")
        if quote_qty is None:
            if kind == "MARKET" and "quantity" not in params.given:
                words = "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"
                raise BinanceError(-1102, words)
            return _precise("quantity", params.needed("quantity"))
        if kind != "MARKET":
            raise unwanted("quoteOrderQty")
        if "quantity" in params.given:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        extra["quoteOrderQty"] = str(_precise("quoteOrderQty", quote_qty))
        return self._worth(quote_qty, side, instrument)

    def _worth(self, quote_qty: Decimal, side: Side, instrument: Instrument) -> Decimal:
        """Return how much so much money buys or is got for, walking the book, down to the step."""
        if instrument.min_notional is not None and quote_qty < instrument.min_notional:
            raise BinanceError(-1013, "Filter failure: NOTIONAL")
        left, qty = quote_qty, Decimal(0)
        for _, price, there in self.exchange.books[instrument.symbol].side(side):
            part = min(there, left / price)
            qty, left = qty + part, left - part * price
            if left <= 0:
                break
        step = instrument.market_qty_step or instrument.qty_step
        return (qty / step).to_integral_value(ROUND_FLOOR) * step

    def _put(self, order: SimOrder) -> None:
        """Let an order through filters and engine, in this order, as Binance does."""
        self._filter(order)
        mine = self.exchange.open_orders(order.account, order.symbol)
        if any(o.client_order_id == order.client_order_id for o in mine):
            raise BinanceError(-2010, "Duplicate order sent.")
        rejection = self.exchange.place(order)
        if rejection is not None:
            raise self._error(rejection, order)

    def _filter(self, order: SimOrder) -> None:
        broken = filters.violated(order, self.exchange.instrument(order.symbol), self.exchange.mark(order.symbol))
        if broken is not None:
            raise self._error(Rejection(broken), order)

    def _error(self, rejection: Rejection, order: SimOrder) -> BinanceError:
        code, instrument = rejection.code, self.exchange.instrument(order.symbol)
        if code in (RefusalCode.TICK, RefusalCode.PRICE_LIMIT):
            banded = code is RefusalCode.PRICE_LIMIT and _in_range(order, instrument)
            return BinanceError(-1013, f"Filter failure: {'PERCENT_PRICE_BY_SIDE' if banded else 'PRICE_FILTER'}")
        if code in (RefusalCode.QTY_STEP, RefusalCode.MIN_QTY, RefusalCode.MAX_QTY):
            return BinanceError(-1013, f"Filter failure: {_lot_filter(order, instrument)}")
        if code is RefusalCode.TOO_MANY_ORDERS:
            algo = order.type.needs_stop_price and "conditional" in rejection.says
            return BinanceError(-1013, f"Filter failure: {'MAX_NUM_ALGO_ORDERS' if algo else 'MAX_NUM_ORDERS'}")
        number, words = _WORDS[code]
        return BinanceError(number, words)

    # ── cancelling and changing ──────────────────────────────────────────────────────────────────────────────────

    def find(
        self, params: Params, account: str, number: str = "orderId", name: str = "origClientOrderId"
    ) -> SimOrder | None:
        """Return the order a request names, the newest where a client id was used again."""
        symbol = params.required("symbol")
        if symbol not in self.exchange.tapes:
            raise unknown_symbol()
        by_number, by_name = params.whole(number), params.text(name)
        if by_number is None and by_name is None:
            raise BinanceError(-1102, f"Param '{name}' or '{number}' must be sent, but both were empty/null!")
        if by_number is not None:
            order = self.exchange.find(account, number=by_number)
            fits = order is not None and order.symbol == symbol
            return order if fits and by_name in (None, order.client_order_id if order else None) else None
        mine = (o for o in reversed(self.exchange.orders.values()) if o.account == account and o.symbol == symbol)
        return next((o for o in mine if o.client_order_id == by_name), None)

    def cancel(self, ask: Ask) -> object:
        """Cancel one order."""
        order = self.find(ask.params, ask.account)
        cancel_id = ask.params.text("newClientOrderId", CLIENT_ID)
        only = ask.params.choice("cancelRestrictions", ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"), _bad_restriction)
        return self._cancel(order, cancel_id, only)

    def _cancel(self, order: SimOrder | None, cancel_id: str | None, only: str | None = None) -> dict[str, Any]:
        if order is None or not order.is_open:
            raise unknown_order()
        if only is not None and only != f"ONLY_{shapes.STATUS[order.status]}":
            raise BinanceError(-2011, "Order was not canceled due to cancel restrictions.")
        order.extra["cancel_id"] = cancel_id or new_id()
        self.exchange.cancel(order)
        return shapes.cancelled(order)

    def cancel_all(self, ask: Ask) -> object:
        """Cancel all that is open in one market."""
        symbol = ask.params.required("symbol")
        if symbol not in self.exchange.tapes:
            raise unknown_symbol()
        orders = self.exchange.open_orders(ask.account, symbol)
        if not orders:
            raise unknown_order()
        cancel_id = new_id()
        return [self._cancel(order, cancel_id) for order in orders]

    def replace(self, ask: Ask) -> object:
        """Cancel one order and place another; what is asked about both is told of both."""
        params = ask.params
        params.required("cancelReplaceMode")
        mode = params.choice("cancelReplaceMode", ("STOP_ON_FAILURE", "ALLOW_FAILURE"))
        order = self._read(params, ask.account)
        answer_type = params.choice("newOrderRespType", ("ACK", "RESULT", "FULL")) or "RESULT"
        old = self.find(params, ask.account, "cancelOrderId", "cancelOrigClientOrderId")
        only = params.choice("cancelRestrictions", ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"), _bad_restriction)
        self._filter(order)
        cancel_said: object
        new_said: object = None
        cancelled = placed = False
        try:
            cancel_said = self._cancel(old, params.text("cancelNewClientOrderId", CLIENT_ID), only)
            cancelled = True
        except BinanceError as error:
            cancel_said = error.body()
        if cancelled or mode == "ALLOW_FAILURE":
            try:
                self._put(order)
                new_said, placed = self._answer(order, answer_type), True
            except BinanceError as error:
                new_said = error.body()
        return _both(cancelled, placed, cancel_said, new_said)

    def amend(self, ask: Ask) -> object:
        """Make an order smaller without losing its turn."""
        order = self.find(ask.params, ask.account)
        qty = _precise("newQty", ask.params.needed("newQty"))
        name = ask.params.text("newClientOrderId", CLIENT_ID) or new_id()
        if order is None or not order.is_open:
            raise BinanceError(-2038, "Unknown order sent.")
        if not order.filled_qty < qty < order.qty:
            raise BinanceError(-2038, "The requested quantity must be above what has filled and below the order's.")
        before = order.client_order_id
        order.extra["amended_from"], order.client_order_id = before, name
        rejection = self.exchange.amend(order, qty=qty)
        if rejection is not None:
            order.client_order_id = before
            raise self._error(rejection, order)
        return shapes.amended(order, self.exchange.number(), before)


def _precise(name: str, value: Decimal) -> Decimal:
    if places(value) > ASSET_PLACES:
        raise BinanceError(-1111, f"Parameter '{name}' has too much precision.")
    return value


def _in_range(order: SimOrder, instrument: Instrument) -> bool:
    """Whether every price is inside the fixed limits, so that it is the band around the market that was left."""
    least, most = instrument.min_price or Decimal(0), instrument.max_price
    given = [p for p in (order.price, order.stop_price) if p is not None]
    return all(p > 0 and p >= least and (most is None or p <= most) for p in given)


def _lot_filter(order: SimOrder, instrument: Instrument) -> str:
    least, most = instrument.min_qty or Decimal(0), instrument.max_qty
    fits = least <= order.qty and (most is None or order.qty <= most) and not order.qty % instrument.qty_step
    return "MARKET_LOT_SIZE" if fits and order.qty > 0 else "LOT_SIZE"


def _bad_restriction() -> BinanceError:
    words = "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`."
    return BinanceError(-1145, words)


def _both(cancelled: bool, placed: bool, cancel_said: object, new_said: object) -> dict[str, Any]:
    """Return the answer to a cancel-replace, an error unless both halves went well."""
    tried = "NOT_ATTEMPTED" if new_said is None else ("SUCCESS" if placed else "FAILURE")
    halves = {
        "cancelResult": "SUCCESS" if cancelled else "FAILURE",
        "newOrderResult": tried,
        "cancelResponse": cancel_said,
        "newOrderResponse": new_said,
    }
    if cancelled and placed:
        return halves
    if cancelled or placed:
        raise BinanceError(-2021, "Order cancel-replace partially failed.", 409, halves)
    raise BinanceError(-2022, "Order cancel-replace failed.", 400, halves)
