"""Speak Bybit's version 5, for linear perpetuals or for spot, whichever the exchange keeps.

One instance is one category; a request about another category finds no markets there. Sources and what is not known
are listed in ``tradelab/rehearsal/README.md``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from tradelab.rehearsal.dialect import Call, Desk, Endpoint, Handler
from tradelab.rehearsal.dialects import bybit_errors as no
from tradelab.rehearsal.dialects import bybit_limits as limits
from tradelab.rehearsal.dialects.bybit_account import Account
from tradelab.rehearsal.dialects.bybit_branch import Branch
from tradelab.rehearsal.dialects.bybit_door import AHEAD_MS, Route, let_in
from tradelab.rehearsal.dialects.bybit_errors import Refusal
from tradelab.rehearsal.dialects.bybit_market import Market
from tradelab.rehearsal.dialects.bybit_protect import Protection
from tradelab.rehearsal.dialects.bybit_stream import Streams
from tradelab.rehearsal.dialects.bybit_trade import Trade
from tradelab.rehearsal.dialects.bybit_wire import answer
from tradelab.rehearsal.events import Event
from tradelab.rehearsal.faults import Fault, Script
from tradelab.rehearsal.meter import Scope, Verdict
from tradelab.rehearsal.reading import is_whole

_GATEWAY = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"  # noqa: E501


class Bybit:
    """One category of Bybit over an exchange that speaks none.

    ``unknown_params`` collects what clients sent that the documentation of version 5 does not name, as
    ``"<path> <parameter>"``; the venue lets such things pass, and so does this.
    """

    def __init__(self, desk: Desk) -> None:
        self._branch = Branch(desk.exchange)
        self._meter = desk.meter
        self._address = limits.address_scope(desk.exchange.setup.weight_per_min)
        self.name = "bybit" if self._branch.linear else "bybit-spot"
        self.unknown_params: list[str] = []
        market, protection = Market(self._branch), Protection(self._branch)
        self._streams = Streams(self._branch, market, desk.hub)
        parts = [market.routes(), Trade(self._branch, protection).routes(), protection.routes()]
        self._routes = [route for part in [*parts, Account(self._branch).routes()] for route in part]

    def endpoints(self) -> list[Endpoint]:
        """Return every REST address."""
        return [Endpoint(r.method, r.path, r.kind, self._handler(r), self._weigher(r)) for r in self._routes]

    def sockets(self) -> list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Return the paths of the WebSockets."""
        return self._streams.sockets()

    def on_event(self, event: Event) -> None:
        """Tell who listens what happened."""
        self._streams.on_event(event)

    def fault(self, script: Script, call: Call) -> web.Response:
        """Answer a scripted fault in the venue's words."""
        now = self._branch.now_ms
        if script.fault is Fault.GATEWAY:
            return web.Response(text=_GATEWAY, status=502, content_type="text/html")
        if script.fault is Fault.BANNED:
            return web.Response(text=no.TOO_FREQUENT, status=403, content_type="text/plain")
        if script.fault is Fault.CLOCK:
            sent = call.headers.get("X-BAPI-TIMESTAMP", "")
            stamp = int(sent) if is_whole(sent) else now + 2 * AHEAD_MS
            window = call.headers.get("X-BAPI-RECV-WINDOW", "5000")
            return answer(no.expired(stamp, now, int(window) if is_whole(window) else 5000), now)
        response = answer(no.of_fault(script.fault, linear=self._branch.linear), now)
        if script.fault is Fault.RATE_LIMITED:
            scope = limits.user_scope(call.request.path, "", linear=self._branch.linear)
            limits.tell_refused(response, Verdict(False, wait_s=script.seconds, scope=scope), now)
            call.extra.pop("scope", None)  # what the script says goes before what the meter knows
        return response

    def turned_away(self, verdict: Verdict, call: Call) -> web.Response:
        """Answer one who asked too much: the address is shut out, or the user waits a second."""
        now = self._branch.now_ms
        if verdict.banned:
            return web.Response(text=no.TOO_FREQUENT, status=403, content_type="text/plain")
        response = answer(no.TOO_MANY_VISITS, now)
        limits.tell_refused(response, verdict, now)
        return response

    def finish(self, response: web.Response, call: Call) -> web.Response:
        """Add what is left of the limit."""
        exchange = self._branch.exchange
        limits.tell(response, call, self._meter, exchange.clock.market_ns(), self._branch.now_ms)
        return response

    def _handler(self, route: Route) -> Handler:
        async def handle(call: Call) -> web.Response:
            asked, unknown = let_in(self._branch, route, call)
            self.unknown_params += [f"{route.path} {name}" for name in unknown]
            result = asked if isinstance(asked, Refusal) else route.answer(asked)
            return answer(result, self._branch.now_ms)

        return handle

    def _weigher(self, route: Route) -> Callable[[Call], Mapping[Scope, int]]:
        linear, private = self._branch.linear, route.private
        return lambda call: limits.charge(call, self._address, linear=linear, private=private)


def make(desk: Desk) -> Bybit:
    """Make the dialect for an exchange of perpetuals or of spot."""
    return Bybit(desk)
