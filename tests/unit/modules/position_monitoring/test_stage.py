"""Watch one position through the real bus, ledger and keeper, before a fake venue; answers are worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.modules.position_monitoring.world import ACCOUNT, BOT, KEY, SPOT, SYMBOL, Killed, World
from tradelab.model import messages as said
from tradelab.model.account import PositionMode
from tradelab.model.orders import OrderIntent, OrderType, Side
from tradelab.model.outcome import RefusalCode
from tradelab.model.plan_words import written_plan
from tradelab.model.signal import Pass
from tradelab.model.states import Leg, Protection, Severity
from tradelab.model.units import NS_PER_S

D = Decimal
LADDER = {"stop": "2 %", "targets": [["1 r", 0.5, "break_even"], "2 r"]}
NO_AMEND = {"modify": frozenset()}
NO_STOPS = {"order_types": frozenset({OrderType.MARKET, OrderType.LIMIT})}


def opened(exits: dict[str, Any], qty: str = "1", **can: Any) -> World:
    """A world with a long position of ``qty`` at 100, and all that protects it at the venue."""
    world = World(exits, **can)
    world.quote("100")
    world.fill(world.enter(qty), qty)
    world.settle()
    return world


def test_the_stop_is_meant_in_the_same_transaction_as_the_fill() -> None:
    world = World({"stop": "2 %"})
    world.keeper.dies_in = None
    name = world.enter("1")
    before = len(world.keeper.said)
    fill = world.venue.fill(name, D(1), D(100), world.clock.now_ns())
    assert fill is not None
    world.say(world._trade(fill))
    kinds = [type(r.message) for r in world.keeper.said[before:]]
    assert kinds[0] is said.TradeExecuted
    assert said.OrderIntended in kinds
    causes = {r.seq: r.cause for r in world.keeper.said[before:]}
    assert [seq for seq, cause in causes.items() if cause is None] == [before + 1]  # all of it follows from the fill


def test_an_entry_that_is_filled_to_95_percent_has_a_stop_for_95_percent() -> None:
    """hummingbot sets its barriers when the entry is filled whole; one that never is has no stop."""
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "0.95")
    world.settle()
    assert world.stops() == [("98.0", "0.95")]


def test_protection_follows_every_piece_of_an_entry() -> None:
    world = World({"stop": "2 %"})
    name = world.enter("0.5")
    for n in range(1, 6):
        world.fill(name, "0.1")
        world.settle()
        assert world.stops() == [("98.0", str(D("0.1") * n).rstrip("0"))]
    assert len(world.venue.exits()) == 1


@pytest.mark.parametrize("is_told", [True, False])
def test_where_a_stop_cannot_be_changed_each_piece_gets_one_of_its_own_whether_the_venue_said_so_before_or_not(
    is_told: bool,
) -> None:
    """Binance's perpetuals change limits in place, and no stops: all but the first piece stood without one."""
    world = World({"stop": "2 %"}, **({"modify_stops": frozenset()} if is_told else {}))
    world.venue.refuses_changes = True
    name = world.enter("0.5")
    for _ in range(5):
        world.fill(name, "0.1")
        world.settle()
    assert sum((o.leaves for o in world.venue.exits(OrderType.STOP)), D(0)) == D("0.5")
    changes = sum(isinstance(each.message, said.ChangeIntended) for each in world.keeper.said)
    assert changes == 0 if is_told else 0 < changes <= 4  # once for each order, and never again


@pytest.mark.parametrize("left", [10, 6, 3, 2, 1])
def test_many_pieces_are_stopped_whole_however_few_stops_the_venue_lets_wait(left: int) -> None:
    """Of ten that it says it lets wait, somebody else may have taken most."""
    world = World({"stop": "2 %"}, instrument={"max_trigger_orders": 10}, modify=frozenset())
    world.venue.most_stops = left
    name = world.enter("3")
    for n in range(30):
        world.fill(name, "0.1")
        for _ in range(3):
            world.settle()
            world.pass_s(5)
            world.stage.look()
        world.settle()
        held = D("0.1") * (n + 1)
        assert sum((o.leaves for o in world.venue.exits(OrderType.STOP)), D(0)) == held, n


def test_a_stop_lies_behind_the_average_of_what_filled_and_r_is_measured_from_it() -> None:
    world = World({"stop": "2 %", "targets": "1 r"})
    name = world.enter("1")
    world.fill(name, "0.5", "100")
    world.fill(name, "0.5", "101")
    world.settle()
    assert world.stops() == [("98.5", "1")]  # 100.5 less 2 %: 98.49, to the tick on the safe side
    assert world.held.risked() == pytest.approx(D("2.01"))
    assert world.targets() == [("102.6", "1")]  # 102.51, where it trades no worse


