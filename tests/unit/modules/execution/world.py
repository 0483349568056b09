"""A node with the executor alone: real bus, ledger, stage and commands, a clock moved by hand, a scripted venue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any

from tests.unit.modules.execution.venue import D, ScriptedVenue, instrument
from tradelab.model import messages as said
from tradelab.model.clock import ManualClock
from tradelab.model.errors import LeaseError
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent, OrderRef, OrderType, Side
from tradelab.model.signal import Action, Origin, Pass, Signal
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_S
from tradelab.modules.execution.manifest import MANIFEST
from tradelab.modules.execution.stage import Stage
from tradelab.spine.config import parse_node
from tradelab.spine.keeping import MemoryKeeper
from tradelab.spine.node import Node, Part
from tradelab.spine.permit import FreePermit
from tradelab.spine.snapshot import OrderState, PositionKey

ACCOUNT, BOT, SYMBOL = "acc", "bot", "BTC/USDT"
KEY = PositionKey(ACCOUNT, BOT, SYMBOL)
START_NS = 1_700_000_000 * NS_PER_S
SETTINGS: dict[str, Any] = {"look_s": 1.0, "margin_s": 2.0, "account_s": 1000.0, "reconcile_s": 1000.0}


class Permit(FreePermit):
    """A lease that can be lost."""

    def __init__(self) -> None:
        self.is_lost = False
        self.left = 3600.0

    def fence(self, account: str, *, bot: str | None, reduces: bool) -> int:
        """Return a number, or say that the lease is lost."""
        if self.is_lost:
            raise LeaseError("another engine has the lease.")
        return 7

    def left_s(self, account: str) -> float:
        """Return for how long it lasts."""
        return 0.0 if self.is_lost else self.left


class World:
    """One account (or more), one bot (or more), and what a test does with them."""

    def __init__(
        self,
        *markets: Instrument,
        bots: tuple[str, ...] = (BOT,),
        settings: dict[str, Any] | None = None,
        accounts: dict[str, Any] | None = None,
        **can: Any,
    ) -> None:
        self.clock = ManualClock(START_NS)
        self.markets = markets or (instrument(),)
        self.venue = ScriptedVenue(self.clock, self.markets, **can)
        self.permit = Permit()
        self.keeper = MemoryKeeper()
        symbols = [each.symbol for each in self.markets]
        bot = {"symbols": symbols, "timeframe": "1m", "source": "src", "execution": ACCOUNT, "preset": "p"}
        self.config = parse_node(
            {
                "name": "test",
                "modules": {"risk_management": {}, "execution": SETTINGS | (settings or {})},
                "bots": dict.fromkeys(bots, bot),
                "presets": {"p": {"sizing": {"by": "qty", "value": "1"}}},
                "accounts": accounts or {},
            }
        )
        self.node = self._made()

    def _made(self) -> Node:
        log = logging.getLogger("tests.execution")
        log.disabled = True
        return Node(
            self.config, [Part(MANIFEST, Stage)], self.keeper, clock=self.clock, permit=lambda _: self.permit,
            venues={ACCOUNT: self.venue}, providers={}, log=log,
        )  # fmt: skip

    @property
    def stage(self) -> Stage:
        """The executor."""
        found: Stage = self.node.stage("execution")
        return found

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> World:
        """Start, and let it agree with the venue."""
        await self.node.start()
        await self.settle()
        return self

    async def kill(self) -> None:
        """Let the process die: nothing of it runs on, nothing is said; the journal is what it was."""
        await self.stage._desk.tasks.stop()
        await self.node._tasks.stop()
        for queues in self.venue._queues.values():
            queues.clear()

    async def restart(self, *, starts: bool = True) -> None:
        """Die, and come back from the journal."""
        await self.kill()
        self.node = self._made()
        if starts:
            await self.start()

    async def settle(self, rounds: int = 60) -> None:
        """Let everything run that can."""
        for _ in range(rounds):
            await asyncio.sleep(0)

    async def advance(self, seconds: float, step_s: float = 0.5) -> None:
        """Move the clock on."""
        left = seconds
        while left > 0:
            await self.clock.advance(min(step_s, left))
            await self.settle(12)
            left -= step_s

    async def until(self, work: Coroutine[Any, Any, Any], limit_s: float = 60.0) -> float:
        """Move the clock on until something has ended; return how long that took."""
        began_ns = self.clock.now_ns()
        task = asyncio.ensure_future(work)
        await self.settle()
        while not task.done():
            if self.clock.now_ns() - began_ns > limit_s * NS_PER_S:
                task.cancel()
                raise AssertionError(f"not done after {limit_s} s")
            await self.advance(0.1, 0.1)
        await task
        return (self.clock.now_ns() - began_ns) / NS_PER_S

    # ── doing ────────────────────────────────────────────────────────────────────────────────────────────────────

    def enter(
        self, name: str = "s1", qty: str = "1", price: str | None = None, *, side: Side = Side.BUY, bot: str = BOT,
        symbol: str = SYMBOL, ttl_s: float = 60.0, stop_price: str | None = None,
    ) -> str:  # fmt: skip
        """Let risk management pass a signal; return the name of its order."""
        now_ns = self.clock.now_ns()
        kind = OrderType.STOP if stop_price else OrderType.LIMIT if price else OrderType.MARKET
        action = Action.ENTER_LONG if side is Side.BUY else Action.ENTER_SHORT
        signal = Signal(
            id=name, bot=bot, symbol=symbol, action=action, origin=Origin.STRATEGY, decided_ns=now_ns,
            expires_ns=now_ns + int(ttl_s * NS_PER_S), order_type=kind,
            order_price=D(price or stop_price or "1") if kind is not OrderType.MARKET else None,
        )  # fmt: skip
        intent = OrderIntent(
            client_order_id=f"o-{name}", symbol=symbol, side=side, type=kind, qty=D(qty),
            price=D(price) if price else None, stop_price=D(stop_price) if stop_price else None,
        )  # fmt: skip
        self.node.bus.say(said.SignalRaised(signal))
        told = said.RiskCalculated(bot=bot, signal_id=name, verdict=Pass(), intent=intent, reference_price=D(100))
        self.node.bus.say(told)
        return intent.client_order_id

    def want(
        self, name: str, qty: str = "1", *, leg: Leg = Leg.STOP, side: Side = Side.SELL, stop: str | None = "90",
        price: str | None = None, bot: str = BOT, symbol: str = SYMBOL, fresh_s: float = 3600.0,
        reduce_only: bool | None = None,
    ) -> str:  # fmt: skip
        """Wish for an order that protects or reduces; return its name."""
        kind = OrderType.STOP if stop else OrderType.LIMIT if price else OrderType.MARKET
        only = self.venue.capabilities.reduce_only if reduce_only is None else reduce_only
        intent = OrderIntent(
            client_order_id=f"o-{name}", symbol=symbol, side=side, type=kind, qty=D(qty), reduce_only=only,
            stop_price=D(stop) if stop else None, price=D(price) if price else None,
        )  # fmt: skip
        wanted = said.OrderWanted(
            account=ACCOUNT, bot=bot, signal_id=name, leg=leg, intent=intent, by="position_monitoring",
            reference_price=D(100), fresh_until_ns=self.clock.now_ns() + int(fresh_s * NS_PER_S),
        )  # fmt: skip
        self.node.bus.say(wanted)
        return intent.client_order_id

    def cancel(self, name: str, says: str = "test") -> None:
        """Wish an order gone."""
        ref = OrderRef(symbol=SYMBOL, client_order_id=name)
        self.node.bus.say(said.CancelWanted(account=ACCOUNT, ref=ref, says=says))

    async def command(self, name: str, id: str, **given: str) -> asyncio.Task[said.CommandDone]:
        """Ask for something, and do not wait for it."""
        task = asyncio.ensure_future(self.node.command(name, given, id=id, by="test"))
        await self.settle()
        return task

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────

    def order(self, name: str) -> OrderState:
        """One of our orders."""
        found = self.node.ledger.order(name)
        assert found is not None, name
        return found

    def held(self, bot: str | None = BOT, symbol: str = SYMBOL) -> Decimal:
        """What a bot, or nobody, holds."""
        return self.node.ledger.position(PositionKey(ACCOUNT, bot, symbol)).qty

    def said(self, kind: type[said.Message]) -> list[Any]:
        """Every message of a kind so far."""
        return [each.message for each in self.keeper.said if isinstance(each.message, kind)]

    def kinds(self) -> list[str]:
        """What was said, by name."""
        return [type(each.message).__name__ for each in self.keeper.said]

    def submits(self) -> list[str]:
        """The orders that were sent."""
        return [call.split(" ")[1] for call in self.venue.calls if call.startswith("submit ")]

    def is_open(self) -> bool:
        """Whether the account agrees with its venue."""
        return not self.node.ledger.snapshot().accounts[ACCOUNT].reconciling

    def failures(self) -> list[str]:
        """What a module failed of; nothing, in every test."""
        return [each.says for each in self.said(said.AlarmRaised) if each.kind in ("module", "engine")]
