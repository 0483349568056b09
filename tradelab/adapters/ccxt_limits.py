"""Know what each venue counts requests by, and hold every request against all that it counts towards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tradelab.adapters.budget import Budget
from tradelab.model.clock import Clock

_ALL = "all"  # what every request counts towards


@dataclass(frozen=True, slots=True)
class Limit:
    """So much in any stretch of so many seconds; ``burst`` as in :class:`~tradelab.adapters.budget.Budget`."""

    capacity: float
    window_s: float
    burst: float = 1.0


class Limits:
    """What holds for any exchange ccxt speaks to: ccxt's own costs and rate, in a window of a second or ten requests.

    Parameters
    ----------
    raw
        The ccxt client.
    market
        ``"spot"`` or ``"linear"``.
    """

    ban_s = 120.0  # how long a ban lasts that names no end
    weight_per_min: int | None = None  # in what the venue says it has counted (Binance's header)

    def __init__(self, raw: Any, market: str) -> None:
        self.raw = raw
        self.market = market

    def of(self, scope: str) -> Limit:
        """Return the limit of one scope."""
        window_s = max(1.0, 10 * self.raw.rateLimit / 1000)
        return Limit(window_s * 1000 / self.raw.rateLimit, window_s)

    def charges(self, api: Any, method: str, path: str, cost: float) -> dict[str, float]:
        """Return what a request costs in each scope it counts towards, beside the cost that ccxt knows."""
        return {_ALL: cost}


class BinanceSpotLimits(Limits):
    """Binance, spot: weight by the minute for an address, new orders by ten seconds for an account."""

    weight_per_min = 6000  # source: exchangeInfo's rateLimits, api.binance.com
    orders_per_10s = 100  # source: the same

    def of(self, scope: str) -> Limit:
        """Return the limit of weight or of orders."""
        if scope == "orders":
            return Limit(self.orders_per_10s, 10.0, burst=0.25)
        return Limit(60_000 / self.raw.rateLimit, 60.0, burst=0.25)

    def charges(self, api: Any, method: str, path: str, cost: float) -> dict[str, float]:
        """Return weight and orders; a changed order is counted as a new one, a cancelled one is not."""
        return ({"orders": 1.0} if makes_order(method, path) else {}) | {_ALL: cost}


class BinanceLinearLimits(BinanceSpotLimits):
    """Binance, USD-M: the same, and an order weighs nothing."""

    weight_per_min = 2400  # source: the same of fapi.binance.com
    orders_per_10s = 200  # 300 in ten seconds and 1200 in a minute: this is within both

    def of(self, scope: str) -> Limit:
        """Return the limit of weight, in which ccxt's costs are, or of orders."""
        return super().of(scope) if scope == "orders" else Limit(self.weight_per_min, 60.0, burst=0.25)

    def charges(self, api: Any, method: str, path: str, cost: float) -> dict[str, float]:
        """Return weight or orders."""
        return {"orders": 1.0, _ALL: 0.0} if makes_order(method, path) else {_ALL: cost}


def makes_order(method: str, path: str) -> bool:
    """Whether Binance counts a request as a new order."""
    return method in ("POST", "PUT") and (path.startswith("order") or path == "algoOrder")


# Source: Bybit, V5 "Rate Limit"; what is not here has ten a second, and what the answers say goes before all of it.
_BYBIT_PER_S = {
    "v5/order/realtime": 50, "v5/order/history": 50, "v5/execution/list": 50, "v5/position/list": 50,
    "v5/account/wallet-balance": 50, "v5/account/info": 50, "v5/account/fee-rate": 5, "v5/asset/coin/query-info": 5,
}  # fmt: skip
_BYBIT_PER_S_SPOT = _BYBIT_PER_S | {"v5/order/create": 20, "v5/order/cancel": 20, "v5/order/cancel-all": 20}


class BybitLimits(Limits):
    """Bybit v5: so many a second for a user and an endpoint, which the answer names, and 600 in five for an address."""

    ban_s = 600.0  # source: the same, "wait for at least 10 minutes"

    def of(self, scope: str) -> Limit:
        """Return the limit of the address, or of an endpoint."""
        if scope == _ALL:
            return Limit(600, 5.0, burst=0.25)
        return Limit((_BYBIT_PER_S_SPOT if self.market == "spot" else _BYBIT_PER_S).get(scope, 10), 1.0)

    def charges(self, api: Any, method: str, path: str, cost: float) -> dict[str, float]:
        """Return one for the endpoint, where it is of an account, and one for the address."""
        return ({path: 1.0} if "private" in api else {}) | {_ALL: 1.0}  # api is a name or a list of names


def limits_of(raw: Any, market: str) -> Limits:
    """Return what is known of an exchange."""
    if raw.id in ("binance", "binanceusdm"):
        return BinanceSpotLimits(raw, market) if market == "spot" else BinanceLinearLimits(raw, market)
    return BybitLimits(raw, market) if raw.id == "bybit" else Limits(raw, market)


class Budgets:
    """A budget for each scope of a venue's limits; ``whole`` is that of every request, and knows of bans."""

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self.limits = limits
        self._clock = clock
        self._of: dict[str, Budget] = {}
        self._endpoint: ContextVar[Budget | None] = ContextVar("endpoint", default=None)

    @property
    def whole(self) -> Budget:
        """The budget that every request counts towards."""
        return self.of(_ALL)

    def of(self, scope: str) -> Budget:
        """Return the budget of one scope."""
        if scope not in self._of:
            limit = self.limits.of(scope)
            self._of[scope] = Budget(self._clock, limit.capacity, limit.window_s, burst=limit.burst)
        return self._of[scope]

    @asynccontextmanager
    async def departure(self, api: Any, method: str, path: str, cost: float) -> AsyncIterator[None]:
        """Wait until a request may leave by every limit; within the block it is on its way."""
        charges = self.limits.charges(api, method, path, cost)
        self._endpoint.set(self.of(path) if path in charges else None)
        async with AsyncExitStack() as stack:
            for scope, charge in charges.items():
                await stack.enter_async_context(self.of(scope).spending(charge))
            yield

    def learn(self, told: dict[str, str]) -> None:
        """Take over what an answer's headers (names in lower case) say of limits and of what has been used."""
        used, weight = told.get("x-mbx-used-weight-1m", ""), self.limits.weight_per_min
        if used.isdigit() and weight is not None:
            self.whole.learn_used(int(used) / weight * self.whole.capacity)
        endpoint, limit = self._endpoint.get(), told.get("x-bapi-limit", "")
        if endpoint is not None and limit.isdigit() and int(limit) > 0:
            endpoint.capacity = float(limit)
