"""Say no as MetaApi says it: return codes of MetaTrader with status 200, error bodies with the others.

Sources: https://metaapi.cloud/docs/client/models/metatraderTradeResponse/ (codes),
https://metaapi.cloud/docs/client/models/tooManyRequestsError/, https://metaapi.cloud/docs/client/models/webSocketError/.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.dialects.metaapi_times import iso
from tradelab.rehearsal.faults import Fault

DONE = (10009, "TRADE_RETCODE_DONE", "Request completed")
PLACED = (10008, "TRADE_RETCODE_PLACED", "Order placed")
PARTIAL = (10010, "TRADE_RETCODE_DONE_PARTIAL", "Only part of the request was completed")
NO_CHANGES = (10025, "TRADE_RETCODE_NO_CHANGES", "No changes in request")
TIMEOUT = (10012, "TRADE_RETCODE_TIMEOUT", "Request canceled by timeout")
PRICE_OFF = (10021, "TRADE_RETCODE_PRICE_OFF", "There are no quotes to process the request")
INVALID = (10013, "TRADE_RETCODE_INVALID", "Invalid request")
INVALID_PRICE = (10015, "TRADE_RETCODE_INVALID_PRICE", "Invalid price in the request")
INVALID_STOPS = (10016, "TRADE_RETCODE_INVALID_STOPS", "Invalid stops in the request")
INVALID_VOLUME = (10014, "TRADE_RETCODE_INVALID_VOLUME", "Invalid volume in the request")
INVALID_EXPIRATION = (10022, "TRADE_RETCODE_INVALID_EXPIRATION", "Invalid order expiration date in the request")
CLOSE_VOLUME = (10038, "TRADE_RETCODE_INVALID_CLOSE_VOLUME", "Close volume exceeds the current position volume")
NO_MONEY = (10019, "TRADE_RETCODE_NO_MONEY", "There is not enough money to complete the request")
FROZEN = (10029, "TRADE_RETCODE_FROZEN", "Order or position frozen")
TOO_MANY = (10024, "TRADE_RETCODE_TOO_MANY_REQUESTS", "Too frequent requests")
NO_POSITION = (4753, "ERR_TRADE_POSITION_NOT_FOUND", "Position not found")
NO_ORDER = (4754, "ERR_TRADE_ORDER_NOT_FOUND", "Order not found")
UNSUPPORTED = (-4, "TRADE_RETCODE_ORDER_TYPE_NOT_SUPPORTED", "Order type not supported")
NOT_SYNCHRONIZED = (-5, "ERR_NOT_SYNCHRONIZED", "Server-side synchronization required")

Code = tuple[int, str, str]

CODES: dict[RefusalCode, Code] = {
    RefusalCode.QTY_STEP: INVALID_VOLUME,
    RefusalCode.MIN_QTY: INVALID_VOLUME,
    RefusalCode.MAX_QTY: INVALID_VOLUME,
    RefusalCode.TICK: INVALID_PRICE,
    RefusalCode.PRICE_LIMIT: INVALID_PRICE,
    RefusalCode.STOP_WOULD_TRIGGER: INVALID_PRICE,
    RefusalCode.WOULD_TAKE: INVALID_PRICE,
    RefusalCode.PROTECTION: INVALID_STOPS,
    RefusalCode.MARGIN: NO_MONEY,
    RefusalCode.MARKET_CLOSED: (10018, "TRADE_RETCODE_MARKET_CLOSED", "Market is closed"),
    RefusalCode.TOO_MANY_ORDERS: (
        10033, "TRADE_RETCODE_LIMIT_ORDERS", "The number of pending orders has reached the limit",
    ),
    RefusalCode.POSITION_NOT_FOUND: NO_POSITION,
    RefusalCode.ORDER_CLOSED: NO_ORDER,
    RefusalCode.NO_CHANGE: NO_CHANGES,
}  # fmt: skip


class Told(Exception):  # noqa: N818 (an answer, not a failure)
    """An answer that ends the handling of a request."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def body(error: str, message: str, **more: Any) -> dict[str, Any]:
    """Return the body of an error."""
    return {"id": 1, "error": error, "message": message, **more}


