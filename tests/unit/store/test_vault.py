"""One key for all credentials: from the environment, a passphrase or the keyring; changed in one step or not at all."""

from __future__ import annotations

import sys
import threading
from types import ModuleType

import pytest
from sqlalchemy import select, update

from tests.unit.store.world import find_provider, shown_by_us
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConfigError, CorruptFileError, MissingExtraError, StorageError
from tradelab.store import schema
from tradelab.store.connections import Connections
from tradelab.store.database import Database
from tradelab.store.keys import SERVICE, given_key, keyring_key, passphrase_key
from tradelab.store.sealing import Derivation, Key, new_key
from tradelab.store.vault import Vault

LOGIN = {"api_key": "k-123456", "secret": "s-123456"}
PHRASE = "a sentence that nobody guesses"


def cheap() -> Derivation:
    return Derivation("5a" * 16, n=16)


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """An operating system's keyring, as a dictionary behind the library's own two functions."""
    import keyring

    held: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "get_password", lambda service, name: held.get((service, name)))
    monkeypatch.setattr(keyring, "set_password", lambda service, name, text: held.update({(service, name): text}))
    monkeypatch.delenv("TRADELAB_KEY", raising=False)
    monkeypatch.delenv("TRADELAB_PASSPHRASE", raising=False)
    return held


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRADELAB_KEY", raising=False)
    monkeypatch.delenv("TRADELAB_PASSPHRASE", raising=False)


def opened(database: Database, **vault: object) -> Connections:
    """Connections as another process would open them: with no key yet."""
    return Connections(database, find_provider, Vault(database, derivation=cheap, **vault), who="ada")  # type: ignore[arg-type]


def create(connections: Connections, name: str = "main") -> None:
    connections.create(name, "ccxt:binance", purposes=["data"], credentials=LOGIN)


# ── where the key comes from ─────────────────────────────────────────────────────────────────────────────────────


