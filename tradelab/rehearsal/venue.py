"""Start a rehearsal venue: one call from Python, and what a script holds while it runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from importlib import import_module

from tradelab.model.clock import Clock, ManualClock, SystemClock
from tradelab.model.errors import UnknownNameError
from tradelab.rehearsal.clock import VenueClock
from tradelab.rehearsal.control import attach
from tradelab.rehearsal.dialect import Maker
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.script import Director
from tradelab.rehearsal.server import Server
from tradelab.rehearsal.settings import AccountSetup, Ledger, VenueSetup
from tradelab.rehearsal.tape import Tape

DIALECTS: dict[str, tuple[str, Ledger]] = {
    "binance": ("tradelab.rehearsal.dialects.binance_spot", Ledger.SPOT),
    "binanceusdm": ("tradelab.rehearsal.dialects.binance_usdm", Ledger.PERPETUAL),
    "bybit": ("tradelab.rehearsal.dialects.bybit", Ledger.PERPETUAL),
    "bybit-spot": ("tradelab.rehearsal.dialects.bybit", Ledger.SPOT),
    "metaapi": ("tradelab.rehearsal.dialects.metaapi", Ledger.HEDGING),
    "mtapi": ("tradelab.rehearsal.dialects.mtapi", Ledger.HEDGING),
    "mtapi-mt4": ("tradelab.rehearsal.dialects.mtapi_mt4", Ledger.HEDGING),
}


class Rehearsal:
    """A venue that runs: its address, its accounts, and everything a script may do to it."""

    def __init__(self, dialect: str, server: Server, director: Director) -> None:
        self.dialect = dialect
        self.server = server
        self.direct = director

    @property
    def url(self) -> str:
        """Where it is: ``http://127.0.0.1:<port>``."""
        return self.server.url

    @property
    def exchange(self) -> Exchange:
        """The venue itself: orders, fills, ledgers, as they truly are."""
        return self.server.exchange

    @property
    def account(self) -> AccountSetup:
        """The first account."""
        return self.exchange.setup.accounts[0]

    async def advance(self, seconds: float, *, step_s: float = 1.0) -> None:
        """Move a clock that is moved by hand, and let frames leave and arrive."""
        clock = self.exchange.clock.base
        if not isinstance(clock, ManualClock):
            raise TypeError("this venue's clock runs by itself; only a ManualClock is moved by hand")
        left = seconds
        while left > 0:
            await clock.advance(min(step_s, left))
            left -= step_s
            await self.server.advance()
        await settle()

    async def kill(self) -> None:
        """Let the venue die: every connection breaks at once."""
        await self.server.kill()

    async def restart(self) -> None:
        """Start it again on the same port, with all it had taken."""
        await self.server.start(control=_door(self.direct))
        await settle()


async def settle(rounds: int = 20) -> None:
    """Give sockets on this machine the time to pass on what is on its way."""
    for _ in range(rounds):
        await asyncio.sleep(0)
    await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def rehearse(
    dialect: str,
    tapes: Iterable[Tape],
    setup: VenueSetup,
    *,
    clock: Clock | None = None,
    port: int = 0,
    save: Callable[[Exchange], None] | None = None,
    exchange: Exchange | None = None,
) -> AsyncIterator[Rehearsal]:
    """Run a venue until the block ends.

    Parameters
    ----------
    dialect
        One of :data:`DIALECTS`.
    tapes
        Its markets.
    setup
        Accounts, fees, book; its ledger must be the dialect's.
    clock
        What moves the market; the machine's own by default. With a :class:`~tradelab.model.clock.ManualClock` nothing
        moves before :meth:`Rehearsal.advance`.
    port
        Of loopback; 0 takes a free one.
    save
        Called with the exchange whenever it may have changed, before an answer or a frame tells of it; see
        :class:`~tradelab.rehearsal.state.StateFile`.
    exchange
        An exchange that ran before, to go on with; ``tapes`` and ``setup`` are then not used.

    Raises
    ------
    UnknownNameError
        No such dialect.
    """
    make = maker(dialect)
    kept = exchange or Exchange(tapes, VenueClock(clock or SystemClock()), setup)
    server = Server(kept, make, save=None if save is None else lambda: save(kept))
    server.keep()
    director = Director(kept, server.faults, server.hub)
    await server.start(port, control=_door(director))
    try:
        yield Rehearsal(dialect, server, director)
    finally:
        await server.stop()


def maker(dialect: str) -> Maker:
    """Return what makes a dialect."""
    if dialect not in DIALECTS:
        raise UnknownNameError.of("dialect", dialect, DIALECTS)
    module = import_module(DIALECTS[dialect][0])
    made: Maker = module.make
    return made


def _door(director: Director) -> Callable[..., None]:
    return lambda app, server: attach(app, server, director)
