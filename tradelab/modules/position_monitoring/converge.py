"""Bring what rests at a venue to what should rest there: a pure function, asked again after everything that happens.

The rules, in the order in which they yield to nothing: what is live never closes more than has filled, an unanswered
cancel still counted as live, unless the venue binds orders to close only. The stop comes first, targets after it. A
stop moves in place where it can; else the new one comes before the old one goes, and where that could sell twice, the
old one goes first and the quote is watched meanwhile. Each fill of a target takes its quantity off the stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tradelab.model.states import Leg
from tradelab.modules.position_monitoring.known import Known
from tradelab.modules.position_monitoring.wishes import Venue, Wish, Words

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What should rest: ``held`` is what has filled and nothing has closed, the levels lie on ticks.

    ``stop`` closes ``stop_qty``; ``None`` for no stop at the venue. ``targets`` are (price, quantity). ``is_full``: the
    venue has refused one stop more, so one has to go before another comes.
    """

    held: Decimal
    stop: Decimal | None
    stop_qty: Decimal
    targets: tuple[tuple[Decimal, Decimal], ...] = ()
    is_full: bool = False


def converge(wanted: Wanted, orders: Sequence[Known], venue: Venue, words: Words) -> list[Wish]:
    """Return what has to be asked for now; nothing when all stands as it should, or an answer is waited for.

    Parameters
    ----------
    orders
        All that may still take from the position, those of others too.
    """
    plan = _Plan(wanted, orders, venue, words)
    stop = () if wanted.stop is None else ((wanted.stop, venue.whole(wanted.stop_qty)),)
    plan.meet(Leg.STOP, stop if venue.stops_rest else ())
    plan.meet(Leg.TARGET, wanted.targets if venue.targets_rest else ())
    return plan.wishes


