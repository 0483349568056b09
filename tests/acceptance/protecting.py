"""Fill an entry in pieces while orders that protect are refused and the engine is killed, and watch the exchange.

Everything is read off the exchange, at each of its events: whether what may be sold was ever above what was bought, and
by its own clock how long each piece waited until a stop covered it. A piece that was covered and is not any more waits
anew. What the engine believes is asked for nothing but when it thinks that it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from dataclasses import dataclass, field
from decimal import Decimal

from tests.acceptance.engine import SETTLED, Job
from tests.acceptance.kills import MARKETS, Zygote, venue_of
from tests.conformance.ccxt_stage import KEY, SECRET
from tradelab.model.orders import OrderType, Side
from tradelab.rehearsal.events import Event, OrderChanged
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.orders import SimOrder
from tradelab.rehearsal.venue import Rehearsal

ALONE, REFUSED, KILLED = "alone", "refused", "killed"
FLAVOURS = (ALONE, REFUSED, KILLED)
_LEAST = {"binance": "0.0003", "binanceusdm": "0.003", "bybit": "70"}  # a piece that may be stopped by itself
_REFUSALS: tuple[tuple[Fault, bool], ...] = (
    (Fault.RATE_LIMITED, False), (Fault.OVERLOADED, False), (Fault.BALANCE, False), (Fault.FILTER, False),
    (Fault.LOST, False), (Fault.RESET, False), (Fault.TRUNCATED, False), (Fault.GATEWAY, True), (Fault.GATEWAY, False),
    (Fault.STATUS_UNKNOWN, True), (Fault.STATUS_UNKNOWN, False),
)  # fmt: skip
_PATIENCE_S = 90.0
_NS_PER_MS = 1_000_000


@dataclass(frozen=True)
class Entry:
    """One experiment: an entry in so many pieces, and what befalls it."""

    number: int
    venue: str
    flavour: str
    pieces: int

    def __str__(self) -> str:
        return f"{self.number}: {self.pieces} pieces on {self.venue}, {self.flavour}"


@dataclass(frozen=True)
class Told:
    """What came of it: events, pieces, kills, how long each piece stood unprotected; ``wrong`` is empty if right."""

    entry: Entry
    steps: int
    fills: int
    killed: int
    unprotected_ms: tuple[float, ...]
    wrong: tuple[str, ...]


@dataclass
class Watch:
    """Hears every event of an exchange, and holds the account's orders against its position."""

    exchange: Exchange
    symbol: str
    steps: int = 0
    wrong: list[str] = field(default_factory=list)
    unprotected_ms: list[float] = field(default_factory=list)
    _waits: list[tuple[Decimal, int]] = field(default_factory=list)  # so much must be covered, since when it is not
    _held: Decimal = Decimal(0)

    def hear(self, event: Event) -> None:
        """Look at the account as it is at this event."""
        if not isinstance(event, OrderChanged) or event.order.account != KEY:
            return
        self.steps += 1
        held, exits = self.held, self.exits()
        self._judge(held, exits)
        self._measure(held, sum((o.leaves_qty for o in exits if o.type is OrderType.STOP), Decimal(0)), event.ts_ns)

    @property
    def is_spot(self) -> bool:
        """Whether the account holds coins, and nothing binds an order to close only."""
        return hasattr(self.exchange.ledgers[KEY], "free")

    @property
    def held(self) -> Decimal:
        """What is held, as the exchange has it."""
        ledger = self.exchange.ledgers[KEY]
        if self.is_spot:
            base = str(self.exchange.instrument(self.symbol).base)
            return ledger.free.get(base, Decimal(0)) + ledger.held.get(base, Decimal(0))  # type: ignore[union-attr]
        return ledger.position(self.symbol).qty  # type: ignore[union-attr]

    def exits(self) -> list[SimOrder]:
        """What may still sell."""
        return [order for order in self.exchange.open_orders(KEY, self.symbol) if order.side is Side.SELL]

    def whole(self, qty: Decimal) -> Decimal:
        """Round down to what can be ordered."""
        step = self.exchange.instrument(self.symbol).qty_step
        return qty // step * step

    def _judge(self, held: Decimal, exits: list[SimOrder]) -> None:
        sold = sum((o.filled_qty for o in self.exchange.orders.values() if o.side is Side.SELL), Decimal(0))
        if held < 0:
            self.wrong.append(f"step {self.steps}: {-held} more was sold than had filled")
        for order in exits:
            if not self.is_spot and not (order.reduce_only or order.close_all):
                self.wrong.append(f"step {self.steps}: {order.client_order_id} may open something")
            if order.qty > held + sold:
                self.wrong.append(f"step {self.steps}: {order.client_order_id} sells {order.qty} of {held + sold}")
        may_sell = sum((o.leaves_qty for o in exits), Decimal(0))
        if self.is_spot and may_sell > held:
            self.wrong.append(f"step {self.steps}: {may_sell} may be sold, {held} is held")

    def _measure(self, held: Decimal, covered: Decimal, now_ns: int) -> None:
        need = self.whole(held)
        waits = [(min(qty, need), since) for qty, since in self._waits]  # what was sold meanwhile needs nothing
        if need > self._held or (covered < need and not any(qty >= need for qty, _ in waits)):
            waits.append((need, now_ns))  # one piece more, or a stop is gone
        self._held = need
        self._waits = [(qty, since) for qty, since in waits if qty > covered]
        ended = [since for qty, since in waits if 0 < qty <= covered]
        self.unprotected_ms += [(now_ns - since) / _NS_PER_MS for since in ended]


