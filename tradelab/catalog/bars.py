"""Keep bars on disk for one writer and many readers: immutable segments, a catalogue, a live tail."""

from __future__ import annotations

import contextlib
import datetime as dt
import difflib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from tradelab.catalog import instruments, segments, swap, tail
from tradelab.catalog.block import Block, merge, of_frame, without
from tradelab.catalog.coverage import Coverage, cover
from tradelab.catalog.database import Database, failures
from tradelab.catalog.exporting import write_file
from tradelab.catalog.frame import as_bars, moment_ns, time_ns
from tradelab.catalog.segments import Segment
from tradelab.catalog.swap import Key, Swap
from tradelab.catalog.tail import AppendCount, BarRow
from tradelab.model.errors import StorageError, TimestampError, UnknownNameError
from tradelab.model.instrument import Calendar, Instrument
from tradelab.model.units import NS_PER_HOUR, Timeframe

__all__ = ["AppendCount", "BarRow", "Catalog", "Snapshot", "WriteCount"]

Moment = str | dt.datetime | None
_FIRST, _LAST = -(2**63), 2**63 - 1
_TRIES = 50
GRACE_S = 600.0


@dataclass(frozen=True, slots=True)
class WriteCount:
    """What a bulk write did: bars given, segments made, stored bars whose values changed."""

    bars: int
    segments: int
    revised: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a run cites: the same id means the same bars, to the last bit.

    Compaction and a new bar in the range give another id; to compare the bars themselves use
    :func:`tradelab.catalog.frame.content_hash`.
    """

    id: str
    segments: tuple[str, ...]
    tail_bars: int


class Catalog:
    """Bars by (source, symbol, timeframe), in a folder that other processes may read while this one writes.

    Parameters
    ----------
    root
        The folder; by default ``$TRADELAB_HOME/bars``, else ``bars`` in the user's data folder.
    wait_s
        How long a write waits for another writer before it is refused.

    Examples
    --------
    >>> import tempfile
    >>> from tradelab.catalog import samples
    >>> with tempfile.TemporaryDirectory() as folder, Catalog(folder) as catalog:
    ...     wrote = catalog.write("sample", "EURUSD", "1h", samples.load("EURUSD-1h"))
    ...     day = catalog.read("sample", "EURUSD", "1h", "2017-06-01", "2017-06-02")
    >>> wrote.bars, len(day)
    (6225, 24)
    """

    def __init__(self, root: str | os.PathLike[str] | None = None, *, wait_s: float = 30.0) -> None:
        self.root = Path(root) if root is not None else default_root()
        self._database = Database(self.root / "catalog.sqlite", wait_s)

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; a later call opens them again."""
        self._database.close()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, source: str, symbol: str, timeframe: str | Timeframe, bars: pd.DataFrame) -> WriteCount:
        """Merge closed bars in, all of them or, on any failure, none.

        Where a stamp is stored already the new bar stands, and is counted as revised if its values differ.

        Raises
        ------
        ColumnError, TimestampError, TooFewBarsError
            From :func:`~tradelab.catalog.frame.as_bars`, or bars closer together than the timeframe.
        StorageError
            No room, not writable, or another process writes and did not end in time.
        """
        key = _key(source, symbol, timeframe)
        frame = as_bars(bars, name=f"bars of {symbol}")
        _require_spacing(frame, key)
        block = of_frame(frame)
        revised = 0
        with self._database.writing(f"write {symbol}") as connection:
            series = _series_id(connection, key)
            with self._swapping(connection, series, key) as exchange:
                for period, part in segments.split(block, key[2]):
                    revised += exchange.put(period, part)
                revised += self._overwrite_tail(connection, series, block)
                _count_revised(connection, series, revised)
        return WriteCount(len(block), exchange.written, revised)

    def append(self, rows: Iterable[BarRow]) -> AppendCount:
        """Upsert bars of any number of series in one transaction; what a live feed does at each close.

        A forming bar (``closed=False``) is replaced by newer values and by its close; a closed bar is never replaced
        by a forming one. A closed bar that comes again with other values stands, and is counted as revised.
        """
        ordered = sorted(rows, key=lambda r: (r.source, r.symbol, r.timeframe.code))  # stable: keeps order in a series
        count = AppendCount()
        if not ordered:
            return count
        with self._database.writing("append bars") as connection:
            for (source, symbol, _), group in groupby(ordered, key=lambda r: (r.source, r.symbol, r.timeframe.code)):
                batch = list(group)
                series = _series_id(connection, _key(source, symbol, batch[0].timeframe))
                one = tail.upsert(connection, series, batch)
                _count_revised(connection, series, one.revised)
                count += one
        return count

    def compact(self) -> int:
        """Move closed bars from the tail into segments, a transaction a series; return how many segments were made."""
        with self._database.reading() as connection:
            waiting = connection.execute(
                "select s.id, source, symbol, timeframe from series s "
                "where exists (select 1 from tail t where t.series = s.id and t.closed = 1)"
            ).fetchall()
        made = sum(self._compact(series, (source, symbol, Timeframe[code])) for series, source, symbol, code in waiting)
        self.vacuum()
        return made

    def vacuum(self, grace_s: float = GRACE_S) -> int:
        """Delete files replaced more than ``grace_s`` ago and what killed writers left; return how many files."""
        self._database.checkpoint()  # the database on disk must not name what is about to go
        with self._database.writing("vacuum") as connection:
            return swap.sweep(connection, self.root, grace_s)

    def save_instrument(self, instrument: Instrument) -> None:
        """Keep an instrument beside its bars, under its venue (the source) and symbol; decimals stay exact."""
        with self._database.writing(f"save {instrument.symbol}") as connection:
            instruments.save(connection, instrument)

    def discard_damaged(self) -> tuple[str, ...]:
        """Take damaged and missing segments out of the catalogue, so that their range can be written again."""
        damaged = self.damaged()
        with self._database.writing("discard damaged segments") as connection:
            for name in damaged:
                connection.execute("delete from segments where name=?", (name,))
                swap.retire(connection, name)
        for name in damaged:
            with failures(self.root, f"remove {name}"):
                (self.root / name).unlink(missing_ok=True)
        return damaged

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def read(
        self,
        source: str,
        symbol: str,
        timeframe: str | Timeframe,
        start: Moment = None,
        end: Moment = None,
        *,
        include_open: bool = False,
    ) -> pd.DataFrame:
        """Return canonical bars from ``start`` (included) to ``end`` (excluded); both are UTC if they name no zone.

        One consistent state, whatever a writer does meanwhile. ``attrs`` carry ``source``, ``symbol``, ``timeframe``
        and ``snapshot``, the id a run cites. A range without bars gives a frame without rows.

        Parameters
        ----------
        include_open
            Also the forming bar, if a feed left one.

        Raises
        ------
        UnknownNameError
            No such series; the message names the nearest.
        CorruptFileError
            A segment's content is not what was written.
        """
        key = _key(source, symbol, timeframe)
        span = _span(start, end)
        found, stored, pending, forming = self._gather(key, span)
        block, _ = merge(stored.between(*span), pending)
        if include_open:
            block, _ = merge(block, without(forming, block.time))
        bars = block.frame()
        bars.attrs = {
            "source": source,
            "symbol": symbol,
            "timeframe": key[2].alias,
            "snapshot": _snapshot(key, span, found, pending).id,
        }
        return bars

    def snapshot(
        self, source: str, symbol: str, timeframe: str | Timeframe, start: Moment = None, end: Moment = None
    ) -> Snapshot:
        """Return the provenance of a range without reading the bars."""
        key = _key(source, symbol, timeframe)
        span = _span(start, end)
        with self._database.reading() as connection:
            series = self._require_series(connection, key)
            found = swap.find(connection, series, start_ns=span[0], end_ns=span[1])
            return _snapshot(key, span, found, tail.select(connection, series, *span, closed=True))

    def last_closed(self, source: str, symbol: str, timeframe: str | Timeframe) -> pd.Timestamp | None:
        """Return the open time of the newest closed bar, or ``None`` when there is none: where a download resumes."""
        with self._database.reading() as connection:
            newest = connection.execute(
                "select max(t) from (select max(last_ns) t from segments g join series s on g.series = s.id "
                "where source=:a and symbol=:b and timeframe=:c union all select max(time_ns) from tail l "
                "join series s on l.series = s.id where source=:a and symbol=:b and timeframe=:c and closed=1)",
                dict(zip("abc", (source, symbol, Timeframe.of(timeframe).code), strict=True)),
            ).fetchone()[0]
        return None if newest is None else pd.Timestamp(newest, unit="ns", tz="UTC")

    def list(self) -> pd.DataFrame:
        """Return one row a series: source, symbol, timeframe, bars, first, last, segments, size, tail, revised."""
        with self._database.reading() as connection:
            rows = connection.execute(_LIST).fetchall()
        table = pd.DataFrame(rows, columns=_LIST_COLUMNS)
        table["timeframe"] = [Timeframe[code].alias for code in table["timeframe"]]
        for column in ("first", "last"):
            table[column] = pd.to_datetime(table[column].astype("int64"), unit="ns", utc=True)
        return table

    def coverage(
        self, source: str, symbol: str, timeframe: str | Timeframe, *, calendar: Calendar | str | None = None
    ) -> Coverage:
        """Return range, counts and missing bars of a series.

        The calendar is the one given, else the saved instrument's, else guessed from the bars.
        """
        bars = self.read(source, symbol, timeframe)
        known = self.instrument(source, symbol)
        if calendar is None and known is not None:
            calendar = known.calendar
        return cover(bars, Timeframe.of(timeframe), None if calendar is None else Calendar(calendar))

    def export(
        self,
        path: str | os.PathLike[str],
        source: str,
        symbol: str,
        timeframe: str | Timeframe,
        start: Moment = None,
        end: Moment = None,
    ) -> int:
        """Write a range to a CSV, Parquet or JSON file, by its ending; return how many bars."""
        bars = self.read(source, symbol, timeframe, start, end)
        write_file(bars, Path(path))
        return len(bars)

    def instrument(self, source: str, symbol: str) -> Instrument | None:
        """Return the saved instrument, or ``None``."""
        with self._database.reading() as connection:
            return instruments.find(connection, source, symbol)

    def damaged(self) -> tuple[str, ...]:
        """Hash every segment anew and return the names of those that are missing or not what was written."""
        with self._database.reading() as connection:
            ids = connection.execute("select id from series").fetchall()
            found = [s for (series,) in ids for s in swap.find(connection, series)]
        return tuple(s.name for s in found if not segments.intact(self.root, s))

    def _repr_html_(self) -> str:
        table = self.list()
        return f"<p>{len(table)} series</p>{table.to_html(index=False)}"

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _gather(self, key: Key, span: tuple[int, int]) -> tuple[Sequence[Segment], Block, Block, Block]:
        """Return the segments, their bars, the closed tail and the forming bars of one snapshot of the catalogue.

        A file that a writer replaced and vacuumed after the snapshot is answered by a new snapshot; a file that the
        new snapshot still names is damage.
        """
        gone: str | None = None
        for _ in range(_TRIES):
            with self._database.reading() as connection:
                series = self._require_series(connection, key)
                found = swap.find(connection, series, start_ns=span[0], end_ns=span[1])
                pending = tail.select(connection, series, *span, closed=True)
                forming = tail.select(connection, series, *span, closed=False)
            try:
                with failures(self.root, "read bars"):
                    return found, segments.load(self.root, found), pending, forming
            except FileNotFoundError as error:
                absent = next((s for s in found if not (self.root / s.name).exists()), None)
                if absent is not None and absent.name == gone:
                    raise swap.missing(absent) from error
                gone = absent.name if absent else None
        raise StorageError(f"the bars of {key[1]} were replaced {_TRIES} times during one read.", fix="Try again.")

    def _compact(self, series: int, key: Key) -> int:
        with self._database.writing(f"compact {key[1]}") as connection:
            block = tail.select(connection, series, _FIRST, _LAST, closed=True)
            with self._swapping(connection, series, key) as exchange:
                revised = sum(exchange.put(period, part) for period, part in segments.split(block, key[2]))
                tail.clear(connection, series, block.time.tolist())
                _count_revised(connection, series, revised)
        return exchange.written

    @contextlib.contextmanager
    def _swapping(self, connection: sqlite3.Connection, series: int, key: Key) -> Iterator[Swap]:
        exchange = Swap(connection, self.root, series, key)
        try:
            yield exchange
        except BaseException:
            exchange.undo()
            raise

    def _overwrite_tail(self, connection: sqlite3.Connection, series: int, block: Block) -> int:
        """Take bars that were just written out of the tail; return how many closed ones had other values."""
        span = int(block.time[0]), int(block.time[-1]) + 1
        waiting = tail.select(connection, series, *span, closed=True)
        forming = tail.select(connection, series, *span, closed=False)
        stale = np.intersect1d(np.concatenate([waiting.time, forming.time]), block.time)
        tail.clear(connection, series, stale.tolist())
        return merge(waiting, block)[1]

    def _require_series(self, connection: sqlite3.Connection, key: Key) -> int:
        source, symbol, timeframe = key
        row = connection.execute(_FIND, (source, symbol, timeframe.code)).fetchone()
        if row is not None:
            return int(row[0])
        wanted = f"{source} {symbol} {timeframe.alias}"
        known = [
            f"{a} {b} {Timeframe[c].alias}"
            for a, b, c in connection.execute("select source, symbol, timeframe from series")
        ]
        raise UnknownNameError.of(
            "series",
            wanted,
            difflib.get_close_matches(wanted, known, n=12, cutoff=0.0),
            fix="`tradelab data list` shows what is stored; `tradelab data download` or `import` adds to it.",
        )


