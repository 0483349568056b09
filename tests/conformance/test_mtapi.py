"""Hold the mtapi.io adapter to the contract, on our own simulators of its bridges for MetaTrader 5 and 4."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from tests.conformance.stage import Fault, Stage
from tests.conformance.venue_contract import VenueContract
from tests.unit.rehearsal.mtapi_world import FUNDS, PASSWORD, PRICE, World, world
from tradelab.model.ports import ExecutionVenue
from tradelab.rehearsal import faults

_SCRIPTS = {
    Fault.ACCEPT_THEN_SILENCE: (faults.Fault.HANG, "submit"),
    Fault.ACCEPT_THEN_RESET: (faults.Fault.RESET, "submit"),
    Fault.TRUNCATED_BODY: (faults.Fault.TRUNCATED, "submit"),
    Fault.ERROR_PAGE: (faults.Fault.GATEWAY, "submit"),
    Fault.RATE_LIMITED: (faults.Fault.RATE_LIMITED, "submit"),
    Fault.CANCEL_THEN_SILENCE: (faults.Fault.HANG, "cancel"),
}


class MtapiStage(Stage):
    """A rehearsal venue and an adapter that share one clock."""

    faults = frozenset(Fault)
    secrets = (PASSWORD,)

    def __init__(self, on: World) -> None:
        super().__init__()
        self._on = on
        self.venue, self.price, self.funds = on.adapter, PRICE, FUNDS

    async def move_price(self, symbol: str, price: Decimal, depth: Decimal | None = None) -> None:
        if depth is not None:
            pytest.skip("not staged: a book with so little in it (MetaTrader does not fill pending orders in parts)")
        self._on.venue.direct.move_price(symbol, price)

    async def advance(self, seconds: float) -> None:
        await self._on.venue.advance(seconds, step_s=max(1.0, seconds / 20))

    async def reopen(self) -> ExecutionVenue:
        before, again = self._on.adapter, self._on.made(trade_timeout_s=1.0)
        await again.connect()
        await before.disconnect()
        self.venue = self._on.adapter = again
        return again

    async def fault(self, fault: Fault) -> None:
        if fault is Fault.CLOCK_SKEW:
            self._on.venue.direct.skew(600)
        elif fault is Fault.UNREACHABLE:
            await self._on.venue.kill()
        elif fault is Fault.DROP_STREAMS:
            self._on.venue.direct.disconnect()
        else:
            script, on = _SCRIPTS[fault]
            self._on.venue.direct.fault(script, on, seconds=7.0)

    def requests_sent(self) -> int:
        return len(self._on.venue.server.log)


class TestMtapi(VenueContract):
    """The contract on a hedging account of MetaTrader 5."""

    title = "mtapi.io (MT5)"
    provider = "mtapi"
    dialect = "mtapi"

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[MtapiStage]:
        async with world(dialect=self.dialect, settings={"trade_timeout_s": 1.0}) as on:
            stage = MtapiStage(on)
            (stage.instrument,) = await on.adapter.instruments()
            yield stage


class TestMtapi4(TestMtapi):
    """The contract on an account of MetaTrader 4."""

    title = "mtapi.io (MT4)"
    dialect = "mtapi-mt4"
