"""Tell the market as Binance does: time, candles, book, tickers, trades; spot and futures differ in a style."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradelab.model.errors import ParameterError
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle
from tradelab.model.orders import Side
from tradelab.model.units import NS_PER_DAY, Timeframe
from tradelab.rehearsal.dialects.binance_door import Ask, Route, Security
from tradelab.rehearsal.dialects.binance_errors import BinanceError, unknown_symbol
from tradelab.rehearsal.dialects.binance_params import Params, names
from tradelab.rehearsal.events import Traded
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.tape import LEGS

REMEMBERED = 1000  # trades of a market that are kept for those who ask
MS = 1_000_000
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One trade of the market with the number Binance would give it."""

    number: int
    price: Decimal
    qty: Decimal
    ts_ns: int
    buyer_is_maker: bool


@dataclass(frozen=True, slots=True)
class Style:
    """How a market's public face differs between spot and futures.

    Parameters
    ----------
    root
        Where its addresses begin.
    price, qty, worth
        How it writes a price, a quantity and a value in the quote currency.
    most_candles, most_levels
        The longest answers.
    is_futures
        Whether its answers have the keys that only futures have.
    """

    root: str
    price: Callable[[Instrument, Decimal], str]
    qty: Callable[[Instrument, Decimal], str]
    worth: Callable[[Instrument, Decimal], str]
    most_candles: int
    most_levels: int
    is_futures: bool


