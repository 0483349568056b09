"""Ask ten times as much of a venue as it allows, and measure who got what and when, on a clock moved by hand.

The client is the one that trades, the venue a rehearsal that weighs every request as the real one documents. What a
request weighs is measured at the venue, not assumed; latencies are in seconds of the venue.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.conformance import test_binance_spot, test_binance_usdm, test_bybit
from tests.conformance.ccxt_stage import KEY, SECRET, START_NS, flat_bars
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock
from tradelab.model.errors import VenueError
from tradelab.model.orders import OrderIntent, OrderRef, OrderType, Side, TimeInForce
from tradelab.model.outcome import Accepted, Outcome, Refused
from tradelab.model.units import NS_PER_S, Timeframe
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.settings import AccountSetup, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import DIALECTS, Rehearsal, rehearse

STEP_S = 0.1
PERIOD_S = 1.0  # of a poller
_AFTER_FAILURE_S = 5.0
MARKETS: dict[str, Any] = {
    "binance": test_binance_spot.TestBinanceSpot,
    "binanceusdm": test_binance_usdm.TestBinanceUsdm,
    "bybit": test_bybit.TestBybitLinear,
}
# How often each is asked for in a second; the orders are ten times what may be sent, the weights come to more than ten
# times (see Told.demand). Data is asked by pollers, one question under way for each, as feeds do.
OPEN_LOOP: dict[str, dict[str, float]] = {
    "binance": {"entry": 78, "exit": 18, "protect": 4, "account": 5, "open_orders": 5, "fills": 5},
    "binanceusdm": {"entry": 156, "exit": 40, "protect": 4, "account": 5, "open_orders": 5, "fills": 5},
    "bybit": {"entry": 76, "exit": 20, "protect": 4, "account": 20, "open_orders": 20, "fills": 20},
}
POLLERS = {"binance": {"trades": 150, "klines": 50}, "binanceusdm": {"trades": 60, "klines": 40},
           "bybit": {"trades": 600, "klines": 600}}  # fmt: skip
LIMITS = {
    "binance": {"REQUEST_WEIGHT": 100.0, "ORDERS_10S": 10.0},  # per second
    "binanceusdm": {"REQUEST_WEIGHT": 40.0, "ORDERS_10S": 20.0},
    "bybit": {"address": 120.0, "/v5/order/create": 10.0},
}


@dataclass(slots=True)
class Told:
    """What came of it."""

    seconds: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    refused_here: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    latency_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    gap_s: dict[str, float] = field(default_factory=dict)  # the longest between two answers
    last_s: dict[str, float] = field(default_factory=dict)
    price: dict[str, dict[str, int]] = field(default_factory=dict)

    def demand(self, scope: str) -> float:
        """How much of a scope was asked for in a second, in the venue's own unit."""
        total = sum(count * self.price.get(kind, {}).get(scope, 0) for kind, count in self.asked.items())
        return total / self.seconds

    def quantile(self, kind: str, q: float) -> float:
        """A quantile of the seconds from asking to the answer."""
        seen = sorted(self.latency_s[kind])
        return seen[min(len(seen) - 1, int(q * len(seen)))]


