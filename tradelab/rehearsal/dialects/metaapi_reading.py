"""Tell what an account, its history and the market are: every GET of MetaApi's client and market data APIs.

Source: https://metaapi.cloud/docs/client/restApi/api/ (readTradingTerminalState, retrieveHistoricalData,
retrieveMarketData).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from aiohttp import web

from tradelab.model.market import Candle
from tradelab.model.units import Timeframe
from tradelab.rehearsal.dialect import Call
from tradelab.rehearsal.dialects import metaapi_errors as say
from tradelab.rehearsal.dialects import metaapi_shapes as shape
from tradelab.rehearsal.dialects.metaapi_times import BY_NAME, broker, iso, parse
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_hedging import HedgingLedger
from tradelab.rehearsal.orders import SimFill, SimOrder
from tradelab.rehearsal.reading import is_whole
from tradelab.rehearsal.tape import Print, Tape

PAGE = 1000
Row = TypeVar("Row", SimOrder, SimFill)


class Reading:
    """Answers about one exchange; each takes the call and the account it is about."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    # ── the terminal ─────────────────────────────────────────────────────────────────────────────────────────────

    def account(self, _: Call, key: str) -> web.Response:
        """Answer with the account's money."""
        return web.json_response(shape.account(self._exchange, key))

    def positions(self, _: Call, key: str) -> web.Response:
        """Answer with all open positions."""
        return web.json_response([shape.position(self._exchange, key, t) for t in self._ledger(key).tickets.values()])

    def position(self, call: Call, key: str) -> web.Response:
        """Answer with one open position."""
        held = self._ledger(key).tickets.get(call.path["position"])
        if held is None:
            raise say.Told(say.not_found(f"Position id {call.path['position']} not found"))
        return web.json_response(shape.position(self._exchange, key, held))

    def orders(self, _: Call, key: str) -> web.Response:
        """Answer with all open orders."""
        return web.json_response([shape.order(self._exchange, o) for o in self._exchange.open_orders(key)])

    def order(self, call: Call, key: str) -> web.Response:
        """Answer with one open order."""
        number = call.path["order"]
        one = self._exchange.find(key, number=int(number)) if is_whole(number) else None
        if one is None or not one.is_open:
            raise say.Told(say.not_found(f"Order id {number} not found"))
        return web.json_response(shape.order(self._exchange, one))

    def server_time(self, _: Call, key: str) -> web.Response:
        """Answer with the venue's time."""
        now, quoted = self._exchange.clock.shown_ns(), self._exchange.now_ns
        return web.json_response(
            {
                "time": iso(now), "brokerTime": broker(now), "lastQuoteTime": iso(quoted),
                "lastQuoteBrokerTime": broker(quoted),
            }
        )  # fmt: skip

    # ── history ──────────────────────────────────────────────────────────────────────────────────────────────────

    def history_orders(self, call: Call, key: str) -> web.Response:
        """Answer with orders that are done, by ticket, position or time."""
        done = [o for o in self._exchange.orders.values() if o.account == key and not o.is_open]
        if "ticket" in call.path:
            found = [o for o in done if str(o.number) == call.path["ticket"]]
        elif "position" in call.path:
            found = [o for o in done if (o.position_id or str(o.number)) == call.path["position"]]
        else:
            found = _page(call, done, lambda o: o.updated_ns)
        return web.json_response([shape.order(self._exchange, o) for o in found])

    def history_deals(self, call: Call, key: str) -> web.Response:
        """Answer with deals, by ticket, position or time."""
        mine = [f for f in self._exchange.fills if f.account == key]
        if "ticket" in call.path:
            found = [f for f in mine if str(f.number) == call.path["ticket"]]
        elif "position" in call.path:
            found = [f for f in mine if f.position_id == call.path["position"]]
        else:
            found = _page(call, mine, lambda f: f.ts_ns)
        return web.json_response([shape.deal(self._exchange, f) for f in found])

    # ── the market ───────────────────────────────────────────────────────────────────────────────────────────────

    def symbols(self, _: Call, key: str) -> web.Response:
        """Answer with the names of all symbols."""
        return web.json_response(list(self._exchange.tapes))

    def specification(self, call: Call, key: str) -> web.Response:
        """Answer with what a symbol asks of an order."""
        return web.json_response(shape.specification(self._exchange, self._tape(call).instrument.symbol))

    def price(self, call: Call, key: str) -> web.Response:
        """Answer with best bid and ask."""
        return web.json_response(shape.price(self._exchange, self._tape(call).instrument.symbol))

    def current_candle(self, call: Call, key: str) -> web.Response:
        """Answer with the newest bar."""
        tape, timeframe = self._tape(call), _timeframe(call)
        bars = _back(tape, timeframe, self._exchange.now_ns, 1, self._exchange.now_ns)
        if not bars:
            raise say.Told(say.not_found("Candle not found"))
        return web.json_response(shape.candle(tape.instrument.symbol, timeframe, bars[-1]))

    def current_tick(self, call: Call, key: str) -> web.Response:
        """Answer with the newest tick."""
        symbol = self._tape(call).instrument.symbol
        return web.json_response(shape.tick(symbol, self._exchange.now_ns, *self._exchange.best(symbol)))

    def candles(self, call: Call, key: str) -> web.Response:
        """Answer with bars, backwards from ``startTime`` (included), in the order of time."""
        tape, timeframe, limit = self._tape(call), _timeframe(call), _limit(call)
        now = self._exchange.now_ns
        start = _at(call.params["startTime"], "startTime") if "startTime" in call.params else now
        bars = _back(tape, timeframe, min(start, now), limit, now)
        return web.json_response([shape.candle(tape.instrument.symbol, timeframe, bar) for bar in bars])

    def ticks(self, call: Call, key: str) -> web.Response:
        """Answer with ticks, forwards from ``startTime`` (included), or the newest."""
        tape, limit, now = self._tape(call), _limit(call), self._exchange.now_ns
        offset = int(call.params.get("offset", 0))
        if "startTime" in call.params:
            start = _at(call.params["startTime"], "startTime")
            found = list(tape.prints(start - 1, now))[offset : offset + limit]
        else:
            found = _newest(tape, now, limit)
        half = self._exchange.setup.spread_ticks // 2
        spread, step = self._exchange.setup.spread_ticks, tape.instrument.tick_size
        bids = [(t.ts_ns, t.price - half * step) for t in found]
        return web.json_response(
            [shape.tick(tape.instrument.symbol, ts_ns, bid, bid + spread * step) for ts_ns, bid in bids]
        )

    def _tape(self, call: Call) -> Tape:
        symbol = call.path["symbol"]
        if symbol not in self._exchange.tapes:
            raise say.Told(say.not_found(f"Symbol {symbol} is not defined for this broker"))
        return self._exchange.tapes[symbol]

    def _ledger(self, key: str) -> HedgingLedger:
        ledger = self._exchange.ledgers[key]
        assert isinstance(ledger, HedgingLedger)
        return ledger


