"""What our key may do is asked by the real client over a real socket, and read as the venue's documentation says."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rehearsal.binance_world import PERP, SPOT, START_NS, still_bars
from tradelab.adapters.ccxt_keys import QUESTIONS
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ParameterError
from tradelab.model.key_rights import KeyRights
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.outcome import Outcome, Refused
from tradelab.rehearsal.settings import AccountSetup, VenueSetup
from tradelab.rehearsal.tape import Tape
from tradelab.rehearsal.venue import DIALECTS, rehearse

KEY = "rehearsal-key-31ce"
MARKETS = {
    "binance": ("binance", "spot", SPOT, "BTC/USDT"), "binanceusdm": ("binance", "linear", PERP, "BTC/USDT:USDT"),
    "bybit": ("bybit", "linear", PERP, "BTC/USDT:USDT"), "bybit-spot": ("bybit", "spot", SPOT, "BTC/USDT"),
}  # fmt: skip


def asked(dialect: str, canary: str, *, may: frozenset[str], bound: bool = False) -> tuple[KeyRights | None, Outcome]:
    """Return what the venue said of the key, and what became of an order sent with it."""
    exchange, market, instrument, symbol = MARKETS[dialect]

    async def run() -> tuple[KeyRights | None, Outcome]:
        clock = ManualClock(START_NS)
        account = AccountSetup(key=KEY, secret=canary, balances={"USDT": Decimal(10_000)}, may=may, bound=bound)
        setup = VenueSetup(ledger=DIALECTS[dialect][1], accounts=(account,))
        tape = Tape(instrument, still_bars(), start_ns=START_NS, start_bar=1500)
        async with rehearse(dialect, [tape], setup, clock=clock) as at:
            login = {"api_key": KEY, "api_secret": canary}
            venue = CcxtVenue(exchange, market=market, clock=clock, base_url=at.url, credentials=login)
            await venue.connect()
            try:
                order = OrderIntent(
                    client_order_id="one", symbol=symbol, side=Side.BUY, type=OrderType.LIMIT, qty=Decimal("0.01"),
                    price=Decimal(39_000),
                )  # fmt: skip
                (listed,) = await venue.instruments()
                now_ns = clock.now_ns()
                approved = approve(order, listed, reference_price=Decimal(40_000), by=("a test",), at_ns=now_ns)
                assert isinstance(approved, OrderApproved)
                return await venue.key_rights(), await venue.submit(approved)
            finally:
                await venue.disconnect()

    return asyncio.run(run())


@pytest.mark.parametrize("dialect", MARKETS)
def test_a_key_that_may_trade_and_no_more_is_told_from_one_that_may_withdraw(dialect: str, canary: str) -> None:
    plain, sent = asked(dialect, canary, may=frozenset({"trade"}), bound=True)
    assert plain == KeyRights(trades=True, withdraws=False, is_bound=True)
    assert not isinstance(sent, Refused)
    mighty, _ = asked(dialect, canary, may=frozenset({"trade", "withdraw"}))
    assert mighty == KeyRights(trades=True, withdraws=True, is_bound=False)


@pytest.mark.parametrize("dialect", MARKETS)
def test_a_key_that_may_only_read_says_so_and_is_refused_an_order(dialect: str, canary: str) -> None:
    rights, sent = asked(dialect, canary, may=frozenset())
    assert rights == KeyRights(trades=False, withdraws=False, is_bound=False)
    assert isinstance(sent, Refused), sent


def test_a_rehearsed_key_has_only_rights_that_there_are() -> None:
    with pytest.raises(ParameterError, match="Allowed: trade, withdraw"):
        AccountSetup(key=KEY, secret="s", balances={"USDT": Decimal(1)}, may=frozenset({"fly"}))


def test_bybits_recorded_answer_is_read(shared: Path) -> None:
    told = json.loads((shared / "venue_payloads/bybit/http_get_user_query_api.json").read_text())
    assert QUESTIONS["bybit"].read(told, "linear") == KeyRights(trades=False, withdraws=False, is_bound=True)


# The field and its words are those of OKX's documentation of "Get account configuration"; never spoken to by us.
@pytest.mark.parametrize(
    ("row", "rights"),
    [
        ({"perm": "read_only,trade", "ip": "10.0.0.1"}, KeyRights(trades=True, withdraws=False, is_bound=True)),
        ({"perm": "read_only,withdraw,trade", "ip": ""}, KeyRights(trades=True, withdraws=True, is_bound=False)),
        ({"perm": "read_only", "ip": ""}, KeyRights(trades=False, withdraws=False, is_bound=False)),
        ({"posMode": "net_mode"}, KeyRights(trades=None, withdraws=None)),
    ],
)
def test_okx_permissions_are_read_as_documented(row: dict[str, str], rights: KeyRights) -> None:
    assert QUESTIONS["okx"].read({"code": "0", "data": [row], "msg": ""}, "linear") == rights


@pytest.mark.parametrize("exchange", QUESTIONS)
@pytest.mark.parametrize("told", [{}, {"result": None}, {"data": []}, {"enableWithdrawals": "no"}])
def test_what_was_not_told_is_not_known_and_never_a_no(exchange: str, told: dict[str, Any]) -> None:
    assert QUESTIONS[exchange].read(told, "spot").withdraws is None


def test_a_key_of_bybit_that_is_bound_to_nothing_says_how_long_it_lasts() -> None:
    told = {"result": {"readOnly": 0, "permissions": {"Spot": ["SpotTrade"]}, "ips": ["*"], "deadlineDay": 9}}
    assert QUESTIONS["bybit"].read(told, "spot").days_left == 9


@pytest.mark.parametrize(("exchange", "more"), [("kraken", {}), ("binance", {"sandbox": True})])
def test_a_venue_without_such_a_question_is_not_asked(exchange: str, more: dict[str, Any], canary: str) -> None:
    async def run() -> KeyRights | None:
        venue = CcxtVenue(exchange, credentials={"api_key": "k", "api_secret": canary}, **more)
        try:
            return await venue.key_rights()
        finally:
            await venue.disconnect()

    assert asyncio.run(run()) is None
