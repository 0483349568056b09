"""Machine code made ahead of time gives the same bits as what is compiled when needed, and needs no numba."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tradelab.engine import build, native

_PROGRAM = """
import sys
import tradelab as tl
bars = tl.samples.load("IBM-1d")
rows = tl.sweep(bars, "sma_cross", fast=[5, 10], slow=[20, 50], sl_stop=0.05, progress=False).table
one = tl.backtest(bars, "sma_cross", fast=5, slow=20, sl_stop=0.05)
from tradelab.engine import native
print("numba" in sys.modules, bool(native.made_for()))
print(rows.to_json(double_precision=15), one.equity.sum().hex(), len(one.trades))
"""


def _told(**environment: str) -> list[str]:
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], env=env, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def made() -> Path:
    """The file for this machine; made now where nobody did."""
    return build.build()


def test_it_needs_no_numba_and_gives_the_same_bits(made: Path) -> None:
    ahead, just_in_time = _told(), _told(TRADELAB_AHEAD="0")
    assert ahead[0] == "False True"
    assert just_in_time[0] == "True False"
    assert ahead[1] == just_in_time[1]


def test_a_damaged_file_is_as_none(made: Path, tmp_path: Path) -> None:
    (tmp_path / made.name).write_bytes(made.read_bytes()[:1000])
    assert _told(TRADELAB_KERNEL_CACHE=str(tmp_path), NUMBA_CACHE_DIR=str(made.parent))[0] == "True False"


def test_object_code_asks_for_nothing_that_is_not_there(made: Path) -> None:
    """A name that leads nowhere would end the process when it is loaded."""
    nm = "nm"
    with zipfile.ZipFile(made) as archive:
        names = json.loads(archive.read(native.SYMBOLS))
        assert set(names) == set(build.functions())
        for name in names:
            code = made.parent / f"{name}.{os.getpid()}.o"
            code.write_bytes(archive.read(f"{name}.o"))
            try:
                told = subprocess.run([nm, "-u", str(code)], capture_output=True, text=True, check=True).stdout
            except FileNotFoundError:
                pytest.skip("no nm on this machine, which comes with a compiler")
            finally:
                code.unlink()
            asked = {line.split()[-1] for line in told.splitlines() if " U " in f" {line} "}
            unknown = {a for a in asked if not a.startswith("Py") and a not in {*native._HELPERS, *_OF_C}}
            assert not unknown, name


_OF_C = {"memset", "memcpy", "memmove", "floor", "pow", "exp", "log", "sqrt", "fma"}
