"""Let a guard of an account trip, kill the engine at that moment, start another, and see that nothing enters.

Money is lost by a market that moves while a position is open: nothing is closed, so all of the loss is unrealised. What
was entered is counted in the exchange; whether an entry came after the breach is told by the journal, in which every
order of the exchange must have its intent, before the report of equity in which a plain sum sees the breach.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from tests.acceptance.engine import SETTLED, Job
from tests.acceptance.kills import MARKETS, Zygote, venue_of
from tests.conformance.ccxt_stage import KEY, SECRET
from tradelab.model.messages import AccountReported, NodeStarted, OrderIntended, Recorded, TradingStateChanged
from tradelab.model.orders import OrderStatus, Side
from tradelab.model.states import Leg, TradingState
from tradelab.rehearsal.venue import Rehearsal
from tradelab.spine.keeping import JournalKeeper
from tradelab.store.database import Database
from tradelab.store.journal import Journal
from tradelab.store.states import TradingStates

GUARDS = ("max_daily_loss", "max_weekly_loss", "max_drawdown")
KILLED_AT = (
    "said TradingStateChanged", "before keeping TradingStateChanged", "kept TradingStateChanged", "said AlarmRaised",
    "before keeping AlarmRaised", "kept AlarmRaised",
)  # fmt: skip
MOMENTS = (*KILLED_AT, "at any time", "once it is kept")
AFTERWARDS = ("stays", "recovers")
_HELD = {"binance": ("0.2", "0.015"), "binanceusdm": ("0.4", "0.03"), "bybit": ("200000", "0.03")}  # and the limit
_SMALL = {"binance": "0.0003", "binanceusdm": "0.005", "bybit": "500"}
_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Trip:
    """One experiment: which guard, where, when the engine is killed, and what the market does while none runs."""

    number: int
    venue: str
    guard: str
    moment: str
    afterwards: str
    after_s: float

    def __str__(self) -> str:
        when = f"after {self.after_s} s" if self.moment == "at any time" else self.moment
        return f"{self.number}: {self.guard} on {self.venue}, killed {when}, then the market {self.afterwards}"


@dataclass(frozen=True)
class Told:
    """What came of it; ``wrong`` is empty where all was right."""

    trip: Trip
    killed: int
    was_kept: bool  # the breach, before the engine was killed
    state: str  # of the account at the end
    entries: int
    refused: int
    wrong: tuple[str, ...]


def trips(count: int, seed: int) -> list[Trip]:
    """Draw experiments: guards, venues, moments in turn, the rest by chance."""
    chance = random.Random(seed)
    return [
        Trip(
            n, list(MARKETS)[n // len(GUARDS) % len(MARKETS)], GUARDS[n % len(GUARDS)], MOMENTS[n % len(MOMENTS)],
            chance.choice(AFTERWARDS), round(chance.uniform(0.0, 1.0), 3),
        )
        for n in range(count)
    ]  # fmt: skip


async def play(trip: Trip, zygote: Zygote, database: str) -> Told:
    """Run one experiment."""
    async with venue_of(trip.venue) as at:
        job = _job(trip, at, database)
        killed, was_kept = await _until_killed(trip, job, at, zygote)
        if trip.afterwards == "recovers":
            _move(at, trip, "1")
        lives = was_kept or trip.afterwards == "stays"
        proving = replace(job, life="proving", point="", expect="halted" if lives else "active")
        end = await zygote.live(proving)
        messages = await asyncio.to_thread(_messages, database)
        wrong = [] if end == SETTLED else [f"the last life ended with {end}"]
        wrong += judged(trip, messages, at, expects_halt=lives)
        state = await asyncio.to_thread(_kept_state, database)
        if (state is TradingState.HALTED) != lives:
            wrong.append(f"the records say {state.value} at the end")
        refused = sum(type(each.message).__name__ == "SignalDropped" for each in messages)
        return Told(trip, killed, was_kept, state.value, len(_bought(at)), refused, tuple(wrong))


def judged(trip: Trip, messages: Sequence[Recorded[Any]], at: Rehearsal, *, expects_halt: bool) -> list[str]:
    """Hold the exchange's orders and the journal against what a guard is for."""
    wrong = []
    limit = Decimal(_HELD[trip.venue][1])
    breach, halted, last_start = _breach(trip.guard, messages, limit), None, 0
    intents: dict[str, int] = {}
    for each in messages:
        it = each.message
        if isinstance(it, OrderIntended) and it.leg is Leg.ENTRY:
            intents[it.intent.client_order_id] = each.seq
        elif isinstance(it, TradingStateChanged) and it.state is TradingState.HALTED and halted is None:
            halted = each.seq
        elif isinstance(it, TradingStateChanged) and it.state is not TradingState.HALTED:
            wrong.append(f"row {each.seq} lets it trade again: {it.by}")
        elif isinstance(it, NodeStarted):
            last_start = each.seq
    if expects_halt and (breach is None or halted is None):
        wrong.append(f"nothing tripped: breach at {breach}, halted at {halted}")
    if breach is not None and halted is not None and not breach < halted <= breach + 3:
        wrong.append(f"the breach stands in row {breach}, and it was halted in row {halted}")
    for name in _bought(at):
        if name not in intents:
            wrong.append(f"the exchange has {name}, which nobody meant")
        elif breach is not None and intents[name] > breach:
            wrong.append(f"{name} was meant in row {intents[name]}, the breach stands in row {breach}")
    if expects_halt and (still := [o.client_order_id for o in at.exchange.open_orders(KEY) if o.side is Side.BUY]):
        wrong.append(f"it is halted, and {len(still)} entries still wait at the exchange")
    if not expects_halt and not any(seq > last_start for seq in intents.values()):
        wrong.append("nothing entered, and no guard had tripped")
    return wrong


