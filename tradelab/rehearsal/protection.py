"""Keep what protects a position: attached stop loss and take profit, and the venue's own liquidation."""

from __future__ import annotations

from decimal import Decimal

from tradelab.model.orders import OrderType, Side
from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.events import MoneyChanged
from tradelab.rehearsal.host import Host
from tradelab.rehearsal.ledger_hedging import HedgingLedger, Ticket
from tradelab.rehearsal.ledger_perp import PerpLedger
from tradelab.rehearsal.orders import Rejection, SimOrder


class Protector:
    """Closes positions when their stop loss or take profit is reached, or when their margin is gone.

    On a net position they are kept as conditional orders that close all of it, as Bybit shows them; on a MetaTrader
    account they are levels of the ticket.
    """

    def __init__(self, host: Host) -> None:
        self._at = host

    def refusal(self, order: SimOrder) -> Rejection | None:
        """Say whether attached levels lie on the wrong side of the price at which the order trades."""
        price = self._at.worst_price(order)
        if wrong_side(order.side, price, order.stop_loss, order.take_profit):
            return Rejection(RefusalCode.PROTECTION, f"stop loss or take profit on the wrong side of {price}")
        return None

    def after_fill(self, order: SimOrder) -> None:
        """Attach what the order carried to what it opened; take protection away from what is flat."""
        ledger = self._at.ledgers[order.account]
        if not isinstance(ledger, PerpLedger):
            return
        position = ledger.position(order.symbol)
        mine = [o for o in self._at.open_orders(order.account, order.symbol) if o.extra.get("protects")]
        if not position.qty or any(o.side.sign * position.qty > 0 for o in mine):  # flat, or turned over
            position.stop_loss = position.take_profit = None
            self._drop(order.account, order.symbol)
        if (order.stop_loss or order.take_profit) and position.qty * order.side.sign > 0:
            stop_loss, take_profit = order.stop_loss or position.stop_loss, order.take_profit or position.take_profit
            self.protect(order.account, order.symbol, stop_loss, take_profit)

    def protect(self, account: str, symbol: str, stop_loss: Decimal | None, take_profit: Decimal | None) -> None:
        """Set both levels of a net position; ``None`` takes one away."""
        ledger = self._at.ledgers[account]
        assert isinstance(ledger, PerpLedger)
        position = ledger.position(symbol)
        self._drop(account, symbol)
        position.stop_loss, position.take_profit = stop_loss, take_profit
        closing = Side.SELL if position.qty > 0 else Side.BUY
        for level, name in ((stop_loss, "stop_loss"), (take_profit, "take_profit")):
            if level is None or not position.qty:  # the first may have closed the position at once
                continue
            order = self._at.draft(
                account, symbol, closing, OrderType.STOP, abs(position.qty), stop_price=level, reduce_only=True,
                close_all=True, trigger_rises=(name == "take_profit") == (position.qty > 0), extra={"protects": name},
            )  # fmt: skip
            self._at.place(order)
        self._at.tell(MoneyChanged(account, "protection", self._at.now_ns, symbol))

    def _drop(self, account: str, symbol: str) -> None:
        for order in self._at.open_orders(account, symbol):
            if order.extra.get("protects"):
                self._at.cancel(order, reason="protection ended")

    def watch(self, symbol: str) -> None:
        """Close what the price has reached, and what can no longer be held."""
        for account, ledger in self._at.ledgers.items():
            if isinstance(ledger, HedgingLedger):
                for ticket in [t for t in ledger.tickets.values() if t.symbol == symbol]:
                    self._close_if_reached(account, ticket)
                if ledger.tickets and ledger.equity(self._at) < ledger.used_margin(self._at) / 2:
                    self._stop_out(account, ledger)
            elif isinstance(ledger, PerpLedger) and self._is_gone(ledger):
                self._liquidate(account, ledger)

    def _is_gone(self, ledger: PerpLedger) -> bool:
        held = any(p.qty for p in ledger.positions.values())
        return held and ledger.wallet + ledger.unrealized(self._at) <= ledger.maintenance(self._at)

    def _close_if_reached(self, account: str, held: Ticket) -> None:
        bid, ask = self._at.best(held.symbol)
        price, sign = (bid, 1) if held.side is Side.BUY else (ask, -1)
        if held.stop_loss is not None and (price - held.stop_loss) * sign <= 0:
            self.close_ticket(account, held, price, "sl")
        elif held.take_profit is not None and (price - held.take_profit) * sign >= 0:
            self.close_ticket(account, held, held.take_profit, "tp")

    def close_ticket(self, account: str, held: Ticket, price: Decimal, why: str) -> SimOrder:
        """Close a MetaTrader position at ``price``."""
        order = self._at.draft(
            account, held.symbol, held.side.opposite, OrderType.MARKET, held.lots, position_id=held.ticket,
            extra={"why": why, "comment": held.comment, "magic": held.magic},
        )  # fmt: skip
        order.created_ns = self._at.now_ns
        self._at.orders[order.number] = order
        self._at.fill(order, held.lots, price, maker=False)
        return order

    def _stop_out(self, account: str, ledger: HedgingLedger) -> None:
        worst = min(ledger.tickets.values(), key=lambda t: ledger.profit(t, self._at))
        bid, ask = self._at.best(worst.symbol)
        self.close_ticket(account, worst, bid if worst.side is Side.BUY else ask, "so")

    def _liquidate(self, account: str, ledger: PerpLedger) -> None:
        for order in self._at.open_orders(account):
            self._at.cancel(order, reason="liquidation")
        for symbol, position in ledger.positions.items():
            if position.qty:
                side = Side.SELL if position.qty > 0 else Side.BUY
                order = self._at.draft(
                    account, symbol, side, OrderType.MARKET, abs(position.qty), reduce_only=True,
                    client_order_id=f"autoclose-{self._at.now_ns // 1_000_000}", extra={"liquidation": True},
                )  # fmt: skip
                order.created_ns = self._at.now_ns
                self._at.orders[order.number] = order
                self._at.fill(order, order.qty, self._at.mark(symbol), maker=False)
        if ledger.wallet < 0:  # the insurance fund takes what is below zero
            paid, ledger.wallet = -ledger.wallet, Decimal(0)
            self._at.tell(MoneyChanged(account, "insurance", self._at.now_ns, None, paid, ledger.currency))


def wrong_side(side: Side, price: Decimal, stop_loss: Decimal | None, take_profit: Decimal | None) -> bool:
    """Whether a level would close a position at once."""
    return (stop_loss is not None and (price - stop_loss) * side.sign <= 0) or (
        take_profit is not None and (take_profit - price) * side.sign <= 0
    )
