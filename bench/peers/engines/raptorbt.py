"""Run RaptorBT's parallel batch over signals made with its own averages, as its documentation shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bars as benchbars
import numpy as np
import raptorbt as rb

CASH = 10_000.0
PER_YEAR = 525_600.0


def prepare(case: dict[str, Any]) -> Callable[[], Any]:
    """Return the call to be timed."""
    columns = benchbars.load(case["file"])
    times = benchbars.times(case["bars"])
    prices = (times, *(columns[name] for name in benchbars.FIELDS))
    return {"sweep": sweep, "rich": rich, "signals": signals}[case["kind"]](prices, case)


def config(case: dict[str, Any]) -> Any:
    """Costs and exits; fills at the close of the bar that decides."""
    made = rb.BacktestConfig(
        initial_capital=CASH,
        fees=case["fees"],
        slippage=case["slippage"],
        upon_bar_close=True,
        periods_per_year=PER_YEAR,
    )
    if case["stops"]:
        made.set_fixed_stop(case["sl"])
        made.set_fixed_target(case["tp"])
    return made


def crosses(fast: np.ndarray, slow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bars on which ``fast`` has crossed above and below ``slow``."""
    above, below = fast > slow, fast < slow
    up, down = np.zeros((2, len(fast)), dtype=bool)
    up[1:] = above[1:] & ~above[:-1] & ~np.isnan(slow[:-1])
    down[1:] = below[1:] & ~below[:-1] & ~np.isnan(slow[:-1])
    return up, down


def sweep(prices: tuple, case: dict[str, Any]) -> Callable[[], Any]:
    """Every pair of windows as one item of the batch."""

    def run() -> Any:
        averages = {window: rb.sma(prices[4], window) for window in case["windows"]}
        items = []
        for fast, slow in benchbars.pairs(case["windows"]):
            up, down = crosses(averages[fast], averages[slow])
            items.append(rb.BatchSingleItem(f"{fast}/{slow}", up, down))
        return rb.batch_single_backtest(*prices, items, config(case))

    return run


def rich(prices: tuple, case: dict[str, Any]) -> Callable[[], Any]:
    """One backtest with its trades, its equity and every figure."""

    def run() -> Any:
        up, down = crosses(*(rb.sma(prices[4], window) for window in case["windows"]))
        result = rb.run_single_backtest(*prices, up, down, config=config(case))
        return [("", result)], result.trades(), result.equity_curve(), result.metrics.to_dict()

    return run


def signals(prices: tuple, case: dict[str, Any]) -> Callable[[], Any]:
    """Columns of given entries and exits over the same bars."""
    flags = list(zip(*benchbars.sparse_signals(case["bars"], case["columns"], case["orders"]), strict=True))

    def run() -> Any:
        items = [rb.BatchSingleItem(str(i), up, down) for i, (up, down) in enumerate(flags)]
        return rb.batch_single_backtest(*prices, items, config(case))

    return run


def figures(outcome: Any) -> dict[str, list[float]]:
    """The figures that are compared, percent turned into fractions."""
    metrics = [result.metrics for _, result in (outcome[0] if isinstance(outcome, tuple) else outcome)]
    return {
        "total_return": [m.total_return_pct / 100.0 for m in metrics],
        "sharpe": [m.sharpe_ratio for m in metrics],
        "max_drawdown": [-m.max_drawdown_pct / 100.0 for m in metrics],
        "trades": [float(m.total_trades) for m in metrics],
    }
