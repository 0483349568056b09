"""Trade and read data at any exchange that ccxt speaks to: spot and linear perpetuals, REST and streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from tradelab.adapters.budget import Urgency, urgency
from tradelab.adapters.ccxt_client import CcxtClient
from tradelab.adapters.ccxt_dialects import Ways, ways_of
from tradelab.adapters.ccxt_fills import Trades
from tradelab.adapters.ccxt_streams import CcxtStreams
from tradelab.adapters.ccxt_words import balances_of, candle_of, instrument_of, order_of, position_of, quote_of, tick_of
from tradelab.model.account import AccountInfo, Balance, Position, PositionMode
from tradelab.model.approval import OrderApproved
from tradelab.model.capabilities import DataCapabilities, Stream, VenueCapabilities
from tradelab.model.clock import Clock, SystemClock
from tradelab.model.credentials import Secret
from tradelab.model.errors import ParameterError, RequestError, UnknownNameError, VenueError
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.orders import Fill, Order, OrderIntent, OrderRef, Side
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown
from tradelab.model.ports import ConnectionTest
from tradelab.model.units import Timeframe

_SAMPLES = 5
_NO_ORDERS = Refused(RefusalCode.ORDER_NOT_FOUND, "the venue has no such order")


class CcxtVenue:
    """One account (or public data alone) at one exchange: a data provider and an execution venue.

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

    Examples
    --------
    >>> CcxtVenue("kraken").name
    'kraken'
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
        self._client = CcxtClient(
            exchange, clock or SystemClock(), credentials=credentials, sandbox=sandbox, base_url=base_url,
            timeout_s=timeout_s,
        )  # fmt: skip
        self._has_account = bool(credentials and credentials.get("api_key"))
        self._ways: Ways = ways_of(self._client.raw, market)
        self._client.raw.options.update(self._ways.options())
        self._streams = CcxtStreams(self._client)
        self._trades = Trades(self._client, self._ways, symbols)
        self._instruments: dict[str, Instrument] = {}
        self._connected = False

    def __repr__(self) -> str:
        return f"<{self.name} {self.market} through ccxt, {'connected' if self._connected else 'not connected'}>"

    # ── connection ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        """The ccxt id."""
        return self._client.id

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
        try:
            await self._client.sync_clock(_SAMPLES)
            markets = await self._client.ask(self._client.raw.load_markets, True)
            self._instruments = {i.symbol: i for m in markets.values() if (i := self._wanted(m)) is not None}
            if self._has_account:
                await self._require_one_way()
        except BaseException:
            await self._client.close()
            raise
        self._connected = True

    async def disconnect(self) -> None:
        """Close every socket."""
        self._connected = False
        await self._client.close()

    async def test_connection(self) -> ConnectionTest:
        """Ask for the time five times and, with an account, for its balances."""
        try:
            latency_ms = await self._client.sync_clock(_SAMPLES)
            if self._has_account:
                await self._client.ask(self._client.raw.fetch_balance)
        except VenueError as error:
            return ConnectionTest(False, str(error))
        says = "time and balances were told" if self._has_account else "time was told; there are no credentials to test"
        return ConnectionTest(True, says, latency_ms, self._client.offset_ns / 1e6)

    async def now_ns(self) -> int:
        """Ask the venue for its time."""
        await self._client.sync_clock()
        return self._client.now_ns()

    async def instruments(self) -> Sequence[Instrument]:
        """Return the markets of this kind that say their steps."""
        self._require_connected()
        return tuple(self._instruments.values())

    async def symbols(self) -> Sequence[str]:
        """Return their symbols, as ccxt writes them."""
        self._require_connected()
        return tuple(sorted(self._instruments))

    # ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def fetch_ohlcv(
        self, symbol: str, timeframe: Timeframe, *, since_ns: int | None = None, limit: int | None = None
    ) -> Sequence[Candle]:
        """Return one page of bars; bars are closed by the venue's clock."""
        self._require(symbol)
        since_ms = None if since_ns is None else -(-since_ns // 1_000_000)
        most = min(limit or self.data_capabilities.page_bars, self.data_capabilities.page_bars)
        rows = await self._client.ask(self._client.raw.fetch_ohlcv, symbol, timeframe.alias, since_ms, most)
        now = self._client.now_ns()
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

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def submit(self, order: OrderApproved) -> Outcome:
        """Send an order once; an answer without an id is no answer."""
        intent = order.intent
        missing = self.capabilities.lacks(intent) or self._unknown(intent.symbol)
        if missing is not None:
            return missing
        self._trades.remember(intent.symbol)
        answer = await self._client.send(
            _urgency_of(intent), self._client.raw.create_order, intent.symbol,
            "limit" if intent.type.needs_price else "market", intent.side.value, str(intent.qty),
            None if intent.price is None else str(intent.price), self._ways.order_params(intent),
        )  # fmt: skip
        if isinstance(answer, Refused):
            return answer
        if isinstance(answer, Unknown):
            return await self._already_there(intent, answer) if "has had an order" in answer.says else answer
        if answer.get("id") is None:
            return Unknown(f"{self.name} answered without the order's id; it may have taken the order")
        return Accepted(intent.client_order_id, self._ways.accepted_id(answer, intent), _told_whole(answer))

    async def cancel(self, ref: OrderRef) -> Outcome:
        """Cancel one order, by whichever name is known."""
        missing = self._unknown(ref.symbol)
        if missing is not None:
            return missing
        named = await self._named(ref)
        if not isinstance(named, OrderRef):
            return named
        answer = await self._client.send(Urgency.PROTECT, self._ways.cancel, named)
        if isinstance(answer, Refused | Unknown):
            return await self._closed_already(ref, answer)
        if answer.get("id") is None and answer.get("clientOrderId") is None:
            return Unknown(f"{self.name} answered the cancel without the order's id")
        return Accepted(named.client_order_id, named.venue_order_id or str(answer.get("id")))

    async def cancel_all(self, symbol: str | None = None) -> Sequence[tuple[OrderRef, Outcome]]:
        """Cancel every open order, one by one, so that each has an answer of its own."""
        with urgency(Urgency.PROTECT):
            waiting = await self.open_orders(symbol)
        return [(order.ref, await self.cancel(order.ref)) for order in waiting]

    async def modify(
        self,
        ref: OrderRef,
        *,
        qty: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> Outcome:
        """Change an open order in place, where the venue can."""
        asked = {n for n, v in (("qty", qty), ("price", price), ("stop_price", stop_price)) if v is not None}
        if not asked <= self.capabilities.modify:
            return Refused(RefusalCode.NOT_SUPPORTED, f"{self.name} cannot change {', '.join(sorted(asked))} in place")
        now = await self.order(ref)
        if now is None:
            return _NO_ORDERS
        if not now.status.is_open:
            return Refused(RefusalCode.ORDER_CLOSED, f"the order is {now.status.value}")
        if (qty or now.qty) <= now.filled_qty:
            return Refused(RefusalCode.MIN_QTY, f"{now.filled_qty} of the order has filled already")
        limit = price if price is not None else now.price
        answer = await self._client.send(
            Urgency.EXIT, self._ways.modify, now, str(qty or now.qty), None if limit is None else str(limit),
            None if stop_price is None else str(stop_price),
        )  # fmt: skip
        if isinstance(answer, Refused | Unknown):
            return answer
        if answer.get("id") is None:
            return Unknown(f"{self.name} answered the change without the order's id")
        return Accepted(now.client_order_id, now.venue_order_id)

    async def modify_protection(
        self, symbol: str, *, position_id: str | None = None, stop_loss: Decimal | None, take_profit: Decimal | None
    ) -> Outcome:
        """Set the stop loss and take profit of a position, where the venue keeps them with it."""
        if not self.capabilities.modify_protection:
            return Refused(
                RefusalCode.NOT_SUPPORTED, f"{self.name} keeps no stop loss with a position; send a stop order"
            )
        held = next(iter(await self.positions(symbol)), None)
        if held is None:
            return Refused(RefusalCode.POSITION_NOT_FOUND, f"no position in {symbol}")
        side = Side.BUY if held.qty > 0 else Side.SELL
        levels = (str(stop_loss or 0), str(take_profit or 0))
        answer = await self._client.send(Urgency.PROTECT, self._ways.protect, symbol, side, *levels)
        return answer if isinstance(answer, Refused | Unknown) else Accepted(None, symbol)

    # ── account ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def order(self, ref: OrderRef) -> Order | None:
        """Ask for one order; ``None`` when the venue says that it has none."""
        self._require(ref.symbol)
        with urgency(Urgency.ACCOUNT):
            found = await self._client.look_up(self._ways.find, ref)
        if found is None:
            return None
        return replace(found, client_order_id=found.client_order_id or ref.client_order_id)

    async def open_orders(self, symbol: str | None = None) -> Sequence[Order]:
        """Return every open order, conditional ones too."""
        self._require_account()
        with urgency(Urgency.ACCOUNT):
            return tuple(await self._client.ask(self._ways.open_orders, symbol))

    async def fills(self, since_ns: int, symbol: str | None = None) -> Sequence[Fill]:
        """Return the account's fills, oldest first, each once."""
        self._require_account()
        with urgency(Urgency.ACCOUNT):
            return await self._trades.since(since_ns, symbol)

    async def positions(self, symbol: str | None = None) -> Sequence[Position]:
        """Return open positions; none on spot."""
        self._require_account()
        if self.capabilities.position_mode is PositionMode.NONE:
            return ()
        with urgency(Urgency.ACCOUNT):
            told = await self._client.ask(self._client.raw.fetch_positions, None if symbol is None else [symbol])
        found = [p for t in told if (p := position_of(t)) is not None]
        return tuple(p for p in found if symbol is None or p.symbol == symbol)

    async def balances(self) -> Sequence[Balance]:
        """Return the money, by currency."""
        self._require_account()
        with urgency(Urgency.ACCOUNT):
            return balances_of(await self._client.ask(self._client.raw.fetch_balance))

    async def account_info(self) -> AccountInfo:
        """Return balances; equity is not guessed from prices, so it stays unknown here."""
        money = tuple(await self.balances())
        return AccountInfo(balances=money, ts_ns=self._client.now_ns(), position_mode=self.capabilities.position_mode)

    def watch_orders(self) -> AsyncIterator[Order]:
        """Yield the account's orders as they change."""
        return self._streams.orders()

    def watch_fills(self) -> AsyncIterator[Fill]:
        """Yield the account's trades."""
        return self._streams.fills()

    def watch_balances(self) -> AsyncIterator[Balance]:
        """Yield balances as they change."""
        return self._streams.balances()

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

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

    async def _already_there(self, intent: OrderIntent, unknown: Unknown) -> Outcome:
        """Ask for the order that a duplicate was refused for."""
        try:
            there = await self.order(OrderRef(symbol=intent.symbol, client_order_id=intent.client_order_id))
        except VenueError:
            return unknown
        return unknown if there is None else Accepted(there.client_order_id, there.venue_order_id, there)

    async def _closed_already(self, ref: OrderRef, answer: Refused | Unknown) -> Outcome:
        """Tell an order that had ended from one that never was."""
        if not (isinstance(answer, Refused) and answer.code is RefusalCode.ORDER_NOT_FOUND):
            return answer
        try:
            now = await self.order(ref)
        except VenueError:
            return answer
        if now is None or now.status.is_open:
            return answer
        return Refused(RefusalCode.ORDER_CLOSED, f"the order is {now.status.value}")

    async def _named(self, ref: OrderRef) -> OrderRef | Outcome:
        """Return the order's venue id too, where our own is not enough to cancel by."""
        if ref.venue_order_id is not None or (
            self.capabilities.query_by_client_id and not self._ways.cancels_by_venue_id
        ):
            return ref
        try:
            now = await self.order(ref)
        except VenueError as error:
            return Unknown(f"the order could not be looked up, so nothing was cancelled: {error}")
        return _NO_ORDERS if now is None else now.ref

    def _unknown(self, symbol: str) -> Refused | None:
        if symbol in self._instruments:
            return None
        return Refused(RefusalCode.UNKNOWN_SYMBOL, f"{self.name} lists no {symbol} in its {self.market} market")

    def _require(self, symbol: str) -> None:
        self._require_connected()
        if symbol not in self._instruments:
            near = sorted(self._instruments)
            raise UnknownNameError.of(f"symbol at {self.name} ({self.market})", symbol, near[:400])

    def _require_connected(self) -> None:
        if not self._connected:
            raise RequestError(f"{self.name} is not connected.", fix="Call `await venue.connect()` first.")

    def _require_account(self) -> None:
        self._require_connected()
        if not self._has_account:
            raise RequestError(
                f"{self.name}: there is no account without credentials.", fix="Give api_key and api_secret."
            )


def _urgency_of(intent: OrderIntent) -> Urgency:
    if intent.type.needs_stop_price and intent.reduce_only:
        return Urgency.PROTECT
    return Urgency.EXIT if intent.reduce_only else Urgency.ENTRY


def _told_whole(answer: dict[str, Any]) -> Order | None:
    """Return the order of an answer that holds one, ``None`` for a mere acknowledgement."""
    if answer.get("side") is None or answer.get("amount") is None or answer.get("status") is None:
        return None
    return order_of(answer)
