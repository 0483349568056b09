"""What becomes of orders at the rehearsal of Bybit, through the real ccxt client."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.unit.rehearsal.bybit_world import PRICE, World, bybit
from tradelab.rehearsal.events import OrderChanged

D = Decimal
BOTH = pytest.mark.parametrize("linear", [True, False], ids=["linear", "spot"])


async def told(on: World, order_id: str) -> dict[str, Any]:
    """Return the venue's own row of one order."""
    found = await on.client.fetch_order(order_id, on.symbol, {"acknowledged": True})
    row: dict[str, Any] = found["info"]
    return row


async def give_coins(on: World) -> None:
    """Let a spot account have something to sell."""
    if not on.linear:
        on.at.direct.deposit(on.at.account.key, "BTC", D(1))


@BOTH
def test_the_answer_to_an_order_is_an_acknowledgement_and_nothing_more(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            answer = await on.client.create_order(on.symbol, "market", "buy", 0.01, None, {"clientOrderId": "first"})
            assert set(answer["info"]) == {"orderId", "orderLinkId"}
            assert (answer["clientOrderId"], answer["status"], answer["filled"]) == ("first", None, None)
            row = await told(on, answer["id"])
            assert (row["orderStatus"], row["timeInForce"], row["cumExecQty"]) == (
                "Filled", "IOC", "0.010" if linear else "0.010000",
            )  # fmt: skip

    asyncio.run(play())


@BOTH
def test_a_limit_rests_and_is_found_and_cancelled_by_either_id(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            first = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"clientOrderId": "one"})
            await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29001, {"clientOrderId": "two"})
            by_name = await on.client.fetch_open_orders(on.symbol, None, None, {"orderLinkId": "one"})
            by_id = await on.client.fetch_open_order(first["id"], on.symbol)
            assert [by_name[0]["id"], by_id["id"]] == [first["id"]] * 2
            assert (by_id["status"], by_id["price"], by_id["remaining"]) == ("open", 29000, 0.01)
            await on.client.cancel_order(first["id"], on.symbol)
            await on.client.cancel_order(None, on.symbol, {"orderLinkId": "two"})
            assert await on.client.fetch_open_orders(on.symbol) == []
            gone = await on.client.fetch_canceled_orders(on.symbol)
            assert {o["info"]["cancelType"] for o in gone} == {"CancelByUser"}
            assert {o["info"]["rejectReason"] for o in gone} == {"EC_PerCancelRequest"}
            with pytest.raises(ccxt.OrderNotFound):
                await on.client.cancel_order(first["id"], on.symbol)
            with pytest.raises(ccxt.OrderNotFound):
                await on.client.edit_order(first["id"], on.symbol, "limit", "buy", 0.02, 29000)
            assert on.unknown_params == []

    asyncio.run(play())


@BOTH
@pytest.mark.parametrize("ends", ["open", "cancelled", "filled", "turned down"])
def test_an_order_link_id_is_never_free_again(linear: bool, ends: str) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            price = {"filled": 30100, "turned down": 30100}.get(ends, 29000)
            post = {"postOnly": True} if ends == "turned down" else {}
            first = await on.client.create_order(
                on.symbol, "limit", "buy", 0.01, price, {"clientOrderId": "same"} | post
            )
            if ends == "cancelled":
                await on.client.cancel_order(first["id"], on.symbol)
            with pytest.raises(ccxt.InvalidOrder, match="110072" if linear else "170141"):
                await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"clientOrderId": "same"})
            assert len(on.exchange.orders) == 1

    asyncio.run(play())


@BOTH
def test_an_order_link_id_that_was_refused_at_the_door_is_free(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            with pytest.raises(ccxt.InsufficientFunds):
                await on.client.create_order(on.symbol, "limit", "buy", 60, 29000, {"clientOrderId": "free"})
            await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, {"clientOrderId": "free"})
            too_long = {"clientOrderId": "x" * 37}
            with pytest.raises(ccxt.BadRequest):
                await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000, too_long)

    asyncio.run(play())


