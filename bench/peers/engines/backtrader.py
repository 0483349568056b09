"""Run backtrader: vectorised indicators, preloaded data, market orders at the next open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
import bars as benchbars
import pandas as pd

CASH = 10_000.0


class Cross(bt.Strategy):
    """Long one unit while the fast average is above the slow one."""

    params = (("fast", 10), ("slow", 50))

    def __init__(self) -> None:
        self.entered = 0
        self.cross = bt.ind.CrossOver(bt.ind.SMA(period=self.p.fast), bt.ind.SMA(period=self.p.slow))

    def next(self) -> None:
        """Act on a crossing."""
        if self.cross[0] > 0 and not self.position:
            self.entered += 1
            self.buy(size=1)
        elif self.cross[0] < 0 and self.position:
            self.close()


def prepare(case: dict[str, Any]) -> Callable[[], Any]:
    """Return the call to be timed."""
    columns = benchbars.load(case["file"])
    frame = pd.DataFrame(columns, index=pd.to_datetime(benchbars.times(case["bars"])))
    fast, slow = case["windows"]

    def run() -> tuple[float, int]:
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(Cross, fast=fast, slow=slow)
        cerebro.broker.setcash(CASH)
        cerebro.broker.setcommission(commission=case["fees"])
        cerebro.broker.set_slippage_perc(case["slippage"], slip_out=True)
        (ran,) = cerebro.run()
        return cerebro.broker.getvalue() - CASH, ran.entered

    return run


def figures(outcome: Any) -> dict[str, list[float]]:
    """Money made by one unit, and trades entered."""
    return {"profit": [outcome[0]], "trades": [float(outcome[1])]}
