"""Write bars to a file for other tools, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tradelab.catalog.database import failures
from tradelab.model.errors import UnknownNameError

_WRITERS = {
    ".csv": lambda bars, path: bars.to_csv(path, date_format="%Y-%m-%dT%H:%M:%SZ"),
    ".csv.gz": lambda bars, path: bars.to_csv(path, date_format="%Y-%m-%dT%H:%M:%SZ", compression="gzip"),
    ".parquet": lambda bars, path: bars.reset_index().to_parquet(path, index=False),
    ".json": lambda bars, path: bars.reset_index().to_json(path, orient="records", date_format="iso"),
}


def write_file(bars: pd.DataFrame, path: Path) -> None:
    """Write canonical bars; the ending names the format: ``.csv``, ``.csv.gz``, ``.parquet`` or ``.json``.

    Raises
    ------
    UnknownNameError
        Another ending.
    StorageError
        No room, or not writable; a file that was there before is unchanged.
    """
    ending = next((e for e in sorted(_WRITERS, key=len, reverse=True) if path.name.lower().endswith(e)), None)
    if ending is None:
        raise UnknownNameError.of("file format", path.suffix, _WRITERS)
    part = path.with_name(f".{path.name}.part")
    plain = bars.copy(deep=False)
    plain.attrs = {}
    with failures(path.parent, f"write {path.name}"):
        try:
            _WRITERS[ending](plain, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
