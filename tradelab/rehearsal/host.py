"""Name what the parts of a venue may ask of the venue they are part of."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from tradelab.model.orders import OrderType, Side
from tradelab.rehearsal.events import Event
from tradelab.rehearsal.ledger_hedging import HedgingLedger
from tradelab.rehearsal.ledger_perp import PerpLedger
from tradelab.rehearsal.ledger_spot import SpotLedger, View
from tradelab.rehearsal.orders import Rejection, SimFill, SimOrder
from tradelab.rehearsal.tape import Tape

AnyLedger = SpotLedger | PerpLedger | HedgingLedger


class Host(View, Protocol):
    """The venue, as :mod:`~tradelab.rehearsal.protection` and :mod:`~tradelab.rehearsal.watching` see it."""

    now_ns: int
    pinned: dict[str, Decimal]

    @property
    def ledgers(self) -> Mapping[str, AnyLedger]:
        """Accounts' money."""
        ...

    @property
    def tapes(self) -> Mapping[str, Tape]:
        """Markets."""
        ...

    @property
    def orders(self) -> dict[int, SimOrder]:
        """All orders ever, by number."""
        ...

    def draft(self, account: str, symbol: str, side: Side, type: OrderType, qty: Decimal, **more: object) -> SimOrder:
        """Make an order."""
        ...

    def place(self, order: SimOrder) -> Rejection | None:
        """Take an order."""
        ...

    def cancel(self, order: SimOrder, *, reason: str = ...) -> Rejection | None:
        """End an order."""
        ...

    def fill(self, order: SimOrder, qty: Decimal, price: Decimal, *, maker: bool) -> SimFill:
        """Book a trade of an order."""
        ...

    def open_orders(self, account: str, symbol: str | None = None) -> list[SimOrder]:
        """Return what may still trade."""
        ...

    def worst_price(self, order: SimOrder) -> Decimal:
        """Return the price an order is held for."""
        ...

    def tell(self, event: Event) -> None:
        """Tell every listener."""
        ...
