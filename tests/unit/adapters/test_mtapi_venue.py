"""Hold the mtapi.io adapter to the facts of MetaTrader: sessions that die, tickets, comments, levels sent together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.rehearsal.mtapi_world import FUNDS, World, world
from tradelab.adapters import registry
from tradelab.adapters.mtapi_reading import is_name_of, name_in
from tradelab.adapters.mtapi_spec import SPEC
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.identity import client_order_id
from tradelab.model.orders import OrderRef, OrderStatus, OrderType, Side, TimeInForce
from tradelab.model.outcome import Accepted, RefusalCode, Refused, Unknown
from tradelab.model.ports import DataProvider, ExecutionVenue
from tradelab.rehearsal.faults import Fault

D = Decimal


def played(play: Callable[[World], Awaitable[None]], **kind: Any) -> None:
    async def run() -> None:
        async with world(**kind) as on:
            await play(on)

    asyncio.run(run())


def test_it_is_what_both_ports_ask_for() -> None:
    async def play(on: World) -> None:
        venue: ExecutionVenue = on.adapter
        provider: DataProvider = on.adapter
        assert venue.name == provider.name == "mtapi"
        assert "EURUSD" in await provider.symbols()

    played(play)


def test_it_is_found_by_its_name_in_the_registry() -> None:
    assert registry.spec("mtapi") is SPEC


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_read_logs_in_again_when_the_bridge_has_forgotten_us() -> None:
    async def play(on: World) -> None:
        on.dialect.forget()
        assert (await on.adapter.account_info()).equity == FUNDS
        kinds = [asked.kind for asked in on.venue.server.log]
        assert kinds[-4:] == ["account", "login", "account", "time"]

    played(play)


def test_many_reads_at_once_log_in_once() -> None:
    async def play(on: World) -> None:
        on.dialect.forget()
        before = sum(asked.kind == "login" for asked in on.venue.server.log)
        await asyncio.gather(*(on.adapter.quote("EURUSD") for _ in range(10)))
        assert sum(asked.kind == "login" for asked in on.venue.server.log) == before + 1

    played(play)


def test_a_session_that_nobody_used_for_five_minutes_is_renewed() -> None:
    async def play(on: World) -> None:
        await on.venue.advance(400, step_s=100)
        assert await on.adapter.open_orders() == []

    played(play)


def test_an_order_that_finds_the_session_gone_is_sent_once_after_a_new_login() -> None:
    async def play(on: World) -> None:
        real = on.adapter._session.tell

        async def tell(call: Any, **ours: Any) -> Any:
            on.dialect.forget()  # between the look and the order
            on.adapter._session.tell = real
            return await real(call, **ours)

        on.adapter._session.tell = tell
        outcome = await on.submit(Side.BUY, "0.10")
        assert isinstance(outcome, Accepted)
        assert len(await on.adapter.positions()) == 1

    played(play)


def test_an_order_answered_by_a_dying_session_is_not_sent_again_if_it_is_there() -> None:
    async def play(on: World) -> None:
        real = on.adapter._session.tell

        async def tell(call: Any, **ours: Any) -> Any:
            await real(call, **ours)  # it was done, and the answer is that of a session that is gone
            on.dialect.forget()
            on.adapter._session.tell = real
            return await real(call, **ours)

        on.adapter._session.tell = tell
        outcome = await on.submit(Side.BUY, "0.10")
        assert isinstance(outcome, Accepted)
        assert len(await on.adapter.positions()) == 1

    played(play)


def test_an_order_is_unknown_when_the_session_is_gone_and_cannot_be_renewed() -> None:
    async def play(on: World) -> None:
        real = on.adapter._session.tell

        async def tell(call: Any, **ours: Any) -> Any:
            on.dialect.forget()
            on.venue.direct.fault(Fault.GATEWAY, "login")
            return await real(call, **ours)

        on.adapter._session.tell = tell
        assert isinstance(await on.submit(Side.BUY, "0.10"), Unknown)

    played(play)


def test_an_order_that_cannot_be_looked_for_is_not_sent() -> None:
    async def play(on: World) -> None:
        on.venue.direct.fault(Fault.GATEWAY, "open_orders")
        outcome = await on.submit(Side.BUY, "0.10")
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.NOT_SENT
        assert not any(asked.kind == "submit" for asked in on.venue.server.log)

    played(play)


def test_nothing_is_sent_before_connecting() -> None:
    async def play(on: World) -> None:
        idle = on.made()
        outcome = await idle.submit(on.approved(on.intent(Side.BUY, "0.10")))
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.NOT_SENT
        with pytest.raises(ConnectivityError, match="not connected"):
            await idle.quote("EURUSD")

    played(play)


def test_a_wrong_password_is_refused_and_leaves_it_unconnected() -> None:
    async def play(on: World) -> None:
        from tests.unit.rehearsal.mtapi_world import USER
        from tradelab.adapters.mtapi_settings import CREDENTIALS
        from tradelab.adapters.mtapi_venue import MtapiVenue
        from tradelab.model.credentials import check_credentials

        login = {"user": USER, "password": "not-the-password", "host": "203.0.113.9"}
        wrong = MtapiVenue(on.adapter.settings, check_credentials(CREDENTIALS, login, provider="mtapi"), on.clock)
        with pytest.raises(RequestError, match="INVALID_ACCOUNT"):
            await wrong.connect()
        assert not wrong.is_connected
        told = await wrong.test_connection()
        assert not told.passed
        assert "INVALID_ACCOUNT" in told.says

    played(play)


def test_a_netting_account_is_refused_in_words() -> None:
    async def play(on: World) -> None:
        real = on.dialect._shapes.account
        on.dialect._shapes.account = lambda account: real(account) | {"method": "Netting"}
        with pytest.raises(RequestError, match="netting account"):
            await on.made().connect()

    played(play)


def test_leaving_does_not_end_the_session_that_others_share_unless_it_is_asked_for() -> None:
    async def play(on: World) -> None:
        one, other = on.made(), on.made(log_out=True)
        await one.connect()
        await one.disconnect()
        assert not any(asked.path == "/Disconnect" for asked in on.venue.server.log)
        await other.connect()
        await other.disconnect()
        assert any(asked.path == "/Disconnect" for asked in on.venue.server.log)
        assert (await on.adapter.account_info()).equity == FUNDS  # and who shared it comes back

    played(play)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────

OURS = client_order_id("live", "sma", "EURUSD 2026-09-11T04:00Z", "entry")


@pytest.mark.parametrize(("comment", "name"), [
    (OURS, OURS), (f"{OURS}[sl]", OURS), (f"{OURS}[tp]", OURS), (f"{OURS} [sl 1.08500]", OURS), ("[sl 1.08500]", None),
    ("[tp 1.2]", None), ("from #12345", None), (f"{OURS}[expiration]", OURS), ("so: 42.1%/100/200", None), ("", None),
    ("my own order", "my own order"),
])  # fmt: skip
def test_our_name_is_found_in_what_brokers_make_of_a_comment(comment: str, name: str | None) -> None:
    assert name_in(comment) == name


def test_a_comment_that_was_cut_is_ours_if_enough_is_left() -> None:
    assert len(OURS) == 24
    assert is_name_of(OURS[:16], OURS)
    assert is_name_of(f"{OURS[:20]}[sl]", OURS)
    assert not is_name_of(OURS[:15], OURS)
    assert not is_name_of("", OURS)
    assert not is_name_of(OURS[:15] + "x", OURS)


def test_an_order_whose_comment_the_broker_cut_is_found_by_its_whole_name() -> None:
    async def play(on: World) -> None:
        order = on.approved(on.intent(Side.BUY, "0.10", OrderType.LIMIT, price=D("1.15"), client_order_id=OURS))
        first = await on.adapter.submit(order)
        (one,) = on.venue.exchange.open.values()
        one.extra["comment"] = OURS[:20]
        later = on.made()  # one that does not remember having sent it
        await later.connect()
        found = await later.order(OrderRef(symbol="EURUSD", client_order_id=OURS))
        assert found is not None
        assert (found.venue_order_id, found.client_order_id) == (first.venue_order_id, OURS[:20])
        again = await later.submit(order)
        assert isinstance(again, Accepted)
        assert again.venue_order_id == first.venue_order_id
        assert isinstance(await later.cancel(OrderRef(symbol="EURUSD", client_order_id=OURS)), Accepted)
        await later.disconnect()

    played(play)


def test_two_cut_comments_that_fit_one_name_are_no_proof() -> None:
    async def play(on: World) -> None:
        for _ in range(2):
            await on.submit(Side.BUY, "0.10", OrderType.LIMIT, price=D("1.15"))
        for one, cut in zip(on.venue.exchange.open.values(), (16, 18), strict=True):
            one.extra["comment"] = OURS[:cut]
        later = on.made()
        await later.connect()
        assert await later.order(OrderRef(symbol="EURUSD", client_order_id=OURS)) is None
        await later.disconnect()

    played(play)


def test_a_name_longer_than_a_comment_is_refused_before_anything_is_sent() -> None:
    async def play(on: World) -> None:
        sent = len(on.venue.server.log)
        outcome = await on.submit(Side.BUY, "0.10", client_order_id="x" * 32)
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.BAD_REQUEST
        assert len(on.venue.server.log) == sent

    played(play)


def test_an_order_of_long_ago_is_still_found() -> None:
    async def play(on: World) -> None:
        ref = (await on.submit(Side.BUY, "0.10", OrderType.LIMIT, price=D("1.15"))).order.ref
        await on.adapter.cancel(ref)
        await on.venue.advance(3 * 86_400, step_s=86_400)
        found = await on.adapter.order(ref)
        assert found is not None
        assert found.status is OrderStatus.CANCELLED

    played(play)


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kind", "prices", "operation"), [
    (OrderType.MARKET, {}, "Sell"),
    (OrderType.LIMIT, {"price": D("1.17")}, "SellLimit"),
    (OrderType.STOP, {"stop_price": D("1.15")}, "SellStop"),
    (OrderType.STOP_LIMIT, {"stop_price": D("1.15"), "price": D("1.155")}, "SellStopLimit"),
])  # fmt: skip
def test_an_order_is_sent_as_metatrader_calls_it(kind: OrderType, prices: dict[str, Decimal], operation: str) -> None:
    async def play(on: World) -> None:
        intent = on.intent(Side.SELL, "0.10", kind, stop_loss=D("1.18"), take_profit=D("1.14"), **prices)
        outcome = await on.adapter.submit(on.approved(intent))
        assert isinstance(outcome, Accepted), outcome
        (sent,) = [asked.params for asked in on.venue.server.log if asked.kind == "submit"]
        expected = {
            "symbol": "EURUSD", "operation": operation, "volume": "0.1", "slippage": "20", "stoploss": "1.18",
            "takeprofit": "1.14", "comment": intent.client_order_id, "expertID": "77",
        }  # fmt: skip
        first = prices.get("stop_price", prices.get("price"))
        expected |= {} if first is None else {"price": str(first)}
        expected |= {"stopLimitPrice": "1.155"} if kind is OrderType.STOP_LIMIT else {}
        assert {name: value.rstrip("0") if "." in value else value for name, value in sent.items()} == expected
        assert on.dialect.unknown_params == []
        order = outcome.order
        assert order is not None
        assert (order.type, order.side, order.stop_loss, order.take_profit) == (kind, Side.SELL, D("1.18"), D("1.14"))

    played(play, settings={"magic": 77})


def test_the_end_of_an_order_is_told_by_the_brokers_clock() -> None:
    async def play(on: World) -> None:
        until = on.clock.now_ns() + 3600 * 10**9
        outcome = await on.submit(
            Side.BUY, "0.10", OrderType.LIMIT, price=D("1.15"), time_in_force=TimeInForce.GTD, expire_ns=until
        )
        (sent,) = [asked.params for asked in on.venue.server.log if asked.kind == "submit"]
        assert (sent["expiration"], sent["expirationType"]) == ("2026-09-11T07:00:00", "Specified")
        assert outcome.order.time_in_force is TimeInForce.GTD
        (one,) = on.venue.exchange.open.values()
        assert one.expire_ns == until
        await on.venue.advance(3660, step_s=60)
        found = await on.adapter.order(outcome.order.ref)
        assert found is not None
        assert found.status is OrderStatus.EXPIRED

    played(play)


def test_changing_a_price_keeps_levels_and_date() -> None:
    async def play(on: World) -> None:
        until = on.clock.now_ns() + 3600 * 10**9
        outcome = await on.submit(
            Side.BUY, "0.10", OrderType.LIMIT, price=D("1.15"), stop_loss=D("1.14"), take_profit=D("1.16"),
            time_in_force=TimeInForce.GTD, expire_ns=until,
        )  # fmt: skip
        assert isinstance(await on.adapter.modify(outcome.order.ref, price=D("1.151")), Accepted)
        (sent,) = [asked.params for asked in on.venue.server.log if asked.kind == "modify"]
        assert sent["expiration"] == "2026-09-11T07:00:00"
        (order,) = await on.adapter.open_orders()
        assert (order.price, order.stop_loss, order.take_profit) == (D("1.151"), D("1.14"), D("1.16"))

    played(play)


def test_both_prices_of_a_stop_limit_can_be_changed_alone() -> None:
    async def play(on: World) -> None:
        outcome = await on.submit(Side.BUY, "0.10", OrderType.STOP_LIMIT, stop_price=D("1.17"), price=D("1.165"))
        ref = outcome.order.ref
        assert isinstance(await on.adapter.modify(ref, stop_price=D("1.171")), Accepted)
        assert isinstance(await on.adapter.modify(ref, price=D("1.166")), Accepted)
        (order,) = await on.adapter.open_orders()
        assert (order.stop_price, order.price) == (D("1.171"), D("1.166"))

    played(play)


def test_a_change_that_the_answer_does_not_show_is_unknown() -> None:
    async def play(on: World) -> None:
        outcome = await on.submit(Side.BUY, "0.10", OrderType.LIMIT, price=D("1.15"))
        on.dialect._trades.modify = lambda account, asked: on.venue.exchange.orders[int(outcome.venue_order_id)]
        changed = await on.adapter.modify(outcome.order.ref, price=D("1.151"))
        assert isinstance(changed, Unknown)
        assert "does not show the new price" in changed.says

    played(play)


def test_a_part_of_a_position_is_closed_by_lots_and_the_close_is_found_by_our_name() -> None:
    async def play(on: World) -> None:
        bought = await on.submit(Side.BUY, "0.10")
        closing = on.intent(Side.SELL, "0.04", position_id=bought.venue_order_id, reduce_only=True)
        outcome = await on.adapter.submit(on.approved(closing))
        (sent,) = [a.params for a in on.venue.server.log if a.path == "/OrderClose"]
        assert (sent["ticket"], sent["lots"], sent["volume"]) == (bought.venue_order_id, "0.04", "0.04")
        (position,) = await on.adapter.positions()
        assert (position.position_id, position.qty) == (bought.venue_order_id, D("0.06"))
        later = on.made()
        await later.connect()
        found = await later.order(OrderRef(symbol="EURUSD", client_order_id=closing.client_order_id))
        assert found is not None
        assert (found.venue_order_id, found.filled_qty, found.side) == (outcome.venue_order_id, D("0.04"), Side.SELL)
        again = await later.submit(on.approved(closing))  # after a crash: the close that is there is the answer
        assert again.venue_order_id == outcome.venue_order_id
        (position,) = await later.positions()
        assert position.qty == D("0.06")
        await later.disconnect()

    played(play)


def test_a_close_of_the_wrong_side_or_of_too_much_is_refused_before_it_is_sent() -> None:
    async def play(on: World) -> None:
        ticket = (await on.submit(Side.BUY, "0.10")).venue_order_id
        for side, qty, code in (
            (Side.BUY, "0.10", RefusalCode.BAD_REQUEST), (Side.SELL, "0.11", RefusalCode.REDUCE_ONLY),
        ):  # fmt: skip
            outcome = await on.submit(side, qty, position_id=ticket, reduce_only=True)
            assert isinstance(outcome, Refused)
            assert outcome.code is code
        assert not any(a.path == "/OrderClose" for a in on.venue.server.log)

    played(play)


def test_an_order_that_fills_while_it_is_being_cancelled_is_closed_and_that_is_said() -> None:
    # the wire has one request for both; see the docstring of Trader.cancel
    async def play(on: World) -> None:
        waiting = await on.submit(Side.BUY, "0.10", OrderType.LIMIT, price=D("1.15"))
        real = on.adapter._session.tell

        async def tell(call: Any, **ours: Any) -> Any:
            on.venue.direct.fill(int(waiting.venue_order_id))
            return await real(call, **ours)

        on.adapter._session.tell = tell
        outcome = await on.adapter.cancel(waiting.order.ref)
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.ORDER_CLOSED
        assert "closed position" in outcome.says
        assert await on.adapter.positions() == []

    played(play)


def test_an_order_that_has_filled_already_is_not_touched_by_a_cancel() -> None:
    async def play(on: World) -> None:
        bought = await on.submit(Side.BUY, "0.10")
        outcome = await on.adapter.cancel(bought.order.ref)
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.ORDER_CLOSED
        assert len(await on.adapter.positions()) == 1

    played(play)


def test_protection_without_a_ticket_is_set_where_there_is_one_position_only() -> None:
    async def play(on: World) -> None:
        await on.submit(Side.BUY, "0.10")
        one = await on.adapter.modify_protection("EURUSD", stop_loss=D("1.15"), take_profit=None)
        assert isinstance(one, Accepted)
        await on.submit(Side.BUY, "0.10")
        two = await on.adapter.modify_protection("EURUSD", stop_loss=D("1.15"), take_profit=None)
        assert isinstance(two, Refused)
        assert "position_id says which" in two.says

    played(play)


def test_a_stop_loss_that_closes_is_told_as_a_fill_of_nobodys_order() -> None:
    async def play(on: World) -> None:
        bought = await on.submit(Side.BUY, "0.10", stop_loss=D("1.155"))
        await on.move("1.15400")
        fills = await on.adapter.fills(0)
        assert [f.side for f in fills] == [Side.BUY, Side.SELL]
        assert [f.client_order_id for f in fills] == [bought.client_order_id, None]
        assert [f.position_id for f in fills] == [bought.venue_order_id] * 2
        found = await on.adapter.order(bought.order.ref)
        assert found is not None
        assert (found.status, found.filled_qty) == (OrderStatus.FILLED, D("0.1"))

    played(play)


def test_history_that_the_server_holds_back_is_asked_for_in_halves() -> None:
    async def play(on: World) -> None:
        for _ in range(6):
            await on.submit(Side.BUY, "0.01")
            await on.venue.advance(3600, step_s=600)
            await on.move("1.16000")
        for position in await on.adapter.positions():
            await on.submit(Side.SELL, "0.01", position_id=position.position_id, reduce_only=True)
            await on.venue.advance(120)
        on.dialect.most_deals = 2
        asked = len(on.venue.server.log)
        told = await on.adapter.fills(0)
        assert [int(f.trade_id) for f in told] == [f.number for f in on.venue.exchange.fills]
        assert sum(a.path == "/OrderHistory" for a in list(on.venue.server.log)[asked:]) > 12

    played(play)


def test_history_that_cannot_be_told_whole_is_no_answer() -> None:
    async def play(on: World) -> None:
        for _ in range(3):
            await on.submit(Side.BUY, "0.01")
        on.dialect.most_deals = 2  # three in one instant
        with pytest.raises(ConnectivityError, match="does not tell all of one minute"):
            await on.adapter.fills(0)

    played(play)


# ── MetaTrader 4 ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_on_metatrader_4_an_entry_stays_one_fill_however_often_it_is_divided() -> None:
    async def play(on: World) -> None:
        bought = await on.submit(Side.BUY, "0.10")
        (entry,) = await on.adapter.fills(0)
        for qty in ("0.03", "0.02"):
            (position,) = await on.adapter.positions()
            await on.submit(Side.SELL, qty, position_id=position.position_id, reduce_only=True)
        (position,) = await on.adapter.positions()
        assert position.qty == D("0.05")
        assert position.position_id != bought.venue_order_id
        fills = await on.adapter.fills(0)
        assert [f for f in fills if f.side is Side.BUY] == [entry]
        assert sorted(f.qty for f in fills if f.side is Side.SELL) == [D("0.02"), D("0.03")]
        assert entry.fee == D("0.7")

    played(play, dialect="mtapi-mt4")


def test_on_metatrader_4_the_same_close_twice_is_one_close_while_the_adapter_lives() -> None:
    async def play(on: World) -> None:
        ticket = (await on.submit(Side.BUY, "0.10")).venue_order_id
        closing = on.approved(on.intent(Side.SELL, "0.04", position_id=ticket, reduce_only=True))
        first, second = await on.adapter.submit(closing), await on.adapter.submit(closing)
        assert first == second
        (position,) = await on.adapter.positions()
        assert position.qty == D("0.06")

    played(play, dialect="mtapi-mt4")


def test_on_metatrader_4_there_is_no_stop_limit() -> None:
    async def play(on: World) -> None:
        outcome = await on.submit(Side.BUY, "0.10", OrderType.STOP_LIMIT, stop_price=D("1.17"), price=D("1.165"))
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.NOT_SUPPORTED

    played(play, dialect="mtapi-mt4")
