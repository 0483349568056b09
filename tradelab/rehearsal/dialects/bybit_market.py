"""Answer what anybody may ask of Bybit: time, instruments, candles, book, tickers, trades, funding rates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle
from tradelab.model.orders import Side
from tradelab.model.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN, Timeframe
from tradelab.rehearsal.dialects import bybit_errors as no
from tradelab.rehearsal.dialects.bybit_branch import Branch, PublicTrade
from tradelab.rehearsal.dialects.bybit_door import Route
from tradelab.rehearsal.dialects.bybit_errors import Refusal
from tradelab.rehearsal.dialects.bybit_shapes import side
from tradelab.rehearsal.dialects.bybit_wire import Asked, Kind, Row, at, ms, plain, rounded, trade_id
from tradelab.rehearsal.exchange import FUNDING_NS

T, W = Kind.TEXT, Kind.WHOLE
INTERVALS: dict[str, Timeframe] = {
    **{str(t.value): t for t in Timeframe if 0 < t.value < 1440 and t is not Timeframe.H8},
    "D": Timeframe.D1,
    "W": Timeframe.W1,
    "M": Timeframe.MN,
}
CATEGORIES = ("linear", "spot", "inverse", "option")
_MANY = Decimal(1_000_000_000)  # where an instrument of ours has no limit, the venue must still name one


@dataclass(frozen=True, slots=True)
class Day:
    """What happened in the last 24 hours, as far as it has been counted."""

    open: Decimal
    hour_ago: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    turnover: Decimal


class Market:
    """The public half of one category."""

    def __init__(self, branch: Branch) -> None:
        self._branch = branch
        self._days: dict[tuple[str, int], Day] = {}

    def routes(self) -> list[Route]:
        """Return the public addresses."""
        where = {"category": T, "symbol": T}
        some = {"baseCoin": T, "limit": W, "cursor": T}
        bars = where | {"interval": T, "start": W, "end": W, "limit": W}
        span = where | {"startTime": W, "endTime": W, "limit": W}
        listed = [
            ("/v5/market/time", "time", self.time, {}),
            ("/v5/system/status", "other", lambda _: {"list": []}, {"id": T, "state": T}),
            ("/v5/market/instruments-info", "instruments", self.instruments, where | some | {"status": T}),
            ("/v5/market/kline", "candles", self.kline, bars),
            ("/v5/market/orderbook", "quote", self.orderbook, where | {"limit": W}),
            ("/v5/market/tickers", "quote", self.tickers, where | {"baseCoin": T, "expDate": T}),
            ("/v5/market/recent-trade", "ticks", self.recent, where | {"baseCoin": T, "optionType": T, "limit": W}),
            ("/v5/market/funding/history", "other", self.funding, span),
        ]
        return [Route("GET", path, kind, answer, takes, private=False) for path, kind, answer, takes in listed]

    def symbols(self, asked: Asked) -> list[str] | Refusal:
        """Return the markets a request is about: one, or all that are listed; none of another category."""
        category, symbol = asked.text("category"), asked.text("symbol")
        if category not in CATEGORIES:
            return no.ILLEGAL_CATEGORY
        mine = self._branch.exchange.tapes if category == self._branch.category else {}
        if symbol:
            unknown = no.UNKNOWN_LINEAR if category != "spot" else no.UNKNOWN_SPOT
            return [symbol] if symbol in mine else unknown
        return [s for s in mine if s not in self._branch.exchange.delisted]

    def time(self, _: Asked) -> Row:
        """Tell the venue's time."""
        now = self._branch.exchange.clock.shown_ns()
        return {"timeSecond": str(now // 1_000_000_000), "timeNano": str(now)}

    def instruments(self, asked: Asked) -> Row | Refusal:
        """List markets; the ones before their launch are none."""
        found = self.symbols(asked)
        if isinstance(found, Refusal):
            return found
        shown = [] if asked.text("status", "Trading") != "Trading" else found
        rows = [self._instrument(self._branch.instrument(s)) for s in shown]
        return {"category": asked.text("category"), "list": rows, "nextPageCursor": ""}

    def kline(self, asked: Asked) -> Row | Refusal:
        """Tell candles, newest first; with a start alone those after it, else the last ones before the end."""
        found, timeframe = self.symbols(asked), INTERVALS.get(asked.text("interval"))
        if isinstance(found, Refusal):
            return found
        if timeframe is None or not asked.text("symbol"):
            return no.wrong("interval")
        limit = asked.limit(200, 1000)
        start, end, now = asked.values.get("start"), asked.values.get("end"), self._branch.exchange.now_ns
        length = 31 * NS_PER_DAY if timeframe is Timeframe.MN else timeframe.ns
        until = now if end is None else min(now, end * 1_000_000)
        since = timeframe.floor(until - (limit - 1) * length if start is None else start * 1_000_000)
        forward = start is not None and end is None
        until = min(until, since + limit * length) if forward else until
        candles = self._branch.exchange.tapes[found[0]].candles(timeframe, since, until + 1, now)
        instrument = self._branch.instrument(found[0])
        rows = [candle_row(c, instrument) for c in reversed(candles[:limit] if forward else candles[-limit:])]
        return {"symbol": found[0], "category": asked.text("category"), "list": rows}

    def orderbook(self, asked: Asked) -> Row | Refusal:
        """Tell the book."""
        found = self.symbols(asked)
        if isinstance(found, Refusal):
            return found
        depth = asked.limit(25, 500) if self._branch.linear else asked.limit(1, 200)
        bids, asks = self.sides(found[0], depth)
        now = self._branch.now_ms
        number = self._branch.sequence()
        return {"s": found[0], "b": bids, "a": asks, "ts": now, "u": number, "seq": number, "cts": now}

    def sides(self, symbol: str, depth: int) -> tuple[list[list[str]], list[list[str]]]:
        """Return bids and asks, best first, as text."""
        book, instrument = self._branch.exchange.books[symbol], self._branch.instrument(symbol)

        def levels(taker: Side) -> list[list[str]]:
            there = [(price, qty) for _, price, qty in book.side(taker)][:depth]
            return [[at(price, instrument.tick_size), at(qty, instrument.qty_step)] for price, qty in there]

        return levels(Side.SELL), levels(Side.BUY)

    def tickers(self, asked: Asked) -> Row | Refusal:
        """Tell best prices and the figures of a day."""
        found = self.symbols(asked)
        if isinstance(found, Refusal):
            return found
        return {"category": asked.text("category"), "list": [self.ticker(s) for s in found]}

    def ticker(self, symbol: str) -> Row:
        """Shape one market's ticker."""
        book, instrument, day = self._branch.exchange.books[symbol], self._branch.instrument(symbol), self.day(symbol)
        tick, last = instrument.tick_size, book.last
        bids, asks = self.sides(symbol, 1)
        (bid, bid_size), (ask, ask_size) = (bids or [["", ""]])[0], (asks or [["", ""]])[0]
        row: Row = {
            "symbol": symbol, "bid1Price": bid, "bid1Size": bid_size, "ask1Price": ask, "ask1Size": ask_size,
            "lastPrice": at(last, tick), "prevPrice24h": at(day.open, tick),
            "price24hPcnt": rounded((last - day.open) / day.open), "highPrice24h": at(max(day.high, last), tick),
            "lowPrice24h": at(min(day.low, last), tick), "turnover24h": rounded(day.turnover),
            "volume24h": rounded(day.volume),
        }  # fmt: skip
        if not self._branch.linear:
            return row | {"usdIndexPrice": at(last, tick)}
        now = self._branch.exchange.now_ns
        return row | {
            "indexPrice": at(last, tick), "markPrice": at(last, tick), "prevPrice1h": at(day.hour_ago, tick),
            "openInterest": "0", "openInterestValue": "0",
            "fundingRate": plain(self._branch.exchange.setup.funding_rate),
            "nextFundingTime": ms((now // FUNDING_NS + 1) * FUNDING_NS), "predictedDeliveryPrice": "", "basisRate": "",
            "basis": "", "deliveryFeeRate": "", "deliveryTime": "0", "preOpenPrice": "", "preQty": "",
            "curPreListingPhase": "", "fundingIntervalHour": "8",
        }  # fmt: skip

    def day(self, symbol: str) -> Day:
        """Return the figures of the last 24 hours, counted anew each minute."""
        now = self._branch.exchange.now_ns
        minute = now // NS_PER_MIN
        known = self._days.get((symbol, minute))
        if known is None:
            self._days = {k: v for k, v in self._days.items() if k[1] == minute}
            known = self._days[symbol, minute] = self._count(symbol, now)
        return known

    def recent(self, asked: Asked) -> Row | Refusal:
        """Tell the last trades, newest first."""
        found = self.symbols(asked)
        if isinstance(found, Refusal):
            return found
        if not asked.text("symbol"):
            return no.wrong("symbol")
        limit = asked.limit(500, 1000) if self._branch.linear else asked.limit(60, 60)
        trades = list(self._branch.trades[found[0]])[-limit:]
        rows = [self._trade(t) for t in reversed(trades)]
        return {"category": asked.text("category"), "list": rows}

    def funding(self, asked: Asked) -> Row | Refusal:
        """Tell the rates of the settlements up to now, newest first; a start wants an end, as documented."""
        found = self.symbols(asked)
        if isinstance(found, Refusal) or not self._branch.linear:
            return found if isinstance(found, Refusal) else no.ILLEGAL_CATEGORY
        start, end, exchange = asked.values.get("startTime"), asked.values.get("endTime"), self._branch.exchange
        if start is not None and end is None:
            return no.wrong("endTime")
        last = min(exchange.now_ns, exchange.now_ns if end is None else end * 1_000_000) // FUNDING_NS
        first = max(int(exchange.tapes[found[0]].open_ns[0]), (start or 0) * 1_000_000)
        times = [t * FUNDING_NS for t in range(last, last - asked.limit(200, 200), -1) if t * FUNDING_NS >= first]
        rate = plain(exchange.setup.funding_rate)
        rows = [{"symbol": found[0], "fundingRate": rate, "fundingRateTimestamp": ms(t)} for t in times]
        return {"category": self._branch.category, "list": rows}

    def _trade(self, trade: PublicTrade) -> Row:
        instrument = self._branch.instrument(trade.symbol)
        return {
            "execId": trade_id(trade.number, linear=self._branch.linear), "symbol": trade.symbol,
            "price": at(trade.price, instrument.tick_size), "size": at(trade.qty, instrument.qty_step),
            "side": side(trade.side), "time": ms(trade.ts_ns), "isBlockTrade": False,
        }  # fmt: skip

    def _count(self, symbol: str, now: int) -> Day:
        tape = self._branch.exchange.tapes[symbol]
        candles = tape.candles(tape.timeframe, now - NS_PER_DAY, now + 1, now)
        last = self._branch.exchange.mark(symbol)
        if not candles:
            return Day(last, last, last, last, Decimal(0), Decimal(0))
        hour = [c for c in candles if c.open_ns <= now - NS_PER_HOUR]
        return Day(
            tape.on_tick(candles[0].open),
            tape.on_tick(hour[-1].close if hour else candles[0].open),
            tape.on_tick(max(c.high for c in candles)),
            tape.on_tick(min(c.low for c in candles)),
            _sum(c.volume for c in candles),
            _sum(c.volume * c.close for c in candles),
        )

    def _instrument(self, instrument: Instrument) -> Row:
        row = _linear(instrument) if self._branch.linear else _spot(instrument)
        return row | ({"status": "Closed"} if instrument.symbol in self._branch.exchange.delisted else {})


def candle_row(candle: Candle, instrument: Instrument) -> list[str]:
    """Shape a candle; the turnover is reckoned at the close, for the tape does not know it."""
    prices = (candle.open, candle.high, candle.low, candle.close)
    volume = Decimal(repr(candle.volume))
    turnover = volume * Decimal(repr(candle.close))
    return [ms(candle.open_ns), *(at(p, instrument.tick_size) for p in prices), rounded(volume), rounded(turnover)]


def _sum(values: Iterable[float]) -> Decimal:
    return sum((Decimal(repr(v)) for v in values), Decimal(0))


def _risk(instrument: Instrument) -> Row:
    up = instrument.price_band_up
    ratio = "0.05" if up is None else plain(up - 1)
    return {"priceLimitRatioX": ratio, "priceLimitRatioY": ratio}


def _decimals(step: Decimal) -> str:
    exponent = step.as_tuple().exponent
    return str(max(0, -exponent) if isinstance(exponent, int) else 0)


def _linear(i: Instrument) -> Row:
    most = plain(i.max_qty or _MANY)
    return {
        "symbol": i.symbol, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": i.base or "",
        "quoteCoin": i.quote, "launchTime": "1585526400000", "deliveryTime": "0", "deliveryFeeRate": "",
        "priceScale": _decimals(i.tick_size),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": plain(i.min_price or i.tick_size), "maxPrice": plain(i.max_price or _MANY),
            "tickSize": at(i.tick_size, i.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": most, "minOrderQty": plain(i.min_qty or i.qty_step), "qtyStep": at(i.qty_step, i.qty_step),
            "postOnlyMaxOrderQty": most, "maxMktOrderQty": plain(i.max_market_qty or i.max_qty or _MANY),
            "minNotionalValue": plain(i.min_notional or 0),
        },
        "unifiedMarginTrade": True, "fundingInterval": 480, "settleCoin": i.settle or i.quote, "copyTrading": "none",
        "upperFundingRate": "0.00375", "lowerFundingRate": "-0.00375", "isPreListing": False, "preListingInfo": None,
        "riskParameters": _risk(i), "displayName": "",
    }  # fmt: skip


def _spot(i: Instrument) -> Row:
    most = plain(i.max_qty or _MANY)
    return {
        "symbol": i.symbol, "baseCoin": i.base or "", "quoteCoin": i.quote, "innovation": "0", "status": "Trading",
        "marginTrading": "none", "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": at(i.qty_step, i.qty_step), "quotePrecision": "0.00000001",
            "minOrderQty": plain(i.min_qty or i.qty_step), "maxOrderQty": most,
            "minOrderAmt": plain(i.min_notional or 0), "maxOrderAmt": plain(i.max_notional or _MANY),
            "maxLimitOrderQty": most, "maxMarketOrderQty": plain(i.max_market_qty or i.max_qty or _MANY),
            "postOnlyMaxLimitOrderSize": most,
        },
        "priceFilter": {"tickSize": at(i.tick_size, i.tick_size)}, "riskParameters": _risk(i),
    }  # fmt: skip
