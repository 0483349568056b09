"""Hand a module what it works with; it is all that a module ever gets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tradelab.model.clock import Clock
from tradelab.model.errors import UnknownNameError
from tradelab.model.market import Quote
from tradelab.model.messages import Recorded
from tradelab.model.ports import DataProvider, ExecutionVenue
from tradelab.model.signal import Signal, Verdict
from tradelab.model.units import Timeframe
from tradelab.spine.bus import Bus
from tradelab.spine.config import BotConfig, NodeConfig
from tradelab.spine.ledger import Ledger
from tradelab.spine.snapshot import Snapshot
from tradelab.spine.tasks import Tasks
from tradelab.spine.view import SeenQuote, View, Window


class Permit(Protocol):
    """Says, in the transaction in which an intent is kept, whether this engine may send to an account now."""

    def fence(self, account: str, *, bot: str | None, reduces: bool) -> int:
        """Return the number of the lease under which an order of ``account`` is written now.

        Raises
        ------
        LeaseError
            The lease is lost or over, or, for what takes on risk, somebody has halted the account past this engine.
        """
        ...

    def left_s(self, account: str) -> float:
        """Return for how long an order may still leave under the lease."""
        ...


class Lessee(Permit, Protocol):
    """A permit as the node holds it: taken at a start, renewed while it runs, given back at its end."""

    @property
    def renew_s(self) -> float:
        """How often leases are to be renewed; infinite where there is nothing to renew."""
        ...

    def take(self, account: str) -> None:
        """Take the lease of an account. Raises :class:`LeaseError` where another engine has it."""
        ...

    def renew(self) -> None:
        """Prolong all leases. Raises :class:`LeaseError` where one was lost."""
        ...

    def release(self) -> None:
        """Give all leases back."""
        ...


@dataclass(slots=True)
class Market:
    """The newest quotes and the bars of every series that is followed; written by ``data_provider`` alone."""

    quotes: dict[tuple[str, str], SeenQuote] = field(default_factory=dict)
    windows: dict[tuple[str, str, Timeframe], Window] = field(default_factory=dict)
    _onlookers: list[Callable[[str, Quote], None]] = field(default_factory=list)

    def quoted(self, source: str, quote: Quote, seen_ns: int) -> None:
        """Take in the newest quote of a source, and tell it to whoever looks on."""
        self.quotes[source, quote.symbol] = SeenQuote(quote, seen_ns)
        for look in self._onlookers:
            look(source, quote)

    def look_on(self, look: Callable[[str, Quote], None]) -> None:
        """Let something be told of each quote, with its source: a paper account trades on them."""
        self._onlookers.append(look)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a module works with.

    Parameters
    ----------
    settings
        The module's own table in the node's file.
    venues, providers
        Connections by name; they are connected and closed by the node, never by a module.
    permit
        Asked before an intent is kept.
    identities
        What each account's connection is set up for, in words without secrets; an account of this process has none.
    tasks
        What runs beside the bus: a task that fails is a failure of the module that began it.
    """

    config: NodeConfig
    settings: Mapping[str, Any]
    bus: Bus
    ledger: Ledger
    clock: Clock
    market: Market
    venues: Mapping[str, ExecutionVenue]
    providers: Mapping[str, DataProvider]
    permit: Permit
    tasks: Tasks
    log: logging.Logger
    identities: Mapping[str, str] = field(default_factory=dict)

    def snapshot(self) -> Snapshot:
        """Return what is true now."""
        return self.ledger.snapshot()

    def view(self, bot: BotConfig) -> View:
        """Return what a decision about one of a bot's signals is made on."""
        return View(self.snapshot(), bot, self.clock.now_ns(), self.market.quotes, self.market.windows)

    def symbols(self, account: str) -> tuple[str, ...]:
        """Return what the bots of an account trade."""
        return tuple(sorted({s for bot in self.config.bots if bot.execution == account for s in bot.symbols}))

    def venue(self, account: str) -> ExecutionVenue:
        """Return the venue that an account is at."""
        if account not in self.venues:
            raise UnknownNameError.of("account", account, self.venues)
        return self.venues[account]


class Stage(Protocol):
    """The part of a module that lives in a node; a gate has ``review`` besides.

    Its constructor takes the :class:`Desk` and says on the bus what it hears; it sends nothing and asks nothing yet.
    """

    def remember(self, recorded: Recorded[Any]) -> None:
        """Take in one message of the journal at a start, and every message after: what a stage knows is a fold too."""
        ...

    async def start(self) -> None:
        """Begin to work: everything that was ever said is remembered, and every connection stands."""
        ...

    async def stop(self) -> None:
        """End all that it began; calling it twice does no harm."""
        ...


class Gate(Stage, Protocol):
    """A module that lets signals pass or not."""

    def review(self, signal: Signal, view: View) -> Verdict | Coroutine[Any, Any, Verdict]:
        """Judge a signal; what takes time is a coroutine, and its result is heard when it is there."""
        ...


MakeStage = Callable[[Desk], Stage]
