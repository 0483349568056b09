"""Trade and read data at any exchange that ccxt speaks to: spot and linear perpetuals, REST and streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from tradelab.adapters.budget import Urgency, urgency
from tradelab.adapters.ccxt_client import about_to_send
from tradelab.adapters.ccxt_data import CcxtData
from tradelab.adapters.ccxt_grid import change_off_grid, off_grid, told_apart, unsaid
from tradelab.adapters.ccxt_sent import Sent
from tradelab.adapters.ccxt_words import order_of, position_of
from tradelab.model.account import AccountInfo, Balance, Position, PositionMode
from tradelab.model.approval import OrderApproved, intent_of
from tradelab.model.errors import RequestError, VenueError
from tradelab.model.orders import Fill, Order, OrderIntent, OrderRef, Side
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown, already_there

_NO_ORDERS = Refused(RefusalCode.ORDER_NOT_FOUND, "the venue has no such order")


class CcxtVenue(CcxtData):
    """One account (or public data alone) at one exchange: a data provider and an execution venue.

    The parameters are those of :class:`~tradelab.adapters.ccxt_data.CcxtData`.

    Examples
    --------
    >>> CcxtVenue("kraken").name
    'kraken'
    """

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def submit(self, order: OrderApproved) -> Outcome:
        """Send an order once; an answer without an id is no answer.

        What it was decided on is held against its age limit by the venue's clock just before the order leaves, however
        long it has waited for room in the request budget; and it is signed to arrive before that limit or not at all.
        """
        name = intent_of(order).client_order_id
        async with self._sent.alone(name):
            before = await self._sent_before(order.intent) if name in self._sent else None
            if before is not None:
                return before
            with about_to_send(order):
                outcome = await self._submit(order.intent)
            if isinstance(outcome, Refused):
                self._sent.forget(name)
            return outcome

    async def _submit(self, intent: OrderIntent) -> Outcome:
        wrong = self.capabilities.lacks(intent) or self._unknown(intent.symbol)
        wrong = wrong or unsaid(intent) or off_grid(intent, self._instruments[intent.symbol])
        if wrong is not None:
            return wrong
        level = self._urgency_of(intent)
        meant_otherwise = await self._client.send(level, self._ways.refuses, intent)
        if isinstance(meant_otherwise, Unknown):  # a question that failed: nothing has been sent
            return Refused(RefusalCode.NOT_SENT, meant_otherwise.says)
        if meant_otherwise is not None:
            return meant_otherwise
        self._trades.remember(intent.symbol)
        self._sent.mark(intent.client_order_id, self._client.now_ns())
        try:
            answer = await self._client.send(
                level, self._client.raw.create_order, intent.symbol,
                "limit" if intent.type.needs_price else "market", intent.side.value, str(intent.qty),
                None if intent.price is None else str(intent.price), self._ways.order_params(intent),
            )  # fmt: skip
        finally:  # it waited for its turn first: it has left by now, and no later
            self._sent.mark(intent.client_order_id, self._client.now_ns())
        if isinstance(answer, Refused):
            return told_apart(answer, intent, self._instruments[intent.symbol])
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
        with urgency(Urgency.PROTECT):
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
        wrong = self._unknown(ref.symbol)
        wrong = wrong or change_off_grid(self._instruments[ref.symbol], qty=qty, price=price, stop_price=stop_price)
        if wrong is not None:
            return wrong
        try:
            with urgency(Urgency.EXIT):
                now = await self.order(ref)
        except VenueError as error:
            return _not_sent(error)
        if now is None:
            return _NO_ORDERS
        if not now.status.is_open:
            return Refused(RefusalCode.ORDER_CLOSED, f"the order is {now.status.value}")
        if not asked <= self.capabilities.modifies(now.type):
            return Refused(RefusalCode.NOT_SUPPORTED, f"{self.name} changes no {now.type.value} order so in place")
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
        levels = {"stop_loss": stop_loss, "take_profit": take_profit}
        wrong = self._unknown(symbol) or change_off_grid(self._instruments[symbol], **levels)
        if wrong is not None:
            return wrong
        try:
            with urgency(Urgency.PROTECT):
                held = next(iter(await self.positions(symbol)), None)
        except VenueError as error:
            return _not_sent(error)
        if held is None:
            return Refused(RefusalCode.POSITION_NOT_FOUND, f"no position in {symbol}")
        side = Side.BUY if held.qty > 0 else Side.SELL
        told = (f"{level or 0:f}" for level in levels.values())
        answer = await self._client.send(Urgency.PROTECT, self._ways.protect, symbol, side, *told)
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
            return await self._client.ask(self._ways.open_orders, symbol)

    async def fills(self, since_ns: int, symbol: str | None = None) -> Sequence[Fill]:
        """Return the account's fills, oldest first, each once."""
        self._require_account()
        with urgency(Urgency.ACCOUNT):
            return await self._trades.since(since_ns, symbol)

    async def positions(self, symbol: str | None = None) -> Sequence[Position]:
        """Return open positions; none on spot."""
        self._require_account()
        if self.capabilities.position_mode is PositionMode.NONE:
            return []
        with urgency(Urgency.ACCOUNT):
            told = await self._client.ask(self._client.raw.fetch_positions, None if symbol is None else [symbol])
        found = [p for t in told if (p := position_of(t)) is not None]
        return [p for p in found if symbol is None or p.symbol == symbol]

    async def balances(self) -> Sequence[Balance]:
        """Return the money, by currency."""
        return (await self.account_info()).balances

    async def account_info(self) -> AccountInfo:
        """Return balances and, of a margin account, what the venue says of its equity; nothing is worked out here."""
        self._require_account()
        with urgency(Urgency.ACCOUNT):
            told = await self._client.ask(self._client.raw.fetch_balance)
        margin = self._ways.margin(told)
        return AccountInfo(
            balances=tuple(self._ways.money(told)), ts_ns=self._client.now_ns(),
            position_mode=self.capabilities.position_mode, currency=margin.currency, equity=margin.equity,
            used_margin=margin.used_margin, free_margin=margin.free_margin, may_trade=margin.may_trade,
        )  # fmt: skip

    async def arm_dead_man(self, seconds: int) -> None:
        """Begin the countdown of the venue's dead-man's switch anew, as often as wanted; zero ends it.

        Raises
        ------
        RequestError
            There is none that spares what protects positions, or the venue refuses.
        ConnectivityError
            It did not answer: the countdown may be a new one or the old one.
        """
        if self.capabilities.dead_man is None:
            raise RequestError(f"{self.name} has no dead-man's switch that is known to spare protective stops.")
        with urgency(Urgency.PROTECT):
            await self._client.ask(self._ways.arm_dead_man, seconds)

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

    @cached_property
    def _sent(self) -> Sent:
        return Sent()

    async def _sent_before(self, intent: OrderIntent) -> Outcome | None:
        """Return what became of an order of that name that was sent before; ``None`` if it can be sent again."""
        missing = self._unknown(intent.symbol)
        if missing is not None:
            return missing
        name, asked_ns = intent.client_order_id, self._client.now_ns()  # what arrives after that, nobody tells
        try:
            there = await self.order(OrderRef(symbol=intent.symbol, client_order_id=name))
        except VenueError as error:
            return Unknown(f"{name!r} was sent before, and what became of it could not be asked: {error}")
        if there is not None:
            return already_there(intent, there)
        if self._sent.is_under_way(name, asked_ns, self.capabilities.request_life_ms or 0):
            return Unknown(f"{name!r} was sent a moment ago and is not at the venue yet; it may still arrive")
        return None

    async def _already_there(self, intent: OrderIntent, unknown: Unknown) -> Outcome:
        """Ask for the order that a duplicate was refused for."""
        try:
            there = await self.order(OrderRef(symbol=intent.symbol, client_order_id=intent.client_order_id))
        except VenueError:
            return unknown
        return unknown if there is None else already_there(intent, there)

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

    def _urgency_of(self, intent: OrderIntent) -> Urgency:
        """Return how urgent an order is; on spot whoever sells lets go of what is held."""
        if not (intent.reduce_only or (self.market == "spot" and intent.side is Side.SELL)):
            return Urgency.ENTRY
        return Urgency.PROTECT if intent.type.needs_stop_price else Urgency.EXIT

    def _unknown(self, symbol: str) -> Refused | None:
        if not self._connected:
            return Refused(RefusalCode.NOT_SENT, f"{self.name} is not connected; nothing was sent")
        if symbol in self._instruments:
            return None
        return Refused(RefusalCode.UNKNOWN_SYMBOL, f"{self.name} lists no {symbol} in its {self.market} market")


def _not_sent(error: VenueError) -> Refused:
    """Return that nothing was sent, because what had to be known before could not be asked."""
    return Refused(RefusalCode.NOT_SENT, f"nothing was sent: {error}", getattr(error, "retry_after_s", None))


def _told_whole(answer: dict[str, Any]) -> Order | None:
    """Return the order of an answer that holds one, ``None`` for a mere acknowledgement."""
    if answer.get("side") is None or answer.get("amount") is None or answer.get("status") is None:
        return None
    return order_of(answer)
