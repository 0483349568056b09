"""The files that a newcomer copies can be read, assembled and run; the live one leaves no limit out."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.house.tree import ROOT
from tests.unit.app.test_cli_rehearse import started
from tests.unit.app.test_daemon import WAIT_S, until
from tests.unit.app.venue_beside import make_home
from tradelab.app import connections as service
from tradelab.app.cli import main
from tradelab.app.daemon_table import LiveConfig, read_live
from tradelab.app.handle import Handle
from tradelab.app.run_folder import RunFolder
from tradelab.model.exits import ExitPlan
from tradelab.modules.index import MANIFESTS
from tradelab.spine.config import Mode
from tradelab.spine.manifest import assemble
from tradelab.spine.presets import Schedule
from tradelab.strategy.registry import find

CONFIGS = ROOT / "configs"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path / "home", monkeypatch)
    monkeypatch.delenv("TRADELAB_KEY")  # whoever begins has none


def tradelab(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tradelab", *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=WAIT_S * 3, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def live() -> LiveConfig:
    return read_live(CONFIGS / "live.example.toml")


def test_the_live_example_can_be_assembled_and_its_strategy_is_there(live: LiveConfig) -> None:
    assert {m.name for m in assemble(MANIFESTS, live.node.modules_on, live=True)} == set(live.node.modules_on)
    for bot in live.node.bots:
        assert bot.strategy is not None
        find(bot.strategy).resolve(bot.parameters)
        assert bot.mode is Mode.LIVE


def test_the_live_example_is_careful(live: LiveConfig) -> None:
    preset = live.node.presets["first_week"]
    unset = [name for name, value in preset.limits.model_dump().items() if value is None]
    assert unset == ["max_group_notional"]  # of a group of instruments, and it trades one
    assert preset.exits == ExitPlan(stop="2 atr", targets=[("1 r", 0.5, "break_even"), "3 r"], max_bars=96)
    assert preset.schedule != Schedule()
    assert live.node.accounts["main"].stop_policy == "keep"
    assert live.daemon.notify.to == ("phone",)
    assert live.daemon.webhook is None


def test_every_command_that_the_examples_name_is_there() -> None:
    said = "".join(path.read_text() for path in CONFIGS.glob("*.toml"))
    named = set(re.findall(r"tradelab ([a-z]+)(?: ([a-z-]+))?", said))
    assert {"up", "rehearse", "arm", "doctor", "halt", "flatten"} <= {first for first, _ in named}
    for first, second in sorted(named):
        command = main.get_command(click.Context(main), first)
        assert command is not None, first
        if isinstance(command, click.Group) and second:
            assert second in command.commands, (first, second)


def test_the_paper_example_runs_offline_on_what_its_first_lines_say() -> None:
    missing = tradelab("up", str(CONFIGS / "paper.toml"))
    assert missing.returncode == 2
    assert "tradelab rehearse --connect practice" in missing.stderr
    said = (CONFIGS / "paper.toml").read_text()
    (words,) = re.findall(r"tradelab rehearse (.*)", said)
    with started(*words.split()) as (_, told):
        assert "connection  practice, for data" in told
        up = tradelab("up", str(CONFIGS / "paper.toml"), "--detach")
        assert up.returncode == 0, up.stderr
        engine = Handle("paper")
        pid = int(engine.health()["pid"])
        try:
            until("agreement", lambda: not engine.snapshot()["accounts"]["paper"]["reconciling"])
            assert engine.history(until="DataReceived", timeout_s=WAIT_S).of("DataReceived")
            assert [tradelab(*words).returncode for words in (("status",), ("logs",), ("halt",), ("resume",))] == [
                0
            ] * 4
            assert tradelab("flatten", "--yes").stdout == "node is flat\n"
            assert tradelab("down").stdout == "paper is stopped.\n"
        finally:
            if RunFolder("paper").is_held:
                os.kill(pid, signal.SIGKILL)


def test_a_rehearsal_of_today_takes_the_name_of_yesterdays_and_nobody_elses() -> None:
    for _ in range(2):
        with started("--connect", "practice") as (_, told):
            url = told.split("rehearsal at ")[1].split()[0]
            with service.records() as kept:
                assert (kept.get("practice").settings.base_url, kept.get("practice").status) == (url, "active")
    with service.records() as kept:
        service.add_connection(kept, "mine", "binance", purposes=["data"])
    refused = tradelab("rehearse", "--connect", "mine")
    assert refused.returncode == 2
    assert "none to a rehearsal's data" in refused.stderr
