"""Run one engine against a rehearsal venue until what was asked of it is settled, and die where it is told to.

It is the real thing: node, execution, risk, journal in SQLite or PostgreSQL, ccxt over a real socket. Only its death is
arranged: methods of the product are wrapped, at named points.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.clock import SystemClock
from tradelab.model.errors import ConnectivityError, LeaseError
from tradelab.model.states import Leg
from tradelab.modules.execution.stage import Stage as Execution
from tradelab.modules.index import MANIFESTS
from tradelab.modules.position_monitoring.stage import Stage as Monitoring
from tradelab.modules.risk_management.stage import Stage as Risk
from tradelab.spine.config import NodeConfig, parse_node
from tradelab.spine.keeping import JournalKeeper, _Kept
from tradelab.spine.node import Node, Part
from tradelab.spine.order_life import Phase
from tradelab.spine.permit import LeasedPermit
from tradelab.spine.standing import Standings
from tradelab.spine.view import SeenQuote
from tradelab.store.database import Database
from tradelab.store.journal import Journal, Writing
from tradelab.store.leases import Leases
from tradelab.store.states import TradingStates

UNRESOLVED_S = 60.0
SETTLED, UNRESOLVED, REFUSED, FAILED = 0, 3, 4, 5
KINDS = (
    "NodeStarted", "ReconcileBegan", "InstrumentListed", "ReconcileEnded", "AccountReported", "CommandReceived",
    "SignalRaised", "RiskCalculated", "OrderIntended", "CommandDone", "OrderAccepted", "OrderReported",
    "TradeExecuted", "OrderUnknown", "OrderRefused", "OrderAbsent", "OrderSentAgain", "OrderAbandoned",
)  # fmt: skip
CALLS = ("submit", "order", "open_orders", "fills", "positions", "account_info", "instruments", "connect")
POINTS = (
    *(f"{when} {kind}" for kind in KINDS for when in ("said", "before keeping", "kept")),
    *(f"{when} {call}" for call in CALLS for when in ("before", "after")),
    "on the wire",
)


@dataclass(frozen=True)
class Job:
    """One life of an engine: where its records and its venue are, what is asked, and where it dies (or not)."""

    database: str
    url: str
    exchange: str
    market: str
    symbol: str
    key: str
    secret: str
    kind: str  # market, limit, stop
    qty: str
    price: str
    command: str = "buy"
    point: str = ""
    after_s: float = 0.0  # die after so long, wherever that is
    lease_s: float = 2.0
    symbols: tuple[str, ...] = ()  # where there are more than one
    life: str = "order"  # what it does: see LIVES
    limits: dict[str, str] = field(default_factory=dict)  # of its preset
    exits: dict[str, str] = field(default_factory=dict)  # with any, positions are monitored
    risk: dict[str, str] = field(default_factory=dict)  # the table of risk management
    bots: int = 1
    small: str = ""  # a quantity, for entries that are only tried
    expect: str = ""  # what somebody who lives "proving" has to see: halted, active


# ── dying ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def die() -> None:
    """End as a machine that loses its power does."""
    os.kill(os.getpid(), signal.SIGKILL)


def arrange(point: str) -> None:
    """Wrap the product's methods so that this process dies at a point the first time it comes there."""
    if not point:
        return
    when, _, name = point.partition(" ")
    if point == "on the wire":
        _die_on_the_wire()
    elif name in CALLS:
        _wrap_call(name, before=when == "before")
    else:
        _wrap_journal(point.rpartition(" ")[0], point.rpartition(" ")[2])


def _wrap_call(name: str, *, before: bool) -> None:
    real = getattr(CcxtVenue, name)

    async def wrapped(self: CcxtVenue, *args: Any, **more: Any) -> Any:
        if before:
            die()
        answer = await real(self, *args, **more)
        die()
        return answer

    setattr(CcxtVenue, name, wrapped)


def _die_on_the_wire() -> None:
    real = CcxtVenue.submit

    async def wrapped(self: CcxtVenue, *args: Any) -> Any:
        threading.Timer(0.03, die).start()
        return await real(self, *args)

    CcxtVenue.submit = wrapped  # type: ignore[method-assign]


def _wrap_journal(when: str, kind: str) -> None:
    said: list[str] = []
    append, flush, writing = _Kept.append, Writing.flush, Journal.writing

    def appended(self: _Kept, message: Any, *args: Any) -> int:
        seq = append(self, message, *args)
        said.append(type(message).__name__)
        if when == "said" and said[-1] == kind:
            die()
        return seq

    def flushed(self: Writing) -> None:
        flush(self)
        if when == "before keeping" and kind in said:
            die()

    @contextlib.contextmanager
    def wrote(self: Journal) -> Iterator[Writing]:
        said.clear()
        with writing(self) as given:
            yield given
        if when == "kept" and kind in said:
            die()

    _Kept.append, Writing.flush, Journal.writing = appended, flushed, wrote  # type: ignore[method-assign]


