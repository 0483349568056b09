"""Keep a sweep in a folder, part by part, so that the same call after a kill goes on where it stood.

::

    runs/my_sweep/
        manifest.json            what is swept: hashes of bars, strategy and terms; written once, before the first row
        finished.json            how many combinations there were; written after the last row
        bars/<hash>.parquet      the bars themselves
        parts/<hash>.parquet     finished rows, each file named by its content and never changed
        lock                     held by whoever is writing

A part is written beside its place, flushed to the disk, and renamed: it is whole or it is not there. A row is in one
part at most, since only rows that no part has are ever computed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tradelab.catalog.frame import content_hash
from tradelab.model.errors import ConfigError, CorruptFileError, StorageError
from tradelab.research.columns import decode_axis, encode_axis, figures_from, figures_to
from tradelab.research.job import BarsFile, Job, Source
from tradelab.research.space import Axis, Space
from tradelab.research.sweep_run import Ledger

_FORM = 1
_FLUSH_S = 1.0
_FLUSH_SHARE = 0.01  # of the time so far: an hour makes a few hundred parts, and a kill loses a hundredth of the work


class Folder:
    """A sweep's folder, held by this process until ``close``.

    Parameters
    ----------
    path
        Of the folder; made when it is not there.
    manifest
        What is about to be swept; compared with what the folder holds already.

    Raises
    ------
    ConfigError
        The folder holds another sweep: other bars, another strategy, other terms, another search.
    StorageError
        Another process is writing to it, or it cannot be written.
    """

    def __init__(self, path: str | Path, manifest: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.manifest: dict[str, Any] = json.loads(json.dumps(manifest))
        self._begun = self._flushed = time.monotonic()
        self._waiting: list[np.ndarray] = []
        with telling("be made", self.path):
            for folder in (self.path, self.path / "bars", self.path / "parts"):
                folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.path / "lock")
        try:
            self._agree()
        except BaseException:
            self.close()
            raise

    def _agree(self) -> None:
        for left in self.path.rglob(".*.partial"):  # of a writer that was killed; nobody else writes here now
            left.unlink(missing_ok=True)
        there = self.path / "manifest.json"
        if there.exists():
            require_same(read_manifest(self.path), self.manifest, self.path)
        elif any((self.path / "parts").iterdir()):
            raise CorruptFileError(f"{os.fspath(self.path)!r} has parts and no manifest.", fix="Choose another path.")
        else:
            write_whole(there, (json.dumps(self.manifest, indent=1, ensure_ascii=False) + "\n").encode())

    def load(self, ledger: Ledger) -> None:
        """Enter every finished row in the ledger."""
        for name, table in read_parts(self.path):
            enter_part(name, table, ledger)

    def points(self, job: Job) -> dict[int, dict[str, Any]]:
        """Return the parameters of every finished row, as they were given."""
        rows, _, space, _ = read_done(self.path, self.manifest, job.dtype)
        return {row: space.point(at) for at, row in enumerate(rows.tolist())}

    def wait(self, rows: np.ndarray) -> bool:
        """Note finished rows; say whether it is time to write them down."""
        if len(rows):
            self._waiting.append(rows)
        now = time.monotonic()
        return now - self._flushed >= max(_FLUSH_S, _FLUSH_SHARE * (now - self._begun))

    def flush(self, job: Job, ledger: Ledger) -> None:
        """Write the rows that were noted as one part."""
        if self._waiting:
            rows = np.sort(np.concatenate(self._waiting))
            data = encode_part(job, ledger, rows, self.manifest["swept"])
            write_whole(self.path / "parts" / f"{hashlib.sha256(data).hexdigest()[:24]}.parquet", data)
            self._waiting.clear()
        self._flushed = time.monotonic()

    def finish(self, space: Space) -> None:
        """Note how many combinations were looked at, which an adaptive search knows at its end only."""
        counts = {"combinations": len(space), "total": space.total, "left_out": space.left_out}
        write_whole(self.path / "finished.json", json.dumps(counts).encode())

    def close(self) -> None:
        """Let the folder go."""
        self._lock.close()


def enter_part(name: str, table: pa.Table, ledger: Ledger) -> None:
    """Enter the rows of a part in the ledger.

    Raises
    ------
    CorruptFileError
        It has a row that another part has too, or that is none of this sweep.
    """
    rows = table["row"].to_numpy().astype(np.int64)
    if not len(rows) or rows.max() >= len(ledger.done) or ledger.done[rows].any():
        raise CorruptFileError(f"part {name} holds rows that are not its own.", fix="Choose another path.")
    ledger.put(rows, figures_from(table, ledger.figures.dtype))
    errors = table["error"].to_pylist()
    ledger.errors.update({row: said for row, said in zip(rows.tolist(), errors, strict=True) if said is not None})


class Done(NamedTuple):
    """The rows that a folder has, ascending: their numbers, figures, parameters, and errors or ``None``."""

    rows: np.ndarray
    figures: np.ndarray
    space: Space
    errors: list[str | None]


def read_done(path: Path, manifest: Mapping[str, Any], dtype: np.dtype) -> Done:
    """Read every finished row of a folder."""
    columns = {name: said["column"] for name, said in manifest["swept"].items()}
    tables = [table for _, table in read_parts(path)]
    if not tables:
        none = Space(tuple(Axis.of(name, []) for name in columns), 0, 0)
        return Done(np.zeros(0, np.int64), np.zeros(0, dtype), none, [])
    table = pa.concat_tables(tables).sort_by("row")
    axes = tuple(decode_axis(n, table[column], manifest["swept"][n]["kind"]) for n, column in columns.items())
    rows = table["row"].to_numpy().astype(np.int64)
    return Done(rows, figures_from(table, dtype), Space(axes, 0, 0), table["error"].to_pylist())


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what a folder says it holds, and what was noted when it was finished under ``finished``.

    Raises
    ------
    CorruptFileError
        It is no folder of a sweep, or of a later tradelab.
    """
    try:
        manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        form = manifest["form"]
        finished = path / "finished.json"
        manifest["finished"] = json.loads(finished.read_text(encoding="utf-8")) if finished.exists() else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFileError(
            f"{os.fspath(path)!r} is not the folder of a sweep: {error}.", fix="Give the path= of a sweep."
        ) from error
    if form > _FORM:
        raise CorruptFileError(f"{os.fspath(path)!r} was written by a later tradelab.", fix="Update tradelab.")
    return manifest


