"""Run backtesting.py: ``optimize`` over its own pool of processes for a sweep, ``run`` for one backtest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bars as benchbars
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

CASH = 1e9  # it buys whole units: with this much of it the rounding is one part in 10^7


def average(values: np.ndarray, window: int) -> np.ndarray:
    """Simple average through pandas, as its documentation does."""
    return pd.Series(values).rolling(window).mean().to_numpy()


class Cross(Strategy):
    """Long while the fast average is above the slow one."""

    fast, slow, sl, tp, units = 10, 50, 0.0, 0.0, 0.0

    def init(self) -> None:
        """Compute both averages once."""
        self.a = self.I(average, self.data.Close, self.fast)
        self.b = self.I(average, self.data.Close, self.slow)

    def next(self) -> None:
        """Act on a crossing of the last two bars."""
        a, b = self.a, self.b
        if not self.position and a[-1] > b[-1] and a[-2] <= b[-2]:
            price = self.data.Close[-1]
            exits = {"sl": price * (1.0 - self.sl), "tp": price * (1.0 + self.tp)} if self.sl else {}
            self.buy(**({"size": self.units} if self.units else {}), **exits)
        elif self.position and a[-1] < b[-1] and a[-2] >= b[-2]:
            self.position.close()


def final_equity(stats: pd.Series) -> float:
    """What ``optimize`` is asked to make large: it gives us one figure for every combination."""
    return float(stats["Equity Final [$]"])


def prepare(case: dict[str, Any]) -> Callable[[], Any]:
    """Return the call to be timed."""
    columns = benchbars.load(case["file"])
    frame = pd.DataFrame({name.title(): values for name, values in columns.items()})
    frame.index = pd.to_datetime(benchbars.times(case["bars"]))
    Cross.sl, Cross.tp = (case["sl"], case["tp"]) if case["stops"] else (0.0, 0.0)
    costs = {"cash": CASH, "commission": case["fees"], "spread": case["slippage"]}
    at_close = case["kind"] != "events"
    test = Backtest(frame, Cross, trade_on_close=at_close, **costs)
    if case["kind"] == "sweep":
        return lambda: (test, case["windows"], optimize(test, case["windows"], final_equity))
    fast, slow = case["windows"]
    Cross.units = 1 if case["kind"] == "events" else 0.0
    return lambda: test.run(fast=fast, slow=slow)


def optimize(test: Backtest, windows: list[int], figure: Any) -> pd.Series:
    """One figure of every pair, as a Series by (fast, slow)."""
    grid = {"fast": windows[:-1], "slow": windows[1:]}
    found = test.optimize(**grid, constraint=lambda p: p.fast < p.slow, maximize=figure, return_heatmap=True)
    return found[1].dropna().sort_index()


def figures(outcome: Any) -> dict[str, list[float]]:
    """The figures that are compared; a trade still open at the end is not among its trades."""
    if isinstance(outcome, tuple):
        test, windows, equity = outcome
        fall = optimize(test, windows, "Max. Drawdown [%]") / 100.0
        trades = optimize(test, windows, "# Trades")
        return {
            "total_return": (equity / CASH - 1.0).tolist(),
            "max_drawdown": fall.tolist(),
            "trades": trades.tolist(),
        }
    return {
        "profit": [outcome["Equity Final [$]"] - CASH],
        "total_return": [outcome["Return [%]"] / 100.0],
        "max_drawdown": [outcome["Max. Drawdown [%]"] / 100.0],
        "trades": [float(outcome["# Trades"])],
    }
