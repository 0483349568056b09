"""The live pipeline, led over history, trades what a backtest trades: every bar, side, quantity and price."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

import tradelab as tl
from tests.parity.replay_world import CASH, Traded, net, replay
from tradelab.model.units import Timeframe

QTY = Decimal("0.5")
STRATEGIES: dict[str, dict[str, Any]] = {
    "sma_cross": {"fast": 5, "slow": 20},
    "ema_cross": {"fast": 3, "slow": 8},
    "rsi_reversion": {"window": 5},
    "bollinger_reversion": {},
    "donchian_breakout": {},
}


def backtested(bars: pd.DataFrame, strategy: str, parameters: dict[str, Any], **terms: Any) -> list[Traded]:
    """What a backtest of the same decisions trades."""
    done = tl.backtest(
        bars, strategy, size=float(QTY), size_type="amount", init_cash=float(CASH), leverage=1.0, **parameters, **terms
    )
    orders = done.orders
    return [
        Traded(stamp.value, side, round(size, 9), price)
        for stamp, side, size, price in zip(
            orders["time"], orders["side"], orders["size"], orders["price"], strict=True
        )
    ]


def sample(count: int) -> pd.DataFrame:
    return tl.samples.load("EURUSD-1h").iloc[:count]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_trades_live_what_it_traded_in_the_backtest(strategy: str) -> None:
    bars, parameters = sample(500), STRATEGIES[strategy]
    told = asyncio.run(
        replay(bars, Timeframe.H1, strategy, parameters, QTY, {}, modules=("risk_management", "execution"))
    )
    expected = backtested(bars, strategy, parameters)
    assert len(expected) > 3
    assert not told.drops
    assert net(told.fills) == expected


EXITS: dict[str, tuple[dict[str, Any], tl.ExitPlan]] = {
    "stop": ({"stop": "0.3 %"}, tl.ExitPlan(stop="0.3 %")),
    "stop in atr": ({"stop": "1.5 atr"}, tl.ExitPlan(stop="1.5 atr")),
    "target": ({"targets": ["0.3 %"]}, tl.ExitPlan(targets="0.3 %")),
    "stop and target": ({"stop": "0.3 %", "targets": ["1 r"]}, tl.ExitPlan(stop="0.3 %", targets="1 r")),
    "ladder": (
        {"stop": "0.4 %", "targets": [["0.5 r", 0.5, "break_even"], "2 r"]},
        tl.ExitPlan(stop="0.4 %", targets=[("0.5 r", 0.5, "break_even"), "2 r"]),
    ),
    "trail": ({"trail": "0.4 %"}, tl.ExitPlan(trail="0.4 %")),
    "break even": (
        {"stop": "0.5 %", "break_even": "0.5 r"},
        tl.ExitPlan(stop="0.5 %", break_even="0.5 r"),
    ),
    "roi": ({"roi": {"0": 0.004, "6": 0.001}}, tl.ExitPlan(roi={0: 0.004, 6: 0.001})),
    "time": ({"max_bars": 7}, tl.ExitPlan(max_bars=7)),
    "stop at close": ({"stop": "0.3 %", "stop_at_close": True}, tl.ExitPlan(stop="0.3 %", stop_at_close=True)),
    "session": ({"session_close": True}, tl.ExitPlan(session_close=True)),
}


@pytest.mark.parametrize("kind", EXITS)
def test_every_exit_leaves_live_where_it_left_in_the_backtest(kind: str) -> None:
    bars, parameters = sample(500), STRATEGIES["sma_cross"]
    table, plan = EXITS[kind]
    told = asyncio.run(replay(bars, Timeframe.H1, "sma_cross", parameters, QTY, table))
    expected = backtested(bars, "sma_cross", parameters, plan=plan)
    assert len(expected) > 10
    assert net(told.fills) == net(expected)