def unauthorized() -> web.Response:
    """The token is missing or wrong."""
    return web.json_response(body("UnauthorizedError", "Authorization token invalid"), status=401)


def forbidden() -> web.Response:
    """The token is right and does not reach so far."""
    message = "You can not invoke this method, because you have used an account access token."
    return web.json_response(body("ForbiddenError", message), status=403)


def not_found(message: str) -> web.Response:
    """There is no such account, symbol, order or position."""
    return web.json_response(body("NotFoundError", message), status=404)


def invalid(parameter: str, message: str = "Required value.") -> web.Response:
    """A parameter is missing or makes no sense."""
    details = [{"parameter": parameter, "message": message}]
    text = "Validation failed, check error.details for more information"
    return web.json_response(body("ValidationError", text, details=details), status=400)


def too_many(wait_s: float, now_ns: int, period: str = "1s", total: int = 2000) -> web.Response:
    """Too many credits were asked for; says until when to wait, in the body and in Retry-After."""
    message = (
        f"The API allows {total} cpu credits per {period} to avoid overloading our servers. Please wait some time and "
        "retry your request or contact support to extend your quota. For more information see "
        "https://metaapi.cloud/docs/client/rateLimiting/"
    )
    metadata = {
        "total": total, "available": 0, "needed": 50, "resourceId": "user:userId",
        "multiplierId": "accountCount:userId", "exceededConfig": "perUser", "exceededPeriod": period,
        "recommendedRetryTime": iso(now_ns + int(wait_s * 1e9)), "type": "LIMIT_REQUEST_RATE_PER_USER",
    }  # fmt: skip
    answer = web.json_response(body("TooManyRequestsError", message, metadata=metadata), status=429)
    answer.headers["Retry-After"] = str(max(1, round(wait_s)))
    return answer


def trade_says(code: Code, **ids: str) -> web.Response:
    """Answer a trade: status 200 whatever the code says."""
    number, name, message = code
    return web.json_response({"numericCode": number, "stringCode": name, "message": message, **ids})


def scripted(fault: Fault, kind: str, seconds: float, now_ns: int) -> web.Response:
    """Answer a fault; trades say it by a return code, reads by a status."""
    is_trade = kind in ("submit", "cancel", "modify", "protect")
    if fault in (Fault.RATE_LIMITED, Fault.BANNED):  # no ban is documented: only a longer wait
        return too_many(seconds, now_ns)
    if fault is Fault.GATEWAY:
        page = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
        return web.Response(text=page, status=502, content_type="text/html")
    if fault is Fault.CLOCK:  # nothing is signed with a time; a token that has run out is the nearest thing
        return web.json_response(body("UnauthorizedError", "Authorization token expired"), status=401)
    if is_trade and fault in _TRADE:
        return trade_says(_TRADE[fault])
    if fault in (Fault.OVERLOADED, Fault.MAINTENANCE):
        message = "Timed out waiting for the account to connect to broker. It may not be connected to broker yet."
        return web.json_response(body("TimeoutError", message), status=504)
    if fault is Fault.UNKNOWN_ERROR or fault is Fault.STATUS_UNKNOWN:
        return web.json_response(body("InternalError", "Unexpected error, please contact support"), status=500)
    return invalid("request", f"{fault.value} by script")


_TRADE: dict[Fault, Code] = {
    Fault.OVERLOADED: TOO_MANY,
    Fault.MAINTENANCE: NOT_SYNCHRONIZED,
    Fault.FILTER: INVALID_VOLUME,
    Fault.BALANCE: NO_MONEY,
    Fault.CANCEL_REJECTED: FROZEN,
    Fault.STATUS_UNKNOWN: TIMEOUT,
}
