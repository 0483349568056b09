"""Start, ask and end the worker processes; a worker that dies or is too slow is an answer, not a crash."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from peers import environments
from peers.environments import Environment

_WORKER = Path(__file__).parent / "worker.py"
_LOGS = environments.HOME / "logs"
_QUIET = {"RAPTORBT_NO_VERSION_CHECK": "1", "MPLBACKEND": "Agg", "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}


class Gone(Exception):  # noqa: N818 - a worker that is gone
    """The worker cannot answer; the message says why in words fit for a row."""


class Worker:
    """One engine in a process of its own.

    Parameters
    ----------
    environment
        Whose interpreter to start.
    engine
        The module of ``engines`` it runs.
    cache
        Folder of numba's compiled code; by default the environment's own, which is warm after the first use.
    more
        Further variables of its environment.
    """

    def __init__(
        self, environment: Environment, engine: str, cache: Path | None = None, more: dict[str, str] | None = None
    ) -> None:
        self.began = time.perf_counter()
        self.name = environment.name
        cache = cache or environments.HOME / "numba" / environment.name
        home = environments.HOME / "scratch" / environment.name  # where an engine may leave its files
        for folder in (cache, home, _LOGS):
            folder.mkdir(parents=True, exist_ok=True)
        self._log = (_LOGS / f"{environment.name}.log").open("a", encoding="utf-8")
        self._process = subprocess.Popen(
            [str(environment.python), str(_WORKER), engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=home,
            env=environments.clean({**_QUIET, "NUMBA_CACHE_DIR": str(cache), **(more or {})}),
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, doing: str, timeout_s: float, **more: Any) -> dict[str, Any]:
        """Send one line and return the answer.

        Raises
        ------
        Gone
            The worker failed, died or did not answer in time; it is ended then.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what it died of is told below
            self._process.stdin.write(json.dumps({"do": doing, **more}) + "\n")
            self._process.stdin.flush()
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            self.close(kill=True)
            raise Gone(f"no answer within {timeout_s:.0f} s") from None
        if not line:
            code = self._process.wait()
            self.close()
            raise Gone(f"its process died ({'signal ' + str(-code) if code < 0 else 'exit code ' + str(code)})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            self.close()
            raise Gone(answer["error"])
        return answer

    def close(self, *, kill: bool = False) -> None:
        """End the process: by closing its stdin, or at once."""
        if kill:
            self._process.kill()
        with contextlib.suppress(BrokenPipeError, ValueError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")


def cold(
    environment: Environment, engine: str, case: dict[str, Any], *, empty: bool, timeout_s: float, more: dict[str, str]
) -> dict:
    """Start a process, have it answer one case once, and return the wall seconds from start to the answer.

    Parameters
    ----------
    empty
        With an empty numba cache, made for this process and thrown away; else with the environment's own.
    more
        Further variables of its environment.
    """
    with tempfile.TemporaryDirectory(dir=environments.HOME) as folder:
        worker = Worker(environment, engine, Path(folder) if empty else None, more)
        try:
            worker.ask("prepare", timeout_s, case=case)
            answer = worker.ask("round", timeout_s)
            return {"seconds": time.perf_counter() - worker.began, "peak_mb": answer["peak_mb"]}
        finally:
            worker.close()


def machine() -> dict[str, str]:
    """Processor, cores and memory, in general words."""
    model, memory = "unknown processor", ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
        total = Path("/proc/meminfo").read_text(encoding="utf-8").split()[1]
        memory = f", {int(total) / 1024**2:.0f} GiB of memory"
    return {
        "machine": f"{model}, {os.cpu_count()} cores{memory}",
        "system": f"{sys.platform}, Python {sys.version.split()[0]}",
    }
