"""Keep compiled kernels on disk under a name that changes with their sources.

numba's ``cache=True`` watches a function's own file only: after an edit to a kernel in *another* file it serves stale
machine code (numba issue 1833, open since 2016). So the cache directory is named by a hash of every kernel source; an
edit anywhere means a new directory, and old ones are swept after a month.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

_SOURCES = (Path(__file__).parent,)
_STALE_AFTER_S = 30 * 24 * 3600


def kernel_stamp(*folders: Path) -> str:
    """Return twelve hex digits that change when any Python source below ``folders`` does, or this Python."""
    return hashlib.sha256(f"{sys.version} {source_stamp(*folders)}".encode()).hexdigest()[:12]


def source_stamp(*folders: Path) -> str:
    """The same of the sources alone: machine code calls nothing of Python's, so a wheel may bring it to any."""
    digest = hashlib.sha256()
    for folder in folders or _SOURCES:
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def cache_root() -> Path:
    """Where compiled kernels may live: ``TRADELAB_KERNEL_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("TRADELAB_KERNEL_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "tradelab" / "kernels"


def _sweep(root: Path, keep: tuple[str, ...]) -> None:
    """Delete what is stamped and was not used for a month; a folder in use elsewhere may vanish under us, and may."""
    limit = time.time() - _STALE_AFTER_S
    with contextlib.suppress(OSError):
        for folder in root.iterdir():
            if folder.name.startswith(keep) or folder.stat().st_mtime >= limit:
                continue
            if folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.suffix == ".zip":  # made ahead of time, for other sources
                folder.unlink()


@functools.cache
def stamped_numba() -> Any:
    """Import numba, its cache directed to this version of the kernels."""
    import numba

    base = Path(os.environ["NUMBA_CACHE_DIR"]) if "NUMBA_CACHE_DIR" in os.environ else cache_root()
    stamp = kernel_stamp()
    if base.name != stamp:
        base = base / stamp
    numba.config.CACHE_DIR = str(base)  # type: ignore[attr-defined]
    with contextlib.suppress(OSError):
        base.mkdir(parents=True, exist_ok=True)
        os.utime(base)
    _sweep(base.parent, (stamp, source_stamp()))
    return numba
