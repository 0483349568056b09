"""Read one consistent state of a series, whatever a writer does meanwhile, and name it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tradelab.catalog import segments, series, swap, tail
from tradelab.catalog.block import Block
from tradelab.catalog.database import Database, failures
from tradelab.catalog.frame import moment_ns
from tradelab.catalog.segments import Segment
from tradelab.catalog.series import Key
from tradelab.model.errors import StorageError

Moment = str | dt.datetime | None
Span = tuple[int, int]
FIRST_NS, LAST_NS = -(2**63), 2**63 - 1
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a run cites: the same id means the same bars, to the last bit.

    Compaction and a new bar in the range give another id; to compare the bars themselves use
    :func:`tradelab.catalog.frame.content_hash`.
    """

    id: str
    segments: tuple[str, ...]
    tail_bars: int


class Gathered(NamedTuple):
    """One state of a range: the segments that overlap it, their bars, the closed tail and the forming bars."""

    found: Sequence[Segment]
    stored: Block
    pending: Block
    forming: Block


def gather(database: Database, root: Path, key: Key, span: Span) -> Gathered:
    """Return the bars of one snapshot of the catalogue.

    A file that a writer replaced and vacuumed after the snapshot is answered by a new snapshot; a file that the new
    snapshot still names is damage.
    """
    gone: str | None = None
    for _ in range(_TRIES):
        with database.reading() as connection:
            number = series.require(connection, key)
            found = swap.find(connection, number, start_ns=span[0], end_ns=span[1])
            pending = tail.select(connection, number, *span, closed=True)
            forming = tail.select(connection, number, *span, closed=False)
        try:
            with failures(root, "read bars"):
                return Gathered(found, segments.load(root, found), pending, forming)
        except FileNotFoundError as error:
            absent = next((s for s in found if not (root / s.name).exists()), None)
            if absent is not None and absent.name == gone:
                raise swap.missing(absent) from error
            gone = absent.name if absent else None
    raise StorageError(f"the bars of {key[1]} were replaced {_TRIES} times during one read.", fix="Try again.")


def snapshot_of(key: Key, span: Span, found: Sequence[Segment], pending: Block) -> Snapshot:
    """Name the bars of a range by the segments' hashes and the closed tail."""
    live = hashlib.sha256(pending.time.tobytes() + pending.values.tobytes()).hexdigest() if len(pending) else ""
    said = [key[0], key[1], key[2].code, *span, [(s.period, s.sha256) for s in found], live]
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    return Snapshot(digest[:32], tuple(s.name for s in found), len(pending))


def span_of(start: Moment, end: Moment) -> Span:
    """Return a range in nanoseconds; ``None`` is no bound."""
    return (
        FIRST_NS if start is None else moment_ns(start, name="start"),
        LAST_NS if end is None else moment_ns(end, name="end"),
    )
