"""Say no in Binance's words: codes, messages and statuses that spot and futures share."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from tradelab.rehearsal.faults import Fault

# Sources: developers.binance.com, "Error codes" of the spot and of the USDⓈ-M API, and what ccxt 4.5.90 quotes.
UNAUTHORIZED = 401
UNKNOWN_WORDS = "Unknown error, please check your request or try again later."
OVERLOADED_WORDS = "Request throttled by system-level protection. Please try again."
TIMEOUT_WORDS = "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
CLOCK_WORDS = "Timestamp for this request is outside of the recvWindow."
MAINTENANCE_WORDS = "System is under maintenance."
LIMIT_WORDS = (
    "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
    "Please use WebSocket Streams for live updates to avoid polling the API."
)
BAN_WORDS = (
    "Way too much request weight used; IP banned until {until_ms}. "
    "Please use WebSocket Streams for live updates to avoid bans."
)
ORDERS_WORDS = "Too many new orders; current limit is {limit} orders per {interval}."
GATEWAY_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "</body>\r\n</html>\r\n"
)


class BinanceError(Exception):
    """A refusal on its way out: what the client will read."""

    def __init__(self, code: int, msg: str, status: int = 400, data: object = None) -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg
        self.status = status
        self.data = data  # of a cancel-replace, both halves

    def body(self) -> dict[str, Any]:
        """Return the JSON object Binance sends."""
        said: dict[str, Any] = {"code": self.code, "msg": self.msg}
        return said if self.data is None else said | {"data": self.data}


def missing(name: str) -> BinanceError:
    """Return the error for a parameter that must be there."""
    return BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def unwanted(name: str) -> BinanceError:
    """Return the error for a parameter that does not belong to this order."""
    return BinanceError(-1106, f"Parameter '{name}' sent when not required.")


def invalid(name: str) -> BinanceError:
    """Return the error for a value that cannot be."""
    return BinanceError(-1130, f"Data sent for parameter '{name}' is not valid.")


def unknown_symbol() -> BinanceError:
    """Return the error for a market that is not listed."""
    return BinanceError(-1121, "Invalid symbol.")


def no_such_order() -> BinanceError:
    """Return the error of a query that found nothing."""
    return BinanceError(-2013, "Order does not exist.")


def unknown_order() -> BinanceError:
    """Return the error of a cancel that found nothing open."""
    return BinanceError(-2011, "Unknown order sent.")


def answer(payload: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer as Binance writes it: compact, UTF-8."""
    text = payload if isinstance(payload, str) else json.dumps(payload, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json", charset="UTF-8", headers=headers)


def refuse(error: BinanceError, headers: dict[str, str] | None = None) -> web.Response:
    """Return an error as an answer."""
    return answer(error.body(), error.status, headers)


def gateway() -> web.Response:
    """Return the page a broken gateway shows."""
    return web.Response(text=GATEWAY_PAGE, status=502, content_type="text/html")


COMMON_FAULTS: dict[Fault, BinanceError] = {
    Fault.OVERLOADED: BinanceError(-1008, OVERLOADED_WORDS, 503),
    Fault.MAINTENANCE: BinanceError(1, MAINTENANCE_WORDS, 503),
    Fault.CLOCK: BinanceError(-1021, CLOCK_WORDS),
    Fault.CANCEL_REJECTED: unknown_order(),
    Fault.UNKNOWN_ERROR: BinanceError(-1000, UNKNOWN_WORDS, 503),
    Fault.STATUS_UNKNOWN: BinanceError(-1007, TIMEOUT_WORDS, 504),
}
