"""Make each order happen exactly once: keep the intent, send, hear the answer, ask where there is none, book fills."""

from __future__ import annotations

import asyncio
from typing import Any

from tradelab.model.errors import LeaseError
from tradelab.model.line import Line
from tradelab.model.messages import (
    AlarmRaised,
    CancelIntended,
    CancelWanted,
    ChangeIntended,
    ChangeWanted,
    Message,
    OrderAbandoned,
    OrderAbsent,
    OrderAccepted,
    OrderIntended,
    OrderRefused,
    OrderReported,
    OrderSentAgain,
    OrderUnknown,
    OrderVanished,
    OrderWanted,
    PositionAdjusted,
    Recorded,
    RiskCalculated,
    SignalDropped,
    TradeExecuted,
)
from tradelab.model.orders import OrderType
from tradelab.model.outcome import RefusalCode
from tradelab.model.signal import Drop, DropCode
from tradelab.model.states import BotStatus, Leg, Severity, TradingState
from tradelab.model.units import NS_PER_S
from tradelab.modules.execution.booking import Booker
from tradelab.modules.execution.cancelling import Canceller
from tradelab.modules.execution.config import Config
from tradelab.modules.execution.dead_man import DeadMan
from tradelab.modules.execution.flatten import Flattener
from tradelab.modules.execution.following import Follower, pause_s
from tradelab.modules.execution.reconcile import Reconciler
from tradelab.modules.execution.resolving import Resolver
from tradelab.modules.execution.room import MONITOR, Room
from tradelab.modules.execution.sending import Sender
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState, PositionKey

_OPEN_S = 0.2  # between two looks whether an account is open again
_MAKES_ROOM = (OrderReported, OrderRefused, OrderAbandoned, OrderVanished, TradeExecuted, PositionAdjusted)
_LOCKED = (RefusalCode.BALANCE, RefusalCode.REDUCE_ONLY)


