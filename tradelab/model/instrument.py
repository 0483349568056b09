"""Describe what is traded, to the last decimal: steps, limits, contract size, currencies, calendar."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext

from tradelab.model.errors import ParameterError
from tradelab.model.plain import Plain


class Calendar(enum.Enum):
    """When a market is open, as far as counting bars in a year needs to know."""

    ALWAYS = "24/7"  # crypto: every day of the week
    WEEKDAYS = "24/5"  # FX: around the clock, Monday to Friday
    SESSIONS = "sessions"  # exchanges: some hours of about 252 days


class InstrumentKind(enum.Enum):
    """What sort of thing is traded, as far as orders and accounts need to know."""

    SPOT = "spot"
    PERPETUAL = "perpetual"  # a swap without an end: funding, margin, a settlement currency
    FX = "fx"
    CFD = "cfd"
    STOCK = "stock"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Instrument(Plain):
    """One tradable thing; every step and limit is an exact ``Decimal``, ``None`` where the venue sets none.

    Parameters
    ----------
    symbol, venue
        The venue's own spelling, and the venue (a ccxt id, a MIC, or ``"sample"``).
    quote
        Currency in which the price is said.
    tick_size, qty_step
        Smallest change of price and of quantity.
    contract_size
        Units of the underlying in one unit of quantity (100 000 for an FX lot, 1 for spot).
    min_qty, max_qty, min_notional, max_notional
        Limits of one order, the notional in ``quote``.
    calendar, session
        When the market is open, coarsely, and the name of its exact calendar: a MIC such as ``"XNYS"``, or ``"fx"``.
        :func:`tradelab.catalog.sessions.names` lists them.
    base, settle
        Currency (or asset) that is bought, and the one in which profit and loss are paid.
    kind
        Spot, perpetual, fx, cfd, stock or other.
    min_price, max_price
        Limits of a price, whatever the market's.
    min_market_qty, max_market_qty, market_qty_step
        Limits and step of one market order, where they differ from those of a limit order.
    price_band_up, price_band_down
        Multipliers of the venue's reference price between which a limit price must lie: 1.2 and 0.8, say.
    max_orders, max_trigger_orders
        How many orders, and how many waiting for a trigger, may be open in this instrument at once.
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
    session: str | None = None
    base: str | None = None
    settle: str | None = None
    kind: InstrumentKind = InstrumentKind.OTHER
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_market_qty: Decimal | None = None
    max_market_qty: Decimal | None = None
    market_qty_step: Decimal | None = None
    max_notional: Decimal | None = None
    price_band_up: Decimal | None = None
    price_band_down: Decimal | None = None
    max_orders: int | None = None
    max_trigger_orders: int | None = None

    def __post_init__(self) -> None:
        for name in ("tick_size", "qty_step", "contract_size"):
            self._require_above_zero(name)
        for name in ("market_qty_step", "price_band_up", "price_band_down"):
            if getattr(self, name) is not None:
                self._require_above_zero(name)
        for name in _LIMITS:
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Decimal) and value.is_finite() and value >= 0):
                raise ParameterError(
                    f"{self.symbol}: {name}={value!r} must be a Decimal of zero or more, or None for no limit.",
                    fix=f'Write it as text: {name}=Decimal("0.01").',
                )
        for name in ("max_orders", "max_trigger_orders"):
            count = getattr(self, name)
            if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 0):
                raise ParameterError(
                    f"{self.symbol}: {name}={count!r} must be a whole number of zero or more, or None for no limit."
                )

    def _require_above_zero(self, name: str) -> None:
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
        return on_step(qty, self.qty_step, ROUND_FLOOR)

    def floor_price(self, price: Decimal) -> Decimal:
        """Round a price down to its tick."""
        return on_step(price, self.tick_size, ROUND_FLOOR)

    def ceil_price(self, price: Decimal) -> Decimal:
        """Round a price up to its tick."""
        return on_step(price, self.tick_size, ROUND_CEILING)


def on_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    """Return the multiple of ``step`` next to a value, to the side that ``rounding`` says.

    The quotient is taken to more digits than any number has that was worked out: in Python's usual 28 it would itself
    be rounded, and up.

    >>> on_step(Decimal("0.99999999999999999999999999999999"), Decimal(1), ROUND_FLOOR)
    Decimal('0')
    """
    with localcontext(_WIDE):
        return (value / step).to_integral_value(rounding) * step


_WIDE = Context(prec=400)


_LIMITS = (
    "min_qty", "max_qty", "min_notional", "max_notional", "min_price", "max_price", "min_market_qty", "max_market_qty",
)  # fmt: skip
