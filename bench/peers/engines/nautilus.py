"""Run nautilus_trader: bars into its matching engine, its own averages, market orders."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import bars as benchbars
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, TraderId, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy

CASH = 10_000.0
DIGITS = 8  # prices rounded more coarsely would tie


class Cross(Strategy):
    """Long one unit while the fast average is above the slow one."""

    def __init__(self, instrument: CurrencyPair, bar_type: BarType, windows: list[int]) -> None:
        super().__init__()
        self.instrument, self.bar_type = instrument, bar_type
        self.averages = [SimpleMovingAverage(window) for window in windows]
        self.before: tuple[float, float] | None = None
        self.long = False
        self.entered = 0

    def on_start(self) -> None:
        """Ask for the bars and tie the averages to them."""
        for average in self.averages:
            self.register_indicator_for_bars(self.bar_type, average)
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Any) -> None:
        """Act on a crossing of the last two bars."""
        if not self.averages[1].initialized:
            return
        now = self.averages[0].value, self.averages[1].value
        before, self.before = self.before, now
        if before is None:
            return
        if not self.long and now[0] > now[1] and before[0] <= before[1]:
            self.long = True
            self.entered += 1
            self.order(OrderSide.BUY)
        elif self.long and now[0] < now[1] and before[0] >= before[1]:
            self.long = False
            self.order(OrderSide.SELL)

    def order(self, side: OrderSide) -> None:
        """One unit at the market."""
        self.submit_order(self.order_factory.market(self.instrument.id, side, Quantity(1, 2)))


def prepare(case: dict[str, Any]) -> Callable[[], Any]:
    """Return the call to be timed: an engine made, bars added, run; turning a frame into their bars is not in it."""
    columns = benchbars.load(case["file"])
    frame = pd.DataFrame(columns, index=pd.to_datetime(benchbars.times(case["bars"]), utc=True))
    venue = Venue("SIM")
    pair = instrument(venue, Decimal(str(case["fees"])))
    bar_type = BarType.from_str(f"{pair.id}-1-MINUTE-LAST-EXTERNAL")
    wrangled = BarDataWrangler(bar_type, pair).process(frame)

    def run() -> tuple[float, int]:
        config = BacktestEngineConfig(trader_id=TraderId("BENCH-001"), logging=LoggingConfig(bypass_logging=True))
        engine = BacktestEngine(config=config)
        cash = [Money(CASH, USDT)]
        engine.add_venue(venue, OmsType.NETTING, AccountType.MARGIN, cash, USDT, default_leverage=Decimal(1))
        engine.add_instrument(pair)
        engine.add_data(wrangled)
        strategy = Cross(pair, bar_type, case["windows"])
        engine.add_strategy(strategy)
        engine.run()
        made = engine.portfolio.account(venue).balance_total(USDT).as_double() - CASH
        made += sum(p.unrealized_pnl(wrangled[-1].close).as_double() for p in engine.cache.positions_open())
        engine.dispose()
        return made, strategy.entered

    return run


def instrument(venue: Venue, fees: Decimal) -> CurrencyPair:
    """A pair with prices fine enough not to tie."""
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol("BTCUSDT"), venue),
        raw_symbol=Symbol("BTCUSDT"),
        base_currency=BTC,
        quote_currency=USDT,
        price_precision=DIGITS,
        size_precision=2,
        price_increment=Price(10**-DIGITS, DIGITS),
        size_increment=Quantity(0.01, 2),
        ts_event=0,
        ts_init=0,
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=fees,
        taker_fee=fees,
    )


def figures(outcome: Any) -> dict[str, list[float]]:
    """Money made by one unit, and trades entered."""
    return {"profit": [outcome[0]], "trades": [float(outcome[1])]}
