"""The registry keeps one run a key, and knows which runs nobody watches."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from tradelab.model.errors import ParameterError, StorageError, UnknownNameError
from tradelab.production import compare, find, runs
from tradelab.production.index import write_index
from tradelab.production.registry import Failure, Registry, Run


def a_run(registry: Registry, number: str, **changes) -> Run:
    first = Run(
        number,
        "sma",
        "queued",
        registry.runs_dir / f"f_{number}",
        "sma.ipynb",
        "0" * 64,
        f"2026-01-0{number[0]}T00:00:00+00:00",
    )
    return replace(first, **changes)


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "runs")


def own(registry: Registry, number: str, pid: int) -> None:
    """Pretend that another process watches a run."""
    connection = sqlite3.connect(registry.runs_dir / "registry.sqlite")
    connection.execute("update runs set owner_pid=?, owner_birth='' where id=?", (pid, number))
    connection.commit()
    connection.close()


def a_dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_run_comes_back_as_it_was_written(registry):
    failure = Failure("ValueError", "no", 3, "x = 1")
    run = a_run(
        registry,
        "1a",
        parameters={"fast": 3},
        failure=failure,
        results={"sharpe": 1.5},
        git={"revision": "abc", "dirty": False},
    )
    assert registry.claim(run) is None
    assert registry.find("1a") == run


def test_a_second_run_with_the_key_gets_the_first_until_that_fails(registry):
    first, second = a_run(registry, "1a", key="k"), a_run(registry, "2b", key="k")
    assert registry.claim(first) is None
    held = registry.claim(second)
    assert (held.id, held.deduplicated) == ("1a", True)
    registry.update(replace(first, state="failed"))
    assert registry.claim(second) is None


def test_runs_without_a_key_never_meet(registry):
    assert registry.claim(a_run(registry, "1a")) is None
    assert registry.claim(a_run(registry, "2b")) is None


def test_a_run_whose_watcher_is_gone_is_crashed_everywhere_it_is_told(registry):
    run = a_run(registry, "1a", state="running", cell=2, key="k")
    run.folder.mkdir()
    registry.claim(run)
    own(registry, "1a", a_dead_pid())
    crashed = registry.find("1a")
    assert (crashed.state, crashed.exit_code, crashed.failure.cell) == ("crashed", 4, 2)
    assert json.loads((run.folder / "run.json").read_text())["state"] == "crashed"
    assert registry.claim(a_run(registry, "2b", key="k")) is None


def test_a_run_whose_watcher_lives_is_left_alone(registry):
    registry.claim(a_run(registry, "1a", state="running"))
    own(registry, "1a", os.getppid())
    assert registry.reap() == []


def test_a_run_is_found_by_the_beginning_of_its_id_its_folder_or_latest(registry):
    for number in ("1a", "2b", "2c"):
        registry.claim(a_run(registry, number))
    assert registry.find("1").id == registry.find("f_1a").id == "1a"
    assert registry.find("latest").id == "2c"
    for reference in ("2", "9", ""):
        with pytest.raises(UnknownNameError):
            registry.find(reference)


def test_a_folder_that_is_no_folder_is_refused(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StorageError):
        Registry(tmp_path / "runs")


def test_runs_are_filtered_by_state_name_time_and_parameter(registry):
    registry.claim(
        a_run(registry, "1a", parameters={"fast": 3}, state="succeeded", duration_s=2.0, results={"sharpe": 1.0})
    )
    registry.claim(a_run(registry, "2b", parameters={"fast": 4}, state="failed", name="rsi"))

    def ids(**filters):
        return list(runs(runs_dir=registry.runs_dir, **filters).index)

    assert ids() == ["2b", "1a"]
    assert ids(state="failed") == ids(name="RS") == ids(since="2026-01-02") == ids(limit=1) == ["2b"]
    assert ids(parameter={"fast": 3}) == ids(parameter={"fast": "3"}) == ["1a"]
    assert ids(since="1h") == []
    frame = runs(runs_dir=registry.runs_dir)
    assert frame.loc["1a", "param.fast"] == 3
    assert frame.loc["1a", "result.sharpe"] == 1.0
    with pytest.raises(UnknownNameError, match="succeeded"):
        ids(state="suceeded")
    with pytest.raises(ParameterError, match="since"):
        ids(since="yesterday")


def test_two_runs_are_laid_side_by_side(registry):
    registry.claim(
        a_run(
            registry,
            "1a",
            parameters={"fast": 3, "symbol": "A"},
            results={"sharpe": 1.0},
            duration_s=2.0,
            data={"A": "x"},
        )
    )
    registry.claim(
        a_run(
            registry,
            "2b",
            parameters={"fast": 5, "symbol": "A"},
            results={"sharpe": 1.5},
            duration_s=3.0,
            data={"A": "y"},
        )
    )
    frame = compare("1a", "2b", runs_dir=registry.runs_dir).set_index(["group", "field"])["change"]
    assert frame["parameter", "fast"] == 2
    assert frame["result", "sharpe"] == 0.5
    assert frame["run", "duration_s"] == 1.0
    assert frame["parameter", "symbol"] == ""
    assert frame["data", "A"] == "differs"
    assert find("1a", runs_dir=registry.runs_dir).id == "1a"


def test_a_lost_registry_is_rebuilt_from_the_folders(registry):
    for number, state in (("1a", "succeeded"), ("2b", "running")):
        run = a_run(registry, number, state=state, parameters={"fast": 3})
        run.folder.mkdir()
        registry.claim(run)
        registry.update(run)
    for part in registry.runs_dir.glob("registry.sqlite*"):
        part.unlink()
    found = {run.id: (run.state, dict(run.parameters)) for run in Registry(registry.runs_dir).all()}
    assert found == {"1a": ("succeeded", {"fast": 3}), "2b": ("crashed", {"fast": 3})}


def test_a_lost_registry_is_rebuilt_around_a_broken_record_and_one_of_a_later_version(registry):
    for number, more in (("1a", {}), ("2b", {"invented_later": 1}), ("3c", None)):
        run = a_run(registry, number, state="succeeded")
        run.folder.mkdir()
        (run.folder / "run.json").write_text("{" if more is None else json.dumps(run.as_json() | more))
    (registry.runs_dir / "registry.sqlite").unlink()
    assert [run.id for run in Registry(registry.runs_dir).all()] == ["2b", "1a"]


def test_a_damaged_registry_says_how_to_mend_it(registry):
    (registry.runs_dir / "registry.sqlite").write_text("garbage")
    with pytest.raises(StorageError, match="may be deleted"):
        Registry(registry.runs_dir)


def test_a_folder_that_cannot_be_written_still_answers_and_takes_no_run(registry, monkeypatch):
    registry.claim(a_run(registry, "1a"))
    own(registry, "1a", a_dead_pid())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    closed = Registry(registry.runs_dir)
    assert [(run.id, run.state) for run in closed.all()] == [("1a", "queued")]
    with pytest.raises(StorageError, match="read-only"):
        closed.claim(a_run(closed, "2b"))


def test_the_index_links_only_what_is_there(registry):
    here, gone = a_run(registry, "1a", state="succeeded"), a_run(registry, "2b", state="succeeded")
    here.folder.mkdir()
    (here.folder / "log.txt").touch()
    registry.claim(here)
    registry.claim(gone)
    page = write_index(registry.runs_dir).read_text()
    assert re.findall(r'href="([^#][^"]*)"', page) == ["f_1a/log.txt"]
    assert "folder is gone" in page
