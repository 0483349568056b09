"""Run a venue: take orders, match them against the replayed market, keep accounts, say what happened."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode
from tradelab.model.units import NS_PER_HOUR
from tradelab.rehearsal import filters
from tradelab.rehearsal.clock import VenueClock
from tradelab.rehearsal.events import Event, MoneyChanged, OrderChanged, Traded
from tradelab.rehearsal.host import AnyLedger
from tradelab.rehearsal.ledger_hedging import HedgingLedger
from tradelab.rehearsal.ledger_perp import PerpLedger
from tradelab.rehearsal.ledger_spot import SpotLedger
from tradelab.rehearsal.matching import Book, in_priority, meets
from tradelab.rehearsal.orders import Rejection, SimFill, SimOrder
from tradelab.rehearsal.protection import Protector
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Print, Tape
from tradelab.rehearsal.watching import Watches

FUNDING_NS = 8 * NS_PER_HOUR
_BPS = Decimal(10_000)


class Exchange:
    """One venue with its markets and accounts; speaks no protocol.

    Time moves by :meth:`advance`, up to ``clock.market_ns()``; every request calls it first, so that what is answered
    is true at that moment. Listeners are called with each event as it happens.

    Parameters
    ----------
    tapes
        The markets, by symbol; the symbol is the dialect's own spelling (``"BTCUSDT"``).
    clock
        The venue's clock.
    setup
        Accounts, fees, book and limits.
    """

    def __init__(self, tapes: Iterable[Tape], clock: VenueClock, setup: VenueSetup) -> None:
        self.tapes = {tape.instrument.symbol: tape for tape in tapes}
        self.clock = clock
        self.setup = setup
        self.accounts = {a.key: a for a in setup.accounts}
        self.ledgers: dict[str, AnyLedger] = {a.key: _ledger(a, setup) for a in setup.accounts}
        self.orders: dict[int, SimOrder] = {}
        self.open: dict[int, SimOrder] = {}
        self.fills: list[SimFill] = []
        self.delisted: set[str] = set()
        self.pinned: dict[str, Decimal] = {}
        self.thin: set[str] = set()  # pinned, and nobody but a script trades there
        self.funding: list[MoneyChanged] = []
        self.listeners: list[Callable[[Event], None]] = []
        self.watches = Watches(self)
        self.protector = Protector(self)
        self.now_ns = clock.market_ns()
        self.last_number = 1000
        self.books = {symbol: self._first_book(tape) for symbol, tape in self.tapes.items()}

    # ── what a ledger and a dialect may see ──────────────────────────────────────────────────────────────────────

    def instrument(self, symbol: str) -> Instrument:
        """Return a market's instrument."""
        return self.tapes[symbol].instrument

    def mark(self, symbol: str) -> Decimal:
        """Return the price at which positions are valued: the last trade."""
        return self.books[symbol].last

    def best(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return best bid and ask."""
        book = self.books[symbol]
        return book.bid, book.ask

    def number(self) -> int:
        """Return a number never given before."""
        self.last_number += 1
        return self.last_number

    def find(self, account: str, *, client_order_id: str | None = None, number: int | None = None) -> SimOrder | None:
        """Return the account's order of that number, else the newest of that client id."""
        if number is not None:
            order = self.orders.get(number)
            return order if order is not None and order.account == account else None
        matches = (o for o in reversed(self.orders.values()) if o.account == account)
        return next((o for o in matches if o.client_order_id == client_order_id), None)

    def open_orders(self, account: str, symbol: str | None = None) -> list[SimOrder]:
        """Return what may still trade, oldest first."""
        mine = (o for o in self.open.values() if o.account == account)
        return [o for o in mine if symbol is None or o.symbol == symbol]

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, order: SimOrder) -> Rejection | None:
        """Take an order made by :meth:`draft`, trade what trades at once, and let the rest wait; or say why not."""
        rejection = self._refusal(order)
        if rejection is not None:
            return rejection
        order.created_ns = order.updated_ns = self.now_ns
        order.status = OrderStatus.UNTRIGGERED if order.type.needs_stop_price else OrderStatus.NEW
        order.extra["queued"] = self.number()
        self.orders[order.number] = self.open[order.number] = order
        self._hold(order)
        self.tell(OrderChanged(order, "new", self.now_ns))
        self.tell(MoneyChanged(order.account, "order", self.now_ns, order.symbol))
        if order.status is OrderStatus.NEW:
            self._take(order)
        elif self._is_triggered(order):  # only what protects is let in when its price has been passed already
            self._trigger(order)
        return None

    def _hold(self, order: SimOrder) -> None:
        if order.status is OrderStatus.UNTRIGGERED and order.pays_when_triggered:
            return
        self.ledgers[order.account].hold(order, self.instrument(order.symbol), self.worst_price(order))

    def draft(self, account: str, symbol: str, side: Side, type: OrderType, qty: Decimal, **more: object) -> SimOrder:
        """Make an order with a number of its own; nothing is done with it yet."""
        number = self.number()
        client_id = str(more.pop("client_order_id", None) or f"auto{number}")
        return SimOrder(
            number=number, client_order_id=client_id, account=account, symbol=symbol, side=side, type=type, qty=qty,
            **more,  # type: ignore[arg-type]
        )  # fmt: skip

    def cancel(self, order: SimOrder, *, reason: str = "by request") -> Rejection | None:
        """End an order that may still trade."""
        if not order.is_open:
            return Rejection(RefusalCode.ORDER_CLOSED, f"order is {order.status.value}")
        self._end(order, OrderStatus.CANCELLED, "canceled", reason)
        return None

    def amend(
        self,
        order: SimOrder,
        *,
        qty: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
        stop_loss: Decimal | None = None,
        take_profit: Decimal | None = None,
    ) -> Rejection | None:
        """Change an order in place; it loses its turn unless only its quantity shrinks."""
        if not order.is_open:
            return Rejection(RefusalCode.ORDER_CLOSED, f"order is {order.status.value}")
        before = (order.qty, order.price, order.stop_price)
        after = (qty or order.qty, price or order.price, stop_price or order.stop_price)
        if before == after and stop_loss == order.stop_loss and take_profit == order.take_profit:
            return Rejection(RefusalCode.NO_CHANGE, "nothing would change")
        if after[0] <= order.filled_qty:
            return Rejection(RefusalCode.MIN_QTY, f"{order.filled_qty} has filled already")
        order.qty, order.price, order.stop_price = after
        rejection = self._amend_refusal(order)
        if rejection is not None:
            order.qty, order.price, order.stop_price = before
            return rejection
        order.stop_loss, order.take_profit = stop_loss or order.stop_loss, take_profit or order.take_profit
        if after[1:] != before[1:] or after[0] > before[0]:
            order.extra["queued"] = self.number()
        order.updated_ns = self.now_ns
        self._hold(order)
        self.tell(OrderChanged(order, "amended", self.now_ns))
        if order.rests:
            self._take(order)
        return None

    def deposit(self, account: str, currency: str, amount: Decimal) -> None:
        """Give an account money, or take some away, as the world outside does."""
        ledger = self.ledgers[account]
        if isinstance(ledger, SpotLedger):
            ledger.free[currency] = ledger.free.get(currency, Decimal(0)) + amount
        elif isinstance(ledger, PerpLedger):
            ledger.wallet += amount
        else:
            ledger.balance += amount
        self.tell(MoneyChanged(account, "deposit", self.now_ns, None, amount, currency))

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def advance(self) -> None:
        """Let the market happen up to now."""
        until = self.clock.market_ns()
        if until <= self.now_ns:
            return
        moving = (tape for symbol, tape in self.tapes.items() if not (symbol in self.thin and symbol in self.pinned))
        streams = [tape.prints(self.now_ns, until) for tape in moving]
        for trade in heapq.merge(*streams, key=lambda t: t.ts_ns):
            self._pass_time(trade.ts_ns)
            self.trade(trade)
        self._pass_time(until)

    def trade(self, trade: Print) -> None:
        """Let one trade of the market happen, with all that it sets off."""
        if trade.symbol in self.delisted:
            return
        price = self.pinned.get(trade.symbol, trade.price)
        book = self.books[trade.symbol]
        book.refill(price)
        self.tell(Traded(trade.symbol, price, trade.qty, book.bid, book.ask, self.now_ns))
        self.watches.trade(trade.symbol, price, trade.qty, self.now_ns)
        waiting = [o for o in self.open.values() if o.symbol == trade.symbol]
        for order in waiting:
            if order.status is OrderStatus.UNTRIGGERED and self._is_triggered(order):
                self._trigger(order)
        self._match_resting([o for o in waiting if o.rests], price, trade.qty)
        self.protector.watch(trade.symbol)

    def _pass_time(self, until_ns: int) -> None:
        before, self.now_ns = self.now_ns, max(self.now_ns, until_ns)
        self.watches.pass_time(self.now_ns)
        for order in [o for o in self.open.values() if o.expire_ns is not None and o.expire_ns <= self.now_ns]:
            self._end(order, OrderStatus.EXPIRED, "expired", "good till date")
        if self.setup.ledger is Ledger.PERPETUAL and before // FUNDING_NS < self.now_ns // FUNDING_NS:
            self._fund()

    def _fund(self) -> None:
        for account, ledger in self.ledgers.items():
            for symbol in [s for s, p in getattr(ledger, "positions", {}).items() if p.qty]:
                assert isinstance(ledger, PerpLedger)
                amount = ledger.fund(symbol, self.mark(symbol), self.setup.funding_rate)
                event = MoneyChanged(account, "funding", self.now_ns, symbol, amount)
                self.funding.append(event)
                self.tell(event)

    # ── matching ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, order: SimOrder) -> None:
        """Trade what an order meets in the book now, then let it rest or end, as its time in force says."""
        book = self.books[order.symbol]
        limit = order.price if order.type.needs_price else None
        wanted = self._reducible(order)
        if order.time_in_force is TimeInForce.FOK and book.available(order.side, limit) < order.leaves_qty:
            self._end(order, OrderStatus.EXPIRED, "expired", "fill or kill")
            return
        for level, price, qty in book.walk(order.side, wanted, limit):
            book.take(order.side, level, qty)
            self.fill(order, qty, price, maker=False)
        if not order.is_open:
            return
        immediate = order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
        if order.type in (OrderType.MARKET, OrderType.STOP) or immediate or self._reducible(order) <= 0:
            self._end(order, OrderStatus.EXPIRED, "expired", "nothing left to meet")

    def _match_resting(self, orders: list[SimOrder], price: Decimal, qty: Decimal) -> None:
        """Fill what the tape traded through whole, and what it touched by turn, out of the quantity it traded."""
        if self.setup.ledger is Ledger.HEDGING:
            bid, ask = self.best(orders[0].symbol) if orders else (price, price)
            for order in orders:
                if meets(order, bid, ask):
                    self.fill(order, order.leaves_qty, order.price or price, maker=True)
            return
        left = qty
        for order in in_priority(orders):
            if order.price is None or not order.is_open:
                continue
            beyond = (order.price - price) * order.side.sign
            if beyond < 0:
                continue
            part = self._reducible(order) if beyond > 0 else min(self._reducible(order), left)
            left -= part if beyond == 0 else Decimal(0)
            if part > 0:
                self.fill(order, part, order.price, maker=True)
            elif self._reducible(order) <= 0:
                self._end(order, OrderStatus.EXPIRED, "expired", "nothing to reduce")

    def fill(self, order: SimOrder, qty: Decimal, price: Decimal, *, maker: bool) -> SimFill:
        """Book a trade of an order."""
        rate = (self.setup.maker_bps if maker else self.setup.taker_bps) / _BPS
        instrument = self.instrument(order.symbol)
        order.updated_ns = self.now_ns
        booked = self.ledgers[order.account].book(order, instrument, qty, price, rate)
        order.filled_qty += qty
        order.filled_quote += qty * price
        order.fee += booked.fee
        whole = order.leaves_qty <= 0
        order.status = OrderStatus.FILLED if whole else OrderStatus.PARTIALLY_FILLED
        made = SimFill(
            number=self.number(), order=order.number, client_order_id=order.client_order_id, account=order.account,
            symbol=order.symbol, side=order.side, qty=qty, price=price, fee=booked.fee,
            fee_currency=booked.fee_currency, maker=maker, ts_ns=self.now_ns, realized_pnl=booked.realized_pnl,
            position_id=booked.position_id, entry=booked.entry,
        )  # fmt: skip
        self.fills.append(made)
        if whole:
            self.ledgers[order.account].release(order, instrument)
            self.open.pop(order.number, None)
        self.tell(OrderChanged(order, "trade", self.now_ns, made))
        self.tell(MoneyChanged(order.account, "order", self.now_ns, order.symbol))
        self.protector.after_fill(order)
        return made

    def worst_price(self, order: SimOrder) -> Decimal:
        """Return the price an order is held for: its limit, else its trigger, else the market."""
        bid, ask = self.best(order.symbol)
        best = ask if order.side is Side.BUY else bid
        trigger = order.stop_price if order.triggered_ns is None else None
        if order.price is None and trigger is None and self.setup.ledger is Ledger.SPOT:
            levels = self.books[order.symbol].walk(order.side, order.leaves_qty, None)
            return levels[-1][1] if levels else best  # a market order must be paid for down to its last level
        return order.price or trigger or best

    def _is_triggered(self, order: SimOrder) -> bool:
        if order.stop_price is None:
            return False
        seen = self.books[order.symbol].last
        if self.setup.ledger is Ledger.HEDGING:
            bid, ask = self.best(order.symbol)
            seen = ask if order.side is Side.BUY else bid
        return seen >= order.stop_price if order.trigger_rises else seen <= order.stop_price

    def _trigger(self, order: SimOrder) -> None:
        if not order.is_open:
            return
        order.status, order.triggered_ns, order.updated_ns = OrderStatus.NEW, self.now_ns, self.now_ns
        if order.close_all or order.reduce_only:
            closable = self.ledgers[order.account].closable(order) or Decimal(0)
            order.qty = closable if order.close_all else order.qty
            if closable <= 0:
                self._end(order, OrderStatus.EXPIRED, "expired", "nothing to reduce")
                return
        elif order.pays_when_triggered or (order.type is OrderType.STOP and self.setup.ledger is Ledger.SPOT):
            code = self.ledgers[order.account].refuses(order, self.worst_price(order), self)
            if code is not None:
                self._end(order, OrderStatus.EXPIRED, "expired", code.value)
                return
            self._hold(order)
        self.tell(OrderChanged(order, "triggered", self.now_ns))
        self._take(order)

    def _reducible(self, order: SimOrder) -> Decimal:
        """What of an order may trade: all that is left, or the position if it only reduces."""
        if not order.reduce_only:
            return order.leaves_qty
        closable = self.ledgers[order.account].closable(order)
        return order.leaves_qty if closable is None else min(order.leaves_qty, closable)

    # ── refusals and ends ────────────────────────────────────────────────────────────────────────────────────────

    def _refusal(self, order: SimOrder) -> Rejection | None:
        symbol = order.symbol
        if symbol not in self.tapes:
            return Rejection(RefusalCode.UNKNOWN_SYMBOL, f"no market {symbol}")
        if symbol in self.delisted:
            return Rejection(RefusalCode.MARKET_CLOSED, f"{symbol} is not trading")
        book, instrument = self.books[symbol], self.instrument(symbol)
        if not order.close_all:
            broken = filters.violated(order, instrument, book.last)
            if broken is not None:
                return Rejection(broken, broken.value)
        if self._is_triggered(order) and not order.extra.get("protects"):
            return Rejection(RefusalCode.STOP_WOULD_TRIGGER, "order would immediately trigger")
        if order.time_in_force is TimeInForce.PO and meets(order, book.bid, book.ask):
            return Rejection(RefusalCode.WOULD_TAKE, "order would immediately match and take")
        waiting = self.open_orders(order.account, symbol)
        if instrument.max_orders is not None and len(waiting) >= instrument.max_orders:
            return Rejection(RefusalCode.TOO_MANY_ORDERS, f"{len(waiting)} orders are open")
        triggers = sum(o.status is OrderStatus.UNTRIGGERED for o in waiting)
        most = instrument.max_trigger_orders
        if order.type.needs_stop_price and most is not None and triggers >= most:
            return Rejection(RefusalCode.TOO_MANY_ORDERS, f"{triggers} conditional orders are open")
        return self._money_refusal(order) or self.protector.refusal(order)

    def _money_refusal(self, order: SimOrder) -> Rejection | None:
        waits = order.type.needs_stop_price and order.triggered_ns is None
        if waits and (order.reduce_only or order.close_all or order.pays_when_triggered):
            return None  # what it closes, and what it costs, is asked when it triggers
        code = self.ledgers[order.account].refuses(order, self.worst_price(order), self)
        return None if code is None else Rejection(code, code.value)

    def _amend_refusal(self, order: SimOrder) -> Rejection | None:
        broken = filters.violated(order, self.instrument(order.symbol), self.mark(order.symbol))
        if broken is not None:
            return Rejection(broken, broken.value)
        book = self.books[order.symbol]
        if order.status is OrderStatus.UNTRIGGERED and self._is_triggered(order):
            return Rejection(RefusalCode.STOP_WOULD_TRIGGER, "order would immediately trigger")
        if order.time_in_force is TimeInForce.PO and order.rests and meets(order, book.bid, book.ask):
            return Rejection(RefusalCode.WOULD_TAKE, "order would immediately match and take")
        return self._money_refusal(order)

    def _end(self, order: SimOrder, status: OrderStatus, what: str, reason: str) -> None:
        order.status, order.reason, order.updated_ns = status, reason, self.now_ns
        self.ledgers[order.account].release(order, self.instrument(order.symbol))
        self.open.pop(order.number, None)
        self.tell(OrderChanged(order, what, self.now_ns))
        self.tell(MoneyChanged(order.account, "order", self.now_ns, order.symbol))

    def expire(self, order: SimOrder, reason: str) -> None:
        """End an order as the venue ends it by itself."""
        self._end(order, OrderStatus.EXPIRED, "expired", reason)

    def tell(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self.listeners:
            listener(event)

    def _first_book(self, tape: Tape) -> Book:
        setup = self.setup
        start = self.clock.market_ns()
        known = tape.candles(tape.timeframe, start - 2 * tape.timeframe.ns, start + 1, start)
        last = tape.on_tick(known[-1].close) if known else tape.first_price()
        qty = self.usual_level_qty(tape.instrument.symbol)
        return Book.around(tape.instrument, last, setup.spread_ticks, qty, setup.levels)

    def usual_level_qty(self, symbol: str) -> Decimal:
        """Return what one level of the book holds, as it was set up."""
        tape = self.tapes[symbol]
        return self.setup.level_qty or max(tape.instrument.qty_step, 10 * tape.usual_qty())

    def markets(self) -> Iterator[tuple[Instrument, Book]]:
        """Yield every market that is listed."""
        return ((t.instrument, self.books[s]) for s, t in self.tapes.items() if s not in self.delisted)


def _ledger(account: AccountSetup, setup: VenueSetup) -> AnyLedger:
    if setup.ledger is Ledger.SPOT:
        return SpotLedger.opened_with(account.balances)
    (currency, amount), *_ = account.balances.items()
    if setup.ledger is Ledger.PERPETUAL:
        return PerpLedger(currency, amount, default_leverage=setup.leverage)
    return HedgingLedger(currency, amount, leverage=setup.leverage, commission_per_lot=setup.commission_per_lot)
