"""Serve a venue on loopback: REST and WebSockets of its dialect, faults as scripted, a door for the script."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from tradelab.rehearsal.dialect import Call, Desk, Dialect, Endpoint, Maker
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.faults import Fault, Faults, Script
from tradelab.rehearsal.hub import Hub
from tradelab.rehearsal.meter import Meter

LOG_LENGTH = 10_000
_HANG_S = 3600.0
_LONGEST_LEAP_S = 6.0  # of the market, between two looks at the clock, where the machine can keep up
_SHORTEST_STEP_S = 0.01


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the venue saw it: when, what for, with which parameters, and how it was answered."""

    ts_ns: int
    kind: str
    method: str
    path: str
    params: dict[str, str]
    fault: str | None
    status: int | None


class Server:
    """One venue behind one port of this machine.

    The exchange outlives the server: :meth:`kill` breaks every connection at once, as a crash does, and a server
    started again on the same exchange has kept what it had taken.
    """

    def __init__(self, exchange: Exchange, make: Maker, *, save: Callable[[], None] | None = None) -> None:
        self.exchange = exchange
        self.faults = Faults()
        self.meter = Meter()
        self.hub = Hub(exchange.clock, self.faults)
        self.dialect: Dialect = make(Desk(exchange, self.hub, self.meter))
        self.log: deque[Asked] = deque(maxlen=LOG_LENGTH)
        self.port = 0
        self._save = save
        self._runner: web.AppRunner | None = None
        self._pump: asyncio.Task[None] | None = None
        self._next_of_kind: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        exchange.listeners.append(self.dialect.on_event)

    @property
    def url(self) -> str:
        """Where the venue is."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0, *, control: Callable[[web.Application, Server], None] | None = None) -> None:
        """Listen on a port of loopback; 0 takes a free one, and a restart takes the one from before."""
        app = web.Application(client_max_size=1_000_000)
        if control is not None:
            control(app, self)
        for endpoint in self.dialect.endpoints():
            app.router.add_route(endpoint.method, endpoint.path, self._answering(endpoint))
        for path, answer in self.dialect.sockets():
            app.router.add_get(path, self._streaming(answer))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._pump = asyncio.create_task(self._keep_time())

    async def stop(self) -> None:
        """Close every connection and the port."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        await self.hub.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def kill(self) -> None:
        """Break everything at once, as the death of the venue does; what it had taken it keeps."""
        server = None if self._runner is None else self._runner.server
        for connection in list(getattr(server, "connections", ())):
            if connection.transport is not None:
                connection.transport.abort()
        await self.stop()

    async def advance(self) -> None:
        """Let the market happen up to now and give the frames time to leave."""
        self._move()
        await asyncio.sleep(0)

    def keep(self) -> None:
        """Save what changed, where state is kept; called before anybody is told of it."""
        if self._save is not None:
            self._save()

    def _move(self) -> None:
        self.exchange.advance()
        self.keep()  # frames of what just happened leave when we next wait, so not before this

    # ── one request ──────────────────────────────────────────────────────────────────────────────────────────────

    def _answering(self, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            call = await _read(request)
            kind = endpoint.kind_of(call)
            script = self.faults.take(kind)
            response: web.StreamResponse | None = None
            try:
                response = await self._respond(endpoint, call, script)
                return response
            finally:
                self.log.append(_asked(self.exchange.now_ns, kind, call, script, response))
                self._next_of_kind.pop(kind, asyncio.Event()).set()

        return answer

    async def _respond(self, endpoint: Endpoint, call: Call, script: Script | None) -> web.StreamResponse:
        fault = None if script is None else script.fault
        sleep = self.exchange.clock.base.sleep
        if script is not None:
            if fault is Fault.LOST:
                return await _break(call)
            if fault is Fault.DELAY:
                await sleep(script.seconds)
            elif fault is Fault.REORDER:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._next_of_kind[endpoint.kind_of(call)].wait(), timeout=script.seconds)
        self._move()
        charged = self._charge(endpoint, call)
        if charged is not None:
            return charged
        if script is not None and _is_answer(script.fault) and not script.executed:
            self._after_ban(script, call)
            return self.dialect.finish(self.dialect.fault(script, call), call)
        response = await endpoint.handler(call)
        if fault is Fault.DUPLICATE:
            await endpoint.handler(call)
        self.keep()
        if script is not None:
            if _is_answer(script.fault):
                return self.dialect.finish(self.dialect.fault(script, call), call)
            if script.fault.comes_after:
                return await self._spoil(script, call, response)
        return self.dialect.finish(response, call)

    def _charge(self, endpoint: Endpoint, call: Call) -> web.StreamResponse | None:
        weights = endpoint.weights(call) if callable(endpoint.weights) else endpoint.weights
        verdict = self.meter.charge(call.request.remote or "", dict(weights), self.exchange.clock.market_ns())
        return None if verdict.allowed else self.dialect.turned_away(verdict, call)

    def _after_ban(self, script: Script, call: Call) -> None:
        if script.fault is Fault.BANNED:
            self.meter.ban(call.request.remote or "", script.seconds, self.exchange.clock.market_ns())

    async def _spoil(self, script: Script, call: Call, response: web.Response) -> web.StreamResponse:
        """Let the answer to a request that was taken not come whole."""
        if script.fault is Fault.RESET:
            return await _break(call)
        if script.fault is Fault.TRUNCATED:
            body = response.body if isinstance(response.body, bytes) else b""
            half = body[: max(1, len(body) // 3)]
            return web.Response(body=half, status=response.status, content_type="application/json")
        await (asyncio.sleep(_HANG_S) if script.fault is Fault.HANG else self._wait(script.seconds))
        return self.dialect.finish(response, call)

    async def _wait(self, seconds: float) -> None:
        await self.exchange.clock.base.sleep(seconds)

    def _streaming(
        self, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def stream(request: web.Request) -> web.StreamResponse:
            script = self.faults.take("stream")
            if script is not None and script.fault is Fault.LOST:
                return await _break(await _read(request))
            if script is not None:
                return self.dialect.fault(script, await _read(request))
            return await answer(request)

        return stream

    async def _keep_time(self) -> None:
        """Move the market although nobody asks, ten times a second, oftener where its clock runs fast."""
        while True:
            await asyncio.sleep(max(_SHORTEST_STEP_S, min(0.1, _LONGEST_LEAP_S / self.exchange.clock.hurry)))
            self._move()


def _is_answer(fault: Fault) -> bool:
    return fault in _ANSWERS


_ANSWERS = frozenset(
    {
        Fault.RATE_LIMITED, Fault.BANNED, Fault.OVERLOADED, Fault.MAINTENANCE, Fault.CLOCK, Fault.FILTER,
        Fault.BALANCE, Fault.CANCEL_REJECTED, Fault.UNKNOWN_ERROR, Fault.STATUS_UNKNOWN, Fault.GATEWAY,
    }
)  # fmt: skip


async def _read(request: web.Request) -> Call:
    body = await request.read()
    params: dict[str, str] = dict(request.query)
    if request.content_type == "application/x-www-form-urlencoded":
        try:
            params |= {k: str(v) for k, v in (await request.post()).items()}
        except (ValueError, LookupError):
            raise web.HTTPBadRequest(text="the form cannot be read") from None
    return Call(request, request.rel_url.raw_query_string, body, params, dict(request.match_info))


class _Broken(web.Response):
    """Stands for the answer that never comes: aiohttp finds nobody to write it to, and makes no noise about it."""


async def _break(call: Call) -> web.StreamResponse:
    """Break the connection without a word."""
    if call.request.transport is not None:
        call.request.transport.abort()
    await asyncio.sleep(0)
    return _Broken()


def _asked(ts_ns: int, kind: str, call: Call, script: Script | None, response: web.StreamResponse | None) -> Asked:
    shown = {k: v for k, v in call.params.items() if k.lower() not in _SECRET}
    fault = None if script is None else script.fault.value
    status = None if response is None or isinstance(response, _Broken) else response.status
    return Asked(ts_ns, kind, call.request.method, call.request.path, shown, fault, status)


_SECRET = frozenset({"signature", "password", "id", "apikey", "auth-token"})
