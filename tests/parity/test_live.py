"""A strategy decides the same in the backtest, in replay, on paper and before a venue, whatever carries its orders.

Before a venue a stop is filled where the market jumps to, and a bar is met print by print: what is compared is what was
decided (wishes, orders, levels, why and in which bar it left), not the last digit of a fill. And no bar here holds two
levels at once: of those a backtest takes the worse, and a market the one that it comes to first. Three kinds of exit
run here; all of them and all strategies, over more bars, with ``TRADELAB_PARITY=full``.
"""

from __future__ import annotations

import asyncio
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

import tradelab as tl
from tests.parity.live_world import PAPER, VENUE, Case, decisions, end_to_end, live
from tests.parity.replay_world import CASH, Told, Traded, net, replay
from tests.parity.test_replay import EXITS, STRATEGIES
from tradelab.model.units import Timeframe

FULL = os.environ.get("TRADELAB_PARITY") == "full"
QTY = Decimal(100)
TICK = Decimal("0.00001")
CASES = {f"s{n}": (Case(name, given, {}), None) for n, (name, given) in enumerate(STRATEGIES.items())} | {
    f"e{n}": (Case("sma_cross", STRATEGIES["sma_cross"], table), plan) for n, (table, plan) in enumerate(EXITS.values())
}
SLICE = [f"e{list(EXITS).index(kind)}" for kind in ("stop and target", "ladder", "roi")]


def backtested(bars: pd.DataFrame, case: Case, plan: Any, fill: str = "tradelab") -> list[tuple[int, str, float]]:
    """Bar, side and quantity of everything that a backtest trades; what one bar does on one side is added up."""
    terms = {"fill": fill} | ({} if plan is None else {"plan": plan})
    done = tl.backtest(
        bars, case.strategy, size=float(QTY), size_type="amount", init_cash=float(CASH), **case.parameters, **terms
    )
    orders = done.orders
    columns = (orders[each] for each in ("time", "side", "size"))
    return _added([Traded(at.value, side, size, 0.0) for at, side, size in zip(*columns, strict=True)])


def _added(fills: list[Traded]) -> list[tuple[int, str, float]]:
    return [(it.bar_ns, it.side, it.qty) for it in net([each._replace(price=0.0) for each in fills])]


def _is_end(wanted: list[tuple[Any, ...]], more: list[tuple[Any, ...]]) -> bool:
    """Whether what is there besides is what was sent as the last bar closed and filled: a replay has no market then."""
    return not more or (wanted[-1][0] == "sends" and all(each[0] in ("left", "holds") for each in more))


async def replayed(bars: pd.DataFrame, case: Case) -> Told:
    return await replay(bars, Timeframe.M1, case.strategy, case.parameters, QTY, case.exits, tick=TICK)


def test_a_strategy_decides_the_same_in_backtest_replay_on_paper_and_before_a_venue(tmp_path: Path) -> None:
    names = list(CASES) if FULL else SLICE
    bars = end_to_end(tl.samples.load("EURUSD-1h").iloc[600 : 750 if FULL else 645])
    said = asyncio.run(live({name: CASES[name][0] for name in names}, bars, QTY, tmp_path))
    counted = 0
    for name in names:
        case, plan = CASES[name]
        told = asyncio.run(replayed(bars, case))
        wanted = decisions(told.said, "bot")
        counted += len(wanted)
        assert _added(told.fills) == backtested(bars, case, plan) == backtested(bars, case, plan, "optimistic"), case
        for account in (VENUE, PAPER):
            got = decisions(said, f"{name}-{account}")
            assert got[: len(wanted)] == wanted, (account, case)
            assert _is_end(wanted, got[len(wanted) :]), (account, case)
    assert counted > 8 * len(names)
