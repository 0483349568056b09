"""Kill an engine at a point, under a fault of the venue, start it again until it has settled, and count there."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path

from tests.acceptance.engine import REFUSED, SETTLED, UNRESOLVED, Job
from tests.conformance import test_binance_spot, test_binance_usdm, test_bybit
from tests.conformance.ccxt_stage import KEY, SECRET, flat_bars
from tradelab.model.clock import SystemClock
from tradelab.model.orders import OrderStatus
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.settings import AccountSetup, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import DIALECTS, Rehearsal, rehearse
from tradelab.store.database import Database

ROOT = Path(__file__).parents[2]
MARKETS = {
    "binance": test_binance_spot.TestBinanceSpot,
    "binanceusdm": test_binance_usdm.TestBinanceUsdm,
    "bybit": test_bybit.TestBybitLinear,
}
ORDERS = ("market", "limit", "stop")
# what the venue does to the first order that reaches it: nothing, or one of these; ``None`` in the second place is
# that it takes the order all the same
FAULTS: dict[str, tuple[Fault, bool | None] | None] = {
    "none": None,
    "accepted, then silence": (Fault.HANG, None),
    "accepted, then reset": (Fault.RESET, None),
    "accepted, half an answer": (Fault.TRUNCATED, None),
    "status unknown, taken": (Fault.STATUS_UNKNOWN, True),
    "status unknown, not taken": (Fault.STATUS_UNKNOWN, False),
    "error page, taken": (Fault.GATEWAY, True),
    "error page, not taken": (Fault.GATEWAY, False),
    "lost on the way": (Fault.LOST, None),
    "rate limited": (Fault.RATE_LIMITED, None),
    "overloaded": (Fault.OVERLOADED, None),
    "clock": (Fault.CLOCK, None),
}


@dataclass(frozen=True)
class Scenario:
    """One experiment."""

    venue: str
    kind: str
    fault: str
    point: str = ""
    kills_s: tuple[float, ...] = ()  # each life but the last ends after so long

    def __str__(self) -> str:
        where = f"killed at {self.point!r}" if self.point else f"killed after {self.kills_s}"
        return f"{self.venue}, {self.kind}, {self.fault}, {where}"


@dataclass(frozen=True)
class Result:
    """What came of it: how often it was killed, how the last life ended, how many orders and positions there are."""

    scenario: Scenario
    killed: int
    end: int
    orders: int
    filled: Decimal
    meant: Decimal

    @property
    def says(self) -> str:
        """The word for it: right, duplicate, lost, refused (no order, and a reason was told) or unresolved."""
        if self.end == UNRESOLVED or self.end not in (SETTLED, REFUSED):
            return "unresolved" if self.end == UNRESOLVED else "failed"
        if self.orders > 1 or self.filled > self.meant:
            return "duplicate"
        if self.orders < 1:
            return "refused" if self.end == REFUSED else "lost"
        return "right"


class Zygote:
    """A process that forks engines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> Zygote:
        """Start one, and wait until it has imported everything."""
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "ignore", "-m", "tests.acceptance.forking", cwd=ROOT, **pipes
        )
        zygote = cls(process)
        assert await zygote._line() == "ready"
        return zygote

    async def live(self, job: Job, born: Callable[[int], None] = lambda _: None) -> int:
        """Let an engine live, and return how it ended; ``born`` is told its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        await self._process.stdin.drain()
        born(int((await self._line()).removeprefix("born ")))
        return int((await self._line()).removeprefix("ended "))

    async def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


def records(folder: Path) -> str:
    """Return the URL of new records in a folder, migrated once and copied."""
    template = Path(tempfile.gettempdir()) / f"tradelab-records-{os.getpid()}.sqlite"
    if not template.exists():
        with Database(f"sqlite:///{template}"):
            pass
        atexit.register(template.unlink, missing_ok=True)
    shutil.copy(template, folder / "records.sqlite")
    return f"sqlite:///{folder}/records.sqlite"


@asynccontextmanager
async def venue_of(name: str) -> AsyncIterator[Rehearsal]:
    """Open a venue that runs by this machine's clock."""
    market = MARKETS[name]
    now_ns = SystemClock().now_ns()
    tape = Tape(market.instrument, flat_bars(float(market.price)), start_ns=now_ns, start_bar=1000)
    account = AccountSetup(key=KEY, secret=SECRET, balances={"USDT": market.funds})
    setup = VenueSetup(ledger=DIALECTS[name][1], accounts=(account,), level_qty=market.level_qty, leverage=Decimal(10))
    async with rehearse(name, [tape], setup) as at:
        at.direct.move_price(market.instrument.symbol, market.price)
        yield at


async def play(scenario: Scenario, zygote: Zygote, database: str) -> Result:
    """Run one experiment."""
    market = MARKETS[scenario.venue]
    base = f"{market.instrument.base}/USDT" + ":USDT" * (market.market == "linear")
    away = {"limit": Decimal("0.98"), "stop": Decimal("1.02")}.get(scenario.kind, Decimal(1))
    qty = Decimal(100) if scenario.venue == "bybit" else Decimal("0.01")
    async with venue_of(scenario.venue) as at:
        script = FAULTS[scenario.fault]
        if script is not None:
            fault, taken = script
            more = {} if taken is None else {"executed": taken}
            at.direct.fault(fault, "submit", seconds=2.0, **more)
        job = Job(
            database=database,
            url=at.url,
            exchange=market.exchange,
            market=market.market,
            symbol=base,
            key=KEY,
            secret=SECRET,
            kind=scenario.kind,
            qty=str(qty),
            price=str(market.instrument.floor_price(market.price * away)),
        )
        killed, end = 0, 0
        first = [replace(job, point=scenario.point)] if scenario.point else []
        for life in [*first, *(replace(job, after_s=s) for s in scenario.kills_s), job, job]:
            end = await zygote.live(life)
            killed += end < 0
            if end not in (SETTLED, REFUSED) and end >= 0:
                break
        ours = [o for o in at.exchange.orders.values() if o.account == KEY]
        there = [o for o in ours if o.status is not OrderStatus.REJECTED]
        filled = sum((o.filled_qty for o in there), Decimal(0))
        return Result(scenario, killed, end, len(there), filled, qty)


def at_random(count: int, seed: int) -> list[Scenario]:
    """Draw experiments that kill an engine several times, each time at any moment of its life; no two are the same."""
    chance, drawn = random.Random(seed), dict[Scenario, None]()
    while len(drawn) < count:
        one = Scenario(
            chance.choice(list(MARKETS)),
            chance.choice(ORDERS),
            chance.choice(list(FAULTS)),
            kills_s=tuple(round(chance.uniform(0.01, 1.5), 3) for _ in range(chance.randint(1, 3))),
        )
        drawn[one] = None
    return list(drawn)
