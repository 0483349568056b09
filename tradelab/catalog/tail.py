"""Keep live bars in SQLite until they are compacted: a forming bar is replaced, a closed one stays closed."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tradelab.catalog.block import Block, of_rows
from tradelab.model.units import Timeframe

_COLUMNS = "time_ns, open, high, low, close, volume"


class BarRow(NamedTuple):
    """One bar of one series on its way into the catalog."""

    source: str
    symbol: str
    timeframe: Timeframe
    time_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float = math.nan
    closed: bool = True

    @property
    def values(self) -> tuple[float, ...]:
        return self.open, self.high, self.low, self.close, self.volume


@dataclass(frozen=True, slots=True)
class AppendCount:
    """What became of appended bars."""

    added: int = 0
    updated: int = 0  # a forming bar got newer values, or closed
    revised: int = 0  # a closed bar came again with other values: the last word stands
    unchanged: int = 0
    ignored: int = 0  # a forming bar came for a stamp that is closed already

    def __add__(self, other: AppendCount) -> AppendCount:
        return AppendCount(
            self.added + other.added,
            self.updated + other.updated,
            self.revised + other.revised,
            self.unchanged + other.unchanged,
            self.ignored + other.ignored,
        )


def upsert(connection: sqlite3.Connection, series: int, rows: Sequence[BarRow]) -> AppendCount:
    """Put rows of one series in, in the order given, inside the caller's transaction."""
    stamps = [r.time_ns for r in rows]
    known = {
        int(found[0]): (found[1:6], bool(found[6]))
        for found in connection.execute(
            f"select {_COLUMNS}, closed from tail where series=? and time_ns between ? and ?",
            (series, min(stamps), max(stamps)),
        )
    }
    count = {"added": 0, "updated": 0, "revised": 0, "unchanged": 0, "ignored": 0}
    put: dict[int, tuple[object, ...]] = {}
    for row in rows:
        values = tuple(None if math.isnan(v) else float(v) for v in row.values)
        outcome = _outcome(known.get(row.time_ns), values, row.closed)
        count[outcome] += 1
        if outcome in ("added", "updated", "revised"):
            known[row.time_ns] = (values, row.closed)
            put[row.time_ns] = (series, row.time_ns, *values, int(row.closed))
    connection.executemany("insert or replace into tail values (?,?,?,?,?,?,?,?)", put.values())
    return AppendCount(**count)


def _outcome(known: tuple[tuple[object, ...], bool] | None, values: tuple[object, ...], closed: bool) -> str:
    if known is None:
        return "added"
    before, was_closed = known
    if was_closed and not closed:
        return "ignored"
    if before == values and was_closed == closed:
        return "unchanged"
    return "revised" if was_closed else "updated"


def select(connection: sqlite3.Connection, series: int, start_ns: int, end_ns: int, *, closed: bool) -> Block:
    """Return the closed bars, or the forming ones, from ``start_ns`` to before ``end_ns``."""
    rows = connection.execute(
        f"select {_COLUMNS} from tail where series=? and time_ns>=? and time_ns<? and closed=? order by time_ns",
        (series, start_ns, end_ns, int(closed)),
    ).fetchall()
    return of_rows(rows)


def clear(connection: sqlite3.Connection, series: int, stamps: Sequence[int]) -> None:
    """Take out the bars at ``stamps``, closed or forming."""
    connection.executemany("delete from tail where series=? and time_ns=?", ((series, s) for s in stamps))


def clear_closed(connection: sqlite3.Connection, series: int, before_ns: int) -> None:
    """Take out the closed bars that opened before ``before_ns``; a forming bar stays, however old."""
    connection.execute("delete from tail where series=? and closed=1 and time_ns<?", (series, before_ns))
