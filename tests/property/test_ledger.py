"""What an engine knows while it runs is what it knows after it was killed and has read its journal, at every message.

Messages come in any order that a venue, its streams and our own restarts can bring about, most of them out of turn.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.spine import world
from tests.unit.spine.world import D
from tradelab.model import messages as said
from tradelab.model.clock import ManualClock
from tradelab.model.errors import InvariantError
from tradelab.model.messages import Message, Recorded
from tradelab.model.orders import OrderStatus, Side
from tradelab.model.outcome import RefusalCode
from tradelab.model.states import Leg
from tradelab.spine.bus import Bus
from tradelab.spine.codec import decode, encode
from tradelab.spine.keeping import JournalKeeper, MemoryKeeper
from tradelab.spine.ledger import Ledger
from tradelab.spine.order_life import MOVES, Phase
from tradelab.spine.snapshot import Snapshot
from tradelab.store.database import Database
from tradelab.store.journal import Journal

NAMES = ("o0", "o1", "o2")
_name = st.sampled_from(NAMES)
_told = st.fixed_dictionaries({"account": st.just("paper"), "client_order_id": _name})


def _answer(kind: type[Message], **more: Any) -> st.SearchStrategy[Message]:
    return _told.map(lambda told: kind(**told, **more))


@st.composite
def _reports(draw: st.DrawFn) -> Message:
    name, status = draw(_name), draw(st.sampled_from(OrderStatus))
    return world.reported(
        draw(st.sampled_from([name, None])), status, str(draw(st.integers(0, 4)) / 4), venue_order_id=f"v-{name}",
        updated_ns=draw(st.none() | st.integers(0, 5)), qty=D(draw(st.integers(1, 2))),
    )  # fmt: skip


@st.composite
def _trades(draw: st.DrawFn) -> Message:
    name = draw(_name)
    return world.traded(
        str(draw(st.integers(1, 12))), draw(st.sampled_from(["0.25", "1"])), "100.5", draw(st.sampled_from(Side)),
        client_order_id=draw(st.sampled_from([name, None])), venue_order_id=f"v-{name}", ts_ns=draw(st.integers(0, 9)),
        fee=D("0.0003"), fee_currency=draw(st.sampled_from(["USDT", "BTC", "BNB"])),
    )  # fmt: skip


_messages = st.one_of(
    _name.map(lambda name: said.SignalRaised(world.signal(f"s{name}"))),
    st.tuples(_name, st.sampled_from(Leg)).map(lambda told: world.intended(told[0], f"s{told[0]}", told[1])),
    _told.map(lambda told: said.OrderAccepted(**told, venue_order_id=f"v-{told['client_order_id']}")),
    _answer(said.OrderRefused, code=RefusalCode.MIN_QTY, says=""),
    _answer(said.OrderRefused, code=RefusalCode.OVERLOADED, says="", retry_after_s=0.5),
    _answer(said.OrderUnknown, says="", request_ends_ns=5),
    _answer(said.OrderAbsent, venue_time_ns=6),
    _answer(said.OrderSentAgain),
    _answer(said.OrderAbandoned, says=""),
    _answer(said.OrderVanished),
    _reports(),
    _trades(),
    st.builds(said.PositionAdjusted, account=st.just("paper"), bot=st.just("bot"), symbol=st.just("BTC/USDT"),
              qty=st.sampled_from([D(1), D("-0.5")]), price=st.none(), says=st.just("")),
    st.just(said.NodeStarted(version="1", host="h", pid=1, modules=())),
    st.just(said.ReconcileEnded(account="paper", agreed=True, complete=True, findings=())),
)  # fmt: skip


def _told_of(snapshot: Snapshot) -> dict[str, Any]:
    told = {field.name: getattr(snapshot, field.name) for field in dataclasses.fields(snapshot)}
    return {name: dict(value) if hasattr(value, "items") else value for name, value in told.items()}


def _taken(ledger: Ledger, recorded: Recorded[Any]) -> bool:
    """Whether a ledger takes a message; a copy of it is asked, for one that is refused has been counted."""
    it = recorded.message
    names = {getattr(it, "client_order_id", None)} & set(NAMES)
    if isinstance(it, said.OrderIntended):
        return ledger.order(it.intent.client_order_id) is None
    if isinstance(it, said.TradeExecuted):
        return not ledger.has_fill("paper", "BTC/USDT", it.fill.trade_id)
    return all(ledger.order(str(name)) is not None for name in names)


@settings(max_examples=400)
@given(messages=st.lists(_messages, max_size=40))
def test_reading_the_journal_again_gives_what_was_true_at_every_message(messages: list[Message]) -> None:
    live = Ledger()
    rows: list[tuple[Any, ...]] = []
    seen: list[Snapshot] = []
    for message in [world.LISTED, *messages]:
        recorded = Recorded(live.seq + 1, 10 + live.seq, 20 + live.seq, None, message)
        before = {name: live.order(name) for name in NAMES}
        if not _taken(live, recorded):
            continue
        live.fold(recorded)
        rows.append((recorded.seq, recorded.ts_event_ns, recorded.ts_init_ns, *encode(message)))
        seen.append(live.snapshot())
        for name in NAMES:
            _require_legal(before[name] and before[name].phase, live.order(name) and live.order(name).phase)  # type: ignore[union-attr]
    again = Ledger()
    for (seq, happened_ns, known_ns, kind, body), then in zip(rows, seen, strict=True):
        again.fold(Recorded(seq, happened_ns, known_ns, None, decode(kind, body)))
        assert _told_of(again.snapshot()) == _told_of(then)


def _require_legal(before: Phase | None, now: Phase | None) -> None:
    if before is None:
        assert now in (None, Phase.INTENDED)
    elif now is not before:
        assert now in {to for (start, _), to in MOVES.items() if start is before}
        assert before is not Phase.CLOSED  # nothing opens again


@settings(max_examples=300)
@given(messages=st.lists(_messages, max_size=30))
def test_what_a_ledger_refuses_is_only_what_no_engine_may_say(messages: list[Message]) -> None:
    ledger = Ledger()
    for message in [world.LISTED, *messages]:
        recorded = Recorded(ledger.seq + 1, 0, 0, None, message)
        taken = _taken(ledger, recorded)
        try:
            ledger.fold(recorded)
        except InvariantError:
            assert not taken
            return
        assert taken


def test_an_engine_that_was_killed_at_any_message_comes_back_knowing_what_it_knew(database: Database) -> None:
    script = [
        world.LISTED, said.SignalRaised(world.signal()), world.intended(),
        said.OrderUnknown(account="paper", client_order_id="o1", says="", request_ends_ns=4),
        world.traded("1", "0.5", "100"),
        world.reported("o1", OrderStatus.FILLED, "1"), world.traded("2", "0.5", "101"),
        world.traded("3", "1", "110", Side.SELL, client_order_id=None, venue_order_id="v-9"),
    ]  # fmt: skip
    live, memory = Ledger(), Ledger()
    bus = Bus(JournalKeeper(Journal(database, "node")), live.fold, ManualClock(7))
    replay = Bus(MemoryKeeper(), memory.fold, ManualClock(7))
    for message in script:
        bus.say(message)
        replay.say(message)
        after = Ledger()
        for recorded in JournalKeeper(Journal(database, "node")).recorded():
            after.fold(recorded)
        assert _told_of(after.snapshot()) == _told_of(live.snapshot()) == _told_of(memory.snapshot())
