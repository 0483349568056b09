"""Trade a tape live: the real ccxt client, streams and orders over real sockets, before a venue whose clock is moved.

One node runs a bot for each case on a market of its own, twice: on the venue's account, and on a paper account that is
fed by the venue's quotes. The clock jumps through each bar in small steps, and stands still while the node works.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from tests.acceptance.kills import records
from tests.conformance.ccxt_stage import KEY, SECRET, START_NS
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.adapters.paper_config import PaperConfig
from tradelab.app.build import join, parts_of
from tradelab.app.paper_account import PaperAccountVenue
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.messages import Message, OrderIntended, PositionClosed, PositionModified, SignalRaised
from tradelab.model.states import Leg
from tradelab.model.units import NS_PER_HOUR, NS_PER_S, Timeframe
from tradelab.rehearsal.ledger_perp import PerpLedger
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import Rehearsal, rehearse, settle
from tradelab.spine.config import parse_node
from tradelab.spine.node import Node
from tradelab.spine.order_life import Phase
from tradelab.store.database import Database

VENUE, PAPER = "venue", "paper"
BEGINS_NS = START_NS + 22 * NS_PER_HOUR  # a midnight is among the bars
_QUIET_S = 1e9
_CREEPS = 5  # so many times slower than the clock on the wall
_MOMENTS_S = (0, 9, 18, 26, 35, 43, 52, 56, 60)  # of a bar: its seven prints, shortly before its close, its close
_MODULES = {
    "data_provider": {},
    "risk_management": {},
    "execution": {"account_s": _QUIET_S, "reconcile_s": _QUIET_S, "fills_s": _QUIET_S},
    "position_monitoring": {},
}
_LIMITS = {"max_quote_age_s": 600, "max_balance_age_s": _QUIET_S}


class SteppedClock:
    """A clock that jumps when it is told to, and else creeps: a busy machine is not to be late for the next print.

    Who sleeps is woken by a jump, or when he has slept by the clock on the wall.
    """

    def __init__(self, start_ns: int) -> None:
        self._began_ns = time.monotonic_ns()
        self._ahead_ns = start_ns
        self._sleepers: dict[asyncio.Future[None], int] = {}

    def now_ns(self) -> int:
        """Return nanoseconds since 1970, UTC."""
        return self._ahead_ns + (time.monotonic_ns() - self._began_ns) // _CREEPS

    def reach(self, ts_ns: int) -> None:
        """Jump, unless it is that late already."""
        self._ahead_ns += max(0, ts_ns - self.now_ns())
        for sleeper, until_ns in list(self._sleepers.items()):
            if until_ns <= self.now_ns() and not sleeper.done():
                sleeper.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of this clock."""
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        self._sleepers[woken] = self.now_ns() + int(seconds * NS_PER_S)
        timer = loop.call_later(max(0.0, seconds), lambda: woken.done() or woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()
            del self._sleepers[woken]


class Case(NamedTuple):
    """One bot: its strategy, and how it leaves."""

    strategy: str
    parameters: Mapping[str, Any]
    exits: Mapping[str, Any]


def market(name: str) -> Instrument:
    """Return the market that one case trades on."""
    return Instrument(
        symbol=f"{name.upper()}USDT", venue="binance", quote="USDT", base=name.upper(), settle="USDT",
        kind=InstrumentKind.PERPETUAL, tick_size=Decimal("0.00001"), qty_step=Decimal("0.1"), min_qty=Decimal("0.1"),
        max_qty=Decimal(100_000), max_market_qty=Decimal(100_000), min_notional=Decimal(5), max_orders=200,
        max_trigger_orders=10,
    )  # fmt: skip


def unified(name: str) -> str:
    """What ccxt calls it."""
    return f"{name.upper()}/USDT:USDT"


def end_to_end(bars: pd.DataFrame) -> pd.DataFrame:
    """Return bars as minutes that follow one another, each opened where the one before has closed."""
    frame = bars[["open", "high", "low", "close", "volume"]].round(5).copy()
    frame["open"] = frame["close"].shift().fillna(frame["open"])
    frame["high"] = frame[["open", "high", "close"]].max(axis=1)
    frame["low"] = frame[["open", "low", "close"]].min(axis=1)
    frame["volume"] = 1e6
    frame.index = pd.date_range(pd.Timestamp(BEGINS_NS, tz="UTC"), periods=len(frame), freq="1min")
    return frame


async def live(cases: Mapping[str, Case], bars: pd.DataFrame, qty: Decimal, folder: Path) -> list[Message]:
    """Trade every case on the venue and on paper, and return all that was said."""
    clock = SteppedClock(BEGINS_NS)
    tapes = [Tape(market(name), bars, prints_per_leg=2) for name in cases]
    account = AccountSetup(key=KEY, secret=SECRET, balances={"USDT": Decimal(1_000_000)})
    setup = VenueSetup(
        ledger=Ledger.PERPETUAL, accounts=(account,), maker_bps=Decimal(0), taker_bps=Decimal(0), spread_ticks=0,
        level_qty=Decimal(1_000_000), funding_rate=Decimal(0),
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        at = await stack.enter_async_context(rehearse("binanceusdm", tapes, setup, clock=clock))
        database = stack.enter_context(Database(records(folder)))
        node = _node(cases, len(bars), qty, at.url, clock, database, folder)
        said: list[Message] = []
        node.bus.look_on(lambda recorded: said.append(recorded.message))
        await node.start()
        stack.push_async_callback(node.stop, "keep")
        await _lead(node, at, clock, len(bars), len(cases))
    return said


def _node(
    cases: Mapping[str, Case],
    length: int,
    qty: Decimal,
    url: str,
    clock: SteppedClock,
    database: Database,
    folder: Path,
) -> Node:
    symbols = [unified(name) for name in cases]
    venue = CcxtVenue(
        "binance", market="linear", clock=clock, base_url=url, timeout_s=10.0, symbols=symbols,
        credentials={"api_key": KEY, "api_secret": SECRET},
    )  # fmt: skip
    bots = {
        f"{name}-{account}": {
            "strategy": case.strategy, "parameters": dict(case.parameters), "symbols": [unified(name)],
            "timeframe": "1m", "source": VENUE, "execution": account, "preset": name, "max_bars": length,
        }
        for name, case in cases.items()
        for account in (VENUE, PAPER)
    }  # fmt: skip
    presets = {
        name: {"sizing": {"by": "qty", "value": str(qty)}, "exits": dict(case.exits), "limits": _LIMITS}
        for name, case in cases.items()
    }
    modules = _MODULES | {"data_provider": {"catalog": str(folder / "bars"), "quote_interval_s": _QUIET_S}}
    accounts = {PAPER: {"kind": "paper", "balances": {"USDT": "1000000"}}}
    config = parse_node({"modules": modules, "accounts": accounts, "bots": bots, "presets": presets})
    terms = PaperConfig(balances={"USDT": Decimal(1_000_000)}, name=PAPER, mode="netting")
    paper = PaperAccountVenue(terms, folder / "paper.json", venue, symbols, clock=clock)
    return join(config, parts_of(config), database, clock, {VENUE: venue, PAPER: paper}, {VENUE: venue})


async def _lead(node: Node, at: Rehearsal, clock: SteppedClock, count: int, cases: int) -> None:
    """Move the clock to the end of the tape, and let the node finish what it does at each step."""
    while any(account.reconciling for account in node.ledger.snapshot().accounts.values()):
        await asyncio.sleep(0.02)
    for bar in range(count):
        open_ns = BEGINS_NS + bar * Timeframe.M1.ns
        for moment_s in _MOMENTS_S:
            clock.reach(open_ns + moment_s * NS_PER_S + 1_000_000)
            await at.server.advance()
            await settle()
            if moment_s == _MOMENTS_S[-1]:
                await _told(node, at, clock, cases, open_ns)
            await _quoted(node, at)
            await _quiet(node, at)


async def _told(node: Node, at: Rehearsal, clock: SteppedClock, cases: int, open_ns: int) -> None:
    """Wait until the bar has come in everywhere; what a stream has not marked as closed is asked for in a moment.

    The clock is moved for that as far as the market stands still, for the next bar is entered at its open.
    """
    windows, until_ns = node.market.windows, open_ns + Timeframe.M1.ns + 7 * NS_PER_S
    while len(windows) < cases or any(not len(w.ts_ns) or w.ts_ns[-1] < open_ns for w in windows.values()):
        clock.reach(min(clock.now_ns() + NS_PER_S // 4, until_ns))
        await at.server.advance()
        await asyncio.sleep(0.02)


async def _quoted(node: Node, at: Rehearsal) -> None:
    """Wait until every quote has come in."""
    for key in list(node.market.quotes):
        name = key[1].partition("/")[0] + "USDT"
        while node.market.quotes[key].quote.bid != at.exchange.best(name)[0]:
            await at.server.advance()
            await asyncio.sleep(0.005)


async def _quiet(node: Node, at: Rehearsal) -> None:
    """Wait until nothing more is said, and what the venue has is what the node knows."""
    quiet, seq = 0, node.ledger.seq
    while quiet < 4:
        await asyncio.sleep(0.005)
        quiet = quiet + 1 if node.ledger.seq == seq and _agree(node, at) else 0
        seq = node.ledger.seq


def _agree(node: Node, at: Rehearsal) -> bool:
    """Whether no request is under way, and orders and positions are the same on both sides of the wire."""
    now = node.ledger.snapshot()
    if any(it.is_pending for it in now.signals.values()):
        return False
    if any(it.phase in (Phase.INTENDED, Phase.UNKNOWN) or it.is_owed for it in now.orders.values()):
        return False
    if len(now.open_orders(VENUE)) != len(at.exchange.open_orders(KEY)):
        return False
    ledger = at.exchange.ledgers[KEY]
    assert isinstance(ledger, PerpLedger)
    return all(now.held(VENUE, unified(s[:-4].lower())) == p.qty for s, p in ledger.positions.items())


def decisions(said: Iterable[Message], bot: str) -> list[tuple[Any, ...]]:
    """What a bot decided, in order: what it wished, what it sent to the market, where its exits lay, why it left."""
    found: list[tuple[Any, ...]] = []
    for it in said:
        if isinstance(it, SignalRaised) and it.signal.bot == bot:
            found.append(("wishes", it.signal.bar_ns, it.signal.action.value))
        elif isinstance(it, OrderIntended) and it.bot == bot and it.leg in (Leg.ENTRY, Leg.EXIT):
            found.append(("sends", it.leg.value, it.intent.side.value, it.intent.qty, it.says))
        elif isinstance(it, PositionModified) and it.bot == bot:
            found.append(("holds", it.qty, it.stop_price, it.target_price))
        elif isinstance(it, PositionClosed) and it.bot == bot:
            found.append(("left", Timeframe.M1.floor(it.closed_ns), it.reason))
    return found
