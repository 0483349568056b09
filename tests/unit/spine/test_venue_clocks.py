"""A venue's clock is measured with half of the way allowed for; what does not answer keeps its last measurement."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from tradelab.app.daemon_views import faults_of
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConnectivityError
from tradelab.model.units import NS_PER_S
from tradelab.spine.venue_clocks import VenueClocks

NOTHING = {"offset_ms": None, "trip_ms": None, "age_s": None, "trouble": None}


class Venue:
    """A connection whose clock is ahead of ours, and whose answer takes a while."""

    def __init__(self, clock: ManualClock, *, ahead_s: float = 0.0, way_s: float = 0.0, **can: Any) -> None:
        self.clock, self.ahead_s, self.way_s, self.is_down, self.asked = clock, ahead_s, way_s, False, 0
        self.capabilities = SimpleNamespace(**can)

    async def now_ns(self) -> int:
        """Tell the time as it is when the question arrives, half way."""
        self.asked += 1
        if self.is_down:
            raise ConnectivityError("the socket broke.")
        await self.clock.advance(self.way_s / 2)
        told = self.clock.now_ns() + int(self.ahead_s * NS_PER_S)
        await self.clock.advance(self.way_s / 2)
        return told


def test_half_of_the_way_is_allowed_for() -> None:
    clock = ManualClock(1_000 * NS_PER_S)
    clocks = VenueClocks({"main": Venue(clock, ahead_s=2.5, way_s=0.4)}, clock)  # type: ignore[dict-item]
    assert clocks.told()["main"] == {**NOTHING, "speed": 1.0}
    asyncio.run(clocks.look())
    assert clocks.told()["main"] == {**NOTHING, "offset_ms": 2500.0, "trip_ms": 400.0, "age_s": 0.4, "speed": 1.0}


def test_a_venue_that_does_not_answer_keeps_its_measurement_which_ages() -> None:
    clock = ManualClock(1_000 * NS_PER_S)
    venue, other = Venue(clock, ahead_s=-1.0), Venue(clock, ahead_s=1.0)
    clocks = VenueClocks({"main": venue, "other": other}, clock)  # type: ignore[dict-item]
    asyncio.run(clocks.look())
    venue.is_down = True
    asyncio.run(clock.advance(60.0))
    asyncio.run(clocks.look())
    told = clocks.told()
    shown = {"offset_ms": -1000.0, "trip_ms": 0.0, "age_s": 60.0, "trouble": "the socket broke.", "speed": 1.0}
    assert told["main"] == shown
    assert told["other"]["age_s"] == 0.0, "one that is down holds up no other"
    venue.is_down = False
    asyncio.run(clocks.look())
    assert clocks.told()["main"]["trouble"] is None


class Fast(ManualClock):
    """A rehearsal's clock, as far as its speed goes."""

    speed = 60.0


def test_what_is_late_on_the_wall_is_judged_by_the_wall_in_a_fast_rehearsal() -> None:
    def faults(clock: ManualClock, ahead_s: float) -> list[str]:
        clocks = VenueClocks({"main": Venue(clock, ahead_s=ahead_s)}, clock)  # type: ignore[dict-item]
        asyncio.run(clocks.look())
        return faults_of({"clocks": clocks.told()})

    assert faults(Fast(), 3.0) == [], "a twentieth of a second of the wall"
    assert faults(Fast(), 61.0) == ["our clock is 61000 ms behind that of main: let a time service set it"]
    assert faults(ManualClock(), 3.0) == ["our clock is 3000 ms behind that of main: let a time service set it"]


def test_what_lives_here_and_what_is_there_twice_is_not_asked() -> None:
    clock = ManualClock()
    venue, paper = Venue(clock), Venue(clock, in_process=True)
    clocks = VenueClocks({"data": venue, "main": venue, "paper": paper}, clock)  # type: ignore[dict-item]
    asyncio.run(clocks.look())
    assert (list(clocks.told()), venue.asked, paper.asked) == (["data"], 1, 0)
