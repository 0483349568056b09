"""A daemon is a process that outlives terminals and clients, is killed at any moment without harm, and ends in time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.unit.app.engine_beside import COMMAND
from tests.unit.app.test_daemon import WAIT_S, until
from tradelab.app.daemon import LAST_S
from tradelab.app.handle import Handle
from tradelab.app.run_folder import RunFolder
from tradelab.store.database import Database
from tradelab.store.journal import Journal

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(file: Path) -> Iterator[Start]:
    """Start a daemon in a process, wait until its engine works, and end all of them after the test."""
    begun: list[subprocess.Popen[str]] = []

    def begin(**env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, "up", str(file), "--quiet"], cwd=ROOT, env=os.environ | env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        begun.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "paper runs (paper money)" in line, line + process.stdout.read()
        return process

    yield begin
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def tradelab(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=WAIT_S * 2)


def told() -> list[tuple[int, str]]:
    with Database() as database:
        return [(row.seq, row.kind) for row in Journal(database, "paper").rows()]


def flaws() -> list[object]:
    with Database() as database:
        return list(Journal(database, "paper").verify())


def test_detached_it_outlives_who_started_it_and_is_ended_by_name(file: Path) -> None:
    up = tradelab("up", str(file), "--detach")
    assert up.returncode == 0, up.stderr
    assert "paper runs (paper money)" in up.stdout
    address = RunFolder("paper").address()
    assert address is not None
    try:
        assert os.getsid(address.pid) == address.pid  # a session of its own: no terminal takes it along
        os.kill(address.pid, signal.SIGHUP)
        again = tradelab("up", str(file), "--detach")
        assert (again.returncode, again.stderr[:11]) == (2, "ConfigError")
        assert "runs already" in again.stderr
        shown = tradelab("status", "--json")
        assert shown.returncode == 0, shown.stderr
        assert json.loads(shown.stdout)["pid"] == address.pid
        down = tradelab("down", "--policy", "keep")
        assert (down.returncode, down.stdout) == (0, "paper is stopped.\n"), down.stderr
        assert not RunFolder("paper").is_held
    finally:
        if RunFolder("paper").is_held:
            os.kill(address.pid, signal.SIGKILL)
    assert RunFolder("paper").console.read_text().startswith("paper runs")
    lines = [json.loads(line) for line in RunFolder("paper").log.read_text().splitlines()]
    assert {"ts", "level", "logger", "node", "says"} <= set(lines[0])
    assert "asked to stop, policy keep" in [line["says"] for line in lines]


def test_a_daemon_that_cannot_start_says_why_to_who_started_it(file: Path) -> None:
    file.write_text(file.read_text().replace('preset = "small"', 'preset = "smal"'), encoding="utf-8")
    up = tradelab("up", str(file), "--detach")
    assert up.returncode == 2
    assert "did you mean 'small'" in up.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(start: Start, number: signal.Signals) -> None:
    process = start()
    process.send_signal(number)
    assert process.wait(WAIT_S) == 0
    assert told()[-1][1] == "NodeStopped"
    assert not RunFolder("paper").socket.exists()


@pytest.mark.parametrize(("ill", "code"), [("hangs", 1), ("blocks", 3)])
def test_whatever_hangs_it_is_gone_in_time(start: Start, ill: str, code: int) -> None:
    process = start(TL_TEST_ILL=ill)
    time.sleep(1.0)  # until its loop is held up
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(WAIT_S) == code
    assert LAST_S < 10
    assert time.monotonic() - began < WAIT_S  # that it is under ten seconds on a free machine is what LAST_S says
    assert not RunFolder("paper").is_held


def test_killed_it_holds_nothing_and_the_next_start_goes_on_where_it_was(start: Start) -> None:
    events, seen = Handle("paper").events(0, patience_s=WAIT_S), []
    for _ in range(3):
        process = start(TL_TEST_TALK="200")
        until_seq = (seen[-1] if seen else 0) + 60
        while not seen or seen[-1] < until_seq:
            seen.append(next(events).seq)
        process.kill()
        process.wait()
        assert not RunFolder("paper").is_held
    start()
    last = Handle("paper").health()["seq"]
    while seen[-1] < last:
        seen.append(next(events).seq)
    events.close()  # type: ignore[attr-defined]
    assert seen == list(range(1, last + 1)) == [seq for seq, _ in told()]
    assert [kind for _, kind in told()].count("NodeStarted") == 4
    assert flaws() == []


def test_halted_and_killed_it_is_still_halted_when_it_comes_back(start: Start) -> None:
    process = start()
    answer = Handle("paper").command("halt", id="c-1", says="the market is mad")
    process.kill()
    process.wait()
    start()
    assert Handle("paper").snapshot()["state"] == "halted"
    assert Handle("paper").command("halt", id="c-1", says="the market is mad") == answer
    assert [kind for _, kind in told()].count("CommandReceived") == 1


_READER = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b"GET /events?after=0 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
sys.stdout.write("r" if s.recv(4096) else "?"); sys.stdout.flush()
while s.recv(4096): pass
"""


def test_a_hundred_kernels_killed_while_events_flow_change_nothing(start: Start) -> None:
    process = start(TL_TEST_TALK="100")
    path, killed = str(RunFolder("paper").socket), 0
    before = Handle("paper").health()
    events = Handle("paper").events(0)
    for _ in range(10):
        kernels = [
            subprocess.Popen([sys.executable, "-I", "-S", "-c", _READER, path], stdout=subprocess.PIPE)
            for _ in range(10)
        ]
        for kernel in kernels:
            assert kernel.stdout is not None
            assert kernel.stdout.read(1) == b"r"
            kernel.kill()
            killed += 1
        for kernel in kernels:
            kernel.communicate()
        next(events)
    assert killed == 100
    until("the readers' end", lambda: Handle("paper").health()["readers"] == 1)
    after = Handle("paper").health()
    assert after["ok"]
    assert (after["pid"], after["readers_cut"]) == (before["pid"], 0)
    assert after["seq"] > before["seq"] + 50
    seen = [next(events).seq for _ in range(50)]
    assert seen == list(range(seen[0], seen[0] + 50))
    events.close()  # type: ignore[attr-defined]
    process.terminate()
    assert process.wait(WAIT_S) == 0
    assert flaws() == []
    assert {kind for _, kind in told()} == {"NodeStarted", "BotStatusChanged", "AlarmRaised", "NodeStopped"}


def test_a_log_is_followed_through_its_rotation_until_ctrl_c(file: Path) -> None:
    folder = RunFolder("paper")
    folder.make()
    folder.log.write_text("before\n")
    following = subprocess.Popen(
        [*COMMAND, "logs", "paper", "-n", "1", "-f"],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert following.stdout is not None
    try:
        assert following.stdout.readline() == "before\n"
        with folder.log.open("a") as log:
            log.write('{"ts": "2024-01-01T00:00:00Z", "level": "info", "says": "one"}\n')
        assert following.stdout.readline() == "2024-01-01T00:00:00Z  info     one\n"
        folder.log.rename(folder.path / "daemon.log.1")
        folder.log.write_text("in the new file\n")
        assert following.stdout.readline() == "in the new file\n"
        following.send_signal(signal.SIGINT)
        assert following.wait(WAIT_S) == 0
    finally:
        following.kill()
        following.communicate()
