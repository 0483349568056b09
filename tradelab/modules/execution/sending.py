"""Send orders, cancels and changes: each was kept before, each is sent once, each answer is said whatever it is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from tradelab.model.approval import DecidedOn, approve
from tradelab.model.errors import InvariantError, TradelabError
from tradelab.model.messages import (
    CancelIntended,
    ChangeIntended,
    Message,
    OrderAbandoned,
    OrderAccepted,
    OrderRefused,
    OrderReported,
    OrderUnknown,
    RequestAnswered,
)
from tradelab.model.orders import OrderRef
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown
from tradelab.model.units import NS_PER_S
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState

_NS_PER_MS = 1_000_000


class Sender:
    """Sends what the ledger says is meant.

    One request for each order at a time: the names of those under way are known, so that nobody takes an order that is
    on its way for one that was forgotten.
    """

    def __init__(self, desk: Desk, unwanted: Callable[[OrderState], bool]) -> None:
        self._desk = desk
        self._unwanted = unwanted  # whether an order is to be cancelled by now
        self._under_way: set[str] = set()

    def is_under_way(self, client_order_id: str) -> bool:
        """Whether a request for an order is out and has not been answered."""
        return client_order_id in self._under_way

    def begin(self, client_order_id: str) -> None:
        """Send an order that is kept as intended."""
        if client_order_id not in self._under_way:
            self._under_way.add(client_order_id)
            self._desk.tasks.begin(self._submit(client_order_id), f"order {client_order_id}")

    async def cancel(self, meant: CancelIntended) -> Outcome:
        """Send a cancel that is kept, say how it was answered, and return that."""
        venue = self._desk.venue(meant.account)
        return await self._request(meant.account, meant.ref, lambda: venue.cancel(meant.ref), "cancel")

    def begin_cancel(self, meant: CancelIntended) -> None:
        """Send a cancel of an order that is none of ours, once."""
        self._desk.tasks.begin(self.cancel(meant), f"cancel {meant.ref.venue_order_id}")

    def begin_change(self, meant: ChangeIntended) -> None:
        """Send a change that is kept."""
        venue = self._desk.venue(meant.account)
        levels = {"qty": meant.qty, "price": meant.price, "stop_price": meant.stop_price}
        work = self._request(meant.account, meant.ref, lambda: venue.modify(meant.ref, **levels), "change")
        self._desk.tasks.begin(work, f"change {meant.ref.client_order_id or meant.ref.venue_order_id}")

    async def _submit(self, name: str) -> None:
        try:
            order = self._desk.ledger.order(name)
            if order is None:
                raise InvariantError(f"order {name!r} was about to be sent, and was never intended.")
            if order.phase is not Phase.INTENDED:
                return  # the first request for it has come through after all
            if self._unwanted(order):
                gone = {"account": order.intended.account, "client_order_id": name}
                self._desk.bus.say(OrderAbandoned(**gone, says="it was to be cancelled before it was sent"))
                return
            outcome = await self._outcome(order)
            for message in self._answers(name, outcome):
                self._desk.bus.say(message)
        finally:
            self._under_way.discard(name)

    async def _outcome(self, order: OrderState) -> Outcome:
        meant = order.intended
        instrument = self._desk.snapshot().instruments.get((meant.account, meant.intent.symbol))
        if instrument is None:
            return Refused(RefusalCode.UNKNOWN_SYMBOL, f"{meant.intent.symbol} is not listed by {meant.account}")
        now_ns = self._desk.clock.now_ns()
        fresh_s, leased_s = (meant.fresh_until_ns - now_ns) / NS_PER_S, self._desk.permit.left_s(meant.account)
        if fresh_s <= 0:
            return Refused(RefusalCode.STALE_INPUT, "nothing was sent: it was kept too long ago")
        if leased_s <= 0:
            return Refused(RefusalCode.NOT_SENT, "nothing was sent: this engine's lease is nearly over")
        left_s = min(fresh_s, leased_s)
        approved = approve(
            meant.intent,
            instrument,
            reference_price=meant.reference_price,
            by=meant.approved_by,
            at_ns=now_ns,
            decided_on=(DecidedOn(what="order", ts_ns=now_ns, max_age_s=left_s),) if left_s < _LONG_S else (),
        )
        if isinstance(approved, Refused):
            return approved
        return await _asked(lambda: self._desk.venue(meant.account).submit(approved), "the order")

    def _answers(self, name: str, outcome: Outcome) -> list[Message]:
        order = self._desk.ledger.order(name)
        assert order is not None, "it was sent"
        account = order.intended.account
        if isinstance(outcome, Accepted):
            told: list[Message] = [
                OrderAccepted(account=account, client_order_id=name, venue_order_id=outcome.venue_order_id)
            ]
            if outcome.order is not None:
                told.append(OrderReported(account=account, order=outcome.order))
            return told
        if isinstance(outcome, Refused):
            refused = OrderRefused(
                account=account,
                client_order_id=name,
                code=outcome.code,
                says=outcome.says,
                retry_after_s=outcome.retry_after_s,
            )
            return [refused]
        return [
            OrderUnknown(
                account=account,
                client_order_id=name,
                says=outcome.says,
                request_ends_ns=self.request_ends_ns(account),
            )
        ]

    def request_ends_ns(self, account: str) -> int | None:
        """Return from when on a request that has left by now cannot arrive; ``None`` where they do not expire."""
        life_ms = self._desk.venue(account).capabilities.request_life_ms
        return None if life_ms is None else self._desk.clock.now_ns() + life_ms * _NS_PER_MS

    async def _request(
        self, account: str, ref: OrderRef, ask: Callable[[], Coroutine[Any, Any, Outcome]], what: str
    ) -> Outcome:
        outcome = await _asked(ask, f"the {what}")
        code = outcome.code if isinstance(outcome, Refused) else None
        says = "" if isinstance(outcome, Accepted) else outcome.says
        known = not isinstance(outcome, Unknown)
        self._desk.bus.say(RequestAnswered(account=account, ref=ref, known=known, code=code, says=says))
        if isinstance(outcome, Accepted) and outcome.order is not None:
            self._desk.bus.say(OrderReported(account=account, order=outcome.order))
        return outcome


_LONG_S = 10 * 365 * 86_400.0  # longer than this is for ever, and needs no age limit


async def _asked(ask: Callable[[], Coroutine[Any, Any, Outcome]], what: str) -> Outcome:
    """Return the outcome; a failure on the way says nothing about what the venue has."""
    try:
        return await ask()
    except InvariantError:
        raise
    except TradelabError as error:
        return Unknown(f"{what} was sent, or not, and then: {error}")
    except Exception as error:  # noqa: BLE001 (whatever a venue's client raises, the order may be there)
        return Unknown(f"{what} was sent, or not, and then {type(error).__name__}")