def test_a_key_in_the_environment_comes_first(
    database: Database, key: Key, keyring: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADELAB_KEY", f" {key.text.reveal()}\n")
    monkeypatch.setenv("TRADELAB_PASSPHRASE", PHRASE)
    vault = Vault(database, ask=lambda says: pytest.fail(f"asked: {says}"))
    assert vault.key().id == key.id
    assert keyring == {}


def test_a_passphrase_comes_second_and_opens_again_with_its_stored_salt(
    database: Database, keyring: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADELAB_PASSPHRASE", PHRASE)
    create(opened(database))
    other = Vault(database)  # would make another salt and cost, were none stored
    assert Connections(database, find_provider, other).credentials("main").reveal("secret") == "s-123456"
    assert other.key().id == cheap().key(Secret(PHRASE)).id
    assert keyring == {}


def test_a_passphrase_may_be_asked_for(database: Database, nothing_set: None) -> None:
    asked: list[str] = []

    def ask(says: str) -> str:
        asked.append(says)
        return PHRASE

    create(opened(database, ask=ask))
    assert opened(database, ask=ask).credentials("main").reveal("api_key") == "k-123456"
    assert [says.split()[0] for says in asked] == ["New", "Passphrase"]


def test_a_short_passphrase_is_refused(database: Database, nothing_set: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADELAB_PASSPHRASE", "elevenchars")
    with pytest.raises(ConfigError, match=r"has 11 characters; 12 is the least\. Take a sentence"):
        create(opened(database))


def test_the_keyring_comes_last_and_keeps_a_new_key(database: Database, keyring: dict[tuple[str, str], str]) -> None:
    create(opened(database))
    (((service, key_id), text),) = keyring.items()
    assert service == SERVICE == "tradelab"
    assert Key(Secret(text)).id == key_id
    assert opened(database).credentials("main").reveal("secret") == "s-123456"
    assert len(keyring) == 1


def test_an_empty_answer_means_the_keyring(database: Database, keyring: dict[tuple[str, str], str]) -> None:
    create(opened(database, ask=lambda _: ""))
    assert len(keyring) == 1


def test_a_missing_keyring_says_what_to_set(
    database: Database, nothing_set: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring
    from keyring.backends import fail

    monkeypatch.setattr(keyring.core, "_keyring_backend", fail.Keyring())
    with pytest.raises(ConfigError) as refused:
        create(opened(database))
    assert "keyring cannot be used here (NoKeyringError). Set TRADELAB_KEY or TRADELAB_PASSPHRASE" in str(refused.value)
    assert "connection 'main'" in str(refused.value)
    assert opened(database).list() == ()


def test_a_keyring_that_keeps_nothing_is_seen(
    database: Database, nothing_set: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring
    from keyring.backends import null

    monkeypatch.setattr(keyring.core, "_keyring_backend", null.Keyring())
    with pytest.raises(ConfigError, match="did not keep the key"):
        create(opened(database))


def test_a_keyring_that_fails_shows_neither_key_nor_reason(
    database: Database, keyring: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import keyring as library

    seen: list[str] = []

    def fail(service: str, name: str, text: str) -> None:
        seen.append(text)
        raise OSError(f"D-Bus said no to {text}")

    monkeypatch.setattr(library, "set_password", fail)
    with pytest.raises(ConfigError, match=r"cannot be used here \(OSError\)") as refused:
        create(opened(database))
    assert seen
    assert seen[0] not in shown_by_us(refused.value)


def test_without_the_library_the_extra_is_named(
    database: Database, nothing_set: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradelab.model.errors.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"keyring.*tradelab\[store\]"):
        create(opened(database))


def test_ten_threads_at_first_use_agree_on_one_key(database: Database, keyring: dict[tuple[str, str], str]) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(Vault(database).key().id)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10
    assert len(set(found)) == 1
    assert (SERVICE, found[0]) in keyring


# ── the wrong key ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_key_is_named_with_the_connection_and_what_to_do(
    connections: Connections, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(connections)
    other = new_key()
    monkeypatch.setenv("TRADELAB_KEY", other.text.reveal())
    with pytest.raises(ConfigError) as refused:
        opened(connections.database).credentials("main")
    for part in ("credentials of connection 'main'", "TRADELAB_KEY", key.id, other.id, "Give the right one"):
        assert part in str(refused.value)


def test_a_wrong_key_is_refused_before_it_seals_anything(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(connections)
    monkeypatch.setenv("TRADELAB_KEY", new_key().text.reveal())
    with pytest.raises(ConfigError, match="connection 'second'"):
        create(opened(connections.database), "second")
    assert [known.name for known in connections.list()] == ["main"]


def test_a_wrong_passphrase_is_refused(database: Database, nothing_set: None, monkeypatch: pytest.MonkeyPatch) -> None:
    create(opened(database, ask=lambda _: PHRASE))
    with pytest.raises(ConfigError, match="the passphrase is not what they were sealed with"):
        opened(database, ask=lambda _: PHRASE + "!").credentials("main")
    with pytest.raises(ConfigError, match=r"sealed with a passphrase\. Set TRADELAB_PASSPHRASE"):
        opened(database).credentials("main")


def test_no_key_at_all_is_said(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    create(connections)
    monkeypatch.delenv("TRADELAB_KEY")
    with pytest.raises(ConfigError, match=r"key of your own, .*Set TRADELAB_KEY to it"):
        opened(connections.database).credentials("main")


def test_a_keyring_that_lost_the_key_is_said_and_makes_no_other(
    database: Database, keyring: dict[tuple[str, str], str]
) -> None:
    create(opened(database))
    keyring.clear()
    with pytest.raises(ConfigError, match=r"keyring has no key .* any more"):
        opened(database).credentials("main")
    assert keyring == {}


def test_a_key_that_is_none_is_said_without_showing_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADELAB_KEY", "hunter2hunter2")
    with pytest.raises(ConfigError, match="TRADELAB_KEY: a key must be 32 bytes in base64") as refused:
        create(opened(database))
    assert "hunter2" not in shown_by_us(refused.value)


def test_listing_needs_no_key(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    create(connections)
    monkeypatch.setenv("TRADELAB_KEY", "broken")
    (known,) = opened(connections.database).list()
    assert known.credential_fields == ("api_key", "secret")


def test_with_nothing_sealed_another_key_may_begin(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    create(connections)
    connections.delete("main")
    monkeypatch.setenv("TRADELAB_KEY", new_key().text.reveal())
    create(opened(connections.database))
    assert opened(connections.database).credentials("main").reveal("secret") == "s-123456"


# ── what was tampered with ───────────────────────────────────────────────────────────────────────────────────────


def test_a_row_copied_over_another_does_not_open(connections: Connections) -> None:
    create(connections, "a")
    create(connections, "b")
    row = schema.credentials.c
    with connections.database.writing("tamper") as transaction:
        stolen = transaction.scalar(
            select(row.sealed).where(row.connection_id == connections.get("a").id, row.field == "secret")
        )
        mine = (row.connection_id == connections.get("b").id) & (row.field == "secret")
        transaction.execute(update(schema.credentials).where(mine).values(sealed=stolen))
    with pytest.raises(CorruptFileError, match="'secret' of connection 'b' was changed or copied"):
        connections.credentials("b")
    assert connections.credentials("a").reveal("secret") == "s-123456"


# ── another key ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_rotation_seals_everything_anew(connections: Connections, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        create(connections, name)
    new = new_key()
    assert connections.vault.rotate(key, given_key(new.text), who="eve") == 6
    assert connections.credentials("b").reveal("secret") == "s-123456"  # this process goes on
    monkeypatch.setenv("TRADELAB_KEY", new.text.reveal())
    for name in ("a", "b", "c"):
        assert opened(connections.database).credentials(name).reveal("api_key") == "k-123456"
    rows = [row for row in connections.audit() if row.what == "reseal"]
    assert [(row.name, row.who) for row in rows] == [("c", "eve"), ("b", "eve"), ("a", "eve")] or len(rows) == 3
    assert {(row.old, row.new) for row in rows} == {(f'{{"key": "{key.id}"}}', f'{{"key": "{new.id}"}}')}


def test_rotation_leads_from_any_source_to_any_other(
    database: Database, keyring: dict[tuple[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = opened(database)
    create(connections)
    connections.vault.rotate(connections.vault.key(), passphrase_key(Secret(PHRASE), cheap()))
    monkeypatch.setenv("TRADELAB_PASSPHRASE", PHRASE)
    assert opened(database).credentials("main").reveal("secret") == "s-123456"
    monkeypatch.delenv("TRADELAB_PASSPHRASE")
    connections.vault.rotate(connections.vault.key(), keyring_key())
    assert opened(database).credentials("main").reveal("secret") == "s-123456"
    assert len(keyring) == 2  # the old one stays, for copies of the database


def test_rotation_with_a_wrong_old_key_is_refused(connections: Connections, key: Key) -> None:
    create(connections)
    with pytest.raises(ConfigError, match=f"sealed with key {key.id}"):
        connections.vault.rotate(new_key(), given_key(new_key().text))
    assert connections.credentials("main").reveal("secret") == "s-123456"


@pytest.mark.parametrize("after", range(6))
def test_a_rotation_killed_half_way_leaves_all_readable_with_the_old_key(
    connections: Connections, key: Key, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        create(connections, name)
    before = connections.audit()
    new = given_key(new_key().text)
    sealed: list[object] = []
    real = Key.seal

    def seal(self: Key, *args: object) -> bytes:
        if len(sealed) == after:
            raise KeyboardInterrupt
        sealed.append(args)
        return real(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Key, "seal", seal)
        with pytest.raises(KeyboardInterrupt):
            connections.vault.rotate(key, new)
    for name in ("a", "b", "c"):
        assert opened(connections.database).credentials(name).reveal("secret") == "s-123456"
    assert connections.audit() == before


def test_another_process_that_still_has_the_old_key_writes_nothing_with_it(
    connections: Connections, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(connections)
    late = opened(connections.database)
    assert late.credentials("main").reveal("secret") == "s-123456"  # its vault has the key now
    new = new_key()
    connections.vault.rotate(key, given_key(new.text))
    monkeypatch.setenv("TRADELAB_KEY", new.text.reveal())
    with pytest.raises(StorageError, match="key of the credentials was changed meanwhile"):
        late.set_credentials("main", {"api_key": "k", "secret": "late"})
    assert connections.credentials("main").reveal("secret") == "s-123456"
    late.set_credentials("main", {"api_key": "k", "secret": "later"})
    assert connections.credentials("main").reveal("secret") == "later"


def test_another_process_reads_on_after_a_rotation(database: Database, keyring: dict[tuple[str, str], str]) -> None:
    connections, other = opened(database), opened(database)
    create(connections)
    assert other.credentials("main").reveal("secret") == "s-123456"
    connections.vault.rotate(connections.vault.key(), keyring_key())
    assert other.credentials("main").reveal("secret") == "s-123456"


def test_a_vault_shows_no_key(connections: Connections, key: Key) -> None:
    create(connections)
    assert key.text.reveal() not in repr(connections.vault) + repr(connections) + repr(vars(connections.vault))


def test_the_keyring_is_loaded_only_when_it_is_asked(key: Key, database: Database) -> None:
    create(opened(database))
    assert isinstance(sys.modules.get("keyring"), ModuleType | None)
