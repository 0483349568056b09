"""What is true after what was said."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest

from tests.unit.spine import world
from tests.unit.spine.world import D
from tradelab.model import messages as said
from tradelab.model.account import AccountInfo
from tradelab.model.errors import InvariantError
from tradelab.model.messages import Message, Recorded
from tradelab.model.orders import OrderStatus, Side
from tradelab.model.outcome import RefusalCode
from tradelab.model.signal import DropCode
from tradelab.model.states import BotStatus, Leg, TradingState
from tradelab.spine.kept import RECENT
from tradelab.spine.ledger import Ledger
from tradelab.spine.order_life import Phase
from tradelab.spine.positions import Round
from tradelab.spine.snapshot import OrderState, PositionKey, Snapshot

KEY = PositionKey("paper", "bot", "BTC/USDT")
ACCEPTED = said.OrderAccepted(account="paper", client_order_id="o1", venue_order_id="v-o1")
UNKNOWN = said.OrderUnknown(account="paper", client_order_id="o1", says="timed out", request_ends_ns=9)
ABSENT = said.OrderAbsent(account="paper", client_order_id="o1", venue_time_ns=10)
AGAIN = said.OrderSentAgain(account="paper", client_order_id="o1")
ABANDONED = said.OrderAbandoned(account="paper", client_order_id="o1", says="too late")


def refused(code: RefusalCode = RefusalCode.MIN_QTY, after_s: float | None = None) -> said.OrderRefused:
    return said.OrderRefused(account="paper", client_order_id="o1", code=code, says="no", retry_after_s=after_s)


def ledger_of(*messages: Message, ledger: Ledger | None = None) -> Ledger:
    ledger = ledger or Ledger()
    for message in messages:
        ledger.fold(Recorded(ledger.seq + 1, 100 + ledger.seq, 1_000 + ledger.seq, None, message))
    return ledger


def after(*messages: Message) -> OrderState:
    found = ledger_of(world.LISTED, world.intended(), *messages).order("o1")
    assert found is not None
    return found


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("messages", "phase"),
    [
        ([], Phase.INTENDED),
        ([ACCEPTED], Phase.OPEN),
        ([refused()], Phase.REFUSED),
        ([UNKNOWN], Phase.UNKNOWN),
        ([UNKNOWN, ABSENT], Phase.ABSENT),
        ([UNKNOWN, ABSENT, AGAIN], Phase.INTENDED),
        ([UNKNOWN, ABSENT, ABANDONED], Phase.ABANDONED),
        ([UNKNOWN, world.reported()], Phase.OPEN),
        ([world.reported("o1", OrderStatus.FILLED, "1"), ACCEPTED], Phase.CLOSED),
        ([world.reported(), refused()], Phase.OPEN),  # the venue has it, whatever the answer was
        ([UNKNOWN, AGAIN], Phase.UNKNOWN),  # never sent again while nobody knows
        ([ACCEPTED, ABSENT], Phase.OPEN),
        ([UNKNOWN, ABSENT, ABANDONED, world.reported()], Phase.OPEN),  # the venue's word wins
        ([world.reported("o1", OrderStatus.CANCELLED), world.reported()], Phase.CLOSED),
        ([UNKNOWN, ABSENT, world.traded("1", "1", "100")], Phase.OPEN),  # what trades is there
        ([UNKNOWN, ABSENT, world.traded("1", "1", "100"), AGAIN], Phase.OPEN),  # and is not sent again
        ([world.reported("o1", OrderStatus.CANCELLED), world.traded("1", "1", "100")], Phase.CLOSED),
    ],
)
def test_an_order_is_where_the_last_legal_move_left_it(messages: list[Message], phase: Phase) -> None:
    assert after(*messages).phase is phase


def test_an_older_report_that_was_overtaken_changes_nothing() -> None:
    new = world.reported("o1", OrderStatus.PARTIALLY_FILLED, "0.5", updated_ns=9)
    assert after(new, world.reported("o1", OrderStatus.NEW, "0", updated_ns=8)).told == new.order
    assert after(new, dataclasses.replace(new, order=dataclasses.replace(new.order, updated_ns=7))).told == new.order
    closed = world.reported("o1", OrderStatus.FILLED, "1")
    assert after(closed, new).told == closed.order


def test_what_an_order_may_still_trade_is_the_venues_size_less_what_is_booked() -> None:
    assert after().leaves_qty == 1
    smaller = world.reported("o1", OrderStatus.NEW, "0", qty=D("0.8"))
    assert after(smaller, world.traded("1", "0.3", "100")).leaves_qty == D("0.5")
    assert after(world.reported("o1", OrderStatus.CANCELLED)).leaves_qty == 0
    assert after(world.traded("1", "1", "100"), world.traded("2", "1", "100")).leaves_qty == 0


def test_an_order_is_found_by_the_venues_name_too_once_it_was_told() -> None:
    ledger = ledger_of(world.LISTED, world.intended(), ACCEPTED)
    assert ledger.order_of("paper", None, "v-o1") == ledger.order("o1")
    assert ledger.order_of("paper", "somebody-elses", "v-9") is None
    assert ledger.order_of("other", None, "v-o1") is None


def test_an_order_of_somebody_else_is_shown_while_it_is_open() -> None:
    ledger = ledger_of(world.LISTED, world.reported(None))
    assert ("paper", "v-None") in ledger.snapshot().foreign_orders
    ledger_of(world.reported(None, OrderStatus.CANCELLED), ledger=ledger)
    assert not ledger.snapshot().foreign_orders


def test_a_report_that_came_before_we_knew_the_venues_name_makes_no_stranger_of_our_order() -> None:
    ledger = ledger_of(world.LISTED, world.intended(), world.reported(None, venue_order_id="v-o1"), ACCEPTED)
    assert not ledger.snapshot().foreign_orders


def test_who_is_being_cancelled_is_known_until_the_venue_says_no() -> None:
    asked = said.CancelIntended(account="paper", ref=world.order().ref, says="")
    answer = said.RequestAnswered(account="paper", ref=world.order().ref, known=True, code=None, says="")
    no = dataclasses.replace(answer, code=RefusalCode.RATE_LIMITED)
    assert after(ACCEPTED, asked).cancelling
    assert after(ACCEPTED, asked, answer).cancelling
    assert not after(ACCEPTED, asked, no).cancelling


def test_when_a_refused_order_may_be_tried_again_is_counted_from_the_answer() -> None:
    order = after(refused(RefusalCode.RATE_LIMITED, after_s=2.5))
    assert order.retry_ns == 1_002 + 2_500_000_000
    assert order.refused is RefusalCode.RATE_LIMITED
    again = after(refused(RefusalCode.RATE_LIMITED), AGAIN)
    assert (again.refused, again.retry_ns, again.asked_ns) == (None, None, 1_003)


@pytest.mark.parametrize("message", [ACCEPTED, refused(), UNKNOWN, ABSENT, AGAIN, ABANDONED])
def test_what_was_never_intended_cannot_have_been_answered(message: Message) -> None:
    with pytest.raises(InvariantError, match=r"'o1' is .*, and was never intended"):
        ledger_of(message)


def test_nothing_is_intended_twice_however_long_ago_it_ended() -> None:
    ledger = ledger_of(world.LISTED, world.intended(), world.reported("o1", OrderStatus.CANCELLED))
    for number in range(RECENT + 1):
        name = f"later{number}"
        ledger_of(world.intended(name), world.reported(name, OrderStatus.CANCELLED), ledger=ledger)
    assert "o1" not in ledger.snapshot().orders
    with pytest.raises(InvariantError, match="'o1' was intended twice"):
        ledger_of(world.intended(), ledger=ledger)


# ── signals, commands, states ────────────────────────────────────────────────────────────────────────────────────────


def dropped(name: str = "s1") -> said.SignalDropped:
    return said.SignalDropped(bot="bot", signal_id=name, by="risk", code=DropCode.SPREAD, says="")


def test_a_signal_is_pending_until_it_is_dropped_or_has_become_an_order() -> None:
    raised = said.SignalRaised(world.signal())
    assert ledger_of(raised).snapshot().signals["s1"].is_pending
    assert ledger_of(raised, dropped()).snapshot().signals["s1"].dropped is DropCode.SPREAD
    assert ledger_of(raised, world.intended()).snapshot().signals["s1"].client_order_id == "o1"


def test_what_a_signal_led_to_stays_when_its_stop_is_ordered_and_when_it_is_raised_or_dropped_again() -> None:
    raised = said.SignalRaised(world.signal())
    ledger = ledger_of(raised, world.intended(), world.intended("o2", leg=Leg.STOP), dropped(), raised)
    state = ledger.signal("s1")
    assert state is not None
    assert (state.client_order_id, state.dropped) == ("o1", None)


def test_a_command_sent_twice_keeps_its_first_answer() -> None:
    received = said.CommandReceived(command_id="c", name="halt", arguments=(), by="ada")
    done = said.CommandDone(command_id="c", done=True, says="halted")
    ledger = ledger_of(received)
    assert ledger.has_command("c")
    assert ledger.command("c") is None
    ledger_of(done, received, ledger=ledger)
    assert ledger.command("c") == (True, "halted")
    assert ledger.snapshot().commands == {"c": (True, "halted")}


def test_the_strictest_state_of_node_account_and_bot_counts() -> None:
    def changed(scope: str, state: TradingState) -> said.TradingStateChanged:
        return said.TradingStateChanged(scope=scope, state=state, by="risk", says="")

    ledger = ledger_of(changed("account paper", TradingState.REDUCING), changed("bot bot", TradingState.HALTED))
    snapshot = ledger.snapshot()
    assert snapshot.state() is TradingState.ACTIVE
    assert snapshot.state("account paper") is TradingState.REDUCING
    assert snapshot.state("account paper", "bot bot") is TradingState.HALTED
    ledger_of(changed("node", TradingState.HALTED), ledger=ledger)
    assert ledger.snapshot().state("account other") is TradingState.HALTED


def test_after_a_start_no_account_is_known_to_agree_with_its_venue() -> None:
    info = AccountInfo(balances=(), ts_ns=1, equity=D(5))
    ended = said.ReconcileEnded(account="paper", agreed=True, complete=True, findings=("adopted",))
    ledger = ledger_of(said.AccountReported(account="paper", info=info), ended)
    state = ledger.snapshot().accounts["paper"]
    assert (state.reconciling, state.findings, state.info) == (False, ("adopted",), info)
    ledger_of(said.NodeStarted(version="1", host="h", pid=1, modules=()), ledger=ledger)
    assert ledger.snapshot().accounts["paper"].reconciling


def test_a_comparison_that_could_not_be_completed_agrees_with_nothing() -> None:
    failed = said.ReconcileEnded(account="paper", agreed=False, complete=False, findings=("no answer",))
    assert ledger_of(failed).snapshot().accounts["paper"].reconciling


# ── fills ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fills_make_positions_and_rounds() -> None:
    ledger = ledger_of(world.LISTED, world.intended(), world.traded("1", "1", "100"))
    assert ledger.snapshot().positions[KEY].qty == 1
    assert ledger.snapshot().held("paper", "BTC/USDT") == 1
    ledger_of(world.traded("2", "1", "103", Side.SELL, client_order_id=None), ledger=ledger)
    assert not ledger.snapshot().positions
    assert ledger.snapshot().closed_rounds[KEY] == ledger.closed(KEY)
    assert ledger.closed(KEY)[0].pnl() == 3
    assert ledger.position(KEY) == Round()
    assert ledger.has_fill("paper", "BTC/USDT", "2")


def test_a_late_fill_opens_a_round_that_was_over_again_in_what_is_shown() -> None:
    ledger = ledger_of(world.LISTED, world.traded("1", "1", "100"), world.traded("9", "1", "103", Side.SELL))
    ledger_of(world.traded("5", "1", "101"), ledger=ledger)
    assert ledger.snapshot().closed_rounds[KEY] == ()
    assert ledger.snapshot().positions[KEY].qty == 1


def test_the_same_fill_twice_is_our_mistake() -> None:
    with pytest.raises(InvariantError, match="fill '1' of BTC/USDT on 'paper' was booked twice"):
        ledger_of(world.LISTED, world.traded("1", "1", "100"), world.traded("1", "1", "100"))


def test_what_was_never_listed_cannot_have_traded() -> None:
    with pytest.raises(InvariantError, match="was traded, and was never listed"):
        ledger_of(world.traded("1", "1", "100"))


def test_what_the_venue_holds_more_is_an_adjustment_and_no_fill() -> None:
    adjusted = said.PositionAdjusted(
        account="paper", bot=None, symbol="BTC/USDT", qty=D(2), price=D(50), says="bought by hand"
    )
    ledger = ledger_of(world.LISTED, world.traded("1", "1", "100"), adjusted)
    assert ledger.snapshot().held("paper", "BTC/USDT") == 3
    nobodys = ledger.position(PositionKey("paper", None, "BTC/USDT"))
    assert (nobodys.adjusted, nobodys.pnl(D(60))) == (True, None)


# ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_messages_are_folded_in_order_and_none_is_left_out() -> None:
    ledger = ledger_of(world.LISTED)
    with pytest.raises(InvariantError, match="message 3 was folded after 1"):
        ledger.fold(Recorded(3, 0, 0, None, world.LISTED))


def test_asked_twice_with_nothing_said_in_between_it_is_the_same_object() -> None:
    ledger = ledger_of(world.LISTED)
    assert ledger.snapshot() is ledger.snapshot()


def _everything(snapshot: Snapshot) -> dict[str, Any]:
    told = {field.name: getattr(snapshot, field.name) for field in dataclasses.fields(snapshot)}
    return {name: dict(value) if hasattr(value, "items") else value for name, value in told.items()}


def _life(number: int) -> Iterable[Message]:
    name, trade = f"o{number}", str(number)
    yield said.SignalRaised(world.signal(f"s{number}"))
    yield world.intended(name, f"s{number}")
    yield world.reported(name)
    side = Side.BUY if number % 2 else Side.SELL
    yield world.traded(trade, "1", "100", side, client_order_id=name, venue_order_id=f"v-{name}")
    yield world.reported(name, OrderStatus.FILLED, "1")
    yield said.BotStatusChanged(bot="bot", status=list(BotStatus)[number % 3], by="test")
    yield said.CommandReceived(command_id=name, name="pause", arguments=(), by="ada")
    yield said.CommandDone(command_id=name, done=True, says="")
    yield world.reported(None, venue_order_id=f"foreign{number % 4}")
    yield world.reported(None, OrderStatus.CANCELLED, venue_order_id=f"foreign{number % 3}")


def test_a_snapshot_never_changes_whatever_is_said_later() -> None:
    ledger = ledger_of(world.LISTED)
    taken = []
    for number in range(12):
        for message in _life(number):
            ledger_of(message, ledger=ledger)
            taken.append((ledger.snapshot(), _everything(ledger.snapshot())))
    assert all(_everything(snapshot) == told for snapshot, told in taken)
    with pytest.raises(TypeError):
        taken[-1][0].orders["o1"] = None  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        taken[-1][0].seq = 0  # type: ignore[misc]


def test_what_is_settled_leaves_the_snapshot_and_is_known_for_ever() -> None:
    ledger = ledger_of(world.LISTED, world.intended("open"))
    for number in range(RECENT + 10):
        ledger_of(*_life(number), ledger=ledger)
    snapshot = ledger.snapshot()
    assert len(snapshot.orders) == len(snapshot.signals) + 1 == len(snapshot.commands) + 1 == RECENT + 1
    assert "open" in snapshot.orders
    assert f"o{RECENT + 9}" in snapshot.orders
    assert "o9" not in snapshot.orders
    for number in range(RECENT + 10):
        assert ledger.order(f"o{number}").phase is Phase.CLOSED  # type: ignore[union-attr]
        assert ledger.signal(f"s{number}") is not None
        assert ledger.command(f"o{number}") == (True, "")
        assert ledger.has_fill("paper", "BTC/USDT", str(number))


def test_a_closed_order_whose_fills_are_not_all_booked_stays_in_the_snapshot() -> None:
    ledger = ledger_of(world.LISTED, world.intended(), world.reported("o1", OrderStatus.FILLED, "1"))
    for number in range(2, RECENT + 10):
        ledger_of(*_life(number), ledger=ledger)
    assert "o1" in ledger.snapshot().orders
    ledger_of(world.traded("1", "1", "100"), ledger=ledger)
    for number in range(RECENT + 10, 2 * RECENT + 20):
        ledger_of(*_life(number), ledger=ledger)
    assert "o1" not in ledger.snapshot().orders
