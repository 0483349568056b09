"""Money is neither made nor lost at the rehearsal of Bybit: balances are the sum of what the wire told, exactly."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.unit.rehearsal.bybit_world import FUNDS, World, bybit
from tests.unit.rehearsal.test_bybit_stream import Plain, log_in, plain
from tradelab.model.orders import OrderStatus
from tradelab.rehearsal.dialects.bybit_wire import order_id

D = Decimal
ACTIONS = 300
PENNY = D("0.00000001")


class Session:
    """Somebody who does all sorts of things, the same ones for the same seed."""

    def __init__(self, on: World, seed: int) -> None:
        self._on = on
        self._dice = random.Random(seed)
        self.refused: defaultdict[str, int] = defaultdict(int)

    async def act(self) -> None:
        """Do one thing; what the venue refuses is counted."""
        dice, on = self._dice, self._on
        what = dice.choices(
            (self._limit, self._market, self._stop, self._cancel, self._amend, self._cancel_all, self._move),
            (30, 15, 10, 10, 10, 1, 24),
        )[0]
        try:
            await what()
        except ccxt.BaseError as error:
            self.refused[type(error).__name__] += 1
        await on.at.advance(dice.choice((0.2, 0.5, 20.0)), step_s=20)

    def _qty(self) -> float:
        return self._dice.choice((0.001, 0.01, 0.02, 0.05))

    def _near(self, spread: int = 60) -> float:
        tick = 0.1 if self._on.linear else 0.01
        at = float(self._on.exchange.mark(self._on.id)) + self._dice.randint(-spread, spread)
        return round(round(at / tick) * tick, 2)

    async def _limit(self) -> None:
        tif = self._dice.choice(("GTC", "GTC", "IOC", "FOK", "PO"))
        params: dict[str, Any] = {"postOnly": True} if tif == "PO" else {"timeInForce": tif}
        if self._on.linear and self._dice.random() < 0.2:
            params |= {"stopLoss": {"triggerPrice": self._near(400)}}
        side = self._dice.choice(("buy", "sell"))
        await self._on.client.create_order(self._on.symbol, "limit", side, self._qty(), self._near(), params)

    async def _market(self) -> None:
        params = {"reduceOnly": True} if self._on.linear and self._dice.random() < 0.3 else {}
        side = self._dice.choice(("buy", "sell"))
        await self._on.client.create_order(self._on.symbol, "market", side, self._qty(), None, params)

    async def _stop(self) -> None:
        side, trigger = self._dice.choice(("buy", "sell")), self._near()
        rises = trigger > float(self._on.exchange.mark(self._on.id))
        params: dict[str, Any] = {"triggerPrice": trigger}
        if self._on.linear:
            params["triggerDirection"] = "ascending" if rises else "descending"
        await self._on.client.create_order(self._on.symbol, "limit", side, self._qty(), trigger, params)

    def _some(self) -> Any:
        open_ = list(self._on.exchange.open.values())
        return self._dice.choice(open_) if open_ else None

    async def _cancel(self) -> None:
        order = self._some()
        if order is not None:
            told = order_id(order.number, linear=self._on.linear)
            waits = {"trigger": True} if order.status is OrderStatus.UNTRIGGERED and not self._on.linear else {}
            await self._on.client.cancel_order(told, self._on.symbol, waits)

    async def _amend(self) -> None:
        order = self._some()
        if order is not None and order.price is not None:
            told = order_id(order.number, linear=self._on.linear)
            side = order.side.value
            await self._on.client.edit_order(told, self._on.symbol, "limit", side, self._qty(), self._near())

    async def _cancel_all(self) -> None:
        await self._on.client.cancel_all_orders(self._on.symbol)

    async def _move(self) -> None:
        self._on.price(D(str(self._near(150))))


async def hear_all(socket: Plain, rows: list[dict[str, Any]]) -> None:
    """Keep every execution that the stream tells."""
    while True:
        rows.extend((await socket.hear_topic("execution"))["data"])


async def all_executions(on: World) -> list[dict[str, Any]]:
    """Ask for every execution there was, page by page."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        asked: dict[str, Any] = {"category": on.category, "limit": 37} | ({"cursor": cursor} if cursor else {})
        _, told, _ = await on.raw("GET", "/v5/execution/list", asked)
        rows += told["result"]["list"]
        cursor = told["result"]["nextPageCursor"]
        if not cursor:
            return rows


