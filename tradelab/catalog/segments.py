"""Write and read immutable Parquet segments: a file is named by its content and never changed.

A segment holds one series for one period (a month of minutes, a year of hours, ten years of days). Prices on a decimal
grid are kept as Parquet ``DECIMAL``, delta-packed: exact, readable by any tool, a third of the size of floats. A column
on no such grid stays float64.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tradelab.catalog.block import Block
from tradelab.catalog.frame import COLUMNS
from tradelab.model.errors import CorruptFileError
from tradelab.model.units import Timeframe

_EXACT = 2**53  # integers up to here are exact in a float64, so int / 10**k is the float nearest to the decimal
_MAX_DECIMALS = 9
REPAIR = "Run `tradelab data verify --discard-damaged`, then download or import that range again."


@dataclass(frozen=True, slots=True)
class Segment:
    """One immutable file as the catalogue knows it; ``name`` is its path below the catalog's root."""

    period: int
    name: str
    first_ns: int
    last_ns: int
    rows: int
    sha256: str
    size: int


def months_per_segment(timeframe: Timeframe) -> int:
    """Return how many months a segment spans: tens of thousands of bars at most, not thousands of tiny files."""
    if timeframe.ns < Timeframe.H1.ns:
        return 1
    return 12 if timeframe.ns < Timeframe.D1.ns else 120


def split(block: Block, timeframe: Timeframe) -> Iterator[tuple[int, Block]]:
    """Cut a block at the borders of periods; a period is counted in segments since 1970."""
    periods = block.time.view("M8[ns]").astype("M8[M]").astype(np.int64) // months_per_segment(timeframe)
    starts = np.flatnonzero(np.diff(periods, prepend=periods[:1] - 1))
    for a, b in zip(starts, [*starts[1:], len(block)], strict=True):
        yield int(periods[a]), Block(block.time[a:b], block.values[:, a:b])


def folder_of(source: str, symbol: str, timeframe: Timeframe, *, below: str = "segments") -> str:
    """Return a series' folder below the root; anything a file system may dislike is percent-encoded."""
    return "/".join([below, *(_safe(part) for part in (source, symbol)), timeframe.code])


def store(root: Path, key: tuple[str, str, Timeframe], period: int, block: Block) -> tuple[Segment, bool]:
    """Write a block to a file named by its content, flushed to the disk; also say whether the file is new.

    A kill at any moment leaves either no file of that name or all of it; the catalogue names it only afterwards.
    """
    source, symbol, timeframe = key
    data = encode(block, {"source": source, "symbol": symbol, "timeframe": timeframe.code})
    digest = hashlib.sha256(data).hexdigest()
    folder = folder_of(source, symbol, timeframe)
    name = f"{folder}/{label(period, timeframe)}-{digest[:12]}.parquet"
    target = root / name
    segment = Segment(period, name, int(block.time[0]), int(block.time[-1]), len(block), digest, len(data))
    is_new = not intact(root, segment)
    if is_new:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(target, data)
    return segment, is_new


def load(root: Path, found: Sequence[Segment]) -> Block:
    """Read segments that follow one another, each held against the catalogue's hash, every time (a tenth of the work).

    Raises
    ------
    FileNotFoundError
        A file is gone: replaced and vacuumed since the catalogue was read. Read the catalogue again.
    CorruptFileError
        The content is not what the catalogue says.
    """
    block = _empty(sum(s.rows for s in found))
    at = 0
    for segment in found:
        path = root / segment.name
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != segment.sha256:
            raise CorruptFileError(
                f"segment {segment.name} is damaged: its content is not what was written "
                f"({len(data)} bytes; {segment.size} expected).",
                fix=REPAIR,
            )
        _decode_into(data, block.time[at : at + segment.rows], block.values[:, at : at + segment.rows])
        at += segment.rows
    return block


def intact(root: Path, segment: Segment) -> bool:
    """Say whether a segment's file is there and hashes to what the catalogue says; always looks at the disk."""
    try:
        return hashlib.sha256((root / segment.name).read_bytes()).hexdigest() == segment.sha256
    except OSError:
        return False