def test_what_fills_after_a_bar_keeps_r_and_only_tightens_the_stop() -> None:
    world = World({"stop": "2 %"})
    name = world.enter("1")
    world.fill(name, "0.5", "100")
    world.bar(100, 100.5, 99.5, 100)
    world.fill(name, "0.5", "98")
    world.settle()
    assert world.stops() == [("98.0", "1")]
    assert world.held.line is not None and world.held.line.r == 2.0


def test_each_target_that_fills_takes_its_quantity_off_the_stop() -> None:
    world = opened(LADDER)
    assert world.targets() == [("102.0", "0.5"), ("104.0", "0.5")]
    first = next(o for o in world.venue.exits(OrderType.LIMIT) if o.intent.price == D(102))
    world.fill(first.intent.client_order_id, "0.2", "102")
    world.settle()
    assert world.stops() == [("98.0", "0.8")]
    world.fill(first.intent.client_order_id, "0.3", "102")
    world.settle()
    assert world.stops() == [("98.0", "0.5")]
    assert world.targets() == [("104.0", "0.5")]


def test_a_filled_target_moves_the_stop_with_the_next_bar_as_in_a_backtest() -> None:
    world = opened(LADDER)
    world.quote("101.9")
    first = next(o for o in world.venue.exits(OrderType.LIMIT) if o.intent.price == D(102))
    world.fill(first.intent.client_order_id, "0.5", "102")
    world.settle()
    assert world.stops() == [("98.0", "0.5")]
    world.bar(100, 102.5, 99.8, 102)
    world.settle()
    assert world.stops() == [("100.0", "0.5")]


def test_a_flat_position_leaves_no_order_behind() -> None:
    world = opened(LADDER)
    stop = world.venue.exits(OrderType.STOP)[0]
    world.fill(stop.intent.client_order_id, "1", "98")
    world.settle()
    assert world.venue.exits() == []
    assert world.venue.position == 0


def test_a_stop_that_moves_is_amended_where_the_venue_can() -> None:
    world = opened({"trail": "2 %"})
    world.bar(100, 105, 100, 104)
    world.settle()
    assert world.stops() == [("102.9", "1")]
    assert [(c.stop_price, c.qty) for c in world.said(said.ChangeWanted)] == [(D("102.9"), None)]
    assert world.said(said.CancelWanted) == []


def test_where_orders_only_reduce_the_new_stop_stands_before_the_old_one_goes() -> None:
    world = opened({"trail": "2 %"}, **NO_AMEND)
    world.bar(100, 105, 100, 104)
    assert [type(m) for _, m in world.wire] == [said.OrderIntended]
    world.deliver()
    assert world.said(said.CancelWanted) == []  # it was accepted, and the venue's list has not shown it
    world.settle_inbox()
    assert len(world.said(said.CancelWanted)) == 1
    world.settle()
    assert world.stops() == [("102.9", "1")]


def test_where_both_could_sell_the_old_stop_goes_first_and_the_quote_is_watched() -> None:
    world = opened({"trail": "2 %"}, **SPOT, **NO_AMEND)
    world.bar(100, 105, 100, 104)
    assert [type(m) for _, m in world.wire] == [said.CancelIntended]
    world.deliver()
    world.settle_inbox()
    assert [type(m) for _, m in world.wire] == [said.OrderIntended]
    world.quote("103")  # the gap: nothing stands, the quote is fresh
    assert world.held.protection is Protection.HERE
    world.settle()
    assert world.stops() == [("102.9", "1")]
    assert world.held.protection is Protection.VENUE
    assert world.venue.worst == 0


def test_a_stop_in_the_gap_of_its_replacement_is_done_here() -> None:
    world = opened({"trail": "2 %"}, **SPOT, **NO_AMEND)
    world.bar(100, 105, 100, 104)
    world.deliver()
    world.wire.clear()
    world.quote("102.8")
    world.settle_inbox()
    (_, meant), *_ = world.wire
    assert isinstance(meant, said.OrderIntended)
    assert (meant.intent.type, meant.intent.qty, meant.leg) == (OrderType.MARKET, D(1), Leg.STOP)


def test_a_stop_is_confirmed_by_the_venues_own_list_and_by_nothing_else() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "1")
    world.deliver()
    assert world.said(said.OrderAccepted)[-1].venue_order_id == "v2"
    assert world.held.protection is Protection.NONE
    world.settle_inbox()
    assert world.held.protection is Protection.VENUE


def test_a_refused_stop_is_asked_for_again_after_a_pause_that_grows_and_the_quote_is_watched() -> None:
    world = World({"stop": "2 %"})
    world.quote("100")
    world.fill(world.enter("1"), "1")
    for pause_s in (2, 4, 8):
        world.deliver("refuse")
        assert not world.wire
        world.pass_s(pause_s - 0.1)
        world.quote("100")
        assert not world.wire and world.held.protection is Protection.HERE
        world.pass_s(0.2)
        world.quote("100")
        assert len(world.wire) == 1
    names = [m.intent.client_order_id for m in world.said(said.OrderIntended)]
    assert len(set(names)) == len(names)


