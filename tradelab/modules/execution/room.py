"""Let an exit leave once what rests and holds the very units is gone: the stop first, and the exit the moment after.

A spot venue sells nothing that an order holds, and where orders are not bound to close only two of them could sell
twice. So an exit of a signal that finds a stop in its way is kept and not sent, which the journal tells as of any order
that the venue certainly does not have. It is sent when the journal tells that there is room: a process that is killed
in between knows from it that nothing had left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from tradelab.model.messages import AlarmRaised, CancelWanted, OrderIntended
from tradelab.model.orders import OrderType
from tradelab.model.states import Leg, Severity
from tradelab.model.units import NS_PER_S
from tradelab.modules.execution.cancelling import Canceller
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState, PositionKey

MONITOR = "position_monitoring"
_ZERO = Decimal(0)
_LOOK_S = 0.5  # beside every message that may make room
_ALARM_S = 10.0  # after which a person should know


class Room:
    """Knows which exits wait for room, and looks whether there is some.

    Parameters
    ----------
    again
        Decides about an order that waited: sends it, gives it up, or lets it wait once more.
    adjusted_ns
        When a position was last taken over from the venue, by account and symbol: fills of before never come.
    """

    def __init__(
        self,
        desk: Desk,
        canceller: Canceller,
        again: Callable[[OrderState], None],
        adjusted_ns: dict[tuple[str, str], int],
    ) -> None:
        self._desk = desk
        self._canceller = canceller
        self._again = again
        self._adjusted_ns = adjusted_ns
        self._is_monitored = MONITOR in desk.config.modules_on
        self._waiting: set[str] = set()

    def is_short(self, meant: OrderIntended) -> bool:
        """Whether a signal's exit at the market has to wait, for others may sell so much of what is held.

        Who looks after positions has counted before it wished.
        """
        if meant.leg is not Leg.EXIT or meant.intent.type is not OrderType.MARKET or MONITOR in meant.approved_by:
            return False
        return bool(self.holders(meant))

    def holders(self, meant: OrderIntended) -> list[OrderState]:
        """Return what leaves too little for an order that closes; nothing where it is bound to close only."""
        if meant.intent.reduce_only or meant.intent.position_id is not None:
            return []
        found = [(order, taken) for order in self._others(meant) if (taken := self._taken(order, meant)) > 0]
        held = abs(self._desk.ledger.position(_key(meant)).qty)
        known = self._desk.ledger.order(meant.intent.client_order_id)
        needed = meant.intent.qty - (_ZERO if known is None else known.filled_qty)
        left = held - sum((taken for _, taken in found), _ZERO)
        return [order for order, _ in found] if left < needed else []

    def wait(self, order: OrderState) -> None:
        """Let an order wait for room, and take back what nobody else takes back."""
        name = order.client_order_id
        if name in self._waiting:
            return
        self._waiting.add(name)
        for other in self.holders(order.intended):
            it = other.intended
            is_theirs = self._is_monitored and it.leg in (Leg.STOP, Leg.TARGET)  # made smaller there, or cancelled
            is_going = it.intent.type is OrderType.MARKET or self._canceller.wants(other.client_order_id)
            if not (is_theirs or is_going):
                self._desk.bus.say(CancelWanted(account=it.account, ref=other.ref, says="it holds what is to be sold"))
        self._desk.bus.then(lambda: self._begin(name))

    def look(self) -> None:
        """Take up every order that has room by now, or is not to be sent any more."""
        for name in sorted(self._waiting):
            order = self._desk.ledger.order(name)
            if order is None or not order.may_come:
                self._waiting.discard(name)
            elif self._is_over(order) or not self.is_short(order.intended):
                self._waiting.discard(name)
                self._again(order)

    def _begin(self, name: str) -> None:
        self._desk.tasks.begin(self._watch(name), f"wait for room for {name}")

    async def _watch(self, name: str) -> None:
        began_ns, told = self._desk.clock.now_ns(), False
        while name in self._waiting:
            await self._desk.clock.sleep(_LOOK_S)
            self.look()
            if name in self._waiting and not told and self._desk.clock.now_ns() - began_ns > _ALARM_S * NS_PER_S:
                told = True
                self._alarm(name)

    def _alarm(self, name: str) -> None:
        order = self._desk.ledger.order(name)
        assert order is not None, "it waits"
        there = ", ".join(each.client_order_id for each in self.holders(order.intended))
        says = f"exit {name} waits for {_ALARM_S:.0f} s: {there} still holds what it is to sell, and is being cancelled"
        about = f"{order.intended.account} {order.intended.intent.symbol}"
        self._desk.bus.say(AlarmRaised(kind="order", about=about, severity=Severity.CRITICAL, says=says))

    def _is_over(self, order: OrderState) -> bool:
        is_old = self._desk.clock.now_ns() >= order.intended.fresh_until_ns
        return is_old or self._canceller.wants(order.client_order_id)

    def _others(self, meant: OrderIntended) -> Iterator[OrderState]:
        for order in self._desk.snapshot().orders.values():
            it = order.intended
            is_other = it.intent.client_order_id != meant.intent.client_order_id and it.leg is not Leg.ENTRY
            if is_other and _key(it) == _key(meant) and it.intent.side is meant.intent.side:
                yield order

    def _taken(self, order: OrderState, meant: OrderIntended) -> Decimal:
        """What an order may still sell; of one that is over, what it has sold and nobody has booked."""
        if order.phase.may_trade:
            return order.leaves_qty
        known = self._desk.ledger.order(meant.intent.client_order_id)
        if order.may_come:  # of two that wait the older one goes first
            is_younger = known is not None and (known.asked_ns, known.client_order_id) < (
                order.asked_ns, order.client_order_id
            )  # fmt: skip
            return _ZERO if is_younger else order.intended.intent.qty - order.filled_qty
        if order.phase is Phase.CLOSED and order.told is not None and order.is_owed:
            it = order.intended
            is_settled = self._adjusted_ns.get((it.account, it.intent.symbol), -1) >= order.asked_ns
            return _ZERO if is_settled else order.told.filled_qty - order.filled_qty
        return _ZERO


def _key(meant: OrderIntended) -> PositionKey:
    return PositionKey(meant.account, meant.bot, meant.intent.symbol)
