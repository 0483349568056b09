"""Count requests as Bybit does: 600 in five seconds for an address, and so many a second for a user and an endpoint.

The figures are the rows "UTA2.0 Pro" of https://bybit-exchange.github.io/docs/v5/rate-limit; an endpoint that has no
row there has ten a second. The venue's window of a second rolls, ours is a second of the clock.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from tradelab.rehearsal.dialect import Call
from tradelab.rehearsal.meter import Meter, Scope, Verdict

PER_ADDRESS = Scope("address", 600, 5, patience=0, ban_s=600.0)  # "wait for at least 10 minutes"

_PER_SECOND: dict[str, tuple[int, int]] = {  # linear, spot
    "/v5/order/create": (10, 20),
    "/v5/order/amend": (10, 10),
    "/v5/order/cancel": (10, 20),
    "/v5/order/cancel-all": (10, 20),
    "/v5/order/realtime": (50, 50),
    "/v5/order/history": (50, 50),
    "/v5/execution/list": (50, 50),
    "/v5/position/list": (50, 50),
    "/v5/position/set-leverage": (10, 10),
    "/v5/account/wallet-balance": (50, 50),
    "/v5/account/fee-rate": (10, 5),
    "/v5/account/info": (50, 50),
    "/v5/user/query-api": (10, 10),
    "/v5/asset/coin/query-info": (5, 5),
}
_OTHERS = (10, 10)


def address_scope(weight_per_min: int | None) -> Scope:
    """Return the limit of one address: the venue's, or so many requests a minute where a rehearsal says so."""
    if weight_per_min is None:
        return PER_ADDRESS
    return Scope("address", weight_per_min, 60, patience=0, ban_s=600.0)


def user_scope(path: str, key: str, *, linear: bool) -> Scope:
    """Return the limit of one user at one endpoint; nobody is banned for meeting it."""
    limits = _PER_SECOND.get(path, _OTHERS)
    return Scope(f"{path} {key}", limits[0] if linear else limits[1], 1, patience=None)


def charge(call: Call, address: Scope, *, linear: bool, private: bool) -> Mapping[Scope, int]:
    """Return what a request weighs, and remember its scope for the headers."""
    if not private:
        return {address: 1}
    scope = user_scope(call.request.path, call.headers.get("X-BAPI-API-KEY", ""), linear=linear)
    call.extra["scope"] = scope
    return {address: 1, scope: 1}


def tell(response: web.Response, call: Call, meter: Meter, now_ns: int, shown_ms: int) -> None:
    """Add the three headers that say what is left of the endpoint's limit."""
    scope: Scope | None = call.extra.get("scope")
    if scope is None:
        return
    left = max(0, scope.limit - meter.used_now(call.request.remote or "", scope, now_ns))
    _set(response, scope.limit, left, shown_ms)


def tell_refused(response: web.Response, verdict: Verdict, shown_ms: int) -> None:
    """Add the headers to a refusal: nothing is left until the window ends."""
    if verdict.scope is not None:
        _set(response, verdict.scope.limit, 0, shown_ms + int(verdict.wait_s * 1000))


def _set(response: web.Response, limit: int, left: int, reset_ms: int) -> None:
    response.headers["X-Bapi-Limit"] = str(limit)
    response.headers["X-Bapi-Limit-Status"] = str(left)
    response.headers["X-Bapi-Limit-Reset-Timestamp"] = str(reset_ms)
