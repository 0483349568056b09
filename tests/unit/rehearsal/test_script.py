"""Hand a rehearsal's director what no market can have: it is refused, and the venue goes on."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.unit.rehearsal.metaapi_world import world
from tradelab.model.errors import ParameterError
from tradelab.rehearsal.dialects.binance_spot import _depth
from tradelab.rehearsal.faults import Fault, Script

NOT_NUMBERS = ["NaN", "Infinity", "-1", "0"]
WRONG: list[tuple[str, dict[str, Any]]] = [
    *[("move_price", {"symbol": "EURUSD", "price": value}) for value in NOT_NUMBERS],
    *[("move_price", {"symbol": "EURUSD", "price": "1.1", "depth": value}) for value in NOT_NUMBERS],
    ("skew", {"seconds": "NaN"}),
    ("fault", {"fault": "hang", "times": 1.5}),
    ("fault", {"fault": "hang", "times": 0}),
    ("fault", {"fault": "hang", "skip": "a"}),
    ("fault", {"fault": "hang", "seconds": "NaN"}),
]


def test_what_no_market_can_have_is_refused_at_the_door_and_the_venue_goes_on() -> None:
    async def play() -> None:
        async with world() as on, httpx.AsyncClient(base_url=on.venue.url, trust_env=False) as http:
            for call, body in WRONG:
                answer = await http.post(f"/rehearsal/{call}", json=body)
                assert (answer.status_code, "error" in answer.json()) == (400, True), (call, body, answer.text)
            for not_json in (b'{"seconds": NaN}', b'{"seconds": 1e999}'):  # Python's reader takes both for numbers
                assert (await http.post("/rehearsal/skew", content=not_json)).status_code == 400
            assert (await on.adapter.quote("EURUSD")).bid > 0
            (account,) = on.venue.exchange.accounts
            for amount in (Decimal("NaN"), Decimal("Infinity")):
                with pytest.raises(ParameterError, match="no amount"):
                    on.venue.direct.deposit(account, "USD", amount)

    asyncio.run(play())


@pytest.mark.parametrize("wrong", [{"seconds": float("nan")}, {"times": 1.5}, {"skip": 0.5}, {"times": 0}])
def test_a_script_counts_in_whole_times_and_waits_for_a_time_that_ends(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="a script needs"):
        Script(fault=Fault.HANG, **wrong)


@pytest.mark.parametrize("limit", ["1" * 25, "1" * 5000, "x", "²", "-1"])
def test_the_weight_of_a_book_is_told_however_odd_the_limit(limit: str) -> None:
    assert _depth({"limit": limit}) == 5
