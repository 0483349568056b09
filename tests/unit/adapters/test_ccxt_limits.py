"""Every request counts towards what its venue counts it towards; an answer that names a limit goes before our table."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tradelab.adapters.ccxt_limits import Budgets, limits_of
from tradelab.model.clock import ManualClock


class Raw:
    """What of a ccxt client limits are told by."""

    def __init__(self, id_: str, rate_ms: float) -> None:
        self.id, self.rateLimit = id_, rate_ms


def budgets(id_: str, market: str, rate_ms: float = 50.0) -> Budgets:
    return Budgets(ManualClock(), limits_of(Raw(id_, rate_ms), market))


# Weights: Binance's documents of the endpoints; ccxt's costs are fifths of them on spot, and them on USD-M.
@pytest.mark.parametrize(
    ("market", "method", "path", "cost", "charged"),
    [
        ("spot", "POST", "order", 0.2, {"orders": 1.0, "all": 0.2}),
        ("spot", "POST", "order/cancelReplace", 0.2, {"orders": 1.0, "all": 0.2}),
        ("spot", "POST", "orderList/oco", 0.2, {"orders": 1.0, "all": 0.2}),
        ("spot", "DELETE", "order", 0.2, {"all": 0.2}),
        ("spot", "GET", "openOrders", 1.2, {"all": 1.2}),
        ("linear", "POST", "order", 4.0, {"orders": 1.0, "all": 0.0}),
        ("linear", "PUT", "order", 1.0, {"orders": 1.0, "all": 0.0}),
        ("linear", "POST", "algoOrder", 1.0, {"orders": 1.0, "all": 0.0}),
        ("linear", "DELETE", "algoOrder", 1.0, {"all": 1.0}),
        ("linear", "POST", "listenKey", 1.0, {"all": 1.0}),
    ],
)
def test_binance_counts_new_and_changed_orders_beside_the_weight(
    market: str, method: str, path: str, cost: float, charged: dict[str, float]
) -> None:
    assert limits_of(Raw("binance", 50), market).charges(["private"], method, path, cost) == charged


def test_bybit_counts_by_endpoint_for_a_user_and_by_address_for_all() -> None:
    limits = limits_of(Raw("bybit", 20), "linear")
    assert limits.charges(["private"], "POST", "v5/order/create", 2.5) == {"v5/order/create": 1.0, "all": 1.0}
    assert limits.charges("private", "GET", "v5/order/realtime", 5.0) == {"v5/order/realtime": 1.0, "all": 1.0}
    assert limits.charges(["public"], "GET", "v5/market/kline", 5.0) == {"all": 1.0}
    assert [limits.of(s).capacity for s in ("v5/order/create", "v5/order/realtime", "v5/new", "all")] == [
        10,
        50,
        10,
        600,
    ]
    assert limits_of(Raw("bybit", 20), "spot").of("v5/order/create").capacity == 20


def test_an_exchange_nobody_has_looked_at_has_the_rate_of_ccxt() -> None:
    limits = limits_of(Raw("kraken", 1000.0), "spot")
    assert limits.charges(["private"], "POST", "AddOrder", 3.0) == {"all": 3.0}
    assert (limits.of("all").capacity, limits.of("all").window_s) == (10.0, 10.0)


def test_what_the_venue_has_counted_is_taken_over() -> None:
    at = budgets("binance", "spot")
    at.learn({"x-mbx-used-weight-1m": "3000"})
    assert at.whole.used() == pytest.approx(at.whole.capacity / 2)
    at.learn({"x-mbx-used-weight-1m": "a few"})
    assert at.whole.used() == pytest.approx(at.whole.capacity / 2)


def test_the_limit_that_an_answer_names_is_that_of_its_endpoint() -> None:
    at = budgets("bybit", "linear", 20.0)

    async def one(path: str, api: Any, headers: dict[str, str]) -> None:
        async with at.departure(api, "POST", path, 1.0):
            at.learn(headers)

    asyncio.run(one("v5/order/create", ["private"], {"x-bapi-limit": "20"}))
    assert at.of("v5/order/create").capacity == 20
    asyncio.run(one("v5/market/kline", ["public"], {"x-bapi-limit": "5"}))
    assert at.of("v5/order/create").capacity == 20
    assert at.whole.capacity == 600


def test_a_request_that_waits_for_one_limit_is_not_counted_by_the_next() -> None:
    at = budgets("binance", "spot")

    async def play() -> None:
        orders = at.of("orders")
        async with orders.spending(orders.capacity):
            waits = asyncio.create_task(_leave(at))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert (orders.waiting, at.whole.used()) == (1, 0.0)
            waits.cancel()
            await asyncio.gather(waits, return_exceptions=True)

    asyncio.run(play())


async def _leave(at: Budgets) -> None:
    async with at.departure(["private"], "POST", "order", 0.2):
        pass