class Stage:
    """The executor.

    What is to be sent is kept by the handlers, in the transaction of what it followed from, and sent after it. All that
    a start has to do is to look at the ledger: orders that were kept and have no answer are asked for.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.config = Config.model_validate(dict(desk.settings))
        self.bookers = {account: Booker(desk, self.config, account) for account in desk.venues}
        self.sender = Sender(desk, self._is_unwanted)
        self.canceller = Canceller(desk, self.config, self.sender, self.bookers)
        self.resolver = Resolver(desk, self.config, self.sender)
        self.reconcilers = {account: Reconciler(desk, account, booker) for account, booker in self.bookers.items()}
        self.followers = {
            account: Follower(desk, self.config, account, booker, self.reconcilers[account])
            for account, booker in self.bookers.items()
        }
        self.flattener = Flattener(desk, self.canceller.follows, self._compare_now)
        self._comparing: set[str] = set()
        self._dead_men = [
            DeadMan(desk, account, table.dead_man_s, self._compare_now)
            for account, table in desk.config.accounts.items()
            if table.dead_man_s is not None and account in desk.venues
        ]
        self._adjusted_ns: dict[tuple[str, str], int] = {}
        self.room = Room(desk, self.canceller, self._again_or_not, self._adjusted_ns)
        self._refusals: dict[str, int] = {}  # in a row: how long to wait is no matter of record
        bus = desk.bus
        bus.hear(RiskCalculated, self._passed)
        bus.hear(OrderWanted, self._wanted)
        bus.hear(CancelWanted, self._cancel_wanted)
        bus.hear(ChangeWanted, self._change_wanted)
        bus.hear(OrderUnknown, self._unknown)
        bus.hear(OrderRefused, self._refused)
        bus.hear(OrderAbsent, self._absent)
        bus.hear(OrderSentAgain, self._sent_again)
        bus.hear(OrderAccepted, self._accepted)
        bus.hear(OrderReported, self._reported)
        bus.hear(TradeExecuted, self._executed)
        for kind in _MAKES_ROOM:
            bus.hear(kind, self._makes_room)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def remember(self, recorded: Recorded[Any]) -> None:
        """Remember what was asked to be flattened and cancelled; everything else it needs stands in the ledger."""
        self.flattener.remember(recorded)
        self.canceller.remember(recorded)
        if isinstance(it := recorded.message, PositionAdjusted):
            self._adjusted_ns[it.account, it.symbol] = recorded.ts_event_ns

    async def start(self) -> None:
        """Compare every account with its venue, follow what the venues tell, and take up what was left open."""
        for account, reconciler in self.reconcilers.items():
            reconciler.begin("a start")
            await self.bookers[account].learn()
            self.bookers[account].list_symbols(self._desk.symbols(account))
        self.canceller.take_up()
        for order in self._desk.snapshot().orders.values():
            self._take_up(order)
        for follower in self.followers.values():
            follower.begin()
        for dead_man in self._dead_men:
            self._desk.tasks.begin(dead_man.run(), "dead-man's switch")
        self.flattener.take_up()

    async def stop(self) -> None:
        """End everything that runs; what was sent stays at the venue, and is known."""
        await self._desk.tasks.stop()
        await asyncio.gather(*(dead_man.disarm() for dead_man in self._dead_men))

    def lines(self) -> list[Line]:
        """Return how the streams of every account stand."""
        return [line for follower in self.followers.values() for line in follower.lines()]

    def _take_up(self, order: OrderState) -> None:
        """Go on with an order that was kept and has no answer."""
        if order.phase in (Phase.INTENDED, Phase.UNKNOWN):
            self.resolver.follow(order.client_order_id)
        elif order.phase is Phase.ABSENT:
            self._again_or_not(order)
        elif order.may_come:
            self._again_later(order)

    def _compare_now(self, account: str) -> None:
        async def work() -> None:
            try:
                await self.reconcilers[account].until_done()
            finally:
                self._comparing.discard(account)

        if account not in self._comparing:
            self._comparing.add(account)
            self._desk.tasks.begin(work(), f"compare {account}")

    # ── what is wanted ───────────────────────────────────────────────────────────────────────────────────────────

    def _passed(self, recorded: Recorded[RiskCalculated]) -> None:
        told = recorded.message
        if told.intent is None or isinstance(told.verdict, Drop) or told.reference_price is None:
            return
        state = self._desk.ledger.signal(told.signal_id)
        if state is None or self._desk.ledger.order(told.intent.client_order_id) is not None:
            return
        signal, bot = state.signal, self._desk.config.bot(told.bot)
        enters = signal.action.enters
        protects_ns = recorded.ts_init_ns + int(self.config.protects_for_s * NS_PER_S)
        meant = OrderIntended(
            account=bot.execution,
            bot=bot.name,
            signal_id=signal.id,
            leg=Leg.ENTRY if enters else Leg.EXIT,
            intent=told.intent,
            approved_by=self._gates(),
            reference_price=told.reference_price,
            fresh_until_ns=signal.expires_ns if enters else max(signal.expires_ns, protects_ns),
            fence=0,
        )
        if not enters and meant.intent.type is not OrderType.MARKET and (holders := self.room.holders(meant)):
            self._tell_locked(meant, holders)
        else:
            self._mean(meant, reduces=not enters)

    def _wanted(self, recorded: Recorded[OrderWanted]) -> None:
        it = recorded.message
        if self._desk.ledger.order(it.intent.client_order_id) is not None:
            return
        meant = OrderIntended(
            account=it.account,
            bot=it.bot,
            signal_id=it.signal_id,
            leg=it.leg,
            intent=it.intent,
            approved_by=(it.by,),
            reference_price=it.reference_price,
            fresh_until_ns=it.fresh_until_ns,
            fence=0,
            says=it.says,
        )
        self._mean(meant, reduces=it.leg is not Leg.HAND or it.intent.reduce_only)

    def _mean(self, meant: OrderIntended, *, reduces: bool) -> None:
        """Keep an intent under the lease of its account, and send it once it is kept."""
        try:
            fence = self._desk.permit.fence(meant.account, bot=meant.bot, reduces=reduces)
        except LeaseError as error:
            self._not_meant(meant, str(error))
            return
        name = meant.intent.client_order_id
        kept = {field: getattr(meant, field) for field in OrderIntended.__slots__} | {"fence": fence}
        self._desk.bus.say(OrderIntended(**kept))
        if self.room.is_short(meant):
            now_ns = self._desk.clock.now_ns()
            self._desk.bus.say(OrderAbsent(account=meant.account, client_order_id=name, venue_time_ns=now_ns))
        else:
            self._desk.bus.then(lambda: self.sender.begin(name))

    def _not_meant(self, meant: OrderIntended, says: str) -> None:
        self._drop(meant, DropCode.NO_LEASE, says)
        about = f"{meant.account} {meant.intent.symbol}"
        self._desk.bus.say(AlarmRaised(kind="lease", about=about, severity=Severity.CRITICAL, says=says))

    def _tell_locked(self, meant: OrderIntended, holders: list[OrderState]) -> None:
        """Refuse an exit that is to wait for its price, and would wait where the protective stop has to."""
        there = ", ".join(f"{each.intended.leg.value} {each.client_order_id}" for each in holders)
        says = (
            f"a {meant.intent.type.value} order to close {meant.intent.qty:f} {meant.intent.symbol} cannot rest beside"
            f" {there}: the venue sells each unit by one order only, and what protects the position stays."
            " Close at the market, or enter with a take profit: that is watched here, and makes the stop smaller"
            " when the price comes there"
        )
        self._drop(meant, DropCode.LOCKED, says)

    def _drop(self, meant: OrderIntended, code: DropCode, says: str) -> None:
        if meant.bot is not None:
            dropped = SignalDropped(bot=meant.bot, signal_id=meant.signal_id, by="execution", code=code, says=says)
            self._desk.bus.say(dropped)

    def _cancel_wanted(self, recorded: Recorded[CancelWanted]) -> None:
        it = recorded.message
        order = self._desk.ledger.order_of(it.account, it.ref.client_order_id, it.ref.venue_order_id or "")
        if order is None:
            foreign = CancelIntended(account=it.account, ref=it.ref, says=it.says)
            if self._may_ask(it.account, foreign):
                self._desk.bus.then(lambda: self.sender.begin_cancel(foreign))
            return
        name = order.client_order_id
        if self.canceller.follows(name) or not (order.phase.may_trade or order.may_come):
            return
        meant = CancelIntended(account=it.account, ref=order.ref, says=it.says)
        if self._may_ask(it.account, meant):
            self._desk.bus.then(lambda: self.canceller.follow(name, meant))

    def _change_wanted(self, recorded: Recorded[ChangeWanted]) -> None:
        it = recorded.message
        order = self._desk.ledger.order_of(it.account, it.ref.client_order_id, it.ref.venue_order_id or "")
        if order is not None and not order.phase.may_trade:
            return
        meant = ChangeIntended(
            account=it.account,
            ref=it.ref if order is None else order.ref,
            qty=it.qty,
            price=it.price,
            stop_price=it.stop_price,
            says=it.says,
        )
        if self._may_ask(it.account, meant):
            self._desk.bus.then(lambda: self.sender.begin_change(meant))

    def _is_unwanted(self, order: OrderState) -> bool:
        """Whether an order that is kept must not be sent any more."""
        return self.canceller.wants(order.client_order_id) or self.flattener.forbids(order.intended)

    def _may_ask(self, account: str, meant: Message) -> bool:
        """Keep what is meant if the lease is held; what only takes away is stopped by nothing else."""
        try:
            self._desk.permit.fence(account, bot=None, reduces=True)
        except LeaseError as error:
            self._desk.bus.say(AlarmRaised(kind="lease", about=account, severity=Severity.CRITICAL, says=str(error)))
            return False
        self._desk.bus.say(meant)
        return True

    def _gates(self) -> tuple[str, ...]:
        on = self._desk.config.modules_on
        return tuple(name for name in ("filter_strategy", "ai_analysis", "risk_management") if name in on)

    # ── what became of it ────────────────────────────────────────────────────────────────────────────────────────

    def _unknown(self, recorded: Recorded[OrderUnknown]) -> None:
        name = recorded.message.client_order_id
        self._desk.bus.then(lambda: self.resolver.follow(name))

    def _refused(self, recorded: Recorded[OrderRefused]) -> None:
        it = recorded.message
        order = self._desk.ledger.order(it.client_order_id)
        if order is None or order.phase is not Phase.REFUSED:
            return
        if it.code.may_pass_later:
            self._again_later(order)
            return
        if not _reduces(order) or self._is_taken_up(order, it.code):
            return
        says = f"{order.intended.leg.value} order refused ({it.code.value}): {it.says}"
        about = f"{it.account} {order.intended.intent.symbol}"
        self._desk.bus.say(AlarmRaised(kind="order", about=about, severity=Severity.CRITICAL, says=says))

    def _is_taken_up(self, order: OrderState, code: RefusalCode) -> bool:
        """Whether who looks after positions leaves this one now: somebody had fewer free units than was known here."""
        meant = order.intended
        is_exit = meant.leg is Leg.EXIT and meant.intent.type is OrderType.MARKET and not meant.intent.reduce_only
        by_signal = MONITOR in self._desk.config.modules_on and MONITOR not in meant.approved_by
        return is_exit and by_signal and code in _LOCKED

    def _makes_room(self, _: Recorded[Any]) -> None:
        self.room.look()

    def _accepted(self, recorded: Recorded[OrderAccepted]) -> None:
        self._refusals.pop(recorded.message.client_order_id, None)

    def _reported(self, recorded: Recorded[OrderReported]) -> None:
        """Take back what is there after all, and was to be cancelled before."""
        it = recorded.message
        order = self._desk.ledger.order_of(it.account, it.order.client_order_id, it.order.venue_order_id)
        if order is None or order.phase is not Phase.OPEN:
            return
        name = order.client_order_id
        if self.canceller.wants(name) and not self.canceller.follows(name):
            self._desk.bus.then(lambda: self.canceller.follow(name))

    def _executed(self, recorded: Recorded[TradeExecuted]) -> None:
        """Compare at once where a fill comes after what it did was taken over: it is counted twice until then."""
        it = recorded.message
        if it.fill.ts_ns <= self._adjusted_ns.get((it.account, it.fill.symbol), -1):
            self._desk.bus.then(lambda: self._compare_now(it.account))

    def _absent(self, recorded: Recorded[OrderAbsent]) -> None:
        order = self._desk.ledger.order(recorded.message.client_order_id)
        if order is not None and order.phase is Phase.ABSENT:
            self._again_or_not(order)

    def _again_later(self, order: OrderState) -> None:
        """Wait as long as the venue asked, or twice as long each time, and send a refused order again."""
        name = order.client_order_id
        tries = self._refusals[name] = self._refusals.get(name, 0) + 1
        until_ns = self._desk.clock.now_ns() + int(pause_s(tries, self.config) * NS_PER_S)
        until_ns = max(order.retry_ns or 0, until_ns)
        if until_ns >= order.intended.fresh_until_ns:
            says = "it was refused for the moment, and the moment will last longer than it is good for"
            self._abandon(order, says)
            return

        async def wait() -> None:
            await self._desk.clock.sleep((until_ns - self._desk.clock.now_ns()) / NS_PER_S)
            now = self._desk.ledger.order(name)
            if now is not None and now.phase is Phase.REFUSED:
                self._again_or_not(now)

        self._desk.bus.then(lambda: _begin(self._desk, wait(), f"wait to send {name}"))

    def _again_or_not(self, order: OrderState) -> None:
        """Send an order that the venue certainly does not have once more, or give it up."""
        meant = order.intended
        state = self._desk.snapshot().state(f"account {meant.account}", f"bot {meant.bot}")
        if self._is_unwanted(order):
            self._abandon(order, "it was to be cancelled before it could be sent again")
        elif self._desk.clock.now_ns() >= meant.fresh_until_ns:
            self._abandon(order, "it is too old to be sent again")
        elif state is not TradingState.ACTIVE and not _reduces(order):
            self._abandon(order, f"trading is {state.value}")
        elif meant.leg is Leg.ENTRY and not self._runs(meant.bot):
            self._abandon(order, f"bot {meant.bot} is not running")
        elif self.room.is_short(meant):
            self.room.wait(order)
        elif _reduces(order) and not self._is_too_much(order):
            self._desk.bus.say(OrderSentAgain(account=meant.account, client_order_id=order.client_order_id))
        elif self._is_shut(meant.account):
            name = order.client_order_id
            self._desk.bus.then(lambda: _begin(self._desk, self._once_open(name), f"wait to send {name}"))
        elif _reduces(order):
            self._abandon(order, "less is held now than it would close")
        else:
            self._desk.bus.say(OrderSentAgain(account=meant.account, client_order_id=order.client_order_id))

    async def _once_open(self, name: str) -> None:
        """Decide once the account has been compared: until then nothing that takes on risk is sent."""
        while (order := self._desk.ledger.order(name)) is not None and order.may_come:
            if not self._is_shut(order.intended.account) or self._desk.clock.now_ns() >= order.intended.fresh_until_ns:
                self._again_or_not(order)
                return
            await self._desk.clock.sleep(_OPEN_S)

    def _abandon(self, order: OrderState, says: str) -> None:
        gone = OrderAbandoned(account=order.intended.account, client_order_id=order.client_order_id, says=says)
        self._desk.bus.say(gone)

    def _is_shut(self, account: str) -> bool:
        state = self._desk.snapshot().accounts.get(account)
        return state is None or state.reconciling

    def _runs(self, bot: str | None) -> bool:
        return bot is None or self._desk.snapshot().bots.get(bot, BotStatus.RUNNING) is BotStatus.RUNNING

    def _is_too_much(self, order: OrderState) -> bool:
        """Whether a venue that knows no reduce-only orders would let it close more than is held."""
        meant = order.intended
        if meant.intent.reduce_only or meant.intent.position_id is not None:
            return False
        held = self._desk.ledger.position(PositionKey(meant.account, meant.bot, meant.intent.symbol)).qty
        return meant.intent.qty > -held * meant.intent.side.sign

    def _sent_again(self, recorded: Recorded[OrderSentAgain]) -> None:
        it = recorded.message
        order = self._desk.ledger.order(it.client_order_id)
        if order is None or order.phase is not Phase.INTENDED:
            return
        try:
            self._desk.permit.fence(it.account, bot=order.intended.bot, reduces=_reduces(order))
        except LeaseError as error:
            self._abandon(order, str(error))
            return
        self._desk.bus.then(lambda: self.sender.begin(it.client_order_id))


def _reduces(order: OrderState) -> bool:
    return order.intended.leg is not Leg.ENTRY and (
        order.intended.leg is not Leg.HAND or order.intended.intent.reduce_only
    )


def _begin(desk: Desk, work: Any, name: str) -> None:
    desk.tasks.begin(work, name)
