"""Name what the house asks of the outside world: a data provider, an execution venue, and what both are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, runtime_checkable

from tradelab.model.account import AccountInfo, Balance, Position
from tradelab.model.approval import OrderApproved
from tradelab.model.capabilities import DataCapabilities, VenueCapabilities
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote, Tick
from tradelab.model.orders import Fill, Order, OrderRef
from tradelab.model.outcome import Outcome
from tradelab.model.units import Timeframe


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """What trying a connection showed; ``latency_ms`` is the median round trip, ``None`` if none came back."""

    passed: bool
    says: str
    latency_ms: float | None = None
    clock_offset_ms: float | None = None  # the venue's clock less ours, half a round trip allowed for
    refused: bool = False  # the venue said no, to the login say: asking again will not help. Else it may pass by itself


class Connected(Protocol):
    """What is common to everything that speaks to the outside.

    Reads raise :class:`~tradelab.model.errors.ConnectivityError` when the venue could not be reached (try again) and
    :class:`~tradelab.model.errors.RequestError` when it refused the request (do not); no read ever returns a guess.
    """

    @property
    def name(self) -> str:
        """What the catalogue files its data under, such as ``"binance"``."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether :meth:`connect` has succeeded and :meth:`disconnect` has not been called."""
        ...

    async def connect(self) -> None:
        """Log in where there is a log-in, learn the instruments and the venue's clock."""
        ...

    async def disconnect(self) -> None:
        """Close every socket; calling it twice does no harm."""
        ...

    async def test_connection(self) -> ConnectionTest:
        """Try everything this connection is for, without trading; never raises for what the venue says."""
        ...

    async def now_ns(self) -> int:
        """Return the venue's time, asked of the venue, in UTC nanoseconds."""
        ...

    async def instruments(self) -> Sequence[Instrument]:
        """Return what can be traded, with its steps and limits."""
        ...


class DataProvider(Connected, Protocol):
    """Where bars and quotes come from."""

    @property
    def data_capabilities(self) -> DataCapabilities:
        """What it offers."""
        ...

    async def symbols(self) -> Sequence[str]:
        """Return the symbols it has data for."""
        ...

    async def fetch_ohlcv(
        self, symbol: str, timeframe: Timeframe, *, since_ns: int | None = None, limit: int | None = None
    ) -> Sequence[Candle]:
        """Return one page of bars, oldest first, from ``since_ns`` (included) or the newest ``limit``.

        The bar that still forms, by the venue's clock, may be the last one, and is then marked open. Empty when there
        is nothing from there on; at most ``data_capabilities.page_bars``.
        """
        ...

    async def fetch_ticks(self, symbol: str, *, limit: int = 100) -> Sequence[Tick]:
        """Return the newest ticks, oldest first."""
        ...

    async def account_info(self) -> AccountInfo:
        """Return the account behind the connection, where there is one (else ``RequestError``)."""
        ...

    def watch_candles(self, symbol: str, timeframe: Timeframe) -> AsyncIterator[Candle]:
        """Yield bars as the venue pushes them, the forming one each time it changes.

        Ends only by an error of the socket (``ConnectivityError``): who watches reconnects, and fetches what it missed.
        """
        ...

    def watch_quotes(self, symbol: str) -> AsyncIterator[Quote]:
        """Yield best bid and ask as they change."""
        ...


@runtime_checkable
class HasQuote(Protocol):
    """What can be asked for best bid and ask, as well as watched for them."""

    async def quote(self, symbol: str) -> Quote:
        """Return best bid and ask now."""
        ...


class ExecutionVenue(Connected, HasQuote, Protocol):
    """Where orders go.

    A request that changes something answers with an :data:`~tradelab.model.outcome.Outcome` and does not raise:
    what is neither certainly accepted nor certainly refused is ``Unknown``. Nothing here sends a request twice.
    """

    @property
    def capabilities(self) -> VenueCapabilities:
        """What it offers; what is missing there is refused with ``NOT_SUPPORTED`` before anything is sent."""
        ...

    async def submit(self, order: OrderApproved) -> Outcome:
        """Send an order once.

        Closing a position, or part of it, is an order too: ``reduce_only``, and with the ``position_id`` where the
        account holds several in one symbol.
        """
        ...

    async def cancel(self, ref: OrderRef) -> Outcome:
        """Cancel one order; one that is closed already is ``Refused(ORDER_CLOSED)`` or ``Refused(ORDER_NOT_FOUND)``."""
        ...

    async def cancel_all(self, symbol: str | None = None) -> Sequence[tuple[OrderRef, Outcome]]:
        """Cancel every open order, conditional ones too, and return what became of each."""
        ...

    async def modify(
        self,
        ref: OrderRef,
        *,
        qty: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> Outcome:
        """Change an open order in place; only the fields in ``capabilities.modify``.

        ``qty`` is the whole order's, what has filled included.
        """
        ...

    async def modify_protection(
        self, symbol: str, *, position_id: str | None = None, stop_loss: Decimal | None, take_profit: Decimal | None
    ) -> Outcome:
        """Set the stop loss and take profit of an open position; ``None`` takes one away."""
        ...

    async def order(self, ref: OrderRef) -> Order | None:
        """Ask for one order; ``None`` when the venue says that it has none of that name.

        Within ``capabilities.request_life_ms`` of the request that may have made it, ``None`` is no proof yet.
        """
        ...

    async def open_orders(self, symbol: str | None = None) -> Sequence[Order]:
        """Return every open order, conditional ones too, however many pages that takes."""
        ...

    async def fills(self, since_ns: int, symbol: str | None = None) -> Sequence[Fill]:
        """Return the account's fills from ``since_ns``, oldest first, however many pages that takes."""
        ...

    async def positions(self, symbol: str | None = None) -> Sequence[Position]:
        """Return open positions; empty on a venue without."""
        ...

    async def balances(self) -> Sequence[Balance]:
        """Return the money, by currency; none that is zero."""
        ...

    async def account_info(self) -> AccountInfo:
        """Return the account at this moment."""
        ...

    def watch_orders(self) -> AsyncIterator[Order]:
        """Yield each order of the account whenever it changes; ends like the streams of a data provider."""
        ...

    def watch_fills(self) -> AsyncIterator[Fill]:
        """Yield each fill of the account; after a reconnection :meth:`fills` has those that were missed."""
        ...

    def watch_balances(self) -> AsyncIterator[Balance]:
        """Yield a balance whenever it changes."""
        ...


class HasDeadMan(ExecutionVenue, Protocol):
    """A venue whose ``capabilities.dead_man`` is not ``None``."""

    async def arm_dead_man(self, seconds: int) -> None:
        """Begin the countdown anew; when it ends, what would open positions is cancelled. Zero ends it.

        Raises
        ------
        ConnectivityError, RequestError
            As every read: asking again does no harm.
        """
        ...
