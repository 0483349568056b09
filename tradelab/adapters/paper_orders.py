"""Hold what a paper account remembers: orders at work, what its markets were last seen at."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal, localcontext

from tradelab.adapters.paper_ledger import ZERO, exactly
from tradelab.model.market import Quote
from tradelab.model.orders import Order, OrderIntent, OrderStatus, OrderType, Side, TimeInForce

_TOLD = frozenset(f.name for f in fields(Order))


@dataclass(slots=True, kw_only=True)
class Working:
    """One order and what has become of it; ``client_order_id`` is ``None`` for what the account itself sent."""

    symbol: str
    venue_order_id: str
    client_order_id: str | None
    side: Side
    type: OrderType
    qty: Decimal
    created_ns: int
    updated_ns: int
    status: OrderStatus = OrderStatus.NEW
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_ns: int | None = None
    reduce_only: bool = False
    position_id: str | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    filled_qty: Decimal = ZERO
    traded: Decimal = ZERO  # quantity times price of all its fills
    arrives_ns: int = 0  # it meets nothing that was seen before
    after_bar_ns: int = -1  # the bar that had been seen to open when it was sent: it meets later ones only
    has_come: bool = False  # it has reached the market
    has_rested: bool = False  # it has waited there: it trades as a maker
    in_bar: Decimal = ZERO  # filled within the bar that is being lived

    @classmethod
    def of(cls, intent: OrderIntent, venue_order_id: str, now_ns: int) -> Working:
        """Take an order in."""
        waits = intent.type.needs_stop_price
        return cls(
            **{f.name: getattr(intent, f.name) for f in fields(intent)},
            venue_order_id=venue_order_id,
            created_ns=now_ns,
            updated_ns=now_ns,
            status=OrderStatus.UNTRIGGERED if waits else OrderStatus.NEW,
        )

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status.is_open

    @property
    def leaves(self) -> Decimal:
        """What may still trade."""
        return self.qty - self.filled_qty

    @property
    def waits_for_trigger(self) -> bool:
        """Whether it is a stop that has not been set off."""
        return self.status is OrderStatus.UNTRIGGERED

    @property
    def takes_any_price(self) -> bool:
        """Whether it trades at whatever there is."""
        return self.price is None and not self.waits_for_trigger

    @property
    def closes(self) -> bool:
        """Whether it may only make a position smaller."""
        return self.reduce_only or self.position_id is not None

    @property
    def is_at_once(self) -> bool:
        """Whether it does not wait for a better market."""
        return self.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)

    def told(self) -> Order:
        """The order as the venue tells it."""
        average = None
        if self.filled_qty:
            with localcontext() as context:
                context.prec = 60
                average = round(self.traded / self.filled_qty, 18)
        known = {name: getattr(self, name) for name in _TOLD - {"avg_price"}}
        return Order(**known, avg_price=average)

    def take(self, qty: Decimal, price: Decimal, now_ns: int) -> None:
        """Count a fill."""
        with exactly():
            self.filled_qty += qty
            self.in_bar += qty
            self.traded += qty * price
        self.status = OrderStatus.FILLED if self.leaves == 0 else OrderStatus.PARTIALLY_FILLED
        self.updated_ns = now_ns


@dataclass(slots=True)
class Seen:
    """What was last seen of one market: a quote with what is left at its best prices, or a bar."""

    quote: Quote | None = None
    bid_left: Decimal | None = None
    ask_left: Decimal | None = None
    close: Decimal | None = None
    range: Decimal | None = None
    opened_ns: int = -1  # open of the newest bar that was seen to open, and of the newest that closed
    closed_ns: int = -1

    @property
    def mark(self) -> Decimal | None:
        """What positions are valued at; ``None`` before anything was seen."""
        return self.quote.mid if self.quote is not None else self.close

    def touch(self, side: Side) -> Decimal | None:
        """What a taker of that side trades at: the other side's best price, or the last close."""
        if self.quote is None:
            return self.close
        return self.quote.ask if side is Side.BUY else self.quote.bid

    def left(self, side: Side) -> Decimal | None:
        """What may still be taken at the best price; ``None``: as much as one likes."""
        return self.ask_left if side is Side.BUY else self.bid_left

    def takes(self, side: Side, qty: Decimal) -> None:
        """Take it away."""
        if side is Side.BUY and self.ask_left is not None:
            self.ask_left -= qty
        elif side is Side.SELL and self.bid_left is not None:
            self.bid_left -= qty

    def is_past(self) -> None:
        """Take the quote for a price of the past: nothing trades on it, and bars are lived again until there is one.

        Bars that had opened before it have been lived by quotes.
        """
        if self.quote is None:
            return
        self.close = self.quote.mid
        self.opened_ns = max(self.opened_ns, self.quote.ts_ns)
        self.closed_ns = max(self.closed_ns, self.quote.ts_ns)
        self.quote = self.bid_left = self.ask_left = None
