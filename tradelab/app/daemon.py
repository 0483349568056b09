"""Run an engine in a process of its own: open its doors, let it recover and work, and end it in good order.

The engine, the API and everything that waits share one event loop and one thread. What talks to the outside here can
fail without harm to the engine; when the engine itself fails the process ends, and whoever watches over it starts it
again: starting is recovering.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets as random_secrets
import shutil
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from aiohttp import web

from tradelab import __version__
from tradelab.app.daemon_api import Api
from tradelab.app.daemon_commands import POLL_S, CommandDesk
from tradelab.app.daemon_events import Hub
from tradelab.app.daemon_table import DaemonTable
from tradelab.app.daemon_views import faults_of, monitoring, plain, quotes_view
from tradelab.app.drop_folder import POLL_S as DROP_S
from tradelab.app.drop_folder import DropFolder
from tradelab.app.engine_port import Engine
from tradelab.app.health_metrics import health_metrics
from tradelab.app.metrics_page import Tally, metrics_of, page
from tradelab.app.notify import Note, Notifier
from tradelab.app.run_folder import HAS_UNIX_SOCKETS, Address, RunFolder, listen
from tradelab.app.trading_days import KeepsDays
from tradelab.app.webhook import Door
from tradelab.model.clock import Clock, SystemClock
from tradelab.model.credentials import Secret
from tradelab.model.errors import StorageError, TradelabError
from tradelab.model.states import Severity
from tradelab.store.commands import Commands
from tradelab.store.database import Database
from tradelab.store.journal import Journal
from tradelab.store.lease_table import leases
from tradelab.store.states import TradingStates

STOP_S = 8.0  # for the engine to end; with the doors it is ten
LAST_S = 9.5  # after which the process ends whatever still runs: the journal has all that was meant
PULSE_S = 1.0
LOOK_S = 5.0  # between two questions to the records, so that figures are fresh whoever reads them
CLOCKS_S = 60.0  # between two questions for the time of every venue
DAYS_S = 60.0
LEAST_FREE = 500 * 2**20  # bytes of disk below which a person should make room
_log = logging.getLogger(__name__)


class Daemon:
    """One engine with its doors.

    Parameters
    ----------
    engine
        Not started yet.
    database
        The records in which its journal is.
    webhook_secret
        What signals from the network are signed with; ``None`` takes none, whatever the table says.
    notifier
        Tells people; ``None`` tells nobody.
    config
        The file that all this came from, to be shown.
    on_running
        Called when the engine has recovered and works.
    """

    def __init__(
        self,
        engine: Engine,
        table: DaemonTable,
        folder: RunFolder,
        database: Database,
        *,
        webhook_secret: Secret | None = None,
        notifier: Notifier | None = None,
        clock: Clock | None = None,
        config: str = "",
        on_running: Callable[[Address], None] = lambda _: None,
    ) -> None:
        self.engine = engine
        self.table = table
        self.folder = folder
        self.phase = "recovering"
        self._database = database
        self._clock = clock or SystemClock()
        self._config = config
        self._on_running = on_running
        self._notifier = notifier
        self._tally = Tally()
        self._began = time.monotonic()
        self._ending = asyncio.Event()
        self._policy: str | None = None
        self._failure: TradelabError | None = None
        self._last = threading.Timer(LAST_S, os._exit, (3,))
        self._last.daemon = True
        self._database_ms: float | None = None
        self._leases: list[dict[str, Any]] = []
        self._faults: dict[str, str] = {}
        self._days = KeepsDays(database, engine)
        self.hub = Hub(Journal(database, engine.name), lambda: engine.ledger.seq)
        self.desk = CommandDesk(engine, Commands(database, engine.name), TradingStates(database, engine.name))
        has_door = webhook_secret is not None
        self.door = Door(webhook_secret, table.webhook_window_s, self._clock) if has_door and webhook_secret else None
        for onlooker in (self._tally.told, self.hub.told, *([] if notifier is None else [notifier.told])):
            engine.bus.look_on(onlooker)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> int:
        """Live, and return the exit code: 0 where it was asked to end, 1 where the engine could not go on.

        Whoever calls this holds the folder, and has held it since before the engine was made.

        Raises
        ------
        TradelabError
            What the engine itself said why it cannot start or go on; everything was ended in good order before.
        """
        with self._signals():
            async with contextlib.AsyncExitStack() as doors:
                await self._open_doors(doors)
                code = await self._live()
                self.hub.close()
            self._last.cancel()
        if self._failure is not None:
            raise self._failure
        return code

    def ask_to_stop(self, policy: str | None = None) -> None:
        """Let it end; asked again changes nothing."""
        if self._ending.is_set():
            return
        _log.info("asked to stop, policy %s", policy or "of each account")
        self._arm()
        self._policy = policy
        self._ending.set()

    def _arm(self) -> None:
        """Let the process end in time, whatever becomes of the loop."""
        if not self._last.is_alive() and not self._last.finished.is_set():
            self._last.start()

    async def _live(self) -> int:
        ending = asyncio.create_task(self._ending.wait())
        code = 0
        try:
            if await self._first(self.engine.start(), ending):
                self.phase = "running"
                _log.info("%s runs; the journal has %d messages", self.engine.name, self.engine.ledger.seq)
                address = self.folder.address()
                if address is not None:
                    self._on_running(address)
                async with _beside(self._errands()):
                    if await self._first(self._ran(), ending):
                        code = 1
        except TradelabError as error:
            _log.error("the engine cannot go on: %s", error)
            self._cry(f"the engine cannot go on: {error}")
            self._failure = error
        except Exception as error:  # noqa: BLE001 (whatever it was, the process ends in good order and says so)
            _log.exception("the engine cannot go on")
            self._cry(f"the engine cannot go on: {error}")
            code = 1
        self.phase = "stopping"
        if not await self._stop():
            code = 1
        ending.cancel()
        return code

    async def _ran(self) -> None:
        why = await self.engine.run()
        _log.error("the engine has ended by itself: %s", why)
        self._cry(f"the engine has ended by itself: {why}")

    async def _first(self, work: Awaitable[None], ending: asyncio.Task[Any]) -> bool:
        """Wait for some work; ``False``: it was asked to end before, and the work is given up."""
        task = asyncio.ensure_future(work)
        await asyncio.wait((task, ending), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return not ending.done()
        task.cancel()
        await asyncio.wait((task,), timeout=1.0)
        return False

    async def _stop(self) -> bool:
        try:
            async with asyncio.timeout(STOP_S):
                await self.engine.stop(self._policy)
        except TimeoutError:
            _log.error("the engine did not end within %g s; what it meant is in the journal", STOP_S)
            return False
        except Exception:  # noqa: BLE001 (it ends anyway, and starting is recovering)
            _log.exception("the engine did not end well")
            return False
        await self._keep_last_days()
        if self._notifier is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._notifier.flush()
        return True

    async def _keep_days(self) -> None:
        self._days.keep()

    async def _keep_last_days(self) -> None:
        """Store what trading came to up to the last message; what cannot be stored now is folded by who asks for it."""
        try:
            self._days.keep()
        except StorageError as error:
            _log.warning("the days of trading were not stored: %s", error)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop in good order on SIGTERM and SIGINT; a terminal that is closed ends nothing."""
        loop = asyncio.get_running_loop()

        def asked(number: int, _: object) -> None:
            if number == signal.SIGINT and self._ending.is_set():
                os._exit(130)  # a person at the terminal, for the second time
            self._arm()  # here and not on the loop, which may be held up
            loop.call_soon_threadsafe(self.ask_to_stop)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, asked) for number in (signal.SIGTERM, signal.SIGINT)}
        if hasattr(signal, "SIGHUP"):
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # ── doors ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _open_doors(self, doors: contextlib.AsyncExitStack) -> None:
        here = HAS_UNIX_SOCKETS and self.table.api == "socket"
        token = None if here else Secret(random_secrets.token_urlsafe(32))
        runner = await self._runner(Api(self, token=token).application(), doors)
        url = None
        if here:
            await web.SockSite(runner, listen(self.folder.socket)).start()
        else:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        webhook = await self._open_webhook(doors)
        self.folder.tell(
            Address(
                node=self.engine.name, pid=os.getpid(), socket=str(self.folder.socket) if here else None, url=url,
                token=None if token is None else token.reveal(), webhook=webhook, config=self._config,
                started_ns=self._clock.now_ns(), version=__version__,
            )
        )  # fmt: skip

    async def _open_webhook(self, doors: contextlib.AsyncExitStack) -> str | None:
        at = self.table.webhook_at
        if at is None or self.door is None:
            return None
        runner = await self._runner(Api(self).webhook(), doors)
        try:
            await web.TCPSite(runner, *at).start()
        except OSError as error:
            wrong = f"the webhook cannot listen at {self.table.webhook}: {error.strerror or error}."
            raise StorageError(wrong, fix="Give daemon.webhook another port.") from None
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}/signal"

    async def _runner(self, app: web.Application, doors: contextlib.AsyncExitStack) -> web.AppRunner:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        doors.push_async_callback(runner.cleanup)
        return runner

    def _errands(self) -> list[Awaitable[None]]:
        """Return what is done beside the engine while it runs; each goes on after a failure."""
        jobs: list[Awaitable[None]] = [
            self._every(POLL_S, "the records", lambda: self.desk.watch(self._clock.now_ns())),
            self._every(PULSE_S, "the pulse", self._pulse),
            self._every(LOOK_S, "the records' answer", self._look_at_database),
            self._every(CLOCKS_S, "the venues' clocks", self.engine.clocks.look),
            self._every(DAYS_S, "the days of trading", self._keep_days),
        ]
        if self.table.drop is not None:
            drop = DropFolder(self.table.drop, self._dropped)
            jobs.append(self._every(DROP_S, f"the folder {self.table.drop}", drop.sweep))
        if self._notifier is not None:
            jobs.append(self._notifier.run())
        return jobs

    async def _every(self, seconds: float, what: str, job: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await job()
                self._faults.pop(what, None)
            except (TradelabError, OSError) as error:
                if what not in self._faults:
                    _log.warning("%s: %s", what, error)
                self._faults[what] = str(error)
            except Exception as error:  # noqa: BLE001 (a mistake of ours: told, and tried again, for nobody else would)
                if what not in self._faults:
                    _log.exception("%s failed", what)
                self._faults[what] = f"{type(error).__name__}: {error}"
            await asyncio.sleep(seconds)

    async def _dropped(self, arguments: dict[str, str]) -> Any:
        return await self.desk.do("signal", arguments, id=f"signal {arguments['id']}", by="file")

    # ── how it is ────────────────────────────────────────────────────────────────────────────────────────────────

    async def health(self) -> dict[str, Any]:
        """Return how the daemon and its engine are; ``ok`` where nobody has to look."""
        await self._look_at_database()
        told = plain(self.engine.health()) if self.phase == "running" else {}
        free = self._free()
        faults = [f"{what}: {says}" for what, says in self._faults.items()] + faults_of(told)
        if self.phase != "running":
            faults.append(f"the engine is {self.phase}")
        if free is not None and free < LEAST_FREE:
            faults.append(f"the disk has {free // 2**20} MB left: make room")
        stage = monitoring(self.engine) if self.phase == "running" else None
        if stage is not None and stage.trades.failure is not None:
            faults.append(stage.trades.failure)
        if self._notifier is not None and self._notifier.failed:
            faults.append(f"{self._notifier.failed} notification(s) were not delivered")
        return {
            "ok": not faults, "node": self.engine.name, "phase": self.phase, "faults": faults, "pid": os.getpid(),
            "version": __version__, "up_s": round(time.monotonic() - self._began, 1), "seq": self.engine.ledger.seq,
            "is_live": self.engine.config.is_live, "state": self.engine.ledger.snapshot().state().value,
            "config": self._config, "database_ms": self._database_ms, "disk_free_bytes": free,
            "leases": self._leases, "readers": self.hub.counts.readers, "readers_cut": self.hub.counts.cut,
            "engine": told, "protection": None if stage is None else plain(stage.protection()),
        }  # fmt: skip

    def metrics(self) -> str:
        """Return figures, as Prometheus reads them."""
        told = plain(self.engine.health()) if self.phase == "running" else {}
        figures = {name: float(value) for name, value in told.items() if isinstance(value, int | float)}
        free = self._free()
        figures |= {} if free is None else {"disk_free_bytes": float(free)}
        figures |= {} if self._database_ms is None else {"database_ms": self._database_ms}
        up_s = time.monotonic() - self._began
        counted = metrics_of(self.engine, self._tally, self.hub.counts, figures, up_s=up_s)
        return page([*counted, *health_metrics(told, self._leases)])

    async def _pulse(self) -> None:
        """Show readers the moment: quotes, and that all of this still runs."""
        for (source, symbol), quote in quotes_view(self.engine.market).items():
            self.hub.show(f"quote {source} {symbol}", "quote", quote)
        now = self.engine.ledger.snapshot()
        self.hub.show("pulse", "pulse", {"ts_ns": self._clock.now_ns(), "seq": now.seq, "state": now.state().value})

    async def _look_at_database(self) -> None:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(2.0):
                await asyncio.to_thread(self._ask_database)
        except (TimeoutError, StorageError) as error:
            self._faults["the records"] = str(error) or "no answer within 2 s"
            self._database_ms = None
        else:
            self._faults.pop("the records", None)
            self._database_ms = round((time.perf_counter() - began) * 1e3, 2)

    def _ask_database(self) -> None:
        """Ask who holds the leases of our accounts: any answer is a sign of life, and this one is worth showing."""
        mine = f"{self.engine.name} on {socket.gethostname()}, process {os.getpid()}"
        accounts = {bot.execution for bot in self.engine.config.bots}
        self._leases = [
            {"account": one.account, "holder": one.holder, "left_s": round(one.left_s, 1), "ours": one.holder == mine}
            for one in leases(self._database)
            if one.account in accounts and one.is_held
        ]

    def _free(self) -> int | None:
        try:
            return shutil.disk_usage(self.folder.path).free
        except OSError:
            return None

    def _cry(self, says: str) -> None:
        if self._notifier is not None:
            self._notifier.say(Note("errors", Severity.CRITICAL, says))


@contextlib.asynccontextmanager
async def _beside(jobs: list[Awaitable[None]]) -> Any:
    """Let jobs run while the block does; they are cancelled at its end, and one that fails is in the log."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(_logged)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _logged(task: asyncio.Future[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("something beside the engine has failed", exc_info=task.exception())
