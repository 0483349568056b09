"""Keep everything by its name, and show what is not settled yet and the newest of what is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

RECENT = 256  # settled things that are still shown: enough for who looks at what has just ended


class Kept(Generic[K, V]):
    """A dictionary that costs as much to show after a hundred thousand settled entries as after ten.

    Parameters
    ----------
    is_settled
        Says of a value that nothing more is expected of it. A settled one may change all the same, and is then among
        the newest again.
    recent
        How many settled ones are shown.

    Examples
    --------
    >>> kept = Kept(lambda age: age >= 18, recent=1)
    >>> for name, age in {"ada": 36, "bo": 7, "cy": 21}.items():
    ...     kept[name] = age
    >>> dict(kept.shown()), kept.get("ada")
    ({'cy': 21, 'bo': 7}, 36)
    """

    def __init__(self, is_settled: Callable[[V], bool] = lambda _: False, *, recent: int = RECENT) -> None:
        self._is_settled = is_settled
        self._recent = recent
        self._all: dict[K, V] = {}
        self._open: dict[K, V] = {}
        self._settled: dict[K, V] = {}  # the newest, oldest first
        self._shown: Mapping[K, V] | None = None

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, key: object) -> bool:
        return key in self._all

    def __getitem__(self, key: K) -> V:
        return self._all[key]

    def get(self, key: K) -> V | None:
        """Return what is kept under a name, settled long ago or not; ``None``: nothing ever was."""
        return self._all.get(key)

    def __setitem__(self, key: K, value: V) -> None:
        self._shown = None
        self._all[key] = value
        self._settled.pop(key, None)
        if not self._is_settled(value):
            self._open[key] = value
            return
        self._open.pop(key, None)
        self._settled[key] = value
        if len(self._settled) > self._recent:
            del self._settled[next(iter(self._settled))]

    def remove(self, key: K) -> None:
        """Forget one, if it is there."""
        if key in self._all:
            self._shown = None
            del self._all[key]
            self._open.pop(key, None)
            self._settled.pop(key, None)

    def names(self) -> list[K]:
        """Return every name that was ever kept."""
        return list(self._all)

    def shown(self) -> Mapping[K, V]:
        """Return what is to be shown, which does not change any more; the same object until something changes."""
        if self._shown is None:
            self._shown = MappingProxyType(self._settled | self._open)
        return self._shown
