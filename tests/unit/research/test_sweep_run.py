"""Whoever computes, in whatever batches and order, the rows are the same; and what is done is never lost."""

from __future__ import annotations

import _thread
import itertools
import threading
import time

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, ParameterError
from tradelab.research import executors, runner, sweep_run
from tradelab.research.executors import Batch, Here, Threads
from tradelab.research.figures import row_dtype
from tradelab.research.job import Job, sources_of
from tradelab.research.search import Rules, grid
from tradelab.research.space import domains_of
from tradelab.research.sweep_run import Course, Ledger, Pace
from tradelab.strategy.registry import find

GRID = {"fast": range(2, 20), "slow": [20, 30, 40]}


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:400]


@pytest.fixture(scope="module")
def job(bars) -> Job:
    strategy = find("sma_cross")
    space = grid(domains_of(strategy, GRID), Rules(strategy, {}))
    sources = sources_of({"A": bars, "B": bars.iloc[::-1].sort_index().iloc[50:]}, each=True, timeframes=None)
    return Job(sources, strategy, {"fees": 0.001}, space, 4, len(space))


@pytest.fixture(scope="module")
def expected(job) -> np.ndarray:
    rows = np.arange(2 * job.size)
    return np.concatenate([runner.run_batch(job, rows[: job.size]), runner.run_batch(job, rows[job.size :])])


def figures_of(job: Job, crew, rows: np.ndarray) -> Ledger:
    ledger = Ledger.of(2 * job.size, job.dtype)
    Course(crew, ledger, Pace(crew.slots), False, lambda _: None, lambda: None).run(job, rows)
    return ledger


@pytest.mark.parametrize(("threads", "batch_s"), [(1, 1e-9), (1, 10.0), (2, 0.01), (3, 1e-9), (4, 10.0)])
def test_threads_batches_and_order_change_nothing(job, expected, monkeypatch, threads, batch_s):
    monkeypatch.setattr(sweep_run, "_BATCH_S", batch_s)
    crew = Here() if threads == 1 else Threads(threads)
    shuffled = np.random.default_rng(threads).permutation(2 * job.size)
    for rows in (np.arange(2 * job.size), shuffled):
        ledger = figures_of(job, crew, rows)
        assert ledger.done.all()
        assert ledger.figures.tobytes() == expected.tobytes()
    crew.close()


def test_a_row_of_the_runner_is_the_single_backtest(bars, job, expected):
    alone = tl.backtest(bars, "sma_cross", **job.point(5), fees=0.001).summary
    assert expected["sharpe"][5] == pytest.approx(alone.sharpe)
    assert expected["trades"].sum() > 0


def test_batches_aim_at_half_a_second_and_share_out_what_is_left():
    pace = Pace(hands=2)
    assert pace.size(10_000, bars=100) == 32  # nothing is known yet
    assert pace.size(10_000, bars=2_000_000) == 10  # a tenth of a second by a guess
    assert pace.size(10_000, bars=100_000_000) == 1
    pace.measured(1, bars=100, seconds=0.002)
    assert pace.size(10_000, bars=100) == 32  # grows by so much at most
    pace.measured(16, bars=100, seconds=0.016)
    assert pace.size(10_000, bars=100) in range(200, 513)
    pace.measured(250, bars=100, seconds=0.25)
    assert pace.size(10_000, bars=100) == pytest.approx(500, abs=150)
    assert pace.size(10_000, bars=1000) == pytest.approx(50, abs=15)  # ten times the bars, a tenth of the rows
    assert pace.size(600, bars=100) == 200  # a third each hand and turn
    assert pace.size(3, bars=100) == 3


