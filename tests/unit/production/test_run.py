"""Every way a run can end, and what is then said of it: the truth table that papermill's own metadata gets wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tradelab.model.errors import ConfigError, ParameterError, StorageError
from tradelab.production import run_notebook, runs
from tradelab.production.registry import Run

CANARY = "canary-secret-4b1d"
PID = "import os, pathlib\npathlib.Path({pid!r}).write_text(str(os.getpid()))\n"
ENDINGS = {
    "succeeded": "",
    "failed": "x = 1\n1 / 0",
    "crashed": "os.kill(os.getpid(), 9)",
    "exit_0": "import sys\nsys.exit(0)",
    "timed_out": "import time\ntime.sleep(60)",
    "stubborn": "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(60)",
}


@pytest.fixture(scope="module")
def endings(notebook, tmp_path_factory) -> dict[str, tuple[Run, Path]]:
    """Each ending, run once, four at a time: run and the file that holds its kernel's pid."""
    folder = tmp_path_factory.mktemp("endings")

    def one(ending: str) -> tuple[str, tuple[Run, Path]]:
        pid = folder / ending
        path = notebook(PID.format(pid=str(pid)), ENDINGS[ending], "print('end')", name=ending)
        timeout = 12 if ending in ("timed_out", "stubborn") else None
        return ending, (run_notebook(path, runs_dir=folder / "runs", timeout_s=timeout, report=ending == "failed"), pid)

    with ThreadPoolExecutor(4) as pool:
        return dict(pool.map(one, ENDINGS))


@pytest.mark.parametrize(
    ("ending", "state", "code", "kind", "cell"),
    [
        ("succeeded", "succeeded", 0, None, None),
        ("failed", "failed", 1, "ZeroDivisionError", 4),
        ("crashed", "crashed", 4, "KernelDied", 4),
        ("exit_0", "succeeded", 0, None, None),
        ("timed_out", "timed_out", 3, "Timeout", 4),
        ("stubborn", "timed_out", 3, "Timeout", 4),
    ],
)
def test_the_registry_tells_the_truth(endings, ending, state, code, kind, cell):
    run, pid = endings[ending]
    assert (run.state, run.exit_code) == (state, code)
    assert (run.failure and run.failure.kind, run.failure and run.failure.cell) == (kind, cell)
    assert run.cells == 5
    told = json.loads((run.folder / "run.json").read_text())
    assert (told["state"], told["exit_code"]) == (state, code)
    assert runs(runs_dir=run.folder.parent).loc[run.id, "state"] == state
    assert not alive(int(pid.read_text()))


def test_a_failed_run_keeps_the_failing_cell_and_its_report(endings):
    run, _ = endings["failed"]
    assert run.failure.source == "x = 1"
    assert run.failure.message == "division by zero"
    page = run.report.read_text(encoding="utf-8")
    assert 'id="failing-cell"' in page
    assert "Cell 4 of 5: ZeroDivisionError" in page


def test_a_notebook_that_ends_itself_early_says_so(endings):
    assert endings["exit_0"][0].note == "the notebook ended itself at cell 4 of 5"


def test_a_run_leaves_whole_files_and_no_partial_one(endings):
    run, _ = endings["succeeded"]
    expected = {"params.json", "run.json", "environment.json", "notebook.ipynb", "log.txt"}
    assert {item.name for item in run.folder.iterdir()} == expected
    assert not list(run.folder.parent.glob("**/*.partial"))
    known = json.loads((run.folder / "environment.json").read_text())
    assert known["python"] == ".".join(map(str, sys.version_info[:3]))
    assert known["packages"]["papermill"]


