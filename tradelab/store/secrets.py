"""Keep secrets that belong to no connection, sealed with the same key: where notifications go, a webhook's secret."""

from __future__ import annotations

import re

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from tradelab.model.clock import Clock, SystemClock
from tradelab.model.credentials import Secret
from tradelab.model.errors import ParameterError, UnknownNameError
from tradelab.store import schema
from tradelab.store.database import user
from tradelab.store.vault import Vault

_TABLE, _ROW = schema.secrets, schema.secrets.c
_NAME = re.compile(r"[a-z]+ [\w.-]{1,40}")


class Secrets:
    """Sealed texts by name, two words: what for, and which: ``notify phone``, ``webhook paper``."""

    def __init__(self, vault: Vault, *, who: str | None = None, clock: Clock | None = None) -> None:
        self._vault = vault
        self._who = who
        self._clock = clock or SystemClock()

    def put(self, name: str, secret: Secret) -> None:
        """Seal a text under a name, in place of what was there.

        Raises
        ------
        ParameterError
            The name is not two words, or the text is empty.
        ConfigError
            There is no key to seal it with.
        """
        if not _NAME.fullmatch(name):
            raise ParameterError(f"a secret cannot be called {name!r}.", allowed=["notify NAME", "webhook NODE"])
        if not secret:
            raise ParameterError(f"secret {name!r} is empty.")
        key = self._vault.key(f"secret {name!r}")
        with self._vault.database.writing("seal a secret in") as transaction:
            sealed = self._vault.seal_named(transaction, key, name, secret)
            values = {"sealed": sealed, "at_ns": self._clock.now_ns(), "by": (self._who or user())[:64]}
            insert = sqlite.insert if transaction.dialect.name == "sqlite" else postgresql.insert
            made = insert(_TABLE).values(name=name, **values)
            transaction.execute(made.on_conflict_do_update(index_elements=[_ROW.name], set_=values))

    def get(self, name: str) -> Secret | None:
        """Open one; ``None`` where there is none of that name."""
        with self._vault.database.reading() as connection:
            sealed = connection.scalar(select(_ROW.sealed).where(_ROW.name == name))
        return None if sealed is None else self._vault.open_named(name, bytes(sealed))

    def names(self, kind: str = "") -> tuple[str, ...]:
        """Return the names that there are, of one kind or of all; no key is needed for that."""
        with self._vault.database.reading() as connection:
            told = tuple(connection.scalars(select(_ROW.name).order_by(_ROW.name)))
        return tuple(name for name in told if not kind or name.startswith(f"{kind} "))

    def remove(self, name: str) -> None:
        """Forget one.

        Raises
        ------
        UnknownNameError
            There is none of that name.
        """
        with self._vault.database.writing("remove a secret from") as transaction:
            if not transaction.execute(delete(_TABLE).where(_ROW.name == name)).rowcount:
                raise UnknownNameError.of("secret", name, self.names())
