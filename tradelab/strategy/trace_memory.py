"""Remember indicators of the same bars while a strategy is called again and again with other parameters.

A thousand combinations share a few dozen windows. Only what was reckoned from the bars' own columns, untouched, is
remembered, by where the column lies in memory; a strategy that writes into its bars has a copy of its own, which lies
elsewhere. What is handed out is a copy, for it may be written into.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import pandas as pd

KEPT_BYTES = 256 * 2**20


class IndicatorMemory:
    """The latest indicators of one frame of bars, up to ``kept_bytes``; any number of threads may share it."""

    def __init__(self, bars: pd.DataFrame, kept_bytes: int = KEPT_BYTES) -> None:
        self._bars = bars  # while it is here, its columns lie where they lie
        self._columns = {_place(bars[name]) for name in bars.columns} - {None}
        self._limit, self._bytes = kept_bytes, 0
        self._held: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def recall(self, name: str, arguments: Mapping[str, Any], reckon: Callable[[], Any]) -> Any:
        """What was reckoned from the same arguments before, or what ``reckon`` gives now."""
        columns = [_place(value) for value in arguments.values() if isinstance(value, np.ndarray | pd.Series)]
        if not self._columns.issuperset(columns):
            return reckon()
        key = (name, *columns, *((type(v), v) for v in arguments.values() if not isinstance(v, np.ndarray | pd.Series)))
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
        if found is None:
            found = reckon()
            self._keep(key, found)
        return type(found)(*(line.copy() for line in found)) if isinstance(found, tuple) else found.copy()

    def _keep(self, key: Hashable, found: Any) -> None:
        with self._lock:
            if key in self._held:
                return
            self._held[key] = found
            self._bytes += _size(found)
            while self._bytes > self._limit:
                self._bytes -= _size(self._held.popitem(last=False)[1])


def _place(column: Any) -> tuple[int, int] | None:
    """Where a whole column of numbers lies and how long it is."""
    array = column.to_numpy() if isinstance(column, pd.Series) else column
    if array.dtype != np.float64 or array.ndim != 1 or not array.flags.c_contiguous:
        return None
    return array.__array_interface__["data"][0], len(array)


def _size(found: Any) -> int:
    return sum(line.nbytes for line in found) if isinstance(found, tuple) else int(found.nbytes)


CURRENT: ContextVar[IndicatorMemory | None] = ContextVar("indicator memory", default=None)


@contextmanager
def remembering(memory: IndicatorMemory) -> Iterator[None]:
    """Let indicators asked for in this block, on this thread, remember."""
    token = CURRENT.set(memory)
    try:
        yield
    finally:
        CURRENT.reset(token)
