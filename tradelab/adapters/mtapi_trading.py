"""Send, change and cancel orders at a bridge of mtapi.io: each wish once, and looked for before it is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any
from weakref import WeakValueDictionary

from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_account import Account
from tradelab.adapters.mtapi_answers import AnswerError, record
from tradelab.adapters.mtapi_book import Book
from tradelab.adapters.mtapi_outcomes import judge, sharpen
from tradelab.adapters.mtapi_reading import LONGEST_COMMENT, is_name_of
from tradelab.adapters.mtapi_rows import OrderRow
from tradelab.adapters.mtapi_session import Answer, Silence
from tradelab.model.errors import VenueError
from tradelab.model.orders import Order, OrderIntent, OrderRef, OrderType, Side
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown, already_there
from tradelab.model.units import NS_PER_DAY

_WORDS: dict[tuple[OrderType, Side], str] = {meant: word for word, meant in wire.OPERATIONS.items()}
_NONE = Decimal(0)  # how the wire says that a level is not set
Late = Callable[[], Refused | None]  # why an order may not leave any more
Looked = Callable[[], Awaitable[Outcome | None]]


class Trader:
    """Requests that change something.

    MetaTrader does not mind two orders of one name, so each is looked for before it is sent; and a request whose answer
    did not come is never sent again.
    """

    def __init__(self, account: Account) -> None:
        self._at = account
        self._session = account.session
        self._sending: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._closed_by_name: dict[str, Accepted] = {}  # of MetaTrader 4, whose closes bear no name at the broker

    async def submit(self, intent: OrderIntent, late: Late) -> Outcome:
        """Send an order, unless one of its name is there already.

        To look takes a while, and to log in again too; whether it is too ``late`` by then is asked when it could leave.
        """
        refused = self._cannot(intent)
        if refused is not None:
            return refused
        lock = self._sending.get(intent.client_order_id) or asyncio.Lock()
        self._sending[intent.client_order_id] = lock
        async with lock:
            return self._closed_by_name.get(intent.client_order_id) or await self._submit(intent, late)

    async def _submit(self, intent: OrderIntent, late: Late) -> Outcome:
        try:
            book = await self._book()
        except VenueError as error:
            return _not_sent(error)
        known = book.find(_named(intent))
        if known is not None:
            return already_there(intent, known)
        if (refused := late()) is not None:
            return refused

        async def look() -> Outcome | None:
            found = (await self._book()).find(_named(intent))
            return late() if found is None else Accepted(intent.client_order_id, found.venue_order_id, found)

        if intent.position_id is not None:
            return await self._close(intent, book, look)
        heard = await self._send(intent, look)
        if not isinstance(heard, Answer | Silence):
            return heard
        good = judge(self._session, heard)
        if not isinstance(good, Answer):
            return sharpen(good, heard, intent, self._at.instruments_by_symbol.get(intent.symbol))
        return self._taken(intent.client_order_id, good, symbol=intent.symbol)

    async def _close(self, intent: OrderIntent, book: Book, look: Looked) -> Outcome:
        held = next((row for row in book.positions() if row.ticket == intent.position_id), None)
        if held is None or held.symbol != intent.symbol:
            return Refused(RefusalCode.POSITION_NOT_FOUND, f"no position {intent.position_id} in {intent.symbol}")
        side = self._at.reader.kind(held.kind)[1]
        if intent.side is side:
            return Refused(RefusalCode.BAD_REQUEST, f"a {side.value} position is not closed by a {side.value}")
        if intent.qty > held.lots:
            return Refused(RefusalCode.REDUCE_ONLY, f"qty={intent.qty} is above the {held.lots} that are held")

        lots = intent.qty if intent.qty < held.lots else None
        comment, slippage = intent.client_order_id, self._session.settings.slippage_points
        heard = await self._tell(wire.CLOSE, look, ticket=held.ticket, lots=lots, slippage=slippage, comment=comment)
        if not isinstance(heard, Answer | Silence):
            return heard
        good = judge(self._session, heard)
        if not isinstance(good, Answer):
            return self._of_position(sharpen(good, heard, intent, self._at.instruments_by_symbol.get(intent.symbol)))
        return self._closed(intent, good, lots)

    def _closed(self, intent: OrderIntent, heard: Answer, lots: Decimal | None) -> Outcome:
        row = self._row(heard)
        if isinstance(row, Unknown):
            return row
        deal = row.deal_out or (row.part_closes[-1] if row.part_closes else None)
        if deal is None:  # MetaTrader 4: a ticket is closed, there is no order that closed it
            done = self._closed_by_name[intent.client_order_id] = Accepted(intent.client_order_id, row.ticket)
            return done
        if lots is not None and deal.lots > lots:
            return Unknown(f"{lots} were to be closed and the server says that it closed {deal.lots}")
        self._at.reader.names[deal.order] = intent.client_order_id
        return Accepted(intent.client_order_id, deal.order, self._at.reader.closing(deal))

    async def cancel(self, ref: OrderRef) -> Outcome:
        """Cancel an order that waits.

        The wire has one request for cancelling an order and for closing a position: an order that fills between our
        look and the request is closed by it, which the answer then says.
        """
        row = await self._waiting(ref)
        if not isinstance(row, OrderRow):
            return row

        async def look() -> Outcome | None:
            again = await self._waiting(ref)
            return None if isinstance(again, OrderRow) else again

        heard = await self._tell(wire.CLOSE, look, ticket=row.ticket)
        if not isinstance(heard, Answer | Silence):
            return heard
        good = judge(self._session, heard)
        if not isinstance(good, Answer):
            return good
        told = self._row(good)
        if isinstance(told, Unknown):
            return told
        if told.deal_out is not None or self._at.reader.kind(told.kind)[0] is OrderType.MARKET:
            says = f"it had filled: the request closed position {row.ticket} of {told.close_lots or row.lots} lots"
            return Refused(RefusalCode.ORDER_CLOSED, says)
        return Accepted(self._at.reader.name(row.ticket, row.comment), row.ticket)

    async def modify(self, ref: OrderRef, price: Decimal | None, stop_price: Decimal | None) -> Outcome:
        """Change price or trigger of an order that waits; levels and date are sent along, or they would be lost."""
        row = await self._waiting(ref)
        if not isinstance(row, OrderRow):
            return row
        order = self._at.reader.order(row)
        cannot = _misplaced(order, price, stop_price)
        if cannot is not None:
            return cannot
        limit, trigger = price or order.price, stop_price or order.stop_price
        first, second = (limit, None) if order.type is OrderType.LIMIT else (trigger, limit)
        asked = {"price": first, "limit_price": second}
        heard = await self._change(row, **asked)
        return await self._changed(heard, order, row.stop_loss, row.take_profit, asked)

    async def protect(
        self, symbol: str, ticket: str | None, stop_loss: Decimal | None, take_profit: Decimal | None
    ) -> Outcome:
        """Set both levels of a position."""
        try:
            held = [row for row in await self._at.open_rows() if row.symbol == symbol]
            held = [row for row in held if self._at.reader.kind(row.kind)[0] is OrderType.MARKET]
        except VenueError as error:
            return _not_sent(error)
        chosen = [row for row in held if ticket is None or row.ticket == ticket]
        if not chosen:
            return Refused(RefusalCode.POSITION_NOT_FOUND, f"no position {ticket or ''} in {symbol}")
        if len(chosen) > 1:
            return Refused(RefusalCode.BAD_REQUEST, f"{len(chosen)} positions in {symbol}: position_id says which")
        heard = await self._change(chosen[0], stop_loss=stop_loss, take_profit=take_profit)
        outcome = await self._changed(heard, None, stop_loss, take_profit, {})
        return self._of_position(outcome)

    # ── one request ──────────────────────────────────────────────────────────────────────────────────────────────

    def _cannot(self, intent: OrderIntent) -> Refused | None:
        missing = None
        if intent.position_id is not None and intent.type is not OrderType.MARKET:
            missing = f"closing a position with a {intent.type.value} order"
        elif intent.position_id is not None and (intent.stop_loss or intent.take_profit):
            missing = "SL/TP on an order that closes"
        elif intent.type is OrderType.MARKET and intent.expire_ns is not None:
            missing = "a market order with an end"
        if missing is not None:
            return Refused(RefusalCode.NOT_SUPPORTED, f"this venue does not offer {missing}")
        if intent.reduce_only and intent.position_id is None:
            return Refused(RefusalCode.POSITION_NOT_FOUND, "a hedging account closes by ticket: position_id says which")
        if len(intent.client_order_id) > LONGEST_COMMENT:
            says = f"client_order_id={intent.client_order_id!r} is longer than the {LONGEST_COMMENT} of a comment"
            return Refused(RefusalCode.BAD_REQUEST, says)
        return None

    async def _send(self, intent: OrderIntent, look: Looked) -> Answer | Silence | Outcome:
        settings = self._session.settings
        return await self._tell(
            wire.SEND, look, symbol=intent.symbol, operation=_WORDS[intent.type, intent.side], lots=intent.qty,
            price=intent.stop_price if intent.type.needs_stop_price else intent.price,
            limit_price=intent.price if intent.type is OrderType.STOP_LIMIT else None,
            slippage=settings.slippage_points, stop_loss=intent.stop_loss, take_profit=intent.take_profit,
            comment=intent.client_order_id, magic=settings.magic or None, **self._expiry(intent.expire_ns),
        )  # fmt: skip

    def _expiry(self, expire_ns: int | None) -> dict[str, str]:
        if expire_ns is None:
            return {}
        return {"expires": self._at.zone.told(expire_ns), "expiry_kind": wire.UNTIL_TIME}

    async def _change(self, row: OrderRow, **new: Decimal | None) -> Answer | Silence | Outcome:
        """Send a change with everything that is to stay as it is: what is left out is set to nothing."""
        now = {"stop_loss": row.stop_loss, "take_profit": row.take_profit}
        waits = self._at.reader.kind(row.kind)[0] is not OrderType.MARKET
        if waits:
            now |= {"price": row.price, "limit_price": row.limit_price}
        asked: dict[str, Any] = {name: value or None for name, value in (now | new).items()}
        asked |= {name: asked[name] or _NONE for name in ("stop_loss", "take_profit")}
        if waits and row.expires is not None:
            asked |= {"expires": row.expires, "expiry_kind": row.expiry_kind or None}

        async def look() -> Outcome | None:
            return None  # the same levels twice are the same levels

        return await self._tell(wire.MODIFY, look, ticket=row.ticket, **asked)

    async def _changed(
        self,
        heard: Answer | Silence | Outcome,
        order: Order | None,
        stop_loss: Decimal | None,
        take_profit: Decimal | None,
        asked: dict[str, Decimal | None],
    ) -> Outcome:
        """Return what became of a change, held against what the answer shows."""
        if not isinstance(heard, Answer | Silence):
            return heard
        good = judge(self._session, heard)
        if not isinstance(good, Answer):
            return good
        row = self._row(good)
        if isinstance(row, Unknown):
            return row
        wanted = {"stop_loss": stop_loss, "take_profit": take_profit} | asked
        missed = [name for name, value in wanted.items() if value is not None and getattr(row, name) != value]
        if missed:
            return Unknown(f"accepted, but the answer does not show the new {', '.join(missed)}")
        read = self._at.reader
        now = None if order is None else read.order(row)
        return Accepted(read.name(row.ticket, row.comment), row.ticket, now)

    async def _tell(self, call: wire.Call, look: Looked, **ours: Any) -> Answer | Silence | Outcome:
        """Send once; after the bridge said that it does not know us, log in, look whether it was done, and send again.

        A request that was under way when a session ended may be answered so although it was done, hence the look.
        """
        try:
            gone = self._session.token
        except VenueError as error:
            return _not_sent(error)
        heard = await self._session.tell(call, **ours)
        if isinstance(heard, Silence) or not heard.is_session_gone:
            return heard
        try:
            await self._session.renew(gone)
            done = await look()
        except VenueError as error:
            return Unknown(f"the session was gone, and then: {error}")
        return done if done is not None else await self._session.tell(call, **ours)

    async def _waiting(self, ref: OrderRef) -> OrderRow | Outcome:
        """Return the order that waits under a name, or why there is none."""
        try:
            rows = await self._at.open_rows()
            open_orders = [row for row in rows if self._at.reader.kind(row.kind)[0] is not OrderType.MARKET]
            for row in open_orders:
                if _is(ref, row, self._at.reader.name(row.ticket, row.comment)):
                    return row
            known = (await self._book()).find(ref)
        except VenueError as error:
            return _not_sent(error)
        if known is None:
            return Refused(RefusalCode.ORDER_NOT_FOUND, f"the venue has no {ref.client_order_id or ref.venue_order_id}")
        return Refused(RefusalCode.ORDER_CLOSED, f"order {known.venue_order_id} is {known.status.value}")

    async def _book(self) -> Book:
        span_ns = int(self._session.settings.lookback_days * NS_PER_DAY)
        return await self._at.book(self._session.clock.now_ns() - span_ns)

    def _row(self, heard: Answer) -> OrderRow | Unknown:
        try:
            row: OrderRow = record(wire.ORDER[self._at.platform], heard.body)
        except AnswerError as error:
            return Unknown(f"the answer is no order: {error}")
        return row

    def _taken(self, client_order_id: str, heard: Answer, *, symbol: str) -> Outcome:
        row = self._row(heard)
        if isinstance(row, Unknown):
            return row
        if row.symbol and row.symbol != symbol:
            return Unknown(f"the answer is about {row.symbol}, not {symbol}")
        self._at.reader.names[row.ticket] = client_order_id
        try:
            order = self._at.reader.order(row)
        except AnswerError:
            order = None  # it was taken, that much is certain
        return Accepted(client_order_id, row.ticket, order)

    def _of_position(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Refused) and outcome.code is RefusalCode.ORDER_NOT_FOUND:
            return Refused(RefusalCode.POSITION_NOT_FOUND, outcome.says)
        return outcome


def _misplaced(order: Order, price: Decimal | None, stop_price: Decimal | None) -> Refused | None:
    for name, given, has in (
        ("price", price, order.type.needs_price),
        ("stop_price", stop_price, order.type.needs_stop_price),
    ):
        if given is not None and not has:
            return Refused(RefusalCode.BAD_REQUEST, f"a {order.type.value} order has no {name}")
    if (price or order.price, stop_price or order.stop_price) == (order.price, order.stop_price):
        return Refused(RefusalCode.NO_CHANGE, "nothing would change")
    return None


def _is(ref: OrderRef, row: OrderRow, name: str | None) -> bool:
    if ref.venue_order_id is not None:
        return row.ticket == ref.venue_order_id
    return name is not None and is_name_of(name, str(ref.client_order_id))


def _named(intent: OrderIntent) -> OrderRef:
    return OrderRef(symbol=intent.symbol, client_order_id=intent.client_order_id)


def _not_sent(error: VenueError) -> Refused:
    return Refused(RefusalCode.NOT_SENT, f"nothing was sent: {error}")
