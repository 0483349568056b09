"""Compare an account with its venue: orders, fills, positions, money; take over what differs, and say it.

Nothing new is sent to an account from a start, or a lost connection, until this has been done. Done twice, the second
time says nothing.
"""

from __future__ import annotations

import asyncio

from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.messages import OrderVanished, PositionAdjusted, ReconcileBegan, ReconcileEnded
from tradelab.model.orders import Order
from tradelab.modules.execution.booking import Booker, fills_since_ns
from tradelab.modules.execution.rules import adjustments
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState

_READS = 5  # how often positions are read again because something filled meanwhile
_LONGEST_PAUSE_S = 10.0


class Reconciler:
    """Compares one account with its venue."""

    def __init__(self, desk: Desk, account: str, booker: Booker) -> None:
        self._desk = desk
        self._account = account
        self._venue = desk.venue(account)
        self._booker = booker
        self._alone = asyncio.Lock()

    def begin(self, says: str) -> None:
        """Shut the account until it has been compared."""
        self._desk.bus.say(ReconcileBegan(account=self._account, says=says))

    async def until_done(self) -> None:
        """Compare until the venue has answered everything."""
        pause_s = 0.5
        while True:
            try:
                async with self._alone:
                    await self.compare()
            except ConnectivityError as error:
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                await self._desk.clock.sleep(max(pause_s, error.retry_after_s or 0.0))
            except RequestError as error:
                failed = (str(error),)
                self._desk.bus.say(ReconcileEnded(account=self._account, agreed=False, complete=False, findings=failed))
                raise
            else:
                return

    async def compare(self) -> tuple[str, ...]:
        """Compare once and take over what differs; return what was found, nothing if nothing was.

        Raises
        ------
        ConnectivityError, RequestError
            The venue did not answer everything: nothing is known to agree.
        """
        findings = await self._orders()
        findings += await self._fills_and_positions()
        state = self._desk.snapshot().accounts.get(self._account)
        if findings or state is None or state.reconciling:
            await self._booker.report_account()
            ended = ReconcileEnded(account=self._account, agreed=not findings, complete=True, findings=tuple(findings))
            self._desk.bus.say(ended)
        return tuple(findings)

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _orders(self) -> list[str]:
        ours_before = {each.client_order_id for each in self._ours()}  # an order sent after the list was made is no gap
        listed = await self._venue.open_orders()
        findings = []
        for order in listed:
            foreign = self._desk.ledger.order_of(self._account, order.client_order_id, order.venue_order_id) is None
            if self._booker.report(order) and foreign:
                findings.append(f"order {order.venue_order_id} in {order.symbol} is none of ours")
        there = {order.venue_order_id for order in listed}
        for key in list(self._desk.snapshot().foreign_orders):
            if key[0] == self._account and key[1] not in there:
                findings += await self._ended(self._desk.snapshot().foreign_orders[key])
        named = {order.client_order_id for order in listed}
        for ours in self._ours():
            is_listed = ours.venue_order_id in there or ours.client_order_id in named
            if not is_listed and ours.client_order_id in ours_before:
                findings += await self._gone(ours)
        return findings

    def _ours(self) -> tuple[OrderState, ...]:
        return tuple(o for o in self._desk.snapshot().open_orders(self._account) if o.phase is Phase.OPEN)

    async def _gone(self, order: OrderState) -> list[str]:
        """Ask for one of ours that the list of open orders lacks."""
        told = await self._venue.order(order.ref)
        if told is not None:
            return [f"order {order.client_order_id} is {told.status.value}"] if self._booker.report(told) else []
        self._desk.bus.say(OrderVanished(account=self._account, client_order_id=order.client_order_id))
        return [f"order {order.client_order_id} is known to the venue no more"]

    async def _ended(self, order: Order) -> list[str]:
        """Ask for a foreign one that the list lacks."""
        told = await self._venue.order(order.ref)
        if told is not None and self._booker.report(told):
            return [f"order {order.venue_order_id}, none of ours, is {told.status.value}"]
        return []

    # ── fills and positions ──────────────────────────────────────────────────────────────────────────────────────

    async def _fills_and_positions(self) -> list[str]:
        findings: list[str] = []
        for _ in range(_READS):
            booked = await self._book_fills()
            positions = await self._venue.positions()
            balances = (await self._venue.account_info()).balances
            late = await self._book_fills()
            findings += [f"fill {each} had not been booked" for each in (*booked, *late)]
            if not late:
                break
        else:
            raise ConnectivityError(f"{self._account} trades faster than it can be compared.")
        self._booker.list_symbols(tuple(sorted({position.symbol for position in positions})))
        snapshot = self._desk.snapshot()
        mine = {s: each for (account, s), each in snapshot.instruments.items() if account == self._account}
        for adjusted in adjustments(self._account, snapshot.positions, mine, positions, balances):
            self._desk.bus.say(adjusted)
            findings.append(_words(adjusted))
        return findings

    async def _book_fills(self) -> list[str]:
        fills = await self._venue.fills(fills_since_ns(self._desk, self._account))
        return [fill.trade_id for fill in fills if await self._booker.book(fill)]


def _words(adjusted: PositionAdjusted) -> str:
    whose = "nobody's" if adjusted.bot is None else f"{adjusted.bot}'s"
    return f"{whose} {adjusted.symbol} adjusted by {adjusted.qty}: {adjusted.says}"
