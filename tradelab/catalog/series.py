"""Name a series, find it in the catalogue, and list what is stored of each."""

from __future__ import annotations

import difflib
import sqlite3
from typing import Any

import numpy as np
import pandas as pd

from tradelab.catalog.frame import time_ns
from tradelab.model.errors import TimestampError, UnknownNameError
from tradelab.model.units import NS_PER_HOUR, Timeframe

Key = tuple[str, str, Timeframe]
COLUMNS = ["source", "symbol", "timeframe", "bars", "first", "last", "segments", "size", "tail", "revised"]
_FIND = "select id from series where source=? and symbol=? and timeframe=?"
_LIST = """
with held as (select series, sum(rows) n, min(first_ns) a, max(last_ns) b, count(*) files, sum(size) size
              from segments group by series),
     live as (select series, count(*) n, min(time_ns) a, max(time_ns) b from tail where closed=1 group by series)
select source, symbol, timeframe, coalesce(held.n, 0) + coalesce(live.n, 0),
       min(coalesce(held.a, live.a), coalesce(live.a, held.a)), max(coalesce(held.b, live.b), coalesce(live.b, held.b)),
       coalesce(files, 0), coalesce(size, 0), coalesce(live.n, 0), revised
from series left join held on held.series = id left join live on live.series = id
where coalesce(held.n, live.n) is not null order by source, symbol, timeframe
"""


def key_of(source: str, symbol: str, timeframe: str | Timeframe) -> Key:
    """Return a series' key, or refuse a name that is none."""
    for name, value in (("source", source), ("symbol", symbol)):
        if not isinstance(value, str) or not value.strip():
            raise UnknownNameError(f"{name}={value!r} must be a name.", fix='For example source="binance".')
    return source, symbol, Timeframe.of(timeframe)


def find(connection: sqlite3.Connection, key: Key) -> int | None:
    """Return the number under which the catalogue knows a series, or ``None``."""
    row = connection.execute(_FIND, (key[0], key[1], key[2].code)).fetchone()
    return None if row is None else int(row[0])


def ensure(connection: sqlite3.Connection, key: Key) -> int:
    """Return a series' number, entering it first if it is new."""
    found = find(connection, key)
    if found is None:
        row = (key[0], key[1], key[2].code)
        cursor = connection.execute("insert into series (source, symbol, timeframe) values (?,?,?)", row)
        return int(cursor.lastrowid or 0)
    return found


def require(connection: sqlite3.Connection, key: Key) -> int:
    """Return a series' number, or refuse and name the nearest series there are."""
    found = find(connection, key)
    if found is not None:
        return found
    wanted = f"{key[0]} {key[1]} {key[2].alias}"
    known = [f"{a} {b} {c.alias}" for _, (a, b, c) in keys(connection)]
    raise UnknownNameError.of(
        "series",
        wanted,
        difflib.get_close_matches(wanted, known, n=12, cutoff=0.0),
        fix="`tradelab data list` shows what is stored; `tradelab data download` or `import` adds to it.",
    )


def keys(connection: sqlite3.Connection) -> list[tuple[int, Key]]:
    """Return every series, with its number, in order of names."""
    found = connection.execute("select id, source, symbol, timeframe from series order by source, symbol, timeframe")
    return [(number, (source, symbol, Timeframe[code])) for number, source, symbol, code in found.fetchall()]


def count_revised(connection: sqlite3.Connection, series: int, revised: int) -> None:
    """Add to the count of closed bars that came again with other values."""
    if revised:
        connection.execute("update series set revised = revised + ? where id=?", (revised, series))


def rows(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Return one row a series that has bars, by ``COLUMNS``: the timeframe as its code, stamps in nanoseconds."""
    return connection.execute(_LIST).fetchall()


def table(connection: sqlite3.Connection) -> pd.DataFrame:
    """Return one row a series that has bars, with the columns ``COLUMNS``."""
    found = pd.DataFrame(rows(connection), columns=COLUMNS)
    found["timeframe"] = [Timeframe[code].alias for code in found["timeframe"]]
    for column in ("first", "last"):
        found[column] = pd.to_datetime(found[column].astype("int64"), unit="ns", utc=True)
    return found


def require_spacing(bars: pd.DataFrame, key: Key) -> None:
    """Refuse bars that are closer together than the timeframe they are said to have."""
    step = np.diff(time_ns(bars))
    shortest = {Timeframe.MN: 28 * 24 * NS_PER_HOUR, Timeframe.D1: 23 * NS_PER_HOUR}.get(key[2], key[2].ns)
    if len(step) and step.min() < shortest:
        at = int(np.argmin(step))
        raise TimestampError(
            f"bars of {key[1]} are said to be {key[2].alias}, but {bars.index[at]} and {bars.index[at + 1]} are "
            f"{pd.Timedelta(int(step[at]), unit='ns')} apart.",
            fix="Name their own timeframe, or resample them first.",
        )
