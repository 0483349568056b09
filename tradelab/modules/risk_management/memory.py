"""Remember, as a fold of all that was said, what risk management knows beside the ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

from tradelab.model import messages as said
from tradelab.model.messages import Message, Recorded
from tradelab.model.states import Leg, TradingState
from tradelab.model.units import NS_PER_MIN
from tradelab.modules.risk_management import guards
from tradelab.modules.risk_management.config import Config
from tradelab.modules.risk_management.guards import Guarded
from tradelab.modules.risk_management.scene import Promised
from tradelab.spine.persons import is_person
from tradelab.spine.snapshot import PositionKey

ARM, DISARM = "arm", "disarm"  # commands; their argument is the account
ACKNOWLEDGE = "acknowledge"  # its argument is a scope: the node, or one account
_BY_CODE = {code.value: code for code in guards.GUARDS}


class Memory:
    """Guards, entries of the last minute, armed accounts and position ids; and what is promised within one run.

    A promise is the one thing here that is no fold. It lives between an order's being let pass and its being kept,
    inside one transaction: who is killed there has neither.

    Parameters
    ----------
    modules
        Names that are no person's.
    """

    def __init__(self, config: Config, modules: Collection[str]) -> None:
        self._config = config
        self._modules = modules
        self._guarded: dict[str, Guarded] = {}
        self._promised: dict[str, Promised] = {}
        self._entries: dict[str, deque[int]] = {}
        self._asked: dict[str, tuple[str, str, str]] = {}
        self._armed: dict[str, str] = {}  # by account, what its connection was set up for then
        self._tickets: dict[PositionKey, dict[str, Decimal]] = {}
        self._folds: dict[type[Message], Callable[[Any, Recorded[Any]], None]] = {
            said.AccountReported: self._account_reported,
            said.AlarmRaised: self._alarm_raised,
            said.TradingStateChanged: self._state_changed,
            said.OrderIntended: self._order_intended,
            said.CommandReceived: self._command_received,
            said.CommandDone: self._command_done,
            said.TradeExecuted: self._trade_executed,
            said.PositionAdjusted: self._position_adjusted,
        }

    def fold(self, recorded: Recorded[Any]) -> None:
        """Take in one message."""
        fold = self._folds.get(type(recorded.message))
        if fold is not None:
            fold(recorded.message, recorded)

    # ── what is asked of it ──────────────────────────────────────────────────────────────────────────────────────

    def guarded(self, account: str) -> Guarded:
        """Return what the guards of an account know."""
        return self._guarded.get(account, Guarded())

    def promised(self, account: str) -> tuple[Promised, ...]:
        """Return orders of an account that were let pass in this run and are not kept yet."""
        return tuple(each for each in self._promised.values() if each.account == account)

    def promise(self, it: Promised) -> None:
        """Note an order that is let pass: the next signal of the run may be judged before it is kept."""
        self._promised[it.signal_id] = it

    def forget(self, signal_id: str) -> None:
        """End a promise: it is kept, or never will be."""
        self._promised.pop(signal_id, None)

    def entries(self, account: str) -> tuple[int, ...]:
        """Return when entries of an account were kept, within a minute of the last one."""
        return tuple(self._entries.get(account, ()))

    def is_armed(self, account: str, identity: str = "") -> bool:
        """Whether a person has armed an account for what its connection is set up for now."""
        return self._armed.get(account) == identity

    def was_armed(self, account: str) -> bool:
        """Whether a person has armed an account, for whatever it was then."""
        return account in self._armed

    def tickets(self, key: PositionKey) -> tuple[tuple[str, Decimal], ...]:
        """Return the venue's ids of a position, with what each holds, signed."""
        return tuple(self._tickets.get(key, {}).items())

    # ── guards ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _account_reported(self, it: said.AccountReported, recorded: Recorded[Any]) -> None:
        before = self.guarded(it.account)
        self._guarded[it.account] = guards.reported(before, it.info.equity, recorded.ts_init_ns, self._config)

    def _alarm_raised(self, it: said.AlarmRaised, _: Recorded[Any]) -> None:
        code = _BY_CODE.get(it.kind)
        if code is not None and it.about.startswith("account "):
            account = it.about.removeprefix("account ")
            self._guarded[account] = guards.tripped(self.guarded(account), code)

    def _state_changed(self, it: said.TradingStateChanged, _: Recorded[Any]) -> None:
        """Re-arm where a person lets the account trade again; that it may reduce is no acknowledgement."""
        lets_go = it.state is TradingState.ACTIVE and is_person(it.by, self._modules)
        if lets_go and it.scope.startswith("account "):
            account = it.scope.removeprefix("account ")
            self._guarded[account] = guards.acknowledged(self.guarded(account))

    # ── entries ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _order_intended(self, it: said.OrderIntended, recorded: Recorded[Any]) -> None:
        if it.leg in (Leg.ENTRY, Leg.EXIT):
            self.forget(it.signal_id)
        if it.leg is Leg.ENTRY:
            recent = self._entries.setdefault(it.account, deque())
            recent.append(recorded.ts_init_ns)
            while recent[-1] - recent[0] >= NS_PER_MIN:
                recent.popleft()

    # ── what a person says ────────────────────────────────────────────────────────────────────────────────────────────

    def _command_received(self, it: said.CommandReceived, _: Recorded[Any]) -> None:
        given = dict(it.arguments)
        about = given.get("scope", "node") if it.name == ACKNOWLEDGE else given.get("account", "")
        heeds = it.name in (ARM, ACKNOWLEDGE) and is_person(it.by, self._modules)
        if about and (heeds or it.name == DISARM):
            self._asked[it.command_id] = (it.name, about, given.get("of", ""))

    def _command_done(self, it: said.CommandDone, _: Recorded[Any]) -> None:
        name, about, identity = self._asked.pop(it.command_id, ("", "", ""))
        if it.done and name == ARM:
            self._armed[about] = identity
        elif it.done and name == DISARM:
            self._armed.pop(about, None)
        elif it.done and name == ACKNOWLEDGE:
            for account, guarded in self._guarded.items():
                if about in ("node", f"account {account}"):
                    self._guarded[account] = guards.acknowledged(guarded)

    # ── position ids ─────────────────────────────────────────────────────────────────────────────────────────────

    def _trade_executed(self, it: said.TradeExecuted, _: Recorded[Any]) -> None:
        fill = it.fill
        if fill.position_id is None:
            return
        tickets = self._tickets.setdefault(PositionKey(it.account, it.bot, fill.symbol), {})
        now = tickets.get(fill.position_id, Decimal(0)) + fill.side.sign * fill.qty
        if now:
            tickets[fill.position_id] = now
        else:
            tickets.pop(fill.position_id, None)

    def _position_adjusted(self, it: said.PositionAdjusted, _: Recorded[Any]) -> None:
        """What was closed past us has no id: the oldest are taken for it."""
        tickets = self._tickets.get(PositionKey(it.account, it.bot, it.symbol), {})
        left = it.qty
        for ticket, held in list(tickets.items()):
            if held * left >= 0:
                continue
            part = min(abs(held), abs(left)).copy_sign(left)
            left -= part
            tickets[ticket] = held + part
            if not tickets[ticket]:
                del tickets[ticket]
