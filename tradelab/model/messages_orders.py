"""Say what is wanted of an order, meant with it, answered to it and booked on it; a part of ``messages``."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.orders import Fill, Order, OrderIntent, OrderRef
from tradelab.model.outcome import RefusalCode
from tradelab.model.recorded import Message
from tradelab.model.states import Leg


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderWanted(Message):
    """An order that only protects, reduces or was asked for by a person, past the gates that guard what takes on risk.

    ``signal_id`` and ``leg`` name what it is for; a second one of the same name is the same order. ``says`` is why, in
    the engine's word where it has one.
    """

    account: str
    bot: str | None
    signal_id: str
    leg: Leg
    intent: OrderIntent
    by: str
    reference_price: Decimal
    fresh_until_ns: int
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CancelWanted(Message):
    """An open order is to be cancelled."""

    account: str
    ref: OrderRef
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ChangeWanted(Message):
    """An open order is to be changed in place; a field that is ``None`` stays, ``qty`` is the whole order's."""

    account: str
    ref: OrderRef
    qty: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderIntended(Message):
    """An order is about to be sent: from here on the venue may have it, whatever becomes of us.

    ``fresh_until_ns`` is the last moment at which it may be sent, or sent again; ``fence`` is the number of the
    account's lease under which it was written; ``says`` is why it is sent, where a signal does not say it.
    """

    account: str
    bot: str | None
    signal_id: str
    leg: Leg
    intent: OrderIntent
    approved_by: tuple[str, ...]
    reference_price: Decimal
    fresh_until_ns: int
    fence: int
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderAccepted(Message):
    """The venue has taken it."""

    account: str
    client_order_id: str
    venue_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderRefused(Message):
    """The venue, or our side of the wire, has refused it, and nothing trades."""

    account: str
    client_order_id: str
    code: RefusalCode
    says: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderUnknown(Message):
    """Nobody knows whether the venue has it: it is asked before anything else is done with it.

    ``request_ends_ns`` is the venue's time from which on the request cannot arrive any more.
    """

    account: str
    client_order_id: str
    says: str
    request_ends_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderAbsent(Message):
    """The venue certainly has no such order.

    It was asked twice, the second time when the request could no longer arrive; or nothing has been sent of it yet,
    for an exit waits until what rests and holds its units is gone.
    """

    account: str
    client_order_id: str
    venue_time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderVanished(Message):
    """An order that the venue had is known to it no more, and nobody can say how it ended: what it filled is booked."""

    account: str
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderAbandoned(Message):
    """An order that the venue certainly does not have will not be sent again."""

    account: str
    client_order_id: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderSentAgain(Message):
    """An order that the venue certainly does not have is about to be sent once more, under the same name."""

    account: str
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OrderReported(Message):
    """The venue has told what an order is now."""

    account: str
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CancelIntended(Message):
    """A cancel is about to be sent."""

    account: str
    ref: OrderRef
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ChangeIntended(Message):
    """A change of an open order is about to be sent; a field that is ``None`` stays."""

    account: str
    ref: OrderRef
    qty: Decimal | None
    price: Decimal | None
    stop_price: Decimal | None
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RequestAnswered(Message):
    """How a cancel or a change ended: ``code`` is ``None`` where it was accepted or nobody knows (``known``)."""

    account: str
    ref: OrderRef
    known: bool
    code: RefusalCode | None
    says: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TradeExecuted(Message):
    """A fill is booked, for good; ``bot`` is ``None`` for one that nobody of ours asked for."""

    account: str
    bot: str | None
    signal_id: str | None
    leg: Leg | None
    fill: Fill
