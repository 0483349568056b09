"""Push a spot account's events over the WebSocket API, to whoever subscribed with a signature."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any

from aiohttp import web

from tradelab.rehearsal.dialects import binance_spot_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Door
from tradelab.rehearsal.dialects.binance_errors import BinanceError
from tradelab.rehearsal.dialects.binance_spot_account import SpotAccount
from tradelab.rehearsal.events import MoneyChanged, OrderChanged
from tradelab.rehearsal.hub import Hub, Session, converse
from tradelab.rehearsal.reading import from_json

MS = 1_000_000
PING_S = 20.0
SUBSCRIBE_WEIGHT = 2
EVENTS = ("executionReport", "outboundAccountPosition", "balanceUpdate")


def topic(account: str, event: str) -> str:
    """Return what a script's fault aims at: ``user/<key>/executionReport``, say."""
    return f"user/{account}/{event}"


class UserStream:
    """The WebSocket API as far as user data goes."""

    def __init__(self, door: Door, hub: Hub, accounts: SpotAccount) -> None:
        self.door = door
        self.hub = hub
        self.accounts = accounts
        self.exchange = accounts.exchange

    def serve(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Serve ``/ws-api/v3``."""
        who = request.remote or ""

        async def read(session: Session, text: str) -> None:
            session.push(json.dumps(self._obey(session, text, who), separators=(",", ":")))

        return converse(request, self.hub, read, heartbeat=PING_S)

    def _obey(self, session: Session, text: str, who: str) -> dict[str, Any]:
        asked: Any = None
        try:
            asked = from_json(text)
            result = self._do(session, str(asked["method"]), asked.get("params") or {}, who)
            return {"id": asked.get("id"), "status": 200, "result": result, "rateLimits": self._limits(who)}
        except BinanceError as error:
            number, status = asked.get("id"), error.status
            return {"id": number, "status": status, "error": error.body(), "rateLimits": self._limits(who)}
        except (ValueError, TypeError, KeyError):
            number = asked.get("id") if isinstance(asked, dict) else None
            said = {"code": -1135, "msg": "Invalid JSON Request"}
            return {"id": number, "status": 400, "error": said, "rateLimits": self._limits(who)}

    def _do(self, session: Session, method: str, params: dict[str, Any], who: str) -> object:
        weight = SUBSCRIBE_WEIGHT if method.startswith(("userDataStream", "session")) else 1
        now_ns = self.exchange.clock.market_ns()
        verdict = self.door.desk.meter.charge(who, self.door.limits.scopes(weight, 0), now_ns)
        if not verdict.allowed:
            raise self.door.weight_error(verdict)
        if method == "ping":
            return {}
        if method == "time":
            return {"serverTime": self.exchange.clock.shown_ms()}
        if method == "userDataStream.subscribe.signature":
            return {"subscriptionId": self._subscribe(session, params)}
        if method == "userDataStream.unsubscribe":
            return self._unsubscribe(session, params.get("subscriptionId"))
        if method == "session.subscriptions":
            numbers = sorted(set(session.topics.values()))
            return [{"subscriptionId": n} for n in numbers]
        raise BinanceError(-1020, "This operation is not supported.")

    def _subscribe(self, session: Session, params: dict[str, Any]) -> int:
        given = {name: _plain(value) for name, value in params.items()}
        key = self.door.key_of(given.get("apiKey"))
        payload = "&".join(f"{k}={v}" for k, v in sorted(given.items()) if k != "signature")
        self.door.check(key, payload, given)
        if topic(key, EVENTS[0]) in session.topics:
            raise BinanceError(-1191, "Similar subscription is already active on this connection.")
        number = max(session.topics.values(), default=-1) + 1
        session.topics |= {topic(key, event): number for event in EVENTS}
        return number

    def _unsubscribe(self, session: Session, number: object) -> dict[str, Any]:
        for name in [n for n, of in session.topics.items() if number in (None, of)]:
            del session.topics[name]
        return {}

    def _limits(self, who: str) -> list[dict[str, Any]]:
        scope = self.door.limits.weight
        used = self.door.desk.meter.used_now(who, scope, self.exchange.clock.market_ns())
        kind = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        return [kind | {"limit": scope.limit, "count": used}]

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, account: str, event: dict[str, Any]) -> None:
        name = topic(account, event["e"])
        for session in [s for s in self.hub.sessions if name in s.topics]:
            frame = {"subscriptionId": session.topics[name], "event": event}
            self.hub.publish(name, frame, sessions=[session])

    def order(self, event: OrderChanged) -> None:
        """Push what happened to an order."""
        now_ms, number = self.exchange.clock.shown_ms(), self.exchange.number()
        self._send(event.order.account, shapes.report(event.order, event.what, event.fill, now_ms, number))

    def money(self, event: MoneyChanged) -> None:
        """Push the balances that may have changed; a deposit says its amount as well."""
        now_ms = self.exchange.clock.shown_ms()
        if event.symbol is not None:
            instrument = self.exchange.instrument(event.symbol)
            changed = [c for c in (instrument.base, instrument.quote) if c]
        else:
            changed = [c for c in (event.currency,) if c]
        if event.why == "deposit" and event.currency:
            delta = {"a": event.currency, "d": shapes.eight(event.amount), "T": event.ts_ns // MS}
            self._send(event.account, {"e": "balanceUpdate", "E": now_ms, **delta})
        rows = [self.accounts.balance(event.account, c) for c in changed]
        balances = [{"a": r["asset"], "f": r["free"], "l": r["locked"]} for r in rows]
        said = {"e": "outboundAccountPosition", "E": now_ms, "u": event.ts_ns // MS, "B": balances}
        self._send(event.account, said)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
