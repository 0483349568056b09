"""Hold ccxt's Binance, USD-M perpetuals, to the contract, on the rehearsal venue."""

from __future__ import annotations

from decimal import Decimal

from tests.conformance.ccxt_stage import CcxtContract
from tradelab.model.instrument import Instrument, InstrumentKind


class TestBinanceUsdm(CcxtContract):
    title = "Binance, USD-M"
    dialect, exchange, market = "binanceusdm", "binance", "linear"
    price, funds = Decimal("42000.0"), Decimal(10_000)
    instrument = Instrument(
        symbol="BTCUSDT",
        venue="binance",
        quote="USDT",
        base="BTC",
        settle="USDT",
        kind=InstrumentKind.PERPETUAL,
        tick_size=Decimal("0.10"),
        qty_step=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=Decimal(1000),
        max_market_qty=Decimal(120),
        min_notional=Decimal(100),
        min_price=Decimal(500),
        max_price=Decimal(4_000_000),
        price_band_up=Decimal("1.05"),
        price_band_down=Decimal("0.95"),
        max_orders=200,
        max_trigger_orders=10,
    )
