"""Keep a result in one file, whole or not at all, and read it back as it was."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tradelab.engine.simulate import Run
from tradelab.model.errors import CorruptFileError, StorageError
from tradelab.research.record import Outcome, Record

_FORM = 2  # of the file; a reader refuses a later one
_ARRAYS = ("orders", "equity", "cash", "gross", "qty", "carry")


def save(result: Record, path: Path) -> Path:
    """Write a result as a zip of Parquet bars, NumPy arrays and a JSON card.

    Raises
    ------
    StorageError
        The file cannot be written; nothing is left behind.
    """
    card = {
        "form": _FORM,
        "symbols": result.symbols,
        "settings": result.settings,
        "strategy": result.strategy,
        "parameters": result.parameters,
        "calendar": result.calendar,
        "ruined": result.ruined,
    }
    run = result.outcome.run
    arrays = {name: getattr(run, name) for name in _ARRAYS}
    arrays |= {"trades": result.outcome.trades, "benchmark": result.benchmark, "index": result.index.asi8}
    scratch = path.with_name(path.name + ".partial")
    try:
        with zipfile.ZipFile(scratch, "w") as box:
            box.writestr("card.json", json.dumps(card, indent=1))
            box.writestr("arrays.npz", _packed(arrays))
            for k, frame in enumerate(result.frames.values()):
                box.writestr(f"bars/{k}.parquet", frame.to_parquet(None))
        scratch.replace(path)
    except OSError as error:
        raise StorageError(
            f"result could not be written to {os.fspath(path)!r}: {error.strerror}.",
            fix="Choose a folder that exists and has room.",
        ) from error
    finally:
        scratch.unlink(missing_ok=True)
    return path


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # the stubs take the names for allow_pickle
    return buffer.getvalue()


def read(path: str | Path) -> dict[str, Any]:
    """Read the fields of a ``Record`` that ``save`` wrote.

    Raises
    ------
    CorruptFileError
        There is no such file, or it is not one of ours, whole.
    """
    try:
        with zipfile.ZipFile(path) as box:
            card: dict[str, Any] = json.loads(box.read("card.json"))
            with np.load(io.BytesIO(box.read("arrays.npz"))) as packed:
                arrays = {name: packed[name] for name in packed.files}
            frames = {
                symbol: pd.read_parquet(io.BytesIO(box.read(f"bars/{k}.parquet")))
                for k, symbol in enumerate(card["symbols"])
            }
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise CorruptFileError(
            f"{os.fspath(path)!r} is not a saved result: {error}.", fix="Give a file that Result.save wrote."
        ) from error
    if card["form"] > _FORM:
        raise CorruptFileError(f"{os.fspath(path)!r} was written by a later tradelab.", fix="Update tradelab.")
    run = Run(**{name: arrays[name] for name in _ARRAYS}, ruined=card["ruined"])
    return {
        "frames": frames,
        "index": pd.DatetimeIndex(arrays["index"].view("M8[ns]"), tz="UTC", name="time"),
        "outcome": Outcome(run, arrays["trades"]),
        "settings": card["settings"],
        "strategy": card["strategy"],
        "parameters": card["parameters"],
        "benchmark": arrays["benchmark"],
        "calendar": card["calendar"],
    }
