"""Connect to any exchange that ccxt speaks to, and read its markets: bars, trades, quotes."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from tradelab.adapters.budget import Urgency, urgency
from tradelab.adapters.ccxt_client import CcxtClient
from tradelab.adapters.ccxt_dialects import Ways
from tradelab.adapters.ccxt_fills import Trades
from tradelab.adapters.ccxt_keys import QUESTIONS
from tradelab.adapters.ccxt_limits import Budgets, limits_of
from tradelab.adapters.ccxt_streams import CcxtStreams
from tradelab.adapters.ccxt_ways import ways_of
from tradelab.adapters.ccxt_words import candle_of, instrument_of, quote_of, tick_of
from tradelab.model.capabilities import DataCapabilities, Stream, VenueCapabilities
from tradelab.model.clock import Clock, SystemClock
from tradelab.model.credentials import Credentials, Secret
from tradelab.model.errors import ParameterError, RequestError, UnknownNameError, VenueError
from tradelab.model.instrument import Instrument
from tradelab.model.key_rights import KeyRights
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.ports import ConnectionTest
from tradelab.model.units import Timeframe

_SAMPLES = 5


class CcxtData:
    """One account (or public data alone) at one exchange: what does not trade.

    Parameters
    ----------
    exchange
        A ccxt id, ``"binance"``.
    market
        ``"spot"``, or ``"linear"`` for perpetuals settled in what they are quoted in.
    clock
        The machine's by default; orders are signed by the venue's clock, measured at :meth:`connect`.
    credentials
        ``api_key``, ``api_secret``, ``api_passphrase``; none for public data.
    sandbox
        The exchange's own test network.
    base_url
        A rehearsal venue on this machine.
    symbols
        What the account trades, needed by exchanges that tell fills only by symbol (Binance).
    """

    def __init__(
        self,
        exchange: str,
        *,
        market: str = "spot",
        clock: Clock | None = None,
        credentials: Mapping[str, str | Secret] | None = None,
        sandbox: bool = False,
        base_url: str | None = None,
        symbols: Sequence[str] = (),
        timeout_s: float = 10.0,
    ) -> None:
        if market not in ("spot", "linear"):
            raise ParameterError(f"market={market!r} is not known.", allowed=["spot", "linear"])
        self.market = market
        self._exchange, self._symbols = exchange, tuple(symbols)
        self.clock = clock or SystemClock()
        self._credentials = Credentials(credentials or {})
        self._more: dict[str, Any] = {"sandbox": sandbox, "base_url": base_url, "timeout_s": timeout_s}
        self._has_account = bool(self._credentials.get("api_key"))
        self._instruments: dict[str, Instrument] = {}
        self._connected = False
        self._budgets: Budgets | None = None
        self._open()

    def _open(self) -> None:
        """Make a ccxt client: one that was closed cannot be used again."""
        self._client = CcxtClient(self._exchange, self.clock, credentials=self._credentials, **self._more)
        self._ways: Ways = ways_of(self._client.raw, self.market)
        self._budgets = self._budgets or Budgets(self.clock, limits_of(self._client.raw, self.market))
        self._client.budgets = self._budgets  # what was spent, and a ban, outlive a connection
        self._client.raw.options.update(self._ways.options())
        self._streams = CcxtStreams(self._client, self._ways.money, self._ways.heard)
        self._trades = Trades(self._client, self._ways, self._symbols)
        self._closed = False

    def __repr__(self) -> str:
        return f"<{self.name} {self.market} through ccxt, {'connected' if self._connected else 'not connected'}>"

    # ── connection ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        """The ccxt id, with a word more where prices are made up: bars of a rehearsal are not filed as real ones."""
        made_up = "-rehearsal" if self._more["base_url"] else "-sandbox" if self._more["sandbox"] else ""
        return self._client.id + made_up

    @property
    def is_connected(self) -> bool:
        """Whether :meth:`connect` has succeeded."""
        return self._connected

    @cached_property
    def capabilities(self) -> VenueCapabilities:
        """What the exchange offers in this market."""
        return self._ways.capabilities()

    @cached_property
    def data_capabilities(self) -> DataCapabilities:
        """What data the exchange offers."""
        known = {t.alias: t for t in Timeframe}
        told = self._ways.features().get("fetchOHLCV") or {}
        return DataCapabilities(
            timeframes=tuple(known[name] for name in self._client.raw.timeframes or () if name in known),
            page_bars=int(told.get("limit") or 500),
            ticks=bool(self._client.raw.has.get("fetchTrades")),
            streams=self.capabilities.streams & {Stream.CANDLES, Stream.QUOTES},
        )

    async def connect(self) -> None:
        """Learn the markets and the venue's clock; with an account, that it is in a mode we know."""
        if self._connected:
            return
        if self._closed:
            self._open()
        try:
            await self._client.sync_clock(_SAMPLES)
            markets = await self._client.ask(self._client.raw.load_markets, True)
            self._instruments = {i.symbol: i for m in markets.values() if (i := self._wanted(m)) is not None}
            if self._has_account:
                await self._client.ask(self._ways.prepare)
                await self._require_one_way()
        except BaseException:
            await self.disconnect()
            raise
        self._connected = True

    async def disconnect(self) -> None:
        """Close every socket."""
        self._connected, self._closed = False, True
        await self._streams.close()
        await self._client.close()

    async def test_connection(self) -> ConnectionTest:
        """Ask for the time five times and, with an account, for its balances."""
        if self._closed:
            self._open()
        try:
            latency_ms = await self._client.sync_clock(_SAMPLES)
            if self._has_account:
                await self._client.ask(self._client.raw.fetch_balance)
        except VenueError as error:
            return ConnectionTest(False, str(error), refused=isinstance(error, RequestError))
        says = "time and balances were told" if self._has_account else "time was told; there are no credentials to test"
        return ConnectionTest(True, says, latency_ms, (self._client.now_ns() - self.clock.now_ns()) / 1e6)

    async def key_rights(self) -> KeyRights | None:
        """Ask what our key may do; ``None`` where the venue, or its test network, has no question that is known here.

        Raises
        ------
        ConnectivityError, RequestError
            As every read.
        """
        question = QUESTIONS.get(self._exchange)
        if question is None or not self._has_account or self._more["sandbox"]:
            return None
        told = await self._client.ask(getattr(self._client.raw, question.request))
        return question.read(told, self.market)

    async def now_ns(self) -> int:
        """Ask the venue for its time."""
        return await self._client.told_ns()

    async def instruments(self) -> Sequence[Instrument]:
        """Return the markets of this kind that say their steps."""
        self._require_connected()
        return list(self._instruments.values())

    async def symbols(self) -> Sequence[str]:
        """Return their symbols, as ccxt writes them."""
        self._require_connected()
        return sorted(self._instruments)

    # ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def fetch_ohlcv(
        self, symbol: str, timeframe: Timeframe, *, since_ns: int | None = None, limit: int | None = None
    ) -> Sequence[Candle]:
        """Return one page of bars; bars are closed by the venue's clock."""
        self._require(symbol)
        since_ms = None if since_ns is None else -(-since_ns // 1_000_000)
        most = min(limit or self.data_capabilities.page_bars, self.data_capabilities.page_bars)
        now = (
            self._client.now_ns()
        )  # before the question: what an answer under way saw forming is not closed by its delay
        rows = await self._client.ask(self._client.raw.fetch_ohlcv, symbol, timeframe.alias, since_ms, most)
        bars = sorted((candle_of(r, timeframe, now) for r in rows), key=lambda c: c.open_ns)
        return [c for c in bars if since_ns is None or c.open_ns >= since_ns]

    async def fetch_ticks(self, symbol: str, *, limit: int = 100) -> Sequence[Tick]:
        """Return the newest public trades, oldest first."""
        self._require(symbol)
        told = await self._client.ask(self._client.raw.fetch_trades, symbol, None, limit)
        return sorted((tick_of(t) for t in told), key=lambda t: t.ts_ns)

    def watch_candles(self, symbol: str, timeframe: Timeframe) -> AsyncIterator[Candle]:
        """Yield bars as the venue pushes them."""
        return self._streams.candles(symbol, timeframe)

    def watch_quotes(self, symbol: str) -> AsyncIterator[Quote]:
        """Yield best bid and ask as they change."""
        return self._streams.quotes(symbol)

    async def quote(self, symbol: str) -> Quote:
        """Return best bid and ask now."""
        self._require(symbol)
        raw = self._client.raw
        with urgency(Urgency.ACCOUNT):
            if raw.has.get("fetchBidsAsks") is True:
                told = (await self._client.ask(raw.fetch_bids_asks, [symbol]))[symbol]
            else:
                told = await self._client.ask(raw.fetch_order_book, symbol, 5)
        return quote_of(told, symbol, self._client.now_ns())

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _wanted(self, market: dict[str, Any]) -> Instrument | None:
        is_ours = market.get("spot") if self.market == "spot" else market.get("swap") and market.get("linear")
        return instrument_of(market, self.name) if is_ours and market.get("active") is not False else None

    async def _require_one_way(self) -> None:
        """Refuse an account that holds a long and a short in one symbol: netting is what the house counts on."""
        raw = self._client.raw
        if self.market != "linear" or raw.has.get("fetchPositionMode") is not True:
            return
        mode = await self._client.ask(raw.fetch_position_mode)
        if mode.get("hedged"):
            raise RequestError(
                f"{self.name}: the account is in hedge mode, and orders here mean one position a symbol.",
                fix="Switch it to one-way mode at the exchange, with no position open, then connect again.",
            )

    def _require(self, symbol: str) -> None:
        self._require_connected()
        if symbol not in self._instruments:
            near = difflib.get_close_matches(symbol.upper(), list(self._instruments), n=8, cutoff=0.3)
            kind = f"symbol at {self.name} ({self.market})"
            raise UnknownNameError.of(kind, symbol, near or sorted(self._instruments)[:8])

    def _require_connected(self) -> None:
        if not self._connected:
            raise RequestError(f"{self.name} is not connected.", fix="Call `await venue.connect()` first.")

    def _require_account(self) -> None:
        self._require_connected()
        if not self._has_account:
            raise RequestError(
                f"{self.name}: there is no account without credentials.", fix="Give api_key and api_secret."
            )