# ── one life ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def config_of(job: Job) -> NodeConfig:
    """Bots that take commands, on one account; the first is called bot."""
    symbols = list(job.symbols) or [job.symbol]
    bot = {"symbols": symbols, "timeframe": "1m", "source": "venue", "execution": "venue", "preset": "plain"}
    modules: dict[str, Any] = {
        "risk_management": job.risk,
        "execution": {"look_s": 0.3, "margin_s": 0.5, "account_s": 0.5, "reconcile_s": 5.0, "fills_s": 2.0},
    }
    if job.exits:
        modules["position_monitoring"] = {}
    limits = {"max_quote_age_s": 3600} | job.limits
    presets = {"plain": {"sizing": {"by": "qty", "value": job.qty}, "limits": limits, "exits": job.exits}}
    bots = {"bot" + str(n) * bool(n): bot for n in range(job.bots)}
    return parse_node({"name": "acceptance", "modules": modules, "bots": bots, "presets": presets})


def make_node(job: Job, database: Database) -> tuple[Node, CcxtVenue]:
    """Put an engine together as the application does."""
    clock = SystemClock()
    venue = CcxtVenue(
        job.exchange, market=job.market, base_url=job.url, timeout_s=1.0, symbols=list(job.symbols) or [job.symbol],
        credentials={"api_key": job.key, "api_secret": job.secret},
    )  # fmt: skip
    venue._client.raw.options["recvWindow"] = 1500  # proof of absence needs a request's whole life
    states = TradingStates(database, "acceptance")
    leases = Leases(database, f"engine {os.getpid()}", length_s=job.lease_s)
    by_name = {manifest.name: manifest for manifest in MANIFESTS}
    makers = {"risk_management": Risk, "execution": Execution, "position_monitoring": Monitoring}
    config = config_of(job)
    parts = [Part(by_name[name], make) for name, make in makers.items() if name in config.modules_on]
    node = Node(
        config, parts, JournalKeeper(Journal(database, "acceptance")), clock=clock,
        permit=lambda bus: LeasedPermit(leases, bus, states, clock), venues={"venue": venue}, providers={},
        standings=Standings(states),
    )  # fmt: skip
    return node, venue


Life = Callable[[Node, CcxtVenue, Job], Awaitable[int]]


async def live(job: Job, life: Life) -> int:
    """Start, live one of its lives until that has come to an end, and stop."""
    with Database(job.database) as database:
        node, venue = await started(job, database)
        try:
            return await asyncio.wait_for(life(node, venue, job), UNRESOLVED_S)
        except TimeoutError:
            sys.stderr.write(f"unresolved: {list(node.ledger.snapshot().orders.values())} {node.health()}\n")
            return UNRESOLVED
        finally:
            await node.stop("keep")


async def started(job: Job, database: Database) -> tuple[Node, CcxtVenue]:
    """Start as soon as the lease of the engine before has ended, and the venue answers, as who supervises it does."""
    while True:
        node, venue = make_node(job, database)
        try:
            await node.start()
        except (LeaseError, ConnectivityError):
            await node.stop("keep")
            await asyncio.sleep(0.2)
        else:
            return node, venue


async def settle_an_order(node: Node, venue: CcxtVenue, job: Job) -> int:
    """Ask for one order, once, and run until it is settled."""
    await agreed(node)
    if node.ledger.command(job.command) is None:
        await see_quote(node, venue, job.symbol)
        given = {"bot": "bot", "symbol": job.symbol, "action": "enter_long", "order_type": job.kind, "ttl_s": "300"}
        if job.kind != "market":
            given["order_price"] = job.price
        await node.command("signal", given, id=job.command, by="acceptance")
    while True:
        mine = [o for o in node.ledger.snapshot().orders.values() if o.intended.leg is Leg.ENTRY]
        signals = list(node.ledger.snapshot().signals.values())
        if signals and all(signal.dropped is not None for signal in signals):
            sys.stderr.write(f"dropped: {signals}\n")
            return REFUSED
        if mine and all(_is_settled(order, job.kind) for order in mine):
            return SETTLED
        if mine and all(order.phase in (Phase.REFUSED, Phase.ABANDONED) and _is_final(order) for order in mine):
            sys.stderr.write(f"given up: {mine}\n")
            return REFUSED
        await asyncio.sleep(0.02)


async def agreed(node: Node) -> None:
    """Wait until it agrees with its venue."""
    while node.ledger.snapshot().accounts["venue"].reconciling:
        await asyncio.sleep(0.02)


async def see_quote(node: Node, venue: CcxtVenue, symbol: str) -> None:
    """Let it see what the market is, as a stream of quotes would."""
    quote = None
    while quote is None:
        with contextlib.suppress(ConnectivityError):  # a busy machine
            quote = await venue.quote(symbol)
    node.market.quotes["venue", symbol] = SeenQuote(quote, node.clock.now_ns())


def _is_settled(order: Any, kind: str) -> bool:
    if kind == "market":
        return bool(
            order.phase is Phase.CLOSED and order.told is not None and order.filled_qty == order.told.filled_qty
        )
    return order.phase is Phase.OPEN and order.told is not None


def _is_final(order: Any) -> bool:
    return order.phase is Phase.ABANDONED or not (order.refused and order.refused.may_pass_later)
