"""Take orders back: what is to be cancelled is followed until it can trade no more, whatever becomes of the requests.

A cancel may be lost, refused for the moment, or come before the order that it means. It harms nothing when it comes
twice, so it is sent until the venue tells that the order is over; one that is not at the venue is not sent again.
"""

from __future__ import annotations

from typing import Any

from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.messages import AlarmRaised, CancelIntended, OrderAbandoned, Recorded
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused
from tradelab.model.states import Severity
from tradelab.modules.execution.booking import Booker
from tradelab.modules.execution.config import Config
from tradelab.modules.execution.sending import Sender
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState

_ANSWERED_S = 0.05  # how soon an order's own request is looked at again, while it is out
_OVER = (RefusalCode.ORDER_CLOSED, RefusalCode.ORDER_NOT_FOUND)


class Canceller:
    """Follows each order that is to be cancelled until it is over."""

    def __init__(self, desk: Desk, config: Config, sender: Sender, bookers: dict[str, Booker]) -> None:
        self._desk = desk
        self._config = config
        self._sender = sender
        self._bookers = bookers
        self._wanted: set[str] = set()
        self._followed: set[str] = set()
        self._alarmed: set[str] = set()

    def remember(self, recorded: Recorded[Any]) -> None:
        """Know which orders are to be cancelled: those of which a cancel was ever meant."""
        if isinstance(recorded.message, CancelIntended) and recorded.message.ref.client_order_id is not None:
            self._wanted.add(recorded.message.ref.client_order_id)

    def wants(self, client_order_id: str) -> bool:
        """Whether an order is to be cancelled, so that it must not be sent (again)."""
        return client_order_id in self._wanted

    def follows(self, client_order_id: str) -> bool:
        """Whether an order is being cancelled now."""
        return client_order_id in self._followed

    def take_up(self) -> None:
        """Go on with what was to be cancelled and was not when the engine ended."""
        for name in sorted(self._wanted):
            if self._alive(name) is None:
                self._wanted.discard(name)
            else:
                self.follow(name)

    def follow(self, client_order_id: str, first: CancelIntended | None = None) -> None:
        """Cancel an order and see to it until it is over; ``first`` is what is kept already, and not sent yet."""
        if client_order_id not in self._followed:
            self._followed.add(client_order_id)
            self._desk.tasks.begin(self._follow(client_order_id, first), f"cancel {client_order_id}")

    async def _follow(self, name: str, first: CancelIntended | None) -> None:
        try:
            await self._until_over(name, first)
        finally:
            self._followed.discard(name)

    async def _until_over(self, name: str, meant: CancelIntended | None) -> None:
        tries = 0
        while (order := self._alive(name)) is not None:
            if order.phase in (Phase.REFUSED, Phase.ABSENT):
                says = "it was to be cancelled before it could be sent again"
                account = order.intended.account
                self._desk.bus.say(OrderAbandoned(account=account, client_order_id=name, says=says))
                return
            if order.phase is not Phase.OPEN:  # its own request is out, or it is being looked for: a no proves nothing
                await self._desk.clock.sleep(_ANSWERED_S)
                continue
            if self._desk.permit.left_s(order.intended.account) <= 0:  # renewed soon, or this engine ends
                await self._desk.clock.sleep(self._config.look_s)
                continue
            if meant is None:
                meant = CancelIntended(account=order.intended.account, ref=order.ref, says="it is still there")
                self._desk.bus.say(meant)
            outcome = await self._sender.cancel(meant)
            meant, tries = None, tries + 1
            await self._desk.clock.sleep(self._pause_s(outcome, tries))
            await self._ask(name)
            self._tell(order, outcome)

    def _alive(self, name: str) -> OrderState | None:
        """Return the order while it may trade, or may be sent again."""
        order = self._desk.ledger.order(name)
        return order if order is not None and (order.phase.may_trade or order.may_come) else None

    def _pause_s(self, outcome: Outcome, tries: int) -> float:
        if isinstance(outcome, Accepted) or (isinstance(outcome, Refused) and outcome.code in _OVER and tries == 1):
            return 0.0 if tries == 1 else self._config.look_s
        grown_s = min(self._config.look_s * 2.0 ** (tries - 1), self._config.longest_pause_s)
        return max(grown_s, outcome.retry_after_s or 0.0) if isinstance(outcome, Refused) else self._config.look_s

    async def _ask(self, name: str) -> None:
        """Let the venue tell what the order is now, unless its stream has."""
        order = self._alive(name)
        if order is None or order.phase is not Phase.OPEN:
            return
        try:
            told = await self._desk.venue(order.intended.account).order(order.ref)
        except (ConnectivityError, RequestError):
            return
        if told is not None:
            self._bookers[order.intended.account].report(told)

    def _tell(self, order: OrderState, outcome: Outcome) -> None:
        """Raise an alarm, once, where the venue will not cancel."""
        if not isinstance(outcome, Refused) or outcome.code in _OVER or outcome.code.may_pass_later:
            return
        if self._alive(order.client_order_id) is None or order.client_order_id in self._alarmed:
            return
        self._alarmed.add(order.client_order_id)
        says = f"the venue will not cancel {order.client_order_id} ({outcome.code.value}): {outcome.says}"
        about = f"{order.intended.account} {order.intended.intent.symbol}"
        self._desk.bus.say(AlarmRaised(kind="order", about=about, severity=Severity.CRITICAL, says=says))