def encode(block: Block, key: dict[str, str]) -> bytes:
    """Return a block as the bytes of a Parquet file."""
    arrays: list[pa.Array] = [pa.array(block.time).cast(pa.timestamp("ns", "UTC"))]
    packing = {"time": "DELTA_BINARY_PACKED"}
    squeeze = {"time": "none"}  # zstd takes nothing off packed deltas and costs an eighth of the reading
    for column, values in zip(COLUMNS, block.values, strict=True):
        places = decimals(values)
        arrays.append(pa.array(values) if places is None else _decimal_array(values, places))
        packing[column] = "BYTE_STREAM_SPLIT" if places is None else "DELTA_BINARY_PACKED"
        squeeze[column] = "zstd" if places is None else "none"
    fields = [pa.field(n, a.type, nullable=False) for n, a in zip(("time", *COLUMNS), arrays, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression=squeeze,
        use_dictionary=False,
        column_encoding=packing,
        store_decimal_as_integer=True,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=max(1, len(block)))
        writer.add_key_value_metadata(key)
    return sink.getvalue().to_pybytes()


def decode(data: bytes) -> Block:
    """Return the block in the bytes of a Parquet file that :func:`encode` made."""
    block = _empty(pq.read_metadata(pa.BufferReader(data)).num_rows)
    _decode_into(data, *block)
    return block


def decimals(values: np.ndarray) -> int | None:
    """Return the fewest decimals at which every value survives ``int / 10**k`` bit for bit, if there are such."""
    if not len(values) or not np.isfinite(values).all():
        return None
    largest = float(np.abs(values).max())
    few = values[:64]
    for k in range(_MAX_DECIMALS + 1):
        if largest * 10.0**k >= _EXACT:
            return None
        if all((np.rint(v * 10.0**k) / 10.0**k == v).all() for v in (few, values)):
            return k
    return None


def _empty(rows: int) -> Block:
    return Block(np.empty(rows, np.int64), np.empty((len(COLUMNS), rows)))


def _decode_into(data: bytes, time: np.ndarray, values: np.ndarray) -> None:
    """Decode straight into the arrays of a longer run: joining blocks afterwards would touch all memory twice."""
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as file:
        table = file.read(use_threads=False)
    at = 0
    for batch in table.to_batches():
        end = at + len(batch)
        time[at:end] = _words(batch.column("time"), 1)
        for row, column in zip(values, COLUMNS, strict=True):
            array = batch.column(column)
            if pa.types.is_decimal(array.type):
                np.divide(_words(array, 2), 10.0**array.type.scale, out=row[at:end])
            else:
                row[at:end] = array.to_numpy()
        at = end


def _words(array: pa.Array, stride: int) -> np.ndarray:
    """Return the low int64 word of each element; below 2**63 a decimal of 16 bytes has its value in that word."""
    words = np.frombuffer(array.buffers()[1], np.int64)
    return words[stride * array.offset : stride * (array.offset + len(array)) : stride]


def _decimal_array(values: np.ndarray, places: int) -> pa.Array:
    words = np.empty((len(values), 2), np.int64)
    words[:, 0] = np.rint(values * 10.0**places)
    words[:, 1] = words[:, 0] >> 63
    kind = pa.decimal128(18, places)
    return pa.Decimal128Array.from_buffers(kind, len(values), [None, pa.py_buffer(words)])


def label(period: int, timeframe: Timeframe) -> str:
    """Return a period's name in file names: ``2024-01``, ``2024`` or ``2020s``."""
    months = months_per_segment(timeframe)
    year, month = divmod(period * months, 12)
    return {1: f"{1970 + year:04d}-{month + 1:02d}", 12: f"{1970 + year:04d}", 120: f"{1970 + year:04d}s"}[months]


def _write_whole(target: Path, data: bytes) -> None:
    part = target.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    """Make the new name itself survive a loss of power, where the system lets a folder be opened (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _safe(part: str) -> str:
    return quote(part, safe="").replace(".", "%2E")
