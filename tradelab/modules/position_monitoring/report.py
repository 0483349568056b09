"""Tell how a position stands: what it is now, and what it came to."""

from __future__ import annotations

import math
from decimal import Decimal

from tradelab.model.messages import PositionClosed, PositionModified
from tradelab.modules.position_monitoring.held import Closing, Held
from tradelab.spine.snapshot import PositionKey


def modified(held: Held) -> PositionModified | None:
    """Return what to tell of an open position; ``None`` when it is flat, or stands as it was told last."""
    if not held.direction:
        return None
    levels, before = held.levels(), held.told
    stop = None if levels is None else _level(levels.stop)
    target = None if levels is None or not levels.targets else _level(levels.targets[0][0])
    now = (held.round.qty, held.round.entry_price, stop, target)
    if before is not None and now == (before.qty, before.avg_price, before.stop_price, before.target_price):
        return None
    account, bot, symbol = held.key
    qty, avg, *_ = now
    return PositionModified(
        account=account, bot=bot, symbol=symbol, qty=qty, avg_price=avg, stop_price=stop, target_price=target,
        says=_what_changed(held, before, levels.stop_reason if levels else ""),
    )  # fmt: skip


def closed(key: PositionKey, closing: Closing, closed_ns: int) -> PositionClosed:
    """Return what to tell of a round that is over; R and excursions are signed as they fell."""
    it = closing.round
    pnl = it.pnl()
    r = None if pnl is None or closing.risked is None else pnl / closing.risked
    return PositionClosed(
        account=key.account,
        bot=key.bot,
        symbol=key.symbol,
        opened_ns=it.opened_ns if it.opened_ns is not None else closed_ns,
        closed_ns=it.updated_ns if it.updated_ns is not None else closed_ns,
        qty=closing.direction * it.entered,
        entry_price=it.entry_price,
        exit_price=it.exit_price,
        realized_pnl=pnl,
        fees=it.fees,
        reason=closing.reason,
        r_multiple=r,
        mfe=closing.mfe,
        mae=closing.mae,
    )


def _level(price: float) -> Decimal | None:
    return None if math.isnan(price) else Decimal(repr(price))


def _what_changed(held: Held, before: PositionModified | None, reason: str) -> str:
    if before is None:
        return "opened"
    if abs(held.round.qty) > abs(before.qty):
        return "grew"
    if abs(held.round.qty) < abs(before.qty):
        return "shrank"
    return f"exits moved: {reason}" if reason else "exits moved"
