"""Know what venues mean by their own codes, where that is more than ccxt's error classes say."""

from __future__ import annotations

from dataclasses import dataclass

from tradelab.model.outcome import RefusalCode


@dataclass(frozen=True, slots=True)
class Said:
    """What a code means when its words contain ``words``; ``code=None`` is unknown, whatever ccxt made of it."""

    code: RefusalCode | None
    words: str = ""
    is_duplicate: bool = False


R = RefusalCode
_FILTERS = (
    Said(R.QTY_STEP, "LOT_SIZE"),
    Said(R.TICK, "PRICE_FILTER"),
    Said(R.PRICE_LIMIT, "PERCENT_PRICE"),
    Said(R.MIN_NOTIONAL, "NOTIONAL"),
    Said(R.TOO_MANY_ORDERS, "MAX_NUM"),
    Said(R.TOO_MANY_ORDERS, "MAX_POSITION"),
)

# Source: Binance, Spot API "Error codes" and "Filters"; USD-M Futures "Error codes".
_BINANCE: dict[str, tuple[Said, ...]] = {
    "": (Said(R.STOP_WOULD_TRIGGER, "would trigger immediately"),),  # ccxt passes these words on without their code
    "-1000": (Said(None),),  # an unknown error occurred while processing the request
    "-1001": (Said(None),),  # internal error, disconnected
    "-1003": (Said(R.BANNED, "banned until"), Said(R.RATE_LIMITED)),
    "-1006": (Said(None),),  # unexpected response from the message bus, execution status unknown
    "-1007": (Said(None),),  # timeout waiting for the backend, execution status unknown
    "-1008": (Said(R.OVERLOADED),),
    "-1013": (*_FILTERS, Said(R.BAD_REQUEST)),
    "-1015": (Said(R.RATE_LIMITED),),  # too many new orders
    "-1016": (Said(R.MAINTENANCE),),  # this service is no longer available
    "-1021": (Said(R.CLOCK),),
    "-1022": (Said(R.AUTHENTICATION),),
    "-1111": (Said(R.QTY_STEP, "quantity"), Said(R.TICK)),
    "-1121": (Said(R.UNKNOWN_SYMBOL),),
    "-2010": (
        Said(R.BALANCE, "insufficient balance"),
        Said(None, "duplicate order sent", is_duplicate=True),
        Said(R.WOULD_TAKE, "immediately match and take"),
        Said(R.STOP_WOULD_TRIGGER, "would trigger immediately"),
        Said(R.MARKET_CLOSED, "market is closed"),
        Said(R.TOO_MANY_ORDERS, "too many"),
        Said(R.PERMISSION, "not allowed"),
        Said(R.OTHER),
    ),
    "-2011": (Said(R.ORDER_NOT_FOUND),),
    "-2013": (Said(R.ORDER_NOT_FOUND),),
    "-2014": (Said(R.AUTHENTICATION),),
    "-2015": (Said(R.AUTHENTICATION),),
    "-2018": (Said(R.BALANCE),),
    "-2019": (Said(R.MARGIN),),
    "-2020": (Said(R.UNFILLABLE),),
    "-2021": (Said(R.STOP_WOULD_TRIGGER),),
    "-2022": (Said(R.REDUCE_ONLY),),
    "-2025": (Said(R.TOO_MANY_ORDERS),),
    "-2027": (Said(R.MARGIN),),
    "-4003": (Said(R.MIN_QTY),),
    "-4004": (Said(R.MIN_QTY),),
    "-4005": (Said(R.MAX_QTY),),
    "-4013": (Said(R.PRICE_LIMIT),),
    "-4014": (Said(R.TICK),),
    "-4016": (Said(R.PRICE_LIMIT),),
    "-4023": (Said(R.QTY_STEP),),
    "-4024": (Said(R.PRICE_LIMIT),),
    "-4045": (Said(R.TOO_MANY_ORDERS),),
    "-4061": (Said(R.ACCOUNT_MODE),),
    "-4111": (Said(None, is_duplicate=True),),
    "-4116": (Said(None, is_duplicate=True),),  # clientOrderId is duplicated
    "-4118": (Said(R.REDUCE_ONLY),),
    "-4131": (Said(R.PRICE_LIMIT),),
    "-4164": (Said(R.MIN_NOTIONAL),),
    "-5021": (Said(R.UNFILLABLE),),
    "-5022": (Said(R.WOULD_TAKE),),
    "-5027": (Said(R.NO_CHANGE),),
}

