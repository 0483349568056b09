"""Say what an account holds; what a venue did not tell is ``None``, never a number."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal

from tradelab.model.plain import Plain


class AccountKind(enum.Enum):
    """What is at stake: an account is one of these for life."""

    PAPER = "paper"
    REHEARSAL = "rehearsal"
    DEMO = "demo"
    LIVE = "live"


class PositionMode(enum.Enum):
    """How a venue holds what was bought."""

    NONE = "none"  # spot: there are balances, no positions
    NETTING = "netting"  # one position a symbol
    HEDGING = "hedging"  # every entry a position with an id of its own


@dataclass(frozen=True, slots=True, repr=False)
class Balance(Plain):
    """Money of one currency; ``total = free + used``."""

    currency: str
    free: Decimal
    used: Decimal

    @property
    def total(self) -> Decimal:
        """What is there, promised or not."""
        return self.free + self.used


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Position(Plain):
    """An open position; ``qty`` is signed, below zero is short."""

    symbol: str
    qty: Decimal
    avg_price: Decimal
    position_id: str | None = None
    mark_price: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    opened_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AccountInfo(Plain):
    """An account at one moment, as the venue tells it."""

    balances: tuple[Balance, ...]
    ts_ns: int
    currency: str | None = None
    equity: Decimal | None = None
    used_margin: Decimal | None = None
    free_margin: Decimal | None = None
    leverage: Decimal | None = None
    may_trade: bool | None = None
    position_mode: PositionMode = PositionMode.NONE

    def balance(self, currency: str) -> Balance:
        """Return the money of one currency; zero where the venue lists none."""
        none = Balance(currency, Decimal(0), Decimal(0))
        return next((b for b in self.balances if b.currency == currency), none)
