"""Describe what is traded, to the last decimal: steps, limits, contract size, currency, calendar."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from tradelab.model.errors import ParameterError


class Calendar(enum.Enum):
    """When a market is open, as far as counting bars in a year needs to know."""

    ALWAYS = "24/7"  # crypto: every day of the week
    WEEKDAYS = "24/5"  # FX: around the clock, Monday to Friday
    SESSIONS = "sessions"  # exchanges: some hours of about 252 days


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One tradable thing; every step and limit is an exact ``Decimal``.

    Parameters
    ----------
    symbol, venue
        The venue's own spelling, and the venue (a ccxt id, a MIC, or ``"sample"``).
    quote
        Currency in which the price is said.
    tick_size, qty_step
        Smallest change of price and of quantity.
    min_qty, max_qty, min_notional
        Limits of one order; ``None`` where the venue sets none.
    contract_size
        Units of the underlying in one unit of quantity (100 000 for an FX lot, 1 for spot).
    """

    symbol: str
    venue: str
    quote: str
    tick_size: Decimal
    qty_step: Decimal
    contract_size: Decimal = Decimal(1)
    min_qty: Decimal | None = None
    max_qty: Decimal | None = None
    min_notional: Decimal | None = None
    calendar: Calendar = Calendar.ALWAYS

    def __post_init__(self) -> None:
        for name in ("tick_size", "qty_step", "contract_size"):
            value = getattr(self, name)
            if not isinstance(value, Decimal) or not value.is_finite() or value <= 0:
                raise ParameterError(
                    f"{self.symbol}: {name}={value!r} must be a Decimal above zero.",
                    fix=f'Write it as text: {name}=Decimal("0.01").',
                )

    def floor_qty(self, qty: Decimal) -> Decimal:
        """Round a quantity down to its step: never more than was asked for.

        >>> eurusd = Instrument(symbol="EURUSD", venue="sample", quote="USD",
        ...                     tick_size=Decimal("0.00001"), qty_step=Decimal("0.01"))
        >>> eurusd.floor_qty(Decimal("0.0199"))
        Decimal('0.01')
        """
        return (qty / self.qty_step).to_integral_value(ROUND_FLOOR) * self.qty_step

    def floor_price(self, price: Decimal) -> Decimal:
        """Round a price down to its tick."""
        return (price / self.tick_size).to_integral_value(ROUND_FLOOR) * self.tick_size

    def ceil_price(self, price: Decimal) -> Decimal:
        """Round a price up to its tick."""
        return (price / self.tick_size).to_integral_value(ROUND_CEILING) * self.tick_size
