"""Download bars from any exchange that ccxt speaks to, page by page, each page kept as soon as it is in."""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from tradelab.adapters.retry_after import seconds_of
from tradelab.catalog.bars import BarRow, Catalog
from tradelab.catalog.frame import moment_ns, time_ns
from tradelab.model.errors import ConnectivityError, MissingExtraError, RequestError, TimestampError, UnknownNameError
from tradelab.model.instrument import Instrument
from tradelab.model.units import Timeframe

PAGE = 1000  # most exchanges give this many at most; one that gives fewer is asked more often
_ATTEMPTS = 6
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_COMPACT_EVERY = 200  # pages
_MS = 1_000_000  # nanoseconds


@dataclass(frozen=True, slots=True)
class Download:
    """What a download did."""

    bars: int
    pages: int
    first: pd.Timestamp | None
    last: pd.Timestamp | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is: bars stored by it so far, the newest of them, and the fraction of the time span done."""

    bars: int
    at: pd.Timestamp
    fraction: float


def download(
    catalog: Catalog,
    exchange: str,
    symbol: str,
    timeframe: str | Timeframe,
    *,
    since: str | None = None,
    until: str | None = None,
    base_url: str | None = None,
    on_page: Callable[[Progress], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Download:
    """Fetch the closed bars that the catalog does not have yet, from ``since`` to before ``until``.

    Each page is stored as soon as it is in, so that a run that was interrupted, or killed, loses nothing: the next one
    asks only for what is missing. The bar that is still forming, by the exchange's clock, is never stored.

    Parameters
    ----------
    exchange, symbol, timeframe
        A ccxt id (``"binance"``), ccxt's unified symbol (``"BTC/USDT"``, ``"BTC/USDT:USDT"`` for the perpetual).
    since, until
        Dates, UTC. ``since`` may be left out when bars are stored already: the newest one is where it goes on.
    base_url
        Another host that speaks the exchange's protocol, such as a mirror.
    on_page
        Told after each page.
    sleep
        How to wait between attempts.

    Raises
    ------
    UnknownNameError
        No such exchange, symbol or timeframe; the message names the nearest.
    ConnectivityError
        The network or the exchange failed six times in a row; what came before is kept.
    RequestError
        The exchange refused the request itself.
    """
    length = Timeframe.of(timeframe)
    venue = _Venue(exchange, symbol, base_url, sleep)
    try:
        venue.require(symbol, length)
        instrument = venue.instrument(symbol)
        if instrument is not None:
            catalog.save_instrument(instrument)
        start, end = _range(catalog, venue, symbol, length, since, until)
        return _fetch_missing(catalog, venue, symbol, length, start, end, on_page)
    finally:
        venue.close()


def _range(
    catalog: Catalog, venue: _Venue, symbol: str, length: Timeframe, since: str | None, until: str | None
) -> tuple[int, int]:
    """Return the first open time to ask for and the end: no bar that opens there or later."""
    newest = catalog.last_closed(venue.id, symbol, length)
    if since is not None:
        start = moment_ns(since, name="since")
    elif newest is not None:
        start = newest.value
    else:
        raise TimestampError(
            f"nothing of {symbol} {length.alias} is stored yet, so there is no place to go on from.",
            fix="Say where to begin: --since 2022-01-01.",
        )
    forming = length.floor(venue.now_ns())
    end = forming if until is None else min(forming, moment_ns(until, name="until"))
    if until is not None and start >= end:
        raise TimestampError(f"since={since} is not before until={until} (or that is still to come).", fix="Swap them.")
    return (start if length.floor(start) == start else length.next_open(start)), end


def _fetch_missing(
    catalog: Catalog,
    venue: _Venue,
    symbol: str,
    length: Timeframe,
    start: int,
    end: int,
    on_page: Callable[[Progress], None] | None,
) -> Download:
    stored = pages = 0
    first = last = None
    try:
        for missing_from, missing_to in _missing(catalog, venue.id, symbol, length, start, end):
            for page in _pages(venue, symbol, length, missing_from, missing_to):
                catalog.append(page)
                stored += len(page)
                pages += 1
                first = page[0].time_ns if first is None else min(first, page[0].time_ns)
                last = page[-1].time_ns
                if pages % _COMPACT_EVERY == 0:
                    catalog.compact()
                if on_page is not None:
                    on_page(Progress(stored, _stamp(last), min(1.0, (length.next_open(last) - start) / (end - start))))
    except ConnectivityError as error:
        kept = f"{stored:,} bar(s) were stored" + (f", up to {_stamp(last):%Y-%m-%d %H:%M} UTC" if last else "")
        raise ConnectivityError(
            f"{error.problem} {kept}.", fix="Run the same command again: it asks only for what is missing."
        ) from error
    finally:
        catalog.compact()
    return Download(stored, pages, None if first is None else _stamp(first), None if last is None else _stamp(last))


def _missing(
    catalog: Catalog, source: str, symbol: str, length: Timeframe, start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Yield the spans of open times, from ``start`` to before ``end``, that the catalog has no bar for.

    A hole that the exchange itself has is asked for again by every download: one short page each.
    """
    if catalog.last_closed(source, symbol, length) is None:
        stamps = np.empty(0, np.int64)
    else:
        stamps = time_ns(catalog.read(source, symbol, length, _stamp(start), _stamp(max(start, end))))
    cursor = start
    for first, last in _runs(stamps, length):
        if first > cursor:
            yield cursor, first
        cursor = length.next_open(last)
    if cursor < end:
        yield cursor, end


