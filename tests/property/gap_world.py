"""Follow and trade a rehearsal venue through the real ccxt client while its sockets break, fall silent and lie."""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.catalog.bars import Catalog
from tradelab.feeds.fill_book import FillCursor
from tradelab.feeds.fills import FillFeed
from tradelab.feeds.hub import Feeds
from tradelab.feeds.keeper import candles
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock
from tradelab.model.errors import VenueError
from tradelab.model.feed_events import BarClosed, FeedAlarm
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.market import Candle
from tradelab.model.orders import Fill, OrderIntent, OrderType, Side
from tradelab.model.outcome import Accepted
from tradelab.model.units import NS_PER_S, Timeframe
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.orders import SimFill
from tradelab.rehearsal.settings import AccountSetup, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import DIALECTS, Rehearsal, rehearse

T = TypeVar("T")
D = Decimal
KEY, SECRET = "gaps-key-2b7c", "gaps-secret-e05a"
START_NS = 1_704_067_200_000_000_000  # 2024-01-01 00:00 UTC
HISTORY = 60  # bars before the start
STEP_S = 4.0  # below the five seconds that a signature is good for
PRICE = 40_000.0
SPOT = Instrument(
    symbol="BTCUSDT", venue="binance", base="BTC", quote="USDT", kind=InstrumentKind.SPOT, tick_size=D("0.01"),
    qty_step=D("0.00001"), min_qty=D("0.00001"), max_qty=D(9000), max_market_qty=D(100), min_notional=D(5),
    max_orders=200, max_trigger_orders=5,
)  # fmt: skip
PERP = replace(
    SPOT, settle="USDT", kind=InstrumentKind.PERPETUAL, tick_size=D("0.1"), qty_step=D("0.001"), min_qty=D("0.001"),
    max_qty=D(1000), min_notional=D(5),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One run: which venue, how much goes wrong."""

    dialect: str
    exchange: str
    market: str
    disconnects: int
    stalls: int
    others: int = 0  # of each other fault
    seed: int = 1

    @property
    def instrument(self) -> Instrument:
        return SPOT if self.market == "spot" else PERP

    @property
    def symbol(self) -> str:
        return "BTC/USDT" + ":USDT" * (self.market == "linear")

    def words(self) -> list[str]:
        """Return everything that goes wrong, shuffled."""
        counts = dict.fromkeys(STREAM_FAULTS, self.others) | dict.fromkeys(REST_FAULTS, self.others)
        counts |= {"disconnect": self.disconnects, "stall": self.stalls}
        words = [word for word, count in counts.items() for _ in range(count)]
        random.Random(self.seed).shuffle(words)
        return words


# A thousand disconnects and two hundred stalls.
PLAYS = (
    Play(dialect="binance", exchange="binance", market="spot", disconnects=350, stalls=70, others=8, seed=1),
    Play(dialect="binance", exchange="binance", market="spot", disconnects=350, stalls=70, others=8, seed=2),
    Play(dialect="binanceusdm", exchange="binance", market="linear", disconnects=150, stalls=30, others=4, seed=3),
    Play(dialect="bybit", exchange="bybit", market="linear", disconnects=100, stalls=20, others=3, seed=4),
    Play(dialect="bybit-spot", exchange="bybit", market="spot", disconnects=50, stalls=10, others=2, seed=5),
)

STREAM_FAULTS = {
    "twice": Fault.STREAM_DUPLICATE, "late": Fault.STREAM_DELAY, "reordered": Fault.STREAM_REORDER,
    "lost": Fault.STREAM_DROP,
}  # fmt: skip
REST_FAULTS = {
    "gateway": (Fault.GATEWAY, ("candles", "fills", "time")), "reset": (Fault.RESET, ("candles", "fills", "submit")),
    "truncated": (Fault.TRUNCATED, ("candles", "fills", "submit")), "maintenance": (Fault.MAINTENANCE, ("*",)),
    "limited": (Fault.RATE_LIMITED, ("candles", "fills")), "twice asked": (Fault.LATE_ANSWER, ("candles", "fills")),
    "no socket": (Fault.LOST, ("stream",)),
}  # fmt: skip


@dataclass
class Told:
    """What one run told, stored and did, and what was true."""

    bars: list[Candle] = field(default_factory=list)
    stored: list[Candle] = field(default_factory=list)
    true_bars: list[Candle] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    true_fills: list[SimFill] = field(default_factory=list)
    alarms: list[FeedAlarm] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)  # of the event loop: what nobody looked at
    left: list[str] = field(default_factory=list)  # tasks after everything was closed
    funds: dict[str, Decimal] = field(default_factory=dict)  # at the start
    ledger: Any = None
    funding: Decimal = Decimal(0)
    minutes: float = 0.0


def walk(count: int, tick: float, seed: int) -> pd.DataFrame:
    """Return minutes of a seeded random walk on the tick, without a hole."""
    chance = np.random.default_rng(seed)
    close = np.round(PRICE * np.exp(np.cumsum(chance.normal(0, 2e-4, count))) / tick) * tick
    open_ = np.concatenate([[PRICE], close[:-1]])
    wick = np.round(np.abs(chance.normal(0, 5, (2, count))) / tick) * tick
    frame = {
        "open": open_, "high": np.maximum(open_, close) + wick[0], "low": np.minimum(open_, close) - wick[1],
        "close": close, "volume": chance.integers(20, 200, count).astype(float),
    }  # fmt: skip
    return pd.DataFrame(frame, index=pd.date_range("2023-06-01", periods=count, freq="1min", tz="UTC"))


class World:
    """A venue, a client of it that follows and trades, and the hand that breaks things."""

    def __init__(self, play: Play, at: Rehearsal, clock: ManualClock, catalog: Catalog, told: Told) -> None:
        self.play, self.at, self.clock, self.catalog, self.told = play, at, clock, catalog, told
        self.chance = random.Random(play.seed)
        self.venue = CcxtVenue(
            play.exchange, market=play.market, clock=clock, base_url=at.url, symbols=[play.symbol],
            credentials={"api_key": KEY, "api_secret": SECRET},
        )  # fmt: skip
        self.topics = ("kline",)
        self._names = 0

    async def run(self) -> None:
        """Play the whole script, then let all be well for ten minutes and to the middle of one."""
        await self.meanwhile(self.venue.connect())
        feeds = Feeds(
            self.catalog, self.venue, clock=self.clock, chance=random.Random(5), on_alarm=self.told.alarms.append
        )
        cursor = FillCursor(self.clock.now_ns())
        fills = FillFeed(
            self.venue, cursor, clock=self.clock, chance=random.Random(6), on_alarm=self.told.alarms.append
        )
        async with fills:
            tasks = [asyncio.create_task(work) for work in (self._follow(feeds), self._book(fills), self._trade())]
            try:
                for word in self.play.words():
                    await self.befall(word)
                    await self.pass_time(self.chance.uniform(2, 20))
                    for task in tasks:
                        assert not task.done(), task
                self.at.direct.all_well()
                tasks[2].cancel()
                await self.pass_time(600)
                half_past = 90 - self.clock.now_ns() // NS_PER_S % 60  # every bar that is over has been over for long
                await self.pass_time(half_past)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        await feeds.close()
        await self.venue.disconnect()

    async def pass_time(self, seconds: float, step_s: float = STEP_S) -> None:
        """Let the market go on, and give requests and frames the time to come and go."""
        while seconds > 0:
            await self.clock.advance(min(step_s, seconds))
            await self.at.server.advance()
            for _ in range(40):
                await asyncio.sleep(0)
            seconds -= step_s

    async def meanwhile(self, work: Coroutine[Any, Any, T]) -> T:
        """Let time pass until some work is done: requests may wait on this clock for room in the budget."""
        task = asyncio.create_task(work)
        while not task.done():
            await self.pass_time(0.2, 0.2)
        return task.result()

    # ── what goes wrong ──────────────────────────────────────────────────────────────────────────────────────────

    async def befall(self, word: str) -> None:
        """Let something go wrong."""
        direct, chance = self.at.direct, self.chance
        if word == "disconnect":
            await self.streaming()
            direct.disconnect()
        elif word == "stall":
            await self.streaming()
            seconds = chance.choice((40, 60, 60, 90, 400))
            direct.stall("*", seconds)
            await self.pass_time(seconds, 10)
        elif word in STREAM_FAULTS:
            direct.fault(STREAM_FAULTS[word], times=chance.randint(1, 3), seconds=chance.uniform(1, 120))
        else:
            fault, kinds = REST_FAULTS[word]
            direct.fault(
                fault, chance.choice(kinds), times=chance.randint(1, 2), seconds=2, executed=chance.random() < 0.5
            )
        self.told.done[word] += 1

    async def streaming(self) -> None:
        """Wait until the sockets are open, so that there is something to break."""
        for _ in range(400):
            topics = self.at.server.hub.topics()
            if any("kline" in t for t in topics) and any(self._is_private(t) for t in topics):
                return
            await self.pass_time(2, 2)
        raise AssertionError(f"the streams never came back: {self.at.server.hub.topics()}")

    def _is_private(self, topic: str) -> bool:
        return topic.startswith(("user/", "execution"))

    # ── who follows and who trades ───────────────────────────────────────────────────────────────────────────────

    async def _follow(self, feeds: Feeds) -> None:
        async with feeds.bars(self.venue.name, self.play.symbol, "1m", after_ns=START_NS - 1) as bars:
            async for event in bars:
                assert isinstance(event, BarClosed)
                self.told.bars.append(event.candle)

    async def _book(self, fills: FillFeed) -> None:
        async for fill in fills:
            self.told.fills.append(fill)

    async def _trade(self) -> None:
        while True:
            await self.clock.sleep(self.chance.uniform(2, 15))
            try:
                await self._act()
            except VenueError as error:
                self.told.outcomes[type(error).__name__] += 1

    async def _act(self) -> None:
        chance, waiting = self.chance, list(self.at.exchange.open.values())
        if waiting and chance.random() < 0.2:  # the venue trades a part of an order that rests
            order = chance.choice(waiting)
            part = self.play.instrument.floor_qty(order.leaves_qty / 2)
            self.at.direct.fill(order.number, part or None)
            return
        if len(waiting) > 20:
            await self.venue.cancel_all(self.play.symbol)
            return
        outcome = await self.venue.submit(self._order())
        self.told.outcomes[type(outcome).__name__ if isinstance(outcome, Accepted) else str(outcome)[:60]] += 1

    def _order(self) -> OrderApproved:
        chance, market = self.chance, self.play.instrument
        side = Side.BUY if chance.random() < 0.5 else Side.SELL
        bid, ask = self.at.exchange.best(market.symbol)
        price, kind = None, OrderType.MARKET
        if chance.random() < 0.6:
            kind = OrderType.LIMIT
            price = market.floor_price((bid + ask) / 2 * (1 + D(str(round(chance.gauss(0, 2e-4), 6)))))
        qty = market.floor_qty(D(str(chance.uniform(0.002, 0.02))))
        self._names += 1
        intent = OrderIntent(
            symbol=self.play.symbol, side=side, qty=qty, type=kind, price=price,
            client_order_id=f"gaps{self.play.seed}x{self._names:06}",
        )  # fmt: skip
        passed = approve(
            intent, replace(market, symbol=self.play.symbol), reference_price=ask, by=("test",), at_ns=self._names
        )
        assert isinstance(passed, OrderApproved), passed
        return passed


@asynccontextmanager
async def world_of(play: Play, folder: Path, minutes: int = 300) -> AsyncIterator[World]:
    """Give a venue that runs and a client that is not connected yet; say afterwards what was left behind."""
    told, clock = Told(), ManualClock(START_NS)
    asyncio.get_running_loop().set_exception_handler(lambda _, said: told.complaints.append(str(said)))
    bars = walk(HISTORY + minutes, float(play.instrument.tick_size), play.seed)
    tape = Tape(play.instrument, bars, start_ns=START_NS, start_bar=HISTORY)
    told.funds = {"USDT": D(1_000_000)} | ({"BTC": D(20)} if play.market == "spot" else {})
    account = AccountSetup(key=KEY, secret=SECRET, balances=told.funds)
    setup = VenueSetup(ledger=DIALECTS[play.dialect][1], accounts=(account,))
    with Catalog(folder) as catalog:
        async with rehearse(play.dialect, [tape], setup, clock=clock) as at:
            yield World(play, at, clock, catalog, told)
            assert clock.now_ns() < tape.end_ns, "the tape was too short"
    await asyncio.sleep(0.05)
    gc.collect()
    told.left = [str(t) for t in asyncio.all_tasks() if t is not asyncio.current_task()]


async def play_through(play: Play, folder: Path) -> Told:
    """Run a play and return what was told and what was true."""
    async with world_of(play, folder, (play.disconnects + play.stalls * 12 + play.others * 11) // 2 + 300) as world:
        await world.run()
        told, exchange, now = world.told, world.at.exchange, world.clock.now_ns()
        told.stored = candles(world.catalog.read(world.venue.name, play.symbol, "1m"))
        (tape,) = exchange.tapes.values()
        told.true_bars = [c for c in tape.candles(Timeframe.M1, START_NS, now, now) if c.closed]
        told.true_fills = list(exchange.fills)
        told.ledger = exchange.ledgers[KEY]
        told.funding = sum((f.amount for f in exchange.funding), D(0))
        told.minutes = (now - START_NS) / NS_PER_S / 60
    return told
