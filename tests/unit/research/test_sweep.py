"""A sweep's row is the single backtest's summary, and an interrupted one keeps what it has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, ParameterError, TooFewBarsError, UnknownNameError
from tradelab.research import runner
from tradelab.research import sweep as module


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:600]


@pytest.fixture(scope="module")
def found(bars) -> module.Sweep:
    return tl.sweep(bars, "sma_cross", fast=[3, 5, 30], slow=range(10, 40, 10), fees=0.001, progress=False)


def test_every_row_is_the_summary_of_the_single_backtest(bars, found):
    assert (found.total, found.left_out, len(found)) == (9, 3, 6)  # 30 is below none of 10, 20 and 30
    for row in found.table.itertuples(index=False):
        alone = tl.backtest(bars, "sma_cross", fast=row.fast, slow=row.slow, fees=0.001).summary
        figures = alone.to_dict()
        assert figures.keys() - row._asdict().keys() == {"value_at_risk", "cvar"}  # quantiles of all returns
        for figure, value in [(f, v) for f, v in figures.items() if f in row._asdict()]:
            assert getattr(row, figure) == pytest.approx(value, nan_ok=True) if isinstance(value, float) else True


def test_best_is_the_row_with_the_highest_figure_or_the_lowest_where_less_is_better(found):
    table = found.table
    assert found.best("sharpe").summary.sharpe == pytest.approx(table["sharpe"].max())
    assert found.best("volatility").summary.volatility == pytest.approx(table["volatility"].min())


def test_an_undefined_figure_never_wins(bars):
    found = tl.sweep(bars, "rsi_reversion", low=[0.1, 30.0], direction="long", progress=False)
    assert found.table["sharpe"].isna().tolist() == [True, False]  # an RSI is never below 0.1 here: no trade
    assert found.best("sharpe").parameters["low"] == 30.0
    with pytest.raises(ConfigError, match="at least 1000 closed trades"):
        found.best("sharpe", min_trades=1000)


def test_terms_of_the_backtest_can_be_swept_too(bars):
    found = tl.sweep(bars, "sma_cross", sl_stop=[0.02, 0.05], progress=False)
    assert found.axes == ("sl_stop",)
    expected = tl.backtest(bars, "sma_cross", sl_stop=0.05).summary.total_return
    assert found.table["total_return"].iloc[1] == pytest.approx(expected)


def test_a_stop_given_bar_by_bar_may_be_swept_as_fixed_and_as_trailing(bars):
    stop = pd.Series(0.03, bars.index)
    found = tl.sweep(bars, "sma_cross", sl_stop=stop, sl_trail=[None, True], progress=False)
    alone = [tl.backtest(bars, "sma_cross", sl_stop=stop, sl_trail=t).summary.total_return for t in (None, True)]
    assert alone[0] != pytest.approx(alone[1])
    assert found.table["total_return"].tolist() == pytest.approx(alone)


def test_an_interrupt_of_a_whole_batch_keeps_those_before_it(bars, monkeypatch):
    real, batches = runner.run_events, []

    def interrupted(*args):
        batches.append(1)
        if len(batches) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(runner, "run_events", interrupted)
    found = tl.sweep(bars, "sma_cross", fast=range(2, 9), slow=range(20, 30), threads=1, progress=False)
    assert (found.complete, found.total) == (False, 70)
    assert 0 < len(found) < 70


def test_an_interrupt_keeps_what_is_done(bars, walked, monkeypatch):
    real, done = runner.backtest_tape, []

    def interrupted(*args):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        return real(*args)

    monkeypatch.setattr(runner, "backtest_tape", interrupted)
    found = tl.sweep(bars, "sma_cross", fast=range(2, 9), threads=1, progress=False)
    assert (len(found), found.complete, found.total) == (3, False, 7)
    assert "interrupted after 3" in str(found)


def test_an_unknown_figure_row_or_axis_is_refused_by_name(found):
    with pytest.raises(UnknownNameError, match="did you mean 'sharpe'"):
        found.best("sharp")
    with pytest.raises(ParameterError, match="row 99"):
        found.result(99)
    with pytest.raises(ParameterError, match="swept parameters"):
        found.heatmap("sharpe", x="fees")


def test_many_instruments_can_be_swept(bars):
    both = {"A": bars, "B": bars}
    found = tl.sweep(both, "sma_cross", fast=[5, 8], size=0.5, size_type="percent", progress=False)
    assert len(found) == 2


def test_a_swept_term_named_like_a_figure_keeps_both(bars):
    found = tl.sweep(bars, "sma_cross", fees=[0.0, 0.01], init_cash=[1000, 5000], progress=False)
    assert found.axes == ("fees_set", "init_cash_set")
    assert found.table["fees_set"].tolist() == [0.0, 0.0, 0.01, 0.01]
    assert found.table["fees"].iloc[0] == 0.0 < found.table["fees"].iloc[3]
    assert found.result(3).settings["fees"] == 0.01
    assert found.result(3).summary.fees == pytest.approx(found.table["fees"].iloc[3])
    found.heatmap(x="fees_set")


def test_a_row_runs_again_with_the_very_values_that_were_given(bars):
    stops = tl.sweep(bars, "sma_cross", sl_stop=[None, 0.02], progress=False)  # a column of numbers shows None as NaN
    assert [stops.result(row).settings["sl_stop"] for row in (0, 1)] == [None, 0.02]
    assert "none" in stops.plot().data[0].x
    trails = tl.sweep(bars, "sma_cross", sl_stop=0.02, sl_trail=[True, False], progress=False)
    assert [trails.result(row).settings["sl_trail"] for row in (0, 1)] == [True, False]


def test_a_fill_policy_is_one_value_and_a_list_of_them_is_swept(bars):
    late = tl.FillPolicy(exits_on_entry_bar=False)
    fixed = tl.sweep(bars, "sma_cross", fast=[5, 10], fill=late, progress=False)
    assert fixed.result(0).settings["fill"]["exits_on_entry_bar"] is False
    swept = tl.sweep(bars, "sma_cross", fill=[late, "close"], progress=False)
    assert swept.result(0).settings["fill"]["exits_on_entry_bar"] is False
    assert swept.result(1).settings["fill"] == "close"


def test_values_of_a_set_run_in_ascending_order(bars):
    assert tl.sweep(bars, "sma_cross", fast={20, 5, 10}, progress=False).table["fast"].tolist() == [5, 10, 20]


def test_a_window_longer_than_the_bars_is_refused_before_the_first_run(bars, walked, monkeypatch):
    monkeypatch.setattr(runner, "backtest_tape", lambda *_: pytest.fail("a backtest ran"))
    with pytest.raises(TooFewBarsError, match="needs 801"):
        tl.sweep(bars, "sma_cross", slow=[20, 800], progress=False)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"fast": ["five", 10]}, "fast='five' is str, not int"),
        ({"fast": [None, 10]}, "fast=None is NoneType, not int"),
        ({"sl_stop": [np.full(600, 0.1), np.full(600, 0.2)]}, "cannot be swept over ndarray"),
        ({"fast": np.array(5), "slow": [20, 30]}, "fast=array.5. is ndarray"),
    ],
)
def test_a_value_that_cannot_be_swept_is_named(bars, wrong, words):
    with pytest.raises(ParameterError, match=words):
        tl.sweep(bars, "sma_cross", progress=False, **wrong)


def test_an_error_in_the_middle_says_at_which_combination(bars, walked, monkeypatch):
    def fails(tape, strategy, parameters):
        raise ZeroDivisionError

    monkeypatch.setattr(runner, "backtest_tape", fails)
    with pytest.raises(ZeroDivisionError) as caught:
        tl.sweep(bars, "sma_cross", fast=[5, 10], progress=False)
    assert caught.value.__notes__ == ["in the sweep of sma_cross at fast=5"]


def test_a_sweep_stopped_in_its_first_run_can_still_be_looked_at(bars, walked, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "backtest_tape", interrupted)
    found = tl.sweep(bars, "sma_cross", fast=[5, 10], fees=[0.0, 0.01], progress=False)
    assert (len(found), found.complete) == (0, False)
    assert "interrupted after 0" in found._repr_html_()
    found.plot()
    with pytest.raises(ConfigError):
        found.best()
