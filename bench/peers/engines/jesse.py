"""Run jesse's ``research.backtest`` on one-minute candles, market orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bars as benchbars
import jesse.indicators as ta
import numpy as np
from jesse import research
from jesse.strategies import Strategy

CASH = 10_000.0
VENUE, SYMBOL = "Sandbox", "BTC-USDT"


class Cross(Strategy):
    """Long one unit while the fast average is above the slow one."""

    windows = (10, 50)

    def averages(self) -> tuple[float, float, float, float]:
        """Both averages now and one bar before, of the last hundred candles."""
        candles = self.candles[-100:]
        a, b = (ta.sma(candles, window, sequential=True) for window in self.windows)
        return a[-1], b[-1], a[-2], b[-2]

    def should_long(self) -> bool:
        """A crossing upwards; the first average needs its window and one candle."""
        if self.index < max(self.windows):
            return False
        a, b, a_before, b_before = self.averages()
        return bool(a > b and a_before <= b_before)

    def should_short(self) -> bool:
        """Never."""
        return False

    def should_cancel_entry(self) -> bool:
        """A market order leaves nothing to cancel."""
        return False

    def go_long(self) -> None:
        """Buy one unit at the market."""
        self.buy = 1, self.price

    def go_short(self) -> None:
        """Nothing."""

    def update_position(self) -> None:
        """A crossing downwards closes."""
        a, b, a_before, b_before = self.averages()
        if a < b and a_before >= b_before:
            self.liquidate()


def prepare(case: dict[str, Any]) -> Callable[[], Any]:
    """Return the call to be timed."""
    columns = benchbars.load(case["file"])
    order = ("open", "close", "high", "low", "volume")
    candles = np.column_stack([benchbars.times(case["bars"]) // 1_000_000, *(columns[name] for name in order)])
    Cross.windows = tuple(case["windows"])
    config = {
        "starting_balance": CASH,
        "fee": case["fees"],
        "type": "futures",  # on its spot market a buyer of one unit gets one unit less the fee
        "futures_leverage": 1,
        "futures_leverage_mode": "cross",
        "exchange": VENUE,
        "warm_up_candles": 0,
    }
    routes = [{"exchange": VENUE, "strategy": Cross, "symbol": SYMBOL, "timeframe": "1m"}]
    given = {f"{VENUE}-{SYMBOL}": {"exchange": VENUE, "symbol": SYMBOL, "candles": candles.astype(float)}}
    return lambda: research.backtest(config, routes, [], given, fast_mode=True)


def figures(outcome: Any) -> dict[str, list[float]]:
    """Money made by one unit, and trades."""
    metrics = outcome["metrics"]
    return {"profit": [float(metrics["net_profit"])], "trades": [float(metrics["total"])]}
