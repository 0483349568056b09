"""Speak Binance USDⓈ-M futures: REST under ``/fapi``, streams by kind, user data by listen key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from tradelab.rehearsal.dialect import Call, Desk, Endpoint
from tradelab.rehearsal.dialects import binance_usdm_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Door, Limits
from tradelab.rehearsal.dialects.binance_errors import BinanceError
from tradelab.rehearsal.dialects.binance_market import Market, Style
from tradelab.rehearsal.dialects.binance_params import whole_or
from tradelab.rehearsal.dialects.binance_rights import rights_route
from tradelab.rehearsal.dialects.binance_usdm_account import UsdmAccount
from tradelab.rehearsal.dialects.binance_usdm_algo import UsdmAlgo
from tradelab.rehearsal.dialects.binance_usdm_info import UsdmInfo
from tradelab.rehearsal.dialects.binance_usdm_orders import UsdmOrders
from tradelab.rehearsal.dialects.binance_usdm_streams import UsdmStreams
from tradelab.rehearsal.dialects.binance_usdm_user import PING_S, UsdmUserStream
from tradelab.rehearsal.events import CandleChanged, Event, MoneyChanged, OrderChanged, Traded
from tradelab.rehearsal.faults import Fault, Script
from tradelab.rehearsal.meter import Scope, Verdict

# developers.binance.com, USDⓈ-M futures, "General Info" and the weight of each address (2025-12).
WEIGHT_PER_MIN = 2400
ORDERS_PER_10S = 300
ORDERS_PER_MIN = 1200
FAULTS = {
    Fault.FILTER: BinanceError(-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
    Fault.BALANCE: BinanceError(-2019, "Margin is insufficient."),
}


def _by_limit(default: str, *steps: tuple[int, int]) -> Callable[[Mapping[str, str]], int]:
    def weigh(params: Mapping[str, str]) -> int:
        limit = whole_or(int(default), params.get("limit"))
        return next((weight for most, weight in steps if limit <= most), steps[-1][1])

    return weigh


def _by_symbol(one: int, all_of_them: int) -> Callable[[Mapping[str, str]], int]:
    return lambda params: one if "symbol" in params else all_of_them


PUBLIC_WEIGHTS: dict[str, Any] = {
    "ping": 1, "time": 1, "klines": _by_limit("500", (99, 1), (499, 2), (1000, 5), (1500, 10)),
    "depth": _by_limit("500", (50, 2), (100, 5), (500, 10), (1000, 20)), "trades": 5, "aggTrades": 20,
    "ticker/24hr": _by_symbol(1, 40), "ticker/price": _by_symbol(1, 2), "ticker/bookTicker": _by_symbol(2, 5),
}  # fmt: skip


class BinanceUsdm:
    """The dialect: one door, a market, plain and conditional orders, an account, four kinds of sockets."""

    name = "binanceusdm"

    def __init__(self, desk: Desk) -> None:
        weight = desk.exchange.setup.weight_per_min or WEIGHT_PER_MIN
        limits = Limits(
            Scope("REQUEST_WEIGHT", weight, 60),
            (
                (Scope("ORDERS_10S", ORDERS_PER_10S, 10), "x-mbx-order-count-10s", "10 SECOND"),
                (Scope("ORDERS_1M", ORDERS_PER_MIN, 60), "x-mbx-order-count-1m", "1 MINUTE"),
            ),
        )
        style = Style(
            "/fapi/v1", shapes.price_text, shapes.qty_text, shapes.worth_text,
            most_candles=1500, most_levels=1000, is_futures=True,
        )  # fmt: skip
        self.door = Door(desk, limits, FAULTS, strict=False)
        self.market = Market(desk.exchange, style)
        self.info = UsdmInfo(self.market, limits)
        self.orders = UsdmOrders(desk.exchange)
        self.algo = UsdmAlgo(desk.exchange, self.orders)
        self.account = UsdmAccount(desk.exchange, self.orders)
        self.streams = UsdmStreams(desk.hub, self.market, self.info, ping_s=PING_S)
        self.users = UsdmUserStream(desk.hub, self.account, self.algo)

    @property
    def unknown_params(self) -> list[tuple[str, str]]:
        """Parameters that were sent and nobody reads: Binance lets them pass on futures, so a test must look."""
        return self.door.unknown_params

    def endpoints(self) -> list[Endpoint]:
        """Return every REST address."""
        parts = (self.info, self.orders, self.algo, self.account, self.users)
        routes = self.market.routes(PUBLIC_WEIGHTS) + [r for part in parts for r in part.routes()]
        return [self.door.endpoint(r) for r in [*routes, rights_route(self.door.desk.exchange)]]

    def sockets(self) -> list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Return the sockets: of books, of other market data, of accounts; ``/ws`` and ``/stream`` are the old ones."""
        raw, combined, user = self.streams.raw, self.streams.combined, self.users.serve
        found: list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = []
        for root in ("/public", "/market"):
            found += [(f"{root}/ws", raw), (f"{root}/ws/{{streams:.*}}", raw), (f"{root}/stream", combined)]
        found += [("/private/ws", user), ("/private/ws/{key}", user), ("/ws/{key:[0-9a-f]{64}}", user)]
        return [*found, ("/ws", raw), ("/ws/{streams:.*}", raw), ("/stream", combined)]

    def on_event(self, event: Event) -> None:
        """Turn what happened into frames."""
        if isinstance(event, Traded):
            self.users.expire_keys()
            self.streams.traded(event, self.market.note(event))
        elif isinstance(event, CandleChanged):
            self.streams.candle(event)
        elif isinstance(event, OrderChanged):
            self.users.order(event)
            if event.fill is not None:
                self.market.book_numbers[event.order.symbol] += 1
                self.streams.book(event.order.symbol)
                self.streams.liquidated(event.order, event.fill)
        elif isinstance(event, MoneyChanged):
            self.users.money(event)

    def fault(self, script: Script, call: Call) -> web.Response:
        """Return the venue's own words for a fault."""
        return self.door.fault(script)

    def turned_away(self, verdict: Verdict, call: Call) -> web.Response:
        """Return the answer to one who asked too much."""
        return self.door.turned_away(verdict, call)

    def finish(self, response: web.Response, call: Call) -> web.Response:
        """Add the weight used, and let leverages that were set be heard of."""
        self.users.leverage()
        return self.door.finish(response, call)


def make(desk: Desk) -> BinanceUsdm:
    """Make the dialect."""
    return BinanceUsdm(desk)
