"""Give tests a real engine without modules: the node's own bus, ledger, journal and commands, and nothing that trades.

Run as a program it is `tradelab` with that engine in the place of the one the builder makes. ``TL_TEST_TALK`` lets it
say something so many times a second; ``TL_TEST_ILL`` lets it hang when it should stop, or hold up its loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tradelab.app.daemon import Daemon
from tradelab.app.daemon_table import LiveConfig, read_live
from tradelab.app.handle import Handle
from tradelab.app.run_folder import RunFolder
from tradelab.model.clock import SystemClock
from tradelab.model.messages import AlarmRaised
from tradelab.model.states import Severity
from tradelab.spine.config import NodeConfig
from tradelab.spine.keeping import JournalKeeper
from tradelab.spine.node import Node
from tradelab.spine.permit import FreePermit
from tradelab.spine.standing import Standings
from tradelab.store.database import Database
from tradelab.store.journal import Journal
from tradelab.store.states import TradingStates

FILE = """
name = "{name}"

[accounts.paper]
kind = "paper"
balances = {{ USDT = 10000 }}

[presets.small]
sizing = {{ by = "qty", value = 1 }}

[bots.eurusd]
symbols = ["EURUSD"]
timeframe = "1h"
source = "paper"
execution = "paper"
preset = "small"
{more}
"""


def write_file(folder: Path, name: str = "paper", more: str = "") -> Path:
    """Write a node's file with one bot that only takes signals from outside; return its path."""
    path = folder / f"{name}.toml"
    path.write_text(FILE.format(name=name, more=more), encoding="utf-8")
    return path


def engine_of(config: NodeConfig, database: Database) -> Node:
    """Return a real node of which no module is on."""
    return Node(
        config, [], JournalKeeper(Journal(database, config.name)), clock=SystemClock(), permit=lambda _: FreePermit(),
        venues={}, providers={}, standings=Standings(TradingStates(database, config.name)), version="test",
    )  # fmt: skip


def alarm(number: int) -> AlarmRaised:
    """Return something to say."""
    return AlarmRaised(kind="test", about=f"number {number}", severity=Severity.INFO, says="one after the other")


class Beside:
    """A daemon on a thread of this process, with its engine at hand."""

    def __init__(self, config: LiveConfig, **how: Any) -> None:
        self.config, self.how = config, how
        self.node: Node
        self.daemon: Daemon
        self.loop = asyncio.new_event_loop()
        self.code: int | None = None
        self.failure: BaseException | None = None
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def handle(self) -> Handle:
        """A hold of it."""
        return Handle(self.config.node.name)

    def begin(self) -> None:
        """Let it live until it is asked to end."""
        self._thread.start()
        assert self._up.wait(60), "the daemon did not come up"
        if self.failure is not None:
            raise self.failure

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join(30)
        assert not self._thread.is_alive(), "the daemon did not end"

    def end(self) -> None:
        """Ask it to end, and wait."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.daemon.ask_to_stop)
        self.join()

    def do(self, deed: Any) -> Any:
        """Do something on the engine's own thread, and return what it returned."""

        async def done() -> Any:
            return deed()

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(30)

    def say(self, first: int, count: int) -> None:
        """Let the engine say numbered things."""

        def deed() -> None:
            for number in range(first, first + count):
                self.node.bus.say(alarm(number))

        self.do(deed)

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            with RunFolder(self.config.node.name).held(), Database() as database:
                self.loop.run_until_complete(self._live(database))
        except BaseException as error:  # noqa: BLE001 (raised again in the test's thread)
            self.failure = error
        finally:
            self._up.set()
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    async def _live(self, database: Database) -> None:
        self.node = engine_of(self.config.node, database)
        how = {"on_running": lambda _: self._up.set()} | self.how
        self.daemon = Daemon(self.node, self.config.daemon, RunFolder(self.config.node.name), database, **how)
        self.code = await self.daemon.run()


@contextlib.contextmanager
def daemon_beside(path: Path, **how: Any) -> Iterator[Beside]:
    """Run a daemon on a thread until the block ends."""
    beside = Beside(read_live(path), **how)
    beside.begin()
    try:
        yield beside
    finally:
        beside.end()


# ── as a program ─────────────────────────────────────────────────────────────────────────────────────────────────────

COMMAND = (sys.executable, "-m", "tests.unit.app.engine_beside")


async def _build(config: NodeConfig, database: Database, _: object = None) -> Node:
    node = engine_of(config, database)
    rate = float(os.environ.get("TL_TEST_TALK", "0"))
    if rate:
        _let_talk(node, rate)
    ill = os.environ.get("TL_TEST_ILL")
    if ill == "hangs":
        node.stop = _hang  # type: ignore[method-assign]
    elif ill == "blocks":
        node.run = _block  # type: ignore[method-assign]
    return node


async def _hang(_: str | None = None) -> None:
    await asyncio.sleep(3600)


async def _block() -> str:
    await asyncio.sleep(0.5)  # long enough to say that it runs
    time.sleep(3600)
    return ""


def _let_talk(node: Node, rate: float) -> None:
    run = node.run

    async def talk() -> None:
        while True:
            node.bus.say(alarm(node.ledger.seq + 1))
            await asyncio.sleep(1 / rate)

    async def run_and_talk() -> str:
        talking = asyncio.create_task(talk())
        try:
            return await run()
        finally:
            talking.cancel()

    node.run = run_and_talk  # type: ignore[method-assign]


def main() -> None:
    """Be `tradelab`, with a builder that makes the engine above."""
    builder = types.ModuleType("tradelab.app.build")
    builder.build_node = _build  # type: ignore[attr-defined]
    sys.modules["tradelab.app.build"] = builder
    from tradelab.app import cli, daemon_process

    daemon_process.PROGRAM = COMMAND
    cli.main(prog_name="tradelab")


if __name__ == "__main__":
    main()
