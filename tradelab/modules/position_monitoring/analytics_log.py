"""Take out of the journal what trading is judged by: rounds, equity, slippage, latency; a fold like all else."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradelab.model.messages import (
    AccountReported,
    OrderAccepted,
    OrderIntended,
    PositionClosed,
    Recorded,
    TradeExecuted,
)

_NS_PER_MS = 1_000_000
_BPS = 10_000


@dataclass(frozen=True, slots=True)
class Slip:
    """One fill against the price that its order was weighed by: basis points, above zero is worse than it."""

    account: str
    bot: str | None
    symbol: str
    ts_ns: int
    value: Decimal
    bps: Decimal


@dataclass(frozen=True, slots=True)
class Wait:
    """How long an order was under way: from the intent that was kept to the venue's yes."""

    account: str
    bot: str | None
    symbol: str
    ts_ns: int
    ms: float


@dataclass(frozen=True, slots=True)
class Worth:
    """What an account was worth, as its venue said."""

    account: str
    ts_ns: int
    equity: Decimal


class TradeLog:
    """What was traded, in the order in which it came to be known."""

    def __init__(self) -> None:
        self.rounds: list[PositionClosed] = []
        self.slips: list[Slip] = []
        self.waits: list[Wait] = []
        self.worth: list[Worth] = []
        self._meant: dict[str, tuple[OrderIntended, int]] = {}
        self._unanswered: set[str] = set()

    def remember(self, recorded: Recorded[Any]) -> None:
        """Take in one message."""
        it = recorded.message
        if isinstance(it, OrderIntended):
            self._meant[it.intent.client_order_id] = (it, recorded.ts_init_ns)
            self._unanswered.add(it.intent.client_order_id)
        elif isinstance(it, OrderAccepted):
            self._accepted(it.client_order_id, recorded.ts_init_ns)
        elif isinstance(it, TradeExecuted):
            self._filled(it)
        elif isinstance(it, PositionClosed):
            self.rounds.append(it)
        elif isinstance(it, AccountReported) and it.info.equity is not None:
            self.worth.append(Worth(it.account, it.info.ts_ns, it.info.equity))

    def _accepted(self, name: str, at_ns: int) -> None:
        if name in self._unanswered:
            self._unanswered.discard(name)
            meant, since_ns = self._meant[name]
            wait = (at_ns - since_ns) / _NS_PER_MS
            self.waits.append(Wait(meant.account, meant.bot, meant.intent.symbol, at_ns, wait))

    def _filled(self, it: TradeExecuted) -> None:
        fill = it.fill
        meant = self._meant.get(fill.client_order_id or "")
        if meant is None:
            return
        reference = meant[0].reference_price
        bps = fill.side.sign * (fill.price - reference) / reference * _BPS
        self.slips.append(Slip(it.account, it.bot, fill.symbol, fill.ts_ns, fill.qty * fill.price, bps))
