"""Take out of the journal what trading is judged by, day by day; a fold like all else, and one that says nothing."""

from __future__ import annotations

from collections import defaultdict, deque
from decimal import Decimal
from typing import Any

from tradelab.model.messages import (
    AccountReported,
    ChangeIntended,
    DataReceived,
    ExitsArmed,
    InstrumentListed,
    OrderAccepted,
    OrderIntended,
    PositionAdjusted,
    PositionClosed,
    Recorded,
    RequestAnswered,
    SignalRaised,
    TradeExecuted,
)
from tradelab.model.orders import OrderIntent, OrderType, TimeInForce
from tradelab.model.outcome import RefusalCode
from tradelab.modules.position_monitoring.days import Apart, Cell, Days, Ended, Facts, day_of
from tradelab.modules.position_monitoring.drift import Drift, Drifts
from tradelab.spine.snapshot import PositionKey

KINDS = (
    AccountReported, ChangeIntended, DataReceived, ExitsArmed, InstrumentListed, OrderAccepted, OrderIntended,
    PositionAdjusted, PositionClosed, RequestAnswered, SignalRaised, TradeExecuted,
)  # fmt: skip
_NS_PER_MS = 1_000_000
_NEWEST = 16  # rounds of a position that a fill which comes late may still tell anew


class TradeLog:
    """What was traded, by day."""

    def __init__(self) -> None:
        self.days = Days()
        self.drifts = Drifts()
        self.seq = 0  # of the message that was taken in last
        self._meant: dict[str, tuple[OrderIntended, int]] = {}
        self._unanswered: set[str] = set()
        self._levels: dict[str, Decimal] = {}  # of orders that were moved in place: what they wait for now
        self._before: dict[str, Decimal | None] = {}  # and what for, where nobody has answered yet
        self._currencies: dict[tuple[str, str], str] = {}
        self._sizes: dict[tuple[str, str], Any] = {}
        self._ended: defaultdict[PositionKey, deque[tuple[Cell, Ended]]] = defaultdict(lambda: deque(maxlen=_NEWEST))

    def remember(self, recorded: Recorded[Any]) -> tuple[Drift, ...]:
        """Take in one message, and return the trades that were compared with their shadows because of it."""
        it, self.seq = recorded.message, recorded.seq
        if isinstance(it, InstrumentListed):
            self._currencies[it.account, it.instrument.symbol] = it.instrument.quote
            self._sizes[it.account, it.instrument.symbol] = it.instrument.contract_size
        elif isinstance(it, OrderIntended):
            self._meant[it.intent.client_order_id] = (it, recorded.ts_init_ns)
            self._unanswered.add(it.intent.client_order_id)
        elif isinstance(it, OrderAccepted):
            self._accepted(it.client_order_id, recorded.ts_init_ns)
        elif isinstance(it, ChangeIntended):
            self._moved(it)
        elif isinstance(it, RequestAnswered):
            self._answered(it)
        elif isinstance(it, TradeExecuted):
            self._filled(it)
        elif isinstance(it, PositionClosed):
            self._closed(it)
        elif isinstance(it, AccountReported) and it.info.equity is not None:
            day = day_of(recorded.ts_init_ns)
            self.days.equity(day, it.account, it.info.equity, it.info.currency)
        return self._compared(recorded)

    def _facts(self, ts_ns: int, key: PositionKey) -> tuple[Cell, Facts]:
        cell = Cell(day_of(ts_ns), *key)
        return cell, self.days.cell(cell, self._currencies.get((key.account, key.symbol)))

    def _accepted(self, name: str, at_ns: int) -> None:
        if name in self._unanswered:
            self._unanswered.discard(name)
            meant, since_ns = self._meant[name]
            _, facts = self._facts(at_ns, PositionKey(meant.account, meant.bot, meant.intent.symbol))
            facts.waits_ms.append((at_ns - since_ns) / _NS_PER_MS)

    def _filled(self, it: TradeExecuted) -> None:
        fill = it.fill
        meant = self._meant.get(fill.client_order_id or "")
        if meant is None:
            return
        _, facts = self._facts(fill.ts_ns, PositionKey(it.account, it.bot, fill.symbol))
        units = fill.qty * self._sizes.get((it.account, fill.symbol), 1)
        price = self._due_price(meant[0])
        facts.slip_value += units * price
        facts.slip_cost += units * fill.side.sign * (fill.price - price)

    def _due_price(self, meant: OrderIntended) -> Decimal:
        """Return the price that an order is measured by: what it waited for, as it was moved last, or the market's.

        A stop that rested for a day has not slipped by what the market did in that day.
        """
        moved = self._levels.get(meant.intent.client_order_id)
        return due_price(meant.intent, meant.reference_price) if moved is None else moved

    def _moved(self, it: ChangeIntended) -> None:
        name, level = it.ref.client_order_id or "", it.price if it.stop_price is None else it.stop_price
        if level is not None and name in self._meant:
            self._before.setdefault(name, self._levels.get(name))
            self._levels[name] = level

    def _answered(self, it: RequestAnswered) -> None:
        """Take back a level that the venue has refused."""
        name = it.ref.client_order_id or ""
        before = self._before.pop(name, None)
        if it.known and it.code not in (None, RefusalCode.NO_CHANGE) and name in self._levels:
            self._levels.pop(name)
            if before is not None:
                self._levels[name] = before

    def _closed(self, it: PositionClosed) -> None:
        """Count a round; one that a late fill has changed is told anew, and takes the place of what it was."""
        key = PositionKey(it.account, it.bot, it.symbol)
        ended = Ended(it.opened_ns, it.closed_ns, it.realized_pnl, it.r_multiple, it.fees)
        known = self._ended[key]
        for cell, other in list(known):
            if other.opened_ns < it.closed_ns and it.opened_ns < other.closed_ns:
                self.days.cell(cell, None).rounds.remove(other)
                known.remove((cell, other))
        cell, facts = self._facts(it.closed_ns, key)
        facts.rounds.append(ended)
        known.append((cell, ended))

    def _compared(self, recorded: Recorded[Any]) -> tuple[Drift, ...]:
        drifts = self.drifts
        told, untold = len(drifts.found), len(drifts.untold)
        drifts.remember(recorded)
        for drift in drifts.found[told:]:
            _, facts = self._facts(drift.closed_ns, drift.key)
            facts.apart.append(Apart(drift.closed_ns, drift.money, drift.value))
        for key, closed_ns, why in drifts.untold[untold:]:
            _, facts = self._facts(closed_ns, key)
            facts.not_compared[why] = facts.not_compared.get(why, 0) + 1
        return tuple(drifts.found[told:])


def due_price(intent: OrderIntent, market: Decimal) -> Decimal:
    """Return the price that an order has without slippage: its trigger, its limit if that rests, else the market's.

    >>> from tradelab.model.orders import Side
    >>> def sell(kind, **prices):
    ...     return OrderIntent(client_order_id="x", symbol="X", side=Side.SELL, type=kind, qty=Decimal(1), **prices)
    >>> due_price(sell(OrderType.STOP, stop_price=Decimal(98)), Decimal(100))
    Decimal('98')
    >>> [due_price(sell(OrderType.LIMIT, price=Decimal(price)), Decimal(100)) for price in (104, 97)]
    [Decimal('104'), Decimal('100')]
    """
    if intent.stop_price is not None and intent.type.needs_stop_price:
        return intent.stop_price
    at_once = intent.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    if intent.type is not OrderType.LIMIT or intent.price is None or at_once:
        return market
    return min(intent.price, market) if intent.side.sign > 0 else max(intent.price, market)
