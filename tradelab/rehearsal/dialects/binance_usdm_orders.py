"""Take USDⓈ-M orders as Binance does: plain ones here, conditional ones at the algo service."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal import filters
from tradelab.rehearsal.dialects import binance_usdm_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Ask, Route, Security
from tradelab.rehearsal.dialects.binance_errors import (
    BinanceError,
    missing,
    no_such_order,
    unknown_order,
    unknown_symbol,
    unwanted,
)
from tradelab.rehearsal.dialects.binance_params import Params, names, places
from tradelab.rehearsal.dialects.binance_spot_orders import new_id
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.orders import Rejection, SimOrder

MS = 1_000_000
CLIENT_ID = r"^[\.A-Z\:/a-z0-9_-]{1,36}$"
TIFS = {t.name: t for t in TimeInForce if t is not TimeInForce.PO} | {"GTX": TimeInForce.PO}
GTD_LEAST_MS = 600_000
GTD_MOST_MS = 253_402_300_799_000
MOST_MODIFICATIONS = 10_000
ALL_DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}
PLACING = names(
    "symbol side positionSide type timeInForce quantity reduceOnly price newClientOrderId newOrderRespType priceMatch "
    "selfTradePreventionMode goodTillDate stopPrice closePosition activationPrice callbackRate workingType priceProtect"
)
_CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
_NAMED = "symbol orderId origClientOrderId"
_WORDS: dict[RefusalCode, tuple[int, str]] = {
    RefusalCode.TICK: (-4014, "Price not increased by tick size."),
    RefusalCode.QTY_STEP: (-4023, "Qty not increased by step size."),
    RefusalCode.MIN_QTY: (-4004, "Quantity less than min quantity."),
    RefusalCode.MAX_QTY: (-4005, "Quantity greater than max quantity."),
    RefusalCode.MAX_NOTIONAL: (-2027, "Exceeded the maximum allowable position at current leverage."),
    RefusalCode.MARKET_CLOSED: (-4141, "Symbol is closed."),
    RefusalCode.MARGIN: (-2019, "Margin is insufficient."),
    RefusalCode.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    RefusalCode.STOP_WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
    RefusalCode.WOULD_TAKE: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
}


class UsdmOrders:
    """Everything that is done to plain orders, and what conditional ones share with them."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def routes(self) -> list[Route]:
        """Return the addresses of trading."""
        signed, named = Security.SIGNED, names(_NAMED)
        root = "/fapi/v1"
        modify = names("orderId origClientOrderId symbol side quantity price priceMatch")
        listing = names("symbol orderId startTime endTime limit")
        return [
            Route("POST", f"{root}/order", "submit", self.place, 0, signed, PLACING, orders=1),
            Route("POST", f"{root}/order/test", "other", self.test, 1, signed, PLACING),
            Route("PUT", f"{root}/order", "modify", self.modify, 0, signed, modify, orders=1),
            Route("DELETE", f"{root}/order", "cancel", self.cancel, 1, signed, named),
            Route("DELETE", f"{root}/allOpenOrders", "cancel_all", self.cancel_all, 1, signed, names("symbol")),
            Route("GET", f"{root}/order", "order", self.query, 1, signed, named),
            Route("GET", f"{root}/openOrder", "order", self.query_open, 1, signed, named),
            Route("GET", f"{root}/openOrders", "open_orders", self.open, _open_weight, signed, names("symbol")),
            Route("GET", f"{root}/allOrders", "order", self.history, 5, signed, listing),
        ]

    # ── placing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, ask: Ask) -> object:
        """Take an order."""
        order = self._read(ask.params, ask.account)
        answer_type = ask.params.choice("newOrderRespType", ("ACK", "RESULT")) or "ACK"
        self.put(order)
        instrument = self.exchange.instrument(order.symbol)
        said = shapes.answered if answer_type == "RESULT" else shapes.acknowledged
        return said(order, instrument)

    def test(self, ask: Ask) -> object:
        """Check an order and tell it back."""
        order = self._read(ask.params, ask.account)
        self.check(order)
        return shapes.acknowledged(order, self.exchange.instrument(order.symbol))

    def instrument(self, params: Params) -> Instrument:
        """Return the market a request is about."""
        symbol = params.required("symbol")
        if symbol not in self.exchange.tapes:
            raise unknown_symbol()
        return self.exchange.instrument(symbol)

    def side(self, params: Params) -> Side:
        """Read which way; positions are held one way only."""
        params.required("side")
        side = str(params.choice("side", ("BUY", "SELL"), lambda: BinanceError(-1117, "Invalid side.")))
        if params.given.get("positionSide", "BOTH") != "BOTH":
            raise BinanceError(-4061, "Order's position side does not match user's setting.")
        if "priceMatch" in params.given and params.given["priceMatch"] != "NONE":
            raise BinanceError(-1020, "This operation is not supported.")
        return Side[side]

    def _read(self, params: Params, account: str) -> SimOrder:
        instrument, side = self.instrument(params), self.side(params)
        kind = params.required("type")
        if kind in _CONDITIONAL:
            words = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
            raise BinanceError(-4120, words)
        if kind not in ("LIMIT", "MARKET"):
            raise BinanceError(-1116, "Invalid orderType.")
        limited = kind == "LIMIT"
        for name in ("price", "timeInForce"):
            if limited and name not in params.given:
                raise missing(name)
            if not limited and name in params.given:
                raise unwanted(name)
        if "stopPrice" in params.given:
            raise unwanted("stopPrice")
        tif = self.tif(params)
        price = self.price("price", params.needed("price"), instrument) if limited else None
        return self.exchange.draft(
            account, instrument.symbol, side, OrderType.LIMIT if limited else OrderType.MARKET,
            self.qty(params.needed("quantity"), instrument), price=price, time_in_force=tif,
            expire_ns=self.till(params, tif), reduce_only=params.flag("reduceOnly") or False,
            client_order_id=self.client_id(params, "newClientOrderId"), extra={"type": kind},
        )  # fmt: skip

    def tif(self, params: Params) -> TimeInForce:
        """Read the time in force, GTC unless said."""
        wrong = BinanceError(-1115, "Invalid timeInForce.")
        return TIFS[params.choice("timeInForce", TIFS, lambda: wrong) or "GTC"]

    def till(self, params: Params, tif: TimeInForce) -> int | None:
        """Read until when a GTD order lives; whole seconds count."""
        if tif is not TimeInForce.GTD:
            return None
        if "goodTillDate" not in params.given:
            raise missing("goodTillDate")
        till_ms = params.whole("goodTillDate") or 0
        if not self.exchange.clock.shown_ms() + GTD_LEAST_MS < till_ms < GTD_MOST_MS:
            words = (
                "The goodTillDate timestamp must be greater than the current time plus 600 seconds and smaller than "
                "253402300799000 (UTC 9999-12-31 23:59:59)"
            )
            raise BinanceError(-5040, words)
        return till_ms // 1000 * 1000 * MS

    def client_id(self, params: Params, name: str) -> str:
        """Read the client's own name of an order, or make one up."""
        given = params.given.get(name)
        if given is not None and len(given) > 36:
            raise BinanceError(-4015, "Client order id length should not be more than 36 chars")
        return params.text(name, CLIENT_ID) or new_id()

    def price(self, name: str, value: Decimal, instrument: Instrument) -> Decimal:
        """Refuse a price of more decimals than the market has."""
        if value <= 0:
            raise BinanceError(*((-4006, "Stop price less than zero.") if name == "triggerPrice" else _LESS_THAN_ZERO))
        return _precise(value, places(instrument.tick_size))

    def qty(self, value: Decimal, instrument: Instrument) -> Decimal:
        """Refuse a quantity of more decimals than the market has."""
        if value <= 0:
            raise BinanceError(-4003, "Quantity less than or equal to zero.")
        return _precise(value, places(instrument.qty_step))

    def put(self, order: SimOrder) -> None:
        """Let an order through filters and engine."""
        self.check(order)
        there = self.exchange.books[order.symbol].available(order.side, order.price)
        plain = order.type is OrderType.LIMIT
        if plain and order.time_in_force is TimeInForce.FOK and there < order.qty:
            words = "Due to the order could not be filled immediately, the FOK order has been rejected. "
            raise BinanceError(-5021, words + "The order will not be recorded in the order history")
        rejection = self.exchange.place(order)
        if rejection is not None:
            raise self.error(rejection, order)

    def check(self, order: SimOrder) -> None:
        """Refuse what the filters refuse, and a client id that is in use."""
        instrument = self.exchange.instrument(order.symbol)
        broken = None if order.close_all else filters.violated(order, instrument, self.exchange.mark(order.symbol))
        if broken is not None:
            raise self.error(Rejection(broken), order)
        mine = self.exchange.open_orders(order.account, order.symbol)
        if any(o.client_order_id == order.client_order_id for o in mine):
            raise BinanceError(-4116, "ClientOrderId is duplicated.")
        if order.type is OrderType.MARKET and self._beyond_band(order, instrument):
            words = "The counterparty's best price does not meet the PERCENT_PRICE filter limit."
            raise BinanceError(-4131, words)

    def _beyond_band(self, order: SimOrder, instrument: Instrument) -> bool:
        bid, ask = self.exchange.best(order.symbol)
        mark, up, down = self.exchange.mark(order.symbol), instrument.price_band_up, instrument.price_band_down
        if order.side is Side.BUY:
            return up is not None and ask > mark * up
        return down is not None and bid < mark * down

    def error(self, rejection: Rejection, order: SimOrder) -> BinanceError:
        """Return the engine's refusal in Binance's words."""
        code, instrument = rejection.code, self.exchange.instrument(order.symbol)
        if code is RefusalCode.PRICE_LIMIT:
            return self._price_error(order, instrument)
        if code is RefusalCode.MIN_NOTIONAL:
            least = instrument.min_notional
            return BinanceError(
                -4164, f"Order's notional must be no smaller than {least} (unless you choose reduce only)."
            )
        if code is RefusalCode.TOO_MANY_ORDERS:
            if "conditional" in rejection.says:
                return BinanceError(-4045, "Reach max stop order limit.")
            return BinanceError(-2025, "Reach max open order limit.")
        number, words = _WORDS[code]
        return BinanceError(number, words)

    def _price_error(self, order: SimOrder, instrument: Instrument) -> BinanceError:
        for price, name in ((order.price, "Price"), (order.stop_price, "Stop price")):
            if price is None:
                continue
            if instrument.max_price is not None and price > instrument.max_price:
                return BinanceError(-4002 if name == "Price" else -4007, f"{name} greater than max price.")
            if instrument.min_price is not None and price < instrument.min_price:
                return BinanceError(-4013, f"{name} less than min price.")
        mark, price = self.exchange.mark(order.symbol), order.price or Decimal(0)
        up, down = instrument.price_band_up, instrument.price_band_down
        if up is not None and price > mark * up:
            return BinanceError(-4016, f"Limit price can't be higher than {shapes.price_text(instrument, mark * up)}.")
        return BinanceError(
            -4024, f"Limit price can't be lower than {shapes.price_text(instrument, mark * (down or Decimal(0)))}."
        )

    # ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, params: Params, account: str) -> SimOrder | None:
        """Return the order of the matching engine that a request names."""
        symbol = self.instrument(params).symbol
        number, name = params.whole("orderId"), params.text("origClientOrderId")
        if number is None and name is None:
            raise missing("orderId")
        mine = (o for o in reversed(self.exchange.orders.values()) if o.account == account and o.symbol == symbol)
        engine = (o for o in mine if shapes.in_engine(o))
        if number is not None:
            return next((o for o in engine if shapes.order_id(o) == number), None)
        return next((o for o in engine if o.client_order_id == name), None)

    def modify(self, ask: Ask) -> object:
        """Change price and quantity in place; some changes end the order, as Binance's notes say."""
        params, order = ask.params, self.find(ask.params, ask.account)
        side = self.side(params)
        instrument = self.instrument(params)
        qty, price = (
            self.qty(params.needed("quantity"), instrument),
            self.price("price", params.needed("price"), instrument),
        )
        if order is None:
            raise no_such_order()
        if not order.is_open:
            raise unknown_order()
        if order.type is not OrderType.LIMIT:
            raise BinanceError(-5025, "Only limit order is supported.")
        if side is not order.side:
            raise BinanceError(-1117, "Invalid side.")
        if (qty, price) == (order.qty, order.price):
            raise BinanceError(-5027, "No need to modify the order.")
        times = int(order.extra.get("modified", 0)) + 1
        if times > MOST_MODIFICATIONS:
            raise BinanceError(-5026, "Exceed maximum modify order limit.")
        order.extra["modified"] = times
        rejection = self.exchange.amend(order, qty=qty, price=price)
        if rejection is not None:
            if rejection.code is RefusalCode.MIN_NOTIONAL:
                raise BinanceError(-5029, f"Order's notional must be no smaller than {instrument.min_notional}")
            if qty > order.filled_qty and rejection.code is not RefusalCode.WOULD_TAKE:
                raise self.error(rejection, order)
            self.exchange.cancel(order)
        return shapes.modified(order, instrument)

    def cancel(self, ask: Ask) -> object:
        """Cancel one order."""
        order = self.find(ask.params, ask.account)
        if order is None or not order.is_open:
            raise unknown_order()
        self.exchange.cancel(order)
        return shapes.answered(order, self.exchange.instrument(order.symbol))

    def cancel_all(self, ask: Ask) -> object:
        """Cancel every plain order of one market; conditional ones stay."""
        for order in self._open(ask.account, self.instrument(ask.params).symbol):
            self.exchange.cancel(order)
        return ALL_DONE

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self, account: str, symbol: str | None) -> list[SimOrder]:
        return [o for o in self.exchange.open_orders(account, symbol) if shapes.in_engine(o)]

    def _tell(self, order: SimOrder) -> dict[str, Any]:
        return shapes.told(order, self.exchange.instrument(order.symbol))

    def query(self, ask: Ask) -> object:
        """Tell one order."""
        order = self.find(ask.params, ask.account)
        if order is None:
            raise no_such_order()
        return self._tell(order)

    def query_open(self, ask: Ask) -> object:
        """Tell one order that is open."""
        order = self.find(ask.params, ask.account)
        if order is None or order.status not in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
            raise no_such_order()
        return self._tell(order)

    def open(self, ask: Ask) -> object:
        """Tell what is open, in one market or in all."""
        symbol = self.instrument(ask.params).symbol if "symbol" in ask.params.given else None
        return [self._tell(o) for o in self._open(ask.account, symbol)]

    def history(self, ask: Ask) -> object:
        """Tell orders of a week, oldest first."""
        params, symbol = ask.params, self.instrument(ask.params).symbol
        limit, first = params.limit(500, 1000), params.whole("orderId")
        start, end = week(params, self.exchange.now_ns // MS)
        mine = [
            o for o in self.exchange.orders.values()
            if o.account == ask.account and o.symbol == symbol and shapes.in_engine(o)
            and (first is None or shapes.order_id(o) >= first)
            and start <= o.created_ns // MS <= end
        ]  # fmt: skip
        page = mine[-limit:] if first is None and "startTime" not in params.given else mine[:limit]
        return [self._tell(o) for o in page]


WEEK_MS = 7 * 86_400_000
_LESS_THAN_ZERO = (-4001, "Price less than 0.")


def week(params: Params, now_ms: int) -> tuple[int, int]:
    """Return the span a list covers: at most seven days, the last ones unless said."""
    start, end = params.whole("startTime"), params.whole("endTime")
    if start is not None and end is not None:
        if start > end:
            raise BinanceError(-1023, "Start time is greater than end time.")
        if end - start > WEEK_MS:
            raise BinanceError(-4165, "Maximum time interval is 7 days")
        return start, end
    if start is not None:
        return start, start + WEEK_MS
    until = now_ms if end is None else end
    return until - WEEK_MS, until


def _precise(value: Decimal, most: int) -> Decimal:
    if places(value) > most:
        raise BinanceError(-1111, "Precision is over the maximum defined for this asset.")
    return value


def _open_weight(params: object) -> int:
    return 1 if isinstance(params, dict) and "symbol" in params else 40
