"""A sweep in a folder goes on after any death, computes no row twice, and is never mistaken for another."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError, CorruptFileError, StorageError
from tradelab.research import runner, sweep_store
from tradelab.research.figures import row_dtype
from tradelab.research.sweep import load_sweep
from tradelab.research.sweep_store import read_done, read_manifest
from tradelab.strategy import define
from tradelab.strategy.registry import find

GRID = {"fast": range(2, 20), "slow": [20, 30, 40]}


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return tl.samples.load("GOOG-1d").iloc[:400]


@pytest.fixture
def keep_registry():
    """Let a test register what it likes."""
    kept = dict(define.SHELF)
    yield
    define.SHELF.clear()
    define.SHELF.update(kept)


@pytest.fixture
def computed(walked, monkeypatch) -> list[dict]:
    """Every combination that is computed from now on."""
    real, seen = runner.backtest_tape, []

    def backtest_tape(tape, strategy, parameters):
        seen.append(dict(parameters))
        return real(tape, strategy, parameters)

    monkeypatch.setattr(runner, "backtest_tape", backtest_tape)
    return seen


def numbers_of(path: Path) -> np.ndarray:
    return read_done(path, read_manifest(path), row_dtype(16)).rows


def test_a_finished_sweep_is_read_and_not_computed_again(bars, computed, tmp_path):
    first = tl.sweep(bars, "sma_cross", path=tmp_path / "s", progress=False, **GRID)
    assert len(computed) == 54
    again = tl.sweep(bars, "sma_cross", path=tmp_path / "s", progress=False, **GRID)
    assert len(computed) == 54
    pd.testing.assert_frame_equal(first.table, again.table)
    assert first.figures.tobytes() == again.figures.tobytes()


def test_ctrl_c_in_a_folder_goes_on_where_it_stopped(bars, computed, walked, monkeypatch, tmp_path):
    counting = runner.backtest_tape

    def stopped(*args):
        if len(computed) == 20:
            raise KeyboardInterrupt
        return counting(*args)

    monkeypatch.setattr(runner, "backtest_tape", stopped)
    part = tl.sweep(bars, "sma_cross", path=tmp_path, threads=1, progress=False, **GRID)
    assert (len(part), part.complete) == (20, False)
    assert len(load_sweep(tmp_path)) == 20
    monkeypatch.setattr(runner, "backtest_tape", counting)
    whole = tl.sweep(bars, "sma_cross", path=tmp_path, progress=False, **GRID)
    assert len(computed) == 54
    pd.testing.assert_frame_equal(whole.table, tl.sweep(bars, "sma_cross", progress=False, **GRID).table)


def test_an_error_keeps_what_was_done_in_the_folder(bars, computed, walked, monkeypatch, tmp_path):
    counting = runner.backtest_tape
    monkeypatch.setattr(runner, "backtest_tape", lambda *a: counting(*a) if a[2]["fast"] != 10 else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tl.sweep(bars, "sma_cross", path=tmp_path, threads=1, progress=False, **GRID)
    done = len(computed)
    assert done == 24  # eight values of fast before 10, three of slow
    monkeypatch.setattr(runner, "backtest_tape", counting)
    tl.sweep(bars, "sma_cross", path=tmp_path, progress=False, **GRID)
    assert len(computed) == 54


def test_skipped_errors_are_kept_as_such(bars, walked, monkeypatch, tmp_path):
    real = runner.backtest_tape
    monkeypatch.setattr(runner, "backtest_tape", lambda *a: real(*a) if a[2]["fast"] != 10 else 1 / 0)
    found = tl.sweep(bars, "sma_cross", path=tmp_path, on_error="skip", progress=False, **GRID)
    opened = load_sweep(tmp_path)
    assert found.table["error"].notna().sum() == 3
    pd.testing.assert_frame_equal(opened.table, found.table)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fees": 0.002}, "fixed fees was 0.001, is 0.002"),
        ({"direction": "long"}, "fixed direction was absent, is 'long'"),
        ({"slow": [20, 30, 41]}, "swept slow was 20, 30, 40, is 20, 30, 41"),
        ({"search": "random", "samples": 54}, "search how was grid, is random"),
        ({"blocks": 8}, "blocks was 16, is 8"),
        ({"strategy": "rsi_reversion", "low": [20.0, 30.0]}, "strategy name was sma_cross, is rsi_reversion"),
        ({"cut": -1}, "the bars of this sweep are other ones"),
    ],
)
def test_another_sweep_is_refused_with_the_reason(bars, tmp_path, change, words):
    call = {"fees": 0.001, "path": tmp_path, "progress": False, **GRID}
    tl.sweep(bars, "sma_cross", **call)
    changed = ({"path": tmp_path, "progress": False} if "strategy" in change else call) | change
    frame = bars.iloc[: changed.pop("cut", None)]
    strategy = changed.pop("strategy", "sma_cross")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=f"holds another sweep: .*{words}"):
        tl.sweep(frame, strategy, **changed)
    assert sorted(tmp_path.rglob("*")) == before


def test_one_price_or_one_line_of_the_strategy_makes_it_another_sweep(bars, tmp_path, monkeypatch, keep_registry):
    def above(level: float):
        @tl.strategy(warmup=lambda window: window, name="above")
        def above(bars, window: int = 20):
            mean = tl.indicators.sma(bars.close, window)
            return tl.Signals(long_entry=bars.close > level * mean, long_exit=bars.close < mean)

        return above

    call = {"window": [5, 10], "path": tmp_path, "progress": False}
    tl.sweep(bars, above(1.0), **call)
    tl.sweep(bars, above(1.0), **call)  # defined again, and the same
    with pytest.raises(ConfigError, match="strategy code was"):
        tl.sweep(bars, above(1.01), **call)
    touched = bars.copy()
    touched.iloc[200, touched.columns.get_loc("close")] *= 1 + 1e-12
    with pytest.raises(ConfigError, match="the bars of this sweep are other ones"):
        tl.sweep(touched, above(1.0), **call)
    monkeypatch.setattr("tradelab.research.sweep_folder._engine", lambda: "other")
    with pytest.raises(ConfigError, match=r"tradelab was .* is .*\(other\)"):
        tl.sweep(bars, above(1.0), **call)


def test_two_cannot_write_to_one_folder(bars, tmp_path, walked, monkeypatch):
    real = runner.backtest_tape

    def nested(*args):
        monkeypatch.setattr(runner, "backtest_tape", real)
        tl.sweep(bars, "sma_cross", path=tmp_path, progress=False, **GRID)

    monkeypatch.setattr(runner, "backtest_tape", nested)
    with pytest.raises(StorageError, match="another process is writing"):
        tl.sweep(bars, "sma_cross", path=tmp_path, threads=1, progress=False, **GRID)


def test_an_opened_sweep_is_the_one_that_was_run(bars, tmp_path):
    call = {"fast": [3, 5], "sl_stop": [None, 0.05], "sl_trail": [0.1, None], "fees": [0.0, 0.001], "progress": False}
    found = tl.sweep({"A": bars, "B": bars}, "sma_cross", each=True, timeframes=["1d", "1w"], path=tmp_path, **call)
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    opened = load_sweep(moved)
    pd.testing.assert_frame_equal(opened.table, found.table)
    assert [dict(point) for point in opened.points] == [dict(point) for point in found.points]
    np.testing.assert_array_equal(opened.blocks, found.blocks)
    assert opened.result(7).summary == found.result(7).summary
    assert str(opened) == str(found)
    moved.rename(tmp_path)


def test_an_opened_sweep_whose_strategy_is_gone_shows_its_table_only(bars, tmp_path, keep_registry):
    @tl.strategy(warmup=1)
    def passing(bars, window: int = 20):
        return tl.Signals(long_entry=bars.close > bars.close.shift(window))

    sizes = pd.Series(0.5, bars.index)
    call = {"window": [5, 10], "size": sizes, "size_type": "percent", "progress": False}
    found = tl.sweep(bars, passing, path=tmp_path, **call)
    with pytest.raises(ConfigError, match="size of row 0 could not be kept"):
        load_sweep(tmp_path).result(0)
    assert load_sweep(tmp_path, size=sizes).result(1).summary == found.result(1).summary
    with pytest.raises(ConfigError, match="size is not what was swept"):
        load_sweep(tmp_path, size=sizes * 2)
    with pytest.raises(ConfigError, match="not the strategy that was swept"):
        load_sweep(tmp_path, find("sma_cross"))
    del define.SHELF["passing"]
    opened = load_sweep(tmp_path)
    pd.testing.assert_frame_equal(opened.table, found.table)
    with pytest.raises(ConfigError, match="no strategy named 'passing' is defined here"):
        opened.result(0)
    assert load_sweep(tmp_path, passing, size=sizes).result(0).summary == found.result(0).summary


def test_a_damaged_part_is_named_and_its_rows_are_computed_again_without_it(bars, computed, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_store, "_FLUSH_S", 1e9)  # one part, however slow the machine
    tl.sweep(bars, "sma_cross", path=tmp_path, progress=False, **GRID)
    (part,) = (tmp_path / "parts").iterdir()
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    with pytest.raises(CorruptFileError, match=r"damaged.*Delete it"):
        tl.sweep(bars, "sma_cross", path=tmp_path, progress=False, **GRID)
    part.unlink()
    assert len(load_sweep(tmp_path)) == 0
    tl.sweep(bars, "sma_cross", path=tmp_path, progress=False, **GRID)
    assert len(computed) == 108


def test_what_is_no_folder_of_a_sweep_is_refused(tmp_path):
    with pytest.raises(CorruptFileError, match="is not the folder of a sweep"):
        load_sweep(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text('{"form": 99}')
    with pytest.raises(CorruptFileError, match="later tradelab"):
        load_sweep(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be made"):
        tl.sweep(tl.samples.load("GOOG-1d"), "sma_cross", fast=[5], path=tmp_path / "file" / "x", progress=False)


def test_parts_are_few_however_long_it_takes(monkeypatch, bars, tmp_path):
    clock = [0.0]
    monkeypatch.setattr(sweep_store.time, "monotonic", lambda: clock[0])
    found = tl.sweep(bars, "sma_cross", path=tmp_path, progress=False, fast=[5])
    folder = sweep_store.Folder(tmp_path, {n: s for n, s in read_manifest(tmp_path).items() if n != "finished"})
    flushes = 0
    for second in range(3600):
        clock[0] = float(second)
        if folder.wait(np.array([second])):
            flushes += 1
            folder._waiting.clear()
            folder.flush(found.job, None)
    folder.close()
    assert 100 < flushes < 600


DYING = """
import os, sys, time
import tradelab as tl
from tradelab.research import sweep_folder, sweep_store
sweep_store._FLUSH_S = 0.05
sweep_folder._engine = lambda: "the same, whoever edits it while this test runs"
log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

