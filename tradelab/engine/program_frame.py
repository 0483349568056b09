"""Find a program's memories from one address: what a part of the machinery that is compiled apart is handed.

The head of a workspace's words is its frame: numbers that say where everything lies and how large it is, and where the
parts lie that are called by their address (`tradelab.engine.far`).
"""

from __future__ import annotations

import numpy as np
from numba import carray

from tradelab.engine.far import pointer
from tradelab.engine.jit import kernel
from tradelab.engine.program_ops import INSTRUCTION, execute

(SELF, WORDS, FLOATS, FLOAT_COUNT, CODE, CODE_COUNT, COLUMNS, COLUMN_COUNT, BARS, GIVEN, GIVEN_COUNT, GROUPS,
 GROUP_COUNT, WINDOWS, WINDOW_COUNT, ROOM, FLOAT_BASE, WORD_BASE, EXECUTE, SCRATCH) = range(20)  # fmt: skip
FRAME = 24  # words; behind them come the addresses of what draws each group


@kernel
def frame_at(address: int) -> np.ndarray:
    """The frame that lies at an address."""
    return carray(pointer(address), (FRAME,), np.int64)


@kernel
def floats_of(frame: np.ndarray) -> np.ndarray:
    """The memory of lines."""
    return carray(pointer(frame[FLOATS]), (frame[FLOAT_COUNT],), np.float64)


@kernel
def columns_of(frame: np.ndarray) -> np.ndarray:
    """Whole columns, shape (columns, bars)."""
    return carray(pointer(frame[COLUMNS]), (frame[COLUMN_COUNT], frame[BARS]), np.float64)


def execute_far(address: int, begin: int, end: int, first: int, last: int) -> None:
    """Carry out instructions ``begin`` up to ``end`` on bars ``first`` up to ``last``; to be compiled apart."""
    frame = frame_at(address)
    words = carray(pointer(address), (frame[WORDS],), np.uint64)
    code = carray(pointer(frame[CODE]), (frame[CODE_COUNT],), INSTRUCTION)
    given = carray(pointer(frame[GIVEN]), (frame[GIVEN_COUNT], (frame[BARS] + 63) >> 6), np.uint64)
    execute(
        code, begin, end, columns_of(frame), given, floats_of(frame), words, frame[FLOAT_BASE], frame[WORD_BASE],
        frame[ROOM], first, last,
    )  # fmt: skip
