"""Speak socket.io on a WebSocket: Engine.IO 3, which MetaApi's own clients speak, and 4, which newer ones do.

Sources: https://github.com/socketio/engine.io-protocol and https://github.com/socketio/socket.io-protocol. Long polling
is answered only as far as a client needs it to upgrade (Engine.IO 3). Acknowledgements and binary packets are not
spoken.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tradelab.rehearsal.hub import Hub, Session, converse
from tradelab.rehearsal.reading import from_json

PING_S = 25
_PATIENCE_S = 20
_BEAT_S = 10.0  # of the machine, between signs of life of the venue itself

OnEvent = Callable[[Session, str, Any], Awaitable[None]]


def event(name: str, data: object) -> str:
    """Return the frame of one event."""
    return "42" + json.dumps([name, data], separators=(",", ":"))


async def serve(
    request: web.Request,
    hub: Hub,
    *,
    greet: Callable[[Session], str | None],
    on_event: OnEvent,
    beat: Callable[[Session], None],
    on_close: Callable[[Session], None],
) -> web.StreamResponse:
    """Keep one client until either side ends it.

    Parameters
    ----------
    greet
        Called when the client has come; what it returns is why it may not stay.
    on_event
        Called with each event's name and data.
    beat
        Called every ten seconds of the machine.
    """
    version = request.query.get("EIO", "3")
    if version not in ("3", "4"):
        return web.json_response({"code": 5, "message": "Unsupported protocol version"}, status=400)
    if request.query.get("transport") == "polling":
        return _polled(request, version)
    beats: list[asyncio.Task[None]] = []

    def open_(session: Session) -> None:
        upgrades = "sid" in request.query  # what opens a connection has been said by polling
        if not upgrades:
            session.push("0" + _handshake())
        if version == "3":
            _welcome(session, greet, None if upgrades else "40")
        beats.append(asyncio.create_task(_beat(session, version, beat)))

    async def on_text(session: Session, text: str) -> None:
        if text == "2probe":
            session.push("3probe")
        elif text.startswith("2"):
            session.push("3" + text[1:])
        elif version == "4" and text.startswith("40"):
            _welcome(session, greet, "40" + json.dumps({"sid": secrets.token_hex(10)}))
        elif text.startswith("42"):
            event = _event(text[2:])
            if event is not None:
                await on_event(session, *event)
        elif text.startswith(("1", "41")):
            session.abort()

    def close(session: Session) -> None:
        for task in beats:
            task.cancel()
        on_close(session)

    return await converse(request, hub, on_text, on_open=open_, on_close=close)


def _event(text: str) -> tuple[str, Any] | None:
    """Return an event's name and what it carries; ``None`` for what is no event."""
    try:
        name, *rest = from_json(text)
    except (ValueError, TypeError):
        return None
    return str(name), rest[0] if rest else None


def _welcome(session: Session, greet: Callable[[Session], str | None], welcome: str | None) -> None:
    """Let a client into the namespace, or say why not and end."""
    refusal = greet(session)
    if refusal is not None:
        session.push("44" + json.dumps({"message": refusal}))
        session.push("1")
    elif welcome is not None:
        session.push(welcome)


async def _beat(session: Session, version: str, beat: Callable[[Session], None]) -> None:
    while True:
        await asyncio.sleep(_BEAT_S)
        if version == "4":
            session.push("2")
        beat(session)


def _polled(request: web.Request, version: str) -> web.Response:
    """Answer a poll: with the handshake, or, while the client upgrades, with nothing to tell."""
    if version == "4":
        return web.json_response({"code": 0, "message": "Transport unknown"}, status=400)
    opened = "0" + _handshake()
    text = "1:6" if "sid" in request.query else f"{len(opened)}:{opened}2:40"
    return web.Response(text=text, content_type="text/plain", charset="utf-8")


def _handshake() -> str:
    return json.dumps(
        {
            "sid": secrets.token_hex(10), "upgrades": ["websocket"], "pingInterval": PING_S * 1000,
            "pingTimeout": _PATIENCE_S * 1000, "maxPayload": 1_000_000,
        }
    )  # fmt: skip