def test_an_order_that_may_still_be_sent_again_is_not_put_beside_another() -> None:
    world = World({"stop": "2 %"}, **SPOT)
    world.fill(world.enter("1"), "1")
    world.deliver("later")
    world.pass_s(4.9)  # it is fresh for five seconds: the executor may send it once more
    world.quote("100")
    assert not world.wire
    world.pass_s(0.2)
    world.quote("100")
    assert len(world.wire) == 1


def test_a_fill_that_is_reported_and_not_booked_is_not_sold_twice() -> None:
    """freqtrade #2799: a stop made again for what was sold already."""
    world = opened({"stop": "2 %"}, **SPOT)
    stop = world.venue.exits(OrderType.STOP)[0].intent.client_order_id
    fill = world.venue.fill(stop, D(1), D(98), world.clock.now_ns())
    world._report(stop)
    world.quote("97")
    assert not world.wire
    assert fill is not None
    world.say(world._trade(fill))
    assert not world.wire and world.held.direction == 0


def test_a_target_that_is_reported_and_not_booked_is_not_taken_twice() -> None:
    """Found by the parity of live and backtest: half a position left by its first target, the other half after it."""
    world = opened(LADDER)
    target = next(o.intent.client_order_id for o in world.venue.exits(OrderType.LIMIT) if o.intent.price == D(102))
    fill = world.venue.fill(target, D("0.5"), D(102), world.clock.now_ns())
    world._report(target)
    world.quote("102.5")
    assert fill is not None
    meant = [m for _, m in world.wire]
    assert not [m for m in meant if isinstance(m, said.OrderIntended) and m.leg is Leg.TARGET]
    world.say(world._trade(fill))
    world.settle()
    assert abs(world.held.round.qty) == D("0.5") and world.targets() == [("104.0", "0.5")]


def test_the_same_wish_has_the_same_name_after_a_restart() -> None:
    world = World({"stop": "2 %"})
    name = world.enter("1")
    world.fill(name, "0.4", later=True)
    world.keeper.dies_in = 5  # the stop is wished for, and the transaction dies with its intent
    with pytest.raises(Killed):
        world.settle_inbox()
    assert world.said(said.TradeExecuted) == []
    world.restart()
    first = world.said(said.OrderWanted)[0].intent.client_order_id
    other = World({"stop": "2 %"})
    other.fill(other.enter("1"), "0.4")
    assert other.said(said.OrderWanted)[0].intent.client_order_id == first


def test_a_restart_knows_the_levels_the_orders_and_the_alarms_it_knew() -> None:
    world = opened(LADDER | {"trail": "1.5 %"})
    world.bar(100, 101.5, 99.8, 101)
    world.settle()
    before, orders = world.held.levels(), world.stops() + world.targets()
    said_before = len(world.said(said.OrderIntended))
    world.restart()
    world.settle()
    assert world.held.levels() == before
    assert world.stops() + world.targets() == orders
    assert len(world.said(said.OrderIntended)) == said_before


def test_nothing_is_sent_while_an_account_is_not_reconciled() -> None:
    world = World({"stop": "2 %"})
    world.say(said.ReconcileBegan(account=ACCOUNT, says="a start"))
    world.fill(world.enter("1"), "1")
    assert not world.wire
    world.say(said.ReconcileEnded(account=ACCOUNT, agreed=True, complete=True, findings=()))
    assert len(world.wire) == 1


def test_a_level_that_the_clock_asks_for_is_an_order_at_the_market() -> None:
    world = opened({"stop": "2 %", "max_bars": 2})
    world.bar(100, 100.5, 99.5, 100)
    assert not world.wire
    world.bar(100, 100.5, 99.5, 100)
    (_, meant), *_ = world.wire
    assert isinstance(meant, said.OrderIntended)
    assert (meant.intent.type, meant.leg, meant.intent.reduce_only) == (OrderType.MARKET, Leg.EXIT, True)
    world.deliver()
    world.settle_inbox()
    world.fill(meant.intent.client_order_id, "1", "100")
    assert world.said(said.PositionClosed)[0].reason == "time"


def test_an_exit_by_the_clock_survives_a_restart() -> None:
    world = opened({"stop": "2 %", "max_bars": 1})
    world.bar(100, 100.5, 99.5, 100)
    world.restart()
    world.settle()
    assert [o.intent.qty for o in world.venue.exits(OrderType.MARKET)] == [D(1)]


