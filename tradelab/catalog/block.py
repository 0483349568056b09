"""Hold a run of bars as two arrays, stamps and values: what segments and tail pass between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tradelab.catalog.frame import COLUMNS, time_ns


class Block(NamedTuple):
    """Bars in rising order of time.

    ``time`` is int64 (n,), nanoseconds since 1970 UTC; ``values`` is float64 (5, n), one row a column of
    ``open, high, low, close, volume``, which is how pandas keeps a frame, so that making one copies nothing.
    """

    time: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.time)

    def between(self, start_ns: int, end_ns: int) -> Block:
        """Return the bars from ``start_ns`` (included) to ``end_ns`` (excluded), without copying."""
        a, b = np.searchsorted(self.time, (start_ns, end_ns))
        return Block(self.time[a:b], self.values[:, a:b])

    def frame(self) -> pd.DataFrame:
        """Return canonical bars over the same memory."""
        index = pd.DatetimeIndex(self.time.view("M8[ns]"), name="time").tz_localize("UTC")
        return pd.DataFrame(self.values.T, index=index, columns=list(COLUMNS), copy=False)


EMPTY = Block(np.empty(0, np.int64), np.empty((len(COLUMNS), 0)))


def of_frame(bars: pd.DataFrame) -> Block:
    """Return canonical bars as a block."""
    return Block(time_ns(bars), np.ascontiguousarray(bars[list(COLUMNS)].to_numpy(dtype=np.float64).T))


def of_rows(rows: Sequence[tuple[float | None, ...]]) -> Block:
    """Return rows of (time, open, high, low, close, volume) as a block; ``None`` becomes NaN."""
    if not rows:
        return EMPTY
    time = np.fromiter((int(r[0]) for r in rows if r[0] is not None), np.int64, len(rows))
    values = np.array([r[1:6] for r in rows], dtype=np.float64)  # SQLite keeps NaN as NULL: None turns into NaN here
    return Block(time, np.ascontiguousarray(values.T))


def concat(blocks: Sequence[Block]) -> Block:
    """Join blocks that follow one another in time."""
    full = [b for b in blocks if len(b)]
    if len(full) < 2:
        return full[0] if full else EMPTY
    return Block(np.concatenate([b.time for b in full]), np.concatenate([b.values for b in full], axis=1))


def merge(old: Block, new: Block) -> tuple[Block, int]:
    """Lay ``new`` over ``old``: where both have a stamp, the new bar stands. Also count the bars that it changed."""
    if not len(old) or not len(new) or old.time[-1] < new.time[0]:
        return concat([old, new]), 0
    both, at_old, at_new = np.intersect1d(old.time, new.time, assume_unique=True, return_indices=True)
    before, after = old.values[:, at_old], new.values[:, at_new]
    changed = ((before != after) & ~(np.isnan(before) & np.isnan(after))).any(axis=0)
    keep = np.ones(len(old), dtype=bool)
    keep[at_old] = False
    time = np.concatenate([old.time[keep], new.time])
    order = np.argsort(time, kind="stable")
    values = np.concatenate([old.values[:, keep], new.values], axis=1)
    return Block(time[order], np.ascontiguousarray(values[:, order])), int(np.count_nonzero(changed)) if len(
        both
    ) else 0


def without(block: Block, stamps: np.ndarray) -> Block:
    """Return the bars whose stamps are not among ``stamps``."""
    keep = ~np.isin(block.time, stamps)
    return block if keep.all() else Block(block.time[keep], np.ascontiguousarray(block.values[:, keep]))
