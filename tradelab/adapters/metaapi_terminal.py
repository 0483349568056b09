"""Ask one trading account everything: its money, orders, deals, symbols, prices and bars, and trade on it.

Paths: https://metaapi.cloud/docs/client/restApi/api/.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote as quoted
from weakref import WeakValueDictionary

from tradelab.adapters import metaapi_parse as parse
from tradelab.adapters.metaapi_bars import TIMEFRAMES
from tradelab.adapters.metaapi_settings import Hosts
from tradelab.adapters.metaapi_wire import Reply, Wire, dumps
from tradelab.model.account import AccountInfo, Position
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.orders import Fill, Order
from tradelab.model.units import Timeframe

_PAGE = 1000
_AT_ONCE = 5  # specifications asked for at the same time


class Terminal:
    """The account's terminal in MetaApi's cloud; ``currency`` is the account's, once it has been asked."""

    def __init__(self, wire: Wire, hosts: Hosts, account_id: str) -> None:
        self._wire = wire
        of = f"/users/current/accounts/{quoted(account_id, safe='')}"
        self._client, self._market = hosts.client + of, f"{hosts.market}{of}/historical-market-data"
        self.currency = ""
        self._by_name: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def alone(self, client_order_id: str) -> asyncio.Lock:
        """Return what lets one task at a time send an order of that name."""
        lock = self._by_name.get(client_order_id) or asyncio.Lock()
        self._by_name[client_order_id] = lock
        return lock

    # ── the account ──────────────────────────────────────────────────────────────────────────────────────────────

    async def raw_account(self) -> dict[str, Any]:
        """Return the account as MetaApi tells it."""
        raw = await self._wire.get(f"{self._client}/account-information")
        if not isinstance(raw, dict):
            raise RequestError("MetaApi's account cannot be read: it is no object.")
        self.currency = str(raw.get("currency", self.currency))
        return raw

    async def account(self, ts_ns: int) -> AccountInfo:
        """Return the account's money."""
        return parse.read("account", lambda raw: parse.account(raw, ts_ns), await self.raw_account())

    async def raw_positions(self) -> list[dict[str, Any]]:
        """Return open positions as MetaApi tells them."""
        return parse.read("positions", list, await self._wire.get(f"{self._client}/positions"))

    async def positions(self) -> list[Position]:
        """Return open positions."""
        return [parse.read("position", parse.position, raw) for raw in await self.raw_positions()]

    async def raw_open_orders(self) -> list[dict[str, Any]]:
        """Return open orders as MetaApi tells them."""
        rows = await self._wire.get(f"{self._client}/orders")
        return parse.read("orders", list, rows)

    async def open_orders(self) -> list[Order]:
        """Return open orders."""
        return _orders(await self.raw_open_orders())

    async def time_ns(self) -> int:
        """Return the venue's time."""
        raw = await self._wire.get(f"{self._client}/server-time")
        return parse.read("time", lambda r: parse.time_ns(r["time"]) or _no_time(), raw)

    # ── its history ──────────────────────────────────────────────────────────────────────────────────────────────

    async def history_orders(self, since_ns: int, until_ns: int) -> list[Order]:
        """Return orders that were done in a span."""
        return _orders(await self._paged("history-orders", since_ns, until_ns))

    async def history_order(self, ticket: str) -> list[Order]:
        """Return the done order of that ticket, if there is one."""
        return _orders(await self._wire.get(f"{self._client}/history-orders/ticket/{quoted(ticket, safe='')}"))

    async def fills(self, since_ns: int, until_ns: int) -> list[Fill]:
        """Return deals that were made in a span."""
        return self._fills(await self._paged("history-deals", since_ns, until_ns))

    async def fills_of_position(self, position_id: str) -> list[Fill]:
        """Return the deals of one position."""
        rows = await self._wire.get(f"{self._client}/history-deals/position/{quoted(position_id, safe='')}")
        return self._fills(rows)

    async def _paged(self, what: str, since_ns: int, until_ns: int) -> list[Any]:
        """Return all rows of a span, however many pages they fill; the span's end stands still meanwhile."""
        start, end = parse.iso(since_ns), parse.iso(until_ns)
        rows: dict[str, Any] = {}
        offset = 0
        while True:
            page = await self._wire.get(f"{self._client}/{what}/time/{start}/{end}", offset=offset, limit=_PAGE)
            rows |= parse.read(what, lambda raw: {str(r["id"]): r for r in raw}, page)
            if len(page) < _PAGE:
                return list(rows.values())
            offset += len(page)

    def _fills(self, rows: Any) -> list[Fill]:
        made = parse.read("deals", lambda raw: [parse.fill(r, self.currency) for r in raw], rows)
        return sorted((f for f in made if f is not None), key=lambda f: (f.ts_ns, f.trade_id))

    # ── the market ───────────────────────────────────────────────────────────────────────────────────────────────

    async def symbols(self) -> list[str]:
        """Return the symbols the broker lists."""
        return parse.read("symbols", lambda raw: [str(s) for s in raw], await self._wire.get(f"{self._client}/symbols"))

    async def specifications(self, symbols: Sequence[str], venue: str) -> dict[str, parse.Specification]:
        """Return what each symbol asks of an order, a few asked for at once."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(symbol: str) -> parse.Specification:
            async with gate:
                raw = await self._wire.get(f"{self._client}/symbols/{quoted(symbol, safe='')}/specification")
            return parse.read(f"{symbol}", lambda r: parse.specification(r, venue, self.currency), raw)

        found = await asyncio.gather(*(one(symbol) for symbol in symbols))
        return dict(zip(symbols, found, strict=True))

    async def quote(self, symbol: str) -> Quote:
        """Return best bid and ask; the broker goes on telling this symbol's price to MetaApi for the next."""
        url = f"{self._client}/symbols/{quoted(symbol, safe='')}/current-price"
        return parse.read("price", parse.quote, await self._wire.get(url, keepSubscription="true"))

    async def candles(self, symbol: str, timeframe: Timeframe, until_ns: int | None, count: int) -> list[Candle]:
        """Return the last bars that open no later than ``until_ns``, or the newest, in the order of time."""
        url = f"{self._market}/symbols/{quoted(symbol, safe='')}/timeframes/{TIMEFRAMES[timeframe]}/candles"
        asked: dict[str, str | int] = {} if until_ns is None else {"startTime": parse.iso(until_ns)}
        rows = self._wire.told(await self._wire.ask("GET", url, params={"limit": count, **asked}))
        bars = parse.read("candles", lambda raw: [parse.candle(r) for r in raw], rows)
        return sorted({bar.open_ns: bar for bar in bars}.values(), key=lambda bar: bar.open_ns)

    async def ticks(self, symbol: str, limit: int) -> list[Tick]:
        """Return the newest ticks."""
        url = f"{self._market}/symbols/{quoted(symbol, safe='')}/ticks"
        return parse.read("ticks", parse.ticks, await self._wire.get(url, limit=min(limit, _PAGE)))

    # ── trading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def trade(self, trade: dict[str, Any]) -> Reply:
        """Send one trade, once."""
        return await self._wire.ask("POST", f"{self._client}/trade", body=dumps(trade))


def _orders(rows: Any) -> list[Order]:
    read = parse.read("orders", lambda raw: [parse.order(r) for r in raw], rows)
    return [o for o in read if o is not None]


def _no_time() -> int:
    raise ConnectivityError("MetaApi did not tell its time.", fix="Try again later.")
