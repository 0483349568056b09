"""Write accounts, tickets, trades and bars as the MetaTrader 5 bridge of mtapi.io does.

Keys and types: docs.metatraderapi.dev (metatrader-5-api: trading, orderhistory, account), which a client of
mt5.mtapi.io writes down whole, and the note of tartarixinc/TScopier for what it saw. Times have no zone: they are those
of the broker's clock, which here is two hours ahead of UTC.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle
from tradelab.model.orders import OrderStatus, OrderType, Side
from tradelab.model.units import NS_PER_HOUR, NS_PER_S
from tradelab.rehearsal.exchange import Exchange
from tradelab.rehearsal.ledger_hedging import HedgingLedger, Ticket
from tradelab.rehearsal.orders import SimFill, SimOrder
from tradelab.rehearsal.reading import is_whole

AHEAD_H = 2
NEVER = "0001-01-01T00:00:00"
_LOT = 100_000_000  # how a volume counts a lot
_KINDS = {OrderType.MARKET: "", OrderType.LIMIT: "Limit", OrderType.STOP: "Stop", OrderType.STOP_LIMIT: "StopLimit"}
_ENDS = {OrderStatus.CANCELLED: "Cancelled", OrderStatus.EXPIRED: "Expired", OrderStatus.REJECTED: "Rejected"}


def number(value: Decimal | float | None) -> int | float:
    """Write a number as JSON of .NET does: 5000, not 5000.0; nothing is zero."""
    exact = float(value or 0)
    return int(exact) if exact.is_integer() else exact


def when(ts_ns: int | None) -> str:
    """Write a time by the broker's clock.

    >>> when(1_789_000_000_092_000_000)
    '2026-09-10T02:26:40.092'
    """
    if ts_ns is None:
        return NEVER
    moment = dt.datetime.fromtimestamp(ts_ns // NS_PER_S, dt.UTC) + dt.timedelta(hours=AHEAD_H)
    ms = ts_ns // 1_000_000 % 1000
    return f"{moment:%Y-%m-%dT%H:%M:%S}" + (f".{ms:03d}".rstrip("0") if ms else "")


def read_time(text: str) -> int:
    """Read a time by the broker's clock; ``ValueError`` if it is none."""
    local = dt.datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=dt.UTC)
    return int(local.timestamp()) * NS_PER_S - AHEAD_H * NS_PER_HOUR


def ms(ts_ns: int) -> int:
    """Count milliseconds on the broker's clock."""
    return (ts_ns + AHEAD_H * NS_PER_HOUR) // 1_000_000


def kind(order_type: OrderType, side: Side) -> str:
    """Return the name of an operation."""
    return side.value.capitalize() + _KINDS[order_type]


def digits(instrument: Instrument) -> int:
    """Return how many digits a price has behind the point."""
    return max(0, -int(instrument.tick_size.normalize().as_tuple().exponent))


