"""Stream as Bybit does: a public socket for the category, a private one that logs in, pings as texts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tradelab.model.units import Timeframe
from tradelab.rehearsal.dialects import bybit_frames as frames
from tradelab.rehearsal.dialects import bybit_shapes as shapes
from tradelab.rehearsal.dialects.bybit_branch import Branch
from tradelab.rehearsal.dialects.bybit_door import signature
from tradelab.rehearsal.dialects.bybit_market import INTERVALS, Market
from tradelab.rehearsal.dialects.bybit_wire import Row, at
from tradelab.rehearsal.events import CandleChanged, Event, MoneyChanged, OrderChanged, Traded
from tradelab.rehearsal.hub import Hub, Session, converse
from tradelab.rehearsal.reading import from_json, is_signed, is_whole

DEPTHS = (1, 50, 200, 1000)
PRIVATE = ("order", "execution", "execution.fast", "position", "wallet")
MOST_SPOT_ARGS = 10  # of one subscription to public spot topics, docs/v5/ws/connect
_INTERVAL_OF: dict[Timeframe, str] = {timeframe: text for text, timeframe in INTERVALS.items()}


class Streams:
    """The sockets of one category."""

    def __init__(self, branch: Branch, market: Market, hub: Hub) -> None:
        self._branch = branch
        self._market = market
        self._hub = hub
        self._books = frames.Books(branch, market)
        self._tickers = frames.Tickers(branch, market)
        self._ids: dict[int, str] = {}
        self._count = itertools.count(1)

    def sockets(self) -> list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Return the paths."""
        return [(f"/v5/public/{self._branch.category}", self._public), ("/v5/private", self._private)]

    async def _public(self, request: web.Request) -> web.StreamResponse:
        return await converse(request, self._hub, self._on_public, on_open=self._open, on_close=self._close)

    async def _private(self, request: web.Request) -> web.StreamResponse:
        return await converse(request, self._hub, self._on_private, on_open=self._open, on_close=self._close)

    # ── what clients say ─────────────────────────────────────────────────────────────────────────────────────────

    async def _on_public(self, session: Session, text: str) -> None:
        said = _said(text)
        if said.get("op") == "ping":
            named = {"req_id": str(said["req_id"])} if "req_id" in said else {}
            self._push(
                session, {"success": True, "ret_msg": "pong", "conn_id": self._id(session), **named, "op": "ping"}
            )
        else:
            self._subscribe_or_not(session, said, self._is_public)

    async def _on_private(self, session: Session, text: str) -> None:
        said = _said(text)
        if said.get("op") == "ping":
            named = {"req_id": str(said["req_id"])} if "req_id" in said else {}
            self._push(
                session, {**named, "op": "pong", "args": [str(self._branch.now_ms)], "conn_id": self._id(session)}
            )
        elif said.get("op") == "auth":
            self._log_in(session, said)
        elif session.account is None:
            self._push(session, self._ack(session, said, False, "Request not authorized"))
        else:
            self._subscribe_or_not(session, said, self._is_private)

    def _log_in(self, session: Session, said: Row) -> None:
        """Check key, expiry and signature of ``GET/realtime<expires>``."""
        args = _args(said)
        key, expires, sign = args if len(args) == 3 else ("", "", "")
        account = self._branch.exchange.accounts.get(key)
        if account is None:
            self._push(session, self._refused(session, 10003, "Invalid apikey"))
        elif not is_whole(expires) or int(expires) <= self._branch.now_ms:
            self._push(session, self._refused(session, 10004, "Params Error"))
        elif not is_signed(signature(account.secret, f"GET/realtime{expires}"), sign):
            self._push(session, self._refused(session, 10004, "Error sign"))
        else:
            session.account = key
            self._push(session, {"success": True, "ret_msg": "", "op": "auth", "conn_id": self._id(session)})

    def _subscribe_or_not(self, session: Session, said: Row, known: Callable[[str], bool]) -> None:
        op, topics = said.get("op"), _args(said)
        if op not in ("subscribe", "unsubscribe"):
            self._push(session, self._ack(session, said, False, "error:invalid op"))
            return
        if not self._branch.linear and len(topics) > MOST_SPOT_ARGS and session.account is None:
            self._push(session, self._ack(session, said, False, f"args size >{MOST_SPOT_ARGS}"))
            return
        wrong = [t for t in topics if not known(t)]
        if wrong:
            self._push(session, self._ack(session, said, False, f"Invalid topic: {wrong[0]}"))
            return
        spot_public = not self._branch.linear and session.account is None and op == "subscribe"
        self._push(session, self._ack(session, said, True, "subscribe" if spot_public else ""))
        for topic in topics:
            if op == "subscribe":
                self._join(session, topic)
            else:
                self._leave(session, topic)

    def _join(self, session: Session, topic: str) -> None:
        if topic in session.topics:
            return
        session.topics[topic] = True
        head, *rest = topic.split(".")
        if head == "kline":
            self._branch.exchange.watches.add(rest[1], INTERVALS[rest[0]])
        elif head == "orderbook":
            self._push(session, self._books.snapshot(rest[1], int(rest[0])))
        elif head == "tickers":
            self._push(session, self._tickers.snapshot(rest[0]))

    def _leave(self, session: Session, topic: str) -> None:
        if session.topics.pop(topic, None) is not None and topic.startswith("kline."):
            _, interval, symbol = topic.split(".")
            self._branch.exchange.watches.remove(symbol, INTERVALS[interval])

    def _is_public(self, topic: str) -> bool:
        head, *rest = topic.split(".")
        if not rest or rest[-1] not in self._branch.exchange.tapes:
            return False
        if head in ("tickers", "publicTrade"):
            return len(rest) == 1
        if head == "kline":
            return len(rest) == 2 and rest[0] in INTERVALS
        return head == "orderbook" and len(rest) == 2 and rest[0] in {str(d) for d in DEPTHS}

    def _is_private(self, topic: str) -> bool:
        return topic in PRIVATE or topic in {f"{t}.{self._branch.category}" for t in PRIVATE}

    # ── what happened ────────────────────────────────────────────────────────────────────────────────────────────

    def on_event(self, event: Event) -> None:
        """Tell who listens."""
        if isinstance(event, Traded):
            self._traded(event)
        elif isinstance(event, CandleChanged):
            self._candle(event)
        elif isinstance(event, OrderChanged):
            self._order(event)
        else:
            self._money(event)

    def _traded(self, event: Traded) -> None:
        trade, symbol = self._branch.remember(event), event.symbol
        topic = f"publicTrade.{symbol}"
        if self._hub.has(topic):
            self._hub.publish(topic, frames.trade(self._branch, trade))
        self._book(symbol, event.ts_ns)
        topic = f"tickers.{symbol}"
        if self._hub.has(topic):
            self._hub.publish(topic, self._tickers.change(symbol, event.ts_ns))

    def _book(self, symbol: str, ts_ns: int) -> None:
        for depth in DEPTHS:
            topic = f"orderbook.{depth}.{symbol}"
            if self._hub.has(topic):
                self._hub.publish(topic, self._books.change(symbol, depth, ts_ns))

    def _candle(self, event: CandleChanged) -> None:
        topic = f"kline.{_INTERVAL_OF.get(event.timeframe, '')}.{event.symbol}"
        if self._hub.has(topic):
            self._hub.publish(topic, frames.candle(self._branch, event, _INTERVAL_OF[event.timeframe]))

    def _order(self, event: OrderChanged) -> None:
        order, fill = event.order, event.fill
        tick = self._branch.instrument(order.symbol).tick_size
        order.extra.setdefault("last", at(self._branch.exchange.mark(order.symbol), tick))
        self._tell(order.account, "order", event.ts_ns, lambda: shapes.order_frame(self._branch, order))
        if fill is not None:
            self._tell(order.account, "execution", event.ts_ns, lambda: shapes.execution_frame(self._branch, fill))
            fast = lambda: shapes.fast_execution_frame(self._branch, fill)  # noqa: E731
            self._tell(order.account, "execution.fast", event.ts_ns, fast)
            if not fill.maker:
                self._book(order.symbol, event.ts_ns)

    def _money(self, event: MoneyChanged) -> None:
        account, symbol = event.account, event.symbol
        if event.why == "funding" and self._branch.linear:
            self._tell(account, "execution", event.ts_ns, lambda: frames.funding(self._branch, event))
        self._tell(account, "wallet", event.ts_ns, lambda: shapes.wallet_row(self._branch, account))
        if symbol is not None and self._branch.linear:
            self._tell(account, "position", event.ts_ns, lambda: shapes.position_frame(self._branch, account, symbol))

    def _tell(self, account: str, topic: str, ts_ns: int, make: Callable[[], Row]) -> None:
        """Publish one row on a private topic, and on its narrower one, to the sockets of its account."""
        mine = [s for s in self._hub.sessions if s.account == account]
        for name in (topic, f"{topic}.{self._branch.category}"):
            if any(name in s.topics for s in mine):
                frame = frames.private(self._branch, name, ts_ns, make())
                self._hub.publish(name, frame, sessions=mine)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self, session: Session) -> None:
        self._ids[id(session)] = f"rehearsal{next(self._count):08d}-1"

    def _close(self, session: Session) -> None:
        for topic in list(session.topics):
            self._leave(session, topic)
        self._ids.pop(id(session), None)

    def _id(self, session: Session) -> str:
        return self._ids.get(id(session), "")

    def _ack(self, session: Session, said: Row, success: bool, says: str) -> Row:
        named = {"req_id": str(said["req_id"])} if "req_id" in said else {}
        op = str(said.get("op", ""))
        return {"success": success, "ret_msg": says, "conn_id": self._id(session), **named, "op": op}

    def _refused(self, session: Session, code: int, says: str) -> Row:
        return {"op": "auth", "success": False, "retCode": code, "retMsg": says, "connId": self._id(session)}

    def _push(self, session: Session, frame: Row) -> None:
        session.push(json.dumps(frame, separators=(",", ":")))


def _said(text: str) -> dict[str, Any]:
    """Read what a client says; what is no JSON object says nothing."""
    try:
        found = from_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _args(said: dict[str, Any]) -> list[str]:
    """Read what a message is about; what is no list names nothing."""
    args = said.get("args")
    return [str(a) for a in args] if isinstance(args, list) else []
