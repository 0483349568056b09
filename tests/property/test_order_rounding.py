"""No order that was fitted to a market we know is refused by that market's filters, in a hundred thousand orders."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from tests.conformance import test_binance_spot, test_binance_usdm, test_bybit
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.instrument import Instrument
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.outcome import RefusalCode, Refused
from tradelab.model.rounding import fit
from tradelab.rehearsal.filters import violated
from tradelab.rehearsal.orders import SimOrder

ORDERS = 100_000
_PAYLOADS = [
    ("bybit", "linear", {"/v5/market/instruments-info": "bybit/http_get_instruments_linear.json"}),
    ("bybit", "spot", {"/v5/market/instruments-info": "bybit/http_get_instruments_spot.json"}),
    ("okx", "spot", {"/api/v5/public/instruments": "okx/http_get_instruments_spot.json"}),
    ("okx", "linear", {"/api/v5/public/instruments": "okx/http_get_instruments_swap.json"}),
    ("kraken", "spot", {"/0/public/AssetPairs": "kraken/http_asset_pairs.json"}),
]
_DIALECTS = [
    test_binance_spot.TestBinanceSpot.instrument,
    test_binance_usdm.TestBinanceUsdm.instrument,
    test_bybit.TestBybitLinear.instrument,
    test_bybit.TestBybitSpot.instrument,
]


async def _as_ccxt_reads(exchange: str, market: str, files: dict[str, str], folder: Path) -> list[Instrument]:
    """Serve recorded bodies on loopback, and let the real client make instruments of them."""

    async def answer(request: web.Request) -> web.Response:
        name = files.get(request.path)
        if name is None:
            return _other()
        told = json.loads((folder / name).read_text())
        if "category" in request.query:  # the recording leaves out the category, which Bybit repeats and ccxt reads
            told["result"].setdefault("category", request.query["category"])
        return web.json_response(told)

    def _other() -> web.Response:
        now = 1_700_000_000_000
        told = {"retCode": 0, "result": {"list": [], "timeNano": str(now * 10**6)}, "time": now, "code": "0"}
        return web.json_response(told | {"data": [{"ts": str(now)}], "error": [], "msg": ""})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue = CcxtVenue(exchange, market=market, base_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        raw = venue._client.raw
        raw.options["fetchMarkets"] = {"types": [market], "method": "publicGetAssetPairs"} | (
            {"types": ["SPOT" if market == "spot" else "SWAP"]} if exchange == "okx" else {}
        )
        await raw.load_markets()
        return [i for m in raw.markets.values() if (i := venue._wanted(m)) is not None]
    finally:
        await venue.disconnect()
        await runner.cleanup()


def _intents(markets: list[Instrument], count: int, seed: int) -> Iterator[tuple[Instrument, OrderIntent, Decimal]]:
    """Draw orders of every type and size, far too small to far too large, at prices of any number of digits."""
    rng = random.Random(seed)
    for _ in range(count):
        market = rng.choice(markets)
        kind, side = rng.choice(list(OrderType)), rng.choice(list(Side))
        price = market.tick_size * Decimal(10) ** rng.randint(2, 6) * Decimal(str(rng.uniform(1, 10)))
        qty = market.qty_step * Decimal(10) ** rng.randint(-1, 8) * Decimal(str(rng.uniform(0.5, 10)))
        near = price * Decimal(str(rng.uniform(0.85, 1.15)))
        yield market, OrderIntent(
            client_order_id="x", symbol=market.symbol, side=side, type=kind, qty=qty,
            price=near if kind.needs_price else None, stop_price=near if kind.needs_stop_price else None,
            reduce_only=rng.random() < 0.1,
        ), price  # fmt: skip


def _hold(markets: list[Instrument], count: int, seed: int) -> tuple[int, set[RefusalCode]]:
    """Fit orders and show them to the venue's filters; return how many passed and why the others did not."""
    passed, codes = 0, set()
    for market, asked, price in _intents(markets, count, seed):
        fitted = fit(asked, market, price)
        if isinstance(fitted, Refused):
            codes.add(fitted.code)
            continue
        passed += 1
        assert fitted.qty <= asked.qty
        assert fitted.qty % market.qty_step == 0
        assert fitted.qty >= (market.min_qty or 0)
        for name in ("price", "stop_price"):
            value = getattr(fitted, name)
            assert value is None or value % market.tick_size == 0
        if fitted.price is not None and asked.price is not None:
            assert (asked.price - fitted.price) * fitted.side.sign >= 0
        order = SimOrder(
            number=1, client_order_id="x", account="a", symbol=market.symbol, side=fitted.side, type=fitted.type,
            qty=fitted.qty, price=fitted.price, stop_price=fitted.stop_price, reduce_only=fitted.reduce_only,
        )  # fmt: skip
        assert violated(order, market, price) is None, (fitted, market)
    return passed, codes


def test_no_order_fitted_to_a_market_of_the_dialects_is_refused_by_its_filters() -> None:
    passed, codes = _hold(_DIALECTS, ORDERS, 1)
    assert passed > ORDERS // 10
    assert codes >= {RefusalCode.MIN_QTY, RefusalCode.MAX_QTY, RefusalCode.MIN_NOTIONAL, RefusalCode.PRICE_LIMIT}


@pytest.mark.parametrize(("exchange", "market", "files"), _PAYLOADS, ids=[f"{e}-{m}" for e, m, _ in _PAYLOADS])
def test_no_order_fitted_to_a_recorded_market_breaks_its_steps(
    shared: Path, exchange: str, market: str, files: dict[str, str]
) -> None:
    markets = asyncio.run(_as_ccxt_reads(exchange, market, files, shared / "venue_payloads"))
    assert markets
    passed, _ = _hold(markets, 10_000, 2)
    assert passed > 1_000


def test_the_steps_that_ccxt_reads_are_those_the_venue_wrote(shared: Path) -> None:
    told = json.loads((shared / "venue_payloads/bybit/http_get_instruments_linear.json").read_text())
    rows = {f"{r['baseCoin']}/{r['quoteCoin']}:{r['settleCoin']}": r for r in told["result"]["list"]}
    markets = asyncio.run(_as_ccxt_reads(*_PAYLOADS[0], shared / "venue_payloads"))
    assert len(markets) > 0
    for market in markets:
        row = rows[market.symbol]
        assert market.tick_size == Decimal(row["priceFilter"]["tickSize"])
        assert market.qty_step == Decimal(row["lotSizeFilter"]["qtyStep"])
        assert market.min_qty == Decimal(row["lotSizeFilter"]["minOrderQty"])
        assert market.max_qty == Decimal(row["lotSizeFilter"]["maxOrderQty"])