def test_bars_that_closed_while_the_engine_was_down_count_for_what_was_held() -> None:
    world = opened({"stop": "2 %", "max_bars": 3})
    world.bar(100, 100.5, 99.5, 100)
    world.restart()
    world.settle()
    for left in (1, 0):
        assert not world.venue.exits(OrderType.MARKET)
        world.bar(100, 100.5, 99.5, 100, late=bool(left))
        world.settle()
    assert [o.intent.qty for o in world.venue.exits(OrderType.MARKET)] == [D(1)]


def test_a_stop_that_looks_at_closes_waits_for_one_and_rests_nowhere() -> None:
    world = opened({"stop": "2 %", "stop_at_close": True})
    assert world.stops() == []
    world.quote("97")
    assert not world.wire
    world.bar(100, 100, 97, 99)
    assert not world.wire
    world.bar(99, 99, 97, 97.5)
    (_, meant), *_ = world.wire
    assert isinstance(meant, said.OrderIntended) and meant.leg is Leg.STOP


FALLS = {"stop": "2 %", "roi": {"0": 0.04, "2": 0.01}}


def test_a_falling_target_waits_at_the_venue_and_comes_down_with_time() -> None:
    world = opened(FALLS)
    assert world.targets() == [("104.0", "1")]
    world.bar(100, 101.5, 100, 101)
    assert not world.wire
    world.bar(101, 101.5, 100, 101)
    (_, meant), *_ = world.wire
    assert isinstance(meant, said.ChangeIntended) and meant.price == D(101)
    world.settle()
    assert world.targets() == [("101.0", "1")]
    target = next(name for name, it in world.venue.orders.items() if it.intent.type is OrderType.LIMIT)
    world.fill(target, "1", "101.5")
    assert world.said(said.PositionClosed)[0].reason == "roi"


def test_a_falling_target_closes_what_the_nearer_targets_of_a_ladder_leave() -> None:
    world = opened({"stop": "2 %", "targets": [["1 r", 0.5], "3 r"], "roi": {"0": 0.05, "2": 0.01}}, qty="2")
    assert world.targets() == [("102.0", "1"), ("105.0", "1")]  # 3 r would be 106
    world.bar(100, 101.5, 100, 101)
    world.bar(101, 101.5, 100, 101)
    world.settle()
    assert world.targets() == [("101.0", "2")]


def test_a_falling_target_is_watched_here_where_nothing_rests_and_closes_all() -> None:
    world = opened(FALLS, **NO_STOPS | {"order_types": frozenset({OrderType.MARKET})})
    world.quote("101.5")
    assert not world.wire
    world.bar(100, 101.5, 100, 101)
    world.bar(101, 101.5, 100, 101)
    world.quote("101.5")
    (_, meant), *_ = world.wire
    assert isinstance(meant, said.OrderIntended) and (meant.leg, meant.intent.qty) == (Leg.EXIT, D(1))
    assert meant.says == "roi"


def test_a_session_is_left_shortly_before_its_last_bar_closes() -> None:
    world = opened({"stop": "2 %", "session_close": True})
    while not world.wire:
        at_s = world.clock.now_ns() // NS_PER_S % 86_400
        world.pass_s(1.0)
        world.stage.look()
        assert at_s < 86_400 - 4
    (at_ns, meant), *_ = world.wire
    assert at_ns // NS_PER_S % 86_400 == 86_400 - 5
    assert isinstance(meant, said.OrderIntended) and (meant.leg, meant.says) == (Leg.EXIT, "session")


def test_what_was_not_left_before_a_session_ended_is_left_when_its_last_bar_has_closed() -> None:
    world = opened({"stop": "2 %", "session_close": True})
    while not world.wire:
        at_s = world.clock.now_ns() // NS_PER_S % 86_400
        world.bar(100, 100.5, 99.5, 100)
    assert at_s >= 86_400 - 600 and world.clock.now_ns() // NS_PER_S % 86_400 == 0


def test_what_was_held_over_the_end_of_a_session_while_nobody_was_there_is_left_at_the_next_start() -> None:
    world = opened({"stop": "2 %", "session_close": True})
    world.pass_s(86_400 * 1.2)  # killed before the session ended, back on the next day: its last bar is told to nobody
    world.restart()
    world.quote("100.5")
    (_, meant), *_ = world.wire
    assert isinstance(meant, said.OrderIntended) and (meant.leg, meant.says) == (Leg.EXIT, "session")


