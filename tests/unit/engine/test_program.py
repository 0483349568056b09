"""Programs are walked by kernels, tile by tile, in as many threads as there are workspaces."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numba import njit

from tradelab.engine import program_ops as ops
from tradelab.engine import windows
from tradelab.engine.bits import pack, unpack, words_of
from tradelab.engine.program import Program, Space, Tables, evaluate_tile, signal_words
from tradelab.engine.program_build import Builder

BARS = 3_000


@njit(nogil=True, error_model="numpy")
def walked(tables: Tables, space: Space, bars: int, begin: int, end: int, out: np.ndarray) -> None:
    """What a sweep does: in each tile what is shared, then each combination's four signals."""
    tile = np.empty((4, space.room >> 6), np.uint64)
    for first in range(0, bars, space.room):
        last = min(first + space.room, bars)
        evaluate_tile(tables, space, first, last)
        for c in range(begin, end):
            signal_words(tables, space, first, last, c, tile)
            for signal in range(4):
                for w in range((last - first + 63) >> 6):
                    out[c, signal, (first >> 6) + w] = tile[signal, w]


def prices() -> np.ndarray:
    return 100 + np.cumsum(np.random.default_rng(3).integers(-2, 3, BARS)) / 4


def crossings(quiet: int = 40) -> Program:
    """Every pair of eight averages, and a threshold that all combinations share."""
    builder = Builder(BARS)
    close = builder.column(prices())
    mean = {w: builder.rolled(ops.SMA, close, w) for w in range(2, 34, 4)}
    high = builder.above(close, builder.constant(101.0))
    for fast, slow in itertools.combinations(mean, 2):
        up, down = builder.rises_above(mean[fast], mean[slow]), builder.rises_above(mean[slow], mean[fast])
        builder.combination((builder.both(up, high), down, None, up), quiet)
    return builder.build()


def test_a_kernel_that_walks_the_tiles_gets_what_whole_arrays_give() -> None:
    program = crossings()
    out = np.zeros((program.combinations, 4, words_of(BARS)), np.uint64)
    walked(program.tables, program.space(128), BARS, 0, program.combinations, out)
    close = prices()
    for c, (fast, slow) in enumerate(itertools.combinations(range(2, 34, 4), 2)):
        a, b = windows.sma(close, fast), windows.sma(close, slow)
        up = np.append(False, (a[1:] > b[1:]) & (a[:-1] <= b[:-1]))
        down = np.append(False, (b[1:] > a[1:]) & (b[:-1] <= a[:-1]))
        wanted = np.array([up & (close > 101.0), down, np.zeros(BARS, bool), up])
        wanted[:, :40] = False
        np.testing.assert_array_equal(unpack(out[c], BARS), wanted)


def test_threads_with_a_workspace_each_agree_with_one() -> None:
    program = crossings()
    out = np.zeros((program.combinations, 4, words_of(BARS)), np.uint64)
    half = program.combinations // 2
    with ThreadPoolExecutor(2) as pool:
        parts = [(0, half), (half, program.combinations)]
        list(pool.map(lambda part: walked(program.tables, program.space(), BARS, *part, out), parts))
    np.testing.assert_array_equal(out, program.words())


def test_what_only_one_combination_uses_takes_no_row_of_its_own() -> None:
    program = crossings()
    assert program.combinations == 28
    assert len(program.windows) == 8
    assert program.rows == (
        10,
        4,
    )  # eight averages, close, level; close > level and what one at a time needs
    assert program.tables.shared == 3


def test_memory_is_what_is_held() -> None:
    program = crossings()
    space = program.space()
    held = [*program.tables, program.groups, program.windows, space.floats, space.words]
    assert program.memory() == sum(part.nbytes for part in held if isinstance(part, np.ndarray))
    assert program.memory(threads=3) == program.memory() + 2 * (space.floats.nbytes + space.words.nbytes)


@pytest.mark.parametrize("tile", [0, 63, 100, -64])
def test_a_tile_of_no_whole_words_is_refused(tile: int) -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        crossings().space(tile)


def test_a_builder_refuses_what_does_not_fit_its_bars_or_looks_ahead() -> None:
    builder = Builder(100)
    close = builder.column(np.zeros(100))
    with pytest.raises(ValueError, match="shape"):
        builder.column(np.zeros(99))
    with pytest.raises(ValueError, match="shape"):
        builder.given(pack(np.zeros(200, bool)))
    with pytest.raises(ValueError, match="future"):
        builder.delayed(close, -1)
    with pytest.raises(ValueError, match="from ADD to GREATER"):
        builder.combine(ops.ABOVE, close, close)
    with pytest.raises(ValueError, match="of a column"):
        builder.rolled(ops.SMA, builder.negative(close), 3)


def test_many_named_at_once_are_the_same_as_one_by_one() -> None:
    builder = Builder(10)
    lines = [builder.constant(float(k)) for k in range(5)]
    pairs = np.array(list(itertools.product(lines, lines)))
    at_once = builder.rises_above(pairs[:, 0], pairs[:, 1])
    assert at_once.tolist() == [builder.rises_above(a, b) for a, b in pairs.tolist()]
    assert len(set(at_once.tolist())) == 25


def test_a_combination_that_never_speaks_says_nothing() -> None:
    builder = Builder(70)
    builder.combination((None, None, None, None))
    builder.combination((builder.always(), None, None, None), quiet=66)
    words = builder.build().words()
    assert not words[0].any()
    assert np.flatnonzero(unpack(words[1, 0], 70)).tolist() == [66, 67, 68, 69]
