"""Hold ``fill="vectorbt"`` against vectorbt itself on 2 000 random configurations over real bars, minutes among them.

Averages, RSI thresholds or dice decide, dice with contradicting signals too; longs, shorts or both; stops, trails and
targets; fees of every kind; sizes in units, money and percent, with and without a step. Every tenth fills at the next
open, without exits, for there the two mean the same. A configuration is a column of 300 bars and vectorbt (its numba
engine) trades all columns of a series in one call, so that our own runs take most of the time. By default 500 are
drawn, with ``TRADELAB_ORACLES=full`` all 2 000. Left out and counted: ruined accounts, see ``docs/semantics.md``.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.oracles import real_bars
from tests.oracles.real_bars import BUNDLED, FULL, MINUTES, SERIES, SIGNALS
from tests.oracles.vectorbt_columns import Configuration, assert_same, ours, run
from tradelab.engine.exits import REASONS

pytestmark = pytest.mark.filterwarnings("ignore")

ROUNDS = 200 if FULL else 50  # a series
BARS = 300


@pytest.fixture(scope="module")
def vbt(oracle) -> ModuleType:
    return oracle("vectorbt")


def draw(bars: pd.DataFrame, chance: np.random.Generator) -> Configuration:
    """Choose a window, decisions and terms."""
    cut = real_bars.window(bars, BARS, chance)
    direction = str(chance.choice(["long", "short", "both"]))
    fill = "next_open" if chance.random() < 0.1 else "vectorbt"
    signals = dice(cut, direction, chance) if chance.random() < 0.5 else real_bars.random_rule(cut, direction, chance)
    price = float(cut["close"].iloc[0])
    terms = random_terms(price, direction, chance)
    if fill == "vectorbt":
        terms |= random_exits(real_bars.typical_move(cut), chance)
    return Configuration(cut, signals, fill, terms)


def dice(bars: pd.DataFrame, direction: str, chance: np.random.Generator) -> pd.DataFrame:
    """Signals that may contradict each other."""
    signals = pd.DataFrame(chance.random((len(bars), 4)) < chance.choice([0.01, 0.05, 0.2]), bars.index, SIGNALS)
    if direction != "both":
        signals[SIGNALS[2:] if direction == "long" else SIGNALS[:2]] = False
    return signals


def random_terms(price: float, direction: str, chance: np.random.Generator) -> dict[str, Any]:
    """Money, costs and sizes in the words the two share."""
    cash = price * float(chance.choice([60.0, 700.0, 20_000.0]))
    terms: dict[str, Any] = {
        "init_cash": cash,
        "fees": float(chance.choice([0.0, 2e-4, 2e-3])),
        "fixed_fees": cash * float(chance.choice([0.0, 0.0, 1e-4])),
        "slippage": float(chance.choice([0.0, 1e-4, 1e-3])),
    }
    kind = chance.choice(["all", "amount", "value", "percent"])
    share = float(chance.uniform(0.05, 1.2))
    if kind == "percent" and direction != "both":  # vectorbt refuses to turn a position round by percent
        terms |= {"size": min(share, 1.0), "size_type": "percent", "fixed_fees": 0.0}
    elif kind == "amount":
        terms |= {"size": share * cash / price, "size_type": "amount"}
    elif kind == "value":
        terms |= {"size": share * cash, "size_type": "value"}
    if chance.random() < 0.4:
        terms["size_granularity"] = float(
            chance.choice([0.015625, 0.5, 1.0])
        )  # in halves: vectorbt floors 59.53 to 59.52
    return terms


def random_exits(move: float, chance: np.random.Generator) -> dict[str, Any]:
    """A stop, trailing or not, and a target, as multiples of what the price moves in ten bars."""
    exits: dict[str, Any] = {}
    if chance.random() < 0.7:
        exits |= {"sl_stop": move * float(chance.uniform(0.2, 3.0)), "sl_trail": bool(chance.random() < 0.4)}
    if chance.random() < 0.6:
        exits["tp_stop"] = move * float(chance.uniform(0.2, 4.0))
    return exits


def compare(vbt: ModuleType, name: str, bars: pd.DataFrame) -> None:
    """Draw this series' configurations and hold each to its column."""
    chance = np.random.default_rng([SERIES.index(name), 47])
    batch = [draw(bars, chance) for _ in range(ROUNDS)]
    orders, ruined, reasons = 0, 0, set()
    for it, column in zip(batch, run(vbt, batch), strict=True):
        result = ours(it)
        if result.ruined:
            ruined += 1
            continue
        assert_same(result, column, it.terms["init_cash"])
        orders += len(column.orders)
        reasons |= {REASONS[reason] for reason in result.outcome.run.orders["reason"]}
    assert ruined <= ROUNDS // 50
    assert {"entry", "signal", "reversal", "stop", "trail", "target"} <= reasons
    assert orders > 10 * ROUNDS


@pytest.mark.parametrize("name", BUNDLED)
def test_orders_trades_and_equity_equal_vectorbt(vbt, name):
    compare(vbt, name, real_bars.bundled(name))


@pytest.mark.parametrize("name", MINUTES)
def test_orders_trades_and_equity_equal_vectorbt_on_minutes(vbt, shared, name):
    compare(vbt, name, real_bars.minutes(shared / "data" / MINUTES[name]))
