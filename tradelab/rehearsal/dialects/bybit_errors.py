"""Say no as Bybit does: its codes, its words, and which of ours they stand for.

Codes and texts are those of https://bybit-exchange.github.io/docs/v5/error ("UTA" for linear, "Spot Trade" for spot);
where the venue is known to answer in other words than its table, those are used and marked "seen".
"""

from __future__ import annotations

from dataclasses import dataclass

from tradelab.model.outcome import RefusalCode
from tradelab.rehearsal.faults import Fault


@dataclass(frozen=True, slots=True)
class Refusal:
    """A ``retCode`` and its ``retMsg``; ``status`` is of HTTP, which is 200 for nearly all of them."""

    code: int
    says: str
    status: int = 200


# ── at the door ──────────────────────────────────────────────────────────────────────────────────────────────────────
NO_CREDENTIALS = Refusal(10001, "empty value: apiTimestamp[] apiKey[] apiSignature[]", 401)
BAD_KEY = Refusal(10003, "API key is invalid.")
BAD_SIGN = Refusal(10004, "Error sign, please check your signature generation algorithm.")
NO_LEAVE = Refusal(10005, "Permission denied, please check your API key permissions.")
TOO_MANY_VISITS = Refusal(10006, "Too many visits. Exceeded the API Rate Limit.")
TOO_FREQUENT = "403, access too frequent"  # docs/v5/rate-limit; the body is not documented
ILLEGAL_CATEGORY = Refusal(10001, "Illegal category")
UNKNOWN_LINEAR = Refusal(10001, "Not supported symbols")  # seen, ccxt's table
UNKNOWN_SPOT = Refusal(170121, "Invalid symbol.")

# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────
DUPLICATE_LINEAR = Refusal(110072, "OrderLinkedID is duplicate")
DUPLICATE_SPOT = Refusal(170141, "Duplicate clientOrderId")
GONE_CANCEL = Refusal(110001, "order not exists or too late to cancel")  # seen
GONE_AMEND = Refusal(110001, "order not exists or too late to replace")  # seen
GONE_SPOT = Refusal(170213, "Order does not exist.")
UNCHANGED = Refusal(10001, "The order remains unchanged as the parameters entered match the existing ones.")  # seen
BELOW_FILLED = Refusal(110064, "The modified contract quantity cannot be less than or equal to the filled quantity.")
NO_ORDER_NAMED = Refusal(10001, "params error: orderId or orderLinkId is required")
HEDGE_IDX = Refusal(10001, "position idx not match position mode")  # seen
RISING_PASSED = Refusal(110092, "expect Rising, but trigger_price <= current??LastPrice")
FALLING_PASSED = Refusal(110093, "expect Falling, but trigger_price >= current??LastPrice")

# ── positions ────────────────────────────────────────────────────────────────────────────────────────────────────────
LEVERAGE_SAME = Refusal(110043, "leverage not modified")  # seen; the table has "Set leverage has not been modified."
LEVERAGE_TOO_HIGH = Refusal(110013, "Cannot set leverage due to risk limit level.")
LEVERAGE_MARGIN = Refusal(110044, "Available margin is insufficient.")
NO_POSITION = Refusal(10001, "can not set tp/sl/ts for zero position")  # seen
STOP_SAME = Refusal(34040, "not modified")  # seen; the table has "Not modified."
MODE_SAME = Refusal(110025, "Position mode is not modified")
NO_HEDGE = Refusal(110029, "Hedge mode is not supported for this symbol.")
NO_PARTIAL = Refusal(10001, "params error: tpslMode Partial is not played here")  # ours, see the README


def wrong(name: str) -> Refusal:
    """Return the answer to a parameter that cannot be read; the venue names it in many ways."""
    return Refusal(10001, f"params error: {name} invalid")


