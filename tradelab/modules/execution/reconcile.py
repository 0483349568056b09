"""Compare an account with its venue: orders, fills, positions, money; take over what differs, and say it.

Nothing new is sent to an account from a start, or a lost connection, until this has been done. Done twice, the second
time says nothing.
"""

from __future__ import annotations

import asyncio

from tradelab.model.account import PositionMode
from tradelab.model.errors import ConnectivityError, RequestError, VenueError
from tradelab.model.messages import AlarmRaised, OrderVanished, PositionAdjusted, ReconcileBegan, ReconcileEnded
from tradelab.model.orders import Order
from tradelab.model.states import Severity
from tradelab.model.units import NS_PER_S
from tradelab.modules.execution.booking import Booker, fills_since_ns
from tradelab.modules.execution.rules import adjustments
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState

_READS = 20  # how often positions are read again because something filled meanwhile
_CONFIRM_S = 1.0  # between two reads that must say the same before anything is taken over or given up
_OWED_READS = 5  # how many reads a fill is waited for that an order tells of and the venue does not list yet
_LONGEST_PAUSE_S = 10.0
_ALARM_S = 30.0  # of silence, after which a person should know


class Reconciler:
    """Compares one account with its venue."""

    def __init__(self, desk: Desk, account: str, booker: Booker) -> None:
        self._desk = desk
        self._account = account
        self._venue = desk.venue(account)
        self._booker = booker
        self._alone = asyncio.Lock()
        self._failed_ns: int | None = None  # since when the venue does not answer
        self._alarmed = ""

    def begin(self, says: str) -> None:
        """Shut the account until it has been compared."""
        self._desk.bus.say(ReconcileBegan(account=self._account, says=says))

    async def until_done(self) -> None:
        """Compare until the venue has answered everything; what it does not answer keeps the account shut."""
        pause_s = 0.5
        while True:
            try:
                async with self._alone:
                    await self.compare()
            except VenueError as error:
                self._failed(error)
                longest_s = 3 * _LONGEST_PAUSE_S if isinstance(error, RequestError) else _LONGEST_PAUSE_S
                pause_s = longest_s if isinstance(error, RequestError) else min(2 * pause_s, longest_s)
                asked_s = error.retry_after_s if isinstance(error, ConnectivityError) else None
                await self._desk.clock.sleep(max(pause_s, asked_s or 0.0))
            else:
                self._answered()
                return

    def _failed(self, error: VenueError) -> None:
        """Shut the account, say why, and raise an alarm: at once where the venue refuses, else after a while."""
        now_ns = self._desk.clock.now_ns()
        if self._failed_ns is None:
            self._failed_ns = now_ns
            state = self._desk.snapshot().accounts.get(self._account)
            if state is None or not state.reconciling:
                self.begin("the venue does not answer")
        refused = isinstance(error, RequestError)
        if self._alarmed or not (refused or now_ns - self._failed_ns >= _ALARM_S * NS_PER_S):
            return
        self._alarmed = str(error)
        ended = ReconcileEnded(account=self._account, agreed=False, complete=False, findings=(self._alarmed,))
        self._desk.bus.say(ended)
        self._alarm(f"it cannot be compared, and nothing new is sent: {self._alarmed}", Severity.CRITICAL)

    def _answered(self) -> None:
        if self._alarmed:
            self._alarm("it answers again, and was compared", Severity.INFO)
        self._failed_ns, self._alarmed = None, ""

    def _alarm(self, says: str, severity: Severity) -> None:
        self._desk.bus.say(AlarmRaised(kind="venue", about=self._account, severity=severity, says=says))

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
            known = self._desk.ledger.order_of(self._account, order.client_order_id, order.venue_order_id)
            is_new = (self._account, order.venue_order_id) not in self._desk.snapshot().foreign_orders
            if self._booker.report(order) and known is None and is_new:
                findings.append(f"order {order.venue_order_id} in {order.symbol} is none of ours")
        there = {order.venue_order_id for order in listed}
        for key in list(self._desk.snapshot().foreign_orders):
            if key[0] == self._account and key[1] not in there:
                findings += await self._ended(self._desk.snapshot().foreign_orders[key])
        named = {order.client_order_id for order in listed}
        for ours in self._ours():
            is_listed = ours.venue_order_id in there or ours.client_order_id in named
            if not is_listed and ours.client_order_id in ours_before:
                findings += await self._gone(ours.client_order_id)
        return findings

    def _ours(self) -> tuple[OrderState, ...]:
        return tuple(o for o in self._desk.snapshot().open_orders(self._account) if o.phase is Phase.OPEN)

    async def _gone(self, name: str) -> list[str]:
        """Ask for one of ours that the list of open orders lacks; twice, before it is believed to be nowhere."""
        for n in range(2):
            order = next((each for each in self._ours() if each.client_order_id == name), None)
            if order is None:
                return []  # its stream has told meanwhile
            told = await self._venue.order(order.ref)
            if told is not None:
                return [f"order {name} is {told.status.value}"] if self._booker.report(told) else []
            if n == 0:
                await self._desk.clock.sleep(_CONFIRM_S)
        self._desk.bus.say(OrderVanished(account=self._account, client_order_id=name))
        return [f"order {name} is known to the venue no more"]

    async def _ended(self, order: Order) -> list[str]:
        """Ask for a foreign one that the list lacks."""
        told = await self._venue.order(order.ref)
        if told is not None and self._booker.report(told):
            return [f"order {order.venue_order_id}, none of ours, is {told.status.value}"]
        return []

    # ── fills and positions ──────────────────────────────────────────────────────────────────────────────────────

    async def _fills_and_positions(self) -> list[str]:
        """Book what has filled, and take over what still differs after a second look.

        Lists of fills may be behind positions by a moment. What is taken over too early would be counted twice when its
        fill comes, so a difference must stand in two reads with no fill between them, and longer where an order tells
        that a fill is still to come.
        """
        findings: list[str] = []
        before: list[PositionAdjusted] = []
        for n in range(_READS):
            positions = await self._venue.positions()
            balances = (await self._venue.account_info()).balances
            booked = await self._book_fills()  # after them: what they hold has filled before it is asked for
            findings += [f"fill {each} had not been booked" for each in booked]
            held = {position.symbol for position in positions}
            await self._booker.learn_missing(held)
            self._booker.list_symbols(tuple(sorted(held)))
            snapshot = self._desk.snapshot()
            instruments = snapshot.instruments.items()
            mine = {s: i for (account, s), i in instruments if account == self._account and self._booker.lists(s)}
            has_positions = self._venue.capabilities.position_mode is not PositionMode.NONE
            found = adjustments(
                self._account, snapshot.positions, mine, positions, balances, has_positions=has_positions
            )
            if not found:
                return findings
            is_same = found == before and not booked
            if is_same and not (n < _OWED_READS and self._is_owed({each.symbol for each in found})):
                for adjusted in found:
                    self._desk.bus.say(adjusted)
                return findings + [_words(adjusted) for adjusted in found]
            before = found
            await self._desk.clock.sleep(_CONFIRM_S)
        raise ConnectivityError(f"{self._account} trades faster than it can be compared.")

    def _is_owed(self, symbols: set[str]) -> bool:
        """Whether an order in one of these has filled more, as the venue tells it, than its fills come to."""
        return any(
            order.is_owed
            for order in self._desk.snapshot().orders.values()
            if order.intended.account == self._account and order.intended.intent.symbol in symbols
        )

    async def _book_fills(self) -> list[str]:
        fills = await self._venue.fills(fills_since_ns(self._desk, self._account))
        return [fill.trade_id for fill in fills if await self._booker.book(fill)]


def _words(adjusted: PositionAdjusted) -> str:
    whose = "nobody's" if adjusted.bot is None else f"{adjusted.bot}'s"
    return f"{whose} {adjusted.symbol} adjusted by {adjusted.qty}: {adjusted.says}"
