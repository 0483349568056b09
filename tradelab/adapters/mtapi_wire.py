"""Hold all that is known of mtapi.io's wire in one table, and of every row where it is known from.

No public schema could be had. ``evidence`` is one of the few sources below; what has none says ``assumed``, and the
whole adapter is *tested against our own simulator only*. Nothing else in the adapter knows a name of the wire; when a
real server differs, this file is the one to edit. ``docs/mtapi.md`` shows it as a table.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from tradelab.adapters import mtapi_rows as rows
from tradelab.model.orders import OrderStatus, OrderType, Side
from tradelab.model.outcome import RefusalCode as Code

README = "readme"  # mt5.mtapi.io/readme, the vendor's
HOSTED = "docs.metatraderapi.dev"  # a hosted service of the same scheme; its reference pages for MT4 and MT5
TSCOPIER = "third-party client tartarixinc/TScopier"  # its client, and a note of what it saw on mt5.mtapi.io
CLIENTS = "third-party clients"  # of mt4/mt5.mtapi.io on public GitHub, whose repository the index does not name
METAQUOTES = "MQL5 reference"  # what MetaTrader itself calls it; that the bridge passes it on is assumed
ASSUMED = "assumed"


class Platform(enum.Enum):
    """Which MetaTrader the server speaks to."""

    MT4 = "mt4"
    MT5 = "mt5"


MT4, MT5 = Platform.MT4, Platform.MT5
BOTH = (MT4, MT5)


class Read(enum.Enum):
    """How a value is taken from JSON."""

    TEXT = "text"
    NUMBER = "number"
    PRICE = "price"  # zero is none
    TICKET = "ticket"  # a whole number, kept as text
    WHOLE = "whole"
    FLAG = "flag"
    TIME = "time"  # text without a zone; the year 1 and 1970 are none
    ROW = "row"
    ROWS = "rows"


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a query: our name, theirs, and the platforms that have it."""

    ours: str
    wire: str
    evidence: str
    platforms: tuple[Platform, ...] = BOTH


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an answer: our name, the way to it, how it is read; ``needed`` ones make an answer an answer."""

    ours: str
    wire: tuple[str, ...]
    read: Read
    evidence: str
    needed: bool = False
    of: Shape | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of object in an answer, and the record it becomes."""

    record: type[Any]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its path on each platform, and its parameters."""

    paths: dict[Platform, str]
    evidence: str
    params: tuple[Param, ...] = ()


def _f(ours: str, wire: str, read: Read, evidence: str, *, needed: bool = False, of: Shape | None = None) -> Field:
    return Field(ours, tuple(wire.split(".")), read, evidence, needed, of)


# ── shapes ───────────────────────────────────────────────────────────────────────────────────────────────────────────

DEAL = Shape(
    rows.DealRow,
    (
        _f("ticket", "ticketNumber", Read.TICKET, HOSTED, needed=True),
        _f("order", "orderTicket", Read.TICKET, HOSTED, needed=True),
        _f("position", "positionTicket", Read.TICKET, HOSTED, needed=True),
        _f("symbol", "symbol", Read.TEXT, HOSTED, needed=True),
        _f("side", "type", Read.TEXT, HOSTED, needed=True),
        _f("way", "direction", Read.TEXT, HOSTED, needed=True),
        _f("lots", "lots", Read.NUMBER, CLIENTS, needed=True),
        _f("price", "price", Read.NUMBER, HOSTED, needed=True),
        _f("commission", "commission", Read.NUMBER, HOSTED),
        _f("charge", "fee", Read.NUMBER, HOSTED),
        _f("comment", "comment", Read.TEXT, CLIENTS),
        _f("at_ms", "openTimeMs", Read.WHOLE, CLIENTS, needed=True),
    ),
)

PLACED = Shape(
    rows.PlacedRow,
    (
        _f("ticket", "ticketNumber", Read.TICKET, CLIENTS, needed=True),
        _f("symbol", "symbol", Read.TEXT, CLIENTS, needed=True),
        _f("kind", "type", Read.TEXT, CLIENTS, needed=True),
        _f("state", "state", Read.TEXT, CLIENTS, needed=True),
        _f("price", "openPrice", Read.NUMBER, CLIENTS),
        _f("limit_price", "stopLimitPrice", Read.PRICE, CLIENTS),
        _f("stop_loss", "stopLoss", Read.PRICE, CLIENTS),
        _f("take_profit", "takeProfit", Read.PRICE, CLIENTS),
        _f("lots_asked", "requestLots", Read.NUMBER, CLIENTS, needed=True),
        _f("lots_left", "lots", Read.NUMBER, CLIENTS),
        _f("comment", "comment", Read.TEXT, CLIENTS),
        _f("at_ms", "openTimeMs", Read.WHOLE, CLIENTS, needed=True),
        _f("ended", "executionTimeAsDateTime", Read.TIME, CLIENTS),
    ),
)

_TICKET = (  # what both platforms call the same
    _f("ticket", "ticket", Read.TICKET, HOSTED, needed=True),
    _f("symbol", "symbol", Read.TEXT, HOSTED),
    _f("state", "state", Read.TEXT, HOSTED),
    _f("lots", "lots", Read.NUMBER, HOSTED, needed=True),
    _f("price", "openPrice", Read.NUMBER, HOSTED, needed=True),
    _f("stop_loss", "stopLoss", Read.PRICE, HOSTED),
    _f("take_profit", "takeProfit", Read.PRICE, HOSTED),
    _f("opened", "openTime", Read.TEXT, HOSTED, needed=True),
    _f("closed", "closeTime", Read.TIME, HOSTED),
    _f("close_price", "closePrice", Read.PRICE, HOSTED),
    _f("profit", "profit", Read.NUMBER, HOSTED),
    _f("commission", "commission", Read.NUMBER, HOSTED),
    _f("comment", "comment", Read.TEXT, HOSTED),
)

ORDER = {
    MT5: Shape(
        rows.OrderRow,
        (
            *_TICKET,
            _f("kind", "orderType", Read.TEXT, HOSTED, needed=True),
            _f("limit_price", "stopLimitPrice", Read.PRICE, HOSTED),
            _f("close_lots", "closeLots", Read.PRICE, HOSTED),
            _f("charge", "fee", Read.NUMBER, HOSTED),
            _f("close_comment", "closeComment", Read.TEXT, HOSTED),
            _f("expires", "expirationTime", Read.TIME, CLIENTS),
            _f("expiry_kind", "expirationType", Read.TEXT, CLIENTS),
            _f("deal_in", "dealInternalIn", Read.ROW, HOSTED, of=DEAL),
            _f("deal_out", "dealInternalOut", Read.ROW, TSCOPIER, of=DEAL),
            _f("part_fills", "partialFillDeals", Read.ROWS, CLIENTS, of=DEAL),
            _f("part_closes", "partialCloseDeals", Read.ROWS, CLIENTS, of=DEAL),
            _f("placed", "orderInternal", Read.ROW, CLIENTS, of=PLACED),
        ),
    ),
    MT4: Shape(
        rows.OrderRow,
        (
            *_TICKET,
            _f("kind", "type", Read.TEXT, HOSTED, needed=True),
            _f("expires", "expiration", Read.TIME, HOSTED),
        ),
    ),
}

HISTORY = Shape(  # of MetaTrader 5; MetaTrader 4 answers with a bare list of orders
    rows.HistoryRow,
    (
        _f("orders", "orders", Read.ROWS, HOSTED, needed=True, of=ORDER[MT5]),
        _f("deals", "internalDeals", Read.ROWS, TSCOPIER, of=DEAL),
        _f("placed", "internalOrders", Read.ROWS, TSCOPIER, of=PLACED),
        _f("partial", "partialResponse", Read.FLAG, TSCOPIER),
    ),
)

ACCOUNT_SHAPE = Shape(
    rows.AccountRow,
    (
        _f("balance", "balance", Read.NUMBER, TSCOPIER, needed=True),
        _f("equity", "equity", Read.NUMBER, TSCOPIER, needed=True),
        _f("margin", "margin", Read.NUMBER, TSCOPIER, needed=True),
        _f("free_margin", "freeMargin", Read.NUMBER, TSCOPIER, needed=True),
        _f("leverage", "leverage", Read.NUMBER, TSCOPIER, needed=True),
        _f("currency", "currency", Read.TEXT, TSCOPIER, needed=True),
        _f("method", "method", Read.TEXT, TSCOPIER),
        _f("is_investor", "isInvestor", Read.FLAG, TSCOPIER),
    ),
)

SYMBOL_SHAPE = {
    MT5: Shape(
        rows.SymbolRow,
        (
            _f("tick", "symbolInfo.points", Read.NUMBER, TSCOPIER, needed=True),
            _f("contract_size", "symbolInfo.contractSize", Read.NUMBER, TSCOPIER, needed=True),
            _f("least", "symbolGroup.minLots", Read.NUMBER, TSCOPIER, needed=True),
            _f("most", "symbolGroup.maxLots", Read.NUMBER, TSCOPIER, needed=True),
            _f("step", "symbolGroup.lotsStep", Read.NUMBER, TSCOPIER, needed=True),
            _f("currency", "symbolInfo.currency", Read.TEXT, ASSUMED),
            _f("profit_currency", "symbolInfo.profitCurrency", Read.TEXT, ASSUMED),
        ),
    ),
    MT4: Shape(
        rows.SymbolRow,
        (
            _f("tick", "symbol.point", Read.NUMBER, TSCOPIER, needed=True),
            _f("contract_size", "symbol.contractSize", Read.NUMBER, TSCOPIER, needed=True),
            _f("least", "groupParams.minLot", Read.NUMBER, TSCOPIER, needed=True),
            _f("most", "groupParams.maxLot", Read.NUMBER, TSCOPIER, needed=True),
            _f("step", "groupParams.lotStep", Read.NUMBER, TSCOPIER, needed=True),
            _f("currency", "symbol.currency", Read.TEXT, ASSUMED),
        ),
    ),
}

QUOTE = Shape(
    rows.QuoteRow,
    (
        _f("symbol", "symbol", Read.TEXT, TSCOPIER, needed=True),
        _f("bid", "bid", Read.NUMBER, TSCOPIER, needed=True),
        _f("ask", "ask", Read.NUMBER, TSCOPIER, needed=True),
        _f("at", "time", Read.TEXT, TSCOPIER, needed=True),
    ),
)


def _bar(middle: str, volume: str, evidence: str) -> Shape:
    prices = [_f(ours, ours + middle, Read.NUMBER, evidence, needed=True) for ours in ("open", "high", "low", "close")]
    opened = _f("opened", "time", Read.TEXT, evidence, needed=True)
    return Shape(rows.BarRow, (opened, *prices, _f("ticks", volume, Read.NUMBER, evidence)))


BAR = {MT5: _bar("Price", "tickVolume", CLIENTS), MT4: _bar("", "volume", ASSUMED)}
_SAID = (_f("code", "code", Read.TEXT, HOSTED, needed=True), _f("says", "message", Read.TEXT, HOSTED, needed=True))
ERROR = Shape(rows.ErrorRow, _SAID)
FRAME = Shape(
    rows.FrameRow,
    (_f("kind", "type", Read.TEXT, CLIENTS, needed=True), _f("carries", "data", Read.ROW, CLIENTS)),
)

# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────

TOKEN = Param("token", "id", README)
API_KEY_HEADER = "ApiKey"  # CLIENTS (mt5full3.mtapi.io); other hosts want x-api-key: a setting
_SYMBOL_ASKED = Param("symbol", "symbol", README)
_LEVELS = (Param("stop_loss", "stoploss", HOSTED), Param("take_profit", "takeprofit", HOSTED))
_SLIPPAGE = Param("slippage", "slippage", HOSTED)
_EXPIRY = (Param("expires", "expiration", HOSTED), Param("expiry_kind", "expirationType", HOSTED, (MT5,)))
_PAST = (Param("since", "from", README), Param("until", "to", README))
_LOGIN = (Param("user", "user", README), Param("password", "password", README))


def _same(path: str) -> dict[Platform, str]:
    return {MT4: path, MT5: path}


_AT = (Param("host", "host", README), Param("port", "port", README))
LOGIN = Call(_same("/Connect"), README, (*_LOGIN, *_AT))  # answers with the bare token
LOGIN_BY_NAME = Call(_same("/ConnectEx"), TSCOPIER, (*_LOGIN, Param("server", "server", TSCOPIER)))
LOGOUT = Call(_same("/Disconnect"), TSCOPIER, (TOKEN,))
PING = Call(_same("/CheckConnect"), TSCOPIER, (TOKEN,))
ZONE = Call(_same("/ServerTimezone"), CLIENTS, (TOKEN,))  # answers with a text such as UTC+2
ACCOUNT = Call(_same("/AccountSummary"), README, (TOKEN,))
SYMBOLS = Call(_same("/Symbols"), README, (TOKEN,))  # an object whose keys are the names, or a list of names
SYMBOL = Call(_same("/SymbolParams"), README, (TOKEN, _SYMBOL_ASKED))
OPEN_ORDERS = Call(_same("/OpenedOrders"), README, (TOKEN,))  # positions and waiting orders, a list
PAST_ORDERS = Call(_same("/OrderHistory"), README, (TOKEN, *_PAST))
QUOTE_NOW = Call({MT4: "/Quote", MT5: "/GetQuote"}, TSCOPIER, (TOKEN, _SYMBOL_ASKED))
BARS = Call(
    {MT4: "/QuoteHistory", MT5: "/PriceHistory"},
    CLIENTS,
    (
        TOKEN,
        _SYMBOL_ASKED,
        Param("since", "from", CLIENTS, (MT5,)),
        Param("until", "to", CLIENTS, (MT5,)),
        Param("minutes", "timeFrame", CLIENTS, (MT5,)),
        Param("until", "from", CLIENTS, (MT4,)),  # MetaTrader 4 counts backwards from there
        Param("count", "count", CLIENTS, (MT4,)),
        Param("code", "timeframe", CLIENTS, (MT4,)),
    ),
)
SEND = Call(
    _same("/OrderSend"),
    README,
    (
        TOKEN,
        Param("symbol", "symbol", HOSTED),
        Param("operation", "operation", HOSTED),
        Param("lots", "volume", HOSTED),
        Param("price", "price", HOSTED),
        Param("limit_price", "stopLimitPrice", HOSTED, (MT5,)),
        _SLIPPAGE,
        *_LEVELS,
        Param("comment", "comment", HOSTED),
        Param("magic", "expertID", HOSTED, (MT5,)),
        Param("magic", "magic", HOSTED, (MT4,)),
        *_EXPIRY,
    ),
)
MODIFY = Call(
    _same("/OrderModify"),
    CLIENTS,
    (
        TOKEN,
        Param("ticket", "ticket", TSCOPIER),
        *_LEVELS,
        Param("price", "price", TSCOPIER),
        Param("limit_price", "stopLimitPrice", ASSUMED, (MT5,)),
        *_EXPIRY,
    ),
)
CLOSE = Call(  # closes a position, or a part of it; cancels an order that waits
    _same("/OrderClose"),
    CLIENTS,
    (
        TOKEN,
        Param("ticket", "ticket", TSCOPIER),
        # Two clients disagree on the name of the part to close. A server that does not know the one it is given closes
        # everything, so both are sent: an ASP.NET server leaves alone what it does not know.
        Param("lots", "lots", CLIENTS),
        Param("lots", "volume", TSCOPIER),
        _SLIPPAGE,
        Param("comment", "comment", CLIENTS, (MT5,)),
    ),
)
SUBSCRIBE = Call(_same("/Subscribe"), CLIENTS, (TOKEN, Param("symbol", "symbol", CLIENTS)))
QUOTE_SOCKET = Call(_same("/OnQuote"), TSCOPIER, (TOKEN,))
ORDER_SOCKET = Call(_same("/OnOrderUpdate"), TSCOPIER, (TOKEN,))

SHAPES: dict[str, Shape] = {
    "account": ACCOUNT_SHAPE, "symbol of MT5": SYMBOL_SHAPE[MT5], "symbol of MT4": SYMBOL_SHAPE[MT4],
    "ticket of MT5": ORDER[MT5], "ticket of MT4": ORDER[MT4], "trade": DEAL, "order as placed": PLACED,
    "history of MT5": HISTORY, "quote": QUOTE, "bar of MT5": BAR[MT5], "bar of MT4": BAR[MT4], "error": ERROR,
    "frame of a socket": FRAME,
}  # fmt: skip
CALLS: dict[str, Call] = {
    "log in": LOGIN, "log in by name": LOGIN_BY_NAME, "log out": LOGOUT, "is it alive": PING, "time zone": ZONE,
    "account": ACCOUNT, "symbols": SYMBOLS, "symbol": SYMBOL, "open orders and positions": OPEN_ORDERS,
    "history": PAST_ORDERS, "quote": QUOTE_NOW, "bars": BARS, "send an order": SEND, "change": MODIFY,
    "close or cancel": CLOSE, "subscribe": SUBSCRIBE, "stream of quotes": QUOTE_SOCKET,
    "stream of orders": ORDER_SOCKET,
}  # fmt: skip

# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────

OPERATIONS: dict[str, tuple[OrderType, Side]] = {  # HOSTED; as parameter and in answers
    "Buy": (OrderType.MARKET, Side.BUY),
    "Sell": (OrderType.MARKET, Side.SELL),
    "BuyLimit": (OrderType.LIMIT, Side.BUY),
    "SellLimit": (OrderType.LIMIT, Side.SELL),
    "BuyStop": (OrderType.STOP, Side.BUY),
    "SellStop": (OrderType.STOP, Side.SELL),
    "BuyStopLimit": (OrderType.STOP_LIMIT, Side.BUY),
    "SellStopLimit": (OrderType.STOP_LIMIT, Side.SELL),
}
DEAL_SIDES = {"DealBuy": Side.BUY, "DealSell": Side.SELL}  # HOSTED; every other kind is no trade: a balance, a fee
DEAL_OUT = ("Out", "OutBy")  # HOSTED for In; the others are MetaTrader's
STATES: dict[str, OrderStatus] = {  # TSCOPIER for Filled, Placed, Cancelled; METAQUOTES for the others
    "Placed": OrderStatus.NEW,
    "Partial": OrderStatus.PARTIALLY_FILLED,
    "Filled": OrderStatus.FILLED,
    "Cancelled": OrderStatus.CANCELLED,
    "Canceled": OrderStatus.CANCELLED,
    "Rejected": OrderStatus.REJECTED,
    "Expired": OrderStatus.EXPIRED,
}
UNTIL_TIME, UNTIL_CANCELLED = "Specified", "GTC"  # HOSTED
NETTING = "Netting"  # TSCOPIER saw Hedging; this is its opposite in the vendor's gRPC reference
ALIVE = "OK"  # TSCOPIER; in quotes or without
QUOTE_FRAME, ORDER_FRAME = "Quote", "OrderUpdate"  # CLIENTS

# ── what the server says no with (status 201: TSCOPIER); None is unknown ─────────────────────────────────────────────

SESSION_GONE = "INVALID_TOKEN"
INVALID_VOLUME, INVALID_PRICE, INVALID_TICKET = "INVALID_VOLUME", "INVALID_PRICE", "INVALID_TICKET"


@dataclass(frozen=True, slots=True)
class Said:
    """What one code means for a request; ``number`` is MetaTrader 5's own, which some servers give instead."""

    code: Code | None
    evidence: str
    number: int | None = None


