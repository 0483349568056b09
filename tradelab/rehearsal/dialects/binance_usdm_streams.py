"""Push the streams that only futures have: mark prices and liquidations, and the fields only futures add."""

from __future__ import annotations

from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.rehearsal.dialects import binance_usdm_shapes as shapes
from tradelab.rehearsal.dialects.binance_market import Market, PublicTrade
from tradelab.rehearsal.dialects.binance_spot_shapes import eight
from tradelab.rehearsal.dialects.binance_streams import Streams
from tradelab.rehearsal.dialects.binance_usdm_info import UsdmInfo
from tradelab.rehearsal.events import Traded
from tradelab.rehearsal.hub import Hub
from tradelab.rehearsal.orders import SimFill, SimOrder

MS = 1_000_000
WITH_SYMBOL_TYPE = ("aggTrade", "bookTicker", "24hrTicker", "24hrMiniTicker", "markPriceUpdate", "depthUpdate")
WITH_PAIR = ("bookTicker", "depthUpdate")


class UsdmStreams(Streams):
    """The public sockets of futures."""

    def __init__(self, hub: Hub, market: Market, info: UsdmInfo, *, ping_s: float) -> None:
        super().__init__(hub, market, ping_s=ping_s)
        self._info = info

    def _head(self, event: str, instrument: Instrument) -> dict[str, Any]:
        head = super()._head(event, instrument)
        if event in WITH_SYMBOL_TYPE:
            head["st"] = 1
        return head | {"ps": instrument.symbol} if event in WITH_PAIR else head

    def traded(self, event: Traded, trade: PublicTrade) -> None:
        """Push a trade, and the mark price, which is the last trade's here."""
        super().traded(event, trade)
        instrument = self.market.instrument(event.symbol)
        for name in ("markPrice", "markPrice@1s"):
            self._send(f"{event.symbol.lower()}@{name}", lambda: self._mark(instrument))

    def _mark(self, instrument: Instrument) -> dict[str, Any]:
        told = self._info.premium_of(instrument)
        return self._head("markPriceUpdate", instrument) | {
            "p": told["markPrice"], "i": told["indexPrice"], "P": told["estimatedSettlePrice"],
            "r": told["lastFundingRate"], "T": told["nextFundingTime"],
        }  # fmt: skip

    def liquidated(self, order: SimOrder, fill: SimFill) -> None:
        """Push a liquidation."""
        if not order.extra.get("liquidation"):
            return
        instrument = self.market.instrument(order.symbol)
        told = {
            "s": order.symbol, "S": order.side.name, "o": "LIMIT", "f": "IOC",
            "q": shapes.qty_text(instrument, order.qty), "p": eight(fill.price), "ap": eight(order.avg_price),
            "X": "FILLED", "l": shapes.qty_text(instrument, fill.qty),
            "z": shapes.qty_text(instrument, order.filled_qty), "T": fill.ts_ns // MS,
        }  # fmt: skip
        said = {"e": "forceOrder", "E": self.market.exchange.clock.shown_ms(), "o": told}
        self._send(f"{order.symbol.lower()}@forceOrder", lambda: said)
        self._send("!forceOrder@arr", lambda: said)
