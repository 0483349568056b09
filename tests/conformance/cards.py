"""Write a behaviour of a venue as a card: five fields and the play itself, run by plain pytest on a fresh stage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conformance.stage import Fault, Stage
from tradelab.model.account import PositionMode
from tradelab.model.capabilities import Stream, VenueCapabilities
from tradelab.model.orders import OrderType, TimeInForce
from tradelab.model.units import NS_PER_S

MISSING = "declared missing"  # the venue's capabilities say that it does not offer this
UNSTAGED = "not staged"  # the venue may well do it; this stage cannot bring the situation about


@dataclass(frozen=True, slots=True)
class Need:
    """What a card cannot be played without; ``says`` is what is lacking when it is not met."""

    says: str
    kind: str
    met: Callable[[Stage], bool]
    skips_when: str


@dataclass(frozen=True, slots=True)
class Card:
    """What a behaviour is, in words; the field names are those of the table in ``docs/conformance.md``."""

    name: str
    prerequisite: str
    action: str
    expects: str
    passes: str
    needs: tuple[Need, ...]

    @property
    def skips_when(self) -> str:
        """When it is not played, told by the very conditions that are asked."""
        return "; or when ".join(need.skips_when for need in self.needs) or "never"


def declared(says: str, met: Callable[[VenueCapabilities], bool], skips_when: str = "") -> Need:
    """Need something of the venue's capabilities."""
    return Need(says, MISSING, lambda on: met(on.venue.capabilities), skips_when or f"it does not offer {says}")


def staged(says: str, met: Callable[[Stage], bool]) -> Need:
    """Need something of the stage."""
    return Need(says, UNSTAGED, met, f"the stage has no {says}")


def takes(*types: OrderType) -> Need:
    """Need order types."""
    said = " or ".join(f"{kind.value} orders" for kind in types)
    return declared(said, lambda can: set(types) <= can.order_types)


def keeps(*times: TimeInForce) -> Need:
    """Need times in force."""
    said = " or ".join(f"time in force {time.value}" for time in times)
    return declared(said, lambda can: set(times) <= can.times_in_force)


def modifies(field: str) -> Need:
    """Need a field of an open order to be changeable in place."""
    return declared(f"changing {field} in place", lambda can: field in can.modify)


def pushes(stream: Stream) -> Need:
    """Need a stream."""
    return declared(f"a stream of {stream.value}", lambda can: stream in can.streams)


def holds(*modes: PositionMode) -> Need:
    """Need one of some ways of holding what was bought."""
    said = " or ".join(mode.value for mode in modes)
    return declared(f"position mode {said}", lambda can: can.position_mode in modes)


def stages(*faults: Fault) -> Need:
    """Need the stage to be able to bring all of some faults about."""
    said = " or ".join(fault.value for fault in faults)
    return staged(f"fault {said}", lambda on: set(faults) <= on.faults)


REDUCE_ONLY = declared("reduce-only orders", lambda can: can.reduce_only)
MARKET = takes(OrderType.MARKET)
LIMIT = takes(OrderType.LIMIT)
STOP = takes(OrderType.STOP)
TAKES = declared("limits that trade at once beyond the market", lambda can: can.limit_may_take)
BY_CLIENT_ID = declared("orders asked for by client id", lambda can: can.query_by_client_id)
POSITIONS = holds(PositionMode.NETTING, PositionMode.HEDGING)
PROTECTED_MARKET = declared("SL/TP on market orders", lambda can: OrderType.MARKET in can.attached_protection_types)
PROTECTS = declared("changing the SL/TP of a position", lambda can: can.modify_protection)

Play = Callable[[Any, Stage], Awaitable[None]]


def card(
    *, prerequisite: str, action: str, expects: str, passes: str, needs: tuple[Need, ...] = ()
) -> Callable[[Play], Callable[[Any], None]]:
    """Make a test of a play: set the stage, skip what is declared missing, run it on a loop of its own."""

    def made(play: Play) -> Callable[[Any], None]:
        def test(self: Any) -> None:
            asyncio.run(_perform(self, play, needs))

        test.__name__, test.__qualname__, test.__module__ = play.__name__, play.__qualname__, play.__module__
        test.__doc__ = f"{prerequisite} {action} {expects} {passes}"
        test.card = Card(play.__name__, prerequisite, action, expects, passes, needs)  # type: ignore[attr-defined]
        return test

    return made


def cards_of(contract: type) -> dict[str, Card]:
    """Every card of a contract by the name of its test, in the order in which they are written."""
    found: dict[str, Card] = {}
    for part in reversed(contract.__mro__):
        found |= {name: value.card for name, value in vars(part).items() if hasattr(value, "card")}
    return found


async def _perform(contract: Any, play: Play, needs: tuple[Need, ...]) -> None:
    async with contract.stage() as on:
        type(contract).evidence = on.venue.capabilities.evidence
        for need in needs:
            if not need.met(on):
                pytest.skip(f"{need.kind}: {need.says}")
        on.began_ns = await on.venue.now_ns() - NS_PER_S
        await play(contract, on)
