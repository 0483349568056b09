"""Run the pipeline: recover what was true, compare it with the world, trade, and end so that nothing is forgotten.

A start and a recovery are the same: the journal is folded, whatever it holds. What a module's mistake leads to stands
in its manifest; what a lost lease or a journal that cannot be written leads to is the end of this engine, which another
start recovers from.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from tradelab.model.clock import Clock
from tradelab.model.errors import ConnectivityError, LeaseError, StorageError
from tradelab.model.line import Line
from tradelab.model.messages import (
    AlarmRaised,
    BotStatusChanged,
    CommandDone,
    DataFiltered,
    NodeStarted,
    NodeStopped,
    RiskCalculated,
    SignalAnalyzed,
    SignalDropped,
    TradingStateChanged,
)
from tradelab.model.ports import DataProvider, ExecutionVenue
from tradelab.model.signal import Drop, DropCode, Signal
from tradelab.model.states import BotStatus, Severity, TradingState
from tradelab.model.units import NS_PER_S
from tradelab.spine.bus import Bus, Keeper
from tradelab.spine.commands import Commands
from tradelab.spine.config import NodeConfig
from tradelab.spine.desk import Desk, Gate, Lessee, MakeStage, Market, Stage
from tradelab.spine.gates import Gated, Judges, drop
from tradelab.spine.ledger import Ledger
from tradelab.spine.manifest import Manifest, OnError, Shape
from tradelab.spine.module_bus import ModuleBus
from tradelab.spine.opened_on import OpenedOn
from tradelab.spine.standing import Standings
from tradelab.spine.strategist import Strategist
from tradelab.spine.tasks import Tasks
from tradelab.spine.venue_clocks import VenueClocks

_JUDGES: dict[str, type[DataFiltered] | type[SignalAnalyzed]] = {
    "filter_strategy": DataFiltered,
    "ai_analysis": SignalAnalyzed,
}
_STOP_S = 8.0


@dataclass(frozen=True, slots=True)
class Part:
    """A module that is on: what it declares, and how its stage is made."""

    manifest: Manifest
    make: MakeStage | None


@dataclass(slots=True)
class _Running:
    manifest: Manifest
    bus: ModuleBus
    tasks: Tasks
    stage: Stage


class Node:
    """One engine.

    Parameters
    ----------
    parts
        The modules that are on, in the order in which they hear.
    keeper
        Keeps what is said: the journal of the records, or memory.
    permit
        Made with the bus: says whether an account may be sent to.
    standings
        What may be sent, as the records hold it for everybody; ``None`` where nobody else could change it.
    venues, providers
        By the names that bots use; connected here, and closed here.
    identities
        What each account's connection is set up for: what it is armed for.
    """

    def __init__(
        self,
        config: NodeConfig,
        parts: Sequence[Part],
        keeper: Keeper,
        *,
        clock: Clock,
        permit: Callable[[Bus], Lessee],
        venues: Mapping[str, ExecutionVenue],
        providers: Mapping[str, DataProvider],
        standings: Standings | None = None,
        log: logging.Logger | None = None,
        version: str = "",
        identities: Mapping[str, str] | None = None,
    ) -> None:
        self.config = config
        self.name = config.name
        self.clock = clock
        self.ledger = Ledger()
        self._opened_on = OpenedOn(config, self.ledger)
        self.bus = Bus(keeper, self._remember, clock)
        self.bus.when_broken(self._bus_stopped)
        self.market = Market()
        self.clocks = VenueClocks({**providers, **venues}, clock)
        self.permit = permit(self.bus)
        self.venues, self.providers = venues, providers
        self.log = log or logging.getLogger("tradelab.node")
        self._keeper = keeper
        self._version = version
        self._standings = standings
        self._tasks = Tasks(self._failed_itself)
        self._over: asyncio.Future[str] | None = None
        self._running: dict[str, _Running] = {}
        self.complaints: list[Callable[[], Iterable[str]]] = []  # what else health tells a person to look at
        self._identities = identities or {}
        self.commands = Commands(self.bus, self.ledger, config, clock, self._identities)
        if standings is not None:
            standings.join(self.bus)
        self.strategist = Strategist(self._desk("strategist", self.bus, self._tasks))
        for part in parts:
            if part.make is not None:
                self._running[part.manifest.name] = self._made(part.manifest, part.make)
        self._judges = self._join_gates()

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Recover, connect, take the leases, and let every module begin.

        Raises
        ------
        LeaseError
            Another engine trades one of the accounts.
        ConfigError
            A bot's bars are others than those its open position was decided on.
        ConnectivityError, RequestError
            A connection could not be made: nothing was sent.
        """
        self._over = asyncio.get_running_loop().create_future()
        for recorded in self._keeper.recorded():
            self._remember(recorded)
        self._opened_on.require_same()
        modules = tuple(self._running)
        host = socket.gethostname()
        self.bus.say(NodeStarted(version=self._version, host=host, pid=os.getpid(), modules=modules))
        self._take_leases()
        await self._connect()
        if self._standings is not None:
            self._standings.catch_up(self.bus, self.ledger)
        self._start_bots()
        for running in self._by_start():
            await running.stage.start()
        self._take_up_signals()
        self._tasks.begin(self._keep_leases(), "leases")

    async def run(self) -> str:
        """Run until :meth:`stop`, or until going on would be wrong; return why it ended."""
        assert self._over is not None, "started before"
        return await asyncio.shield(self._over)

    async def stop(self, policy: str | None = None) -> None:
        """End: entries are taken back, or everything is closed, or all is kept, as ``policy`` or each account says."""
        if self._over is None or self._over.cancelled():
            return
        await self._wind_down(policy)
        for running in reversed(self._by_start()):
            await running.stage.stop()
            await running.tasks.stop()
        await self._tasks.stop()
        await self._disconnect()
        if not self.bus.is_broken:
            self.bus.say(NodeStopped(says=policy or "asked to"))
            self._release()
        if not self._over.done():
            self._over.set_result("stopped")

    async def _wind_down(self, policy: str | None) -> None:
        """Do what the policy says, for so long by our clock and by the machine's; say what could not be done."""
        work = asyncio.ensure_future(self.commands.wind_down(policy))
        timer = asyncio.ensure_future(self.clock.sleep(_STOP_S))
        await asyncio.wait({work, timer}, timeout=_STOP_S, return_when=asyncio.FIRST_COMPLETED)
        cut_short = not work.done()
        for each in (work, timer):
            each.cancel()
        failure, _ = await asyncio.gather(work, timer, return_exceptions=True)
        if cut_short or isinstance(failure, Exception):
            says = (
                f"winding down was cut short after {_STOP_S:.0f} s" if cut_short else f"winding down failed: {failure}"
            )
            self.log.warning(says)
            if not self.bus.is_broken:
                says += "; the next start goes on with what was to be cancelled or closed"
                self.bus.say(AlarmRaised(kind="stop", about=self.name, severity=Severity.CRITICAL, says=says))

    async def command(self, name: str, arguments: Mapping[str, str], *, id: str, by: str) -> CommandDone:
        """Do what somebody asks, once for each ``id``; a second time it is answered with the first result."""
        return await self.commands.do(name, arguments, command_id=id, by=by)

    def health(self) -> dict[str, Any]:
        """Say how it stands: modules and their workers, leases, accounts, streams, the venues' clocks."""
        snapshot = self.ledger.snapshot()
        return {
            "node": self.name,
            "seq": snapshot.seq,
            "state": snapshot.state().value,
            "modules": {name: "left out" if r.bus.is_deaf else "on" for name, r in self._running.items()},
            "leases": {account: round(self.permit.left_s(account), 1) for account in self.venues},
            "accounts": {
                account: "reconciling" if state.reconciling else "agreed"
                for account, state in snapshot.accounts.items()
            },
            "bots": {bot: status.value for bot, status in snapshot.bots.items()},
            "streams": self._streams(),
            "clocks": self.clocks.told(),
            "workers": {"node": self._tasks.names} | {name: r.tasks.names for name, r in self._running.items()},
            "broken": self.bus.is_broken,
            "faults": [*self.bus.lost_onlookers, *(says for complain in self.complaints for says in complain())],
        }

    def _streams(self) -> list[dict[str, Any]]:
        """Return how each stream stands, as its module tells it; an age is by our clock, ``None``: nothing came yet."""
        now_ns = self.clock.now_ns()
        lines: list[Line] = [
            line for r in self._running.values() if not r.bus.is_deaf for line in getattr(r.stage, "lines", list)()
        ]
        return [
            {
                "what": line.what, "of": line.of, "symbol": line.symbol, "connected": line.connected,
                "polled": line.polled, "lost": line.is_lost, "reconnects": line.reconnects,
                "age_s": None if line.heard_ns is None else round((now_ns - line.heard_ns) / NS_PER_S, 1),
            }
            for line in lines
        ]  # fmt: skip

    def stage(self, module: str) -> Any:
        """Return the stage of a module that is on."""
        return self._running[module].stage

    # ── assembly ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _made(self, manifest: Manifest, make: MakeStage) -> _Running:
        bus = ModuleBus(self.bus, lambda error: self._failed(manifest.name, error))
        tasks = Tasks(lambda task, error: self._failed(manifest.name, error, task))
        desk = self._desk(manifest.name, cast(Bus, bus), tasks)
        return _Running(manifest, bus, tasks, make(desk))

    def _desk(self, module: str, bus: Bus, tasks: Tasks) -> Desk:
        return Desk(
            config=self.config,
            settings=self.config.module(module),
            bus=bus,
            ledger=self.ledger,
            clock=self.clock,
            market=self.market,
            venues=self.venues,
            providers=self.providers,
            permit=self.permit,
            tasks=tasks,
            log=self.log.getChild(module),
            identities=self._identities,
        )

    def _join_gates(self) -> Judges:
        gates = tuple(
            Gated(name, cast(Gate, self._running[name].stage), told)
            for name, told in _JUDGES.items()
            if name in self._running
        )
        view = self.strategist.view
        return Judges(self.bus, gates, view, self._judged, self._tasks)

    def _judged(self, signal: Signal, factor: Any) -> None:
        """Let risk management size what all have let pass; without it, nothing is ever ordered."""
        if self.commands.is_ending and signal.action.enters:
            self.bus.say(drop(signal, "node", Drop(DropCode.BOT_NOT_RUNNING, "the engine is about to end")))
            return
        risk = self._running.get("risk_management")
        if risk is None:
            return
        try:
            told: RiskCalculated = cast(Any, risk.stage).calculate(signal, factor, self.strategist.view(signal))
        except Exception as error:  # noqa: BLE001 (fail closed, and halt as its manifest says)
            self._failed("risk_management", error)
            verdict = Drop(DropCode.GATE_FAILED, f"risk_management failed: {type(error).__name__}")
            told = RiskCalculated(bot=signal.bot, signal_id=signal.id, verdict=verdict)
        self.bus.say(told)
        if isinstance(told.verdict, Drop):
            self.bus.say(drop(signal, "risk_management", told.verdict))

    def _by_start(self) -> list[_Running]:
        """What trades and watches begins before what brings signals in."""
        return sorted(self._running.values(), key=lambda r: r.manifest.shape is Shape.SOURCE)

    def _remember(self, recorded: Any) -> None:
        self.ledger.fold(recorded)
        for running in self._running.values():
            running.stage.remember(recorded)
        self._opened_on.remember(recorded)

    # ── start ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take_leases(self) -> None:
        if "execution" in self._running:
            for account in self.venues:
                self.permit.take(account)

    async def _connect(self) -> None:
        for each in self._connections():
            if not each.is_connected:
                await each.connect()

    def _connections(self) -> list[Any]:
        return list({id(each): each for each in (*self.venues.values(), *self.providers.values())}.values())

    def _start_bots(self) -> None:
        known = self.ledger.snapshot().bots
        for bot in self.config.bots:
            if bot.name not in known:
                status = BotStatus.RUNNING if bot.starts else BotStatus.STOPPED
                self.bus.say(BotStatusChanged(bot=bot.name, status=status, by="the node's file"))

    def _take_up_signals(self) -> None:
        """Go on with signals that were raised and not decided: those that took a model's time."""
        now_ns = self.clock.now_ns()
        for state in list(self.ledger.snapshot().signals.values()):
            if not state.is_pending:
                continue
            if state.signal.expires_ns > now_ns and state.signal.bot in {bot.name for bot in self.config.bots}:
                self._judges.begin(state.signal)
            else:
                gone = {"by": "node", "code": DropCode.EXPIRED, "says": "it was not decided before the engine ended"}
                self.bus.say(SignalDropped(bot=state.signal.bot, signal_id=state.signal.id, **gone))  # type: ignore[arg-type]

    async def _keep_leases(self) -> None:
        while math.isfinite(self.permit.renew_s):
            await self.clock.sleep(self.permit.renew_s)
            self.permit.renew()
            if self._standings is not None:
                self._standings.catch_up(self.bus, self.ledger)

    # ── end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _disconnect(self) -> None:
        for each in self._connections():
            try:
                await each.disconnect()
            except ConnectivityError as error:
                self.log.warning("a connection was not closed in good order: %s", error)

    def _release(self) -> None:
        self.permit.release()

    # ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _failed(self, module: str, error: BaseException, task: str = "") -> None:
        """Do what a module's manifest says of a mistake inside it."""
        running = self._running[module]
        what = f"{task}: " if task else ""
        says = f"{what}{type(error).__name__}: {error}"
        self.log.error("module %s failed: %s", module, says, exc_info=error)
        if self.bus.is_broken:
            return
        self.bus.say(AlarmRaised(kind="module", about=module, severity=Severity.CRITICAL, says=says))
        if running.manifest.on_error is OnError.HALT:
            self.bus.say(
                TradingStateChanged(scope="node", state=TradingState.HALTED, by=module, says=f"it failed: {says}"[:500])
            )
        elif running.manifest.on_error is OnError.ISOLATE:
            running.bus.is_deaf = True
            self.bus.then(lambda: self._leave_out(running))

    def _leave_out(self, running: _Running) -> None:
        self._tasks.begin(running.tasks.stop(), f"leave out {running.manifest.name}")

    def _failed_itself(self, task: str, error: BaseException) -> None:
        """End this engine: what keeps it right has failed."""
        says = f"{task}: {type(error).__name__}: {error}"
        self.log.critical("the engine ends: %s", says)
        try:
            if not self.bus.is_broken and not isinstance(error, LeaseError):
                self.bus.say(AlarmRaised(kind="engine", about=self.name, severity=Severity.CRITICAL, says=says))
        except StorageError as failure:  # the disk that ended it may be the one that the alarm is written to
            self.log.critical("the alarm was not kept: %s", failure)
        finally:
            self._end(says)

    def _bus_stopped(self) -> None:
        """End this engine: what it knows is more than what is kept, and another start recovers from that."""
        self._end("what was said last could not be kept")

    def _end(self, says: str) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(says)
