"""Tell from fills what is held and what it came to: exact, and the same in whatever order the fills became known.

Money is counted as cash: what was received less what was paid. A position that is flat again has earned its cash less
its fees, to the last digit; one that is open is worth its cash and what it would fetch now. No average is needed for
that, and none is used: averages are for people to look at.

Funding, swaps and dividends are not in it: no message tells of them yet, so what a perpetual earned is before funding.
The account's equity, which the venue tells, has them, and the guards look at that. Inverse contracts, whose worth is
not quantity times price, are none of ours: no adapter lists them.
"""

from __future__ import annotations

import bisect
import decimal
from dataclasses import dataclass, replace
from decimal import Decimal

from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.orders import Fill, Side
from tradelab.model.plain import Plain

EXACT = decimal.Context(prec=120, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow])
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Round(Plain):
    """A position from flat to flat, or as far as it has come.

    ``qty`` is held now, signed; ``cash`` what its trades brought, below zero while a long is open; ``fees`` are in the
    quote currency, those taken in another in ``other_fees``. ``entered`` and ``entry_value`` are all that opened it,
    ``left`` and ``exit_value`` all that closed. ``dust`` is what a fee in the base currency left over, too little to be
    sold: no position, counted as worth nothing, and taken in by the round that comes next.
    """

    qty: Decimal = _ZERO
    dust: Decimal = _ZERO
    cash: Decimal = _ZERO
    fees: Decimal = _ZERO
    other_fees: tuple[tuple[str, Decimal], ...] = ()
    unknown_fees: int = 0  # fills whose fee the venue has not said
    entered: Decimal = _ZERO
    entry_value: Decimal = _ZERO
    left: Decimal = _ZERO
    exit_value: Decimal = _ZERO
    contract_size: Decimal = Decimal(1)
    opened_ns: int | None = None
    updated_ns: int | None = None
    adjusted: bool = False  # something of it was taken over from the venue, and no fill tells what it cost

    @property
    def is_flat(self) -> bool:
        """Whether nothing is held."""
        return self.qty == 0

    @property
    def entry_price(self) -> Decimal | None:
        """Average of what opened it; ``None`` where no fill did."""
        return self.entry_value / (self.entered * self.contract_size) if self.entered else None

    @property
    def exit_price(self) -> Decimal | None:
        """Average of what closed it."""
        return self.exit_value / (self.left * self.contract_size) if self.left else None

    def pnl(self, price: Decimal | None = None) -> Decimal | None:
        """What it has earned after fees, if what is held were sold at ``price``; ``None`` where that cannot be told.

        It cannot where something is held and there is no price, and where it was adjusted. Fees in other currencies
        and those that the venue has not said (``other_fees``, ``unknown_fees``) are not in it.
        """
        if self.adjusted or (self.qty and price is None):
            return None
        held = _ZERO if price is None else EXACT.multiply(EXACT.multiply(self.qty, price), self.contract_size)
        return EXACT.subtract(EXACT.add(self.cash, held), self.fees)


