"""Run strategies as programs: lines, conditions and four signals a combination, tile by tile, 64 bars a word.

A program is data. Whatever two combinations have in common is computed once a tile (`evaluate_tile`); what belongs to
one combination alone is computed when its signals are asked for (`signal_words`), straight out of the lines, so that
ten thousand crossings need no memory of their own. Both are the same instructions (`tradelab.engine.program_ops`).

A thread walks the tiles in order, in a workspace of its own::

    for first, last in tiles:                         # multiples of 64 bars, from 0 to the end
        evaluate_tile(tables, space, first, last)
        for c in combinations:
            signal_words(tables, space, first, last, c, out)   # out: (4, words) of uint64
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tradelab.engine.bits import WORD, bits_from, words_of
from tradelab.engine.far import Frame, address_of, call, cube_at, frame_of, grid_at, number_at, row_at, run
from tradelab.engine.jit import kernel
from tradelab.engine.program_frame import EXECUTES, FRAME, GROUP_COUNT, KINDS, SELF, execute_far
from tradelab.engine.program_ops import INSTRUCTION, RISES, rises
from tradelab.engine.program_rows import KIND, drawer_of, scratch_of

# Columns of `Tables.combinations`: its instructions, its first bar that may speak, and the rows of its four signals,
# in the order of `tradelab.engine.trading`'s flags; a row of −1 never speaks.
BEGIN, END, QUIET, LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT = range(7)
NEVER = -1
_CACHE_BYTES = 1_600_000  # of the lines of a tile: what shorter tiles save in waiting they lose in calls
_SHORTEST, _LONGEST = 512, 2048  # bars of a tile


class Tables(NamedTuple):
    """A program as arrays.

    ``code`` are instructions (``INSTRUCTION``), the first ``shared`` of them for all combinations; ``combinations`` is
    int64 of shape (combinations, 7); ``columns`` float64 of shape (columns, bars); ``given`` uint64 of shape
    (rows, words). ``float_base`` and ``word_base`` are where the rows begin in the memories of a workspace.
    """

    code: np.ndarray
    combinations: np.ndarray
    columns: np.ndarray
    given: np.ndarray
    shared: int
    float_base: int
    word_base: int


class Space(NamedTuple):
    """Memory of one thread: lines, words, and what is kept from tile to tile; ``room`` is the bars of a tile.

    Made by `Program.space`; the program must outlive it, for the words begin with where its tables lie.
    """

    floats: np.ndarray
    words: np.ndarray
    room: int


@kernel
def evaluate_tile(tables: Tables, space: Space, first: int, last: int) -> None:
    """Compute what combinations share on bars ``first`` up to ``last``; tiles come in order and none is left out."""
    words = space.words
    for k in range(words[GROUP_COUNT]):
        call(words[FRAME + k], words[SELF], k, first, last, 0)
    if tables.shared > 0:
        call(words[EXECUTES], words[SELF], 0, tables.shared, first, last)


@kernel
def signal_words(tables: Tables, space: Space, first: int, last: int, combination: int, out: np.ndarray) -> None:
    """Write one combination's four signals on a tile to ``out``, uint64 of shape (4, words or more).

    Bit ``b`` of word ``w`` is bar ``first + 64·w + b``. Every tile must be asked for, once and in order: a crossing
    needs the bar before.
    """
    begin, end = tables.combinations[combination, BEGIN], tables.combinations[combination, END]
    words, room = space.words, space.room
    count, stride = (last - first + 63) >> 6, room >> 6
    if end == begin + 1 and tables.code[begin].op == RISES:  # one crossing both ways: nearly all sweeps are this
        step = tables.code[begin]
        up = tables.word_base + step.into * stride
        a, b = tables.float_base + step.a * room, tables.float_base + step.b * room
        rises(space.floats, a, b, words, up, up + stride, step.keep, count)
    elif end > begin:
        call(words[EXECUTES], words[SELF], begin, end, first, last)
    _hand_out(tables, words, combination, stride, count, out)
    quiet = tables.combinations[combination, QUIET]
    if quiet > first or (last - first) & 63:
        _trim(out, first, last, quiet, count)


@kernel
def _hand_out(tables: Tables, words: np.ndarray, combination: int, stride: int, count: int, out: np.ndarray) -> None:
    """Copy the rows of a combination's four signals; a row of −1 is read as the first one, and masked away."""
    long_in, long_out = tables.combinations[combination, LONG_ENTRY], tables.combinations[combination, LONG_EXIT]
    short_in, short_out = tables.combinations[combination, SHORT_ENTRY], tables.combinations[combination, SHORT_EXIT]
    base = tables.word_base
    a, b = np.uint64(base + max(long_in, 0) * stride), np.uint64(base + max(long_out, 0) * stride)
    c, d = np.uint64(base + max(short_in, 0) * stride), np.uint64(base + max(short_out, 0) * stride)
    for_a, for_b = np.uint64(-(long_in >= 0)), np.uint64(-(long_out >= 0))
    for_c, for_d = np.uint64(-(short_in >= 0)), np.uint64(-(short_out >= 0))
    for w in range(np.uint64(count)):
        out[np.uint64(0), w] = words[a + w] & for_a
        out[np.uint64(1), w] = words[b + w] & for_b
        out[np.uint64(2), w] = words[c + w] & for_c
        out[np.uint64(3), w] = words[d + w] & for_d


@kernel
def _trim(out: np.ndarray, first: int, last: int, quiet: int, count: int) -> None:
    """Take away signals before bar ``quiet`` and bits after the last bar."""
    rest = (last - first) & 63
    for signal in range(4):
        for w in range(min((quiet - first + 63) >> 6, count)):
            out[signal, w] &= bits_from(quiet - first - 64 * w)
        if rest:
            out[signal, count - 1] &= ~bits_from(rest)


