"""Speak as MetaApi.cloud does: provisioning, client and market data REST, and the socket.io stream, at one address.

An account's ``key`` is the account id, its ``secret`` the ``auth-token``; a ``passphrase``, where there is one, is an
account token that reaches the client APIs only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from tradelab.rehearsal.dialect import Call, Desk, Endpoint, Handler
from tradelab.rehearsal.dialects import metaapi_errors as say
from tradelab.rehearsal.dialects.metaapi_accounts import REGION, Accounts
from tradelab.rehearsal.dialects.metaapi_reading import Reading
from tradelab.rehearsal.dialects.metaapi_stream import Stream
from tradelab.rehearsal.dialects.metaapi_trade import KINDS, Trades
from tradelab.rehearsal.events import Event
from tradelab.rehearsal.faults import Script
from tradelab.rehearsal.meter import Scope, Verdict
from tradelab.rehearsal.reading import from_json

# Credits and what a read costs, from the examples of https://metaapi.cloud/docs/client/restApi/api/retrieveCPUCreditUsage/
# and https://metaapi.cloud/docs/client/models/tooManyRequestsError/. What a trade costs is not documented there.
CREDITS = {"1s": (2000, 1), "1m": (18_000, 60), "1h": (180_000, 3600), "6h": (432_000, 21_600)}
COST = 50
_USER = "/users/current"
_ONE = f"{_USER}/accounts/{{account}}"
_DATA = f"{_ONE}/historical-market-data/symbols/{{symbol}}"


def make(desk: Desk) -> MetaApi:
    """Make the dialect."""
    return MetaApi(desk)


class MetaApi:
    """MetaApi.cloud over an exchange with a hedging ledger."""

    name = "metaapi"

    def __init__(self, desk: Desk) -> None:
        self._exchange, self._meter = desk.exchange, desk.meter
        self._accounts = Accounts(desk.exchange)
        self._trades = Trades(desk.exchange)
        self._reading = Reading(desk.exchange)
        self._stream = Stream(desk.exchange, desk.hub)
        limit = desk.exchange.setup.weight_per_min
        scopes = CREDITS if limit is None else {"1m": (limit, 60)}
        self._scopes = {f"{of}-{name}": Scope(f"{of}-{name}", *s, patience=None)
                        for of in ("client", "history") for name, s in scopes.items()}  # fmt: skip

    @property
    def unknown_params(self) -> list[str]:
        """What was asked with a name that no documentation knows."""
        return self._trades.unknown_params + self._stream.unknown_requests

    def endpoints(self) -> list[Endpoint]:
        """Return every REST address."""
        return [*self._provisioning(), *self._client(), *self._market_data()]

    def sockets(self) -> list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Return the one path of the stream, with and without its slash."""
        return [("/ws/", self._stream.answer), ("/ws", self._stream.answer)]

    def on_event(self, event: Event) -> None:
        """Push what happened."""
        self._stream.on_event(event)

    def fault(self, script: Script, call: Call) -> web.Response:
        """Say a fault in MetaApi's words."""
        kind = _kind(call) if call.request.path.endswith("/trade") else "read"
        return say.scripted(script.fault, kind, script.seconds, self._exchange.clock.shown_ns())

    def turned_away(self, verdict: Verdict, call: Call) -> web.Response:
        """Say that there are no credits left."""
        scope = verdict.scope
        period, total = ("1s", 2000) if scope is None else (scope.name.partition("-")[2], scope.limit)
        return say.too_many(verdict.wait_s, self._exchange.clock.shown_ns(), period, total)

    def finish(self, response: web.Response, call: Call) -> web.Response:
        """Nothing is added."""
        return response

    # ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────

    def _provisioning(self) -> list[Endpoint]:
        accounts, one = self._accounts, f"{_USER}/accounts/{{account}}"

        async def hosts(_: Call) -> web.Response:
            return web.json_response({"domain": "agiliumtrade.ai", "hostname": "mt-client-api-v1"})

        async def regions(_: Call) -> web.Response:
            return web.json_response([REGION])

        async def create(call: Call) -> web.Response:
            token = call.headers.get("auth-token", "")
            return accounts.create(call.body, call.headers.get("transaction-id", ""), token)

        rows: list[tuple[str, str, str, Handler]] = [
            ("GET", f"{_USER}/servers/mt-client-api", "login", hosts),
            ("GET", f"{_USER}/regions", "other", regions),
            ("GET", f"{_USER}/accounts", "other", _said(lambda c: accounts.listed())),
            ("POST", f"{_USER}/accounts", "other", create),
            ("GET", one, "login", _said(lambda c: accounts.read(c.path["account"]))),
            ("DELETE", one, "other", _said(lambda c: accounts.delete(c.path["account"]))),
            ("POST", f"{one}/deploy", "other", _said(lambda c: accounts.move(c.path["account"], up=True))),
            ("POST", f"{one}/undeploy", "other", _said(lambda c: accounts.move(c.path["account"], up=False))),
        ]
        return [Endpoint(method, path, kind, self._user(handler)) for method, path, kind, handler in rows]

    def _client(self) -> list[Endpoint]:
        reading, history = self._reading, f"{_ONE}/history"
        rows: list[tuple[str, str, Callable[[Call, str], web.Response]]] = [
            (f"{_ONE}/account-information", "account", reading.account),
            (f"{_ONE}/positions", "positions", reading.positions),
            (f"{_ONE}/positions/{{position}}", "positions", reading.position),
            (f"{_ONE}/orders", "open_orders", reading.orders),
            (f"{_ONE}/orders/{{order}}", "order", reading.order),
            (f"{history}-orders/ticket/{{ticket}}", "order", reading.history_orders),
            (f"{history}-orders/position/{{position}}", "order", reading.history_orders),
            (f"{history}-orders/time/{{start}}/{{end}}", "order", reading.history_orders),
            (f"{history}-deals/ticket/{{ticket}}", "fills", reading.history_deals),
            (f"{history}-deals/position/{{position}}", "fills", reading.history_deals),
            (f"{history}-deals/time/{{start}}/{{end}}", "fills", reading.history_deals),
            (f"{_ONE}/server-time", "time", reading.server_time),
            (f"{_ONE}/symbols", "instruments", reading.symbols),
            (f"{_ONE}/symbols/{{symbol}}/specification", "instruments", reading.specification),
            (f"{_ONE}/symbols/{{symbol}}/current-price", "quote", reading.price),
            (f"{_ONE}/symbols/{{symbol}}/current-candles/{{timeframe}}", "candles", reading.current_candle),
            (f"{_ONE}/symbols/{{symbol}}/current-tick", "ticks", reading.current_tick),
            (f"{_ONE}/credits", "other", self._credits),
        ]
        made = [Endpoint("GET", path, kind, self._held(answer), self._cost("client")) for path, kind, answer in rows]
        trade = self._held(lambda call, key: self._trades.do(key, call.body))
        return [*made, Endpoint("POST", f"{_ONE}/trade", _kind, trade, self._cost("client"))]

    def _market_data(self) -> list[Endpoint]:
        rows = [
            (f"{_DATA}/timeframes/{{timeframe}}/candles", "candles", self._reading.candles),
            (f"{_DATA}/ticks", "ticks", self._reading.ticks),
        ]
        return [Endpoint("GET", path, kind, self._held(answer), self._cost("history")) for path, kind, answer in rows]

    def _cost(self, of: str) -> Mapping[Scope, int]:
        return {scope: COST for name, scope in self._scopes.items() if name.startswith(of)}

    def _credits(self, call: Call, key: str) -> web.Response:
        who, now = call.request.remote or "", self._exchange.clock.market_ns()
        rows = [
            {"period": s.name.partition("-")[2], "total": s.limit,
             "available": s.limit - self._meter.used_now(who, s, now)}
            for s in self._scopes.values() if s.name.startswith("client")
        ]  # fmt: skip
        return web.json_response({"perAccount": rows})

    # ── who may ask ──────────────────────────────────────────────────────────────────────────────────────────────

    def _user(self, handler: Handler) -> Handler:
        """Let the user's own token pass."""

        async def answer(call: Call) -> web.Response:
            token = call.headers.get("auth-token")
            setups = self._exchange.accounts.values()
            if token and any(token == a.passphrase for a in setups):
                return say.forbidden()
            if not any(token == a.secret for a in setups):
                return say.unauthorized()
            try:
                return await handler(call)
            except say.Told as told:
                return told.response

        return answer

    def _held(self, answer: Callable[[Call, str], web.Response]) -> Handler:
        """Let the tokens of the account in the path pass, if it is deployed and connected."""

        async def respond(call: Call) -> web.Response:
            key, token = call.path["account"], call.headers.get("auth-token")
            setup = self._exchange.accounts.get(key)
            if (
                not any(token in (a.secret, a.passphrase or None) for a in self._exchange.accounts.values())
                or not token
            ):
                return say.unauthorized()
            if setup is None or key not in self._accounts or token not in (setup.secret, setup.passphrase):
                return say.not_found(f"Trading account with id {key} not found")
            if self._accounts.state(key) != "DEPLOYED":
                return say.not_found(f"Trading account {key} is not deployed")
            if not self._accounts.is_connected(key):
                text = f"Account {key} is not connected to broker yet"
                return web.json_response(say.body("TimeoutError", text), status=504)
            call.account = key
            try:
                return answer(call, key)
            except say.Told as told:
                return told.response

        return respond


def _said(make_answer: Callable[[Call], web.Response]) -> Handler:
    async def answer(call: Call) -> web.Response:
        return make_answer(call)

    return answer


def _kind(call: Call) -> str:
    """Say what a trade is for, so that faults can be aimed at it."""
    try:
        trade: Any = from_json(call.body)
        return KINDS.get(str(trade.get("actionType")), "submit")
    except (ValueError, AttributeError):
        return "submit"
