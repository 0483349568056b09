"""Play the fault table on every venue, by a limit that rests and by a market order, and count the orders afterwards.

What the venue has is looked up in the exchange itself, not asked of the adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.conformance import test_binance_spot, test_binance_usdm, test_bybit, test_metaapi, test_mtapi
from tests.conformance.fault_rows import LOOKED_FOR, ROWS, VENUES, Missing, Other, Row
from tests.conformance.stage import Stage
from tradelab.model.approval import OrderApproved
from tradelab.model.orders import OrderRef, OrderType, Side
from tradelab.model.outcome import Accepted, Outcome, RefusalCode, Refused, Unknown
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.venue import Rehearsal

_STAGES: dict[str, Callable[[], Any]] = {
    "binance": test_binance_spot.TestBinanceSpot,
    "binanceusdm": test_binance_usdm.TestBinanceUsdm,
    "bybit": test_bybit.TestBybitLinear,
    "bybit-spot": test_bybit.TestBybitSpot,
    "metaapi": test_metaapi.TestMetaApi,
    "mtapi": test_mtapi.TestMtapi,
    "mtapi-mt4": test_mtapi.TestMtapi4,
}
_PAUSE_S = 7.0  # what the venue asks for when it limits or bans
_PLAYED = [
    (venue, row, taken, kind)
    for venue in VENUES
    for row in ROWS
    for taken in row.takes
    for kind in (OrderType.LIMIT, OrderType.MARKET)
    if row.fault is not None
    and not isinstance(row.means[venue], Missing)
    # a market order has filled when it is looked for, and no venue minds its name twice; where nothing is looked for
    # its kind makes no difference
    and (kind is OrderType.LIMIT or row.means[venue] is Other.UNKNOWN)
]


def _named(value: Any) -> str:
    if isinstance(value, Row):
        return f"row{value.key}"
    if isinstance(value, bool):
        return "taken" if value else "not_taken"
    return str(getattr(value, "value", value))


def at_of(on: Any) -> Rehearsal:
    """The venue itself, behind any stage."""
    return on.at if hasattr(on, "at") else on._on.venue


def orders_of(on: Stage, order: OrderApproved) -> int:
    """How many orders of this client id the venue has ever taken."""
    wanted = order.intent.client_order_id
    return sum(each.client_order_id == wanted for each in at_of(on).exchange.orders.values())


def submits(on: Stage) -> int:
    """How many requests to make an order the venue has answered."""
    return sum(asked.kind == "submit" for asked in at_of(on).server.log)


def play(venue: str, act: Callable[[Stage], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with _STAGES[venue]().stage() as on:
            await act(on)

    asyncio.run(whole())


def wish(on: Stage, kind: OrderType) -> OrderApproved:
    price = on.away(-1) if kind is OrderType.LIMIT else None
    return on.approved(on.intent(Side.BUY, on.unit, kind, price=price))


@pytest.mark.parametrize(("venue", "row", "taken", "kind"), _PLAYED, ids=_named)
def test_each_row_is_classified_as_it_must_be_and_the_wish_is_one_order(
    venue: str, row: Row, taken: bool, kind: OrderType
) -> None:
    async def act(on: Stage) -> None:
        order = wish(on, kind)
        at_of(on).direct.fault(row.fault, "submit", executed=taken, seconds=_PAUSE_S)  # type: ignore[arg-type]
        outcome = await on.venue.submit(order)
        _require_meaning(row.means[venue], outcome)
        assert orders_of(on, order) == int(taken)
        assert submits(on) <= 1, "it was sent again by itself"  # the log has no line yet where no answer was given
        await _carry_on(on, order, outcome, taken=taken)
        assert orders_of(on, order) == 1
        assert len(at_of(on).exchange.orders) == 1

    play(venue, act)


@pytest.mark.parametrize("venue", VENUES)
def test_an_order_that_is_there_already_is_answered_with_the_first(venue: str) -> None:
    (row,) = (row for row in ROWS if row.fault is None)
    assert row.means[venue] is Other.FIRST

    async def act(on: Stage) -> None:
        order = wish(on, OrderType.LIMIT)
        first = await on.venue.submit(order)
        again = await on.venue.submit(order)
        assert submits(on) == 1, "we know that we have sent it, and look"
        await on.reopen()
        third = await on.venue.submit(order)
        assert isinstance(first, Accepted)
        for later in (again, third):
            assert isinstance(later, Accepted)
            assert later.venue_order_id == first.venue_order_id
        assert orders_of(on, order) == 1
        assert submits(on) == (1 if venue in LOOKED_FOR else 2), "the venue refuses it, or we look before we send"

    play(venue, act)


def test_the_table_has_the_twelve_rows_of_the_study_and_a_meaning_for_every_venue() -> None:
    numbers = [int(row.key.rstrip("ab")) for row in ROWS]
    assert sorted(set(numbers)) == list(range(1, 13))
    assert set(_STAGES) == set(VENUES)
    for row in ROWS:
        assert set(row.means) == set(VENUES), row.key
    for venue in VENUES:
        missing = [row.key for row in ROWS if isinstance(row.means[venue], Missing)]
        assert missing == (["4"] if venue in LOOKED_FOR else []), venue


def _require_meaning(means: object, outcome: Outcome) -> None:
    if means is Other.UNKNOWN:
        assert isinstance(outcome, Unknown), outcome
        return
    assert isinstance(outcome, Refused), outcome
    assert outcome.code is means, outcome
    if outcome.code in (RefusalCode.RATE_LIMITED, RefusalCode.BANNED) and outcome.retry_after_s is not None:
        assert outcome.retry_after_s >= _PAUSE_S - 1.0, "to ask sooner would be to ask inside a ban"


async def _carry_on(on: Stage, order: OrderApproved, outcome: Outcome, *, taken: bool) -> None:
    """Do what the outcome allows, until the wish is an order."""
    if isinstance(outcome, Unknown):
        ref = OrderRef(symbol=on.symbol, client_order_id=order.intent.client_order_id)
        found = await on.venue.order(ref)
        assert (found is not None) is taken
        if found is not None:
            return  # it is our order; nothing is sent
        await on.advance((on.venue.capabilities.request_life_ms or 0) / 1000 + 1.0)
        assert await on.venue.order(ref) is None, "until the request has expired its absence is no proof"
    elif isinstance(outcome, Refused) and outcome.code.may_pass_later:
        await on.advance((outcome.retry_after_s or 0.0) + 1.0)
    # a refusal for good stands until its cause is gone: here it was the script's, and is
    again = await on.venue.submit(order)
    assert isinstance(again, Accepted), again


def test_a_ban_that_names_no_end_is_kept_for_as_long_as_the_venue_is_known_to_ban() -> None:
    async def act(on: Stage) -> None:
        order = wish(on, OrderType.LIMIT)
        at_of(on).direct.fault(Fault.BANNED, "submit", seconds=600)
        outcome = await on.venue.submit(order)
        assert isinstance(outcome, Refused)
        assert outcome.retry_after_s == 600
        await on.advance(590)
        asked = len(at_of(on).server.log)
        inside = await on.venue.submit(order)
        assert isinstance(inside, Refused)
        assert inside.code is RefusalCode.BANNED
        assert len(at_of(on).server.log) == asked
        await on.advance(11)
        assert isinstance(await on.venue.submit(order), Accepted)
        assert at_of(on).server.meter.in_ban == 0

    play("bybit", act)
