"""Trade and read a MetaTrader account through MetaApi.cloud: REST for everything, its stream for what changes.

A hedging account: every entry is a position with an id, and closing one is a market order with ``position_id``.
MetaTrader has limits, stops and stop-limits that rest; a limit beyond the market is refused, not filled. How a market
order fills (all, or what there is) is left to the broker: MetaTrader has IOC and FOK for market orders only, and what a
venue declares counts for limits too, so neither is declared.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

from tradelab.adapters import metaapi_watching as watching
from tradelab.adapters.metaapi_accounts import Accounts
from tradelab.adapters.metaapi_bars import MT4_TIMEFRAMES, PAGE, TIMEFRAMES, forward_page, with_closed
from tradelab.adapters.metaapi_orders import AHEAD_NS, Orders
from tradelab.adapters.metaapi_parse import Specification
from tradelab.adapters.metaapi_settings import Hosts, MetaApiSettings, hosts, provisioning_host
from tradelab.adapters.metaapi_socket import SocketIo
from tradelab.adapters.metaapi_stream import Stream as Push
from tradelab.adapters.metaapi_terminal import Terminal
from tradelab.adapters.metaapi_trading import impossible
from tradelab.adapters.metaapi_wire import RefusedError, Wire
from tradelab.model.account import AccountInfo, Balance, Position, PositionMode
from tradelab.model.approval import OrderApproved, intent_of
from tradelab.model.capabilities import DataCapabilities, Evidence, Stream, VenueCapabilities
from tradelab.model.clock import Clock, SystemClock, elapsed_ns
from tradelab.model.credentials import Credentials
from tradelab.model.errors import RequestError, UnknownNameError, VenueError
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.orders import Fill, Order, OrderRef, OrderType, TimeInForce
from tradelab.model.outcome import Outcome, RefusalCode, Refused
from tradelab.model.ports import ConnectionTest
from tradelab.model.units import Timeframe

_PUSHED = frozenset(Stream)
_TRIES = 3
_HEDGING = "ACCOUNT_MARGIN_MODE_RETAIL_HEDGING"


class MetaApiVenue:
    """One MetaTrader account: a data provider and an execution venue.

    Parameters
    ----------
    settings
        How it is reached.
    credentials
        ``api_token`` and ``account_id``, and where given ``account_token`` and ``region``.
    clock
        Ours; the venue's time is told by it and the difference that :meth:`connect` measures.
    """

    def __init__(self, settings: MetaApiSettings, credentials: Credentials, clock: Clock | None = None) -> None:
        self.settings = settings
        self._credentials = credentials
        self._clock = clock or SystemClock()
        self._wire: Wire | None = None
        self._terminal: Terminal | None = None
        self._hosts: Hosts | None = None
        self._push: Push | None = None
        self._specifications: dict[str, Specification] = {}
        self._offset_ns = 0
        self._is_mt4 = False

    def __repr__(self) -> str:
        return f"MetaApiVenue({self.name!r}, {'connected' if self.is_connected else 'not connected'})"

    # ── both ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        """What its data is filed under."""
        return self.settings.name

    @property
    def is_connected(self) -> bool:
        """Whether :meth:`connect` has succeeded since the last :meth:`disconnect`."""
        return self._terminal is not None

    async def connect(self) -> None:
        """Find the account's hosts, wait until its terminal is ready, learn its symbols and the venue's clock."""
        if self.is_connected:
            return
        here = self.settings.base_url is not None
        wire = Wire(self._credentials, self._clock, self.settings.timeout_s, trust_env=not here)
        try:
            found = await self._find(wire)
            terminal = Terminal(wire, found, self._credentials.reveal("account_id"))
            await self._learn(terminal)
        except BaseException:
            await wire.close()
            raise
        self._wire, self._hosts, self._terminal = wire, found, terminal
        account_id = self._credentials.reveal("account_id")
        self._push = Push(self._dial, account_id, self._clock, self._venue_now_ns, self.settings.timeout_s)

    async def disconnect(self) -> None:
        """Close every socket."""
        push, wire = self._push, self._wire
        self._terminal = self._push = self._wire = None
        if push is not None:
            await push.close()
        if wire is not None:
            await wire.close()

    async def test_connection(self) -> ConnectionTest:
        """Try the account, its time and its symbols; trades nothing."""
        said, latencies, offset_ms = "", [], None
        try:
            await self.connect()
            for _ in range(_TRIES):
                began, before = time.perf_counter_ns(), self._clock.now_ns()
                there = await self._require().time_ns()
                took = time.perf_counter_ns() - began
                latencies.append(took / 1e6)
                offset_ms = (there - before - took / 2) / 1e6
            account = await self.account_info()
            said = f"{len(self._specifications)} symbols; trading is {'on' if account.may_trade else 'off'}"
        except VenueError as error:
            said = str(error)
            refused = isinstance(error, RequestError)
            return ConnectionTest(False, said, _median(latencies), offset_ms, refused=refused)
        return ConnectionTest(True, said, _median(latencies), offset_ms)

    async def now_ns(self) -> int:
        """Return the venue's time, asked of the venue."""
        return await self._require().time_ns()

    async def instruments(self) -> Sequence[Instrument]:
        """Return the symbols that were learnt."""
        self._require()
        return [s.instrument for s in self._specifications.values()]

    async def symbols(self) -> Sequence[str]:
        """Return the symbols that were learnt."""
        self._require()
        return list(self._specifications)

    async def account_info(self) -> AccountInfo:
        """Return the account at this moment."""
        return await self._require().account(self._venue_now_ns())

    # ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def data_capabilities(self) -> DataCapabilities:
        """What it offers; MetaTrader 4 has fewer timeframes and no ticks."""
        frames = MT4_TIMEFRAMES if self._is_mt4 else tuple(TIMEFRAMES)
        pushed = frozenset({Stream.CANDLES, Stream.QUOTES}) if self.settings.streams else frozenset()
        return DataCapabilities(timeframes=frames, page_bars=PAGE, ticks=not self._is_mt4, streams=pushed)

    async def fetch_ohlcv(
        self, symbol: str, timeframe: Timeframe, *, since_ns: int | None = None, limit: int | None = None
    ) -> Sequence[Candle]:
        """Return one page of bars, oldest first; their volume is the count of ticks, which every market has.

        MetaApi tells bars backwards from a time; :func:`~tradelab.adapters.metaapi_bars.forward_page` turns that round.
        """
        terminal = self._require(symbol)
        if timeframe not in self.data_capabilities.timeframes:
            known = [t.code for t in self.data_capabilities.timeframes]
            raise RequestError(f"{self.name} has no bars of {timeframe.code}.", allowed=known)
        count, now = min(limit or PAGE, PAGE), self._venue_now_ns()

        async def ask(until_ns: int | None, most: int) -> list[Candle]:
            return await terminal.candles(symbol, timeframe, until_ns, most)

        bars = await (ask(None, count) if since_ns is None else forward_page(ask, timeframe, since_ns, count, now))
        return with_closed(bars, timeframe, now)

    async def fetch_ticks(self, symbol: str, *, limit: int = 100) -> Sequence[Tick]:
        """Return the newest ticks, oldest first."""
        terminal = self._require(symbol)
        if self._is_mt4:
            raise RequestError(f"{self.name}: MetaTrader 4 keeps no ticks.", fix="Watch quotes instead.")
        return (await terminal.ticks(symbol, limit))[-limit:]

    async def watch_candles(self, symbol: str, timeframe: Timeframe) -> AsyncIterator[Candle]:
        """Yield bars as they form, and each once it is closed."""
        push, terminal = self._pushing(symbol), self._require()

        async def between(from_ns: int, until_ns: int) -> list[Candle]:
            async def ask(last_ns: int | None, most: int) -> list[Candle]:
                return await terminal.candles(symbol, timeframe, last_ns, most)

            bars = await forward_page(ask, timeframe, from_ns, PAGE, until_ns - 1)
            return [bar for bar in bars if bar.open_ns < until_ns]

        async with contextlib.aclosing(watching.candles(push, symbol, timeframe, between)) as told:
            async for bar in told:
                yield bar

    async def watch_quotes(self, symbol: str) -> AsyncIterator[Quote]:
        """Yield best bid and ask as they change."""
        async with contextlib.aclosing(watching.quotes(self._pushing(symbol), symbol)) as told:
            async for quote in told:
                yield quote

    # ── execution ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def capabilities(self) -> VenueCapabilities:
        """What it offers; a request does not expire, so what is not found may still arrive."""
        types = frozenset(OrderType) - ({OrderType.STOP_LIMIT} if self._is_mt4 else set())
        return VenueCapabilities(
            order_types=types, times_in_force=frozenset({TimeInForce.GTC, TimeInForce.GTD}),
            position_mode=PositionMode.HEDGING, attached_protection_types=types, reduce_only=True,
            limit_may_take=False, modify=frozenset({"price", "stop_price"}), modify_protection=True,
            query_by_client_id=True, streams=_PUSHED if self.settings.streams else frozenset(),
            evidence=Evidence.SIMULATOR_ONLY,
        )  # fmt: skip

    async def submit(self, order: OrderApproved) -> Outcome:
        """Send an order once; one of the same client id that is there already is the answer instead."""
        intent = intent_of(order)
        lacking = self.capabilities.lacks(intent) or impossible(intent, self._is_mt4)

        def late() -> Refused | None:
            return order.stale_at(self._venue_now_ns())

        return lacking or late() or await self._orders().submit(intent, late)

    async def cancel(self, ref: OrderRef) -> Outcome:
        """Cancel one order."""
        return await self._orders().cancel(ref)

    async def cancel_all(self, symbol: str | None = None) -> Sequence[tuple[OrderRef, Outcome]]:
        """Cancel every open order, one by one."""
        orders = self._orders()
        return [(order.ref, await orders.cancel(order.ref)) for order in await self.open_orders(symbol)]

    async def modify(
        self,
        ref: OrderRef,
        *,
        qty: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> Outcome:
        """Change the prices of an open order; MetaTrader cannot change its volume."""
        if qty is not None:
            return Refused(RefusalCode.NOT_SUPPORTED, "MetaTrader does not change the volume of an order")
        if price is None and stop_price is None:
            return Refused(RefusalCode.BAD_REQUEST, "nothing to change was given")
        return await self._orders().modify(ref, price, stop_price)

    async def modify_protection(
        self, symbol: str, *, position_id: str | None = None, stop_loss: Decimal | None, take_profit: Decimal | None
    ) -> Outcome:
        """Set the stop loss and take profit of one position; ``None`` takes one away."""
        if position_id is None:
            return Refused(RefusalCode.BAD_REQUEST, f"{symbol}: on a hedging account name the position: position_id")
        return await self._orders().protect(position_id, stop_loss, take_profit)

    async def order(self, ref: OrderRef) -> Order | None:
        """Ask for one order, open or done; by our id as far back as ``lookup_days``."""
        return await self._orders().find(ref)

    async def open_orders(self, symbol: str | None = None) -> Sequence[Order]:
        """Return every open order."""
        return [o for o in await self._require().open_orders() if symbol in (None, o.symbol)]

    async def fills(self, since_ns: int, symbol: str | None = None) -> Sequence[Fill]:
        """Return the account's fills from ``since_ns`` on, oldest first."""
        terminal, until = self._require(), self._venue_now_ns() + AHEAD_NS
        made = await terminal.fills(since_ns, until) if since_ns < until else []
        return [f for f in made if f.ts_ns >= since_ns and symbol in (None, f.symbol)]

    async def positions(self, symbol: str | None = None) -> Sequence[Position]:
        """Return open positions."""
        return [p for p in await self._require().positions() if symbol in (None, p.symbol)]

    async def balances(self) -> Sequence[Balance]:
        """Return the account's money."""
        return (await self.account_info()).balances

    async def quote(self, symbol: str) -> Quote:
        """Return best bid and ask now."""
        return await self._require(symbol).quote(symbol)

    async def watch_orders(self) -> AsyncIterator[Order]:
        """Yield each order whenever it changes."""
        push, currency = self._pushing(), self._require().currency
        async with contextlib.aclosing(watching.orders(push, currency)) as told:
            async for order in told:
                yield order

    async def watch_fills(self) -> AsyncIterator[Fill]:
        """Yield each fill once."""
        push, currency = self._pushing(), self._require().currency
        async with contextlib.aclosing(watching.fills(push, currency)) as told:
            async for fill in told:
                yield fill

    async def watch_balances(self) -> AsyncIterator[Balance]:
        """Yield the account's money whenever it changes."""
        async with contextlib.aclosing(watching.balances(self._pushing())) as told:
            async for balance in told:
                yield balance

    # ── connecting ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _find(self, wire: Wire) -> Hosts:
        """Return the account's hosts once its terminal is ready."""
        accounts = Accounts(wire, provisioning_host(self.settings), self._clock)
        region = self._credentials.reveal("region") if "region" in self._credentials else None
        try:
            ready = await accounts.ready(
                self._credentials.reveal("account_id"), within_s=self.settings.ready_s, deploy=self.settings.deploy
            )
            region = region or ready.region
        except RefusedError as error:
            if error.status != 403 or region is None:  # an account's own token may not ask; then region must be told
                raise
        domain, hostname = await accounts.servers()
        return hosts(self.settings, region, domain, hostname)

    async def _learn(self, terminal: Terminal) -> None:
        raw = await terminal.raw_account()
        self._is_mt4 = raw.get("platform") == "mt4"
        if not self._is_mt4 and raw.get("marginMode", _HEDGING) != _HEDGING:
            raise RequestError(
                f"the account nets positions ({raw['marginMode']}); this adapter trades hedging accounts only.",
                fix="Open a hedging account at the broker.",
            )
        self._offset_ns = await terminal.time_ns() - elapsed_ns(self._clock)
        listed = await terminal.symbols()
        for symbol in self.settings.symbols:
            if symbol not in listed:
                raise UnknownNameError.of(f"symbol at {self.name}", symbol, listed)
        self._specifications = await terminal.specifications(self.settings.symbols or listed, self.name)

    async def _dial(self) -> SocketIo:
        client_id, found = secrets.token_hex(8), self._hosts
        if found is None:
            raise RequestError(f"{self.name} is not connected.", fix="Await connect() first.")
        token = "account_token" if "account_token" in self._credentials else "api_token"
        return await SocketIo.connect(
            found.stream,
            {"auth-token": self._credentials.reveal(token), "clientId": client_id, "protocol": "3"},
            version=self.settings.engine_io,
            timeout_s=self.settings.timeout_s,
        )

    def _venue_now_ns(self) -> int:
        return elapsed_ns(self._clock) + self._offset_ns

    def _require(self, symbol: str | None = None) -> Terminal:
        if self._terminal is None:
            raise RequestError(f"{self.name} is not connected.", fix="Await connect() first.")
        if symbol is not None and symbol not in self._specifications:
            raise UnknownNameError.of(f"symbol at {self.name}", symbol, self._specifications)
        return self._terminal

    def _orders(self) -> Orders:
        return Orders(self._require(), self.settings, self._specifications, self._venue_now_ns)

    def _pushing(self, symbol: str | None = None) -> Push:
        self._require(symbol)
        if not self.settings.streams or self._push is None:
            raise RequestError(f"{self.name}: streams are off in the settings.", fix="Poll, or set streams=true.")
        return self._push


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None
