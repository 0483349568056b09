"""Speak as the MetaTrader 4 bridge of mtapi.io does, where it differs from that of MetaTrader 5.

A ticket is an order and its position, and there are no trades beside it. Keys: docs.metatraderapi.dev
(metatrader-4-api: trading, orderhistory) and clients of mt4.mtapi.io. What is left after a partial close gets a new
ticket whose comment says where it comes from, as MetaTrader 4 does it.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.model.market import Candle
from tradelab.model.orders import OrderStatus
from tradelab.model.units import Timeframe
from tradelab.rehearsal.dialect import Desk
from tradelab.rehearsal.dialects import mtapi_errors as say
from tradelab.rehearsal.dialects.mtapi import Mtapi, Row, span
from tradelab.rehearsal.dialects.mtapi_shapes import Shapes, digits, number, when
from tradelab.rehearsal.dialects.mtapi_trade import Asked, Trades
from tradelab.rehearsal.orders import SimFill, SimOrder
from tradelab.rehearsal.reading import is_whole

NEVER = "1970-01-01T00:00:00"
_COMMENT_LENGTH = 31
_CODES = {t.code: t for t in Timeframe if t is not Timeframe.MN}


def make(desk: Desk) -> Mtapi4:
    """Make the dialect."""
    return Mtapi4(desk)


class Mtapi4(Mtapi):
    """mtapi.io for MetaTrader 4 over an exchange with a hedging ledger."""

    name = "mtapi-mt4"

    def __init__(self, desk: Desk) -> None:
        shapes = Shapes4(desk.exchange)
        super().__init__(desk, shapes, Trades4(desk.exchange, shapes, has_stop_limit=False))

    def _of_platform(self) -> list[Row]:
        return [
            ("/OrderHistory", "fills", self.answering(self._past)),
            ("/Quote", "quote", self.answering(self.quote)),
            ("/QuoteHistory", "candles", self.answering(self._bars_before)),
        ]

    def _past(self, account: str, asked: Asked) -> list[dict[str, Any]]:
        since_ns, until_ns = span(asked)
        over = [o for o in self.past(account) if since_ns <= self.ended_ns(o) <= until_ns]
        return [self._shapes.ticket(order) for order in over]

    def _bars_before(self, account: str, asked: Asked) -> list[dict[str, Any]]:
        """Tell so many bars up to a time."""
        symbol, told = self.market(asked), asked.get("timeframe", "")
        if told not in _CODES:
            raise say.Told(say.unreadable("timeframe", told or None))
        if not is_whole(asked.get("count", "")):
            raise say.Told(say.unreadable("count", asked.get("count")))
        until_ns, _ = span({"from": asked.get("from", ""), "to": asked.get("from", "")})
        timeframe, count = _CODES[told], int(asked["count"])
        since_ns = timeframe.floor(until_ns) - (count - 1) * timeframe.ns
        bars = self._exchange.tapes[symbol].candles(timeframe, since_ns, until_ns + 1, self._exchange.now_ns)
        return [self._shapes.bar(bar) for bar in bars]


class Shapes4(Shapes):
    """Writes what one exchange knows of one account, for MetaTrader 4."""

    def account(self, account: str) -> dict[str, Any]:
        """Write the summary of an account; there is nothing but hedging."""
        return {k: v for k, v in super().account(account).items() if k not in ("method", "synced")}

    def symbol(self, instrument: Instrument) -> dict[str, Any]:
        """Write what a symbol asks of an order."""
        symbol = {
            "digits": digits(instrument), "point": number(instrument.tick_size), "stopsLevel": 0, "freezeLevel": 0,
            "contractSize": number(instrument.contract_size), "currency": instrument.base or instrument.quote,
            "ex": {"description": instrument.symbol},
        }  # fmt: skip
        limits = {
            "minLot": number(instrument.min_qty), "maxLot": number(instrument.max_qty),
            "lotStep": number(instrument.qty_step),
        }  # fmt: skip
        return {"symbolName": instrument.symbol, "symbol": symbol, "groupParams": limits, "group": {"name": "Forex"}}

    def bar(self, candle: Candle) -> dict[str, Any]:
        """Write one bar."""
        prices = {"open": candle.open, "high": candle.high, "low": candle.low, "close": candle.close}
        return {"time": when(candle.open_ns), **prices, "volume": int(candle.volume)}

    def ticket(self, order: SimOrder, **changed: Any) -> dict[str, Any]:
        """Write a ticket."""
        five = super().ticket(order)
        outs = [f for f in self._exchange.fills if f.position_id == str(order.number) and not f.entry]
        over = five["closeTime"] != "0001-01-01T00:00:00"
        lots = sum((f.qty for f in outs), Decimal(0)) if over and outs else Decimal(str(five["lots"]))
        paid = self._exchange.setup.commission_per_lot * lots if order.filled_qty else Decimal(0)
        told = {
            "ticket": order.number, "openTime": when(order.extra.get("opened_ns")) if "opened_ns" in order.extra
            else five["openTime"], "closeTime": five["closeTime"] if over else NEVER,
            "expiration": NEVER if order.expire_ns is None else when(order.expire_ns), "type": five["orderType"],
            "lots": number(lots), "symbol": order.symbol, "openPrice": five["openPrice"], "stopLoss": five["stopLoss"],
            "takeProfit": five["takeProfit"], "closePrice": five["closePrice"], "magicNumber": five["expertId"],
            "swap": 0, "commission": number(-paid), "comment": self._commented(order, outs if over else []),
            "profit": five["profit"], "rateOpen": 1, "rateClose": 1, "rateMargin": 1, "ex": None,
            "placedType": "Client", "state": self._stage(order, over), "digits": five["digits"],
        }  # fmt: skip
        return told | {k: v for k, v in changed.items() if k in told and k != "state"}

    def _commented(self, order: SimOrder, outs: list[SimFill]) -> str:
        """Return a comment, with what MetaTrader 4 adds where a level closed the ticket."""
        comment = str(order.extra.get("comment", ""))
        why = self._exchange.orders[outs[-1].order].extra.get("why") if outs else None
        return f"{comment}[{why}]"[:_COMMENT_LENGTH] if why else comment

    def _stage(self, order: SimOrder, over: bool) -> str:
        if not over:
            return "OPEN_NORMAL"
        return "DELETED" if order.status is not OrderStatus.FILLED else "CLOSED_NORMAL"


class Trades4(Trades):
    """Trades of MetaTrader 4: a partial close divides the ticket."""

    def close(self, account: str, asked: Asked) -> tuple[SimOrder, dict[str, Any]]:
        """Close a ticket or a part of it; closes bear no comment of their own."""
        one, told = super().close(account, {k: v for k, v in asked.items() if k != "comment"})
        held = self._shapes.ledger(account).tickets.pop(str(one.number), None)
        if held is not None:
            rest = replace(one, number=self._exchange.number())
            rest.extra = one.extra | {"comment": f"from #{one.number}", "opened_ns": held.opened_ns}
            self._exchange.orders[rest.number] = rest
            held.ticket, held.comment = str(rest.number), str(rest.extra["comment"])
            self._shapes.ledger(account).tickets[held.ticket] = held
        return one, told
