"""What grew too old while an order of its name was looked for is not sent, at either bridge to MetaTrader."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.rehearsal import metaapi_world, mtapi_world
from tradelab.adapters import mtapi_wire as wire
from tradelab.adapters.mtapi_rows import ErrorRow
from tradelab.adapters.mtapi_session import Answer
from tradelab.model.approval import DecidedOn, OrderApproved, approve
from tradelab.model.orders import Side
from tradelab.model.outcome import Accepted, RefusalCode, Refused


def decided(on: Any, world: Any) -> OrderApproved:
    """Approve an order on a quote of this moment, which may be five seconds old."""
    quote = DecidedOn(what="quote", ts_ns=on.clock.now_ns(), max_age_s=5.0)
    passed = approve(
        on.intent(Side.BUY, "0.1"), world.EURUSD, reference_price=world.PRICE, by=("person",), at_ns=on.clock.now_ns(),
        decided_on=(quote,),
    )  # fmt: skip
    assert isinstance(passed, OrderApproved)
    return passed


def slowly(on: Any, owner: Any, name: str, seconds: float) -> None:
    """Let time pass before a question is answered."""
    ask = getattr(owner, name)

    async def later(*args: Any) -> Any:
        await on.clock.advance(seconds)
        return await ask(*args)

    setattr(owner, name, later)


@pytest.mark.parametrize(("seconds", "sent"), [(4.0, True), (6.0, False)])
def test_metaapi_sends_nothing_that_grew_old_while_it_looked(seconds: float, sent: bool) -> None:
    async def play() -> None:
        async with metaapi_world.world() as on:
            slowly(on, on.adapter._terminal, "open_orders", seconds)
            held_against(await on.adapter.submit(decided(on, metaapi_world)), on, sent)

    asyncio.run(play())


@pytest.mark.parametrize("dialect", ["mtapi", "mtapi-mt4"])
@pytest.mark.parametrize(("seconds", "sent"), [(4.0, True), (6.0, False)])
def test_mtapi_sends_nothing_that_grew_old_while_it_looked(dialect: str, seconds: float, sent: bool) -> None:
    async def play() -> None:
        async with mtapi_world.world(dialect=dialect) as on:
            slowly(on, on.adapter._trader, "_book", seconds)
            held_against(await on.adapter.submit(decided(on, mtapi_world)), on, sent)

    asyncio.run(play())


def test_mtapi_sends_nothing_again_that_grew_old_while_it_logged_in() -> None:
    async def play() -> None:
        async with mtapi_world.world() as on:
            session = on.adapter._session
            slowly(on, session, "renew", 6.0)
            tell, told = session.tell, []

            async def forgotten(call: Any, **ours: Any) -> Any:
                told.append(call)
                if len(told) == 1:
                    return Answer(200, None, ErrorRow(code=wire.SESSION_GONE, says="no such session"))
                return await tell(call, **ours)

            session.tell = forgotten
            held_against(await on.adapter.submit(decided(on, mtapi_world)), on, False)
            assert told == [wire.SEND]

    asyncio.run(play())


def held_against(outcome: object, on: Any, sent: bool) -> None:
    """Check what came of it, and that the venue has what it should have."""
    assert isinstance(outcome, Accepted if sent else Refused), outcome
    if isinstance(outcome, Refused):
        assert outcome.code is RefusalCode.STALE_INPUT
    assert len(on.venue.exchange.orders) == int(sent)