@tl.strategy(warmup=lambda window: window)
def counted(bars, window: int = 20):
    os.write(log, f"{os.getpid()} {window}\\n".encode())
    time.sleep(0.02)
    mean = tl.indicators.sma(bars.close, window)
    return tl.Signals(long_entry=bars.close > mean, long_exit=bars.close < mean)

tl.sweep(tl.samples.load("GOOG-1d").iloc[:500], counted, window=range(2, 402), path=sys.argv[1], progress=False)
"""


def test_killed_at_random_moments_no_row_is_lost_doubled_or_computed_again(tmp_path, keep_registry):
    script, log, folder = tmp_path / "dying.py", tmp_path / "log", tmp_path / "sweep"
    script.write_text(DYING)
    chance, kills, kept_before_kill = random.Random(7), 0, []
    while True:
        known = set(numbers_of(folder).tolist()) if (folder / "manifest.json").exists() else set()
        lines = len(log.read_text().splitlines()) if log.exists() else 0
        process = subprocess.Popen([sys.executable, str(script), str(folder), str(log)])
        started = lines + (1 if kills == 0 else 4)  # once before the first row is done; then after kernels are compiled
        while process.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < started):
            time.sleep(0.005)
        try:
            process.wait(chance.uniform(0.0, 2.0) if kills < 6 else None)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
        began = {int(line.split()[1]) - 2 for line in log.read_text().splitlines()[lines:]}
        assert not began & known, "a row that a part had was computed again"
        kept_before_kill.append(len(known))
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
    assert kills >= 3
    assert kept_before_kill[-1] > 0
    assert numbers_of(folder).tolist() == list(range(400))
    opened = load_sweep(folder)
    assert opened.complete
    bars = tl.samples.load("GOOG-1d").iloc[:500]

    @tl.strategy(warmup=lambda window: window)
    def counted(bars, window: int = 20):
        mean = tl.indicators.sma(bars.close, window)
        return tl.Signals(long_entry=bars.close > mean, long_exit=bars.close < mean)

    whole = tl.sweep(bars, counted, window=range(2, 402), progress=False)
    assert whole.figures.tobytes() == opened.figures.tobytes()


def test_a_part_can_be_read_by_any_tool(bars, tmp_path):
    found = tl.sweep(bars, "sma_cross", path=tmp_path, fees=[0.0, 0.001], fast=[5, 6], progress=False)
    (part,) = (tmp_path / "parts").iterdir()
    frame = pd.read_parquet(part)
    assert frame["fees_set"].tolist() == [0.0, 0.0, 0.001, 0.001]
    assert frame["fast"].tolist() == [5, 6, 5, 6]
    assert frame["sharpe"].tolist() == found.table["sharpe"].tolist()
    assert json.loads((tmp_path / "finished.json").read_text()) == {"combinations": 4, "total": 4, "left_out": 0}
