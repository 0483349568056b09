"""Show what is true at one moment; nothing of it changes after, whoever holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from tradelab.model.account import AccountInfo
from tradelab.model.instrument import Instrument
from tradelab.model.messages import OrderIntended
from tradelab.model.orders import Order, OrderRef
from tradelab.model.outcome import RefusalCode
from tradelab.model.plain import Plain
from tradelab.model.signal import DropCode, Signal
from tradelab.model.states import BotStatus, TradingState
from tradelab.model.units import Timeframe
from tradelab.spine.order_life import Phase
from tradelab.spine.positions import Round


class PositionKey(NamedTuple):
    """Whose, where and in what; ``bot`` is ``None`` for what nobody of ours has bought."""

    account: str
    bot: str | None
    symbol: str


@dataclass(frozen=True, slots=True, repr=False)
class OrderState(Plain):
    """One of our orders: what was meant, where it is, and what the venue said of it last.

    ``filled_qty`` is what its booked fills come to; ``asked_ns`` when it was last sent, ``request_ends_ns`` from when
    on (the venue's time) that request cannot arrive any more, where it is known.
    """

    intended: OrderIntended
    phase: Phase
    asked_ns: int
    venue_order_id: str | None = None
    told: Order | None = None
    filled_qty: Decimal = Decimal(0)
    request_ends_ns: int | None = None
    refused: RefusalCode | None = None
    retry_ns: int | None = None
    cancelling: bool = False

    @property
    def client_order_id(self) -> str:
        """Its name."""
        return self.intended.intent.client_order_id

    @property
    def ref(self) -> OrderRef:
        """Its names."""
        intent = self.intended.intent
        return OrderRef(
            symbol=intent.symbol, client_order_id=intent.client_order_id, venue_order_id=self.venue_order_id
        )

    @property
    def may_come(self) -> bool:
        """Whether it is certainly not at the venue, and may be sent once more."""
        if self.phase is Phase.ABSENT:
            return True
        return self.phase is Phase.REFUSED and self.refused is not None and self.refused.may_pass_later

    @property
    def is_owed(self) -> bool:
        """Whether the venue has told of more filled than it has told fills of."""
        return self.told is not None and self.told.filled_qty > self.filled_qty

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is expected of it: it is over, and all that it filled is booked."""
        if self.phase is Phase.CLOSED:
            return not self.is_owed
        if self.phase is Phase.REFUSED:
            return self.refused is not None and not self.refused.may_pass_later
        return self.phase is Phase.ABANDONED

    @property
    def leaves_qty(self) -> Decimal:
        """What it may still trade, as far as we know; never below what it may."""
        if not self.phase.may_trade:
            return Decimal(0)
        qty = self.intended.intent.qty if self.told is None else self.told.qty
        return max(qty - self.filled_qty, Decimal(0))


@dataclass(frozen=True, slots=True, repr=False)
class SignalState(Plain):
    """A signal and what became of it: ``dropped`` by a gate, or the order that it led to.

    Of an entry that was let pass, ``plan`` is its exit plan as text, ``source`` and ``timeframe`` are its bot's bars.
    """

    signal: Signal
    dropped: DropCode | None = None
    client_order_id: str | None = None
    plan: str | None = None
    source: str | None = None
    timeframe: Timeframe | None = None

    @property
    def is_pending(self) -> bool:
        """Whether the gates have not decided yet."""
        return self.dropped is None and self.client_order_id is None


@dataclass(frozen=True, slots=True, repr=False)
class AccountState(Plain):
    """An account: what the venue told last, and whether we agree with it.

    ``reconciling`` while the two are compared, and from a start or a lost connection until they have been.
    """

    info: AccountInfo | None = None
    told_ns: int | None = None
    reconciling: bool = True
    reconciled_ns: int | None = None
    since_ns: int | None = None  # when it was first looked at: fills before that are none of ours
    last_fill_ns: int | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot(Plain):
    """All that is true after message ``seq``.

    ``orders``, ``signals``, ``commands`` and ``closed_rounds`` hold everything that is not settled, and the newest 256
    of what is; the ledger knows older ones by their name.
    """

    seq: int
    ts_ns: int
    orders: Mapping[str, OrderState]
    foreign_orders: Mapping[tuple[str, str], Order]  # open ones of an account that are none of ours, by venue id
    positions: Mapping[PositionKey, Round]
    closed_rounds: Mapping[PositionKey, tuple[Round, ...]]
    signals: Mapping[str, SignalState]
    accounts: Mapping[str, AccountState]
    instruments: Mapping[tuple[str, str], Instrument]
    states: Mapping[str, TradingState]
    bots: Mapping[str, BotStatus]
    commands: Mapping[str, tuple[bool, str] | None]

    def state(self, *scopes: str) -> TradingState:
        """Return the strictest of the node's state and those of ``scopes``."""
        order = (TradingState.HALTED, TradingState.REDUCING)
        found = {self.states.get(scope, TradingState.ACTIVE) for scope in ("node", *scopes)}
        return next((each for each in order if each in found), TradingState.ACTIVE)

    def open_orders(self, account: str, symbol: str | None = None, bot: str | None = None) -> tuple[OrderState, ...]:
        """Return our orders of an account that may still trade."""
        return tuple(
            order
            for order in self.orders.values()
            if order.phase.may_trade
            and order.intended.account == account
            and symbol in (None, order.intended.intent.symbol)
            and bot in (None, order.intended.bot)
        )

    def held(self, account: str, symbol: str) -> Decimal:
        """Return what all of ours, and nobody's, come to in an instrument, signed."""
        return sum(
            (held.qty for key, held in self.positions.items() if key.account == account and key.symbol == symbol),
            Decimal(0),
        )
