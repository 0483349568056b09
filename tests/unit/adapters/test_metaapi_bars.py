"""Turn backward pages round against a venue whose bars have gaps of any kind, and lose none."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradelab.adapters.metaapi_bars import MOST, forward_page, with_closed
from tradelab.model.market import Candle
from tradelab.model.units import Timeframe

MIN_NS, DAY_NS = Timeframe.M1.ns, Timeframe.D1.ns


class Backwards:
    """A history that is told backwards from a time, at most so many bars at once."""

    def __init__(self, opens: Sequence[int], cap: int = MOST) -> None:
        self.opens, self.cap, self.asked = sorted(opens), cap, 0

    async def __call__(self, until_ns: int | None, count: int) -> list[Candle]:
        self.asked += 1
        end = len(self.opens) if until_ns is None else bisect_right(self.opens, until_ns)
        return [bar(t) for t in self.opens[max(0, end - min(count, self.cap)) : end]]


def bar(open_ns: int) -> Candle:
    return Candle(open_ns, 1.0, 1.0, 1.0, 1.0, 1.0, False)


async def whole(told: Backwards, timeframe: Timeframe, since: int, limit: int, now: int) -> list[int]:
    """Fetch page after page, each from just after the last bar of the one before."""
    found: list[int] = []
    while page := await forward_page(told, timeframe, since, limit, now):
        assert len(page) <= limit
        found += [b.open_ns for b in page]
        since = found[-1] + 1
    return found


@settings(max_examples=200, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([1, 1, 1, 1, 2, 5, 61, 2880, 100_000]), min_size=1, max_size=12),
    repeated=st.integers(1, 20),
    limit=st.integers(1, 40),
    since=st.one_of(st.integers(-200_000, 3000), st.integers(-3, 100)),
    cap=st.sampled_from([MOST, 2, 7, 25]),
)
def test_pages_joined_are_all_bars_once_whatever_the_gaps(
    gaps: list[int], repeated: int, limit: int, since: int, cap: int
) -> None:
    opens, at = [], 0
    for gap in gaps * repeated:
        at += gap
        opens.append(at * MIN_NS)
    told = Backwards(opens, cap)
    found = asyncio.run(whole(told, Timeframe.M1, since * MIN_NS, limit, opens[-1] + MIN_NS))
    assert found == [t for t in opens if t >= since * MIN_NS]


def test_a_page_that_a_weekend_interrupts_is_not_empty() -> None:
    friday = [k * MIN_NS for k in range(100)]
    monday = [(100 + 2880 + k) * MIN_NS for k in range(100)]
    told = Backwards(friday + monday)
    page = asyncio.run(forward_page(told, Timeframe.M1, 100 * MIN_NS, 50, monday[-1]))
    assert page
    assert [b.open_ns for b in page] == monday[: len(page)]


def test_decades_before_the_first_bar_cost_a_few_requests() -> None:
    years = 25 * 365 * DAY_NS
    opens = [years + k * MIN_NS for k in range(200_000)]
    told = Backwards(opens)
    page = asyncio.run(forward_page(told, Timeframe.M1, 0, 990, opens[-1]))
    assert page
    assert [b.open_ns for b in page] == opens[: len(page)]
    assert told.asked < 45  # 13 000 pages of 990 bars lie before them


def test_a_venue_that_tells_fewer_bars_at_once_than_documented_costs_more_requests_but_no_bar() -> None:
    opens = [k * MIN_NS for k in range(4000)]
    told = Backwards(opens, cap=300)
    assert asyncio.run(whole(told, Timeframe.M1, 0, 990, opens[-1])) == opens
    assert told.asked < 30


def test_days_of_23_hours_push_no_bar_out_of_a_full_page() -> None:
    opens, at = [], 0
    for day in range(1500):
        opens.append(at)
        at += DAY_NS - (3600 * 10**9 if day % 180 == 0 else 0)
    found = asyncio.run(whole(Backwards(opens), Timeframe.D1, 0, 990, opens[-1]))
    assert found == opens


def test_a_month_is_as_long_as_it_is() -> None:
    opens = [Timeframe.MN.next_open(0)]
    for _ in range(60):
        opens.append(Timeframe.MN.next_open(opens[-1]))
    found = asyncio.run(whole(Backwards(opens), Timeframe.MN, opens[0], 7, opens[-1]))
    assert found == opens


def test_nothing_after_the_newest_bar_is_an_empty_page() -> None:
    told = Backwards([0, MIN_NS])
    assert asyncio.run(forward_page(told, Timeframe.M1, MIN_NS + 1, 10, 100 * MIN_NS)) == []
    assert asyncio.run(forward_page(told, Timeframe.M1, 200 * MIN_NS, 10, 100 * MIN_NS)) == []


@pytest.mark.parametrize(
    ("timeframe", "now_ns", "closed"),
    [
        (Timeframe.M1, 2 * MIN_NS - 1, [True, False]),
        (Timeframe.M1, 2 * MIN_NS, [True, True]),
        (Timeframe.MN, 30 * DAY_NS + MIN_NS, [True, False]),
        (Timeframe.MN, 31 * DAY_NS + MIN_NS, [True, True]),
    ],
)
def test_a_bar_is_closed_when_another_follows_or_its_time_is_over(
    timeframe: Timeframe, now_ns: int, closed: list[bool]
) -> None:
    assert [b.closed for b in with_closed([bar(0), bar(MIN_NS)], timeframe, now_ns)] == closed
