"""Speak as the MetaTrader 5 bridge of mtapi.io does: a login that gives a token, and GET requests that carry it.

An account's ``key`` is its number, its ``secret`` the password. Sources stand in the files beside this one; what is
assumed is listed in ``tradelab/rehearsal/README.md``.
"""

from __future__ import annotations

import email.utils
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tradelab.model.units import NS_PER_S, Timeframe
from tradelab.rehearsal.dialect import Call, Desk, Endpoint, Handler
from tradelab.rehearsal.dialects import mtapi_errors as say
from tradelab.rehearsal.dialects.mtapi_shapes import AHEAD_H, Shapes, read_time
from tradelab.rehearsal.dialects.mtapi_stream import Stream
from tradelab.rehearsal.dialects.mtapi_trade import Asked, Trades
from tradelab.rehearsal.events import Event
from tradelab.rehearsal.faults import Script
from tradelab.rehearsal.meter import Verdict
from tradelab.rehearsal.orders import SimOrder

IDLE_S = 300  # a session that is not used for so long is forgotten: seen by tartarixinc/TScopier
_NAMESPACE = uuid.UUID("5b1f9a52-6e0f-4c0e-9f5d-0d5f8a6c9b11")
_KNOWN: dict[str, frozenset[str]] = {
    path: frozenset(names.split())
    for path, names in {
        "/Connect": "user password host port connecttimeoutseconds",
        "/ConnectEx": "user password server connecttimeoutseconds id",
        "/CheckConnect": "id", "/Disconnect": "id", "/ServerTimezone": "id", "/AccountSummary": "id",
        "/Symbols": "id", "/SymbolParams": "id symbol", "/OpenedOrders": "id sort ascending",
        "/OrderHistory": "id from to sort ascending", "/ClosedOrders": "id", "/GetQuote": "id symbol msnotolder",
        "/PriceHistory": "id symbol from to timeframe", "/Subscribe": "id symbol",
        "/OrderSend": "id symbol operation volume price slippage stoploss takeprofit comment expertid magic "
        "stoplimitprice expiration expirationtype placedtype",
        "/OrderModify": "id ticket stoploss takeprofit price stoplimitprice expiration expirationtype",
        "/OrderClose": "id ticket lots volume price slippage comment",
        "/Quote": "id symbol msnotolder", "/QuoteHistory": "id symbol timeframe from count",
    }.items()
}  # fmt: skip


Row = tuple[str, str | Callable[[Call], str], Handler]


def make(desk: Desk) -> Mtapi:
    """Make the dialect."""
    return Mtapi(desk)