@dataclass(slots=True)
class _Plan:
    wanted: Wanted
    orders: Sequence[Known]
    venue: Venue
    words: Words
    wishes: list[Wish] = field(default_factory=list)
    _free: Decimal = _ZERO
    _placed: int = 0

    def __post_init__(self) -> None:
        self._free = max(self.wanted.held - sum((o.at_most for o in self.orders), _ZERO), _ZERO)

    def meet(self, leg: Leg, levels: Sequence[tuple[Decimal, Decimal]]) -> None:
        """Bring one leg to its levels."""
        self._placed = 0
        mine = [o for o in self.orders if o.leg is leg and o.rests]
        levels = [(price, qty) for price, qty in levels if qty >= self.venue.least]
        prices = {price for price, _ in levels}
        spare = [o for o in mine if o.level not in prices and not o.is_leaving]
        secured = True
        for price, qty in levels:
            same = [o for o in mine if o.level == price and not o.is_leaving]
            self._bring(leg, price, qty, same, spare)
            secured = secured and sum((o.shown for o in same), _ZERO) >= qty
        # a stop at an old level goes once the new one is seen to stand; where both could sell, it goes first
        if secured or leg is not Leg.STOP or not self.venue.reduce_only:
            for order in spare:
                self._cancel(order, "it has no level any more")

    def _bring(self, leg: Leg, price: Decimal, qty: Decimal, same: list[Known], spare: list[Known]) -> None:
        there = sum((o.leaves for o in same), _ZERO)
        if there < qty:
            moved = self._move(price, qty - there, spare)
            there += moved
        if there < qty:
            self._grow(leg, price, qty, qty - there, same)
        elif there > qty:
            self._shrink(leg, price, qty, there - qty, same)

    def _move(self, price: Decimal, missing: Decimal, spare: list[Known]) -> Decimal:
        """Bring an order from another level to this one in place; return what it closes here."""
        field_ = {Leg.STOP: "stop_price", Leg.TARGET: "price"}
        for order in spare:
            changes = self.venue.changes(order)
            if not order.stands or field_[order.leg] not in changes:
                continue
            qty = self._allowed(order, missing) if "qty" in changes else order.leaves
            if qty > missing or qty < self.venue.least:
                continue
            spare.remove(order)
            self._change(order, qty, price, "its level has moved")
            return qty
        return _ZERO

    def _grow(self, leg: Leg, price: Decimal, qty: Decimal, missing: Decimal, same: list[Known]) -> None:
        if grows := [order for order in same if "qty" in self.venue.changes(order)]:
            for order in grows:
                grown = self._allowed(order, order.leaves + missing)
                if order.stands and grown > order.leaves:
                    self._change(order, grown, None, "more has filled")
                    return
            if not all(o.stands for o in grows):
                return  # once it is answered, it can be made larger
        if not self.venue.reduce_only and any(o.is_leaving for o in self.orders):
            return  # one order for all that this leaves free, not one for each
        if self.wanted.is_full and leg is Leg.STOP and same:
            if all(o.stands for o in same):
                self._cancel(min(same, key=lambda o: o.leaves), "the venue takes no more stops")
            return
        crowded = len(same) >= self.venue.most_stops
        if crowded or missing < self.venue.least:
            self._merge(leg, price, qty, same)
            return
        self._place(leg, price, missing)

    def _merge(self, leg: Leg, price: Decimal, qty: Decimal, same: list[Known]) -> None:
        """Make one order of many, or of a large one and a rest too small for an order of its own."""
        if not all(o.stands for o in same):
            return
        if self.venue.reduce_only and len(same) < 2 * self.venue.most_stops:
            self._place(leg, price, qty)
        elif len(same) >= self.venue.most_stops:
            for order in same[1:]:
                self._cancel(order, "many stops are made one")

    def _shrink(self, leg: Leg, price: Decimal, qty: Decimal, excess: Decimal, same: list[Known]) -> None:
        if not all(o.stands and (o.shown >= o.leaves or not self.venue.reduce_only) for o in same):
            return  # what replaces another is waited for, not replaced in turn
        whole = next((o for o in same if o.leaves == qty), None)
        for order in sorted((o for o in same if o is not whole), key=lambda o: o.leaves, reverse=True):
            if order.leaves <= excess and self._is_shown(same, order, qty):
                self._cancel(order, "less is held")
                excess -= order.leaves
                same.remove(order)
        if excess <= 0:
            return
        largest = max(same, key=lambda o: o.leaves)
        if "qty" in self.venue.changes(largest) and largest.leaves - excess >= self.venue.least:
            self._change(largest, largest.leaves - excess, None, "less is held")
        elif self.venue.reduce_only:
            self._place(leg, price, qty)
        else:
            self._cancel(largest, "less is held")

    def _is_shown(self, same: list[Known], without: Known, qty: Decimal) -> bool:
        """Whether the others are seen to close ``qty``; where nothing is bound to close only, that has to wait."""
        return not self.venue.reduce_only or qty <= sum((o.shown for o in same if o is not without), _ZERO)

    def _allowed(self, order: Known, leaves: Decimal) -> Decimal:
        """What an order may be grown to."""
        if self.venue.most is not None:
            leaves = min(leaves, self.venue.most)
        return leaves if self.venue.reduce_only else min(leaves, self.venue.whole(order.at_most + self._free))

    # ── what is wished for ───────────────────────────────────────────────────────────────────────────────────────

    def _place(self, leg: Leg, price: Decimal, qty: Decimal) -> None:
        if self.venue.most is not None:
            qty = min(qty, self.venue.most)
        if not self.venue.reduce_only:
            qty = min(qty, self.venue.whole(self._free))
        if qty < self.venue.least:
            return
        self.wishes.append(self.words.order(leg, qty, price, self._placed))
        self._placed += 1
        self._free -= min(qty, self._free)

    def _cancel(self, order: Known, says: str) -> None:
        if order.stands:
            self.wishes.append(self.words.cancel(order, says))

    def _change(self, order: Known, leaves: Decimal, level: Decimal | None, says: str) -> None:
        qty = None if leaves == order.leaves else order.filled + leaves
        self._free -= min(max(leaves - order.at_most, _ZERO), self._free)
        self.wishes.append(self.words.change(order, qty=qty, level=level, says=says))
