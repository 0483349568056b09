"""Hold ccxt's Bybit, linear and spot, to the contract, on the rehearsal venue."""

from __future__ import annotations

from decimal import Decimal

from tests.conformance.ccxt_stage import CcxtContract
from tradelab.model.instrument import Instrument, InstrumentKind


class TestBybitLinear(CcxtContract):
    title = "Bybit, linear"
    dialect, exchange, market = "bybit", "bybit", "linear"
    speed = 4  # Bybit counts by the second, and we keep to it
    price, funds, level_qty = Decimal("0.08200"), Decimal(10_000), Decimal(2_000_000)
    instrument = Instrument(
        symbol="DOGEUSDT",
        venue="bybit",
        quote="USDT",
        base="DOGE",
        settle="USDT",
        kind=InstrumentKind.PERPETUAL,
        tick_size=Decimal("0.00001"),
        qty_step=Decimal(1),
        min_qty=Decimal(1),
        max_qty=Decimal(19_000_000),
        max_market_qty=Decimal(4_800_000),
        min_notional=Decimal(5),
        min_price=Decimal("0.00001"),
        max_price=Decimal("199.99998"),
        max_orders=500,
        max_trigger_orders=10,
    )


class TestBybitSpot(CcxtContract):
    title = "Bybit, spot"
    dialect, exchange, market = "bybit-spot", "bybit", "spot"
    speed = 4
    price, funds = Decimal("42000.00"), Decimal(10_000)
    instrument = Instrument(
        symbol="BTCUSDT",
        venue="bybit",
        quote="USDT",
        base="BTC",
        kind=InstrumentKind.SPOT,
        tick_size=Decimal("0.01"),
        qty_step=Decimal("0.000001"),
        min_qty=Decimal("0.000011"),
        max_qty=Decimal("71.739562"),
        max_market_qty=Decimal("41.36"),
        min_notional=Decimal(1),
        max_notional=Decimal(4_000_000),
        max_orders=500,
    )
