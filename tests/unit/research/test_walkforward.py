"""A walk-forward trades what its past chose, on bars it had not seen, as one account."""

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, ParameterError, TooFewBarsError, UnknownNameError
from tradelab.research import plots_theme
from tradelab.research.walkforward import walk_forward, windows

GRID = {"fast": [5, 10, 20], "slow": [30, 60]}


@pytest.fixture(scope="module")
def bars():
    return tl.samples.load("GOOG-1d").iloc[:1100]


@pytest.fixture(scope="module")
def walk(bars):
    return walk_forward(bars, "sma_cross", train=400, test=200, fees=0.0005, **GRID)


def test_windows_roll_on_without_a_gap_and_the_last_may_be_shorter():
    index = pd.date_range("2024-01-01", periods=23, tz="UTC")
    assert [tuple(w) for w in windows(index, 10, 5)] == [(0, 10, 15), (5, 15, 20), (10, 20, 23)]


def test_anchored_windows_all_begin_at_the_first_bar():
    index = pd.date_range("2024-01-01", periods=20, tz="UTC")
    assert [tuple(w) for w in windows(index, 10, 5, anchored=True)] == [(0, 10, 15), (0, 15, 20)]


def test_windows_of_time_count_days_not_bars():
    index = pd.bdate_range("2024-01-01", periods=15, tz="UTC")  # a Monday; three working weeks
    assert [tuple(w) for w in windows(index, "7D", "7D")] == [(0, 5, 10), (5, 10, 15)]


def test_what_is_no_window_is_refused(bars):
    index = pd.date_range("2024-01-01", periods=20, tz="UTC")
    with pytest.raises(ParameterError, match="train=0"):
        windows(index, 0, 5)
    with pytest.raises(ParameterError, match="test='soon'"):
        windows(index, 5, "soon")
    with pytest.raises(TooFewBarsError, match="20 bars leave nothing"):
        windows(index, 20, 5)
    with pytest.raises(TooFewBarsError, match="needs 61"):
        walk_forward(bars, "sma_cross", train=50, test=20, **GRID)


def test_each_window_trades_what_was_best_on_its_training_bars(bars, walk):
    assert len(walk.windows) == 4
    for k, row in enumerate(walk.windows.itertuples()):
        alone = tl.sweep(bars.iloc[200 * k : 200 * k + 400], "sma_cross", fees=0.0005, progress=False, **GRID)
        best = alone.best("sharpe")
        assert (row.fast, row.slow) == (best.parameters["fast"], best.parameters["slow"])
        assert row.train_sharpe == pytest.approx(best.summary.sharpe)
        assert row.train_return == pytest.approx(best.summary.total_return)
        assert row.test_start == bars.index[200 * k + 400]


def test_with_nothing_to_choose_it_is_the_strategy_over_the_test_bars(bars):
    walk = walk_forward(bars, "sma_cross", train=400, test=130, fast=[10], slow=30, fees=0.0005)
    strategy = tl.strategies.sma_cross
    decided = {k: v[400:] for k, v in strategy.decide(bars, {"fast": 10, "slow": 30}).items()}
    alone = tl.backtest(
        bars.iloc[400:],
        entries=decided["long_entry"],
        exits=decided["long_exit"],
        short_entries=decided["short_entry"],
        short_exits=decided["short_exit"],
        fees=0.0005,
    )
    assert len(walk.windows) == 6
    pd.testing.assert_series_equal(walk.equity, alone.equity)
    pd.testing.assert_frame_equal(walk.result.trades, alone.trades)


def test_later_bars_change_nothing_that_was_traded_before(bars, walk):
    other = bars.copy()
    columns = ["open", "high", "low", "close"]
    other.iloc[800:, other.columns.get_indexer(columns)] = bars.iloc[800:][columns].to_numpy()[::-1] * 1.3
    changed = walk_forward(other, "sma_cross", train=400, test=200, fees=0.0005, **GRID)
    pd.testing.assert_series_equal(changed.equity.iloc[:400], walk.equity.iloc[:400])
    pd.testing.assert_frame_equal(
        changed.windows.iloc[:2].astype({"test_end": "datetime64[ns, UTC]"}),
        walk.windows.iloc[:2].astype({"test_end": "datetime64[ns, UTC]"}),
    )


