"""Hold ``fill="backtesting.py"`` against backtesting.py itself on 2 000 random configurations over real bars.

Averages, RSI thresholds or dice decide; longs, shorts or both; stop and target given as prices off the deciding close;
commissions; whole units or a share of the cash; orders exclusive or the position closed by hand. 200 to 400 bars each,
for backtesting.py needs some 10 µs a bar; its statistics (10 ms a run) and its progress bar are switched off. By
default 300 configurations are drawn, with ``TRADELAB_ORACLES=full`` all 2 000 (about a quarter of a minute).

Two things are not drawn: a fixed fee where positions turn round, which is one order to us and two to it; and a fixed
fee beside a share of the cash, which it adds to the price of every single unit when it sizes the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tests.oracles import real_bars
from tests.oracles.real_bars import BUNDLED, FULL, MINUTES, SERIES, SIGNALS

pytestmark = pytest.mark.filterwarnings("ignore")

ROUNDS = 200 if FULL else 30  # a series


@dataclass(frozen=True)
class Configuration:
    """Bars, decisions and terms that both tools can be told."""

    bars: pd.DataFrame
    signals: pd.DataFrame
    cash: float
    size: float
    stop: float | None
    target: float | None
    fees: float
    fixed_fees: float
    exclusive: bool


def draw(bars: pd.DataFrame, chance: np.random.Generator) -> Configuration:
    """Choose a window, a rule and terms; the account is large enough that no order is refused for want of cash."""
    cut = real_bars.window(bars, int(chance.integers(200, 401)), chance)
    direction = str(chance.choice(["long", "short", "both"]))
    signals = real_bars.random_rule(cut, direction, chance)
    signals.iloc[[0, -1]] = False  # its first decision is on the second bar; one on the last would fill in the past
    cash = float(cut["open"].iloc[0] * chance.choice([300.37, 2_000.61, 50_000.43]))  # no whole number of units
    move = real_bars.typical_move(cut)
    whole = chance.random() < 0.4
    return Configuration(
        bars=cut,
        signals=signals,
        cash=cash,
        size=float(chance.integers(1, 60)) if whole else float(chance.choice([0.9999, 0.5, 0.2])),
        stop=None if chance.random() < 0.3 else float(move * chance.choice([0.3, 1.0, 2.5])),
        target=None if chance.random() < 0.4 else float(move * chance.choice([0.4, 1.2, 3.0])),
        fees=float(chance.choice([0.0, 2e-4, 2e-3])),
        fixed_fees=float(chance.choice([0.0, 1e-4])) * cash if whole and direction != "both" else 0.0,
        exclusive=bool(chance.random() < 0.5),
    )


@pytest.fixture
def theirs(oracle, monkeypatch):
    """Run a configuration in backtesting.py: its closed trades by entry, and its equity a bar."""
    backtesting, core = oracle("backtesting"), oracle("backtesting.backtesting")
    monkeypatch.setattr(core, "compute_stats", lambda trades, equity, **_: (trades, equity))
    monkeypatch.setattr(core, "_tqdm", lambda steps, **_: steps)

    def run(it: Configuration) -> tuple[pd.DataFrame, np.ndarray]:
        decisions = it.signals[SIGNALS].to_numpy().tolist()
        close = it.bars["close"].to_numpy()

        class Rule(backtesting.Strategy):
            def init(self):
                pass

            def next(self):
                now = len(self.data) - 1
                enter, leave, enter_short, leave_short = decisions[now]
                side = 1 if enter else -1 if enter_short else 0
                if side and side * self.position.size <= 0:
                    if self.position and not it.exclusive:
                        self.position.close()
                    bracket = {} if it.stop is None else {"sl": close[now] * (1 - side * it.stop)}
                    bracket |= {} if it.target is None else {"tp": close[now] * (1 + side * it.target)}
                    (self.buy if side > 0 else self.sell)(size=it.size, **bracket)
                elif (self.position.is_long and leave) or (self.position.is_short and leave_short):
                    self.position.close()

        frame = it.bars.rename(columns=str.capitalize).tz_localize(None)
        trades, equity = backtesting.Backtest(
            frame,
            Rule,
            cash=it.cash,
            commission=(it.fixed_fees, it.fees),
            exclusive_orders=it.exclusive,
            finalize_trades=True,
        ).run()
        rows = [(t.entry_bar, t.exit_bar, t.size, t.entry_price, t.exit_price, t.pl) for t in trades]
        names = ["entry_bar", "exit_bar", "size", "entry_price", "exit_price", "pnl"]
        found = pd.DataFrame(rows, columns=names, dtype=float)
        return found.sort_values(["entry_bar", "exit_bar"], ignore_index=True), equity

    return run


def ours(it: Configuration) -> tl.Result:
    side = it.signals["entries"].astype(float) - it.signals["short_entries"]  # no bar has both
    close = it.bars["close"]
    terms: dict[str, Any] = {"fees": it.fees, "fixed_fees": it.fixed_fees}
    if it.stop is not None:
        terms["sl_price"] = close * (1 - side * it.stop)
    if it.target is not None:
        terms["tp_price"] = close * (1 + side * it.target)
    return tl.backtest(
        it.bars,
        **{name: it.signals[name] for name in SIGNALS},
        **terms,
        fill="backtesting.py",
        size=it.size,
        size_type="percent" if it.size < 1 else "amount",
        size_granularity=1.0,
        init_cash=it.cash,
    )


def assert_same(it: Configuration, trades: pd.DataFrame, equity: np.ndarray) -> int:
    """Hold our trades and equity to theirs, and return how many trades there were."""
    result = ours(it)
    got = result.outcome.trades
    assert not got["is_open"].any()
    np.testing.assert_array_equal(got["entry_bar"], trades["entry_bar"])
    np.testing.assert_array_equal(got["exit_bar"], trades["exit_bar"])
    np.testing.assert_array_equal(got["direction"] * got["qty"], trades["size"])
    for name in ("entry_price", "exit_price"):
        np.testing.assert_allclose(got[name], trades[name], rtol=1e-12)
    np.testing.assert_allclose(got["pnl"], trades["pnl"], rtol=1e-9, atol=1e-9 * it.cash)
    np.testing.assert_allclose(result.equity, equity, rtol=1e-9)
    return len(trades)


def compare(theirs: Any, name: str, bars: pd.DataFrame) -> None:
    """Draw this series' configurations; every one counts, and most of them trade."""
    chance = np.random.default_rng([SERIES.index(name), 31])
    counts = []
    for _ in range(ROUNDS):
        it = draw(bars, chance)
        counts.append(assert_same(it, *theirs(it)))
    assert np.mean(np.array(counts) > 1) > 0.8
    assert sum(counts) > 5 * ROUNDS


@pytest.mark.parametrize("name", BUNDLED)
def test_trades_and_equity_equal_backtesting_py(theirs, name):
    compare(theirs, name, real_bars.bundled(name))


@pytest.mark.parametrize("name", MINUTES)
def test_trades_and_equity_equal_backtesting_py_on_minutes(theirs, shared, name):
    compare(theirs, name, real_bars.minutes(shared / "data" / MINUTES[name]))
