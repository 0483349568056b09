"""Hold the levels of a live position to those of the reference kernel, bar by bar and bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.engine.book import ORDER, open_account
from tradelab.engine.exits import REASONS
from tradelab.engine.simulate import ORDERS_A_BAR, step
from tradelab.model.exits import BreakEven, ExitPlan, Trail
from tradelab.model.market import Candle
from tradelab.modules.position_monitoring.config import Costs
from tradelab.modules.position_monitoring.levels import Line, Measured
from tradelab.research.inputs import read_bars
from tradelab.research.settings import Settings
from tradelab.research.wishes import make_market, make_wishes

PLANS = {
    "stop in percent": ExitPlan(stop="0.2 %"),
    "stop in atr": ExitPlan(stop="2 atr", atr_window=10),
    "stop in price": ExitPlan(stop="0.003 price"),
    "ladder to break even": ExitPlan(stop="0.3 %", targets=[("0.5 r", 0.4, "break_even"), "2 r"]),
    "ladder that trails": ExitPlan(stop="0.3 %", targets=[("0.5 r", 0.5, "trail"), "3 r"], trail="1 atr"),
    "ladder to the previous": ExitPlan(
        stop="0.3 %", targets=[("0.5 r", 0.3), ("1 r", 0.3, "previous"), ("1.5 r", 0.2, "previous")]
    ),
    "ladder to a distance": ExitPlan(stop="2 atr", targets=[("1 r", 0.5, "0.25 r"), ("2 r", 0.25, "1 r")]),
    "trail": ExitPlan(trail="0.2 %"),
    "trail from a profit": ExitPlan(stop="0.4 %", trail=Trail("0.2 %", start="0.1 %")),
    "trail in steps": ExitPlan(trail=Trail("0.3 %", step="0.1 %")),
    "trail from further behind": ExitPlan(trail=Trail("0.1 %", start="0.2 %", before="0.4 %")),
    "trail in r": ExitPlan(stop="0.3 %", trail="1 r"),
    "chandelier": ExitPlan(stop="3 atr", trail=Trail("2 atr", chandelier=True)),
    "break even with fees": ExitPlan(stop="0.3 %", break_even=BreakEven("0.1 %", offset=0.0002)),
    "break even without": ExitPlan(stop="0.3 %", break_even=BreakEven("1 r", fees=False)),
    "roi": ExitPlan(stop="0.5 %", roi={0: 0.01, 5: 0.003, 12: 0.001, 20: -0.001}),
    "max bars": ExitPlan(stop="0.5 %", max_bars=7),
    "stop at close": ExitPlan(stop="0.2 %", trail="0.2 %", stop_at_close=True),
    "session close": ExitPlan(stop="0.5 %", session_close=True),
    "all at once": ExitPlan(
        stop="2 atr", targets=[("0.7 r", 0.3, "break_even"), ("1.5 r", 0.3, "trail")], trail="2 atr",
        break_even=BreakEven("1.2 r"), max_bars=40,
    ),
}  # fmt: skip
COSTS = Costs(fees=2e-5, slippage=1e-5, spread=2e-5, per_unit_fees=1e-6, fixed_fees=0.05)
TERMS: dict[str, Any] = {
    "fees": 2e-5, "slippage": 1e-5, "spread": 2e-5, "per_unit_fees": 1e-6, "fixed_fees": 0.05, "size": 1700.0,
    "size_granularity": 1.0,
}  # fmt: skip


class Beside:
    """Walk the reference kernel one bar at a time, and a line beside it that is told the kernel's fills and bars."""

    def __init__(self, bars: pd.DataFrame, plan: ExitPlan, **terms: Any) -> None:
        settings = Settings(plan=plan, **TERMS | terms)
        tape = read_bars(bars)
        chance = np.random.default_rng(11)
        signals = np.where(chance.random((len(bars), 1)) < 0.3, chance.integers(1, 16, (len(bars), 1)), 0)
        self.plan, self.tape, self.terms = plan, tape, settings.row()
        self.market = make_market(tape, settings)
        self.wishes = make_wishes(tape, settings, signals.astype(np.uint8))
        self.account, self.lines = open_account(1e6, 1)
        self.kind = settings.entry_type
        self.rests = self.kind != "market"
        self.line: Line | None = None
        self.compared = self.fills = 0

    def run(self) -> None:
        """Live all bars and compare after each."""
        page = np.zeros(ORDERS_A_BAR, ORDER)
        for bar in range(len(self.tape.index)):
            count = step(self.account, self.lines, page, bar, self.market, self.wishes, self.terms)
            for order in page[:count]:
                self.filled(order, bar)
            if self.line is not None:
                ends = bool(len(self.market.session_end) and self.market.session_end[bar, 0])
                self.line.closed(self.candle(bar), session_ends=ends)
                self.compare(bar)

    def filled(self, order: Any, bar: int) -> None:
        """Tell the line of one fill."""
        self.fills += 1
        reason, held = REASONS[order["reason"]], self.line is not None
        if reason in ("entry", "reversal"):
            atr = self.unit_at(bar - 1)
            close = float(self.market.close[bar - 1, 0])
            # the kernel notes on the line what the deciding bar had measured
            measured = Measured(unit=float(self.lines[0]["unit"]) if self.rests else atr, atr=atr, close=close)
            side = int(order["side"])
            rest = (float(self.lines[0]["rest_price"]), side if self.kind == "limit" else -side) if self.rests else None
            self.line = Line(self.plan, COSTS, measured, direction=side, qty_step=1.0, rest=rest)
            self.line.opened(float(order["price"]), float(order["qty"]) - self.turned(order))
        elif reason == "scale":
            assert self.line is not None
            self.line.grew(float(order["price"]), float(order["qty"]), same_entry=False)
        elif held:
            assert self.line is not None
            self.line.left(float(order["qty"]), by_target=reason == "target")
        if self.line is not None and self.flat_after(order, reason):
            self.line = None

    def turned(self, order: Any) -> float:
        """Units of a reversal that closed what was held before."""
        return float(order["qty"]) - TERMS["size"] if REASONS[order["reason"]] == "reversal" else 0.0

    def flat_after(self, order: Any, reason: str) -> bool:
        """Whether nothing is held after a fill, by the line's own count."""
        assert self.line is not None
        return reason not in ("entry", "reversal", "scale") and abs(self.line._row.qty) < 1e-6

    def unit_at(self, bar: int) -> float:
        """ATR of a bar, as the backtest has it."""
        return float(self.wishes.rows[bar, 0]["unit"]) if len(self.wishes.rows) and bar >= 0 else math.nan

    def candle(self, bar: int) -> Candle:
        """One bar as it comes in live."""
        m = self.market
        prices = (float(column[bar, 0]) for column in (m.open, m.high, m.low, m.close))
        return Candle(int(self.tape.ts_ns[bar]), *prices, math.nan, True)

    def compare(self, bar: int) -> None:
        """Hold every level against the kernel's."""
        assert self.line is not None
        theirs, ours = self.lines[0], self.line.levels()
        assert theirs["qty"] == self.line._row.qty
        target = ours.targets[0][0] if ours.targets else math.nan
        due = REASONS[theirs["due"]] if theirs["due"] else None
        told = (ours.stop, target, ours.r, float(self.line._row.best))
        wanted = (theirs["stop"], theirs["target"], theirs["r"], theirs["best"])
        assert np.array(told).tobytes() == np.array(wanted, float).tobytes(), (bar, told, wanted)
        assert (ours.due, ours.stop_reason) == (due, REASONS[theirs["stop_reason"]]), bar
        self.compared += 1


@pytest.mark.parametrize("name", PLANS)
def test_levels_are_those_of_the_reference_kernel_bar_by_bar(name: str) -> None:
    beside = Beside(tl.samples.load("EURUSD-1h").iloc[:2500], PLANS[name])
    beside.run()
    assert beside.compared > 500
    assert beside.fills > 100


@pytest.mark.parametrize("kind", ["limit", "stop"])
def test_levels_of_an_entry_that_rested_are_those_of_the_reference_kernel(kind: str) -> None:
    bars = tl.samples.load("EURUSD-1h").iloc[:2500]
    beside = Beside(
        bars, PLANS["all at once"], entry_type=kind, entry_price=(bars["close"] * 1.0003).to_numpy(), expiry=6
    )  # fmt: skip
    beside.run()
    assert beside.compared > 200


def test_levels_of_a_position_that_grew_are_those_of_the_reference_kernel() -> None:
    beside = Beside(tl.samples.load("EURUSD-1h").iloc[:2500], ExitPlan(stop="0.4 %", trail="0.5 %"), layers=3)
    beside.run()
    assert beside.compared > 500
