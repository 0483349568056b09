"""Say of each order that takes from a position what the venue may still do with it: never less than it may."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from decimal import Decimal

from tradelab.model.messages import OrderIntended, OrderWanted
from tradelab.model.orders import Order, OrderRef, OrderType
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_S
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState

_ZERO = Decimal(0)
_OLD_NS = 120 * NS_PER_S  # no request lives so long, and the executor has compared the order with the venue since


class Answer(enum.Enum):
    """What the venue has said to a request."""

    NONE = "none"
    TAKEN = "taken"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Request:
    """A cancel or a change that was meant, and what was said to it; ``None`` values stay as they are.

    ``was_qty`` and ``was_level`` are what an earlier change has asked for and the venue has taken, and no report has
    shown yet; ``most`` is the largest quantity that may stand until one does.
    """

    at_ns: int
    cancels: bool
    answer: Answer = Answer.NONE
    qty: Decimal | None = None
    level: Decimal | None = None
    was_qty: Decimal | None = None
    was_level: Decimal | None = None
    most: Decimal | None = None

    def after(self, before: Request | None) -> Request:
        """This request, on top of one that no report has settled."""
        if before is None:
            return self
        qty, level = before.stands_as()
        most = max(filter(None, (before.qty, before.was_qty, before.most)), default=None)
        return replace(self, was_qty=qty, was_level=level, most=most)

    def stands_as(self) -> tuple[Decimal | None, Decimal | None]:
        """Quantity and level that the venue has agreed to and not shown yet; ``None``: those of its last report."""
        if self.answer is not Answer.TAKEN or self.cancels:
            return self.was_qty, self.was_level
        qty = self.was_qty if self.qty is None else self.qty
        return qty, self.was_level if self.level is None else self.level

    def is_out(self, now_ns: int, retry_ns: int) -> bool:
        """Whether it waits for an answer, or was refused a moment ago."""
        return self.answer is not Answer.TAKEN and now_ns - self.at_ns < retry_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An order that takes from a position.

    Parameters
    ----------
    level
        Its limit or trigger; ``None`` of a market order.
    qty, filled
        The whole order, as it was asked for last, and what of it is booked.
    leaves
        What it is to close still.
    at_most
        What it may close still, whatever became of requests that nobody has answered.
    stands
        The venue has it, and no request about it is out: something can be done with it.
    shown
        What of it the venue's own word has shown open; zero where it has shown nothing yet.
    is_leaving
        A cancel of it is out.
    is_fixed
        The venue has refused to change it, for a reason that stays.
    """

    ref: OrderRef
    leg: Leg
    level: Decimal | None
    qty: Decimal
    filled: Decimal
    leaves: Decimal
    at_most: Decimal
    stands: bool
    shown: Decimal
    is_leaving: bool
    is_fixed: bool = False

    @property
    def rests(self) -> bool:
        """Whether it waits for a price."""
        return self.level is not None


def level_of(order: OrderIntended | OrderWanted) -> Decimal | None:
    """The price that an order waits for; ``None``: for none."""
    intent = order.intent
    if intent.type is OrderType.MARKET:
        return None
    return intent.stop_price if intent.type.needs_stop_price else intent.price


def reported(request: Request, order: Order, age_ns: int, retry_ns: int) -> Request | None:
    """Return what is left of a request once the venue has told what the order is; ``None``: it is settled.

    A report may have been on its way before the request was, so one that shows something else settles nothing until
    the request is old.
    """
    if not order.status.is_open:
        return None
    level = order.stop_price if order.stop_price is not None else order.price
    is_old, is_shown = age_ns >= retry_ns, request.qty in (None, order.qty) and request.level in (None, level)
    if request.cancels or request.answer is Answer.REFUSED:
        is_settled = is_old and request.answer is Answer.REFUSED
    elif request.answer is Answer.TAKEN:
        is_settled = is_old or is_shown
    else:  # what it asks for may be what was before an earlier request that no report has shown
        is_settled = is_shown and (is_old or request.most is None)
    if is_settled:
        return None
    if request.was_qty in (None, order.qty) and request.was_level in (None, level):
        return replace(request, was_qty=None, was_level=None)
    return request