def test_what_is_filled_at_the_first_moment_of_a_session_by_a_clock_that_is_behind_belongs_to_it() -> None:
    world = World({"stop": "2 %", "session_close": True})
    world.pass_s(86_400 - world.clock.now_ns() // NS_PER_S % 86_400 - 2)  # two seconds to go
    world.quote("100")
    name = world.enter("1")
    fill = world.venue.fill(name, D(1), D(100), world.clock.now_ns())
    assert fill is not None
    world.pass_s(2.5)
    world.say(world._trade(fill))
    world.settle()
    assert not [it for it in world.said(said.OrderIntended) if it.leg is Leg.EXIT]


@pytest.mark.parametrize(("side", "bid", "ask"), [(Side.BUY, "97.9", "98.3"), (Side.SELL, "101.7", "102.1")])
def test_a_long_is_stopped_by_the_bid_and_a_short_by_the_ask(side: Side, bid: str, ask: str) -> None:
    world = World({"stop": "2 %"}, **NO_STOPS)
    world.quote("100")
    world.fill(world.enter("1", side=side), "1")
    inside = ("98.0", "98.4") if side is Side.BUY else ("101.6", "102.0")
    world.quote(*(str(D(p) + (D("0.1") if side is Side.BUY else D("-0.1"))) for p in inside))
    assert not world.wire
    world.quote(bid, ask)
    (_, meant), *_ = world.wire
    assert isinstance(meant, said.OrderIntended)
    assert (meant.intent.side, meant.intent.type) == (side.opposite, OrderType.MARKET)


def test_where_nothing_is_bound_to_close_only_a_target_waits_until_the_stop_has_made_room() -> None:
    world = opened(LADDER, **SPOT)
    assert world.stops() == [("98.0", "1")] and world.targets() == []
    world.quote("102.1")
    assert [type(m) for _, m in world.wire] == [said.ChangeIntended]  # the stop first gives half of it up
    world.deliver()
    world.settle_inbox()
    (_, meant), *_ = world.wire
    assert isinstance(meant, said.OrderIntended)
    assert (meant.leg, meant.intent.type, meant.intent.qty) == (Leg.TARGET, OrderType.MARKET, D("0.50"))
    world.deliver()
    world.settle_inbox()
    world.fill(meant.intent.client_order_id, "0.5", "102.1")
    world.settle()
    assert world.stops() == [("98.0", "0.5")] and world.venue.worst == 0


def test_what_is_too_little_for_the_venue_is_guarded_here() -> None:
    world = World({"stop": "2 %"}, instrument={"min_qty": D("0.1")})
    world.quote("100")
    name = world.enter("1")
    world.fill(name, "0.05")
    world.settle()
    assert world.stops() == [] and world.held.protection is Protection.HERE
    world.fill(name, "0.95")
    world.settle()
    assert world.stops() == [("98.0", "1")]


def test_more_than_one_order_can_carry_is_protected_by_several() -> None:
    world = opened({"stop": "2 %"}, qty="2.5", instrument={"max_qty": D(1)})
    assert world.stops() == [("98.0", "0.5"), ("98.0", "1"), ("98.0", "1")]


def test_a_stop_that_the_venue_has_missed_is_done_here_after_a_while() -> None:
    """freqtrade #12981: accepted, and never triggered."""
    world = opened({"stop": "2 %"})
    world.quote("97.5")
    assert not world.wire
    world.pass_s(2.9)
    world.quote("97.5")
    assert not world.wire
    world.pass_s(0.2)
    world.quote("97.5")
    (_, meant), *_ = world.wire
    assert isinstance(meant, said.OrderIntended) and meant.intent.type is OrderType.MARKET


def test_levels_that_a_signal_gives_take_the_place_of_the_plans() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1", stop_loss=D("96.5"), take_profit=D("107")), "1")
    world.settle()
    assert world.stops() == [("96.5", "1")] and world.targets() == [("107.0", "1")]


def test_an_exit_that_was_refused_because_the_stop_holds_what_it_sells_is_done_once_there_is_room() -> None:
    world = opened({"stop": "2 %"}, **SPOT)
    meant = said.OrderIntended(
        account=ACCOUNT, bot=BOT, signal_id="s2", leg=Leg.EXIT, approved_by=("risk",), reference_price=D(100),
        fresh_until_ns=world.clock.now_ns(), fence=1,
        intent=OrderIntent(client_order_id="out", symbol=SYMBOL, side=Side.SELL, type=OrderType.MARKET, qty=D(1)),
    )  # fmt: skip
    world.say(meant)
    refused = said.OrderRefused(account=ACCOUNT, client_order_id="out", code=RefusalCode.BALANCE, says="locked")
    world.say(refused)
    world.deliver()
    world.settle_inbox()
    (_, sent), *_ = world.wire
    assert isinstance(sent, said.OrderIntended) and (sent.leg, sent.intent.qty) == (Leg.EXIT, D(1))
    world.deliver()
    world.settle_inbox()
    world.fill(sent.intent.client_order_id, "1", "100")
    assert world.said(said.PositionClosed)[0].reason == "signal"


@pytest.mark.parametrize("offers", [SPOT, {}], ids=["spot", "bound to close only"])
@pytest.mark.parametrize("code", [RefusalCode.BALANCE, RefusalCode.REDUCE_ONLY])
def test_of_what_was_asked_to_leave_nothing_leaves_twice_while_its_fill_is_not_booked(
    offers: dict[str, Any], code: RefusalCode
) -> None:
    """Half of 2 was asked for; it was on its way, then over and not booked, and another half left."""
    world = opened({"stop": "2 %"}, "2", **offers)
    meant = said.OrderIntended(
        account=ACCOUNT, bot=BOT, signal_id="s2", leg=Leg.EXIT, approved_by=("risk",), reference_price=D(100),
        fresh_until_ns=world.clock.now_ns(), fence=1,
        intent=OrderIntent(client_order_id="out", symbol=SYMBOL, side=Side.SELL, type=OrderType.MARKET, qty=D(1)),
    )  # fmt: skip
    world.say(meant)
    world.say(said.OrderRefused(account=ACCOUNT, client_order_id="out", code=code, says="locked"))
    world.settle()  # the stop makes room where it has to, and the exit is at the venue
    (live,) = world.venue.exits(OrderType.MARKET)
    world.pass_s(1)
    world.stage.look()
    world.settle()
    assert len(world.venue.exits(OrderType.MARKET)) == 1
    world.venue.fill(live.intent.client_order_id, D(1), D(100), world.clock.now_ns())
    world._report(live.intent.client_order_id)
    assert world.ledger.order(live.intent.client_order_id).is_owed  # type: ignore[union-attr]
    world.settle()
    assert not world.venue.exits(OrderType.MARKET)
    assert [qty for _, qty in world.stops()] in (["1"], ["2"])
    world.book_all()
    world.settle()
    assert world.stops() == [("98.0", "1")] and world.venue.position == 1


def closing_by_hand(world: World, price: str) -> said.OrderIntended:
    """A limit order that closes what is held, as a person gives it."""
    intent = OrderIntent(
        client_order_id="out", symbol=SYMBOL, side=Side.SELL, type=OrderType.LIMIT, qty=D(1), price=D(price),
        reduce_only=world.venue.capabilities.reduce_only,
    )  # fmt: skip
    return said.OrderIntended(
        account=ACCOUNT, bot=BOT, signal_id="s2", leg=Leg.EXIT, approved_by=("risk",), reference_price=D(100),
        fresh_until_ns=world.clock.now_ns() + 60 * NS_PER_S, fence=1, intent=intent,
    )  # fmt: skip


def test_an_exit_that_was_to_wait_for_its_price_and_was_refused_is_not_made_a_market_order() -> None:
    world = opened({"stop": "2 %"}, **SPOT)
    world.say(closing_by_hand(world, "110"))
    refused = said.OrderRefused(account=ACCOUNT, client_order_id="out", code=RefusalCode.BALANCE, says="locked")
    world.say(refused)
    world.settle()
    assert world.stops() == [("98.0", "1")]
    assert world.venue.position == 1 and len(world.venue.exits()) == 1


@pytest.mark.parametrize("how", ["refuse", "lost"])
def test_where_the_stop_has_made_room_and_the_exit_comes_to_nothing_the_stop_is_put_back_until_it_is_tried_again(
    how: str,
) -> None:
    world = opened({"stop": "2 %", "max_bars": 1}, **SPOT)
    world.bar(100, 100.5, 99.5, 100)
    world.quote("100")
    world.deliver()  # the stop is cancelled
    world.settle_inbox()
    world.deliver(how)
    if how == "lost":  # it may still arrive, so nothing is put beside it
        assert not world.wire and world.stops() == []
        world.pass_s(5.1)
        world.resolve()
    (_, stop), *_ = world.wire
    assert isinstance(stop, said.OrderIntended) and (stop.leg, stop.intent.qty) == (Leg.STOP, D(1))
    world.deliver()
    world.settle_inbox()
    assert world.stops() == [("98.0", "1")] and not world.wire
    world.pass_s(2.1)
    world.quote("100")
    world.deliver()
    world.settle_inbox()
    (_, again), *_ = world.wire
    assert isinstance(again, said.OrderIntended) and (again.leg, again.says) == (Leg.EXIT, "time")
    assert world.stops() == [] and world.venue.worst == 0


def test_where_the_market_is_beyond_the_stop_none_is_put_back_that_would_be_refused() -> None:
    world = opened({"stop": "2 %", "max_bars": 1}, **SPOT)
    world.bar(100, 100.5, 99.5, 100)
    world.quote("100")
    world.deliver()
    world.settle_inbox()
    world.quote("97.5")
    world.deliver("refuse")
    assert not world.wire
    world.pass_s(2.1)
    world.quote("97.5")
    (_, again), *_ = world.wire
    assert isinstance(again, said.OrderIntended) and again.intent.type is OrderType.MARKET


def test_a_close_that_waits_for_its_price_makes_way_where_the_stop_needs_what_it_holds() -> None:
    world = opened({"stop": "2 %"}, **SPOT)
    (stop,) = world.venue.exits()
    world.venue.cancel(stop.intent.client_order_id)  # past us, and what was closed by hand takes its place
    meant = closing_by_hand(world, "110")
    world.say(meant)
    live = world.venue.take(meant.intent)
    world.say(said.OrderAccepted(account=ACCOUNT, client_order_id="out", venue_order_id=live.venue_id))
    world._report("out")
    world._report(stop.intent.client_order_id)
    world.settle()
    assert world.stops() == [("98.0", "1")] and len(world.venue.exits()) == 1
    assert [c.says for c in world.said(said.CancelWanted)] == ["the protective stop needs what it holds"]
    assert world.venue.worst == 0


@pytest.mark.parametrize("can", [{}, SPOT])
@pytest.mark.parametrize("is_lost", [False, True])
def test_an_exit_that_waits_goes_with_its_position_and_does_not_close_the_next_one(
    can: dict[str, Any], is_lost: bool
) -> None:
    world = opened({"stop": "2 %"}, **can)
    meant = closing_by_hand(world, "110")
    world.say(meant)
    live = world.venue.take(meant.intent)
    world.say(said.OrderAccepted(account=ACCOUNT, client_order_id="out", venue_order_id=live.venue_id))
    world._report("out")
    world.settle()
    (stop,) = world.venue.exits(OrderType.STOP)
    world.fill(stop.intent.client_order_id, "1", "97.9")
    world.quote("105")
    if is_lost:  # the cancel never arrives, and the next position is there before it is asked again
        world.deliver("lost")
        world.fill(world.enter("1", signal="s3"), "1", "105")
    world.settle()
    assert not world.venue.orders["out"].status.is_open
    if not is_lost:
        world.fill(world.enter("1", signal="s3"), "1", "105")
        world.settle()
    assert world.stops() == [("102.9", "1")] and len(world.venue.exits()) == 1


def test_who_flattens_is_not_hindered_where_the_stop_holds_what_is_sold() -> None:
    world = opened({"stop": "2 %"}, **SPOT)
    world.say(said.CommandReceived(command_id="c", name="flatten", arguments=(("scope", "node"),), by="person"))
    world.venue.cancel(world.venue.exits()[0].intent.client_order_id)
    for state in world.ledger.snapshot().open_orders(ACCOUNT):
        world._report(state.client_order_id)
    world.quote("100")
    assert not world.wire
    world.say(said.CommandDone(command_id="c", done=True, says=""))
    assert len(world.wire) == 1


def test_tickets_are_closed_each_by_its_own() -> None:
    world = World({"stop": "2 %"}, position_mode=PositionMode.HEDGING)
    world.quote("100")
    name = world.enter("1")
    world.fill(name, "0.4", position_id="t1")
    world.fill(name, "0.6", position_id="t2")
    assert not world.wire  # nothing that rests can close a ticket
    world.quote("97.9")
    sent = [m.intent for _, m in world.wire if isinstance(m, said.OrderIntended)]
    assert [(i.position_id, i.qty, i.type) for i in sent] == [
        ("t1", D("0.4"), OrderType.MARKET), ("t2", D("0.6"), OrderType.MARKET),
    ]  # fmt: skip
    assert len({i.client_order_id for i in sent}) == 2


def test_a_position_of_a_bot_that_is_gone_raises_an_alarm() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "1")
    held = world.held
    held.preset = None
    world.stage.look()
    assert [a.kind for a in world.said(said.AlarmRaised)] == ["nobodys"]


