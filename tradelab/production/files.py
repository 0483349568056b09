"""Write files that are whole or absent: a temporary one beside the target, then a rename."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

from tradelab.model.errors import CorruptFileError, StorageError


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` in one step; a reader sees the old text or the new, never a part.

    Half a character (a lone surrogate, which a notebook may print) is written as its escape, which JSON reads back.

    Raises
    ------
    StorageError
        The disk is full or the folder is not writable; the old file stands.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StorageError(
            f"{path.name} could not be written: {error}.", fix="Make room or allow writing there."
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by indented JSON, in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_notebook(path: Path) -> dict[str, Any]:
    """Return a notebook's JSON without starting Jupyter.

    Raises
    ------
    CorruptFileError
        The file is not a version 4 notebook.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorruptFileError(
            f"{path.name} is not a notebook: {error}.", fix="Open it in JupyterLab and save it."
        ) from error
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4 or not isinstance(notebook.get("cells"), list):
        raise CorruptFileError(f"{path.name} is not a version 4 notebook.", fix="Open it in JupyterLab and save it.")
    return notebook


def source_of(cell: dict[str, Any]) -> str:
    """Text of a cell; nbformat allows a string or a list of lines."""
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def tags_of(cell: dict[str, Any]) -> list[str]:
    """Tags of a cell."""
    return list(cell.get("metadata", {}).get("tags", []))


def own_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Cells a person wrote: not those papermill puts in for parameters and errors."""
    added = {"injected-parameters", "papermill-error-cell-tag"}
    return [cell for cell in notebook["cells"] if not added & set(tags_of(cell))]
