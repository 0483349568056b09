"""Push what happens: MetaApi's terminal synchronization and market data over socket.io.

Sources: https://metaapi.cloud/docs/client/websocket/ (synchronizing: subscribe, synchronize, update, positions, orders,
deals; marketDataStreaming) and the protocol tests of metaapi-javascript-sdk (metaApiWebsocket.client.spec).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tradelab.model.orders import OrderType
from tradelab.rehearsal.dialects import metaapi_shapes as shape
from tradelab.rehearsal.dialects.metaapi_errors import body
from tradelab.rehearsal.dialects.metaapi_socketio import event, serve
from tradelab.rehearsal.dialects.metaapi_times import BY_NAME, TIMEFRAMES, parse
from tradelab.rehearsal.events import CandleChanged, Event, MoneyChanged, OrderChanged, Traded
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.hub import Hub, Session
from tradelab.rehearsal.ledger_hedging import HedgingLedger

HOST = "ps-rehearsal-1"
Json = dict[str, Any]


class Stream:
    """All sockets of the venue; a session's topics say which accounts and markets it listens to."""

    def __init__(self, exchange: Exchange, hub: Hub) -> None:
        self._exchange = exchange
        self._hub = hub
        self.unknown_requests: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Keep one client."""
        token = request.query.get("auth-token", "")
        allowed = {a.key for a in self._exchange.accounts.values() if token in (a.secret, a.passphrase or a.secret)}

        def greet(session: Session) -> str | None:
            session.topics["token"] = allowed
            return None if allowed else "Authorization token invalid"

        return await serve(
            request, self._hub, greet=greet, on_event=self._on_request, beat=self._status, on_close=self._forget
        )

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _on_request(self, session: Session, name: str, asked: Any) -> None:
        if name != "request" or not isinstance(asked, dict):
            self.unknown_requests.append(name)
            return
        self._exchange.advance()
        kind, key = str(asked.get("type")), str(asked.get("accountId"))
        doers = {
            "subscribe": self._subscribe,
            "synchronize": self._synchronize,
            "unsubscribe": self._unsubscribe,
            "subscribeToMarketData": self._watch,
            "unsubscribeFromMarketData": self._unwatch,
            "refreshMarketDataSubscriptions": self._refresh,
        }
        if kind not in doers:
            self.unknown_requests.append(kind)
            self._error(session, asked, body("ValidationError", f"{kind} is not rehearsed", details=[]))
        elif key not in session.topics.get("token", ()):
            self._error(session, asked, body("NotFoundError", f"Trading account with id {key} not found"))
        else:
            doers[kind](session, key, asked)

    def _subscribe(self, session: Session, key: str, asked: Json) -> None:
        session.topics[f"account:{key}"] = {"sequence": -1, "synchronized": False}
        self._respond(session, asked)
        greeting = {
            "type": "authenticated", "accountId": key, "instanceIndex": 0, "host": HOST, "replicas": 1,
            "sessionId": asked.get("sessionId"),
        }  # fmt: skip
        self._hub.publish(f"account:{key}", event("synchronization", greeting), sessions=[session])

    def _synchronize(self, session: Session, key: str, asked: Json) -> None:
        state = session.topics.get(f"account:{key}")
        if state is None:
            self._error(session, asked, body("NotAuthenticatedError", "The terminal is not connected yet"))
            return
        state["sequence"], state["synchronized"] = -1, True
        self._respond(session, asked)
        for packet in self._whole(key, asked):
            self._send(session, key, {**packet, "synchronizationId": asked.get("requestId")})
        self._status(session)

    def _whole(self, key: str, asked: Json) -> Iterator[Json]:
        """Tell everything there is, in the order in which MetaApi does."""
        exchange = self._exchange
        yield {"type": "synchronizationStarted"}
        symbols = list(exchange.tapes)
        yield {"type": "specifications", "specifications": [shape.specification(exchange, s) for s in symbols]}
        yield {"type": "accountInformation", "accountInformation": shape.account(exchange, key)}
        yield {
            "type": "positions",
            "positions": [shape.position(exchange, key, t) for t in self._tickets(key).values()],
        }
        yield {"type": "orders", "orders": [shape.order(exchange, o) for o in exchange.open_orders(key)]}
        since = _time(asked.get("startingHistoryOrderTime"))
        done = [o for o in exchange.orders.values() if o.account == key and not o.is_open and o.updated_ns >= since]
        yield {"type": "historyOrders", "historyOrders": [shape.order(exchange, o) for o in done]}
        yield {"type": "orderSynchronizationFinished"}
        since = _time(asked.get("startingDealTime"))
        deals = [f for f in exchange.fills if f.account == key and f.ts_ns >= since]
        yield {"type": "deals", "deals": [shape.deal(exchange, f) for f in deals]}
        yield {"type": "dealSynchronizationFinished"}

    def _unsubscribe(self, session: Session, key: str, asked: Json) -> None:
        for topic in [t for t in session.topics if t.split(":")[1:2] == [key]]:
            self._drop(session, topic)
        self._respond(session, asked)

    def _watch(self, session: Session, key: str, asked: Json) -> None:
        symbol = str(asked.get("symbol"))
        if symbol not in self._exchange.tapes:
            self._error(session, asked, body("NotFoundError", f"Symbol {symbol} is not defined for this broker"))
            return
        self._respond(session, asked)
        for wanted in asked.get("subscriptions") or [{"type": "quotes"}]:
            if wanted.get("type") == "candles" and wanted.get("timeframe") in BY_NAME:
                timeframe = BY_NAME[wanted["timeframe"]]
                topic = f"candles:{key}:{symbol}:{wanted['timeframe']}"
                if topic not in session.topics:
                    session.topics[topic] = (symbol, timeframe)
                    self._exchange.watches.add(symbol, timeframe)
            elif wanted.get("type") in ("quotes", "ticks"):
                session.topics[f"prices:{key}:{symbol}"] = symbol
                self._send(session, key, self._prices(symbol), f"prices:{key}:{symbol}")
            else:
                self.unknown_requests.append(f"subscription {wanted.get('type')} {wanted.get('timeframe')}")

    def _unwatch(self, session: Session, key: str, asked: Json) -> None:
        symbol = str(asked.get("symbol"))
        ends = [t for t in session.topics if t.startswith((f"prices:{key}:{symbol}", f"candles:{key}:{symbol}:"))]
        for topic in ends:
            self._drop(session, topic)
        self._respond(session, asked)

    def _refresh(self, session: Session, key: str, asked: Json) -> None:
        self._respond(session, asked)

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────

    def on_event(self, happened: Event) -> None:
        """Tell those who listen."""
        if isinstance(happened, Traded):
            self._tell_market(f":{happened.symbol}", "prices:", lambda: self._prices(happened.symbol))
        elif isinstance(happened, CandleChanged):
            bar = shape.candle(happened.symbol, happened.timeframe, happened.candle)
            end = f":{happened.symbol}:{TIMEFRAMES[happened.timeframe]}"
            self._tell_market(end, "candles:", lambda: {"type": "prices", "candles": [bar]})
        elif isinstance(happened, OrderChanged):
            self._tell_account(happened.order.account, self._order_update(happened))
        else:
            self._tell_account(happened.account, self._money_update(happened))

    def _order_update(self, happened: OrderChanged) -> Json | None:
        one, made, exchange = happened.order, happened.fill, self._exchange
        if one.type is OrderType.MARKET and happened.what == "new":
            return None  # it is told when it has traded
        update: Json = {"type": "update"}
        if one.is_open:
            update["updatedOrders"] = [shape.order(exchange, one)]
        else:
            update["historyOrders"] = [shape.order(exchange, one)]
            if one.type is not OrderType.MARKET:
                update["completedOrderIds"] = [str(one.number)]
        if made is not None:
            update["deals"] = [shape.deal(exchange, made)]
            held = self._tickets(one.account).get(str(made.position_id))
            if held is None:
                update["removedPositionIds"] = [str(made.position_id)]
            else:
                update["updatedPositions"] = [shape.position(exchange, one.account, held)]
        return update

    def _money_update(self, happened: MoneyChanged) -> Json:
        update: Json = {"type": "update", "accountInformation": shape.account(self._exchange, happened.account)}
        if happened.why == "protection":
            held = [t for t in self._tickets(happened.account).values() if t.symbol == happened.symbol]
            update["updatedPositions"] = [shape.position(self._exchange, happened.account, t) for t in held]
        return update

    def _tell_account(self, key: str, packet: Json | None) -> None:
        for session in self._hub.sessions:
            state = session.topics.get(f"account:{key}")
            if packet is not None and state is not None and state["synchronized"]:
                self._send(session, key, packet)

    def _tell_market(self, end: str, begin: str, make: Any) -> None:
        for session in list(self._hub.sessions):
            for topic in [t for t in session.topics if t.startswith(begin) and t.endswith(end)]:
                self._send(session, topic.split(":")[1], make(), topic)

    def _prices(self, symbol: str) -> Json:
        return {"type": "prices", "prices": [shape.price(self._exchange, symbol)]}

    def _status(self, session: Session) -> None:
        for topic in [t for t in session.topics if t.startswith("account:")]:
            health = {"rpcApiHealthy": True, "copyFactorySubscriberHealthy": True, "copyFactoryProviderHealthy": True}
            packet = {
                "type": "status", "accountId": topic.split(":")[1], "instanceIndex": 0, "host": HOST,
                "connected": True, "authenticated": True, "healthStatus": health,
            }  # fmt: skip
            self._hub.publish(topic, event("synchronization", packet), sessions=[session])

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, session: Session, key: str, packet: Json, topic: str | None = None) -> None:
        """Send a numbered packet; a number that never arrives tells the client that it missed something."""
        state = session.topics.get(f"account:{key}")
        if state is None:
            return
        state["sequence"] += 1
        frame = {
            **packet, "accountId": key, "instanceIndex": 0, "host": HOST, "sequenceNumber": state["sequence"],
            "sequenceTimestamp": self._exchange.clock.shown_ms() + state["sequence"],
        }  # fmt: skip
        self._hub.publish(topic or f"account:{key}", event("synchronization", frame), sessions=[session])

    def _respond(self, session: Session, asked: Json) -> None:
        answer = {"type": "response", "accountId": asked.get("accountId"), "requestId": asked.get("requestId")}
        session.push(event("response", answer))

    def _error(self, session: Session, asked: Json, says: Json) -> None:
        session.push(event("processingError", {**says, "requestId": asked.get("requestId")}))

    def _drop(self, session: Session, topic: str) -> None:
        kept = session.topics.pop(topic, None)
        if topic.startswith("candles:") and kept is not None:
            self._exchange.watches.remove(*kept)

    def _forget(self, session: Session) -> None:
        for topic in list(session.topics):
            self._drop(session, topic)

    def _tickets(self, key: str) -> dict[str, Any]:
        ledger = self._exchange.ledgers[key]
        assert isinstance(ledger, HedgingLedger)
        return dict(ledger.tickets)


def _time(text: object) -> int:
    return parse(text) if isinstance(text, str) else 0
