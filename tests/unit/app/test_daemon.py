"""A daemon is one of its name, answers at its user's socket, tells what happens in order, and ends in good order."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import tradelab as tl
from tests.unit.app.engine_beside import Beside, daemon_beside, write_file
from tests.unit.app.venue_beside import make_home
from tradelab.app import daemon_events
from tradelab.app.daemon_views import faults_of
from tradelab.app.handle import Handle
from tradelab.app.handle_http import RawEvent, parsed
from tradelab.app.handle_views import LiveHealth
from tradelab.app.health_metrics import health_metrics
from tradelab.app.metrics_page import page
from tradelab.app.run_folder import RunFolder
from tradelab.model.clock import ManualClock
from tradelab.model.errors import ConfigError, ConnectivityError, LeaseError, ParameterError, UnknownNameError
from tradelab.model.states import BotStatus, TradingState
from tradelab.store.commands import Commands
from tradelab.store.database import Database
from tradelab.store.journal import Journal
from tradelab.store.leases import Leases
from tradelab.store.states import TradingStates

WAIT_S = 60.0


def kinds() -> list[str]:
    with Database() as database:
        return [row.kind for row in Journal(database, "paper").rows()]


def until(what: str, holds: object) -> None:
    """Wait for something that another thread or process brings about; the time is for slow machines only."""
    end = time.monotonic() + WAIT_S
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.02)


# ── one of a name, and its user's alone ──────────────────────────────────────────────────────────────────────────────


def test_the_socket_and_its_folder_are_the_users_alone(beside: Beside) -> None:
    folder = RunFolder("paper")
    assert stat.S_IMODE(folder.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder.path / "daemon.json").stat().st_mode) == 0o600


def test_a_second_one_of_the_same_name_is_refused_and_the_first_goes_on(beside: Beside, file: Path) -> None:
    with pytest.raises(ConfigError, match=r"node 'paper' runs already.*tradelab down paper"), daemon_beside(file):
        pass
    assert beside.handle.health()["ok"]


def test_what_a_killed_daemon_left_is_no_daemon_and_is_cleared(file: Path) -> None:
    folder = RunFolder("paper")
    folder.make()
    (folder.path / "lock").touch()
    folder.socket.touch()
    (folder.path / "daemon.json").write_text('{"node": "paper", "pid": 1, "socket": "/nowhere"}')
    with pytest.raises(ConfigError, match=r"'paper' does not run.*tradelab up"):
        tl.connect("paper")
    with daemon_beside(file) as beside:
        assert beside.handle.health()["pid"] == os.getpid()


def test_a_socket_whose_path_would_be_too_long_is_in_a_short_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_home(tmp_path / ("deep" * 30), monkeypatch)
    with daemon_beside(write_file(tmp_path)) as beside:
        path = RunFolder("paper").socket
        assert len(os.fsencode(path)) < 104
        assert (path.parent.stat().st_uid, stat.S_IMODE(path.parent.stat().st_mode)) == (os.getuid(), 0o700)
        assert beside.handle.health()["ok"]
    assert not path.exists()


def test_asked_to_end_it_ends_says_so_in_the_journal_and_leaves_no_address(beside: Beside) -> None:
    beside.handle.stop()
    beside.join()
    assert beside.code == 0
    assert kinds()[-1] == "NodeStopped"
    assert RunFolder("paper").address() is None
    assert not RunFolder("paper").socket.exists()


def test_an_engine_that_ends_by_itself_ends_the_process_with_one(file: Path) -> None:
    with daemon_beside(file) as beside:
        beside.do(lambda: beside.node._over.set_result("the lease was lost"))  # type: ignore[union-attr]
        beside.join()
        assert beside.code == 1


def test_an_engine_that_cannot_start_ends_in_good_order_and_says_why(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: object) -> None:
        raise LeaseError("account 'paper' is traded elsewhere.", fix="Stop that engine.")

    monkeypatch.setattr("tradelab.spine.node.Node.start", refuse)
    with pytest.raises(LeaseError, match=r"traded elsewhere\. Stop that engine"), daemon_beside(file):
        pass
    assert not RunFolder("paper").is_held
    assert not RunFolder("paper").socket.exists()


def test_a_node_that_was_killed_waits_until_its_own_lease_is_over_and_for_nobody_elses(file: Path) -> None:
    from tradelab.app.daemon_main import outwait

    clock = ManualClock(10**18)
    with Database() as database:
        mine = f"paper on {socket.gethostname()}, process 1"
        Leases(database, mine, length_s=9.0, clock=clock).acquire("main")
        Leases(database, "paper2 on elsewhere, process 1", length_s=99.0, clock=clock).acquire("other")

        async def run() -> list[bool]:
            waiting = asyncio.create_task(outwait("paper", database, clock))
            await clock.advance(8.0)
            seen = [waiting.done()]
            await clock.advance(1.5)
            return [*seen, waiting.done()]

        assert asyncio.run(run()) == [False, True]


# ── what is true ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_snapshot_shows_bots_accounts_and_states(beside: Beside) -> None:
    told = beside.handle.snapshot()
    assert (told["node"], told["is_live"], told["state"]) == ("paper", False, "active")
    (bot,) = told["bots"]
    assert (bot["name"], bot["mode"], bot["status"], bot["symbols"]) == ("eurusd", "paper", "running", ["EURUSD"])
    assert told["accounts"]["paper"]["kind"] == "paper"
    assert told["accounts"]["paper"]["info"] is None  # nobody has told what it is worth, so nothing is shown
    assert "paper (paper): active" in repr(told)
    assert "<td" in told._repr_html_()


def test_health_says_what_is_wrong_in_words(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    assert beside.handle.health()["faults"] == []
    monkeypatch.setattr("tradelab.app.daemon.LEAST_FREE", 2**80)
    told = beside.handle.health()
    assert not told["ok"]
    assert "make room" in told["faults"][0]
    assert "NOT WELL" in repr(told)


def test_metrics_are_what_prometheus_own_parser_reads(beside: Beside) -> None:
    beside.handle.halt("bot eurusd")
    families = {family.name: family for family in text_string_to_metric_families(beside.handle.metrics())}
    states = {tuple(s.labels.values()): s.value for s in families["tradelab_trading_state"].samples}
    assert states["bot eurusd", "halted"] == 1
    assert states["node", "active"] == 1
    counted = {s.labels["kind"]: s.value for s in families["tradelab_messages"].samples}
    assert counted["CommandReceived"] == counted["CommandDone"] == 1
    assert families["tradelab_journal_seq"].samples[0].value == len(kinds())


def test_health_shows_streams_clocks_and_leases_to_people_and_to_prometheus() -> None:
    lost = {"what": "orders", "of": "main", "symbol": None, "connected": False, "polled": False, "lost": True}
    told = {
        "streams": [{**lost, "reconnects": 2, "age_s": 7.5}],
        "clocks": {"main": {"offset_ms": -1500.0, "trip_ms": 20.0, "age_s": 3.0, "trouble": None}},
        "modules": {"execution": "on"}, "workers": {"execution": ["orders of main"]},
    }  # fmt: skip
    held = [{"account": "main", "holder": "paper on there, process 1", "left_s": 9.0, "ours": False}]
    health = LiveHealth(
        {
            "node": "paper", "ok": False, "phase": "running", "state": "active", "up_s": 1.0, "pid": 1,
            "faults": faults_of(told), "engine": told, "leases": held,
        }
    )  # fmt: skip
    shown = repr(health)
    assert "the stream of orders of main is lost" in shown
    assert "main  orders  -       LOST   7.5    2" in shown
    assert "clock of main: -1500 ms from ours" in shown
    assert "lease of main: of paper on there, process 1, 9 s left" in shown
    figures = {
        (one.name, tuple(one.labels.values())): one.value
        for family in text_string_to_metric_families(page(health_metrics(told, held)))
        for one in family.samples
    }
    assert figures["tradelab_stream_connected", ("orders", "main", "")] == 0
    assert figures["tradelab_stream_reconnects_total", ("orders", "main", "")] == 2
    assert figures["tradelab_venue_clock_offset_seconds", ("main",)] == -1.5
    assert figures["tradelab_lease_ours", ("main",)] == 0
    assert figures["tradelab_workers", ("execution",)] == 1


# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_command_is_journalled_before_it_acts_and_when_it_is_done(beside: Beside) -> None:
    before = len(kinds())
    answer = beside.handle.halt(says="the market is mad")
    assert (answer.done, answer.says) == (True, "node is halted")
    assert kinds()[before:] == ["CommandReceived", "TradingStateChanged", "CommandDone"]
    assert beside.handle.snapshot()["state"] == "halted"
    with Database() as database:
        assert TradingStates(database, "paper").read()["node"].state is TradingState.HALTED
    assert beside.handle.resume()
    assert beside.handle.snapshot()["state"] == "active"


def test_sent_twice_at_once_and_again_later_it_is_done_once(beside: Beside) -> None:
    answers: list[object] = []

    def send() -> None:
        answers.append(beside.handle.command("pause", id="c-1", bot="eurusd"))

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send()
    assert len(answers) == 11
    assert len(set(map(repr, answers))) == 1
    assert kinds().count("CommandReceived") == 1
    assert kinds().count("BotStatusChanged") == 2  # at the start, and by the command


def test_sent_again_after_a_restart_it_is_answered_with_the_first_result(file: Path) -> None:
    with daemon_beside(file) as beside:
        first = beside.handle.command("pause", id="c-1", bot="eurusd")
    with daemon_beside(file) as beside:
        assert beside.handle.command("pause", id="c-1", bot="eurusd") == first
        with pytest.raises(ParameterError, match=r"id 'c-1' was used for 'pause'"):
            beside.handle.command("start", id="c-1", bot="eurusd")
    assert kinds().count("CommandReceived") == 1


def test_a_word_that_a_command_does_not_take_is_refused_before_anything_is_done(beside: Beside) -> None:
    with pytest.raises(ParameterError, match=r"flatten does not take 'scop'.*scope, says"):
        beside.handle.command("flatten", scop="bot eurusd")
    with pytest.raises(ParameterError, match="start needs 'bot'"):
        beside.handle.command("start")
    assert "CommandReceived" not in kinds()
    unknown = beside.handle.command("explode")
    assert not unknown
    assert "no command named 'explode'" in unknown.says
    wrong = beside.handle.command("pause", bot="eurosd")
    assert "did you mean 'eurusd'" in wrong.says


def test_a_command_in_the_records_is_carried_out_and_answered_there(beside: Beside) -> None:
    with Database() as database:
        commands = Commands(database, "paper")
        commands.ask("from-afar", "pause", {"bot": "eurusd"}, by="bob")
        until("the answer", lambda: commands.get("from-afar").done is not None)  # type: ignore[union-attr]
        assert commands.get("from-afar").says == "bot eurusd is paused"  # type: ignore[union-attr]
    assert beside.node.ledger.snapshot().bots["eurusd"] is BotStatus.PAUSED


def test_a_command_that_waited_too_long_in_the_records_is_answered_and_not_done(file: Path) -> None:
    with Database() as database:
        from tradelab.model.clock import ManualClock

        Commands(database, "paper", ManualClock(0)).ask("old", "flatten", {}, by="bob")
        with daemon_beside(file):
            commands = Commands(database, "paper")
            until("the answer", lambda: commands.get("old").done is not None)  # type: ignore[union-attr]
            told = commands.get("old")
    assert told is not None
    assert told.done is False
    assert "send it again" in (told.says or "")
    assert "CommandReceived" not in kinds()


def test_a_halt_written_past_a_running_engine_is_taken_in_and_journalled(beside: Beside) -> None:
    with Database() as database:
        TradingStates(database, "paper").tighten("node", TradingState.HALTED, by="bob", says="past it")
    until("the halt", lambda: beside.handle.snapshot()["state"] == "halted")
    assert beside.handle.resume()
    assert beside.handle.snapshot()["state"] == "active"


# ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_events_come_in_order_from_the_number_asked_for_and_go_on_live(beside: Beside) -> None:
    beside.say(0, 5)
    first = beside.node.ledger.seq - 4
    events = beside.handle.events(first - 1)
    told = [next(events) for _ in range(5)]
    beside.say(5, 3)
    told += [next(events) for _ in range(3)]
    assert [event.seq for event in told] == list(range(first, first + 8))
    assert [event.body["about"] for event in told] == [f"number {n}" for n in range(8)]


def test_only_the_kinds_that_were_asked_for_come(beside: Beside) -> None:
    events = beside.handle.events(0, kinds=["CommandDone"])
    beside.say(0, 50)
    beside.handle.halt()
    assert next(events).kind == "CommandDone"
    with pytest.raises(UnknownNameError, match=r"no kind of event named 'CommandDune'; did you mean 'CommandDone'"):
        next(beside.handle.events(0, kinds=["CommandDune"]))


def test_a_reader_goes_on_without_a_gap_over_a_restart_of_the_daemon(file: Path) -> None:
    with daemon_beside(file) as beside:
        beside.say(0, 10)
        events = beside.handle.events(0)
        seen = [next(events).seq for _ in range(6)]
    with daemon_beside(file) as beside:
        beside.say(10, 10)
        last = beside.node.ledger.seq
        while seen[-1] != last:
            seen.append(next(events).seq)
        events.close()  # type: ignore[attr-defined]
    assert seen == list(range(1, last + 1))


def test_the_pulse_is_of_the_moment_and_has_no_number(beside: Beside) -> None:
    pulse = next(beside.handle.events(kinds=["pulse"]))
    assert (pulse.kind, pulse.seq, pulse.body["state"]) == ("pulse", None, "active")


def test_a_reader_who_does_not_read_is_cut_off_and_holds_up_nobody(beside: Beside) -> None:
    beside.do(lambda: setattr(beside.daemon.hub, "_most", 50))
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as slow:
        _cut_off(beside, slow)


def _cut_off(beside: Beside, slow: socket.socket) -> None:
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(str(RunFolder("paper").socket))
    slow.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until("the slow reader", lambda: beside.daemon.hub.counts.readers == 1)
    events = beside.handle.events(beside.node.ledger.seq)
    said, seen = 0, 0
    while beside.daemon.hub.counts.cut == 0:
        assert said < 200_000, "never cut off"
        beside.say(said, 40)
        said += 40
        while seen < said:  # one who reads gets all of them meanwhile
            assert next(events).body["about"] == f"number {seen}"
            seen += 1
    events.close()  # type: ignore[attr-defined]
    with pytest.raises(OSError, match=r"."):  # what he had not read went with the connection
        while slow.recv(65_536):
            pass
        raise ConnectionResetError("he was told the end")
    resumed = beside.handle.events(beside.node.ledger.seq - said)
    assert [next(resumed).body["about"] for _ in range(said)] == [f"number {n}" for n in range(said)]


def test_numbers_are_never_dropped_and_of_the_moment_only_the_newest_is_kept() -> None:
    reader = daemon_events.Reader((), 3, lambda: None)
    assert [reader.show("quote a", frame) for frame in (b"1", b"2")] == [False, True]
    assert all(reader.push(seq, b"n") for seq in (1, 2, 3))
    assert reader.take() == ([(1, b"n"), (2, b"n"), (3, b"n")], [b"2"])
    assert [reader.push(seq, b"n") for seq in (4, 5, 6, 7)] == [True, True, True, False]
    assert reader.is_cut


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_on_loopback_nothing_is_told_or_done_without_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path / "home", monkeypatch)
    with daemon_beside(write_file(tmp_path, more='[daemon]\napi = "loopback"')) as beside:
        address = RunFolder("paper").address()
        assert address is not None
        assert address.token is not None
        assert address.token not in repr(address)
        host, port = (address.url or "").removeprefix("http://").split(":")
        assert host == "127.0.0.1"
        asked = [
            ("GET", "/health"),
            ("GET", "/snapshot"),
            ("GET", "/events"),
            ("GET", "/metrics"),
            ("POST", "/command"),
        ]
        for method, path in asked:
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {address.token}x"}):
                connection = http.client.HTTPConnection(host, int(port), timeout=WAIT_S)
                connection.request(method, path, headers=headers)
                answer = connection.getresponse()
                assert (answer.status, json.loads(answer.read())["error"]) == (401, "Refused")
                connection.close()
        assert beside.handle.halt()
        assert next(beside.handle.events(0)).kind == "NodeStarted"


def test_who_asks_for_what_there_is_not_is_told_so(beside: Beside) -> None:
    line = beside.handle._line
    with pytest.raises(Exception, match="GET /nothing"):
        line.ask("GET", "/nothing")
    with pytest.raises(ParameterError, match="not one JSON object"):
        line.ask("POST", "/command", "text")
    with pytest.raises(ParameterError, match="needs an id"):
        line.ask("POST", "/command", {"name": "halt"})
    with pytest.raises(ParameterError, match=r"policy 'explode' is none.*keep"):
        line.ask("POST", "/stop", {"policy": "explode"})
    with pytest.raises(ParameterError, match=r"a whole one, not '-1'"):
        line.ask("GET", "/events?after=-1")


def test_the_stream_is_read_as_its_standard_says() -> None:
    lines = [b": hello\n", b"\n", b"id: 3\r\n", b"event: A\r\n", b"data: {\r\n", b"data: }\r\n", b"\r\n"]
    assert list(parsed(lines)) == [RawEvent(None, "", ""), RawEvent(3, "A", "{\n}")]


def test_connecting_needs_one_that_runs(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"no daemon runs here.*tradelab up configs/paper\.toml"):
        tl.connect()
    with daemon_beside(file):
        assert tl.connect().node == "paper"
        with pytest.raises(UnknownNameError, match="did you mean 'paper'"):
            tl.connect("papper")
    handle = Handle("paper")
    assert "does not run" in repr(handle)
    with pytest.raises(ConfigError, match="does not run"):
        handle.snapshot()


def test_a_daemon_that_is_silent_is_no_reason_to_send_a_command_twice(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is lost: the client sends the same id again and hears what came of it."""
    ask, lost = beside.handle._line.ask, []

    def losing(self: object, method: str, path: str, *more: object, **how: object) -> object:
        told = ask(method, path, *more, **how)  # type: ignore[arg-type]
        if not lost:
            lost.append(told)
            raise ConnectivityError("lost")
        return told

    monkeypatch.setattr("tradelab.app.handle_http.Line.ask", losing)
    assert beside.handle.command("pause", bot="eurusd").says == "bot eurusd is paused"
    assert kinds().count("CommandReceived") == 1
