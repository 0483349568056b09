"""Push what happens to everybody who watches, each with a queue of their own."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, Generic, TypeVar

from tradelab.model.errors import ConnectivityError

Item = TypeVar("Item")


class Subscription(Generic[Item]):
    """One reader's queue; it ends by an error when the venue is disconnected, and then has nothing more to say."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Item | None] = asyncio.Queue()
        self._is_cut = False

    def put(self, item: Item | None) -> None:
        """Hand the reader something; ``None`` is the end."""
        self._queue.put_nowait(item)

    def __aiter__(self) -> Subscription[Item]:
        return self

    async def __anext__(self) -> Item:
        item = None if self._is_cut else await self._queue.get()
        if item is None:
            self._is_cut = True
            raise ConnectivityError("the paper venue was disconnected.", fix="Connect, then watch again.")
        return item


class Stream(Generic[Item]):
    """All readers of one kind of news; a reader that is forgotten is forgotten here too."""

    def __init__(self) -> None:
        self._readers: weakref.WeakSet[Subscription[Any]] = weakref.WeakSet()

    def subscribe(self) -> Subscription[Item]:
        """Return a reader that is told everything from now on."""
        reader: Subscription[Item] = Subscription()
        self._readers.add(reader)
        return reader

    def push(self, item: Item) -> None:
        """Tell every reader."""
        for reader in list(self._readers):
            reader.put(item)

    def cut(self) -> None:
        """End every reader."""
        for reader in list(self._readers):
            reader.put(None)
        self._readers.clear()
