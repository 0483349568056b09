"""Keep a paper account's money, to the last digit: every amount that leaves one place arrives in another.

Sums and products are exact (an inexact one raises); the one division, the cost of the part of a position that is
closed, is rounded to 18 decimals, and what is rounded off stays with the part that is left. So always, by currency::

    money + fees paid + value of all fills, signed - what open positions cost = money at the start
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext

from tradelab.model.orders import Side

ZERO = Decimal(0)
_ATOM = Decimal(1).scaleb(-18)
_EXACT = Context(prec=200, traps=[Inexact, InvalidOperation])
_ROUGH = Context(prec=200)


@contextmanager
def exactly() -> Iterator[None]:
    """Compute in decimals that are never rounded."""
    with localcontext(_EXACT):
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An open position: signed ``qty`` in the venue's unit, and its signed ``cost`` in money."""

    symbol: str
    qty: Decimal
    cost: Decimal
    opened_ns: int
    position_id: str | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None

    @property
    def direction(self) -> int:
        """+1 long, -1 short."""
        return 1 if self.qty > 0 else -1

    @property
    def exit_side(self) -> Side:
        """The side of the order that closes it."""
        return Side.SELL if self.qty > 0 else Side.BUY

    def average(self, contract_size: Decimal) -> Decimal:
        """Its average price, to 12 decimals."""
        with localcontext(_ROUGH):
            return round(self.cost / self.qty / contract_size, 12).normalize() + ZERO

    def reduced(self, qty: Decimal) -> tuple[Held | None, Decimal]:
        """Close ``qty`` of it; return what is left and what the closed part had cost."""
        if qty == abs(self.qty):
            return None, self.cost
        with localcontext(_ROUGH):
            cost = (self.cost * qty / abs(self.qty)).quantize(_ATOM)
        with exactly():
            return replace(self, qty=self.qty - self.direction * qty, cost=self.cost - cost), cost


class Ledger:
    """Money by currency, and positions by symbol, or by id on a hedging account."""

    def __init__(self, money: Mapping[str, Decimal]) -> None:
        self.money: dict[str, Decimal] = dict(money)
        self.positions: dict[str, Held] = {}
        self.fees: dict[str, Decimal] = {}

    def pay(self, currency: str, amount: Decimal) -> None:
        """Add to the money of one currency (below zero: take away)."""
        with exactly():
            self.money[currency] = self.money.get(currency, ZERO) + amount

    def charge(self, currency: str, fee: Decimal) -> None:
        """Book a fee."""
        self.pay(currency, -fee)
        with exactly():
            self.fees[currency] = self.fees.get(currency, ZERO) + fee

    def swap(self, base: str, quote: str, side: Side, qty: Decimal, value: Decimal) -> None:
        """Exchange money for what is bought, or back: a spot trade."""
        self.pay(base, side.sign * qty)
        self.pay(quote, -side.sign * value)

    def close(self, key: str, qty: Decimal, value: Decimal, currency: str) -> None:
        """Close part of a position for ``value``; the difference to what it cost is paid."""
        held = self.positions[key]
        left, cost = held.reduced(qty)
        with exactly():
            gain = held.direction * value - cost
        self.pay(currency, gain)
        if left is None:
            del self.positions[key]
        else:
            self.positions[key] = left

    def open(self, key: str, held: Held) -> None:
        """Open a position, or add to one; protection that comes with what is added takes the old one's place."""
        before = self.positions.get(key)
        if before is not None:
            with exactly():
                held = replace(
                    before,
                    qty=before.qty + held.qty,
                    cost=before.cost + held.cost,
                    stop_loss=held.stop_loss if held.stop_loss is not None else before.stop_loss,
                    take_profit=held.take_profit if held.take_profit is not None else before.take_profit,
                )
        self.positions[key] = held

    def of(self, symbol: str) -> dict[str, Held]:
        """The positions in one symbol, by key, oldest first."""
        return {key: held for key, held in self.positions.items() if held.symbol == symbol}

    def protect(self, key: str, stop_loss: Decimal | None, take_profit: Decimal | None) -> None:
        """Set what guards a position."""
        self.positions[key] = replace(self.positions[key], stop_loss=stop_loss, take_profit=take_profit)