def _runs(stamps: np.ndarray, length: Timeframe) -> list[tuple[int, int]]:
    """Return the first and last stamp of each stretch without a hole."""
    if not len(stamps):
        return []
    if length is Timeframe.MN:
        follows = np.array([length.next_open(t) for t in stamps[:-1].tolist()], np.int64) == stamps[1:]
    else:
        follows = np.diff(stamps) == length.ns
    breaks = np.flatnonzero(~follows)
    return list(zip(stamps[np.append(0, breaks + 1)].tolist(), stamps[np.append(breaks, -1)].tolist(), strict=True))


def _pages(venue: _Venue, symbol: str, length: Timeframe, start: int, end: int) -> Iterator[list[BarRow]]:
    cursor = start
    while cursor < end:
        rows = venue.page(symbol, length, cursor)
        fresh = sorted((r for r in rows if cursor <= r[0] * _MS < end), key=lambda r: r[0])
        if fresh:
            yield [_bar(venue.id, symbol, length, row) for row in fresh]
            cursor = length.next_open(int(fresh[-1][0]) * _MS)
        elif any(r[0] * _MS >= end for r in rows):
            return  # the exchange has nothing before the end of this hole
        else:
            cursor += PAGE * length.ns  # before the listing, some exchanges give empty pages


def _bar(source: str, symbol: str, length: Timeframe, row: list[Any]) -> BarRow:
    open_, high, low, close, volume = (math.nan if v is None else float(v) for v in row[1:6])
    return BarRow(source, symbol, length, int(row[0]) * _MS, open_, high, low, close, volume)


def _stamp(ns: int) -> pd.Timestamp:
    return pd.Timestamp(ns, unit="ns", tz="UTC")


