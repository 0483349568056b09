"""A bot's strategy is somebody's own code: what it decides is raised, and a mistake in it is that bot's alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tradelab.model import messages as said
from tradelab.model.clock import ManualClock
from tradelab.model.market import Candle
from tradelab.model.states import Severity
from tradelab.model.units import NS_PER_MIN, Timeframe
from tradelab.spine.config import parse_node
from tradelab.spine.keeping import MemoryKeeper
from tradelab.spine.node import Node
from tradelab.spine.permit import FreePermit
from tradelab.spine.view import Window
from tradelab.strategy import define
from tradelab.strategy.spec import Signals

SYMBOL = "BTC/USDT"


@pytest.fixture(autouse=True)
def own_shelf() -> Iterator[None]:
    kept = dict(define.SHELF)
    yield
    define.SHELF.clear()
    define.SHELF.update(kept)


def heard(told: dict[str, Any], **how: Any) -> tuple[Node, list[said.Message]]:
    """Let a node hear one bar, and return all that was said."""
    keeper = MemoryKeeper()

    async def live() -> Node:
        node = Node(
            parse_node(told), [], keeper, clock=ManualClock(2 * NS_PER_MIN), permit=lambda _: FreePermit(), venues={},
            providers={},
        )  # fmt: skip
        await node.start()
        candle = Candle(NS_PER_MIN, 100.0, 101.0, 99.0, 100.0, 0.0, closed=True)
        window = node.market.windows["src", SYMBOL, Timeframe.M1] = Window(5)
        window.add(candle)
        node.bus.say(said.DataReceived(source="src", symbol=SYMBOL, timeframe=Timeframe.M1, candle=candle, **how))
        return node

    return asyncio.run(live()), [recorded.message for recorded in keeper.recorded()]


def node_of(**strategies: str) -> dict[str, Any]:
    bot = {"symbols": [SYMBOL], "timeframe": "1m", "source": "src", "execution": "acc", "preset": "p"}
    bots = {name: bot | {"strategy": strategy} for name, strategy in strategies.items()}
    return {"presets": {"p": {"sizing": {"by": "qty", "value": "1"}}}, "bots": bots}


def test_on_a_bar_that_closed_while_the_engine_was_down_and_is_not_the_newest_nothing_is_decided() -> None:
    @define.strategy(warmup=1)
    def always_live(bars: Any) -> Signals:
        return Signals(long_entry=bars.close > 0)

    for late, raised in ((False, 1), (True, 0)):
        _, spoken = heard(node_of(good="always_live"), late=late)
        assert sum(isinstance(it, said.SignalRaised) for it in spoken) == raised


def test_a_strategy_that_fails_decides_nothing_and_ends_neither_the_engine_nor_another_bot() -> None:
    @define.strategy(warmup=1)
    def fails_live(bars: Any) -> Signals:
        raise ZeroDivisionError("no volume")

    @define.strategy(warmup=1)
    def always_live(bars: Any) -> Signals:
        return Signals(long_entry=bars.close > 0)

    node, spoken = heard(node_of(bad="fails_live", good="always_live"))
    assert not node.bus.is_broken
    assert [it.signal.bot for it in spoken if isinstance(it, said.SignalRaised)] == ["good"]
    (alarm,) = [it for it in spoken if isinstance(it, said.AlarmRaised)]
    assert (alarm.kind, alarm.about, alarm.severity) == ("strategy", f"bad {SYMBOL}", Severity.CRITICAL)
    assert "ZeroDivisionError: no volume" in alarm.says