def entries(flavour: str, count: int, seed: int) -> list[Entry]:
    """Draw experiments: venues in turn, from one piece to fifty."""
    chance = random.Random(f"{flavour} {seed}")
    return [Entry(n, list(MARKETS)[n % len(MARKETS)], flavour, chance.randint(1, 50)) for n in range(count)]


async def play(entry: Entry, zygote: Zygote, database: str) -> Told:
    """Run one experiment."""
    async with venue_of(entry.venue) as at:
        job = _job(entry, at, database)
        watch = Watch(at.exchange, MARKETS[entry.venue].instrument.symbol)
        at.exchange.listeners.append(watch.hear)
        pids: list[int] = []
        living = asyncio.ensure_future(_kept_alive(zygote, job, pids))
        try:
            order = await _entry_of(at, living)
            if entry.flavour != KILLED:
                await _listened_to(at)
            fills = await _fill(entry, at, order, pids)
            killed, end = await asyncio.wait_for(living, _PATIENCE_S)
        finally:
            if not living.done():
                living.cancel()
                _kill(pids[-1])
        wrong = list(watch.wrong)
        if end != SETTLED:
            wrong.append(f"the last life ended with {end}")
        stops = sum((o.leaves_qty for o in watch.exits() if o.type is OrderType.STOP), Decimal(0))
        if stops != watch.whole(watch.held):
            wrong.append(f"{watch.held} is held at the end, and stops cover {stops}")
        return Told(entry, watch.steps, fills, killed, tuple(watch.unprotected_ms), tuple(wrong))


async def _kept_alive(zygote: Zygote, job: Job, pids: list[int]) -> tuple[int, int]:
    """Start an engine again whenever it was killed; return how often that was, and how the last one ended."""
    killed = 0
    while (end := await zygote.live(job, pids.append)) < 0:
        killed += 1
    return killed, end


async def _entry_of(at: Rehearsal, living: asyncio.Future[tuple[int, int]]) -> SimOrder:
    async with asyncio.timeout(_PATIENCE_S):
        while not (found := [o for o in at.exchange.open_orders(KEY) if o.side is Side.BUY]):
            assert not living.done(), f"the engine ended with {living.result()}"
            await asyncio.sleep(0.01)
    return found[0]


async def _listened_to(at: Rehearsal) -> None:
    """Wait until the engine is up: it hears what happens to its account, and has done so for a moment."""
    async with asyncio.timeout(_PATIENCE_S):
        while not at.server.hub.sessions:
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)


async def _fill(entry: Entry, at: Rehearsal, order: SimOrder, pids: list[int]) -> int:
    """Fill it piece by piece, with all that happens meanwhile; return how many fills that were."""
    chance = random.Random(f"{entry}")
    least = Decimal(_LEAST[entry.venue])
    for n in range(entry.pieces):
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        if entry.flavour != ALONE:
            _befall(at, chance)
        at.exchange.advance()
        at.direct.fill(order.number, least if n + 1 < entry.pieces else None)
        if entry.flavour == KILLED and chance.random() < max(0.06, 1.0 / entry.pieces):
            await asyncio.sleep(chance.uniform(0.0, 0.05))
            _kill(pids[-1])
    at.direct.all_well()
    return entry.pieces


def _kill(pid: int) -> None:
    """Kill an engine, if it is not dead already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _befall(at: Rehearsal, chance: random.Random) -> None:
    """Let the next orders be refused, now and then, or a cancel; one after the other, so that none is left over."""
    if at.server.faults.waiting():
        return
    draw = chance.random()
    if draw < 0.12:
        fault, executed = chance.choice(_REFUSALS)
        at.direct.fault(fault, "submit", times=chance.randint(1, 2), seconds=0.5, executed=executed)
    elif draw < 0.15:
        at.direct.fault(Fault.CANCEL_REJECTED, "cancel")


def _job(entry: Entry, at: Rehearsal, database: str) -> Job:
    market = MARKETS[entry.venue]
    price = market.instrument.floor_price(market.price * Decimal("0.98"))
    return Job(
        database=database, url=at.url, exchange=market.exchange, market=market.market,
        symbol=f"{market.instrument.base}/USDT" + ":USDT" * (market.market == "linear"), key=KEY, secret=SECRET,
        kind="limit", qty=str(Decimal(_LEAST[entry.venue]) * entry.pieces), price=str(price),
        life="protected", exits={"stop": "2 %"},
    )  # fmt: skip


def spread(values: list[float]) -> tuple[float, float, float]:
    """Half and all but a hundredth are no longer than this, and the longest: by the nearest rank; in ms."""
    ordered = sorted(values)
    at = [ordered[max(0, -(-len(ordered) * share // 100) - 1)] for share in (50, 99)]
    return at[0], at[1], ordered[-1]
