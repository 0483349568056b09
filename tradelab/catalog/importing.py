"""Read bars from a file as it comes, and tell what was guessed, so that a person can object before it is stored."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tradelab.catalog import dates, metatrader
from tradelab.catalog.frame import ALIASES, COLUMNS, PRICES, TIME_NAMES, as_bars, infer_timeframe
from tradelab.model.errors import ColumnError, CorruptFileError, StorageError, TooFewBarsError, UnknownNameError
from tradelab.model.units import Timeframe

_FORMATS = {".csv": "CSV", ".txt": "CSV", ".tsv": "CSV", ".parquet": "Parquet", ".json": "JSON", ".jsonl": "JSON",
            ".hst": "MetaTrader history"}  # fmt: skip
_MORE_TIME_NAMES = (*TIME_NAMES, "local time", "unix", "unix timestamp", "<datetime>", "t", "ts", "open time")
_DATE_AND_TIME = (("date", "time"), ("<date>", "<time>"), ("day", "time"))
_NO_VALUE = {"", "nan", "null", "none", "na", "n/a", "-"}
_SNIFFED_LINES = 50
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """How a file was understood."""

    path: str
    format: str
    layout: str
    time_columns: tuple[str, ...]
    time: dates.DateGuess
    columns: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]
    reversed: bool
    timeframe: Timeframe | None
    bars: int
    first: pd.Timestamp
    last: pd.Timestamp

    def __str__(self) -> str:
        of = f" of {self.timeframe.alias}" if self.timeframe else ""
        lines = [
            f"file      {self.path}: {', '.join(p for p in (self.format, self.layout) if p)}",
            f"time      {' + '.join(self.time_columns)}: {self.time}",
            f"columns   {', '.join(f'{ours} = {theirs}' for ours, theirs in self.columns)}",
        ]
        if self.left_out:
            lines.append(f"left out  {', '.join(self.left_out)}")
        if self.reversed:
            lines.append("order     newest first in the file; turned round")
        lines.append(f"bars      {self.bars:,}{of}, {self.first:%Y-%m-%d %H:%M} to {self.last:%Y-%m-%d %H:%M} UTC")
        return "\n".join(lines)


def read_file(path: str | Path, *, tz: str | None = None, date_format: str | None = None) -> tuple[pd.DataFrame, Guess]:
    """Return the bars in a CSV, Parquet, JSON or MetaTrader ``.hst`` file (``.gz`` too), and what was guessed.

    Separators ``, ; tab |``, decimal commas, missing headers, separate date and time columns, MetaTrader, Dukascopy,
    HistData and exchange layouts are recognised. See :mod:`tradelab.catalog.dates` for the forms of dates.

    Parameters
    ----------
    path
        The file; its ending names the format.
    tz, date_format
        As :func:`tradelab.catalog.dates.parse` takes them.

    Raises
    ------
    CorruptFileError
        The file cannot be read; the message names the line.
    ColumnError, TimestampError, TooFewBarsError
        It can be read, but holds no bars.
    """
    path = Path(path)
    kind = _format_of(path)
    table, layout = _READERS[kind](path)
    if not len(table):
        raise TooFewBarsError(f"{path.name} holds no rows.")
    times = _time_columns(table, path.name)
    stamps = table[times[0]] if len(times) == 1 else table[times[0]].astype(str) + " " + table[times[1]].astype(str)
    index, how = dates.parse(stamps, tz=tz, date_format=date_format)
    chosen = _value_columns(table, times)
    frame = pd.DataFrame({ours: table[theirs].to_numpy() for ours, theirs in chosen.items()}, index=index)
    turned = len(frame) > 1 and index[0] > index[-1]
    bars = as_bars(frame.iloc[::-1] if turned else frame, name=path.name)
    guess = Guess(
        path=path.name,
        format=kind,
        layout=layout,
        time_columns=tuple(times),
        time=how,
        columns=tuple(chosen.items()),
        left_out=tuple(str(c) for c in table.columns if c not in times and c not in chosen.values()),
        reversed=turned,
        timeframe=infer_timeframe(bars) if len(bars) > 1 else None,
        bars=len(bars),
        first=bars.index[0],
        last=bars.index[-1],
    )
    return bars, guess


def _format_of(path: Path) -> str:
    if path.is_dir():
        raise UnknownNameError(f"{path.name} is a folder.", fix="Name a file in it.")
    if not path.is_file():
        near = [p.name for p in path.parent.iterdir() if p.is_file()] if path.parent.is_dir() else []
        raise UnknownNameError.of("file", str(path), near[:20])
    endings = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    kind = _FORMATS.get(endings[-1] if endings else "")
    if kind is None:
        raise UnknownNameError.of("file format", endings[-1] if endings else path.name, _FORMATS)
    return kind


def _read_bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix.lower() == ".gz" else data
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorruptFileError(f"{path.name} is no whole gzip file: {error}.", fix="Fetch it again.") from error
    except OSError as error:
        raise StorageError(f"cannot read {path.name}: {error.strerror}.", fix="Check its permissions.") from error


def _read_text(path: Path) -> str:
    data = _read_bytes(path)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"  # MetaTrader 5 writes UTF-16
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CorruptFileError(
            f"{path.name}, line {line}: byte {error.start} is no {encoding} text.", fix="Is it really a text file?"
        ) from error


def _read_csv(path: Path) -> tuple[pd.DataFrame, str]:
    text = _read_text(path)
    lines = [line for line in text.splitlines()[:_SNIFFED_LINES] if line.strip()]
    if not lines:
        raise TooFewBarsError(f"{path.name} is empty.")
    separator = _separator(lines)
    head = next(csv.reader(lines[:1], delimiter=separator))
    _require_whole_lines(text, separator, len(head), path.name)
    has_header = not any(re.fullmatch(r"[\d.,:/ +-]+", field.strip()) for field in head if field.strip())
    try:
        table = pd.read_csv(
            io.StringIO(text), sep=separator, header=None, dtype=str, keep_default_na=False, skip_blank_lines=False
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise CorruptFileError(f"{path.name}: {str(error).strip()}", fix="Repair or fetch the file again.") from error
    table = _drop_blank(table)
    if has_header:
        table.columns = [str(c).strip() for c in table.iloc[0]]
        table = table.iloc[1:]
    else:
        table.columns = _headerless(table, path.name)
    comma = separator != "," and any(re.fullmatch(r"-?\d+,\d+", v.strip()) for v in table.iloc[:5].to_numpy().ravel())
    table = _numbers(table, path.name, decimal_comma=comma)
    words = [f"{_SEPARATORS[separator]} between fields"]
    if comma:
        words.append("decimal comma")
    if not has_header:
        words.append("no header")
    return table, ", ".join(words)


def _separator(lines: list[str]) -> str:
    """Choose the first separator that stands in every line about equally often; the comma last, it may be decimal."""
    for separator in _SEPARATORS:
        counts = [line.count(separator) for line in lines]
        if min(counts) and max(counts) - min(counts) <= 1:
            return separator
    return ","


def _require_whole_lines(text: str, separator: str, fields: int, name: str) -> None:
    """Refuse the first line that has too few or too many fields (a quoted line is left to the parser)."""
    for number, line in enumerate(text.splitlines(), 1):
        found = line.count(separator) + 1
        if found != fields and line.strip() and '"' not in line:
            raise CorruptFileError(
                f"{name}, line {number} has {found} field(s) where the first line has {fields}: {line[:60]!r}.",
                fix="Repair that line, or fetch the file again if it was cut off.",
            )


def _drop_blank(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out empty lines, keeping the line numbers (from 1) as the index."""
    table.index = pd.RangeIndex(1, len(table) + 1)
    first = table[0].fillna("").str.strip()
    return table[first != ""]


