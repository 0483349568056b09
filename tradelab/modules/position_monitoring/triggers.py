"""Watch what no venue holds: on the right side of the quote, a long leaves by the bid and a short by the ask."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from tradelab.model.market import Quote
from tradelab.model.states import Leg
from tradelab.modules.position_monitoring.known import Known
from tradelab.modules.position_monitoring.levels import Levels
from tradelab.modules.position_monitoring.wishes import Venue, Wish, Words

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Exit:
    """So much is to be closed now, for a reason the engine has a word for."""

    leg: Leg
    qty: Decimal
    reason: str


class Target(NamedTuple):
    """So much leaves at a price, for ``target`` or for ``roi``."""

    price: Decimal
    qty: Decimal
    reason: str = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """What of a position's exits the venue holds, as its own list shows it."""

    stop_qty: Decimal = _ZERO
    targets: frozenset[Decimal] = frozenset()
    was_passed: bool = False  # the market has been beyond the stop for so long that the venue must have missed it
    target_refused: bool = False


def price_that_leaves(quote: Quote, direction: int) -> Decimal:
    """The price at which a position would be left now."""
    return quote.bid if direction > 0 else quote.ask


def is_beyond(level: float, price: Decimal, direction: int, *, profit: bool) -> bool:
    """Whether a price has reached a level, towards profit or towards loss; NaN levels are never reached.

    >>> is_beyond(99.0, Decimal("98.9"), +1, profit=False), is_beyond(99.0, Decimal("98.9"), -1, profit=False)
    (True, False)
    """
    towards = direction if profit else -direction
    return not math.isnan(level) and towards * (float(price) - level) >= 0.0


def due_exit(
    levels: Levels, direction: int, held: Decimal, price: Decimal | None, resting: Resting, venue: Venue,
    targets: Sequence[Target],
) -> Exit | None:  # fmt: skip
    """Return what is to be closed now by an order at the market, if anything is.

    What the clock or a close asks for comes first, then the stop, then targets; a stop before a target is the worst
    case, as in a backtest.

    Parameters
    ----------
    price
        That leaves the position now; ``None``: nobody knows, and nothing is decided by it.
    resting
        What the venue looks after by itself.
    targets
        What is left of the ladder, and the target that falls with time, on ticks and steps. The latter comes down on
        the market, and waits there as any other: it is left to the venue unless the venue has refused it.
    """
    if levels.due is not None:
        return Exit(Leg.STOP if levels.due == "stop" else Leg.EXIT, held, levels.due)
    if price is None:
        return None
    if not levels.at_close_only and is_beyond(levels.stop, price, direction, profit=False):
        uncovered = held if resting.was_passed else held - min(resting.stop_qty, held)
        if uncovered > 0:
            return Exit(Leg.STOP, uncovered, levels.stop_reason)
    for it in targets:
        rests = venue.targets_rest and it.qty >= venue.least and it.price > 0
        seen_to = rests and (it.price in resting.targets or (it.reason == "roi" and not resting.target_refused))
        if not seen_to and is_beyond(float(it.price), price, direction, profit=True):
            return Exit(Leg.TARGET if it.reason == "target" else Leg.EXIT, min(it.qty, held), it.reason)
    return None


def exit_wishes(
    exit_: Exit, held: Decimal, orders: Sequence[Known], venue: Venue, words: Words, tickets: Mapping[str, Decimal]
) -> list[Wish]:
    """Return the orders that close it now, or what of others has to be cancelled before they can be sent.

    What is on its way to the market already counts, also where only a part is to leave. Where orders cannot be bound
    to close only, only what is certainly free is sold; stop and targets make room as they converge to what is left.
    """
    on_its_way = sum((o.at_most for o in orders if not o.rests), _ZERO)
    needed = min(exit_.qty, held) - on_its_way
    if needed <= 0:
        return []
    if venue.by_ticket:
        return _by_ticket(exit_, needed, on_its_way, venue, words, tickets)
    free = needed if venue.reduce_only else min(needed, held - sum((o.at_most for o in orders), _ZERO))
    qty = _sendable(free, held, venue)
    if qty > 0:
        return [words.order(exit_.leg, qty, None, says=exit_.reason)]
    if venue.reduce_only:
        return []
    others = [o for o in orders if o.rests and o.stands and o.leg not in (Leg.STOP, Leg.TARGET)]
    return [words.cancel(o, f"{exit_.reason}: it stands in the way") for o in others]


def _sendable(qty: Decimal, held: Decimal, venue: Venue) -> Decimal:
    """What one order can close of it; a rest that would be too small for an order of its own goes with it."""
    qty = venue.whole(qty)
    if venue.reduce_only and 0 < held - qty < venue.least:
        qty = venue.whole(held)
    if venue.most is not None:
        qty = min(qty, venue.most)
    return qty if qty >= venue.least else _ZERO


def _by_ticket(
    exit_: Exit, needed: Decimal, on_its_way: Decimal, venue: Venue, words: Words, tickets: Mapping[str, Decimal]
) -> list[Wish]:
    """Close ticket by ticket, the oldest first; nothing while some of it is on its way, for nobody knows of which."""
    if on_its_way > 0:
        return []
    wishes: list[Wish] = []
    for ticket, held in tickets.items():
        qty = _sendable(min(needed, held), held, venue)
        if qty > 0:
            wishes.append(words.order(exit_.leg, qty, None, len(wishes), ticket=ticket, says=exit_.reason))
            needed -= qty
    return wishes
