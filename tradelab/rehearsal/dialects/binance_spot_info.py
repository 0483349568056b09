"""Tell what spot trades and by which filters, out of the instruments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradelab.model.instrument import Instrument
from tradelab.model.units import NS_PER_MIN
from tradelab.rehearsal.dialects.binance_door import Ask, Limits, Route, Security
from tradelab.rehearsal.dialects.binance_errors import unknown_symbol
from tradelab.rehearsal.dialects.binance_market import Market
from tradelab.rehearsal.dialects.binance_params import names
from tradelab.rehearsal.dialects.binance_spot_orders import ASSET_PLACES, TYPES
from tradelab.rehearsal.dialects.binance_spot_shapes import NO_STP, eight

_TAKES = names("symbol symbols permissions showPermissionSets symbolStatus")
_MOST = Decimal("9000000000")
AVERAGED_MIN = 5


class SpotInfo:
    """The exchange's own description."""

    def __init__(self, market: Market, limits: Limits) -> None:
        self.market = market
        self.limits = limits

    def routes(self) -> list[Route]:
        """Return its addresses."""
        none = Security.NONE
        return [
            Route("GET", "/api/v3/exchangeInfo", "instruments", self.tell, 20, none, _TAKES),
            Route("GET", "/api/v3/avgPrice", "quote", self.average, 2, none, names("symbol")),
        ]

    def average(self, ask: Ask) -> object:
        """Tell the average of the last five minutes' trades, by quantity."""
        instrument = self.market.instrument(ask.params.required("symbol"))
        now_ns = self.market.exchange.now_ns
        trades = [t for t in self.market.trades[instrument.symbol] if t.ts_ns > now_ns - AVERAGED_MIN * NS_PER_MIN]
        qty = sum((t.qty for t in trades), Decimal(0))
        worth = sum((t.qty * t.price for t in trades), Decimal(0))
        price = worth / qty if qty else self.market.exchange.mark(instrument.symbol)
        at_ns = trades[-1].ts_ns if trades else now_ns
        return {"mins": AVERAGED_MIN, "price": eight(price), "closeTime": at_ns // 1_000_000}

    def tell(self, ask: Ask) -> object:
        """Tell everything, or only the symbols asked for."""
        wanted = ask.params.text("symbols") or ask.params.text("symbol")
        only = None if wanted is None else [name.strip('[] "') for name in wanted.split(",")]
        if only is not None and any(name not in self.market.exchange.tapes for name in only):
            raise unknown_symbol()
        listed = [(i, trades) for i, trades in self.market.listed() if only is None or i.symbol in only]
        return {
            "timezone": "UTC",
            "serverTime": self.market.exchange.clock.shown_ms(),
            "rateLimits": self._limits(),
            "exchangeFilters": [],
            "symbols": [symbol(instrument, trades) for instrument, trades in listed],
        }

    def _limits(self) -> list[dict[str, Any]]:
        kinds = [("REQUEST_WEIGHT", "MINUTE", 1, self.limits.weight.limit)]
        for scope, _, words in self.limits.orders:
            count, unit = words.split()
            kinds.append(("ORDERS", unit, int(count), scope.limit))
        return [
            {"rateLimitType": kind, "interval": unit, "intervalNum": count, "limit": limit}
            for kind, unit, count, limit in kinds
        ]


def symbol(instrument: Instrument, trades: bool) -> dict[str, Any]:
    """Return one market."""
    return {
        "symbol": instrument.symbol, "status": "TRADING" if trades else "BREAK", "baseAsset": instrument.base,
        "baseAssetPrecision": ASSET_PLACES, "quoteAsset": instrument.quote, "quotePrecision": ASSET_PLACES,
        "quoteAssetPrecision": ASSET_PLACES, "baseCommissionPrecision": ASSET_PLACES,
        "quoteCommissionPrecision": ASSET_PLACES, "orderTypes": list(TYPES), "icebergAllowed": False,
        "ocoAllowed": False, "otoAllowed": False, "opoAllowed": False, "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False, "cancelReplaceAllowed": True, "amendAllowed": True,
        "pegInstructionsAllowed": False, "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
        "filters": filters_of(instrument), "permissions": [], "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": NO_STP, "allowedSelfTradePreventionModes": [NO_STP],
    }  # fmt: skip


def filters_of(instrument: Instrument) -> list[dict[str, Any]]:
    """Return the filters; a limit the instrument does not set is written as Binance writes one it does not use."""
    i = instrument
    least, step = i.min_qty or i.qty_step, i.qty_step
    found: list[dict[str, Any]] = [
        {"filterType": "PRICE_FILTER", "minPrice": eight(i.min_price or i.tick_size),
         "maxPrice": eight(i.max_price or _MOST), "tickSize": eight(i.tick_size)},
        {"filterType": "LOT_SIZE", "minQty": eight(least), "maxQty": eight(i.max_qty or _MOST),
         "stepSize": eight(step)},
        {"filterType": "MARKET_LOT_SIZE", "minQty": eight(i.min_market_qty),
         "maxQty": eight(i.max_market_qty or i.max_qty or _MOST), "stepSize": eight(i.market_qty_step)},
    ]  # fmt: skip
    if i.min_notional is not None or i.max_notional is not None:
        found.append({
            "filterType": "NOTIONAL", "minNotional": eight(i.min_notional), "applyMinToMarket": True,
            "maxNotional": eight(i.max_notional or _MOST), "applyMaxToMarket": i.max_notional is not None,
            "avgPriceMins": 0,
        })  # fmt: skip
    if i.price_band_up is not None or i.price_band_down is not None:
        up, down = str(i.price_band_up or 1000), str(i.price_band_down or 0)
        band = {"bidMultiplierUp": up, "bidMultiplierDown": down, "askMultiplierUp": up, "askMultiplierDown": down}
        found.append({"filterType": "PERCENT_PRICE_BY_SIDE", **band, "avgPriceMins": 0})
    if i.max_orders is not None:
        found.append({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": i.max_orders})
    if i.max_trigger_orders is not None:
        found.append({"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": i.max_trigger_orders})
    return found
