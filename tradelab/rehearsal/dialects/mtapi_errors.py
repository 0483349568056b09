"""Say no as mtapi.io does: status 201 with a code and a message, where MetaTrader is asked; HTTP before it.

That errors come with status 201, and the codes marked so, were seen by tartarixinc/TScopier (its
docs/mtapi-conformance-sanitized.md). The others are MetaTrader's own names, put into the same form: assumed.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.faults import Fault

INVALID_ACCOUNT = ("INVALID_ACCOUNT", "Invalid account")  # seen
INVALID_TOKEN = "INVALID_TOKEN"  # seen; the message names the token
NULL_ARGUMENT = ("NULL_ARGUMENT", "Value cannot be null. (Parameter 'id')")  # seen
INVALID_SYMBOL = ("INVALID_SYMBOL", "Symbol not found")  # seen
INVALID_TICKET = ("INVALID_TICKET", "Order or position not found")  # seen
INVALID_PRICE = ("INVALID_PRICE", "Invalid price in the request")  # seen
INVALID_REQUEST = ("INVALID_REQUEST", "Invalid request")  # seen
MARKET_CLOSED = ("MARKET_CLOSED", "Market is closed")  # seen
TIMEOUT = ("TIMEOUT", "Trade timeout")  # seen
CONNECT_ERROR = ("CONNECT_ERROR", "Cannot access a disposed object")  # seen
INVALID_STOPS = ("INVALID_STOPS", "Invalid stops in the request")  # seen by a client of mt4.mtapi.be
INTERNAL_ERROR = ("INTERNAL_ERROR", "Internal error")  # docs.metatraderapi.dev
INVALID_VOLUME = ("INVALID_VOLUME", "Invalid volume in the request")
INVALID_EXPIRATION = ("INVALID_EXPIRATION", "Invalid order expiration date in the request")
INVALID_CLOSE_VOLUME = ("INVALID_CLOSE_VOLUME", "A close volume exceeds the current position volume")
NO_MONEY = ("NO_MONEY", "There is not enough money to complete the request")
NO_CHANGES = ("NO_CHANGES", "No changes in request")
PRICE_OFF = ("PRICE_OFF", "There are no quotes to process the request")
LIMIT_ORDERS = ("LIMIT_ORDERS", "The number of pending orders has reached the limit")
FROZEN = ("FROZEN", "Order or position frozen")
SERVER_BUSY = ("SERVER_BUSY", "Trade server is busy")
CONNECTION = ("CONNECTION", "No connection with the trade server")

Words = tuple[str, str]
REFUSED: dict[RefusalCode, Words] = {
    RefusalCode.QTY_STEP: INVALID_VOLUME,
    RefusalCode.MIN_QTY: INVALID_VOLUME,
    RefusalCode.MAX_QTY: INVALID_VOLUME,
    RefusalCode.TICK: INVALID_PRICE,
    RefusalCode.PRICE_LIMIT: INVALID_PRICE,
    RefusalCode.STOP_WOULD_TRIGGER: INVALID_PRICE,
    RefusalCode.PROTECTION: INVALID_STOPS,
    RefusalCode.MARGIN: NO_MONEY,
    RefusalCode.MARKET_CLOSED: MARKET_CLOSED,
    RefusalCode.UNKNOWN_SYMBOL: INVALID_SYMBOL,
    RefusalCode.TOO_MANY_ORDERS: LIMIT_ORDERS,
    RefusalCode.POSITION_NOT_FOUND: INVALID_TICKET,
    RefusalCode.ORDER_CLOSED: INVALID_TICKET,
    RefusalCode.NO_CHANGE: NO_CHANGES,
}
_SCRIPTED: dict[Fault, Words] = {
    Fault.OVERLOADED: SERVER_BUSY,
    Fault.MAINTENANCE: CONNECTION,
    Fault.CLOCK: INVALID_EXPIRATION,  # no request of MetaTrader carries a time of its own: the nearest thing
    Fault.FILTER: INVALID_VOLUME,
    Fault.BALANCE: NO_MONEY,
    Fault.CANCEL_REJECTED: FROZEN,
    Fault.UNKNOWN_ERROR: INTERNAL_ERROR,
    Fault.STATUS_UNKNOWN: TIMEOUT,
}


class Told(Exception):  # noqa: N818 (an answer, not a failure)
    """An answer that ends the handling of a request."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def no(words: Words) -> web.Response:
    """Refuse as the bridge does."""
    code, message = words
    return web.json_response({"message": message, "code": code, "stackTrace": None}, status=201)


def gone(token: str) -> web.Response:
    """There is no session of that name."""
    return no((INVALID_TOKEN, f"Client with id = {token} not found"))


def unreadable(name: str, value: str | None) -> web.Response:
    """A parameter is missing or makes no sense: what ASP.NET says before the bridge is asked (assumed)."""
    says = f"The {name} field is required." if value is None else f"The value '{value}' is not valid."
    problem: dict[str, Any] = {
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "errors": {name: [says]},
    }
    return web.json_response(problem, status=400, content_type="application/problem+json")


def scripted(fault: Fault, seconds: float) -> web.Response:
    """Answer a fault."""
    if fault in _SCRIPTED:
        return no(_SCRIPTED[fault])
    if fault is Fault.GATEWAY:
        page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
        return web.Response(text=page, status=502, content_type="text/html")
    status = 403 if fault is Fault.BANNED else 429
    answer = web.Response(text="Too many requests", status=status, content_type="text/plain")
    answer.headers["Retry-After"] = str(max(1, round(seconds)))
    return answer
