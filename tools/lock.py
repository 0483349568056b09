"""Pin every dependency: ``requirements.lock`` with hashes, and ``constraints.txt`` with the same pins and none.

The lock is what `make setup` installs; the constraints are for conda, whose single pip call cannot mix hashes with an
editable install. Neither names an index, a host or a path of the machine that made it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_COMPILE = (
    *("pip", "compile", "pyproject.toml", "--extra", "dev", "--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate"),
    *("--no-config", "--quiet"),
)


def without_hashes(lock: str) -> str:
    """Return the pins of ``lock``, one a line.

    >>> without_hashes("a==1 ; os_name == 'nt' \\\\\\n    --hash=sha256:0f\\nb==2 \\\\\\n    --hash=sha256:1e\\n")
    "a==1 ; os_name == 'nt'\\nb==2\\n"
    """
    return re.sub(r" \\\n(?: +--hash=\S+(?: \\)?\n)+", "\n", lock)


def main(arguments: list[str]) -> int:
    """Compile the lock; ``--upgrade`` takes the newest of everything, else what is pinned stays while it fits."""
    lock = ROOT / "requirements.lock"
    command = [sys.executable, "-m", "uv", *_COMPILE, "--output-file", lock.name, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
    if done.returncode == 0:
        (ROOT / "constraints.txt").write_text(without_hashes(lock.read_text(encoding="utf-8")), encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