@BOTH
def test_a_post_only_order_that_would_take_is_acknowledged_and_then_does_not_stand(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            answer = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 30100, {"postOnly": True})
            row = await told(on, answer["id"])
            assert row["orderStatus"] == ("Cancelled" if linear else "Rejected")
            assert (row["rejectReason"], row["timeInForce"]) == ("EC_PostOnlyWillTakeLiquidity", "PostOnly")
            assert on.exchange.fills == []
            rests = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29900, {"postOnly": True})
            assert (await told(on, rests["id"]))["orderStatus"] == "New"
            await on.client.edit_order(rests["id"], on.symbol, "limit", "buy", 0.01, 30100)
            assert (await told(on, rests["id"]))["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"

    asyncio.run(play())


@BOTH
def test_orders_that_will_not_wait_are_acknowledged_and_cancelled(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear, level_qty=D("0.02")) as on:
            ask = 30000.1 if linear else 30000.01
            fok = await on.client.create_order(on.symbol, "limit", "buy", 0.05, ask, {"timeInForce": "FOK"})
            ioc = await on.client.create_order(on.symbol, "limit", "buy", 0.05, 29000, {"timeInForce": "IOC"})
            part = await on.client.create_order(on.symbol, "limit", "buy", 0.05, ask, {"timeInForce": "IOC"})
            rows = [await told(on, o["id"]) for o in (fok, ioc, part)]
            part_status = "Cancelled" if linear else "PartiallyFilledCanceled"
            assert [r["orderStatus"] for r in rows] == ["Cancelled", "Cancelled", part_status]
            assert [r["rejectReason"] for r in rows] == [
                "EC_NoEnoughQtyToFill", "EC_NoImmediateQtyToFill", "EC_CancelForNoFullFill",
            ]  # fmt: skip
            assert [D(r["cumExecQty"]) for r in rows] == [0, 0, D("0.02")]

    asyncio.run(play())


def test_a_spot_market_buy_is_counted_in_quote_unless_it_says_base() -> None:
    async def play() -> None:
        async with bybit(False) as on:
            by_cost = await on.client.create_market_buy_order_with_cost(on.symbol, 3000)
            row = await told(on, by_cost["id"])
            assert (row["marketUnit"], row["qty"]) == ("quoteCoin", "3000")
            assert D(row["cumExecQty"]) == D("0.099999")  # 3000 / 30000.01 on the step
            by_base = await on.client.create_order(on.symbol, "market", "buy", 0.01)
            assert D((await told(on, by_base["id"]))["cumExecQty"]) == D("0.01")
            fee = (await on.client.fetch_my_trades(on.symbol))[-1]["fee"]
            assert (fee["currency"], fee["cost"]) == ("BTC", 0.0000055)  # 5.5 bps of what was received

    asyncio.run(play())


@BOTH
def test_a_conditional_order_waits_and_pays_when_it_triggers(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            params = {"triggerPrice": 30500, "clientOrderId": "stop"} | (
                {"triggerDirection": "ascending"} if linear else {}
            )
            order = await on.client.create_order(
                on.symbol, "market", "buy", 0.01, None, params | ({} if linear else {"marketUnit": "baseCoin"})
            )
            (waiting,) = await on.client.fetch_open_orders(on.symbol)
            row = waiting["info"]
            assert (row["orderStatus"], row["stopOrderType"], row["triggerPrice"]) == (
                "Untriggered", "Stop", "30500.00",
            )  # fmt: skip
            assert row["triggerDirection"] == 1
            assert (await on.client.fetch_balance())["USDT"]["used"] == 0
            assert await on.client.fetch_open_orders(on.symbol, None, None, {"orderFilter": "Order"}) == []
            assert len(await on.client.fetch_open_orders(on.symbol, None, None, {"trigger": True})) == 1
            on.price("30600")
            assert (await told(on, order["id"]))["orderStatus"] == "Filled"

    asyncio.run(play())


@BOTH
def test_a_conditional_order_that_is_cancelled_was_deactivated(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            params = {"triggerPrice": 29000} | ({"triggerDirection": "descending"} if linear else {})
            order = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 28900, params)
            if not linear:  # spot looks for it among ordinary orders unless it is told
                with pytest.raises(ccxt.OrderNotFound):
                    await on.client.cancel_order(order["id"], on.symbol)
            await on.client.cancel_order(order["id"], on.symbol, {"trigger": True} if not linear else {})
            row = await told(on, order["id"])
            assert (row["orderStatus"], row["cancelType"]) == ("Deactivated", "CancelByUser")

    asyncio.run(play())


def test_a_trigger_on_the_wrong_side_is_refused_in_the_venues_words() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            for direction, code in (("ascending", "110092"), ("descending", "110093")):
                trigger = 29000 if direction == "ascending" else 31000
                with pytest.raises(ccxt.InvalidOrder, match=code):
                    params = {"triggerPrice": trigger, "triggerDirection": direction}
                    await on.client.create_order(on.symbol, "market", "buy", 0.01, None, params)
            bad = {"category": "linear", "symbol": on.id, "side": "Buy", "orderType": "Market", "qty": "0.01"}
            _, answer, _ = await on.raw("POST", "/v5/order/create", bad | {"triggerPrice": "31000"})
            assert (answer["retCode"], answer["retMsg"]) == (10001, "params error: TriggerDirection invalid")

    asyncio.run(play())


def test_levels_attached_to_an_entry_become_orders_that_close_the_position() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            params = {"stopLoss": {"triggerPrice": 29500}, "takeProfit": {"triggerPrice": 31000}}
            await on.client.create_order(on.symbol, "market", "buy", 0.02, None, params)
            rows = {o["info"]["stopOrderType"]: o["info"] for o in await on.client.fetch_open_orders(on.symbol)}
            assert set(rows) == {"StopLoss", "TakeProfit"}
            stop = rows["StopLoss"]
            assert (stop["side"], stop["qty"], stop["triggerPrice"]) == ("Sell", "0.020", "29500.00")
            assert (stop["reduceOnly"], stop["closeOnTrigger"], stop["tpslMode"]) == (True, True, "Full")
            assert (stop["triggerDirection"], rows["TakeProfit"]["triggerDirection"]) == (2, 1)
            await on.client.create_order(on.symbol, "market", "buy", 0.01)
            (position,) = await on.client.fetch_positions([on.symbol])
            assert (position["stopLossPrice"], position["takeProfitPrice"]) == (29500, 31000)
            assert {o["info"]["qty"] for o in await on.client.fetch_open_orders(on.symbol)} == {"0.030"}
            on.price("29400")
            assert (await on.client.fetch_positions([on.symbol]))[0]["contracts"] == 0
            assert await on.client.fetch_open_orders(on.symbol) == []
            ended = [o["info"] for o in await on.client.fetch_canceled_and_closed_orders(on.symbol)]
            by_kind = {r["stopOrderType"]: (r["orderStatus"], r["cancelType"]) for r in ended}
            assert by_kind["StopLoss"] == ("Filled", "UNKNOWN")
            assert by_kind["TakeProfit"] == ("Deactivated", "CancelByTpSlTsClear")

    asyncio.run(play())


def test_a_level_on_the_wrong_side_is_refused() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            for params in ({"stopLoss": {"triggerPrice": 30500}}, {"takeProfit": {"triggerPrice": 29500}}):
                with pytest.raises(ccxt.BadRequest, match="set for Buy position should"):
                    await on.client.create_order(on.symbol, "market", "buy", 0.02, None, params)
            assert on.exchange.orders == {}

    asyncio.run(play())


@BOTH
def test_an_order_is_changed_in_place(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            order = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000)
            changed = await on.client.edit_order(order["id"], on.symbol, "limit", "buy", 0.02, 29100)
            assert changed["id"] == order["id"]
            row = await told(on, order["id"])
            assert (D(row["qty"]), D(row["price"])) == (D("0.02"), D(29100))
            with pytest.raises(ccxt.BadRequest, match="remains unchanged"):
                await on.client.edit_order(order["id"], on.symbol, "limit", "buy", 0.02, 29100)
            on.at.direct.fill(next(iter(on.exchange.open)), D("0.012"))
            with pytest.raises(ccxt.InvalidOrder, match="110064"):
                await on.client.edit_order(order["id"], on.symbol, "limit", "buy", 0.01, 29100)
            stop = {"triggerPrice": 31000} | ({"triggerDirection": "ascending"} if linear else {})
            waits = await on.client.create_order(on.symbol, "limit", "buy", 0.01, 31000, stop)
            await on.client.edit_order(waits["id"], on.symbol, "limit", "buy", None, None, {"triggerPrice": 31500})
            assert D((await told(on, waits["id"]))["triggerPrice"]) == 31500

    asyncio.run(play())


@BOTH
def test_cancel_all_takes_what_its_filter_names(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000)
            stop = {"triggerPrice": 31000} | ({"triggerDirection": "ascending"} if linear else {})
            await on.client.create_order(on.symbol, "limit", "buy", 0.01, 31000, stop)
            ended = await on.client.cancel_all_orders(on.symbol)
            assert len(ended) == (2 if linear else 1)  # spot cancels ordinary orders unless it is told
            if not linear:
                assert len(await on.client.cancel_all_orders(on.symbol, {"trigger": True})) == 1
            assert on.exchange.open == {}
            if linear:
                _, answer, _ = await on.raw("POST", "/v5/order/cancel-all", {"category": "linear"})
                assert answer["retCode"] == 10001
                await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000)
                assert len(await on.client.cancel_all_orders()) == 1  # ccxt names the settlement coin

    asyncio.run(play())


def test_reduce_only_closes_and_never_opens() -> None:
    async def play() -> None:
        async with bybit(True) as on:
            with pytest.raises(ccxt.InvalidOrder, match="110017"):
                await on.client.create_order(on.symbol, "market", "sell", 0.01, None, {"reduceOnly": True})
            await on.client.create_order(on.symbol, "market", "buy", 0.02)
            await on.client.create_order(on.symbol, "market", "sell", 0.05, None, {"reduceOnly": True})
            assert (await on.client.fetch_positions([on.symbol]))[0]["contracts"] == 0
            await on.client.create_order(on.symbol, "market", "buy", 0.03)
            all_of_it = {
                "category": "linear", "symbol": on.id, "side": "Sell", "orderType": "Market", "qty": "0",
                "reduceOnly": True, "closeOnTrigger": True,
            }  # fmt: skip
            _, answer, _ = await on.raw("POST", "/v5/order/create", all_of_it)
            assert answer["retCode"] == 0
            assert (await on.client.fetch_positions([on.symbol]))[0]["contracts"] == 0

    asyncio.run(play())


LINEAR_REFUSALS = [
    ({"qty": "0.0005"}, 10001), ({"qty": "0.0015"}, 10001), ({"qty": "2000"}, 10001), ({"price": "29000.05"}, 10001),
    ({"qty": "0.001", "price": "4000"}, 110094), ({"qty": "50"}, 110007), ({"side": "buy"}, 10001),
    ({"orderType": "Stop"}, 10001), ({"timeInForce": "GTX"}, 10001), ({"symbol": "NOPE"}, 10001),
    ({"category": "futures"}, 10001), ({"positionIdx": 1}, 10001), ({"qty": "much"}, 10001), ({"price": ""}, 10001),
    ({"tpslMode": "Partial", "stopLoss": "28000"}, 10001), ({"orderLinkId": "no spaces"}, 10001),
]  # fmt: skip
SPOT_REFUSALS = [
    ({"qty": "0.00004"}, 170136), ({"qty": "0.0100005"}, 170137), ({"qty": "72"}, 170135),
    ({"price": "29000.005"}, 170134), ({"qty": "0.00005", "price": "29000"}, 170140), ({"qty": "50"}, 170131),
    ({"side": "buy"}, 170117), ({"orderType": "Stop"}, 170116), ({"timeInForce": "GTX"}, 170115),
    ({"symbol": "NOPE"}, 170121), ({"price": ""}, 170105), ({"stopLoss": "28000"}, 10001),
    ({"qty": "70", "price": "60000"}, 170124),
]  # fmt: skip


@pytest.mark.parametrize(
    ("linear", "change", "code"),
    [(True, *row) for row in LINEAR_REFUSALS] + [(False, *row) for row in SPOT_REFUSALS],
    ids=lambda value: str(value),
)
def test_what_is_wrong_with_an_order_has_the_venues_code(linear: bool, change: dict[str, Any], code: int) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            good = {
                "category": on.category, "symbol": on.id, "side": "Buy", "orderType": "Limit", "qty": "0.01",
                "price": "29000",
            }  # fmt: skip
            status, answer, _ = await on.raw("POST", "/v5/order/create", good | change)
            assert (status, answer["retCode"], answer["result"]) == (200, code, {})
            assert on.exchange.orders == {}
            _, answer, _ = await on.raw("POST", "/v5/order/create", good)
            assert answer["retCode"] == 0

    asyncio.run(play())


@BOTH
def test_a_market_that_does_not_trade_takes_no_order(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            on.at.direct.delist(on.id)
            with pytest.raises(ccxt.ExchangeError, match="110074" if linear else "170151"):
                await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29000)

    asyncio.run(play())


@BOTH
def test_the_order_in_which_things_happen_is_told_once_each(linear: bool) -> None:
    async def play() -> None:
        async with bybit(linear) as on:
            heard: list[tuple[str, str]] = []

            def listen(event: object) -> None:
                if isinstance(event, OrderChanged):
                    heard.append((event.what, event.order.client_order_id))

            on.exchange.listeners.append(listen)
            await on.client.create_order(on.symbol, "limit", "buy", 0.01, 29990, {"clientOrderId": "a"})
            await give_coins(on)
            on.price(PRICE - 50)
            assert heard == [("new", "a"), ("trade", "a")]

    asyncio.run(play())