CODES: dict[str, Said] = {
    SESSION_GONE: Said(Code.AUTHENTICATION, TSCOPIER),
    "INVALID_ACCOUNT": Said(Code.AUTHENTICATION, TSCOPIER),
    "NULL_ARGUMENT": Said(Code.BAD_REQUEST, TSCOPIER),
    "INVALID_REQUEST": Said(Code.BAD_REQUEST, TSCOPIER, 10013),
    "INVALID_SYMBOL": Said(Code.UNKNOWN_SYMBOL, TSCOPIER),
    INVALID_TICKET: Said(Code.ORDER_NOT_FOUND, TSCOPIER),
    INVALID_PRICE: Said(Code.PRICE_LIMIT, TSCOPIER, 10015),
    INVALID_VOLUME: Said(Code.QTY_STEP, METAQUOTES, 10014),
    "INVALID_STOPS": Said(Code.PROTECTION, CLIENTS, 10016),
    "INVALID_EXPIRATION": Said(Code.BAD_REQUEST, METAQUOTES, 10022),
    "INVALID_FILL": Said(Code.BAD_REQUEST, METAQUOTES, 10030),
    "INVALID_ORDER": Said(Code.BAD_REQUEST, METAQUOTES, 10035),
    "INVALID_CLOSE_VOLUME": Said(Code.REDUCE_ONLY, METAQUOTES, 10038),
    "MARKET_CLOSED": Said(Code.MARKET_CLOSED, TSCOPIER, 10018),
    "PRICE_OFF": Said(Code.MARKET_CLOSED, METAQUOTES, 10021),
    "NO_MONEY": Said(Code.MARGIN, METAQUOTES, 10019),
    "NOT_ENOUGH_MONEY": Said(Code.MARGIN, ASSUMED),
    "REQUOTE": Said(Code.STALE_INPUT, METAQUOTES, 10004),
    "PRICE_CHANGED": Said(Code.STALE_INPUT, METAQUOTES, 10020),
    "TRADE_DISABLED": Said(Code.PERMISSION, METAQUOTES, 10017),
    "SERVER_DISABLES_AT": Said(Code.PERMISSION, METAQUOTES, 10026),
    "CLIENT_DISABLES_AT": Said(Code.PERMISSION, METAQUOTES, 10027),
    "ONLY_REAL": Said(Code.PERMISSION, METAQUOTES, 10032),
    "TOO_MANY_REQUESTS": Said(Code.RATE_LIMITED, METAQUOTES, 10024),
    "SERVER_BUSY": Said(Code.OVERLOADED, ASSUMED),
    "CONNECTION": Said(Code.MAINTENANCE, METAQUOTES, 10031),
    "NO_CHANGES": Said(Code.NO_CHANGE, METAQUOTES, 10025),
    "LIMIT_ORDERS": Said(Code.TOO_MANY_ORDERS, METAQUOTES, 10033),
    "LIMIT_POSITIONS": Said(Code.TOO_MANY_ORDERS, METAQUOTES, 10040),
    "LIMIT_VOLUME": Said(Code.MAX_QTY, METAQUOTES, 10034),
    "POSITION_CLOSED": Said(Code.POSITION_NOT_FOUND, METAQUOTES, 10036),
    "FROZEN": Said(Code.OTHER, METAQUOTES, 10029),
    "REJECT": Said(Code.OTHER, METAQUOTES, 10006),
    # it may have been done: timed out between bridge and broker, or said without saying what
    "TIMEOUT": Said(None, TSCOPIER, 10012),
    "ERROR": Said(None, METAQUOTES, 10011),
    "LOCKED": Said(None, METAQUOTES, 10028),
    "CONNECT_ERROR": Said(None, TSCOPIER),
    "SERVICE_NOT_AVAILABLE": Said(None, TSCOPIER),
    "INTERNAL_ERROR": Said(None, HOSTED),
    "DONE": Said(None, TSCOPIER, 10009),
}
