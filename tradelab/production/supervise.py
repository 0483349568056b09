"""Watch one worker process from outside: its progress, its log, its deadline, its end.

Whatever happens, nothing of it is left running: the worker and the kernel each lead a process group, and both groups
are killed before `Watch.run` returns.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tradelab.report.safety import redact

_GRACE_S = 10.0


@dataclass(slots=True)
class Watched:
    """What a watched worker came to."""

    outcome: str = "crashed"
    end: dict[str, Any] | None = None
    exit_status: int | None = None


class Watch:
    """Start a worker for ``job`` and follow it.

    Parameters
    ----------
    job
        notebook, output, parameters: what the worker reads from its standard input.
    log
        Where its output goes, redacted line by line.
    secrets
        Values that neither the log nor the notebook may hold.
    timeout_s
        Longest time for the whole run, None for no limit.
    on_cell
        Called with the number of the cell that starts.
    """

    def __init__(
        self,
        job: dict[str, Any],
        log: Path,
        secrets: tuple[str, ...],
        timeout_s: float | None,
        on_cell: Callable[[int], None],
    ) -> None:
        self.job, self.log, self.secrets, self.timeout_s, self.on_cell = job, log, secrets, timeout_s, on_cell
        self.result = Watched()
        self.kernel_pid: int | None = None
        self.why: str | None = None  # "timed_out" or "stopped", once we asked the worker to end
        self.deadline = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        self.pieces: dict[str, bytes] = {"events": b"", "log": b""}

    def run(self) -> Watched:
        """Block until the worker is gone; return what it came to."""
        events, theirs = os.pipe()
        environment = {**os.environ, "PLOTLY_RENDERER": "plotly_mimetype", "PYTHONUNBUFFERED": "1"}
        environment |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "JUPYTER_PLATFORM_DIRS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-m", "tradelab.production.worker", str(theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[theirs],
            start_new_session=True,
            env=environment,
        )
        os.close(theirs)
        try:
            with self.log.open("w", encoding="utf-8") as log, _bell() as bell:
                self._send_job(process)
                self._follow(process, events, bell, log)
        finally:
            self._end(process)
            os.close(events)
        self._judge()
        return self.result

    def _send_job(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write((json.dumps({**self.job, "secrets": self.secrets}) + "\n").encode())
            process.stdin.flush()

    def _follow(self, process: subprocess.Popen[bytes], events: int, bell: int, log: Any) -> None:
        assert process.stdout is not None
        output = process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(events, selectors.EVENT_READ, "events")
            selector.register(output, selectors.EVENT_READ, "log")
            selector.register(bell, selectors.EVENT_READ, "bell")
            speaking = True
            while speaking:
                wait = max(0.0, min(self.deadline - time.monotonic(), 60.0))
                for key, _ in selector.select(wait):
                    chunk = os.read(key.fd, 65536)
                    if key.data == "bell":
                        self._ask_to_end(process, "stopped")
                    elif key.data == "log":
                        self._write_log(chunk, log)
                        if not chunk:
                            selector.unregister(output)
                    else:
                        self._hear(chunk)
                        speaking = bool(chunk)
                if time.monotonic() >= self.deadline:
                    if self.why:  # asked already, and the grace is over
                        return
                    self._ask_to_end(process, "timed_out")
            process.wait(timeout=_GRACE_S)
            self._drain(output, log)

    def _ask_to_end(self, process: subprocess.Popen[bytes], why: str) -> None:
        if self.why is None:
            self.why = why
            self.deadline = time.monotonic() + _GRACE_S
            process.send_signal(signal.SIGTERM)

    def _drain(self, output: int, log: Any) -> None:
        """Read what the dead worker left in its pipe; a stray child may hold the other end, so never wait for it."""
        os.set_blocking(output, False)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(output, 65536):
                self._write_log(chunk, log)
        self._write_log(b"", log)

    def _lines(self, stream: str, chunk: bytes) -> Iterator[bytes]:
        whole = self.pieces[stream] + (chunk or b"\n" * bool(self.pieces[stream]))
        *lines, self.pieces[stream] = whole.split(b"\n")
        yield from lines

    def _write_log(self, chunk: bytes, log: Any) -> None:
        for line in self._lines("log", chunk):
            log.write(redact(line.decode("utf-8", "replace"), self.secrets) + "\n")
        log.flush()

    def _hear(self, chunk: bytes) -> None:
        for line in self._lines("events", chunk):
            event = json.loads(line)
            if event["event"] == "kernel":
                self.kernel_pid = event["pid"]
            elif event["event"] == "cell":
                self.on_cell(event["cell"])
            else:
                self.result.end = event

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        for leader in (process.pid, self.kernel_pid):
            if leader:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(leader, signal.SIGKILL)
        self.result.exit_status = process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _judge(self) -> None:
        end = self.result.end
        if end and end["outcome"] == "succeeded":
            self.result.outcome = "succeeded"  # it was done before we could stop it
        else:
            self.result.outcome = self.why or (end["outcome"] if end else "crashed")


@contextlib.contextmanager
def _bell() -> Iterator[int]:
    """Turn SIGINT and SIGTERM into a readable file descriptor while we watch; only the main thread can."""
    ear, mouth = os.pipe()
    os.set_blocking(mouth, False)

    def ring(_number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(mouth, b"!")

    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, ring) for number in (signal.SIGINT, signal.SIGTERM)} if mine else {}
    try:
        yield ear
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(ear)
        os.close(mouth)
