"""What an engine has said is read back whole, or by kind, waited for, and shown in words."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.app.engine_beside import Beside, daemon_beside, write_file
from tests.unit.app.venue_beside import make_home
from tradelab.app.daemon_views import plain
from tradelab.app.handle import Handle
from tradelab.app.handle_history import History, gist
from tradelab.app.handle_http import Line
from tradelab.app.handle_views import Event
from tradelab.model.errors import ConnectivityError, UnknownNameError
from tradelab.model.messages import PositionClosed, RiskCalculated
from tradelab.model.signal import Drop, DropCode, Resize


def test_the_history_is_all_that_was_said_each_once_and_in_order(beside: Beside) -> None:
    beside.say(0, 700)  # more than a page of the journal
    history = beside.handle.history()
    assert [event.seq for event in history] == list(range(1, beside.node.ledger.seq + 1))
    assert history[-1].body["about"] == "number 699"


def test_behind_the_last_message_there_is_nothing_and_no_stream_is_waited_for(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = beside.handle.snapshot()["seq"]
    monkeypatch.setattr(Line, "listen", None)
    assert len(beside.handle.history(last)) == 0


def test_some_kinds_are_told_and_the_others_left_out(beside: Beside) -> None:
    beside.say(0, 5)
    beside.handle.halt(says="enough")
    told = beside.handle.history(kinds=["CommandReceived", "CommandDone"])
    assert [event.kind for event in told] == ["CommandReceived", "CommandDone"]
    assert [event.kind for event in beside.handle.history().of("CommandDone")] == ["CommandDone"]
    with pytest.raises(UnknownNameError, match="did you mean 'CommandDone'"):
        beside.handle.history(kinds=["CommandDune"])


def test_what_is_waited_for_is_among_what_is_returned(beside: Beside) -> None:
    before = beside.handle.snapshot()["seq"]
    later = threading.Timer(0.3, lambda: beside.say(0, 1))
    later.start()
    assert beside.handle.history(before, until="AlarmRaised")[-1].kind == "AlarmRaised"
    later.join()


def test_what_never_comes_is_waited_for_as_long_as_was_said(beside: Beside) -> None:
    assert "NodeStopped" not in {event.kind for event in beside.handle.history(until="NodeStopped", timeout_s=0.3)}


def test_it_is_a_table_with_the_words_that_matter_in_both_faces(beside: Beside) -> None:
    beside.handle.halt(says="<b>enough</b>")
    history = beside.handle.history(kinds=["CommandReceived", "TradingStateChanged", "CommandDone"])
    assert "halt says=<b>enough</b> scope=node" in repr(history)
    assert "done: node is halted" in repr(history)
    shown = history._repr_html_()
    assert "<b>enough" not in shown
    assert "&lt;b&gt;enough" in shown
    assert "3 messages" in shown
    assert repr(History(())) == "nothing was said"


def test_a_silent_daemon_is_waited_for_as_long_as_was_said_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_home(tmp_path / "home", monkeypatch)
    now, waited = [0.0], []

    def silent(_: object, method: str, path: str, body: object, *, timeout_s: float) -> object:
        waited.append(timeout_s)
        now[0] += timeout_s
        raise ConnectivityError("timed out")

    monkeypatch.setattr("tradelab.app.handle.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(Line, "ask", silent)
    with pytest.raises(ConnectivityError, match="Ask again with id='c-1': it is done once"):
        Handle("paper", sleep=lambda _: None).command("halt", id="c-1", timeout_s=5.0)
    assert waited == [5.0]


def test_each_message_of_a_trade_is_said_in_the_words_of_a_ticket() -> None:
    risk = RiskCalculated(bot="b", signal_id="s", verdict=Drop(DropCode.HALTED, "the node is halted"))
    half = RiskCalculated(bot="b", signal_id="s", verdict=Resize(Decimal("0.5"), "the cap of the symbol"))
    over = PositionClosed(
        account="a", bot="b", symbol="X", opened_ns=1, closed_ns=2, qty=Decimal(1), entry_price=Decimal(10),
        exit_price=Decimal(12), realized_pnl=Decimal("1.9"), fees=Decimal("0.1"), reason="target",
        r_multiple=Decimal("1.9"),
    )  # fmt: skip
    said = [gist(Event(1, type(message).__name__, plain(message))) for message in (risk, half, over)]
    assert said == [
        "b: dropped, halted (the node is halted)", "b: at 0.5 of its size", "X by target: 1.9 after fees, +1.90 R",
    ]  # fmt: skip


def test_a_message_of_another_version_is_still_shown() -> None:
    assert gist(Event(1, "TradeExecuted", {"bot": "b", "fills": []})) == "bot b"
    assert gist(Event(1, "FromTheFuture", {"says": "hello"})) == "says hello"


def test_a_daemon_is_reached_where_even_the_folder_for_short_lived_files_has_a_long_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = tmp_path / ("far" * 30)
    far.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(far))
    make_home(far / "home", monkeypatch)
    with daemon_beside(write_file(tmp_path)) as running:
        assert running.handle.health()["ok"]
