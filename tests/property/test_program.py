"""Random programs say, bit for bit and whatever the tile, what NumPy says of whole arrays of booleans."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradelab.engine import indicators, windows
from tradelab.engine import program_ops as ops
from tradelab.engine.bits import pack, unpack, words_of
from tradelab.engine.program_build import Builder

_ARITHMETIC = {
    ops.ADD: np.add,
    ops.SUBTRACT: np.subtract,
    ops.MULTIPLY: np.multiply,
    ops.DIVIDE: np.divide,
    ops.LESSER: np.minimum,
    ops.GREATER: np.maximum,
}
_ROLLED = {
    ops.SMA: windows.sma,
    ops.WMA: windows.wma,
    ops.EMA: windows.ema,
    ops.RMA: windows.rma,
    ops.RSI: indicators.rsi,
    ops.HIGHEST: windows.highest,
    ops.LOWEST: windows.lowest,
    ops.DEVIATION: lambda values, window: windows.rolling_std(values, window, 0),
}


def late_line(values: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([np.full(n, np.nan), values])[: len(values)]


def late_flags(flags: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([np.zeros(n, bool), flags])[: len(flags)]


def rising(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a > b) & late_flags(a <= b, 1)


class Pair:
    """A random program and what NumPy makes of the same words, side by side; everything follows from the seed."""

    def __init__(self, bars: int, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        self.builder = Builder(bars)
        self.lines: list[tuple[int, np.ndarray]] = []
        self.flags: list[tuple[int, np.ndarray]] = []
        for head in (0, 0, 3, 70):
            values = rng.integers(-3, 4, bars).astype(float)  # few values, many ties
            values[: min(head, bars)] = np.nan
            if head == 3:
                values[rng.random(bars) < 0.05] = np.nan  # holes too
            self.lines.append((self.builder.column(values), values))
        self.columns = list(self.lines)
        given = rng.random(bars) < 0.3
        self.flags.append((self.builder.given(pack(given)), given))
        self.flags.append((self.builder.always(), np.ones(bars, bool)))

    def some(self, held: list) -> Any:
        return held[self.rng.integers(len(held))]

    def grow(self) -> None:
        """Name one more line or condition, of what was named before."""
        b = self.builder
        (i, x), (j, y), (c, column) = self.some(self.lines), self.some(self.lines), self.some(self.columns)
        (k, p), (m, q) = self.some(self.flags), self.some(self.flags)
        n, window = self.some([0, 1, 2, 63, 64, 65, 130, 700]), self.some([1, 2, 3, 5, 40, 90])
        level, op, kind = self.some([-1.0, -0.0, 0.0, 2.5]), self.some(list(_ARITHMETIC)), self.some(list(_ROLLED))
        lines = [
            lambda: (b.constant(level), np.full(len(x), level)),
            lambda: (b.negative(i), -x),
            lambda: (b.size(i), abs(x)),
            lambda: (b.combine(op, i, j), _ARITHMETIC[op](x, y)),
            lambda: (b.delayed(i, n), late_line(x, n)),
            lambda: (b.rolled(kind, c, window), _ROLLED[kind](column, window)),
        ]
        flags = [
            lambda: (b.above(i, j), x > y),
            lambda: (b.reaches(i, j), x >= y),
            lambda: (b.equals(i, j), x == y),
            lambda: (b.rises_above(i, j), rising(x, y)),
            lambda: (b.rises_above(j, i), rising(y, x)),
            lambda: (b.crosses_above(i, j), windows.crossings(x, y) == 1),
            lambda: (b.crosses_above(j, i), windows.crossings(x, y) == -1),
            lambda: (b.both(k, m), p & q),
            lambda: (b.either(k, m), p | q),
            lambda: (b.differ(k, m), p ^ q),
            lambda: (b.fails(k), ~p),
            lambda: (b.later(k, n), late_flags(p, n)),
        ]
        with np.errstate(all="ignore"):
            if self.rng.random() < 0.35:
                self.lines.append(self.some(lines)())
            else:
                self.flags.append(self.some(flags)())

    def combine(self) -> np.ndarray:
        """Add a combination of four conditions, or of some and none; its words by NumPy."""
        roots = [None if self.rng.random() < 0.1 else self.some(self.flags) for _ in range(4)]
        quiet = int(self.some([0, 0, 1, 64, 100]))
        self.builder.combination([root and root[0] for root in roots], quiet)
        flags = np.array([np.zeros(self.builder.bars, bool) if root is None else root[1] for root in roots])
        flags[:, :quiet] = False
        return pack(flags)


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.sampled_from([517, 200, 129, 65, 64, 63, 1]))
def test_words_are_the_booleans_of_whole_arrays_whatever_the_tile(seed: int, bars: int) -> None:
    pair = Pair(bars, seed)
    for _ in range(40):
        pair.grow()
    wanted = np.array([pair.combine() for _ in range(8)])
    program = pair.builder.build()
    for tile in (64, 128, 512):
        np.testing.assert_array_equal(program.words(tile=tile), wanted)


def test_what_no_combination_shares_is_the_same_alone() -> None:
    """A combination asked for on its own says what it says among others."""
    bars = 300
    values = np.random.default_rng(4).normal(size=(6, bars)).cumsum(axis=1)
    builder = Builder(bars)
    rows = [builder.column(line) for line in values]
    for i in range(6):
        for j in range(i):
            up, down = builder.rises_above(rows[i], rows[j]), builder.rises_above(rows[j], rows[i])
            builder.combination((up, down, down, up), quiet=i)
    program = builder.build()
    alone = np.concatenate([program.words(c, c + 1, tile=64) for c in range(program.combinations)])
    np.testing.assert_array_equal(alone, program.words(tile=256))


@pytest.mark.parametrize("bars", [1, 64, 65, 130])
def test_packing_and_unpacking_are_inverse(bars: int) -> None:
    flags = np.random.default_rng(bars).random((3, bars)) < 0.5
    words = pack(flags)
    assert words.shape == (3, words_of(bars))
    assert words[0, 0] & np.uint64(1) == flags[0, 0]  # the first bar is the lowest bit
    np.testing.assert_array_equal(unpack(words, bars), flags)