def _headerless(table: pd.DataFrame, name: str) -> list[str]:
    """Name columns by position: (date, time | stamp), open, high, low, close, volume, and whatever follows."""
    width = table.shape[1]
    row = [str(v).strip() for v in table.iloc[0]]
    split = width > 1 and re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", row[1]) is not None
    times = ["date", "time"] if split else ["time"]
    names = [*times, *COLUMNS][:width]
    if len(names) < len(times) + len(PRICES):
        raise ColumnError(
            f"{name} has no header and {width} columns; a time and four prices are needed.", fix="Add a header."
        )
    return names + [f"column {i + 1}" for i in range(len(names), width)]


def _numbers(table: pd.DataFrame, name: str, *, decimal_comma: bool) -> pd.DataFrame:
    """Turn price and volume columns into floats, or name the line that holds no number."""
    times = _time_columns(table, name)
    for column in _value_columns(table, times).values():
        text = table[column]
        text = text.str.strip()
        if decimal_comma:
            text = text.str.replace(",", ".", regex=False)
        absent = text.str.lower().isin(_NO_VALUE)
        values = pd.to_numeric(text.mask(absent), errors="coerce")
        bad = values.isna() & ~absent
        if bad.any():
            line = table.index[int(bad.to_numpy().argmax())]
            raise CorruptFileError(
                f"{name}, line {line}: {column!r} is {table[column].loc[line]!r}, no number.", fix="Repair that line."
            )
        table = table.assign(**{column: values.astype(float)})
    return table


