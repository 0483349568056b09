"""Answer clients on this machine: what is true, what happens, how it is, and commands; the engine's own loop serves."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from aiohttp import web

from tradelab.app.analytics_view import analytics_view
from tradelab.app.daemon_commands import require_text
from tradelab.app.daemon_events import known_kinds
from tradelab.app.daemon_views import snapshot_view
from tradelab.app.webhook import LARGEST, read_signal
from tradelab.model.credentials import Secret
from tradelab.model.errors import (
    ConfigError,
    ConnectivityError,
    LeaseError,
    ParameterError,
    StorageError,
    TradelabError,
    UnknownNameError,
)

if TYPE_CHECKING:
    from tradelab.app.daemon_commands import CommandDesk
    from tradelab.app.daemon_events import Hub
    from tradelab.app.engine_port import Engine
    from tradelab.app.webhook import Door

_log = logging.getLogger(__name__)
_STATUS: tuple[tuple[type[TradelabError], int], ...] = (
    (ConfigError, 400),
    (LeaseError, 409),
    (StorageError, 503),
    (ConnectivityError, 503),
)
_DIGITS = 18  # of the largest number of a message: what the records' column can hold
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Served(Protocol):
    """What the API shows of a daemon."""

    engine: Engine
    hub: Hub
    desk: CommandDesk
    door: Door | None
    phase: str

    async def health(self) -> dict[str, Any]:
        """Return how the daemon and its engine are."""
        ...

    def metrics(self) -> str:
        """Return figures, as Prometheus reads them."""
        ...

    def ask_to_stop(self, policy: str | None) -> None:
        """Let the daemon end; returns at once."""
        ...


class Api:
    """The routes of a daemon.

    Parameters
    ----------
    token
        What every request must carry, where anybody on this machine can reach the door; ``None`` at a unix socket.
    """

    def __init__(self, daemon: Served, *, token: Secret | None = None) -> None:
        self._daemon = daemon
        self._token = token

    def application(self) -> web.Application:
        """Return all routes, for the local door."""
        app = web.Application(middlewares=[self._only_with_token, _errors_as_json], client_max_size=LARGEST)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/snapshot", self._snapshot),
                web.get("/events", self._events),
                web.get("/metrics", self._metrics),
                web.get("/analytics", self._analytics),
                web.post("/command", self._command),
                web.post("/stop", self._stop),
                web.post("/signal", self._signal),
            ]
        )
        return app

    def webhook(self) -> web.Application:
        """Return the one route that the network may reach: signed signals."""
        app = web.Application(middlewares=[_errors_as_json], client_max_size=LARGEST)
        app.add_routes([web.post("/signal", self._signal)])
        return app

    # ── routes ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _health(self, _: web.Request) -> web.Response:
        told = await self._daemon.health()
        return web.json_response(told, status=200 if told["ok"] else 503)

    async def _snapshot(self, _: web.Request) -> web.Response:
        self._require_running()
        return web.json_response(snapshot_view(self._daemon.engine))

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self._daemon.metrics().encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    async def _analytics(self, request: web.Request) -> web.Response:
        """Tell figures of trading: ``by``, and where given ``first``, ``last``, ``least_trades``, ``least_days``."""
        self._require_running()
        return web.json_response(analytics_view(self._daemon.engine, request.query))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Stream what happens; a resume is ``Last-Event-ID`` as browsers send it, or ``?after=``."""
        after = _number(request.headers.get("Last-Event-ID") or request.query.get("after"))
        self._require_said(after)
        kinds = tuple(name for name in request.query.get("kinds", "").split(",") if name)
        for kind in kinds:
            if kind not in known_kinds():
                raise UnknownNameError.of("kind of event", kind, known_kinds())
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)

        def cut() -> None:
            if request.transport is not None:
                request.transport.abort()  # what waits in the kernel for one who does not read is let go too

        frames = self._daemon.hub.read(after, kinds, cut)
        try:
            async for frame in frames:
                await response.write(frame)
        except (ConnectionError, asyncio.CancelledError):  # he went away, or was cut off; both are usual
            _log.debug("a reader of events is gone")
        finally:
            await frames.aclose()
        return response

    async def _command(self, request: web.Request) -> web.Response:
        self._require_running()
        told = await _json(request)
        unknown = [name for name in told if name not in ("id", "name", "arguments", "by")]
        if unknown or not isinstance(told.get("arguments", {}), dict):
            raise ParameterError("a command has id, name, arguments (by name) and by.", allowed=["id", "name"])
        id_, name, by = (told.get(key, "") for key in ("id", "name", "by"))
        if not all(isinstance(text, str) for text in (id_, name, by)) or not id_:
            raise ParameterError("a command needs an id, the same when it is sent again.", fix="Take a new UUID.")
        require_text(id_ + by)
        done = await self._daemon.desk.do(name, told.get("arguments", {}), id=id_, by=by or "local")
        return web.json_response({"id": id_, "done": done.done, "says": done.says})

    async def _stop(self, request: web.Request) -> web.Response:
        told = await _json(request)
        policy = told.get("policy")
        if policy not in (None, "keep", "cancel_entries", "flatten"):
            raise ParameterError(f"policy {policy!r} is none.", allowed=["keep", "cancel_entries", "flatten"])
        self._daemon.ask_to_stop(policy)
        return web.json_response({"done": True, "says": "it stops"}, status=202)

    async def _signal(self, request: web.Request) -> web.Response:
        door = self._daemon.door
        if door is None:
            raise ConfigError("this daemon takes no signed signals.", fix="See: docs/live.md, the webhook.")
        self._require_running()  # before the door, which lets each request through once
        body = await request.read()
        refused = door.why_not(request.headers, body)
        if refused is not None:
            _log.warning("a signal from %s was refused: %s", request.remote or "this machine", refused)
            return web.json_response({"error": "Refused", "says": f"{refused}."}, status=401)
        arguments = read_signal(body, "webhook")
        done = await self._daemon.desk.do("signal", arguments, id=f"signal {arguments['id']}", by="webhook")
        return web.json_response({"id": arguments["id"], "done": done.done, "says": done.says})

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    @web.middleware
    async def _only_with_token(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._token is not None:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.reveal().encode()):
                says = "the token is missing or wrong; it stands in daemon.json of the node's run folder."
                return web.json_response({"error": "Refused", "says": says}, status=401)
        return await handler(request)

    def _require_said(self, after: int | None) -> None:
        """Refuse a number that no message has had yet: who waits behind it would hear nothing, and not know why."""
        last = self._daemon.engine.ledger.seq
        if self._daemon.phase == "running" and after is not None and after > last:
            raise ParameterError(
                f"there is no message {after}: the journal ends with {last}.",
                fix="It is another journal than the one that was read before: begin again behind 0.",
            )

    def _require_running(self) -> None:
        if self._daemon.phase != "running":
            raise StorageError(f"the engine is {self._daemon.phase}.", fix="Wait a moment, then ask again.")


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer one of our errors with its words; anything else is logged, and told without its inside."""
    try:
        return await handler(request)
    except TradelabError as error:
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        told = {
            "error": type(error).__name__, "says": error.problem, "allowed": [str(each) for each in error.allowed],
            "fix": error.fix,
        }  # fmt: skip
        return web.json_response(told, status=status)
    except web.HTTPException as error:
        told = {"error": "RequestError", "says": f"{request.method} {request.path}: {error.reason}.", "fix": ""}
        return web.json_response(told, status=error.status)
    except Exception:  # noqa: BLE001 (a mistake of ours must not end the door; it is in the log)
        _log.exception("%s %s failed", request.method, request.path)
        return web.json_response({"error": "InvariantError", "says": "it failed; the log says how."}, status=500)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        told = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"the body is no JSON: {error}.") from None
    if not isinstance(told, dict):
        raise ParameterError("the body is not one JSON object.")
    return told


def _number(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise ParameterError(
            f"an event's number is a whole one, not {text[:40]!r}.", fix="Send the last id that you saw."
        )
    return int(text)
