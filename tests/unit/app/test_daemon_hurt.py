"""What hurts a daemon from outside ends it in good order or is refused: it never lives on as if nothing were wrong."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import insert

from tests.unit.app.engine_beside import Beside, alarm, daemon_beside
from tests.unit.spine.world import intended, order
from tradelab.app import cli
from tradelab.app.daemon_views import _order
from tradelab.app.run_folder import RunFolder
from tradelab.model.errors import ConfigError, ConnectivityError, InvariantError, ParameterError, StorageError
from tradelab.model.orders import OrderStatus
from tradelab.model.states import TradingState
from tradelab.spine.order_life import Phase
from tradelab.spine.snapshot import OrderState
from tradelab.store import schema
from tradelab.store.commands import Commands
from tradelab.store.database import Database
from tradelab.store.states import TradingStates

WAIT_S = 60.0
HALF = "\ud800"  # of a pair of surrogates: JSON can hold it, no file can


def until(what: str, holds: Any) -> None:
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.02)


def fill_the_disk(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be kept any more."""

    def full(*_: Any) -> Any:
        raise StorageError("cannot append to the journal: the disk is full.", fix="Make room.")

    monkeypatch.setattr(beside.node.bus._keeper, "writing", full)


# ── records that cannot be written ───────────────────────────────────────────────────────────────────────────────────


def test_an_engine_that_can_keep_nothing_more_ends_with_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with daemon_beside(file) as beside:
        fill_the_disk(beside, monkeypatch)
        with pytest.raises(StorageError, match="disk is full"):
            beside.do(lambda: beside.node.bus.say(alarm(1)))
        beside.join()
        assert beside.code == 1


def test_an_alarm_that_cannot_be_kept_does_not_keep_a_failed_engine_alive(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with daemon_beside(file) as beside:
        fill_the_disk(beside, monkeypatch)
        beside.do(lambda: beside.node._failed_itself("leases", StorageError("the disk is full.", fix="Make room.")))
        beside.join()
        assert beside.code == 1


def test_a_halt_that_a_stopped_engine_refuses_is_written_into_the_records(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise InvariantError("the bus has stopped: what was said last could not be kept.", fix="Start it again.")

    monkeypatch.setattr(beside.daemon.desk, "do", refuse)
    told = CliRunner().invoke(cli.main, ["halt", "--why", "the disk"])
    assert told.exit_code == 0
    assert "Written into the records instead" in told.stderr
    with Database() as database:
        assert TradingStates(database, "paper").read()["node"].state is TradingState.HALTED


def test_what_is_to_be_done_about_a_silent_engine_is_a_command_that_there_is(beside: Beside) -> None:
    RunFolder("paper").socket.unlink()  # nobody can reach it any more, and it lives
    with pytest.raises(ConnectivityError) as silent:
        beside.handle.snapshot()
    words = silent.value.fix.split("past it: tradelab ")[1].split()
    told = CliRunner().invoke(cli.main, words)
    assert (told.exit_code, "paper: node is halted by" in told.stdout) == (0, True), told.output


# ── what somebody else wrote ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("written", ["not json", '"halt"', "[]", "null", "[" * 20_000])
def test_a_row_that_is_no_command_is_answered_and_holds_up_none_behind_it(beside: Beside, written: str) -> None:
    with Database() as database:
        commands = Commands(database, "paper")
        row = {"id": "bad", "node": "paper", "name": "halt", "arguments": written, "by": "bob", "at_ns": time.time_ns()}
        with database.writing("write a row into") as transaction:
            transaction.execute(insert(schema.commands).values(**row))
        commands.ask("good", "pause", {"bot": "eurusd"}, by="bob")
        until("both answers", lambda: all(commands.get(id).done is not None for id in ("bad", "good")))  # type: ignore[union-attr]
        assert commands.get("good").says == "bot eurusd is paused"  # type: ignore[union-attr]


def test_an_errand_that_fails_in_a_way_nobody_thought_of_is_told_and_tried_again(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, failures = beside.daemon.desk._states.read, [RuntimeError("what nobody thought of")]

    def fails_once(*given: Any) -> Any:
        if failures:
            raise failures.pop()
        return look(*given)

    monkeypatch.setattr(beside.daemon.desk._states, "read", fails_once)
    until("the failure", lambda: not failures)
    with Database() as database:
        TradingStates(database, "paper").tighten("node", TradingState.HALTED, by="bob", says="past it")
    until("the halt", lambda: beside.handle.snapshot()["state"] == "halted")


@pytest.mark.parametrize(
    "body",
    [
        {"id": HALF, "name": "halt"}, {"id": "a", "name": "halt", "by": HALF}, {"id": "b", "name": f"halt{HALF}"},
        {"id": "c", "name": "halt", "arguments": {"says": HALF}}, {"id": "d", "name": "x", "arguments": {HALF: "y"}},
    ],
)  # fmt: skip
def test_half_a_character_is_refused_in_words(beside: Beside, body: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=r"is no text: it has half of a character\. Send UTF-8"):
        beside.handle._line.ask("POST", "/command", body)
    assert beside.handle.health()["ok"]


@pytest.mark.parametrize("number", ["99999999999999999999999999", "9" * 5000])
def test_a_reader_is_told_that_there_is_no_such_message(beside: Beside, number: str) -> None:
    with pytest.raises(ConfigError, match="number is a whole one"):
        next(beside.handle._line.listen("/events", number, silence_s=5))  # type: ignore[arg-type]
    last = beside.node.ledger.seq
    with pytest.raises(ParameterError, match=rf"no message {last + 1}: the journal ends with {last}\..*behind 0"):
        next(beside.handle.events(last + 1))


def test_brackets_without_end_are_no_json(beside: Beside) -> None:
    import http.client
    import socket

    line = socket.socket(socket.AF_UNIX)
    line.connect(beside.handle._line.address.socket or "")
    asked = http.client.HTTPConnection("x")
    asked.sock = line
    asked.request("POST", "/command", "[" * 30_000)
    answer = asked.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]) == (400, "ParameterError")
    asked.close()


# ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_that_was_changed_is_shown_as_the_venue_has_it() -> None:
    meant = OrderState(intended(), Phase.OPEN, 1)
    assert _order(meant)["qty"] == "1"
    told = order(status=OrderStatus.NEW, qty=Decimal("0.4"), stop_price=Decimal(99))
    shown = _order(OrderState(intended(), Phase.OPEN, 1, told=told))
    assert SimpleNamespace(**shown).qty == "0.4"
    assert SimpleNamespace(**shown).stop_price == "99"
