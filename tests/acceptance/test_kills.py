"""A slice of `make acceptance`: engines killed, and counted at the exchange; stories told through the real client."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.acceptance.crowd import run
from tests.acceptance.kills import FAULTS, MARKETS, ORDERS, Scenario, at_random
from tests.acceptance.reconciling import STORIES, tell

pytestmark = pytest.mark.slow

# a fixed sample: every venue, every fault, every kind of order, and the points at which the most is at stake
SLICE = [
    Scenario("binance", "market", "none", "kept OrderIntended"),
    Scenario("binance", "market", "accepted, then silence", "on the wire"),
    Scenario("binance", "limit", "accepted, then reset", "after submit"),
    Scenario("binance", "stop", "accepted, half an answer", "kept OrderUnknown"),
    Scenario("binance", "market", "status unknown, taken", "before keeping OrderUnknown"),
    Scenario("binance", "limit", "status unknown, not taken", "kept OrderAbsent"),
    Scenario("binance", "market", "lost on the way", "kept OrderSentAgain"),
    Scenario("binance", "stop", "rate limited", "kept OrderRefused"),
    Scenario("binanceusdm", "market", "none", "before keeping OrderIntended"),
    Scenario("binanceusdm", "market", "none", "after submit"),
    Scenario("binanceusdm", "stop", "error page, taken", "before order"),
    Scenario("binanceusdm", "limit", "error page, not taken", "after order"),
    Scenario("binanceusdm", "market", "clock", "said OrderSentAgain"),
    Scenario("binanceusdm", "market", "accepted, then reset", "before keeping TradeExecuted"),
    Scenario("binanceusdm", "limit", "overloaded", "kept RiskCalculated"),
    Scenario("bybit", "market", "none", "before submit"),
    Scenario("bybit", "market", "accepted, then silence", "kept OrderAccepted"),
    Scenario("bybit", "limit", "none", "kept CommandReceived"),
    Scenario("bybit", "stop", "accepted, half an answer", "on the wire"),
    Scenario("bybit", "market", "status unknown, taken", "after fills"),
    Scenario("bybit", "market", "none", "said TradeExecuted"),
    *at_random(3, 11),
]
STORY_SLICE = [
    ("binance", "it filled in part, then was cancelled"),
    ("binanceusdm", "turned round by hand"),
    ("bybit", "the stop filled"),
    ("bybit", "the sockets broke in the middle of fills"),
]


def test_the_slice_has_every_venue_fault_and_kind_of_order() -> None:
    assert {each.venue for each in SLICE} == set(MARKETS)
    assert {each.fault for each in SLICE} == set(FAULTS)
    assert {each.kind for each in SLICE} == set(ORDERS)


def test_engines_that_are_killed_leave_one_order_each_and_know_it() -> None:
    results = asyncio.run(run(SLICE, at_once=min(2, os.cpu_count() or 1)))
    assert len(results) == len(SLICE)
    assert [f"{each.says}: {each.scenario}" for each in results if each.says != "right"] == []
    assert sum(each.killed > 0 for each in results) >= len(SLICE) // 2  # the others settled before they came there


@pytest.mark.parametrize(("venue", "name"), STORY_SLICE)
def test_after_a_story_on_a_real_venue_ours_is_the_venues(venue: str, name: str, tmp_path: Path) -> None:
    story = next(each for each in STORIES if each.name == name)
    assert asyncio.run(tell(story, venue, tmp_path)).wrong == ()
