"""What the executor decides: what is sent, when it is sent again, and when it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.modules.execution.venue import D
from tests.unit.modules.execution.world import ACCOUNT, BOT, SYMBOL, World
from tradelab.model import messages as said
from tradelab.model.errors import ConnectivityError, RequestError
from tradelab.model.orders import OrderRef, OrderStatus, Side
from tradelab.model.outcome import RefusalCode
from tradelab.model.signal import DropCode
from tradelab.model.states import Leg, Severity
from tradelab.spine.order_life import Phase


def play(scene: Callable[[World], Awaitable[None]], **how: object) -> World:
    """Play a scene on a started world, and see that no module failed in it."""

    async def run() -> World:
        world = await World(**how).start()  # type: ignore[arg-type]
        await scene(world)
        await world.kill()
        assert world.failures() == []
        return world

    return asyncio.run(run())


# ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_intent_is_kept_under_the_lease_before_anything_is_sent() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("wait 5")
        name = world.enter()
        (meant,) = world.said(said.OrderIntended)
        assert (meant.intent.client_order_id, meant.fence, meant.leg) == (name, 7, Leg.ENTRY)
        assert world.submits() == []
        await world.settle()
        assert world.submits() == [name]
        assert world.order(name).phase is Phase.INTENDED

    play(scene)


def test_an_accepted_order_is_told_reported_filled_and_closed_once_each() -> None:
    async def scene(world: World) -> None:
        name = world.enter()
        await world.settle()
        assert world.order(name).phase is Phase.CLOSED
        assert world.held() == D(1)
        assert [f.fill.trade_id for f in world.said(said.TradeExecuted)] == ["1"]
        assert world.kinds().count("OrderAccepted") == 1

    play(scene)


def test_nothing_is_kept_or_sent_when_the_lease_is_lost() -> None:
    async def scene(world: World) -> None:
        world.permit.is_lost = True
        world.enter()
        await world.settle()
        assert world.submits() == []
        assert world.said(said.OrderIntended) == []
        assert [d.code for d in world.said(said.SignalDropped)] == [DropCode.NO_LEASE]
        assert world.said(said.AlarmRaised)[-1].severity is Severity.CRITICAL

    play(scene)


def test_an_order_that_is_kept_does_not_leave_when_the_lease_is_nearly_over() -> None:
    async def scene(world: World) -> None:
        world.permit.left = 0.0
        name = world.enter()
        await world.settle()
        assert world.submits() == []
        assert world.order(name).refused is RefusalCode.NOT_SENT
        world.permit.left = 3600.0
        await world.advance(2)
        assert world.submits() == [name]

    play(scene)


def test_an_order_is_not_sent_again_by_an_engine_that_has_lost_its_lease() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("refuse overloaded")
        name = world.enter()
        await world.settle()
        world.permit.is_lost = True
        await world.advance(5)
        assert world.submits() == [name]
        assert world.order(name).phase is Phase.ABANDONED

    play(scene)


def test_a_signal_that_was_dropped_and_one_that_was_ordered_already_send_nothing() -> None:
    async def scene(world: World) -> None:
        name = world.enter()
        await world.settle()
        world.node.bus.say(world.said(said.RiskCalculated)[0])  # once more
        told = world.said(said.RiskCalculated)[0]
        world.node.bus.say(said.RiskCalculated(bot=BOT, signal_id="never raised", verdict=told.verdict, intent=None))
        await world.settle()
        assert world.submits() == [name]

    play(scene)


def test_an_order_for_a_symbol_that_is_not_listed_is_refused_here() -> None:
    async def scene(world: World) -> None:
        world.want("x", symbol="ETH/USDT")
        await world.settle()
        (refused,) = world.said(said.OrderRefused)
        assert (refused.code, world.submits()) == (RefusalCode.UNKNOWN_SYMBOL, [])
        assert world.said(said.AlarmRaised)[-1].kind == "order"

    play(scene)


# ── refused for the moment ───────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_refused_for_the_moment_is_sent_again_later_and_later() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].extend(["refuse overloaded"] * 3)
        name = world.enter()
        await world.settle()
        times = []
        for _ in range(20):
            before = len(world.submits())
            await world.advance(0.25, 0.25)
            times.append(len(world.submits()) - before)
        assert [i for i, n in enumerate(times) if n] == [1, 5, 13]  # after 0.5, then 1, then 2 s
        assert world.order(name).phase is Phase.CLOSED
        assert world.kinds().count("OrderSentAgain") == 3

    play(scene)


def test_retry_after_is_waited_for() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("refuse rate_limited 7")
        world.enter()
        await world.settle()
        await world.advance(6.5)
        assert len(world.submits()) == 1
        await world.advance(1)
        assert len(world.submits()) == 2

    play(scene)


def test_it_is_given_up_when_the_moment_lasts_longer_than_it_is_good_for() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("refuse rate_limited 120")
        name = world.enter(ttl_s=60)
        await world.settle()
        assert world.order(name).phase is Phase.ABANDONED
        await world.advance(200, 10)
        assert world.submits() == [name]

    play(scene)


def test_an_order_that_was_refused_for_good_is_never_sent_again_and_a_protective_one_raises_an_alarm() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("refuse bad_request")
        world.enter("s1")
        await world.settle()
        assert world.said(said.AlarmRaised) == []
        world.enter("s2")
        await world.settle()
        world.venue.script["submit"].append("refuse stop_would_trigger")
        world.want("stop")
        await world.advance(30)
        assert world.submits() == ["o-s1", "o-s2", "o-stop"]
        assert [a.severity for a in world.said(said.AlarmRaised)] == [Severity.CRITICAL]

    play(scene)


def test_halted_gives_up_an_entry_that_waits_and_sends_an_exit_all_the_same() -> None:
    async def scene(world: World) -> None:
        world.enter("s0")
        await world.settle()
        world.venue.script["submit"].extend(["refuse overloaded", "refuse overloaded"])
        entry, stop = world.enter("s1", price="90"), world.want("stop")
        await world.settle()
        await world.command("halt", "c1")
        await world.advance(3)
        assert world.order(entry).phase is Phase.ABANDONED
        assert world.order(stop).phase is Phase.OPEN

    play(scene)


def test_a_bot_that_was_stopped_meanwhile_does_not_enter() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("refuse overloaded")
        name = world.enter()
        await world.settle()
        await world.command("stop", "c1", bot=BOT)
        await world.advance(3)
        assert (world.order(name).phase, world.submits()) == (Phase.ABANDONED, [name])

    play(scene)


def test_what_waits_is_not_sent_while_the_account_is_compared_and_is_sent_after() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("refuse overloaded")
        name = world.enter()
        await world.settle()
        world.venue.script["open_orders"].extend(["down"] * 3)
        world.venue.lose_streams()
        await world.advance(2)
        assert (world.is_open(), world.submits()) == (False, [name])
        await world.advance(20)
        assert (world.is_open(), world.submits()) == (True, [name, name])

    play(scene)


def test_an_exit_that_waits_is_not_sent_where_it_would_sell_more_than_is_held() -> None:
    from tests.unit.modules.execution.venue import SPOT

    async def scene(world: World) -> None:
        world.enter()
        await world.settle()
        world.venue.script["submit"].append("refuse overloaded")
        name = world.want("exit", leg=Leg.EXIT, stop=None)
        world.venue.money["BTC"] += 5  # somebody's own
        await world.settle()
        world.want("other", leg=Leg.EXIT, stop=None)
        await world.advance(3)
        assert world.held() == 0
        assert world.order(name).phase is Phase.ABANDONED
        assert world.venue.money["BTC"] == 5

    play(scene, **SPOT)


# ── unknown ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("answer", ["mute", "late 0.5"])
def test_an_order_of_which_nobody_knows_is_found_and_not_sent_twice(answer: str) -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append(answer)
        world.venue.tells_ids = False
        name = world.enter()
        await world.advance(30)
        assert (world.submits(), world.held()) == ([name], D(1))
        assert world.order(name).phase is Phase.CLOSED

    play(scene)


@pytest.mark.parametrize("answer", ["lost", "raise"])
def test_one_that_is_absent_is_asked_for_twice_after_its_end_and_then_sent_again(answer: str) -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append(answer)
        name = world.enter()
        await world.settle()
        assert world.order(name).phase is Phase.UNKNOWN
        await world.advance(7)  # 5 s of a request's life, 2 s to spare
        assert (world.order(name).phase, world.submits()) == (Phase.UNKNOWN, [name])
        await world.advance(1)
        assert world.submits() == [name]  # one look after the end is not enough
        await world.advance(2)
        assert (world.submits(), world.held()) == ([name, name], D(1))
        (absent,) = world.said(said.OrderAbsent)
        assert absent.venue_time_ns > world.said(said.OrderUnknown)[0].request_ends_ns

    play(scene)


@pytest.mark.parametrize("ahead_s", [-30.0, 30.0])
def test_the_end_of_a_request_is_told_by_the_venues_clock_however_wrong_ours_is(ahead_s: float) -> None:
    async def scene(world: World) -> None:
        world.venue.ahead_s = ahead_s
        world.venue.script["submit"].append("late 4.5")  # just before it expires
        name = world.enter()
        await world.advance(30)
        assert (world.submits(), world.held()) == ([name], D(1))

    play(scene)


def test_one_that_is_absent_and_too_old_is_given_up() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("lost")
        name = world.enter(ttl_s=5)
        await world.advance(20)
        assert (world.order(name).phase, world.submits()) == (Phase.ABANDONED, [name])

    play(scene)


def test_an_absent_entry_is_given_up_when_trading_was_halted() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("lost")
        name = world.enter(ttl_s=600)
        await world.settle()
        await world.command("halt", "c1")
        await world.advance(20)
        assert (world.order(name).phase, world.submits()) == (Phase.ABANDONED, [name])

    play(scene)


def test_an_alarm_is_raised_when_nobody_knows_for_a_minute() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("lost")
        world.venue.script["now_ns"].extend(["down"] * 200)
        world.enter(ttl_s=6000)
        await world.advance(70, 1)
        alarms = [a for a in world.said(said.AlarmRaised) if a.kind == "order"]
        assert [a.severity for a in alarms] == [Severity.CRITICAL]

    play(scene)


# ── after a kill ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("arrives", [True, False])
def test_an_order_that_was_kept_when_the_process_died_is_asked_for_and_sent_only_if_it_is_not_there(
    arrives: bool,
) -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("wait 1000")
        name = world.enter(ttl_s=600)
        await world.settle()
        await world.kill()
        if arrives:
            world.venue.take(world.order(name).intended.intent)
        await world.restart()
        await world.advance(20)
        assert (len(world.submits()), world.held()) == (1 if arrives else 2, D(1))
        assert world.order(name).phase is Phase.CLOSED

    play(scene)


def test_an_order_that_waited_to_be_sent_again_waits_again_after_a_restart() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("refuse rate_limited 5")
        name = world.enter()
        await world.settle()
        await world.restart()
        await world.advance(4)
        assert world.submits() == [name]
        await world.advance(2)
        assert (world.submits(), world.held()) == ([name, name], D(1))

    play(scene)


# ── cancels and changes ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cancel_is_kept_sent_once_and_the_order_is_told_over() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        world.cancel(name)
        world.cancel(name)
        await world.advance(5)
        assert [c for c in world.venue.calls if c.startswith("cancel")] == [f"cancel {name}"]
        assert world.order(name).phase is Phase.CLOSED
        assert world.kinds().count("CancelIntended") == 1

    play(scene)


@pytest.mark.parametrize("answers", [["lost"], ["refuse rate_limited 3"], ["raise", "lost", "refuse overloaded"]])
def test_a_cancel_that_came_to_nothing_is_sent_until_the_order_is_over(answers: list[str]) -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        world.venue.script["cancel"].extend(answers)
        world.cancel(name)
        await world.advance(15)
        assert world.venue.named(name).status is OrderStatus.CANCELLED
        assert world.order(name).phase is Phase.CLOSED

    play(scene)


def test_a_cancel_that_was_kept_when_the_process_died_is_sent_by_the_next() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        world.venue.script["cancel"].append("wait 1000")
        world.cancel(name)
        await world.settle()
        await world.restart()
        await world.advance(3)
        assert world.order(name).phase is Phase.CLOSED

    play(scene)


def test_an_order_that_is_cancelled_while_it_is_on_its_way_is_cancelled_when_it_is_there() -> None:
    async def scene(world: World) -> None:
        world.venue.script["submit"].append("wait 3")
        name = world.enter(price="90")
        await world.settle()
        world.cancel(name)
        await world.advance(6)
        assert world.venue.named(name).status is OrderStatus.CANCELLED
        assert world.order(name).phase is Phase.CLOSED

    play(scene)


@pytest.mark.parametrize("answer", ["lost", "refuse overloaded"])
def test_an_order_that_is_cancelled_while_it_is_not_there_is_not_sent_again(answer: str) -> None:
    async def scene(world: World) -> None:
        world.enter("s0")
        await world.settle()
        world.venue.script["submit"].append(answer)
        name = world.want("stop")
        await world.settle()
        world.cancel(name)
        await world.advance(30)
        assert (world.submits(), world.order(name).phase) == (["o-s0", name], Phase.ABANDONED)

    play(scene)


def test_a_cancel_that_is_late_tells_that_the_order_has_filled() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        world.venue.fill(world.venue.named(name).venue_order_id, D(1), tell=False)
        world.cancel(name)
        await world.advance(1)
        assert world.order(name).told.status is OrderStatus.FILLED  # type: ignore[union-attr]
        await world.advance(40, 2)
        assert world.held() == D(1)

    play(scene)


def test_a_cancel_that_the_venue_refuses_raises_one_alarm() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        world.venue.script["cancel"].extend(["refuse permission"] * 4)
        world.cancel(name)
        await world.advance(30)
        assert len([a for a in world.said(said.AlarmRaised) if "will not cancel" in a.says]) == 1
        assert world.order(name).phase is Phase.CLOSED  # it was tried again, and the permission was given

    play(scene)


def test_a_change_is_kept_sent_and_its_answer_told() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        ref = OrderRef(symbol=SYMBOL, client_order_id=name)
        world.node.bus.say(said.ChangeWanted(account=ACCOUNT, ref=ref, price=D(91), says="test"))
        await world.settle()
        assert world.order(name).told.price == D(91)  # type: ignore[union-attr]
        assert world.kinds().count("ChangeIntended") == world.kinds().count("RequestAnswered") == 1
        world.venue.script["modify"].extend(["refuse no_change", "lost"])
        for _ in range(2):
            world.node.bus.say(said.ChangeWanted(account=ACCOUNT, ref=ref, price=D(92), says="test"))
            await world.settle()
        answers = world.said(said.RequestAnswered)[1:]
        assert [(a.known, a.code) for a in answers] == [(True, RefusalCode.NO_CHANGE), (False, None)]

    play(scene)


def test_nothing_is_cancelled_or_changed_without_the_lease() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        world.permit.is_lost = True
        world.cancel(name)
        ref = OrderRef(symbol=SYMBOL, client_order_id=name)
        world.node.bus.say(said.ChangeWanted(account=ACCOUNT, ref=ref, price=D(91), says="test"))
        await world.advance(3)
        assert not [c for c in world.venue.calls if c.startswith(("cancel", "modify"))]

    play(scene)


# ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lost_streams_shut_the_account_until_it_was_compared_and_nothing_is_missed() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        world.venue.lose_streams()
        await world.settle()
        assert not world.is_open()
        world.venue.fill(world.venue.named(name).venue_order_id, D(1), tell=False)  # nobody hears it
        await world.advance(3)
        assert world.is_open()
        assert (world.order(name).phase, world.held()) == (Phase.CLOSED, D(1))

    play(scene)


def test_what_changed_between_the_comparison_and_the_new_stream_is_found_a_little_later() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        world.venue.lose_streams()
        await world.advance(1)
        world.venue.close(world.venue.named(name).venue_order_id, tell=False)
        await world.advance(7)
        assert world.order(name).phase is Phase.CLOSED

    play(scene)


def test_a_stream_that_cannot_be_had_is_tried_again_and_the_account_is_shut_meanwhile() -> None:
    async def scene(world: World) -> None:
        world.venue.is_down = True
        world.venue.lose_streams()
        await world.advance(100, 2)
        assert not world.is_open()
        assert [a.severity for a in world.said(said.AlarmRaised) if a.kind == "venue"] == [Severity.CRITICAL]
        world.venue.is_down = False
        await world.advance(60, 2)
        assert world.is_open()
        alarms = [a.severity for a in world.said(said.AlarmRaised) if a.kind == "venue"]
        assert alarms == [Severity.CRITICAL, Severity.INFO]

    play(scene)


def test_a_stream_that_the_venue_refuses_raises_an_alarm_and_is_asked_for_again() -> None:
    async def scene(world: World) -> None:
        world.venue.lose_streams(RequestError("the key may not listen"))
        await world.advance(40, 2)
        assert any("refuses its stream" in a.says for a in world.said(said.AlarmRaised))
        name = world.enter(price="90")
        await world.settle()
        world.venue.close(world.venue.named(name).venue_order_id)
        await world.settle()
        assert world.order(name).phase is Phase.CLOSED

    play(scene)


def test_a_venue_without_a_stream_of_orders_is_asked_every_few_seconds() -> None:
    async def scene(world: World) -> None:
        name = world.enter(price="90")
        await world.settle()
        world.venue.close(world.venue.named(name).venue_order_id)
        await world.advance(4)
        assert world.order(name).phase is Phase.CLOSED

    play(scene, streams=frozenset())


# ── a start ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_venue_that_refuses_to_tell_keeps_the_account_shut_says_why_and_is_asked_again() -> None:
    async def scene(world: World) -> None:
        await world.kill()
        world.venue.script["positions"].append("refuse")
        await world.restart()
        assert not world.is_open()
        (alarm,) = [a for a in world.said(said.AlarmRaised) if a.kind == "venue"]
        assert "refuses to tell" in alarm.says
        await world.advance(35, 5)
        assert world.is_open()

    play(scene)


def test_a_venue_that_cannot_say_what_it_lists_ends_the_start_and_nothing_was_sent() -> None:
    async def run() -> None:
        world = World()
        world.venue.script["instruments"].append("down")
        with pytest.raises(ConnectivityError):
            await world.node.start()
        assert world.submits() == []
        await world.kill()

    asyncio.run(run())


def test_entries_of_the_other_side_work_alike() -> None:
    async def scene(world: World) -> None:
        world.enter(side=Side.SELL)
        await world.settle()
        assert world.held() == D(-1)

    play(scene)
