"""Connect to an account at MetaApi, read it, trade on it, and find again what was traded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from tests.unit.rehearsal.metaapi_world import (
    ACCOUNT,
    BARS_BEFORE,
    EURUSD,
    FUNDS,
    START_NS,
    TOKEN,
    World,
    bars,
    tape,
    world,
)
from tradelab.adapters.metaapi_settings import MetaApiSettings
from tradelab.adapters.metaapi_spec import SPEC
from tradelab.adapters.metaapi_venue import MetaApiVenue
from tradelab.model.approval import OrderApproved, approve
from tradelab.model.clock import ManualClock
from tradelab.model.credentials import check_credentials
from tradelab.model.errors import ConnectivityError, RequestError, TradelabError, UnknownNameError
from tradelab.model.market import Candle
from tradelab.model.orders import OrderRef, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import Accepted, RefusalCode, Refused
from tradelab.model.units import Timeframe
from tradelab.rehearsal.faults import Fault

D = Decimal


def play(run: Callable[[World], Awaitable[None]], **changed: Any) -> None:
    async def whole() -> None:
        async with world(**changed) as on:
            await run(on)
            assert on.dialect.unknown_params == []

    asyncio.run(whole())


# ── connecting ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_instrument_is_learnt_from_the_brokers_specification() -> None:
    async def run(on: World) -> None:
        (learnt,) = await on.adapter.instruments()
        for name in ("symbol", "base", "quote", "settle", "kind", "tick_size", "qty_step", "contract_size", "min_qty",
                     "max_qty"):  # fmt: skip
            assert getattr(learnt, name) == getattr(EURUSD, name), name

    play(run)


def test_money_is_told_in_the_accounts_currency() -> None:
    async def run(on: World) -> None:
        account = await on.adapter.account_info()
        (balance,) = await on.adapter.balances()
        assert (account.currency, balance.currency, balance.total) == ("USD", "USD", FUNDS)
        assert account.may_trade

    play(run)


def test_the_venues_clock_is_measured_and_told() -> None:
    async def run(on: World) -> None:
        on.venue.direct.skew(7)
        again = on.made()
        tested = await again.test_connection()
        assert tested.passed, tested
        assert tested.clock_offset_ms == pytest.approx(7000, abs=500)
        assert (tested.latency_ms or 0) > 0
        assert (await again.account_info()).ts_ns == pytest.approx(on.clock.now_ns() + 7 * 10**9, abs=5e8)
        await again.disconnect()

    play(run)


def test_a_connection_that_fails_is_reported_and_nothing_is_raised() -> None:
    async def run(on: World) -> None:
        wrong = on.made({"api_token": "canary.wrong.token", "account_id": ACCOUNT})
        tested = await wrong.test_connection()
        assert (tested.passed, "canary" in tested.says) == (False, False)
        assert "api_token" in tested.says or "401" in tested.says
        await on.venue.kill()
        tested = await on.made().test_connection()
        assert not tested.passed
        assert not on.made().is_connected

    play(run, adapter=False)


def test_a_symbol_the_broker_does_not_list_is_said_with_those_it_does() -> None:
    async def run(on: World) -> None:
        with pytest.raises(UnknownNameError, match="EURUSD"):
            await on.made(symbols=("EURUSX",)).connect()
        with pytest.raises(UnknownNameError, match="EURUSD"):
            await on.adapter.quote("EURUSX")

    play(run)


def test_nothing_works_before_connect_and_after_disconnect() -> None:
    async def run(on: World) -> None:
        fresh = on.made()
        assert "not connected" in repr(fresh)
        with pytest.raises(RequestError, match="connect"):
            await fresh.positions()
        await fresh.disconnect()
        await fresh.connect()
        await fresh.connect()
        assert await fresh.positions() == []
        await fresh.disconnect()
        with pytest.raises(RequestError, match="connect"):
            await fresh.positions()

    play(run)


def test_with_streams_off_none_is_declared_and_watching_says_what_to_do() -> None:
    async def run(on: World) -> None:
        assert on.adapter.capabilities.streams == on.adapter.data_capabilities.streams == frozenset()
        for watch in (on.adapter.watch_orders(), on.adapter.watch_fills(), on.adapter.watch_balances(),
                      on.adapter.watch_quotes("EURUSD"), on.adapter.watch_candles("EURUSD", Timeframe.M1)):  # fmt: skip
            with pytest.raises(RequestError, match="streams"):
                await anext(watch)

    play(run, settings={"streams": False})


# ── accounts of other kinds, in MetaApi's documented words ─────────────────────────────────────────────────────────

# https://metaapi.cloud/docs/client/restApi/api/readTradingTerminalState/readAccountInformation/
INFORMATION = {
    "broker": "True ECN Trading Ltd", "currency": "USD", "server": "ICMarketsSC-Demo", "balance": 7319.9,
    "equity": 7306.649913200001, "margin": 184.1, "freeMargin": 7120.22, "leverage": 100, "tradeAllowed": True,
    "name": "Will Turner", "login": 367906877, "credit": 0, "platform": "mt5",
    "marginMode": "ACCOUNT_MARGIN_MODE_RETAIL_HEDGING",
}  # fmt: skip
SPECIFICATION = {
    "symbol": "EURUSD", "tickSize": 0.00001, "minVolume": 0.01, "maxVolume": 100, "volumeStep": 0.01, "digits": 5,
    "contractSize": 100000, "stopsLevel": 0, "baseCurrency": "EUR", "profitCurrency": "USD",
    "priceCalculationMode": "SYMBOL_CALC_MODE_FOREX", "tradeMode": "SYMBOL_TRADE_MODE_FULL",
}  # fmt: skip


async def connected(information: dict[str, Any], *, provisioning: int = 200, **credentials: str) -> MetaApiVenue:
    """Connect to a server that says just what it was told, and close the server."""
    one = "/users/current/accounts/a1"
    kept = {"_id": "a1", "name": "n", "state": "DEPLOYED", "connectionStatus": "CONNECTED", "region": "vint-hill"}
    answers: dict[str, Any] = {
        "/users/current/servers/mt-client-api": {"domain": "agiliumtrade.ai", "hostname": "mt-client-api-v1"},
        f"{one}/account-information": information,
        f"{one}/server-time": {"time": "2026-09-11T04:00:00.000Z", "brokerTime": "2026-09-11 07:00:00.000"},
        f"{one}/symbols": ["EURUSD"],
        f"{one}/symbols/EURUSD/specification": SPECIFICATION,
    }

    async def answer(request: web.Request) -> web.Response:
        if request.path == one:
            return web.json_response(kept if provisioning == 200 else {"message": "no"}, status=provisioning)
        return web.json_response(answers[request.path])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = MetaApiSettings(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    login = {"api_token": TOKEN, "account_id": "a1", **credentials}
    venue = MetaApiVenue(
        settings, check_credentials(SPEC.credentials, login, provider="metaapi"), ManualClock(START_NS)
    )
    try:
        await venue.connect()
    finally:
        await venue.disconnect()
        await runner.cleanup()
    return venue


@pytest.mark.parametrize("mode", ["ACCOUNT_MARGIN_MODE_RETAIL_NETTING", "ACCOUNT_MARGIN_MODE_EXCHANGE"])
def test_an_account_that_nets_is_refused_as_this_adapter_would_get_its_positions_wrong(mode: str) -> None:
    with pytest.raises(RequestError, match=f"{mode}.*hedging"):
        asyncio.run(connected(INFORMATION | {"marginMode": mode}))


def test_metatrader_4_offers_less() -> None:
    four = {k: v for k, v in INFORMATION.items() if k != "marginMode"} | {"platform": "mt4"}
    venue, five = asyncio.run(connected(four)), asyncio.run(connected(INFORMATION))
    assert five.capabilities.order_types - venue.capabilities.order_types == {OrderType.STOP_LIMIT}
    assert (venue.data_capabilities.ticks, five.data_capabilities.ticks) == (False, True)
    # https://metaapi.cloud/docs/client/restApi/api/retrieveHistoricalMarketData/readHistoricalCandles/
    assert [t.code for t in venue.data_capabilities.timeframes] == [
        "M1", "M5", "M15", "M30", "H1", "H4", "D1", "W1", "MN",
    ]  # fmt: skip


def test_a_token_that_may_not_ask_for_the_account_needs_the_region_told() -> None:
    venue = asyncio.run(connected(INFORMATION, provisioning=403, region="vint-hill"))
    assert not venue.is_connected
    with pytest.raises(TradelabError, match="403"):
        asyncio.run(connected(INFORMATION, provisioning=403))


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("limit", [None, 7, 250])
def test_pages_joined_are_the_tape_though_a_weekend_lies_in_it(limit: int | None) -> None:
    frame = bars(gap_at=1800)
    market = tape(frame)

    async def run(on: World) -> None:
        first_ns = START_NS - (BARS_BEFORE + 2 * 1440) * Timeframe.M1.ns
        got: list[Candle] = []
        since, last_ns = first_ns, START_NS - (1 if limit != 7 else 2300) * Timeframe.M1.ns
        while page := await on.adapter.fetch_ohlcv("EURUSD", Timeframe.M1, since_ns=since, limit=limit):
            got.extend(page)
            since = page[-1].open_ns + Timeframe.M1.ns
            if since > last_ns:
                break
        opens = [c.open_ns for c in got]
        assert opens == sorted(set(opens))
        # the tape's own times, moved so that its first bar after the start opens at START_NS
        shift = START_NS - frame.index[BARS_BEFORE].value
        wanted = [t for t in frame.index.asi8 * (1 if frame.index.unit == "ns" else 1000) + shift if t < since]
        assert opens == wanted
        closed = [c.close for c in got if c.closed]
        assert len(closed) >= min(len(got), BARS_BEFORE)
        assert closed == [round(c, 5) for c in frame["close"][: len(closed)]]

    play(run, market=market, adapter=True)


def test_a_bar_is_closed_when_its_time_is_over_and_the_newest_is_not() -> None:
    async def run(on: World) -> None:
        await on.venue.advance(30, step_s=10)
        newest = await on.adapter.fetch_ohlcv("EURUSD", Timeframe.M1, limit=3)
        assert [c.closed for c in newest] == [True, True, False]
        on.adapter._is_mt4 = True
        with pytest.raises(RequestError, match=r"no bars of M3.*M5"):
            await on.adapter.fetch_ohlcv("EURUSD", Timeframe.M3)

    play(run)


def test_quotes_and_ticks_lie_around_the_price() -> None:
    async def run(on: World) -> None:
        quote = await on.adapter.quote("EURUSD")
        assert quote.bid < quote.ask
        assert D("1.159") < quote.bid < D("1.161")
        ticks = await on.adapter.fetch_ticks("EURUSD", limit=5)
        assert len(ticks) <= 5
        assert [t.ts_ns for t in ticks] == sorted(t.ts_ns for t in ticks)

    play(run)


# ── trading ──────────────────────────────────────────────────────────────────────────────────────────────────────


def ref(name: str) -> OrderRef:
    return OrderRef(symbol="EURUSD", client_order_id=name)


def test_an_order_is_found_by_our_name_wherever_it_is_by_now() -> None:
    async def run(on: World) -> None:
        waits = await on.submit(Side.BUY, "0.1", OrderType.LIMIT, price=D("1.15"), client_order_id="waits")
        fills = await on.submit(Side.BUY, "0.2", client_order_id="fills")
        gone = await on.submit(Side.BUY, "0.3", OrderType.LIMIT, price=D("1.15"), client_order_id="gone")
        assert all(isinstance(o, Accepted) for o in (waits, fills, gone))
        await on.adapter.cancel(ref("gone"))
        found = {name: await on.adapter.order(ref(name)) for name in ("waits", "fills", "gone")}
        assert [o.status for o in found.values()] == [OrderStatus.NEW, OrderStatus.FILLED, OrderStatus.CANCELLED]
        assert [o.qty for o in found.values()] == [D("0.1"), D("0.2"), D("0.3")]
        assert found["fills"].avg_price == D("1.16001")
        for order in found.values():
            again = await on.adapter.order(OrderRef(symbol="EURUSD", venue_order_id=order.venue_order_id))
            assert again == order
        assert await on.adapter.order(ref("never")) is None

    play(run)


@pytest.mark.parametrize(
    ("hidden", "is_closed"),
    [(("history-orders",), False), (("history-orders",), True), (("history-orders", "history-deals"), False)],
)
def test_an_order_is_found_by_its_deal_or_position_where_the_history_does_not_tell_it_yet(
    hidden: tuple[str, ...], is_closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(on: World) -> None:
        sent = await on.submit(Side.SELL, "0.2", client_order_id="tl1")
        if is_closed:
            (held,) = await on.adapter.positions()
            await on.submit(Side.BUY, "0.2", position_id=held.position_id)
        terminal = on.adapter._terminal
        paged = terminal._paged

        async def late(what: str, since_ns: int, until_ns: int) -> list[Any]:
            return [] if what in hidden else await paged(what, since_ns, until_ns)

        monkeypatch.setattr(type(terminal), "_paged", lambda self, *asked: late(*asked))
        found = await on.adapter.order(ref("tl1"))
        assert found is not None
        assert isinstance(sent, Accepted)
        assert (found.venue_order_id, found.status, found.side) == (sent.venue_order_id, OrderStatus.FILLED, Side.SELL)
        assert (found.qty, found.filled_qty, found.avg_price) == (D("0.2"), D("0.2"), D("1.15999"))

    play(run)


def test_a_position_is_closed_in_parts_by_its_id_and_only_by_the_other_side() -> None:
    async def run(on: World) -> None:
        await on.submit(Side.BUY, "0.3")
        (held,) = await on.adapter.positions()
        wrong = await on.submit(Side.BUY, "0.1", position_id=held.position_id)
        assert isinstance(wrong, Refused)
        assert wrong.code is RefusalCode.BAD_REQUEST
        for qty, left in (("0.1", ["0.2"]), ("0.2", [])):
            told = await on.submit(Side.SELL, qty, position_id=held.position_id, reduce_only=True)
            assert isinstance(told, Accepted), told
            assert [p.qty for p in await on.adapter.positions()] == [D(q) for q in left]
        again = await on.submit(Side.SELL, "0.1", position_id=held.position_id)
        assert isinstance(again, Refused)
        assert again.code is RefusalCode.POSITION_NOT_FOUND
        made = await on.adapter.fills(0)
        assert len({f.client_order_id for f in made}) == len(made) == 3
        assert await on.adapter.fills(made[-1].ts_ns) == made  # all at one moment: the clock stood still
        assert await on.adapter.fills(made[-1].ts_ns + 1) == []  # though MetaApi is asked by the millisecond

    play(run)


def test_one_order_sent_by_three_tasks_at_once_is_one_order() -> None:
    async def run(on: World) -> None:
        wish = on.approved(on.intent(Side.BUY, "0.1"))
        told = await asyncio.gather(*(on.adapter.submit(wish) for _ in range(3)))
        assert {t.venue_order_id for t in told} == {told[0].venue_order_id}
        (held,) = await on.adapter.positions()
        assert held.qty == D("0.1")

    play(run)


def test_the_name_of_another_order_is_refused_and_nothing_is_sent() -> None:
    async def run(on: World) -> None:
        assert isinstance(await on.submit(Side.BUY, "0.1", client_order_id="tl-one-name"), Accepted)
        told = await on.submit(Side.SELL, "0.1", client_order_id="tl-one-name")
        assert isinstance(told, Refused)
        assert told.code is RefusalCode.BAD_REQUEST
        assert "a buy of EURUSD" in told.says
        assert len(await on.adapter.positions()) == 1

    play(run)


def test_a_position_in_one_symbol_is_not_closed_by_an_order_in_another() -> None:
    async def run(on: World) -> None:
        await on.submit(Side.BUY, "0.1")
        (held,) = await on.adapter.positions()
        on.adapter._specifications["GBPUSD"] = on.adapter._specifications["EURUSD"]  # as of an account that lists both
        wish = on.intent(Side.SELL, "0.1", position_id=held.position_id, reduce_only=True)
        other = approve(
            replace(wish, symbol="GBPUSD"), replace(EURUSD, symbol="GBPUSD"), reference_price=D("1.3"), by=("person",),
            at_ns=0,
        )  # fmt: skip
        assert isinstance(other, OrderApproved)
        told = await on.adapter.submit(other)
        assert isinstance(told, Refused)
        assert told.code is RefusalCode.POSITION_NOT_FOUND
        assert [p.qty for p in await on.adapter.positions()] == [D("0.1")]

    play(run)


def test_prices_of_an_order_are_changed_and_its_volume_is_not() -> None:
    async def run(on: World) -> None:
        await on.submit(Side.BUY, "0.1", OrderType.LIMIT, price=D("1.15"), stop_loss=D("1.14"), client_order_id="tl1")
        told = await on.adapter.modify(ref("tl1"), price=D("1.151"))
        assert isinstance(told, Accepted), told
        (one,) = await on.adapter.open_orders()
        assert (one.price, one.stop_loss) == (D("1.151"), D("1.14"))
        for asked, code in (
            ({"qty": D("0.2")}, RefusalCode.NOT_SUPPORTED),
            ({}, RefusalCode.BAD_REQUEST),
            ({"stop_price": D("1.2")}, RefusalCode.BAD_REQUEST),
        ):
            no = await on.adapter.modify(ref("tl1"), **asked)
            assert isinstance(no, Refused)
            assert no.code is code
        await on.adapter.cancel(ref("tl1"))
        late = await on.adapter.modify(ref("tl1"), price=D("1.152"))
        assert isinstance(late, Refused)
        assert late.code is RefusalCode.ORDER_CLOSED
        never = await on.adapter.cancel(ref("never"))
        assert isinstance(never, Refused)
        assert never.code is RefusalCode.ORDER_NOT_FOUND

    play(run)


def test_protection_is_set_and_taken_away_by_the_positions_id() -> None:
    async def run(on: World) -> None:
        await on.submit(Side.BUY, "0.1")
        (held,) = await on.adapter.positions()
        nameless = await on.adapter.modify_protection("EURUSD", stop_loss=D("1.15"), take_profit=None)
        assert isinstance(nameless, Refused)
        for stop, take in ((D("1.15"), D("1.17")), (D("1.155"), None), (None, None)):
            told = await on.adapter.modify_protection(
                "EURUSD", position_id=held.position_id, stop_loss=stop, take_profit=take
            )
            assert isinstance(told, Accepted), told
            (held,) = await on.adapter.positions()
            assert (held.stop_loss, held.take_profit) == (stop, take)

    play(run)


def test_an_order_ends_when_it_was_told_to() -> None:
    async def run(on: World) -> None:
        told = await on.submit(
            Side.BUY, "0.1", OrderType.LIMIT, price=D("1.15"), time_in_force=TimeInForce.GTD,
            expire_ns=START_NS + 120 * 10**9, client_order_id="tl1",
        )  # fmt: skip
        assert isinstance(told, Accepted), told
        await on.venue.advance(180, step_s=30)
        found = await on.adapter.order(ref("tl1"))
        assert found.status is OrderStatus.EXPIRED

    play(run)


def test_an_instrument_nobody_has_learnt_is_refused_by_name() -> None:
    async def run(on: World) -> None:
        passed = on.approved(on.intent(Side.BUY, "0.1"))
        on.adapter._specifications.clear()
        told = await on.adapter.submit(passed)
        assert isinstance(told, Refused)
        assert told.code is RefusalCode.UNKNOWN_SYMBOL

    play(run)


def test_a_venue_that_dies_and_comes_back_has_what_it_took() -> None:
    async def run(on: World) -> None:
        await on.submit(Side.BUY, "0.1", client_order_id="tl1")
        await on.venue.kill()
        with pytest.raises(ConnectivityError):
            await on.adapter.positions()
        told = await on.submit(Side.BUY, "0.1", client_order_id="tl2")
        assert isinstance(told, Refused)
        assert told.code is RefusalCode.NOT_SENT
        await on.venue.restart()
        assert (await on.adapter.order(ref("tl1"))).status is OrderStatus.FILLED
        assert await on.adapter.order(ref("tl2")) is None
        assert isinstance(await on.submit(Side.BUY, "0.1", client_order_id="tl2"), Accepted)

    play(run)


def test_half_an_account_is_an_error_and_no_money() -> None:
    async def run(on: World) -> None:
        on.venue.direct.fault(Fault.TRUNCATED, "account")
        with pytest.raises(ConnectivityError):
            await on.adapter.balances()

    play(run)
