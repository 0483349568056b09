"""One sweep over several symbols and timeframes: a row each, and no bar knows more than it could."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.catalog.resample import resample
from tradelab.model.errors import ConfigError, ParameterError, TooFewBarsError

GRID = {"fast": [5, 10], "slow": [20, 30]}


@pytest.fixture(scope="module")
def hours() -> pd.DataFrame:
    return tl.samples.load("EURUSD-1h").iloc[:3000]


def test_a_mapping_shares_one_account_unless_each_has_its_own(hours):
    both = {"A": hours, "B": hours.iloc[100:]}
    shared = tl.sweep(both, "sma_cross", progress=False, size=0.5, size_type="percent", **GRID)
    assert len(shared) == 4
    assert "symbol" not in shared.table.columns
    own = tl.sweep(both, "sma_cross", each=True, progress=False, **GRID)
    assert own.table["symbol"].tolist() == ["A"] * 4 + ["B"] * 4
    for row in own.table.itertuples():
        alone = tl.backtest(both[row.symbol], "sma_cross", fast=row.fast, slow=row.slow).summary
        assert (row.sharpe, row.trades, row.start_ns) == (pytest.approx(alone.sharpe), alone.trades, alone.start_ns)


def test_each_timeframe_is_the_backtest_of_bars_resampled_beforehand(hours):
    found = tl.sweep({"A": hours, "B": hours}, "sma_cross", each=True, timeframes=["1h", "4h"], progress=False, **GRID)
    assert found.table[["symbol", "timeframe"]].drop_duplicates().values.tolist() == [
        ["A", "1h"], ["A", "4h"], ["B", "1h"], ["B", "4h"],
    ]  # fmt: skip
    assert len(found) == 16
    for row in found.table[found.table["timeframe"] == "4h"].itertuples():
        alone = tl.backtest(resample(hours, "4h"), "sma_cross", fast=row.fast, slow=row.slow).summary
        assert (row.sharpe, row.bars) == (pytest.approx(alone.sharpe), alone.bars)
    best = found.result(int(found.top(1).index[0]))
    assert best.summary.sharpe == pytest.approx(found.table["sharpe"].max())
    assert found.tape_of(4).index[1] - found.tape_of(4).index[0] == pd.Timedelta(hours=4)
    with pytest.raises(ConfigError, match="4 accounts"):
        _ = found.tape


def test_bars_still_to_come_change_no_longer_bar_that_is_known(hours):
    now = 1001  # in the middle of a day and of four hours
    known = tl.sweep(hours.iloc[:now], "sma_cross", timeframes=["4h"], progress=False, **GRID).tape
    later = hours.copy()
    later.iloc[now:] *= np.random.default_rng(0).uniform(2, 3, (len(hours) - now, 1))
    told = tl.sweep(later, "sma_cross", timeframes=["4h"], progress=False, **GRID).tape
    n = len(known.index)
    np.testing.assert_array_equal(known.market.close, told.market.close[:n])
    assert known.index[-1] + pd.Timedelta(hours=4) <= hours.index[now - 1] + pd.Timedelta(hours=1)


def test_a_timeframe_alone_is_a_column_and_a_shorter_one_is_refused(hours):
    one = tl.sweep(hours, "sma_cross", timeframes="1d", progress=False, **GRID)
    assert one.table["timeframe"].tolist() == ["1d"] * 4
    with pytest.raises(ParameterError, match="1h bars cannot make 30m bars"):
        tl.sweep(hours, "sma_cross", timeframes=["30m"], progress=False, **GRID)
    with pytest.raises(TooFewBarsError, match="needs 31"):
        tl.sweep(hours.iloc[:600], "sma_cross", timeframes=["1h", "1d"], progress=False, **GRID)


def test_an_adaptive_search_climbs_the_mean_of_all_accounts(hours):
    pytest.importorskip("optuna")
    both = {"A": hours.iloc[:1500], "B": hours.iloc[1500:]}
    found = tl.sweep(
        both, "sma_cross", each=True, fast=tl.Range(2, 30), slow=tl.Range(31, 90), search="optuna", samples=20,
        progress=False,
    )  # fmt: skip
    assert len(found) == 40
    assert found.table.groupby(["fast", "slow"])["symbol"].agg(list).map(sorted).tolist() == [["A", "B"]] * 20


def test_the_account_of_a_failed_combination_is_named(hours, walked, monkeypatch):
    from tradelab.research import runner

    monkeypatch.setattr(runner, "backtest_tape", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError) as caught:
        tl.sweep({"A": hours, "B": hours}, "sma_cross", each=True, timeframes=["4h"], progress=False, **GRID)
    assert caught.value.__notes__ == ["in the sweep of sma_cross at symbol='A', timeframe='4h', fast=5, slow=20"]


def test_symbol_and_timeframe_can_be_drawn(hours):
    found = tl.sweep({"A": hours, "B": hours}, "sma_cross", each=True, timeframes=["1h", "4h"], progress=False, **GRID)
    found.heatmap("sharpe", x="symbol", y="timeframe")
    found.plot()
    assert "symbol" in found._repr_html_()
