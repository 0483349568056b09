"""Speak the little of Binance's spot protocol that a download needs, over local HTTP, with faults on request."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

HOUR_MS = 3_600_000
FIRST_MS = 1_704_067_200_000  # 2024-01-01 00:00 UTC


@dataclass
class Exchange:
    """What the server knows: one market, hourly klines, a clock, and the faults still to be served."""

    bars: int = 2500
    now_ms: int = FIRST_MS + 2499 * HOUR_MS + HOUR_MS // 2  # the last bar is half an hour old
    missing: set[int] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)  # served one a kline request, "" for none
    asked: list[dict[str, str]] = field(default_factory=list)

    def klines(self, query: dict[str, str]) -> list[list[object]]:
        start, limit = int(query.get("startTime", 0)), int(query.get("limit", 500))
        numbers = [k for k in range(self.bars) if FIRST_MS + k * HOUR_MS >= start and k not in self.missing]
        return [kline(k) for k in numbers[:limit]]


def kline(k: int) -> list[object]:
    """Return bar ``k`` in Binance's form: prices as text, twelve fields."""
    opened = FIRST_MS + k * HOUR_MS
    price = 40_000 + k
    return [
        opened, f"{price}.10000000", f"{price + 9}.50000000", f"{price - 9}.25000000", f"{price}.70000000",
        f"{k}.12345000", opened + HOUR_MS - 1, "1.00000000", 10, "0.5", "0.5", "0",
    ]  # fmt: skip


def exchange_info() -> dict[str, object]:
    """Return one spot market with its filters."""
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.0", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
    ]  # fmt: skip
    symbol = {
        "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
        "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT", "MARKET"], "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False, "permissions": ["SPOT"], "permissionSets": [["SPOT"]], "filters": filters,
    }  # fmt: skip
    return {"timezone": "UTC", "serverTime": FIRST_MS, "rateLimits": [], "exchangeFilters": [], "symbols": [symbol]}


@contextmanager
def serving(exchange: Exchange) -> Iterator[str]:
    """Serve on a free port of this machine and give the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = dict(parse_qsl(url.query))
            if url.path == "/api/v3/exchangeInfo":
                self.answer(exchange_info())
            elif url.path == "/api/v3/time":
                self.answer({"serverTime": exchange.now_ms})
            elif url.path == "/api/v3/klines":
                exchange.asked.append(query)
                self.klines(query, exchange.faults.pop(0) if exchange.faults else "")
            else:
                self.answer({"code": -1, "msg": f"unknown path {url.path}"}, status=404)

        def klines(self, query: dict[str, str], fault: str) -> None:
            if fault == "429":
                self.answer({"code": -1003, "msg": "Too many requests."}, status=429, headers={"Retry-After": "7"})
            elif fault == "503":
                self.answer({"msg": "try later"}, status=503)
            elif fault == "cut":  # promises more than it sends, then hangs up
                body = json.dumps(exchange.klines(query)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            elif fault == "refuse":
                self.answer({"code": -1100, "msg": "Illegal characters found in parameter."}, status=400)
            else:
                self.answer(exchange.klines(query))

        def answer(self, what: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
            body = json.dumps(what).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **(headers or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
