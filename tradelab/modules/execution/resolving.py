"""Find out what became of an order of which nobody knows: ask, and believe a no only when nothing can arrive any more.

An order that was found is told as it is. One that the venue does not have is absent only when it was asked for twice
after the last moment at which the request could have arrived, by the venue's own time.
"""

from __future__ import annotations

from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.messages import AlarmRaised, OrderAbsent, OrderAccepted, OrderReported
from tradelab.model.orders import Order
from tradelab.model.states import Severity
from tradelab.model.units import NS_PER_S
from tradelab.modules.execution.config import Config
from tradelab.modules.execution.sending import Sender
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState

_ALARM_S = 60.0  # after which a person should know
_NO_EXPIRY_S = 30.0  # where requests do not expire, how long one may still be on its way


class Resolver:
    """Follows each order whose fate is not known until it is."""

    def __init__(self, desk: Desk, config: Config, sender: Sender) -> None:
        self._desk = desk
        self._config = config
        self._sender = sender
        self._followed: set[str] = set()

    def follow(self, client_order_id: str) -> None:
        """Follow an order, if nobody does yet."""
        if client_order_id not in self._followed:
            self._followed.add(client_order_id)
            self._desk.tasks.begin(self._follow(client_order_id), f"look for {client_order_id}")

    async def _follow(self, name: str) -> None:
        try:
            await self._until_known(name)
        finally:
            self._followed.discard(name)

    async def _until_known(self, name: str) -> None:
        began_ns, told = self._desk.clock.now_ns(), False
        ends_ns: int | None = None
        absent_after_end = 0
        while (order := self._unknown(name)) is not None:
            if not told and self._desk.clock.now_ns() - began_ns > _ALARM_S * NS_PER_S:
                told = True
                self._alarm(order)
            try:
                now_ns, found = await self._look(order)
            except (ConnectivityError, RequestError):
                await self._desk.clock.sleep(self._config.look_s)
                continue
            if found is not None:
                self._found(order.intended.account, name, found)
                return
            if ends_ns is None:
                ends_ns = self._ends_ns(order, now_ns)
            if now_ns > ends_ns:
                absent_after_end += 1
                if absent_after_end == 2:
                    self._absent(name, now_ns)
                    return
            await self._desk.clock.sleep(self._config.look_s)

    async def _look(self, order: OrderState) -> tuple[int, Order | None]:
        """Ask for the venue's time, then for the order: a no is as old as that time at least."""
        venue = self._desk.venue(order.intended.account)
        now_ns = await venue.now_ns()
        return now_ns, await venue.order(order.ref)

    def _unknown(self, name: str) -> OrderState | None:
        """Return the order while its fate is not known, and no request of ours for it is out."""
        order = self._desk.ledger.order(name)
        if order is None or order.phase not in (Phase.UNKNOWN, Phase.INTENDED) or self._sender.is_under_way(name):
            return None
        return order

    def _ends_ns(self, order: OrderState, now_ns: int) -> int:
        """Return the venue's time from which on a request for it cannot arrive, some to spare.

        It had left before we first asked, at ``now_ns`` of the venue's own clock: what our clock says is not used.
        """
        life_ms = self._desk.venue(order.intended.account).capabilities.request_life_ms
        life_s = _NO_EXPIRY_S if life_ms is None else life_ms / 1_000
        return now_ns + int((life_s + self._config.margin_s) * NS_PER_S)

    def _absent(self, name: str, now_ns: int) -> None:
        order = self._unknown(name)
        if order is not None:  # still: it may have been told while we asked
            account = order.intended.account
            self._desk.bus.say(OrderAbsent(account=account, client_order_id=name, venue_time_ns=now_ns))

    def _alarm(self, order: OrderState) -> None:
        says = f"nobody knows for {_ALARM_S:.0f} s whether the venue has {order.client_order_id}; it is asked for"
        about = f"{order.intended.account} {order.intended.intent.symbol}"
        self._desk.bus.say(AlarmRaised(kind="order", about=about, severity=Severity.CRITICAL, says=says))

    def _found(self, account: str, name: str, found: Order) -> None:
        accepted = OrderAccepted(account=account, client_order_id=name, venue_order_id=found.venue_order_id)
        self._desk.bus.say(accepted)
        self._desk.bus.say(OrderReported(account=account, order=found))
