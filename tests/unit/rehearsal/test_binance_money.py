"""Trade at random through the wire, and add it up again from what the venue said: nothing is lost, nothing is made."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import ccxt.pro
import numpy as np
import pandas as pd
import pytest

from tests.unit.rehearsal.binance_world import Scene, play, until
from tests.unit.rehearsal.test_binance_fidelity import frames_of

D = Decimal
ACTIONS = 300
PAGE = 200


def wandering_bars(seed: int, n: int = 3000) -> pd.DataFrame:
    """A market that wanders around 40 000."""
    chance = np.random.default_rng(seed)
    close = np.round(40_000 + np.cumsum(chance.normal(0, 15, n)), 1)
    opened = np.r_[40_000.0, close[:-1]]
    frame = {
        "open": opened, "high": np.maximum(opened, close) + 8, "low": np.minimum(opened, close) - 8, "close": close,
        "volume": chance.uniform(0.5, 3, n),
    }  # fmt: skip
    return pd.DataFrame(frame, index=pd.date_range("2023-01-01", periods=n, freq="1min", tz="UTC"))


async def trade_at_random(on: Scene, seed: int, step: int) -> set[int]:
    """Send a few hundred requests of every kind; return the codes with which the venue refused some."""
    chance, refusals, c = random.Random(seed), set(), on.client
    for number in range(ACTIONS):
        side, amount = chance.choice(["buy", "sell"]), chance.randint(5, 60) / step
        last = float(on.at.exchange.mark("BTCUSDT"))
        price = last * (1 + chance.uniform(-0.001, 0.001))
        what, params = chance.random(), {"clientOrderId": f"a{number}"}
        try:
            if what < 0.25:
                await c.create_order(on.symbol, "market", side, amount, None, params)
            elif what < 0.6:
                tif = (
                    {"postOnly": True} if what < 0.35 else {"timeInForce": chance.choice(["GTC", "GTC", "IOC", "FOK"])}
                )
                await c.create_order(on.symbol, "limit", side, amount, price, params | tif)
            elif what < 0.7:
                level = last * (1 + (0.001 if side == "buy" else -0.001))
                await c.create_order(on.symbol, "market", side, amount, None, params | {"stopLossPrice": level})
            elif what < 0.8:
                open_orders = await c.fetch_open_orders(on.symbol)
                if open_orders:
                    await c.cancel_order(chance.choice(open_orders)["id"], on.symbol)
            else:
                await on.at.advance(chance.randint(5, 90), step_s=30)
        except ccxt.pro.ExchangeError:
            refusals.add(json.loads(c.last_http_response)["code"])
    return refusals


async def all_trades(on: Scene, call: Any) -> list[dict[str, Any]]:
    """Return every own trade, page by page."""
    rows: list[dict[str, Any]] = []
    following = 0
    while True:
        await call({"symbol": "BTCUSDT", "fromId": following, "limit": PAGE})
        page = json.loads(on.client.last_http_response)
        rows += page
        if len(page) < PAGE:
            return rows
        following = page[-1]["id"] + 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_spot_balances_equal_the_fold_of_the_trades_that_were_told(seed: int) -> None:
    start = {"USDT": D(30_000), "BTC": D("0.7")}

    async def act(on: Scene) -> Any:
        c = on.client
        sign = {"id": "1", "method": "userDataStream.subscribe.signature", "params": c.sign_params({})}
        frames = await frames_of(on, "/ws-api/v3", sign)
        refusals = await trade_at_random(on, seed, 1000)
        trades = await all_trades(on, c.privateGetMyTrades)
        for order in await c.fetch_open_orders(on.symbol):
            await c.cancel_order(order["id"], on.symbol)
        account = await c.privateGetAccount()
        pushed = lambda: {f["event"]["t"] for f in frames if f.get("event", {}).get("x") == "TRADE"}  # noqa: E731
        await until(lambda: len(pushed()) == len(trades))
        return refusals, trades, account["balances"], pushed()

    refusals, trades, balances, pushed = play(
        "binance", act, money=start, bars=wandering_bars(seed), maker_bps=D("7.5"), taker_bps=D("9.9"), level_qty=None
    )
    expected: dict[str, Decimal] = defaultdict(Decimal, start)
    for t in trades:
        sign = 1 if t["isBuyer"] else -1
        expected["BTC"] += sign * D(t["qty"])
        expected["USDT"] -= sign * D(t["quoteQty"])
        expected[t["commissionAsset"]] -= D(t["commission"])
    assert len(trades) > 60
    assert refusals <= {-1013, -2010, -2011}
    assert {b["asset"]: D(b["free"]) for b in balances} == dict(expected)
    assert {D(b["locked"]) for b in balances} == {D(0)}
    assert pushed == {t["id"] for t in trades}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_futures_wallet_equals_the_fold_of_what_came_and_went(seed: int) -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        key = (await c.fapiPrivatePostListenKey())["listenKey"]
        frames = await frames_of(on, f"/private/ws?listenKey={key}")
        refusals = await trade_at_random(on, seed, 1000)
        for _ in range(16):  # eight hours, for funding; a listen key lives one
            await c.fapiPrivatePutListenKey()
            await on.at.advance(1800, step_s=1800)
        trades = await all_trades(on, c.fapiPrivateGetUserTrades)
        funding = await c.fapiPrivateGetIncome({"incomeType": "FUNDING_FEE", "limit": 1000})
        account = await c.fapiPrivateV2GetAccount()
        told = lambda: {f["o"]["t"] for f in frames if f["e"] == "ORDER_TRADE_UPDATE" and f["o"]["x"] == "TRADE"}  # noqa: E731
        await until(lambda: len(told()) == len(trades))
        wallets = [D(f["a"]["B"][0]["wb"]) for f in frames if f["e"] == "ACCOUNT_UPDATE"]
        return refusals, trades, funding, account, told(), wallets, on.ledger()

    refusals, trades, funding, account, told, wallets, ledger = play(
        "binanceusdm", act, money={"USDT": D(30_000)}, bars=wandering_bars(seed), maker_bps=D("1.8"),
        taker_bps=D("4.5"), level_qty=None, funding_rate=D("0.000123"),
    )  # fmt: skip
    expected = D(30_000) + sum(D(t["realizedPnl"]) - D(t["commission"]) for t in trades)
    expected += sum((D(row["income"]) for row in funding), D(0))
    assert len(trades) > 60
    assert refusals <= {-2011, -2019, -2021, -4045, -5021, -5022}
    assert D(account["totalWalletBalance"]) == expected == ledger.wallet == wallets[-1]
    held = sum((D(t["qty"]) * (1 if t["side"] == "BUY" else -1) for t in trades), D(0))
    assert D(account["positions"][0]["positionAmt"]) == held
    assert told == {t["id"] for t in trades}
