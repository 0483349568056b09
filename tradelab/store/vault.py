"""Keep credentials sealed, all under one key; open them only when asked, change the key in one step."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select, update

from tradelab.model.credentials import Credentials, Secret
from tradelab.model.errors import ConfigError, CorruptFileError, StorageError
from tradelab.store import schema
from tradelab.store.audit import note
from tradelab.store.database import Database, user
from tradelab.store.keys import Ask, HeldKey, KeyRecord, first_key, same_key
from tradelab.store.sealing import Derivation, Key, Place, sealed_with

_ROW = schema.vault.c
_SEALED = schema.credentials.c
_NAMED = schema.secrets.c
_ALL = (
    select(_SEALED.connection_id, _SEALED.field, _SEALED.sealed, schema.connections.c.name)
    .join(schema.connections)
    .order_by(_SEALED.connection_id, _SEALED.field)
    .with_for_update(of=schema.credentials)
)


class Vault:
    """The sealed credentials of all connections in one database, and the secrets that belong to none.

    The key is looked for when it is first needed, and then kept for the life of this object: listing connections
    needs none. Nothing here is logged.

    Parameters
    ----------
    database
        Where the records are.
    ask
        Called with a prompt when a passphrase is needed and ``TRADELAB_PASSPHRASE`` is not set.
    derivation
        Makes the salt and cost of a new passphrase; by default Scrypt with 128 MiB.
    """

    def __init__(
        self,
        database: Database,
        *,
        ask: Ask | None = None,
        derivation: Callable[[], Derivation] | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.database = database
        self._ask = ask
        self._derivation = derivation or (lambda: Derivation(os.urandom(16).hex()))
        self._clock = clock
        self._key: Key | None = None
        self._one_search = threading.Lock()

    def __repr__(self) -> str:
        return f"Vault({self.database!r})"

    def key(self, what: str = "credentials", *, again: bool = False) -> Key:
        """Return the present key, made or adopted if there is none yet.

        Parameters
        ----------
        what
            What it is needed for, to begin an error with.
        again
            Look for it anew: another process may have changed it.

        Raises
        ------
        ConfigError
            The key the credentials were sealed with is not to be had, or there is no place for a new one.
        """
        with self._one_search:
            if self._key is None or again:
                try:
                    self._key = self._find()
                except ConfigError as error:
                    raise ConfigError(f"no key for {what}: {error.problem}", fix=error.fix) from None
            return self._key

    def rotate(self, old: Key, new: HeldKey, *, who: str | None = None) -> int:
        """Seal everything with another key, all of it or on any error nothing, and return how many values there were.

        A passphrase or ``TRADELAB_KEY`` in the environment must then be set to the new one. Copies of the database
        made before still open with the old key: after a leak, change the credentials at the venue too.

        Raises
        ------
        ConfigError, CorruptFileError
            A value does not open with the old key; the message names its connection.
        """
        with self.database.writing("change the key") as connection:
            record = _record(connection, lock=True)
            if record is not None and record.key_id != old.id:
                raise ConfigError(
                    f"credentials are sealed with key {record.key_id}, and the old key given is {old.id}.",
                    fix="Give the one they are sealed with.",
                )
            rows = connection.execute(_ALL).all()
            for row in rows:
                place = Place(row.connection_id, row.name, row.field)
                sealed = new.key.seal(old.open(row.sealed, place), place)
                here = (_SEALED.connection_id == row.connection_id) & (_SEALED.field == row.field)
                connection.execute(update(schema.credentials).where(here).values(sealed=sealed))
            named = _reseal_named(connection, old, new.key)
            for of in sorted({(row.connection_id, row.name) for row in rows}):
                note(connection, self._clock(), who or user(), "reseal", of, {"key": old.id}, {"key": new.key.id})
            _set_record(connection, new, self._clock())
        self._key = new.key
        return len(rows) + named

    # ── for secrets.py, inside its transactions ──────────────────────────────────────────────────────────────────

    def seal_named(self, connection: Connection, key: Key, name: str, secret: Secret) -> bytes:
        """Return ``secret`` sealed with the present key, to be kept under a name that is no connection's."""
        self._require_present(connection, key)
        return key.seal(secret, _named(name))

    def open_named(self, name: str, sealed: bytes) -> Secret:
        """Open what :meth:`seal_named` gave."""
        what = f"secret {name!r}"
        key = self.key(what)
        if sealed_with(sealed) != key.id:
            key = self.key(what, again=True)
        return key.open(sealed, _named(name))

    # ── for connections.py, inside its transactions ──────────────────────────────────────────────────────────────

    def put(self, connection: Connection, key: Key, of: tuple[str, str], given: Mapping[str, Secret]) -> None:
        """Seal ``given`` in place of what the connection ``of`` (id, name) has, with ``key``."""
        self._require_present(connection, key)
        connection.execute(delete(schema.credentials).where(schema.credentials.c.connection_id == of[0]))
        for field, secret in given.items():
            sealed = key.seal(secret, Place(*of, field))
            connection.execute(insert(schema.credentials).values(connection_id=of[0], field=field, sealed=sealed))

    def take(self, of: tuple[str, str]) -> Credentials:
        """Open what the connection ``of`` (id, name) has."""
        what = f"credentials of connection {of[1]!r}"
        sealed = self._sealed(of[0])
        if not sealed:
            return Credentials({})
        key = self.key(what)
        if any(sealed_with(value) != key.id for value in sealed.values()):
            key, sealed = self.key(what, again=True), self._sealed(of[0])
        return Credentials({field: key.open(value, Place(*of, field)) for field, value in sealed.items()})

    def _require_present(self, connection: Connection, key: Key) -> None:
        record = _record(connection, lock=True)
        if record is None or record.key_id != key.id:
            self._key = None
            raise StorageError(
                "the key of the credentials was changed meanwhile.", fix="Try again; nothing was written."
            )

    def _find(self) -> Key:
        while True:
            with self.database.reading() as connection:
                record, nothing_sealed = _record(connection), _nothing_sealed(connection)
            if record is not None:
                try:
                    return same_key(record, self._ask)
                except ConfigError:
                    if not nothing_sealed:
                        raise
            held = first_key(self._ask, self._derivation)
            with self.database.writing("note which key seals") as connection:
                if _record(connection, lock=True) == record and _nothing_sealed(connection):
                    _set_record(connection, held, self._clock())
                    return held.key
            # another process was faster: ours must be the same key as its, or is refused

    def _sealed(self, connection_id: str) -> dict[str, bytes]:
        query = select(_SEALED.field, _SEALED.sealed).where(_SEALED.connection_id == connection_id)
        with self.database.reading() as connection:
            return {row.field: bytes(row.sealed) for row in connection.execute(query.order_by(_SEALED.field))}


