"""Give the records' tests a key, a clock, and connections."""

from __future__ import annotations

import pytest

from tests.unit.store.world import Clock, find_provider
from tradelab.store.connections import Connections
from tradelab.store.database import Database
from tradelab.store.sealing import Key, new_key


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Key:
    """The key of the vault, in ``TRADELAB_KEY`` as a user would give it."""
    made = new_key()
    monkeypatch.setenv("TRADELAB_KEY", made.text.reveal())
    monkeypatch.delenv("TRADELAB_PASSPHRASE", raising=False)
    return made


@pytest.fixture
def clock() -> Clock:
    """A clock for the records."""
    return Clock()


@pytest.fixture
def connections(database: Database, key: Key, clock: Clock) -> Connections:
    """Connections of new records, sealed with ``key``, at a time that ``clock`` tells."""
    return Connections(database, find_provider, who="ada", clock=clock)
