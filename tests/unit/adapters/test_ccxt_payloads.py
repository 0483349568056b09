"""Recorded answers of venues nobody has rehearsed are read as they were meant: OKX and Kraken, by the real client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.adapters.recorded_venue import recorded
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.model.capabilities import Evidence
from tradelab.model.orders import Liquidity, OrderStatus, OrderType, Side
from tradelab.model.units import Timeframe

OKX = {
    "/api/v5/public/instruments": "okx/http_get_instruments_swap.json",
    "/api/v5/trade/orders-pending": "okx/http_get_orders_pending.json",
    "/api/v5/account/balance": "okx/http_get_account_balance.json",
    "/api/v5/market/candles": "okx/http_get_candlesticks.json",
}
KRAKEN = {
    "/0/public/AssetPairs": "kraken/http_asset_pairs.json",
    "/0/public/OHLC": "kraken/http_ohlc.json",
    "/0/private/OpenOrders": "kraken/http_open_orders.json",
    "/0/private/TradesHistory": "kraken/http_trades_history.json",
    "/0/private/BalanceEx": "kraken/http_spot_balance.json",
    "/0/private/Balance": "kraken/http_spot_balance.json",
}
Play = Callable[[CcxtVenue], Coroutine[Any, Any, Any]]


def _play(shared: Path, exchange: str, market: str, files: dict[str, str], canary: str, play: Play) -> Any:
    async def run() -> Any:
        async with recorded(exchange, market, shared / "venue_payloads", files, canary) as (venue, _):
            return await play(venue)

    return asyncio.run(run())


def _body(shared: Path, name: str) -> Any:
    return json.loads((shared / "venue_payloads" / name).read_text())


@pytest.mark.parametrize("exchange", ["okx", "kraken"])
def test_the_label_says_how_far_it_is_proved(exchange: str) -> None:
    assert CcxtVenue(exchange).capabilities.evidence is Evidence.PAYLOAD_TESTED


def test_okx_open_orders_are_read(shared: Path, canary: str) -> None:
    rows = {r["ordId"]: r for r in _body(shared, OKX["/api/v5/trade/orders-pending"])["data"]}
    orders = _play(shared, "okx", "linear", OKX, canary, lambda v: v.open_orders())
    assert {o.venue_order_id for o in orders} <= set(rows)
    assert orders
    for order in orders:
        row = rows[order.venue_order_id]
        assert order.client_order_id == (row["clOrdId"] or None)
        assert order.qty == Decimal(row["sz"])
        assert order.filled_qty == Decimal(row["accFillSz"])
        assert order.side is Side(row["side"])
        assert order.price == (Decimal(row["px"]) if row["px"] else None)
        assert order.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
        assert order.created_ns == int(row["cTime"]) * 1_000_000


def test_okx_money_is_read(shared: Path, canary: str) -> None:
    rows = {r["ccy"]: r for r in _body(shared, OKX["/api/v5/account/balance"])["data"][0]["details"]}
    for balance in _play(shared, "okx", "linear", OKX, canary, lambda v: v.balances()):
        assert float(balance.free) == pytest.approx(float(rows[balance.currency]["availBal"]), abs=1e-12)


def test_okx_candles_are_read_oldest_first(shared: Path, canary: str) -> None:
    rows = sorted(_body(shared, OKX["/api/v5/market/candles"])["data"], key=lambda r: int(r[0]))

    async def ask(venue: CcxtVenue) -> Any:
        (symbol, *_) = await venue.symbols()
        return await venue.fetch_ohlcv(symbol, Timeframe.M1)

    bars = _play(shared, "okx", "linear", OKX, canary, ask)
    assert [(b.open_ns // 1_000_000, b.open, b.high, b.low, b.close) for b in bars] == [
        (int(r[0]), *(float(v) for v in r[1:5])) for r in rows
    ]


def test_kraken_open_orders_are_read(shared: Path, canary: str) -> None:
    rows = _body(shared, KRAKEN["/0/private/OpenOrders"])["result"]["open"]
    orders = _play(shared, "kraken", "spot", KRAKEN, canary, lambda v: v.open_orders())
    assert {o.venue_order_id for o in orders} == set(rows)
    for order in orders:
        row = rows[order.venue_order_id]
        assert order.qty == Decimal(row["vol"])
        assert order.filled_qty == Decimal(row["vol_exec"])
        assert order.side is Side(row["descr"]["type"])
        if row["descr"]["ordertype"] == "limit":
            assert (order.type, order.price) == (OrderType.LIMIT, Decimal(row["descr"]["price"]))


def test_kraken_fills_are_read_with_their_fees(shared: Path, canary: str) -> None:
    rows = _body(shared, KRAKEN["/0/private/TradesHistory"])["result"]["trades"]
    fills = _play(shared, "kraken", "spot", KRAKEN, canary, lambda v: v.fills(0, "BTC/USDT"))
    ours = {k: r for k, r in rows.items() if r["pair"] == "XBTUSDT"}
    assert {f.trade_id for f in fills} == set(ours)
    for fill in fills:
        row = ours[fill.trade_id]
        assert (fill.qty, fill.price, fill.fee) == (Decimal(row["vol"]), Decimal(row["price"]), Decimal(row["fee"]))
        assert fill.venue_order_id == row["ordertxid"]
        assert fill.liquidity is (Liquidity.MAKER if row["maker"] else Liquidity.TAKER)


def test_kraken_candles_are_read(shared: Path, canary: str) -> None:
    rows = _body(shared, KRAKEN["/0/public/OHLC"])["result"]["XBTUSDT"]
    bars = _play(shared, "kraken", "spot", KRAKEN, canary, lambda v: v.fetch_ohlcv("BTC/USDT", Timeframe.M1))
    assert len(bars) == 720  # one page; the recording has a bar more
    told = [(b.open_ns // 10**9, b.open, b.close) for b in bars]
    assert told == [(r[0], float(r[1]), float(r[4])) for r in rows[-720:]]
