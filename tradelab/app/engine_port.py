"""Name what the daemon asks of an engine; the node is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tradelab.model.clock import Clock
from tradelab.model.messages import CommandDone
from tradelab.spine.bus import Bus
from tradelab.spine.config import NodeConfig
from tradelab.spine.desk import Market
from tradelab.spine.ledger import Ledger
from tradelab.spine.venue_clocks import VenueClocks


class Engine(Protocol):
    """What lives in a daemon: it starts by recovering, runs, takes commands, and stops as its accounts say."""

    name: str
    config: NodeConfig
    bus: Bus
    ledger: Ledger
    market: Market
    clocks: VenueClocks
    clock: Clock

    async def start(self) -> None:
        """Recover: fold the journal, connect, compare every account with its venue."""
        ...

    async def run(self) -> str:
        """Work until stopped, or until going on would be wrong; return why it ended."""
        ...

    async def stop(self, policy: str | None = None) -> None:
        """End: keep what is protected, cancel entries, or flatten; ``None`` does what each account's table says."""
        ...

    async def command(self, name: str, arguments: Mapping[str, str], *, id: str, by: str) -> CommandDone:
        """Carry out a command once, however often it is sent: journalled before it acts, and when it is done."""
        ...

    def health(self) -> dict[str, Any]:
        """Return how it is: modules and their workers, leases, accounts, bots, streams, the venues' clocks."""
        ...

    def stage(self, module: str) -> Any:
        """Return the stage of a module that is on; ``KeyError`` where it is not."""
        ...
