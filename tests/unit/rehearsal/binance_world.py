"""Set the Binance dialects up for tests: a market that stands still at 40 000, and the real ccxt client before it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import ccxt.pro
import pandas as pd

from tradelab.adapters.ccxt_client import point_at
from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.rehearsal.settings import AccountSetup, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import DIALECTS, Rehearsal, rehearse, settle

D = Decimal
KEY, SECRET = "rehearsal-key-5c1e", "rehearsal-secret-88d0"
START_NS = 1_704_067_200_000_000_000  # 2024-01-01 00:00 UTC
START_MS = START_NS // 1_000_000
PATIENCE_S = 20.0
SPOT = Instrument(
    symbol="BTCUSDT", venue="binance", base="BTC", quote="USDT", kind=InstrumentKind.SPOT, tick_size=D("0.01"),
    qty_step=D("0.00001"), min_qty=D("0.00001"), max_qty=D(9000), max_market_qty=D(100), min_notional=D(5),
    max_notional=D(9_000_000), min_price=D("0.01"), max_price=D(1_000_000), price_band_up=D(2),
    price_band_down=D("0.5"),
    max_orders=20, max_trigger_orders=5,
)  # fmt: skip
PERP = replace(
    SPOT, venue="binanceusdm", settle="USDT", kind=InstrumentKind.PERPETUAL, tick_size=D("0.1"), qty_step=D("0.001"),
    min_qty=D("0.001"), max_qty=D(1000), min_notional=D(100), max_notional=None, min_price=D("10"),
    price_band_up=D("1.1"), price_band_down=D("0.9"),
)  # fmt: skip
MARKETS = {"binance": (SPOT, "BTC/USDT", "spot"), "binanceusdm": (PERP, "BTC/USDT:USDT", "linear")}


def still_bars(price: float = 40_000.0, n: int = 3000) -> pd.DataFrame:
    """Minutes of a market at one price, 13 coins a minute: every print of the tape is one coin."""
    index = pd.date_range("2023-01-01", periods=n, freq="1min", tz="UTC")
    return pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), price) | {"volume": 13.0}, index=index)


@dataclass
class Scene:
    """A venue, a client before it, and the clock of both."""

    at: Rehearsal
    client: Any
    clock: ManualClock
    symbol: str  # as ccxt spells it
    background: asyncio.Task[None] | None = None  # what a test reads beside its client

    async def price(self, price: str | Decimal, depth: str = "1") -> None:
        """Trade so much at a price now, and stay there."""
        self.at.direct.move_price("BTCUSDT", D(price), depth=D(depth))
        await settle()

    async def listens(self, topic: str) -> None:
        """Wait until a socket listens to a topic."""
        await until(lambda: self.at.server.hub.has(topic))

    def ledger(self) -> Any:
        """The account's money as it truly is."""
        return self.at.exchange.ledgers[KEY]


@asynccontextmanager
async def scene(
    dialect: str, *, money: dict[str, Decimal] | None = None, bars: pd.DataFrame | None = None,
    instrument: Instrument | None = None, client: dict[str, Any] | None = None, **setup: Any,
) -> AsyncIterator[Scene]:  # fmt: skip
    """Open a venue with one market and one account, and a client that has loaded its markets."""
    usual, symbol, _ = MARKETS[dialect]
    clock = ManualClock(START_NS)
    tape = Tape(instrument or usual, still_bars() if bars is None else bars, start_ns=START_NS, start_bar=1500)
    account = AccountSetup(key=KEY, secret=SECRET, balances=money or {"USDT": D(100_000)})
    setup.setdefault("level_qty", D(1))
    config = VenueSetup(ledger=DIALECTS[dialect][1], accounts=(account,), **setup)
    async with rehearse(dialect, [tape], config, clock=clock) as at:
        caller = a_client(dialect, at, clock, **(client or {}))
        try:
            await caller.load_markets()
            on = Scene(at, caller, clock, symbol)
            yield on
            if on.background is not None:
                on.background.cancel()
                await asyncio.gather(on.background, return_exceptions=True)
        finally:
            await caller.close()


def a_client(dialect: str, at: Rehearsal, clock: ManualClock, **config: Any) -> Any:
    """Make a ccxt client that speaks to the venue, tells its time, and reads errors as it would at the real address."""
    market = MARKETS[dialect][2]
    given = {"apiKey": KEY, "secret": SECRET, "enableRateLimit": False, "newUpdates": True, "timeout": 10_000}
    client = getattr(ccxt.pro, dialect)(given | config)
    point_at(client, at.url)
    client.milliseconds = lambda: clock.now_ns() // 1_000_000
    client.options["fetchMarkets"] = {"types": [market]}
    client.get_exceptions_by_url = lambda _, kind: client.exceptions[market].get(
        kind, {}
    )  # ccxt goes by the host's name
    return client


async def until(holds: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "never came to be"
        await asyncio.sleep(0.005)


def play(dialect: str, act: Callable[[Scene], Awaitable[Any]], **setup: Any) -> Any:
    """Run a scene to its end."""

    async def run() -> Any:
        async with scene(dialect, **setup) as on:
            return await act(on)

    return asyncio.run(run())


async def refused(call: Awaitable[Any]) -> tuple[str, str]:
    """Return the class of ccxt's error and what it says."""
    try:
        answer = await call
    except ccxt.pro.BaseError as error:
        return type(error).__name__, str(error)
    raise AssertionError(f"was not refused: {answer}")
