"""The commands say what happened and where, and end with the code that is promised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tradelab.app.cli import main
from tradelab.production.registry import Failure, Registry, Run


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADELAB_RUNS", "runs")
    return tmp_path


def tradelab(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def keep(folder: Path, number: str, state: str, **more) -> None:
    registry = Registry(folder / "runs")
    run = Run(
        number,
        "sma",
        state,
        folder / "runs" / f"x_{number}",
        "sma.ipynb",
        "0" * 64,
        f"2026-01-0{number[0]}T00:00:00+00:00",
        **more,
    )
    registry.claim(run)


def notebook(folder: Path, code: str) -> str:
    cells = [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {"tags": ["parameters"]},
            "source": "fast = 1",
            "outputs": [],
            "execution_count": None,
        },
        {"cell_type": "code", "id": "b", "metadata": {}, "source": code, "outputs": [], "execution_count": None},
    ]
    (folder / "try.ipynb").write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
    return "try.ipynb"


def test_a_run_shows_its_cells_and_says_where_the_report_lies(here):
    done = tradelab("run", notebook(here, "print(fast)"), "-p", "fast", "2", "--timeout", "5m")
    assert done.exit_code == 0, done.output
    assert "cell 2/2" in done.stderr
    report = done.stdout.rsplit("report: ", 1)[1].strip()
    assert report.startswith("runs/")
    assert Path(report).is_file()


def test_a_failing_run_names_the_cell_and_ends_with_one(here):
    done = tradelab("run", notebook(here, "1 / 0"), "--no-report")
    assert done.exit_code == 1
    assert "cell 2 of 2, ZeroDivisionError: division by zero" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-p", "fats", "2"], "Did you mean 'fast'"),
        (["-p", "fast", "two"], "takes int"),
        (["-p", "fast", "1", "-p", "fast", "2"], "given twice"),
        (["--timeout", "soon"], "30m"),
    ],
)
def test_a_refused_call_ends_with_two_and_starts_nothing(here, words, says):
    done = tradelab("run", notebook(here, ""), *words)
    assert done.exit_code == 2
    assert says in done.stderr
    assert not (here / "runs").exists()


def test_runs_are_listed_filtered_shown_and_compared(here):
    keep(here, "1a", "succeeded", parameters={"fast": 3}, results={"sharpe": 1.25}, duration_s=2.0)
    keep(here, "2b", "failed", parameters={"fast": 5}, failure=Failure("ValueError", "no", 3, "x = 1"))
    assert tradelab("runs").stdout.splitlines()[1].startswith("2b")
    only = tradelab("runs", "list", "--state", "succeeded", "--param", "fast=3", "--since", "2026-01-01").stdout
    assert "1a" in only
    assert "2b" not in only
    assert tradelab("runs", "list", "--name", "rsi").stdout == "No run matches.\n"
    shown = tradelab("runs", "show", "2").stdout
    assert "ValueError: no" in shown
    assert "x = 1" in shown
    compared = tradelab("runs", "compare", "1a", "2b").stdout
    assert ["parameter", "fast", "3", "5", "2"] in [line.split() for line in compared.splitlines()]
    (here / "runs" / "x_1a").mkdir()
    assert tradelab("runs", "path", "1a").stdout == "runs/x_1a\n"
    assert "the folder of this run is gone: runs/x_2b" in tradelab("runs", "path", "2b").stderr
    assert tradelab("runs", "index").stdout == "runs/index.html\n"


@pytest.mark.parametrize(
    "words",
    [
        ["show", "zz"],
        ["list", "--state", "done"],
        ["list", "--param", "fast"],
        ["list", "--since", "noon"],
        ["list", "--limit", "0"],
    ],
)
def test_a_wrong_question_is_refused_with_the_answer(here, words):
    done = tradelab("runs", *words)
    assert done.exit_code == 2
    assert done.stderr


def test_no_runs_is_said_with_the_place_and_asking_makes_no_folder(here):
    assert tradelab("runs").stdout.startswith("No runs in runs.")
    assert "there are no runs" in tradelab("runs", "show", "latest").stderr
    assert not (here / "runs").exists()


def test_a_parameter_is_written_with_a_space_or_with_an_equals_sign(here):
    keep(here, "1a", "succeeded", parameters={"fast": 3, "note": ""})
    for words in (["-p", "fast", "3"], ["-p", "fast=3"], ["--param", "fast", "3"]):
        assert "fast=3\n" in tradelab("runs", "list", *words).stdout
    assert "Did you mean 'fast'" in tradelab("run", notebook(here, ""), "-p", "fats=2", "-p", "fast", "1").stderr
