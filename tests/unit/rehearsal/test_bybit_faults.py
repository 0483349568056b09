"""What goes wrong at the rehearsal of Bybit, as the real ccxt client hears it, and whether the venue has the order."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import ccxt
import pytest

from tests.unit.rehearsal.bybit_world import KEY, START_NS, bybit, new_client
from tradelab.rehearsal.faults import Fault
from tradelab.rehearsal.venue import rehearse

D = Decimal
NOW_MS = START_NS // 1_000_000
BOTH = pytest.mark.parametrize("linear", [True, False], ids=["linear", "spot"])

# fault, executed, what ccxt raises (linear, spot), the venue's code (linear, spot), whether the venue has the order
ROWS = [
    (Fault.RATE_LIMITED, False, (ccxt.RateLimitExceeded,) * 2, ("10006",) * 2, False),
    (Fault.BANNED, False, (ccxt.RateLimitExceeded,) * 2, ("403",) * 2, False),
    (Fault.UNKNOWN_ERROR, False, (ccxt.ExchangeError,) * 2, ("10016",) * 2, False),
    (Fault.UNKNOWN_ERROR, True, (ccxt.ExchangeError,) * 2, ("10016",) * 2, True),
    (Fault.OVERLOADED, False, (ccxt.ExchangeError,) * 2, ("429",) * 2, False),
    (Fault.MAINTENANCE, False, (ccxt.ExchangeError,) * 2, ("110066", "170031"), False),
    (Fault.CLOCK, False, (ccxt.InvalidNonce,) * 2, ("10002",) * 2, False),
    (Fault.STATUS_UNKNOWN, False, (ccxt.ExchangeError, ccxt.RequestTimeout), ("10000", "170007"), False),
    (Fault.STATUS_UNKNOWN, True, (ccxt.ExchangeError, ccxt.RequestTimeout), ("10000", "170007"), True),
    (Fault.FILTER, False, (ccxt.InvalidOrder,) * 2, ("110094", "170140"), False),
    (Fault.BALANCE, False, (ccxt.InsufficientFunds,) * 2, ("110007", "170131"), False),
    (Fault.GATEWAY, False, (ccxt.ExchangeNotAvailable,) * 2, ("502",) * 2, False),
    (Fault.GATEWAY, True, (ccxt.ExchangeNotAvailable,) * 2, ("502",) * 2, True),
    (Fault.HANG, False, (ccxt.RequestTimeout,) * 2, (None,) * 2, True),
    (Fault.RESET, False, (ccxt.NetworkError,) * 2, (None,) * 2, True),
    (Fault.LOST, False, (ccxt.NetworkError,) * 2, (None,) * 2, False),
]


@BOTH
@pytest.mark.parametrize(
    ("fault", "executed", "raised", "codes", "is_there"), ROWS, ids=lambda v: getattr(v, "value", str(v))[:24]
)
def test_every_fault_is_told_in_the_venues_words(
    linear: bool,
    fault: Fault,
    executed: bool,
    raised: tuple[type[Exception], type[Exception]],
    codes: tuple[str | None, str | None],
    is_there: bool,
) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            on.client.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": True}
            on.client.timeout = 700 if fault is Fault.HANG else 10_000
            on.at.direct.fault(fault, "submit", executed=executed, seconds=5)
            with pytest.raises(raised[0 if linear else 1], match=codes[0 if linear else 1]) as heard:
                await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"clientOrderId": "x"})
            if codes[0] is not None:  # a broken connection has more names than one
                assert type(heard.value) is raised[0 if linear else 1]
            assert KEY not in str(heard.value)
            assert [o.client_order_id for o in on.exchange.open.values()] == (["x"] if is_there else [])

    asyncio.run(play())


@BOTH
def test_a_truncated_answer_is_an_order_without_an_id(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            on.client.options |= {"enableUnifiedMargin": False, "enableUnifiedAccount": True}
            on.at.direct.fault(Fault.TRUNCATED, "submit")
            answer = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000)
            assert answer["id"] is None
            assert len(on.exchange.open) == 1

    asyncio.run(play())


@BOTH
def test_a_request_that_arrives_twice_is_one_order(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            on.at.direct.fault(Fault.DUPLICATE, "submit")
            await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"clientOrderId": "once"})
            assert len(on.exchange.orders) == 1

    asyncio.run(play())


@BOTH
def test_a_cancel_may_be_refused_while_the_order_lives(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            order = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000)
            on.at.direct.fault(Fault.CANCEL_REJECTED, "cancel")
            with pytest.raises(ccxt.ExchangeError, match="110079" if linear else "170191"):
                await on.client.cancel_order(order["id"], on.symbol)
            assert len(on.exchange.open) == 1
            await on.client.cancel_order(order["id"], on.symbol)
            assert on.exchange.open == {}

    asyncio.run(play())


@BOTH
def test_a_clock_that_is_wrong_is_said_with_both_times(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            on.at.direct.skew(600)
            with pytest.raises(ccxt.InvalidNonce, match=rf"server_timestamp\[{NOW_MS + 600_000}\]"):
                await on.client.fetch_balance()
            on.client.milliseconds = lambda: on.clock.now_ns() // 1_000_000 + 600_000
            assert (await on.client.fetch_balance())["USDT"]["free"] == 10_000

    asyncio.run(play())


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("linear", "limit"), [(True, 10), (False, 20)], ids=["linear", "spot"])
def test_a_user_may_place_so_many_orders_a_second_and_is_told_what_is_left(linear: bool, limit: int) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            order = {"category": on.category, "symbol": on.id, "side": "Buy", "orderType": "Limit", "qty": "0.01"}
            left = []
            for k in range(limit):
                _, told, headers = await on.raw("POST", "/v5/order/create", order | {"price": str(29000 + k)})
                assert told["retCode"] == 0
                assert headers["X-Bapi-Limit"] == str(limit)
                left.append(int(headers["X-Bapi-Limit-Status"]))
            assert left == list(range(limit - 1, -1, -1))
            status, told, headers = await on.raw("POST", "/v5/order/create", order | {"price": "29500"})
            assert (status, told["retCode"], told["retMsg"]) == (
                200,
                10006,
                "Too many visits. Exceeded the API Rate Limit.",
            )
            assert headers["X-Bapi-Limit-Status"] == "0"
            assert headers["X-Bapi-Limit-Reset-Timestamp"] == str(NOW_MS + 1000)
            assert len(on.exchange.open) == limit
            await on.client.fetch_balance()  # another endpoint is another limit
            await on.at.advance(1)
            _, told, _ = await on.raw("POST", "/v5/order/create", order | {"price": "29500"})
            assert told["retCode"] == 0

    asyncio.run(play())


def test_an_address_that_asks_too_often_is_shut_out_for_ten_minutes() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            used = len(on.at.server.log)
            for _ in range(600 - used):
                await on.client.fetch_time()
            with pytest.raises(ccxt.RateLimitExceeded, match="403, access too frequent"):
                await on.client.fetch_time()
            await on.at.advance(599, step_s=599)
            with pytest.raises(ccxt.RateLimitExceeded):
                await on.client.fetch_time()
            await on.at.advance(2)
            assert await on.client.fetch_time() == NOW_MS + 601_000

    asyncio.run(play())


def test_a_scripted_limit_says_when_it_ends() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            on.at.direct.fault(Fault.RATE_LIMITED, "balances", seconds=7)
            _, told, headers = await on.raw("GET", "/v5/account/wallet-balance", {"accountType": "UNIFIED"})
            assert told["retCode"] == 10006
            assert headers["X-Bapi-Limit-Reset-Timestamp"] == str(NOW_MS + 7000)
            assert headers["X-Bapi-Limit-Status"] == "0"

    asyncio.run(play())


@BOTH
def test_a_venue_that_died_has_kept_what_it_had_taken(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            order = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"clientOrderId": "kept"})
            await on.at.kill()
            with pytest.raises(ccxt.NetworkError):
                await on.client.fetch_time()
            await on.at.restart()
            assert (await on.client.fetch_open_order(order["id"], on.symbol))["clientOrderId"] == "kept"
            with pytest.raises(ccxt.InvalidOrder):
                await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"clientOrderId": "kept"})

    asyncio.run(play())


@BOTH
def test_a_venue_that_goes_on_with_a_kept_exchange_knows_every_name_it_ever_took(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            done = await on.client.create_order(on.symbol, "market", "buy", 0.01, None, {"clientOrderId": "old"})
            kept = on.exchange
        async with rehearse("bybit" if linear else "bybit-spot", [], kept.setup, exchange=kept) as at:
            client = new_client(at, on.clock, linear=linear)
            try:
                with pytest.raises(ccxt.InvalidOrder, match="110072" if linear else "170141"):
                    await client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"clientOrderId": "old"})
                (trade,) = await client.fetch_my_trades(on.symbol)
                assert trade["order"] == done["id"]
            finally:
                await client.close()

    asyncio.run(play())
