"""Follow what a venue tells of one account: orders and fills as they come, its money, and what both sides hold."""

from __future__ import annotations

from tradelab.feeds.fills import FillRhythm
from tradelab.model.capabilities import Stream
from tradelab.model.errors import ConnectivityError, RequestError, VenueError
from tradelab.model.line import Line
from tradelab.model.messages import AlarmRaised
from tradelab.model.states import Severity
from tradelab.modules.execution.booking import Booker, fills_since_ns
from tradelab.modules.execution.config import Config
from tradelab.modules.execution.reconcile import Reconciler
from tradelab.spine.desk import Desk

_FIRST_PAUSE_S = 0.5
_SOON_S = 5.0  # after a subscription, when a second comparison is made


class Follower:
    """What runs for ever for one account."""

    def __init__(self, desk: Desk, config: Config, account: str, booker: Booker, reconciler: Reconciler) -> None:
        self._desk = desk
        self._config = config
        self._account = account
        self._booker = booker
        self._reconciler = reconciler
        self._is_streamed = Stream.ORDERS in desk.venue(account).capabilities.streams
        self._failures = 0  # of the stream of orders in a row
        self._is_open = False
        self._heard_ns: int | None = None
        self._openings = 0

    def lines(self) -> list[Line]:
        """Return how the streams of the account stand."""
        orders = Line(
            what="orders", of=self._account, connected=self._is_open, polled=not self._is_streamed,
            heard_ns=self._heard_ns, reconnects=max(0, self._openings - 1),
        )  # fmt: skip
        fills = self._booker.line()
        return [orders] if fills is None else [orders, fills]

    def begin(self) -> None:
        """Compare at once, then follow the account for ever."""
        self._desk.tasks.begin(self._run(), f"account {self._account}")

    async def _run(self) -> None:
        await self._reconciler.until_done()
        for what, follow in (
            ("fills", self._fills),
            ("orders", self._orders),
            ("money", self._money),
            ("comparison", self._compare_again),
        ):
            self._desk.tasks.begin(follow(), f"{what} of {self._account}")

    # ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _fills(self) -> None:
        while True:
            since_ns = fills_since_ns(self._desk, self._account)
            try:
                await self._booker.follow_fills(since_ns, FillRhythm(look_s=self._config.fills_s))
            except VenueError as error:
                await self._lost("fills", error)

    async def _orders(self) -> None:
        if not self._is_streamed:
            return await self._poll_orders()
        while True:
            try:
                await self._read_orders()
                self._failures += 1
                self._reconciler.begin("the stream of orders ended")
                await self._desk.clock.sleep(pause_s(self._failures, self._config))
            except VenueError as error:
                self._failures += 1
                await self._lost("orders", error, pause_s(self._failures, self._config))
            await self._reconciler.until_done()
            self._desk.tasks.begin(self._once_more(), f"look at {self._account} once more")

    async def _read_orders(self) -> None:
        """Report orders until their stream ends, and keep how it stands."""
        self._openings += 1
        self._is_open = True
        try:
            async for order in self._desk.venue(self._account).watch_orders():
                self._heard_ns = self._desk.clock.now_ns()
                self._booker.report(order)
                self._failures = 0
        finally:
            self._is_open = False

    async def _lost(self, stream: str, error: VenueError, pause_s: float = 0.0) -> None:
        """Shut an account of which something is not heard any more, and wait before it is tried again."""
        self._reconciler.begin(f"the stream of {stream} was lost: {error}"[:300])
        if isinstance(error, RequestError):
            says = f"the venue refuses its stream of {stream}: {error}"
            self._desk.bus.say(AlarmRaised(kind="venue", about=self._account, severity=Severity.CRITICAL, says=says))
            pause_s = self._config.longest_pause_s
        asked_s = error.retry_after_s if isinstance(error, ConnectivityError) else None
        await self._desk.clock.sleep(max(pause_s, asked_s or 0.0))

    # ── REST ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _once_more(self) -> None:
        """Compare again a little later: a subscription may begin just after what the comparison did not see yet."""
        await self._desk.clock.sleep(_SOON_S)
        await self._reconciler.until_done()

    async def _poll_orders(self) -> None:
        while True:
            await self._desk.clock.sleep(self._config.poll_s)
            await self._reconciler.until_done()

    async def _money(self) -> None:
        while True:
            try:
                await self._booker.report_account()
            except VenueError as error:  # what is not told grows old, and who needs it fresh sees that
                asked_s = error.retry_after_s if isinstance(error, ConnectivityError) else None
                await self._desk.clock.sleep(asked_s or 0.0)
            await self._desk.clock.sleep(self._config.account_s)

    async def _compare_again(self) -> None:
        while True:
            await self._desk.clock.sleep(self._config.reconcile_s)
            await self._reconciler.until_done()


def pause_s(failures: int, config: Config) -> float:
    """Return how long to wait after so many failures in a row: twice as long each time, up to a limit.

    >>> [pause_s(n, Config(longest_pause_s=3)) for n in (1, 2, 3, 4)]
    [0.5, 1.0, 2.0, 3.0]
    """
    return float(min(_FIRST_PAUSE_S * 2.0 ** (failures - 1), config.longest_pause_s))
