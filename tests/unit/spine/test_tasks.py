"""What takes time runs beside the bus, and no failure of it goes unheard."""

from __future__ import annotations

import asyncio

from tradelab.spine.tasks import Tasks


def test_a_failure_is_heard_once_with_its_task_and_a_cancelled_one_is_none() -> None:
    async def run() -> None:
        heard: list[tuple[str, str]] = []
        tasks = Tasks(lambda name, error: heard.append((name, str(error))))

        async def fails() -> None:
            raise RuntimeError("gone")

        async def for_ever() -> None:
            await asyncio.get_running_loop().create_future()

        async def ends() -> None:
            return None

        for work, name in ((fails(), "bad"), (for_ever(), "long"), (ends(), "short")):
            tasks.begin(work, name)
        assert len(tasks) == 3
        for _ in range(3):
            await asyncio.sleep(0)
        assert (len(tasks), heard) == (1, [("bad", "gone")])
        await tasks.stop()
        assert (len(tasks), heard) == (0, [("bad", "gone")])

    asyncio.run(run())


def test_stopping_waits_for_those_that_clean_up_and_for_what_they_begin_meanwhile() -> None:
    async def run() -> None:
        done: list[str] = []
        tasks = Tasks(lambda *_: None)

        async def tidy(name: str) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await asyncio.sleep(0)
                done.append(name)
                if name == "first":
                    tasks.begin(tidy("second"), "second")

        tasks.begin(tidy("first"), "first")
        await asyncio.sleep(0)
        await tasks.stop()
        assert len(tasks) == 0
        assert done[0] == "first"

    asyncio.run(run())
