"""A daemon whose credentials are sealed with a passphrase is started by who types it; nothing keeps what was typed."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.canary import new_canary, traces
from tests.house.tree import ROOT
from tests.unit.app.test_daemon import WAIT_S, until
from tests.unit.app.test_up import FILE
from tests.unit.app.venue_beside import KEY, make_home, venue_beside
from tradelab.app import connections as service
from tradelab.app.handle import Handle
from tradelab.app.run_folder import RunFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a pseudo-terminal here")


@pytest.fixture
def phrase() -> str:
    """A passphrase of this test's own: the session's secret is in every child's environment, to be looked for."""
    return new_canary()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: str, phrase: str) -> Iterator[Path]:
    """A node's file whose connection is sealed with a passphrase that is nowhere but in this test."""
    make_home(tmp_path / "home", monkeypatch)
    monkeypatch.delenv("TRADELAB_KEY")
    with venue_beside(canary) as venue:
        with service.records(who="ada", ask=lambda _: phrase) as kept:
            service.add_connection(
                kept, "main", "binance", purposes=["data", "execution"], account_kind="rehearsal",
                settings={"base_url": venue.url, "symbols": ["BTC/USDT"]},
                credentials={"api_key": KEY, "api_secret": canary},
            )  # fmt: skip
            service.in_own_loop(lambda: service.test_connection(kept, "main"))
            kept.activate("main")
        path = tmp_path / "rehearsed.toml"
        path.write_text(FILE.partition("[daemon]")[0], encoding="utf-8")
        yield path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tradelab", *words]


def typed(answer: str, *words: str) -> tuple[int, str]:
    """Run a command on a terminal, type an answer when it asks, and return its exit code and what was seen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*words), cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen, end, has_typed = b"", time.monotonic() + WAIT_S * 2, False
    try:
        while time.monotonic() < end:
            readable, _, _ = select.select([ours], [], [], 0.1)
            if readable:
                try:
                    seen += os.read(ours, 4096)
                except OSError:  # the terminal is closed: everybody who had it has ended
                    break
            elif process.poll() is not None:
                break
            if not has_typed and b"Passphrase" in seen:
                os.write(ours, answer.encode() + b"\n")
                has_typed = True
    finally:
        os.close(ours)
    return process.wait(WAIT_S), seen.decode(errors="replace")


@contextmanager
def ended() -> Iterator[None]:
    """Let no daemon outlive the block."""
    try:
        yield
    finally:
        left = RunFolder("rehearsed").address() if RunFolder("rehearsed").is_held else None
        if left is not None:
            os.kill(left.pid, signal.SIGKILL)


def nowhere(phrase: str, folder: Path, said: str, pid: int | None = None) -> None:
    """Look for the passphrase in every file, in what was said, and in what the system shows of the process."""
    places = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()} | {"said": said.encode()}
    proc = Path(f"/proc/{pid}")
    if pid is not None and proc.is_dir():
        places |= {name: (proc / name).read_bytes() for name in ("cmdline", "environ")}
    for where, content in places.items():
        assert [(where, coding) for coding, trace in traces(phrase).items() if trace in content] == []


def test_the_passphrase_is_asked_for_before_the_daemon_lets_go_of_the_terminal(
    file: Path, phrase: str, tmp_path: Path
) -> None:
    with ended():
        code, seen = typed(phrase, "up", str(file), "--detach")
        assert code == 0, seen
        assert seen.count("Passphrase for credentials") == 1
        address = RunFolder("rehearsed").address()
        assert address is not None
        live = Handle("rehearsed")
        until("agreement with the venue", lambda: not live.snapshot()["accounts"]["main"]["reconciling"])
        nowhere(phrase, tmp_path, seen, address.pid)
        again, seen = typed(phrase, "up", str(file), "--detach")
        assert (again, "runs already" in seen, "Passphrase" in seen) == (2, True, False)


def test_a_wrong_passphrase_is_refused_where_it_was_typed_and_nothing_is_started(file: Path, tmp_path: Path) -> None:
    with ended():
        code, seen = typed("something else entirely", "up", str(file), "--detach")
        assert code == 2
        assert "the passphrase is not what they were sealed with" in " ".join(seen.split())
        assert not RunFolder("rehearsed").is_held
        nowhere("something else entirely", tmp_path, seen)


def test_without_a_terminal_it_is_read_from_standard_input(file: Path, phrase: str, tmp_path: Path) -> None:
    with ended():
        told = subprocess.run(
            command("up", str(file), "--detach", "--passphrase-stdin"), cwd=ROOT, input=phrase + "\n",
            capture_output=True, text=True, check=False, timeout=WAIT_S * 2,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        address = RunFolder("rehearsed").address()
        assert address is not None
        nowhere(phrase, tmp_path, told.stdout + told.stderr, address.pid)


def test_without_anybody_to_ask_it_says_what_to_do(file: Path) -> None:
    told = subprocess.run(
        command("up", str(file), "--detach"), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=WAIT_S * 2,
    )  # fmt: skip
    assert told.returncode == 2
    assert "they were sealed with a passphrase. Set TRADELAB_PASSPHRASE, or" in told.stderr
    assert "--passphrase-stdin" in told.stderr
