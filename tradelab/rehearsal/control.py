"""Open the script's door: the director's calls over HTTP, under ``/rehearsal/``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from aiohttp import web

from tradelab.model.errors import ParameterError, TradelabError, UnknownNameError
from tradelab.rehearsal.reading import from_json
from tradelab.rehearsal.script import Director
from tradelab.rehearsal.server import Server

_CALLS = (
    "fault", "all_well", "skew", "move_price", "release_price", "fill", "expire", "delist", "relist", "deposit",
    "disconnect", "stall",
)  # fmt: skip
_DECIMALS = ("price", "qty", "amount", "depth")


def attach(app: web.Application, server: Server, director: Director) -> None:
    """Add the script's addresses to a venue.

    ``GET /rehearsal/clock`` tells the market's time and the speed at which it runs, ``GET /rehearsal/log`` what was
    asked of the venue, ``GET /rehearsal/faults`` what is still to go wrong, ``GET /rehearsal/orders`` every order, and
    ``POST /rehearsal/<call>`` with a JSON object does what :class:`~tradelab.rehearsal.script.Director` offers.
    """
    app.router.add_get("/rehearsal/clock", _told(lambda: _clock(server)))
    app.router.add_get("/rehearsal/log", _told(lambda: [asdict(a) for a in server.log]))
    app.router.add_get("/rehearsal/faults", _told(lambda: [_plain(asdict(s)) for s in server.faults.waiting()]))
    app.router.add_get("/rehearsal/orders", _told(lambda: [_plain(asdict(o)) for o in server.exchange.orders.values()]))
    for name in _CALLS:
        app.router.add_post(f"/rehearsal/{name}", _called(getattr(director, name), server.keep))


def _clock(server: Server) -> dict[str, Any]:
    clock = server.exchange.clock
    return {"now_ns": clock.market_ns(), "speed": clock.speed, "skew_s": clock.skew_s}


def _told(tell: Callable[[], object]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(tell())

    return answer


def _called(call: Callable[..., object], keep: Callable[[], None]) -> Callable[[web.Request], Awaitable[web.Response]]:
    known = list(inspect.signature(call).parameters)

    async def answer(request: web.Request) -> web.Response:
        try:
            given = from_json(await request.text()) if request.can_read_body else {}
            if not isinstance(given, dict):
                raise ParameterError("the body must be a JSON object.", allowed=known)
            for name in given:
                if name not in known:
                    raise UnknownNameError.of(f"parameter of {call.__name__}", name, known)
            exact = {k: Decimal(str(v)) if k in _DECIMALS and v is not None else v for k, v in given.items()}
            done = call(**exact)
        except (TradelabError, TypeError, ValueError, ArithmeticError) as error:
            return web.json_response({"error": str(error)}, status=400)
        keep()
        return web.json_response({"done": True, "result": done})

    return answer


def _plain(value: Any) -> Any:
    """Return what JSON can say."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(getattr(value, "value", value))
