"""Keep USDⓈ-M conditional orders: placed, triggered into the matching engine, cancelled with the position."""

from __future__ import annotations

from decimal import Decimal

from tradelab.model.orders import OrderStatus, OrderType, Side
from tradelab.rehearsal.dialects import binance_usdm_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Ask, Route, Security
from tradelab.rehearsal.dialects.binance_errors import BinanceError, missing, no_such_order, unknown_order, unwanted
from tradelab.rehearsal.dialects.binance_params import Params, names
from tradelab.rehearsal.dialects.binance_usdm_orders import ALL_DONE, UsdmOrders, week
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.orders import SimOrder

MS = 1_000_000
TYPES = {
    "STOP": OrderType.STOP_LIMIT,
    "STOP_MARKET": OrderType.STOP,
    "TAKE_PROFIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT_MARKET": OrderType.STOP,
}
PLACING = names(
    "algoType symbol side positionSide type timeInForce quantity price triggerPrice workingType priceMatch "
    "closePosition priceProtect reduceOnly activatePrice callbackRate clientAlgoId newOrderRespType "
    "selfTradePreventionMode goodTillDate"
)
# ccxt sends the symbol along when it cancels or asks by id; the address does not list it
_NAMED = names("algoId clientAlgoId symbol")


class UsdmAlgo:
    """The algo service."""

    def __init__(self, exchange: Exchange, orders: UsdmOrders) -> None:
        self.exchange = exchange
        self.orders = orders

    def routes(self) -> list[Route]:
        """Return the addresses of conditional orders."""
        signed, root = Security.SIGNED, "/fapi/v1"
        listing = names("symbol algoId startTime endTime page limit")
        return [
            Route("POST", f"{root}/algoOrder", "submit", self.place, 0, signed, PLACING, orders=1),
            Route("DELETE", f"{root}/algoOrder", "cancel", self.cancel, 1, signed, _NAMED),
            Route("DELETE", f"{root}/algoOpenOrders", "cancel_all", self.cancel_all, 1, signed, names("symbol")),
            Route("GET", f"{root}/algoOrder", "order", self.query, 1, signed, _NAMED),
            Route("GET", f"{root}/openAlgoOrders", "open_orders", self.open, _open_weight, signed,
                  names("algoType symbol algoId")),
            Route("GET", f"{root}/allAlgoOrders", "order", self.history, 5, signed, listing),
        ]  # fmt: skip

    def place(self, ask: Ask) -> object:
        """Take a conditional order."""
        order = self._read(ask.params, ask.account)
        ask.params.choice("newOrderRespType", ("ACK", "RESULT"))
        self.orders.put(order)
        return shapes.algo_placed(order, self.exchange.instrument(order.symbol))

    def _read(self, params: Params, account: str) -> SimOrder:
        params.required("algoType")
        params.choice("algoType", ("CONDITIONAL",))
        instrument, side = self.orders.instrument(params), self.orders.side(params)
        params.required("type")
        kind = str(params.choice("type", TYPES, lambda: BinanceError(-1116, "Invalid orderType.")))
        working = params.choice("workingType", ("MARK_PRICE", "CONTRACT_PRICE"), _bad_working_type)
        trigger = self.orders.price("triggerPrice", params.needed("triggerPrice"), instrument)
        price = None
        if TYPES[kind].needs_price:
            price = self.orders.price("price", params.needed("price"), instrument)
        elif "price" in params.given:
            raise unwanted("price")
        close_all = self._closes_all(params, kind, account, instrument.symbol, side)
        tif = self.orders.tif(params)
        qty = Decimal(0) if close_all else self.orders.qty(params.needed("quantity"), instrument)
        return self.exchange.draft(
            account, instrument.symbol, side, TYPES[kind], qty, price=price, stop_price=trigger,
            time_in_force=tif, expire_ns=self.orders.till(params, tif), close_all=close_all,
            reduce_only=close_all or params.flag("reduceOnly") or False,
            trigger_rises=(side is Side.BUY) == kind.startswith("STOP"), pays_when_triggered=True,
            trigger_by_mark=working == "MARK_PRICE", client_order_id=self.orders.client_id(params, "clientAlgoId"),
            extra={"type": kind, "workingType": working or "CONTRACT_PRICE"},
        )  # fmt: skip

    def _closes_all(self, params: Params, kind: str, account: str, symbol: str, side: Side) -> bool:
        """Read whether it closes the whole position, and refuse what cannot go with that."""
        if not params.flag("closePosition"):
            return False
        if kind not in ("STOP_MARKET", "TAKE_PROFIT_MARKET"):
            raise unwanted("closePosition")
        if "quantity" in params.given:
            raise BinanceError(-4137, "Quantity must be zero with closePosition equals true.")
        if "reduceOnly" in params.given:
            raise unwanted("reduceOnly")
        if not self.exchange.ledgers[account].closable(_probe(self.exchange, account, symbol, side)):
            words = "Time in Force (TIF) GTE can only be used with open positions. Please ensure that positions are "
            raise BinanceError(-4509, words + "available.")
        mine = (o for o in self.exchange.open_orders(account, symbol) if o.close_all and o.side is side)
        if any(shapes.type_of(o) == kind for o in mine):
            words = "An open stop or take profit order with GTE and closePosition in the direction is existing."
            raise BinanceError(-4130, words)
        return True

    # ── what is there ────────────────────────────────────────────────────────────────────────────────────────────

    def _mine(self, account: str, symbol: str | None = None) -> list[SimOrder]:
        orders = self.exchange.orders.values()
        return [o for o in orders if o.account == account and shapes.is_algo(o) and symbol in (None, o.symbol)]

    def _find(self, params: Params, account: str) -> SimOrder | None:
        number, name = params.whole("algoId"), params.text("clientAlgoId")
        if number is None and name is None:
            raise missing("algoId")
        mine = reversed(self._mine(account))
        return next(
            (o for o in mine if (o.number == number if number is not None else o.client_order_id == name)), None
        )

    def cancel(self, ask: Ask) -> object:
        """Cancel one that waits; one that has been triggered is the engine's."""
        order = self._find(ask.params, ask.account)
        if order is None or order.status is not OrderStatus.UNTRIGGERED:
            raise unknown_order()
        self.exchange.cancel(order)
        return {"algoId": order.number, "clientAlgoId": order.client_order_id, "code": "200", "msg": "success"}

    def cancel_all(self, ask: Ask) -> object:
        """Cancel all that wait in one market."""
        symbol = self.orders.instrument(ask.params).symbol
        for order in [o for o in self._mine(ask.account, symbol) if o.status is OrderStatus.UNTRIGGERED]:
            self.exchange.cancel(order)
        return ALL_DONE

    def query(self, ask: Ask) -> object:
        """Tell one."""
        order = self._find(ask.params, ask.account)
        if order is None:
            raise no_such_order()
        return shapes.algo_told(order, self.exchange.instrument(order.symbol))

    def open(self, ask: Ask) -> object:
        """Tell all that wait."""
        symbol = self.orders.instrument(ask.params).symbol if "symbol" in ask.params.given else None
        ask.params.choice("algoType", ("CONDITIONAL",))
        number = ask.params.whole("algoId")
        waiting = [o for o in self._mine(ask.account, symbol) if o.status is OrderStatus.UNTRIGGERED]
        return [shapes.algo_told(o, self.exchange.instrument(o.symbol)) for o in waiting if number in (None, o.number)]

    def history(self, ask: Ask) -> object:
        """Tell those of a week, oldest first."""
        params, instrument = ask.params, self.orders.instrument(ask.params)
        limit, first, page = params.limit(500, 1000), params.whole("algoId"), params.whole("page") or 0
        start, end = week(params, self.exchange.now_ns // MS)
        mine = [
            o for o in self._mine(ask.account, instrument.symbol)
            if (first is None or o.number >= first) and start <= o.created_ns // MS <= end
        ]  # fmt: skip
        return [shapes.algo_told(o, instrument) for o in mine[page * limit :][:limit]]

    # ── what happens by itself ───────────────────────────────────────────────────────────────────────────────────

    def enter_engine(self, order: SimOrder) -> None:
        """Give a triggered order its number in the matching engine."""
        order.extra["actual"] = self.exchange.number()

    def drop_with_position(self, account: str, symbol: str) -> None:
        """Let orders that close a position expire with it."""
        for order in [o for o in self.exchange.open_orders(account, symbol) if o.close_all]:
            closes = self.exchange.ledgers[account].closable(order)
            if order.status is OrderStatus.UNTRIGGERED and not closes:
                self.exchange.expire(order, "position closed")


def _probe(exchange: Exchange, account: str, symbol: str, side: Side) -> SimOrder:
    return exchange.draft(account, symbol, side, OrderType.STOP, Decimal(0))


def _bad_working_type() -> BinanceError:
    return BinanceError(-4031, "Invalid parameter working type.")


def _open_weight(params: object) -> int:
    return 1 if isinstance(params, dict) and "symbol" in params else 40
