"""Measure what starting costs: `import tradelab` (goal: 0.3 s at most) and `tradelab --help`, bytecode compiled."""

from __future__ import annotations

import compileall
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = 15


def seconds(*arguments: str) -> float:
    """Median wall time of a fresh interpreter with ``arguments``, after one run that fills the disk cache."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    taken = []
    for _ in range(RUNS + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, env=env, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def main() -> None:
    """Print the medians of a bare interpreter, of the import and of the command line."""
    compileall.compile_dir(ROOT / "tradelab", quiet=1)
    for label, arguments in {
        "python -c pass": ("-c", "pass"),
        "import tradelab": ("-c", "import tradelab"),
        "tradelab --help": ("-m", "tradelab", "--help"),
    }.items():
        print(f"{label:<16} {seconds(*arguments):.3f} s   (median of {RUNS} fresh interpreters)")


if __name__ == "__main__":
    main()
