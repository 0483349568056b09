"""Know the orders and fills of an account from what is open and what the history tells, each once."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_reading import Reader, is_name_of
from tradelab.adapters.mtapi_rows import DealRow, HistoryRow, OrderRow
from tradelab.model.orders import Fill, Liquidity, Order, OrderRef, OrderType

_log = logging.getLogger(__name__)
_SPLIT = re.compile(r"from #(\d+)")  # MetaTrader 4 gives what is left after a partial close a new ticket


@dataclass(frozen=True, slots=True)
class Book:
    """Everything of an account that was open, or happened, since some time."""

    reader: Reader
    open_rows: tuple[OrderRow, ...]
    history: HistoryRow

    def open_orders(self) -> list[Order]:
        """Return the orders that wait."""
        return [self.reader.order(row) for row in self.open_rows if not self.is_position(row)]

    def positions(self) -> list[OrderRow]:
        """Return the tickets that are held."""
        return [row for row in self.open_rows if self.is_position(row)]

    def is_position(self, row: OrderRow) -> bool:
        """Whether a ticket among the open ones is a position and not an order that waits."""
        return self.reader.kind(row.kind)[0] is OrderType.MARKET

    def deals(self) -> list[DealRow]:
        """Return every trade, once, wherever it is told; oldest first."""
        told: dict[str, DealRow] = {}
        for row in (*self.history.orders, *self.open_rows):
            told |= {deal.ticket: deal for deal in row.deals}
        told |= {deal.ticket: deal for deal in self.history.deals}
        trades = (deal for deal in told.values() if deal.side in wire.DEAL_SIDES)
        return sorted(trades, key=lambda d: (d.at_ms, int(d.ticket)))

    def orders(self) -> dict[str, Order]:
        """Return every order by its ticket; where two lists tell of one, the fuller word is taken."""
        read = self.reader
        known: dict[str, Order] = {}
        for deal in self.deals():
            if deal.way in wire.DEAL_OUT:
                known[deal.order] = read.closing(deal)
        known |= {p.ticket: read.past(p) for p in self.history.placed if p.ticket not in known}
        trades = (row for row in self.history.orders if row.kind in wire.OPERATIONS)
        known |= {row.ticket: read.order(row) for row in (*self.open_rows, *trades)}  # the history was asked later
        return known

    def find(self, ref: OrderRef) -> Order | None:
        """Return an order by either name; of several with one name of ours the first that was made."""
        orders = self.orders()
        if ref.venue_order_id is not None:
            return orders.get(ref.venue_order_id)
        wanted = str(ref.client_order_id)
        exact = [o for o in orders.values() if o.client_order_id == wanted]
        cut = [o for o in orders.values() if o.client_order_id and is_name_of(o.client_order_id, wanted)]
        if not exact and len({o.client_order_id for o in cut}) > 1:
            return None
        found = sorted(exact or cut, key=lambda o: (o.created_ns or 0, int(o.venue_order_id)))
        if len(found) > 1:
            _log.warning("mtapi: %d orders bear the name %s: %s", len(found), wanted, [o.venue_order_id for o in found])
        return found[0] if found else None

    def fills(self, since_ns: int) -> list[Fill]:
        """Return the fills from a time on, oldest first."""
        deals = self.deals()
        told = [self.reader.fill(deal) for deal in deals] if deals else self._fills_of_tickets()
        wanted = (fill for fill in told if fill.ts_ns >= since_ns)
        return sorted(wanted, key=lambda f: (f.ts_ns, len(f.trade_id), f.trade_id))

    def _fills_of_tickets(self) -> list[Fill]:
        """Return the two fills that a ticket of MetaTrader 4 stands for, which has no trades of its own.

        What a partial close leaves has a new ticket and the old opening time: it is booked with the ticket it comes
        from, so that an entry stays one fill of the same size however often it is divided.
        """
        rows = [r for r in (*self.history.orders, *self.open_rows) if self._is_trade(r)]
        entries: dict[str, list[OrderRow]] = {}
        for row in rows:
            entries.setdefault(self._root(row, rows), []).append(row)
        fills = [self._half(row, entries[row.ticket], entry=True) for row in rows if row.ticket in entries]
        return fills + [self._half(row, [row], entry=False) for row in rows if row.closed is not None]

    def _is_trade(self, row: OrderRow) -> bool:
        return row.kind in wire.OPERATIONS and self.reader.kind(row.kind)[0] is OrderType.MARKET

    def _root(self, row: OrderRow, rows: Sequence[OrderRow]) -> str:
        by_ticket = {r.ticket: r for r in rows}
        seen = {row.ticket}
        while (found := _SPLIT.search(row.comment)) and found[1] in by_ticket and found[1] not in seen:
            row = by_ticket[found[1]]
            seen.add(row.ticket)
        return row.ticket

    def _half(self, row: OrderRow, parts: Sequence[OrderRow], *, entry: bool) -> Fill:
        read = self.reader
        lots = sum((part.lots for part in parts), Decimal(0))
        paid = -sum((part.commission for part in parts), Decimal(0))
        side = read.kind(row.kind)[1]
        at = row.opened if entry else str(row.closed)
        return Fill(
            trade_id=f"{row.ticket}-{'in' if entry else 'out'}", symbol=row.symbol, venue_order_id=row.ticket,
            client_order_id=read.name(row.ticket, row.comment) if entry else None,
            side=side if entry else side.opposite, qty=lots,
            price=row.price if entry else (row.close_price or Decimal(0)),
            fee=paid if entry else Decimal(0), fee_currency=read.currency, liquidity=Liquidity.UNKNOWN,
            ts_ns=read.zone.utc_ns(at), position_id=row.ticket,
        )  # fmt: skip


def of_symbol(orders: Iterable[Order], symbol: str | None) -> list[Order]:
    """Return the orders of one symbol, or all, oldest first."""
    chosen = (order for order in orders if symbol is None or order.symbol == symbol)
    return sorted(chosen, key=lambda o: (o.created_ns or 0, int(o.venue_order_id)))