def _page(call: Call, rows: list[Row], when: Callable[[Row], int]) -> list[Row]:
    """Return the rows from start (included) to end (not), in the order of time, one page of them."""
    start, end = _at(call.path["start"], "startTime"), _at(call.path["end"], "endTime")
    offset, limit = int(call.params.get("offset", 0)), _limit(call)
    found = sorted((row for row in rows if start <= when(row) < end), key=lambda row: (when(row), row.number))
    return found[offset : offset + limit]


def _limit(call: Call) -> int:
    text = call.params.get("limit", str(PAGE))
    if not is_whole(text) or not 1 <= int(text) <= PAGE:
        raise say.Told(say.invalid("limit", f"Must be 1 to {PAGE}."))
    return int(text)


def _timeframe(call: Call) -> Timeframe:
    name = call.path["timeframe"]
    if name not in BY_NAME:
        raise say.Told(say.invalid("timeframe", "Unexpected value."))
    return BY_NAME[name]


def _at(text: str, name: str) -> int:
    try:
        return parse(text)
    except ValueError:
        raise say.Told(say.invalid(name, "Datetime expected.")) from None


def _back(tape: Tape, timeframe: Timeframe, until_ns: int, count: int, now_ns: int) -> list[Candle]:
    """Return the last bars that open no later than ``until_ns``, however long the gaps between them are."""
    first, span = int(tape.open_ns[0]), count * timeframe.ns
    while True:
        since = max(first, until_ns - span)
        bars = tape.candles(timeframe, since, until_ns + 1, now_ns)
        if len(bars) >= count or since <= first:
            return bars[-count:]
        span *= 4


def _newest(tape: Tape, now_ns: int, count: int) -> list[Print]:
    first, span = int(tape.open_ns[0]), tape.timeframe.ns
    while True:
        since = max(first - 1, now_ns - span)
        found = list(tape.prints(since, now_ns))
        if len(found) >= count or since < first:
            return found[-count:]
        span *= 4
