"""Keep the money of a spot account: every currency free or held for an order, and nothing from nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from tradelab.model.instrument import Instrument
from tradelab.model.orders import Side
from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.orders import SimOrder

ZERO = Decimal(0)
PENNY = Decimal("0.00000001")  # no venue keeps money finer; what it says is then exactly what it booked


def in_pennies(amount: Decimal) -> Decimal:
    """Round money to what a venue can write down, half to even."""
    return amount.quantize(PENNY)


def held_share(order: SimOrder, qty: Decimal) -> Decimal:
    """Return what of the money set aside for an order belongs to ``qty`` of it; the last part takes the rest."""
    return order.held if qty == order.leaves_qty else in_pennies(order.held * qty / order.leaves_qty)


class View(Protocol):
    """What a ledger may see of the market."""

    def instrument(self, symbol: str) -> Instrument:
        """Return a market's instrument."""
        ...

    def mark(self, symbol: str) -> Decimal:
        """Return the price at which positions are valued."""
        ...

    def best(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return best bid and ask."""
        ...


@dataclass(slots=True, kw_only=True)
class Booking:
    """What a trade did to an account."""

    fee: Decimal
    fee_currency: str
    realized_pnl: Decimal = ZERO
    position_id: str | None = None
    entry: bool = True


@dataclass(slots=True)
class SpotLedger:
    """Balances by currency; the fee is taken from what is received, as Binance and Bybit do."""

    free: dict[str, Decimal] = field(default_factory=dict)
    held: dict[str, Decimal] = field(default_factory=dict)

    @classmethod
    def opened_with(cls, balances: Mapping[str, Decimal]) -> SpotLedger:
        """Begin with money."""
        return cls(dict(balances), {})

    def refuses(self, order: SimOrder, price: Decimal, view: View) -> RefusalCode | None:
        """Say whether the account cannot pay for an order at ``price``."""
        instrument = view.instrument(order.symbol)
        currency, amount = _pays(order, instrument, order.leaves_qty, price)
        return RefusalCode.BALANCE if amount > self.free.get(currency, ZERO) + order.held else None

    def hold(self, order: SimOrder, instrument: Instrument, price: Decimal) -> None:
        """Set aside what an order may cost at ``price``; called again, the amount is set anew."""
        self.release(order, instrument)
        currency, amount = _pays(order, instrument, order.leaves_qty, price)
        self._move(currency, amount)
        order.held = amount

    def release(self, order: SimOrder, instrument: Instrument) -> None:
        """Give back what is set aside for an order."""
        currency, _ = _pays(order, instrument, ZERO, ZERO)
        self._move(currency, -order.held)
        order.held = ZERO

    def closable(self, order: SimOrder) -> Decimal | None:
        """Spot has no positions to close."""
        return None

    def book(self, order: SimOrder, instrument: Instrument, qty: Decimal, price: Decimal, fee_rate: Decimal) -> Booking:
        """Exchange one currency for another and take the fee."""
        base, quote = _base(instrument), instrument.quote
        currency, _ = _pays(order, instrument, ZERO, ZERO)
        share = held_share(order, qty)
        self._move(currency, -share)
        order.held -= share
        worth = qty * price
        if order.side is Side.BUY:
            fee, fee_currency = in_pennies(qty * fee_rate), base
            self._add(quote, -worth)
            self._add(base, qty - fee)
        else:
            fee, fee_currency = in_pennies(worth * fee_rate), quote
            self._add(base, -qty)
            self._add(quote, worth - fee)
        return Booking(fee=fee, fee_currency=fee_currency)

    def currencies(self) -> list[str]:
        """Return every currency the account has or had."""
        return sorted({*self.free, *self.held})

    def _add(self, currency: str, amount: Decimal) -> None:
        self.free[currency] = self.free.get(currency, ZERO) + amount

    def _move(self, currency: str, amount: Decimal) -> None:
        """Move from free to held, or back."""
        self._add(currency, -amount)
        self.held[currency] = self.held.get(currency, ZERO) + amount


def _base(instrument: Instrument) -> str:
    return instrument.base or instrument.symbol.partition("/")[0]


def _pays(order: SimOrder, instrument: Instrument, qty: Decimal, price: Decimal) -> tuple[str, Decimal]:
    """Return the currency an order pays in, and how much for ``qty`` at ``price``."""
    if order.side is Side.BUY:
        return instrument.quote, qty * price
    return _base(instrument), qty
