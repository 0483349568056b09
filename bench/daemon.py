"""Measure the daemon's doors: a command, a snapshot, and how late a message reaches its readers.

A real engine without modules, its journal in SQLite with every transaction on disk, in a process of its own; clients by
`tl.connect()` over the unix socket, each on a thread of this process.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from statistics import quantiles

_NODE = "bench"
_READERS = (1, 5, 20)
_RATE, _MESSAGES = 100.0, 1_000


def main() -> None:
    """Start the daemon, measure, print a table, end it."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["TRADELAB_HOME"] = home
        server = subprocess.Popen([sys.executable, __file__, "serve"])
        try:
            _measure()
        finally:
            server.terminate()
            server.wait()


def _measure() -> None:
    from tradelab.app.handle import Handle
    from tradelab.app.run_folder import RunFolder

    while RunFolder(_NODE).address() is None:
        time.sleep(0.1)
    live = Handle(_NODE)
    print(f"{'':<44} p50 ms   p99 ms")
    _print("a command, journalled twice, and its answer", _timed(lambda: live.command("pause", bot="one"), 200))
    _print("a snapshot", _timed(live.snapshot, 200))
    _print("health", _timed(live.health, 200))
    for readers in _READERS:
        late, missed = _late(readers)
        _print(f"{_RATE:.0f} messages/s to {readers} reader(s), {missed} missed", late)


def _late(readers: int) -> tuple[list[float], int]:
    """Return how late, in milliseconds, each message reached each reader, and how many did not."""
    from tradelab.app.handle import Handle

    late: list[list[float]] = [[] for _ in range(readers)]
    seqs: list[list[int]] = [[] for _ in range(readers)]

    def read(number: int) -> None:
        for event in Handle(_NODE).events(kinds=["AlarmRaised"]):
            late[number].append((time.time_ns() - (event.ts_init_ns or 0)) / 1e6)
            seqs[number].append(event.seq or 0)
            if len(late[number]) == _MESSAGES:
                return

    threads = [threading.Thread(target=read, args=(number,)) for number in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    missed = sum(got[-1] - got[0] + 1 - len(got) for got in seqs)
    return [each for one in late for each in one], missed


def _timed(call: object, times: int) -> list[float]:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        call()  # type: ignore[operator]
        took.append((time.perf_counter() - began) * 1e3)
    return took


def _print(what: str, took: list[float]) -> None:
    cuts = quantiles(took, n=100)
    print(f"{what:<44} {cuts[49]:>6.2f}   {cuts[98]:>6.2f}")


# ── the daemon ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _serve() -> int:
    from tradelab.app.daemon import Daemon
    from tradelab.app.daemon_table import DaemonTable
    from tradelab.app.run_folder import Address, RunFolder
    from tradelab.model.clock import SystemClock
    from tradelab.model.messages import AlarmRaised
    from tradelab.model.states import Severity
    from tradelab.spine.config import parse_node
    from tradelab.spine.keeping import JournalKeeper
    from tradelab.spine.node import Node
    from tradelab.spine.permit import FreePermit
    from tradelab.store.database import Database
    from tradelab.store.journal import Journal

    bot = {"symbols": ["EURUSD"], "timeframe": "1h", "source": "none", "execution": "none", "preset": "one"}
    told = {"name": _NODE, "bots": {"one": bot}, "presets": {"one": {"sizing": {"by": "qty", "value": 1}}}}
    with RunFolder(_NODE).held(), Database() as database:
        node = Node(
            parse_node(told), [], JournalKeeper(Journal(database, _NODE)), clock=SystemClock(),
            permit=lambda _: FreePermit(), venues={}, providers={},
        )  # fmt: skip

        async def talk() -> None:
            while True:
                node.bus.say(AlarmRaised(kind="bench", about="x", severity=Severity.INFO, says="tick"))
                await asyncio.sleep(1 / _RATE)

        tasks: list[asyncio.Task[None]] = []

        def begin(_: Address) -> None:
            tasks.append(asyncio.create_task(talk()))

        return await Daemon(node, DaemonTable(), RunFolder(_NODE), database, on_running=begin).run()


if __name__ == "__main__":
    sys.exit(asyncio.run(_serve()) if sys.argv[1:] == ["serve"] else main())
