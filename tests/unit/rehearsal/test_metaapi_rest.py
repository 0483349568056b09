"""Trade and read by plain HTTP on the rehearsal venue that speaks as MetaApi."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.unit.rehearsal.metaapi_world import (
    ACCOUNT_TOKEN,
    START_NS,
    TOKEN,
    World,
    bars,
    plain,
    tape,
    world,
)
from tradelab.rehearsal.dialects.metaapi_times import iso
from tradelab.rehearsal.faults import Fault

Play = Callable[[World, httpx.AsyncClient], Awaitable[None]]
WHOLE = "1970-01-01T00:00:00.000Z/2100-01-01T00:00:00.000Z"
MIN_NS = 60 * 10**9


def on_venue(play: Play, **changed: Any) -> None:
    """Play against a fresh venue."""

    async def run() -> None:
        async with world(adapter=False, **changed) as on, plain(on) as http:
            await play(on, http)
            assert on.dialect.unknown_params == []

    asyncio.run(run())


async def trade(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await http.post("/trade", json=fields)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_market_order_becomes_a_position_a_done_order_and_a_deal_of_one_name() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        done = await trade(http, actionType="ORDER_TYPE_BUY", symbol="EURUSD", volume=0.5, clientId="tl1", comment="c")
        assert (done["numericCode"], done["stringCode"]) == (10009, "TRADE_RETCODE_DONE")
        (held,) = (await http.get("/positions")).json()
        assert (held["id"], held["volume"], held["openPrice"], held["commission"]) == (
            done["orderId"],
            0.5,
            1.16001,
            -3.5,
        )
        (order,) = (await http.get(f"/history-orders/ticket/{done['orderId']}")).json()
        (deal,) = (await http.get(f"/history-deals/time/{WHOLE}")).json()
        assert (order["state"], order["currentVolume"]) == ("ORDER_STATE_FILLED", 0)
        assert (deal["orderId"], deal["positionId"], deal["entryType"]) == (
            done["orderId"],
            held["id"],
            "DEAL_ENTRY_IN",
        )
        assert {held["clientId"], order["clientId"], deal["clientId"]} == {"tl1"}
        assert {held["comment"], order["comment"], deal["comment"]} == {"c"}
        assert (await http.get("/orders")).json() == []

    on_venue(play)


def test_the_same_client_id_twice_is_two_orders_as_metaapi_has_no_idempotency() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        for _ in range(2):
            await trade(http, actionType="ORDER_TYPE_BUY", symbol="EURUSD", volume=0.1, clientId="tl1")
        assert len((await http.get("/positions")).json()) == 2

    on_venue(play)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"actionType": "ORDER_TYPE_BUY_LIMIT", "openPrice": 1.15}, {"openPrice": 1.15}),
        ({"actionType": "ORDER_TYPE_SELL_LIMIT", "openPrice": 1.17}, {"openPrice": 1.17}),
        ({"actionType": "ORDER_TYPE_BUY_STOP", "openPrice": 1.17}, {"openPrice": 1.17}),
        ({"actionType": "ORDER_TYPE_SELL_STOP", "openPrice": 1.15}, {"openPrice": 1.15}),
        ({"actionType": "ORDER_TYPE_BUY_STOP_LIMIT", "openPrice": 1.17, "stopLimitPrice": 1.165},
         {"openPrice": 1.17, "stopLimitPrice": 1.165}),
        ({"actionType": "ORDER_TYPE_SELL_STOP_LIMIT", "openPrice": 1.15, "stopLimitPrice": 1.155},
         {"openPrice": 1.15, "stopLimitPrice": 1.155}),
    ],
)  # fmt: skip
def test_every_pending_order_rests_is_changed_and_cancelled(fields: dict[str, Any], shown: dict[str, float]) -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        placed = await trade(http, symbol="EURUSD", volume=0.1, clientId="tl1", **fields)
        (order,) = (await http.get("/orders")).json()
        assert order["state"] == "ORDER_STATE_PLACED"
        assert order["type"] == fields["actionType"]
        assert {k: order[k] for k in shown} == shown
        moved = {"openPrice": round(fields["openPrice"] * 1.0001, 4)}
        if "stopLimitPrice" in fields:
            moved["stopLimitPrice"] = fields["stopLimitPrice"]
        changed = await trade(http, actionType="ORDER_MODIFY", orderId=placed["orderId"], **moved)
        assert changed["numericCode"] == 10009
        assert (await http.get(f"/orders/{placed['orderId']}")).json()["openPrice"] == moved["openPrice"]
        again = await trade(http, actionType="ORDER_MODIFY", orderId=placed["orderId"], **moved)
        assert again["stringCode"] == "TRADE_RETCODE_NO_CHANGES"
        assert (await trade(http, actionType="ORDER_CANCEL", orderId=placed["orderId"]))["numericCode"] == 10009
        assert (await trade(http, actionType="ORDER_CANCEL", orderId=placed["orderId"]))["numericCode"] == 4754
        (done,) = (await http.get(f"/history-orders/time/{WHOLE}")).json()
        assert (done["state"], done["currentVolume"]) == ("ORDER_STATE_CANCELED", 0.1)

    on_venue(play)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"actionType": "ORDER_TYPE_BUY", "volume": 0.005}, 10014),
        ({"actionType": "ORDER_TYPE_BUY", "volume": 0.015}, 10014),
        ({"actionType": "ORDER_TYPE_BUY", "volume": 101}, 10014),
        ({"actionType": "ORDER_TYPE_BUY", "volume": 99}, 10019),
        ({"actionType": "ORDER_TYPE_BUY", "volume": 0.1, "stopLoss": 1.17}, 10016),
        ({"actionType": "ORDER_TYPE_SELL", "volume": 0.1, "takeProfit": 1.17}, 10016),
        ({"actionType": "ORDER_TYPE_BUY_LIMIT", "volume": 0.1, "openPrice": 1.150001}, 10015),
        ({"actionType": "ORDER_TYPE_BUY_LIMIT", "volume": 0.1, "openPrice": 1.17}, 10015),
        ({"actionType": "ORDER_TYPE_SELL_LIMIT", "volume": 0.1, "openPrice": 1.15}, 10015),
        ({"actionType": "ORDER_TYPE_BUY_STOP", "volume": 0.1, "openPrice": 1.15}, 10015),
        ({"actionType": "ORDER_TYPE_BUY_STOP_LIMIT", "volume": 0.1, "openPrice": 1.17, "stopLimitPrice": 1.18}, 10015),
        ({"actionType": "ORDER_TYPE_BUY_LIMIT", "volume": 0.1, "openPrice": 1.15,
          "expiration": {"type": "ORDER_TIME_SPECIFIED", "time": "2020-01-01T00:00:00.000Z"}}, 10022),
        ({"actionType": "POSITION_CLOSE_ID", "positionId": "404"}, 4753),
        ({"actionType": "POSITION_MODIFY", "positionId": "404", "stopLoss": 1}, 4753),
        ({"actionType": "ORDER_MODIFY", "orderId": "404", "openPrice": 1}, 4754),
        ({"actionType": "POSITION_CLOSE_BY", "positionId": "1", "closeByPositionId": "2"}, -4),
    ],
)  # fmt: skip
def test_what_metatrader_refuses_is_refused_by_its_code_with_status_200(fields: dict[str, Any], code: int) -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        told = await trade(http, symbol="EURUSD", **fields)
        assert told["numericCode"] == code
        assert (await http.get("/orders")).json() == (await http.get("/positions")).json() == []

    on_venue(play)


def test_a_position_is_protected_closed_in_part_and_whole_and_pays_its_profit() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        ticket = (await trade(http, actionType="ORDER_TYPE_BUY", symbol="EURUSD", volume=1))["positionId"]
        levels = {"stopLoss": 1.15, "takeProfit": 1.18}
        await trade(http, actionType="POSITION_MODIFY", positionId=ticket, **levels)
        held = (await http.get(f"/positions/{ticket}")).json()
        assert {k: held[k] for k in levels} == levels
        await trade(http, actionType="POSITION_MODIFY", positionId=ticket, stopLoss=1.15)
        assert "takeProfit" not in (await http.get(f"/positions/{ticket}")).json()
        on.move("1.17")
        assert (await trade(http, actionType="POSITION_PARTIAL", positionId=ticket, volume=1.5))["numericCode"] == 10038
        await trade(http, actionType="POSITION_PARTIAL", positionId=ticket, volume=0.25)
        assert (await http.get(f"/positions/{ticket}")).json()["volume"] == 0.75
        await trade(http, actionType="POSITION_CLOSE_ID", positionId=ticket)
        assert (await http.get("/positions")).json() == []
        deals = (await http.get(f"/history-deals/position/{ticket}")).json()
        # bought 1.0 at 1.16001, sold at the bid of 1.16999: 998 points of a dollar each; seven dollars of commission
        assert [d["profit"] for d in deals] == [0, 249.5, 748.5]
        assert (await http.get("/account-information")).json()["balance"] == 50_000 - 7 + 998

    on_venue(play)


def test_a_stop_loss_that_is_reached_closes_and_says_why() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        await trade(http, actionType="ORDER_TYPE_SELL", symbol="EURUSD", volume=1, stopLoss=1.17, clientId="tl1")
        on.move("1.175")
        deals = (await http.get(f"/history-deals/time/{WHOLE}")).json()
        assert [(d["entryType"], d["reason"]) for d in deals] == [
            ("DEAL_ENTRY_IN", "DEAL_REASON_EXPERT"),
            ("DEAL_ENTRY_OUT", "DEAL_REASON_SL"),
        ]
        assert deals[1]["price"] >= 1.17

    on_venue(play)


def test_an_order_that_expires_says_so() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        ends = {"type": "ORDER_TIME_SPECIFIED", "time": iso(START_NS + 3600 * 10**9)}
        await trade(http, actionType="ORDER_TYPE_BUY_LIMIT", symbol="EURUSD", volume=1, openPrice=1.1, expiration=ends)
        assert (await http.get("/orders")).json()[0]["expirationTime"] == ends["time"]
        await on.venue.advance(3700, step_s=600)
        (done,) = (await http.get(f"/history-orders/time/{WHOLE}")).json()
        assert done["state"] == "ORDER_STATE_EXPIRED"

    on_venue(play)


def test_history_runs_from_start_included_to_end_not_and_by_pages() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        for _ in range(5):
            await trade(http, actionType="ORDER_TYPE_BUY", symbol="EURUSD", volume=0.01)
            await on.venue.advance(60, step_s=60)
        times = [START_NS + k * MIN_NS for k in range(5)]
        rows = (await http.get(f"/history-deals/time/{iso(times[1])}/{iso(times[4])}")).json()
        assert [row["time"] for row in rows] == [iso(t) for t in times[1:4]]
        page = (await http.get(f"/history-deals/time/{WHOLE}", params={"offset": 3, "limit": 1})).json()
        assert [row["time"] for row in page] == [iso(times[3])]
        assert (await http.get(f"/history-deals/time/{WHOLE}", params={"limit": 1001})).status_code == 400

    on_venue(play)


def test_candles_run_backwards_from_a_time_included_also_across_a_weekend() -> None:
    frame = bars(gap_at=2490)  # two days without a bar, ten minutes before the start

    async def play(on: World, http: httpx.AsyncClient) -> None:
        url = "/historical-market-data/symbols/EURUSD/timeframes/1m/candles"
        there = (await http.get(url, params={"startTime": iso(START_NS - 2 * MIN_NS), "limit": 30})).json()
        assert len(there) == 30
        stamps = [row["time"] for row in there]
        assert stamps == sorted(stamps)
        assert stamps[-1] == iso(START_NS - 2 * MIN_NS)
        assert stamps[0] < iso(START_NS - 2 * 86_400 * 10**9)
        newest = (await http.get(url)).json()
        assert len(newest) == 1000
        assert newest[-1]["time"] == iso(START_NS)  # it has begun to form
        unknown = await http.get("/historical-market-data/symbols/EURUSD/timeframes/7m/candles")
        assert unknown.status_code == 400

    on_venue(play, market=tape(frame))


def test_ticks_run_forwards_from_a_time_and_the_newest_without_one() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        url = "/historical-market-data/symbols/EURUSD/ticks"
        since = iso(START_NS - 5 * MIN_NS)
        first = (await http.get(url, params={"startTime": since, "limit": 10})).json()
        more = (await http.get(url, params={"startTime": since, "offset": 10, "limit": 10})).json()
        assert first[0]["time"] == since
        assert first[-1]["time"] < more[0]["time"]
        assert all(row["ask"] > row["bid"] for row in first)
        newest = (await http.get(url, params={"limit": 3})).json()
        assert newest[-1]["time"] == iso(START_NS)

    on_venue(play)


def test_an_account_token_reaches_its_account_and_no_other_address() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        head = {"auth-token": ACCOUNT_TOKEN}
        assert (await http.get("/positions", headers=head)).status_code == 200
        itself = str(http.base_url).rstrip("/")
        assert (await http.get(itself, headers=head)).status_code == 403
        assert (await http.get(itself, headers={"auth-token": TOKEN})).status_code == 200

    on_venue(play)


def test_credits_are_those_of_the_documentation_and_come_back_with_time() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        rows = (await http.get("/credits")).json()["perAccount"]
        assert [(r["period"], r["total"]) for r in rows] == [
            ("1s", 2000),
            ("1m", 18000),
            ("1h", 180000),
            ("6h", 432000),
        ]
        statuses = [(await http.get("/positions")).status_code for _ in range(42)]
        assert statuses.index(429) == 39  # fifty credits each, the first spent on asking for them
        assert (await http.get("/historical-market-data/symbols/EURUSD/ticks")).status_code == 200  # counted apart
        await on.venue.advance(1)
        assert (await http.get("/positions")).status_code == 200

    on_venue(play, weight_per_min=None)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.RATE_LIMITED, 429, None),
        (Fault.BANNED, 429, None),
        (Fault.CLOCK, 401, None),
        (Fault.OVERLOADED, 200, 10024),
        (Fault.MAINTENANCE, 200, -5),
        (Fault.FILTER, 200, 10014),
        (Fault.BALANCE, 200, 10019),
        (Fault.CANCEL_REJECTED, 200, 10029),
        (Fault.STATUS_UNKNOWN, 200, 10012),
        (Fault.UNKNOWN_ERROR, 500, None),
        (Fault.GATEWAY, 502, None),
    ],
)
def test_every_scripted_answer_is_in_metaapis_words(fault: Fault, status: int, code: int | None) -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        on.venue.direct.fault(fault, "submit", seconds=7)
        answer = await http.post("/trade", json={"actionType": "ORDER_TYPE_BUY", "symbol": "EURUSD", "volume": 0.1})
        assert answer.status_code == status
        if code is not None:
            assert answer.json()["numericCode"] == code
        if status == 429:
            assert answer.headers["Retry-After"] == "7"
            assert answer.json()["metadata"]["recommendedRetryTime"] == iso(START_NS + 7 * 10**9)
        await on.venue.advance(8)  # a ban holds for all that is asked
        assert (await http.get("/positions")).json() == []

    on_venue(play)


def test_a_field_nobody_documents_is_noted() -> None:
    async def run() -> None:
        async with world(adapter=False) as on, plain(on) as http:
            await trade(http, actionType="ORDER_TYPE_BUY", symbol="EURUSD", volume=0.1, takeprofit=1.2)
            assert on.dialect.unknown_params == ["takeprofit"]

    asyncio.run(run())


def test_client_id_and_comment_share_26_characters() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        fields = {"actionType": "ORDER_TYPE_BUY", "symbol": "EURUSD", "volume": 0.1, "clientId": "x" * 24}
        assert (await http.post("/trade", json=fields | {"comment": "ab"})).status_code == 200
        refused = await http.post("/trade", json=fields | {"comment": "abc"})
        assert refused.json()["details"][0]["parameter"] == "clientId"

    on_venue(play)


def test_a_market_that_is_delisted_is_closed() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        on.venue.direct.delist("EURUSD")
        told = await trade(http, actionType="ORDER_TYPE_BUY", symbol="EURUSD", volume=0.1)
        assert told["numericCode"] == 10018
        mode = (await http.get("/symbols/EURUSD/specification")).json()["tradeMode"]
        assert mode == "SYMBOL_TRADE_MODE_DISABLED"

    on_venue(play)


def test_every_position_of_a_symbol_can_be_closed_at_once() -> None:
    async def play(on: World, http: httpx.AsyncClient) -> None:
        for side in ("BUY", "SELL", "BUY"):
            await trade(http, actionType=f"ORDER_TYPE_{side}", symbol="EURUSD", volume=0.1)
        await trade(http, actionType="POSITIONS_CLOSE_SYMBOL", symbol="EURUSD")
        assert (await http.get("/positions")).json() == []
        assert on.venue.exchange.ledgers[on.venue.account.key].used_margin(on.venue.exchange) == Decimal(0)  # type: ignore[union-attr]

    on_venue(play)