class Shapes:
    """Writes what one exchange knows of one account."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def ledger(self, account: str) -> HedgingLedger:
        """Return an account's money."""
        ledger = self._exchange.ledgers[account]
        assert isinstance(ledger, HedgingLedger)
        return ledger

    def account(self, account: str) -> dict[str, Any]:
        """Write the summary of an account."""
        ledger = self.ledger(account)
        equity, margin = ledger.equity(self._exchange), ledger.used_margin(self._exchange)
        level = equity / margin * 100 if margin else Decimal(0)
        return {
            "balance": number(ledger.balance), "credit": 0, "profit": number(equity - ledger.balance),
            "equity": number(equity), "margin": number(margin), "freeMargin": number(equity - margin),
            "marginLevel": number(level), "leverage": number(ledger.leverage), "currency": ledger.currency,
            "method": "Hedging", "type": "demo", "isInvestor": False, "synced": True,
        }  # fmt: skip

    def symbol_info(self, instrument: Instrument) -> dict[str, Any]:
        """Write what a symbol is."""
        return {
            "digits": digits(instrument), "points": number(instrument.tick_size),
            "contractSize": number(instrument.contract_size), "currency": instrument.base or instrument.symbol[:3],
            "profitCurrency": instrument.quote, "marginCurrency": instrument.base or instrument.symbol[:3],
            "description": instrument.symbol,
        }  # fmt: skip

    def symbol(self, instrument: Instrument) -> dict[str, Any]:
        """Write what a symbol asks of an order."""
        group = {
            "minLots": number(instrument.min_qty), "maxLots": number(instrument.max_qty),
            "lotsStep": number(instrument.qty_step), "tradeMode": "FullAccess", "tradeType": "Market",
            "fillPolicy": "FOK, IOC", "expiration": "ALL", "swapLong": 0, "swapShort": 0,
        }  # fmt: skip
        return {"symbol": instrument.symbol, "symbolInfo": self.symbol_info(instrument), "symbolGroup": group}

    def quote(self, symbol: str, ts_ns: int) -> dict[str, Any]:
        """Write bid and ask."""
        bid, ask = self._exchange.best(symbol)
        return {"symbol": symbol, "bid": number(bid), "ask": number(ask), "time": when(ts_ns), "last": 0, "volume": 0}

    def bar(self, candle: Candle) -> dict[str, Any]:
        """Write one bar; what it traded is counted as ticks."""
        return {
            "time": when(candle.open_ns), "openPrice": candle.open, "highPrice": candle.high, "lowPrice": candle.low,
            "closePrice": candle.close, "tickVolume": int(candle.volume), "spread": 0, "volume": 0,
        }  # fmt: skip

    # ── tickets ──────────────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, account: str) -> list[dict[str, Any]]:
        """Write every position and every order that waits."""
        numbers = [int(t) for t in self.ledger(account).tickets]
        numbers += [o.number for o in self._exchange.open_orders(account) if not o.filled_qty]
        return [self.ticket(self._exchange.orders[n]) for n in sorted(numbers)]

    def ticket(self, order: SimOrder, **changed: Any) -> dict[str, Any]:
        """Write a ticket: the order that waits, or the position it opened, open or closed."""
        instrument = self._exchange.instrument(order.symbol)
        held = self.ledger(order.account).tickets.get(str(order.number))
        ins = [f for f in self._exchange.fills if f.order == order.number]
        outs = [f for f in self._exchange.fills if f.position_id == str(order.number) and not f.entry]
        closed = not order.is_open and held is None
        profit = self.ledger(order.account).profit(held, self._exchange) if held else sum(f.realized_pnl for f in outs)
        level = held or order
        told = {
            "ticket": order.number, "profit": number(profit), "swap": 0,
            "commission": number(-sum((f.fee for f in ins + outs), Decimal(0))), "fee": 0,
            "closePrice": number(self._close_price(order, held, outs)),
            "closeTime": when(outs[-1].ts_ns if outs else order.updated_ns) if closed else NEVER,
            "closeLots": number(sum((f.qty for f in outs), Decimal(0))) if closed and outs else 0,
            "closeComment": self._comment(outs[-1]) if closed and outs else "",
            "openPrice": number(self._open_price(order, held, ins)), "openTime": when(self._opened_ns(order, ins)),
            "lots": number(held.lots if held else order.filled_qty or order.qty),
            "contractSize": number(instrument.contract_size), "expertId": int(order.extra.get("magic", 0)),
            "placedType": "Manually", "orderType": self._kind(order, bool(ins)),
            "dealType": f"Deal{order.side.value.capitalize()}", "symbol": order.symbol,
            "comment": str(order.extra.get("comment", "")), "state": self._state(order, bool(ins)),
            "stopLoss": number(level.stop_loss), "takeProfit": number(level.take_profit), "requestId": 0,
            "digits": digits(instrument), "profitRate": 1, "stopLimitPrice": self._limit(order),
            "dealInternalIn": self.deal(ins[-1]) if ins else None,
            "dealInternalOut": self.deal(outs[-1]) if closed and outs else None,
            "orderInternal": self.placed(order),
            "partialCloseDeals": [self.deal(f) for f in (outs[:-1] if closed else outs)],
            "partialFillDeals": [self.deal(f) for f in ins[:-1]],
            "closeVolume": int(sum((f.qty for f in outs), Decimal(0)) * _LOT), "volume": int(order.qty * _LOT),
            "expirationType": "Specified" if order.expire_ns else "GTC", "expirationTime": when(order.expire_ns),
            "fillPolicy": "FlashFill", "openTimestampUTC": order.created_ns // 1_000_000,
            "closeTimestampUTC": outs[-1].ts_ns // 1_000_000 if closed and outs else 0,
        }  # fmt: skip
        return told | changed

    def deal(self, fill: SimFill) -> dict[str, Any]:
        """Write one trade."""
        order = self._exchange.orders[fill.order]
        return {
            "ticketNumber": fill.number, "id": "", "login": _login(fill.account), "historyTime": ms(fill.ts_ns),
            "orderTicket": fill.order, "openTime": ms(fill.ts_ns) // 1000, "symbol": fill.symbol,
            "type": f"Deal{fill.side.value.capitalize()}", "direction": "In" if fill.entry else "Out",
            "openPrice": number(fill.price), "price": number(fill.price), "stopLoss": number(order.stop_loss),
            "takeProfit": number(order.take_profit), "volume": int(fill.qty * _LOT),
            "profit": number(fill.realized_pnl), "profitRate": 1, "volumeRate": 1, "commission": number(-fill.fee),
            "fee": 0, "swap": 0, "expertId": int(order.extra.get("magic", 0)),
            "positionTicket": int(fill.position_id or 0), "comment": self._comment(fill),
            "contractSize": number(self._exchange.instrument(fill.symbol).contract_size),
            "digits": digits(self._exchange.instrument(fill.symbol)), "moneyDigits": 2, "freeProfit": 0,
            "trailRounder": 0, "openTimeMs": ms(fill.ts_ns), "placedType": "Manually",
            "openTimeAsDateTime": when(fill.ts_ns), "lots": number(fill.qty),
        }  # fmt: skip

    def placed(self, order: SimOrder) -> dict[str, Any]:
        """Write an order as it was placed."""
        instrument = self._exchange.instrument(order.symbol)
        ended = None if order.is_open else order.updated_ns
        price = order.stop_price or order.price or order.avg_price
        state = "Filled" if order.filled_qty else self._state(order, filled=False)
        left = order.leaves_qty if order.is_open or not order.filled_qty else Decimal(0)
        return {
            "ticketNumber": order.number, "id": "", "login": _login(order.account), "symbol": order.symbol,
            "historyTime": ms(order.updated_ns), "openTime": ms(order.created_ns) // 1000,
            "expirationTime": 0 if order.expire_ns is None else ms(order.expire_ns) // 1000,
            "executionTime": 0 if ended is None else ms(ended) // 1000, "type": kind(order.type, order.side),
            "fillPolicy": "FlashFill", "expirationType": "Specified" if order.expire_ns else "GTC",
            "placedType": "Manually", "openPrice": number(price), "stopLimitPrice": self._limit(order),
            "price": number(order.avg_price), "stopLoss": number(order.stop_loss),
            "takeProfit": number(order.take_profit), "volume": int(left * _LOT),
            "requestVolume": int(order.qty * _LOT), "state": state, "expertId": int(order.extra.get("magic", 0)),
            "dealTicket": 0, "comment": str(order.extra.get("comment", "")),
            "contractSize": number(instrument.contract_size), "digits": digits(instrument),
            "baseDigits": digits(instrument), "profitRate": 1, "openTimeMs": ms(order.created_ns),
            "ticket": order.number, "executionTimeAsDateTime": when(ended), "lots": number(left),
            "requestLots": number(order.qty), "openTimeMsAsDateTime": when(order.created_ns),
            "openTimeAsDateTime": when(order.created_ns // NS_PER_S * NS_PER_S),
        }  # fmt: skip

    def deposit(self, account: str, ts_ns: int) -> dict[str, Any]:
        """Write the first deposit, which the history tells among the orders."""
        (amount,) = self._exchange.accounts[account].balances.values()
        at = {"openTime": when(ts_ns), "closeTime": when(ts_ns)}
        money = {"profit": number(amount), "lots": 0, "openPrice": 0, "closePrice": 0, "commission": 0, "fee": 0}
        return {"ticket": 1, "orderType": "Balance", "dealType": "Balance", "symbol": "", "state": "Filled",
                "comment": "Initial deposit", **at, **money}  # fmt: skip

    def _kind(self, order: SimOrder, filled: bool) -> str:
        if filled:
            return kind(OrderType.MARKET, order.side)
        triggered = order.type is OrderType.STOP_LIMIT and order.triggered_ns is not None
        return kind(OrderType.LIMIT if triggered else order.type, order.side)

    def _state(self, order: SimOrder, filled: bool) -> str:
        return "Filled" if filled else _ENDS.get(order.status, "Placed")

    def _limit(self, order: SimOrder) -> int | float:
        return number(order.price) if order.type is OrderType.STOP_LIMIT else 0

    def _open_price(self, order: SimOrder, held: Ticket | None, ins: list[SimFill]) -> Decimal | None:
        if held is not None:
            return held.open_price
        if ins:
            return order.avg_price
        return order.price if order.triggered_ns is not None else order.stop_price or order.price

    def _close_price(self, order: SimOrder, held: Ticket | None, outs: list[SimFill]) -> Decimal | None:
        if held is not None:
            bid, ask = self._exchange.best(order.symbol)
            return bid if held.side is Side.BUY else ask
        return outs[-1].price if outs else None

    def _opened_ns(self, order: SimOrder, ins: list[SimFill]) -> int:
        return ins[0].ts_ns if ins else order.created_ns

    def _comment(self, fill: SimFill) -> str:
        """Return a trade's comment; MetaTrader 5 writes its own where a level closed the position."""
        order = self._exchange.orders[fill.order]
        why = order.extra.get("why")
        places = digits(self._exchange.instrument(fill.symbol))
        return f"[{why} {fill.price:.{places}f}]" if why else str(order.extra.get("comment", ""))


def _login(account: str) -> int:
    return int(account) if is_whole(account) else 0
