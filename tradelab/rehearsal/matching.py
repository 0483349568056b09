"""Match orders: what takes walks a book around the last price, what rests waits for the tape, best price first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.instrument import Instrument
from tradelab.model.orders import Side
from tradelab.rehearsal.orders import SimOrder


@dataclass(slots=True)
class Book:
    """A book around the last price of one market.

    Level ``k`` stands ``k`` ticks behind the best price and holds ``level_qty``. The tape trades through it, so it is
    whole again after every print; between prints what was taken from a level stays taken.
    """

    instrument: Instrument
    spread_ticks: int
    level_qty: Decimal
    levels: int
    last: Decimal
    taken_ask: dict[int, Decimal]
    taken_bid: dict[int, Decimal]

    @classmethod
    def around(cls, instrument: Instrument, last: Decimal, spread_ticks: int, level_qty: Decimal, levels: int) -> Book:
        """Make a whole book."""
        return cls(instrument, spread_ticks, level_qty, levels, last, {}, {})

    @property
    def bid(self) -> Decimal:
        """Best bid: half the spread below the last price, on the tick."""
        return self.last - self.instrument.tick_size * (self.spread_ticks // 2)

    @property
    def ask(self) -> Decimal:
        """Best ask."""
        return self.bid + self.instrument.tick_size * self.spread_ticks

    def refill(self, last: Decimal) -> None:
        """Stand around another price, whole."""
        self.last = last
        self.taken_ask.clear()
        self.taken_bid.clear()

    def side(self, taker: Side) -> Iterator[tuple[int, Decimal, Decimal]]:
        """Yield level, price and quantity of what a taker would meet, best first."""
        taken = self.taken_ask if taker is Side.BUY else self.taken_bid
        best, step = (self.ask, 1) if taker is Side.BUY else (self.bid, -1)
        for level in range(self.levels):
            price = best + step * level * self.instrument.tick_size
            if price <= 0:
                return
            there = self.level_qty - taken.get(level, Decimal(0))
            if there > 0:
                yield level, price, there

    def take(self, taker: Side, level: int, qty: Decimal) -> None:
        """Remember what was taken from a level."""
        taken = self.taken_ask if taker is Side.BUY else self.taken_bid
        taken[level] = taken.get(level, Decimal(0)) + qty

    def available(self, taker: Side, limit: Decimal | None) -> Decimal:
        """Return how much a taker could have at ``limit`` or better; ``None`` is no limit."""
        return sum((qty for _, price, qty in self.side(taker) if _reaches(taker, price, limit)), Decimal(0))

    def walk(self, taker: Side, qty: Decimal, limit: Decimal | None) -> list[tuple[int, Decimal, Decimal]]:
        """Return the levels, prices and quantities that a taker of ``qty`` would trade."""
        met = []
        for level, price, there in self.side(taker):
            if qty <= 0 or not _reaches(taker, price, limit):
                break
            part = min(qty, there)
            met.append((level, price, part))
            qty -= part
        return met


def meets(order: SimOrder, bid: Decimal, ask: Decimal) -> bool:
    """Whether a limit order would take now."""
    if order.price is None:
        return True
    return order.price >= ask if order.side is Side.BUY else order.price <= bid


def in_priority(orders: list[SimOrder]) -> list[SimOrder]:
    """Return resting orders by price, then by time: highest buys and lowest sells first."""
    return sorted(orders, key=lambda o: (-(o.price or 0) * o.side.sign, o.extra.get("queued", o.number)))


def _reaches(taker: Side, price: Decimal, limit: Decimal | None) -> bool:
    if limit is None:
        return True
    return price <= limit if taker is Side.BUY else price >= limit
