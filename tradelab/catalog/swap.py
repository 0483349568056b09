"""Exchange a series' segments inside one transaction, and leave no new file behind if it fails."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import numpy as np

from tradelab.catalog import segments
from tradelab.catalog.block import Block, merge
from tradelab.catalog.segments import Segment
from tradelab.catalog.series import Key
from tradelab.model.errors import CorruptFileError

_COLUMNS = "period, name, first_ns, last_ns, rows, sha256, size"


class Swap:
    """The segments that one transaction makes and retires for one series."""

    def __init__(self, connection: sqlite3.Connection, root: Path, series: int, key: Key) -> None:
        self._connection = connection
        self._root = root
        self._series = series
        self._key = key
        self._made: list[str] = []
        self.written = 0

    def put(self, period: int, block: Block) -> int:
        """Merge ``block`` into the period's segment, as a new file; return how many stored bars it changed."""
        old = next(iter(find(self._connection, self._series, period=period)), None)
        merged, changed = merge(load_named(self._root, old), block) if old else (block, 0)
        self._store(period, merged, old)
        return changed

    def cut(self, before_ns: int) -> int:
        """Take out every bar that opened before ``before_ns``; return how many.

        A segment that reaches across is made anew of the bars that stay.
        """
        taken = 0
        for old in find(self._connection, self._series, end_ns=before_ns):
            if old.last_ns < before_ns:
                self._connection.execute("delete from segments where series=? and period=?", (self._series, old.period))
                retire(self._connection, old.name)
                taken += old.rows
            else:
                rest = load_named(self._root, old).between(before_ns, 2**63 - 1)
                self._store(old.period, Block(rest.time, np.ascontiguousarray(rest.values)), old)
                taken += old.rows - len(rest)
        return taken

    def _store(self, period: int, block: Block, old: Segment | None) -> None:
        new, made = segments.store(self._root, self._key, period, block)
        if made:
            self._made.append(new.name)
        if old and old.name == new.name:
            return
        if old:
            retire(self._connection, old.name)
        self._connection.execute("delete from retired where name=?", (new.name,))
        self._connection.execute(
            f"insert or replace into segments (series, {_COLUMNS}) values (?,?,?,?,?,?,?,?)",
            (self._series, new.period, new.name, new.first_ns, new.last_ns, new.rows, new.sha256, new.size),
        )
        self.written += 1

    def undo(self) -> None:
        """Remove the files this swap made; the caller's transaction has been or will be rolled back."""
        for name in self._made:
            (self._root / name).unlink(missing_ok=True)


def find(
    connection: sqlite3.Connection,
    series: int,
    *,
    period: int | None = None,
    start_ns: int = -(2**63),
    end_ns: int = 2**63 - 1,
) -> list[Segment]:
    """Return the segments of a series that overlap a range, in order of time."""
    rows = connection.execute(
        f"select {_COLUMNS} from segments where series=? and last_ns>=? and first_ns<? and (? is null or period=?) "
        "order by period",
        (series, start_ns, end_ns, period, period),
    )
    return [Segment(*row) for row in rows]


def retire(connection: sqlite3.Connection, name: str) -> None:
    """Note that a file is no longer named by the catalogue; readers may still be on it, so it stays a while."""
    connection.execute("insert or replace into retired values (?, ?)", (name, time.time()))


def load_named(root: Path, segment: Segment) -> Block:
    """Read a segment that the catalogue names now; its absence is damage, not a swap."""
    try:
        return segments.load(root, [segment])
    except FileNotFoundError as error:
        raise missing(segment) from error


def missing(segment: Segment) -> CorruptFileError:
    """Say that the catalogue names a file that is not there."""
    return CorruptFileError(f"segment {segment.name} is missing from the catalog's folder.", fix=segments.REPAIR)


def sweep(connection: sqlite3.Connection, root: Path, grace_s: float) -> int:
    """Unlink retired files past their grace, and files that no catalogue row names; the caller holds the writer's lock.

    Writers make files only under that lock, so an unnamed file is what a killed writer left.
    """
    live = {name for (name,) in connection.execute("select name from segments")}
    retired = dict(connection.execute("select name, retired_s from retired").fetchall())
    kept = live | {name for name, since in retired.items() if time.time() - since < grace_s}
    removed = 0
    for path in (root / "segments").rglob("*"):
        if path.suffix in (".parquet", ".part") and path.relative_to(root).as_posix() not in kept:
            path.unlink(missing_ok=True)
            removed += 1
    connection.executemany("delete from retired where name=?", [(name,) for name in retired if name not in kept])
    return removed
