"""Tell what a catalog holds, series by series and in all: bars, range, room on disk, last use."""

from __future__ import annotations

import html
import sqlite3
from dataclasses import astuple, dataclass
from pathlib import Path

import pandas as pd

from tradelab.catalog import series, usage
from tradelab.model.units import Timeframe

_COLUMNS = ("source", "symbol", "timeframe", "bars", "first", "last", "segments", "size", "tail", "last use", "revised")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesStatistics:
    """One series: ``bars`` from ``first`` to ``last``, in ``segments`` files of ``size`` bytes and ``tail`` rows.

    ``last_use`` is when it was last read or written, to the hour; ``None`` when nothing was noted. ``revised`` counts
    closed bars that came again with other values.
    """

    source: str
    symbol: str
    timeframe: Timeframe
    bars: int
    first: pd.Timestamp
    last: pd.Timestamp
    segments: int
    size: int
    tail: int
    last_use: pd.Timestamp | None
    revised: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """A whole catalog; sizes in bytes.

    ``index_size`` is that of the SQLite catalogue and its log, tail included. ``retired`` files are replaced ones that
    wait for their grace to end; ``retired_size`` is what they still take.
    """

    root: Path
    series: tuple[SeriesStatistics, ...]
    index_size: int
    retired: int
    retired_size: int

    @property
    def bars(self) -> int:
        """Bars of all series."""
        return sum(s.bars for s in self.series)

    @property
    def size(self) -> int:
        """Bytes on disk: segments, the catalogue and what waits to be deleted."""
        return sum(s.size for s in self.series) + self.index_size + self.retired_size

    def frame(self) -> pd.DataFrame:
        """Return one row a series; sizes in bytes, times in UTC."""
        rows = [(*astuple(s)[:2], s.timeframe.alias, *astuple(s)[3:]) for s in self.series]
        return pd.DataFrame(rows, columns=list(_COLUMNS))

    def __str__(self) -> str:
        table = self._shown()
        return "\n".join([self._head(), *([table.to_string(index=False)] if len(table) else [])])

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self._head())}</p>{self._shown().to_html(index=False)}"

    def _head(self) -> str:
        waiting = f"; {self.retired:,} replaced file(s), {in_words(self.retired_size)}, wait to be deleted"
        return (
            f"{len(self.series):,} series, {self.bars:,} bars, {in_words(self.size)} in {self.root}"
            f"{waiting if self.retired else ''}"
        )

    def _shown(self) -> pd.DataFrame:
        table = self.frame()
        table["size"] = [in_words(s.size) for s in self.series]
        table["bars"] = [f"{s.bars:,}" for s in self.series]
        for column, time in (("first", "first"), ("last", "last"), ("last use", "last_use")):
            moments = [getattr(s, time) for s in self.series]
            table[column] = ["not known" if m is None else f"{m:%Y-%m-%d %H:%M}" for m in moments]
        return table


def gather(connection: sqlite3.Connection, root: Path) -> Statistics:
    """Return the statistics of one snapshot of the catalogue; no bar is read."""
    found = tuple(_one(root, *row) for row in series.rows(connection))
    retired = [_size(root / name) for (name,) in connection.execute("select name from retired")]
    index = sum(_size(root / f"catalog.sqlite{part}") for part in ("", "-wal", "-shm"))
    return Statistics(root=root, series=found, index_size=index, retired=len(retired), retired_size=sum(retired))


def _one(
    root: Path, source: str, symbol: str, code: str, bars: int, first_ns: int, last_ns: int, *counts: int
) -> SeriesStatistics:
    timeframe = Timeframe[code]
    segments, size, tail, revised = counts
    used_s = usage.last_use(root, (source, symbol, timeframe))
    return SeriesStatistics(
        source=source,
        symbol=symbol,
        timeframe=timeframe,
        bars=bars,
        first=pd.Timestamp(first_ns, unit="ns", tz="UTC"),
        last=pd.Timestamp(last_ns, unit="ns", tz="UTC"),
        segments=segments,
        size=size,
        tail=tail,
        last_use=None if used_s is None else pd.Timestamp(int(used_s), unit="s", tz="UTC"),
        revised=revised,
    )


def in_words(size: float) -> str:
    """Return bytes as people say them: ``"4.2 MB"``.

    >>> in_words(999), in_words(4_200_000)
    ('999 B', '4.2 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # vacuumed, or checkpointed, since the catalogue was asked
        return 0
