"""Measure what knowing costs an engine of 100 bots after 100 000 orders: one snapshot a message, and a fold."""

from __future__ import annotations

import time
from decimal import Decimal

from tradelab.model import messages as said
from tradelab.model.instrument import Instrument
from tradelab.model.messages import Message, Recorded
from tradelab.model.orders import Fill, Liquidity, Order, OrderIntent, OrderStatus, OrderType, Side
from tradelab.model.signal import Action, Origin, Signal
from tradelab.model.states import Leg
from tradelab.spine.codec import decode, encode
from tradelab.spine.ledger import Ledger

BOTS, ORDERS = 100, 100_000
ONE, PRICE = Decimal(1), Decimal("100.25")


def listed(bot: int) -> Message:
    """What one bot trades."""
    instrument = Instrument(
        symbol=f"S{bot}", venue="x", quote="USDT", tick_size=Decimal("0.01"), qty_step=Decimal("0.001")
    )
    return said.InstrumentListed(account="paper", instrument=instrument)


def life(number: int) -> list[Message]:
    """One order from the signal to its fill; a buy and a sell in turn."""
    bot, symbol, name, venue_id = f"bot{number % BOTS}", f"S{number % BOTS}", f"o{number}", f"v{number}"
    side = Side.BUY if number // BOTS % 2 == 0 else Side.SELL
    action = Action.ENTER_LONG if side is Side.BUY else Action.EXIT_LONG
    signal = Signal(
        id=f"s{number}", bot=bot, symbol=symbol, action=action, origin=Origin.STRATEGY, decided_ns=number,
        expires_ns=number + 1, price=PRICE,
    )  # fmt: skip
    intent = OrderIntent(client_order_id=name, symbol=symbol, side=side, type=OrderType.MARKET, qty=ONE)
    fill = Fill(
        trade_id=str(number), symbol=symbol, venue_order_id=venue_id, client_order_id=name, side=side, qty=ONE,
        price=PRICE, fee=Decimal("0.1"), fee_currency="USDT", liquidity=Liquidity.TAKER, ts_ns=number,
    )  # fmt: skip
    told = Order(
        symbol=symbol, venue_order_id=venue_id, client_order_id=name, side=side, type=OrderType.MARKET,
        status=OrderStatus.FILLED, qty=ONE, filled_qty=ONE,
    )  # fmt: skip
    return [
        said.SignalRaised(signal),
        said.OrderIntended(
            account="paper", bot=bot, signal_id=signal.id, leg=Leg.ENTRY, intent=intent, approved_by=("risk",),
            reference_price=PRICE, fresh_until_ns=10**18, fence=1,
        ),
        said.OrderAccepted(account="paper", client_order_id=name, venue_order_id=venue_id),
        said.TradeExecuted(account="paper", bot=bot, signal_id=signal.id, leg=Leg.ENTRY, fill=fill),
        said.OrderReported(account="paper", order=told),
    ]  # fmt: skip


def main() -> None:
    """Print what is measured after every tenth of the orders."""
    ledger = Ledger()
    for bot in range(BOTS):
        ledger.fold(Recorded(ledger.seq + 1, 0, 0, None, listed(bot)))
    print(f"{'orders':>8} {'fold':>12} {'snapshot after each message':>28} {'shown orders':>13}")
    for start in range(0, ORDERS, ORDERS // 10):
        fold_ns = shown_ns = messages = 0
        for number in range(start, start + ORDERS // 10):
            for message in life(number):
                recorded = Recorded(ledger.seq + 1, number, number, None, message)
                began = time.perf_counter_ns()
                ledger.fold(recorded)
                folded = time.perf_counter_ns()
                snapshot = ledger.snapshot()
                shown_ns += time.perf_counter_ns() - folded
                fold_ns += folded - began
                messages += 1
        done, each = start + ORDERS // 10, f"{shown_ns / messages / 1e3:.1f} us"
        print(f"{done:>8} {fold_ns / messages / 1e3:>9.1f} us {each:>28} {len(snapshot.orders):>13}")
    rows = [encode(message) for message in life(0)]
    began = time.perf_counter_ns()
    for _ in range(2_000):
        for row in rows:
            decode(*row)
    print(f"reading one row of the journal: {(time.perf_counter_ns() - began) / 2_000 / len(rows) / 1e3:.1f} us")


if __name__ == "__main__":
    main()