def fields(connection: Connection, connection_id: str) -> tuple[str, ...]:
    """Return the names of the credentials that a connection has; no key is needed for that."""
    query = select(_SEALED.field).where(_SEALED.connection_id == connection_id).order_by(_SEALED.field)
    return tuple(connection.scalars(query))


def _record(connection: Connection, *, lock: bool = False) -> KeyRecord | None:
    query = select(_ROW.key_id, _ROW.source, _ROW.derivation)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise CorruptFileError("the record of the key is gone.", fix="Put back your last copy of the records.")
    if row.key_id is None:
        return None
    try:
        derivation = Derivation(**json.loads(row.derivation)) if row.derivation else None
    except (ValueError, TypeError):
        derivation = None
    if row.derivation and derivation is None:
        raise CorruptFileError(
            "the passphrase's salt and cost are damaged in the records.", fix="Put back your last copy of the records."
        )
    return KeyRecord(row.key_id, row.source, derivation)


def _set_record(connection: Connection, held: HeldKey, now_ns: int) -> None:
    derivation = json.dumps(asdict(held.derivation)) if held.derivation else None
    values = {"key_id": held.key.id, "source": held.source, "derivation": derivation, "created_ns": now_ns}
    connection.execute(update(schema.vault).values(**values))


def _nothing_sealed(connection: Connection) -> bool:
    return all(connection.scalar(select(kept).limit(1)) is None for kept in (_SEALED.field, _NAMED.name))


def _named(name: str) -> Place:
    """Say where a secret belongs that is no connection's; no connection's id is this long or this word."""
    return Place("secrets", "none", name)


def _reseal_named(connection: Connection, old: Key, new: Key) -> int:
    rows = connection.execute(select(_NAMED.name, _NAMED.sealed).order_by(_NAMED.name).with_for_update()).all()
    for row in rows:
        sealed = new.seal(old.open(bytes(row.sealed), _named(row.name)), _named(row.name))
        connection.execute(update(schema.secrets).where(_NAMED.name == row.name).values(sealed=sealed))
    return len(rows)