def test_a_closed_position_tells_r_excursions_and_reason() -> None:
    world = opened({"stop": "2 %"})
    world.bar(100, 103, 99, 102)
    stop = world.venue.exits(OrderType.STOP)[0]
    world.fill(stop.intent.client_order_id, "1", "97.5")
    (told,) = world.said(said.PositionClosed)
    assert (told.realized_pnl, told.r_multiple, told.reason) == (D("-2.5"), D("-1.25"), "stop")
    assert (told.mfe, told.mae) == (D(3), D("-2.5"))
    assert (told.qty, told.entry_price, told.exit_price) == (D(1), D(100), D("97.5"))


def test_a_position_that_was_partly_taken_over_has_no_profit_that_anybody_knows() -> None:
    world = opened({"stop": "2 %"})
    world.say(
        said.PositionAdjusted(account=ACCOUNT, bot=BOT, symbol=SYMBOL, qty=D(-1), price=None, says="closed by hand")
    )
    (told,) = world.said(said.PositionClosed)
    assert (told.realized_pnl, told.r_multiple, told.reason) == (None, None, "adjusted")
    world.settle()
    assert world.said(said.CancelWanted)


def test_unprotected_time_is_counted_from_the_first_fill() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "1")
    world.pass_s(0.25)
    world.deliver()
    world.pass_s(0.25)
    world.settle_inbox()
    exposure = world.stage.positions.exposure
    assert exposure.unprotected_ms == [500.0] and exposure.unconfirmed_ms == [500.0]
    world.restart()
    assert world.stage.positions.exposure.unprotected_ms == [500.0]


