"""Hold the simulation to what must be true of any history: money is conserved and the future is invisible."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tradelab as tl

FILLS = st.sampled_from(["next_open", "close", "vectorbt"])


@st.composite
def histories(draw: st.DrawFn, instruments: int = 1) -> dict[str, pd.DataFrame]:
    """Bars with gaps and wicks, one frame an instrument."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = draw(st.integers(5, 120))
    index = pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC")
    frames = {}
    for k in range(instruments):
        close = 100 * np.exp(np.cumsum(chance.standard_t(3, rows) * 0.01))
        open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(chance.normal(0, 0.004, rows))
        high = np.maximum(open_, close) * (1 + np.abs(chance.normal(0, 0.005, rows)))
        low = np.minimum(open_, close) * (1 - np.abs(chance.normal(0, 0.005, rows)))
        frames[f"S{k}"] = pd.DataFrame({"open": open_, "high": high, "low": low, "close": close}, index)
    return frames


@st.composite
def orders_of(draw: st.DrawFn, frames: dict[str, pd.DataFrame]) -> dict[str, object]:
    """Random signals and terms for these bars."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    index = next(iter(frames.values())).index
    names = ("entries", "exits", "short_entries", "short_exits")
    signals = {n: pd.DataFrame(chance.random((len(index), len(frames))) < 0.2, index, list(frames)) for n in names}
    terms = {
        "fill": draw(FILLS),
        "fees": draw(st.sampled_from([0.0, 0.001])),
        "fixed_fees": draw(st.sampled_from([0.0, 2.0])),
        "slippage": draw(st.sampled_from([0.0, 0.001])),
        "sl_stop": draw(st.sampled_from([None, 0.01, 0.05])),
        "sl_trail": draw(st.sampled_from([None, 0.02])),
        "tp_stop": draw(st.sampled_from([None, 0.015])),
        "size_granularity": draw(st.sampled_from([None, 0.25])),
    }
    if draw(st.booleans()):
        terms |= {"size": 0.5, "size_type": "percent"}
    return signals | terms


def closes(result: tl.Result) -> np.ndarray:
    return np.column_stack([frame["close"].to_numpy() for frame in result.frames.values()])


@given(st.data(), st.integers(1, 3))
def test_money_is_conserved_to_the_cent(data, instruments):
    frames = data.draw(histories(instruments))
    result = tl.backtest(frames, **data.draw(orders_of(frames)))
    o = result.outcome.run.orders
    spent = float((o["side"] * o["qty"] * o["price"] + o["fees"]).sum())
    assert result.cash.iloc[-1] == pytest.approx(10_000 - spent, abs=1e-6)
    worth = (result.positions.to_numpy() * closes(result)).sum(axis=1)
    np.testing.assert_allclose(result.equity, result.cash + worth, rtol=1e-12, atol=1e-8)
    assert result.trades["pnl"].sum() == pytest.approx(result.equity.iloc[-1] - 10_000, abs=1e-6)


@given(st.data(), st.integers(1, 3))
def test_positions_are_what_the_orders_add_up_to_and_trades_never_exceed_them(data, instruments):
    frames = data.draw(histories(instruments))
    result = tl.backtest(frames, **data.draw(orders_of(frames)))
    o, t = result.outcome.run.orders, result.outcome.trades
    for k in range(instruments):
        mine = o[o["instrument"] == k]
        held = np.cumsum(mine["side"] * mine["qty"])
        np.testing.assert_allclose(held[-1] if len(held) else 0.0, result.positions.iloc[-1, k], atol=1e-8)
    assert (t["entry_bar"] <= t["exit_bar"]).all()
    assert (t["mfe"] >= 0).all() and (t["mae"] <= 0).all()
    first, last = np.minimum(t["entry_price"], t["exit_price"]), np.maximum(t["entry_price"], t["exit_price"])
    assert (first > 0).all() and np.isfinite(last).all()


@given(st.data())
def test_scrambling_the_future_changes_no_past_order(data):
    frames = data.draw(histories())
    wish = data.draw(orders_of(frames))
    frame = frames["S0"]
    cut = data.draw(st.integers(1, len(frame) - 1))
    other = frame.copy()
    other.iloc[cut:] = frame.iloc[cut:].to_numpy()[::-1] * 1.3
    before, after = (tl.backtest({"S0": f}, **wish) for f in (frame, other))
    past = [r.outcome.run.orders[r.outcome.run.orders["bar"] < cut] for r in (before, after)]
    assert past[0].tobytes() == past[1].tobytes()
    np.testing.assert_array_equal(before.equity.iloc[:cut], after.equity.iloc[:cut])


@given(st.data(), st.sampled_from([0.01, 7.0, 1000.0]))
def test_scaling_prices_and_cash_scales_the_equity(data, factor):
    frames = data.draw(histories())
    wish = data.draw(orders_of(frames)) | {"size_granularity": None, "fixed_fees": 0.0}
    one = tl.backtest(frames, **wish)
    other = tl.backtest({s: f * factor for s, f in frames.items()}, init_cash=10_000 * factor, **wish)
    np.testing.assert_allclose(other.equity, one.equity * factor, rtol=1e-9)


@given(st.data(), st.integers(1, 3))
def test_a_bar_is_filled_inside_its_range_when_there_is_no_slippage(data, instruments):
    frames = data.draw(histories(instruments))
    result = tl.backtest(frames, **(data.draw(orders_of(frames)) | {"slippage": 0.0}))
    for time, symbol, price in result.orders[["time", "symbol", "price"]].itertuples(index=False):
        bar = frames[symbol].loc[time]
        assert bar["low"] - 1e-9 <= price <= bar["high"] + 1e-9
