"""Serve recorded bodies of a venue on loopback, whatever is asked, and make the real client read them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tradelab.adapters.ccxt_venue import CcxtVenue

NOW_MS = 1_746_947_400_000


@asynccontextmanager
async def recorded(
    exchange: str, market: str, folder: Path, files: Mapping[str, str], canary: str
) -> AsyncIterator[tuple[CcxtVenue, list[web.Request]]]:
    """Give a connected venue whose every answer is a file, or an empty one of the venue's own shape.

    Parameters
    ----------
    files
        Path of the request to path of the body, below ``folder``.
    canary
        The secret that signs; it must be found nowhere.
    """
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        await request.read()  # kept with the request, for who looks at it later
        asked.append(request)
        name = files.get(request.path)
        told = _empty(request.path) if name is None else json.loads((folder / name).read_text())
        return web.json_response(told)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    login = {"api_key": "k", "api_secret": _base64(canary) if exchange == "kraken" else canary, "api_passphrase": "p"}
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    venue = CcxtVenue(exchange, market=market, base_url=url, credentials=login)
    try:
        if exchange == "okx":  # ccxt names the types of its markets otherwise there
            venue._client.raw.options["fetchMarkets"] = {"types": ["SPOT" if market == "spot" else "SWAP"]}
        await venue.connect()
        yield venue, asked
    finally:
        await venue.disconnect()
        await runner.cleanup()


def _empty(path: str) -> dict[str, Any]:
    if path.startswith("/0/"):
        return {"error": [], "result": {"unixtime": NOW_MS // 1000, "open": {}, "closed": {}, "trades": {}, "count": 0}}
    rows = {"/api/v5/public/time": [{"ts": str(NOW_MS)}], "/api/v5/account/config": [{"posMode": "net_mode"}]}
    return {"code": "0", "msg": "", "data": rows.get(path, [])}


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()