def test_a_position_that_nothing_stops_for_too_long_raises_an_alarm_once() -> None:
    world = World({"stop": "2 %"})
    world.fill(world.enter("1"), "1")
    world.pass_s(0.9)
    world.stage.look()
    assert world.said(said.AlarmRaised) == []
    world.pass_s(0.2)
    world.stage.look()
    world.stage.look()
    (alarm,) = world.said(said.AlarmRaised)
    assert (alarm.kind, alarm.severity, alarm.about) == ("unprotected", Severity.CRITICAL, " ".join(KEY))  # type: ignore[arg-type]


def test_time_in_which_the_engine_was_not_there_counts_as_unprotected_where_it_was_the_one_to_watch() -> None:
    world = World({"stop": "2 %"}, **NO_STOPS)
    world.quote("100")
    world.fill(world.enter("1"), "1")
    assert world.held.protection is Protection.HERE
    world.pass_s(60)
    world.restart()
    world.quote("100")
    assert world.stage.positions.exposure.unprotected_ms == [0.0, 60_000.0]


def test_a_person_is_told_near_the_stop_and_the_target_in_r() -> None:
    world = opened(LADDER)
    world.quote("98.3")
    world.quote("98.15")
    world.quote("101.85")
    alarms = world.said(said.AlarmRaised)
    assert [(a.kind, a.severity) for a in alarms] == [("near_stop", Severity.INFO), ("near_target", Severity.INFO)]
    assert alarms[0].says.startswith("0.08 R from its stop")


