"""An adaptive search learns, repeats itself from its seed, and finds its way again after a stop."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ParameterError
from tradelab.research import executors, runner
from tradelab.research.figures import empty_rows
from tradelab.research.search import Adaptive
from tradelab.research.sweep import load_sweep

optuna = pytest.importorskip("optuna", reason="optuna is not installed (the search extra)")
CALL = {"fast": tl.Range(2, 60), "slow": tl.Range(40, 200), "search": "optuna", "samples": 40, "progress": False}


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:600]


def hill(job, rows):
    """A runner whose Sharpe ratio and volatility are a hill and a valley at fast=37, sl_stop=0.03."""
    figures = np.zeros(len(rows), job.dtype)
    for at, row in enumerate(rows.tolist()):
        point = job.point(row)
        away = ((point["fast"] - 37) / 300) ** 2 + np.log10(point["sl_stop"] / 0.03) ** 2
        figures["sharpe"][at], figures["volatility"][at] = -away, away
    return figures


@pytest.mark.parametrize("by", ["sharpe", "volatility"])
def test_it_closes_in_on_what_is_good(bars, monkeypatch, by):
    monkeypatch.setattr(executors, "run_batch", hill)
    call = {"fast": tl.Range(2, 300), "slow": 400, "sl_stop": tl.Range(0.001, 0.5, log=True), "progress": False}
    found = tl.sweep(bars, "sma_cross", search="optuna", samples=160, by=by, **call)
    away = ((found.table["fast"] - 37) / 300) ** 2 + np.log10(found.table["sl_stop"] / 0.03) ** 2
    assert away.iloc[-48:].median() < 0.2 * away.iloc[:16].median()
    assert away.nsmallest(10).mean() < 0.02


def test_a_seed_asks_for_the_same_whatever_the_threads(bars):
    one = tl.sweep(bars, "sma_cross", threads=1, seed=4, **CALL)
    two = tl.sweep(bars, "sma_cross", threads=2, seed=4, **CALL)
    pd.testing.assert_frame_equal(one.table, two.table)
    assert not one.table.equals(tl.sweep(bars, "sma_cross", seed=5, **CALL).table)
    assert len(one) == len(one.table.drop_duplicates(["fast", "slow"])) == 40
    assert (one.table["fast"] < one.table["slow"]).all()
    assert one.total == 40 + one.left_out
    assert one.complete


@pytest.mark.parametrize(
    "search",
    [
        lambda: optuna.samplers.RandomSampler(seed=1),
        lambda: optuna.samplers.QMCSampler(seed=1, warn_independent_sampling=False),
        lambda: Adaptive(optuna.samplers.TPESampler(seed=1, n_startup_trials=4), per_round=5),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_any_sampler_may_be_given(bars, search):
    found = tl.sweep(bars, "sma_cross", **{**CALL, "search": search(), "samples": 12})
    assert len(found) == 12
    row = found.table.iloc[7]
    alone = tl.backtest(bars, "sma_cross", fast=int(row["fast"]), slow=int(row["slow"])).summary
    assert row["sharpe"] == pytest.approx(alone.sharpe)


def test_a_stopped_search_goes_on_as_if_it_had_not_been_stopped(bars, walked, monkeypatch, tmp_path):
    whole = tl.sweep(bars, "sma_cross", **CALL)
    real, seen = runner.backtest_tape, []

    def counting(*args):
        if len(seen) == 23:  # in the middle of the second round
            raise KeyboardInterrupt
        seen.append(args)
        return real(*args)

    monkeypatch.setattr(runner, "backtest_tape", counting)
    part = tl.sweep(bars, "sma_cross", path=tmp_path, threads=1, **CALL)
    assert (len(part), part.complete) == (23, False)
    pd.testing.assert_frame_equal(part.table, whole.table.iloc[:23])
    assert len(load_sweep(tmp_path)) == 23
    seen.append(None)
    again = tl.sweep(bars, "sma_cross", path=tmp_path, threads=1, **CALL)
    assert len(seen) == 41  # 23, the mark, and the 17 that were missing
    pd.testing.assert_frame_equal(again.table, whole.table)
    opened = load_sweep(tmp_path)
    pd.testing.assert_frame_equal(opened.table, whole.table)
    assert str(opened) == str(whole)


def test_a_sampler_that_does_not_repeat_itself_is_found_out(bars, tmp_path):
    call = {**CALL, "search": optuna.samplers.RandomSampler(seed=1), "path": tmp_path, "samples": 8}
    tl.sweep(bars, "sma_cross", **call)
    with pytest.raises(ParameterError, match=r"asked for .* where it asked for .* before.*fresh sampler with a seed"):
        tl.sweep(bars, "sma_cross", **call)  # the sampler remembers the first time


def test_a_space_smaller_than_the_samples_ends_when_all_is_tried(bars):
    found = tl.sweep(bars, "sma_cross", fast=[5, 10, 15], slow=[20, 30], search="optuna", samples=50, progress=False)
    assert len(found) == 6
    assert found.complete


def test_an_undefined_figure_does_not_stop_it_and_words_are_choices(bars, monkeypatch):
    monkeypatch.setattr(executors, "run_batch", lambda job, rows: empty_rows(len(rows), job.dtype))
    call = {"fast": tl.Range(2, 20), "direction": ["long", "short"], "sl_stop": [None, 0.1]}
    found = tl.sweep(bars, "sma_cross", search="optuna", samples=20, progress=False, **call)
    assert len(found) == 20
    assert set(found.table["direction"]) == {"long", "short"}


def test_optuna_is_asked_quietly_and_its_voice_given_back(bars, capfd):
    before = optuna.logging.get_verbosity()
    tl.sweep(bars, "sma_cross", **{**CALL, "samples": 5})
    assert optuna.logging.get_verbosity() == before == logging.INFO
    assert "rial" not in capfd.readouterr().err


def test_rounds_of_no_size_are_refused():
    with pytest.raises(ParameterError, match="per_round=0"):
        Adaptive(per_round=0)
