"""Speak plain HTTP to the rehearsal venue of mtapi.io, as any client of the real bridge does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import pytest

from tests.unit.rehearsal.mtapi_world import (
    FUNDS,
    PASSWORD,
    USER,
    Plain,
    World,
    plain,
    world,
)
from tradelab.rehearsal.faults import Fault

BID, ASK = 1.15999, 1.16001


def played(play: Callable[[World, Plain], Awaitable[None]], **kind: Any) -> None:
    async def run() -> None:
        async with world(adapter=False, **kind) as on, plain(on) as client:
            await play(on, client)
            assert on.dialect.unknown_params == []

    asyncio.run(run())


def _no(answer: httpx.Response) -> str:
    """The code of a refusal, which is told with status 201."""
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert set(told) == {"message", "code", "stackTrace"}
    code: str = told["code"]
    return code


async def _send(client: Plain, operation: str, **more: Any) -> httpx.Response:
    given = {"symbol": "EURUSD", "operation": operation, "volume": "0.1"} | more
    return await client.get("/OrderSend", **given)


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_login_is_answered_with_a_bare_token_the_same_for_the_same_account() -> None:
    async def play(on: World, client: Plain) -> None:
        again = await client.http.get("/Connect", params={"user": USER, "password": PASSWORD, "host": "h", "port": 443})
        by_name = await client.http.get("/ConnectEx", params={"user": USER, "password": PASSWORD, "server": "X-Demo"})
        assert client.token == again.text == by_name.text
        assert (again.status_code, again.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert len(client.token) == 36

    played(play)


def test_a_wrong_password_and_a_missing_one_are_told_apart() -> None:
    async def play(on: World, client: Plain) -> None:
        wrong = await client.http.get("/Connect", params={"user": USER, "password": "no", "host": "h", "port": 443})
        assert _no(wrong) == "INVALID_ACCOUNT"
        missing = await client.http.get("/Connect", params={"user": USER})
        assert missing.status_code == 400
        assert missing.json()["errors"] == {"password": ["The password field is required."]}

    played(play)


def test_a_token_that_is_missing_or_not_known_is_said_to_be() -> None:
    async def play(on: World, client: Plain) -> None:
        assert _no(await client.http.get("/AccountSummary")) == "NULL_ARGUMENT"
        unknown = await client.http.get("/AccountSummary", params={"id": "nobody"})
        assert _no(unknown) == "INVALID_TOKEN"
        assert unknown.json()["message"] == "Client with id = nobody not found"
        assert (await client.get("/CheckConnect")).json() == "OK"
        assert (await client.get("/Disconnect")).json() == "OK"
        assert _no(await client.get("/CheckConnect")) == "INVALID_TOKEN"

    played(play)


def test_a_session_ends_after_five_idle_minutes_and_when_the_bridge_starts_again() -> None:
    async def play(on: World, client: Plain) -> None:
        for _ in range(3):
            await on.venue.advance(299, step_s=299)
            assert (await client.get("/CheckConnect")).status_code == 200
        await on.venue.advance(301, step_s=301)
        assert _no(await client.get("/CheckConnect")) == "INVALID_TOKEN"
        await client.http.get("/Connect", params={"user": USER, "password": PASSWORD, "host": "h", "port": 443})
        await on.venue.kill()
        on.dialect.forget()
        await on.venue.restart()
        assert _no(await client.get("/CheckConnect")) == "INVALID_TOKEN"

    played(play)


def test_names_of_parameters_may_be_written_in_any_case() -> None:
    # ASP.NET's way; clients of mt4.mtapi.io send ID, SYMBOL, OPERATION
    async def play(on: World, client: Plain) -> None:
        told = await client.http.get("/GetQuote", params={"ID": client.token, "SYMBOL": "EURUSD"})
        assert told.json()["bid"] == BID

    played(play)


def test_a_parameter_nobody_knows_is_let_pass_and_noted() -> None:
    async def run() -> None:
        async with world(adapter=False) as on, plain(on) as client:
            assert (await client.get("/GetQuote", symbol="EURUSD", colour="red")).status_code == 200
            assert on.dialect.unknown_params == ["colour"]

    asyncio.run(run())


def test_the_date_header_is_the_venues_clock() -> None:
    async def play(on: World, client: Plain) -> None:
        assert (await client.get("/CheckConnect")).headers["Date"] == "Fri, 11 Sep 2026 04:00:00 GMT"
        on.venue.direct.skew(-600)
        assert (await client.get("/CheckConnect")).headers["Date"] == "Fri, 11 Sep 2026 03:50:00 GMT"

    played(play)


# ── market ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_symbols_quote_and_zone_are_told() -> None:
    async def play(on: World, client: Plain) -> None:
        assert list((await client.get("/Symbols")).json()) == ["EURUSD"]
        asked = (await client.get("/SymbolParams", symbol="EURUSD")).json()
        assert asked["symbolInfo"]["digits"] == 5
        assert asked["symbolGroup"]["lotsStep"] == 0.01
        quote = (await client.get("/GetQuote", symbol="EURUSD")).json()
        assert quote == {
            "symbol": "EURUSD", "bid": BID, "ask": ASK, "time": "2026-09-11T06:00:00", "last": 0, "volume": 0,
        }  # fmt: skip
        assert (await client.get("/ServerTimezone")).text == "UTC+2"
        for path in ("/SymbolParams", "/GetQuote"):
            assert _no(await client.get(path, symbol="EURUSDm")) == "INVALID_SYMBOL"
            assert (await client.get(path)).status_code == 400

    played(play)


def test_bars_are_asked_for_and_told_by_the_brokers_clock_both_ends_included() -> None:
    async def play(on: World, client: Plain) -> None:
        asked = {"from_": "2026-09-11T05:57:00", "to": "2026-09-11T06:00:00", "timeFrame": 1}
        told = (await client.get("/PriceHistory", symbol="EURUSD", **asked)).json()
        assert [bar["time"][11:] for bar in told] == ["05:57:00", "05:58:00", "05:59:00", "06:00:00"]
        assert (told[-1]["openPrice"], told[-1]["closePrice"]) == (1.16, 1.16)  # the one that forms
        assert told[0]["tickVolume"] == 50
        wrong = await client.get("/PriceHistory", symbol="EURUSD", **(asked | {"timeFrame": "M1"}))
        assert wrong.status_code == 400
        assert (await client.get("/PriceHistory", symbol="EURUSD", timeFrame=1, to="x")).status_code == 400

    played(play)


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("operation", "more", "state"), [
    ("Buy", {}, "Filled"), ("Sell", {}, "Filled"), ("0", {}, "Filled"), ("1", {}, "Filled"),
    ("BuyLimit", {"price": "1.15"}, "Placed"), ("SellLimit", {"price": "1.17"}, "Placed"),
    ("BuyStop", {"price": "1.17"}, "Placed"), ("SellStop", {"price": "1.15"}, "Placed"),
    ("BuyStopLimit", {"price": "1.17", "stopLimitPrice": "1.165"}, "Placed"),
    ("SellStopLimit", {"price": "1.15", "stopLimitPrice": "1.155"}, "Placed"),
    ("3", {"price": "1.17"}, "Placed"),
])  # fmt: skip
def test_every_operation_is_taken_by_name_and_by_number(operation: str, more: dict[str, str], state: str) -> None:
    async def play(on: World, client: Plain) -> None:
        told = (await _send(client, operation, comment="ours", expertID=9, **more)).json()
        assert (told["state"], told["lots"], told["comment"], told["expertId"]) == (state, 0.1, "ours", 9)
        (listed,) = (await client.get("/OpenedOrders")).json()
        assert listed["ticket"] == told["ticket"]

    played(play)


# the table of docs/mtapi-conformance-sanitized.md of tartarixinc/TScopier: "Price boundary rules (confirmed)"
@pytest.mark.parametrize(("operation", "price", "taken"), [
    ("BuyLimit", BID, True), ("BuyLimit", ASK, False), ("BuyLimit", 1.17, False),
    ("SellStop", 1.15998, True), ("SellStop", ASK, False),
    ("SellLimit", ASK, True), ("SellLimit", 1.15998, False),
    ("BuyStop", 1.16002, True), ("BuyStop", BID, False), ("BuyStop", 1.16, False),
])  # fmt: skip
def test_a_pending_order_lies_where_the_bridge_was_seen_to_take_one(operation: str, price: float, taken: bool) -> None:
    async def play(on: World, client: Plain) -> None:
        answer = await _send(client, operation, price=price)
        if taken:
            assert answer.json()["state"] == "Placed"
        else:
            assert _no(answer) == "INVALID_PRICE"

    played(play)


@pytest.mark.parametrize(("operation", "more", "code"), [
    ("Buy", {"volume": "0.015"}, "INVALID_VOLUME"), ("Buy", {"volume": "0.001"}, "INVALID_VOLUME"),
    ("Buy", {"volume": "201"}, "INVALID_VOLUME"), ("Buy", {"volume": "0"}, "INVALID_VOLUME"),
    ("Buy", {"volume": "100"}, "NO_MONEY"), ("Buy", {"symbol": "EURUSDm"}, "INVALID_SYMBOL"),
    ("8", {}, "INVALID_REQUEST"), ("CloseBy", {}, "INVALID_REQUEST"), ("BuyLimit", {}, "INVALID_PRICE"),
    ("BuyLimit", {"price": "1.150005"}, "INVALID_PRICE"), ("Buy", {"stoploss": "1.17"}, "INVALID_STOPS"),
    ("Buy", {"takeprofit": "1.15"}, "INVALID_STOPS"),
    ("BuyLimit", {"price": "1.15", "expiration": "2026-09-11T05:00:00"}, "INVALID_EXPIRATION"),
])  # fmt: skip
def test_an_order_that_cannot_be_is_refused_with_a_code(operation: str, more: dict[str, str], code: str) -> None:
    async def play(on: World, client: Plain) -> None:
        assert _no(await _send(client, operation, **more)) == code
        assert (await client.get("/OpenedOrders")).json() == []

    played(play)


def test_what_makes_no_sense_is_refused_before_the_bridge_is_asked() -> None:
    async def play(on: World, client: Plain) -> None:
        for more in ({"volume": "much"}, {"stoploss": "nan"}):
            answer = await _send(client, "Buy", **more)
            assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (
                400,
                "application/problem+json",
            )
        assert (await client.get("/OrderSend", symbol="EURUSD", volume="0.1")).status_code == 400

    played(play)


def test_two_orders_of_one_comment_are_two_orders_and_a_long_comment_is_cut() -> None:
    async def play(on: World, client: Plain) -> None:
        for _ in range(2):
            await _send(client, "BuyLimit", price="1.15", comment="x" * 40)
        assert [o["comment"] for o in (await client.get("/OpenedOrders")).json()] == ["x" * 31] * 2

    played(play)


def test_a_change_that_leaves_a_level_out_takes_it_away() -> None:
    # seen: "OrderModifySafe with only SL (no TP) succeeds — it clears TP to 0"
    async def play(on: World, client: Plain) -> None:
        ticket = (await _send(client, "Buy", stoploss="1.15", takeprofit="1.17")).json()["ticket"]
        told = (await client.get("/OrderModify", ticket=ticket, stoploss="1.151")).json()
        assert (told["stopLoss"], told["takeProfit"]) == (1.151, 0)
        assert _no(await client.get("/OrderModify", ticket=ticket, stoploss="1.151")) == "NO_CHANGES"
        assert _no(await client.get("/OrderModify", ticket=ticket, stoploss="1.17")) == "INVALID_STOPS"
        assert _no(await client.get("/OrderModify", ticket=404, stoploss="1.17")) == "INVALID_TICKET"

    played(play)


def test_an_order_that_waits_is_changed_and_cancelled_by_its_ticket() -> None:
    async def play(on: World, client: Plain) -> None:
        ticket = (await _send(client, "BuyLimit", price="1.15")).json()["ticket"]
        assert (await client.get("/OrderModify", ticket=ticket, price="1.151")).json()["openPrice"] == 1.151
        assert _no(await client.get("/OrderModify", ticket=ticket, price="1.17")) == "INVALID_PRICE"
        told = (await client.get("/OrderClose", ticket=ticket)).json()
        assert (told["state"], told["closeLots"]) == ("Cancelled", 0)
        assert _no(await client.get("/OrderClose", ticket=ticket)) == "INVALID_TICKET"
        assert (await client.get("/ClosedOrders")).json() == []  # seen: cancelled orders are not among them

    played(play)


@pytest.mark.parametrize("name", ["lots", "volume"])
def test_a_part_and_then_the_rest_of_a_position_is_closed(name: str) -> None:
    async def play(on: World, client: Plain) -> None:
        ticket = (await _send(client, "Buy")).json()["ticket"]
        part = (await client.get("/OrderClose", ticket=ticket, **{name: "0.04"}, comment="part")).json()
        assert (part["ticket"], part["state"], part["closeLots"], part["closePrice"]) == (ticket, "Started", 0.04, BID)
        assert part["dealInternalOut"]["comment"] == "part"
        assert (await client.get("/OpenedOrders")).json()[0]["lots"] == 0.06
        assert _no(await client.get("/OrderClose", ticket=ticket, **{name: "0.07"})) == "INVALID_CLOSE_VOLUME"
        await client.get("/OrderClose", ticket=ticket)
        assert (await client.get("/OpenedOrders")).json() == []
        (over,) = (await client.get("/ClosedOrders")).json()
        assert (over["ticket"], over["closeLots"], len(over["partialCloseDeals"])) == (ticket, 0.1, 1)

    played(play)


def test_a_stop_limit_that_was_triggered_is_told_as_a_limit() -> None:
    async def play(on: World, client: Plain) -> None:
        await _send(client, "BuyStopLimit", price="1.162", stopLimitPrice="1.161")
        await on.move("1.16250")
        (told,) = (await client.get("/OpenedOrders")).json()
        assert (told["orderType"], told["openPrice"]) == ("BuyLimit", 1.161)
        assert told["orderInternal"]["type"] == "BuyStopLimit"
        await on.move("1.16050")
        (told,) = (await client.get("/OpenedOrders")).json()
        assert (told["orderType"], told["openPrice"], told["state"]) == ("Buy", 1.161, "Filled")

    played(play)


def test_history_tells_orders_trades_and_the_deposit_between_two_times() -> None:
    async def play(on: World, client: Plain) -> None:
        ticket = (await _send(client, "Buy", takeprofit="1.17")).json()["ticket"]
        cancelled = (await _send(client, "BuyLimit", price="1.15")).json()["ticket"]
        await client.get("/OrderClose", ticket=cancelled)
        await on.move("1.17100")
        asked = {"from_": "2026-09-11T00:00:00", "to": "2026-09-12T00:00:00"}
        told = (await client.get("/OrderHistory", **asked)).json()
        assert told["partialResponse"] is False
        assert [o["orderType"] for o in told["orders"]] == ["Balance", "Buy", "BuyLimit"]
        assert [(d["direction"], d["orderTicket"] == ticket) for d in told["internalDeals"]] == [
            ("In", True), ("Out", False),
        ]  # fmt: skip
        assert told["internalDeals"][1]["comment"] == "[tp 1.17000]"
        assert told["orders"][1]["closeComment"] == "[tp 1.17000]"
        assert {p["state"] for p in told["internalOrders"]} == {"Filled", "Cancelled"}
        early = {"from_": "2026-09-10T00:00:00", "to": "2026-09-11T00:00:00"}
        assert (await client.get("/OrderHistory", **early)).json()["internalDeals"] == []

    played(play)


# ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_quotes_come_for_symbols_that_were_subscribed_to() -> None:
    async def play(on: World, client: Plain) -> None:
        async with aiohttp.ClientSession() as http, http.ws_connect(f"{on.venue.url}/OnQuote?id={client.token}") as ws:
            await on.move("1.16100")
            assert (await client.get("/Subscribe", symbol="EURUSD")).status_code == 200
            await on.move("1.16200")
            frame = json.loads(await ws.receive_str())
            assert frame["type"] == "Quote"
            assert (frame["data"]["symbol"], frame["data"]["bid"]) == ("EURUSD", 1.16199)

    played(play)


def test_changes_of_the_account_come_with_all_its_figures() -> None:
    async def play(on: World, client: Plain) -> None:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{on.venue.url}/OnOrderUpdate?id={client.token}") as ws,
        ):
            await _send(client, "BuyLimit", price="1.15")
            first = json.loads(await ws.receive_str())
            assert first["type"] == "OrderUpdate"
            assert first["data"]["update"]["action"] == "PendingOpen"
            assert first["data"]["balance"] == int(FUNDS)
            await on.move("1.14900")
            second = json.loads(await ws.receive_str())
            assert second["data"]["update"]["action"] == "PositionOpen"
            assert len(second["data"]["openedOrders"]) == 1

    played(play)


def test_a_socket_wants_a_token_and_others_are_not_there() -> None:
    async def play(on: World, client: Plain) -> None:
        async with aiohttp.ClientSession() as http:
            for path, status in (("/OnQuote?id=nobody", 201), (f"/OnOhlc?id={client.token}", 404)):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    await http.ws_connect(on.venue.url + path)
                assert caught.value.status == status

    played(play)


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("fault", "status", "says"), [
    (Fault.RATE_LIMITED, 429, "Too many requests"), (Fault.BANNED, 403, "Too many requests"),
    (Fault.OVERLOADED, 201, "SERVER_BUSY"), (Fault.MAINTENANCE, 201, "CONNECTION"),
    (Fault.CLOCK, 201, "INVALID_EXPIRATION"), (Fault.FILTER, 201, "INVALID_VOLUME"), (Fault.BALANCE, 201, "NO_MONEY"),
    (Fault.CANCEL_REJECTED, 201, "FROZEN"), (Fault.UNKNOWN_ERROR, 201, "INTERNAL_ERROR"),
    (Fault.STATUS_UNKNOWN, 201, "TIMEOUT"), (Fault.GATEWAY, 502, "<html>"),
])  # fmt: skip
@pytest.mark.parametrize("executed", [False, True])
def test_every_fault_that_is_an_answer_has_its_words(fault: Fault, status: int, says: str, executed: bool) -> None:
    async def play(on: World, client: Plain) -> None:
        on.venue.direct.fault(fault, "submit", seconds=7.0, executed=executed)
        answer = await _send(client, "BuyLimit", price="1.15")
        assert answer.status_code == status
        assert says in answer.text
        assert ("Retry-After" in answer.headers) == (fault in (Fault.RATE_LIMITED, Fault.BANNED))
        if fault in (Fault.RATE_LIMITED, Fault.BANNED):
            assert answer.headers["Retry-After"] == "7"
        assert len(on.venue.exchange.open) == executed

    played(play)


def test_whoever_is_banned_is_turned_away_until_it_is_over() -> None:
    async def play(on: World, client: Plain) -> None:
        on.venue.direct.fault(Fault.BANNED, "quote", seconds=60.0)
        for _ in range(3):
            assert (await client.get("/GetQuote", symbol="EURUSD")).status_code == 403
        await on.venue.advance(61)
        assert (await client.get("/GetQuote", symbol="EURUSD")).status_code == 200

    played(play)


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.TRUNCATED, Fault.HANG, Fault.LOST])
def test_a_connection_that_breaks_leaves_what_was_taken(fault: Fault) -> None:
    async def play(on: World, client: Plain) -> None:
        on.venue.direct.fault(fault, "submit")
        client.http.timeout = httpx.Timeout(0.5)
        if fault is Fault.TRUNCATED:
            answer = await _send(client, "BuyLimit", price="1.15")
            with pytest.raises(json.JSONDecodeError):
                answer.json()
        else:
            with pytest.raises(httpx.TransportError):
                await _send(client, "BuyLimit", price="1.15")
        assert len(on.venue.exchange.open) == (fault is not Fault.LOST)

    played(play)


def test_closing_and_cancelling_are_told_apart_for_faults_though_they_have_one_address() -> None:
    async def play(on: World, client: Plain) -> None:
        held = (await _send(client, "Buy")).json()["ticket"]
        waits = (await _send(client, "BuyLimit", price="1.15")).json()["ticket"]
        on.venue.direct.fault(Fault.CANCEL_REJECTED, "cancel")
        assert (await client.get("/OrderClose", ticket=held)).json()["closeLots"] == 0.1
        assert _no(await client.get("/OrderClose", ticket=waits)) == "FROZEN"
        assert (await client.get("/OrderClose", ticket=waits)).json()["state"] == "Cancelled"

    played(play)


# ── MetaTrader 4 ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_metatrader_4_has_addresses_and_tickets_of_its_own() -> None:
    async def play(on: World, client: Plain) -> None:
        assert (await client.get("/GetQuote", symbol="EURUSD")).status_code == 404
        assert (await client.get("/Quote", symbol="EURUSD")).json()["ask"] == ASK
        told = (await _send(client, "Buy", comment="ours", magic=5)).json()
        assert (told["type"], told["state"], told["magicNumber"]) == ("Buy", "OPEN_NORMAL", 5)
        assert _no(await _send(client, "BuyStopLimit", price="1.17", stopLimitPrice="1.16")) == "INVALID_REQUEST"
        part = (await client.get("/OrderClose", ticket=told["ticket"], lots="0.04")).json()
        assert (part["ticket"], part["lots"], part["comment"]) == (told["ticket"], 0.04, "ours")
        (rest,) = (await client.get("/OpenedOrders")).json()
        assert (rest["lots"], rest["comment"]) == (0.06, f"from #{told['ticket']}")
        assert rest["openTime"] == told["openTime"]
        asked = {"symbol": "EURUSD", "timeframe": "M1", "from_": "2026-09-11T05:59:00", "count": 3}
        bars = (await client.get("/QuoteHistory", **asked)).json()
        assert [bar["time"][11:16] for bar in bars] == ["05:57", "05:58", "05:59"]

    played(play, dialect="mtapi-mt4")


def test_metatrader_4_adds_to_a_comment_what_closed_the_ticket() -> None:
    async def play(on: World, client: Plain) -> None:
        await _send(client, "Buy", comment="x" * 30, stoploss="1.15500")
        await on.move("1.15400")
        asked = {"from_": "2026-09-11T00:00:00", "to": "2026-09-12T00:00:00"}
        (over,) = (await client.get("/OrderHistory", **asked)).json()
        assert over["comment"] == "x" * 30 + "["  # cut at thirty-one, as MetaTrader cuts it

    played(play, dialect="mtapi-mt4")
