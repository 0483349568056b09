"""Trade and fetch data through mtapi.io: MetaTrader 4 and 5 behind a bridge, hosted or your own.

Tested against our own simulator only: no public schema of this wire could be had. What is assumed of it, and from
where the rest is known, stands in :mod:`tradelab.adapters.mtapi_wire` and in ``docs/mtapi.md``.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

from tradelab.adapters.mtapi_account import Account
from tradelab.adapters.mtapi_book import of_symbol
from tradelab.adapters.mtapi_data import PAGE, Bars, offset_fits, timeframes
from tradelab.adapters.mtapi_session import Session
from tradelab.adapters.mtapi_settings import MtapiSettings
from tradelab.adapters.mtapi_streams import Streams
from tradelab.adapters.mtapi_trading import Trader
from tradelab.adapters.mtapi_wire import Platform
from tradelab.model.account import AccountInfo, Balance, Position, PositionMode
from tradelab.model.approval import OrderApproved, intent_of
from tradelab.model.capabilities import DataCapabilities, Evidence, Stream, VenueCapabilities
from tradelab.model.clock import Clock
from tradelab.model.credentials import Credentials
from tradelab.model.errors import RequestError, VenueError
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.orders import Fill, Order, OrderRef, OrderType, TimeInForce
from tradelab.model.outcome import Outcome, RefusalCode, Refused
from tradelab.model.ports import ConnectionTest
from tradelab.model.units import NS_PER_DAY, Timeframe

_FAR_NS = 400 * NS_PER_DAY  # how far back an order is looked for that was not found in the days of the settings
_PROBES = 3


class MtapiVenue:
    """One MetaTrader account behind a bridge of mtapi.io: an execution venue and a data provider.

    Parameters
    ----------
    settings
        Where the bridge is, which MetaTrader, whose clock.
    credentials
        ``user`` and ``password`` of the account, ``host`` and ``port`` of the broker, an ``api_key`` if wanted.
    clock
        Ours: it limits how far back we look, and fills in fractions of a second of the bridge's time.
    """

    def __init__(self, settings: MtapiSettings, credentials: Credentials, clock: Clock) -> None:
        self.settings = settings
        self._session = Session(settings, credentials, clock)
        self._account = Account(self._session)
        self._trader = Trader(self._account)
        self._bars = Bars(self._account)
        self._streams = Streams(self._account)
        self._connecting = asyncio.Lock()

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "not connected"
        return f"<MtapiVenue {self.settings.platform.value} at {self.settings.base_url}, {state}>"

    # ── common ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        """What the catalogue files its data under."""
        return self._session.settings.name

    @property
    def is_connected(self) -> bool:
        """Whether :meth:`connect` has succeeded and :meth:`disconnect` has not been called."""
        return self._session.is_open

    @property
    def capabilities(self) -> VenueCapabilities:
        """What MetaTrader offers through this wire; only version 5 has stop-limit orders."""
        types = {OrderType.MARKET, OrderType.LIMIT, OrderType.STOP}
        if self.settings.platform is Platform.MT5:
            types.add(OrderType.STOP_LIMIT)
        return VenueCapabilities(
            order_types=frozenset(types),
            times_in_force=frozenset({TimeInForce.GTC, TimeInForce.GTD}),
            position_mode=PositionMode.HEDGING,
            limit_may_take=False,
            attached_protection_types=frozenset(types),
            reduce_only=True,
            modify=frozenset({"price", "stop_price"}),
            modify_protection=True,
            query_by_client_id=True,
            streams=frozenset({Stream.QUOTES, Stream.ORDERS, Stream.FILLS, Stream.BALANCES}),
            evidence=Evidence.SIMULATOR_ONLY,
        )

    @property
    def data_capabilities(self) -> DataCapabilities:
        """What data it offers."""
        return DataCapabilities(
            timeframes=timeframes(self.settings.platform), page_bars=PAGE, streams=frozenset({Stream.QUOTES})
        )

    async def connect(self) -> None:
        """Log in, and learn the account, the broker's zone and the symbols that the settings name."""
        async with self._connecting:
            if self.is_connected:
                return
            try:
                await self._session.open()
                await self._account.learn()
            except BaseException:
                await self._session.close()
                raise

    async def disconnect(self) -> None:
        """Close every socket; calling it twice does no harm."""
        await self._streams.close()
        await self._session.close()

    async def test_connection(self) -> ConnectionTest:
        """Try everything this connection is for, without trading; never raises for what the venue says."""
        try:
            await self.connect()
            taken, offsets = [], []
            for _ in range(_PROBES):
                before, sent_ns = time.perf_counter_ns(), self._session.clock.now_ns()
                venue_ns = await self._session.now_ns()
                taken.append((time.perf_counter_ns() - before) / 1e6)
                offsets.append((venue_ns - sent_ns) / 1e6 - taken[-1] / 2)
            account = await self._account.info()
            await self._account.open_rows()
            if self.settings.symbols:
                await self._account.quote(self.settings.symbols[0])
        except VenueError as error:
            return ConnectionTest(False, str(error), refused=isinstance(error, RequestError))
        zone = self._account.zone
        notes = [f"the broker's clock is {zone.name}"]
        if zone.asked_ns is not None:
            notes.append("as it says itself; set server_zone for bars older than last Sunday")
        if not offset_fits(zone.offset_min_at(self._session.clock.now_ns())):
            notes.append("which is no whole hour: its hourly bars do not begin when ours do")
        if account.may_trade is False:
            notes.append("this is the investor's password: it cannot trade")
        return ConnectionTest(True, "; ".join(notes) + ".", statistics.median(taken), statistics.median(offsets))

    async def now_ns(self) -> int:
        """Return the bridge's time in UTC nanoseconds; the broker's own is told by no request we know of."""
        return await self._session.now_ns()

    async def instruments(self) -> Sequence[Instrument]:
        """Return the symbols of the settings, or all there are, with steps and limits."""
        return await self._account.instruments()

    # ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def symbols(self) -> Sequence[str]:
        """Return the symbols it has data for."""
        return self.settings.symbols or await self._account.symbols()

    async def fetch_ohlcv(
        self, symbol: str, timeframe: Timeframe, *, since_ns: int | None = None, limit: int | None = None
    ) -> Sequence[Candle]:
        """Return one page of bars, oldest first; their volume counts changes of the quote."""
        return await self._bars.page(symbol, timeframe, since_ns, limit)

    async def fetch_ticks(self, symbol: str, *, limit: int = 100) -> Sequence[Tick]:
        """Refuse: no request for ticks is known on this wire."""
        raise RequestError(f"mtapi: no ticks of {symbol}.", fix="Watch its quotes: data_capabilities has no ticks.")

    async def watch_candles(self, symbol: str, timeframe: Timeframe) -> AsyncIterator[Candle]:
        """Refuse: bars are not pushed."""
        raise RequestError(f"mtapi: no stream of {timeframe.code} bars of {symbol}.", fix="Fetch them.")
        yield  # what makes this a stream

    def watch_quotes(self, symbol: str) -> AsyncIterator[Quote]:
        """Yield bid and ask as they change."""
        return self._streams.quotes(symbol)

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def submit(self, order: OrderApproved) -> Outcome:
        """Send an order once; one of its name that is there already is its answer."""
        intent = intent_of(order)

        def late() -> Refused | None:
            return order.stale_at(self._session.clock.now_ns())

        refused = self.capabilities.lacks(intent) or late()
        return refused if refused is not None else await self._trader.submit(intent, late)

    async def cancel(self, ref: OrderRef) -> Outcome:
        """Cancel one order that waits."""
        return await self._trader.cancel(ref)

    async def cancel_all(self, symbol: str | None = None) -> Sequence[tuple[OrderRef, Outcome]]:
        """Cancel every order that waits, one after the other."""
        return [(order.ref, await self.cancel(order.ref)) for order in await self.open_orders(symbol)]

    async def modify(
        self,
        ref: OrderRef,
        *,
        qty: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> Outcome:
        """Change price or trigger of an order that waits; MetaTrader does not change a quantity."""
        if qty is not None:
            return Refused(RefusalCode.NOT_SUPPORTED, "this venue does not change qty in place")
        return await self._trader.modify(ref, price, stop_price)

    async def modify_protection(
        self, symbol: str, *, position_id: str | None = None, stop_loss: Decimal | None, take_profit: Decimal | None
    ) -> Outcome:
        """Set the stop loss and take profit of a position; ``None`` takes one away."""
        return await self._trader.protect(symbol, position_id, stop_loss, take_profit)

    async def order(self, ref: OrderRef) -> Order | None:
        """Ask for one order: among the open ones and the last days, then in the last year."""
        now_ns = self._session.clock.now_ns()
        for span_ns in (int(self.settings.lookback_days * NS_PER_DAY), _FAR_NS):
            found = (await self._account.book(now_ns - span_ns)).find(ref)
            if found is not None:
                return found
        return None

    async def open_orders(self, symbol: str | None = None) -> Sequence[Order]:
        """Return every order that waits."""
        read = self._account.reader
        rows = [r for r in await self._account.open_rows() if read.kind(r.kind)[0] is not OrderType.MARKET]
        return of_symbol((read.order(row) for row in rows), symbol)

    async def fills(self, since_ns: int, symbol: str | None = None) -> Sequence[Fill]:
        """Return the account's fills from a time on, oldest first."""
        told = (await self._account.book(since_ns)).fills(since_ns)
        return [fill for fill in told if symbol is None or fill.symbol == symbol]

    async def positions(self, symbol: str | None = None) -> Sequence[Position]:
        """Return open positions, by ticket."""
        read = self._account.reader
        rows = [r for r in await self._account.open_rows() if read.kind(r.kind)[0] is OrderType.MARKET]
        return [read.position(row) for row in rows if symbol is None or row.symbol == symbol]

    async def balances(self) -> Sequence[Balance]:
        """Return the money; what margin takes is used, what floats is in neither part."""
        return (await self._account.info()).balances

    async def account_info(self) -> AccountInfo:
        """Return the account at this moment."""
        return await self._account.info()

    async def quote(self, symbol: str) -> Quote:
        """Return bid and ask now; the time is that of the last change."""
        return await self._account.quote(symbol)

    def watch_orders(self) -> AsyncIterator[Order]:
        """Yield each order whenever it changes."""
        return self._streams.orders()

    def watch_fills(self) -> AsyncIterator[Fill]:
        """Yield each fill."""
        return self._streams.fills()

    def watch_balances(self) -> AsyncIterator[Balance]:
        """Yield the money whenever it changes."""
        return self._streams.balances()