def default_root() -> Path:
    """Return the catalog's folder: ``$TRADELAB_HOME/bars``, else below the user's data folder."""
    home = os.environ.get("TRADELAB_HOME")
    if home:
        return Path(home) / "bars"
    from platformdirs import user_data_dir

    return Path(user_data_dir("tradelab", appauthor=False)) / "bars"


_FIND = "select id from series where source=? and symbol=? and timeframe=?"
_LIST_COLUMNS = ["source", "symbol", "timeframe", "bars", "first", "last", "segments", "size", "tail", "revised"]
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


def _key(source: str, symbol: str, timeframe: str | Timeframe) -> Key:
    for name, value in (("source", source), ("symbol", symbol)):
        if not isinstance(value, str) or not value.strip():
            raise UnknownNameError(f"{name}={value!r} must be a name.", fix='For example source="binance".')
    return source, symbol, Timeframe.of(timeframe)


def _series_id(connection: sqlite3.Connection, key: Key) -> int:
    row = (key[0], key[1], key[2].code)
    found = connection.execute(_FIND, row).fetchone()
    if found is None:
        connection.execute("insert into series (source, symbol, timeframe) values (?,?,?)", row)
        found = connection.execute(_FIND, row).fetchone()
    return int(found[0])


def _count_revised(connection: sqlite3.Connection, series: int, revised: int) -> None:
    if revised:
        connection.execute("update series set revised = revised + ? where id=?", (revised, series))


def _span(start: Moment, end: Moment) -> tuple[int, int]:
    return (
        _FIRST if start is None else moment_ns(start, name="start"),
        _LAST if end is None else moment_ns(end, name="end"),
    )


def _require_spacing(bars: pd.DataFrame, key: Key) -> None:
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


def _snapshot(key: Key, span: tuple[int, int], found: Sequence[Segment], pending: Block) -> Snapshot:
    live = hashlib.sha256(pending.time.tobytes() + pending.values.tobytes()).hexdigest() if len(pending) else ""
    said = [key[0], key[1], key[2].code, *span, [(s.period, s.sha256) for s in found], live]
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    return Snapshot(digest[:32], tuple(s.name for s in found), len(pending))
