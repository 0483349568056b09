"""Note when a series was last used, without a lock and at most once an hour: the age of an empty file of its name.

Retention by last use needs this and nothing else does. It is no row in the catalogue, because a read must never wait
for a writer. Where the disk cannot be written to, the use goes unnoted and the read goes on.
"""

from __future__ import annotations

import functools
import os
import time
from pathlib import Path

from tradelab.catalog.segments import folder_of
from tradelab.catalog.series import Key

_EVERY_S = 3600.0


def mark(root: Path, key: Key) -> None:
    """Note that a series is being used: bars read from it or written to it."""
    path = _file(root, key)
    try:
        if time.time() - path.stat().st_mtime >= _EVERY_S:
            os.utime(path)
    except FileNotFoundError:
        _begin(path)
    except OSError:
        return  # a read-only disk, or somebody else's folder: what was asked for matters more than this note


def last_use(root: Path, key: Key) -> float | None:
    """Return when a series was last used, in seconds since 1970, or ``None`` when nothing was ever noted."""
    try:
        return _file(root, key).stat().st_mtime
    except OSError:
        return None


def forget(root: Path, key: Key) -> None:
    """Remove the note of a series that is no more."""
    _file(root, key).unlink(missing_ok=True)


def _begin(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError:
        return  # as above


@functools.lru_cache(maxsize=4096)
def _file(root: Path, key: Key) -> Path:
    return root / folder_of(*key, below="used")
