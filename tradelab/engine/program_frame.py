"""Find a program's memories from one address: what a part of the machinery that is compiled apart is handed.

The head of a workspace's words is its frame (`tradelab.engine.far`): where everything lies and how large it is, and
where the parts lie that are called by their address.
"""

from __future__ import annotations

import numpy as np

from tradelab.engine.far import grid_at, number_at, row_at
from tradelab.engine.program_ops import INSTRUCTION, execute

# Slots of the frame, four words each.
(WORDS, FLOATS, CODE, COLUMNS, GIVEN, GROUPS, WINDOWS, ROOM, FLOAT_BASE, WORD_BASE, EXECUTE, SCRATCH) = range(12)
KINDS = (np.uint64, np.float64, INSTRUCTION, np.float64, np.uint64, np.int64, np.int64, None, None, None, None, None)
SELF, GROUP_COUNT, EXECUTES = 4 * WORDS, 4 * GROUPS + 1, 4 * EXECUTE  # single words of it
FRAME = 4 * len(KINDS)  # words; behind them come the addresses of what draws each group


def execute_far(address: int, begin: int, end: int, first: int, last: int) -> None:
    """Carry out instructions ``begin`` up to ``end`` on bars ``first`` up to ``last``; to be compiled apart."""
    execute(
        row_at(address, CODE, INSTRUCTION), begin, end, grid_at(address, COLUMNS, np.float64),
        grid_at(address, GIVEN, np.uint64), row_at(address, FLOATS, np.float64), row_at(address, WORDS, np.uint64),
        number_at(address, FLOAT_BASE), number_at(address, WORD_BASE), number_at(address, ROOM), first, last,
    )  # fmt: skip
