"""What is sent to OKX for its dead-man's switch, by the real client over a real socket; OKX itself was never asked.

The request's shape is that of OKX's documentation ("POST / Cancel All After", as of 2026-07-11); answers are recorded
payloads, or the documentation's own examples.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.adapters.recorded_venue import recorded
from tradelab.adapters.ccxt_okx import TAG
from tradelab.adapters.ccxt_venue import CcxtVenue
from tradelab.adapters.ccxt_ways import ways_of
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.capabilities import DeadMan
from tradelab.model.errors import RequestError
from tradelab.model.orders import OrderIntent, OrderType, Side

D = Decimal
SYMBOL = "BTC/USDT:USDT"
FILES = {"/api/v5/public/instruments": "okx/http_get_instruments_swap.json"}


def sent(shared: Path, canary: str, act: Callable[[CcxtVenue], Coroutine[Any, Any, Any]]) -> list[tuple[str, Any]]:
    """Return path and JSON body of every POST that an act made."""

    async def run() -> list[tuple[str, Any]]:
        async with recorded("okx", "linear", shared / "venue_payloads", FILES, canary) as (venue, asked):
            await act(venue)
            return [(one.path, json.loads(await one.read())) for one in asked if one.method == "POST"]

    return asyncio.run(run())


def order(**how: Any) -> Callable[[CcxtVenue], Coroutine[Any, Any, Any]]:
    async def act(venue: CcxtVenue) -> None:
        told = {"client_order_id": "tl1", "symbol": SYMBOL, "side": Side.BUY, "type": OrderType.LIMIT, "qty": D(1)}
        if "type" not in how or how["type"].needs_price:
            told["price"] = D(39_000)
        listed = next(one for one in await venue.instruments() if one.symbol == SYMBOL)
        intent = OrderIntent(**told | how)
        approved = approve(intent, listed, reference_price=D(40_000), by=("a test",), at_ns=1)
        assert isinstance(approved, OrderApproved), approved
        await venue.submit(approved)

    return act


def test_the_countdown_is_asked_for_by_tag_so_that_other_orders_are_left_alone(shared: Path, canary: str) -> None:
    async def act(venue: CcxtVenue) -> None:
        await venue.arm_dead_man(60)
        await venue.arm_dead_man(0)

    path = "/api/v5/trade/cancel-all-after"
    assert sent(shared, canary, act) == [(path, {"timeOut": "60", "tag": TAG}), (path, {"timeOut": "0", "tag": TAG})]


def test_an_entry_that_rests_carries_the_tag(shared: Path, canary: str) -> None:
    ((path, (body,)),) = sent(shared, canary, order())  # ccxt sends even one as a batch
    assert (path, body["tag"], body["clOrdId"]) == ("/api/v5/trade/batch-orders", TAG, "tl1")


@pytest.mark.parametrize(
    "how",
    [
        {"side": Side.SELL, "reduce_only": True},
        {"side": Side.SELL, "reduce_only": True, "type": OrderType.STOP, "stop_price": D(38_000)},
        {"type": OrderType.STOP, "stop_price": D(41_000)},
        {"stop_loss": D(38_000)},
        {"stop_loss": D(38_000), "take_profit": D(45_000)},
    ],
    ids=["a target", "a protective stop", "a conditional entry", "with its stop", "with both"],
)
def test_what_protects_or_brings_its_protection_never_carries_the_tag(
    how: dict[str, Any], shared: Path, canary: str
) -> None:
    posts = sent(shared, canary, order(**how))
    assert posts
    for _, body in posts:
        assert TAG not in json.dumps(body)


def test_the_tag_is_one_that_okx_takes() -> None:
    assert TAG.isalnum()
    assert TAG.isascii()
    assert len(TAG) <= 16


def test_only_okx_has_a_switch_here_and_the_others_refuse_before_anything_is_sent() -> None:
    assert CcxtVenue("okx").capabilities.dead_man == DeadMan(shortest_s=10, longest_s=120, least_gap_s=1.0)
    for exchange in ("binance", "binanceusdm", "bybit", "kraken", "hyperliquid", "htx", "bingx", "woo", "whitebit"):
        for market in ("spot", "linear"):
            assert ways_of(CcxtVenue(exchange)._client.raw, market).capabilities().dead_man is None, exchange

    async def act() -> None:
        with pytest.raises(RequestError, match="known to spare protective stops"):
            await CcxtVenue("binance", market="linear").arm_dead_man(60)

    asyncio.run(act())
