"""A sweep that cannot fit is refused with the figures, before anything is made."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import tradelab as tl
from tradelab.model.errors import ConfigError
from tradelab.research import executors, memory
from tradelab.research.memory import Estimate, available_memory, estimate, parse_bytes, require_memory


def test_an_estimate_is_bars_rows_and_threads():
    needed = estimate(bars=1000, rows=50, row_bytes=300, threads=2, thread_bytes=7000)
    assert needed == Estimate(80_000, 15_000, 14_000)
    assert str(needed) == "109.0 kB (15.0 kB for the combinations, 80.0 kB for bars, 14.0 kB for the threads at work)"


def test_what_does_not_fit_is_refused_with_estimate_limit_and_remedy():
    needed = Estimate(1_000_000, 2_000_000_000, 5_000_000)
    with pytest.raises(
        ConfigError, match=r"about 2\.0 GB .*the limit is 500\.0 MB \(memory_limit\).*samples"
    ) as caught:
        require_memory(needed, "500 MB")
    assert "blocks=0" in str(caught.value)
    require_memory(needed, "2.1 GB")


def test_four_fifths_of_what_is_free_is_the_limit_by_default(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    require_memory(Estimate(800, 0, 0), None)
    with pytest.raises(ConfigError, match=r"801 B.*the limit is 800 B \(80% of the 1\.0 kB that are free\)"):
        require_memory(Estimate(801, 0, 0), None)
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    require_memory(Estimate(10**18, 0, 0), None)  # nobody knows: nothing to refuse on


def test_a_container_may_allow_less_than_the_machine_has(tmp_path):
    assert memory._of_container(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert memory._of_container(tmp_path) is None
    (tmp_path / "memory.max").write_text("5000\n")
    assert memory._of_container(tmp_path) == 4000
    old = tmp_path / "old"
    (old / "memory").mkdir(parents=True)
    (old / "memory" / "memory.limit_in_bytes").write_text("700")
    (old / "memory" / "memory.usage_in_bytes").write_text("900")
    assert memory._of_container(old) == 0


def test_free_memory_is_a_sane_number_here():
    free = available_memory()
    assert free is None or 10**6 < free < 10**14


@pytest.mark.parametrize(("said", "size"), [("2GB", 2 * 10**9), ("1 GiB", 2**30), ("64 kib", 65536), (7, 7), ("7", 7)])
def test_an_amount_of_memory_is_read_in_words(said, size):
    assert parse_bytes(said) == size


def test_a_grid_of_a_billion_is_refused_at_once():
    bars = tl.samples.load("GOOG-1d").iloc[:600]
    tracemalloc.start()
    with pytest.raises(ConfigError, match=r"this sweep needs about .* TB .*the limit is 4\.0 GB"):
        tl.sweep(
            bars, "sma_cross", fast=range(1, 501), slow=range(2, 502), fees=np.linspace(0, 0.1, 20_000),
            memory_limit="4 GB", progress=False,
        )  # fmt: skip
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_a_hundred_thousand_combinations_take_less_than_300_bytes_each_and_what_was_estimated(monkeypatch):
    monkeypatch.setattr(executors, "run_batch", lambda job, rows: np.zeros(len(rows), job.dtype))
    bars = tl.samples.load("GOOG-1d").iloc[:600]
    call = {"fast": range(1, 321), "slow": range(321, 500), "sl_stop": [None, 0.1], "blocks": 0, "progress": False}
    tl.sweep(bars, "sma_cross", fast=[1, 2], progress=False)  # what is imported and cached once
    tracemalloc.start()
    found = tl.sweep(bars, "sma_cross", **call)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 320 * 179 * 2
    assert found.nbytes / len(found) <= 300
    assert held / len(found) <= 300
    with pytest.raises(ConfigError) as caught:
        tl.sweep(bars, "sma_cross", **call, memory_limit=1)
    estimated = float(str(caught.value).partition("about ")[2].partition(" MB")[0]) * 1e6
    assert 0.5 * peak < estimated < 2 * peak