class Mtapi:
    """mtapi.io for MetaTrader 5 over an exchange with a hedging ledger.

    ``most_deals`` and ``most_bars`` are for rehearsing a bridge that does not tell everything at once: of the trades it
    then tells the first and says so, of the bars the last and says nothing.
    """

    name = "mtapi"

    def __init__(self, desk: Desk, shapes: Shapes | None = None, trades: Trades | None = None) -> None:
        self._exchange = desk.exchange
        self._shapes = shapes or Shapes(desk.exchange)
        self._trades = trades or Trades(desk.exchange, self._shapes)
        self._stream = Stream(desk.exchange, desk.hub, self._shapes)
        self._sessions: dict[str, tuple[str, int]] = {}  # token → account and when it was last used
        self._began_ns = desk.exchange.now_ns
        self.unknown_params: list[str] = []
        self.most_deals: int | None = None
        self.most_bars: int | None = None

    def endpoints(self) -> list[Endpoint]:
        """Return every REST address; all are GET, and nothing is said of limits: none is documented."""
        shown, trades = self._shapes.ticket, self._trades
        rows: list[Row] = [
            *self._of_platform(),
            ("/Connect", "login", self._held(self._connect)),
            ("/ConnectEx", "login", self._held(self._connect)),
            ("/CheckConnect", "time", self._with_token(lambda account, asked: web.json_response("OK"))),
            ("/Disconnect", "other", self._held(self._disconnect)),
            ("/ServerTimezone", "other", self._with_token(lambda a, _: web.Response(text=f"UTC+{AHEAD_H}"))),
            ("/AccountSummary", "account", self.answering(lambda a, _: self._shapes.account(a))),
            ("/Symbols", "instruments", self.answering(self._symbols)),
            ("/SymbolParams", "instruments", self.answering(self._symbol)),
            ("/OpenedOrders", "open_orders", self.answering(lambda a, _: self._shapes.opened(a))),
            ("/ClosedOrders", "fills", self.answering(self._closed)),
            ("/Subscribe", "other", self._with_token(self._subscribe)),
            ("/OrderSend", "submit", self.answering(lambda a, q: shown(trades.send(a, q)))),
            ("/OrderModify", self._kind_of_change, self.answering(lambda a, q: shown(trades.modify(a, q)))),
            ("/OrderClose", self._kind_of_close, self.answering(self._close)),
        ]  # fmt: skip
        return [Endpoint("GET", path, kind, handler) for path, kind, handler in rows]

    def _of_platform(self) -> list[Row]:
        """Return the addresses that the two platforms do not call or answer alike."""
        return [
            ("/OrderHistory", "fills", self.answering(self._history)),
            ("/GetQuote", "quote", self.answering(self.quote)),
            ("/PriceHistory", "candles", self.answering(self._bars)),
        ]

    def sockets(self) -> list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Return the two sockets that were seen to work."""
        return [(f"/{topic}", self._listening(topic)) for topic in ("OnQuote", "OnOrderUpdate")]

    def on_event(self, event: Event) -> None:
        """Push what happened."""
        self._stream.on_event(event)

    def fault(self, script: Script, call: Call) -> web.Response:
        """Say a fault in the bridge's words."""
        return say.scripted(script.fault, script.seconds)

    def turned_away(self, verdict: Verdict, call: Call) -> web.Response:
        """Turn somebody away; only a script's ban leads here."""
        answer = web.Response(text="Forbidden", status=403, content_type="text/plain")
        answer.headers["Retry-After"] = str(max(1, round(verdict.wait_s)))
        return answer

    def finish(self, response: web.Response, call: Call) -> web.Response:
        """Tell the time, as every web server does."""
        response.headers["Date"] = email.utils.formatdate(self._exchange.clock.shown_ns() // NS_PER_S, usegmt=True)
        return response

    def forget(self) -> None:
        """Lose every session, as a bridge that starts again does."""
        self._sessions.clear()

    # ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _connect(self, asked: Asked) -> web.Response:
        for name in ("user", "password"):
            if not asked.get(name):
                return say.unreadable(name, None)
        account = self._exchange.accounts.get(asked["user"])
        if account is None or account.secret != asked["password"]:
            return say.no(say.INVALID_ACCOUNT)
        token = str(uuid.uuid5(_NAMESPACE, account.key))  # the same for the same account: seen
        self._sessions[token] = (account.key, self._exchange.now_ns)
        return web.Response(text=token, content_type="text/plain")

    def _disconnect(self, asked: Asked) -> web.Response:
        if self._sessions.pop(asked.get("id", ""), None) is None:
            return say.gone(asked.get("id", ""))
        return web.json_response("OK")

    def _account(self, token: str | None) -> str:
        if token is None:
            raise say.Told(say.no(say.NULL_ARGUMENT))
        account, used_ns = self._sessions.get(token, ("", 0))
        now = self._exchange.now_ns
        if not account or now - used_ns > IDLE_S * NS_PER_S:
            self._sessions.pop(token, None)
            raise say.Told(say.gone(token))
        self._sessions[token] = (account, now)
        return account

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _symbols(self, account: str, asked: Asked) -> dict[str, Any]:
        return {i.symbol: self._shapes.symbol_info(i) for i, _ in self._exchange.markets()}

    def _symbol(self, account: str, asked: Asked) -> dict[str, Any]:
        return self._shapes.symbol(self._exchange.instrument(self.market(asked)))

    def quote(self, account: str, asked: Asked) -> dict[str, Any]:
        """Tell bid and ask."""
        symbol = self.market(asked)
        return self._shapes.quote(symbol, self._stream.last_ns.get(symbol, self._exchange.now_ns))

    def _bars(self, account: str, asked: Asked) -> list[dict[str, Any]]:
        symbol, told = self.market(asked), asked.get("timeframe", "")
        timeframe = next((t for t in Timeframe if str(t.value) == told and t.value), None)
        if timeframe is None:
            raise say.Told(say.unreadable("timeFrame", told or None))
        since_ns, until_ns = span(asked)
        bars = self._exchange.tapes[symbol].candles(timeframe, since_ns, until_ns + 1, self._exchange.now_ns)
        return [self._shapes.bar(bar) for bar in bars[-(self.most_bars or len(bars) or 1) :]]

    def _history(self, account: str, asked: Asked) -> dict[str, Any]:
        since_ns, until_ns = span(asked)

        def within(ts_ns: int) -> bool:
            return since_ns <= ts_ns <= until_ns

        mine = [o for o in self._exchange.orders.values() if o.account == account and not o.is_open]
        orders = [self._shapes.ticket(order) for order in self.past(account) if within(self.ended_ns(order))]
        if within(self._began_ns):
            orders.insert(0, self._shapes.deposit(account, self._began_ns))
        deals = [f for f in self._exchange.fills if f.account == account and within(f.ts_ns)]
        told = deals[: self.most_deals]
        return {
            "partialResponse": len(told) < len(deals), "orders": orders,
            "internalDeals": [self._shapes.deal(f) for f in told],
            "internalOrders": [self._shapes.placed(o) for o in mine if within(o.updated_ns)], "action": 1,
        }  # fmt: skip

    def past(self, account: str) -> list[SimOrder]:
        """Return the tickets that are over: positions that were closed, orders that came to nothing."""
        held = self._shapes.ledger(account).tickets
        mine = (o for o in self._exchange.orders.values() if o.account == account and not o.is_open)
        return [o for o in mine if o.position_id is None and str(o.number) not in held]

    def _closed(self, account: str, asked: Asked) -> list[dict[str, Any]]:
        """Tell the positions that were closed; orders that were cancelled are not among them: seen."""
        return [self._shapes.ticket(o) for o in self.past(account) if o.filled_qty][-100:]

    def _close(self, account: str, asked: Asked) -> dict[str, Any]:
        order, told = self._trades.close(account, asked)
        return self._shapes.ticket(order, **told)

    def _subscribe(self, account: str, asked: Asked) -> web.Response:
        self._stream.subscribe(account, self.market(asked))
        return web.json_response("OK")

    def market(self, asked: Asked) -> str:
        """Return the symbol that is asked about."""
        symbol = asked.get("symbol")
        if not symbol:
            raise say.Told(say.unreadable("symbol", None))
        if symbol not in self._exchange.tapes:
            raise say.Told(say.no(say.INVALID_SYMBOL))
        return symbol

    def ended_ns(self, order: SimOrder) -> int:
        """Return when a ticket was over."""
        outs = [f.ts_ns for f in self._exchange.fills if f.position_id == str(order.number) and not f.entry]
        return max(outs, default=order.updated_ns)

    # ── doors ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _held(self, answer: Callable[[Asked], web.Response]) -> Handler:
        async def handle(call: Call) -> web.Response:
            try:
                return answer(self._asked(call))
            except say.Told as told:
                return told.response

        return handle

    def _with_token(self, answer: Callable[[str, Asked], web.Response]) -> Handler:
        return self._held(lambda asked: answer(self._account(asked.get("id")), asked))

    def answering(self, answer: Callable[[str, Asked], Any]) -> Handler:
        """Make a handler of what is told to somebody with a token."""
        return self._with_token(lambda account, asked: web.json_response(answer(account, asked)))

    def _asked(self, call: Call) -> Asked:
        asked = {name.lower(): value for name, value in call.params.items()}
        self.unknown_params += sorted(set(asked) - _KNOWN.get(call.request.path, frozenset(asked)))
        return asked

    def _kind_of_close(self, call: Call) -> str:
        return "submit" if self._is_position(call) else "cancel"

    def _kind_of_change(self, call: Call) -> str:
        return "protect" if self._is_position(call) else "modify"

    def _is_position(self, call: Call) -> bool:
        ticket = {k.lower(): v for k, v in call.params.items()}.get("ticket", "")
        return any(ticket in self._shapes.ledger(account).tickets for account in self._exchange.accounts)

    def _listening(self, topic: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def listen(request: web.Request) -> web.StreamResponse:
            try:
                account = self._account(request.query.get("id"))
            except say.Told as told:
                return told.response
            return await self._stream.answer(request, topic, account)

        return listen


def span(asked: Asked) -> tuple[int, int]:
    """Return the times between which something is asked for, both included."""
    times = []
    for name in ("from", "to"):
        told = asked.get(name)
        try:
            times.append(read_time(told or ""))
        except ValueError:
            raise say.Told(say.unreadable(name, told)) from None
    return times[0], times[1]
