"""Run many experiments at once, each with a venue and records of its own, and count what came of them."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.acceptance.engine import POINTS
from tests.acceptance.kills import FAULTS, ORDERS, Result, Scenario, Zygote, play, records
from tests.store_fixtures import create, drop, name_in
from tradelab.store.database import Database


def at_points(venues: Iterable[str], kinds: Iterable[str] = ORDERS, faults: Iterable[str] = FAULTS) -> list[Scenario]:
    """Return every experiment: each point, each fault, each kind of order, on each venue."""
    return [
        Scenario(venue, kind, fault, point)
        for venue in venues
        for fault in faults
        for kind in kinds
        for point in POINTS
    ]


Records = Callable[[], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def in_files() -> AsyncIterator[str]:
    """New records in a file; their URL."""
    with tempfile.TemporaryDirectory(prefix="tradelab-acceptance-") as folder:
        yield records(Path(folder))


def on_server(server: str) -> Records:
    """Make new records as databases of a server: copies of one that is made, and its tables with it, once."""
    template = create(server)
    Database(template).close()

    @asynccontextmanager
    async def made() -> AsyncIterator[str]:
        url = await asyncio.to_thread(create, server, name_in(template))
        try:
            yield url
        finally:
            await asyncio.to_thread(drop, server, url)

    return made


async def run(
    scenarios: Iterable[Scenario],
    *,
    at_once: int = 4,
    seen: Callable[[Result], None] = lambda _: None,
    new: Records = in_files,
) -> list[Result]:
    """Run them, so many at a time; ``seen`` is told of each as it ends, ``new`` makes the records of each."""
    waiting: asyncio.Queue[Scenario] = asyncio.Queue()
    for scenario in scenarios:
        waiting.put_nowait(scenario)
    done: list[Result] = []

    async def work() -> None:
        zygote = await Zygote.start()
        try:
            while not waiting.empty():
                scenario = waiting.get_nowait()
                async with new() as database:
                    result = await play(scenario, zygote, database)
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
