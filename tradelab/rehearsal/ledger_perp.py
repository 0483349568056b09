"""Keep the money of a linear perpetual account: one position a symbol, cross margin, funding, liquidation."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from tradelab.model.instrument import Instrument
from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.ledger_spot import ZERO, Booking, View, held_share, in_pennies
from tradelab.rehearsal.orders import SimOrder

MAINTENANCE = Decimal("0.004")  # of the notional; the lowest bracket of Binance's BTCUSDT


@dataclass(slots=True)
class PerpPosition:
    """A net position; ``qty`` below zero is short."""

    qty: Decimal = ZERO
    avg_price: Decimal = ZERO
    realized_pnl: Decimal = ZERO
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    opened_ns: int = 0

    def unrealized(self, mark: Decimal) -> Decimal:
        """Profit at ``mark``."""
        return self.qty * (mark - self.avg_price)


@dataclass(slots=True)
class PerpLedger:
    """A wallet in one settlement currency, and net positions by symbol."""

    currency: str
    wallet: Decimal
    leverage: dict[str, Decimal] = field(default_factory=dict)
    default_leverage: Decimal = Decimal(20)
    positions: dict[str, PerpPosition] = field(default_factory=dict)
    order_margin: Decimal = ZERO

    def leverage_of(self, symbol: str) -> Decimal:
        """Return the leverage set for a symbol."""
        return self.leverage.get(symbol, self.default_leverage)

    def position(self, symbol: str) -> PerpPosition:
        """Return the position in a symbol, an empty one if there is none."""
        return self.positions.setdefault(symbol, PerpPosition())

    def unrealized(self, view: View) -> Decimal:
        """Return the profit of all positions at their mark."""
        return sum((p.unrealized(view.mark(s)) for s, p in self.positions.items() if p.qty), ZERO)

    def position_margin(self, view: View) -> Decimal:
        """Return the initial margin that positions take."""
        held = ((s, p) for s, p in self.positions.items() if p.qty)
        return sum((abs(p.qty) * view.mark(s) / self.leverage_of(s) for s, p in held), ZERO)

    def maintenance(self, view: View) -> Decimal:
        """Return the equity below which the positions are liquidated."""
        return sum((abs(p.qty) * view.mark(s) * MAINTENANCE for s, p in self.positions.items() if p.qty), ZERO)

    def available(self, view: View) -> Decimal:
        """Return what new orders may use as margin."""
        return self.wallet + self.unrealized(view) - self.position_margin(view) - self.order_margin

    def refuses(self, order: SimOrder, price: Decimal, view: View) -> RefusalCode | None:
        """Say why an order may not be taken: nothing to reduce, or too little margin for what it would open."""
        closable = self.closable(order)
        if order.reduce_only:
            return RefusalCode.REDUCE_ONLY if not closable else None
        opens = max(ZERO, order.leaves_qty - (closable or ZERO))
        need = opens * price / self.leverage_of(order.symbol)
        return RefusalCode.MARGIN if need > self.available(view) + order.held else None

    def closable(self, order: SimOrder) -> Decimal:
        """Return how much of the position this order's side would close."""
        qty = self.positions.get(order.symbol, PerpPosition()).qty
        return max(ZERO, -qty * order.side.sign)

    def hold(self, order: SimOrder, instrument: Instrument, price: Decimal) -> None:
        """Set margin aside for what an order may open."""
        self.release(order, instrument)
        if order.reduce_only:
            return
        opens = max(ZERO, order.leaves_qty - self.closable(order))
        order.held = in_pennies(opens * price / self.leverage_of(order.symbol))
        self.order_margin += order.held

    def release(self, order: SimOrder, instrument: Instrument) -> None:
        """Give back what is set aside for an order."""
        self.order_margin -= order.held
        order.held = ZERO

    def book(self, order: SimOrder, instrument: Instrument, qty: Decimal, price: Decimal, fee_rate: Decimal) -> Booking:
        """Change the net position; what it closes is paid into the wallet, the fee is paid out of it."""
        share = held_share(order, qty)
        self.order_margin -= share
        order.held -= share
        held = self.position(order.symbol)
        signed = qty * order.side.sign
        closes = min(qty, max(ZERO, -held.qty * order.side.sign))
        realized = in_pennies(-closes * order.side.sign * (price - held.avg_price))
        opens = qty - closes
        after = held.qty + signed
        if opens and closes:  # through zero
            held.avg_price = price
        elif opens:
            held.avg_price = (abs(held.qty) * held.avg_price + opens * price) / abs(after)
        held.qty = after
        if not after:
            held.avg_price, held.stop_loss, held.take_profit = ZERO, None, None
        fee = in_pennies(qty * price * fee_rate)
        self.wallet += realized - fee
        held.realized_pnl += realized
        return Booking(fee=fee, fee_currency=self.currency, realized_pnl=realized, entry=not closes)

    def fund(self, symbol: str, mark: Decimal, rate: Decimal) -> Decimal:
        """Pay or receive funding on a position; return the amount, below zero when paid."""
        amount = in_pennies(-self.position(symbol).qty * mark * rate)
        self.wallet += amount
        return amount

    def liquidation_price(self, symbol: str, view: View) -> Decimal | None:
        """Return the price of this symbol at which, others standing, maintenance margin is no longer met."""
        held = self.position(symbol)
        if not held.qty:
            return None
        others = self.unrealized(view) - held.unrealized(view.mark(symbol))
        others_need = self.maintenance(view) - abs(held.qty) * view.mark(symbol) * MAINTENANCE
        cushion = self.wallet + others - others_need - held.qty * held.avg_price
        price = -cushion / (held.qty - abs(held.qty) * MAINTENANCE)
        return price if price > 0 else None
