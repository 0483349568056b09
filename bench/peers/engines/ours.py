"""Run this project's own engine: the one file to change when its fast sweep takes over."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import bars as benchbars
import numpy as np
import pandas as pd

import tradelab as tl
from tradelab.model.exits import BreakEven, ExitPlan, Target, Trail
from tradelab.strategy import indicators as ta
from tradelab.strategy.define import strategy
from tradelab.strategy.spec import Signals

CASH = 10_000.0
PER_YEAR = 525_600.0  # minutes, as vectorbt counts them
_THREADS = "threads" in inspect.signature(tl.sweep).parameters


def prepare(case: dict[str, Any]) -> Callable[[], Any]:
    """Return the call to be timed; reading the bars and the import are not part of it."""
    if case["threads"] > 1 and not _THREADS:
        raise NotImplementedError("tl.sweep takes no threads yet")
    frame = frame_of(case)
    kinds = {"sweep": sweep, "rich": rich, "events": events, "signals": signals, "ladder": ladder}
    return kinds[case["kind"]](frame, case)


def frame_of(case: dict[str, Any]) -> pd.DataFrame:
    """Bars as ``tl`` takes them."""
    columns = benchbars.load(case["file"])
    index = pd.to_datetime(benchbars.times(case["bars"]), utc=True)
    return pd.DataFrame(columns, index=index, copy=False)


def terms(case: dict[str, Any]) -> dict[str, Any]:
    """Costs and exits in the words of ``tl.backtest``."""
    stops = {"sl_stop": case["sl"], "tp_stop": case["tp"]} if case["stops"] else {}
    costs = {"fees": case["fees"], "slippage": case["slippage"], "init_cash": CASH}
    return {"direction": "long", "fill": "vectorbt"} | costs | stops


def sweep(frame: pd.DataFrame, case: dict[str, Any]) -> Callable[[], dict[str, list[float]]]:
    """Every pair of windows with fast < slow, one row of figures each."""
    threads = {"threads": case["threads"]} if _THREADS else {}
    windows = case["windows"]
    given = {"fast": windows[:-1], "slow": windows[1:], "progress": False, **threads, **terms(case)}
    return lambda: tl.sweep(frame, "sma_cross", **given).table


@strategy(warmup=lambda fast, slow, window: max(slow, 20 * window) + 2, requires="fast < slow")
def three_conditions(bars: pd.DataFrame, fast: int = 10, slow: int = 50, window: int = 14) -> Signals:
    """Buy when RSI climbs above 50 while the fast average is above the slow one and the close above the fast."""
    close = bars["close"].to_numpy()
    a, b, rsi = ta.sma(close, fast), ta.sma(close, slow), ta.rsi(close, window)
    return Signals(long_entry=ta.rises_above(rsi, 50.0) & (a > b) & (close > a), long_exit=ta.rises_above(b, a))


def ladder(frame: pd.DataFrame, case: dict[str, Any]) -> Callable[[], Any]:
    """Every pair of windows of a rule with three conditions, risk sizing, three targets, trailing and break-even."""
    plan = ExitPlan(
        stop=0.01,
        targets=(Target("1 r", 0.4), Target("2 r", 0.3), Target("3 r", 0.3)),
        trail=Trail(0.01, start="1.5 r"),
        break_even=BreakEven("1 r"),
    )
    threads = {"threads": case["threads"]} if _THREADS else {}
    sizing = {"size": 0.01, "size_type": "risk", "plan": plan}
    costs = {"fees": case["fees"], "slippage": case["slippage"], "init_cash": CASH, "direction": "long"}
    windows = case["windows"]
    given = {"fast": windows[:-1], "slow": windows[1:], "progress": False, **threads, **costs, **sizing}
    return lambda: tl.sweep(frame, three_conditions, **given).table


def rich(frame: pd.DataFrame, case: dict[str, Any]) -> Callable[[], Any]:
    """One backtest with its trades, its equity and every figure."""
    fast, slow = case["windows"]

    def run() -> Any:
        result = tl.backtest(frame, "sma_cross", fast=fast, slow=slow, **terms(case))
        return result.summary, result.trades, result.equity

    return run


def events(frame: pd.DataFrame, case: dict[str, Any]) -> Callable[[], Any]:
    """One backtest as the event-driven engines run it: one unit, filled where the peer fills; figures only."""
    fast, slow = case["windows"]
    given = {**terms(case), "fill": case["fill"], "size": 1.0}
    return lambda: tl.backtest(frame, "sma_cross", fast=fast, slow=slow, **given).summary


def signals(frame: pd.DataFrame, case: dict[str, Any]) -> Callable[[], Any]:
    """Columns of given entries and exits over the same bars, as a sweep over the columns."""
    entries, exits = benchbars.sparse_signals(case["bars"], case["columns"], case["orders"])

    @strategy(warmup=1)
    def given(bars: pd.DataFrame, column: int = 0) -> Signals:
        """Trade on signals that were given."""
        return Signals(long_entry=entries[column], long_exit=exits[column])

    columns = {"column": range(case["columns"]), "progress": False, "threads": case["threads"]}
    return lambda: tl.sweep(frame, given, **columns, **terms(case)).table


def figures(outcome: Any) -> dict[str, list[float]]:
    """The figures that are compared; Sharpe for vectorbt's year of 365 days, open trades counted as it does."""
    if isinstance(outcome, tuple):
        outcome = outcome[0]
    if isinstance(outcome, pd.DataFrame):
        table = outcome.sort_values(["fast", "slow"]) if "fast" in outcome else outcome
    else:
        table = pd.DataFrame([s.to_dict() for s in (outcome if isinstance(outcome, list) else [outcome])])
    return {
        "profit": (table["total_return"] * CASH).tolist(),
        "total_return": table["total_return"].tolist(),
        "sharpe": (table["sharpe"] * np.sqrt(PER_YEAR / table["periods_per_year"])).tolist(),
        "max_drawdown": table["max_drawdown"].tolist(),
        "trades": (table["trades"] + table["open_trades"]).tolist(),
    }
