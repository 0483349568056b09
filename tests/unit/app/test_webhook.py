"""A signal from outside is taken only where it is signed, fresh and new; a file that is no signal is set aside."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.canary import traces
from tests.unit.app.engine_beside import Beside, daemon_beside, write_file
from tests.unit.app.test_daemon import kinds, until
from tests.unit.app.venue_beside import make_home
from tradelab.app.webhook import SIGNATURE, TIMESTAMP, Door, read_signal
from tradelab.model.clock import ManualClock
from tradelab.model.credentials import Secret
from tradelab.model.errors import ParameterError

SIGNAL = {"id": "a-1", "bot": "eurusd", "symbol": "EURUSD", "action": "enter_long", "qty": 1.5, "stop_loss": "1.05"}
NOW_S = 1_704_067_200


def headers(secret: str, body: bytes, at_s: int = NOW_S) -> dict[str, str]:
    """Sign by the standard library's own words, and not by the code under test."""
    digest = hmac.new(secret.encode(), str(at_s).encode() + b"." + body, hashlib.sha256).hexdigest()
    return {TIMESTAMP: str(at_s), SIGNATURE: f"sha256={digest}"}


# ── the door ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_S * 10**9)


@pytest.fixture
def door(clock: ManualClock) -> Door:
    return Door(Secret("s-1234"), 60.0, clock)


def test_what_is_signed_fresh_and_new_is_let_through_once(door: Door) -> None:
    signed = headers("s-1234", b"{}")
    assert door.why_not(signed, b"{}") is None
    assert door.why_not(signed, b"{}") == "it was taken before"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({SIGNATURE: ""}, "it is not signed"),
        ({TIMESTAMP: ""}, "it is not signed"),
        ({SIGNATURE: "sha256=" + "0" * 64}, "its signature is wrong"),
        ({SIGNATURE: "söd"}, "its signature is wrong"),
        ({TIMESTAMP: str(NOW_S + 1)}, "its signature is wrong"),
        (headers("s-5678", b"{}"), "its signature is wrong"),
        (headers("s-1234", b"{} "), "its signature is wrong"),
        (headers("s-1234", b"{}", NOW_S - 61), "it is 61 s old, and 60 s are allowed"),
        (headers("s-1234", b"{}", NOW_S + 61), "it is -61 s old"),
    ],
)
def test_what_is_not_is_refused_with_the_reason(door: Door, change: dict[str, str], why: str) -> None:
    assert why in (door.why_not(headers("s-1234", b"{}") | change, b"{}") or "")


def test_a_time_that_is_none_is_refused_even_if_signed(door: Door) -> None:
    digest = hmac.new(b"s-1234", b"soon.{}", hashlib.sha256).hexdigest()
    assert "no number" in (door.why_not({TIMESTAMP: "soon", SIGNATURE: f"sha256={digest}"}, b"{}") or "")
    endless = "9" * 400
    digest = hmac.new(b"s-1234", f"{endless}.{{}}".encode(), hashlib.sha256).hexdigest()
    assert "no time" in (door.why_not({TIMESTAMP: endless, SIGNATURE: f"sha256={digest}"}, b"{}") or "")


def test_a_request_is_never_taken_twice_however_the_clock_runs(door: Door, clock: ManualClock) -> None:
    early = headers("s-1234", b"{}", NOW_S + 59)
    assert door.why_not(early, b"{}") is None
    taken = 0
    for _ in range(200):
        clock._now_ns += 10**9
        taken += door.why_not(early, b"{}") is None
        door.why_not(headers("s-1234", b"x", clock.now_ns() // 10**9), b"x")
    assert taken == 0
    assert len(door._seen) <= 121  # what is forgotten is too old to be taken


# ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_money_is_read_as_it_is_written() -> None:
    told = read_signal(b'{"id":"a","bot":"b","symbol":"s","action":"exit_long","qty":0.1,"stop_loss":"1.10"}', "file")
    assert (told["qty"], told["stop_loss"], told["origin"]) == ("0.1", "1.10", "file")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"qty": -1}, "the signal's qty"),
        ({"qty": "many"}, "the signal's qty"),
        ({"action": "buy"}, "the signal's action"),
        ({"id": ""}, "the signal's id"),
        ({"id": "a b"}, "the signal's id"),
        ({"leverage": 100}, "the signal's leverage"),
        ({"bot": None}, "the signal's bot"),
    ],
)
def test_a_field_that_is_wrong_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ParameterError, match=says):
        read_signal(json.dumps(SIGNAL | change).encode(), "webhook")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"qty": NaN}', b"x" * 70_000])