_KINDS = (INSTRUCTION, np.int64, np.float64, np.uint64, None, None, None, np.float64, np.uint64, None)


def words_far(frame: int, bars: int, _third: int, _fourth: int, _fifth: int) -> None:
    """Write the signals of chosen combinations on all bars; ``Program.some_words`` wrote the frame."""
    tables = Tables(
        row_at(frame, 0, INSTRUCTION), grid_at(frame, 1, np.int64), grid_at(frame, 2, np.float64),
        grid_at(frame, 3, np.uint64), number_at(frame, 4), number_at(frame, 5), number_at(frame, 6),
    )  # fmt: skip
    space = Space(row_at(frame, 7, np.float64), row_at(frame, 8, np.uint64), number_at(frame, 9))
    chosen, tile, out = row_at(frame, 10, np.int64), grid_at(frame, 11, np.uint64), cube_at(frame, 12, np.uint64)
    for first in range(0, bars, space.room):
        last = min(first + space.room, bars)
        evaluate_tile(tables, space, first, last)
        at, count = first >> 6, (last - first + 63) >> 6
        for k in range(len(chosen)):
            signal_words(tables, space, first, last, chosen[k], tile)
            for signal in range(4):
                for w in range(count):
                    out[k, signal, at + w] = tile[signal, w]


@dataclass(frozen=True, eq=False)
class Program:
    """A program for a batch of combinations over one instrument's bars.

    Parameters
    ----------
    tables
        What the kernels read; the same for all threads.
    bars
        Bars of the columns.
    rows
        Rows of lines and of words a tile needs.
    groups, windows
        What is drawn tile by tile (columns in `tradelab.engine.program_rows`), and the windows it is drawn over; int64.
    delays
        Floats kept of delayed lines, which come first and are not known on the first bars.
    """

    tables: Tables
    bars: int
    rows: tuple[int, int]
    groups: np.ndarray
    windows: np.ndarray
    delays: int

    @property
    def combinations(self) -> int:
        """How many combinations it serves."""
        return len(self.tables.combinations)

    @property
    def tile(self) -> int:
        """Bars of a tile with which the lines stay in the second cache; a multiple of 64."""
        fit = _CACHE_BYTES // (8 * max(self.rows[0], 1))
        return min(max(fit, _SHORTEST), _LONGEST) // WORD * WORD

    def space(self, tile: int | None = None) -> Space:
        """Fresh memory for one thread that walks tiles of ``tile`` bars from the first bar on.

        Raises
        ------
        ValueError
            ``tile`` is no positive multiple of 64.
        """
        room = self.tile if tile is None else tile
        if room < WORD or room % WORD:
            raise ValueError(f"tile={tile!r} is no number of whole words; give a multiple of 64.")
        floats = _aligned(self._lines(room) + scratch_of(self.groups, self.windows, room), np.float64)
        floats[: self.tables.float_base] = 0.0
        floats[: self.delays] = np.nan
        words = _aligned(self.tables.word_base + self.rows[1] * (room // WORD), np.uint64)
        words[: self.tables.word_base] = 0
        words[:FRAME] = self._frame(floats, words, room).words
        words[FRAME : FRAME + len(self.groups)] = [
            address_of(drawer_of(kind)) for kind in self.groups[:, KIND].tolist()
        ]
        return Space(floats, words, room)

    def _lines(self, room: int) -> int:
        """Floats that are kept and the lines of a tile; what is lent to those who draw them begins behind."""
        return self.tables.float_base + self.rows[0] * room

    def _frame(self, floats: np.ndarray, words: np.ndarray, room: int) -> Frame:
        """Where everything lies, in the order of `tradelab.engine.program_frame`."""
        t, runs = self.tables, self.tables.shared > 0 or bool((self.tables.code["op"] != RISES).any())
        runs = runs or bool((t.combinations[:, END] - t.combinations[:, BEGIN] > 1).any())
        return frame_of(
            KINDS, words, floats, t.code, t.columns, t.given, self.groups, self.windows, room, t.float_base,
            t.word_base,
            address_of(execute_far) if runs else 0, self._lines(room),
        )  # fmt: skip

    def memory(self, threads: int = 1, tile: int | None = None) -> int:
        """Bytes held: whole columns, given words, instructions, and a workspace for each thread."""
        room = self.tile if tile is None else tile
        tables = [*self.tables, self.groups, self.windows]
        fixed = sum(table.nbytes for table in tables if isinstance(table, np.ndarray))
        own = self._lines(room) + scratch_of(self.groups, self.windows, room)
        own += self.tables.word_base + self.rows[1] * (room // WORD)
        return fixed + threads * 8 * own

    def words(self, begin: int = 0, end: int | None = None, *, tile: int | None = None) -> np.ndarray:
        """Signals of combinations ``begin`` up to ``end`` over all bars, uint64 of shape (combinations, 4, words)."""
        return self.some_words(range(begin, self.combinations if end is None else end), tile=tile)

    def some_words(self, chosen: Sequence[int], *, tile: int | None = None) -> np.ndarray:
        """Signals of the ``chosen`` combinations, each named once, as `words` gives them."""
        out, space = np.zeros((len(chosen), 4, words_of(self.bars)), np.uint64), self.space(tile)
        kinds = (*_KINDS, np.int64, np.uint64, np.uint64)
        room = np.empty((4, space.room >> 6), np.uint64)
        run(words_far, frame_of(kinds, *self.tables, *space, np.array(chosen, np.int64), room, out), self.bars)
        return out


def _aligned(size: int, dtype: type) -> np.ndarray:
    """Memory that begins on a cache line, as a vector register wants it."""
    raw = np.empty(8 * size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + 8 * size].view(dtype)
