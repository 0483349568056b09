"""Say what is to be traded, and what became of it: intent, order, fill."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.errors import ParameterError
from tradelab.model.plain import Plain


class Side(enum.Enum):
    """Which way."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(enum.Enum):
    """How an order comes to trade."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"  # a market order once the price has reached ``stop_price``
    STOP_LIMIT = "stop_limit"  # a limit order at ``price`` once the price has reached ``stop_price``

    @property
    def needs_price(self) -> bool:
        """Whether a limit price belongs to it."""
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def needs_stop_price(self) -> bool:
        """Whether a trigger belongs to it."""
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)


class TimeInForce(enum.Enum):
    """How long an order lives."""

    GTC = "gtc"  # until cancelled
    IOC = "ioc"  # what fills at once; the rest is cancelled
    FOK = "fok"  # all at once or nothing
    PO = "po"  # only as a maker: refused where it would take
    GTD = "gtd"  # until ``expire_ns``


class OrderStatus(enum.Enum):
    """Where an order is in its life at the venue."""

    UNTRIGGERED = "untriggered"  # a stop that waits for its price
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self in (OrderStatus.UNTRIGGERED, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


class Liquidity(enum.Enum):
    """Who was there first."""

    MAKER = "maker"
    TAKER = "taker"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderIntent(Plain):
    """What somebody wants to trade, before anybody has agreed; prices and quantities in the venue's own units.

    Parameters
    ----------
    client_order_id
        Our name for it, the same after any restart (:func:`tradelab.model.identity.client_order_id`).
    symbol
        As the venue's adapter lists it.
    qty
        Above zero, in the venue's unit: base currency, contracts or lots.
    price, stop_price
        The limit and the trigger, where the type has them, else ``None``.
    expire_ns
        End of a GTD order, UTC; ``None`` for every other.
    reduce_only
        Closes and never opens: what is left after the position is flat is not traded.
    position_id
        The ticket to close, on accounts that hold several positions in one symbol (MT hedging); else ``None``.
    stop_loss, take_profit
        Protection the venue attaches to what fills, where it can; ``None`` for none.
    """

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    qty: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_ns: int | None = None
    reduce_only: bool = False
    position_id: str | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None

    def __post_init__(self) -> None:
        _require_decimals(self, "qty", "price", "stop_price", "stop_loss", "take_profit")
        if self.qty <= 0:
            raise ParameterError(f"{self.symbol}: qty={self.qty} must be above zero.", fix="The side says which way.")
        for name, needed in (("price", self.type.needs_price), ("stop_price", self.type.needs_stop_price)):
            if needed != (getattr(self, name) is not None):
                verb = "needs" if needed else "has no"
                raise ParameterError(f"{self.symbol}: a {self.type.value} order {verb} {name}.")
        if (self.time_in_force is TimeInForce.GTD) != (self.expire_ns is not None):
            raise ParameterError(f"{self.symbol}: expire_ns belongs to a GTD order, and only to it.")
        if self.time_in_force is TimeInForce.PO and self.type is not OrderType.LIMIT:
            raise ParameterError(f"{self.symbol}: only a limit order can be post-only, not a {self.type.value} order.")
        if not self.client_order_id:
            raise ParameterError(f"{self.symbol}: an order needs a client_order_id.", fix="identity.client_order_id().")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderRef(Plain):
    """Name an order at a venue, by our id, by the venue's, or by both."""

    symbol: str
    client_order_id: str | None = None
    venue_order_id: str | None = None

    def __post_init__(self) -> None:
        if self.client_order_id is None and self.venue_order_id is None:
            raise ParameterError(f"{self.symbol}: an order is named by client_order_id or venue_order_id.")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Order(Plain):
    """An order as the venue tells it; ``None`` is what the venue did not say."""

    symbol: str
    venue_order_id: str
    client_order_id: str | None
    side: Side
    type: OrderType
    status: OrderStatus
    qty: Decimal
    filled_qty: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    avg_price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool | None = None
    created_ns: int | None = None
    updated_ns: int | None = None
    position_id: str | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None

    @property
    def leaves_qty(self) -> Decimal:
        """What may still trade; zero once the order is closed."""
        return self.qty - self.filled_qty if self.status.is_open else Decimal(0)

    @property
    def ref(self) -> OrderRef:
        """Its names."""
        return OrderRef(symbol=self.symbol, client_order_id=self.client_order_id, venue_order_id=self.venue_order_id)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Fill(Plain):
    """One trade of one order; ``(venue, account, symbol, trade_id)`` is booked once."""

    trade_id: str
    symbol: str
    venue_order_id: str
    client_order_id: str | None
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal | None  # above zero is paid, below zero is received; None where the venue has not said
    fee_currency: str | None
    liquidity: Liquidity
    ts_ns: int
    position_id: str | None = None


_FURTHEST = 24  # powers of ten away from one: beyond, Python's 28 digits do not tell whether it is on a step


def _require_decimals(order: OrderIntent, *names: str) -> None:
    for name in names:
        value = getattr(order, name)
        if value is None:
            continue
        if not isinstance(value, Decimal) or not value.is_finite():
            raise ParameterError(
                f"{order.symbol}: {name}={value!r} must be a finite Decimal.", fix=f'Write {name}=Decimal("0.01").'
            )
        if abs(value.adjusted()) > _FURTHEST:
            raise ParameterError(f"{order.symbol}: {name}={value} is no number that any market has.")
        if name != "qty" and value <= 0:
            raise ParameterError(f"{order.symbol}: {name}={value} must be above zero.")
