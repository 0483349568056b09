"""A stranger starts, looks, halts and ends by words that explain themselves; what goes wrong says what to do."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.canary import new_canary, traces
from tests.unit.app.engine_beside import Beside, daemon_beside, engine_of, write_file
from tests.unit.app.venue_beside import KEY, make_home, venue_beside
from tradelab.app import cli, logs
from tradelab.app import connections as service
from tradelab.app.daemon_table import read_live
from tradelab.app.doctor import Found, clock_check, examine, key_checks
from tradelab.app.metrics_page import Metric, page
from tradelab.app.run_folder import RunFolder
from tradelab.model.credentials import Credentials
from tradelab.model.errors import ConfigError
from tradelab.model.key_rights import KeyRights
from tradelab.model.states import TradingState
from tradelab.store.database import Database
from tradelab.store.journal import Journal
from tradelab.store.leases import Leases
from tradelab.store.states import TradingStates

_OURS = (
    "acknowledge", "analytics", "arm", "audit", "bots", "cancel", "disarm", "doctor", "down", "flatten", "halt",
    "lease", "logs", "modules", "notify", "order", "reduce", "resume", "signal", "status", "up", "webhook",
)  # fmt: skip


def run(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli.main, words, input=typed, prog_name="tradelab")


def refused(result: Result) -> str:
    assert result.exit_code == 2, result.output
    return result.stderr


# ── help ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", _OURS)
def test_every_command_and_every_word_of_it_explains_itself(command: str) -> None:
    group = cli.main.get_command(None, command)  # type: ignore[arg-type]
    assert group is not None
    for words in ([command], *([command, sub] for sub in getattr(group, "commands", {}))):
        told = run(*words, "--help")
        assert told.exit_code == 0
        assert len(told.output.split("Options:")[0].splitlines()) >= 4, words


# ── halt and what follows ────────────────────────────────────────────────────────────────────────────────────────────


def test_halt_by_the_daemon_and_resume(beside: Beside) -> None:
    told = run("halt", "--bot", "eurusd", "--why", "it buys too much")
    assert (told.exit_code, told.output) == (0, "bot eurusd is halted\n")
    assert beside.node.ledger.snapshot().states["bot eurusd"] is TradingState.HALTED
    assert run("resume", "--bot", "eurusd").output == "bot eurusd is active\n"
    assert run("reduce", "--account", "paper").output == "account paper is reducing\n"
    assert "--account and --bot are two scopes" in refused(run("halt", "--account", "a", "--bot", "b"))
    assert "did you mean 'eurusd'" in run("halt", "--bot", "eurosd").stderr


def test_halt_without_a_daemon_is_written_into_the_records_and_the_next_start_is_halted(file: Path) -> None:
    assert "no engine ever ran on these records" in refused(run("halt"))
    with daemon_beside(file):
        pass
    told = run("halt", "--why", "before the news")
    assert told.exit_code == 0
    assert told.output.startswith("paper: node is halted by ")
    assert "does not run" in refused(run("resume", "--node", "paper"))
    with daemon_beside(file) as beside:
        assert beside.handle.snapshot()["state"] == "halted"
        assert run("resume").exit_code == 0
        assert beside.handle.snapshot()["state"] == "active"


def test_halt_of_an_engine_that_does_not_answer_is_written_past_it(beside: Beside) -> None:
    folder = RunFolder("paper")
    folder.socket.unlink()  # nobody can reach it any more, and it lives
    told = run("halt")
    assert told.exit_code == 0
    assert "Written into the records instead" in told.stderr
    with Database() as database:
        assert TradingStates(database, "paper").read()["node"].state is TradingState.HALTED


def test_a_node_that_was_mistyped_is_not_halted(beside: Beside) -> None:
    assert "did you mean 'paper'" in refused(run("halt", "--node", "papper"))


def test_bots_are_listed_and_paused(beside: Beside) -> None:
    assert "eurusd  paper  running" in run("bots").output
    assert run("bots", "pause", "eurusd").output == "bot eurusd is paused\n"
    assert "eurusd  paper  paused" in run("bots").output
    assert run("bots", "resume", "eurusd").output == "bot eurusd is running\n"
    failed = run("bots", "stop", "eurosd")
    assert failed.exit_code == 2
    assert "did you mean 'eurusd'" in failed.stderr


def test_what_tripped_is_acknowledged_and_a_program_is_no_person(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("halt", "--account", "paper")
    seen = run("acknowledge", "--account", "paper", "--why", "the hedge")
    assert seen.exit_code == 0
    assert "account paper is halted, which is let go by its own name: tradelab resume --account paper" in seen.output
    assert run("arm", "paper", "--agree", "paper").output.startswith("account paper is armed")
    assert "nobody agreed; nothing was armed. Where nobody can type: --agree paper" in refused(run("arm", "paper"))
    assert run("disarm", "paper").output.startswith("account paper is disarmed")
    monkeypatch.setenv("TRADELAB_PROGRAM", "nightly")
    for words in (["resume", "--account", "paper"], ["acknowledge"], ["arm", "paper", "--agree", "paper"]):
        told = run(*words)
        assert told.exit_code == 2
        assert "'program nightly' is none" in told.stderr, words
        assert "A person does it" in told.stderr
    assert run("halt", "--why", "tightening is everybody's").exit_code == 0


def test_orders_by_hand_ask_first_and_are_answered_with_a_reason(beside: Beside) -> None:
    words = ["order", "buy", "EURUSD", "--account", "paper", "--qty", "1"]
    assert "nobody agreed; nothing was done. Add --yes" in refused(run(*words))
    told = run(*words, "--yes", "--id", "by-hand-1")
    assert told.exit_code == 2
    assert "nothing is ordered here: risk_management, execution is off" in told.stderr
    assert run(*words, "--yes", "--id", "by-hand-1").stderr == told.stderr
    assert "no open order named 'none'" in run("cancel", "none").stderr
    assert "signal" in run("signal", "eurusd", "EURUSD", "exit_long", "--share", "0.5").output
    assert "order_price belongs to" in run("signal", "eurusd", "EURUSD", "exit_long", "--order-price", "1").stderr


def test_flatten_asks_first(beside: Beside) -> None:
    assert "nobody agreed; nothing was done. Add --yes" in refused(run("flatten"))


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_status_says_how_it_is_and_exits_with_one_where_somebody_should_look(
    beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = run("status")
    assert told.exit_code == 0
    assert told.output.startswith("paper: well, running, active")
    assert json.loads(run("status", "paper", "--json").output)["pid"] == os.getpid()
    monkeypatch.setattr("tradelab.app.daemon.LEAST_FREE", 2**80)
    assert run("status").exit_code == 1


def test_without_a_daemon_everything_says_how_to_start_one(file: Path) -> None:
    for words in (["status"], ["down"], ["bots"], ["resume"], ["logs"]):
        assert "tradelab up configs/paper.toml" in refused(run(*words)), words


def test_the_log_is_json_by_the_line_private_rotated_and_read_by_people(file: Path) -> None:
    told = new_canary()  # one that is logged here on purpose, unlike the session's
    folder = RunFolder("paper")
    folder.make()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    lines = logs.begin_log(folder.log, "paper", most_mb=0.005, files=2)
    lines.hide(Credentials({"webhook": told}))
    try:
        for number in range(100):
            logging.getLogger("tradelab.x").info("line %d with %s and %s", number, told, told.encode().hex())
        logging.getLogger("tradelab.x").error("it failed", exc_info=ValueError(f"no {told}"))
    finally:
        (ours,) = [handler for handler in root.handlers if handler not in before[0]]
        root.removeHandler(ours)
        ours.close()
        root.setLevel(before[1])
    files = sorted(path.name for path in folder.path.glob("daemon.log*"))
    assert files == ["daemon.log", "daemon.log.1", "daemon.log.2"]
    for name in files:
        path = folder.path / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [coding for coding, trace in traces(told).items() if trace in path.read_bytes()] == []
    shown = run("logs", "paper", "-n", "4").output.splitlines()
    assert any("it failed" in line for line in shown)
    assert "ValueError: no ****" in shown
    assert "line 99 with **** and ****" in "\n".join(run("logs", "paper", "-n", "20").output.splitlines())
    (last,) = run("logs", "paper", "-n", "1", "--json").output.splitlines()
    assert json.loads(last)["level"] == "error"


def test_the_pipeline_is_printed_with_who_reacts_to_what(file: Path) -> None:
    told = run("modules").output
    assert "5  risk_management  (gate; a failure: halt)" in told
    assert "  SignalDropped " in told
    assert any("TradeExecuted" in line and "→" in line and "position_monitoring" in line for line in told.splitlines())
    assert "no module is on" in refused(run("modules", str(file)))
    file.write_text(file.read_text() + "\n[modules]\nexecution = true\n", encoding="utf-8")
    assert "requires 'risk_management', which is off" in refused(run("modules", str(file)))


# ── audit and leases ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_audit_finds_what_was_changed(file: Path) -> None:
    assert "no engine has a journal" in refused(run("audit", "verify"))
    with daemon_beside(file) as beside:
        beside.handle.halt()
    told = run("audit", "verify")
    assert told.exit_code == 0
    assert "message(s), as it was written" in told.output
    shown = run("audit", "show", "--kind", "CommandDone").output
    assert "CommandDone (from " in shown
    with Database() as database, database.writing("sin") as connection:
        connection.exec_driver_sql("drop trigger journal_update")
        connection.exec_driver_sql(
            "update journal set body = replace(body, 'node', 'nobody') where kind = 'CommandDone'"
        )
    told = run("audit", "verify", "paper")
    assert told.exit_code == 1
    assert "FLAW(S)" in told.output
    assert "Do not trust" in told.stderr
    assert "did you mean 'paper'" in refused(run("audit", "verify", "papper"))


def test_audit_misses_neither_a_journal_whose_end_was_taken_away_nor_what_was_done_to_connections(file: Path) -> None:
    with daemon_beside(file) as beside:
        beside.handle.halt()
    assert "what was done to connections, as it was written" in run("audit", "verify").output
    with Database() as database, database.writing("sin") as connection:
        connection.exec_driver_sql("delete from journal_heads")
        connection.exec_driver_sql(
            "insert into audit (at_ns, who, what, connection_id, name, old, new) "
            "values (1, 'eve', 'arm', 'x', 'x', '', '')"
        )
    told = run("audit", "verify")
    assert told.exit_code == 1
    assert "the row in journal_heads is missing" in told.output
    assert "the row was added, or its digest is missing" in told.output


def test_leases_are_listed_and_one_that_is_held_is_not_adopted(file: Path) -> None:
    assert "no account was ever traded" in run("lease", "list").output
    with Database() as database:
        leases = Leases(database, "paper@here")
        held = leases.acquire("main")
        assert "main     paper@here" in run("lease", "list").output
        assert "is traded by paper@here now. Stop that engine first" in refused(run("lease", "adopt", "main", "--yes"))
        leases.release(held)
        assert "nobody agreed" in refused(run("lease", "adopt", "main"))
        assert run("lease", "adopt", "main", "--yes").output == "main can be traded from here.\n"
        assert "did you mean 'main'" in refused(run("lease", "adopt", "mian"))


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_address_is_sealed_listed_by_name_and_never_shown(
    file: Path, canary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_ADDRESS", canary)
    said = [
        run("notify", "add", "phone", "--from-env", "address=MY_ADDRESS"),
        run("notify", "list"),
        run("notify", "add"),
    ]
    said += [run("notify", "add", "phone", "--token", canary), run("notify", "add", canary, "--stdin", typed="{}")]
    said += [run("webhook", "secret", "paper", "--from-env", "secret=MY_ADDRESS")]
    assert [result.exit_code for result in said] == [0, 0, 2, 2, 2, 0]
    assert said[1].output == "phone\n"
    text = "".join(result.output + result.stderr for result in said).encode()
    assert [coding for coding, trace in traces(canary).items() if trace in text] == []
    assert "no secret named 'notify mail'" in refused(run("notify", "remove", "mail"))
    assert run("notify", "remove", "phone").exit_code == 0
    assert "none; add one" in run("notify", "list").output


def test_a_secret_of_the_webhook_is_made_and_shown_once(file: Path) -> None:
    made = run("webhook", "secret", "paper").output.splitlines()
    assert len(made[1]) >= 40
    assert run("webhook", "secret", "paper").output.splitlines()[1] != made[1]


def test_a_file_that_asks_for_what_is_not_sealed_is_refused_with_what_to_do(file: Path) -> None:
    from tradelab.app.daemon_secrets import addresses_of, webhook_secret
    from tradelab.store.secrets import Secrets
    from tradelab.store.vault import Vault

    more = '[daemon]\nwebhook = "127.0.0.1:8787"\nnotify.to = ["phone"]\n'
    live = read_live(write_file(file.parent, more=more))
    with Database() as database:
        secrets = Secrets(Vault(database))
        with pytest.raises(ConfigError, match="tradelab webhook secret paper"):
            webhook_secret(live, secrets)
        with pytest.raises(ConfigError, match="tradelab notify add phone"):
            addresses_of(live, secrets)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('api = "tcp"', r"daemon\.api: .*'socket' or 'loopback'"),
        ('webhook = "8787"', r"daemon\.webhook: '8787' is no address"),
        ('webhok = "x"', r"daemon\.webhok: .*Allowed: api, drop"),
        ('notify.about = ["gossip"]', r"daemon\.notify\.about\.0"),
        ("log_files = 0", r"daemon\.log_files"),
        ("webhook_window_s = inf", r"daemon\.webhook_window_s: .*finite number"),
        ('drop = ""', r"daemon\.drop: an empty name is the folder that the daemon was started in"),
    ],
)
def test_a_wrong_word_of_the_table_is_named(file: Path, more: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_live(write_file(file.parent, more=f"[daemon]\n{more}"))


# ── the doctor ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_doctor_finds_a_world_that_others_can_read_and_a_journal_that_was_changed(file: Path) -> None:
    with daemon_beside(file):
        pass
    assert run("doctor").exit_code == 0
    path = RunFolder("paper").path.parent.parent / "records.sqlite"
    with Database() as database, database.writing("sin") as connection:
        connection.exec_driver_sql("drop trigger journal_delete")
        connection.exec_driver_sql("delete from journal where seq = 1")
    told = run("doctor")
    assert told.exit_code == 1
    assert "WRONG  journal of paper: " in told.output
    assert "→ Do not trust it" in told.output
    path.parent.chmod(0o722)
    assert "can be written by others" in run("doctor").output
    path.parent.chmod(0o700)


def test_the_doctor_looks_at_modules_doors_and_connections_of_a_file(file: Path) -> None:
    text = file.read_text().replace('execution = "paper"', 'execution = "main"')
    file.write_text(text + "\n[modules]\nexecution = true\n", encoding="utf-8")
    checks = {check.about: check for check in examine(read_live(file), connect=False)}
    assert checks["modules"].found is Found.WRONG
    assert "risk_management" in checks["modules"].says
    assert checks["connections" if "connections" in checks else "connection main"].found is Found.WRONG
    assert checks["daemon"].says == "it does not run"
    lines = [json.loads(line) for line in run("doctor", str(file), "--offline", "--json").output.splitlines()]
    assert {"about", "found", "says", "fix"} == set(lines[0])


@pytest.mark.parametrize(
    ("offset_ms", "found", "says"),
    [
        (3.0, Found.WELL, "3 ms behind"),
        (-400.0, Found.LOOK, "400 ms ahead of"),
        (2_000.0, Found.WRONG, "2000 ms behind"),
    ],
)
def test_a_clock_is_judged_by_how_far_it_is_off(offset_ms: float, found: Found, says: str) -> None:
    check = clock_check("main", offset_ms)
    assert check.found is found
    assert says in check.says
    assert bool(check.fix) is (found is not Found.WELL)


@pytest.mark.parametrize(
    ("rights", "executes", "found"),
    [
        (KeyRights(trades=True, withdraws=False, is_bound=True), True, {Found.WELL}),
        (KeyRights(trades=True, withdraws=True, is_bound=True), True, {Found.WRONG}),
        (KeyRights(trades=False, withdraws=False, is_bound=True), True, {Found.WELL, Found.WRONG}),
        (KeyRights(trades=False, withdraws=False, is_bound=True), False, {Found.WELL}),
        (KeyRights(trades=True, withdraws=False, is_bound=False), True, {Found.WELL, Found.LOOK}),
        (KeyRights(trades=True, withdraws=False, is_bound=True, days_left=3), True, {Found.WELL, Found.LOOK}),
        (KeyRights(trades=True, withdraws=False, is_bound=True, days_left=80), True, {Found.WELL}),
        (KeyRights(trades=True, withdraws=None, is_bound=True), True, {Found.LOOK}),
        (KeyRights(trades=None, withdraws=None), True, {Found.LOOK}),
        (None, True, {Found.LOOK}),
    ],
)
def test_a_key_is_judged_by_what_the_venue_lets_it_do(
    rights: KeyRights | None, executes: bool, found: set[Found]
) -> None:
    checks = key_checks("main", rights, executes=executes)
    assert {check.found for check in checks} == found
    assert all(bool(check.fix) is (check.found is not Found.WELL) for check in checks)


@pytest.mark.parametrize(("may", "found"), [({"trade"}, Found.LOOK), ({"trade", "withdraw"}, Found.WRONG)])
def test_the_doctor_asks_the_venue_itself_what_a_key_may_do_and_prints_no_key(
    may: set[str], found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: str
) -> None:
    make_home(tmp_path / "home", monkeypatch)
    with venue_beside(canary, may=frozenset(may)) as venue:
        with service.records(who="ada") as kept:
            service.add_connection(
                kept, "main", "binance", purposes=["data", "execution"], account_kind="rehearsal",
                settings={"base_url": venue.url, "symbols": ["BTC/USDT"]},
                credentials={"api_key": KEY, "api_secret": canary},
            )  # fmt: skip
            service.in_own_loop(lambda: service.test_connection(kept, "main"))
            kept.activate("main")
        path = write_file(tmp_path)
        path.write_text(path.read_text().replace('"paper"\npreset', '"main"\npreset'), encoding="utf-8")
        told = run("doctor", str(path), "--json")
    checks = [json.loads(line) for line in told.output.splitlines()]
    about = {check["found"] for check in checks if check["about"] == "key of main"}
    assert found.value.lower() in about, told.output
    assert {"clock, by main", "disk", "records", "connection main"} <= {check["about"] for check in checks}
    assert any("answers in" in check["says"] for check in checks)
    assert KEY not in told.output


# ── metrics ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_odd_labels_and_numbers_are_read_back_by_prometheus_own_parser() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    odd = 'a "b"\\c\nd'
    values = [({"of": odd}, 1.5), ({"of": "inf"}, float("inf")), ({"of": "big"}, 1e300), ({"of": "nan"}, float("nan"))]
    (family,) = text_string_to_metric_families(page([Metric("odd", "gauge", "Odd.", values)]))
    told = {sample.labels["of"]: sample.value for sample in family.samples}
    assert (told[odd], told["inf"], told["big"]) == (1.5, float("inf"), 1e300)
    assert told["nan"] != told["nan"]


def test_the_engine_of_these_tests_is_the_real_one(file: Path) -> None:
    from tradelab.spine.node import Node

    with Database() as database:
        assert type(engine_of(read_live(file).node, database)) is Node
        assert Journal(database, "paper").seq == 0