class Soak:
    """A venue, the client before it, and all that is wanted of both."""

    def __init__(self, name: str, at: Rehearsal, clock: ManualClock) -> None:
        self.name, self.at, self.clock = name, at, clock
        self.market = MARKETS[name]
        self.told = Told()
        base = f"{self.market.instrument.base}/USDT"
        self.symbol = base + ":USDT" * (self.market.market == "linear")
        self.venue = CcxtVenue(
            self.market.exchange, market=self.market.market, clock=clock, base_url=at.url, timeout_s=60.0,
            credentials={"api_key": KEY, "api_secret": SECRET}, symbols=[self.symbol],
        )  # fmt: skip
        self._names = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pollers: list[asyncio.Task[None]] = []
        self._owed = dict.fromkeys(OPEN_LOOP[name], 0.0)
        self._stops = asyncio.Semaphore(4)  # the venue allows only a few conditional orders at once

    @property
    def now_s(self) -> float:
        return (self.clock.now_ns() - START_NS) / NS_PER_S

    @property
    def budget(self) -> Any:
        return self.venue._client.budgets.whole

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, nothing new being asked."""
        until = self.now_s + seconds
        while self.now_s < until - 1e-6:
            await self.clock.advance(min(STEP_S, until - self.now_s))
            await self.quiet()

    async def quiet(self) -> None:
        """Wait until no request is on its way."""
        calm = 0
        while calm < 3:
            await asyncio.sleep(0 if not self.budget.in_flight else 0.0002)
            calm = 0 if self.budget.in_flight else calm + 1

    async def until_done(self, work: Awaitable[Any]) -> Any:
        """Let time pass until something is done."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await self.pass_time(STEP_S)
        return task.result()

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, seconds: float, part: float = 1.0) -> None:
        """Ask for ten times too much for so long; of orders and of the account for a part of it."""
        self._pollers = self._pollers or [
            asyncio.create_task(self._poll(kind, PERIOD_S * place / count))
            for kind, count in POLLERS[self.name].items()
            for place in range(count)
        ]
        began = self.now_s
        while self.now_s < began + seconds - 1e-6:
            for kind, rate in OPEN_LOOP[self.name].items():
                self._owed[kind] += part * rate * STEP_S
                while self._owed[kind] >= 1:
                    self._owed[kind] -= 1
                    self._start(kind)
            await self.pass_time(STEP_S)
        self.told.seconds += self.now_s - began
        for kind, count in POLLERS[self.name].items():
            self.told.asked[kind] += round(count * (self.now_s - began) / PERIOD_S)

    async def rest(self) -> None:
        """Ask for nothing more, and wait until nothing is waited for."""
        for poller in self._pollers:
            poller.cancel()
        await asyncio.gather(*self._pollers, return_exceptions=True)
        self._pollers = []
        while self._tasks:
            await self.pass_time(1.0)

    async def banned_at_rest(self, seconds: float) -> float:
        """Be banned when nothing else is under way, and go on asking; return how long after its end work went on.

        No request may be made inside this ban: everything learns of it before anything leaves.
        """
        await self.rest()
        self.at.direct.fault(Fault.BANNED, "*", seconds=seconds)
        with contextlib.suppress(VenueError):
            await self.until_done(self.ask("klines"))
        began = self.now_s
        self.told.answered.clear()
        shut_s = self.budget.closed_for_s
        await self.run(10.0)
        await self.run(shut_s - 21.0, part=0.05)
        await self.run(10.0)
        assert not self.told.answered, "something was answered inside the ban"
        ended = began + shut_s
        assert shut_s >= seconds - 1
        while not all(self.told.answered[kind] for kind in ("protect", "exit", "klines", "account")):
            assert self.now_s < ended + 60, f"work did not go on: {self.told.answered}"
            await self.run(STEP_S)
        return self.now_s - ended

    async def banned_at_work(self, seconds: float) -> int:
        """Be banned amid all of it; return how many requests left after the answer that said so.

        Those that were on their way when the venue closed its door had left before.
        """
        await self.run(5.0)
        self.at.direct.fault(Fault.BANNED, "*", seconds=seconds)
        await self.run(seconds)
        asked = list(self.at.server.log)
        told = max(a.ts_ns for a in asked if a.fault == Fault.BANNED.value)
        until = told + int(seconds * NS_PER_S)
        return sum(told + 2 * STEP_S * NS_PER_S < a.ts_ns < until for a in asked)

    def _start(self, kind: str) -> None:
        self.told.asked[kind] += 1
        task = asyncio.create_task(self._one(kind))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _poll(self, kind: str, phase_s: float) -> None:
        """Want an answer every so often; while one is under way those that were due are wanted in vain."""
        due = self.now_s + phase_s
        while True:
            await self.clock.sleep(due - self.now_s)
            await self._one(kind)
            due += PERIOD_S * max(1, math.ceil((self.now_s - due) / PERIOD_S))

    async def _one(self, kind: str) -> None:
        began = self.now_s
        try:
            outcome = await self.ask(kind)
        except VenueError:
            self.told.failed[kind] += 1
            await self.clock.sleep(_AFTER_FAILURE_S)
            return
        if isinstance(outcome, Refused):
            self.told.refused_here[f"{kind}: {outcome.code.value}"] += 1
            return
        told, now = self.told, self.now_s
        told.answered[kind] += 1
        told.latency_s[kind].append(now - began)
        told.gap_s[kind] = max(told.gap_s.get(kind, 0.0), now - told.last_s.get(kind, now))
        told.last_s[kind] = now

    async def ask(self, kind: str) -> Any:
        """Make one request of a kind."""
        venue, symbol = self.venue, self.symbol
        questions: dict[str, Callable[[], Awaitable[Any]]] = {
            "klines": lambda: venue.fetch_ohlcv(symbol, Timeframe.M1, limit=20),
            "trades": lambda: venue.fetch_ticks(symbol, limit=5),
            "account": venue.account_info,
            "open_orders": lambda: venue.open_orders(symbol),
            "fills": lambda: venue.fills(self.clock.now_ns() - 60 * NS_PER_S, symbol),
            "entry": lambda: self.order(Side.BUY, "-1", OrderType.LIMIT),
            "exit": lambda: self.order(Side.SELL, "1", OrderType.LIMIT),
            "protect": self.protect,
        }
        return await questions[kind]()

    async def order(self, side: Side, percent: str, kind: OrderType, unit: int = 1) -> Outcome:
        """Send an order that trades nothing: immediate or cancelled, away from the market; or a stop."""
        is_exit = side is Side.SELL and self.market.market == "linear"
        away = self.instrument.floor_price(self.market.price * (1 + Decimal(percent) / 100))
        level: dict[str, Any] = {"price": away, "time_in_force": TimeInForce.IOC}
        if kind is not OrderType.LIMIT:
            level = {"stop_price": away} if kind is OrderType.STOP else {}
        intent = OrderIntent(
            symbol=self.symbol, side=side, type=kind, qty=self.unit * unit, reduce_only=is_exit,
            client_order_id=f"tlsoak{next(self._names):08}", **level,
        )  # fmt: skip
        passed = approve(
            intent, self.instrument, reference_price=self.market.price, by=("person",), at_ns=self.clock.now_ns()
        )
        assert isinstance(passed, OrderApproved), passed
        return await self.venue.submit(passed)

    async def protect(self) -> Outcome:
        """Place a stop, note how long it took, and take it away again."""
        async with self._stops:
            began = self.now_s
            placed = await self.order(Side.SELL, "-3", OrderType.STOP)
            if not isinstance(placed, Accepted):
                return placed
            self.told.latency_s["stop placed"].append(self.now_s - began)
            began = self.now_s
            gone = await self.venue.cancel(ref_of(self.symbol, placed))
            assert isinstance(gone, Accepted | Refused), gone
            self.told.latency_s["stop cancelled"].append(self.now_s - began)
            return placed

    async def weigh(self) -> None:
        """Learn from the venue's own meter what each kind of request costs."""
        for kind in (*OPEN_LOOP[self.name], *POLLERS[self.name]):
            await self.clock.advance(61.0)
            await self.until_done(self.ask(kind))  # what is asked only the first time is not its price
            await self.clock.advance(61.0)
            self.at.server.meter.used.clear()
            await self.until_done(self.ask(kind))
            used: Counter[str] = Counter()
            for (_, scope), (_, weight) in self.at.server.meter.used.items():
                used[scope.split(" ")[0]] += weight
            self.told.price[kind] = dict(used)


