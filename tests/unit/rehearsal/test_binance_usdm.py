"""Hold the USDⓈ-M dialect to Binance's documentation, through the real ccxt client; the market stands at 40 000."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.rehearsal.binance_world import START_MS, Scene, play, refused

D = Decimal
S = "BTC/USDT:USDT"
HOUR_S = 3600.0
TRIGGER = {"trigger": True}


def usdm(act: Any, **setup: Any) -> Any:
    async def looked_at(on: Scene) -> Any:
        answer = await act(on)
        assert on.at.server.dialect.unknown_params == []  # type: ignore[attr-defined]
        return answer

    return play("binanceusdm", looked_at, **setup)


# ── the market ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_perpetual_is_described_by_its_instrument() -> None:
    async def act(on: Scene) -> Any:
        return on.client.markets[S]

    market = usdm(act)
    assert (market["linear"], market["swap"], market["settle"], market["contractSize"]) == (True, True, "USDT", 1.0)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 0.001)
    assert market["limits"]["cost"]["min"] == 100.0
    assert (market["info"]["pricePrecision"], market["info"]["quantityPrecision"]) == (1, 3)


def test_candles_book_ticker_and_trades_are_told() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        return (
            await c.fetch_ohlcv(S, "1m", limit=2),
            await c.fetch_order_book(S, 5),
            await c.fetch_ticker(S),
            await c.fetch_bids_asks([S]),
            await c.fetch_trades(S, limit=3),
        )

    candles, book, ticker, best, trades = usdm(act)
    assert [row[0] for row in candles] == [START_MS - 60_000, START_MS]
    assert (book["bids"][0], book["asks"][0]) == ([39_999.9, 1.0], [40_000.1, 1.0])
    assert (ticker["last"], best[S]["bid"], best[S]["ask"]) == (40_000.0, 39_999.9, 40_000.1)
    assert len(trades) == 3


def test_mark_price_and_funding_are_told_and_funding_is_paid_every_eight_hours() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        rate = await c.fetch_funding_rate(S)
        await c.create_order(S, "market", "buy", 1)
        await on.at.advance(8 * HOUR_S, step_s=HOUR_S)
        return (
            rate,
            await c.fetch_funding_history(S),
            await c.fetch_funding_rate_history(S, limit=1),
            on.ledger().wallet,
        )

    rate, (paid,), (history,), wallet = usdm(act)
    assert (rate["markPrice"], rate["fundingRate"]) == (40_000.0, 0.0001)
    assert rate["fundingTimestamp"] == START_MS + 8 * 3_600_000
    assert (paid["amount"], paid["code"], paid["timestamp"]) == (
        -4.0,
        "USDT",
        START_MS + 8 * 3_600_000,
    )  # 1 × 40 000 / 10 000
    assert (history["fundingRate"], history["timestamp"]) == (0.0001, START_MS + 8 * 3_600_000)
    assert wallet == 100_000 - D("40000.1") * D("0.001") - 4


# ── plain orders ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_position_is_opened_valued_turned_over_and_closed() -> None:
    async def act(on: Scene) -> Any:
        c, seen = on.client, []
        for side, amount in (("buy", 0.5), ("sell", 0.8), ("buy", 0.3)):
            await c.create_order(S, "market", side, amount)
            seen.append(await c.fetch_positions([S]))
        trades = await c.fetch_my_trades(S)
        return seen, trades, await c.fetch_balance(), on.ledger()

    (long, short, flat), trades, balance, ledger = usdm(act, taker_bps=D(4))
    assert [(p["side"], p["contracts"], p["entryPrice"]) for p in long] == [("long", 0.5, 40_000.1)]
    assert [(p["side"], p["contracts"], p["entryPrice"]) for p in short] == [("short", 0.3, 39_999.9)]
    assert flat == []
    assert [t["info"]["realizedPnl"] for t in trades] == [
        "0.00000000",
        "-0.10000000",
        "-0.06000000",
    ]  # 0.5×0.2, 0.3×0.2
    fees = sum(D(t["info"]["commission"]) for t in trades)
    assert fees == D("0.0004") * (D("0.5") * D("40000.1") + D("0.8") * D("39999.9") + D("0.3") * D("40000.1"))
    assert ledger.wallet == 100_000 - D("0.16") - fees
    assert D(balance["info"]["totalWalletBalance"]) == ledger.wallet


def test_margin_is_what_leverage_makes_it() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        await c.set_leverage(10, S)
        await c.create_order(S, "market", "buy", 1)
        await c.create_order(S, "limit", "buy", 1, 39_000)
        risk = (await c.fapiPrivateV2GetPositionRisk({"symbol": "BTCUSDT"}))[0]
        return await c.fetch_balance(), risk, await c.fetch_leverages([S]), await refused(c.set_leverage(125, "NOPE"))

    balance, risk, leverages, _ = usdm(act)
    assert balance["info"]["totalPositionInitialMargin"] == "4000.00000000"
    assert balance["info"]["totalOpenOrderInitialMargin"] == "3900.00000000"
    assert balance["info"]["assets"][0]["maintMargin"] == "160.00000000"  # 0.4 % of 40 000
    assert (risk["leverage"], risk["positionAmt"], risk["entryPrice"]) == ("10", "1.000", "40000.10000000")
    assert leverages[S]["longLeverage"] == 10


@pytest.mark.parametrize("leverage", [0, 126])
def test_a_leverage_that_does_not_exist_is_refused(leverage: int) -> None:
    async def act(on: Scene) -> Any:
        return await refused(on.client.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": leverage}))

    assert f'"code":-4028,"msg":"Leverage {leverage} is not valid"' in usdm(act)[1]


def test_reduce_only_closes_and_never_opens() -> None:
    async def act(on: Scene) -> Any:
        c, only = on.client, {"reduceOnly": True}
        nothing = await refused(c.create_order(S, "market", "sell", 0.1, None, only))
        await c.create_order(S, "market", "buy", 0.2)
        more = await c.create_order(S, "market", "sell", 0.5, None, only)
        return nothing, more, await c.fetch_positions([S])

    nothing, more, positions = usdm(act)
    assert nothing == ("InvalidOrder", 'binanceusdm {"code":-2022,"msg":"ReduceOnly Order is rejected."}')
    assert (more["filled"], more["status"], positions) == (0.2, "expired", [])


def test_a_good_till_date_order_ends_by_itself() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        soon = {"timeInForce": "GTD", "goodTillDate": START_MS + 600_000}
        later = {"timeInForce": "GTD", "goodTillDate": START_MS + 601_999}
        refusal = await refused(c.create_order(S, "limit", "buy", 0.1, 39_000, soon))
        placed = await c.create_order(S, "limit", "buy", 0.1, 39_000, later)
        await on.at.advance(600)
        before = await c.fetch_order(placed["id"], S)
        await on.at.advance(1)
        return refusal, before["status"], (await c.fetch_order(placed["id"], S))["status"]

    refusal, before, after = usdm(act)
    assert '"code":-5040' in refusal[1]
    assert (before, after) == ("open", "expired")  # whole seconds count: 601.999 is 601


def test_an_order_is_modified_in_place() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        placed = await c.create_order(S, "limit", "buy", 0.1, 39_000, {"clientOrderId": "mine"})
        changed = await c.edit_order(placed["id"], S, "limit", "buy", 0.2, 39_100)
        by_name = await c.fapiPrivatePutOrder({
            "symbol": "BTCUSDT", "side": "BUY", "origClientOrderId": "mine", "quantity": "0.3", "price": "39100",
        })  # fmt: skip
        same = await refused(c.edit_order(placed["id"], S, "limit", "buy", 0.3, 39_100))
        small = await refused(c.edit_order(placed["id"], S, "limit", "buy", 0.001, 39_100))
        return placed, changed, by_name, same, small, await c.fetch_order(placed["id"], S)

    placed, changed, by_name, same, small, now = usdm(act)
    assert (changed["id"], changed["amount"], changed["price"]) == (placed["id"], 0.2, 39_100.0)
    assert by_name["origQty"] == "0.300"
    assert '"code":-5027,"msg":"No need to modify the order."' in same[1]
    assert '"code":-5029' in small[1]
    assert (now["amount"], now["price"], now["status"], now["clientOrderId"]) == (0.3, 39_100.0, "open", "mine")


def test_a_modification_ends_an_order_that_would_take_or_has_filled_more() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        maker = await c.create_order(S, "limit", "buy", 0.1, 39_000, {"postOnly": True})
        takes = await c.edit_order(maker["id"], S, "limit", "buy", 0.1, 41_000)
        part = await c.create_order(S, "limit", "buy", 0.5, 39_000)
        on.at.direct.fill(int(part["id"]), D("0.2"))
        less = await c.edit_order(part["id"], S, "limit", "buy", 0.1, 39_000)
        return takes, less

    takes, less = usdm(act)
    assert (takes["status"], takes["filled"]) == ("canceled", 0.0)
    assert (less["status"], less["filled"]) == ("canceled", 0.2)


ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1", "price": "39000"}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.1"}
TOO_PRECISE = "Precision is over the maximum defined for this asset."
REFUSALS = {
    "precision of a price": ({**ORDER, "price": "39000.01"}, -1111, TOO_PRECISE),
    "precision of a quantity": ({**ORDER, "quantity": "0.1001"}, -1111, TOO_PRECISE),
    "zero": ({**ORDER, "quantity": "0"}, -4003, "Quantity less than or equal to zero."),
    "too much": ({**ORDER, "quantity": "1001"}, -4005, "Quantity greater than max quantity."),
    "too little value": (
        {**ORDER, "quantity": "0.001"}, -4164,
        "Order's notional must be no smaller than 100 (unless you choose reduce only).",
    ),
    "below the least price": ({**ORDER, "price": "9"}, -4013, "Price less than min price."),
    "above the greatest price": ({**ORDER, "price": "1000001"}, -4002, "Price greater than max price."),
    "above the band": ({**ORDER, "price": "44001"}, -4016, "Limit price can't be higher than 44000.0."),
    "below the band": ({**ORDER, "price": "35000"}, -4024, "Limit price can't be lower than 36000.0."),
    "margin": ({**MARKET, "quantity": "60"}, -2019, "Margin is insufficient."),
    "a maker that would take": (
        {**ORDER, "price": "40001", "timeInForce": "GTX"}, -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    "all or nothing": (
        {**ORDER, "quantity": "2", "price": "40000.1", "timeInForce": "FOK"}, -5021,
        "Due to the order could not be filled immediately, the FOK order has been rejected. "
        "The order will not be recorded in the order history",
    ),
    "a stop at the wrong door": (
        {**MARKET, "type": "STOP_MARKET", "stopPrice": "41000"}, -4120,
        "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
    ),
    "hedge mode": (
        {**ORDER, "positionSide": "LONG"}, -4061, "Order's position side does not match user's setting.",
    ),
    "a name too long": (
        {**ORDER, "newClientOrderId": "x" * 37}, -4015, "Client order id length should not be more than 36 chars",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_an_order_is_refused_in_binances_words_and_not_recorded(what: str) -> None:
    params, code, words = REFUSALS[what]

    async def act(on: Scene) -> Any:
        await refused(on.client.fapiPrivatePostOrder(params))
        return json.loads(on.client.last_http_response), await on.client.fetch_orders(S)

    answer, history = usdm(act)
    assert answer == {"code": code, "msg": words}
    assert history == []


def test_a_client_id_is_one_open_order_at_a_time() -> None:
    async def act(on: Scene) -> Any:
        c, name = on.client, {"clientOrderId": "one"}
        first = await c.create_order(S, "limit", "buy", 0.1, 39_000, name)
        twice = await refused(c.create_order(S, "limit", "buy", 0.1, 39_000, name))
        await c.cancel_order(first["id"], S)
        return twice, (await c.create_order(S, "limit", "buy", 0.1, 39_000, name))["status"]

    twice, again = usdm(act)
    assert twice == ("InvalidOrder", 'binanceusdm {"code":-4116,"msg":"ClientOrderId is duplicated."}')
    assert again == "open"


def test_orders_are_cancelled_found_and_listed() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        one = await c.create_order(S, "limit", "buy", 0.1, 39_000, {"clientOrderId": "one"})
        await c.create_order(S, "limit", "buy", 0.1, 38_000)
        cancelled = await c.cancel_order("", S, {"origClientOrderId": "one"})
        again = await refused(c.cancel_order(one["id"], S))
        never = await refused(c.fetch_order("77", S))
        everything = await c.cancel_all_orders(S)
        nothing = await c.cancel_all_orders(S)  # Binance says that it is done, even where there was nothing to do
        statuses = [o["status"] for o in await c.fetch_orders(S)]
        return cancelled["status"], again, never, everything[0]["info"], nothing[0]["info"], statuses

    cancelled, again, never, everything, nothing, statuses = usdm(act)
    assert cancelled == "canceled"
    assert again == ("OrderNotFound", 'binanceusdm {"code":-2011,"msg":"Unknown order sent."}')
    assert never == ("OrderNotFound", 'binanceusdm {"code":-2013,"msg":"Order does not exist."}')
    assert everything == nothing == {"code": 200, "msg": "The operation of cancel all open order is done."}
    assert statuses == ["canceled", "canceled"]


# ── conditional orders ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_conditional_order_waits_at_the_algo_service_and_trades_as_an_order_of_its_own() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        await c.create_order(S, "market", "buy", 0.2)
        stop = await c.create_order(S, "market", "sell", 0.2, None, {"stopLossPrice": 39_000, "reduceOnly": True,
                                                                     "clientOrderId": "stop-1"})  # fmt: skip
        plain, waiting = await c.fetch_open_orders(S), await c.fetch_open_orders(S, params=TRIGGER)
        not_plain = await refused(c.fetch_order(stop["id"], S))
        margin = on.ledger().order_margin
        await on.price("38990")
        done = await c.fetch_order(stop["id"], S, TRIGGER)
        spawned = await c.fetch_order(done["info"]["actualOrderId"], S)
        trades = await c.fetch_my_trades(S, params={"orderId": done["info"]["actualOrderId"]})
        return stop, plain, waiting, not_plain, margin, done, spawned, trades, await c.fetch_positions([S])

    stop, plain, waiting, not_plain, margin, done, spawned, trades, positions = usdm(act)
    assert (stop["status"], stop["clientOrderId"], stop["triggerPrice"], stop["reduceOnly"]) == (
        "open",
        "stop-1",
        39_000.0,
        True,
    )
    assert (plain, [o["id"] for o in waiting], margin) == ([], [stop["id"]], 0)
    assert '"code":-2013' in not_plain[1]
    assert (done["status"], done["info"]["algoStatus"], done["info"]["actualPrice"]) == (
        "closed",
        "FINISHED",
        "38989.90000",
    )
    assert done["info"]["actualOrderId"] != stop["id"]
    assert (spawned["status"], spawned["average"], spawned["info"]["origType"]) == ("closed", 38_989.9, "STOP_MARKET")
    assert [t["amount"] for t in trades] == [0.2]
    assert positions == []


@pytest.mark.parametrize(
    ("kind", "side", "price", "params", "goes_to", "limit"),
    [
        ("market", "sell", None, {"stopLossPrice": 39_000}, "38900", None),
        ("limit", "sell", 38_950, {"stopLossPrice": 39_000}, "38960", 38_950),
        ("market", "sell", None, {"takeProfitPrice": 41_000}, "41100", None),
        ("limit", "sell", 41_050, {"takeProfitPrice": 41_000}, "41060", 41_050),
        ("market", "buy", None, {"triggerPrice": 41_000}, "41100", None),
        ("limit", "buy", 38_950, {"takeProfitPrice": 39_000}, "38940", 38_950),
    ],
)
def test_each_conditional_type_is_triggered_on_its_side(
    kind: str, side: str, price: float | None, params: dict[str, Any], goes_to: str, limit: float | None
) -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        placed = await c.create_order(S, kind, side, 0.1, price, params)
        await on.price("40000")
        untouched = await c.fetch_order(placed["id"], S, TRIGGER)
        await on.price(goes_to)
        return untouched, await c.fetch_order(placed["id"], S, TRIGGER)

    untouched, done = usdm(act)
    assert untouched["info"]["algoStatus"] == "NEW"
    assert done["info"]["algoStatus"] == "FINISHED"
    if limit is not None:
        better = float(done["info"]["actualPrice"]) - limit
        assert better >= 0 if side == "sell" else better <= 0


def test_orders_that_close_the_position_go_with_it() -> None:
    async def act(on: Scene) -> Any:
        c, close = on.client, {"closePosition": True}
        flat = await refused(c.create_order(S, "market", "sell", None, None, {"stopLossPrice": 39_000} | close))
        await c.create_order(S, "market", "buy", 0.3)
        stop = await c.create_order(S, "market", "sell", None, None, {"stopLossPrice": 39_000} | close)
        target = await c.create_order(S, "market", "sell", None, None, {"takeProfitPrice": 41_000} | close)
        twice = await refused(c.create_order(S, "market", "sell", None, None, {"stopLossPrice": 39_100} | close))
        await c.create_order(S, "market", "buy", 0.2)
        await on.price("41050")
        ends = [await c.fetch_order(o["id"], S, TRIGGER) for o in (stop, target)]
        return flat, twice, ends, await c.fetch_my_trades(S), await c.fetch_positions([S])

    flat, twice, (stop, target), trades, positions = usdm(act)
    assert '"code":-4509' in flat[1]
    assert '"code":-4130' in twice[1]
    assert (target["info"]["algoStatus"], trades[-1]["amount"]) == ("FINISHED", 0.5)  # all of it, the later part too
    assert (stop["info"]["algoStatus"], positions) == ("EXPIRED", [])


def test_a_stop_with_nothing_left_to_reduce_is_rejected_when_it_triggers() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        await c.create_order(S, "market", "buy", 0.1)
        stop = await c.create_order(S, "market", "sell", 0.1, None, {"stopLossPrice": 39_000, "reduceOnly": True})
        await c.create_order(S, "market", "sell", 0.1)
        await on.price("38900")
        return await c.fetch_order(stop["id"], S, TRIGGER), await c.fetch_positions([S])

    stop, positions = usdm(act)
    assert (stop["info"]["algoStatus"], stop["status"], positions) == ("REJECTED", "rejected", [])


def test_conditional_orders_are_refused_cancelled_and_listed() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        at_once = await refused(c.create_order(S, "market", "sell", 0.1, None, {"stopLossPrice": 40_000}))
        one = await c.create_order(S, "market", "sell", 0.1, None, {"stopLossPrice": 39_000, "clientOrderId": "a"})
        same = await refused(
            c.create_order(S, "market", "sell", 0.1, None, {"stopLossPrice": 39_000, "clientOrderId": "a"})
        )
        for price in (38_000, 37_000, 36_500, 36_400):
            await c.create_order(S, "market", "sell", 0.1, None, {"stopLossPrice": price})
        sixth = await refused(c.create_order(S, "market", "sell", 0.1, None, {"stopLossPrice": 36_300}))
        cancelled = await c.cancel_order("", S, {"clientOrderId": "a"} | TRIGGER)
        again = await refused(c.cancel_order(one["id"], S, TRIGGER))
        everything = await c.cancel_all_orders(S, TRIGGER)
        history = [o["info"]["algoStatus"] for o in await c.fetch_orders(S, params=TRIGGER)]
        return at_once, same, sixth, cancelled["info"], again, everything[0]["info"]["code"], history

    at_once, same, sixth, cancelled, again, code, history = usdm(act)
    assert at_once == (
        "OrderImmediatelyFillable",
        'binanceusdm {"code":-2021,"msg":"Order would immediately trigger."}',
    )
    assert '"code":-4116' in same[1]
    assert '"code":-4045,"msg":"Reach max stop order limit."' in sixth[1]
    assert (cancelled["clientAlgoId"], cancelled["code"], cancelled["msg"]) == ("a", "200", "success")
    assert '"code":-2011' in again[1]
    assert (code, history) == (200, ["CANCELED"] * 5)


# ── the account ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_can_no_longer_be_held_is_liquidated() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        await c.set_leverage(125, S)
        await c.create_order(S, "market", "buy", 1)
        price = (await c.fapiPrivateV2GetPositionRisk({"symbol": "BTCUSDT"}))[0]["liquidationPrice"]
        await on.price((D(price) + 1).quantize(D("0.1")))
        held = await c.fetch_positions([S])
        await on.price((D(price) - 1).quantize(D("0.1")))
        return held, await c.fetch_positions([S]), (await c.fetch_my_trades(S))[-1], await c.fetch_orders(S)

    held, gone, trade, orders = usdm(act, money={"USDT": D(2000)})
    assert [p["contracts"] for p in held] == [1.0]
    assert gone == []
    assert trade["side"] == "sell"
    assert orders[-1]["clientOrderId"].startswith("autoclose-")


def test_income_adds_up_to_the_wallet() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        await c.create_order(S, "market", "buy", 0.5)
        await on.at.advance(8 * HOUR_S, step_s=HOUR_S)
        await on.price("41000")
        await c.create_order(S, "market", "sell", 0.5)
        rows = await c.fapiPrivateGetIncome({"limit": 1000})
        funding = await c.fapiPrivateGetIncome({"incomeType": "FUNDING_FEE"})
        return rows, funding, on.ledger().wallet

    rows, funding, wallet = usdm(act)
    assert {r["incomeType"] for r in rows} == {"COMMISSION", "FUNDING_FEE", "REALIZED_PNL"}
    assert wallet == 100_000 + sum(D(r["income"]) for r in rows)
    assert [r["income"] for r in funding] == ["-2.00000000"]


def test_an_account_is_in_one_way_mode_with_cross_margin() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        mode = await c.fetch_position_mode(S)
        already = await refused(c.set_margin_mode("cross", S))
        hedge = await refused(c.set_position_mode(True, S))
        one_way = await refused(c.set_position_mode(False, S))
        return mode, already, hedge, one_way, await c.fetch_trading_fee(S)

    mode, already, hedge, one_way, fee = usdm(act, maker_bps=D(2), taker_bps=D(5))
    assert mode["hedged"] is False
    assert already[0] == "MarginModeAlreadySet"
    assert '"code":-1020' in hedge[1]
    assert '"code":-4059' in one_way[1]
    assert (fee["maker"], fee["taker"]) == (0.0002, 0.0005)


def test_own_trades_cover_a_week_at_a_time() -> None:
    async def act(on: Scene) -> Any:
        c = on.client
        await c.create_order(S, "market", "buy", 0.1)
        too_long = {"symbol": "BTCUSDT", "startTime": START_MS, "endTime": START_MS + 8 * 86_400_000}
        return (
            len(await c.fetch_my_trades(S, since=START_MS - 1000)),
            len(await c.fetch_my_trades(S, since=START_MS - 8 * 86_400_000)),
            await refused(c.fapiPrivateGetUserTrades(too_long)),
        )

    new, old, too_long = usdm(act)
    assert (new, old) == (1, 0)  # a week from a start more than a week ago ends before the trade
    assert '"code":-4165' in too_long[1]


def test_a_parameter_nobody_reads_is_let_through_and_noted() -> None:
    async def act(on: Scene) -> Any:
        await on.client.fapiPrivatePostOrder(ORDER | {"icebergQty": "0.01"})
        noted = list(on.at.server.dialect.unknown_params)  # type: ignore[attr-defined]
        on.at.server.dialect.unknown_params.clear()  # type: ignore[attr-defined]
        return noted

    assert usdm(act) == [("POST /fapi/v1/order", "icebergQty")]
