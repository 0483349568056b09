"""Say what each return code of MetaTrader means for an order: accepted, unchanged, refused and why, or nobody knows.

Sources: https://metaapi.cloud/docs/client/models/metatraderTradeResponse/ (success is 0, 10008-10010 and 10025; codes
below zero and 4753, 4754 are MetaApi's), https://www.mql5.com/en/docs/constants/errorswarnings/enum_trade_return_codes
(MT5) and https://docs.mql4.com/constants/errorswarnings/errorcodes (MT4).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from tradelab.model.outcome import RefusalCode


class Verdict(enum.Enum):
    """What a code says where it does not refuse."""

    ACCEPTED = "accepted"
    UNCHANGED = "unchanged"  # it is already as it was asked to be
    UNKNOWN = "unknown"


Meaning = Verdict | RefusalCode


@dataclass(frozen=True, slots=True)
class Code:
    """One return code: MetaTrader's constant, and what it means."""

    constant: str
    meaning: Meaning


_A, _U = Verdict.ACCEPTED, Verdict.UNKNOWN
_R = RefusalCode

TABLE: dict[int, Code] = {
    # MetaApi itself
    -9: Code("ERR_PIP_SIZE_NOT_DEFINED", _R.BAD_REQUEST),
    -8: Code("ERR_INVESTOR", _R.PERMISSION),
    -7: Code("ERR_TRADE_TIMED_OUT", _U),
    -6: Code("ERR_NO_QUOTES", _R.MARKET_CLOSED),
    -5: Code("ERR_NOT_SYNCHRONIZED", _R.MAINTENANCE),
    -4: Code("TRADE_RETCODE_ORDER_TYPE_NOT_SUPPORTED", _R.NOT_SUPPORTED),
    -1: Code("TRADE_RETCODE_UNKNOWN", _U),
    4753: Code("ERR_TRADE_POSITION_NOT_FOUND", _R.POSITION_NOT_FOUND),
    4754: Code("ERR_TRADE_ORDER_NOT_FOUND", _R.ORDER_NOT_FOUND),
    # MetaTrader 5
    10004: Code("TRADE_RETCODE_REQUOTE", _R.STALE_INPUT),
    10006: Code("TRADE_RETCODE_REJECT", _R.OTHER),
    10007: Code("TRADE_RETCODE_CANCEL", _R.OTHER),
    10008: Code("TRADE_RETCODE_PLACED", _A),
    10009: Code("TRADE_RETCODE_DONE", _A),
    10010: Code("TRADE_RETCODE_DONE_PARTIAL", _A),
    10011: Code("TRADE_RETCODE_ERROR", _U),
    10012: Code("TRADE_RETCODE_TIMEOUT", _U),
    10013: Code("TRADE_RETCODE_INVALID", _R.BAD_REQUEST),
    10014: Code("TRADE_RETCODE_INVALID_VOLUME", _R.QTY_STEP),
    10015: Code("TRADE_RETCODE_INVALID_PRICE", _R.PRICE_LIMIT),
    10016: Code("TRADE_RETCODE_INVALID_STOPS", _R.PROTECTION),
    10017: Code("TRADE_RETCODE_TRADE_DISABLED", _R.PERMISSION),
    10018: Code("TRADE_RETCODE_MARKET_CLOSED", _R.MARKET_CLOSED),
    10019: Code("TRADE_RETCODE_NO_MONEY", _R.MARGIN),
    10020: Code("TRADE_RETCODE_PRICE_CHANGED", _R.STALE_INPUT),
    10021: Code("TRADE_RETCODE_PRICE_OFF", _R.MARKET_CLOSED),
    10022: Code("TRADE_RETCODE_INVALID_EXPIRATION", _R.BAD_REQUEST),
    10023: Code("TRADE_RETCODE_ORDER_CHANGED", _U),
    10024: Code("TRADE_RETCODE_TOO_MANY_REQUESTS", _R.RATE_LIMITED),
    10025: Code("TRADE_RETCODE_NO_CHANGES", Verdict.UNCHANGED),
    10026: Code("TRADE_RETCODE_SERVER_DISABLES_AT", _R.PERMISSION),
    10027: Code("TRADE_RETCODE_CLIENT_DISABLES_AT", _R.PERMISSION),
    10028: Code("TRADE_RETCODE_LOCKED", _U),
    10029: Code("TRADE_RETCODE_FROZEN", _R.OTHER),
    10030: Code("TRADE_RETCODE_INVALID_FILL", _R.NOT_SUPPORTED),
    10031: Code("TRADE_RETCODE_CONNECTION", _U),
    10032: Code("TRADE_RETCODE_ONLY_REAL", _R.PERMISSION),
    10033: Code("TRADE_RETCODE_LIMIT_ORDERS", _R.TOO_MANY_ORDERS),
    10034: Code("TRADE_RETCODE_LIMIT_VOLUME", _R.MAX_QTY),
    10035: Code("TRADE_RETCODE_INVALID_ORDER", _R.NOT_SUPPORTED),
    10036: Code("TRADE_RETCODE_POSITION_CLOSED", _R.POSITION_NOT_FOUND),
    10038: Code("TRADE_RETCODE_INVALID_CLOSE_VOLUME", _R.MAX_QTY),
    10039: Code("TRADE_RETCODE_CLOSE_ORDER_EXIST", _R.OTHER),
    10040: Code("TRADE_RETCODE_LIMIT_POSITIONS", _R.TOO_MANY_ORDERS),
    10041: Code("TRADE_RETCODE_REJECT_CANCEL", _R.OTHER),
    10042: Code("TRADE_RETCODE_LONG_ONLY", _R.PERMISSION),
    10043: Code("TRADE_RETCODE_SHORT_ONLY", _R.PERMISSION),
    10044: Code("TRADE_RETCODE_CLOSE_ONLY", _R.PERMISSION),
    10045: Code("TRADE_RETCODE_FIFO_CLOSE", _R.ACCOUNT_MODE),
    10046: Code("TRADE_RETCODE_HEDGE_PROHIBITED", _R.ACCOUNT_MODE),
    # MetaTrader 4
    0: Code("ERR_NO_ERROR", _A),
    1: Code("ERR_NO_RESULT", _U),
    2: Code("ERR_COMMON_ERROR", _U),
    3: Code("ERR_INVALID_TRADE_PARAMETERS", _R.BAD_REQUEST),
    4: Code("ERR_SERVER_BUSY", _R.OVERLOADED),
    5: Code("ERR_OLD_VERSION", _R.PERMISSION),
    6: Code("ERR_NO_CONNECTION", _U),
    7: Code("ERR_NOT_ENOUGH_RIGHTS", _R.PERMISSION),
    8: Code("ERR_TOO_FREQUENT_REQUESTS", _R.RATE_LIMITED),
    9: Code("ERR_MALFUNCTIONAL_TRADE", _U),
    64: Code("ERR_ACCOUNT_DISABLED", _R.ACCOUNT_SUSPENDED),
    65: Code("ERR_INVALID_ACCOUNT", _R.AUTHENTICATION),
    128: Code("ERR_TRADE_TIMEOUT", _U),
    129: Code("ERR_INVALID_PRICE", _R.PRICE_LIMIT),
    130: Code("ERR_INVALID_STOPS", _R.PROTECTION),
    131: Code("ERR_INVALID_TRADE_VOLUME", _R.QTY_STEP),
    132: Code("ERR_MARKET_CLOSED", _R.MARKET_CLOSED),
    133: Code("ERR_TRADE_DISABLED", _R.PERMISSION),
    134: Code("ERR_NOT_ENOUGH_MONEY", _R.MARGIN),
    135: Code("ERR_PRICE_CHANGED", _R.STALE_INPUT),
    136: Code("ERR_OFF_QUOTES", _R.MARKET_CLOSED),
    137: Code("ERR_BROKER_BUSY", _R.OVERLOADED),
    138: Code("ERR_REQUOTE", _R.STALE_INPUT),
    139: Code("ERR_ORDER_LOCKED", _U),
    140: Code("ERR_LONG_POSITIONS_ONLY_ALLOWED", _R.PERMISSION),
    141: Code("ERR_TOO_MANY_REQUESTS", _R.RATE_LIMITED),
    145: Code("ERR_TRADE_MODIFY_DENIED", _R.OTHER),
    146: Code("ERR_TRADE_CONTEXT_BUSY", _R.OVERLOADED),
    147: Code("ERR_TRADE_EXPIRATION_DENIED", _R.NOT_SUPPORTED),
    148: Code("ERR_TRADE_TOO_MANY_ORDERS", _R.TOO_MANY_ORDERS),
    149: Code("ERR_TRADE_HEDGE_PROHIBITED", _R.ACCOUNT_MODE),
    150: Code("ERR_TRADE_PROHIBITED_BY_FIFO", _R.ACCOUNT_MODE),
    4106: Code("ERR_UNKNOWN_SYMBOL", _R.UNKNOWN_SYMBOL),
    4108: Code("ERR_INVALID_TICKET", _R.ORDER_NOT_FOUND),
    4109: Code("ERR_TRADE_NOT_ALLOWED", _R.PERMISSION),
    4110: Code("ERR_LONGS_NOT_ALLOWED", _R.PERMISSION),
    4111: Code("ERR_SHORTS_NOT_ALLOWED", _R.PERMISSION),
}
SUCCESSES = frozenset(c.constant for c in TABLE.values() if c.meaning in (Verdict.ACCEPTED, Verdict.UNCHANGED))
VOLUME = frozenset({10014, 131})  # too little, too much or off the step: the code does not say which
PRICE = frozenset({10015, 129})  # off the tick, or on the wrong side of the market: the code does not say which


def meaning(number: object, constant: object) -> Meaning:
    """Say what an answer to a trade means; a code nobody has documented, and two that contradict, mean nothing.

    >>> meaning(10009, "TRADE_RETCODE_DONE"), meaning(10019, "TRADE_RETCODE_NO_MONEY").value
    (<Verdict.ACCEPTED: 'accepted'>, 'margin')
    >>> meaning(10009, "TRADE_RETCODE_REJECT"), meaning(99999, None)
    (<Verdict.UNKNOWN: 'unknown'>, <Verdict.UNKNOWN: 'unknown'>)
    """
    if isinstance(number, bool) or not isinstance(number, int) or number not in TABLE:
        return Verdict.UNKNOWN
    code = TABLE[number]
    if constant is not None and (constant in SUCCESSES) is not (code.constant in SUCCESSES):
        return Verdict.UNKNOWN
    return code.meaning
