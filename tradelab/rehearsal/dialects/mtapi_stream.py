"""Push quotes and changes of an account over the two sockets that a bridge of mtapi.io was seen to have.

Frames: third-party clients of mt5.mtapi.io read ``{"type": "Quote", "data": {symbol, bid, ask, time, …}}`` and
``{"type": "OrderUpdate", "data": {update, profit, balance, equity, margin, freeMargin, credit, marginLevel,
openedOrders}}``; what ``update`` holds is assumed.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tradelab.model.orders import OrderType
from tradelab.rehearsal.dialects.mtapi_shapes import Shapes
from tradelab.rehearsal.events import Event, MoneyChanged, OrderChanged, Traded
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.hub import Hub, Session, converse

_MONEY = ("profit", "balance", "equity", "margin", "freeMargin", "credit", "marginLevel")
_WAITING = {"new": "PendingOpen", "triggered": "PendingModify", "amended": "PendingModify"}


class Stream:
    """The sockets of every account; ``last_ns`` is when each market last traded."""

    def __init__(self, exchange: Exchange, hub: Hub, shapes: Any) -> None:
        self._exchange, self._hub = exchange, hub
        self._shapes: Shapes = shapes
        self._wanted: dict[str, set[str]] = {}
        self.last_ns: dict[str, int] = {}

    def subscribe(self, account: str, symbol: str) -> None:
        """Let an account's quote sockets have a symbol too."""
        self._wanted.setdefault(account, set()).add(symbol)

    async def answer(self, request: web.Request, topic: str, account: str) -> web.StreamResponse:
        """Keep one socket; what is sent to it is not read."""

        def begin(session: Session) -> None:
            session.topics, session.account = {f"{topic}.{account}": None}, account

        async def ignore(session: Session, text: str) -> None:
            return None

        return await converse(request, self._hub, ignore, on_open=begin)

    def on_event(self, event: Event) -> None:
        """Push what happened to who listens."""
        if isinstance(event, Traded):
            self.last_ns[event.symbol] = event.ts_ns
            for account, symbols in self._wanted.items():
                if event.symbol in symbols:
                    self._publish("OnQuote", account, "Quote", self._shapes.quote(event.symbol, event.ts_ns))
        elif isinstance(event, OrderChanged):
            update = {"action": self._action(event), "order": self._told(event)}
            self._push(event.order.account, update)
        elif isinstance(event, MoneyChanged) and event.why in ("deposit", "protection"):
            self._push(event.account, {"action": "Balance" if event.why == "deposit" else "PositionModify"})

    def _push(self, account: str, update: dict[str, Any]) -> None:
        if self._hub.has(f"OnOrderUpdate.{account}"):
            summary = self._shapes.account(account)
            told = {"update": update, "openedOrders": self._shapes.opened(account)} | {k: summary[k] for k in _MONEY}
            self._publish("OnOrderUpdate", account, "OrderUpdate", told)

    def _publish(self, topic: str, account: str, kind: str, data: dict[str, Any]) -> None:
        self._hub.publish(f"{topic}.{account}", {"type": kind, "id": "", "data": data})

    def _action(self, event: OrderChanged) -> str:
        if event.fill is not None:
            return "PositionOpen" if event.fill.entry else "PositionClose"
        if event.order.type is OrderType.MARKET:
            return "Unknown"
        return _WAITING.get(event.what, "PendingClose")

    def _told(self, event: OrderChanged) -> dict[str, Any] | None:
        if event.order.position_id is None:
            return self._shapes.ticket(event.order)
        opened = self._exchange.orders.get(int(event.order.position_id))
        return None if opened is None else self._shapes.ticket(opened)
