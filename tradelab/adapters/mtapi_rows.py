"""Say in our own words what mtapi.io tells: an order, a deal, a symbol, a bar; times are still the broker's."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class DealRow:
    """One trade of MetaTrader 5; ``at_ms`` counts milliseconds since 1970 on the broker's clock."""

    ticket: str
    order: str
    position: str
    symbol: str
    side: str
    way: str
    lots: Decimal
    price: Decimal
    commission: Decimal
    charge: Decimal
    comment: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRow:
    """An order of MetaTrader 5 as it was placed, apart from the position it opened."""

    ticket: str
    symbol: str
    kind: str
    state: str
    price: Decimal
    limit_price: Decimal | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    lots_asked: Decimal
    lots_left: Decimal
    comment: str
    at_ms: int
    ended: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """A ticket: a position that is open or was, or an order that waits or was cancelled."""

    ticket: str
    symbol: str
    kind: str
    state: str | None
    lots: Decimal
    price: Decimal
    limit_price: Decimal | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    opened: str
    closed: str | None
    close_price: Decimal | None
    close_lots: Decimal | None
    profit: Decimal
    commission: Decimal
    charge: Decimal
    comment: str
    close_comment: str
    expires: str | None
    expiry_kind: str | None
    deal_in: DealRow | None = None
    deal_out: DealRow | None = None
    part_fills: tuple[DealRow, ...] = ()
    part_closes: tuple[DealRow, ...] = ()
    placed: PlacedRow | None = None

    @property
    def deals(self) -> tuple[DealRow, ...]:
        """Every trade that is told with the ticket; the same one may be there twice."""
        whole = (deal for deal in (self.deal_in, self.deal_out) if deal is not None)
        return (*whole, *self.part_fills, *self.part_closes)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """The past of an account between two times; ``partial`` says that the server held some of it back."""

    orders: tuple[OrderRow, ...]
    deals: tuple[DealRow, ...] = ()
    placed: tuple[PlacedRow, ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account's figures, in its own currency."""

    balance: Decimal
    equity: Decimal
    margin: Decimal
    free_margin: Decimal
    leverage: Decimal
    currency: str
    method: str | None
    is_investor: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolRow:
    """What a symbol asks of an order; ``profit_currency`` is ``None`` where it is not told (MetaTrader 4)."""

    tick: Decimal
    contract_size: Decimal
    least: Decimal
    most: Decimal
    step: Decimal
    currency: str | None
    profit_currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRow:
    """Bid and ask, and the broker's time of the last change."""

    symbol: str
    bid: Decimal
    ask: Decimal
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BarRow:
    """One bar by its open time on the broker's clock; the volume counts changes of the quote."""

    opened: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    ticks: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """What the server says instead of an answer."""

    code: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRow:
    """One message of a socket: what it is about, and what it carries."""

    kind: str
    carries: object
