"""Say what a run ran on: Python, packages, platform, git revision and lock file."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

_HEADLINE = ("tradelab", "numpy", "pandas", "numba", "plotly", "papermill", "ccxt", "vectorbt")


def environment(folder: Path) -> dict[str, Any]:
    """Describe this Python and the project in ``folder``; holds no path and no name of the machine."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": _packages(),
        "git": git_state(folder),
        "requirements_lock_sha256": _lock_hash(folder),
    }


def headline_versions(found: dict[str, Any]) -> dict[str, str]:
    """Python and the packages a result depends on most, from what `environment` returned."""
    packages = found["packages"]
    return {"python": found["python"]} | {name: packages[name] for name in _HEADLINE if name in packages}


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the revision ``folder`` is at, and whether it has uncommitted changes; None outside git."""
    revision = _git(folder, "rev-parse", "HEAD")
    if revision is None:
        return None
    return {"revision": revision, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _packages() -> dict[str, str]:
    found = {dist.name.lower(): dist.version for dist in metadata.distributions() if dist.name}
    return dict(sorted(found.items()))


def _lock_hash(folder: Path) -> str | None:
    root = _git(folder, "rev-parse", "--show-toplevel")
    lock = (Path(root) if root else folder) / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None
