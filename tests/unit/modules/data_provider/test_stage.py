"""Windows are full before the first bar is told; each bar is told once, across restarts too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.feeds.scripted import START_NS, ScriptedProvider, pass_time, settle, walk
from tests.unit.modules.desk import World, node_of
from tradelab.catalog.bars import Catalog
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConfigError, ConnectivityError, UnknownNameError
from tradelab.model.messages import AlarmRaised, DataReceived
from tradelab.model.units import NS_PER_MIN, NS_PER_S, Timeframe
from tradelab.modules.data_provider.stage import Stage
from tradelab.spine.keeping import MemoryKeeper

KEY = ("data", "BTC/USDT", Timeframe.M1)
BARS = walk(200)
SEEN = 30


class Scene:
    """A provider whose market is in its hundredth minute, and a stage that follows it."""

    def __init__(self, folder: Path, *, minute: int = 100, keeper: MemoryKeeper | None = None, **how: Any) -> None:
        self.clock = ManualClock(START_NS + minute * NS_PER_MIN + 30 * NS_PER_S)
        self.provider = ScriptedProvider(self.clock, BARS, **how)
        config = node_of({"max_bars": SEEN})
        self.world = World(
            config, {"catalog": str(folder)}, providers={"data": self.provider}, clock=self.clock, keeper=keeper
        )
        self.stage = self.world.add(Stage)
        self.bus_said: list[int] = []

    @property
    def window(self) -> list[int]:
        return [int(ts) for ts in self.world.desk.market.windows[KEY].ts_ns]  # type: ignore[index]

    def received(self) -> list[int]:
        return [(m.candle.open_ns - START_NS) // NS_PER_MIN for m in self.world.said(DataReceived)]

    async def end(self) -> None:
        await self.stage.stop()
        await self.world.desk.tasks.stop()
        await settle()
        assert self.provider.watching == 0


def minutes(first: int, last: int) -> list[int]:
    return [START_NS + minute * NS_PER_MIN for minute in range(first, last + 1)]


@contextmanager
def nothing_failed(scene: Scene) -> Iterator[None]:
    yield
    assert scene.world.failures == []


def test_a_window_is_full_before_the_first_bar_is_told_and_holds_it_when_it_is(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path)
        await scene.stage.start()
        assert scene.window == minutes(70, 99)
        assert scene.received() == []  # what closed before anybody followed is history
        seen: list[int] = []
        scene.world.desk.bus.hear(DataReceived, lambda _: seen.append(scene.window[-1]))
        await pass_time(scene.clock, 180.0)
        assert scene.received() == [100, 101, 102]
        assert seen == minutes(100, 102)
        assert scene.window == minutes(73, 102)
        with nothing_failed(scene):
            await scene.end()

    asyncio.run(run())


def test_a_bar_is_told_as_of_its_close_with_the_connection_that_bots_name(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path, name="venue")
        await scene.stage.start()
        await pass_time(scene.clock, 60.0)
        (recorded,) = [one for one in scene.world.keeper.said if isinstance(one.message, DataReceived)]
        assert recorded.ts_event_ns == START_NS + 101 * NS_PER_MIN
        assert (recorded.message.source, recorded.message.candle) == ("data", BARS[100])
        with Catalog(tmp_path) as catalog:
            newest = catalog.last_closed("venue", "BTC/USDT", "1m")  # filed under the venue's own name
        assert newest is not None
        assert newest.value == BARS[100].open_ns
        await scene.end()

    asyncio.run(run())


def test_quotes_are_there_with_the_time_at_which_we_saw_them(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path)
        await scene.stage.start()
        await pass_time(scene.clock, 5.0)
        seen = scene.world.desk.market.quotes["data", "BTC/USDT"]
        assert seen.quote.ts_ns == seen.seen_ns == scene.clock.now_ns()
        await scene.end()

    asyncio.run(run())


def test_killed_and_started_again_every_bar_is_told_once_and_all_but_the_newest_are_late(tmp_path: Path) -> None:
    async def run() -> None:
        first = Scene(tmp_path)
        await first.stage.start()
        await pass_time(first.clock, 60.0)
        await first.end()
        assert first.received() == [100]
        again = Scene(tmp_path, minute=105, keeper=first.world.keeper)
        await again.stage.start()
        await settle()
        assert again.received() == [100, 101, 102, 103, 104]
        assert [m.late for m in again.world.said(DataReceived)] == [False, True, True, True, False]
        assert again.window == minutes(75, 104)
        await again.end()
        third = Scene(tmp_path, minute=105, keeper=first.world.keeper)
        await third.stage.start()
        await pass_time(third.clock, 60.0)
        assert third.received() == [100, 101, 102, 103, 104, 105]
        assert not third.world.said(DataReceived)[-1].late
        await third.end()

    asyncio.run(run())


def test_down_for_longer_than_a_window_is_long_all_that_fits_is_told_and_nothing_twice(tmp_path: Path) -> None:
    async def run() -> None:
        first = Scene(tmp_path)
        await first.stage.start()
        await pass_time(first.clock, 60.0)
        await first.end()
        again = Scene(tmp_path, minute=180, keeper=first.world.keeper)
        await again.stage.start()
        await settle()
        assert again.received() == [100, *range(151, 180)]  # 150 is shown, so that there is something to go on from
        assert again.window == minutes(150, 179)
        await again.end()

    asyncio.run(run())


def test_a_short_history_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path, minute=3)
        await scene.stage.start()
        assert scene.window == minutes(0, 2)
        await scene.end()

    asyncio.run(run())


def test_a_venue_that_cannot_be_reached_at_the_start_is_an_alarm_and_followed_all_the_same(tmp_path: Path) -> None:
    def down() -> None:
        raise ConnectivityError("no route.")

    async def run() -> None:
        scene = Scene(tmp_path)
        scene.provider.before_fetch = down
        start = asyncio.ensure_future(scene.stage.start())
        while not start.done():
            await pass_time(scene.clock, 60.0, step_s=10.0)
        await start
        assert "feed_history" in [alarm.kind for alarm in scene.world.said(AlarmRaised)]
        scene.provider.before_fetch = lambda: None
        for _ in range(20):
            await pass_time(scene.clock, 60.0, step_s=10.0)
        assert len(scene.received()) > 1
        with nothing_failed(scene):
            await scene.end()

    asyncio.run(run())


def test_a_feed_that_falls_silent_is_an_alarm(tmp_path: Path) -> None:
    async def run() -> None:
        scene = Scene(tmp_path, script=["ok"] * 20 + ["stall"] * 4)
        await scene.stage.start()
        await pass_time(scene.clock, 400.0, step_s=5.0)
        assert "feed_stale" in [alarm.kind for alarm in scene.world.said(AlarmRaised)]
        await scene.end()

    asyncio.run(run())


def test_a_connection_that_is_not_there_is_refused_before_anything_runs() -> None:
    with pytest.raises(UnknownNameError, match="no connection for data of BTC/USDT named 'data'"):
        World().add(Stage)


def test_a_word_that_its_table_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[modules\.data_provider\]: no field of the top table named 'catalogue'"):
        World(settings={"catalogue": "x"}).add(Stage)
