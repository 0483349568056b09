"""A secret of no connection is sealed like one, and goes with the key when that is changed."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.canary import traces
from tradelab.model.credentials import Secret
from tradelab.model.errors import ConfigError, CorruptFileError, ParameterError, UnknownNameError
from tradelab.store.database import Database
from tradelab.store.keys import given_key
from tradelab.store.sealing import Key, new_key
from tradelab.store.secrets import Secrets
from tradelab.store.vault import Vault


def test_what_is_put_in_comes_out_and_no_byte_of_the_database_tells_it(
    database: Database, key: Key, canary: str
) -> None:
    secrets = Secrets(Vault(database))
    secrets.put("notify phone", Secret("an older one"))
    secrets.put("notify phone", Secret(canary))
    assert secrets.get("notify phone") == Secret(canary)
    assert secrets.names("notify") == ("notify phone",)
    assert secrets.names("webhook") == ()
    with database.reading() as connection:
        sealed = bytes(connection.scalar(text("select sealed from secrets")))
    assert [coding for coding, trace in traces(canary).items() if trace in sealed] == []


def test_another_key_opens_it_only_after_the_change(
    database: Database, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    Secrets(Vault(database)).put("webhook paper", Secret("s-1234"))
    other = new_key()
    assert Vault(database).rotate(key, given_key(other.text)) == 1
    with pytest.raises(ConfigError, match="TRADELAB_KEY"):
        Secrets(Vault(database)).get("webhook paper")
    monkeypatch.setenv("TRADELAB_KEY", other.text.reveal())
    assert Secrets(Vault(database)).get("webhook paper") == Secret("s-1234")


def test_a_sealed_text_opens_under_its_own_name_only(database: Database, key: Key) -> None:
    secrets = Secrets(Vault(database))
    secrets.put("notify phone", Secret("s-1234"))
    with database.writing("sin") as connection:
        connection.execute(text("update secrets set name = 'notify mail'"))
    with pytest.raises(CorruptFileError, match="changed or copied"):
        secrets.get("notify mail")


def test_the_key_of_secrets_alone_is_not_replaced_by_another(
    database: Database, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    Secrets(Vault(database)).put("notify phone", Secret("s-1234"))
    monkeypatch.setenv("TRADELAB_KEY", new_key().text.reveal())
    with pytest.raises(ConfigError, match="sealed with"):
        Secrets(Vault(database)).put("notify mail", Secret("s-5678"))


def test_a_wrong_name_an_empty_text_and_one_that_is_not_there_are_refused(database: Database, key: Key) -> None:
    secrets = Secrets(Vault(database))
    with pytest.raises(ParameterError, match=r"cannot be called 'phone'.*notify NAME"):
        secrets.put("phone", Secret("s"))
    with pytest.raises(ParameterError, match="'notify phone' is empty"):
        secrets.put("notify phone", Secret(""))
    secrets.put("notify phone", Secret("s-1234"))
    with pytest.raises(UnknownNameError, match="did you mean 'notify phone'"):
        secrets.remove("notify fone")
    secrets.remove("notify phone")
    assert secrets.get("notify phone") is None