def test_what_is_no_signal_is_refused(raw: bytes) -> None:
    with pytest.raises(ParameterError):
        read_signal(raw, "webhook")


# ── in a daemon ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: str) -> Iterator[Beside]:
    make_home(tmp_path / "home", monkeypatch)
    file = write_file(tmp_path, more=f'[daemon]\nwebhook = "127.0.0.1:0"\ndrop = "{tmp_path}/drop"')
    with daemon_beside(file, webhook_secret=Secret(canary)) as running:
        yield running


def post(beside: Beside, body: bytes, given: dict[str, str], path: str = "/signal") -> tuple[int, dict[str, Any]]:
    address = beside.daemon.folder.address()
    assert address is not None
    at = (address.webhook or "").removeprefix("http://").partition("/")[0]
    connection = http.client.HTTPConnection(at, timeout=60)
    try:
        connection.request("POST", path, body, given)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_signed_signal_becomes_one_of_the_engine_and_sent_again_is_the_same(beside: Beside, canary: str) -> None:
    body = json.dumps(SIGNAL).encode()
    now = int(time.time())
    first = post(beside, body, headers(canary, body, now))
    assert (first[0], first[1]["done"]) == (200, True)
    assert post(beside, body, headers(canary, body, now)) == (401, {"error": "Refused", "says": "it was taken before."})
    assert post(beside, body, headers(canary, body, now + 1)) == first  # sent anew: the same signal, done once
    (state,) = beside.node.ledger.snapshot().signals.values()
    assert (state.signal.origin.value, str(state.signal.qty), state.signal.bot) == ("webhook", "1.5", "eurusd")
    assert kinds().count("SignalRaised") == 1


def test_nothing_but_signed_signals_is_answered_at_the_network(beside: Beside, canary: str) -> None:
    assert post(beside, b"{}", {})[0] == 401
    assert post(beside, b"{}", headers("another", b"{}", int(time.time())))[0] == 401
    for path in ("/command", "/stop", "/snapshot", "/health", "/events"):
        assert post(beside, b"{}", headers(canary, b"{}", int(time.time())), path)[0] == 404
    assert "CommandReceived" not in kinds()
    assert post(beside, b"x" * 70_000, headers(canary, b"x" * 70_000, int(time.time())))[0] == 413


def test_no_answer_and_no_log_tells_the_secret(beside: Beside, canary: str, caplog: pytest.LogCaptureFixture) -> None:
    answers = [post(beside, b"{}", headers(canary, b"{}", int(time.time()))), post(beside, b"", {SIGNATURE: "x"})]
    said = (repr(answers) + caplog.text + repr(vars(beside.daemon)) + repr(beside.handle.health())).encode()
    assert [coding for coding, trace in traces(canary).items() if trace in said] == []


def test_a_file_that_is_renamed_into_the_folder_is_taken_or_set_aside(beside: Beside, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    until("the folder", (drop / "taken").is_dir)
    (drop / "half.json.part").write_text("{")
    (drop / ".hidden.json").write_text("{")
    for name, text in (
        ("good", json.dumps(SIGNAL)),
        ("bad", "{"),
        ("odd", json.dumps(SIGNAL | {"id": "a-2", "symbol": "GBPUSD"})),
    ):
        (drop / f"{name}.part").write_text(text)
        (drop / f"{name}.part").rename(drop / f"{name}.json")
    reasons = [drop / "refused" / f"{name}.json.reason.txt" for name in ("bad", "odd")]
    until("the reasons", lambda: all(path.exists() and path.read_text() for path in reasons))
    assert "the signal is no JSON" in reasons[0].read_text()
    assert "no symbol of bot 'eurusd' named 'GBPUSD'" in reasons[1].read_text()
    refused = ["bad.json", "bad.json.reason.txt", "odd.json", "odd.json.reason.txt"]
    assert sorted(path.name for path in (drop / "refused").iterdir()) == refused
    assert [path.name for path in (drop / "taken").iterdir()] == ["good.json"]
    assert (drop / "half.json.part").exists()
    assert (drop / ".hidden.json").exists()
    (drop / "again.part").write_text(json.dumps(SIGNAL))
    (drop / "again.part").rename(drop / "good.json")
    until("the same file", lambda: (drop / "taken" / "good-1.json").exists())
    assert kinds().count("SignalRaised") == 1
