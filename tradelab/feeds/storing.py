"""Write to the catalogue without holding up the event loop: while another process writes, ask again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from tradelab.catalog.bars import Catalog
from tradelab.model.errors import LockedError

T = TypeVar("T")
_SHORTEST_S, _LONGEST_S = 0.005, 0.1  # SQLite's own pauses while it waits for a lock are alike


async def keep(catalog: Catalog, write: Callable[[], T]) -> T:
    """Return what ``write()`` returns, called again for ``catalog.wait_s`` as long as another process writes.

    SQLite would wait inside the call, and every feed of the process with it. Here the loop runs on between tries; a
    try that was refused has written nothing.

    Raises
    ------
    LockedError
        The other one wrote for longer than that.
    StorageError
        No room, not writable: at once.
    """
    until, pause_s = time.monotonic() + catalog.wait_s, _SHORTEST_S
    while True:
        try:
            with catalog.unwaiting():
                return write()
        except LockedError:
            if time.monotonic() >= until:
                raise
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_S)


def keep_if_free(catalog: Catalog, write: Callable[[], object]) -> bool:
    """Call ``write()`` unless another process writes just now; return whether it was done."""
    try:
        with catalog.unwaiting():
            write()
    except LockedError:
        return False
    return True
