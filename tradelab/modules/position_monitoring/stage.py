"""Keep every position protected, and tell how it stands: after each message that matters, and at each look at quotes.

What it knows is a fold of the journal (``fold``); what it wants is a function of that and of the ledger (``tend``). It
sends nothing: it says wishes, which the executor takes up in the same transaction.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.engine.indicators import atr
from tradelab.model import messages as said
from tradelab.model.market import Quote
from tradelab.model.messages import OrderWanted, Recorded
from tradelab.model.states import Protection, Severity
from tradelab.model.units import NS_PER_S, Timeframe
from tradelab.modules.position_monitoring.analytics import Figures, figures
from tradelab.modules.position_monitoring.aside import Aside
from tradelab.modules.position_monitoring.config import Config
from tradelab.modules.position_monitoring.days import day_of
from tradelab.modules.position_monitoring.fold import Positions
from tradelab.modules.position_monitoring.held import Closing, Held
from tradelab.modules.position_monitoring.manifest import MANIFEST
from tradelab.modules.position_monitoring.measure import measured
from tradelab.modules.position_monitoring.near import nearness
from tradelab.modules.position_monitoring.report import closed, modified
from tradelab.modules.position_monitoring.shown import Closings, position, protection
from tradelab.modules.position_monitoring.tend import Scene, look, passes_stop
from tradelab.modules.position_monitoring.wishes import Wish
from tradelab.spine.desk import Desk
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState, PositionKey

_MAY_MEASURE = (said.TradeExecuted, said.PositionAdjusted, said.DataReceived)


class Stage:
    """The module as it lives in a node."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.config = Config.model_validate(dict(desk.settings))
        self.positions = Positions(desk.config, self.config)
        self.trades = Aside(desk.log)
        self.closings = Closings()
        # of this moment only; a start begins without them, and wishes anew under the same names
        self._waiting: dict[str, tuple[OrderWanted, int]] = {}
        self._asked: dict[str, tuple[said.CancelWanted | said.ChangeWanted, int]] = {}
        self._passed: dict[PositionKey, int] = {}
        self._tending: set[PositionKey] = set()
        self._again: set[PositionKey] = set()
        for kind in MANIFEST.hears:
            desk.bus.hear(kind, self._heard)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def remember(self, recorded: Recorded[Any]) -> None:
        """Take in one message of the journal."""
        self.positions.remember(recorded)
        self.trades.remember(recorded)
        self.closings.remember(recorded.message)
        it = recorded.message
        if isinstance(it, said.OrderIntended):
            self._waiting.pop(it.intent.client_order_id, None)
        elif isinstance(it, said.CancelIntended | said.ChangeIntended):
            self._asked.pop(it.ref.client_order_id or "", None)

    async def start(self) -> None:
        """Look after what is held, and go on watching."""
        self.trades.drifts()  # those of before this start have been told of
        if any(held.preset and held.preset.exits.in_atr for held in self.positions.held.values()):
            self._warm_up()
        self._desk.tasks.begin(self._watch(), "quotes of open positions")
        for timeframe in self._sessions():
            self._desk.tasks.begin(self._ring(timeframe), f"ends of sessions in bars of {timeframe.alias}")

    def _warm_up(self) -> None:
        """Compile what the first fill would have to wait for."""
        import numpy as np

        atr(np.ones(3), np.ones(3), np.ones(3), 2)

    async def stop(self) -> None:
        """End watching; what rests at the venues stays there."""
        await self._desk.tasks.stop()

    async def _watch(self) -> None:
        while True:
            self.look()
            await self._desk.clock.sleep(self.config.look_every_s)

    def _sessions(self) -> set[Timeframe]:
        """Bars of bots whose positions do not outlast a session: those to come, and those that are held."""
        config = self._desk.config
        to_come = {bot.timeframe for bot in config.bots if config.presets[bot.preset].exits.session_close}
        plans = ((held.bot, held.plan) for held in self.positions.held.values())
        return to_come | {bot.timeframe for bot, plan in plans if bot and plan and plan.session_close}

    async def _ring(self, timeframe: Timeframe) -> None:
        """Look shortly before each bar closes, however seldom the quotes are looked at."""
        lead_ns = int(self.config.session_lead_s * NS_PER_S)
        while True:
            now_ns = self._desk.clock.now_ns()
            bell_ns = timeframe.next_open(timeframe.floor(now_ns + lead_ns)) - lead_ns
            await self._desk.clock.sleep((bell_ns - now_ns) / NS_PER_S)
            self.look()

    def look(self) -> None:
        """Look at every position by the newest quotes, once; then there is time to count."""
        for held in self.positions.open():
            self._tend(held)
            self._alert(held)
        self._alarm_drift()

    def shown(self, key: PositionKey, price: Decimal | None) -> dict[str, Any]:
        """Return what is known of a position that could be left at ``price``; nothing of one that it does not have."""
        held = self.positions.held.get(key)
        return {} if held is None else position(held, self.positions.exposure, price, self._desk.clock.now_ns())

    def protection(self) -> dict[str, Any]:
        """Return how long positions stood with nothing to stop them, and until their venue showed their stop."""
        return protection(self.positions.exposure)

    def today(self) -> tuple[Figures, ...]:
        """Return how each bot's trading went today, UTC."""
        today = self.trades.catch_up().days.only(day_of(self._desk.clock.now_ns()))
        return figures(today, by="bot")

    # ── after each message ───────────────────────────────────────────────────────────────────────────────────────

    def _heard(self, recorded: Recorded[Any]) -> None:
        for held, closing in self.positions.closings:
            self._say_closed(held, closing, recorded)
        for held in self.positions.changed:
            fresh = held.needs_arming and isinstance(recorded.message, _MAY_MEASURE)
            if not (fresh and self._measure(held)):  # else it is looked at when that is heard
                self._tend(held)

    def _say_closed(self, held: Held, closing: Closing, recorded: Recorded[Any]) -> None:
        self._passed.pop(held.key, None)
        self._desk.bus.say(closed(held.key, closing, recorded.ts_event_ns))

    def _measure(self, held: Held) -> bool:
        decided = self._desk.ledger.signal(held.signal_id)
        plan = None if decided is None else decided.plan
        it = measured(held, self.positions.signal(held.signal_id), self._desk.market, self.config, plan)
        if it is not None:
            self._desk.bus.say(it)
            return True
        says = "its exits cannot be measured: no price of its entry, or no ATR of its bars"
        self._alarm("unarmed", held.key, Severity.CRITICAL, says)
        return False

    # ── one position ─────────────────────────────────────────────────────────────────────────────────────────────

    def _tend(self, held: Held) -> None:
        """Say what it needs. What that leads to at once is looked at when all of it is said."""
        if held.key in self._tending:
            self._again.add(held.key)
            return
        self._tending.add(held.key)
        try:
            self._say_needs(held)
        finally:
            self._tending.discard(held.key)
        if held.key in self._again:
            self._again.discard(held.key)
            self._tend(held)

    def _say_needs(self, held: Held) -> None:
        if not held.is_ours:
            self._tell_nobodys(held)
            return
        now_ns = self._desk.clock.now_ns()
        scene = self._scene(held, now_ns)
        needs = look(held, scene)
        if (told := modified(held)) is not None:
            held.told = told  # said, and not to be said again by who looks before it is heard
            self._desk.bus.say(told)
        if self.positions.agrees(held.key.account):
            for wish in needs.wishes:
                self._wish(wish, now_ns)
        if needs.protection is not None and needs.protection is not held.protection:
            account, bot, symbol = held.key
            self._desk.bus.say(
                said.ProtectionChanged(account=account, bot=bot or "", symbol=symbol, by=needs.protection)
            )
            held.protection = needs.protection  # said, and not to be said again by who looks before it is heard
        self._alarm_exposed(held, needs.protection, now_ns)

    def _wish(self, wish: Wish, now_ns: int) -> None:
        if isinstance(wish, OrderWanted):
            self._waiting[wish.intent.client_order_id] = (wish, now_ns)
        else:
            self._asked[wish.ref.client_order_id or ""] = (wish, now_ns)
        self._desk.bus.say(wish)

    def _scene(self, held: Held, now_ns: int) -> Scene:
        quote = self._quote(held, now_ns)
        if passes_stop(held, quote):
            self._passed.setdefault(held.key, now_ns)
        elif quote is not None:
            self._passed.pop(held.key, None)
        waiting = self._still_waiting(held, now_ns)
        entry = None if held.entry is None else self._desk.ledger.order(held.entry.order or "")
        return Scene(
            now_ns=now_ns,
            offers=self._desk.venue(held.key.account).capabilities,
            orders=self._orders(held),
            entry=entry,
            waiting=waiting,
            asked={name: wish for name, (wish, _) in self._asked.items()},
            quote=quote,
            passed_since_ns=self._passed.get(held.key),
            leaves_alone=self.positions.is_flattened(held),
            settings=self.config,
        )

    def _orders(self, held: Held) -> dict[str, OrderState]:
        found = {}
        for name in list(held.orders):
            state = self._desk.ledger.order(name)
            if state is None or _is_done(state):
                self.positions.forget_order(held, name)
            else:
                found[name] = state
        return found

    def _still_waiting(self, held: Held, now_ns: int) -> tuple[OrderWanted, ...]:
        for wishes in (self._waiting, self._asked):
            for name, (_, at_ns) in list(wishes.items()):
                if now_ns - at_ns >= self.config.retry_s * NS_PER_S:
                    del wishes[name]
        account, bot, symbol = held.key
        return tuple(
            wish
            for wish, _ in self._waiting.values()
            if (wish.account, wish.bot, wish.intent.symbol) == (account, bot, symbol)
        )

    def _quote(self, held: Held, now_ns: int) -> Quote | None:
        """The newest quote that is young enough and not crossed, of the account or of where its bars come from."""
        account, _, symbol = held.key
        quotes = self._desk.market.quotes
        seen = quotes.get((account, symbol)) or (quotes.get((held.bot.source, symbol)) if held.bot else None)
        if seen is None or now_ns - seen.seen_ns > self.config.max_quote_age_s * NS_PER_S or seen.quote.spread < 0:
            return None
        return seen.quote

    # ── what a person is told ────────────────────────────────────────────────────────────────────────────────────

    def _alert(self, held: Held) -> None:
        levels = held.levels()
        quote = self._quote(held, self._desk.clock.now_ns())
        if levels is None or quote is None:
            return
        for kind, says in nearness(levels, held.direction, quote, self.config):
            self._alarm(kind, held.key, Severity.INFO, says)

    def _alarm_exposed(self, held: Held, protection: Protection | None, now_ns: int) -> None:
        exposed_ms = self.positions.exposure.exposed_for_ms(held.key, now_ns)
        if protection is Protection.NONE and exposed_ms > self.config.max_unprotected_ms:
            says = f"nothing has stopped it for {exposed_ms / 1000:.1f} s: no stop stands, and no quote is fresh"
            self._alarm("unprotected", held.key, Severity.CRITICAL, says)

    def _alarm_drift(self) -> None:
        for drift in self.trades.drifts():
            if drift.bps > Decimal(repr(self.config.drift_alarm_bps)):
                says = (
                    f"its last trade came out {drift.bps:.1f} bp of what was entered worse than the backtest's"
                    f" arithmetic: {drift.entry_bps:.1f} bp going in, {drift.exit_bps:.1f} bp coming out"
                )
                self._alarm("drift", drift.key, Severity.WARNING, says)

    def _tell_nobodys(self, held: Held) -> None:
        if held.direction and held.key.bot is not None:
            says = f"bot {held.key.bot!r} holds {held.round.qty} of it and is not in this node: nobody protects it"
            self._alarm("nobodys", held.key, Severity.CRITICAL, says)

    def _alarm(self, kind: str, key: PositionKey, severity: Severity, says: str) -> None:
        about = " ".join(filter(None, key))
        now_ns = self._desk.clock.now_ns()
        if self.positions.alarms.may(kind, about, now_ns, every_s=self.config.alarm_every_s):
            self.positions.alarms.raised(kind, about, now_ns)
            self._desk.bus.say(said.AlarmRaised(kind=kind, about=about, severity=severity, says=says))


def _is_done(order: OrderState) -> bool:
    """Whether nothing can come of an order any more, and all that it filled is booked."""
    if order.phase is Phase.ABANDONED:
        return True
    if order.phase is Phase.REFUSED:
        return order.refused is not None and not order.refused.may_pass_later
    return order.phase is Phase.CLOSED and (
        order.told is None or order.told.filled_qty <= max(order.filled_qty, Decimal(0))
    )
