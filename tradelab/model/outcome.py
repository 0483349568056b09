"""Say how a request to a venue ended: accepted, refused with a code, or unknown; unknown is the default."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tradelab.model.orders import Order, OrderIntent
from tradelab.model.plain import Plain


class RefusalCode(enum.Enum):
    """Why an order did not come to be; each code has one remedy, and ``OTHER`` is the venue's own words."""

    # the order itself
    QTY_STEP = "qty_step"
    MIN_QTY = "min_qty"
    MAX_QTY = "max_qty"
    TICK = "tick"
    PRICE_LIMIT = "price_limit"
    MIN_NOTIONAL = "min_notional"
    MAX_NOTIONAL = "max_notional"
    WOULD_TAKE = "would_take"  # a post-only order that would not rest
    UNFILLABLE = "unfillable"  # a fill-or-kill order that could not fill whole
    STOP_WOULD_TRIGGER = "stop_would_trigger"
    PROTECTION = "protection"  # stop loss or take profit on the wrong side or too near
    REDUCE_ONLY = "reduce_only"
    BAD_REQUEST = "bad_request"
    NOT_SUPPORTED = "not_supported"  # declared missing; nothing was sent
    # what it is about
    UNKNOWN_SYMBOL = "unknown_symbol"
    MARKET_CLOSED = "market_closed"
    ORDER_NOT_FOUND = "order_not_found"
    ORDER_CLOSED = "order_closed"  # filled or cancelled already
    POSITION_NOT_FOUND = "position_not_found"
    NO_CHANGE = "no_change"
    # the account
    BALANCE = "balance"
    MARGIN = "margin"
    TOO_MANY_ORDERS = "too_many_orders"
    ACCOUNT_MODE = "account_mode"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    ACCOUNT_SUSPENDED = "account_suspended"
    # the moment: the venue says that it did not take the order, and later it may
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    OVERLOADED = "overloaded"
    MAINTENANCE = "maintenance"
    CLOCK = "clock"
    EXPIRED = "expired"  # arrived after the time the request itself allowed
    NOT_SENT = "not_sent"  # no byte left this machine
    STALE_INPUT = "stale_input"  # what it was decided on was too old to act on
    OTHER = "other"

    @property
    def may_pass_later(self) -> bool:
        """Whether the same order, sent later, may be accepted: it was certainly not taken, and the moment was wrong."""
        return self in _MOMENTARY


_MOMENTARY = frozenset(
    {
        RefusalCode.RATE_LIMITED,
        RefusalCode.BANNED,
        RefusalCode.OVERLOADED,
        RefusalCode.MAINTENANCE,
        RefusalCode.CLOCK,
        RefusalCode.EXPIRED,
        RefusalCode.NOT_SENT,
        RefusalCode.MARKET_CLOSED,
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class Accepted(Plain):
    """The venue has it; ``order`` is the venue's answer, ``None`` when it only acknowledged."""

    client_order_id: str | None
    venue_order_id: str
    order: Order | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Refused(Plain):
    """The venue, or we, said no, and nothing trades; ``says`` are the words it came with, without secrets."""

    code: RefusalCode
    says: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Unknown(Plain):
    """Nobody knows: ask the venue by the client id before anything else is sent."""

    says: str


Outcome = Accepted | Refused | Unknown


def already_there(intent: OrderIntent, there: Order) -> Accepted | Refused:
    """Answer an order whose client id the venue has already: with the one that is there, unless that is another wish.

    Symbol and side are held against it. What may differ of one and the same order is not: price and quantity may have
    been changed in place, a stop that has triggered is told as what it became.
    """
    if (there.symbol, there.side) == (intent.symbol, intent.side):
        return Accepted(intent.client_order_id, there.venue_order_id, there)
    says = f"{intent.client_order_id!r} is the name of another order already, a {there.side.value} of {there.symbol}"
    return Refused(RefusalCode.BAD_REQUEST, f"{says}; nothing was sent")