def _read_parquet(path: Path) -> tuple[pd.DataFrame, str]:
    try:
        table = pq.read_table(io.BytesIO(_read_bytes(path))).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise CorruptFileError(f"{path.name} is no whole Parquet file: {error}.", fix="Fetch it again.") from error
    if isinstance(table.index, pd.DatetimeIndex):
        table = table.reset_index(names=table.index.name or "time")
    return table, ""


def _read_json(path: Path) -> tuple[pd.DataFrame, str]:
    text = _read_text(path)
    try:
        found = json.loads(text)
        layout = "records"
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":  # what follows a whole first record may be a second one
            raise _broken_json(path, error.lineno, error.msg) from error
        found, layout = _json_lines(path, text.splitlines()), "one record a line"
    if isinstance(found, dict):
        found = next((found[k] for k in ("data", "candles", "bars", "result", "ohlcv") if k in found), found)
    try:
        table = pd.DataFrame(found)
    except (ValueError, TypeError) as error:
        raise CorruptFileError(f"{path.name} holds no table of bars: {error}.") from error
    if all(isinstance(c, int) for c in table.columns) and len(table):
        table.columns = _headerless(table, path.name)
        layout = "rows without names"
    return table, layout


def _json_lines(path: Path, rows: list[str]) -> list[object]:
    found = []
    for number, row in enumerate(rows, 1):
        if row.strip():
            try:
                found.append(json.loads(row))
            except json.JSONDecodeError as error:
                raise _broken_json(path, number, error.msg) from error
    return found


def _broken_json(path: Path, line: int, why: str) -> CorruptFileError:
    return CorruptFileError(f"{path.name}, line {line}: {why}.", fix="Repair or fetch the file again.")


def _read_hst(path: Path) -> tuple[pd.DataFrame, str]:
    found = metatrader.read_hst(_read_bytes(path), path.name)
    of = f"{found.symbol}, " if found.symbol else ""
    return found.bars, f"{of}version {found.version}, {found.minutes} minutes, {found.digits} digits"


_READERS = {"CSV": _read_csv, "Parquet": _read_parquet, "JSON": _read_json, "MetaTrader history": _read_hst}


def _time_columns(table: pd.DataFrame, name: str) -> list[str]:
    labels = {str(c).strip().lower(): c for c in table.columns}
    for date, clock in _DATE_AND_TIME:
        if date in labels and clock in labels:
            return [labels[date], labels[clock]]
    found = next((labels[t] for t in (*_MORE_TIME_NAMES, "<date>", "day") if t in labels), None)
    if found is None:
        raise ColumnError(
            f"{name} has no column of times (it has {', '.join(map(str, table.columns))}).",
            allowed=_MORE_TIME_NAMES[:6],
        )
    return [found]


def _value_columns(table: pd.DataFrame, times: list[str]) -> dict[str, str]:
    """Map ours to theirs, leaving to ``as_bars`` what is missing or there twice."""
    labels: dict[str, str] = {}
    for column in table.columns:
        if column not in times:
            labels.setdefault(str(column).strip().lower(), column)
    found = {ours: next((labels[a] for a in (ours, *ALIASES[ours]) if a in labels), None) for ours in COLUMNS}
    return {ours: theirs for ours, theirs in found.items() if theirs is not None}
