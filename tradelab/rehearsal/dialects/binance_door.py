"""Keep Binance's door: keys, signatures, clock, weights, and every answer's headers."""

from __future__ import annotations

import enum
import hashlib
import hmac
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from tradelab.rehearsal.dialect import Call, Desk, Endpoint
from tradelab.rehearsal.dialects.binance_errors import (
    BAN_WORDS,
    CLOCK_WORDS,
    COMMON_FAULTS,
    LIMIT_WORDS,
    ORDERS_WORDS,
    UNAUTHORIZED,
    BinanceError,
    answer,
    gateway,
    missing,
    refuse,
)
from tradelab.rehearsal.dialects.binance_params import ALWAYS, WHOLE, Params
from tradelab.rehearsal.faults import CHANGES, Fault, Script
from tradelab.rehearsal.meter import Scope, Verdict
from tradelab.rehearsal.reading import is_signed

LONGEST_WINDOW_MS = 60_000
DEFAULT_WINDOW_MS = 5_000
AHEAD_MS = 1_000  # so far may a request's time stamp be ahead of the venue's clock


class Security(enum.Enum):
    """What a request must bring."""

    NONE = "none"
    KEY = "key"
    SIGNED = "signed"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that was let in: its parameters, and whose it is."""

    params: Params
    account: str
    call: Call


Weight = int | Callable[[Mapping[str, str]], int]


@dataclass(frozen=True, slots=True)
class Route:
    """One address: what it is for, who answers, what it costs, what it needs, which parameters it takes."""

    method: str
    path: str
    kind: str
    reply: Callable[[Ask], object]
    weight: Weight
    security: Security
    takes: frozenset[str] = frozenset()
    orders: int = 0  # how many new orders it counts as


@dataclass(frozen=True, slots=True)
class Limits:
    """What a market allows in a window, as its documentation says."""

    weight: Scope
    orders: tuple[tuple[Scope, str, str], ...]  # scope, its header, and its name in words

    def scopes(self, weight: int, orders: int) -> dict[Scope, int]:
        """Return what a request is charged."""
        charged = {self.weight: weight} if weight else {}
        return charged | ({scope: orders for scope, _, _ in self.orders} if orders else {})


class Door:
    """Lets requests in and answers out, for spot and futures alike.

    Parameters
    ----------
    desk
        The venue behind the door.
    limits
        Its windows.
    faults
        This market's own words for the faults that are answers.
    strict
        Whether a parameter that nobody reads is refused (spot) or noted in ``unknown_params`` (futures).
    """

    def __init__(self, desk: Desk, limits: Limits, faults: Mapping[Fault, BinanceError], *, strict: bool) -> None:
        self.desk = desk
        self.limits = limits
        self.unknown_params: list[tuple[str, str]] = []
        self._faults = COMMON_FAULTS | dict(faults)
        self._strict = strict
        self._counts_orders: set[tuple[str, str]] = set()

    # ── the way in ───────────────────────────────────────────────────────────────────────────────────────────────

    def endpoint(self, route: Route) -> Endpoint:
        """Return a route as the server knows it."""
        if route.orders:
            self._counts_orders.add((route.method, route.path))

        def weights(call: Call) -> Mapping[Scope, int]:
            weight = route.weight if isinstance(route.weight, int) else route.weight(call.params)
            return self.limits.scopes(weight, route.orders)

        return Endpoint(route.method, route.path, route.kind, self._handler(route), weights)

    def _handler(self, route: Route) -> Callable[[Call], Awaitable[web.Response]]:
        async def handle(call: Call) -> web.Response:
            try:
                call.account = self._identify(route, call)
                self._look_at_names(route, call)
                return answer(route.reply(Ask(Params(call.params), call.account or "", call)))
            except BinanceError as error:
                return refuse(error)

        return handle

    def _look_at_names(self, route: Route, call: Call) -> None:
        if self._strict:
            Params(call.params).refuse_unknown(route.takes)
        else:
            unread = [name for name in call.params if name not in route.takes | ALWAYS]
            self.unknown_params += [(f"{route.method} {route.path}", name) for name in unread]

    def _identify(self, route: Route, call: Call) -> str | None:
        if route.security is Security.NONE:
            return None
        key = self.key_of(call.headers.get("X-MBX-APIKEY"))
        if route.security is Security.SIGNED:
            signed = _unsigned(call.query) + _unsigned(call.body.decode("utf-8", "replace"))
            self.check(key, signed, call.params)
        if route.kind in CHANGES and "trade" not in self.desk.exchange.accounts[key].may:
            raise BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", UNAUTHORIZED)
        return key

    def key_of(self, key: str | None) -> str:
        """Return a key that this venue knows."""
        if not key:
            raise BinanceError(-2014, "API-key format invalid.", UNAUTHORIZED)
        if key not in self.desk.exchange.accounts:
            raise BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", UNAUTHORIZED)
        return key

    def check(self, key: str, payload: str, params: Mapping[str, str]) -> None:
        """Refuse a request whose signature is not of this payload, or whose time has passed."""
        signature = params.get("signature")
        if not signature:
            raise missing("signature")
        secret = self.desk.exchange.accounts[key].secret
        right = hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if not is_signed(right, signature):
            raise BinanceError(-1022, "Signature for this request is not valid.")
        self._check_time(Params(params))

    def _check_time(self, params: Params) -> None:
        stamp = int(params.required("timestamp", WHOLE))
        given = params.decimal("recvWindow")
        window = DEFAULT_WINDOW_MS if given is None else given
        if window > LONGEST_WINDOW_MS:
            raise BinanceError(-1131, "recvWindow must be less than 60000.")
        clock = self.desk.exchange.clock
        now, hurry = clock.shown_ms(), clock.hurry  # windows are moments of the machine, whatever the market's speed
        if stamp >= now + AHEAD_MS * hurry:
            raise BinanceError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now - stamp > float(window) * hurry:
            raise BinanceError(-1021, CLOCK_WORDS)

    # ── the way out ──────────────────────────────────────────────────────────────────────────────────────────────

    def fault(self, script: Script) -> web.Response:
        """Return what Binance says when this goes wrong."""
        if script.fault is Fault.GATEWAY:
            return gateway()
        if script.fault is Fault.BANNED:
            return self._banned(script.seconds)
        if script.fault is Fault.RATE_LIMITED:
            return self._limited(script.seconds)
        return refuse(self._faults[script.fault])

    def turned_away(self, verdict: Verdict, call: Call) -> web.Response:
        """Return the answer to one who asked too much."""
        if verdict.banned:
            return self._banned(verdict.wait_s)
        for scope, _, words in self.limits.orders:
            if verdict.scope == scope:
                msg = ORDERS_WORDS.format(limit=scope.limit, interval=words)
                return refuse(BinanceError(-1015, msg, 429), _retry_after(verdict.wait_s))
        return self.finish(self._limited(verdict.wait_s), call)

    def weight_error(self, verdict: Verdict) -> BinanceError:
        """Return the error of too much weight, for those who do not read headers."""
        if verdict.banned:
            until_ms = self.desk.exchange.clock.shown_ms() + int(verdict.wait_s * 1000)
            return BinanceError(-1003, BAN_WORDS.format(until_ms=until_ms), 418)
        return BinanceError(-1003, LIMIT_WORDS.format(limit=self.limits.weight.limit), 429)

    def _limited(self, seconds: float) -> web.Response:
        return refuse(self.weight_error(Verdict(False, wait_s=seconds)), _retry_after(seconds))

    def _banned(self, seconds: float) -> web.Response:
        return refuse(self.weight_error(Verdict(False, banned=True, wait_s=seconds)), _retry_after(seconds))

    def finish(self, response: web.Response, call: Call) -> web.Response:
        """Add what has been used of each limit."""
        who, now_ns = call.request.remote or "", self.desk.exchange.clock.market_ns()
        used = self.desk.meter.used_now(who, self.limits.weight, now_ns)
        response.headers["x-mbx-used-weight"] = response.headers["x-mbx-used-weight-1m"] = str(used)
        if (call.request.method, call.request.path) in self._counts_orders:
            for scope, header, _ in self.limits.orders:
                response.headers[header] = str(self.desk.meter.used_now(who, scope, now_ns))
        return response


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(seconds))}


def _unsigned(text: str) -> str:
    """Return a query or body without its signature, as it was signed."""
    return "&".join(part for part in text.split("&") if part and not part.startswith("signature="))
