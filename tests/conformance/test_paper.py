"""Hold the paper venue to the contract, in each of its modes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from tests.conformance.stage import Fault, Stage
from tests.conformance.venue_contract import VenueContract
from tradelab.adapters.paper_config import PaperConfig
from tradelab.adapters.paper_venue import PaperVenue
from tradelab.model.clock import ManualClock
from tradelab.model.instrument import Instrument, InstrumentKind
from tradelab.model.market import Quote
from tradelab.model.ports import ExecutionVenue

_BTC = Instrument(
    symbol="BTC/USDT",
    venue="paper",
    quote="USDT",
    base="BTC",
    tick_size=Decimal("0.01"),
    qty_step=Decimal("0.00001"),
    min_qty=Decimal("0.00002"),
    max_qty=Decimal(9000),
    min_notional=Decimal(5),
    max_orders=200,
    kind=InstrumentKind.SPOT,
)
_PERPETUAL = Instrument(
    symbol="BTC/USDT:USDT",
    venue="paper",
    quote="USDT",
    base="BTC",
    settle="USDT",
    tick_size=Decimal("0.1"),
    qty_step=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(1000),
    min_notional=Decimal(100),
    kind=InstrumentKind.PERPETUAL,
)
_EURUSD = Instrument(
    symbol="EURUSD",
    venue="paper",
    quote="USD",
    base="EUR",
    settle="USD",
    tick_size=Decimal("0.00001"),
    qty_step=Decimal("0.01"),
    contract_size=Decimal(100_000),
    min_qty=Decimal("0.01"),
    max_qty=Decimal(500),
    kind=InstrumentKind.FX,
)
_START_NS = 1_704_067_200_000_000_000


class PaperStage(Stage):
    """A paper account driven by quotes one tick each side of the price."""

    faults = frozenset({Fault.DROP_STREAMS})

    def __init__(self, config: PaperConfig, instrument: Instrument, price: Decimal) -> None:
        super().__init__()
        self.config, self.instrument, self.price = config, instrument, price
        (self.funds,) = config.balances.values()
        self.clock = ManualClock(_START_NS)
        self.venue: ExecutionVenue = PaperVenue(config, [instrument], clock=self.clock)

    async def move_price(self, symbol: str, price: Decimal, depth: Decimal | None = None) -> None:
        tick = self.instrument.tick_size
        quote = Quote(
            symbol=symbol, bid=price - tick, ask=price + tick, ts_ns=self.clock.now_ns(), bid_qty=depth, ask_qty=depth
        )
        assert isinstance(self.venue, PaperVenue)
        self.venue.on_quote(quote)

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    async def reopen(self) -> ExecutionVenue:
        assert isinstance(self.venue, PaperVenue)
        saved = json.loads(json.dumps(self.venue.export_state()))
        again = PaperVenue(self.config, [self.instrument], clock=self.clock, saved=saved)
        await again.connect()
        return again

    async def fault(self, fault: Fault) -> None:
        assert fault is Fault.DROP_STREAMS
        await self.venue.disconnect()
        await self.venue.connect()


class _Paper(VenueContract):
    provider = "paper"
    config: PaperConfig
    instrument: Instrument
    price: Decimal

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[PaperStage]:
        on = PaperStage(self.config, self.instrument, self.price)
        await on.venue.connect()
        await on.quote_moves(0)
        yield on
        await on.venue.disconnect()


class TestPaperSpot(_Paper):
    title = "Paper, spot"
    config = PaperConfig(balances={"USDT": Decimal(10_000)}, taker_fee_bps=Decimal(10), maker_fee_bps=Decimal(8))
    instrument, price = _BTC, Decimal("42000.00")


class TestPaperNetting(_Paper):
    title = "Paper, netting"
    config = PaperConfig(
        mode="netting",
        balances={"USDT": Decimal(20_000)},
        taker_fee_bps=Decimal("4.5"),
        maker_fee_bps=Decimal("1.8"),
        leverage=Decimal(10),
        maintenance=Decimal("0.005"),
    )
    instrument, price = _PERPETUAL, Decimal("42000.0")


class TestPaperHedging(_Paper):
    title = "Paper, hedging"
    config = PaperConfig(
        mode="hedging", balances={"USD": Decimal(20_000)}, taker_fee_bps=Decimal("0.35"), leverage=Decimal(100)
    )
    instrument, price = _EURUSD, Decimal("1.10000")
