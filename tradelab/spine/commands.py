"""Do what people and programs ask of an engine: each once, kept before it acts, answered with what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol

from tradelab.model.clock import Clock
from tradelab.model.errors import ConfigError, ParameterError, UnknownNameError
from tradelab.model.messages import (
    BotStatusChanged,
    CancelWanted,
    CommandDone,
    CommandReceived,
    Recorded,
    SignalRaised,
    TradingStateChanged,
)
from tradelab.model.orders import OrderType
from tradelab.model.signal import Action, Origin, Signal
from tradelab.model.states import BotStatus, Leg, TradingState
from tradelab.model.units import NS_PER_S
from tradelab.spine.bus import Bus
from tradelab.spine.config import Mode, NodeConfig
from tradelab.spine.hand_orders import HandOrders
from tradelab.spine.ledger import Ledger
from tradelab.spine.persons import is_person, may_change
from tradelab.spine.snapshot import OrderState
from tradelab.spine.words import choice, number, seconds

_STATES = {"halt": TradingState.HALTED, "reduce": TradingState.REDUCING, "resume": TradingState.ACTIVE}
_BOTS = {
    "start": (BotStatus.RUNNING, (BotStatus.STOPPED,)),
    "resume_bot": (BotStatus.RUNNING, (BotStatus.PAUSED,)),
    "pause": (BotStatus.PAUSED, (BotStatus.RUNNING,)),
    "stop": (BotStatus.STOPPED, (BotStatus.RUNNING, BotStatus.PAUSED)),
}
ELSEWHERE = ("flatten",)  # carried out by execution, which says when it is done
_ARMS = {"arm": "armed: its bots may send orders of real money", "disarm": "disarmed: its bots only reduce"}
NAMES = (*_STATES, *_BOTS, *_ARMS, "acknowledge", "signal", "order", "cancel", *ELSEWHERE)
_NONE: Mapping[str, str] = MappingProxyType({})
_BY_A_PERSON = "A person does it; a program that gives commands names itself 'program NAME', and may only tighten."


class Commands:
    """The commands of one engine.

    ``halt``, ``reduce``, ``resume`` and ``flatten`` take a ``scope`` (``node``, ``account NAME``, ``bot NAME``; by
    default the node) and ``says``, why. ``acknowledge`` takes the node or an account: a person has seen why its guards
    have tripped, and they measure from the equity now; it stays halted until it is resumed. To resume an account says
    the same by itself; to resume the node does not. ``arm`` and ``disarm`` take an ``account``: risk management lets
    no live bot enter before a person has armed it, and ``of``, which is noted here, is what for (``identities``).
    ``start``, ``stop``, ``pause``, ``resume_bot`` take ``bot``.

    ``signal`` takes ``bot``, ``symbol``, ``action`` and, if wanted, ``price`` (the market when it was decided),
    ``qty``, ``order_type``, ``order_price``, ``limit_price``, ``stop_loss``, ``take_profit``, ``ttl_s``: it passes the
    gates like any other. ``order`` is a person's own (:mod:`~tradelab.spine.hand_orders`), passes them too, and is
    answered with what they made of it. ``cancel`` takes ``order``, its name here or the venue's own, and for the latter
    ``account``: an order that is none of ours can be cancelled, too.
    """

    def __init__(
        self, bus: Bus, ledger: Ledger, config: NodeConfig, clock: Clock, identities: Mapping[str, str] = _NONE
    ) -> None:
        self._bus = bus
        self._identities = identities
        self._ledger = ledger
        self._config = config
        self._clock = clock
        self._modules = frozenset(config.modules_on) | {"risk_management"}
        self._hand = HandOrders(bus, ledger, config)
        self._waiting: dict[str, asyncio.Future[CommandDone]] = {}
        self.is_ending = False  # from the moment the engine winds down nothing that opens something begins
        bus.hear(CommandReceived, self._received)
        bus.hear(CommandDone, self._done)
        bus.hear(TradingStateChanged, self._changed)

    async def do(self, name: str, arguments: Mapping[str, str], *, command_id: str, by: str) -> CommandDone:
        """Do it, or return what came of it the first time."""
        known = self._ledger.command(command_id)
        if known is not None:
            return CommandDone(command_id=command_id, done=known[0], says=known[1])
        waiting = self._waiting.setdefault(command_id, asyncio.get_running_loop().create_future())
        if not self._ledger.has_command(command_id):
            if name in _ARMS:
                arguments = {**arguments, "of": self._identities.get(str(arguments.get("account")), "")}
            told = tuple(sorted((key, str(value)) for key, value in arguments.items()))
            self._bus.say(CommandReceived(command_id=command_id, name=name, arguments=told, by=by))
        return await asyncio.shield(waiting)

    async def wind_down(self, policy: str | None) -> None:
        """Do before an end what each account's policy says, or ``policy`` for all; wait until it is done."""
        self.is_ending = True
        for account in sorted({bot.execution for bot in self._config.bots}):
            told = self._config.accounts.get(account)
            asked = policy or ("cancel_entries" if told is None else told.stop_policy)
            if asked == "flatten":
                name = f"stop {account} {time.monotonic_ns()}"
                await self.do("flatten", {"scope": f"account {account}"}, command_id=name, by="stop")
            elif asked == "cancel_entries":
                self._cancel_entries(f"account {account}", "the engine stops")
                while self._entries(f"account {account}"):
                    await self._clock.sleep(0.05)

    # ── one run of the bus ───────────────────────────────────────────────────────────────────────────────────────

    def _received(self, recorded: Recorded[CommandReceived]) -> None:
        it = recorded.message
        try:
            if it.name in ELSEWHERE:
                self._require_scope(dict(it.arguments).get("scope", "node"))
                return
            if it.name == "order":
                self._hand.raise_signal(it, dict(it.arguments), recorded.ts_init_ns)
                return
            says = self._carried_out(it, recorded.ts_init_ns)
            done = True
        except ConfigError as error:
            says, done = str(error), False
        self._bus.say(CommandDone(command_id=it.command_id, done=done, says=says))

    def _carried_out(self, it: CommandReceived, now_ns: int) -> str:
        given = dict(it.arguments)
        if it.name in _STATES:
            return self._set_state(it, given)
        if it.name in _BOTS:
            return self._set_bot(it, given)
        if it.name in _ARMS:
            account = given.get("account", "")
            self._require_scope(f"account {account}")
            if it.name == "arm":
                self._require_person(it)
            return f"account {account} is {self._armed_words(it.name, account)}"
        if it.name == "acknowledge":
            return self._acknowledge(it, given)
        if it.name == "signal":
            return self._raise_signal(it, given, now_ns)
        if it.name == "cancel":
            return self._cancel(given)
        raise UnknownNameError.of("command", it.name, NAMES)

    def _set_state(self, it: CommandReceived, given: Mapping[str, str]) -> str:
        scope = given.get("scope", "node")
        self._require_scope(scope)
        state = _STATES[it.name]
        now = self._ledger.snapshot().states.get(scope, TradingState.ACTIVE)
        refused = may_change(now, state, it.by, self._modules)
        if refused is not None:
            raise ParameterError(f"{scope}: {refused}.", fix=_BY_A_PERSON)
        self._bus.say(TradingStateChanged(scope=scope, state=state, by=it.by, says=given.get("says", it.name)))
        return f"{scope} is {state.value}{self._still_shut(scope) if state is TradingState.ACTIVE else ''}"

    def _acknowledge(self, it: CommandReceived, given: Mapping[str, str]) -> str:
        """Say that a person has seen why guards have tripped; risk management hears it, and re-arms them."""
        scope = given.get("scope", "node")
        self._require_scope(scope)
        if scope.startswith("bot "):
            raise ParameterError("guards are an account's, and none of a bot.", allowed=["node", "account NAME"])
        self._require_person(it)
        of = "every account" if scope == "node" else scope
        return (
            f"what has tripped on {of} is seen, and measured anew from the equity now{self._still_shut(scope, scope)}"
        )

    def _armed_words(self, name: str, account: str) -> str:
        if any(bot.execution == account and bot.mode is Mode.LIVE for bot in self._config.bots):
            return _ARMS[name]
        return f"{name}ed, and nothing comes of it: it has no live bot, and no order of it is of real money"

    def _require_person(self, it: CommandReceived) -> None:
        if not is_person(it.by, self._modules):
            raise ParameterError(f"only a person may do that, and {it.by!r} is none.", fix=_BY_A_PERSON)

    def _still_shut(self, scope: str, *also: str) -> str:
        """Return, in words, which other states still hold up what lies in a scope, and how each is let go."""
        accounts = {f"bot {bot.name}": f"account {bot.execution}" for bot in self._config.bots}
        held = {
            other: state
            for other, state in self._ledger.snapshot().states.items()
            if state is not TradingState.ACTIVE
            and (other != scope or other in also)
            and (scope == "node" or other in ("node", *also, accounts.get(scope)) or accounts.get(other) == scope)
        }
        if not held:
            return ""
        says = ", ".join(f"{other} is {state.value}" for other, state in held.items())
        flags = " or ".join(_resume(other) for other in held)
        return f"; but {says}, which is let go by its own name: {flags}"

    def _changed(self, recorded: Recorded[TradingStateChanged]) -> None:
        """Take back what waits to open something where that is not allowed any more, whoever has said so."""
        it = recorded.message
        if it.state is not TradingState.ACTIVE:
            self._cancel_entries(it.scope, f"{it.scope} is {it.state.value}")

    def _set_bot(self, it: CommandReceived, given: Mapping[str, str]) -> str:
        bot = self._config.bot(given.get("bot", "")).name
        becomes, allowed = _BOTS[it.name]
        now = self._ledger.snapshot().bots.get(bot, BotStatus.STOPPED)
        if now is becomes:
            return f"bot {bot} is {now.value} already"
        if now not in allowed:
            raise ParameterError(f"bot {bot!r} is {now.value}.", allowed=[s.value for s in allowed])
        self._bus.say(BotStatusChanged(bot=bot, status=becomes, by=it.by, says=given.get("says", "")))
        return f"bot {bot} is {becomes.value}"

    def _raise_signal(self, it: CommandReceived, given: Mapping[str, str], now_ns: int) -> str:
        bot = self._config.bot(given.get("bot", ""))
        symbol = given.get("symbol", "")
        if symbol not in bot.symbols:
            raise UnknownNameError.of(f"symbol of bot {bot.name!r}", symbol, bot.symbols)
        signal = Signal(
            id=f"{bot.name} {symbol} command {it.command_id}",
            bot=bot.name,
            symbol=symbol,
            action=choice(Action, "action", given.get("action", "")),
            origin=choice(Origin, "origin", given.get("origin", Origin.PERSON.value)),
            decided_ns=now_ns,
            expires_ns=now_ns + int(seconds(given, "ttl_s") * NS_PER_S),
            price=number(given, "price"),
            qty=number(given, "qty"),
            share=Decimal(1) if (share := number(given, "share")) is None else share,
            order_type=choice(OrderType, "order_type", given.get("order_type", OrderType.MARKET.value)),
            order_price=number(given, "order_price"),
            limit_price=number(given, "limit_price"),
            stop_loss=number(given, "stop_loss"),
            take_profit=number(given, "take_profit"),
            says=given.get("says", ""),
        )
        self._bus.say(SignalRaised(signal))
        return f"signal {signal.id!r} is raised"

    def _cancel(self, given: Mapping[str, str]) -> str:
        name, snapshot = given.get("order", ""), self._ledger.snapshot()
        account = given.get("account")
        ours = self._ledger.order(name) or next(
            (o for o in snapshot.orders.values() if o.venue_order_id == name and o.intended.account == account), None
        )
        if ours is not None:
            if not (ours.phase.may_trade or ours.may_come):
                raise ParameterError(f"order {name!r} is {ours.phase.value}.", fix="Nothing of it can trade any more.")
            self._bus.say(CancelWanted(account=ours.intended.account, ref=ours.ref, says="a person asked"))
            return f"order {ours.client_order_id} is being cancelled"
        foreign = snapshot.foreign_orders.get((account or "", name))
        if foreign is None or account is None:
            known = [o.client_order_id for o in snapshot.orders.values() if o.phase.may_trade]
            raise UnknownNameError.of(
                "open order", name, [*known, *(i for a, i in snapshot.foreign_orders if a == account)]
            )
        self._bus.say(CancelWanted(account=account, ref=foreign.ref, says="a person asked"))
        return f"order {name} of {account}, none of ours, is being cancelled"

    def _done(self, recorded: Recorded[CommandDone]) -> None:
        waiting = self._waiting.pop(recorded.message.command_id, None)
        if waiting is not None and not waiting.done():
            self._bus.then(lambda: waiting.set_result(recorded.message))

    # ── orders that would open something ─────────────────────────────────────────────────────────────────────────

    def _cancel_entries(self, scope: str, says: str) -> None:
        for order in self._entries(scope):
            self._bus.say(CancelWanted(account=order.intended.account, ref=order.ref, says=says))

    def _entries(self, scope: str) -> list[OrderState]:
        return [
            order
            for order in self._ledger.snapshot().orders.values()
            if order.phase.may_trade and order.intended.leg is Leg.ENTRY and in_scope(order.intended, scope)
        ]

    def _require_scope(self, scope: str) -> None:
        kind, _, name = scope.partition(" ")
        if kind == "bot":
            self._config.bot(name)
        elif kind == "account":
            accounts = {bot.execution for bot in self._config.bots} | set(self._config.accounts)
            if name not in accounts:
                raise UnknownNameError.of("account", name, accounts)
        elif scope != "node":
            raise ParameterError(f"scope {scope!r} is none.", allowed=["node", "account NAME", "bot NAME"])


class Owned(Protocol):
    """Something on an account, perhaps a bot's."""

    @property
    def account(self) -> str:
        """Where."""
        ...

    @property
    def bot(self) -> str | None:
        """Whose."""
        ...


def in_scope(of: Owned, scope: str) -> bool:
    """Whether something lies in a scope: ``"node"``, ``"account NAME"`` or ``"bot NAME"``."""
    kind, _, name = scope.partition(" ")
    return kind == "node" or (kind == "account" and of.account == name) or (kind == "bot" and of.bot == name)


def _resume(scope: str) -> str:
    kind, _, name = scope.partition(" ")
    return f"tradelab resume --{kind} {name}" if name else "tradelab resume"
