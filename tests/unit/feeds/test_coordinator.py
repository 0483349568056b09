"""One thing for any number of holders: started for the first, stopped after the last, never two at once."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.unit.feeds.scripted import settle
from tradelab.feeds.coordinator import Coordinator


class Shop:
    """Counts what is started and what is stopped, and notices two of a key side by side."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.open: set[str] = set()
        self.dead: set[str] = set()
        self.door = asyncio.Event()
        self.door.set()
        self.coordinator: Coordinator[str, str] = Coordinator(self.stop, lambda thing: thing not in self.dead)

    def start(self, key: str) -> str:
        thing = f"{key}{len(self.started)}"
        assert not [t for t in self.open - self.dead if t[0] == key], "two at once"
        self.started.append(thing)
        self.open.add(thing)
        return thing

    async def stop(self, thing: str) -> None:
        await self.door.wait()
        self.stopped.append(thing)
        self.open.discard(thing)

    def hold(self, key: str):
        return self.coordinator.hold(key, lambda: self.start(key))


def test_ten_holders_share_one_thing() -> None:
    async def scenario() -> None:
        shop = Shop()
        enough = asyncio.Event()

        async def holder() -> str:
            async with shop.hold("a") as thing:
                await enough.wait()
                return thing

        tasks = [asyncio.create_task(holder()) for _ in range(10)]
        await settle()
        assert (shop.coordinator.holders("a"), shop.started, shop.stopped) == (10, ["a0"], [])
        enough.set()
        assert await asyncio.gather(*tasks) == ["a0"] * 10
        assert (shop.coordinator.holders("a"), shop.coordinator.keys(), shop.stopped) == (0, (), ["a0"])

    asyncio.run(scenario())


def test_the_next_holder_waits_until_the_old_one_is_stopped() -> None:
    async def scenario() -> None:
        shop = Shop()
        held = await shop.coordinator.acquire("a", lambda: shop.start("a"))
        shop.door.clear()
        leaving = asyncio.create_task(shop.coordinator.release(held))
        await settle()
        coming = asyncio.create_task(shop.coordinator.acquire("a", lambda: shop.start("a")))
        await settle()
        assert (leaving.done(), coming.done(), shop.started) == (False, False, ["a0"])
        shop.door.set()
        await leaving
        assert (await coming).value == "a1"
        await shop.coordinator.release(await coming)

    asyncio.run(scenario())


def test_a_holder_that_is_cancelled_lets_go() -> None:
    async def scenario() -> None:
        shop = Shop()

        async def holder() -> None:
            async with shop.hold("a"):
                await asyncio.Event().wait()

        task = asyncio.create_task(holder())
        await settle()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert shop.stopped == ["a0"]

    asyncio.run(scenario())


def test_a_holder_that_failed_lets_go() -> None:
    async def scenario() -> None:
        shop = Shop()
        with pytest.raises(KeyError):
            async with shop.hold("a"):
                raise KeyError
        assert shop.stopped == ["a0"]

    asyncio.run(scenario())


def test_an_orphan_is_let_go_when_it_is_collected() -> None:
    async def scenario() -> None:
        shop = Shop()
        context = shop.hold("a")
        assert await context.__aenter__() == "a0"
        del context
        gc.collect()
        await settle(20)
        assert shop.stopped == ["a0"]

    asyncio.run(scenario())


def test_a_dead_thing_is_replaced_for_newcomers_only() -> None:
    async def scenario() -> None:
        shop = Shop()
        async with shop.hold("a") as old:
            shop.dead.add(old)
            async with shop.hold("a") as new:
                assert (old, new) == ("a0", "a1")
                assert shop.coordinator.holders("a") == 1
            assert shop.stopped == ["a1"]
        assert shop.stopped == ["a1", "a0"]

    asyncio.run(scenario())


def test_closing_stops_everything_once() -> None:
    async def scenario() -> None:
        shop = Shop()
        async with shop.hold("a"), shop.hold("b"):
            await shop.coordinator.close()
            assert sorted(shop.stopped) == ["a0", "b1"]
        assert sorted(shop.stopped) == ["a0", "b1"]

    asyncio.run(scenario())
