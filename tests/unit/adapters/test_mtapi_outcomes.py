"""Hold what becomes of an order at mtapi.io to the fault table of live reliability, and to what a code can mean."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.rehearsal.mtapi_world import World, world
from tradelab.adapters.mtapi_outcomes import judge
from tradelab.adapters.mtapi_rows import ErrorRow
from tradelab.adapters.mtapi_session import Answer, Session, Silence
from tradelab.adapters.mtapi_settings import CREDENTIALS, MtapiSettings
from tradelab.model.clock import ManualClock
from tradelab.model.credentials import check_credentials
from tradelab.model.orders import OrderType, Side
from tradelab.model.outcome import Accepted, RefusalCode, Refused, Unknown
from tradelab.rehearsal.faults import Fault

LOW = Decimal("1.15000")


async def _sent(on: World, fault: Fault | None, **more: Any) -> Any:
    if fault is not None:
        on.venue.direct.fault(fault, "submit", **more)
    return await on.submit(Side.BUY, "0.10", OrderType.LIMIT, price=LOW)


# live-reliability §1.2, row by row: what the venue does, whether it has the order, what it is for us
ROWS: list[tuple[str, Fault, dict[str, Any], bool, RefusalCode | None]] = [
    ("429 with Retry-After", Fault.RATE_LIMITED, {"seconds": 7.0}, False, RefusalCode.RATE_LIMITED),
    ("an unknown error, not taken", Fault.UNKNOWN_ERROR, {}, False, None),
    ("an unknown error, taken", Fault.UNKNOWN_ERROR, {"executed": True}, True, None),
    ("overloaded", Fault.OVERLOADED, {}, False, RefusalCode.OVERLOADED),
    ("maintenance", Fault.MAINTENANCE, {}, False, RefusalCode.MAINTENANCE),
    ("clock: no such thing here, an end in the past", Fault.CLOCK, {}, False, RefusalCode.BAD_REQUEST),
    ("status unknown, not taken", Fault.STATUS_UNKNOWN, {}, False, None),
    ("status unknown, taken", Fault.STATUS_UNKNOWN, {"executed": True}, True, None),
    ("a filter", Fault.FILTER, {}, False, RefusalCode.QTY_STEP),
    ("the balance", Fault.BALANCE, {}, False, RefusalCode.MARGIN),
    ("502 with HTML, not taken", Fault.GATEWAY, {}, False, None),
    ("502 with HTML, taken", Fault.GATEWAY, {"executed": True}, True, None),
    ("taken, then silence", Fault.HANG, {}, True, None),
    ("taken, then a reset", Fault.RESET, {}, True, None),
    ("taken, then half a body", Fault.TRUNCATED, {}, True, None),
    ("lost before it was read", Fault.LOST, {}, False, None),
    ("banned", Fault.BANNED, {"seconds": 60.0}, False, RefusalCode.BANNED),
]


@pytest.mark.parametrize(("says", "fault", "more", "taken", "code"), ROWS, ids=[row[0] for row in ROWS])
def test_each_row_of_the_fault_table_is_classified_as_it_must_be(
    says: str, fault: Fault, more: dict[str, Any], taken: bool, code: RefusalCode | None
) -> None:
    async def play() -> None:
        async with world(settings={"trade_timeout_s": 0.7}) as on:
            outcome = await _sent(on, fault, **more)
            assert len(on.venue.exchange.open) == taken
            if code is None:
                assert isinstance(outcome, Unknown), outcome
            else:
                assert isinstance(outcome, Refused), outcome
                assert outcome.code is code
            if "seconds" in more:
                assert outcome.retry_after_s == more["seconds"]

    asyncio.run(play())


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.RESET, Fault.TRUNCATED, Fault.GATEWAY, Fault.LOST])
def test_after_an_unknown_outcome_the_same_order_is_one_order(fault: Fault) -> None:
    async def play() -> None:
        async with world(settings={"trade_timeout_s": 0.7}) as on:
            order = on.approved(on.intent(Side.BUY, "0.10", OrderType.LIMIT, price=LOW))
            on.venue.direct.fault(fault, "submit")
            assert isinstance(await on.adapter.submit(order), Unknown)
            again = await on.adapter.submit(order)
            assert isinstance(again, Accepted)
            (one,) = on.venue.exchange.open.values()
            assert again.venue_order_id == str(one.number)

    asyncio.run(play())


def test_a_request_the_venue_gets_twice_is_found_as_two_orders_of_one_name_and_told_once() -> None:
    # nothing on this wire can prevent it: MetaTrader does not mind a comment it knows
    async def play() -> None:
        async with world() as on:
            order = on.approved(on.intent(Side.BUY, "0.10", OrderType.LIMIT, price=LOW))
            on.venue.direct.fault(Fault.DUPLICATE, "submit")
            first = await on.adapter.submit(order)
            assert isinstance(first, Accepted)
            assert len(await on.adapter.open_orders()) == 2
            found = await on.adapter.order(first.order.ref)  # type: ignore[union-attr]
            assert found is not None
            assert (await on.adapter.submit(order)).venue_order_id == first.venue_order_id

    asyncio.run(play())


def _session() -> Session:
    login = check_credentials(CREDENTIALS, {"user": "1", "password": "p-1234", "host": "h"}, provider="mtapi")
    return Session(MtapiSettings(base_url="https://mt5.mtapi.io"), login, ManualClock())


def _no(status: int, code: str | None = None, retry_after_s: float | None = None) -> Answer:
    error = None if code is None else ErrorRow(code=code, says="in words")
    return Answer(status, None, error, "" if code else "something", None, retry_after_s)


@pytest.mark.parametrize(("heard", "code"), [
    (_no(201, "NEVER_SEEN"), None),  # a code that is in no table
    (_no(201, "DONE"), None),
    (_no(500, "NO_MONEY"), None),  # a server that breaks while it says so
    (_no(503), None),
    (_no(418), None),
    (_no(201, "REQUOTE"), RefusalCode.STALE_INPUT),
    (_no(201, "10018"), RefusalCode.MARKET_CLOSED),
    (_no(400), RefusalCode.BAD_REQUEST),
    (_no(400, "INVALID_STOPS"), RefusalCode.PROTECTION),
    (_no(401), RefusalCode.AUTHENTICATION),
    (_no(403), RefusalCode.PERMISSION),
    (_no(403, None, 60.0), RefusalCode.BANNED),
    (_no(404), RefusalCode.BAD_REQUEST),
    (Silence(False, "could not be reached"), RefusalCode.NOT_SENT),
    (Silence(True, "did not answer"), None),
])  # fmt: skip
def test_what_is_in_no_table_is_unknown(heard: Answer | Silence, code: RefusalCode | None) -> None:
    outcome = judge(_session(), heard)
    if code is None:
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Refused)
        assert outcome.code is code


@pytest.mark.parametrize("body", ["OK", "", "[]", "{}", '{"ticket": 0}', '{"ticket": "x"}', '{"ticket": 1001}', "null"])
def test_a_good_status_with_an_answer_that_is_no_order_is_unknown(body: str) -> None:
    async def play() -> None:
        async with world() as on:
            real = on.adapter._session.tell

            async def tell(call: Any, **ours: Any) -> Any:
                from tradelab.adapters.mtapi_answers import parsed

                heard = await real(call, **ours)
                return Answer(200, parsed(body), None, "", heard.date_ns)

            on.adapter._session.tell = tell
            assert isinstance(await _sent(on, None), Unknown)

    asyncio.run(play())
