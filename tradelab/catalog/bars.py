"""Keep bars on disk for one writer and many readers: immutable segments, a catalogue, a live tail."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from tradelab.catalog import instruments, quality, retention, segments, series, statistics, swap, tail, usage
from tradelab.catalog.block import Block, merge, of_frame, without
from tradelab.catalog.coverage import Coverage, cover
from tradelab.catalog.database import Database, failures
from tradelab.catalog.exporting import Order, write_file
from tradelab.catalog.frame import as_bars, moment_ns
from tradelab.catalog.quality import QualityReport
from tradelab.catalog.reading import FIRST_NS, LAST_NS, Moment, Snapshot, gather, snapshot_of, span_of
from tradelab.catalog.retention import RetentionPlan, RetentionPolicy
from tradelab.catalog.series import Key
from tradelab.catalog.sessions import calendar_of
from tradelab.catalog.statistics import Statistics
from tradelab.catalog.swap import Swap
from tradelab.catalog.tail import AppendCount, BarRow
from tradelab.model.instrument import Calendar, Instrument
from tradelab.model.units import Timeframe

__all__ = ["AppendCount", "BarRow", "Catalog", "Snapshot", "WriteCount"]

GRACE_S = 600.0


@dataclass(frozen=True, slots=True)
class WriteCount:
    """What a bulk write did: bars given, segments made, stored bars whose values changed."""

    bars: int
    segments: int
    revised: int


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

    @property
    def wait_s(self) -> float:
        """How long a write waits for another writer."""
        return self._database.wait_s

    def unwaiting(self) -> contextlib.AbstractContextManager[None]:
        """Inside, a write of this thread that would wait is refused at once by ``LockedError``: for event loops."""
        return self._database.unwaiting()

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
        key = series.key_of(source, symbol, timeframe)
        frame = as_bars(bars, name=f"bars of {symbol}")
        series.require_spacing(frame, key)
        block = of_frame(frame)
        revised = 0
        with self._database.writing(f"write {symbol}") as connection:
            number = series.ensure(connection, key)
            with self._swapping(connection, number, key) as exchange:
                for period, part in segments.split(block, key[2]):
                    revised += exchange.put(period, part)
                revised += self._overwrite_tail(connection, number, block)
                series.count_revised(connection, number, revised)
        usage.mark(self.root, key)
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
        used = []
        with self._database.writing("append bars") as connection:
            for (source, symbol, _), group in groupby(ordered, key=lambda r: (r.source, r.symbol, r.timeframe.code)):
                batch = list(group)
                key = series.key_of(source, symbol, batch[0].timeframe)
                number = series.ensure(connection, key)
                one = tail.upsert(connection, number, batch)
                series.count_revised(connection, number, one.revised)
                count += one
                used.append(key)
        for key in used:
            usage.mark(self.root, key)
        return count

    def compact(self) -> int:
        """Move closed bars from the tail into segments, a transaction a series; return how many segments were made."""
        with self._database.reading() as connection:
            live = set(connection.execute("select distinct series from tail where closed = 1").fetchall())
            waiting = [key for number, key in series.keys(connection) if (number,) in live]
        made = sum(self._compact(key) for key in waiting)
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
        key = series.key_of(source, symbol, timeframe)
        bars = self._read(key, start, end, include_open=include_open)
        usage.mark(self.root, key)
        return bars

    def snapshot(
        self, source: str, symbol: str, timeframe: str | Timeframe, start: Moment = None, end: Moment = None
    ) -> Snapshot:
        """Return the provenance of a range without reading the bars."""
        key = series.key_of(source, symbol, timeframe)
        span = span_of(start, end)
        with self._database.reading() as connection:
            number = series.require(connection, key)
            found = swap.find(connection, number, start_ns=span[0], end_ns=span[1])
            return snapshot_of(key, span, found, tail.select(connection, number, *span, closed=True))

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
            return series.table(connection)

    def coverage(
        self,
        source: str,
        symbol: str,
        timeframe: str | Timeframe,
        *,
        calendar: Calendar | str | None = None,
        now: Moment = None,
    ) -> Coverage:
        """Return range, counts, missing bars and, when ``now`` is given, how far a series is behind.

        The calendar is the one given (``"24/7"``, ``"fx"``, ``"XNYS"``), else the saved instrument's session, else its
        calendar, else guessed from the bars. See :func:`tradelab.catalog.coverage.cover`. It counts as no use.
        """
        key = series.key_of(source, symbol, timeframe)
        chosen = self._calendar(source, symbol, calendar)
        return cover(self._read(key), key[2], chosen, now=now)

    def inspect(
        self,
        source: str,
        symbol: str,
        timeframe: str | Timeframe,
        *,
        calendar: Calendar | str | None = None,
        now: Moment = None,
    ) -> QualityReport:
        """Return what is wrong with a series, as :func:`tradelab.catalog.quality.inspect` does; it counts as no use."""
        key = series.key_of(source, symbol, timeframe)
        chosen = self._calendar(source, symbol, calendar)
        return quality.inspect(self._read(key), key[2], calendar=chosen, now=now)

    def statistics(self) -> Statistics:
        """Return what is stored, series by series and in all: bars, range, room on disk, last use, revised."""
        with self._database.reading() as connection:
            return statistics.gather(connection, self.root)

    def export(
        self,
        path: str | os.PathLike[str],
        source: str,
        symbol: str,
        timeframe: str | Timeframe,
        start: Moment = None,
        end: Moment = None,
        *,
        format: str | None = None,
        tz: str | None = None,
        mt_symbol: str | None = None,
    ) -> int:
        """Write a range to a file: CSV, Parquet, JSON, or a form of MetaTrader's; return how many bars.

        Parameters
        ----------
        format
            As :func:`tradelab.catalog.exporting.write_file` takes it; by default the file's ending says it.
        tz
            For MetaTrader, whose files name no zone: the clock of the broker's server.
        mt_symbol
            For ``hst``: the symbol as the terminal knows it, where it is another.
        """
        bars = self.read(source, symbol, timeframe, start, end)
        write_file(bars, Path(path), Order(mt_symbol or symbol, Timeframe.of(timeframe), tz), format=format)
        return len(bars)

    def instrument(self, source: str, symbol: str) -> Instrument | None:
        """Return the saved instrument, or ``None``."""
        with self._database.reading() as connection:
            return instruments.find(connection, source, symbol)

    def damaged(self) -> tuple[str, ...]:
        """Hash every segment anew and return the names of those that are missing or not what was written."""
        with self._database.reading() as connection:
            found = [s for number, _ in series.keys(connection) for s in swap.find(connection, number)]
        return tuple(s.name for s in found if not segments.intact(self.root, s))

    # ── retention ────────────────────────────────────────────────────────────────────────────────────────────────

    def retention_policies(self) -> tuple[RetentionPolicy, ...]:
        """Return the policies by which bars may go; for any series the first that covers it stands."""
        with self._database.reading() as connection:
            return retention.policies(connection)

    def add_retention_policy(self, policy: RetentionPolicy) -> None:
        """Keep a policy, in the place of one with the same globs; nothing is removed before :meth:`retain`."""
        with self._database.writing("keep a retention policy") as connection:
            retention.save(connection, policy)

    def remove_retention_policy(self, source: str = "*", symbol: str = "*", timeframe: str = "*") -> None:
        """Forget the policy with these globs."""
        with self._database.writing("remove a retention policy") as connection:
            retention.remove(connection, RetentionPolicy(source=source, symbol=symbol, timeframe=timeframe))

    def plan_retention(self, now: Moment = None) -> RetentionPlan:
        """Return what :meth:`retain` would remove; nothing is changed."""
        at = _now(now)
        with self._database.reading() as connection:
            known = retention.policies(connection)
            verdicts = [
                retention.judge(connection, self.root, number, key, known, at)
                for number, key in series.keys(connection)
            ]
        removals = tuple(verdict[0] for verdict in verdicts if verdict is not None)
        return RetentionPlan(at=at, policies=known, removals=removals, done=False)

    def retain(self, now: Moment = None) -> RetentionPlan:
        """Remove what the policies let go, one transaction a series; return what went.

        A forming bar is never removed. Files that are no longer named stay for their grace, so that readers are
        unharmed, and go with the next :meth:`vacuum` after it. A series of which no use was ever noted is not removed
        for want of it: its days are counted from now on.
        """
        at = _now(now)
        with self._database.reading() as connection:
            known, every = retention.policies(connection), series.keys(connection)
        removals = tuple(r for _, key in every if (r := self._retain(key, known, at)) is not None)
        self.vacuum()
        return RetentionPlan(at=at, policies=known, removals=removals, done=True)

    def _repr_html_(self) -> str:
        table = self.list()
        return f"<p>{len(table)} series</p>{table.to_html(index=False)}"

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _read(self, key: Key, start: Moment = None, end: Moment = None, *, include_open: bool = False) -> pd.DataFrame:
        span = span_of(start, end)
        found, stored, pending, forming = gather(self._database, self.root, key, span)
        block, _ = merge(stored.between(*span), pending)
        if include_open:
            block, _ = merge(block, without(forming, block.time))
        bars = block.frame()
        bars.attrs = {
            "source": key[0],
            "symbol": key[1],
            "timeframe": key[2].alias,
            "snapshot": snapshot_of(key, span, found, pending).id,
        }
        return bars

    def _calendar(self, source: str, symbol: str, given: Calendar | str | None) -> Calendar | str | None:
        known = self.instrument(source, symbol) if given is None else None
        if known is not None:
            given = known.session or known.calendar
        return None if given is None else calendar_of(given)

    def _retain(self, key: Key, known: tuple[RetentionPolicy, ...], at: pd.Timestamp) -> retention.Removal | None:
        if usage.last_use(self.root, key) is None:
            usage.mark(self.root, key)  # of an older catalog, or of one that could not be written to
        with self._database.writing(f"remove bars of {key[1]}") as connection:
            number = series.find(connection, key)
            verdict = None if number is None else retention.judge(connection, self.root, number, key, known, at)
            if number is None or verdict is None:
                return None
            removal, cut_ns = verdict
            with self._swapping(connection, number, key) as exchange:
                is_empty = retention.carry_out(connection, self.root, exchange, number, cut_ns)
        if is_empty:
            usage.forget(self.root, key)
        return removal

    def _compact(self, key: Key) -> int:
        with self._database.writing(f"compact {key[1]}") as connection:
            number = series.find(connection, key)  # asked under the lock: numbers of removed series are given again
            if number is None:
                return 0
            block = tail.select(connection, number, FIRST_NS, LAST_NS, closed=True)
            with self._swapping(connection, number, key) as exchange:
                revised = sum(exchange.put(period, part) for period, part in segments.split(block, key[2]))
                tail.clear(connection, number, block.time.tolist())
                series.count_revised(connection, number, revised)
        return exchange.written

    @contextlib.contextmanager
    def _swapping(self, connection: sqlite3.Connection, number: int, key: Key) -> Iterator[Swap]:
        exchange = Swap(connection, self.root, number, key)
        try:
            yield exchange
        except BaseException:
            exchange.undo()
            raise

    def _overwrite_tail(self, connection: sqlite3.Connection, number: int, block: Block) -> int:
        """Take bars that were just written out of the tail; return how many closed ones had other values."""
        span = int(block.time[0]), int(block.time[-1]) + 1
        waiting = tail.select(connection, number, *span, closed=True)
        forming = tail.select(connection, number, *span, closed=False)
        stale = np.intersect1d(np.concatenate([waiting.time, forming.time]), block.time)
        tail.clear(connection, number, stale.tolist())
        return merge(waiting, block)[1]


def default_root() -> Path:
    """Return the catalog's folder: ``$TRADELAB_HOME/bars``, else below the user's data folder."""
    home = os.environ.get("TRADELAB_HOME")
    if home:
        return Path(home) / "bars"
    from platformdirs import user_data_dir

    return Path(user_data_dir("tradelab", appauthor=False)) / "bars"


def _now(given: Moment) -> pd.Timestamp:
    return pd.Timestamp.now("UTC") if given is None else pd.Timestamp(moment_ns(given, name="now"), unit="ns", tz="UTC")
