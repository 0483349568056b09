"""Answer each signal that the judges let pass with an order or a reason, and halt the account whose guard trips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
from pydantic import ValidationError

from tradelab.catalog.sessions import FX, calendar_of, sessions_of
from tradelab.model.errors import ConfigError, MissingExtraError
from tradelab.model.instrument import Calendar, Instrument
from tradelab.model.messages import AccountReported, AlarmRaised, Recorded, RiskCalculated, TradingStateChanged
from tradelab.model.orders import OrderIntent
from tradelab.model.plan_words import written_plan
from tradelab.model.signal import DropCode, Signal
from tradelab.model.states import Severity, TradingState
from tradelab.modules.risk_management.config import Config
from tradelab.modules.risk_management.exposure import orders_of
from tradelab.modules.risk_management.guards import breaches, strictest
from tradelab.modules.risk_management.memory import Memory
from tradelab.modules.risk_management.rules import decide
from tradelab.modules.risk_management.scene import Promised, Scene, order_name
from tradelab.spine.desk import Desk
from tradelab.spine.persons import is_person
from tradelab.spine.snapshot import PositionKey
from tradelab.spine.view import View

NAME = "risk_management"


class Stage:
    """Risk management as it lives in a node.

    The node calls :meth:`calculate` with what the judges let pass, and says what it answers.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.config = _config(desk.settings)
        bots = desk.config.bots
        self._modules = frozenset(desk.config.modules_on) | {NAME}
        self.memory = Memory(self.config, self._modules)
        limits = defaultdict(list)
        symbols: defaultdict[str, set[str]] = defaultdict(set)
        for bot in bots:
            limits[bot.execution].append(desk.config.presets[bot.preset].limits)
            symbols[bot.execution].update(bot.symbols)
        self.guards: Mapping[str, Mapping[DropCode, Decimal]] = {a: strictest(each) for a, each in limits.items()}
        self._symbols = {account: frozenset(each) for account, each in symbols.items()}
        desk.bus.hear(AccountReported, self._reported)
        desk.bus.hear(TradingStateChanged, self._changed)

    def remember(self, recorded: Recorded[Any]) -> None:
        """Take in one message."""
        self.memory.fold(recorded)

    async def start(self) -> None:
        """Look at every guard once: its limit may be another than when the engine ended."""
        for account in self.guards:
            self._guard(account)

    async def stop(self) -> None:
        """End nothing: nothing was begun."""

    def calculate(self, signal: Signal, factor: Decimal, view: View) -> RiskCalculated:
        """Return the order that a signal comes to, or why it comes to none.

        Parameters
        ----------
        factor
            What the gates before have cut the size to, above 0 up to 1; an exit is not cut.
        """
        decision = decide(self._scene(signal, factor, view))
        if decision.intent is not None and decision.reference_price is not None:
            enters, price = signal.action.enters, decision.reference_price
            self.memory.promise(Promised(view.account, signal.bot, signal.id, decision.intent, enters, price))
            self._desk.bus.then(lambda: self.memory.forget(signal.id))
        return RiskCalculated(
            bot=signal.bot, signal_id=signal.id, verdict=decision.verdict, intent=decision.intent,
            reference_price=decision.reference_price, **self._kept_by(signal, view, decision.intent),
        )  # fmt: skip

    def _kept_by(self, signal: Signal, view: View, intent: OrderIntent | None) -> dict[str, Any]:
        """Return what an entry keeps, whatever its preset and its bot say when it fills."""
        if intent is None or not signal.action.enters:
            return {}
        plan = written_plan(self._desk.config.presets[view.bot.preset].exits)
        return {"plan": plan, "source": view.bot.source, "timeframe": view.bot.timeframe}

    # ── guards ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _reported(self, recorded: Recorded[AccountReported]) -> None:
        self._guard(recorded.message.account)

    def _changed(self, recorded: Recorded[TradingStateChanged]) -> None:
        """Halt again what somebody who is no person has let go."""
        scope, state, by = recorded.message.scope, recorded.message.state, recorded.message.by
        account = scope.removeprefix("account ")
        if scope == account or state is TradingState.HALTED or is_person(by, self._modules):
            return
        tripped = sorted(code.value for code in self.memory.guarded(account).tripped)
        if tripped:
            says = f"{', '.join(tripped)} has tripped, and only a person re-arms it: {by!r} is none"
            self._desk.bus.say(TradingStateChanged(scope=scope, state=TradingState.HALTED, by=NAME, says=says))

    def _guard(self, account: str) -> None:
        guarded = self.memory.guarded(account)
        for breach in breaches(guarded, self.guards.get(account, {})):
            if breach.code in guarded.tripped:
                continue
            scope = f"account {account}"
            says = f"{breach.code.value}: {breach.says}"
            self._desk.bus.say(TradingStateChanged(scope=scope, state=TradingState.HALTED, by=NAME, says=says))
            self._desk.bus.say(
                AlarmRaised(kind=breach.code.value, about=scope, severity=Severity.CRITICAL, says=breach.says)
            )

    # ── the scene ────────────────────────────────────────────────────────────────────────────────────────────────

    def _scene(self, signal: Signal, factor: Decimal, view: View) -> Scene:
        account = view.account
        venue = self._desk.venues.get(account)
        instrument = view.instrument(signal.symbol)
        return Scene(
            signal=signal,
            factor=factor,
            view=view,
            preset=self._desk.config.presets[view.bot.preset],
            config=self.config,
            groups=self._desk.config.groups,
            symbols=self._symbols.get(account, frozenset()),
            capabilities=None if venue is None else venue.capabilities,
            connected=venue is not None and venue.is_connected,
            armed=self.memory.is_armed(account, self._desk.identities.get(account, "")),
            was_armed=self.memory.was_armed(account),
            known=self._desk.ledger.signal(signal.id),
            has_order=self._desk.ledger.order(order_name(account, signal)) is not None,
            closed=None if instrument is None else why_closed(instrument, view.now_ns),
            guarded=self.memory.guarded(account),
            guards=self.guards.get(account, MappingProxyType({})),
            entries=self.memory.entries(account),
            orders=orders_of(view.snapshot, account, view.now_ns),
            promised=self.memory.promised(account),
            tickets=self.memory.tickets(PositionKey(account, signal.bot, signal.symbol)),
        )


def why_closed(instrument: Instrument, now_ns: int) -> str | None:
    """Return why a market is closed; ``None`` where it is open, or where no calendar says when it is.

    A calendar that cannot be read says nothing good: then the market counts as closed.
    """
    name = instrument.session or (FX if instrument.calendar is Calendar.WEEKDAYS else None)
    if name is None:
        return None
    try:
        calendar = calendar_of(name)
        if isinstance(calendar, Calendar):
            return None
        is_open = bool(sessions_of(calendar, now_ns, now_ns).is_open(np.array([now_ns]))[0])
    except (ConfigError, MissingExtraError) as error:
        return f"it cannot be told whether {instrument.symbol} is open: {error}"
    return None if is_open else f"{instrument.symbol} is closed by calendar {calendar}"


def _config(settings: Mapping[str, Any]) -> Config:
    try:
        return Config.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"modules.{NAME}: {field}: {message}.", allowed=Config.model_fields) from None
