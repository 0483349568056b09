"""Keep the course short, clean, paired with its text twin, and running."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from tests.house.tree import ROOT

_FOLDER = ROOT / "notebooks"
_NOTEBOOKS = sorted(path for path in _FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
_COURSE = (
    "00_start_here", "10_bars", "15_connections_and_streams", "20_a_strategy", "30_backtest_and_report",
    "40_is_it_a_lie", "45_sweeps", "50_paper_trading", "60_going_live",
)  # fmt: skip
_each = pytest.mark.parametrize("path", _NOTEBOOKS, ids=lambda path: path.relative_to(_FOLDER).as_posix())


def _read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def test_the_course_is_whole() -> None:
    there = {path.stem for path in _NOTEBOOKS if path.parent == _FOLDER}
    assert set(_COURSE) <= there


def test_every_text_twin_has_its_notebook() -> None:
    twins = {path.with_suffix(".ipynb") for path in _FOLDER.rglob("*.py") if ".ipynb_checkpoints" not in path.parts}
    assert twins <= set(_NOTEBOOKS)


@_each
def test_a_notebook_is_short_and_opens_with_prose(path: Path) -> None:
    cells = _read(path).cells
    assert len(cells) <= 20
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")


@_each
def test_a_notebook_carries_no_outputs(path: Path) -> None:
    dirty = [
        number
        for number, cell in enumerate(_read(path).cells)
        if cell.cell_type == "code" and (cell.outputs or cell.execution_count is not None)
    ]
    assert dirty == [], "run `make notebooks`"


@_each
def test_a_notebook_and_its_text_twin_say_the_same(path: Path) -> None:
    twin = path.with_suffix(".py")
    notebook = _read(path)
    assert "py:percent" in notebook.metadata.get("jupytext", {}).get("formats", "")
    ours, theirs = [
        [(cell.cell_type, cell.source.strip(), tuple(cell.metadata.get("tags", ()))) for cell in cells]
        for cells in (notebook.cells, jupytext.read(twin).cells)
    ]
    assert ours == theirs, "run `make notebooks`"


@_each
def test_a_notebook_defines_nothing_the_package_should_own(path: Path) -> None:
    long = []
    for cell in _read(path).cells:
        for indent, body in re.findall(r"^( *)(?:def|class) .*\n((?:\1 +.*\n?|\n)*)", cell.source, flags=re.MULTILINE):
            long += [body] if len(body.strip().splitlines()) > 10 - len(indent) else []
    assert long == []


def _end_engines(folder: Path) -> list[str]:
    """Kill the engines that a page has left running, and name them."""
    left = []
    for told in folder.rglob("daemon.json"):
        pid = json.loads(told.read_text(encoding="utf-8"))["pid"]
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            left.append(told.parent.name)
    return left


@_each
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the kernel's client, not ours
def test_a_notebook_runs_offline_without_a_warning(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # the discard port: whatever reaches out fails at once
    monkeypatch.setenv("TRADELAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRADELAB_RUNS", str(tmp_path / "runs"))
    (tmp_path / "tmp").mkdir()
    env = {**os.environ, "JUPYTER_PATH": "", "TMPDIR": str(tmp_path / "tmp")}
    notebook = _read(path)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    try:
        client.execute(env=env)
    finally:
        left = _end_engines(tmp_path)
    assert left == []
    outputs = itertools.chain.from_iterable(cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    said = [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]
    assert [text for text in said if "Warning" in text] == []
