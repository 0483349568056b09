"""Run one engine in a process of its own: one JSON line in, one JSON line out, the stop-watch in here.

Started as ``python bench/peers/worker.py ENGINE`` by an interpreter that has the engine; needs numpy only. Whatever a
library prints goes to stderr; the answers have the real stdout to themselves.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any


def peak_mb() -> float:
    """Peak resident memory of this process and of its largest child, MB.

    Linux keeps in ``ru_maxrss`` what the parent weighed before exec, so ``VmHWM`` is read where there is one.
    """
    try:
        import resource
    except ImportError:  # Windows keeps no such record
        return float("nan")
    unit = 1024.0 if sys.platform != "darwin" else 1.0
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        own = next((float(line.split()[1]) * 1024.0 for line in lines if line.startswith("VmHWM")), own)
    return (own + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit) / 1e6


class Session:
    """What one worker knows between two lines."""

    def __init__(self, engine: str) -> None:
        self.engine = importlib.import_module(f"engines.{engine}")
        self.run: Any = None

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what one line asks: ``prepare`` a case, run it for its ``figures``, or time one ``round``."""
        doing = asked["do"]
        if doing == "prepare":
            self.run = self.engine.prepare(asked["case"])
            return {}
        gc.collect()
        began = time.perf_counter()
        outcome = self.run()
        spent = time.perf_counter() - began
        found = {"seconds": spent, "peak_mb": peak_mb()}
        if doing == "figures":
            found["figures"] = self.engine.figures(outcome)
        return found


def main() -> None:
    """Answer until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    warnings.simplefilter("ignore")

    def say(words: dict[str, Any]) -> None:
        answers.write(json.dumps(words) + "\n")

    session = None
    for line in sys.stdin:
        try:
            if session is None:
                session = Session(sys.argv[1])
            say(session.answer(json.loads(line)))
        except Exception as error:  # noqa: BLE001 - whatever it is becomes a row that says so
            traceback.print_exc()
            say({"error": f"{type(error).__name__}: {error}"[:300]})
    answers.close()
    os._exit(0)  # some engines keep threads that would outlive the last answer


if __name__ == "__main__":
    main()
