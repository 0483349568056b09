"""Run many configurations as columns of one vectorbt call, and hold what a column did to ours."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import tradelab as tl
from tests.oracles.real_bars import SIGNALS

SIZE_TYPES = {"amount": 0, "value": 1, "percent": 2}  # vectorbt's own numbers
PRICES = ("open", "high", "low", "close")


class Column(NamedTuple):
    """Orders and trades as vectorbt records them; value and cash at each close."""

    orders: np.ndarray
    trades: np.ndarray
    value: np.ndarray
    cash: np.ndarray


@dataclass(frozen=True)
class Configuration:
    """Bars, decisions and the terms both tools know; ``terms`` are keywords of ``tl.backtest``."""

    bars: pd.DataFrame
    signals: pd.DataFrame
    fill: str
    terms: dict[str, Any]

    @property
    def shifted(self) -> pd.DataFrame:
        """Decisions on the bar whose price fills them."""
        late = self.fill == "next_open"
        return self.signals.shift(1, fill_value=False) if late else self.signals


def run(vbt: ModuleType, batch: list[Configuration]) -> list[Column]:
    """Trade configurations of equally many bars in one call of ``from_signals``."""

    def wide(name: str) -> np.ndarray:
        return np.column_stack([it.bars[name].to_numpy() for it in batch])

    def term(name: str, default: Any) -> np.ndarray:
        return np.array([it.terms.get(name, default) for it in batch])

    index = pd.date_range("2024-01-01", periods=len(batch[0].bars), freq="h")
    opens, closes = wide("open"), wide("close")
    portfolio = vbt.Portfolio.from_signals(
        pd.DataFrame(closes, index),
        **{name: np.column_stack([it.shifted[name].to_numpy() for it in batch]) for name in SIGNALS},
        open=opens,
        high=wide("high"),
        low=wide("low"),
        price=np.where([it.fill == "next_open" for it in batch], opens, closes),
        size=term("size", np.inf),
        size_type=np.array([SIZE_TYPES[it.terms.get("size_type", "amount")] for it in batch]),
        **{name: term(name, 0.0) for name in ("fees", "fixed_fees", "slippage")},
        **{name: term(name, np.nan) for name in ("size_granularity", "sl_stop", "tp_stop")},
        sl_trail=term("sl_trail", False),
        init_cash=term("init_cash", 0.0),
        lock_cash=True,
        freq="1h",
        engine="numba",
    )
    orders, trades = portfolio.orders.records.to_records(), portfolio.trades.records.to_records()
    value, cash = portfolio.value().to_numpy(), portfolio.cash().to_numpy()
    return [
        Column(orders[orders["col"] == k], trades[trades["col"] == k], value[:, k], cash[:, k])
        for k in range(len(batch))
    ]


def ours(it: Configuration) -> tl.Result:
    """The same configuration in our engine."""
    return tl.backtest(it.bars, fill=it.fill, **{name: it.signals[name] for name in SIGNALS}, **it.terms)


def assert_same(result: tl.Result, column: Column, init_cash: float) -> None:
    """Orders, trades, cash and equity, to 1e-9 of their size."""
    orders, records = result.outcome.run.orders, column.orders
    assert len(orders) == len(records)
    np.testing.assert_array_equal(orders["bar"], records["idx"])
    np.testing.assert_array_equal(orders["side"] > 0, records["side"] == 0)
    for name, theirs in (("qty", "size"), ("price", "price"), ("fees", "fees")):
        np.testing.assert_allclose(orders[name], records[theirs], rtol=1e-9, atol=1e-12)
    trades, records = result.outcome.trades, column.trades
    assert len(trades) == len(records)
    np.testing.assert_array_equal(trades["entry_bar"], records["entry_idx"])
    np.testing.assert_array_equal(trades["exit_bar"], records["exit_idx"])
    np.testing.assert_array_equal(trades["is_open"], records["status"] == 0)
    np.testing.assert_allclose(trades["qty"], records["size"], rtol=1e-9, atol=1e-9)
    for name in ("entry_price", "exit_price", "entry_fees", "exit_fees", "return"):
        np.testing.assert_allclose(trades[name], records[name], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(trades["pnl"], records["pnl"], rtol=1e-9, atol=1e-9 * init_cash)
    np.testing.assert_allclose(result.equity, column.value, rtol=1e-9)
    np.testing.assert_allclose(result.cash, column.cash, rtol=1e-9, atol=1e-9 * init_cash)
