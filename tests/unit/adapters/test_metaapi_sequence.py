"""See packets put in the order of their numbers, and the one that never comes noticed."""

from __future__ import annotations

import asyncio
from typing import Any

from tradelab.adapters.metaapi_sequence import Sequencer


def begun(number: int) -> dict[str, Any]:
    return {"type": "synchronizationStarted", "sequenceNumber": number}


def told(number: int, text: str = "") -> dict[str, Any]:
    return {"type": "update", "sequenceNumber": number, "text": text}


def played(*packets: dict[str, Any]) -> list[list[Any]]:
    """Return the numbers that were handed on by each packet."""

    async def run() -> list[list[Any]]:
        sequencer = Sequencer(lambda: None, 60)
        handed = [[p.get("sequenceNumber") for p in sequencer.put(packet)] for packet in packets]
        sequencer.stop()
        return handed

    return asyncio.run(run())


def test_packets_in_order_pass_at_once() -> None:
    assert played(begun(4), told(5), told(6)) == [[4], [5], [6]]


def test_one_that_overtook_others_waits_for_them() -> None:
    assert played(begun(0), told(3), told(2), told(1), told(4)) == [[0], [], [], [1, 2, 3], [4]]


def test_two_of_one_number_pass_and_one_of_a_synchronization_before_does_not() -> None:
    assert played(begun(7), told(8), told(8), told(6)) == [[7], [8], [8], []]


def test_before_a_synchronization_nothing_passes_but_what_has_no_number() -> None:
    assert played(told(1), {"type": "status"}, begun(0), told(1)) == [[], [None], [0], [1]]


def test_what_overtook_the_beginning_follows_it_and_a_new_beginning_counts_anew() -> None:
    assert played(begun(10), told(12), begun(11), begun(0), told(1)) == [[10], [], [11, 12], [0], [1]]


def missed(*packets: dict[str, Any], stop: bool = False) -> bool:
    """Say whether the alarm rang, after everything that was due has happened."""

    async def run() -> bool:
        lost = asyncio.Event()
        sequencer = Sequencer(lost.set, 0.0)
        for packet in packets:
            sequencer.put(packet)
        if stop:
            sequencer.stop()
        for _ in range(5):
            await asyncio.sleep(0)
        return lost.is_set()

    return asyncio.run(run())


def test_a_hole_that_is_not_filled_in_time_is_told_and_one_that_is_filled_is_not() -> None:
    assert missed(begun(0), told(2))
    assert not missed(begun(0), told(2), told(1))
    assert not missed(begun(0), told(2), stop=True)
    assert missed(begun(0), told(2), told(1), told(4))
