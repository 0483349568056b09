"""Hold the spot dialect to Binance's documentation, through the real ccxt client; the market stands still at 40 000."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.rehearsal.binance_world import KEY, SECRET, START_MS, Scene, a_client, play, refused
from tradelab.model.orders import OrderStatus

D = Decimal
S = "BTC/USDT"
MIN_MS = 60_000


def spot(act: Any, **setup: Any) -> Any:
    return play("binance", act, **setup)


# ── the market ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_market_is_described_by_its_instrument() -> None:
    async def act(on: Scene) -> Any:
        return on.client.markets[S]

    market = spot(act)
    assert market["precision"] == {"amount": 1e-05, "price": 0.01, "base": 1e-08, "quote": 1e-08}
    assert market["limits"]["amount"] == {"min": 1e-05, "max": 9000.0}
    assert market["limits"]["market"] == {"min": 0.0, "max": 100.0}
    assert market["limits"]["cost"] == {"min": 5.0, "max": 9_000_000.0}
    assert market["active"] is True
    kinds = {f["filterType"] for f in market["info"]["filters"]}
    assert kinds == {
        "PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL", "PERCENT_PRICE_BY_SIDE", "MAX_NUM_ORDERS",
        "MAX_NUM_ALGO_ORDERS",
    }  # fmt: skip


def test_the_venue_tells_its_own_time_even_when_it_is_wrong() -> None:
    async def act(on: Scene) -> Any:
        right = await on.client.fetch_time()
        on.at.direct.skew(1.5)
        return right, await on.client.fetch_time()

    assert spot(act) == (START_MS, START_MS + 1500)


def test_candles_are_paged_by_time_and_the_last_one_is_forming() -> None:
    async def act(on: Scene) -> Any:
        await on.at.advance(30)
        newest = await on.client.fetch_ohlcv(S, "1m", limit=3)
        page = await on.client.fetch_ohlcv(S, "1m", since=START_MS - 100 * MIN_MS, limit=4)
        until = await on.client.fetch_ohlcv(S, "1m", limit=2, params={"until": START_MS - 10 * MIN_MS})
        hours = await on.client.fetch_ohlcv(S, "1h", limit=2)
        return newest, page, until, hours

    newest, page, until, hours = spot(act)
    assert [row[0] for row in newest] == [START_MS - 2 * MIN_MS, START_MS - MIN_MS, START_MS]
    assert [row[5] for row in newest] == [13.0, 13.0, 7.0]  # prints at 0, 4.6, … 27.7 s: seven of thirteen
    assert [row[0] for row in page] == [START_MS - k * MIN_MS for k in (100, 99, 98, 97)]
    assert [row[0] for row in until] == [START_MS - 11 * MIN_MS, START_MS - 10 * MIN_MS]
    assert [row[0] for row in hours] == [START_MS - 60 * MIN_MS, START_MS]
    assert hours[0][1:] == [40_000.0, 40_000.0, 40_000.0, 40_000.0, 780.0]


def test_the_book_stands_around_the_last_price() -> None:
    async def act(on: Scene) -> Any:
        book = await on.client.fetch_order_book(S, 3)
        best = await on.client.fetch_bids_asks([S])
        return book, best[S], await on.client.fetch_ticker(S), await on.client.fetch_trades(S, limit=5)

    book, best, ticker, trades = spot(act)
    assert book["bids"] == [[39_999.99, 1.0], [39_999.98, 1.0], [39_999.97, 1.0]]
    assert book["asks"] == [[40_000.01, 1.0], [40_000.02, 1.0], [40_000.03, 1.0]]
    assert (best["bid"], best["bidVolume"], best["ask"], best["askVolume"]) == (39_999.99, 1.0, 40_000.01, 1.0)
    assert (ticker["last"], ticker["open"], ticker["bid"], ticker["ask"]) == (40_000.0, 40_000.0, 39_999.99, 40_000.01)
    assert ticker["baseVolume"] == 13.0 * 1440 + 1  # a day, and the first print of the minute that begins
    assert [t["price"] for t in trades] == [40_000.0] * 5
    assert [int(t["id"]) for t in trades] == list(range(int(trades[0]["id"]), int(trades[0]["id"]) + 5))


def test_an_interval_no_tape_can_form_is_refused() -> None:
    async def act(on: Scene) -> Any:
        return await refused(on.client.fetch_ohlcv(S, "1s"))

    assert spot(act)[0] == "BadRequest"


# ── placing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_market_buy_walks_the_book_and_pays_its_fee_in_what_it_bought() -> None:
    async def act(on: Scene) -> Any:
        order = await on.client.create_order(S, "market", "buy", 1.5)
        return order, await on.client.fetch_balance()

    order, balance = spot(act)
    cost = D("40000.01") + D("0.5") * D("40000.02")  # one coin a level
    assert (order["status"], order["filled"], D(str(order["cost"]))) == ("closed", 1.5, cost)
    assert [(t["price"], t["amount"], t["fee"]) for t in order["trades"]] == [
        (40_000.01, 1.0, {"cost": 0.001, "currency": "BTC"}),
        (40_000.02, 0.5, {"cost": 0.0005, "currency": "BTC"}),
    ]
    assert balance["BTC"] == {"free": 1.4985, "used": 0.0, "total": 1.4985}
    assert D(str(balance["USDT"]["free"])) == 100_000 - cost


def test_a_market_buy_for_an_amount_of_money_spends_no_more() -> None:
    async def act(on: Scene) -> Any:
        return await on.client.create_market_buy_order_with_cost(S, 1000)

    order = spot(act)
    assert order["filled"] == 0.02499  # 1 000 / 40 000.01, down to five decimals
    assert order["cost"] <= 1000
    assert order["info"]["origQuoteOrderQty"] == "1000.00000000"


def test_a_limit_order_rests_holds_its_money_and_fills_at_its_price() -> None:
    async def act(on: Scene) -> Any:
        placed = await on.client.create_order(S, "limit", "buy", 0.5, 39_000, {"clientOrderId": "rests-1"})
        held = await on.client.fetch_balance()
        await on.price("38990", "3")
        return placed, held, await on.client.fetch_order(placed["id"], S), await on.client.fetch_my_trades(S)

    placed, held, filled, (trade,) = spot(act)
    assert (placed["status"], placed["clientOrderId"], placed["timeInForce"]) == ("open", "rests-1", "GTC")
    assert held["USDT"] == {"free": 80_500.0, "used": 19_500.0, "total": 100_000.0}
    assert (filled["status"], filled["average"], filled["clientOrderId"]) == ("closed", 39_000.0, "rests-1")
    assert (trade["takerOrMaker"], trade["price"], trade["order"]) == ("maker", 39_000.0, placed["id"])


def test_what_fills_in_part_is_told_in_part() -> None:
    async def act(on: Scene) -> Any:
        placed = await on.client.create_order(S, "limit", "sell", 2, 41_000)
        await on.price("41000", "0.75")  # the tape touches the price with three quarters of a coin
        return await on.client.fetch_order(placed["id"], S)

    order = spot(act, money={"USDT": D(10), "BTC": D(2)})
    assert (order["status"], order["filled"], order["remaining"]) == ("open", 0.75, 1.25)
    assert order["info"]["status"] == "PARTIALLY_FILLED"


@pytest.mark.parametrize(("tif", "status", "filled"), [("IOC", "expired", 1.0), ("FOK", "expired", 0.0)])
def test_an_order_of_the_moment_takes_what_is_there_and_expires(tif: str, status: str, filled: float) -> None:
    async def act(on: Scene) -> Any:
        params = {"timeInForce": tif}
        return await on.client.create_order(S, "limit", "buy", 1.5, 40_000.01, params)

    order = spot(act)  # one coin at 40 000.01
    assert (order["status"], order["filled"]) == (status, filled)


def test_a_post_only_order_rests_or_is_refused() -> None:
    async def act(on: Scene) -> Any:
        rests = await on.client.create_order(S, "limit", "buy", 0.1, 40_000, {"postOnly": True})
        return rests, await refused(on.client.create_order(S, "limit", "buy", 0.1, 40_000.01, {"postOnly": True}))

    rests, (kind, says) = spot(act)
    assert (rests["status"], rests["info"]["type"], rests["postOnly"]) == ("open", "LIMIT_MAKER", True)
    assert (kind, says) == ("OrderImmediatelyFillable", "binance Order would immediately match and take.")


def test_stops_wait_for_their_price_and_targets_for_theirs() -> None:
    async def act(on: Scene) -> Any:
        client = on.client
        stop = await client.create_order(S, "market", "sell", 0.1, None, {"stopLossPrice": 39_000})
        limit = await client.create_order(S, "limit", "sell", 0.1, 38_900, {"stopLossPrice": 39_000})
        target = await client.create_order(S, "market", "sell", 0.1, None, {"takeProfitPrice": 41_000})
        at_once = await refused(client.create_order(S, "market", "sell", 0.1, None, {"stopLossPrice": 40_000}))
        waiting = await client.fetch_open_orders(S)
        await on.price("38950")
        after = [await client.fetch_order(o["id"], S) for o in (stop, limit, target)]
        return waiting, at_once, after

    waiting, at_once, after = spot(act, money={"USDT": D(10), "BTC": D(1)})
    assert [o["info"]["type"] for o in waiting] == ["STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT"]
    assert [(o["info"]["isWorking"], o["info"]["workingTime"]) for o in waiting] == [(False, -1)] * 3
    assert at_once == ("OrderImmediatelyFillable", "binance Stop price would trigger immediately.")
    assert [o["status"] for o in after] == ["closed", "closed", "open"]
    assert [o["average"] for o in after[:2]] == [38_949.99, 38_949.99]  # both take the best bid


def test_short_middle_and_long_answers_have_what_binance_puts_in_them() -> None:
    async def act(on: Scene) -> Any:
        given = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        return [await on.client.privatePostOrder(given | {"newOrderRespType": k}) for k in ("ACK", "RESULT", "FULL")]

    ack, result, full = spot(act)
    assert set(ack) == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    assert set(full) == set(result) | {"fills"}
    assert set(result) > set(ack)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "39000"}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
REFUSALS = {
    "tick": ({**ORDER, "price": "39000.001"}, -1013, "Filter failure: PRICE_FILTER"),
    "above the greatest price": ({**ORDER, "price": "1000001"}, -1013, "Filter failure: PRICE_FILTER"),
    "outside the band": ({**ORDER, "price": "19999"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    "step": ({**ORDER, "quantity": "0.000015"}, -1013, "Filter failure: LOT_SIZE"),
    "zero": ({**ORDER, "quantity": "0"}, -1013, "Filter failure: LOT_SIZE"),
    "too much for one market order": ({**MARKET, "quantity": "101"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
    "too little value": ({**ORDER, "quantity": "0.0001"}, -1013, "Filter failure: NOTIONAL"),
    "precision": ({**ORDER, "quantity": "0.123456789"}, -1111, "Parameter 'quantity' has too much precision."),
    "letters": (
        {**ORDER, "quantity": "1e-3"}, -1100,
        r"Illegal characters found in parameter 'quantity'; legal range is '^([0-9]{1,20})(\.[0-9]{1,20})?$'.",
    ),
    "money": ({**ORDER, "quantity": "3"}, -2010, "Account has insufficient balance for requested action."),
    "no price": (
        {k: v for k, v in ORDER.items() if k != "price"}, -1102,
        "Mandatory parameter 'price' was not sent, was empty/null, or malformed.",
    ),
    "a price too many": ({**MARKET, "price": "39000"}, -1106, "Parameter 'price' sent when not required."),
    "no such market": ({**ORDER, "symbol": "NOPEUSDT"}, -1121, "Invalid symbol."),
    "no such side": ({**ORDER, "side": "UP"}, -1117, "Invalid side."),
    "no such type": ({**ORDER, "type": "HOPE"}, -1116, "Invalid orderType."),
    "no such time in force": ({**ORDER, "timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
    "empty": ({**ORDER, "newOrderRespType": ""}, -1105, "Parameter 'newOrderRespType' was empty."),
    "a name with blanks": (
        {**ORDER, "newClientOrderId": "a b"}, -1100,
        "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
    ),
    "a parameter nobody reads": (
        {**ORDER, "reduceOnly": "true", "newClientOrderId": "x"}, -1104,
        "Not all sent parameters were read; read '10' parameter(s) but was sent '11'.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_an_order_is_refused_in_binances_words(what: str) -> None:
    params, code, words = REFUSALS[what]

    async def act(on: Scene) -> Any:
        await refused(on.client.privatePostOrder(params))
        return json.loads(on.client.last_http_response), on.at.exchange.orders

    answer, orders = spot(act)
    assert answer == {"code": code, "msg": words}
    assert not orders


def test_a_client_id_may_be_used_again_once_its_order_is_closed_and_not_before() -> None:
    async def act(on: Scene) -> Any:
        client, same = on.client, {"clientOrderId": "twice"}
        first = await client.create_order(S, "limit", "buy", 0.1, 39_000, same)
        while_open = await refused(client.create_order(S, "limit", "buy", 0.1, 39_000, same))
        await client.cancel_order(first["id"], S)
        second = await client.create_order(S, "limit", "buy", 0.2, 39_000, same)
        return first, while_open, second, await client.fetch_order("", S, {"origClientOrderId": "twice"})

    first, while_open, second, found = spot(act)
    assert while_open == ("InvalidOrder", 'binance {"code":-2010,"msg":"Duplicate order sent."}')
    assert first["id"] != second["id"]
    assert (found["id"], found["amount"]) == (second["id"], 0.2)  # the newest of that name


def test_there_are_only_so_many_orders_and_so_many_stops() -> None:
    async def act(on: Scene) -> Any:
        client, money = on.client, {"stopLossPrice": 39_000}
        stops = [await client.create_order(S, "market", "sell", 0.01, None, money) for _ in range(5)]
        one_stop_more = await refused(client.create_order(S, "market", "sell", 0.01, None, money))
        rests = [await client.create_order(S, "limit", "sell", 0.01, 41_000) for _ in range(15)]
        one_more = await refused(client.create_order(S, "limit", "sell", 0.01, 41_000))
        return len(stops) + len(rests), one_stop_more[1], one_more[1]

    count, one_stop_more, one_more = spot(act, money={"USDT": D(10), "BTC": D(1)})
    assert count == 20
    assert "Filter failure: MAX_NUM_ALGO_ORDERS" in one_stop_more
    assert "Filter failure: MAX_NUM_ORDERS" in one_more


def test_a_market_off_the_list_takes_no_order() -> None:
    async def act(on: Scene) -> Any:
        on.at.direct.delist("BTCUSDT")
        refusal = await refused(on.client.create_order(S, "limit", "buy", 0.1, 39_000))
        await on.client.load_markets(True)
        return refusal, on.client.markets[S]["active"]

    (kind, _), active = spot(act)
    assert (kind, active) == ("MarketClosed", False)


# ── keys and clocks ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("config", "skew_s", "params", "kind", "code"),
    [
        ({"secret": "wrong"}, 0, {}, "AuthenticationError", -1022),
        ({"apiKey": "nobody"}, 0, {}, "AuthenticationError", -2015),
        ({}, 20, {}, "InvalidNonce", -1021),
        ({}, -20, {}, "InvalidNonce", -1021),
        ({}, -1.001, {}, "InvalidNonce", -1021),
        ({}, 0, {"recvWindow": 60_001}, "BadRequest", -1131),
    ],
)
def test_who_signs_wrongly_or_at_the_wrong_time_is_refused(
    config: dict[str, str], skew_s: float, params: dict[str, Any], kind: str, code: int
) -> None:
    async def act(on: Scene) -> Any:
        other = a_client("binance", on.at, on.clock, **config)
        try:
            other.set_markets(on.client.markets)
            on.at.direct.skew(skew_s)
            return await refused(other.fetch_balance(params))
        finally:
            await other.close()

    refusal = spot(act)
    assert refusal[0] == kind
    assert f'"code":{code},' in refusal[1]
    assert SECRET not in refusal[1]
    assert KEY not in refusal[1]


def test_a_clock_that_is_a_little_off_is_forgiven() -> None:
    async def act(on: Scene) -> Any:
        on.at.direct.skew(9.9)  # ccxt asks for a window of ten seconds
        behind = await on.client.fetch_balance()
        on.at.direct.skew(-0.999)
        return behind["USDT"]["free"], (await on.client.fetch_balance())["USDT"]["free"]

    assert spot(act) == (100_000.0, 100_000.0)


# ── cancelling, changing, asking ─────────────────────────────────────────────────────────────────────────────────────


def test_an_order_is_cancelled_once_by_either_name() -> None:
    async def act(on: Scene) -> Any:
        client = on.client
        one = await client.create_order(S, "limit", "buy", 0.1, 39_000, {"clientOrderId": "one"})
        two = await client.create_order(S, "limit", "buy", 0.1, 38_000, {"clientOrderId": "two"})
        by_number = await client.cancel_order(one["id"], S)
        by_name = await client.cancel_order("", S, {"origClientOrderId": "two"})
        again = await refused(client.cancel_order(two["id"], S))
        never = await refused(client.cancel_order("123456789", S))
        return by_number, by_name, again, never, (await client.fetch_balance())["USDT"]

    by_number, by_name, again, never, money = spot(act)
    assert [by_number["status"], by_name["status"]] == ["canceled", "canceled"]
    assert by_number["info"]["origClientOrderId"] == "one"
    assert by_number["info"]["clientOrderId"] != "one"  # the cancel has a name of its own
    assert again == never == ("OrderNotFound", 'binance {"code":-2011,"msg":"Unknown order sent."}')
    assert money["used"] == 0.0


def test_all_orders_of_a_market_are_cancelled_at_once_and_no_order_is_an_error() -> None:
    async def act(on: Scene) -> Any:
        client = on.client
        await client.create_order(S, "limit", "buy", 0.1, 39_000)
        await client.create_order(S, "market", "buy", 0.1, None, {"triggerPrice": 41_000})
        done = await client.cancel_all_orders(S)
        return (
            [o["status"] for o in done],
            await client.fetch_open_orders(S),
            await refused(client.cancel_all_orders(S)),
        )

    done, left, again = spot(act)
    assert (done, left) == (["canceled", "canceled"], [])
    assert again[0] == "OrderNotFound"


def test_an_order_is_replaced_and_a_failed_half_is_told() -> None:
    async def act(on: Scene) -> Any:
        client = on.client
        old = await client.create_order(S, "limit", "buy", 0.1, 39_000)
        new = await client.edit_order(old["id"], S, "limit", "buy", 0.2, 39_500)
        gone = await refused(client.edit_order(old["id"], S, "limit", "buy", 0.3, 39_500))
        dear = await refused(client.edit_order(new["id"], S, "limit", "buy", 5, 39_500))
        return old, new, gone, dear, await client.fetch_open_orders(S)

    old, new, gone, dear, left = spot(act)
    assert (new["id"] != old["id"], new["amount"], new["price"], new["status"]) == (True, 0.2, 39_500.0, "open")
    assert '"code":-2022' in gone[1]
    assert '"newOrderResult":"NOT_ATTEMPTED"' in gone[1]
    assert '"code":-2021' in dear[1]
    assert '"cancelResult":"SUCCESS","newOrderResult":"FAILURE"' in dear[1]
    assert left == []  # the old one went, the new one did not come


def test_an_order_shrinks_in_place_and_keeps_its_number() -> None:
    async def act(on: Scene) -> Any:
        client = on.client
        order = await client.create_order(S, "limit", "buy", 0.5, 39_000, {"clientOrderId": "big"})
        path, api = "order/amend/keepPriority", "private"
        named = {"symbol": "BTCUSDT", "orderId": order["id"]}
        done = await client.request(path, [api], "PUT", named | {"newQty": "0.2", "newClientOrderId": "small"})
        grown = await refused(client.request(path, [api], "PUT", named | {"newQty": "0.4"}))
        return order, done, grown, await client.fetch_order(order["id"], S)

    order, done, grown, now = spot(act)
    assert done["amendedOrder"]["origClientOrderId"] == "big"
    assert (now["id"], now["amount"], now["clientOrderId"]) == (order["id"], 0.2, "small")
    assert '"code":-2038' in grown[1]


def test_own_trades_are_paged_by_number_and_by_time() -> None:
    async def act(on: Scene) -> Any:
        client = on.client
        for _ in range(7):
            await client.create_order(S, "market", "buy", 0.01)
            await on.at.advance(60, step_s=60)
        every = await client.fetch_my_trades(S)
        first, page = every[0], []
        number = int(first["id"])
        while True:
            found = await client.fetch_my_trades(S, limit=3, params={"fromId": number})
            page += found
            if len(found) < 3:
                break
            number = int(found[-1]["id"]) + 1
        late = await client.fetch_my_trades(S, since=START_MS + 5 * MIN_MS)
        newest = await client.fetch_my_trades(S, limit=2)
        both = await refused(client.fetch_my_trades(S, since=START_MS, params={"fromId": number}))
        return every, page, late, newest, both

    every, page, late, newest, both = spot(act)
    ids = [t["id"] for t in every]
    assert [t["id"] for t in page] == ids
    assert [t["id"] for t in late] == ids[5:]
    assert [t["id"] for t in newest] == ids[-2:]
    assert '"code":-1128' in both[1]


def test_history_has_open_and_closed_orders_and_what_was_never_there_does_not_exist() -> None:
    async def act(on: Scene) -> Any:
        client = on.client
        await client.create_order(S, "market", "buy", 0.01)
        gone = await client.create_order(S, "limit", "buy", 0.01, 39_000)
        await client.cancel_order(gone["id"], S)
        await client.create_order(S, "limit", "buy", 0.01, 39_000)
        too_long = {"startTime": START_MS - 90_000_000, "endTime": START_MS}
        return (
            [o["status"] for o in await client.fetch_orders(S)],
            await refused(client.fetch_order("1", S)),
            await refused(client.privateGetAllOrders({"symbol": "BTCUSDT"} | too_long)),
        )

    history, never, too_long = spot(act)
    assert history == ["closed", "canceled", "open"]
    assert never == ("OrderNotFound", 'binance {"code":-2013,"msg":"Order does not exist."}')
    assert '"code":-1127' in too_long[1]


def test_what_a_script_expires_keeps_what_has_filled() -> None:
    async def act(on: Scene) -> Any:
        placed = await on.client.create_order(S, "limit", "buy", 1, 39_000)
        number = int(placed["id"])
        on.at.direct.fill(number, D("0.25"))
        on.at.direct.expire(number)
        return await on.client.fetch_order(placed["id"], S), on.at.exchange.orders[number].status

    order, status = spot(act)
    assert (order["status"], order["filled"], status) == ("expired", 0.25, OrderStatus.EXPIRED)


def test_fees_are_told_as_they_are_taken() -> None:
    async def act(on: Scene) -> Any:
        account = await on.client.privateGetAccount()
        return account["makerCommission"], account["commissionRates"], await on.client.fetch_trading_fee(S)

    maker, rates, fee = spot(act, maker_bps=D("7.5"), taker_bps=D("9"))
    assert (int(maker), rates["maker"], rates["taker"]) == (7, "0.00075000", "0.00090000")
    assert (fee["maker"], fee["taker"]) == (0.00075, 0.0009)


def test_the_venue_keeps_all_it_had_taken_when_it_dies() -> None:
    async def act(on: Scene) -> Any:
        placed = await on.client.create_order(S, "limit", "buy", 0.1, 39_000)
        await on.at.kill()
        away = await refused(on.client.fetch_open_orders(S))
        await on.at.restart()
        return placed["id"], away[0], [o["id"] for o in await on.client.fetch_open_orders(S)]

    number, away, after = spot(act)
    assert after == [number]
    assert away in ("ExchangeNotAvailable", "NetworkError")
