"""Hold what a backtest left: orders, trades, equity, and every figure that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tradelab.catalog.frame import content_hash, stamps_ns
from tradelab.engine.exits import REASONS
from tradelab.engine.simulate import Run
from tradelab.metrics.annualise import Annualisation, annualisation
from tradelab.metrics.summary import Summary, summarise
from tradelab.metrics.trades import TradeColumns

_WHEN = ("open", "intrabar", "close")


class Outcome(NamedTuple):
    """What the engine returned: the run, and its orders paired into trades (``engine.trades.TRADE``)."""

    run: Run
    trades: np.ndarray


@dataclass(frozen=True, eq=False)
class Record:
    """One backtest, complete: what went in, what was ordered, what it came to.

    Parameters
    ----------
    frames
        Canonical bars by symbol.
    index
        Time axis of the account: every time at which any instrument has a bar.
    outcome
        What the engine returned.
    settings, strategy, parameters
        Terms, name and parameters it ran with.
    benchmark
        Returns a bar, shape (times,), that alpha and beta are measured against.
    calendar
        Calendar for annualisation; ``None``: read off the bars.
    """

    frames: Mapping[str, pd.DataFrame]
    index: pd.DatetimeIndex
    outcome: Outcome
    settings: Mapping[str, Any]
    strategy: str
    parameters: Mapping[str, Any]
    benchmark: np.ndarray
    calendar: str | None = None

    @property
    def symbols(self) -> list[str]:
        """The instruments, in column order."""
        return list(self.frames)

    @property
    def title(self) -> str:
        """Strategy, parameters and instruments in one line."""
        shown = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.strategy}({shown}) on {', '.join(self.symbols)}"

    @cached_property
    def trades(self) -> pd.DataFrame:
        """One row a trade, in order of entry; what is still open is valued at the last close.

        Times are the open times of the bars in which the fills happened. ``fees`` and ``carry`` (what holding it cost:
        funding, swap, borrowed units) are off the P&L. ``return``, ``mfe`` and ``mae`` are fractions
        of the entry price; ``r`` is the P&L over what the first stop risked, NaN without one.
        """
        t = self.outcome.trades
        symbols = np.array(self.symbols, dtype=object)
        is_open = t["is_open"]
        reasons = np.array(REASONS, dtype=object)[t["reason"]]
        return pd.DataFrame(
            {
                "symbol": symbols[t["instrument"]],
                "direction": np.where(t["direction"] > 0, "long", "short"),
                "entry_time": self.index[t["entry_bar"]],
                "entry_price": t["entry_price"],
                "exit_time": self.index[t["exit_bar"]],
                "exit_price": t["exit_price"],
                "size": t["qty"],
                "fees": t["entry_fees"] + t["exit_fees"],
                "carry": t["carry"],
                "pnl": t["pnl"],
                "return": t["return"],
                "r": t["r"],
                "mfe": t["mfe"],
                "mae": t["mae"],
                "bars_held": t["exit_bar"] - t["entry_bar"],
                "exit_reason": np.where(is_open, "still open", reasons),
                "status": np.where(is_open, "open", "closed"),
            }
        ).rename_axis("trade")

    @cached_property
    def orders(self) -> pd.DataFrame:
        """One row a filled order, in the order they happened; ``when`` says at which point of the bar."""
        o = self.outcome.run.orders
        return pd.DataFrame(
            {
                "time": self.index[o["bar"]],
                "symbol": np.array(self.symbols, dtype=object)[o["instrument"]],
                "side": np.where(o["side"] > 0, "buy", "sell"),
                "size": o["qty"],
                "price": o["price"],
                "fees": o["fees"],
                "when": np.array(_WHEN, dtype=object)[o["when"]],
                "reason": np.array(REASONS, dtype=object)[o["reason"]],
            }
        ).rename_axis("order")

    @cached_property
    def equity(self) -> pd.Series:
        """Account value at each bar's close."""
        return pd.Series(self.outcome.run.equity, self.index, name="equity")

    @cached_property
    def cash(self) -> pd.Series:
        """Cash at each bar's close; the proceeds of short sales are in it."""
        return pd.Series(self.outcome.run.cash, self.index, name="cash")

    @cached_property
    def positions(self) -> pd.DataFrame:
        """Signed units held at each bar's close, one column an instrument."""
        return pd.DataFrame(self.outcome.run.qty, self.index, self.symbols)

    @cached_property
    def returns(self) -> pd.Series:
        """Fraction a bar; the first is against the initial cash. NaN once nothing is left to return anything on."""
        equity = self.outcome.run.equity
        before = np.concatenate([[self.init_cash], equity[:-1]])
        return pd.Series(equity / np.where(before > 0.0, before, np.nan) - 1.0, self.index, name="return")

    @cached_property
    def drawdown(self) -> pd.Series:
        """Fall below the highest equity so far, the initial cash included; a fraction ≤ 0."""
        equity = self.outcome.run.equity
        peak = np.maximum(np.maximum.accumulate(equity), self.init_cash)
        return pd.Series(equity / peak - 1.0, self.index, name="drawdown")

    @property
    def init_cash(self) -> float:
        """Money at the start."""
        return float(self.settings["init_cash"])

    @property
    def finer(self) -> Mapping[str, Any] | None:
        """Finer bars inside the bars: their ``timeframe`` and ``sha256``, how many bars were ``walked`` along them and
        how many were ``without`` any; ``None``: there were none."""
        told: Mapping[str, Any] | None = self.settings.get("finer")
        return told

    @property
    def ruined(self) -> bool:
        """Whether equity fell to zero, everything was closed out and trading ended."""
        return bool(self.outcome.run.ruined)

    @cached_property
    def annualisation(self) -> Annualisation:
        """How many bars make a year, and how that was found."""
        return annualisation(stamps_ns(self.index), calendar=self.calendar)

    @cached_property
    def summary(self) -> Summary:
        """All figures in one frozen record."""
        run, t = self.outcome
        t = t[np.argsort(t["exit_bar"], kind="stable")]  # streaks are in the order in which trades ended
        return summarise(
            ts_ns=stamps_ns(self.index),
            equity=run.equity,
            init_cash=self.init_cash,
            in_position=run.gross > 0.0,
            traded_notional=float((run.orders["qty"] * run.orders["price"]).sum()),
            fees=float(run.orders["fees"].sum()),
            trades=TradeColumns(t["pnl"], t["return"], t["entry_bar"], t["exit_bar"], t["is_open"]),
            annualisation=self.annualisation,
            benchmark_returns=self.benchmark,
        )

    @cached_property
    def monthly(self) -> pd.DataFrame:
        """Return of each month, one row a year, and of the whole year; fractions, NaN where there were no bars."""
        ends = self.equity.groupby([self.index.year, self.index.month]).last()
        starts = ends.shift(1, fill_value=self.init_cash)
        starts = starts.where(starts > 0.0)
        moves = (ends / starts - 1.0).rename_axis(["year", "month"]).rename("return").reset_index()
        table = moves.pivot_table(index="year", columns="month", values="return", dropna=False)
        table = table.reindex(columns=range(1, 13))
        table["year"] = (1.0 + table.fillna(0.0)).prod(axis=1) - 1.0
        return table

    @cached_property
    def data_hash(self) -> str:
        """Content hash of the bars, which a run cites."""
        return "+".join(content_hash(frame) for frame in self.frames.values())
