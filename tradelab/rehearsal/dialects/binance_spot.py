"""Speak Binance spot: REST under ``/api/v3``, public streams under ``/ws``, user data over ``/ws-api/v3``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from tradelab.rehearsal.dialect import Call, Desk, Endpoint
from tradelab.rehearsal.dialects import binance_spot_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Door, Limits
from tradelab.rehearsal.dialects.binance_errors import BinanceError
from tradelab.rehearsal.dialects.binance_market import Market, Style
from tradelab.rehearsal.dialects.binance_params import whole_or
from tradelab.rehearsal.dialects.binance_rights import rights_route
from tradelab.rehearsal.dialects.binance_spot_account import SpotAccount
from tradelab.rehearsal.dialects.binance_spot_info import SpotInfo
from tradelab.rehearsal.dialects.binance_spot_orders import SpotOrders
from tradelab.rehearsal.dialects.binance_spot_user import PING_S, UserStream
from tradelab.rehearsal.dialects.binance_streams import Streams
from tradelab.rehearsal.events import CandleChanged, Event, MoneyChanged, OrderChanged, Traded
from tradelab.rehearsal.faults import Fault, Script
from tradelab.rehearsal.meter import Scope, Verdict

# developers.binance.com, spot REST API, "Limits" and the request weight of each address (2025-11).
WEIGHT_PER_MIN = 6000
ORDERS_PER_10S = 100
ORDERS_PER_DAY = 200_000
FAULTS = {
    Fault.FILTER: BinanceError(-1013, "Filter failure: NOTIONAL"),
    Fault.BALANCE: BinanceError(-2010, "Account has insufficient balance for requested action."),
}


def _depth(params: Mapping[str, str]) -> int:
    limit = whole_or(100, params.get("limit"))
    return next((weight for most, weight in ((100, 5), (500, 25), (1000, 50)) if limit <= most), 250)


def _by_symbol(one: int, all_of_them: int) -> Callable[[Mapping[str, str]], int]:
    return lambda params: one if "symbol" in params else all_of_them


PUBLIC_WEIGHTS: dict[str, Any] = {
    "ping": 1, "time": 1, "klines": 2, "depth": _depth, "trades": 25, "aggTrades": 4,
    "ticker/24hr": _by_symbol(2, 80), "ticker/price": _by_symbol(2, 4), "ticker/bookTicker": _by_symbol(2, 4),
}  # fmt: skip


class BinanceSpot:
    """The dialect: one door, a market, an account's desk, two kinds of sockets."""

    name = "binance"

    def __init__(self, desk: Desk) -> None:
        weight = desk.exchange.setup.weight_per_min or WEIGHT_PER_MIN
        limits = Limits(
            Scope("REQUEST_WEIGHT", weight, 60),
            (
                (Scope("ORDERS_10S", ORDERS_PER_10S, 10), "x-mbx-order-count-10s", "10 SECOND"),
                (Scope("ORDERS_1D", ORDERS_PER_DAY, 86_400), "x-mbx-order-count-1d", "1 DAY"),
            ),
        )
        price = shapes.price_text
        style = Style("/api/v3", price, price, price, most_candles=1000, most_levels=5000, is_futures=False)
        self.door = Door(desk, limits, FAULTS, strict=True)
        self.market = Market(desk.exchange, style)
        self.orders = SpotOrders(desk.exchange)
        self.account = SpotAccount(desk.exchange, self.orders)
        self.info = SpotInfo(self.market, limits)
        self.streams = Streams(desk.hub, self.market, ping_s=PING_S)
        self.users = UserStream(self.door, desk.hub, self.account)

    def endpoints(self) -> list[Endpoint]:
        """Return every REST address."""
        public = self.market.routes(PUBLIC_WEIGHTS) + self.info.routes()
        private = [*self.orders.routes(), *self.account.routes(), rights_route(self.door.desk.exchange)]
        return [self.door.endpoint(r) for r in public + private]

    def sockets(self) -> list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Return the sockets.

        ``/stream/ws`` is ``/ws`` once more: ccxt tells spot from futures by ``/stream`` in the address, which the real
        one has in its host name (``stream.binance.com``).
        """
        raw, combined = self.streams.raw, self.streams.combined
        public = [(f"{root}/ws{rest}", raw) for root in ("", "/stream") for rest in ("", "/{streams:.*}")]
        return [*public, ("/stream", combined), ("/ws-api/v3", self.users.serve)]

    def on_event(self, event: Event) -> None:
        """Turn what happened into frames."""
        if isinstance(event, Traded):
            self.streams.traded(event, self.market.note(event))
        elif isinstance(event, CandleChanged):
            self.streams.candle(event)
        elif isinstance(event, OrderChanged):
            self.users.order(event)
            if event.fill is not None and not event.fill.maker:
                self.market.book_numbers[event.order.symbol] += 1
                self.streams.book(event.order.symbol)
        elif isinstance(event, MoneyChanged):
            self.users.money(event)

    def fault(self, script: Script, call: Call) -> web.Response:
        """Return the venue's own words for a fault."""
        return self.door.fault(script)

    def turned_away(self, verdict: Verdict, call: Call) -> web.Response:
        """Return the answer to one who asked too much."""
        return self.door.turned_away(verdict, call)

    def finish(self, response: web.Response, call: Call) -> web.Response:
        """Add the weight used."""
        return self.door.finish(response, call)


def make(desk: Desk) -> BinanceSpot:
    """Make the dialect."""
    return BinanceSpot(desk)
