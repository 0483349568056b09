"""A connection's life: made, tested, activated, used, stopped by any change, ended; and each step in the audit."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from sqlalchemy import text

from tests.unit.store.world import PROVIDERS, BridgeSettings, Clock, find_provider
from tradelab.model.credentials import CredentialField
from tradelab.model.errors import ConfigError, CorruptFileError, ParameterError, StorageError, UnknownNameError
from tradelab.model.ports import ConnectionTest
from tradelab.model.units import NS_PER_DAY, NS_PER_S, Timeframe
from tradelab.store.connections import Connections
from tradelab.store.database import Database
from tradelab.store.records import EXPIRED, AccountKind, Connection, Status
from tradelab.store.sealing import Key
from tradelab.store.settings import Provider, Purpose, UncheckedSettings

LOGIN = {"api_key": "k-123456", "secret": "s-123456"}
GOOD = ConnectionTest(True, "", 12.5)
BAD = ConnectionTest(False, "AuthenticationError: no such key")


def create(connections: Connections, name: str = "main", **given: object) -> Connection:
    given = {"purposes": ["data"], "credentials": LOGIN} | given
    return connections.create(name, "ccxt:binance", **given)  # type: ignore[arg-type]


def probed(connections: Connections, name: str = "main", result: ConnectionTest = GOOD) -> Connection:
    return connections.end_test(connections.begin_test(name), result)


def active(connections: Connections, name: str = "main") -> Connection:
    create(connections, name)
    probed(connections, name)
    return connections.activate(name)


# ── making one ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_connection_is_as_it_was_described_and_inactive(connections: Connections, clock: Clock) -> None:
    made = create(
        connections,
        "binance main",
        purposes=["execution", "data"],
        settings={"symbols": ["BTC/USDT"], "timeframes": ["1h", "D1"], "sandbox": True},
    )
    assert made == connections.get("binance main")
    assert (made.name, made.provider, made.owner, made.version) == ("binance main", "ccxt:binance", "ada", 1)
    assert made.purposes == (Purpose.DATA, Purpose.EXECUTION)
    assert made.settings == BridgeSettings(symbols=("BTC/USDT",), timeframes=(Timeframe.H1, Timeframe.D1), sandbox=True)
    assert made.status is Status.INACTIVE
    assert not made.passed
    assert made.credential_fields == ("api_key", "secret")
    assert made.account_kind is AccountKind.PAPER
    assert (made.armed_at_ns, made.armed_by) == (None, None)
    assert made.created_ns == made.updated_ns == clock.ns
    assert (made.tested_ns, made.passed_ns, made.used_ns, made.error_ns, made.error) == (None,) * 5


def test_connections_are_listed_by_name(connections: Connections) -> None:
    for name in ("b", "a", "c"):
        create(connections, name)
    assert [known.name for known in connections.list()] == ["a", "b", "c"]


def test_an_unknown_name_is_answered_with_the_known_ones(connections: Connections) -> None:
    create(connections, "binance main")
    with pytest.raises(UnknownNameError, match=r"'binance mian'; did you mean 'binance main'\?"):
        connections.get("binance mian")
    for act in (connections.activate, connections.deactivate, connections.delete, connections.mark_used):
        with pytest.raises(UnknownNameError, match="did you mean"):
            act("binance mian")


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "a\n", "-a", "x" * 65, "a'b"])
def test_a_name_that_cannot_be_one_is_refused(connections: Connections, name: str) -> None:
    with pytest.raises(ParameterError, match="at most 64 letters"):
        create(connections, name)
    create(connections)
    with pytest.raises(ParameterError, match="at most 64 letters"):
        connections.rename("main", name)


@pytest.mark.parametrize("name", ["a", "x" * 64, "Börse 1", "binance_main.2-b"])
def test_a_name_of_letters_is_good(connections: Connections, name: str) -> None:
    assert create(connections, name).name == name


def test_a_name_is_given_once(connections: Connections) -> None:
    create(connections, "a")
    create(connections, "b")
    with pytest.raises(ParameterError, match="there is a connection 'a' already"):
        create(connections, "a")
    with pytest.raises(ParameterError, match="there is a connection 'a' already"):
        connections.rename("b", "a")
    assert connections.rename("b", "b").version == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"purposes": []}, "at least one must be given"),
        ({"purposes": ["data", "trading"]}, r"'trading': not offered\. Allowed: data, execution, copy"),
        ({"account_kind": "demo"}, r"'demo' is not known\. Allowed: paper, live, rehearsal"),
        ({"settings": {"simbols": []}}, r"unknown 'simbols' \(did you mean 'symbols'\?\)"),
        (
            {"settings": {"sandbox": "perhaps", "leverage": "x"}},
            r"'sandbox': input should be a valid boolean.*'leverage'",
        ),
        ({"settings": {"symbols": ["A", "A"]}}, "'symbols': .*each must be named once"),
        ({"settings": {"timeframes": ["7h"]}}, r"timeframe '7h' is not known"),
        ({"credentials": {"api_key": "k"}}, "credentials of ccxt:binance: missing 'secret'"),
        ({"owner": " "}, "owner ' ' is not a name"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(
    connections: Connections, given: dict[str, object], says: str
) -> None:
    with pytest.raises(ParameterError, match=says):
        create(connections, **given)  # type: ignore[arg-type]
    assert connections.list() == ()
    assert connections.audit() == ()


def test_a_secret_among_the_settings_is_pointed_to_its_place_and_not_repeated(connections: Connections) -> None:
    with pytest.raises(ParameterError, match=r"secret: give it with set_credentials") as refused:
        create(connections, settings={"secret": "hunter2"})
    assert "hunter2" not in str(refused.value)


def test_an_unknown_provider_is_refused(connections: Connections) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'ccxt:binance'"):
        connections.create("x", "ccxt:binanc", purposes=["data"])


def test_a_provider_offers_only_some_purposes(connections: Connections) -> None:
    assert connections.create("csv", "files", purposes="data").purposes == (Purpose.DATA,)
    with pytest.raises(ParameterError, match=r"'execution': not offered\. Allowed: data"):
        connections.create("x", "files", purposes=["execution"])


def test_a_live_account_is_not_armed_by_being_made(connections: Connections) -> None:
    made = create(connections, account_kind="live")
    assert (made.account_kind, made.armed_at_ns) == (AccountKind.LIVE, None)


# ── tests and activation ─────────────────────────────────────────────────────────────────────────────────────────


def test_only_a_passing_test_lets_a_connection_be_activated(connections: Connections, clock: Clock) -> None:
    create(connections)
    with pytest.raises(ConfigError, match=r"'main' cannot be activated: it was never tested\. Test it first"):
        connections.activate("main")
    lease = connections.begin_test("main")
    assert lease.connection.status is Status.TESTING
    with pytest.raises(ConfigError, match="'main' is being tested"):
        connections.activate("main")
    clock.pass_s(2)
    done = connections.end_test(lease, GOOD)
    assert (done.status, done.passed, done.tested_ns, done.passed_ns) == (Status.INACTIVE, True, clock.ns, clock.ns)
    assert connections.activate("main").status is Status.ACTIVE


def test_a_failing_test_puts_it_in_error_until_one_passes(connections: Connections, clock: Clock) -> None:
    create(connections)
    probed(connections)
    clock.pass_s(5)
    failed = probed(connections, result=BAD)
    assert (failed.status, failed.passed, failed.error, failed.error_ns) == (Status.ERROR, False, BAD.says, clock.ns)
    assert failed.passed_ns == clock.ns - 5 * NS_PER_S
    with pytest.raises(ConfigError, match="no test has passed since its last failure or change"):
        connections.activate("main")
    assert probed(connections).status is Status.INACTIVE
    assert connections.activate("main").status is Status.ACTIVE


def test_an_active_connection_stays_active_while_it_is_tested_and_if_it_passes(connections: Connections) -> None:
    active(connections)
    lease = connections.begin_test("main")
    assert connections.get("main").status is Status.ACTIVE
    assert connections.end_test(lease, GOOD).status is Status.ACTIVE
    assert probed(connections, result=BAD).status is Status.ERROR


CHANGES: dict[str, Callable[[Connections], object]] = {
    "credentials": lambda all_: all_.set_credentials("main", LOGIN),
    "a provider's setting": lambda all_: all_.update("main", settings={"sandbox": True}),
    "purposes": lambda all_: all_.update("main", purposes=["data", "copy"]),
    "the kind of account": lambda all_: all_.update("main", account_kind="live"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_what_a_test_depends_on_stops_it_and_asks_for_a_new_one(
    connections: Connections, what: str
) -> None:
    active(connections)
    CHANGES[what](connections)
    stopped = connections.get("main")
    assert (stopped.status, stopped.passed) == (Status.INACTIVE, False)
    with pytest.raises(ConfigError, match="no test has passed since its last failure or change"):
        connections.activate("main")
    probed(connections)
    assert connections.activate("main").status is Status.ACTIVE


@pytest.mark.parametrize("what", CHANGES)
def test_a_test_that_began_before_a_change_does_not_count(connections: Connections, what: str) -> None:
    create(connections)
    lease = connections.begin_test("main")
    CHANGES[what](connections)
    with pytest.raises(StorageError, match="does not count: it took too long, or the connection was changed"):
        connections.end_test(lease, GOOD)
    assert connections.get("main").status is Status.INACTIVE
    assert connections.tests("main") == ()


def test_a_change_of_symbols_timeframes_owner_or_name_leaves_it_active(connections: Connections) -> None:
    active(connections)
    connections.update("main", settings={"symbols": ["ETH/USDT"], "timeframes": ["4h"]}, owner="bob")
    kept = connections.rename("main", "other")
    assert (kept.status, kept.passed, kept.owner, kept.settings.symbols) == (Status.ACTIVE, True, "bob", ("ETH/USDT",))
    assert connections.credentials("other").reveal("secret") == "s-123456"


def test_a_change_to_the_same_changes_nothing(connections: Connections) -> None:
    before = active(connections)
    connections.update("main", purposes=["data"], settings={}, account_kind="paper", owner="ada")
    connections.activate("main")
    assert connections.get("main") == before
    assert len(connections.audit()) == 4


def test_a_change_disarms(connections: Connections, database: Database) -> None:
    active(connections)
    with database.writing("arm, as a later room will") as transaction:
        transaction.execute(text("update connections set armed_at_ns = 5, armed_by = 'ada'"))
    assert connections.get("main").armed_by == "ada"
    assert connections.set_credentials("main", LOGIN).armed_at_ns is None


def test_without_its_credentials_a_connection_is_neither_tested_nor_activated(connections: Connections) -> None:
    create(connections, credentials=None)
    for act in (connections.begin_test, connections.activate):
        with pytest.raises(ConfigError, match=r"'main' has no 'api_key', 'secret'\. Set its credentials first"):
            act("main")


def test_two_tests_of_one_connection_at_once_are_refused(connections: Connections, clock: Clock) -> None:
    create(connections)
    connections.begin_test("main", lease_s=90)
    clock.pass_s(30)
    with pytest.raises(StorageError, match=r"'main' is being tested\. Try again when that ends, in 60 s at most"):
        connections.begin_test("main")


def test_a_test_whose_process_was_killed_ends_by_itself_in_an_error(connections: Connections, clock: Clock) -> None:
    create(connections)
    probed(connections)
    lease = connections.begin_test("main", lease_s=60)
    clock.pass_s(59)
    assert connections.get("main").status is Status.TESTING
    clock.pass_s(1)
    left = connections.get("main")
    assert (left.status, left.error, left.error_ns, left.passed) == (Status.ERROR, EXPIRED, clock.ns, False)
    with pytest.raises(StorageError, match="does not count"):
        connections.end_test(lease, GOOD)
    with pytest.raises(ConfigError, match="cannot be activated"):
        connections.activate("main")
    assert probed(connections).status is Status.INACTIVE
    assert "test-expired" in [row.what for row in connections.audit()]


def test_a_killed_test_of_an_active_connection_leaves_it_active(connections: Connections, clock: Clock) -> None:
    active(connections)
    connections.begin_test("main")
    clock.pass_s(121)
    assert connections.get("main").status is Status.ACTIVE
    assert probed(connections).status is Status.ACTIVE


def test_deactivating_ends_use_error_and_test(connections: Connections) -> None:
    active(connections)
    assert connections.deactivate("main").status is Status.INACTIVE
    assert connections.activate("main").status is Status.ACTIVE  # nothing changed: the test is still good
    connections.mark_error("main", "gone")
    assert connections.deactivate("main").status is Status.INACTIVE
    with pytest.raises(ConfigError, match="no test has passed"):
        connections.activate("main")
    lease = connections.begin_test("main")
    assert connections.deactivate("main").status is Status.INACTIVE
    with pytest.raises(StorageError, match="does not count"):
        connections.end_test(lease, GOOD)


def test_a_provider_that_asks_for_more_than_before_stops_activation(database: Database, key: Key, clock: Clock) -> None:
    connections = Connections(database, find_provider, clock=clock)
    create(connections)
    probed(connections)
    asks = (*PROVIDERS["ccxt:binance"].credentials, CredentialField("uid"))
    grown = Connections(database, lambda name: Provider(name, asks, BridgeSettings), clock=clock)
    with pytest.raises(ConfigError, match="'main' has no 'uid'"):
        grown.activate("main")


def test_connections_of_a_provider_that_is_gone_are_still_listed(connections: Connections, key: Key) -> None:
    create(connections, settings={"sandbox": True, "symbols": ["X"]})

    def none(name: str) -> Provider:
        raise UnknownNameError.of("provider", name, [])

    later = Connections(connections.database, none)
    (known,) = later.list()
    assert isinstance(known.settings, UncheckedSettings)
    assert known.settings.model_dump()["sandbox"] is True
    with pytest.raises(UnknownNameError, match="no provider"):
        later.begin_test("main")


# ── history, use and errors ──────────────────────────────────────────────────────────────────────────────────────


def test_the_history_of_tests_is_kept_to_its_bound(database: Database, key: Key, clock: Clock) -> None:
    connections = Connections(database, find_provider, clock=clock, keep_tests=3)
    create(connections, "a")
    create(connections, "b")
    probed(connections, "b")
    for ms in range(5):
        clock.pass_s(1)
        probed(connections, "a", ConnectionTest(ms != 2, f"run {ms}", float(ms) if ms else None))
    assert [(test.passed, test.latency_ms, test.says) for test in connections.tests("a")] == [
        (False, 2.0, "run 2"),
        (True, 3.0, "run 3"),
        (True, 4.0, "run 4"),
    ]
    assert connections.tests("a")[-1].at_ns == clock.ns
    assert len(connections.tests("b")) == 1


def test_use_is_kept_to_the_minute_and_audited_once_a_day(connections: Connections, clock: Clock) -> None:
    create(connections)
    first = clock.ns
    connections.mark_used("main")
    clock.pass_s(59)
    connections.mark_used("main")
    assert connections.get("main").used_ns == first
    clock.pass_s(1)
    connections.mark_used("main")
    assert connections.get("main").used_ns == clock.ns
    clock.ns = (clock.ns // NS_PER_DAY + 1) * NS_PER_DAY
    connections.mark_used("main")
    assert [row.what for row in connections.audit()] == ["use", "use", "create"]
    clock.ns -= NS_PER_DAY  # a clock set back is a new moment, not one of the last minute
    connections.mark_used("main")
    assert connections.get("main").used_ns == clock.ns


def test_an_error_in_use_stops_it_and_its_text_is_kept_without_secrets(connections: Connections, clock: Clock) -> None:
    active(connections)
    wrong = connections.mark_error("main", "GET /x?secret=s-123456 " + "y" * 600)
    assert wrong.status is Status.ERROR
    assert wrong.error_ns == clock.ns
    assert wrong.error is not None
    assert wrong.error.startswith("GET /x?secret=**** yyy")
    assert len(wrong.error) == 500


def test_what_a_test_says_is_kept_without_secrets(connections: Connections) -> None:
    create(connections)
    failed = probed(connections, result=ConnectionTest(False, 'refused {"key": "k-123456"}'))
    assert failed.error == connections.tests("main")[0].says == 'refused {"key": "****"}'
    assert "k-123456" not in str(connections.audit())


def test_what_cannot_be_searched_for_secrets_is_not_kept(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    active(connections)
    monkeypatch.delenv("TRADELAB_KEY")
    keyless = Connections(connections.database, find_provider)
    wrong = keyless.mark_error("main", "refused s-123456")
    assert wrong.status is Status.ERROR
    assert wrong.error is not None
    assert wrong.error.startswith("(not kept: the credentials could not be unsealed")


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_new_credentials_replace_all_old_ones(connections: Connections) -> None:
    create(connections, credentials={**LOGIN, "password": "p-123456"})
    connections.set_credentials("main", {"api_key": "k-2", "secret": "s-2"})
    now = connections.credentials("main")
    assert {name: now.reveal(name) for name in now} == {"api_key": "k-2", "secret": "s-2"}


def test_wrong_credentials_leave_the_old_ones(connections: Connections) -> None:
    before = active(connections)
    with pytest.raises(ParameterError, match=r"missing 'secret'; unknown 'secrt' \(did you mean 'secret'\?\)"):
        connections.set_credentials("main", {"api_key": "k-2", "secrt": "s-2"})
    assert connections.get("main") == before
    assert connections.credentials("main").reveal("secret") == "s-123456"


def test_a_connection_without_credentials_gives_none_and_needs_no_key(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.create("csv", "files", purposes=["data"])
    monkeypatch.delenv("TRADELAB_KEY")
    assert len(Connections(connections.database, find_provider).credentials("csv")) == 0


def test_damage_is_an_error_never_an_empty_answer(connections: Connections, database: Database) -> None:
    create(connections)
    with database.writing("damage") as transaction:
        transaction.execute(text("update credentials set sealed = :junk where field = 'secret'"), {"junk": b"junk"})
    with pytest.raises(CorruptFileError, match="'secret' of connection 'main' is damaged"):
        connections.credentials("main")


# ── the end, and the audit ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("settings", "{broken", "Expecting property name"),
        ("settings", "[1]", "validation error"),
        ("purposes", '["fly"]', "'fly' is not a valid Purpose"),
        ("settings", "5", "validation error"),
    ],
)
def test_a_damaged_record_is_named_and_can_be_done_without(
    connections: Connections, database: Database, column: str, value: str, says: str
) -> None:
    create(connections)
    create(connections, "other")
    with database.writing("damage") as connection:
        connection.execute(text(f"update connections set {column} = :value where name = 'main'"), {"value": value})
    for look in (connections.list, lambda: connections.get("main")):
        with pytest.raises(CorruptFileError, match=rf"the record of connection 'main' is damaged: .*{says}"):
            look()
    assert connections.get("other").name == "other"
    connections.delete("main")
    assert [known.name for known in connections.list()] == ["other"]


def test_a_key_s_record_that_is_damaged_or_gone_is_named(connections: Connections, database: Database) -> None:
    create(connections)
    for statement in ("update vault set derivation = '{}'", "delete from vault"):
        with database.writing("damage") as connection:
            connection.execute(text(statement))
        with pytest.raises(CorruptFileError, match=r"(damaged in the records|is gone).*last copy"):
            Connections(database, find_provider).credentials("main")


def test_a_deleted_connection_leaves_nothing_but_its_audit(connections: Connections, database: Database) -> None:
    active(connections)
    with pytest.raises(ConfigError, match=r"'main' is active\. Deactivate it first"):
        connections.delete("main")
    connections.deactivate("main")
    connections.delete("main")
    assert connections.list() == ()
    with database.reading() as transaction:
        for table in ("connections", "credentials", "tests"):
            assert transaction.scalar(text(f"select count(*) from {table}")) == 0
    told = [row.what for row in connections.audit("main")]
    assert told == ["delete", "deactivate", "activate", "test-end", "test-begin", "create"]


def test_a_name_that_was_freed_may_be_given_again(connections: Connections) -> None:
    first = create(connections)
    connections.delete("main")
    second = create(connections)
    assert first.id != second.id
    assert [row.what for row in connections.audit("main")] == ["create", "delete", "create"]


def test_the_audit_says_who_when_what_and_from_what_to_what(connections: Connections, clock: Clock) -> None:
    create(connections)
    clock.pass_s(1)
    bob = Connections(connections.database, find_provider, who="bob", clock=clock)
    bob.update("main", settings={"leverage": 3}, owner="carol")
    (row, _) = connections.audit()
    assert (row.at_ns, row.who, row.what, row.name) == (clock.ns, "bob", "update", "main")
    assert row.connection_id == connections.get("main").id
    base = {"symbols": [], "timeframes": [], "sandbox": False}
    assert json.loads(row.old) == {"owner": "ada", "settings": base | {"leverage": 1}}
    assert json.loads(row.new) == {"owner": "carol", "settings": base | {"leverage": 3}}


def test_every_action_is_audited_and_no_secret_with_it(connections: Connections) -> None:
    create(connections)
    connections.update("main", owner="bob")
    connections.rename("main", "other")
    connections.set_credentials("other", {"api_key": "k-999999", "secret": "s-999999"})
    probed(connections, "other")
    connections.activate("other")
    connections.mark_used("other")
    connections.mark_error("other", "no s-999999")
    connections.deactivate("other")
    connections.delete("other")
    rows = connections.audit("other")
    assert [row.what for row in reversed(rows)] == [
        *("create", "update", "rename", "set-credentials", "test-begin", "test-end", "activate", "use", "error"),
        *("deactivate", "delete"),
    ]
    assert json.loads(rows[-4].new) == {"credentials": ["api_key", "secret"]}
    assert not any(secret in str(rows) for secret in ("k-999999", "s-999999", "k-123456", "s-123456"))
    assert connections.audit(limit=2) == rows[:2]


def test_what_is_refused_is_not_audited(connections: Connections) -> None:
    create(connections)
    with pytest.raises(ConfigError):
        connections.activate("main")
    with pytest.raises(ParameterError):
        connections.update("main", account_kind="demo")
    assert [row.what for row in connections.audit()] == ["create"]


# ── two writers at once ──────────────────────────────────────────────────────────────────────────────────────────


def test_who_changes_what_somebody_else_changed_meanwhile_is_told(connections: Connections) -> None:
    seen = create(connections)
    connections.update("main", settings={"symbols": ["A"]}, seen=seen.version)
    with pytest.raises(StorageError, match=r"changed meanwhile \(version 2; you read 1\)\. Read it again"):
        connections.update("main", settings={"symbols": ["B"]}, seen=seen.version)
    assert connections.get("main").settings.symbols == ("A",)


def test_threads_that_add_to_the_settings_lose_no_update(connections: Connections) -> None:
    create(connections)
    conflicts: list[str] = []

    def add(who: str) -> None:
        for number in range(10):
            while True:
                seen = connections.get("main")
                symbols = [*seen.settings.symbols, f"{who}{number}"]
                try:
                    connections.update("main", settings={"symbols": symbols}, seen=seen.version)
                except StorageError:
                    conflicts.append(who)
                else:
                    break

    threads = [threading.Thread(target=add, args=(who,)) for who in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = connections.get("main")
    assert sorted(now.settings.symbols) == sorted(f"{who}{number}" for who in "abc" for number in range(10))
    assert now.version == 31


_WRITER = """
import sys
from tests.unit.store.world import find_provider
from tradelab.model.ports import ConnectionTest
from tradelab.store.connections import Connections
from tradelab.store.database import Database
from tradelab.model.errors import StorageError
done = 0
with Database(sys.argv[1]) as database:
    connections = Connections(database, find_provider, who=sys.argv[2])
    connections.list()
    print("ready", flush=True)
    sys.stdin.readline()
    while done < 15:
        try:
            lease = connections.begin_test("main")
        except StorageError:
            continue
        connections.update("main", owner=f"{sys.argv[2]} {done}")
        connections.end_test(lease, ConnectionTest(True, sys.argv[2], 1.0))
        done += 1
"""


def test_processes_that_test_and_change_one_connection_lose_nothing(connections: Connections, url: str) -> None:
    create(connections, credentials=None)
    connections.set_credentials("main", LOGIN)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, url, who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for who in ("eve", "bob")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=120)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(test.says for test in connections.tests("main")) == ["bob"] * 15 + ["eve"] * 15
    whats = [row.what for row in connections.audit(limit=1000)]
    assert {what: whats.count(what) for what in set(whats)} == {
        "create": 1, "set-credentials": 1, "update": 30, "test-begin": 30, "test-end": 30,
    }  # fmt: skip
    assert connections.get("main").version == 2 + 90
