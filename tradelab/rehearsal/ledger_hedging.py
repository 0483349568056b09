"""Keep the money of a MetaTrader account that hedges: every entry is a position with a ticket of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tradelab.model.errors import ParameterError
from tradelab.model.instrument import Instrument
from tradelab.model.orders import Side
from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.ledger_spot import ZERO, Booking, View
from tradelab.rehearsal.orders import SimOrder


@dataclass(slots=True, kw_only=True)
class Ticket:
    """One open position; ``lots`` is above zero, the side says which way."""

    ticket: str
    symbol: str
    side: Side
    lots: Decimal
    open_price: Decimal
    opened_ns: int
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    commission: Decimal = ZERO
    client_order_id: str = ""
    comment: str = ""
    magic: int = 0


@dataclass(slots=True)
class HedgingLedger:
    """A balance in one currency, and positions by ticket. Commission is charged by lot, at the entry."""

    currency: str
    balance: Decimal
    leverage: Decimal = Decimal(100)
    commission_per_lot: Decimal = ZERO
    tickets: dict[str, Ticket] = field(default_factory=dict)

    def value_of_move(self, instrument: Instrument, move: Decimal, lots: Decimal, price: Decimal) -> Decimal:
        """Return what a price move is worth in the account's currency."""
        return move * lots * instrument.contract_size * self._rate(instrument, instrument.quote, price)

    def margin(self, instrument: Instrument, lots: Decimal, price: Decimal) -> Decimal:
        """Return the margin that lots take, in the account's currency."""
        worth = lots * instrument.contract_size * price
        return worth * self._rate(instrument, instrument.quote, price) / self.leverage

    def profit(self, held: Ticket, view: View) -> Decimal:
        """Return the profit of a position if it were closed now: a buy at the bid, a sell at the ask."""
        bid, ask = view.best(held.symbol)
        price = bid if held.side is Side.BUY else ask
        move = (price - held.open_price) * held.side.sign
        return self.value_of_move(view.instrument(held.symbol), move, held.lots, price)

    def equity(self, view: View) -> Decimal:
        """Return balance and the profit of everything open."""
        return self.balance + sum((self.profit(t, view) for t in self.tickets.values()), ZERO)

    def used_margin(self, view: View) -> Decimal:
        """Return the margin of all positions, at their opening prices."""
        held = self.tickets.values()
        return sum((self.margin(view.instrument(t.symbol), t.lots, t.open_price) for t in held), ZERO)

    def refuses(self, order: SimOrder, price: Decimal, view: View) -> RefusalCode | None:
        """Say why an order may not be taken: no such position, too many lots, or too little free margin."""
        closable = self.closable(order)
        if closable is not None:
            if not closable:
                return RefusalCode.POSITION_NOT_FOUND
            return RefusalCode.MAX_QTY if order.qty > closable else None
        free = self.equity(view) - self.used_margin(view)
        need = self.margin(view.instrument(order.symbol), order.qty, price)
        return RefusalCode.MARGIN if need > free else None

    def closable(self, order: SimOrder) -> Decimal | None:
        """Return the lots of the ticket an order closes; ``None`` for an order that opens."""
        if order.position_id is None:
            return None
        held = self.tickets.get(order.position_id)
        return held.lots if held is not None and held.side is not order.side else ZERO

    def hold(self, order: SimOrder, instrument: Instrument, price: Decimal) -> None:
        """Pending orders of MetaTrader take no margin."""

    def release(self, order: SimOrder, instrument: Instrument) -> None:
        """There is nothing to give back."""

    def book(self, order: SimOrder, instrument: Instrument, qty: Decimal, price: Decimal, fee_rate: Decimal) -> Booking:
        """Open a position, or close one or a part of it."""
        if order.position_id is not None:
            return self._close(order.position_id, instrument, qty, price)
        ticket = str(order.number)
        commission = self.commission_per_lot * qty
        self.balance -= commission
        held = self.tickets.get(ticket)
        if held is None:
            self.tickets[ticket] = Ticket(
                ticket=ticket,
                symbol=order.symbol,
                side=order.side,
                lots=qty,
                open_price=price,
                opened_ns=order.updated_ns,
                stop_loss=order.stop_loss,
                take_profit=order.take_profit,
                commission=commission,
                client_order_id=order.client_order_id,
                comment=str(order.extra.get("comment", "")),
                magic=int(order.extra.get("magic", 0)),
            )
        else:  # a second piece of the same order
            held.open_price = (held.lots * held.open_price + qty * price) / (held.lots + qty)
            held.lots += qty
            held.commission += commission
        return Booking(fee=commission, fee_currency=self.currency, position_id=ticket)

    def _close(self, ticket: str, instrument: Instrument, lots: Decimal, price: Decimal) -> Booking:
        held = self.tickets[ticket]
        move = (price - held.open_price) * held.side.sign
        realized = self.value_of_move(instrument, move, lots, price)
        self.balance += realized
        held.lots -= lots
        if held.lots <= 0:
            del self.tickets[ticket]
        return Booking(fee=ZERO, fee_currency=self.currency, realized_pnl=realized, position_id=ticket, entry=False)

    def _rate(self, instrument: Instrument, currency: str, price: Decimal) -> Decimal:
        """Return what one unit of ``currency`` is worth in the account's."""
        if currency == self.currency:
            return Decimal(1)
        if instrument.base == self.currency and currency == instrument.quote:
            return 1 / price
        raise ParameterError(
            f"{instrument.symbol} cannot be held in an account of {self.currency}: no rate from {currency}.",
            fix=f"Rehearse with an account in {instrument.quote} or {instrument.base}.",
        )