# Source: Bybit, V5 API "Error codes".
_BYBIT: dict[str, tuple[Said, ...]] = {
    "429": (Said(R.OVERLOADED),),  # the trading service has a high load, please retry
    "10000": (Said(None),),  # server timeout
    "10001": (
        Said(R.NO_CHANGE, "not modified"),
        Said(R.ACCOUNT_MODE, "position idx"),
        Said(R.MAX_QTY, "exceeds maximum limit"),
        Said(R.MIN_QTY, "exceeds minimum limit"),
        Said(R.PROTECTION, "StopLoss:"),
        Said(R.PROTECTION, "TakeProfit:"),
        Said(R.BAD_REQUEST),
    ),
    "10002": (Said(R.CLOCK),),
    "10003": (Said(R.AUTHENTICATION),),
    "10004": (Said(R.AUTHENTICATION),),
    "10005": (Said(R.PERMISSION),),
    "10006": (Said(R.RATE_LIMITED),),
    "10009": (Said(R.BANNED),),
    "10010": (Said(R.PERMISSION),),
    "10016": (Said(None),),  # internal server error
    "10018": (Said(R.BANNED),),
    "10019": (Said(R.OVERLOADED),),  # ws trade service is restarting; not accepting requests
    "10429": (Said(R.OVERLOADED),),  # system level frequency protection
    "110001": (Said(R.ORDER_NOT_FOUND),),
    "110003": (Said(R.PRICE_LIMIT),),
    "110004": (Said(R.MARGIN),),
    "110006": (Said(R.MARGIN),),
    "110007": (Said(R.MARGIN),),
    "110008": (Said(R.ORDER_CLOSED),),
    "110009": (Said(R.TOO_MANY_ORDERS),),
    "110010": (Said(R.ORDER_CLOSED),),
    "110012": (Said(R.MARGIN),),
    "110017": (Said(R.REDUCE_ONLY),),
    "110020": (Said(R.TOO_MANY_ORDERS),),
    "110043": (Said(R.NO_CHANGE),),
    "110072": (Said(None, is_duplicate=True),),
    "110092": (Said(R.STOP_WOULD_TRIGGER),),
    "110093": (Said(R.STOP_WOULD_TRIGGER),),
    "110094": (Said(R.MIN_NOTIONAL),),
    "170005": (Said(R.RATE_LIMITED),),
    "170007": (Said(None),),  # timeout waiting for response from backend server
    "170032": (Said(None),),  # network error, please try again
    "170124": (Said(R.MAX_QTY),),
    "170131": (Said(R.BALANCE),),
    "170033": (Said(R.MARGIN),),
    "170132": (Said(R.PRICE_LIMIT),),
    "170133": (Said(R.PRICE_LIMIT),),
    "170134": (Said(R.TICK),),
    "170135": (Said(R.MAX_QTY),),
    "170136": (Said(R.MIN_QTY),),
    "170137": (Said(R.QTY_STEP),),
    "170139": (Said(R.ORDER_CLOSED),),
    "170140": (Said(R.MIN_NOTIONAL),),
    "170141": (Said(None, is_duplicate=True),),
    "170142": (Said(R.ORDER_CLOSED),),
    "170143": (Said(R.ORDER_NOT_FOUND),),
    "170213": (Said(R.ORDER_NOT_FOUND),),
    "170193": (Said(R.PRICE_LIMIT),),
    "170194": (Said(R.PRICE_LIMIT),),
    "170201": (Said(R.PERMISSION),),
    "170210": (Said(R.UNFILLABLE),),
    "170344": (Said(R.UNKNOWN_SYMBOL),),
    "170810": (Said(R.TOO_MANY_ORDERS),),
}

CODES: dict[str, dict[str, tuple[Said, ...]]] = {
    "binance": _BINANCE,
    "binanceusdm": _BINANCE,
    "bybit": _BYBIT,
}
