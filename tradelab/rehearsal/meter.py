"""Count what clients ask for, by address and by account, and turn away those who ask too much."""

from __future__ import annotations

from dataclasses import dataclass, field

from tradelab.model.units import NS_PER_S

_LONGEST_BAN_S = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class Scope:
    """A limit: so much weight in each window of so many seconds.

    Whoever is refused more than ``patience`` times in a row is banned for ``ban_s``, and each time for twice as long;
    ``None`` never bans. The defaults are as Binance does it.
    """

    name: str
    limit: int
    window_s: int
    patience: int | None = 5
    ban_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the meter says: go on, wait, or banned; ``wait_s`` is how long."""

    allowed: bool
    banned: bool = False
    wait_s: float = 0.0
    scope: Scope | None = None


@dataclass(slots=True)
class Meter:
    """Windows are of the clock, as Binance's are: all is forgotten when a window ends.

    Whoever goes on asking while limited is banned, each time for twice as long. Of each scope only the window that ran
    at the last request is kept, so a meter does not grow with time.
    """

    used: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)  # the window, and what was used in it
    refused: dict[str, int] = field(default_factory=dict)
    banned_until_ns: dict[str, int] = field(default_factory=dict)
    bans: dict[str, int] = field(default_factory=dict)
    limited: int = 0  # answers of the kind 429, ever
    in_ban: int = 0  # requests made inside a ban, ever

    def charge(self, who: str, weights: dict[Scope, int], now_ns: int) -> Verdict:
        """Count a request and say whether it may pass; one that may not is not counted as used."""
        until = self.banned_until_ns.get(who, 0)
        if now_ns < until:
            self.in_ban += 1
            return Verdict(False, banned=True, wait_s=(until - now_ns) / NS_PER_S)
        for scope, weight in weights.items():
            if self.used_now(who, scope, now_ns) + weight > scope.limit:
                return self._limit(who, scope, now_ns)
        for scope, weight in weights.items():
            self.used[who, scope.name] = (_window(scope, now_ns), self.used_now(who, scope, now_ns) + weight)
        self.refused.pop(who, None)
        return Verdict(True)

    def ban(self, who: str, seconds: float, now_ns: int) -> None:
        """Turn an address away for so long."""
        self.banned_until_ns[who] = now_ns + int(seconds * NS_PER_S)

    def used_now(self, who: str, scope: Scope, now_ns: int) -> int:
        """Return the weight used in the window that runs now."""
        window, used = self.used.get((who, scope.name), (0, 0))
        return used if window == _window(scope, now_ns) else 0

    def _limit(self, who: str, scope: Scope, now_ns: int) -> Verdict:
        self.limited += 1
        self.refused[who] = self.refused.get(who, 0) + 1
        if scope.patience is not None and self.refused[who] > scope.patience:
            seconds = min(_LONGEST_BAN_S, scope.ban_s * 2 ** self.bans.get(who, 0))
            self.bans[who] = self.bans.get(who, 0) + 1
            self.refused.pop(who)
            self.ban(who, seconds, now_ns)
            return Verdict(False, banned=True, wait_s=seconds, scope=scope)
        rest_ns = (_window(scope, now_ns) + 1) * scope.window_s * NS_PER_S - now_ns
        return Verdict(False, wait_s=rest_ns / NS_PER_S, scope=scope)


def _window(scope: Scope, now_ns: int) -> int:
    """Return the number of the window that runs at a time."""
    return now_ns // (scope.window_s * NS_PER_S)
