"""A stranger at the terminal makes, tests, uses and forgets connections, and no secret is seen on the way."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.canary import traces
from tests.unit.app.venue_beside import KEY, make_home, venue_beside
from tradelab.app.cli import main
from tradelab.rehearsal.venue import Rehearsal
from tradelab.store.sealing import new_key

COMMANDS = ("add", "list", "providers", "test", "activate", "deactivate", "arm", "disarm", "remove", "show", "update",
            "rename", "credentials", "rotate-key", "audit")  # fmt: skip


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_home(tmp_path / "home", monkeypatch)


@pytest.fixture
def venue(canary: str) -> Iterator[Rehearsal]:
    with venue_beside(canary) as at:
        yield at


@pytest.fixture
def run(canary: str):  # type: ignore[no-untyped-def]
    """Call a command; the canary is looked for in all that it says, and in what it raises."""

    def call(words: str, *more: str, code: int = 0, stdin: str | None = None) -> str:
        done: Result = CliRunner().invoke(main, ["connections", *shlex.split(words), *more], input=stdin)
        said = done.output + done.stderr
        raw = (said + repr(done.exception) + str(done.exc_info)).encode()
        assert [coding for coding, trace in traces(canary).items() if trace in raw] == []
        assert done.exit_code == code, said
        assert "Traceback" not in said
        return said

    return call


def add(run, at: Rehearsal, canary: str, name: str = "main", more: str = "") -> str:  # type: ignore[no-untyped-def]
    login = json.dumps({"api_key": KEY, "api_secret": canary})
    words = f"add {name} binance --stdin --set base_url={at.url} --symbol BTC/USDT --account rehearsal {more}"
    said: str = run(words, stdin=login)
    return said


# ── the life of one ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_from_nothing_to_active_and_back(run, venue: Rehearsal, canary: str) -> None:  # type: ignore[no-untyped-def]
    assert "no connections; make one: tradelab connections add --help" in run("list")
    said = add(run, venue, canary)
    assert "made main to ccxt:binance (rehearsed); sealed: api_key, api_secret" in said
    assert "Next:  tradelab connections test main" in said
    assert "never tested. Test it first: tradelab connections test main" in run("activate main", code=2)
    said = run("test main")
    assert re.search(r"main: passed in \d+\.\d ms; its clock is [+-]\d+ ms from ours\.", said)
    assert "connected and asked: time and balances were told" in said
    assert "Next:  tradelab connections activate main" in said
    assert "main is active." in run("activate main")
    line = next(text for text in run("list").splitlines() if text.startswith("main"))
    for cell in ("ccxt:binance", "rehearsed", "data", "rehearsal", "active", "healthy"):
        assert cell in line.split() or cell in line
    assert "Next:" not in run("test main"), "an active one that passes stays active"
    said = run("show main")
    assert "credentials api_key=****, api_secret=****" in said
    assert f'"base_url": "{venue.url}"' in said
    assert said.count("passed") == 3, "its health, and two tests"
    assert "active. Deactivate it first: tradelab connections deactivate main" in run("remove main --yes", code=2)
    assert "main is inactive." in run("deactivate main")
    assert "nobody agreed; nothing was removed" in run("remove main", code=2)
    assert "removed main." in run("remove main --yes")
    assert "no connections" in run("list")
    told = [text.split()[3] for text in run("audit main").splitlines()]
    assert told[:3] == ["delete", "deactivate", "test-end"], "newest first, and still there"
    assert told[-1] == "create"


def test_a_test_that_fails_says_why_and_ends_with_1(run, canary: str) -> None:  # type: ignore[no-untyped-def]
    with venue_beside("another secret") as at:
        add(run, at, canary)
        assert re.search(r"main: FAILED: .*ignature", run("test main", code=1))
    assert "error" in run("list")
    assert "Test it first" in run("activate main", code=2)
    add(run, at, canary, "late")
    assert "could not be reached" in run("test late", code=1), "nobody is there any more"


def test_a_venue_that_is_silent_is_given_up(run) -> None:  # type: ignore[no-untyped-def]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        run(f"add mute binance --set base_url=http://127.0.0.1:{silent.getsockname()[1]}", stdin="")
        assert "mute: FAILED: no answer within 1 s" in run("test mute --timeout 1", code=1)


def test_changes_ask_for_a_new_test_where_one_is_needed(run, venue: Rehearsal, canary: str) -> None:  # type: ignore[no-untyped-def]
    add(run, venue, canary)
    run("test main")
    run("activate main")
    assert "main is changed; it is active." in run("update main --symbol BTC/USDT --symbol ETH/USDT --timeframe 1h")
    said = run("update main --set timeout_s=20 --for data --for execution")
    assert "it is inactive." in said
    assert "Next:  tradelab connections test main" in said
    assert '"timeout_s": "20"' in run("show main")
    run("update main --unset timeout_s --owner ada")
    assert "timeout_s" not in run("show main")
    assert "--unset timeout_s: it is not set. Allowed: base_url" in run("update main --unset timeout_s", code=2)
    assert "main is called other now." in run("rename main other")
    login = json.dumps({"api_key": KEY, "api_secret": canary})
    assert "sealed: api_key, api_secret" in run("credentials other --stdin", stdin=login)
    assert "passed" in run("test other")


def test_the_key_is_changed_in_one_step(run, venue: Rehearsal, canary: str, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    add(run, venue, canary)
    monkeypatch.setenv("NEXT_KEY", new_key().text.reveal())
    assert "--from-env is missing" in run("rotate-key --to environment", code=2)
    assert "no such environment variable" in run("rotate-key --to environment --from-env NOWHERE", code=2)
    said = run("rotate-key --to environment --from-env NEXT_KEY")
    assert "sealed 2 value(s) with another key, held by: environment." in said
    assert "is not what they were sealed with" in run("test main", code=2)
    monkeypatch.setenv("TRADELAB_KEY", os.environ["NEXT_KEY"])
    assert "passed" in run("test main")


# ── secrets in wrong places ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("add main binance --api-secret {}", "There is no option --api-secret. Credentials are not taken as words"),
        ("add main binance --api-secret={}", "There is no option --api-secret. Credentials are not taken as words"),
        ("add main binance {}", "There are more words than this command takes. Credentials are not taken as words"),
        ("add main binance --set api_secret={}", "--set api_secret: that is a credential."),
        ("add main binance --from-env api_secret={}", "there is no such environment variable"),
        ("add main binance --from-env {}=api_secret", "names a field that there is not. Allowed: api_key, api_secret"),
        ("add main binance --from-env {}", "names a field that there is not. Allowed: api_key, api_secret"),
        (
            "add main binance --set {}",
            "--set names a setting that ccxt:binance does not have. Allowed: base_url, market",
        ),
        ("add main binance --set timeout_s={}", "timeout_s: Input should be a valid number"),
        ("add main mtapi --set base_url=http://127.0.0.1:1 --set password={}", "--set password: that is a credential."),
        ("credentials main {}", "There are more words than this command takes."),
        ("rotate-key --to environment --from-env {}", "Give its name, not its value."),
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_repeated(run, canary: str, words: str, says: str) -> None:  # type: ignore[no-untyped-def]
    given = [word.replace("{}", canary) for word in shlex.split(words)]
    assert says in run("", *given, code=2, stdin="")
    assert "no connections" in run("list")


@pytest.mark.parametrize("given", ["not json {}", '["{}"]', '{"api_secret": 5, "api_key": "{}"}', '"{}"'])
def test_what_comes_on_stdin_is_one_object_of_texts_or_refused_unseen(run, canary: str, given: str) -> None:  # type: ignore[no-untyped-def]
    text = given.replace("{}", json.dumps(canary)[1:-1])
    assert "what came on stdin" in run("add main binance --stdin", stdin=text, code=2)


def test_credentials_come_from_the_environment_by_name(
    run,
    venue: Rehearsal,
    canary: str,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("MY_SECRET", canary)
    words = f"add main binance --set base_url={venue.url} --from-env api_key=MY_KEY --from-env api_secret=MY_SECRET"
    assert "sealed: api_key, api_secret" in run(words, stdin="")
    assert "passed" in run("test main")


def test_typed_secrets_are_not_shown(canary: str, venue: Rehearsal) -> None:
    """A real terminal: each question is answered as by a person, and what the terminal shows has no secret in it."""
    words = ["connections", "add", "main", "binance", "--set", f"base_url={venue.url}"]
    shown = at_terminal(words, [("api_key", KEY), ("api_secret", canary), ("api_passphrase", "")])
    assert "without it: public data only" in shown
    assert "made main to ccxt:binance" in shown
    assert [coding for coding, trace in traces(canary).items() if trace in shown.encode()] == []
    assert KEY not in shown
    shown = at_terminal(["connections", "remove", "main"], [("Remove main", "n")])
    assert "Aborted" in shown
    shown = at_terminal(["connections", "remove", "main"], [("Remove main", "y")])
    assert "removed main." in shown


def at_terminal(words: list[str], answers: list[tuple[str, str]]) -> str:
    """Run a command at a terminal of its own; type each answer once its question has come."""
    here, there = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tradelab", *words], stdin=there, stdout=there, stderr=there, close_fds=True
    )
    os.close(there)
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    shown, waiting = "", list(answers)
    try:
        while process.poll() is None or select.select([here], [], [], 0)[0]:
            if not select.select([here], [], [], 0.2)[0]:
                continue
            try:
                shown += os.read(here, 4096).decode(errors="replace")
            except OSError:  # the other side is closed: Linux tells it this way
                break
            if waiting and waiting[0][0] in shown[shown.rfind("\n") + 1 :]:
                os.write(here, f"{waiting.pop(0)[1]}\n".encode())
    finally:
        watchdog.cancel()
        process.wait(30)
        os.close(here)
    assert not waiting, shown
    return shown


# ── what is refused, and how ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("add main binanse", "no exchange named 'binanse'; did you mean 'binance'?"),
        ("add main mtapy", "Or another provider: ccxt:<exchange>, files, http, metaapi, mtapi, paper."),
        ("add main binance --for execution", "so say whose money it is. Allowed: paper, live, rehearsal."),
        ("add main files --for execution --account paper --set folder=.", "'execution': not offered. Allowed: data"),
        (
            "add main mtapi --set base_url=http://127.0.0.1:1",
            "credentials of mtapi: missing 'user'; missing 'password'",
        ),
        ("add main binance --set sandbx=true", "unknown 'sandbx' (did you mean 'sandbox'?)"),
        ("add main binance --timeframe 7m", "timeframe '7m' is not known"),
        ("add main paper --account paper --set 'balances={'", "begins like JSON and is none"),
        ("add main binance --set timeout_s", "--set wants NAME=VALUE."),
        ("add main binance --from-env api_key", "--from-env wants FIELD=VARIABLE."),
        ("add 'a/b' binance", "name 'a/b' is not one"),
        ("test nobody", "no connection named 'nobody'"),
        ("activate nobody", "no connection named 'nobody'"),
        ("remove nobody --yes", "no connection named 'nobody'"),
        ("show nobody", "no connection named 'nobody'"),
    ],
)
def test_a_refusal_is_words_that_say_what_to_do(run, words: str, says: str) -> None:  # type: ignore[no-untyped-def]
    assert says in run(words, code=2, stdin="")
    assert "no connections" in run("list")


def test_a_name_is_taken_once(run) -> None:  # type: ignore[no-untyped-def]
    run("add main binance", stdin="")
    assert "there is a connection 'main' already" in run("add main kraken", stdin="", code=2)


def test_how_far_each_adapter_is_proved_stands_in_the_list(run) -> None:  # type: ignore[no-untyped-def]
    login = '{"user": "1", "password": "p", "host": "h"}'
    run("add broker mtapi --set base_url=https://mt5.mtapi.io --stdin", stdin=login)
    run("add public bitstamp", stdin="")
    lines = {text.split()[0]: text for text in run("list").splitlines()}
    assert "tested against our own simulator only" in lines["broker"]
    assert "unverified" in lines["public"]
    said = run("providers")
    assert "binance: rehearsed" in said
    assert "any other: unverified" in said
    assert re.search(r"^mtapi .*\[tested against our own simulator only\]$", said, re.MULTILINE)
    assert re.search(r"password +credential: its password", said)
    assert re.search(r"base_url +setting, required: where the bridge is", said)


def test_settings_of_lists_and_objects_are_written_as_json(run) -> None:  # type: ignore[no-untyped-def]
    run("""add pretend paper --account paper --set 'balances={"USDT": "1000"}' --set mode=spot""", stdin="")
    assert '"balances": {"USDT": "1000"}' in run("show pretend")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(run, command: str) -> None:  # type: ignore[no-untyped-def]
    said = run(f"{command} --help")
    assert len(said.splitlines()) >= 6
    listed = next(line for line in run("--help").splitlines() if line.strip().startswith(command))
    assert not listed.endswith("..."), "its one line is not cut off"


def test_help_shows_the_way_through_and_the_exit_codes(run) -> None:  # type: ignore[no-untyped-def]
    said = run("--help")
    for word in ("connections add main binance", "connections test main", "connections activate main", "Exit codes"):
        assert word in said
    assert set(COMMANDS) == {line.split()[0] for line in said.partition("Commands:")[2].splitlines() if line.strip()}
