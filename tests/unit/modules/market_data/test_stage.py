"""Every bar that was told is in the catalogue, and is said to be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.unit.feeds.scripted import START_NS, settle, walk
from tests.unit.modules.desk import World
from tradelab.catalog.bars import Catalog
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConfigError, StorageError
from tradelab.model.messages import AlarmRaised, DataReceived, DataStored
from tradelab.model.units import NS_PER_DAY, Timeframe
from tradelab.modules.market_data import stage as module
from tradelab.modules.market_data.config import Config
from tradelab.modules.market_data.rules import put_in_order, row_of
from tradelab.modules.market_data.stage import Stage

BARS = walk(3)


def bar(number: int) -> DataReceived:
    return DataReceived(source="data", symbol="BTC/USDT", timeframe=Timeframe.M1, candle=BARS[number])


async def idle(world: World) -> None:
    while len(world.desk.tasks) > 1:  # the upkeep goes on
        await asyncio.sleep(0.001)


async def started(folder: Path, **settings: Any) -> World:
    world = World(settings={"catalog": str(folder), **settings}, clock=ManualClock(START_NS + 100 * NS_PER_DAY))
    await world.add(Stage).start()
    return world


async def ended(world: World) -> None:
    await world.desk.tasks.stop()
    await world.stages[0].stop()
    assert world.failures == []


def test_a_bar_that_nobody_stored_is_stored_and_said_to_be(tmp_path: Path) -> None:
    async def run() -> None:
        world = await started(tmp_path)
        world.say(bar(0), bar(1))
        await idle(world)
        assert [m.open_ns for m in world.said(DataStored)] == [BARS[0].open_ns, BARS[1].open_ns]
        await ended(world)
        with Catalog(tmp_path) as catalog:
            assert catalog.read("data", "BTC/USDT", "1m")["close"].tolist() == [BARS[0].close, BARS[1].close]

    asyncio.run(run())


def test_a_bar_that_the_feed_stored_is_only_looked_at(tmp_path: Path) -> None:
    async def run() -> None:
        with Catalog(tmp_path) as catalog:
            catalog.append([row_of(bar(1), "data")])
        world = await started(tmp_path)
        world.say(bar(1))
        await idle(world)
        assert len(world.said(DataStored)) == 1
        await ended(world)
        with Catalog(tmp_path) as catalog:
            assert len(catalog.read("data", "BTC/USDT", "1m")) == 1

    asyncio.run(run())


def test_once_a_day_live_bars_are_put_into_segments_and_what_is_too_old_goes(tmp_path: Path) -> None:
    async def run() -> None:
        with Catalog(tmp_path) as catalog:
            catalog.append([row_of(bar(number), "data") for number in range(3)])
        world = await started(tmp_path, retention=[{"timeframe": "1m", "keep_days": 50}])
        await settle()
        await world.clock.advance(86_399.0)
        with Catalog(tmp_path) as catalog:
            assert len(catalog.read("data", "BTC/USDT", "1m")) == 3
        await world.clock.advance(1.0)
        while True:
            await asyncio.sleep(0.005)
            with Catalog(tmp_path) as catalog:
                if catalog.last_closed("data", "BTC/USDT", "1m") is None:
                    break
        await ended(world)

    asyncio.run(run())


def test_upkeep_keeps_what_no_policy_lets_go(tmp_path: Path) -> None:
    with Catalog(tmp_path) as catalog:
        catalog.append([row_of(bar(number), "data") for number in range(3)])
    done = put_in_order(Config(catalog=str(tmp_path)), START_NS + 9_000 * NS_PER_DAY)
    assert (done.compacted > 0, done.removed) == (True, 0)
    with Catalog(tmp_path) as catalog:
        assert len(catalog.read("data", "BTC/USDT", "1m")) == 3


def test_upkeep_that_another_process_is_in_the_way_of_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def busy(_: Config, now_ns: int) -> None:
        tries.append(now_ns)
        raise StorageError("another process is writing.")

    async def run() -> None:
        monkeypatch.setattr(module, "put_in_order", busy)
        world = await started(tmp_path, upkeep_every_h=1)
        await settle()
        for _ in range(2):
            before = len(tries)
            await world.clock.advance(3_600.0)
            while len(world.said(AlarmRaised)) == before:
                await asyncio.sleep(0.001)
            await settle()
        assert len(tries) == 2
        assert "another process is writing" in world.said(AlarmRaised)[0].says
        await ended(world)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"retention": [{"source": "x"}]}, "retention.0: keep_days or unused_days is needed"),
        ({"retention": [{"keep_day": 3}]}, "no field of retention.0 named 'keep_day'; did you mean 'keep_days'"),
        ({"upkeep_every_h": 0}, "upkeep_every_h=0 is wrong: input should be greater than 0"),
    ],
)
def test_what_is_wrong_in_its_table_is_said_by_name(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        World(settings=settings).add(Stage)
    assert says in str(refused.value)
