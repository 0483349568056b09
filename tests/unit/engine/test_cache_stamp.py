"""An edit to a kernel's callee in another file is seen by the next process, and would not be without the stamp."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradelab.engine.cache import kernel_stamp

_CACHE = Path(__file__).parents[3] / "tradelab" / "engine" / "cache.py"
_CALLER = """
from numba import njit
from desk.engine.fee import fee

@njit(cache=True)
def total(x):
    return x + fee(x)
"""
_CALLEE = """
from numba import njit

@njit(cache=True)
def fee(x):
    return {factor} * x
"""
_PROGRAM = """
import desk.engine
from desk.engine.total import total
print(total(10.0), sum(total.stats.cache_hits.values()))
"""


def _lay(folder: Path, *, stamped: bool) -> Path:
    """A package of two kernels in two files, beside our own ``engine/cache.py``, which is asked for numba or is not."""
    engine = folder / "desk" / "engine"
    engine.mkdir(parents=True)
    (engine / "cache.py").write_text(_CACHE.read_text(encoding="utf-8"), encoding="utf-8")
    asks = "from desk.engine.cache import stamped_numba\nstamped_numba()\n" if stamped else ""
    (engine / "__init__.py").write_text(asks, encoding="utf-8")
    (engine / "total.py").write_text(_CALLER, encoding="utf-8")
    (engine / "fee.py").write_text(_CALLEE.format(factor="1.0"), encoding="utf-8")
    return engine


def _run(folder: Path) -> tuple[float, int]:
    """The answer for 10 and the number of cache hits, from a new process."""
    env = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    told = subprocess.run([sys.executable, "-c", _PROGRAM], env=env, capture_output=True, text=True, check=True).stdout
    answer, hits = told.split()
    return float(answer), int(hits)


@pytest.mark.parametrize(("stamped", "after_the_edit"), [(True, (30.0, 0)), (False, (20.0, 1))])
def test_only_with_the_stamp_an_edited_callee_gives_the_new_answer(
    tmp_path: Path, stamped: bool, after_the_edit: tuple[float, int]
) -> None:
    engine = _lay(tmp_path, stamped=stamped)
    assert _run(tmp_path) == (20.0, 0)
    assert _run(tmp_path) == (20.0, 1)  # a second process loads what the first compiled
    (engine / "fee.py").write_text(_CALLEE.format(factor="2.0"), encoding="utf-8")
    assert _run(tmp_path) == after_the_edit  # without the stamp: stale machine code, numba issue 1833
    assert len(list((tmp_path / "cache").iterdir())) == (2 if stamped else 1)


def test_the_stamp_changes_with_a_source_its_name_and_nothing_else(tmp_path: Path) -> None:
    source = tmp_path / "kernel.py"
    source.write_text("a = 1\n")
    before = kernel_stamp(tmp_path)
    (tmp_path / "notes.txt").write_text("not a kernel\n")
    os.utime(source, (0, 0))
    assert kernel_stamp(tmp_path) == before
    source.write_text("a = 2\n")
    edited = kernel_stamp(tmp_path)
    source.rename(tmp_path / "renamed.py")
    assert len({before, edited, kernel_stamp(tmp_path)}) == 3


def test_a_stamped_folder_unused_for_a_month_is_swept_and_a_fresh_one_stays(tmp_path: Path) -> None:
    _lay(tmp_path, stamped=True)
    old, fresh = tmp_path / "cache" / "0ld0ld0ld0ld", tmp_path / "cache" / "fre5hfre5hfr"
    old.mkdir(parents=True)
    fresh.mkdir()
    os.utime(old, (0, 0))
    _run(tmp_path)
    assert not old.exists()
    assert fresh.exists()