class _Venue:
    """One exchange's public endpoints: patient with the network, clear about refusals."""

    def __init__(self, exchange: str, symbol: str, base_url: str | None, sleep: Callable[[float], None]) -> None:
        self.id = exchange
        self._ccxt = _import_ccxt()
        self._sleep = sleep
        if exchange not in self._ccxt.exchanges:
            near = difflib.get_close_matches(exchange, self._ccxt.exchanges, n=8, cutoff=0.4) or ["binance", "kraken"]
            raise UnknownNameError.of("exchange", exchange, near, fix="ccxt's ids are lower-case.")
        self._client = getattr(self._ccxt, exchange)({"enableRateLimit": True})
        kinds = self._client.options.get("fetchMarkets")
        if ":" not in symbol and isinstance(kinds, dict) and "spot" in kinds.get("types", ()):
            self._client.options["fetchMarkets"] = kinds | {"types": ["spot"]}  # one endpoint instead of three
        if base_url is not None:
            self._client.urls["api"] = _moved(self._client.urls["api"], base_url)

    def close(self) -> None:
        self._client.session.close()

    def now_ns(self) -> int:
        """Return the exchange's time, so that a clock that is wrong here cannot close a bar that is still forming."""
        if self._client.has.get("fetchTime"):
            return int(self._ask(self._client.fetch_time)) * _MS
        return int(self._client.milliseconds()) * _MS

    def require(self, symbol: str, length: Timeframe) -> None:
        if not self._client.has.get("fetchOHLCV"):
            raise RequestError(f"{self.id} offers no bars.", fix="Choose another exchange.")
        offered = list(self._client.timeframes or {})
        if offered and length.alias not in offered:
            raise UnknownNameError.of(f"timeframe at {self.id}", length.alias, offered)
        markets = self._ask(self._client.load_markets)
        if symbol not in markets:
            near = difflib.get_close_matches(symbol.upper(), list(markets), n=8, cutoff=0.3)
            raise UnknownNameError.of(f"symbol at {self.id}", symbol, near or sorted(markets)[:8])

    def instrument(self, symbol: str) -> Instrument | None:
        """Return the market's steps and limits, or ``None`` where the exchange does not say them in steps."""
        market = self._client.markets[symbol]
        precision, limits = market["precision"], market["limits"]
        if self._client.precisionMode != self._ccxt.TICK_SIZE or not precision["price"] or not precision["amount"]:
            return None
        return Instrument(
            symbol=symbol,
            venue=self.id,
            quote=market["quote"],
            tick_size=Decimal(str(precision["price"])),
            qty_step=Decimal(str(precision["amount"])),
            contract_size=_decimal(market.get("contractSize")) or Decimal(1),
            min_qty=_decimal(limits["amount"]["min"]),
            max_qty=_decimal(limits["amount"]["max"]),
            min_notional=_decimal(limits["cost"]["min"]),
        )

    def page(self, symbol: str, length: Timeframe, since_ns: int) -> list[list[Any]]:
        return self._ask(lambda: self._client.fetch_ohlcv(symbol, length.alias, since=since_ns // _MS, limit=PAGE))

    def _ask(self, question: Callable[[], Any]) -> Any:
        """Ask up to six times, waiting as long as the exchange says, else twice as long each time."""
        pause = _FIRST_PAUSE_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return question()
            except self._ccxt.NetworkError as error:
                if attempt == _ATTEMPTS:
                    raise ConnectivityError(
                        f"{self.id} could not be reached in {_ATTEMPTS} attempts ({_short(error)}).",
                        fix="Check the network, then run the same command again.",
                    ) from error
                self._sleep(self._retry_after(error) or pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            except self._ccxt.BaseError as error:
                raise RequestError(f"{self.id} refused the request: {_short(error)}.") from error
        raise AssertionError("unreachable")

    def _retry_after(self, error: Exception) -> float | None:
        """Return the seconds the exchange asked us to wait, when it refused for being asked too often."""
        if not isinstance(error, self._ccxt.DDoSProtection):
            return None
        return seconds_of(str((self._client.last_response_headers or {}).get("Retry-After", "")))


def _import_ccxt() -> ModuleType:
    try:
        import ccxt
    except ImportError as error:
        raise MissingExtraError("downloading needs ccxt.", fix='Install it: pip install "tradelab[venues]".') from error
    return ccxt


def _moved(urls: Any, base: str) -> Any:
    """Return an exchange's addresses with another host, paths kept."""
    if isinstance(urls, dict):
        return {name: _moved(url, base) for name, url in urls.items()}
    return base.rstrip("/") + urlsplit(urls).path if isinstance(urls, str) else urls


def _decimal(value: float | None) -> Decimal | None:
    return Decimal(str(value)) if value else None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
