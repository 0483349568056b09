"""A result shows the same thing in every form, and comes back from disk as it was."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import tradelab as tl


@pytest.fixture(scope="module")
def result() -> tl.Result:
    return tl.backtest(tl.samples.load("GOOG-1d"), "sma_cross", fast=10, slow=30, fees=0.001, sl_stop=0.08)


def test_tables_have_their_columns_and_agree_with_each_other(result):
    trades, orders = result.trades, result.orders
    assert list(trades.columns) == [
        "symbol", "direction", "entry_time", "entry_price", "exit_time", "exit_price", "size", "fees", "carry", "pnl",
        "return", "r", "mfe", "mae", "bars_held", "exit_reason", "status",
    ]  # fmt: skip
    assert list(orders.columns) == ["time", "symbol", "side", "size", "price", "fees", "when", "reason"]
    assert trades["fees"].sum() == pytest.approx(orders["fees"].sum())
    assert set(trades["exit_reason"]) <= {"signal", "reversal", "stop", "still open"}
    assert trades["entry_time"].dt.tz is not None
    assert (trades["bars_held"] >= 0).all()


def test_drawdown_and_returns_follow_from_equity(result):
    assert result.returns.iloc[0] == pytest.approx(result.equity.iloc[0] / 10_000 - 1)
    np.testing.assert_allclose(10_000 * (1 + result.returns).cumprod(), result.equity, rtol=1e-12)
    assert result.drawdown.max() <= 0
    assert result.drawdown.min() == pytest.approx(result.summary.max_drawdown)


def test_the_monthly_table_compounds_to_the_total_return(result):
    table = result.monthly
    assert list(table.columns) == [*range(1, 13), "year"]
    months = table.drop(columns="year").to_numpy()
    assert np.nanprod(1 + months) - 1 == pytest.approx(result.summary.total_return)
    assert np.prod(1 + table["year"]) - 1 == pytest.approx(result.summary.total_return)


def test_a_month_worked_out_by_hand():
    index = pd.to_datetime(["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-29"], utc=True)
    price = [100.0, 110.0, 121.0, 99.0]
    bars = pd.DataFrame({"open": price, "high": price, "low": price, "close": price}, index)
    result = tl.backtest(bars, entries=pd.Series([True, False, False, False], index))  # in at 110 on the 31st
    assert result.monthly.loc[2024, 1] == pytest.approx(0.0)
    assert result.monthly.loc[2024, 2] == pytest.approx(99 / 110 - 1)


def test_summary_counts_what_the_tables_hold(result):
    s = result.summary
    closed = result.trades[result.trades["status"] == "closed"]
    assert (s.trades, s.open_trades) == (len(closed), len(result.trades) - len(closed))
    assert s.win_rate == pytest.approx((closed["pnl"] > 0).mean())
    assert s.fees == pytest.approx(result.orders["fees"].sum())
    assert s.final_equity == result.equity.iloc[-1]
    assert (s.calendar, s.periods_per_year) == ("sessions", 252)


def test_the_benchmark_is_holding_the_bars_unless_another_is_given(result):
    bars = result.frames["GOOG"]
    assert result.summary.benchmark_return == pytest.approx(bars["close"].iloc[-1] / bars["close"].iloc[0] - 1)
    other = tl.backtest(bars, "sma_cross", benchmark=tl.samples.load("MSFT-1d")["close"])
    assert other.summary.benchmark_return != result.summary.benchmark_return
    assert np.isfinite(other.summary.beta)


def test_save_and_load_give_the_same_back(result, tmp_path):
    path = result.save(tmp_path / "goog.tlr")
    again = tl.load(path)
    pd.testing.assert_frame_equal(again.trades, result.trades)
    pd.testing.assert_frame_equal(again.orders, result.orders)
    pd.testing.assert_series_equal(again.equity, result.equity)
    assert again.summary == result.summary
    assert (again.data_hash, again.title) == (result.data_hash, result.title)
    assert [p.name for p in tmp_path.iterdir()] == ["goog.tlr"]


def test_a_result_prints_its_title_and_figures(result):
    text = repr(result)
    assert text.startswith("sma_cross(fast=10, slow=30) on GOOG")
    assert "Sharpe ratio" in text


def test_several_instruments_on_different_calendars_share_one_time_axis():
    bars = {"EURUSD": tl.samples.load("EURUSD-1d"), "AAPL": tl.samples.load("AAPL-1d").iloc[-200:]}
    result = tl.backtest(bars, "buy_and_hold", size=0.5, size_type="percent", init_cash=1000.0)
    assert result.index.is_monotonic_increasing
    assert len(result.index) == len(bars["EURUSD"].index.union(bars["AAPL"].index))
    assert result.equity.notna().all()
    assert result.trades["symbol"].tolist() == ["AAPL", "EURUSD"]


def test_returns_and_months_after_ruin_are_undefined_and_no_year_is_lost():
    index = pd.DatetimeIndex(["2023-11-30", "2023-12-01", "2023-12-31", "2024-01-05", "2025-02-01"], tz="UTC")
    prices = [
        100.0,
        100.0,
        200.0,
        200.0,
        200.0,
    ]  # a short of the whole account, doubled against it: exactly nothing left
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), prices), index)
    result = tl.backtest(frame, short_entries=[True] + [False] * 4, fill="close", calendar="24/7")
    assert result.ruined and result.equity.iloc[-1] == 0.0
    np.testing.assert_array_equal(result.returns, [0.0, 0.0, -1.0, np.nan, np.nan])
    assert result.monthly.loc[2023, 12] == -1.0
    assert result.monthly.index.tolist() == [2023, 2024, 2025]
    assert np.isnan(result.monthly.loc[2024, 1])


def test_without_plotly_a_result_still_shows_and_a_picture_says_what_to_install(tmp_path):
    program = (
        "import sys\nsys.modules['plotly'] = None\nimport tradelab as tl\n"
        "from importlib import util\nreal = util.find_spec\n"
        "import tradelab.model.errors as errors\n"
        "errors.find_spec = lambda name, *rest: None if name == 'plotly' else real(name, *rest)\n"
        "result = tl.backtest(tl.samples.load('GOOG-1d'), 'sma_cross')\n"
        "assert 'GOOG' in result._repr_html_()\n"
        "for draw in (result.plot, result.figures, result.to_html):\n"
        "    try:\n        draw()\n    except tl.TradelabError as error:\n        print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("needs plotly. Install it: pip install 'tradelab[report]'.") == 3