def test_a_batch_never_spans_two_accounts(job, monkeypatch):
    seen = []
    monkeypatch.setattr(executors, "run_batch", lambda job, rows: seen.append(rows) or np.zeros(len(rows), job.dtype))
    figures_of(job, Here(), np.arange(2 * job.size))
    assert sum(map(len, seen)) == 2 * job.size
    assert all(len(np.unique(rows // job.size)) == 1 for rows in seen)


def failing(at: set[tuple[int, int]]):
    real = runner.backtest_tape

    def backtest_tape(tape, strategy, parameters):
        if (parameters["fast"], parameters["slow"]) in at:
            raise ZeroDivisionError("by design")
        return real(tape, strategy, parameters)

    return backtest_tape


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_leaves_what_was_done_in_its_attribute_and_names_the_combination(bars, walked, monkeypatch, threads):
    monkeypatch.setattr(runner, "backtest_tape", failing({(10, 30)}))
    with pytest.raises(ZeroDivisionError, match="by design") as caught:
        tl.sweep(bars, "sma_cross", threads=threads, progress=False, **GRID)
    assert caught.value.__notes__ == ["in the sweep of sma_cross at fast=10, slow=30"]
    found = caught.value.sweep
    assert not found.complete
    assert 25 <= len(found) < 54  # row 25 is the one that fails
    row = found.table.iloc[3]
    alone = tl.backtest(bars, "sma_cross", fast=int(row["fast"]), slow=int(row["slow"])).summary
    assert row["sharpe"] == alone.sharpe


@pytest.mark.parametrize("threads", [1, 2])
def test_skipped_errors_stand_in_their_column_and_every_other_row_is_there(bars, walked, monkeypatch, threads):
    broken = {(2, 20), (10, 30), (11, 30), (19, 40)}  # the first, two neighbours, the last
    whole = tl.sweep(bars, "sma_cross", progress=False, **GRID)
    monkeypatch.setattr(runner, "backtest_tape", failing(broken))
    found = tl.sweep(bars, "sma_cross", on_error="skip", threads=threads, progress=False, **GRID)
    assert found.complete
    failed = found.table["error"].notna()
    assert set(zip(found.table["fast"][failed], found.table["slow"][failed], strict=True)) == broken
    assert set(found.table["error"][failed]) == {"ZeroDivisionError: by design"}
    assert found.table["sharpe"][failed].isna().all()
    pd.testing.assert_frame_equal(found.table[~failed].drop(columns="error"), whole.table[~failed])
    assert not set(found.top(100).index) & set(np.flatnonzero(failed))
    assert "4 failed" in str(found)
    assert "error" not in whole.table


def test_ctrl_c_keeps_the_batches_that_threads_had_in_their_hands(bars, walked, monkeypatch):
    real, begun = runner.backtest_tape, threading.Event()

    def slow(*args):
        begun.set()
        time.sleep(0.05)
        return real(*args)

    def press():
        begun.wait()
        time.sleep(0.2)
        _thread.interrupt_main()

    tl.backtest(bars, "sma_cross", fast=2, slow=250)  # kernels are compiled before, not under the finger
    monkeypatch.setattr(runner, "backtest_tape", slow)
    finger = threading.Thread(target=press)
    finger.start()
    found = tl.sweep(bars, "sma_cross", fast=range(2, 200), slow=[250], threads=2, progress=False)
    finger.join()
    assert not found.complete
    assert 0 < len(found) < 198
    whole = tl.sweep(bars, "sma_cross", fast=found.table["fast"].tolist(), slow=[250], progress=False)
    pd.testing.assert_frame_equal(found.table, whole.table)


class Sleepy(Here):
    """Takes batches, and gives none back for a while."""

    def __init__(self):
        self.kept: list[Batch] = []
        self.turns = itertools.count()

    def submit(self, job, rows):
        return super().submit(job, rows)

    def finished(self, tickets, timeout):
        return [] if next(self.turns) % 3 else super().finished(tickets, timeout)


def test_time_that_passes_without_a_batch_is_shown(job):
    ticks = []
    ledger = Ledger.of(2 * job.size, job.dtype)
    Course(Sleepy(), ledger, Pace(1), False, lambda _: None, lambda: ticks.append(1)).run(job, np.arange(job.size))
    assert ledger.done[: job.size].all()
    assert ticks


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"threads": 0}, "threads=0"),
        ({"threads": 2.0}, "threads=2.0"),
        ({"on_error": "ignore"}, "on_error='ignore' is not known"),
        ({"blocks": -1}, "blocks=-1"),
        ({"executor": "dask"}, "executor is str"),
        ({"timeframes": ["9h"]}, "timeframe '9h' is not known"),
        ({"memory_limit": "much"}, "memory_limit='much'"),
    ],
)
def test_a_wrong_option_is_named(bars, wrong, words):
    with pytest.raises(ParameterError, match=words):
        tl.sweep(bars, "sma_cross", fast=[5, 6], progress=False, **wrong)


def test_blocks_of_a_row_are_sums_of_its_returns(bars):
    found = tl.sweep(bars, "sma_cross", fast=[5], slow=[20], blocks=3, progress=False)
    returns = found.result(0).returns.to_numpy()
    parts = [returns[:133], returns[133:266], returns[266:]]  # 400 bars: 0, 133, 266, 400
    blocks = found.blocks[0]
    assert blocks["n"].tolist() == [133, 133, 134]
    np.testing.assert_allclose(blocks["sum"], [part.sum() for part in parts], rtol=1e-12)
    np.testing.assert_allclose(blocks["sum_sq"], [(part**2).sum() for part in parts], rtol=1e-12)
    for part, depth in zip(parts, blocks["drawdown"], strict=True):
        wealth = [1.0, *np.cumprod(1 + part)]
        worst = min(w / max(wealth[: k + 1]) - 1 for k, w in enumerate(wealth))
        assert depth == pytest.approx(worst, abs=1e-12)
    assert row_dtype(0).itemsize < 250
    with pytest.raises(ConfigError, match="kept no block sums"):
        _ = tl.sweep(bars, "sma_cross", fast=[5], blocks=0, progress=False).blocks
