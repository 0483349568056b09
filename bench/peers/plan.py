"""Choose what is run: the shapes of the sweeps, the single runs, the cold starts, the shapes others publish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from peers import bars, measure, roster
from peers.roster import Limits

PAIR = [10, 50]
LARGE_S = 20.0


@dataclass(frozen=True)
class Profile:
    """Sizes and patience of one kind of run.

    Parameters
    ----------
    bars, combinations
        Sides of the grid of sweeps.
    rich_bars, event_bars, once_bars
        Bars of the single runs.
    cold_rounds, cold_empty
        Fresh processes an engine with a warm cache, and with an empty one; ``cold_fill`` starts one more to warm it.
    """

    name: str
    limits: Limits
    bars: tuple[int, ...]
    combinations: tuple[int, ...]
    rich_bars: tuple[int, ...]
    event_bars: int
    once_bars: int
    feed_bars: int
    cold_rounds: int
    cold_empty: int
    cold_fill: bool
    published: bool

    def limits_of(self, case: dict[str, Any]) -> Limits:
        """What a peer may take on a case: all its patience where much is claimed, whatever was said of a round.

        An engine that makes whole arrays costs more a bar the more columns it is given, so where it is compared by its
        cost a bar it must be given as many as it can bear.
        """
        large = case["kind"] == "sweep" and roster.count(case) >= 1_000 and case["bars"] >= 500_000
        return replace(self.limits, round_s=max(self.limits.round_s, LARGE_S)) if large else self.limits


QUICK = Profile(
    "quick",
    Limits(1.0, 1.0, 3, warm=False),
    (5_000,),
    (100, 1_000),
    (5_000,),
    5_000,
    100_000,
    50_000,
    1,
    0,
    False,
    False,
)
FULL = Profile(
    "full",
    Limits(20.0, 6.0, 5),
    (5_000, 50_000, 500_000),
    (100, 1_000, 10_000),
    (50_000, 500_000),
    50_000,
    10_000_000,
    1_000_000,
    3,
    1,
    True,
    True,
)

MANIFOLD = "Manifold-BT publishes 2.5 – 4.5 s and 344 MB on 4 vCPU (published, their machine, their rules)"
MANIFOLD_ONCE = "Manifold-BT publishes 168 – 245 ms on 4 vCPU (published, their machine, their rules)"
VBT_PRO = (
    "VBT PRO publishes, simulation only, on an 8-core Apple M3: 1.7 ms with its low-level Rust, 25 ms with its "
    "high-level interface; it gives 42 ms for Manifold-BT and 65 s for backtrader (published, their machine)"
)


def sweeps(profile: Profile) -> Iterator[dict[str, Any]]:
    """Every combination count on every length, without stops and with them."""
    for count in profile.bars:
        for combinations in profile.combinations:
            for stops in (False, True):
                yield measure.case("sweep", count, bars.windows(combinations), stops=stops)


def rich(profile: Profile) -> Iterator[dict[str, Any]]:
    """One backtest with trades, equity and every figure."""
    for count in profile.rich_bars:
        for stops in (False, True):
            yield measure.case("rich", count, PAIR, stops=stops)


def events(profile: Profile) -> dict[str, Any]:
    """One unit on crossings, as event-driven engines run it, on bars that end flat."""
    return measure.case("events", bars.flat_end(profile.event_bars, PAIR), PAIR)


def ladder(profile: Profile) -> dict[str, Any]:
    """A rule with three conditions and all a trade can do; no peer here runs it as a sweep."""
    return measure.case("ladder", profile.bars[-1], bars.windows(profile.combinations[1]))


def feed(profile: Profile) -> dict[str, Any]:
    """A walk of the book for the tick engine."""
    return measure.case("feed", profile.feed_bars, PAIR)


def once(profile: Profile) -> dict[str, Any]:
    """One combination over a very long history."""
    return measure.case("sweep", profile.once_bars, PAIR)


def manifold() -> dict[str, Any]:
    """Manifold-BT's published sweep."""
    return measure.case("sweep", 200_000, bars.windows(10_000))


def vbt_pro(profile: Profile) -> dict[str, Any]:
    """VBT PRO's published sparse shape: given signals, 1 388 orders in each of 8 columns."""
    size, orders = (1_000_000, 1_388) if profile.published else (50_000, 138)
    return measure.case("signals", size, PAIR, columns=8, orders=orders)


def cold(kind: str) -> dict[str, Any]:
    """What a fresh process is asked first."""
    return measure.case(kind, 5_000, bars.windows(100) if kind == "sweep" else PAIR, stops=True)