def test_results_data_parameters_and_report_are_kept_and_the_secret_is_nowhere(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("VENUE_API_KEY", CANARY)
    path = notebook(
        "import os, sys\nfrom tradelab.production import record\n"
        "record({'sharpe': 1.5, 'fast': fast, 'nothing': float('nan')}, data={'EURUSD-1h': 'sha256:ab'})",
        "key = os.environ['VENUE_API_KEY']\nprint(key)\nprint(key, file=sys.stderr)\nkey",
        "os.write(1, os.environ['VENUE_API_KEY'].encode())\nprint(os.getcwd(), sys.prefix)",
        "raise ValueError(os.environ['VENUE_API_KEY'] + os.getcwd())",
    )
    seen: list[Run] = []
    run = run_notebook(path, {"fast": "30"}, runs_dir=tmp_path / "runs", name="My run!", progress=seen.append)
    assert (run.state, run.name, run.parameters["fast"], run.parameters["symbol"]) == ("failed", "My-run", 30, "EURUSD")
    assert dict(run.results) == {"sharpe": 1.5, "fast": 30, "nothing": None}
    assert dict(run.data) == {"EURUSD-1h": "sha256:ab"}
    assert [one.cell for one in seen] == [1, 2, 3, 4, 5, 6, 6]
    for item in (tmp_path / "runs").rglob("*"):
        if item.is_file():
            assert CANARY.encode() not in item.read_bytes(), item.name
    page = run.report.read_text(encoding="utf-8")
    assert "[redacted]" in page
    for local in (str(Path.cwd()), sys.prefix, str(tmp_path), str(Path.home())):
        assert local not in page
    assert (tmp_path / "runs" / "index.html").is_file()


def test_a_failed_run_is_retried_as_a_run_of_its_own_and_the_key_holds_the_good_one(notebook, tmp_path):
    mark = tmp_path / "mark"
    path = notebook(
        f"import pathlib\nmark = pathlib.Path({str(mark)!r})\nif not mark.exists():\n    mark.touch()\n    1 / 0"
    )
    good = run_notebook(path, key="daily", retries=2, backoff_s=0, runs_dir=tmp_path / "runs", report=False)
    assert (good.state, good.attempt) == ("succeeded", 2)
    listed = runs(runs_dir=tmp_path / "runs")
    assert list(listed["state"]) == ["succeeded", "failed"]
    assert good.retry_of == listed.index[1]
    again = run_notebook(path, key="daily", runs_dir=tmp_path / "runs", report=False)
    assert (again.id, again.deduplicated) == (good.id, True)
    assert len(list((tmp_path / "runs").glob("*_try_*"))) == 2


@pytest.mark.parametrize(
    ("how", "state", "code"), [("SIGINT", "stopped", 130), ("SIGTERM", "stopped", 130), ("SIGKILL", "crashed", -9)]
)
def test_a_signal_to_the_watcher_leaves_the_truth_and_no_kernel(notebook, tmp_path, how, state, code):
    pid = tmp_path / "pid"
    path = notebook(PID.format(pid=str(pid)) + "import time\ntime.sleep(120)")
    command = [sys.executable, "-m", "tradelab", "run", str(path), "--no-report"]
    watcher = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TRADELAB_RUNS": str(tmp_path / "runs")},
    )
    wait_for(lambda: pid.is_file() and pid.read_text())
    watcher.send_signal(signal.Signals[how])
    watcher.communicate(timeout=60)
    assert watcher.returncode == code
    kernel = int(pid.read_text())
    wait_for(lambda: not alive(kernel))
    assert list(runs(runs_dir=tmp_path / "runs")["state"]) == [state]


def wait_for(happened, seconds: float = 60) -> None:
    """Wait for another process; what is asserted is that it happens, not when."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"parameters": {"fats": 3}}, ParameterError, "fast"),
        ({"timeout_s": 0}, ParameterError, "timeout_s"),
        ({"retries": -1}, ParameterError, "retries"),
        ({"name": "///"}, ParameterError, "name"),
    ],
)
def test_a_wrong_call_is_refused_and_leaves_nothing(notebook, tmp_path, change, error, words):
    with pytest.raises(error, match=words):
        run_notebook(notebook(), runs_dir=tmp_path / "runs", **change)
    assert not (tmp_path / "runs").exists()


def test_a_notebook_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no notebook"):
        run_notebook(tmp_path / "none.ipynb", runs_dir=tmp_path / "runs")


def test_a_folder_that_cannot_be_made_ends_the_run_as_failed(notebook, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(StorageError, match="No space left"):
        run_notebook(notebook(), runs_dir=tmp_path / "runs")
    assert list(runs(runs_dir=tmp_path / "runs")["state"]) == ["failed"]
    assert not list((tmp_path / "runs").glob("*_try_*"))


def alive(pid: int) -> bool:
    """True while a process runs; one that only waits to be collected does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_half_characters_widgets_and_foreign_letters_do_not_stop_a_run(notebook, tmp_path):
    code = (
        "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    print('inside')",
        "raise ValueError('half \\udcff')",
    )
    run = run_notebook(notebook(*code, name="Prüfung 测试"), runs_dir=tmp_path / "runs")
    assert run.failure is not None
    assert (run.failure.kind, run.failure.cell) == ("ValueError", 4)
    assert run.name == "Prüfung-测试"
    executed = json.loads((run.folder / "notebook.ipynb").read_text())
    assert "widgets" not in executed["metadata"]
    assert "inside" in json.dumps(executed)  # what a widget captured is not lost to the report
    assert run.report is not None
    assert run.report.is_file()


def test_an_index_that_cannot_be_written_takes_nothing_from_the_run(notebook, tmp_path):
    (tmp_path / "runs" / "index.html").mkdir(parents=True)
    run = run_notebook(notebook("1"), runs_dir=tmp_path / "runs", report=False)
    assert run.succeeded
    assert "no index" in run.note
