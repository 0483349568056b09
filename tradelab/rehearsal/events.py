"""Say what happened at the rehearsal venue, to whoever turns it into frames of a dialect."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.market import Candle
from tradelab.model.units import Timeframe
from tradelab.rehearsal.orders import SimFill, SimOrder


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order was taken, traded, changed or ended; ``what`` says which, ``fill`` is there when it traded."""

    order: SimOrder
    what: str  # new, triggered, trade, amended, canceled, expired
    ts_ns: int
    fill: SimFill | None = None


@dataclass(frozen=True, slots=True)
class MoneyChanged:
    """Balances or positions of an account changed; ``symbol`` is the market that did it, if one did."""

    account: str
    why: str  # order, funding, deposit, protection, insurance
    ts_ns: int
    symbol: str | None = None
    amount: Decimal = Decimal(0)
    currency: str | None = None  # of a deposit


@dataclass(frozen=True, slots=True)
class Traded:
    """The market traded, at ``price``; best bid and ask are what they are now."""

    symbol: str
    price: Decimal
    qty: Decimal
    bid: Decimal
    ask: Decimal
    ts_ns: int


@dataclass(frozen=True, slots=True)
class CandleChanged:
    """A bar somebody watches formed or closed."""

    symbol: str
    timeframe: Timeframe
    candle: Candle
    ts_ns: int


Event = OrderChanged | MoneyChanged | Traded | CandleChanged
