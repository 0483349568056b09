"""A desk that a module's stage stands at, with a bus and a journal in memory, and all that is said on it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from tradelab.model.clock import ManualClock
from tradelab.model.messages import Message, Recorded
from tradelab.spine.bus import Bus
from tradelab.spine.config import NodeConfig, parse_node
from tradelab.spine.desk import Desk, Market
from tradelab.spine.keeping import MemoryKeeper
from tradelab.spine.ledger import Ledger
from tradelab.spine.permit import FreePermit
from tradelab.spine.tasks import Tasks

BOT = {
    "symbols": ["BTC/USDT"], "timeframe": "1m", "source": "data", "execution": "paper", "preset": "small",
}  # fmt: skip


def node_of(*bots: Mapping[str, Any], **more: Any) -> NodeConfig:
    """A node's settings with some bots."""
    named = [{"name": f"bot{number}", **BOT, **bot} for number, bot in enumerate(bots or ({},))]
    preset = {"small": {"sizing": {"by": "qty", "value": 1}}}
    return parse_node({"bots": named, "presets": preset, **more})


class World:
    """A desk, and what a node does around a stage: what was said before is remembered, then all is heard."""

    def __init__(
        self,
        config: NodeConfig | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        providers: Mapping[str, Any] | None = None,
        clock: ManualClock | None = None,
        keeper: MemoryKeeper | None = None,
    ) -> None:
        self.clock = clock or ManualClock(1_000)
        self.keeper = keeper or MemoryKeeper()
        self.ledger = Ledger()
        self.failures: list[BaseException] = []
        self.stages: list[Any] = []
        self.desk = Desk(
            config=config or node_of(), settings=settings or {}, bus=Bus(self.keeper, self._remember, self.clock),
            ledger=self.ledger, clock=self.clock, market=Market(), venues={}, providers=providers or {},
            permit=FreePermit(), tasks=Tasks(lambda _, error: self.failures.append(error)),
            log=logging.getLogger("test"),
        )  # fmt: skip

    def add(self, make: Any, **more: Any) -> Any:
        """Make a stage, and let it remember what was said before it was there."""
        stage = make(self.desk, **more)
        self.stages.append(stage)
        for recorded in self.keeper.recorded():
            stage.remember(recorded)
            if self.ledger.seq < recorded.seq:
                self.ledger.fold(recorded)
        return stage

    def _remember(self, recorded: Recorded[Any]) -> None:
        self.ledger.fold(recorded)
        for stage in self.stages:
            stage.remember(recorded)

    def say(self, *messages: Message) -> None:
        """Say something."""
        for message in messages:
            self.desk.bus.say(message)

    def said(self, kind: type[Message]) -> list[Any]:
        """Return all of a kind that was ever said."""
        return [one.message for one in self.keeper.said if isinstance(one.message, kind)]
