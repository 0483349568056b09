"""Remember what was spent in the window that ends now, in all and by whom."""

from __future__ import annotations

from collections import defaultdict, deque

from tradelab.model.units import NS_PER_S


class Spending:
    """Costs of the last ``window_s`` seconds; what is older is forgotten.

    >>> last_minute = Spending(60.0)
    >>> last_minute.add(0, 5.0, "data")
    >>> last_minute.forget(59 * 10**9), last_minute.total, last_minute.of("data")
    (None, 5.0, 5.0)
    >>> last_minute.forget(60 * 10**9), last_minute.total
    (None, 0.0)
    """

    def __init__(self, window_s: float) -> None:
        self._window_ns = int(window_s * NS_PER_S)
        self._spent: deque[tuple[int, float, object]] = deque()
        self._by: defaultdict[object, float] = defaultdict(float)
        self.total = 0.0

    def add(self, ts_ns: int, cost: float, by: object) -> None:
        """Count a cost from ``ts_ns`` on."""
        self._spent.append((ts_ns, cost, by))
        self._by[by] += cost
        self.total += cost

    def of(self, by: object) -> float:
        """Return what one has spent."""
        return self._by.get(by, 0.0)

    def forget(self, now_ns: int) -> None:
        """Let go of what is as old as the window."""
        while self._spent and self._spent[0][0] <= now_ns - self._window_ns:
            _, cost, by = self._spent.popleft()
            self._by[by] -= cost
            self.total -= cost
        if not self._spent:
            self._by.clear()  # no rests of rounding stay
            self.total = 0.0

    def next_free_ns(self) -> int | None:
        """Return when the oldest cost will be forgotten; ``None`` where there is none."""
        return self._spent[0][0] + self._window_ns if self._spent else None
