"""Turn what mtapi.io tells into orders, fills and positions; the comment of an order carries our name for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal

from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_answers import AnswerError
from tradelab.adapters.mtapi_rows import DealRow, OrderRow, PlacedRow
from tradelab.adapters.mtapi_zone import BrokerZone
from tradelab.model.account import Position
from tradelab.model.orders import Fill, Liquidity, Order, OrderStatus, OrderType, Side, TimeInForce

LONGEST_COMMENT = 31  # MetaTrader keeps no more
_ENOUGH = 16  # of a name whose end was cut off: 70 bits of its hash, so that no two orders are taken for one
_ADDED = re.compile(r"\s*(?:\[(?:sl|tp|so|expiration|cancelled)[^\]]*\]|(?:from|to) #\d+|so: .*)\s*$", re.IGNORECASE)


def name_in(comment: str) -> str | None:
    """Return our name out of a comment, without what MetaTrader or the broker added; ``None`` if nothing is left.

    >>> name_in("tluieiwbmesrajmnhvvnahr6[sl]"), name_in("[sl 1.0850]"), name_in("from #1234")
    ('tluieiwbmesrajmnhvvnahr6', None, None)
    """
    return _ADDED.sub("", comment).strip() or None


def is_name_of(comment: str, client_order_id: str) -> bool:
    """Whether a comment is that of an order of ours; one that was cut must still show sixteen characters of it."""
    told = name_in(comment)
    if told is None:
        return False
    return told == client_order_id or (len(told) >= _ENOUGH and client_order_id.startswith(told))


@dataclass(slots=True)
class Reader:
    """Reads rows of one account.

    ``names`` are the orders we have sent ourselves, by ticket: a comment may be cut or replaced, what we know is not.
    """

    zone: BrokerZone
    currency: str
    names: dict[str, str] = field(default_factory=dict)

    def position(self, row: OrderRow) -> Position:
        """Read an open position."""
        _, side = self.kind(row.kind)
        return Position(
            symbol=row.symbol, qty=side.sign * row.lots, avg_price=row.price, position_id=row.ticket,
            mark_price=row.close_price, unrealized_pnl=row.profit, stop_loss=row.stop_loss,
            take_profit=row.take_profit, opened_ns=self.zone.utc_ns(row.opened),
        )  # fmt: skip

    def order(self, row: OrderRow) -> Order:
        """Read the order behind a ticket: one that waits, one that opened a position, or one that came to nothing."""
        kind, side = self.kind(row.kind)
        waited = row.placed is not None and kind is OrderType.MARKET
        if waited and row.placed is not None:
            kind, side = self.kind(row.placed.kind)
        waits = row.closed is None and self.kind(row.kind)[0] is not OrderType.MARKET
        status = self._status(row, kind, waits=waits)
        opened = [d for d in _once(row.deals) if d.way not in wire.DEAL_OUT]
        qty = sum((d.lots for d in opened), Decimal(0)) or self._asked(row)
        filled = qty if status is OrderStatus.FILLED else Decimal(0)
        average = sum((d.lots * d.price for d in opened), Decimal(0)) / qty if opened else row.price
        price, stop_price = self._prices(kind, row.placed if waited else row)
        return Order(
            symbol=row.symbol, venue_order_id=row.ticket, client_order_id=self.name(row.ticket, row.comment),
            side=side, type=kind, status=status, qty=qty, filled_qty=filled, price=price, stop_price=stop_price,
            avg_price=average if filled else None, time_in_force=_life(row, kind), reduce_only=False,
            created_ns=self._made_ns(row), updated_ns=self._changed_ns(row),
            position_id=row.ticket if filled else None, stop_loss=row.stop_loss, take_profit=row.take_profit,
        )  # fmt: skip

    def past(self, row: PlacedRow) -> Order:
        """Read an order of the past."""
        kind, side = self.kind(row.kind)
        status = self.state(row.state, kind)
        filled = row.lots_asked - row.lots_left if status is not OrderStatus.FILLED else row.lots_asked
        if status in (OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED) and row.lots_left == 0:
            filled = Decimal(0)  # what is left of a cancelled order is told as nothing by some servers
        price, stop_price = self._prices(kind, row)
        return Order(
            symbol=row.symbol, venue_order_id=row.ticket, client_order_id=self.name(row.ticket, row.comment),
            side=side, type=kind, status=status, qty=row.lots_asked, filled_qty=filled, price=price,
            stop_price=stop_price, created_ns=self.zone.utc_ns_of_ms(row.at_ms),
            updated_ns=None if row.ended is None else self.zone.utc_ns(row.ended), stop_loss=row.stop_loss,
            take_profit=row.take_profit,
        )  # fmt: skip

    def closing(self, deal: DealRow) -> Order:
        """Read the order that closed a position, or a part of one, from its trade."""
        at = self.zone.utc_ns_of_ms(deal.at_ms)
        return Order(
            symbol=deal.symbol, venue_order_id=deal.order, client_order_id=self.name(deal.order, deal.comment),
            side=self.side(deal), type=OrderType.MARKET, status=OrderStatus.FILLED, qty=deal.lots,
            filled_qty=deal.lots, avg_price=deal.price, reduce_only=True, created_ns=at, updated_ns=at,
            position_id=deal.position,
        )  # fmt: skip

    def fill(self, deal: DealRow) -> Fill:
        """Read a trade; what MetaTrader takes is told below zero, what we pay is above."""
        return Fill(
            trade_id=deal.ticket, symbol=deal.symbol, venue_order_id=deal.order,
            client_order_id=self.name(deal.order, deal.comment), side=self.side(deal), qty=deal.lots,
            price=deal.price, fee=-(deal.commission + deal.charge), fee_currency=self.currency,
            liquidity=Liquidity.UNKNOWN, ts_ns=self.zone.utc_ns_of_ms(deal.at_ms), position_id=deal.position,
        )  # fmt: skip

    def name(self, ticket: str, comment: str) -> str | None:
        """Return our name for a ticket: what we know, else what its comment says."""
        return self.names.get(ticket) or name_in(comment)

    def kind(self, word: str) -> tuple[OrderType, Side]:
        """Return type and side of an operation."""
        if word not in wire.OPERATIONS:
            raise AnswerError(f"{word!r} is no operation")
        return wire.OPERATIONS[word]

    def side(self, deal: DealRow) -> Side:
        """Return the side of a trade."""
        return wire.DEAL_SIDES[deal.side]

    def state(self, word: str, kind: OrderType) -> OrderStatus:
        """Return where an order is; a stop that waits is told apart from a limit."""
        if word not in wire.STATES:
            raise AnswerError(f"{word!r} is no state of an order")
        status = wire.STATES[word]
        return OrderStatus.UNTRIGGERED if status is OrderStatus.NEW and kind.needs_stop_price else status

    def _status(self, row: OrderRow, kind: OrderType, *, waits: bool) -> OrderStatus:
        if waits:
            return OrderStatus.UNTRIGGERED if kind.needs_stop_price else OrderStatus.NEW
        if self.kind(row.kind)[0] is OrderType.MARKET or row.deals:
            return OrderStatus.FILLED
        told = wire.STATES.get(row.state or "")
        ends = (OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED)
        return told if told in ends and told is not None else OrderStatus.CANCELLED

    def _asked(self, row: OrderRow) -> Decimal:
        return row.placed.lots_asked if row.placed is not None else row.lots

    def _prices(self, kind: OrderType, row: OrderRow | PlacedRow | None) -> tuple[Decimal | None, Decimal | None]:
        """Return limit and trigger; MetaTrader has one price, and for a stop-limit the limit beside it."""
        if row is None or kind is OrderType.MARKET:
            return None, None
        if kind is OrderType.LIMIT:
            return row.price, None
        return (row.limit_price, row.price) if kind is OrderType.STOP_LIMIT else (None, row.price)

    def _made_ns(self, row: OrderRow) -> int:
        return self.zone.utc_ns_of_ms(row.placed.at_ms) if row.placed is not None else self.zone.utc_ns(row.opened)

    def _changed_ns(self, row: OrderRow) -> int:
        deals = [self.zone.utc_ns_of_ms(d.at_ms) for d in row.deals if d.way not in wire.DEAL_OUT]
        if deals:
            return max(deals)
        return self.zone.utc_ns(row.closed or row.opened)


def _once(deals: tuple[DealRow, ...]) -> list[DealRow]:
    return list({deal.ticket: deal for deal in deals}.values())


def _life(row: OrderRow, kind: OrderType) -> TimeInForce | None:
    if kind is OrderType.MARKET:
        return None
    dated = row.expires is not None and row.expiry_kind in (None, "", wire.UNTIL_TIME)
    return TimeInForce.GTD if dated else TimeInForce.GTC