@dataclass(frozen=True, slots=True)
class Booked:
    """A fill as it is booked, or an adjustment, which has no fee and may have no price."""

    ts_ns: int
    key: str
    qty: Decimal  # signed
    price: Decimal | None
    fee: Decimal | None = None
    fee_currency: str | None = None
    is_fill: bool = True

    @property
    def order(self) -> tuple[int, int, str]:
        """Where it belongs among others: by time, then as venues number their trades."""
        return self.ts_ns, len(self.key), self.key

    @classmethod
    def of(cls, fill: Fill) -> Booked:
        """Return a fill as it is booked."""
        qty = fill.qty if fill.side is Side.BUY else fill.qty.copy_negate()
        return cls(fill.ts_ns, fill.trade_id, qty, fill.price, fill.fee, fill.fee_currency)


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a round ended: ``place`` is how many were booked by then, ``rounds`` how many were over."""

    place: int
    rounds: int
    now: Round


class Book:
    """All that was ever booked on one position, in its order, and what it comes to.

    Parameters
    ----------
    instrument
        Gives contract size, currencies and step. A fee taken in the base currency of a spot market shrinks what is
        held, and what is left below one step of quantity is dust, not a position.

    Examples
    --------
    >>> btc = Instrument(symbol="BTC/USDT", venue="x", base="BTC", quote="USDT",
    ...                  tick_size=Decimal("0.01"), qty_step=Decimal("0.001"))
    >>> book = Book(btc)
    >>> _ = book.add(Booked(2, "2", Decimal("-1"), Decimal("110"), Decimal("0.1"), "USDT"))
    >>> _ = book.add(Booked(1, "1", Decimal("1"), Decimal("100"), Decimal("0.1"), "USDT"))
    >>> book.closed[0].pnl(), book.now.is_flat
    (Decimal('9.8'), True)
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.ends = 0  # counts every change of the rounds that are over
        self.now = Round()
        self._all: list[Booked] = []
        self._closed: list[Round] = []
        self._marks = [_Mark(0, 0, Round())]  # where rounds ended: nothing before need be looked at again

    def __len__(self) -> int:
        return len(self._all)

    @property
    def closed(self) -> tuple[Round, ...]:
        """Every round that is over, oldest first."""
        return tuple(self._closed)

    def recent(self, count: int) -> tuple[Round, ...]:
        """Return the newest ``count`` rounds that are over, oldest first."""
        return tuple(self._closed[-count:])

    def add(self, one: Booked) -> tuple[Round, ...]:
        """Book one in its place, and return the rounds that are over now and were not before."""
        place = bisect.bisect_right(self._all, one.order, key=lambda each: each.order)
        self._all.insert(place, one)
        if place == len(self._all) - 1:
            return self._fold(place)
        while self._marks[-1].place > place:
            self._marks.pop()
        mark = self._marks[-1]
        before = self._closed[mark.rounds :]
        del self._closed[mark.rounds :]
        self.now = mark.now
        self.ends += bool(before)
        return tuple(each for each in self._fold(mark.place) if each not in before)

    def _fold(self, place: int) -> tuple[Round, ...]:
        """Take in all that is booked from ``place`` on, and return the rounds that ended."""
        first = len(self._closed)
        for at in range(place, len(self._all)):
            ended, self.now = self._after(self.now, self._all[at])
            if ended is not None:
                self._closed.append(ended)
                self.ends += 1
                self._marks.append(_Mark(at + 1, len(self._closed), self.now))
        return tuple(self._closed[first:])

    def _after(self, held: Round, one: Booked) -> tuple[Round | None, Round]:
        """What a round becomes by one more: the one that it ends, if it does, and the one that is under way."""
        size = one.qty.copy_abs()
        closing = min(held.qty.copy_abs(), size) if held.qty and held.qty.is_signed() != one.qty.is_signed() else _ZERO
        opening = EXACT.subtract(size, closing)
        ended: Round | None = None
        if closing:
            held = self._charged(self._moved(held, closing.copy_sign(one.qty), one, opens=False), one)
            if opening or held.qty.copy_abs() < self.instrument.qty_step:
                ended, held = replace(held, qty=_ZERO, dust=held.qty), Round(dust=held.qty)
        if opening:
            held = self._moved(held, opening.copy_sign(one.qty), one, opens=True)
            if not closing:  # the fee of what turns a position round belongs to what it closes
                held = self._charged(held, one)
            if not held.qty and ended is None:  # it sold the dust
                ended, held = held, Round()
        return ended, held

    def _moved(self, held: Round, qty: Decimal, one: Booked, *, opens: bool) -> Round:
        value = _ZERO if one.price is None else self._value(qty.copy_abs(), one.price)
        held = replace(
            held,
            qty=EXACT.add(EXACT.add(held.qty, held.dust), qty),
            dust=_ZERO,
            cash=EXACT.subtract(held.cash, value.copy_sign(qty) if value else value),
            updated_ns=one.ts_ns,
            adjusted=held.adjusted or not one.is_fill,
            contract_size=self.instrument.contract_size,
        )
        if not opens:
            return replace(
                held, left=EXACT.add(held.left, qty.copy_abs()), exit_value=EXACT.add(held.exit_value, value)
            )
        return replace(
            held,
            entered=EXACT.add(held.entered, qty.copy_abs()),
            entry_value=EXACT.add(held.entry_value, value),
            opened_ns=one.ts_ns if held.opened_ns is None else held.opened_ns,
        )

    def _charged(self, held: Round, one: Booked) -> Round:
        if not one.is_fill:
            return held
        if one.fee is None:
            return replace(held, unknown_fees=held.unknown_fees + 1)
        if one.fee_currency in (None, self.instrument.quote):
            return replace(held, fees=EXACT.add(held.fees, one.fee))
        if one.fee_currency == self.instrument.base and self.instrument.kind is InstrumentKind.SPOT and one.qty > 0:
            return replace(held, qty=EXACT.subtract(held.qty, one.fee))
        others = dict(held.other_fees)
        currency = one.fee_currency or ""
        others[currency] = EXACT.add(others.get(currency, _ZERO), one.fee)
        return replace(held, other_fees=tuple(sorted(others.items())))

    def _value(self, qty: Decimal, price: Decimal) -> Decimal:
        return EXACT.multiply(EXACT.multiply(qty, price), self.instrument.contract_size)