_OF_ORDERS: dict[RefusalCode, tuple[Refusal, Refusal]] = {  # linear, spot
    RefusalCode.QTY_STEP: (Refusal(10001, "Qty invalid"), Refusal(170137, "Order volume decimal too long")),
    RefusalCode.MIN_QTY: (
        Refusal(10001, "The number of contracts exceeds minimum limit allowed"),  # seen
        Refusal(170136, "Order quantity lower than the minimum."),
    ),
    RefusalCode.MAX_QTY: (
        Refusal(10001, "The number of contracts exceeds maximum limit allowed: too large"),  # seen, ccxt's comments
        Refusal(170135, "Order quantity too large."),
    ),
    RefusalCode.TICK: (Refusal(10001, "Price invalid"), Refusal(170134, "Order price decimal too long.")),
    RefusalCode.PRICE_LIMIT: (
        Refusal(110003, "Order price exceeds the allowable range."),
        Refusal(170132, "Order price too high."),
    ),
    RefusalCode.MIN_NOTIONAL: (
        Refusal(110094, "Order notional value below the lower limit"),
        Refusal(170140, "Order value exceeded lower limit"),
    ),
    RefusalCode.MAX_NOTIONAL: (
        Refusal(110089, "Exceeds the maximum risk limit level"),
        Refusal(170124, "Order amount too large."),
    ),
    RefusalCode.UNKNOWN_SYMBOL: (UNKNOWN_LINEAR, UNKNOWN_SPOT),
    RefusalCode.MARKET_CLOSED: (
        Refusal(110074, "This contract is not live"),
        Refusal(170151, "The trading pair is not open yet"),
    ),
    RefusalCode.BALANCE: (
        Refusal(110004, "Wallet balance is insufficient"),
        Refusal(170131, "Insufficient balance."),  # seen
    ),
    RefusalCode.MARGIN: (
        Refusal(110007, "ab not enough for new order"),  # seen
        Refusal(170131, "Insufficient balance."),
    ),
    RefusalCode.REDUCE_ONLY: (
        Refusal(110017, "Reduce-only rule not satisfied"),
        Refusal(170210, "New order rejected."),
    ),
    RefusalCode.NO_CHANGE: (UNCHANGED, UNCHANGED),
    RefusalCode.ORDER_CLOSED: (GONE_AMEND, GONE_SPOT),
    RefusalCode.TOO_MANY_ORDERS: (
        Refusal(110020, "Not allowed to have more than 500 active orders."),
        Refusal(170005, "Too many new orders; current limit is 500 orders."),
    ),
}

_OF_FAULTS: dict[Fault, tuple[Refusal, Refusal]] = {  # linear, spot
    Fault.RATE_LIMITED: (TOO_MANY_VISITS, TOO_MANY_VISITS),
    Fault.OVERLOADED: (
        Refusal(
            429, "The trading service is experiencing a high server load. Please retry if you encounter this issue."
        ),
    )
    * 2,
    Fault.MAINTENANCE: (
        Refusal(110066, "Trading is currently not allowed."),
        Refusal(170031, "The feature has been suspended"),
    ),
    Fault.FILTER: _OF_ORDERS[RefusalCode.MIN_NOTIONAL],
    Fault.BALANCE: (_OF_ORDERS[RefusalCode.MARGIN][0], _OF_ORDERS[RefusalCode.BALANCE][1]),
    Fault.CANCEL_REJECTED: (
        Refusal(110079, "The order is processing and can not be operated, please try again later"),
        Refusal(170191, "Can not cancel order, please try again later"),
    ),
    Fault.UNKNOWN_ERROR: (Refusal(10016, "Server error."), Refusal(10016, "Server error.")),
    Fault.STATUS_UNKNOWN: (
        Refusal(10000, "Server Timeout"),
        Refusal(170007, "Timeout waiting for response from backend server."),
    ),
}


def of_order(code: RefusalCode, *, linear: bool) -> Refusal:
    """Return what Bybit says where the core says ``code``."""
    pair = _OF_ORDERS.get(code, (Refusal(10001, f"params error: {code.value}"), Refusal(170210, "New order rejected.")))
    return pair[0] if linear else pair[1]


def of_fault(fault: Fault, *, linear: bool) -> Refusal:
    """Return the answer that a scripted fault stands for; clock, ban and gateway are not answers of this kind."""
    pair = _OF_FAULTS[fault]
    return pair[0] if linear else pair[1]


def expired(timestamp_ms: int, server_ms: int, window_ms: int) -> Refusal:
    """Return the answer to a time stamp outside its window (the words seen in public logs)."""
    return Refusal(
        10002,
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{timestamp_ms}],server_timestamp[{server_ms}],recv_window[{window_ms}]",
    )
