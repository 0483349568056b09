"""Other processes and a Dask cluster give the rows that threads give, whoever dies on the way."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, ConnectivityError, CorruptFileError
from tradelab.research.executors import Cluster, crew_of
from tradelab.research.job import BarsFile, Source
from tradelab.strategy import define

NO_DASK = importlib.util.find_spec("distributed") is None
cluster_only = pytest.mark.skipif(NO_DASK, reason="dask.distributed is not installed (the cluster extra)")
dask_warns = pytest.mark.filterwarnings("ignore")  # of the event loop and open sockets of killed workers, not ours
WINDOWS = range(2, 202)


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:400]


@pytest.fixture(scope="module")
def slow_one():
    """A strategy that no other process knows, and that takes its time."""
    kept = dict(define.SHELF)

    @tl.strategy(warmup=lambda window: window, requires="window != 77")
    def slow_one(bars, window: int = 20):
        time.sleep(0.01)
        if window == 66 and bars.close.iloc[0] < 0:
            raise ZeroDivisionError
        mean = tl.indicators.sma(bars.close, window)
        return tl.Signals(long_entry=bars.close > mean, long_exit=bars.close < mean)

    yield slow_one
    define.SHELF.clear()
    define.SHELF.update(kept)


@pytest.fixture(scope="module")
def expected(bars, slow_one) -> pd.DataFrame:
    return tl.sweep({"A": bars, "B": bars.iloc[9:]}, slow_one, each=True, window=WINDOWS, progress=False).table


@pytest.fixture(scope="module")
def client():
    if NO_DASK:
        pytest.skip("dask.distributed is not installed (the cluster extra)")
    import dask
    from distributed import Client, LocalCluster

    with (
        # a LocalCluster asks 15 s after a death whether the worker is back, and closes it for good when it has just
        # died a second time
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_processes_give_the_rows_that_threads_give(bars, slow_one, expected):
    pytest.importorskip("cloudpickle")
    both = {"A": bars, "B": bars.iloc[9:]}
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = tl.sweep(both, slow_one, each=True, window=WINDOWS, executor=pool, progress=False)
    pd.testing.assert_frame_equal(found.table, expected)


@cluster_only
@dask_warns
def test_a_cluster_gives_the_rows_that_threads_give(client, bars, slow_one, expected, tmp_path):
    both = {"A": bars, "B": bars.iloc[9:]}
    call = {"each": True, "window": WINDOWS, "executor": client, "progress": False}
    pd.testing.assert_frame_equal(tl.sweep(both, slow_one, **call).table, expected)
    pd.testing.assert_frame_equal(tl.sweep(both, slow_one, path=tmp_path, **call).table, expected)
    pd.testing.assert_frame_equal(tl.sweep(both, slow_one, path=tmp_path, **call).table, expected)


@cluster_only
@dask_warns
@pytest.mark.parametrize("readable", [True, False], ids=["by path", "by value"])
def test_workers_killed_half_way_lose_and_double_no_row(client, bars, slow_one, expected, monkeypatch, readable):
    if not readable:
        monkeypatch.setattr(Cluster, "_is_readable", lambda self, source: False)
    killed = []

    def kill():
        while len(killed) < 3:
            time.sleep(0.5)
            pids = list(client.run(os.getpid, on_error="ignore").values())
            if pids:
                os.kill(pids[0], signal.SIGKILL)
                killed.append(pids[0])

    murderer = threading.Thread(target=kill)
    murderer.start()
    both = {"A": bars, "B": bars.iloc[9:]}
    found = tl.sweep(both, slow_one, each=True, window=WINDOWS, executor=client, progress=False)
    under_way = len(killed)
    murderer.join()
    assert under_way > 0
    assert found.rows.tolist() == list(range(398))
    pd.testing.assert_frame_equal(found.table, expected)


@cluster_only
@dask_warns
def test_an_error_on_a_worker_comes_back_with_its_traceback_and_what_was_done(client, bars):
    kept = dict(define.SHELF)

    @tl.strategy(warmup=1)
    def broken(bars, window: int = 20):
        if window == 20:
            return bars["no such column"]
        return tl.Signals(long_entry=bars.close > bars.close.shift(window))

    try:
        with pytest.raises(KeyError) as caught:
            tl.sweep(bars, broken, window=range(1, 40), executor=client, progress=False)
        assert any("no such column" in note and "broken" in note for note in caught.value.__notes__)
        assert caught.value.__notes__[-1] == "in the sweep of broken at window=20"
        assert 20 not in set(caught.value.sweep.table["window"])
        found = tl.sweep(bars, broken, window=range(1, 40), executor=client, on_error="skip", progress=False)
        assert found.table["error"].notna().tolist() == [window == 20 for window in range(1, 40)]
    finally:
        define.SHELF.clear()
        define.SHELF.update(kept)


@cluster_only
@dask_warns
def test_an_adaptive_search_asks_for_the_same_on_a_cluster(client, bars):
    pytest.importorskip("optuna")
    call = {"fast": tl.Range(2, 40), "slow": tl.Range(41, 120), "search": "optuna", "samples": 40, "progress": False}
    here, there = tl.sweep(bars, "sma_cross", **call), tl.sweep(bars, "sma_cross", executor=client, **call)
    pd.testing.assert_frame_equal(here.table, there.table)


@cluster_only
@dask_warns
def test_a_cluster_without_a_worker_is_said_to_have_none(client, bars, monkeypatch):
    from distributed import Client, LocalCluster

    monkeypatch.setattr("tradelab.research.executors._PATIENCE_S", 0.2)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        Client(empty) as nobody,
        pytest.raises(ConnectivityError, match="no worker for 0 s") as caught,
    ):
        tl.sweep(bars, "sma_cross", fast=[5, 6], executor=nobody, progress=False)
    assert len(caught.value.sweep) == 0


def test_an_executor_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"Say threads=… instead"), ThreadPoolExecutor(1) as pool:
        crew_of(pool, None)
    with pytest.raises(ConfigError, match="both threads and an executor"), ProcessPoolExecutor(1) as pool:
        crew_of(pool, 2)


def test_bars_that_are_not_what_was_written_are_refused(bars, tmp_path):
    path = tmp_path / "bars.parquet"
    bars.to_parquet(path)
    with pytest.raises(CorruptFileError, match="not those that were written"):
        Source("", "", None, (BarsFile("A", str(path), "0" * 64),)).open()
    with pytest.raises(CorruptFileError, match="every worker can read"):
        Source("", "", None, (BarsFile("A", str(tmp_path / "gone"), "0" * 64),)).open()


def test_rows_of_the_runner_survive_the_way_to_another_process(bars):
    import pickle

    from tradelab.research.job import Job, sources_of
    from tradelab.research.runner import run_batch
    from tradelab.research.search import Rules, grid
    from tradelab.research.space import domains_of
    from tradelab.strategy.registry import find

    strategy = find("sma_cross")
    space = grid(domains_of(strategy, {"fast": range(2, 30), "slow": [30, 40]}), Rules(strategy, {}))
    job = Job(sources_of(bars, each=False, timeframes=None), strategy, {"fees": 0.001}, space, 2, len(space))
    rows = np.array([50, 3, 17])
    part = pickle.loads(pickle.dumps(job.only(rows)))
    np.testing.assert_array_equal(run_batch(part, np.arange(3)), run_batch(job, rows))
    assert len(pickle.dumps(job.only(rows))) < len(pickle.dumps(job)) + 200
    assert len(pickle.dumps(job.space.take(rows))) < 2_000
