"""Make the frames of Bybit's public streams: trades, candles, book and ticker as snapshots and what changed since."""

from __future__ import annotations

from decimal import Decimal

from tradelab.rehearsal.dialects.bybit_branch import Branch, PublicTrade
from tradelab.rehearsal.dialects.bybit_market import Market, candle_row
from tradelab.rehearsal.dialects.bybit_shapes import funding_row, side
from tradelab.rehearsal.dialects.bybit_wire import Row, at, trade_id
from tradelab.rehearsal.events import CandleChanged, MoneyChanged

Levels = dict[str, str]


def trade(branch: Branch, done: PublicTrade) -> Row:
    """Frame one trade of the market."""
    instrument = branch.instrument(done.symbol)
    ts = branch.shown_ms(done.ts_ns)
    row: Row = {
        "T": ts, "s": done.symbol, "S": side(done.side), "v": at(done.qty, instrument.qty_step),
        "p": at(done.price, instrument.tick_size), "L": "PlusTick" if done.rose else "MinusTick",
        "i": trade_id(done.number, linear=branch.linear), "BT": False, "seq": done.number,
    }  # fmt: skip
    if not branch.linear:
        row.pop("L")  # "Perps & futures: tick direction"
    return {"topic": f"publicTrade.{done.symbol}", "type": "snapshot", "ts": ts, "data": [row]}


def candle(branch: Branch, event: CandleChanged, interval: str) -> Row:
    """Frame one candle; ``confirm`` says that it has closed."""
    instrument, ts = branch.instrument(event.symbol), branch.shown_ms(event.ts_ns)
    _, open_, high, low, close, volume, turnover = candle_row(event.candle, instrument)
    started = event.candle.open_ns
    row = {
        "start": started // 1_000_000, "end": event.timeframe.next_open(started) // 1_000_000 - 1,
        "interval": interval, "open": open_, "close": close, "high": high, "low": low, "volume": volume,
        "turnover": turnover, "confirm": event.candle.closed, "timestamp": ts,
    }  # fmt: skip
    return {"topic": f"kline.{interval}.{event.symbol}", "data": [row], "ts": ts, "type": "snapshot"}


def private(branch: Branch, topic: str, ts_ns: int, row: Row) -> Row:
    """Frame one row of a private topic."""
    number = branch.sequence()
    return {"id": f"rehearsal_{number}", "topic": topic, "creationTime": branch.shown_ms(ts_ns), "data": [row]}


def funding(branch: Branch, event: MoneyChanged) -> Row:
    """Shape a payment of funding for the stream of executions."""
    row = funding_row(branch, event)
    fee = row.pop("feeCurrency")
    more = {"isLeverage": "0", "marketUnit": "", "execPnl": "0", "extraFees": [], "feeCoin": fee}
    return {"category": branch.category, **row, **more}


class Books:
    """The books that somebody listens to, as they were last told."""

    def __init__(self, branch: Branch, market: Market) -> None:
        self._branch = branch
        self._market = market
        self._told: dict[tuple[str, int], tuple[Levels, Levels]] = {}

    def snapshot(self, symbol: str, depth: int) -> Row:
        """Frame a whole book."""
        bids, asks = self._market.sides(symbol, depth)
        self._told[symbol, depth] = _levels(bids), _levels(asks)
        return self._frame(symbol, depth, "snapshot", bids, asks, self._branch.exchange.now_ns)

    def change(self, symbol: str, depth: int, ts_ns: int) -> Row:
        """Frame what changed since; the best level alone comes whole each time."""
        before = self._told.get((symbol, depth))
        bids, asks = self._market.sides(symbol, depth)
        now = _levels(bids), _levels(asks)
        self._told[symbol, depth] = now
        if before is None or depth == 1:
            return self._frame(symbol, depth, "snapshot", bids, asks, ts_ns)
        return self._frame(symbol, depth, "delta", _changed(before[0], now[0]), _changed(before[1], now[1]), ts_ns)

    def _frame(
        self, symbol: str, depth: int, type_: str, bids: list[list[str]], asks: list[list[str]], ts_ns: int
    ) -> Row:
        number, ts = self._branch.sequence(), self._branch.shown_ms(ts_ns)
        data = {"s": symbol, "b": bids, "a": asks, "u": number, "seq": number}
        return {"topic": f"orderbook.{depth}.{symbol}", "type": type_, "ts": ts, "data": data, "cts": ts}


def _levels(rows: list[list[str]]) -> Levels:
    return {price: qty for price, qty in rows}  # noqa: C416 - dict() does not take lists of two


def _changed(before: Levels, now: Levels) -> list[list[str]]:
    """Return levels that are new or have another quantity, and those that are gone with a quantity of zero."""
    gone = [[price, "0"] for price in before if price not in now]
    return gone + [[price, qty] for price, qty in now.items() if before.get(price) != qty]


class Tickers:
    """The tickers that somebody listens to: linear tells what changed, spot tells all each time."""

    def __init__(self, branch: Branch, market: Market) -> None:
        self._branch = branch
        self._market = market
        self._told: dict[str, Row] = {}
        self._last: dict[str, tuple[Decimal, str]] = {}

    def snapshot(self, symbol: str) -> Row:
        """Frame a whole ticker."""
        row = self._row(symbol)
        self._told[symbol] = row
        return self._frame(symbol, "snapshot", row, self._branch.exchange.now_ns)

    def change(self, symbol: str, ts_ns: int) -> Row:
        """Frame a ticker after a trade."""
        row, before = self._row(symbol), self._told.get(symbol)
        self._told[symbol] = row
        if before is None or not self._branch.linear:
            return self._frame(symbol, "snapshot", row, ts_ns)
        changed = {k: v for k, v in row.items() if k == "symbol" or before.get(k) != v}
        return self._frame(symbol, "delta", changed, ts_ns)

    def _row(self, symbol: str) -> Row:
        row = self._market.ticker(symbol)
        if not self._branch.linear:
            sizes = ("bid1Price", "bid1Size", "ask1Price", "ask1Size")
            return {k: v for k, v in row.items() if k not in sizes}  # the spot stream has no best bid and ask
        last = self._branch.exchange.mark(symbol)
        before, direction = self._last.get(symbol, (last, "ZeroPlusTick"))
        if last != before:
            direction = "PlusTick" if last > before else "MinusTick"
        self._last[symbol] = (last, direction)
        return {"symbol": symbol, "tickDirection": direction, **row}

    def _frame(self, symbol: str, type_: str, data: Row, ts_ns: int) -> Row:
        ts = self._branch.shown_ms(ts_ns)
        return {"topic": f"tickers.{symbol}", "type": type_, "data": data, "cs": self._branch.sequence(), "ts": ts}
