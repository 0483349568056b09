"""Hold the event kernel to the reference: the same figures for random rules, exits, sizes, costs and bars."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tradelab as tl
from tradelab.research.event_runner import run_events
from tradelab.research.inputs import read_bars
from tradelab.research.settings import Settings
from tradelab.strategy.registry import find

ROUNDED = 1e-10


def bars_of(seed: int, rows: int, wild: float) -> pd.DataFrame:
    """Bars with gaps, wicks, volume, and some that do not move."""
    chance = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(chance.standard_t(3, rows) * 0.004 * wild))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(chance.normal(0, 0.001 * wild, rows))
    high = np.maximum(open_, close) * (1 + np.abs(chance.normal(0, 0.002 * wild, rows)))
    low = np.minimum(open_, close) * (1 - np.abs(chance.normal(0, 0.002 * wild, rows)))
    frame = pd.DataFrame({"open": open_, "high": high, "low": low, "close": close})
    frame["volume"] = chance.integers(1, 1000, rows).astype(float)
    return frame.set_index(pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC"))


def distances(*values: float | str):
    return st.sampled_from([None, *values])


@st.composite
def plans(draw: st.DrawFn) -> tl.ExitPlan:
    ladder = draw(
        st.sampled_from(
            [
                (),
                (0.01,),
                ((0.005, 0.5, "break_even"), (0.01, 0.5)),
                (("1 r", 0.3, "trail"), ("2 r", 0.3, "previous"), ("3 r", 0.4)),
                ((0.004, 0.25, "0.002 price"), (0.008, 0.25, 0.002), (0.02, 0.25)),
                (("1 atr", 0.6), ("3 atr", 0.4)),
            ]
        )
    )
    stop = draw(distances(0.004, 0.02, "2 atr", "0.7 price"))
    needs_r = any(isinstance(t, tuple) and "r" in str(t[0]).split() for t in ladder)
    trail = draw(
        st.sampled_from(
            [
                None,
                0.01,
                tl.Trail("2 atr"),
                tl.Trail(0.006, start=0.005),
                tl.Trail(0.004, start=0.006, before=0.02),
                tl.Trail(0.006, step=0.002),
                tl.Trail("3 atr", chandelier=True),
            ]
        )
    )
    if trail is None and any(isinstance(t, tuple) and "trail" in t for t in ladder):
        trail = 0.01
    return tl.ExitPlan(
        stop="2 atr" if needs_r and stop is None else stop,
        targets=ladder,
        roi=draw(st.sampled_from([(), {0: 0.03, 5: 0.01, 20: 0.0}, {10: -0.01}])),
        trail=trail,
        break_even=draw(st.sampled_from([None, 0.004, tl.BreakEven(0.006, offset=0.001, fees=False)])),
        max_bars=draw(st.sampled_from([None, 1, 7, 60])),
        stop_at_close=draw(st.sampled_from([False, False, True])),
        session_close=draw(st.sampled_from([False, False, True])),
    )


@st.composite
def terms(draw: st.DrawFn) -> dict[str, object]:
    def one(*values):
        return draw(st.sampled_from(values))

    said: dict[str, object] = {
        "fill": one(
            "tradelab", "close", "vectorbt", "backtesting.py", "freqtrade", "optimistic", "ohlc", "olhc", "colour"
        ),
        "direction": one("both", "long", "short"),
        "fees": one(0.0, 0.001),
        "fixed_fees": one(0.0, 1.0),
        "per_unit_fees": one(0.0, 0.01),
        "min_fees": one(0.0, 2.0),
        "maker_fees": one(None, 0.0002),
        "fee_tiers": one(None, ((0.0, 0.002), (50_000.0, 0.0005))),
        "spread": one(0.0, 0.0004),
        "slippage": one(0.0, 0.0005),
        "slippage_range": one(0.0, 0.1),
        "impact": one(0.0, 0.01),
        "volume_share": one(None, 0.5),
        "size_granularity": one(None, 0.25),
        "min_notional": one(0.0, 500.0),
        "max_weight": one(None, 0.8),
        "latency": one(0, 0, 1, 3),
        "layers": one(1, 1, 3),
        "exit_size": one(1.0, 1.0, 0.4),
    }
    said["plan"] = plan = draw(plans())
    margin = one(None, None, 5.0)
    if margin:
        said |= {"leverage": margin, "maintenance": one(0.0, 0.05, 0.15), "liquidation_fee": 0.002}
        said |= {"borrow": one(0.0, 0.1), "interest": one(0.0, 0.05), "swap_long": one(0.0, 0.02)}
    kind = one("amount", "amount", "value", "percent", "equity", "risk", "atr", "volatility", "kelly")
    sizes = {"amount": 30.0, "value": 3000.0, "percent": 0.5, "equity": 0.7, "risk": 0.01, "atr": 0.01}
    sizes |= {"volatility": 0.3, "kelly": 0.5}
    if one(True, False) and not (kind == "risk" and plan.stop is None) and not (kind == "volatility" and plan.in_atr):
        said |= {"size": sizes[kind], "size_type": kind, "kelly_trades": 5, "kelly_start": 0.3}
        if plan.stop is not None:
            said["risk_cap"] = one(None, 0.02)
    return said


@st.composite
def resting(draw: st.DrawFn, frame: pd.DataFrame) -> dict[str, object]:
    """Entries that wait for a price near the close they were decided at; some have none."""
    kind = draw(st.sampled_from(["market", "market", "limit", "stop"]))
    if kind == "market":
        return {}
    price = frame["close"] * draw(st.sampled_from([0.99, 0.998, 1.0, 1.002, 1.01]))
    price = price.mask(np.arange(len(frame)) % 11 == 0)
    return {"entry_type": kind, "entry_price": price, "expiry": draw(st.sampled_from([None, 1, 5]))}


STRATEGIES = {
    "sma_cross": {"fast": [2, 3, 5, 8], "slow": [9, 12, 30, 55]},
    "rsi_reversion": {"window": [2, 3, 5, 9], "low": [20.0, 35.0, 40.0, 30.0]},
    "donchian_breakout": {"window": [3, 5, 20, 40], "exit_window": [2, 5, 7, 10]},
    "bollinger_reversion": {"window": [5, 10, 20, 30], "width": [0.5, 1.0, 1.5, 2.0]},
    "buy_and_hold": {},
}


@settings(max_examples=250)
@given(st.data())
def test_the_event_kernel_gives_the_figures_of_the_reference(data):
    frame = bars_of(
        data.draw(st.integers(0, 2**32 - 1)),
        data.draw(st.integers(70, 900)),
        data.draw(st.sampled_from([0.3, 1.0, 4.0])),
    )
    said = data.draw(terms()) | data.draw(resting(frame))
    name = data.draw(st.sampled_from(sorted(STRATEGIES)))
    columns = STRATEGIES[name]
    tape = read_bars(frame)
    parts = data.draw(st.sampled_from([0, 4]))
    edges = np.arange(parts + 1, dtype=np.int64) * len(frame) // max(parts, 1)
    count = len(next(iter(columns.values()), [0]))
    figures, _ = run_events(tape, find(name), [Settings(**said)], np.zeros(count, np.int64), columns, edges)
    for c in range(count):
        point = {k: v[c] for k, v in columns.items()}
        try:
            result = tl.backtest(frame, name, **point, **said)
        except tl.TradelabError:
            continue
        expected = result.summary.to_dict()
        for figure, values in figures.items():
            same(figure, values[c], expected[figure], (name, point, said))


def same(figure: str, ours: float, reference: float, case: object) -> None:
    ours, reference = float(ours), float(reference)
    if math.isnan(ours) and math.isnan(reference):
        return
    assert ours == pytest.approx(reference, rel=ROUNDED, abs=ROUNDED), f"{figure}: {case}"
