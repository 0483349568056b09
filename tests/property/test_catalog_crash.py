"""Kill the catalog's writer 200 times at random moments, with readers watching: nothing is ever torn or lost."""

from __future__ import annotations

import os
import random
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tradelab.catalog.bars import Catalog

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the victims are forked, which this system cannot")

KILLS = 200
SCRIPT = Path(__file__).with_name("catalog_writer.py")
writer = runpy.run_path(str(SCRIPT))


def start(job: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), job, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def kill_one(nursery: subprocess.Popen[str], delay_s: float) -> dict[str, float]:
    """Let one writer live for a moment; return the last of each thing that it promised."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write("another\n")
    nursery.stdin.flush()
    promised: dict[str, float] = {}
    for line in iter(nursery.stdout.readline, "dead\n"):
        kind, number = line.split()
        if kind == "born":
            time.sleep(delay_s)  # the moment of the kill is what is varied: real time is the subject here
            os.kill(int(number), signal.SIGKILL)
        else:
            promised[kind] = float(number)
    return promised


@pytest.mark.slow
def test_after_200_kills_every_series_is_whole_and_every_promise_kept(tmp_path: Path) -> None:
    writer["prepare"](str(tmp_path))
    random.seed(20)
    nursery, watcher = start("write", tmp_path), start("read", tmp_path)
    kept, number, busy = 5, 1.0, 0
    for _ in range(KILLS):
        promised = kill_one(nursery, random.uniform(0.0, 0.15))
        busy += bool(promised)
        with Catalog(tmp_path) as catalog:
            bars, generation = writer["check"](catalog)
            assert catalog.damaged() == ()
        assert bars >= promised.get("bars", kept), "a committed append is gone"
        assert bars <= promised.get("bars", kept) + 1, "a bar is there that was never appended"
        assert promised.get("generation", number) <= generation <= promised.get("generation", number) + 1
        kept, number = bars, generation
    (tmp_path / "stop").touch()
    reads, failed, first = (watcher.communicate(timeout=60)[0].strip() + " ").split(" ", 2)
    nursery.communicate(timeout=60)
    assert busy > KILLS / 4, "most writers were killed before they wrote anything: the test shows nothing"
    assert int(reads) > 0
    assert int(failed) == 0, first
    with Catalog(tmp_path) as catalog:
        catalog.compact()
        catalog.vacuum(grace_s=0)
        named = set(catalog.snapshot("crash", "W", "1h").segments)
        for symbol in writer["SYMBOLS"]:
            named |= set(catalog.snapshot("crash", symbol, "1h").segments)
    on_disk = {p.relative_to(tmp_path).as_posix() for p in (tmp_path / "segments").rglob("*") if p.is_file()}
    assert on_disk == named, "killed writers left files that vacuum does not find"
