"""Run vectorbt 1.2 with either of its engines, through the calls its documentation shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bars as benchbars
import numpy as np
import pandas as pd
import vectorbt as vbt

CASH = 10_000.0


def prepare(case: dict[str, Any]) -> Callable[[], Any]:
    """Return the call to be timed."""
    vbt.settings["engine"] = "rust" if case["peer"] == "vectorbt-rust" else "numba"
    columns = benchbars.load(case["file"])
    index = pd.to_datetime(benchbars.times(case["bars"]))
    series = {name: pd.Series(values, index) for name, values in columns.items()}
    return {"sweep": sweep, "rich": rich, "signals": signals}[case["kind"]](series, case)


def terms(series: dict[str, pd.Series], case: dict[str, Any]) -> dict[str, Any]:
    """Costs and exits in the words of ``from_signals``."""
    costs = {"fees": case["fees"], "slippage": case["slippage"], "init_cash": CASH, "freq": "1min"}
    if not case["stops"]:
        return costs
    prices = {name: series[name] for name in ("open", "high", "low")}
    return costs | prices | {"sl_stop": case["sl"], "tp_stop": case["tp"]}


def sweep(series: dict[str, pd.Series], case: dict[str, Any]) -> Callable[[], Any]:
    """Every pair of windows as a column, and the figures that ours returns with every row."""

    def run() -> dict[str, np.ndarray]:
        fast, slow = vbt.MA.run_combs(series["close"], window=case["windows"], r=2, short_names=["fast", "slow"])
        entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
        return nine(vbt.Portfolio.from_signals(series["close"], entries, exits, **terms(series, case)))

    return run


def rich(series: dict[str, pd.Series], case: dict[str, Any]) -> Callable[[], Any]:
    """One backtest with its trades, its equity and ``stats()``."""

    def run() -> Any:
        fast, slow = (vbt.MA.run(series["close"], window) for window in case["windows"])
        entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
        portfolio = vbt.Portfolio.from_signals(series["close"], entries, exits, **terms(series, case))
        return portfolio, portfolio.stats(), portfolio.trades.records_readable, portfolio.value()

    return run


def signals(series: dict[str, pd.Series], case: dict[str, Any]) -> Callable[[], Any]:
    """Columns of given entries and exits over the same bars."""
    flags = benchbars.sparse_signals(case["bars"], case["columns"], case["orders"])
    entries, exits = (pd.DataFrame(flag.T, series["close"].index) for flag in flags)
    return lambda: nine(vbt.Portfolio.from_signals(series["close"], entries, exits, **terms(series, case)))


def nine(portfolio: Any) -> dict[str, np.ndarray]:
    """Figures of every column, as arrays."""
    trades = portfolio.trades
    found = {
        "total_return": portfolio.total_return(),
        "sharpe": portfolio.sharpe_ratio(),
        "sortino": portfolio.sortino_ratio(),
        "max_drawdown": portfolio.max_drawdown(),
        "trades": trades.count(),
        "win_rate": trades.win_rate(),
        "profit_factor": trades.profit_factor(),
        "exposure": portfolio.position_coverage(),
    }
    return {name: np.atleast_1d(np.asarray(values, dtype=float)) for name, values in found.items()}


def figures(outcome: Any) -> dict[str, list[float]]:
    """The figures that are compared."""
    found = nine(outcome[0]) if isinstance(outcome, tuple) else outcome
    return {name: found[name].tolist() for name in ("total_return", "sharpe", "max_drawdown", "trades")}
