"""Read orders, fills, balances, quotes and bars out of the packets of MetaApi's stream, each once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from tradelab.adapters import metaapi_parse as parse
from tradelab.adapters.metaapi_bars import TIMEFRAMES
from tradelab.adapters.metaapi_sequence import Packet
from tradelab.adapters.metaapi_session import Market
from tradelab.adapters.metaapi_stream import Stream
from tradelab.model.account import Balance
from tradelab.model.market import Candle, Quote
from tradelab.model.orders import Fill, Order
from tradelab.model.units import Timeframe

Between = Callable[[int, int], Awaitable[Sequence[Candle]]]
"""Fetch the bars that open from one time (included) to another (not), closed ones."""


async def orders(stream: Stream, currency: str) -> AsyncGenerator[Order, None]:
    """Yield each order whenever it changes; its average price as far as its deals were told."""
    fills: dict[str, list[Fill]] = {}
    last: dict[str, Order] = {}
    async for packet in stream.packets():
        for made in _fills(packet, currency):
            mine = fills.setdefault(made.venue_order_id, [])
            if all(made.trade_id != known.trade_id for known in mine):
                mine.append(made)
        for raw in (*_rows(packet, "updatedOrders"), *_rows(packet, "historyOrders")):
            one = parse.read("order", parse.order, raw)
            if one is None:
                continue
            one = parse.with_average(one, fills.get(one.venue_order_id, ()))
            if last.get(one.venue_order_id) != one:
                last[one.venue_order_id] = one
                yield one


async def fills(stream: Stream, currency: str) -> AsyncGenerator[Fill, None]:
    """Yield each fill once."""
    known: set[str] = set()
    async for packet in stream.packets():
        for made in _fills(packet, currency):
            if made.trade_id not in known:
                known.add(made.trade_id)
                yield made


async def balances(stream: Stream) -> AsyncGenerator[Balance, None]:
    """Yield the account's money whenever it changes; zero, where nothing is left."""
    last: Balance | None = None
    async for packet in stream.packets():
        raw = packet.get("accountInformation")
        if not isinstance(raw, dict):
            continue
        told = parse.read("account", lambda r: parse.account(r, 0), raw)
        now = told.balance(str(told.currency))
        if now != last:
            last = now
            yield now


async def quotes(stream: Stream, symbol: str) -> AsyncGenerator[Quote, None]:
    """Yield best bid and ask as they change."""
    async for packet in stream.packets(Market(symbol)):
        for raw in _rows(packet, "prices"):
            if raw.get("symbol") == symbol:
                yield parse.read("price", parse.quote, raw)


async def candles(stream: Stream, symbol: str, timeframe: Timeframe, between: Between) -> AsyncGenerator[Candle, None]:
    """Yield the forming bar as it changes, and each bar once it is closed.

    MetaApi does not say when a bar is closed, and its last word on one may be lost to throttling: when the next one has
    opened, what closed is asked of the history.
    """
    name, forming = TIMEFRAMES[timeframe], None
    async for packet in stream.packets(Market(symbol, name)):
        for raw in _rows(packet, "candles"):
            if (raw.get("symbol"), raw.get("timeframe")) != (symbol, name):
                continue
            bar = parse.read("candle", parse.candle, raw)
            if forming is not None and bar.open_ns < forming.open_ns:
                continue
            if forming is not None and bar.open_ns > forming.open_ns:
                for closed in await between(forming.open_ns, bar.open_ns):
                    yield replace(closed, closed=True)
            forming = bar
            yield bar


def _fills(packet: Packet, currency: str) -> list[Fill]:
    made = [parse.read("deal", lambda r: parse.fill(r, currency), raw) for raw in _rows(packet, "deals")]
    return [f for f in made if f is not None]


def _rows(packet: Packet, name: str) -> list[dict[str, Any]]:
    rows = packet.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
