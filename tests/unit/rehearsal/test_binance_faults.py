"""Hold both dialects to the table of what goes wrong (live-reliability §1.2), as ccxt reads it, and to their limits.

The classes and who has the order are the table's; they were measured before this venue was written.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest

from tests.unit.rehearsal.binance_world import START_MS, Scene, play, refused
from tradelab.rehearsal.faults import Fault

D = Decimal
BOTH = pytest.mark.parametrize("dialect", ["binance", "binanceusdm"])

# fault, whether the venue is to take it, ccxt's class on spot and on futures, HTTP status, the venue's code
ANSWERS = [
    (Fault.RATE_LIMITED, False, "DDoSProtection", "DDoSProtection", 429, -1003),
    (Fault.BANNED, False, "DDoSProtection", "DDoSProtection", 418, -1003),
    (Fault.UNKNOWN_ERROR, True, "OperationFailed", "OperationFailed", 503, -1000),
    (Fault.UNKNOWN_ERROR, False, "OperationFailed", "OperationFailed", 503, -1000),
    (Fault.OVERLOADED, False, "OperationFailed", "OperationFailed", 503, -1008),
    (Fault.MAINTENANCE, False, "OnMaintenance", "OnMaintenance", 503, 1),
    (Fault.CLOCK, False, "InvalidNonce", "InvalidNonce", 400, -1021),
    (Fault.STATUS_UNKNOWN, True, "RequestTimeout", "RequestTimeout", 504, -1007),
    (Fault.STATUS_UNKNOWN, False, "RequestTimeout", "RequestTimeout", 504, -1007),
    (Fault.FILTER, False, "BadRequest", "InvalidOrder", 400, None),
    (Fault.BALANCE, False, "InsufficientFunds", "InsufficientFunds", 400, None),
    (Fault.GATEWAY, True, "ExchangeNotAvailable", "ExchangeNotAvailable", 502, None),
    (Fault.GATEWAY, False, "ExchangeNotAvailable", "ExchangeNotAvailable", 502, None),
]


def buy(on: Scene, **params: Any) -> Any:
    return on.client.create_order(on.symbol, "limit", "buy", 0.1, 39_000, params)


@BOTH
@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: f"{row[0].value}-{row[1]}")
def test_each_answer_is_read_as_the_table_says_and_the_venue_has_the_order_or_not(dialect: str, row: Any) -> None:
    fault, executed, on_spot, on_futures, status, code = row

    async def act(on: Scene) -> Any:
        on.at.direct.fault(fault, "submit", executed=executed, seconds=7)
        kind, _ = await refused(buy(on))
        return (
            kind,
            on.client.last_http_response,
            dict(on.client.last_response_headers),
            on.at.server.log[-1],
            len(on.at.exchange.orders),
        )

    kind, body, headers, asked, orders = play(dialect, act)
    assert kind == (on_spot if dialect == "binance" else on_futures)
    assert (asked.status, asked.fault, orders) == (status, fault.value, int(executed))
    if code is not None:
        assert json.loads(body)["code"] == code
    if status in (418, 429):
        assert headers["Retry-After"] == "7"
    if fault is Fault.GATEWAY:
        assert body.startswith("<html>")


@BOTH
@pytest.mark.parametrize(
    ("fault", "kind"), [(Fault.HANG, "RequestTimeout"), (Fault.RESET, "NetworkError"), (Fault.LOST, "NetworkError")]
)
def test_silence_and_a_broken_connection_are_read_as_the_table_says(dialect: str, fault: Fault, kind: str) -> None:
    async def act(on: Scene) -> Any:
        on.client.timeout = 300
        on.at.direct.fault(fault, "submit")
        said = (await refused(buy(on)))[0]
        return said, [o.status.value for o in on.at.exchange.orders.values()]

    said, orders = play(dialect, act)
    # aiohttp tells a reset connection as ServerDisconnected, which ccxt calls ExchangeNotAvailable or NetworkError
    assert issubclass(getattr(ccxt.pro, said), getattr(ccxt.pro, kind))
    assert orders == ([] if fault is Fault.LOST else ["new"])


@BOTH
def test_half_an_answer_with_status_200_is_an_order_without_an_id(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        on.at.direct.fault(Fault.TRUNCATED, "submit")
        return await buy(on), len(on.at.exchange.orders)

    order, count = play(dialect, act)
    assert (order["id"], count) == (None, 1)


@BOTH
def test_a_doubled_request_with_one_client_id_is_one_order(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        on.at.direct.fault(Fault.DUPLICATE, "submit")
        order = await buy(on, clientOrderId="once")
        return order["id"], [str(n) for n in on.at.exchange.open]

    number, orders = play(dialect, act)
    assert orders == [number]


@BOTH
def test_a_cancel_that_is_refused_leaves_the_order_open(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        order = await buy(on)
        on.at.direct.fault(Fault.CANCEL_REJECTED, "cancel")
        kind, says = await refused(on.client.cancel_order(order["id"], on.symbol))
        return kind, says, (await on.client.fetch_order(order["id"], on.symbol))["status"]

    kind, says, status = play(dialect, act)
    assert (kind, status) == ("OrderNotFound", "open")
    assert '"code":-2011' in says


@BOTH
def test_a_ban_holds_for_every_request_until_it_is_over(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        on.at.direct.fault(Fault.BANNED, "time", seconds=120)
        first = await refused(on.client.fetch_time())
        other = await refused(on.client.fetch_order_book(on.symbol))
        left = on.client.last_response_headers["Retry-After"]
        in_ban = on.at.server.meter.in_ban
        await on.at.advance(121)
        return first, other, left, in_ban, await on.client.fetch_time()

    first, other, left, in_ban, time_ms = play(dialect, act)
    assert first[0] == other[0] == "DDoSProtection"
    assert f"IP banned until {START_MS + 120_000}" in first[1]
    assert (left, in_ban, time_ms) == ("120", 1, START_MS + 121_000)


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_every_answer_says_what_has_been_used(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        await on.at.advance(60, step_s=60)  # a new window
        used = []
        for call in (on.client.fetch_time, lambda: on.client.fetch_ohlcv(on.symbol, "1m", limit=500), lambda: buy(on)):
            await call()
            used.append(int(on.client.last_response_headers["x-mbx-used-weight-1m"]))
        return used, on.client.last_response_headers["x-mbx-order-count-10s"]

    used, orders = play(dialect, act)
    # spot: time 1, klines 2, order 1; futures: time 1, klines of 500 to 1000 rows 5, order 0
    assert used == ([1, 3, 4] if dialect == "binance" else [1, 6, 6])
    assert orders == "1"


@BOTH
def test_whoever_asks_too_much_waits_and_whoever_goes_on_is_banned(dialect: str) -> None:
    async def act(on: Scene) -> Any:
        await on.at.advance(60, step_s=60)
        await on.at.advance(20)
        for _ in range(25):
            await on.client.fetch_time()
        limited = await refused(on.client.fetch_time())
        headers = dict(on.client.last_response_headers)
        for _ in range(4):
            await refused(on.client.fetch_time())
        banned = await refused(on.client.fetch_time())
        return limited, headers, banned, on.client.last_response_headers["Retry-After"]

    limited, headers, banned, ban_s = play(dialect, act, weight_per_min=25)
    assert (
        '"code":-1003,"msg":"Too much request weight used; current limit is 25 request weight per 1 MINUTE'
        in limited[1]
    )
    assert headers["Retry-After"] == "40"  # the window is the minute of the clock
    assert "Way too much request weight used; IP banned until" in banned[1]
    assert ban_s == "120"


@pytest.mark.parametrize(("dialect", "most"), [("binance", 100), ("binanceusdm", 300)])
def test_there_are_only_so_many_orders_in_ten_seconds(dialect: str, most: int) -> None:
    async def act(on: Scene) -> Any:
        for _ in range(most // 2):
            order = await buy(on)
            await on.client.cancel_order(order["id"], on.symbol)  # cancels do not count
        for _ in range(most - most // 2):
            await refused(on.client.create_order(on.symbol, "limit", "buy", 0.1, 1_000_000_000_000))  # refusals do
        too_many = await refused(buy(on))
        await on.at.advance(10)
        return too_many, (await buy(on))["status"]

    too_many, after = play(dialect, act, weight_per_min=100_000)
    assert too_many[0] == "DDoSProtection"
    assert f'"code":-1015,"msg":"Too many new orders; current limit is {most} orders per 10 SECOND."' in too_many[1]
    assert after == "open"


def test_lists_without_a_symbol_cost_what_binance_says() -> None:
    async def act(on: Scene) -> Any:
        await on.at.advance(60, step_s=60)
        used = []
        for call in (
            on.client.privateGetOpenOrders({"symbol": "BTCUSDT"}),
            on.client.privateGetOpenOrders(),
            on.client.privateGetMyTrades({"symbol": "BTCUSDT"}),
            on.client.publicGetDepth({"symbol": "BTCUSDT", "limit": 5000}),
            on.client.privateGetAccount(),
        ):
            await call
            used.append(int(on.client.last_response_headers["x-mbx-used-weight-1m"]))
        return used

    assert play("binance", act) == [6, 86, 106, 356, 376]