class Market:
    """All that anybody may ask without a key."""

    def __init__(self, exchange: Exchange, style: Style) -> None:
        self.exchange = exchange
        self.style = style
        self.trades: dict[str, deque[PublicTrade]] = {s: deque(maxlen=REMEMBERED) for s in exchange.tapes}
        self.book_numbers: dict[str, int] = dict.fromkeys(exchange.tapes, 1)
        for symbol in exchange.tapes:
            self._remember_history(symbol)

    def _remember_history(self, symbol: str) -> None:
        tape, now_ns = self.exchange.tapes[symbol], self.exchange.now_ns
        bars = REMEMBERED // LEGS
        for trade in tape.prints(now_ns - bars * tape.timeframe.ns, now_ns):
            self._remember(symbol, trade.price, trade.qty, trade.ts_ns)

    def _remember(self, symbol: str, price: Decimal, qty: Decimal, ts_ns: int) -> PublicTrade:
        known = self.trades[symbol]
        number = known[-1].number + 1 if known else 1
        falls = bool(known) and (price < known[-1].price or (price == known[-1].price and known[-1].buyer_is_maker))
        known.append(PublicTrade(number, price, qty, ts_ns, falls))
        return known[-1]

    def note(self, event: Traded) -> PublicTrade:
        """Remember a trade and return it numbered."""
        self.book_numbers[event.symbol] += 1
        return self._remember(event.symbol, event.price, event.qty, event.ts_ns)

    def instrument(self, symbol: str | None) -> Instrument:
        """Return a listed market, or refuse."""
        if symbol is None or symbol not in self.exchange.tapes:
            raise unknown_symbol()
        return self.exchange.instrument(symbol)

    # ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────

    def routes(self, weights: Mapping[str, Any]) -> list[Route]:
        """Return the public addresses; ``weights`` says what each costs."""
        addresses = {
            "ping": ("other", self.ping, ""),
            "time": ("time", self.time, ""),
            "klines": ("candles", self.klines, "symbol interval startTime endTime timeZone limit"),
            "depth": ("quote", self.depth, "symbol limit"),
            "trades": ("ticks", self.recent, "symbol limit"),
            "aggTrades": ("ticks", self.aggregated, "symbol fromId startTime endTime limit"),
            "ticker/24hr": ("quote", self.day, "symbol symbols type"),
            "ticker/price": ("quote", self.last, "symbol symbols"),
            "ticker/bookTicker": ("quote", self.best, "symbol symbols"),
        }
        made = []
        for path, (kind, reply, takes) in addresses.items():
            known = names(takes)
            route = Route("GET", f"{self.style.root}/{path}", kind, reply, weights[path], Security.NONE, known)
            made.append(route)
        return made

    def ping(self, _: Ask) -> object:
        """Answer that the venue is there."""
        return {}

    def time(self, _: Ask) -> object:
        """Tell the venue's time."""
        return {"serverTime": self.exchange.clock.shown_ms()}

    def klines(self, ask: Ask) -> object:
        """Tell candles, the forming one with them."""
        instrument = self.instrument(ask.params.required("symbol"))
        timeframe = interval(ask.params.required("interval"))
        limit = ask.params.limit(500, self.style.most_candles)
        start, end = ask.params.whole("startTime"), ask.params.whole("endTime")
        now_ns = self.exchange.now_ns
        until_ns = now_ns + 1 if end is None else min(now_ns, end * MS) + 1
        if start is None:
            since_ns = until_ns - (limit + 1) * timeframe.ns - (31 * NS_PER_DAY if timeframe is Timeframe.MN else 0)
            rows = self._candles(instrument, timeframe, since_ns, until_ns)[-limit:]
        else:
            until_ns = min(until_ns, start * MS + (limit + 1) * timeframe.ns + NS_PER_DAY)
            rows = self._candles(instrument, timeframe, start * MS, until_ns)[:limit]
        return [self.row(instrument, timeframe, candle) for candle in rows]

    def _candles(self, instrument: Instrument, timeframe: Timeframe, since_ns: int, until_ns: int) -> list[Candle]:
        tape = self.exchange.tapes[instrument.symbol]
        return tape.candles(timeframe, since_ns, until_ns, self.exchange.now_ns)

    def row(self, instrument: Instrument, timeframe: Timeframe, candle: Candle) -> list[Any]:
        """Return one candle as a row of twelve."""
        told = self.told(instrument, timeframe, candle)
        return [told[key] for key in ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")]

    def told(self, instrument: Instrument, timeframe: Timeframe, candle: Candle) -> dict[str, Any]:
        """Return a candle by the letters of the kline stream.

        What a tape does not know is made up plainly: the value is volume times the mean of the four prices, the trades
        are those of the tape's prints, and takers bought half.
        """
        price, qty, worth = self.style.price, self.style.qty, self.style.worth
        prices = [Decimal(repr(p)) for p in (candle.open, candle.high, candle.low, candle.close)]
        volume = Decimal(repr(candle.volume))
        value = volume * sum(prices, ZERO) / 4
        o, h, low, c = (price(instrument, p) for p in prices)
        return {
            "t": candle.open_ns // MS, "T": timeframe.next_open(candle.open_ns) // MS - 1, "o": o, "h": h, "l": low,
            "c": c, "v": qty(instrument, volume), "q": worth(instrument, value), "n": 4 * LEGS + 1,
            "V": qty(instrument, volume / 2), "Q": worth(instrument, value / 2), "B": "0",
        }  # fmt: skip

    def depth(self, ask: Ask) -> object:
        """Tell the book."""
        instrument = self.instrument(ask.params.required("symbol"))
        default = 500 if self.style.is_futures else 100
        limit = ask.params.limit(default, self.style.most_levels)
        told: dict[str, Any] = {"lastUpdateId": self.book_numbers[instrument.symbol]}
        if self.style.is_futures:
            told |= {"E": self.exchange.clock.shown_ms(), "T": self.exchange.now_ns // MS}
        return told | {
            "bids": self.levels(instrument, Side.SELL)[:limit],
            "asks": self.levels(instrument, Side.BUY)[:limit],
        }

    def levels(self, instrument: Instrument, taker: Side) -> list[list[str]]:
        """Return the levels that a taker of that side would meet."""
        book = self.exchange.books[instrument.symbol]
        found = book.side(taker)
        return [[self.style.price(instrument, p), self.style.qty(instrument, q)] for _, p, q in found]

    def top(self, instrument: Instrument) -> tuple[str, str, str, str]:
        """Return best bid, its quantity, best ask, its quantity."""
        book = self.exchange.books[instrument.symbol]
        _, bid, bid_qty = next(book.side(Side.SELL), (0, book.bid, ZERO))
        _, ask, ask_qty = next(book.side(Side.BUY), (0, book.ask, ZERO))
        price, qty = self.style.price, self.style.qty
        return price(instrument, bid), qty(instrument, bid_qty), price(instrument, ask), qty(instrument, ask_qty)

    def recent(self, ask: Ask) -> object:
        """Tell the newest trades, oldest first."""
        instrument = self.instrument(ask.params.required("symbol"))
        limit = ask.params.limit(500, 1000)
        return [self._trade(instrument, t) for t in list(self.trades[instrument.symbol])[-limit:]]

    def _trade(self, instrument: Instrument, trade: PublicTrade) -> dict[str, Any]:
        told = {
            "id": trade.number,
            "price": self.style.price(instrument, trade.price),
            "qty": self.style.qty(instrument, trade.qty),
            "quoteQty": self.style.worth(instrument, trade.price * trade.qty),
            "time": trade.ts_ns // MS,
            "isBuyerMaker": trade.buyer_is_maker,
        }
        return told if self.style.is_futures else told | {"isBestMatch": True}

    def aggregated(self, ask: Ask) -> object:
        """Tell trades by taker; each of ours stands for itself."""
        params = ask.params
        instrument = self.instrument(params.required("symbol"))
        limit, first = params.limit(500, 1000), params.whole("fromId")
        start, end = params.whole("startTime"), params.whole("endTime")
        found = [
            t for t in self.trades[instrument.symbol]
            if (first is None or t.number >= first)
            and (start is None or t.ts_ns // MS >= start)
            and (end is None or t.ts_ns // MS <= end)
        ]  # fmt: skip
        found = found[-limit:] if first is None and start is None else found[:limit]
        return [self.aggregate(instrument, t) for t in found]

    def aggregate(self, instrument: Instrument, trade: PublicTrade) -> dict[str, Any]:
        """Return one aggregate trade."""
        told = {
            "a": trade.number, "p": self.style.price(instrument, trade.price),
            "q": self.style.qty(instrument, trade.qty), "f": trade.number, "l": trade.number,
            "T": trade.ts_ns // MS, "m": trade.buyer_is_maker,
        }  # fmt: skip
        return told if self.style.is_futures else told | {"M": True}

    # ── tickers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _each(self, params: Params, tell: Callable[[Instrument], dict[str, Any]]) -> object:
        """Answer for one market, for those in a list, or for all."""
        if (symbol := params.text("symbol")) is not None:
            return tell(self.instrument(symbol))
        listed = params.text("symbols")
        only = list(self.exchange.tapes) if listed is None else [name.strip('[] "') for name in listed.split(",")]
        return [tell(self.instrument(s)) for s in only]

    def day(self, ask: Ask) -> object:
        """Tell the last 24 hours."""
        return self._each(ask.params, self.day_of)

    def last(self, ask: Ask) -> object:
        """Tell the last price."""
        return self._each(ask.params, self._last_of)

    def _last_of(self, instrument: Instrument) -> dict[str, Any]:
        price = self.style.price(instrument, self.exchange.mark(instrument.symbol))
        told: dict[str, Any] = {"symbol": instrument.symbol, "price": price}
        return told | {"time": self.exchange.now_ns // MS} if self.style.is_futures else told

    def best(self, ask: Ask) -> object:
        """Tell best bid and ask."""
        return self._each(ask.params, self.best_of)

    def best_of(self, instrument: Instrument) -> dict[str, Any]:
        """Return best bid and ask of one market."""
        bid, bid_qty, ask, ask_qty = self.top(instrument)
        told: dict[str, Any] = {
            "symbol": instrument.symbol, "bidPrice": bid, "bidQty": bid_qty, "askPrice": ask, "askQty": ask_qty,
        }  # fmt: skip
        if self.style.is_futures:
            number = self.book_numbers[instrument.symbol]
            told |= {"time": self.exchange.now_ns // MS, "lastUpdateId": number}
        return told

    def day_of(self, instrument: Instrument) -> dict[str, Any]:
        """Return the last 24 hours of one market."""
        d = self.day_figures(instrument)
        price, qty, worth = self.style.price, self.style.qty, self.style.worth
        bid, bid_qty, ask, ask_qty = self.top(instrument)
        told = {
            "symbol": instrument.symbol, "priceChange": price(instrument, d.last - d.open),
            "priceChangePercent": f"{d.percent:.3f}", "weightedAvgPrice": price(instrument, d.mean),
            "lastPrice": price(instrument, d.last), "lastQty": qty(instrument, d.last_qty),
            "openPrice": price(instrument, d.open), "highPrice": price(instrument, d.high),
            "lowPrice": price(instrument, d.low), "volume": qty(instrument, d.volume),
            "quoteVolume": worth(instrument, d.value), "openTime": d.open_ms, "closeTime": d.close_ms,
            "firstId": d.first_id, "lastId": d.last_id, "count": d.last_id - d.first_id + 1,
        }  # fmt: skip
        if self.style.is_futures:
            return told
        before = {"prevClosePrice": price(instrument, d.open)}
        return told | before | {"bidPrice": bid, "bidQty": bid_qty, "askPrice": ask, "askQty": ask_qty}

    def day_figures(self, instrument: Instrument) -> Day:
        """Reckon the last 24 hours from the tape."""
        symbol, now_ns = instrument.symbol, self.exchange.now_ns
        tape = self.exchange.tapes[symbol]
        bars = tape.candles(tape.timeframe, now_ns - NS_PER_DAY, now_ns + 1, now_ns)
        last = self.exchange.mark(symbol)
        trades = self.trades[symbol]
        first = tape.on_tick(bars[0].open) if bars else last
        volume = sum((Decimal(repr(b.volume)) for b in bars), ZERO)
        value = sum((Decimal(repr(b.volume)) * Decimal(repr(b.open + b.close)) / 2 for b in bars), ZERO)
        return Day(
            open=first, last=last, volume=volume, value=value,
            high=max([last, *(tape.on_tick(b.high) for b in bars)]),
            low=min([last, *(tape.on_tick(b.low) for b in bars)]),
            last_qty=trades[-1].qty if trades else ZERO, open_ms=(now_ns - NS_PER_DAY) // MS, close_ms=now_ns // MS,
            first_id=trades[0].number if trades else -1, last_id=trades[-1].number if trades else -1,
        )  # fmt: skip

    def listed(self) -> Iterator[tuple[Instrument, bool]]:
        """Yield every market and whether it trades."""
        for symbol, tape in self.exchange.tapes.items():
            yield tape.instrument, symbol not in self.exchange.delisted


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The last 24 hours of a market."""

    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    last_qty: Decimal
    volume: Decimal
    value: Decimal
    open_ms: int
    close_ms: int
    first_id: int
    last_id: int

    @property
    def mean(self) -> Decimal:
        """Average price, by volume."""
        return self.value / self.volume if self.volume else self.last

    @property
    def percent(self) -> Decimal:
        """Change in percent."""
        return (self.last / self.open - 1) * 100


def interval(text: str) -> Timeframe:
    """Return the timeframe Binance calls so; those that no tape can form (``1s``, ``3d``) are refused."""
    try:
        timeframe = Timeframe.of(text)
    except ParameterError:
        raise BinanceError(-1120, "Invalid interval.") from None
    if timeframe.alias != text:
        raise BinanceError(-1120, "Invalid interval.")
    return timeframe
