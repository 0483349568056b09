"""Keep stretches of time, sorted and apart: what is missing, what a venue does not have."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Span = tuple[int, int]


class Spans:
    """A set of stretches ``[start, end)``; neighbours that touch become one.

    >>> s = Spans([(0, 10), (10, 20)])
    >>> s.remove(5, 8)
    >>> list(s), s.within(6, 12)
    ([(0, 5), (8, 20)], [(8, 12)])
    """

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in spans:
            self.add(start, end)

    def __iter__(self) -> Iterator[Span]:
        return iter(list(zip(self._starts, self._ends, strict=True)))

    def __len__(self) -> int:
        return len(self._starts)

    def __repr__(self) -> str:
        return f"Spans({list(self)})"

    @property
    def first(self) -> Span:
        """The earliest stretch; ``IndexError`` when there is none."""
        return self._starts[0], self._ends[0]

    def add(self, start: int, end: int) -> None:
        """Put a stretch in; an empty one changes nothing."""
        if start >= end:
            return
        a, b = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if a < b:
            start, end = min(start, self._starts[a]), max(end, self._ends[b - 1])
        self._starts[a:b], self._ends[a:b] = [start], [end]

    def remove(self, start: int, end: int) -> None:
        """Take a stretch out, whole stretches and parts of them."""
        a, b = self._touched(start, end)
        if start >= end or a >= b:
            return
        left, right = (self._starts[a], start), (end, self._ends[b - 1])
        kept = [s for s in (left, right) if s[0] < s[1]]
        self._starts[a:b], self._ends[a:b] = [s for s, _ in kept], [e for _, e in kept]

    def within(self, start: int, end: int) -> list[Span]:
        """Return what of the set lies from ``start`` to before ``end``."""
        a, b = self._touched(start, end)
        if start >= end:
            return []
        return [(max(self._starts[k], start), min(self._ends[k], end)) for k in range(a, b)]

    def covers(self, moment: int) -> bool:
        """Whether ``moment`` lies in a stretch."""
        return bool(self.within(moment, moment + 1))

    def _touched(self, start: int, end: int) -> tuple[int, int]:
        return bisect_right(self._ends, start), bisect_left(self._starts, end)
