"""What a fresh pair of eyes found wrong once, worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, ParameterError, TimestampError


def bars_of(rows: list[list[float]], start: str = "2024-01-01") -> pd.DataFrame:
    index = pd.date_range(start, periods=len(rows), freq="D", tz="UTC")
    return pd.DataFrame(rows, index, ["open", "high", "low", "close"], dtype=float)


def still(index: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame({"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0}, index)


def on(count: int, *places: int) -> np.ndarray:
    flags = np.zeros(count, bool)
    flags[list(places)] = True
    return flags


DIPS = bars_of([[100, 101, 99, 100], [100, 102, 97, 100], [100, 101, 99, 100], [100, 101, 99, 100]])


@pytest.mark.parametrize("fill", ["tradelab", "ohlc", "freqtrade", "close", "backtesting.py"])
@pytest.mark.parametrize("stop", [150.0, 99.5])
def test_a_stop_on_the_wrong_side_of_a_resting_entry_is_hit_at_the_entry(fill, stop):
    terms = {"size": 1, "entry_type": "limit", "entry_price": 98.0, "sl_price": stop, "fill": fill}
    orders = tl.backtest(DIPS, entries=on(4, 0), **terms).orders
    assert orders["price"].tolist() == [98.0, 98.0]
    assert orders["reason"].tolist() == ["entry", "stop"]


def test_the_same_of_a_short_and_of_a_broker_that_liquidates_at_once():
    short = {"size": 1, "entry_type": "limit", "entry_price": 101.5, "sl_price": 50.0}
    assert tl.backtest(DIPS, short_entries=on(4, 0), **short).orders["price"].tolist() == [101.5, 101.5]
    margin = {"entry_type": "limit", "entry_price": 98.0, "leverage": 50.0, "maintenance": 0.05}
    assert tl.backtest(DIPS, entries=on(4, 0), **margin).equity.iloc[-1] == pytest.approx(10_000.0)


def test_a_sweep_makes_no_money_of_a_stop_that_is_always_passed():
    bars = tl.samples.load("EURUSD-1h").iloc[:3000]
    terms = {"entry_type": "limit", "entry_price": bars["close"] * 0.9995, "sl_price": bars["close"] * 1.05}
    found = tl.sweep(bars, "donchian_breakout", window=[20, 40], direction="long", progress=False, **terms).table
    assert (found["trades"] > 50).all()
    assert found["total_return"].tolist() == pytest.approx([0.0, 0.0], abs=1e-9)


def test_latency_counts_the_bars_of_the_instrument():
    index = pd.date_range("2024-01-03", periods=8, freq="D", tz="UTC")
    coin = still(index)
    stock = coin[index.day_of_week < 5]
    alone = tl.backtest(stock, entries=on(6, 2), size=1, latency=1).orders["time"].tolist()
    entries = {"S": on(6, 2), "C": on(8)}
    beside = tl.backtest({"S": stock, "C": coin}, entries=entries, size=1, latency=1).orders["time"].tolist()
    assert alone == beside == [pd.Timestamp("2024-01-09", tz="UTC")]


@pytest.mark.parametrize("cost", [{"borrow": 0.365}, {"swap_short": 0.1}])
def test_nights_are_charged_whatever_else_is_in_the_account(cost):
    days = pd.date_range("2024-01-08", periods=5, freq="D", tz="UTC")
    us, eu = (
        still(pd.DatetimeIndex([day + pd.Timedelta(hours=h) for day in days for h in range(a, z)]))
        for a, z in ((15, 21), (8, 16))
    )
    alone = tl.backtest(us, short_entries=on(30, 0), size=10, **cost).trades["carry"].iloc[0]
    flags = {"entries": {"U": on(30), "E": on(40)}, "short_entries": {"U": on(30, 0), "E": on(40)}}
    beside = tl.backtest({"U": us, "E": eu}, size=10, **flags, **cost).trades["carry"].iloc[0]
    assert alone == pytest.approx(4.0)  # 4 nights: 1 000 at 36.5 % a year over 365 days, or 10 units at 0.1
    assert beside == pytest.approx(alone)


@pytest.mark.parametrize("latency", [63, 64, 65, 70, 127, 128, 130, 5000])
def test_a_sweep_may_be_late_by_any_number_of_bars(latency):
    bars = tl.samples.load("EURUSD-1h").iloc[:2500]
    found = tl.sweep(bars, "donchian_breakout", window=[20, 40, 60], latency=latency, progress=False)
    for row in range(3):
        alone = found.result(row).summary
        assert found.table["trades"][row] == alone.trades
        assert found.table["final_equity"][row] == pytest.approx(alone.final_equity, rel=1e-10)
    assert (found.table["trades"] > 0).all() == (latency < 2500)


def test_a_size_given_bar_by_bar_scales_kellys_fraction():
    bars = tl.samples.load("GOOG-1d")
    terms = {"direction": "long", "size_type": "kelly", "kelly_start": 0.1, "kelly_trades": 5, "fast": 10, "slow": 30}
    one = tl.backtest(bars, "sma_cross", size=0.25, **terms)
    each = tl.backtest(bars, "sma_cross", size=pd.Series(0.25, bars.index), **terms)
    whole = tl.backtest(bars, "sma_cross", size=1.0, **terms)
    assert each.equity.iloc[-1] == pytest.approx(one.equity.iloc[-1], rel=1e-12)
    assert each.equity.iloc[-1] != pytest.approx(whole.equity.iloc[-1], rel=1e-6)


def test_freqtrades_trail_may_be_given_bar_by_bar():
    rises = bars_of(
        [[100] * 4, [100, 101, 100, 101], [101, 110, 101, 110], [110, 110, 100, 101], [101, 101, 90, 91], [91] * 4]
    )
    for trail in (0.05, pd.Series(0.05, rises.index)):
        trades = tl.backtest(rises, entries=on(6, 0), sl_trail=trail, fill="freqtrade").trades
        assert trades["exit_price"].tolist() == pytest.approx([104.5])  # 5 % below 110


def test_the_risk_cap_counts_a_stop_that_a_target_has_moved():
    rises = bars_of(
        [[100] * 4, [100] * 4, [100, 110, 100, 110], [110, 120, 110, 120], [120, 121, 119, 120], [120, 120, 90, 95],
         [95] * 4]
    )  # fmt: skip
    plan = tl.ExitPlan(stop=0.1, targets=[(0.05, 0.1, "break_even")])
    orders = tl.backtest(rises, entries=on(7, 0, 3), size=10, layers=2, risk_cap=0.01, plan=plan).orders
    bought = orders[orders["reason"] == "scale"].iloc[0]
    equity = 10_000 + 1 * 5 + 9 * 20  # one unit sold at 105, nine stand at 120
    assert bought["price"] == 120.0
    assert bought["size"] == pytest.approx(0.01 * equity / 20)  # the stop stays at 100, where the nine lose nothing


def test_the_risk_cap_of_layers_whose_stop_follows_their_average():
    rises = bars_of([[100] * 4, [100] * 4, [110] * 4, [120] * 4, [120] * 4])
    orders = tl.backtest(rises, entries=on(5, 0, 2), size=10, layers=2, risk_cap=0.015, sl_stop=0.1).orders
    second = orders.iloc[1]
    equity = 10_000 + 10 * 10  # as it stood at the last close
    assert second["price"] == 120.0
    assert second["size"] == pytest.approx((0.015 * equity - 10 * 10) / 12)  # each at 10 % of its own price


def test_a_walk_refuses_values_that_cannot_be_given_bar_by_bar():
    bars = tl.samples.load("AAPL-1d").iloc[:1500]
    for size in ({"size": [None, 5.0]}, {"sl_stop": ["2 atr", "3 atr"]}):
        with pytest.raises(ConfigError, match="cannot be chosen anew"):
            tl.walk_forward(bars, "sma_cross", train=500, test=250, fast=[5], slow=[20], progress=False, **size)


@pytest.mark.parametrize(
    "tiers", [((0, 5.0),), ((0, -3.0),), ((0, float("nan")),), "abc", 5, ((0, 0.1, 0.2),), ((-1, 0.1),), ()]
)
def test_fee_tiers_are_pairs_of_notional_and_rate(tiers):
    with pytest.raises(ParameterError, match="fee_tiers"):
        tl.backtest(DIPS, entries=on(4, 0), fee_tiers=tiers)


@pytest.mark.parametrize(
    "wrong",
    [
        {"latency": "a"}, {"latency": float("nan")}, {"latency": [1]}, {"layers": 1e30}, {"expiry": 2**70},
        {"init_cash": None}, {"size": 1 + 2j}, {"fill": tl.FillPolicy(enter_at_close="no")},
    ],
)  # fmt: skip
def test_terms_that_are_not_allowed_are_named(wrong):
    name = next(iter(wrong))
    with pytest.raises(ParameterError, match=name):
        tl.backtest(DIPS, entries=on(4, 0), **wrong)


def test_what_is_no_path_no_sweep_and_no_row_is_said():
    bars = tl.samples.load("GOOG-1d").iloc[:200]
    grid = {"fast": [5, 6], "slow": 20, "progress": False}
    for path in ("", 5):
        with pytest.raises(ParameterError, match="names no place"):
            tl.sweep(bars, "sma_cross", path=path, **grid)
    for open_ in (tl.load, tl.load_sweep):
        with pytest.raises(ParameterError, match="names no place"):
            open_(5)
    with pytest.raises(ParameterError, match="timeframes is empty"):
        tl.sweep(bars, "sma_cross", timeframes=[], **grid)
    found = tl.sweep(bars, "sma_cross", **grid)
    with pytest.raises(ParameterError, match="not in the table"):
        found.result(True)
    for asked in (tl.scrutinise, tl.stability):
        with pytest.raises(ParameterError, match="no sweep"):
            asked(found.result(0))


def test_more_values_than_anybody_holds_are_refused_at_once():
    for many in (range(1, 10**30), iter(int, 1)):
        with pytest.raises(ParameterError, match="more than"):
            tl.sweep(DIPS, "sma_cross", fast=5, slow=20, init_cash=many, progress=False)


def test_stamps_that_nanoseconds_cannot_count_are_refused():
    old = DIPS.set_axis(pd.date_range("1500-01-01", periods=4, freq="D", tz="UTC", unit="s"))
    with pytest.raises(TimestampError, match="cannot count"):
        tl.backtest(old, entries=on(4, 0))


def test_a_sweep_keeps_bars_that_its_caller_changes_later():
    bars = tl.samples.load("GOOG-1d").iloc[:300].copy()
    found = tl.sweep(bars, "sma_cross", fast=[5, 10], slow=20, progress=False)
    bars.iloc[:, :4] *= 2.0
    bars.loc[bars.index[100] :, "close"] = 1.0
    assert found.result(0).summary.final_equity == pytest.approx(found.table["final_equity"][0], rel=1e-10)


def test_freqtrades_rules_hit_a_stop_that_the_entry_had_passed_at_once():
    opens = bars_of([[100, 101, 99, 100], [98, 103, 97, 100], [100, 101, 99, 100], [100, 101, 99, 100]])
    for more in ({}, {"entry_type": "limit", "entry_price": 99.0}):
        orders = tl.backtest(opens, entries=on(4, 0), size=1, sl_price=102.0, fill="freqtrade", **more).orders
        assert orders["price"].tolist() == [98.0, 98.0]


def test_what_is_done_to_the_frames_of_a_result_reaches_no_sweep():
    found = tl.sweep(tl.samples.load("GOOG-1d").iloc[:300], "sma_cross", fast=[5, 10], slow=20, progress=False)
    frame = next(iter(found.result(0).frames.values()))
    frame.iloc[100:, :4] *= 2.0
    del frame
    for row in range(2):
        assert found.result(row).summary.final_equity == pytest.approx(found.table["final_equity"][row], rel=1e-10)


def test_a_size_of_nan_opens_nothing_under_kelly_either():
    terms = {"size": pd.Series(np.nan, DIPS.index), "size_type": "kelly", "kelly_start": 0.1}
    assert len(tl.backtest(DIPS, entries=on(4, 0), **terms).orders) == 0
