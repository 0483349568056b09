"""Keep booleans as bits, 64 bars a word, and do with whole words what is said of single bars.

Bit ``b`` of word ``w`` is bar ``64·w + b``: the lowest bit is the earliest bar, so "the bar before" is a shift to the
left, and what falls out at the top of one word comes in at the bottom of the next. Bits after the last bar are 0.

Where two lines touch, word by word. Two comparisons tell of every bar which of four things it is::

    ge = a ≥ b     le = a ≤ b         above  ge & ~le      touching  ge & le
                                      below  le & ~ge      unknown   neither (a NaN)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tradelab.engine.jit import kernel

Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]
Word = Any  # a uint64 inside a kernel

WORD = 64  # bars a word
_NONE, _ONE, _ALL, _TOP = np.uint64(0), np.uint64(1), np.uint64(0xFFFF_FFFF_FFFF_FFFF), np.uint64(63)


def words_of(bars: int) -> int:
    """How many words hold ``bars`` bits."""
    return -(-bars // WORD)


def pack(flags: Flags) -> Words:
    """Booleans along the last axis, shape (…, bars), as words, shape (…, words); bits after the last bar are 0.

    >>> pack(np.array([True, False, True])).tolist()
    [5]
    """
    packed = np.packbits(np.asarray(flags, dtype=bool), axis=-1, bitorder="little")
    room = np.zeros((*packed.shape[:-1], words_of(flags.shape[-1]) * 8), np.uint8)
    room[..., : packed.shape[-1]] = packed
    return room.view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words, bars: int) -> Flags:
    """Words, shape (…, words), as booleans, shape (…, bars).

    >>> unpack(np.array([5], np.uint64), 3).tolist()
    [True, False, True]
    """
    little = np.ascontiguousarray(words, dtype="<u8")
    return np.unpackbits(little.view(np.uint8), axis=-1, count=bars, bitorder="little").view(bool)


@kernel
def ordered(floats: np.ndarray, a: int, b: int) -> tuple[Word, Word]:
    """Compare 64 values from place ``a`` with 64 from place ``b``: where ``≥`` and where ``≤``; a NaN is neither.

    Unsigned places, or the check for negative ones keeps the loop out of the vector registers: with them it is eight
    values a comparison, and waits for memory only.
    """
    i, j = np.uint64(a), np.uint64(b)
    ge, le = np.uint64(0), np.uint64(0)
    for u in range(64):
        bar = np.uint64(u)
        x, y = floats[i + bar], floats[j + bar]
        ge |= np.uint64(x >= y) << bar
        le |= np.uint64(x <= y) << bar
    return ge, le


@kernel
def before(word: Word, carry: Word) -> Word:
    """Each bar's bit of the bar before; ``carry`` is what the word before ended with (0 or 1)."""
    return (word << _ONE) | carry


@kernel
def last_bit(word: Word) -> Word:
    """The latest bar's bit, as 0 or 1: what the next word is handed."""
    return word >> _TOP


@kernel
def side_before(side: Word, touching: Word, carry: Word) -> Word:
    """Where the last bar that did not touch lay on this side, however many touching ones lie between.

    A sum does the walking: adding the bit that opens a stretch of ones turns them all to noughts and leaves one bit
    behind the stretch. (Bits of touching bars themselves mean nothing.)
    """
    at = before(side, carry)
    return at | (((at & touching) + touching) & ~touching)


@kernel
def side_kept(side: Word, touching: Word, carry: Word) -> Word:
    """Whether a word ends on this side, as 0 or 1: it lies there, or touches and came from there."""
    walked = (before(side, carry) & touching) + touching
    return last_bit(side | (touching & ~walked))


@kernel
def bits_from(first: int) -> Word:
    """A word with all bits from bit ``first`` on, which may lie outside the word."""
    if first >= 64:
        return _NONE
    return _ALL << np.uint64(max(first, 0))
