"""The bus keeps, then folds, then tells; what is not kept was not said, and what is done in the world comes last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.spine import world
from tradelab.model.clock import ManualClock
from tradelab.model.errors import InvariantError, LeaseError, StorageError
from tradelab.model.messages import BotStatusChanged, CommandDone, Message, NodeStopped, Recorded
from tradelab.model.states import BotStatus
from tradelab.spine.bus import Bus, Keeping
from tradelab.spine.keeping import JournalKeeper, MemoryKeeper
from tradelab.spine.ledger import Ledger
from tradelab.store.database import Database
from tradelab.store.journal import Journal

STOPPED = NodeStopped(says="over")


def started(bot: str) -> BotStatusChanged:
    return BotStatusChanged(bot=bot, status=BotStatus.RUNNING, by="test")


def done(name: str) -> CommandDone:
    return CommandDone(command_id=name, done=True, says="")


class Log:
    """Writes down what happens, in order."""

    def __init__(self, keeper: Any = None) -> None:
        self.lines: list[str] = []
        self.clock = ManualClock(7)
        self.bus = Bus(Watched(self, keeper or MemoryKeeper()), self.note("fold"), self.clock)

    def note(self, who: str) -> Any:
        return lambda recorded: self.lines.append(f"{who} {recorded.seq} {type(recorded.message).__name__}")


class Watched:
    """A keeper whose every step is written down."""

    def __init__(self, log: Log, keeper: Any) -> None:
        self.log, self.keeper = log, keeper

    @contextmanager
    def writing(self) -> Iterator[Keeping]:
        with self.keeper.writing() as keeping:
            append = keeping.append

            def noted(message: Message, *times: Any) -> int:
                self.log.lines.append(f"keep {type(message).__name__}")
                return int(append(message, *times))

            keeping.append = noted
            try:
                yield keeping
            finally:
                keeping.append = append
        self.log.lines.append("commit")


def test_a_message_is_kept_then_folded_then_heard_then_shown_then_acted_on() -> None:
    log = Log()
    log.bus.hear(NodeStopped, log.note("first"))
    log.bus.hear(NodeStopped, lambda _: log.bus.then(lambda: log.lines.append("deed")))
    log.bus.hear(NodeStopped, log.note("second"))
    log.bus.look_on(log.note("shown"))
    log.bus.say(STOPPED)
    kept = ["keep NodeStopped", "fold 1 NodeStopped", "first 1 NodeStopped", "second 1 NodeStopped", "commit"]
    assert log.lines == [*kept, "shown 1 NodeStopped", "deed"]


def test_what_follows_is_said_in_the_same_transaction_after_all_have_heard_its_cause() -> None:
    log = Log()
    log.bus.hear(BotStatusChanged, lambda _: log.bus.say(done("a")))
    log.bus.hear(BotStatusChanged, log.note("heard"))
    log.bus.hear(CommandDone, lambda _: log.bus.say(STOPPED))
    log.bus.say(started("bot"))
    assert [line.split()[0] for line in log.lines] == [
        "keep",
        "fold",
        "heard",
        "keep",
        "fold",
        "keep",
        "fold",
        "commit",
    ]


def test_every_message_carries_what_it_followed_from() -> None:
    keeper = MemoryKeeper()
    bus = Bus(keeper, lambda _: None, ManualClock(7))
    bus.hear(BotStatusChanged, lambda _: [bus.say(done("a")), bus.say(done("b"))])  # type: ignore[func-returns-value]
    bus.hear(CommandDone, lambda heard: bus.say(STOPPED) if heard.message.command_id == "b" else None)
    bus.say(started("one"), ts_event_ns=3)
    bus.say(STOPPED)
    told = [(one.seq, type(one.message).__name__, one.cause, one.ts_event_ns, one.ts_init_ns) for one in keeper.said]
    assert told == [
        (1, "BotStatusChanged", None, 3, 7), (2, "CommandDone", 1, 7, 7), (3, "CommandDone", 1, 7, 7),
        (4, "NodeStopped", 3, 7, 7), (5, "NodeStopped", None, 7, 7),
    ]  # fmt: skip


def test_only_the_very_kind_is_heard() -> None:
    log = Log()
    log.bus.hear(Message, log.note("all"))
    log.bus.say(STOPPED)
    assert not any(line.startswith("all") for line in log.lines)


class Killed(BaseException):
    """What a process that is killed never gets past."""


def _kill(_: Any) -> None:
    raise Killed


def test_killed_in_the_middle_nothing_is_kept_nothing_done_nothing_shown_and_the_bus_goes_no_further(
    database: Database,
) -> None:
    journal = Journal(database, "node")
    bus = Bus(JournalKeeper(journal), lambda _: None, ManualClock(7))
    bus.say(started("before"))
    happened: list[str] = []
    bus.look_on(lambda recorded: happened.append("shown"))
    bus.hear(CommandDone, lambda _: bus.then(lambda: happened.append("deed")))
    bus.hear(CommandDone, lambda _: bus.say(STOPPED))
    bus.hear(NodeStopped, _kill)
    with pytest.raises(Killed):
        bus.say(done("x"))
    assert happened == []
    assert bus.is_broken
    assert [row.kind for row in Journal(database, "node").rows()] == ["BotStatusChanged"]
    assert journal.verify() == []
    with pytest.raises(InvariantError, match="the bus has stopped: what was said last could not be kept"):
        bus.say(started("after"))


def test_a_second_engine_that_wrote_meanwhile_stops_this_one_before_anything_is_done(database: Database) -> None:
    bus = Bus(JournalKeeper(Journal(database, "node")), lambda _: None, ManualClock(7))
    other = Bus(JournalKeeper(Journal(database, "node")), lambda _: None, ManualClock(7))
    other.say(STOPPED)
    deeds: list[str] = []
    bus.hear(NodeStopped, lambda _: bus.then(lambda: deeds.append("sent")))
    with pytest.raises(LeaseError, match="another engine named 'node'"):
        bus.say(STOPPED)
    assert (deeds, bus.is_broken) == ([], True)


def test_a_transaction_that_cannot_be_committed_is_as_if_nothing_had_been_said() -> None:
    class Full:
        @contextmanager
        def writing(self) -> Iterator[Keeping]:
            yield MemoryKeeper()
            raise StorageError("no room.")

    bus = Bus(Full(), lambda _: None, ManualClock())
    deeds: list[str] = []
    bus.hear(NodeStopped, lambda _: bus.then(lambda: deeds.append("sent")))
    with pytest.raises(StorageError, match="no room"):
        bus.say(STOPPED)
    assert (deeds, bus.is_broken) == ([], True)


def test_a_deed_that_nobody_speaks_of_is_done_at_once() -> None:
    deeds: list[str] = []
    Log().bus.then(lambda: deeds.append("done"))
    assert deeds == ["done"]


def test_a_deed_that_fails_keeps_no_other_from_being_done_and_stops_the_bus() -> None:
    log = Log()
    deeds: list[str] = []
    log.bus.hear(NodeStopped, lambda _: log.bus.then(lambda: 1 / 0))  # type: ignore[arg-type, return-value]
    log.bus.hear(NodeStopped, lambda _: log.bus.then(lambda: deeds.append("sent")))
    with pytest.raises(ZeroDivisionError):
        log.bus.say(STOPPED)
    assert (deeds, log.bus.is_broken) == (["sent"], True)


def test_a_deed_may_say_more_and_that_is_a_stimulus_of_its_own() -> None:
    keeper = MemoryKeeper()
    bus = Bus(keeper, lambda _: None, ManualClock())
    bus.hear(NodeStopped, lambda _: bus.then(lambda: bus.say(done("a"))))
    bus.say(STOPPED)
    assert [(type(one.message).__name__, one.cause) for one in keeper.said] == [
        ("NodeStopped", None),
        ("CommandDone", None),
    ]


def test_who_looks_on_may_say_nothing_and_one_that_fails_keeps_nobody_from_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Log()
    log.bus.look_on(lambda _: log.bus.say(done("influence")))
    log.bus.look_on(log.note("shown"))
    log.bus.hear(NodeStopped, lambda _: log.bus.then(lambda: log.lines.append("deed")))
    log.bus.say(STOPPED)
    log.bus.say(started("bot"))
    assert log.lines[-6:] == [
        "shown 1 NodeStopped", "deed", "keep BotStatusChanged", "fold 2 BotStatusChanged", "commit",
        "shown 2 BotStatusChanged",
    ]  # fmt: skip
    assert caplog.text.count("who looked on failed") == 1
    assert "CommandDone, and may say nothing" in caplog.text
    (lost,) = log.bus.lost_onlookers
    assert lost.endswith("failed (InvariantError) and is shown nothing more")


def test_what_who_looks_on_begins_comes_when_all_have_been_shown() -> None:
    log = Log()
    log.bus.look_on(lambda one: log.bus.then(lambda: log.bus.say(done("a"))) if one.seq == 1 else None)
    log.bus.look_on(log.note("shown"))
    log.bus.say(STOPPED)
    assert [line for line in log.lines if line.startswith("shown")] == ["shown 1 NodeStopped", "shown 2 CommandDone"]


def test_there_is_a_transaction_only_while_something_is_said(database: Database) -> None:
    bus = Bus(JournalKeeper(Journal(database, "node")), lambda _: None, ManualClock())
    seen: list[bool] = []
    bus.hear(NodeStopped, lambda _: seen.append(bus.transaction.in_transaction()))
    bus.say(STOPPED)
    assert seen == [True]
    with pytest.raises(InvariantError, match="there is no transaction"):
        _ = bus.transaction


def test_a_fill_is_booked_once_and_the_database_says_so_too(database: Database) -> None:
    def speak() -> Bus:
        return Bus(JournalKeeper(Journal(database, "node")), lambda _: None, ManualClock())

    speak().say(world.traded("1", "1", "100"))
    with pytest.raises(Exception, match=r"(?i)unique"):
        speak().say(world.traded("1", "1", "100"))
    assert Journal(database, "node").seq == 1


def test_a_replay_in_memory_books_no_fill_twice_either() -> None:
    bus = Bus(MemoryKeeper(), lambda _: None, ManualClock())
    bus.say(world.traded("1", "1", "100"))
    with pytest.raises(InvariantError, match="fill '1' of BTC/USDT on 'paper' was about to be booked twice"):
        bus.say(world.traded("1", "1", "100"))


def test_what_was_kept_is_read_again_as_it_was_said(database: Database) -> None:
    ledger = Ledger()
    bus = Bus(JournalKeeper(Journal(database, "node")), ledger.fold, ManualClock(5))
    shown: list[Recorded[Any]] = []
    bus.look_on(shown.append)
    bus.hear(BotStatusChanged, lambda _: bus.say(world.LISTED))
    bus.hear(BotStatusChanged, lambda _: bus.say(world.traded("1", "1", "100.00")))
    bus.say(started("bot"))
    again = list(JournalKeeper(Journal(database, "node")).recorded())
    assert again == shown
    assert list(JournalKeeper(Journal(database, "node")).recorded(after=2)) == shown[2:]


@settings(max_examples=200)
@given(tree=st.recursive(st.just(()), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=12))
def test_whatever_follows_from_whatever_causes_come_first_and_each_is_heard_once(tree: Any) -> None:
    """Each message is a tree, its handler says its branches: the order is level by level, and causes are parents."""
    keeper = MemoryKeeper()
    bus = Bus(keeper, lambda _: None, ManualClock())
    waiting: dict[str, Any] = {"0": tree}

    def heard(recorded: Recorded[CommandDone]) -> None:
        name = recorded.message.command_id
        for number, branch in enumerate(waiting[name]):
            waiting[f"{name}.{number}"] = branch
            bus.say(done(f"{name}.{number}"))

    bus.hear(CommandDone, heard)
    bus.say(done("0"))
    names = [one.message.command_id for one in keeper.said]
    assert names == sorted(waiting, key=lambda name: (name.count("."), [int(part) for part in name.split(".")]))
    for one in keeper.said[1:]:
        assert one.cause is not None
        assert keeper.said[one.cause - 1].message.command_id == one.message.command_id.rpartition(".")[0]