def _breach(guard: str, messages: Sequence[Recorded[Any]], limit: Decimal) -> int | None:
    """The row of the first report of equity that reaches the limit, by a sum made here."""
    base: Decimal | None = None
    for each in messages:
        if not isinstance(each.message, AccountReported) or each.message.info.equity is None:
            continue
        equity = each.message.info.equity
        if base is None or (guard == "max_drawdown" and equity > base):
            base = equity
        if (base - equity) / base >= limit:
            return each.seq
    return None


async def _until_killed(trip: Trip, job: Job, at: Rehearsal, zygote: Zygote) -> tuple[int, bool]:
    """Let an engine buy and try to go on, make it lose, and kill it; return the kills, and whether the trip is kept."""
    pids: list[int] = []
    living = asyncio.ensure_future(zygote.live(job, pids.append))
    try:
        await _until(lambda: at.exchange.fills, living)
        await asyncio.sleep(random.Random(trip.number).uniform(0.1, 0.4))
        if trip.guard == "max_drawdown":
            _move(at, trip, "1.015")
            await _seen(job.database, lambda messages: _rose(messages))
        _move(at, trip, "0.99" if trip.guard == "max_drawdown" else "0.97")
        if trip.moment == "at any time":
            await asyncio.sleep(trip.after_s)
        elif trip.moment == "once it is kept":
            await _seen(job.database, _is_halted)
            await asyncio.sleep(trip.after_s / 20)
        if trip.moment not in KILLED_AT:
            os.kill(pids[0], signal.SIGKILL)
        end = await asyncio.wait_for(living, _PATIENCE_S)
    finally:
        if not living.done():
            os.kill(pids[0], signal.SIGKILL)
            await living
    return int(end == -signal.SIGKILL), _is_halted(await asyncio.to_thread(_messages, job.database))


def _job(trip: Trip, at: Rehearsal, database: str) -> Job:
    market = MARKETS[trip.venue]
    qty, limit = _HELD[trip.venue]
    far = dt.datetime.now(dt.UTC) + dt.timedelta(hours=12)  # no day and no week begins while this runs
    return Job(
        database=database, url=at.url, exchange=market.exchange, market=market.market,
        symbol=f"{market.instrument.base}/USDT" + ":USDT" * (market.market == "linear"), key=KEY, secret=SECRET,
        kind="market", qty=qty, price=str(market.instrument.floor_price(market.price * Decimal("0.96"))),
        life="trying", point=trip.moment if trip.moment in KILLED_AT else "", bots=120, small=_SMALL[trip.venue],
        limits={trip.guard: limit, "max_positions_symbol": "1000"}, risk={"day_starts": f"{far:%H}:30:00"},
    )  # fmt: skip


def _move(at: Rehearsal, trip: Trip, share: str) -> None:
    market = MARKETS[trip.venue]
    at.direct.move_price(market.instrument.symbol, market.instrument.floor_price(market.price * Decimal(share)))


def _bought(at: Rehearsal) -> list[str]:
    """The names of all entries that the exchange took."""
    taken = (o for o in at.exchange.orders.values() if o.account == KEY and o.status is not OrderStatus.REJECTED)
    return [o.client_order_id for o in taken if o.side is Side.BUY]


# ── what the records say ─────────────────────────────────────────────────────────────────────────────────────────────


def _messages(url: str) -> list[Recorded[Any]]:
    with Database(url) as database:
        return list(JournalKeeper(Journal(database, "acceptance")).recorded())


def _kept_state(url: str) -> TradingState:
    with Database(url) as database:
        told = TradingStates(database, "acceptance").read().get("account venue")
    return TradingState.ACTIVE if told is None else told.state


def _is_halted(messages: Sequence[Recorded[Any]]) -> bool:
    changes = (each.message for each in messages if isinstance(each.message, TradingStateChanged))
    return any(it.state is TradingState.HALTED for it in changes)


def _rose(messages: Sequence[Recorded[Any]]) -> bool:
    told = [e.message.info.equity for e in messages if isinstance(e.message, AccountReported) and e.message.info.equity]
    return bool(told) and max(told) > told[0] * Decimal("1.005")


async def _seen(url: str, holds: Callable[[Sequence[Recorded[Any]]], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not holds(await asyncio.to_thread(_messages, url)):
            await asyncio.sleep(0.02)


async def _until(holds: Callable[[], object], living: asyncio.Future[int]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not holds():
            assert not living.done(), f"the engine ended with {living.result()}"
            await asyncio.sleep(0.01)
