"""Turn a leader's entry into a follower's, in proportion, and a leader's close into a follower's.

That is all that is copied: no stops, no partial closes, no changes of orders. What a follower protects itself by is its
own preset; its signals pass all gates.
"""

from __future__ import annotations

from decimal import Decimal

from tradelab.model.messages import PositionClosed, TradeExecuted
from tradelab.model.orders import Side
from tradelab.model.signal import Action, Origin, Signal
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_S
from tradelab.modules.copy_trading.config import Link
from tradelab.spine.snapshot import OrderState, SignalState


def is_entry(trade: TradeExecuted, order: OrderState | None, signal: SignalState | None) -> bool:
    """Whether a trade is the first of an entry that its bot decided itself: what was copied is not copied on."""
    if trade.leg is not Leg.ENTRY or order is None or signal is None or signal.signal.origin is Origin.COPY:
        return False
    return order.filled_qty == trade.fill.qty


def entry(link: Link, trade: TradeExecuted, order: OrderState, now_ns: int) -> Signal:
    """Return the follower's entry: the leader's whole order in proportion, at the price that its first fill had."""
    fill = trade.fill
    decided_ns = min(fill.ts_ns, now_ns)
    return Signal(
        id=f"{link.follower} copies {link.leader} {order.client_order_id}",
        bot=link.follower,
        symbol=fill.symbol,
        action=Action.ENTER_LONG if fill.side is Side.BUY else Action.ENTER_SHORT,
        origin=Origin.COPY,
        decided_ns=decided_ns,
        expires_ns=decided_ns + int(link.ttl_s * NS_PER_S),
        price=fill.price,
        qty=order.intended.intent.qty * link.ratio,
        says=f"{link.leader} {fill.side.value}s {order.intended.intent.qty}",
    )


def close(link: Link, closed: PositionClosed, held: Decimal, now_ns: int, seq: int) -> Signal | None:
    """Return the follower's exit, all of what it holds; ``None`` where it holds nothing.

    Parameters
    ----------
    seq
        Of the message that told the close. It is part of the signal's name: several rounds of a leader may be over in
        the same nanosecond, alike to the last digit, and each is a reason of its own to leave.
    """
    if not held:
        return None
    decided_ns = min(closed.closed_ns, now_ns)
    return Signal(
        id=f"{link.follower} copies {link.leader} close {closed.symbol} {closed.closed_ns} {seq}",
        bot=link.follower,
        symbol=closed.symbol,
        action=Action.EXIT_LONG if held > 0 else Action.EXIT_SHORT,
        origin=Origin.COPY,
        decided_ns=decided_ns,
        expires_ns=decided_ns + int(link.ttl_s * NS_PER_S),
        price=closed.exit_price,
        says=f"{link.leader} is flat: {closed.reason}",
    )
