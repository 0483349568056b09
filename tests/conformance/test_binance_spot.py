"""Hold ccxt's Binance, spot, to the contract, on the rehearsal venue."""

from __future__ import annotations

from decimal import Decimal

from tests.conformance.ccxt_stage import CcxtContract
from tradelab.model.instrument import Instrument, InstrumentKind


class TestBinanceSpot(CcxtContract):
    title = "Binance, spot"
    dialect, exchange, market = "binance", "binance", "spot"
    price, funds = Decimal("42000.00"), Decimal(10_000)
    instrument = Instrument(
        symbol="BTCUSDT",
        venue="binance",
        quote="USDT",
        base="BTC",
        kind=InstrumentKind.SPOT,
        tick_size=Decimal("0.01"),
        qty_step=Decimal("0.00001"),
        min_qty=Decimal("0.00001"),
        max_qty=Decimal(9000),
        min_notional=Decimal(5),
        min_price=Decimal("0.01"),
        max_price=Decimal(1_000_000),
        price_band_up=Decimal(5),
        price_band_down=Decimal("0.2"),
        max_orders=200,
        max_trigger_orders=5,
    )