async def coins(on: World) -> dict[str, dict[str, Any]]:
    """Ask for the wallet."""
    _, told, _ = await on.raw("GET", "/v5/account/wallet-balance", {"accountType": "UNIFIED"})
    return {coin["coin"]: coin for coin in told["result"]["list"][0]["coin"]}


async def play(on: World, seed: int) -> list[dict[str, Any]]:
    """Let a session happen; return what the stream told, after holding it against what is listed."""
    heard: list[dict[str, Any]] = []
    async with plain(on, "/v5/private") as socket:
        await socket.say(**log_in(on))
        await socket.hear()
        await socket.say(op="subscribe", args=["execution"])
        await socket.hear()
        listener = asyncio.ensure_future(hear_all(socket, heard))
        session = Session(on, seed)
        for _ in range(ACTIONS):
            await session.act()
        await on.client.cancel_all_orders(on.symbol)
        if not on.linear:
            await on.client.cancel_all_orders(on.symbol, {"trigger": True})
        await on.at.advance(1)
        listed = await all_executions(on)
        for _ in range(400):
            if len(heard) >= len(listed):
                break
            await asyncio.sleep(0.01)
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
    assert len(listed) > 80
    assert session.refused["InvalidOrder"] + session.refused["BadRequest"] < ACTIONS / 3, dict(session.refused)
    ids = [row["execId"] for row in heard]
    assert len(ids) == len(set(ids))
    assert set(ids) == {row["execId"] for row in listed}
    assert on.exchange.open == {}
    return heard


@pytest.mark.parametrize("seed", [1, 2])
def test_a_wallet_of_perpetuals_is_the_sum_of_profits_and_fees(seed: int) -> None:
    async def run() -> None:
        async with bybit(True, moving=True, level_qty=D("0.03")) as on:
            rows = await play(on, seed)
            coin = (await coins(on))["USDT"]
            profit = sum((D(r["execPnl"]) for r in rows), D(0))
            fees = sum((D(r["execFee"]) for r in rows), D(0))
            assert D(coin["walletBalance"]) == FUNDS + profit - fees
            assert D(coin["totalOrderIM"]) == 0
            # and the profits are right: cash paid and received, with what is held at the last price
            trades = [r for r in rows if r["execType"] != "Funding"]
            signed = [(1 if r["side"] == "Buy" else -1, D(r["execQty"]), D(r["execPrice"])) for r in trades]
            held = sum((sign * qty for sign, qty, _ in signed), D(0))
            cash = sum((-sign * qty * price for sign, qty, price in signed), D(0))
            equity = FUNDS + cash + held * on.exchange.mark(on.id) - fees
            assert abs(D(coin["equity"]) - equity) < PENNY * len(rows)
            position = (await on.client.fetch_position(on.symbol))["info"]
            assert D(position["size"]) == abs(held)

    asyncio.run(run())


@pytest.mark.parametrize("seed", [3, 4])
def test_spot_balances_are_the_sum_of_trades_and_fees(seed: int) -> None:
    async def run() -> None:
        funds = {"USDT": FUNDS, "BTC": D("0.35")}
        async with bybit(False, moving=True, funds=funds, level_qty=D("0.03")) as on:
            rows = await play(on, seed)
            expected = dict(funds)
            for row in rows:
                sign = 1 if row["side"] == "Buy" else -1
                qty, price = D(row["execQty"]), D(row["execPrice"])
                expected["BTC"] += sign * qty
                expected["USDT"] -= sign * qty * price
                expected[row["feeCoin"]] -= D(row["execFee"])
            told = await coins(on)
            assert {c: D(told[c]["walletBalance"]) for c in expected} == expected
            assert all(D(coin["locked"]) == 0 for coin in told.values())
            assert all(D(coin["walletBalance"]) >= 0 for coin in told.values())

    asyncio.run(run())