def test_a_strategy_has_warmed_up_when_its_window_begins(bars):
    @tl.strategy(warmup=lambda window: window, name="warm_always")
    def warm_always(bars, window: int = 50):
        return tl.Signals(long_entry=bars.close > 0)

    walk = walk_forward(bars, warm_always, train=200, test=100, min_trades=0, window=[20, 50])
    assert walk.result.trades["entry_time"].iloc[0] == bars.index[201]  # decided on the first test bar


def test_efficiency_is_growth_out_of_sample_over_growth_in_sample(walk):
    w = walk.windows
    inside = np.log1p(w["train_return"]).sum() / w["train_bars"].sum()
    outside = np.log1p(w["test_return"]).sum() / w["test_bars"].sum()
    assert walk.efficiency == pytest.approx(outside / inside)
    assert np.prod(1.0 + w["test_return"]) == pytest.approx(walk.result.summary.total_return + 1.0)


def test_drift_is_the_mean_step_over_the_span(walk):
    fast = walk.windows["fast"].to_numpy(float)
    expected = np.abs(np.diff(fast)).mean() / np.ptp(fast) if np.ptp(fast) else 0.0
    assert walk.drift["fast"] == pytest.approx(expected)
    assert list(walk.drift.index) == ["fast", "slow"]


def test_stops_and_sides_may_be_chosen_anew_in_each_window(bars):
    grid = {"fast": 5, "slow": 30, "sl_stop": [0.01, None], "direction": ["long", "short"]}
    walk = walk_forward(bars, "sma_cross", train=400, test=200, **grid)
    trades = walk.result.trades
    for row in walk.windows.itertuples():
        entered = trades[(trades["entry_time"] > row.test_start) & (trades["entry_time"] <= row.test_end)]
        assert set(entered["direction"]) <= {row.direction}
        stopped = (entered["exit_reason"] == "stop").any()
        assert not (stopped and pd.isna(row.sl_stop))
    assert len(trades)


def test_a_term_given_bar_by_bar_is_cut_to_each_window(bars):
    stops = pd.Series(np.linspace(0.01, 0.05, len(bars)), bars.index)
    walk = walk_forward(bars, "sma_cross", train=400, test=200, sl_stop=stops, fast=[5], slow=30)
    stopped = walk.result.trades.query("exit_reason == 'stop' and direction == 'long'")
    decided = [bars.index.get_loc(time) - 1 for time in stopped["entry_time"]]
    assert len(stopped) >= 3
    assert ((stopped["exit_price"] / stopped["entry_price"]).to_numpy() <= 1.0 - stops.to_numpy()[decided] + 1e-9).all()


def test_a_term_one_account_cannot_change_is_refused(bars):
    with pytest.raises(ConfigError, match="fees cannot be chosen anew"):
        walk_forward(bars, "sma_cross", train=400, test=200, fees=[0.0, 0.001])


def test_a_window_without_a_trade_in_training_stays_out(bars):
    walk = walk_forward(bars, "rsi_reversion", train=300, test=200, low=[0.1, 0.2], direction="long")
    assert walk.windows["low"].isna().all()
    assert np.isnan(walk.efficiency)
    assert (walk.equity == walk.result.init_cash).all()
    assert "–" in walk._repr_html_()


def test_an_unknown_figure_is_refused(bars):
    with pytest.raises(UnknownNameError, match="sharp"):
        walk_forward(bars, "sma_cross", train=400, test=200, by="sharp", **GRID)


def test_several_instruments_walk_as_one_account():
    shares = {name: tl.samples.load(f"{name}-1d").iloc[:700] for name in ("AAPL", "MSFT")}
    walk = walk_forward(shares, "sma_cross", train=300, test=200, fast=[5, 10], slow=30, size=0.5, size_type="percent")
    assert set(walk.result.trades["symbol"]) == {"AAPL", "MSFT"}
    assert len(walk.windows) == 2


def test_it_shows_itself(walk):
    assert "4 rolling windows" in str(walk)
    assert "<table" in walk._repr_html_()
    drawn = walk.plot()
    assert len(drawn.data[0].x) == len(walk.equity)
    assert len(drawn.layout.shapes) == 2
    assert {trace.name.split(":")[0] for trace in walk.plot("parameters").data} == {"fast", "slow"}
    assert plots_theme.said(drawn) is None
    with pytest.raises(UnknownNameError, match="picture"):
        walk.plot("prices")