def known(
    order: OrderState, request: Request | None, now_ns: int, retry_ns: int, *, is_fixed: bool = False
) -> Known | None:
    """Return what is known of an order; ``None`` where it can close nothing any more.

    A refused or absent order that may be sent again counts as one that is on its way, and of a closed one what the
    venue has filled and nobody has booked yet: who forgets these sells twice.
    """
    if request is not None and now_ns - request.at_ns >= _OLD_NS:
        request = None
    taken, at_most = order.filled_qty, _at_most(order, request, now_ns)
    if at_most <= 0:
        return None
    told = order.told if order.told is not None and order.told.status.is_open else None
    qty = order.intended.intent.qty if order.told is None else order.told.qty
    level = level_of(order.intended)
    if told is not None and level is not None:
        level = (told.stop_price if order.intended.intent.type.needs_stop_price else told.price) or level
    is_out = request is not None and request.is_out(now_ns, retry_ns)
    if request is not None:
        qty, level = _as_asked(request, is_out, qty, level)
    is_open = order.phase is Phase.OPEN
    is_leaving = request is not None and request.cancels and request.answer is not Answer.REFUSED
    is_leaving = is_leaving and request is not None and (is_out or request.answer is Answer.TAKEN)
    return Known(
        ref=order.ref,
        leg=order.intended.leg,
        level=level,
        qty=qty,
        filled=taken,
        leaves=max(qty - taken, _ZERO) if order.phase.may_trade else at_most,
        at_most=max(at_most, qty - taken) if order.phase.may_trade else at_most,
        stands=is_open and not is_out and not is_leaving,
        shown=_ZERO if told is None or not is_open else max(min(told.qty, qty) - taken, _ZERO),
        is_leaving=is_leaving,
        is_fixed=is_fixed,
    )


def _as_asked(
    request: Request, is_out: bool, qty: Decimal, level: Decimal | None
) -> tuple[Decimal, Decimal | None]:  # fmt: skip
    """What an order is to become, or has become and was not shown as."""
    agreed_qty, agreed_level = request.stands_as()
    if is_out and not request.cancels and request.answer is Answer.NONE:
        agreed_qty = request.qty if request.qty is not None else agreed_qty
        agreed_level = request.level if request.level is not None else agreed_level
    return agreed_qty if agreed_qty is not None else qty, agreed_level if agreed_level is not None else level


def _at_most(order: OrderState, request: Request | None, now_ns: int) -> Decimal:
    if order.phase.may_trade:
        if request is None:
            return order.leaves_qty
        largest = max(filter(None, (request.qty, request.was_qty, request.most)), default=_ZERO)
        return max(order.leaves_qty, largest - order.filled_qty)
    if order.phase is Phase.CLOSED and order.told is not None:
        return max(order.told.filled_qty - order.filled_qty, _ZERO)
    comes_back = order.phase is Phase.ABSENT or (
        order.phase is Phase.REFUSED and order.refused is not None and order.refused.may_pass_later
    )
    return order.intended.intent.qty if comes_back and now_ns < order.intended.fresh_until_ns else _ZERO


def wished(order: OrderWanted) -> Known:
    """Return an order that was wished for a moment ago, and that nobody has taken up yet."""
    intent = order.intent
    ref = OrderRef(symbol=intent.symbol, client_order_id=intent.client_order_id)
    return Known(
        ref=ref, leg=order.leg, level=level_of(order), qty=intent.qty, filled=_ZERO, leaves=intent.qty,
        at_most=intent.qty, stands=False, shown=_ZERO, is_leaving=False,
    )  # fmt: skip
