"""Tell what USDⓈ-M trades, by which filters, and what funding costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.rehearsal.dialects import binance_usdm_shapes as shapes
from tradelab.rehearsal.dialects.binance_door import Ask, Limits, Route, Security
from tradelab.rehearsal.dialects.binance_market import Market
from tradelab.rehearsal.dialects.binance_params import names, places
from tradelab.rehearsal.dialects.binance_spot_shapes import eight
from tradelab.rehearsal.exchange import FUNDING_NS

MS = 1_000_000
FOREVER_MS = 4_133_404_800_000  # the delivery date of what is never delivered
ONBOARDED_MS = 1_569_398_400_000
TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"]
TIFS = ["GTC", "IOC", "FOK", "GTX", "GTD"]
INTEREST = "0.00010000"
_MOST_PRICE, _MOST_QTY = Decimal(10_000_000), Decimal(10_000_000)


class UsdmInfo:
    """The exchange's own description, mark prices and funding."""

    def __init__(self, market: Market, limits: Limits) -> None:
        self.market = market
        self.limits = limits

    def routes(self) -> list[Route]:
        """Return its addresses."""
        none, root = Security.NONE, "/fapi/v1"
        history = names("symbol startTime endTime limit")
        return [
            Route("GET", f"{root}/exchangeInfo", "instruments", self.tell, 1, none),
            Route("GET", f"{root}/premiumIndex", "quote", self.premium, _premium_weight, none, names("symbol")),
            Route("GET", f"{root}/fundingRate", "other", self.funding, 1, none, history),
            Route("GET", f"{root}/fundingInfo", "other", lambda _: [], 1, none),
        ]

    def tell(self, _: Ask) -> object:
        """Tell every market."""
        listed = list(self.market.listed())
        assets = sorted({i.settle or i.quote for i, _ in listed})
        limits = [("REQUEST_WEIGHT", "MINUTE", 1, self.limits.weight.limit)]
        limits += [("ORDERS", w.split()[1], int(w.split()[0]), s.limit) for s, _, w in self.limits.orders]
        return {
            "timezone": "UTC", "serverTime": self.market.exchange.clock.shown_ms(), "futuresType": "U_MARGINED",
            "rateLimits": [
                {"rateLimitType": kind, "interval": unit, "intervalNum": count, "limit": most}
                for kind, unit, count, most in limits
            ],
            "exchangeFilters": [],
            "assets": [{"asset": a, "marginAvailable": True, "autoAssetExchange": "0"} for a in assets],
            "symbols": [symbol(i, trades) for i, trades in listed],
        }  # fmt: skip

    def premium(self, ask: Ask) -> object:
        """Tell mark price and funding; ours is marked by the last trade."""
        if (name := ask.params.text("symbol")) is not None:
            return self.premium_of(self.market.instrument(name))
        return [self.premium_of(i) for i, _ in self.market.listed()]

    def premium_of(self, instrument: Instrument) -> dict[str, Any]:
        """Return mark price and funding of one market."""
        exchange = self.market.exchange
        mark = eight(exchange.mark(instrument.symbol))
        return {
            "symbol": instrument.symbol, "markPrice": mark, "indexPrice": mark, "estimatedSettlePrice": mark,
            "lastFundingRate": eight(exchange.setup.funding_rate), "interestRate": INTEREST,
            "nextFundingTime": self.next_funding_ms(), "time": exchange.now_ns // MS,
        }  # fmt: skip

    def next_funding_ms(self) -> int:
        """Return when funding is paid next."""
        return (self.market.exchange.now_ns // FUNDING_NS + 1) * FUNDING_NS // MS

    def funding(self, ask: Ask) -> object:
        """Tell the rates that were paid, oldest first; the mark is the candle's at that time."""
        params, exchange = ask.params, self.market.exchange
        name = params.text("symbol")
        chosen = [self.market.instrument(name)] if name else [i for i, _ in self.market.listed()]
        limit, start, end = params.limit(100, 1000), params.whole("startTime"), params.whole("endTime")
        rows = []
        for instrument in chosen:
            tape = exchange.tapes[instrument.symbol]
            until_ns = exchange.now_ns if end is None else min(exchange.now_ns, end * MS)
            since_ns = int(tape.open_ns[0]) if start is None else max(int(tape.open_ns[0]), start * MS)
            for at_ns in range(-(-since_ns // FUNDING_NS) * FUNDING_NS, until_ns + 1, FUNDING_NS):
                bars = tape.candles(tape.timeframe, at_ns, at_ns + 1, exchange.now_ns)
                mark = tape.on_tick(bars[0].open) if bars else exchange.mark(instrument.symbol)
                rate = eight(exchange.setup.funding_rate)
                rows.append({"symbol": instrument.symbol, "fundingTime": at_ns // MS, "fundingRate": rate,
                             "markPrice": eight(mark)})  # fmt: skip
        rows.sort(key=lambda r: int(str(r["fundingTime"])))
        return rows[:limit] if start is not None else rows[-limit:]


def symbol(instrument: Instrument, trades: bool) -> dict[str, Any]:
    """Return one market."""
    return {
        "symbol": instrument.symbol, "pair": instrument.symbol, "contractType": "PERPETUAL",
        "deliveryDate": FOREVER_MS, "onboardDate": ONBOARDED_MS, "status": "TRADING" if trades else "SETTLING",
        "maintMarginPercent": "2.5000", "requiredMarginPercent": "5.0000", "baseAsset": instrument.base,
        "quoteAsset": instrument.quote, "marginAsset": instrument.settle or instrument.quote,
        "pricePrecision": places(instrument.tick_size), "quantityPrecision": places(instrument.qty_step),
        "baseAssetPrecision": 8, "quotePrecision": 8, "underlyingType": "COIN", "underlyingSubType": [],
        "triggerProtect": "0.0500", "liquidationFee": "0.012500", "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000, "filters": filters_of(instrument), "orderTypes": TYPES, "timeInForce": TIFS,
        "permissionSets": ["GRID", "COPY"],
    }  # fmt: skip


def filters_of(instrument: Instrument) -> list[dict[str, Any]]:
    """Return the filters of one market."""
    i = instrument

    def price(value: Decimal | None) -> str:
        return shapes.price_text(i, value)

    def qty(value: Decimal | None) -> str:
        return shapes.qty_text(i, value)

    least, most = i.min_qty or i.qty_step, i.max_qty or _MOST_QTY
    found: list[dict[str, Any]] = [
        {"filterType": "PRICE_FILTER", "minPrice": price(i.min_price or i.tick_size),
         "maxPrice": price(i.max_price or _MOST_PRICE), "tickSize": price(i.tick_size)},
        {"filterType": "LOT_SIZE", "minQty": qty(least), "maxQty": qty(most), "stepSize": qty(i.qty_step)},
        {"filterType": "MARKET_LOT_SIZE", "minQty": qty(i.min_market_qty or least),
         "maxQty": qty(i.max_market_qty or most), "stepSize": qty(i.market_qty_step or i.qty_step)},
    ]  # fmt: skip
    if i.max_orders is not None:
        found.append({"filterType": "MAX_NUM_ORDERS", "limit": i.max_orders})
    if i.max_trigger_orders is not None:
        found.append({"filterType": "MAX_NUM_ALGO_ORDERS", "limit": i.max_trigger_orders})
    if i.min_notional is not None:
        found.append({"filterType": "MIN_NOTIONAL", "notional": f"{i.min_notional.normalize():f}"})
    if i.price_band_up is not None or i.price_band_down is not None:
        up, down = i.price_band_up or Decimal(1000), i.price_band_down or Decimal(0)
        band = {"multiplierUp": f"{up:.4f}", "multiplierDown": f"{down:.4f}", "multiplierDecimal": "4"}
        found.append({"filterType": "PERCENT_PRICE", **band})
    return found


def _premium_weight(params: object) -> int:
    return 1 if isinstance(params, dict) and "symbol" in params else 10
