"""A position is not led on by other bars than those it was decided on: an engine that would do so does not start."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.unit.spine import world
from tradelab.model import messages as said
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConfigError
from tradelab.model.messages import Message
from tradelab.model.orders import Side
from tradelab.model.signal import Pass
from tradelab.model.units import Timeframe
from tradelab.spine.bus import Bus
from tradelab.spine.config import parse_node
from tradelab.spine.keeping import MemoryKeeper
from tradelab.spine.node import Node
from tradelab.spine.permit import FreePermit

RAISED = said.SignalRaised(world.signal(timeframe=Timeframe.M1, bar_ns=0))
LET_PASS = said.RiskCalculated(
    bot="bot", signal_id="s1", verdict=Pass(), intent=world.intent(), plan="{}", source="src", timeframe=Timeframe.M1
)
TAKEN = said.OrderAccepted(account="paper", client_order_id="o1", venue_order_id="v-o1")
BOUGHT = world.traded("1", "1", "100")
SOLD = world.traded("2", "1", "100", Side.SELL)


def starts(*before: Message, timeframe: str = "1m", source: str = "src", execution: str = "paper") -> Node:
    """Start an engine on what was said before."""
    keeper = MemoryKeeper()
    bus = Bus(keeper, lambda _: None, ManualClock(1))
    for message in before:
        bus.say(message)
    bot = {"symbols": ["BTC/USDT"], "timeframe": timeframe, "source": source, "execution": execution, "preset": "p"}
    told = {"presets": {"p": {"sizing": {"by": "qty", "value": "1"}}}, "bots": {"bot": bot}}
    node = Node(
        parse_node(told), [], keeper, clock=ManualClock(1), permit=lambda _: FreePermit(), venues={}, providers={}
    )

    async def live() -> None:
        await node.start()

    asyncio.run(live())
    return node


HELD = (world.LISTED, RAISED, LET_PASS, world.intended(), TAKEN, BOUGHT)


def test_it_starts_on_the_bars_that_its_position_was_decided_on() -> None:
    assert [held.qty for held in starts(*HELD).ledger.snapshot().positions.values()] == [Decimal(1)]


@pytest.mark.parametrize(
    ("edited", "says"),
    [
        ({"timeframe": "1h"}, "position in BTC/USDT on 'paper' that was decided with timeframe = '1m'"),
        ({"source": "other"}, "position in BTC/USDT on 'paper' that was decided with source = 'src'"),
        ({"execution": "other"}, "position in BTC/USDT on 'paper' that was decided with execution = 'paper'"),
    ],
)
def test_other_bars_while_its_position_is_open_are_refused_with_what_to_do(edited: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError) as error:
        starts(*HELD, **edited)  # type: ignore[arg-type]
    assert says in str(error.value) and "bot 'bot'" in str(error.value)
    (name, now) = next(iter(edited.items()))
    assert f"its table says {name} = {now!r}" in str(error.value)
    assert "tradelab flatten --bot bot" in str(error.value)


def test_so_they_are_while_an_entry_waits() -> None:
    with pytest.raises(ConfigError, match="an entry that waits in BTC/USDT"):
        starts(*HELD[:-1], timeframe="1h")


def test_in_a_journal_of_before_the_source_was_noted_the_timeframe_is_that_of_the_signal() -> None:
    old = (world.LISTED, RAISED, world.intended(), TAKEN, BOUGHT)
    with pytest.raises(ConfigError, match="timeframe = '1m'"):
        starts(*old, timeframe="1h")
    starts(*old, source="other")


def test_what_is_flat_may_be_edited() -> None:
    starts(*HELD, SOLD, timeframe="1h", source="other")
