"""Show how positions are kept, for who looks from outside: levels, R, excursions, protection, times without it."""

from __future__ import annotations

import math
from collections import deque
from decimal import Decimal
from typing import Any

from tradelab.model.messages import PositionClosed
from tradelab.model.states import Protection
from tradelab.modules.position_monitoring.exposure import Exposure, spread
from tradelab.modules.position_monitoring.held import Held
from tradelab.spine.positions import Round
from tradelab.spine.snapshot import PositionKey

_NEWEST = 256


def position(held: Held, exposure: Exposure, price: Decimal | None, now_ns: int) -> dict[str, Any]:
    """Return what is known of an open position beside its fills; ``None`` where nothing is.

    Parameters
    ----------
    price
        What it could be left at now. ``r`` is its profit there after fees over what its first stop risked; ``mfe`` and
        ``mae`` are the best and the worst it stood at when a bar closed behind it, and ``unprotected_ms`` is for how
        long nothing has stopped it now, though its plan has a stop; ``None`` while something does.
    """
    levels, risked = held.levels(), held.risked()
    pnl = held.round.pnl(price) if price is not None else None
    return {
        "stop_price": None if levels is None else _level(levels.stop),
        "target_price": None if levels is None or not levels.targets else _level(levels.targets[0][0]),
        "r": None if pnl is None or risked is None else pnl / risked,
        "mfe": held.mfe,
        "mae": held.mae,
        "protection": None if held.protection is None else held.protection.value,
        "unprotected_ms": exposure.exposed_for_ms(held.key, now_ns) if held.protection is Protection.NONE else None,
    }


def protection(exposure: Exposure) -> dict[str, Any]:
    """Return how long positions stood with nothing to stop them, and until their venue showed their stop."""
    bare, shown = spread(exposure.unprotected_ms), spread(exposure.unconfirmed_ms)
    return {
        "unprotected": {"count": bare.count, "p50_ms": bare.p50, "p99_ms": bare.p99, "longest_ms": bare.longest},
        "unconfirmed": {"count": shown.count, "p50_ms": shown.p50, "p99_ms": shown.p99, "longest_ms": shown.longest},
    }


class Closings:
    """The newest rounds that are over, as they were told; a fold."""

    def __init__(self) -> None:
        self._newest: deque[PositionClosed] = deque(maxlen=_NEWEST)

    def remember(self, message: Any) -> None:
        """Take in a message."""
        if isinstance(message, PositionClosed):
            self._newest.append(message)

    def of(self, key: PositionKey, one: Round) -> dict[str, Any]:
        """Return why a round was left, its R and its excursions; ``None`` each where it is not among the newest.

        Several may have closed in the same nanosecond: a round is told from others by its times and its prices.
        """
        wanted = (*key, one.updated_ns, one.entered, one.entry_price, one.exit_price)
        for told in reversed(self._newest):
            is_then = one.opened_ns in (None, told.opened_ns)
            found = (told.account, told.bot, told.symbol, told.closed_ns, abs(told.qty), told.entry_price)
            if is_then and (*found, told.exit_price) == wanted:
                return {"reason": told.reason, "r": told.r_multiple, "mfe": told.mfe, "mae": told.mae}
        return dict.fromkeys(("reason", "r", "mfe", "mae"))


def _level(price: float) -> Decimal | None:
    return None if math.isnan(price) else Decimal(repr(price))
