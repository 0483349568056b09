"""Hold an order as a venue does: mutable, numbered, with what the dialect wants to remember of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tradelab.model.orders import OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import RefusalCode


@dataclass(slots=True, kw_only=True)
class SimOrder:
    """One order at the rehearsal venue; ``extra`` is the dialect's, text and numbers only, so that it can be saved."""

    number: int
    client_order_id: str
    account: str
    symbol: str
    side: Side
    type: OrderType
    qty: Decimal
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    expire_ns: int | None = None
    reduce_only: bool = False
    close_all: bool = False  # closes whatever the position is when it triggers; qty is then the position's
    position_id: str | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trigger_rises: bool | None = None  # the trigger is above the market; None where there is none
    trigger_by_mark: bool = False
    pays_when_triggered: bool = False  # takes no money before its trigger, and ends there if there is too little
    status: OrderStatus = OrderStatus.NEW
    filled_qty: Decimal = Decimal(0)
    filled_quote: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    held: Decimal = Decimal(0)  # what the ledger has set aside for it
    created_ns: int = 0
    updated_ns: int = 0
    triggered_ns: int | None = None
    reason: str = ""  # why it ended
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def leaves_qty(self) -> Decimal:
        """What has not traded."""
        return self.qty - self.filled_qty

    @property
    def avg_price(self) -> Decimal | None:
        """Average price of what filled, or ``None``."""
        return self.filled_quote / self.filled_qty if self.filled_qty else None

    @property
    def is_open(self) -> bool:
        """Whether it may still trade."""
        return self.status.is_open

    @property
    def rests(self) -> bool:
        """Whether it is in the book now."""
        return self.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why the venue did not take a request."""

    code: RefusalCode
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimFill:
    """One trade of one order, as the venue books it."""

    number: int
    order: int
    client_order_id: str
    account: str
    symbol: str
    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    maker: bool
    ts_ns: int
    realized_pnl: Decimal = Decimal(0)
    position_id: str | None = None
    entry: bool = True  # opens or adds, for accounts that count deals in and out
