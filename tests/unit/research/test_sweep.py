"""A sweep's row is the single backtest's summary, and an interrupted one keeps what it has."""

from __future__ import annotations

import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, ParameterError, UnknownNameError
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
        for figure, value in alone.to_dict().items():
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


def test_an_interrupt_keeps_what_is_done(bars, monkeypatch):
    real, done = module.backtest_tape, []

    def interrupted(*args):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        return real(*args)

    monkeypatch.setattr(module, "backtest_tape", interrupted)
    found = tl.sweep(bars, "sma_cross", fast=range(2, 9), progress=False)
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
