"""Declare what a venue can do, so that what it lacks is known before it is asked."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tradelab.model.account import PositionMode
from tradelab.model.orders import OrderIntent, OrderType, TimeInForce
from tradelab.model.outcome import RefusalCode, Refused
from tradelab.model.units import Timeframe


class Stream(enum.Enum):
    """What a venue pushes."""

    CANDLES = "candles"
    QUOTES = "quotes"
    ORDERS = "orders"
    FILLS = "fills"
    BALANCES = "balances"


class Evidence(enum.Enum):
    """How far an adapter has been proved; shown wherever the adapter is."""

    REHEARSED = "rehearsed"  # against a local venue of its dialect, held to recorded payloads
    PAYLOAD_TESTED = "payload-tested"  # recorded payloads of the real venue are read rightly
    SIMULATOR_ONLY = "tested against our own simulator only"  # no recorded payload could be had
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCapabilities:
    """What a data provider offers; ``page_bars`` is the most bars of one answer.

    ``marks_closed`` says that its streams pass on the venue's own word that a bar is closed. Where they do not, the
    mark is a guess by the clock, which a delayed frame makes wrong, and feeds ask by REST how the bar ended.
    """

    timeframes: tuple[Timeframe, ...]
    page_bars: int
    marks_closed: bool = False
    ticks: bool = False
    streams: frozenset[Stream] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadMan:
    """A countdown at the venue that takes back what would open positions, and spares what protects them.

    ``shortest_s`` and ``longest_s`` bound the countdown; between two requests to begin it anew lie at least
    ``least_gap_s``.
    """

    shortest_s: int
    longest_s: int
    least_gap_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueCapabilities:
    """What an execution venue offers.

    Parameters
    ----------
    order_types, times_in_force
        What :meth:`~tradelab.model.ports.ExecutionVenue.submit` takes.
    attached_protection_types
        The order types that may carry ``stop_loss`` and ``take_profit``.
    reduce_only
        Whether an order may be bound to close only.
    position_mode
        How what was bought is held.
    limit_may_take
        Whether a limit beyond the market trades at once; else it is refused, as MetaTrader does it.
    modify
        Fields of an open order that can be changed in place: of ``qty``, ``price``, ``stop_price``.
    modify_stops
        The same of an order that waits for its trigger; ``None`` where it is no other.
    modify_protection
        Whether the stop loss and take profit of a position can be set.
    query_by_client_id
        Whether an order can be asked for by our own id: without it nothing is exactly once.
    cancel_all
        Whether one request cancels everything (else they are cancelled one by one).
    in_process
        Whether it lives in this process: what it tells cannot be lost on the way, and need not be asked for again.
    request_life_ms
        How long after its time stamp the venue may still take a request; ``None`` where requests do not expire. An
        order that was not found may still arrive until then.
    dead_man
        Its dead-man's switch; ``None`` also where the venue has one that would cancel protective stops, or does not
        say that it would not.
    """

    order_types: frozenset[OrderType]
    times_in_force: frozenset[TimeInForce]
    position_mode: PositionMode
    limit_may_take: bool = True
    attached_protection_types: frozenset[OrderType] = frozenset()
    reduce_only: bool = False
    modify: frozenset[str] = frozenset()
    modify_stops: frozenset[str] | None = None
    modify_protection: bool = False
    query_by_client_id: bool = False
    cancel_all: bool = False
    streams: frozenset[Stream] = frozenset()
    in_process: bool = False
    request_life_ms: int | None = None
    dead_man: DeadMan | None = None
    evidence: Evidence = Evidence.UNVERIFIED

    def modifies(self, kind: OrderType) -> frozenset[str]:
        """Return which fields of an open order of a kind can be changed in place."""
        is_other = self.modify_stops is not None and kind.needs_stop_price
        return self.modify_stops or frozenset() if is_other else self.modify

    @property
    def attached_protection(self) -> bool:
        """Whether any entry may carry its stop loss and take profit."""
        return bool(self.attached_protection_types)

    def lacks(self, intent: OrderIntent) -> Refused | None:
        """Return what of an order this venue does not offer, or ``None``; asked before any byte is sent."""
        protected = intent.stop_loss is not None or intent.take_profit is not None
        checks = (
            (intent.type in self.order_types, f"{intent.type.value} orders"),
            (intent.time_in_force in self.times_in_force, f"time in force {intent.time_in_force.value}"),
            (not protected or intent.type in self.attached_protection_types, f"SL/TP on {intent.type.value} orders"),
            (not intent.reduce_only or self.reduce_only, "reduce-only orders"),
            (intent.position_id is None or self.position_mode is PositionMode.HEDGING, "positions with an id"),
        )
        missing = [what for offered, what in checks if not offered]
        if not missing:
            return None
        return Refused(RefusalCode.NOT_SUPPORTED, f"this venue does not offer {', '.join(missing)}")