def require_same(there: Mapping[str, Any], ours: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with another sweep, saying in which way it is another."""
    reasons = []
    if there["engine"] != ours["engine"]:
        reasons.append(
            f"tradelab was {there['tradelab']} ({there['engine']}), is {ours['tradelab']} ({ours['engine']})"
        )
    for what in ("strategy", "fixed", "swept", "search", "blocks"):
        old, new = there[what], ours[what]
        if isinstance(old, dict):
            names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            reasons += [f"{what} {name} was {_said(old.get(name))}, is {_said(new.get(name))}" for name in names]
        elif old != new:
            reasons.append(f"{what} was {_said(old)}, is {_said(new)}")
    old_bars, new_bars = ({_account(s): s["files"] for s in m["bars"]} for m in (there, ours))
    for account in {**old_bars, **new_bars}:
        if old_bars.get(account) != new_bars.get(account):
            reasons.append(f"the bars of {account or 'this sweep'} are other ones")
    if reasons or {name: said for name, said in there.items() if name != "finished"} != dict(ours):
        raise ConfigError(
            f"{os.fspath(path)!r} holds another sweep: {'; '.join(reasons) or 'its manifest differs'}.",
            fix="Choose another path, or make the call as it was.",
        )


def _account(source: Mapping[str, Any]) -> str:
    return " ".join(part for part in (source["symbol"], source["timeframe"]) if part)


def _said(value: Any) -> str:
    if value is None:
        return "absent"
    return str(value.get("says", value)) if isinstance(value, dict) else str(value)


def read_parts(path: Path) -> Iterator[tuple[str, pa.Table]]:
    """Return every part of a folder, each held against the hash in its name.

    Raises
    ------
    CorruptFileError
        A part is not what was written.
    """
    for file in sorted((path / "parts").glob("*.parquet")):
        data = file.read_bytes()
        if not hashlib.sha256(data).hexdigest().startswith(file.stem):
            raise CorruptFileError(
                f"part {file.name} of {os.fspath(path)!r} is damaged.", fix="Delete it; its rows are computed again."
            )
        yield file.name, pq.read_table(pa.BufferReader(data))


def encode_part(job: Job, ledger: Ledger, rows: np.ndarray, swept: Mapping[str, Any]) -> bytes:
    """Return rows as the bytes of a Parquet file: row, account, parameters, figures, block sums, error."""
    accounts = [job.source(row) for row in rows.tolist()]
    columns: dict[str, Any] = {"row": pa.array(rows)}
    for label in ("symbol", "timeframe"):
        if getattr(accounts[0], label):
            columns[label] = pa.array([getattr(account, label) for account in accounts])
    for axis in job.space.take(rows % job.size).axes:
        columns[swept[axis.name]["column"]] = encode_axis(axis, swept[axis.name]["kind"])
    columns |= figures_to(ledger.figures[rows])
    columns["error"] = pa.array([ledger.errors.get(row) for row in rows.tolist()], pa.string())
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def bars_said(sources: tuple[Source, ...]) -> list[dict[str, Any]]:
    """Return what a manifest says of the bars: each account's labels, and the content hash of each instrument."""
    return [
        {
            "symbol": source.symbol,
            "timeframe": source.timeframe,
            "files": [[symbol, content_hash(frame)] for symbol, frame in source.open().frames.items()],
        }
        for source in sources
    ]


def bars_from(said: list[dict[str, Any]], folder: Path) -> tuple[Source, ...]:
    """Return the accounts whose bars lie in a folder."""
    return tuple(
        Source(
            account["symbol"],
            account["timeframe"],
            None,
            tuple(BarsFile(s, os.fspath(_bars_file(folder, sha).absolute()), sha) for s, sha in account["files"]),
        )
        for account in said
    )


def write_bars(sources: tuple[Source, ...], said: list[dict[str, Any]], folder: Path) -> tuple[Source, ...]:
    """Write the bars of each account to files named by their content, and return the accounts that know them."""
    for source, account in zip(sources, said, strict=True):
        for symbol, digest in account["files"]:
            path = _bars_file(folder, digest)
            if not path.exists():
                write_whole(path, source.open().frames[symbol].to_parquet(None))
    pairs = zip(sources, bars_from(said, folder), strict=True)
    return tuple(replace(source, files=on_disk.files) for source, on_disk in pairs)


def _bars_file(folder: Path, digest: str) -> Path:
    return folder / f"{digest[:24]}.parquet"


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in its place whole, flushed to the disk, or not at all."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    with telling("be written", path):
        try:
            with partial.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def telling(what: str, path: Path) -> Iterator[None]:
    """Turn a failure of the disk into an error that says what could not be done to which path."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{os.fspath(path)!r} could not {what}: {error.strerror or error}.", fix="Make room or allow writing there."
        ) from error


def _lock(path: Path) -> IO[bytes]:
    """Hold a file that no other process can hold at the same time; a kill lets it go."""
    with telling("be opened", path):
        stream = path.open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise StorageError(
            f"another process is writing to {os.fspath(path.parent)!r}.", fix="Wait for it, or choose another path."
        ) from error
    return stream
