"""Put a finished page in its place on disk: whole, or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tradelab.model.errors import StorageError


def replace_page(path: Path, text: str) -> Path:
    """Write beside the file, then put it in its place in one step, and return its path.

    Raises
    ------
    StorageError
        The file cannot be written; what was there before is still there.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise StorageError(
            f"the report could not be written to {os.fspath(path)!r}: {error.strerror}.",
            fix="Choose a folder that exists, can be written to and has room.",
        ) from error
    return path
