"""What the rehearsal of Bybit tells a user: the door, orders and trades by page, wallet, positions, protection."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.unit.rehearsal.bybit_world import FUNDS, KEY, SECRET, START_NS, World, bybit, new_client

D = Decimal
NOW_MS = START_NS // 1_000_000
BOTH = pytest.mark.parametrize("linear", [True, False], ids=["linear", "spot"])


# ── the door ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_a_wrong_secret_a_wrong_key_and_no_key_at_all_stay_outside(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            stranger = new_client(on.at, on.clock, linear=linear, secret="another")
            try:
                with pytest.raises(ccxt.AuthenticationError, match="10004") as refused:
                    await stranger.fetch_balance()
                assert "another" not in str(refused.value)
                stranger.apiKey = "nobody"
                with pytest.raises(ccxt.AuthenticationError, match="10003"):
                    await stranger.fetch_balance()
            finally:
                await stranger.close()
            status, told, _ = await on.raw("GET", "/v5/account/info", signed=False)
            assert (status, told["retCode"]) == (401, 10001)

    asyncio.run(play())


def test_the_signature_is_the_one_of_the_documentation() -> None:
    # docs/v5/guide: timestamp + api_key + recv_window + queryString, HMAC-SHA256, hexadecimal; made here by hashlib
    async def play() -> None:
        async with bybit(True) as on:
            query = "accountType=UNIFIED"
            signed = hmac.new(SECRET.encode(), f"{NOW_MS}{KEY}9000{query}".encode(), hashlib.sha256).hexdigest()
            headers = {"X_BAPI_SIGN": signed, "X_BAPI_RECV_WINDOW": "9000"}
            _, told, _ = await on.raw("GET", "/v5/account/wallet-balance", {"accountType": "UNIFIED"}, **headers)
            assert told["retCode"] == 0
            _, told, _ = await on.raw("GET", "/v5/account/wallet-balance", {"accountType": "SPOT"}, **headers)
            assert told["retCode"] == 10004

    asyncio.run(play())


@pytest.mark.parametrize(("off_ms", "code"), [(-5000, 0), (-5001, 10002), (999, 0), (1000, 10002)])
def test_a_time_stamp_may_be_a_window_late_and_a_second_early(off_ms: int, code: int) -> None:
    async def play() -> None:
        async with bybit(True) as on:
            stamp = str(NOW_MS + off_ms)
            signed = hmac.new(SECRET.encode(), f"{stamp}{KEY}5000".encode(), hashlib.sha256).hexdigest()
            headers = {"X_BAPI_TIMESTAMP": stamp, "X_BAPI_SIGN": signed}
            _, told, _ = await on.raw("GET", "/v5/account/info", **headers)
            assert told["retCode"] == code
            if code:
                assert f"req_timestamp[{stamp}],server_timestamp[{NOW_MS}],recv_window[5000]" in told["retMsg"]

    asyncio.run(play())


def test_ccxt_takes_the_account_for_a_unified_one() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            assert await on.client.is_unified_enabled() == [False, True]
            assert on.client.options["unifiedMarginStatus"] == 6
            on.client.has["fetchCurrencies"] = True
            assert set(await on.client.fetch_currencies()) == {"BTC", "USDT"}
            fee = await on.client.fetch_trading_fee(on.symbol)
            assert (fee["maker"], fee["taker"]) == (0.0002, 0.00055)
            assert (await on.client.fetch_status())["status"] == "ok"

    asyncio.run(play())


@BOTH
def test_parameters_that_nobody_knows_are_noticed(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"icebergQty": "1"})
            assert on.unknown_params == ["/v5/order/create icebergQty"]

    asyncio.run(play())


# ── orders and trades by page ────────────────────────────────────────────────────────────────────────────────────────


async def place_many(on: World, count: int, price: float = 29000) -> list[str]:
    """Place orders at a pace the venue allows, a tick apart; return their ids."""
    ids = []
    for k in range(count):
        step = 0.1 if on.linear else 0.01
        order = await on.client.create_order(on.symbol, "limit", "buy", 0.001, round(price + k * step, 2))
        ids.append(order["id"])
        if k % 8 == 7:
            await on.at.advance(1)
    return ids


@BOTH
def test_open_orders_come_newest_first_and_page_by_a_cursor_that_is_signed_as_it_is(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            ids = await place_many(on, 23)
            first = await on.client.fetch_open_orders(on.symbol, None, 10)
            pages, cursor = [[o["id"] for o in _newest_first(first)]], _cursor(first)
            while cursor:
                assert "%3A" in cursor  # written for a URL, as the venue's are
                more = await on.client.fetch_open_orders(on.symbol, None, 10, {"cursor": cursor})
                pages.append([o["id"] for o in _newest_first(more)])
                cursor = _cursor(more)
            assert [len(p) for p in pages] == [10, 10, 3]
            assert [i for p in pages for i in p] == ids[::-1]

    asyncio.run(play())


def _newest_first(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(orders, key=lambda o: o["id"], reverse=True)


def _cursor(orders: list[dict[str, Any]]) -> str:
    return next((str(o["info"]["nextPageCursor"]) for o in orders if o["info"].get("nextPageCursor")), "")


@BOTH
def test_ended_orders_are_found_by_name_in_realtime_and_listed_in_the_history(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            done = await on.client.create_order(on.symbol, "market", "buy", 0.01, None, {"clientOrderId": "done"})
            gone = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"clientOrderId": "gone"})
            open_ = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29001)
            await on.client.cancel_order(gone["id"], on.symbol)
            assert [o["id"] for o in await on.client.fetch_open_orders(on.symbol)] == [open_["id"]]
            named = await on.client.fetch_open_orders(on.symbol, None, None, {"orderLinkId": "done"})
            assert [(o["id"], o["status"]) for o in named] == [(done["id"], "closed")]
            lately = await on.client.fetch_open_orders(on.symbol, None, None, {"openOnly": 1})
            assert {o["id"] for o in lately} == {done["id"], gone["id"]}
            ended = await on.client.fetch_canceled_and_closed_orders(on.symbol)
            assert {o["id"] for o in ended} == {done["id"], gone["id"]}
            assert [o["id"] for o in await on.client.fetch_closed_orders(on.symbol)] == [done["id"]]
            assert [o["id"] for o in await on.client.fetch_canceled_orders(on.symbol)] == [gone["id"]]
            old = {"endTime": NOW_MS - 1}
            assert await on.client.fetch_canceled_and_closed_orders(on.symbol, None, None, old) == []
            with pytest.raises(ccxt.BadRequest):
                week = {"endTime": NOW_MS}
                await on.client.fetch_canceled_and_closed_orders(on.symbol, NOW_MS - 7 * 86_400_000 - 1, None, week)

    asyncio.run(play())


@BOTH
def test_own_trades_page_by_cursor_and_by_time(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            for k in range(7):
                await on.client.create_order(on.symbol, "market", "buy", 0.001, None, {"clientOrderId": f"c{k}"})
                await on.at.advance(60)
            page = await on.client.fetch_my_trades(on.symbol, None, 3)
            ids, cursor = [t["id"] for t in reversed(page)], page[-1]["info"].get("nextPageCursor")
            if cursor is None:
                cursor = (await _page(on, 3, ""))["nextPageCursor"]
            while cursor:
                told = await _page(on, 3, cursor)
                ids += [row["execId"] for row in told["list"]]
                cursor = told["nextPageCursor"]
            assert len(ids) == len(set(ids)) == 7
            assert [f"c{k}" for k in range(6, -1, -1)] == [
                row["orderLinkId"] for row in (await _page(on, 50, ""))["list"]
            ]
            late = await on.client.fetch_my_trades(on.symbol, NOW_MS + 5 * 60_000)
            assert [t["info"]["orderLinkId"] for t in late] == ["c5", "c6"]
            first = await on.client.fetch_my_trades(on.symbol, None, None, {"orderLinkId": "c0"})
            assert [t["takerOrMaker"] for t in first] == ["taker"]

    asyncio.run(play())


async def _page(on: World, limit: int, cursor: str) -> dict[str, Any]:
    asked = {"category": on.category, "symbol": on.id, "execType": "Trade", "limit": limit}
    _, told, _ = await on.raw("GET", "/v5/execution/list", asked | ({"cursor": cursor} if cursor else {}))
    found: dict[str, Any] = told["result"]
    return found


def test_a_trade_says_how_much_of_the_position_it_closed() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            for side, qty in (("buy", 0.03), ("sell", 0.01), ("sell", 0.05)):
                await on.client.create_order(on.symbol, "market", side, qty)
            rows = (await _page(on, 50, ""))["list"]
            assert [row["closedSize"] for row in reversed(rows)] == ["0.000", "0.010", "0.020"]
            assert {row["createType"] for row in rows} == {"CreateByUser"}

    asyncio.run(play())


# ── money and positions ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_wallet_of_perpetuals_tells_margin_and_profit() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            await on.client.create_order(on.symbol, "market", "buy", 0.1)
            await on.client.create_order(on.symbol, "limit", "buy", 0.1, 29000)
            on.price("30100")
            _, told, _ = await on.raw("GET", "/v5/account/wallet-balance", {"accountType": "UNIFIED"})
            row = told["result"]["list"][0]
            coin = row["coin"][0]
            fee = D("0.1") * D("30000.1") * D("0.00055")
            assert D(coin["walletBalance"]) == FUNDS - round(fee, 8)
            assert D(coin["unrealisedPnl"]) == D("0.1") * (D(30100) - D("30000.1"))
            assert D(coin["totalOrderIM"]) == D(290)  # 0.1 at 29 000, ten times
            assert D(coin["totalPositionIM"]) == D(301)
            assert D(row["totalEquity"]) == pytest.approx(D(coin["walletBalance"]) + D(coin["unrealisedPnl"]))
            balance = await on.client.fetch_balance()
            assert balance["USDT"]["used"] == 591.0

    asyncio.run(play())


def test_the_wallet_of_spot_tells_what_is_locked() -> None:
    async def play() -> None:
        async with bybit(False) as on:
            await on.client.create_order(on.symbol, "limit", "buy", 0.1, 29000)
            balance = await on.client.fetch_balance()
            assert (balance["USDT"]["free"], balance["USDT"]["used"]) == (7100.0, 2900.0)
            with pytest.raises(ccxt.BadRequest):
                await on.client.private_get_v5_account_wallet_balance({"accountType": "SPOT"})

    asyncio.run(play())


def test_a_position_is_told_with_its_entry_its_profit_and_where_it_ends() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            await on.client.create_order(on.symbol, "market", "sell", 0.2)
            on.price("29900")
            (position,) = await on.client.fetch_positions()
            assert (position["side"], position["contracts"], position["leverage"]) == ("short", 0.2, 10)
            assert (position["entryPrice"], position["markPrice"]) == (29999.9, 29900)
            assert position["unrealizedPnl"] == pytest.approx(19.98)
            assert position["initialMargin"] == pytest.approx(598.0)
            assert position["liquidationPrice"] > 60_000  # 10 000 of equity under 6 000 short
            await on.client.create_order(on.symbol, "market", "buy", 0.2)
            assert await on.client.fetch_positions() == []
            flat = await on.client.fetch_position(on.symbol)
            assert (flat["contracts"], flat["side"]) == (0, None)

    asyncio.run(play())


def test_leverage_is_set_once_and_only_as_far_as_the_margin_bears_it() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            await on.client.set_leverage(5, on.symbol)
            assert (await on.client.fetch_leverage(on.symbol))["longLeverage"] == 5
            with pytest.raises(ccxt.BadRequest, match="110043"):
                await on.client.set_leverage(5, on.symbol)
            with pytest.raises(ccxt.BadRequest, match="110013"):
                await on.client.set_leverage(101, on.symbol)
            await on.client.create_order(on.symbol, "market", "buy", 1.5)  # 45 000, a margin of 9 000
            with pytest.raises(ccxt.InsufficientFunds, match="110044"):
                await on.client.set_leverage(4, on.symbol)
            assert (await on.client.fetch_position(on.symbol))["leverage"] == 5
            with pytest.raises(ccxt.NoChange):
                await on.client.set_position_mode(False, on.symbol)
            with pytest.raises(ccxt.BadRequest):
                await on.client.set_position_mode(True, on.symbol)

    asyncio.run(play())


def test_protection_is_set_moved_and_taken_away() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            stop = {"category": "linear", "symbol": on.id, "tpslMode": "Full", "positionIdx": 0}

            async def ask(**levels: str) -> int:
                _, told, _ = await on.raw("POST", "/v5/position/trading-stop", stop | levels)
                return int(told["retCode"])

            assert await ask(stopLoss="29000") == 10001  # no position
            await on.client.create_order(on.symbol, "market", "buy", 0.1)
            assert await ask(stopLoss="29000", takeProfit="31000") == 0
            assert await ask(stopLoss="29000") == 34040
            assert await ask(stopLoss="30500") == 10001
            assert await ask(stopLoss="29000.05") == 10001
            assert await ask(stopLoss="29500") == 0  # the take profit stays
            position = await on.client.fetch_position(on.symbol)
            assert (position["stopLossPrice"], position["takeProfitPrice"]) == (29500, 31000)
            orders = {o["info"]["stopOrderType"]: o for o in await on.client.fetch_open_orders(on.symbol)}
            profit = orders["TakeProfit"]["id"]
            await on.client.edit_order(profit, on.symbol, "market", "sell", None, None, {"triggerPrice": 32000})
            await on.client.cancel_order(orders["StopLoss"]["id"], on.symbol)
            position = await on.client.fetch_position(on.symbol)
            assert (position["stopLossPrice"], position["takeProfitPrice"]) == (0, 32000)
            assert await ask(takeProfit="0") == 0
            assert await on.client.fetch_open_orders(on.symbol) == []

    asyncio.run(play())


def test_funding_is_paid_at_eight_and_told_among_the_executions() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            await on.client.create_order(on.symbol, "market", "buy", 0.1)
            before = (await on.client.fetch_balance())["USDT"]["total"]
            await on.at.advance(5 * 3600 + 1, step_s=600)  # from three to eight
            (paid,) = await on.client.fetch_funding_history(on.symbol)
            assert paid["timestamp"] == NOW_MS + 5 * 3_600_000
            assert D(str(paid["info"]["execFee"])) == D("0.3")  # 0.1 of 30 000 at a ten-thousandth
            assert paid["info"]["execType"] == "Funding"
            assert (await on.client.fetch_balance())["USDT"]["total"] == pytest.approx(before - 0.3)
            assert len(await on.client.fetch_my_trades(on.symbol)) == 1  # ccxt asks for trades only

    asyncio.run(play())


def test_a_position_without_margin_is_taken_over() -> None:
    async def play() -> None:
        async with bybit(True, leverage=D(50)) as on:
            await on.client.create_order(on.symbol, "market", "buy", 10)  # 300 000 on 10 000
            (position,) = await on.client.fetch_positions()
            on.price(round(position["liquidationPrice"] - 1))
            assert await on.client.fetch_positions() == []
            rows = (await _raw_executions(on))["list"]
            assert (rows[0]["execType"], rows[0]["createType"]) == ("BustTrade", "CreateByTakeOver_PassThrough")
            assert json.dumps(rows).count('"Trade"') == 1

    asyncio.run(play())


async def _raw_executions(on: World) -> dict[str, Any]:
    _, told, _ = await on.raw("GET", "/v5/execution/list", {"category": on.category})
    found: dict[str, Any] = told["result"]
    return found
