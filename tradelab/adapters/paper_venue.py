"""Trade on paper: an account in this process that fills by the engine's own rules on the market data it is handed.

Hand it quotes (:meth:`PaperVenue.on_quote`) or bars (:meth:`PaperVenue.on_candle`) of a market. Where a quote stands,
an order that takes trades at once; on bars, it waits for the open of the next one, as a backtest's does, and gives the
very fills of ``tl.backtest`` on the same bars and terms. ``docs/semantics.md`` says every rule, under *On paper*.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from tradelab.adapters import paper_checks as checks
from tradelab.adapters import paper_state as state
from tradelab.adapters import paper_told as told
from tradelab.adapters.paper_account import PaperAccount, latest
from tradelab.adapters.paper_config import PaperConfig
from tradelab.adapters.paper_matching import Matching
from tradelab.adapters.paper_orders import Working
from tradelab.adapters.paper_streams import Stream
from tradelab.adapters.registry import AdapterSpec, Purpose, checked, fields_of
from tradelab.model.account import AccountInfo, Balance, Position
from tradelab.model.approval import OrderApproved, intent_of
from tradelab.model.capabilities import Evidence, VenueCapabilities
from tradelab.model.clock import Clock, SystemClock
from tradelab.model.credentials import Credentials
from tradelab.model.errors import ConnectivityError, QualityError, RequestError, UnknownNameError
from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle, Quote
from tradelab.model.orders import Fill, Order, OrderIntent, OrderRef, OrderStatus
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, already_there
from tradelab.model.ports import ConnectionTest

_NS_PER_MS = 1_000_000


class PaperVenue:
    """An :class:`~tradelab.model.ports.ExecutionVenue` with nothing behind it but the data it is handed.

    Parameters
    ----------
    config
        Its money, mode and terms.
    instruments
        What can be traded, beside those of ``config``.
    clock
        What it tells the time by; data that is handed in moves its time on, never back.
    saved
        What :meth:`export_state` returned: go on from there.
    """

    def __init__(
        self,
        config: PaperConfig,
        instruments: Iterable[Instrument] = (),
        *,
        clock: Clock | None = None,
        saved: Mapping[str, Any] | None = None,
    ) -> None:
        self._account = PaperAccount(config, (*config.instruments, *instruments), clock or SystemClock())
        if saved is not None:
            state.restore(self._account, dict(saved))
        self._matching = Matching(self._account)
        self._account.say = self._say
        self._orders: Stream[Order] = Stream()
        self._fills: Stream[Fill] = Stream()
        self._balances: Stream[Balance] = Stream()
        self._told = {balance.currency: balance for balance in self._account.balances()}
        self._is_connected = False

    def __repr__(self) -> str:
        return f"PaperVenue(name={self.name!r}, mode={self._account.config.mode!r})"

    # what drives it

    def on_quote(self, quote: Quote) -> None:
        """Take a new best bid and ask; its quantities, where told, are all that can be taken there.

        Raises
        ------
        QualityError
            A crossed or empty book, which must not be traded on.
        """
        self._known(quote.symbol)
        if not 0 < quote.bid <= quote.ask:
            raise QualityError(f"{quote.symbol}: bid={quote.bid}, ask={quote.ask} is no market.")
        before = self._account.seen[quote.symbol].quote
        if before is None or quote.ts_ns >= before.ts_ns:
            self._matching.on_quote(quote)
            self._tell_balances()

    def on_candle(self, symbol: str, candle: Candle) -> None:
        """Take a bar; one that has been seen already is passed over, of one that forms only the open is used.

        Raises
        ------
        QualityError
            Prices that are no bar.
        """
        self._known(symbol)
        low, high = min(candle.open, candle.close), max(candle.open, candle.close)
        if not 0.0 < candle.low <= low <= high <= candle.high < float("inf"):
            raise QualityError(f"{symbol}: {candle} is no bar.")
        self._matching.on_candle(symbol, candle)
        self._tell_balances()

    def at_close(self, symbol: str) -> None:
        """Let market orders that were sent inside the last closed bar, behind all that traded in it, take its close.

        Who leads history through calls it when the clock has come to the end of a bar; without it, they would meet the
        next bar's open.
        """
        self._known(symbol)
        self._matching.at_close(symbol)
        self._tell_balances()

    def export_state(self) -> dict[str, Any]:
        """Return all that the account remembers, fit for JSON; terms and instruments are not in it."""
        return state.export(self._account)

    # connection

    @property
    def name(self) -> str:
        """What its data is filed under."""
        return self._account.config.name

    @property
    def is_connected(self) -> bool:
        """Whether :meth:`connect` was called last."""
        return self._is_connected

    @property
    def capabilities(self) -> VenueCapabilities:
        """What it offers, by its mode."""
        return self._account.config.capabilities()

    async def connect(self) -> None:
        """Take orders from now on."""
        self._is_connected = True

    async def disconnect(self) -> None:
        """Take none any more, and end every stream; the account stays, and goes on with the market."""
        self._is_connected = False
        for stream in (self._orders, self._fills, self._balances):
            stream.cut()

    async def test_connection(self) -> ConnectionTest:
        """Look at the account; the latency is the one that was set."""
        began = time.perf_counter()
        count = len(self._account.instruments)
        if not count:
            return ConnectionTest(False, "no instrument is set: nothing can be traded")
        says = f"paper account, {self._account.config.mode}, {count} instrument(s), {len(self._account.fills)} fill(s)"
        took_ms = (time.perf_counter() - began) * 1_000
        return ConnectionTest(True, says, self._account.config.latency_ms + took_ms, 0.0)

    async def now_ns(self) -> int:
        """Return the venue's time."""
        return self._account.now_ns

    async def instruments(self) -> Sequence[Instrument]:
        """Return what can be traded."""
        return list(self._account.instruments.values())

    # orders

    async def submit(self, order: OrderApproved) -> Outcome:
        """Take an order; a second one of the same client id is answered with the first and trades nothing."""
        account, intent = self._account, intent_of(order)
        if not self._is_connected:
            return _NOT_CONNECTED
        self._matching.expire()
        if (first := account.clients.get(intent.client_order_id)) is not None:
            return already_there(intent, account.orders[first].told())
        if (refused := self.capabilities.lacks(intent) or order.stale_at(account.now_ns)) is not None:
            return refused
        if intent.symbol not in account.instruments:
            return Refused(RefusalCode.UNKNOWN_SYMBOL, f"{intent.symbol} is not traded here")
        quote = account.quote(intent.symbol)
        if quote is None:
            return Refused(RefusalCode.MARKET_CLOSED, f"no price of {intent.symbol} has been seen yet")
        asked = Working.of(intent, account.next_id(), account.now_ns)
        asked.after_bar_ns = self._last_missed(intent)
        asked.arrives_ns = _arrival(account)
        if (refused := self._refusal(asked, quote)) is not None:
            return refused
        account.add(asked)
        if account.config.latency_ms == 0:
            self._matching.meet_quote(asked)
        self._tell_balances()
        return _accepted(asked)

    def _last_missed(self, intent: OrderIntent) -> int:
        """Return the newest bar that an order sent now does not meet: what has opened before it has partly passed.

        What protects a position that the very open of a bar has filled meets the inside of that bar, as the exits of a
        backtest do; nothing of it has been seen but its open.
        """
        seen = self._account.seen[intent.symbol]
        at_its_open = seen.closed_ns < seen.opened_ns and self._account.now_ns <= seen.opened_ns
        return seen.opened_ns - 1 if at_its_open and intent.reduce_only else seen.opened_ns

    def _refusal(self, order: Working, quote: Quote) -> Refused | None:
        account, market = self._account, self._account.instruments[order.symbol]
        reference = quote.ask if order.side.sign > 0 else quote.bid
        if order.expire_ns is not None and order.expire_ns <= account.now_ns:
            return Refused(RefusalCode.BAD_REQUEST, f"expire_ns={order.expire_ns} has passed")
        refused = (
            checks.outside(market, order, reference)
            or checks.too_many(account, order)
            or checks.misplaced(account, order, reference)
            or checks.beyond_funds(account, order)
        )
        if refused is None and account.config.latency_ms == 0:
            return checks.senseless(account, order)
        return refused

    async def cancel(self, ref: OrderRef) -> Outcome:
        """Cancel one order."""
        found = self._open(ref)
        if isinstance(found, Refused):
            return found
        self._account.end(found, OrderStatus.CANCELLED)
        self._tell_balances()
        return _accepted(found)

    async def cancel_all(self, symbol: str | None = None) -> Sequence[tuple[OrderRef, Outcome]]:
        """Cancel every open order."""
        refs = [order.told().ref for order in self._account.open_orders(symbol)]
        return [(ref, await self.cancel(ref)) for ref in refs]

    async def modify(
        self,
        ref: OrderRef,
        *,
        qty: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
    ) -> Outcome:
        """Change an open order in place, if the venue would take it as it is then."""
        order = self._open(ref)
        if isinstance(order, Refused):
            return order
        asked = {"qty": qty, "price": price, "stop_price": stop_price}
        changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        for name, value in changes.items():
            if not isinstance(value, Decimal) or not value.is_finite() or value <= 0:
                return Refused(RefusalCode.BAD_REQUEST, f"{name}={value} must be a Decimal above zero")
        if all(getattr(order, name) == value for name, value in changes.items()):
            return Refused(RefusalCode.NO_CHANGE, "it is so already")
        for name in changes:
            if getattr(order, name) is None:
                return Refused(RefusalCode.BAD_REQUEST, f"a {order.type.value} order has no {name}")
        if qty is not None and qty <= order.filled_qty:
            return Refused(RefusalCode.BAD_REQUEST, f"qty={qty} is not above what has filled, {order.filled_qty}")
        if (refused := self._unchangeable(order, changes)) is not None:
            return refused
        for name, value in changes.items():
            setattr(order, name, value)
        order.updated_ns = self._account.now_ns
        order.has_rested = order.has_rested and price is None  # at another price it may take
        self._account.say(order)
        if order.has_come:
            self._matching.meet_quote(order)
        self._tell_balances()
        return _accepted(order)

    def _unchangeable(self, order: Working, changes: Mapping[str, Any]) -> Refused | None:
        account, then = self._account, replace(order, **changes)
        quote = account.quote(order.symbol)
        if quote is None:
            return Refused(RefusalCode.MARKET_CLOSED, f"no price of {order.symbol} has been seen yet")
        reference = quote.ask if order.side.sign > 0 else quote.bid
        refused = checks.outside(account.instruments[order.symbol], then, reference)
        refused = refused or checks.senseless(account, then)
        if refused is not None:
            return refused
        need = account.need(then)
        if need.amount > account.free(need.currency, without=order) and not (then.closes and self._has_positions):
            code = RefusalCode.MARGIN if self._has_positions else RefusalCode.BALANCE
            return Refused(code, f"it takes {need.amount} {need.currency}")
        return None

    async def modify_protection(
        self, symbol: str, *, position_id: str | None = None, stop_loss: Decimal | None, take_profit: Decimal | None
    ) -> Outcome:
        """Set the stop loss and take profit of an open position."""
        if not self._is_connected:
            return _NOT_CONNECTED
        account = self._account
        if not self._has_positions:
            return Refused(RefusalCode.NOT_SUPPORTED, "a spot account has no positions to protect")
        held = account.ledger.of(symbol) if symbol in account.instruments else {}
        key = next((k for k, h in held.items() if h.position_id == position_id), None)
        if key is None:
            return Refused(RefusalCode.POSITION_NOT_FOUND, f"there is no position {position_id or ''} in {symbol}")
        if held[key].stop_loss == stop_loss and held[key].take_profit == take_profit:
            return Refused(RefusalCode.NO_CHANGE, "it is so already")
        tick = account.instruments[symbol].tick_size
        if any(level is not None and level % tick for level in (stop_loss, take_profit)):
            return Refused(RefusalCode.TICK, f"stop_loss={stop_loss} or take_profit={take_profit} is off the tick")
        quote = account.quote(symbol)
        direction = held[key].direction
        touch = None if quote is None else (quote.bid if direction > 0 else quote.ask)
        if touch is None or checks.wrong_protection(direction, touch, stop_loss, take_profit):
            return Refused(RefusalCode.PROTECTION, f"stop_loss={stop_loss}, take_profit={take_profit}, market {touch}")
        account.ledger.protect(key, stop_loss, take_profit)
        return Accepted(None, position_id or key)

    # questions

    async def order(self, ref: OrderRef) -> Order | None:
        """Return one order, ``None`` if there never was one of that name."""
        self._require_connected()
        self._matching.expire()
        found = self._find(ref)
        return None if found is None else found.told()

    async def open_orders(self, symbol: str | None = None) -> Sequence[Order]:
        """Return every open order, oldest first; the protection of positions is told with them, not here."""
        self._require_connected()
        self._matching.expire()
        return [order.told() for order in self._account.open_orders(symbol)]

    async def fills(self, since_ns: int, symbol: str | None = None) -> Sequence[Fill]:
        """Return fills from ``since_ns`` (included), oldest first."""
        self._require_connected()
        return latest(self._account.fills, since_ns, symbol)

    async def positions(self, symbol: str | None = None) -> Sequence[Position]:
        """Return open positions, oldest first."""
        self._require_connected()
        return told.positions(self._account, symbol)

    async def balances(self) -> Sequence[Balance]:
        """Return the money, by currency."""
        self._require_connected()
        self._matching.expire()
        return list(self._account.balances())

    async def account_info(self) -> AccountInfo:
        """Return the account; equity and margin where all that pays is one currency."""
        self._require_connected()
        self._matching.expire()
        return told.account_info(self._account)

    async def quote(self, symbol: str) -> Quote:
        """Return best bid and ask as they were last seen, or as they lie around the last close."""
        self._require_connected()
        self._known(symbol)
        quote = self._account.quote(symbol)
        if quote is None:
            raise RequestError(f"no price of {symbol} has been seen yet.", fix="Hand the paper venue market data.")
        return quote

    # streams

    def watch_orders(self) -> AsyncIterator[Order]:
        """Yield each order whenever it changes, from the call on."""
        self._require_connected()
        return self._orders.subscribe()

    def watch_fills(self) -> AsyncIterator[Fill]:
        """Yield each fill, from the call on."""
        self._require_connected()
        return self._fills.subscribe()

    def watch_balances(self) -> AsyncIterator[Balance]:
        """Yield a balance whenever it changes, from the call on."""
        self._require_connected()
        return self._balances.subscribe()

    # inner parts

    @property
    def _has_positions(self) -> bool:
        return self._account.config.mode != "spot"

    def _say(self, news: object) -> None:
        if isinstance(news, Working):
            self._orders.push(news.told())
        elif isinstance(news, Fill):
            self._fills.push(news)

    def _tell_balances(self) -> None:
        now = {balance.currency: balance for balance in self._account.balances()}
        for currency in self._told.keys() - now.keys():
            self._balances.push(Balance(currency, Decimal(0), Decimal(0)))
        for currency, balance in now.items():
            if self._told.get(currency) != balance:
                self._balances.push(balance)
        self._told = now

    def _find(self, ref: OrderRef) -> Working | None:
        by_client = self._account.clients.get(ref.client_order_id) if ref.client_order_id is not None else None
        found = self._account.orders.get(by_client or ref.venue_order_id or "")
        return found if found is not None and found.symbol == ref.symbol else None

    def _open(self, ref: OrderRef) -> Working | Refused:
        if not self._is_connected:
            return _NOT_CONNECTED
        self._matching.expire()
        found = self._find(ref)
        if found is None:
            return Refused(
                RefusalCode.ORDER_NOT_FOUND, f"there is no order {ref.client_order_id or ref.venue_order_id}"
            )
        if not found.is_open:
            return Refused(RefusalCode.ORDER_CLOSED, f"the order is {found.status.value}")
        return found

    def _known(self, symbol: str) -> None:
        if symbol not in self._account.instruments:
            raise UnknownNameError.of("symbol", symbol, self._account.instruments)

    def _require_connected(self) -> None:
        if not self._is_connected:
            raise ConnectivityError("the paper venue is not connected.", fix="await venue.connect()")


_NOT_CONNECTED = Refused(RefusalCode.NOT_SENT, "the paper venue is not connected")


def _accepted(order: Working) -> Accepted:
    return Accepted(order.client_order_id, order.venue_order_id, order.told())


def _arrival(account: PaperAccount) -> int:
    """When an order sent now reaches the market; without latency it meets whatever is handed in next."""
    latency = account.config.latency_ms * _NS_PER_MS
    return account.now_ns + latency if latency else 0


def _open(settings: Mapping[str, Any], credentials: Credentials, clock: Clock) -> PaperVenue:
    return PaperVenue(checked(PaperConfig, settings, "paper"), clock=clock)


SPEC = AdapterSpec(
    provider="paper",
    title="Paper account in this process",
    evidence=Evidence.SIMULATOR_ONLY,
    purposes=frozenset({Purpose.EXECUTION}),
    open=_open,
    settings=fields_of(PaperConfig),
)
