"""Push Binance's public streams: subscribe by message or by address, raw or combined."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

from tradelab.model.instrument import Instrument
from tradelab.model.units import Timeframe
from tradelab.rehearsal.dialects.binance_depth import CHANNEL, Depth
from tradelab.rehearsal.dialects.binance_errors import BinanceError
from tradelab.rehearsal.dialects.binance_market import Market, PublicTrade, interval
from tradelab.rehearsal.events import CandleChanged, Traded
from tradelab.rehearsal.hub import Hub, Session, converse
from tradelab.rehearsal.reading import from_json

MS = 1_000_000
COMBINED = "#combined"  # a topic's suffix where its frames carry the stream's name
MOST_STREAMS = 1024
Socket = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Streams:
    """The public sockets of one market and all who listen.

    Parameters
    ----------
    ping_s
        How often the venue pings: 20 s on spot, 180 s on futures.
    """

    def __init__(self, hub: Hub, market: Market, *, ping_s: float) -> None:
        self.hub = hub
        self.market = market
        self.depth = Depth(market)
        self._ping_s = ping_s
        self._told_top: dict[str, tuple[str, str, str, str]] = {}

    # ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────

    def raw(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Serve ``/ws`` and ``/ws/<stream>/<stream>``; what is no stream's name only names the socket."""
        names = [n for n in request.match_info.get("streams", "").split("/") if "@" in n]
        return self._serve(request, names, "")

    def combined(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Serve ``/stream?streams=<stream>/<stream>``."""
        names = [n for n in request.query.get("streams", "").split("/") if n]
        return self._serve(request, names, COMBINED)

    async def _serve(self, request: web.Request, names: list[str], suffix: str) -> web.StreamResponse:
        def begin(session: Session) -> None:
            session.topics[f"{suffix}"] = None  # so that a script can find sockets that listen to nothing yet
            self._subscribe(session, names, suffix)

        async def read(session: Session, text: str) -> None:
            session.push(json.dumps(self._obey(session, text, suffix)))

        return await converse(
            request, self.hub, read, on_open=begin, on_close=self._release_all, heartbeat=self._ping_s
        )

    def _obey(self, session: Session, text: str, suffix: str) -> dict[str, Any]:
        """Do what a message asks and return the answer."""
        try:
            asked = from_json(text)
        except ValueError as error:
            return _no(3, f"Invalid JSON: {error}", None)
        if not isinstance(asked, dict):
            return _no(2, "Invalid request: request must be an object", None)
        number, method, params = asked.get("id"), asked.get("method"), asked.get("params", [])
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": [t.removesuffix(COMBINED) for t in session.topics if "@" in t], "id": number}
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _no(2, f"Invalid request: unknown variant {method}", number)
        if not isinstance(params, list) or not all(isinstance(p, str) for p in params):
            return _no(2, "Invalid request: params must be an array of strings", number)
        if method == "UNSUBSCRIBE":
            for name in params:
                self._release(session, name + suffix)
        elif len(session.topics) + len(params) > MOST_STREAMS:
            return _no(2, f"Invalid request: max streams exceeded {MOST_STREAMS}", number)
        else:
            self._subscribe(session, params, suffix)
        return {"result": None, "id": number}

    def _subscribe(self, session: Session, names: Iterable[str], suffix: str) -> None:
        for name in names:
            if name + suffix in session.topics:
                continue
            watched = self._watched(name)
            session.topics[name + suffix] = watched
            symbol, _, channel = name.partition("@")
            if CHANNEL.match(channel):
                self.depth.begin(symbol.upper())
            if watched is not None:
                self.market.exchange.watches.add(*watched)

    def _watched(self, name: str) -> tuple[str, Timeframe] | None:
        """Return the series a kline stream needs; a stream of an unknown market is accepted and stays silent."""
        symbol, _, channel = name.partition("@")
        if not channel.startswith("kline_") or symbol.upper() not in self.market.exchange.tapes:
            return None
        try:
            return symbol.upper(), interval(channel.removeprefix("kline_"))
        except BinanceError:
            return None

    def _release(self, session: Session, topic: str) -> None:
        watched = session.topics.pop(topic, None)
        if watched is not None:
            self.market.exchange.watches.remove(*watched)

    def _release_all(self, session: Session) -> None:
        for topic in list(session.topics):
            self._release(session, topic)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, name: str, frame: Callable[[], object]) -> None:
        if self.hub.has(name):
            self.hub.publish(name, frame())
        if self.hub.has(name + COMBINED):
            self.hub.publish(name + COMBINED, {"stream": name, "data": frame()})

    def traded(self, event: Traded, trade: PublicTrade) -> None:
        """Push a trade to whom it concerns, and what it changed."""
        instrument, name = self.market.instrument(event.symbol), event.symbol.lower()
        self._send(f"{name}@trade", lambda: self._trade(instrument, trade))
        self._send(
            f"{name}@aggTrade", lambda: self._head("aggTrade", instrument) | self.market.aggregate(instrument, trade)
        )
        self._send(f"{name}@ticker", lambda: self._ticker(instrument))
        self._send(f"{name}@miniTicker", lambda: self._mini(instrument))
        self.book(event.symbol)

    def book(self, symbol: str) -> None:
        """Push a changed book, and best bid and ask when they have changed."""
        instrument, name = self.market.instrument(symbol), symbol.lower()
        self.depth.push(symbol, self._head("depthUpdate", instrument), self._send)
        now = self.market.top(instrument)
        if self._told_top.get(symbol) != now:
            self._told_top[symbol] = now
            self._send(f"{name}@bookTicker", lambda: self._book_ticker(instrument, now))

    def candle(self, event: CandleChanged) -> None:
        """Push a candle that formed or closed."""
        instrument, alias = self.market.instrument(event.symbol), event.timeframe.alias
        self._send(f"{event.symbol.lower()}@kline_{alias}", lambda: self._kline(instrument, event))

    def _head(self, event: str, instrument: Instrument) -> dict[str, Any]:
        return {"e": event, "E": self.market.exchange.clock.shown_ms(), "s": instrument.symbol}

    def _kline(self, instrument: Instrument, event: CandleChanged) -> dict[str, Any]:
        told = self.market.told(instrument, event.timeframe, event.candle)
        trades = self.market.trades[instrument.symbol]
        last = trades[-1].number if trades else -1
        more = {"s": instrument.symbol, "i": event.timeframe.alias, "f": max(1, last - told["n"] + 1), "L": last}
        return self._head("kline", instrument) | {"k": told | more | {"x": event.candle.closed}}

    def _trade(self, instrument: Instrument, trade: PublicTrade) -> dict[str, Any]:
        style = self.market.style
        told = self._head("trade", instrument) | {
            "t": trade.number, "p": style.price(instrument, trade.price), "q": style.qty(instrument, trade.qty),
            "T": trade.ts_ns // MS, "m": trade.buyer_is_maker,
        }  # fmt: skip
        return told if style.is_futures else told | {"M": True}

    def _book_ticker(self, instrument: Instrument, top: tuple[str, str, str, str]) -> dict[str, Any]:
        bid, bid_qty, ask, ask_qty = top
        told: dict[str, Any] = {"u": self.market.book_numbers[instrument.symbol], "s": instrument.symbol}
        told |= {"b": bid, "B": bid_qty, "a": ask, "A": ask_qty}
        if not self.market.style.is_futures:
            return told
        return self._head("bookTicker", instrument) | {"T": self.market.exchange.now_ns // MS} | told

    def _mini(self, instrument: Instrument) -> dict[str, Any]:
        d, style = self.market.day_figures(instrument), self.market.style
        told = self._head("24hrMiniTicker", instrument)
        prices = {"c": d.last, "o": d.open, "h": d.high, "l": d.low}
        told |= {k: style.price(instrument, v) for k, v in prices.items()}
        return told | {"v": style.qty(instrument, d.volume), "q": style.worth(instrument, d.value)}

    def _ticker(self, instrument: Instrument) -> dict[str, Any]:
        d, style = self.market.day_figures(instrument), self.market.style
        told = self._mini(instrument) | {"e": "24hrTicker"}
        told |= {
            "p": style.price(instrument, d.last - d.open), "P": f"{d.percent:.3f}",
            "w": style.price(instrument, d.mean), "Q": style.qty(instrument, d.last_qty), "O": d.open_ms,
            "C": d.close_ms, "F": d.first_id, "L": d.last_id, "n": d.last_id - d.first_id + 1,
        }  # fmt: skip
        if style.is_futures:
            return told
        bid, bid_qty, ask, ask_qty = self.market.top(instrument)
        return told | {"x": style.price(instrument, d.open), "b": bid, "B": bid_qty, "a": ask, "A": ask_qty}


def _no(code: int, msg: str, number: object) -> dict[str, Any]:
    return {"error": {"code": code, "msg": msg}, "id": number}
