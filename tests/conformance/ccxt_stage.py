"""Set the stage for ccxt's venues: a rehearsal venue on loopback, its clock moved by hand, and the real ccxt client."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import numpy as np
import pandas as pd

from tests.conformance.stage import Fault, Stage
from tests.conformance.venue_contract import VenueContract
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.instrument import Instrument
from tradelab.model.ports import ExecutionVenue
from tradelab.model.units import NS_PER_S
from tradelab.rehearsal import faults
from tradelab.rehearsal.settings import AccountSetup, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import DIALECTS, Rehearsal, rehearse, settle

KEY = "conformance-key-7f3a"
SECRET = os.environ.get("TRADELAB_CANARY", "conformance-secret-91bd")  # looked for at the end in all that was left
START_NS = 1_704_067_200_000_000_000
_SCRIPTS = {
    Fault.ACCEPT_THEN_SILENCE: (faults.Fault.HANG, "submit"),
    Fault.ACCEPT_THEN_RESET: (faults.Fault.RESET, "submit"),
    Fault.TRUNCATED_BODY: (faults.Fault.TRUNCATED, "submit"),
    Fault.ERROR_PAGE: (faults.Fault.GATEWAY, "submit"),
    Fault.RATE_LIMITED: (faults.Fault.RATE_LIMITED, "*"),
    Fault.CANCEL_THEN_SILENCE: (faults.Fault.HANG, "cancel"),
}


def flat_bars(price: float) -> pd.DataFrame:
    """Two days of minutes of a market that stands nearly still: the cards move it themselves."""
    index = pd.date_range("2024-01-01", periods=2880, freq="1min", tz="UTC")
    close = price * (1 + 1e-4 * np.sin(np.arange(len(index))))
    frame = {"open": close, "high": close * 1.0001, "low": close * 0.9999, "close": close, "volume": 50.0}
    return pd.DataFrame(frame, index=index)


class StageClock:
    """A clock that runs by itself and jumps when it is told to: requests are budgeted by it.

    Not much faster: the time stamp of a request that waits a second for this machine must still be fresh at the venue.
    """

    def __init__(self, speed: int = 1) -> None:
        self._start_ns, self._jumped_ns, self._began_ns, self._speed = START_NS, 0, time.monotonic_ns(), speed

    def now_ns(self) -> int:
        return self._start_ns + self._jumped_ns + (time.monotonic_ns() - self._began_ns) * self._speed

    def jump(self, seconds: float) -> None:
        self._jumped_ns += int(seconds * NS_PER_S)

    async def sleep(self, seconds: float) -> None:
        until = self.now_ns() + int(seconds * NS_PER_S)
        while self.now_ns() < until:
            await asyncio.sleep(0.005)


class CcxtStage(Stage):
    """A rehearsal venue and a :class:`CcxtVenue` that share one clock."""

    faults = frozenset(Fault)
    secrets = (KEY, SECRET)

    def __init__(self, at: Rehearsal, clock: StageClock, exchange: str, market: str) -> None:
        super().__init__()
        self.at, self.clock, self._exchange, self._market = at, clock, exchange, market
        (tape,) = at.exchange.tapes.values()
        self._unified = f"{tape.instrument.base}/{tape.instrument.quote}" + ":USDT" * (market == "linear")
        self.venue = self.new_venue()

    def new_venue(self) -> CcxtVenue:
        return CcxtVenue(
            self._exchange, market=self._market, clock=self.clock, base_url=self.at.url, timeout_s=2.0,
            credentials={"api_key": KEY, "api_secret": SECRET}, symbols=[self._unified],
        )  # fmt: skip

    async def move_price(self, symbol: str, price: Decimal, depth: Decimal | None = None) -> None:
        (own,) = self.at.exchange.tapes
        self.at.direct.move_price(own, price, depth=depth)

    async def advance(self, seconds: float) -> None:
        for _ in range(20):
            self.clock.jump(seconds / 20)
            await self.at.server.advance()
        await settle()

    async def reopen(self) -> ExecutionVenue:
        before, again = self.venue, self.new_venue()
        await again.connect()
        await before.disconnect()
        self.venue = again
        return again

    async def fault(self, fault: Fault) -> None:
        if fault is Fault.CLOCK_SKEW:
            self.at.direct.skew(600)
        elif fault is Fault.UNREACHABLE:
            await self.at.kill()
        elif fault is Fault.DROP_STREAMS:
            self.at.direct.disconnect()
        else:
            script, on = _SCRIPTS[fault]
            self.at.direct.fault(script, on, seconds=7.0)

    def requests_sent(self) -> int:
        return len(self.at.server.log)


class CcxtContract(VenueContract):
    """The contract, on a venue of one dialect."""

    provider = "ccxt"
    dialect: str
    exchange: str
    market: str
    instrument: Instrument
    price: Decimal
    funds: Decimal
    level_qty = Decimal(2000)
    speed = 1

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[CcxtStage]:
        clock = StageClock(self.speed)
        tape = Tape(self.instrument, flat_bars(float(self.price)), start_ns=START_NS, start_bar=1000)
        account = AccountSetup(key=KEY, secret=SECRET, balances={"USDT": self.funds})
        setup = VenueSetup(
            ledger=DIALECTS[self.dialect][1], accounts=(account,), level_qty=self.level_qty, leverage=Decimal(10)
        )
        async with rehearse(self.dialect, [tape], setup, clock=clock) as at:
            on = CcxtStage(at, clock, self.exchange, self.market)
            on.price, on.funds = self.price, self.funds
            at.direct.move_price(self.instrument.symbol, self.price)
            await on.venue.connect()
            (on.instrument,) = await on.venue.instruments()
            try:
                yield on
            finally:
                await on.venue.disconnect()
