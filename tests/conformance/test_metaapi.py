"""Hold the MetaApi adapter to the contract, on a rehearsal venue that speaks as MetaApi.cloud."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from tests.conformance.stage import Fault, Stage
from tests.conformance.venue_contract import VenueContract
from tests.unit.rehearsal.metaapi_world import ACCOUNT_TOKEN, FUNDS, PRICE, TOKEN, World, world
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


class MetaApiStage(Stage):
    """A rehearsal venue and an adapter that share one clock."""

    faults = frozenset(Fault)
    secrets = (TOKEN, ACCOUNT_TOKEN)

    def __init__(self, on: World) -> None:
        super().__init__()
        self._on = on
        self.venue, self.price, self.funds = on.adapter, PRICE, FUNDS

    async def move_price(self, symbol: str, price: Decimal, depth: Decimal | None = None) -> None:
        if depth is not None:
            pytest.skip("not staged: a book with so little in it (MetaTrader fills a pending order whole)")
        self._on.venue.direct.move_price(symbol, price)

    async def advance(self, seconds: float) -> None:
        await self._on.venue.advance(seconds, step_s=max(1.0, seconds / 20))

    async def reopen(self) -> ExecutionVenue:
        before, again = self._on.adapter, self._on.made(timeout_s=2.5)
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


class TestMetaApi(VenueContract):
    """The contract on a hedging account of MetaTrader 5."""

    title = "MetaApi.cloud (MT5)"
    provider = "metaapi"

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[MetaApiStage]:
        async with world(settings={"timeout_s": 2.5}) as on:
            stage = MetaApiStage(on)
            (stage.instrument,) = await on.adapter.instruments()
            yield stage