def ref_of(symbol: str, placed: Accepted) -> OrderRef:
    """Name an order by the venue's own id."""
    return OrderRef(symbol=symbol, client_order_id=placed.client_order_id, venue_order_id=placed.venue_order_id)


@asynccontextmanager
async def soak(name: str) -> AsyncIterator[Soak]:
    """Open a venue with money, something to sell, and a client that has connected."""
    market = MARKETS[name]
    clock = ManualClock(START_NS)
    tape = Tape(market.instrument, flat_bars(float(market.price)), start_ns=START_NS, start_bar=1000)
    money = {"USDT": market.funds} | ({"BTC": Decimal(1)} if market.market == "spot" else {})
    account = AccountSetup(key=KEY, secret=SECRET, balances=money)
    setup = VenueSetup(ledger=DIALECTS[name][1], accounts=(account,), level_qty=market.level_qty, leverage=Decimal(10))
    async with rehearse(name, [tape], setup, clock=clock) as at:
        at.direct.move_price(market.instrument.symbol, market.price)
        on = Soak(name, at, clock)
        await on.until_done(on.venue.connect())
        (on.instrument,) = await on.venue.instruments()
        on.unit = 4 * max(on.instrument.min_qty or 0, _least(on))
        if market.market == "linear":
            held = await on.until_done(on.order(Side.BUY, "0", OrderType.MARKET, unit=10))
            assert isinstance(held, Accepted), held
        try:
            yield on
        finally:
            await on.rest()
            await on.venue.disconnect()


def _least(on: Soak) -> Decimal:
    value = (on.instrument.min_notional or Decimal(0)) / on.market.price / on.instrument.contract_size
    return (value / on.instrument.qty_step).to_integral_value() * on.instrument.qty_step + on.instrument.qty_step
