"""Hold the adapter to the fault table of a venue: what is refused, what is unknown, and that a wish is one order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.rehearsal.metaapi_world import ACCOUNT, World, world
from tradelab.model.errors import ConnectivityError
from tradelab.model.orders import OrderRef, OrderType, Side
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown
from tradelab.rehearsal.faults import Fault

# The twelve rows: what the venue does, what our word for it must be, and whether the order is then there.
REFUSED: dict[Fault, RefusalCode] = {
    Fault.RATE_LIMITED: RefusalCode.RATE_LIMITED,
    Fault.BANNED: RefusalCode.RATE_LIMITED,  # MetaApi documents no ban, only a time to wait
    Fault.OVERLOADED: RefusalCode.RATE_LIMITED,  # 10024: too frequent requests
    Fault.MAINTENANCE: RefusalCode.MAINTENANCE,
    Fault.CLOCK: RefusalCode.AUTHENTICATION,  # nothing is signed with a time; a token runs out
    Fault.FILTER: RefusalCode.QTY_STEP,
    Fault.BALANCE: RefusalCode.MARGIN,
}
UNKNOWN = (Fault.UNKNOWN_ERROR, Fault.STATUS_UNKNOWN, Fault.GATEWAY)
TAKEN = (Fault.HANG, Fault.RESET, Fault.TRUNCATED)


def play(run: Callable[[World], Awaitable[None]], **settings: Any) -> None:
    async def whole() -> None:
        async with world(settings={"timeout_s": 1.0} | settings) as on:
            await run(on)

    asyncio.run(whole())


async def rest(on: World, name: str = "tl1") -> Outcome:
    """Send a limit that waits."""
    return await on.submit(Side.BUY, "0.1", OrderType.LIMIT, price=Decimal("1.15"), client_order_id=name)


async def found(on: World, name: str = "tl1") -> bool:
    return await on.adapter.order(OrderRef(symbol="EURUSD", client_order_id=name)) is not None


@pytest.mark.parametrize(("fault", "code"), REFUSED.items())
def test_what_the_venue_refuses_is_refused_and_not_there(fault: Fault, code: RefusalCode) -> None:
    async def run(on: World) -> None:
        on.venue.direct.fault(fault, "submit", seconds=7)
        told = await rest(on)
        assert isinstance(told, Refused), told
        assert told.code is code
        if fault in (Fault.RATE_LIMITED, Fault.BANNED):
            assert told.retry_after_s == pytest.approx(7, abs=1)
        await on.venue.advance(8)
        assert not await found(on)
        assert isinstance(await rest(on), Accepted)

    play(run)


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("fault", UNKNOWN)
def test_what_nobody_can_tell_is_unknown_and_asking_tells(fault: Fault, executed: bool) -> None:
    async def run(on: World) -> None:
        on.venue.direct.fault(fault, "submit", executed=executed)
        assert isinstance(await rest(on), Unknown)
        assert await found(on) is executed
        assert isinstance(await rest(on), Accepted)
        assert len(await on.adapter.open_orders()) == 1

    play(run)


@pytest.mark.parametrize("fault", TAKEN)
def test_an_answer_that_does_not_come_whole_is_unknown_and_the_order_is_there_once(fault: Fault) -> None:
    async def run(on: World) -> None:
        on.venue.direct.fault(fault, "submit")
        assert isinstance(await rest(on), Unknown)
        assert await found(on)
        again = await rest(on)
        assert isinstance(again, Accepted)
        assert [o.venue_order_id for o in await on.adapter.open_orders()] == [again.venue_order_id]

    play(run)


def test_a_connection_lost_before_the_venue_read_it_is_unknown_as_nobody_can_see_the_difference() -> None:
    async def run(on: World) -> None:
        on.venue.direct.fault(Fault.LOST, "submit")
        assert isinstance(await rest(on), Unknown)
        assert not await found(on)

    play(run)


def test_a_client_id_that_is_open_done_or_a_position_is_never_sent_again() -> None:
    async def run(on: World) -> None:
        market = await on.submit(Side.BUY, "0.1", client_order_id="tl1")
        assert isinstance(market, Accepted)
        waits = await rest(on, "tl2")
        assert isinstance(waits, Accepted)
        await on.adapter.cancel(OrderRef(symbol="EURUSD", client_order_id="tl2"))
        sent = sum(a.kind == "submit" for a in on.venue.server.log)
        again = await on.submit(Side.BUY, "0.1", client_order_id="tl1")
        assert isinstance(again, Accepted)
        assert again.venue_order_id == market.venue_order_id
        gone = await rest(on, "tl2")
        assert isinstance(gone, Accepted)
        assert gone.venue_order_id == waits.venue_order_id
        assert sum(a.kind == "submit" for a in on.venue.server.log) == sent
        assert len(await on.adapter.positions()) == 1

    play(run)


@pytest.mark.parametrize("kind", ["open_orders", "order", "fills", "positions"])
def test_an_order_that_could_not_be_looked_for_is_not_sent(kind: str) -> None:
    """MetaApi does not keep a name from being used twice; so without having looked nothing is sent."""

    async def run(on: World) -> None:
        on.venue.direct.fault(Fault.GATEWAY, kind)
        told = await rest(on)
        assert isinstance(told, Refused)
        assert told.code is RefusalCode.NOT_SENT
        on.venue.direct.fault(Fault.RATE_LIMITED, kind, seconds=5)
        told = await rest(on)
        assert isinstance(told, Refused)
        assert (told.code, told.retry_after_s) == (RefusalCode.RATE_LIMITED, 5)
        assert not any(a.kind == "submit" for a in on.venue.server.log)

    play(run)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.RATE_LIMITED, RefusalCode.RATE_LIMITED),
        (Fault.CANCEL_REJECTED, RefusalCode.OTHER),
        (Fault.GATEWAY, None),
        (Fault.HANG, None),
        (Fault.TRUNCATED, None),
    ],
)
def test_a_cancel_is_refused_or_unknown_by_the_same_rules(fault: Fault, kind: RefusalCode | None) -> None:
    async def run(on: World) -> None:
        await rest(on)
        on.venue.direct.fault(fault, "cancel")
        told = await on.adapter.cancel(OrderRef(symbol="EURUSD", client_order_id="tl1"))
        assert isinstance(told, Unknown) if kind is None else (isinstance(told, Refused) and told.code is kind)

    play(run)


def test_reads_say_what_could_not_be_read_and_guess_nothing() -> None:
    async def run(on: World) -> None:
        for fault in (Fault.GATEWAY, Fault.TRUNCATED, Fault.RESET, Fault.UNKNOWN_ERROR, Fault.RATE_LIMITED):
            on.venue.direct.fault(fault, "positions")
            with pytest.raises(ConnectivityError):
                await on.adapter.positions()
            await on.venue.advance(2)

    play(run)


def test_a_terminal_that_is_taken_down_is_said_so_and_no_order_counts_as_absent_by_it() -> None:
    async def run(on: World) -> None:
        await rest(on)
        on.dialect._accounts.move(ACCOUNT, up=False)
        await on.venue.advance(20, step_s=5)
        with pytest.raises(Exception, match="not deployed"):
            await found(on)
        told = await rest(on, "tl2")
        assert isinstance(told, Refused)

    play(run)