def test_what_should_stand_is_told_once_for_each_change() -> None:
    world = opened(LADDER)
    told = world.said(said.PositionModified)
    assert [(m.says, m.qty, m.stop_price, m.target_price) for m in told] == [("opened", D(1), D(98), D(102))]
    world.stage.look()
    assert len(world.said(said.PositionModified)) == 1


def test_a_position_keeps_the_plan_it_was_opened_on_when_its_preset_is_edited_and_the_next_takes_the_new_one() -> None:
    world = opened({"stop": "2 %", "targets": ["2 r"], "trail": {"distance": "4 %"}})
    world.settle()
    assert world.stops() == [("98.0", "1")] and world.targets() == [("104.0", "1")]
    before = world.held.levels()
    world.exits = {"stop": "10 %", "targets": ["0.5 r"], "max_bars": 1}
    world.restart()
    world.settle()
    assert world.held.levels() == before
    assert world.stops() == [("98.0", "1")] and world.targets() == [("104.0", "1")]
    world.bar(100, 103, 99.5, 103)  # 103 x 0.96 = 98.88, towards the market; the new plan would leave now
    world.settle()
    assert [price for price, _ in world.stops()] == ["98.9"]
    world.fill(world.venue.exits(OrderType.STOP)[0].intent.client_order_id, "1", "98.9")
    assert world.said(said.PositionClosed)[0].r_multiple == D("-0.55")  # of the 2.00 that the first stop risked
    world.fill(world.enter("1", signal="s2"), "1")
    world.settle()
    assert world.stops() == [("90.0", "1")] and world.targets() == [("105.0", "1")]


def test_an_entry_that_rests_while_its_preset_is_edited_keeps_the_plan_of_its_signal() -> None:
    world = World({"stop": "2 %", "targets": ["2 r"]})
    name = world.enter("1", price="100")
    plan = written_plan(world.stage._desk.config.presets["p"].exits)
    world.say(said.RiskCalculated(bot=BOT, signal_id="s1", verdict=Pass(), plan=plan))
    world.exits = {"stop": "10 %", "targets": ["0.5 r"]}
    world.restart()
    world.fill(name, "1")
    world.settle()
    assert world.stops() == [("98.0", "1")] and world.targets() == [("104.0", "1")]


def test_a_position_keeps_the_costs_that_were_declared_when_it_was_opened() -> None:
    world = World({"stop": "2 %", "break_even": "1 r"}, settings={"costs": {ACCOUNT: {"fees": 0.001}}})
    world.fill(world.enter("1"), "1")
    world.settle()
    world.bar(100, 103, 99.5, 103)
    world.settle()
    even = world.stops()
    world.settings = {"costs": {ACCOUNT: {"fees": 0.01}}}
    world.restart()
    world.settle()
    assert world.stops() == even == [("100.3", "1")]  # 100 x 1.001 / 0.999 = 100.2002, on the next tick
