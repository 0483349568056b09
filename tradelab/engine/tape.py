"""Lay one instrument's history out for the event kernel: its bars, and its signals as bits."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tradelab.engine.jit import Primitive, inlined

_ZERO, _ONE = np.uint64(0), np.uint64(1)
_zeros_below: Any = Primitive("zeros_below")


class Tape(NamedTuple):
    """One instrument's bars, float64 of shape (bars,), and what is known of them beforehand.

    ``blocks`` from ``tally.index_blocks``; ``volume``, ``funding``, ``nights`` and ``ends`` (of sessions) may have no
    rows; ``clock`` of shape (bars,) is the next bar, from each, on which one of the last three is not 0.
    """

    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    blocks: np.ndarray
    funding: np.ndarray
    nights: np.ndarray
    ends: np.ndarray
    clock: np.ndarray


@inlined
def next_bit(words: np.ndarray, flags: int, first: int, last: int) -> int:
    """First bar of a tile, from ``first`` on, that bears one of the signals in ``flags`` (bits as in
    ``trading``); ``last`` where none does."""
    if first >= last:
        return last
    asked = (  # all ones for a signal that is asked for: a word more costs less than a question
        np.uint64(-(flags & 1)), np.uint64(-((flags >> 1) & 1)), np.uint64(-((flags >> 2) & 1)),
        np.uint64(-((flags >> 3) & 1)),
    )  # fmt: skip
    w = first >> 6
    mask = ~_ZERO << np.uint64(first & 63)
    while w <= (last - 1) >> 6:
        found = (words[0, w] & asked[0]) | (words[1, w] & asked[1])
        found |= (words[2, w] & asked[2]) | (words[3, w] & asked[3])
        found &= mask
        if found != _ZERO:
            at: Any = (w << 6) + np.int64(_zeros_below(found))
            return at if at < last else last
        mask = ~_ZERO
        w += 1
    return last


@inlined
def signals_at(words: np.ndarray, at: int) -> int:
    """The four flags of one bar of a tile."""
    w, bit = at >> 6, np.uint64(at & 63)
    flags: Any = np.int64(0)
    for k in range(4):
        flags |= np.int64((words[k, w] >> bit) & _ONE) << k
    return flags
