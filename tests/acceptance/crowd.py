"""Run many experiments at once, each with a venue and records of its own, and count what came of them."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.acceptance.engine import POINTS
from tests.acceptance.kills import FAULTS, ORDERS, Result, Scenario, Zygote, play


def at_points(venues: Iterable[str], kinds: Iterable[str] = ORDERS, faults: Iterable[str] = FAULTS) -> list[Scenario]:
    """Return every experiment: each point, each fault, each kind of order, on each venue."""
    return [
        Scenario(venue, kind, fault, point)
        for venue in venues
        for fault in faults
        for kind in kinds
        for point in POINTS
    ]


async def run(
    scenarios: Iterable[Scenario], *, at_once: int = 4, seen: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Run them, so many at a time; ``seen`` is told of each as it ends."""
    waiting: asyncio.Queue[Scenario] = asyncio.Queue()
    for scenario in scenarios:
        waiting.put_nowait(scenario)
    done: list[Result] = []

    async def work() -> None:
        zygote = await Zygote.start()
        try:
            while not waiting.empty():
                scenario = waiting.get_nowait()
                with tempfile.TemporaryDirectory(prefix="tradelab-acceptance-") as folder:
                    result = await play(scenario, zygote, Path(folder))
                done.append(result)
                seen(result)
        finally:
            await zygote.stop()

    await asyncio.gather(*(work() for _ in range(min(at_once, waiting.qsize() or 1))))
    return done


def counted(results: Iterable[Result]) -> Counter[str]:
    """Count the words for them, and how many were killed at all."""
    counts: Counter[str] = Counter()
    for result in results:
        counts[result.says] += 1
        counts["killed"] += result.killed > 0
    return counts
