"""Keep connections: create, test, activate, use and end them; every action is audited, every change stops them."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from tradelab.model.credentials import Credentials, Secret, check_credentials
from tradelab.model.errors import ConfigError, StorageError, TradelabError, UnknownNameError
from tradelab.model.ports import ConnectionTest
from tradelab.model.units import NS_PER_DAY, NS_PER_MIN, NS_PER_S
from tradelab.store import audit, schema
from tradelab.store.changes import JSON, Change, changing
from tradelab.store.checks import account_kind_of, asks_for_a_test, checked_name, checked_person, purposes_text, taken
from tradelab.store.database import Database, user
from tradelab.store.keys import HeldKey
from tradelab.store.records import (
    AccountKind,
    Connection,
    FindProvider,
    Lease,
    PastTest,
    Status,
    connection_of,
    json_text,
    settled,
)
from tradelab.store.settings import ConnectionSettings
from tradelab.store.vault import Vault, fields

_ROW = schema.connections.c
_TEST = schema.tests.c
_NOTHING: Mapping[str, Any] = {}
_LONGEST = 500  # characters kept of what a venue said


class Connections:
    """The connections of one database, acted on by one person or program.

    Parameters
    ----------
    database
        Where the records are.
    providers
        Gives what a provider declares, by its id; raises ``UnknownNameError`` for one it does not know.
    vault
        Seals the credentials; by default one that finds its key when first needed.
    who
        Whom the audit names; by default the operating system's user.
    clock
        Gives the time in UTC nanoseconds.
    keep_tests
        How many tests of each connection are kept, the newest.

    Notes
    -----
    Any method raises ``UnknownNameError`` for a connection that is not there, naming those that are, and
    ``StorageError`` where the database cannot be had. What is refused changes nothing.
    """

    def __init__(
        self,
        database: Database,
        providers: FindProvider,
        vault: Vault | None = None,
        *,
        who: str | None = None,
        clock: Callable[[], int] = time.time_ns,
        keep_tests: int = 500,
    ) -> None:
        self.database = database
        self.vault = vault or Vault(database, clock=clock)
        self.who = checked_person("who", who or user())
        self._providers = providers
        self._clock = clock
        self._keep_tests = keep_tests

    def __repr__(self) -> str:
        return f"Connections({self.database!r}, who={self.who!r})"

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, name: str) -> Connection:
        """Return one connection."""
        found = self._read(name)
        if not found:
            raise UnknownNameError.of("connection", name, [known.name for known in self._read()])
        return found[0]

    def list(self) -> tuple[Connection, ...]:
        """Return all connections by name; no key is needed for that."""
        return self._read()

    def credentials(self, name: str) -> Credentials:
        """Unseal the credentials of one connection: only in the process that connects, only when it does.

        Raises
        ------
        ConfigError
            The key that sealed them is not to be had; the message says what to do.
        CorruptFileError
            They were changed in the database.
        """
        return self.vault.take(self.get(name).key)

    def tests(self, name: str) -> tuple[PastTest, ...]:
        """Return the kept history of tests, oldest first."""
        query = select(_TEST.at_ns, _TEST.passed, _TEST.latency_ms, _TEST.says)
        query = query.where(_TEST.connection_id == self.get(name).id).order_by(_TEST.id)
        with self.database.reading() as transaction:
            found = transaction.execute(query).all()
        return tuple(PastTest(row.at_ns, bool(row.passed), row.latency_ms, row.says) for row in found)

    def audit(self, name: str | None = None, *, limit: int = 100) -> tuple[audit.AuditRow, ...]:
        """Return the newest actions, newest first, of all or of every connection that ever had this name."""
        return audit.rows(self.database, name, limit=limit)

    # ── setting up ───────────────────────────────────────────────────────────────────────────────────────────────

    def create(
        self,
        name: str,
        provider: str,
        *,
        purposes: Iterable[str],
        settings: Mapping[str, Any] | ConnectionSettings = _NOTHING,
        credentials: Mapping[str, str | Secret] | None = None,
        account_kind: str = AccountKind.PAPER,
        owner: str | None = None,
    ) -> Connection:
        """Make a connection, inactive.

        Parameters
        ----------
        name
            At most 64 letters, digits, spaces and ``. _ -``; unique.
        provider
            Its id, such as ``"ccxt:binance"``; it does not change later.
        purposes
            Of ``data``, ``execution``, ``copy``, one or more that the provider offers.
        settings
            Symbols, timeframes, and what the provider declares.
        credentials
            Checked against what the provider declares; may also be given later.
        account_kind
            ``paper``, ``live`` or ``rehearsal``. A live one is not armed by this.
        owner
            By default who acts.
        """
        declared = self._providers(provider)
        secrets = (
            None if credentials is None else check_credentials(declared.credentials, credentials, provider=provider)
        )
        credentials = None
        values = {
            "id": uuid.uuid4().hex,
            "name": checked_name(name),
            "provider": provider,
            "owner": checked_person("owner", owner or self.who),
            "purposes": purposes_text(purposes, declared),
            "settings": json_text(declared.check_settings(settings).stored()),
            "account_kind": account_kind_of(account_kind),
        }
        key = self.vault.key(f"credentials of connection {name!r}") if secrets else None
        now_ns = self._clock()
        unseen = {"status": Status.INACTIVE.value, "version": 1, "setup": 1, "created_ns": now_ns, "updated_ns": now_ns}
        with self.database.writing(f"create connection {name!r}") as transaction:
            if transaction.scalar(select(_ROW.id).where(_ROW.name == name)):
                raise taken(name)
            try:
                transaction.execute(insert(schema.connections).values(**values, **unseen))
            except IntegrityError:  # PostgreSQL: another one was made between the two lines above
                raise taken(name) from None
            said = {name: json.loads(value) if name in JSON else value for name, value in values.items()}
            if secrets and key:
                self.vault.put(transaction, key, (values["id"], name), secrets)
                said["credentials"] = sorted(secrets)
            audit.note(transaction, now_ns, self.who, "create", (values["id"], name), {}, said)
        return self.get(name)

    def update(
        self,
        name: str,
        *,
        seen: int | None = None,
        purposes: Iterable[str] | None = None,
        settings: Mapping[str, Any] | ConnectionSettings | None = None,
        account_kind: str | None = None,
        owner: str | None = None,
    ) -> Connection:
        """Change what is given, the settings as a whole.

        Other purposes, another kind of account and other settings than symbols and timeframes make the connection
        inactive until it has passed a new test.

        Parameters
        ----------
        seen
            The ``version`` that your change starts from: with it, nobody else's change is overwritten unseen.

        Raises
        ------
        StorageError
            The connection is no longer the version ``seen``.
        """
        with self._changing(name, "update", seen) as change:
            declared = self._providers(change.row["provider"])
            given: dict[str, Any] = {}
            if purposes is not None:
                given["purposes"] = purposes_text(purposes, declared)
            if settings is not None:
                given["settings"] = json_text(declared.check_settings(settings).stored())
            if account_kind is not None:
                given["account_kind"] = account_kind_of(account_kind)
            if owner is not None:
                given["owner"] = checked_person("owner", owner)
            if asks_for_a_test(change.row, given, declared):
                change.stop(**given)
            else:
                change.set(**given)
            change.save("update")
        return self.get(name)

    def rename(self, name: str, new: str) -> Connection:
        """Give a connection another name; what it was called stays in the audit."""
        with self._changing(name, "rename") as change:
            if new != name and change.transaction.scalar(select(_ROW.id).where(_ROW.name == new)):
                raise taken(new)
            change.set(name=checked_name(new))
            try:
                change.save("rename")
            except IntegrityError:
                raise taken(new) from None
        return self.get(new)

    def set_credentials(self, name: str, given: Mapping[str, str | Secret]) -> Connection:
        """Seal new credentials in place of all old ones; the connection is inactive until it has passed a new test.

        Raises
        ------
        ParameterError
            A field is missing or unknown.
        ConfigError
            No key to seal with is to be had.
        """
        provider = self._providers(self.get(name).provider)
        secrets = check_credentials(provider.credentials, given, provider=provider.id)
        given = {}
        key = self.vault.key(f"credentials of connection {name!r}")
        with self._changing(name, "set the credentials of") as change:
            had = fields(change.transaction, change.row["id"])
            self.vault.put(change.transaction, key, change.key, secrets)
            change.stop()
            change.save("set-credentials", {"credentials": list(had)}, {"credentials": sorted(secrets)})
        return self.get(name)

    def change_key(self, new: HeldKey) -> int:
        """Seal all credentials with another key (see :meth:`Vault.rotate`), and return how many values there are."""
        return self.vault.rotate(self.vault.key(), new, who=self.who)

    def delete(self, name: str) -> None:
        """Forget a connection, its credentials and its tests; the audit stays.

        Raises
        ------
        ConfigError
            It is active.
        """
        with self._changing(name, "delete") as change:
            if change.row["status"] == Status.ACTIVE:
                raise ConfigError(f"connection {name!r} is active.", fix="Deactivate it first.")
            change.save("delete", new={"deleted": True})
            change.transaction.execute(delete(schema.connections).where(_ROW.id == change.row["id"]))

    # ── testing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def begin_test(self, name: str, *, lease_s: float = 120.0) -> Lease:
        """Take the right to test a connection for ``lease_s`` seconds; an active one stays active meanwhile.

        If :meth:`end_test` does not follow in time, the process was killed, say, the connection is in error by itself.

        Raises
        ------
        ConfigError
            Credentials that the provider requires are missing, or a setting is not one of the provider's any more.
        StorageError
            Another test is under way.
        """
        with self._changing(name, "test") as change:
            self._require_complete(change)
            if change.row["lease"] is not None:
                left_s = (change.row["lease_until_ns"] - change.now_ns) / NS_PER_S
                raise StorageError(
                    f"connection {name!r} is being tested.", fix=f"Try again when that ends, in {left_s:.0f} s at most."
                )
            token, until_ns = uuid.uuid4().hex, change.now_ns + round(lease_s * NS_PER_S)
            change.set(lease=token, lease_until_ns=until_ns)
            if change.row["status"] != Status.ACTIVE:
                change.set(status=Status.TESTING.value)
            change.save("test-begin", new={"lease_s": lease_s})
        return Lease(self.get(name), token, until_ns)

    def end_test(self, lease: Lease, result: ConnectionTest) -> Connection:
        """Record what a test showed: one that passed leaves it active if a person let it be used, else inactive.

        One that failed leaves it in error: until the next passes, or for one ``refused``, until it is activated anew.
        Secrets in ``result.says`` are starred before it is kept.

        Raises
        ------
        StorageError
            The result came too late, or the connection was changed during the test: it does not count.
        """
        name, says = lease.connection.name, self._scrubbed(lease.connection, result.says)
        with self._changing(lease.connection.id, "record a test of", by_id=True) as change:
            if change.row["lease"] != lease.token:
                raise StorageError(
                    f"this test of connection {name!r} does not count: it took too long, or the connection was changed"
                    " meanwhile.",
                    fix="Test it again.",
                )
            change.set(lease=None, lease_until_ns=None, tested_ns=change.now_ns)
            if result.passed:
                change.set(passed_ns=change.now_ns, passed_setup=change.row["setup"])
                is_wanted = change.row["activated_setup"] == change.row["setup"]
                change.set(status=(Status.ACTIVE if is_wanted else Status.INACTIVE).value)
            else:
                _fail(change, says, result.refused)
            self._remember(change, result, says)
            change.save("test-end", new={"passed": result.passed, "latency_ms": result.latency_ms, "says": says})
            name = change.row["name"]
        return self.get(name)

    # ── using ────────────────────────────────────────────────────────────────────────────────────────────────────

    def activate(self, name: str) -> Connection:
        """Let a connection be used; only after a test that passed with the present credentials and settings.

        Raises
        ------
        ConfigError
            It has not passed such a test.
        """
        with self._changing(name, "activate") as change:
            self._require_complete(change)
            row = change.row
            if row["status"] == Status.TESTING:
                raise ConfigError(f"connection {name!r} is being tested.", fix="Activate it when it has passed.")
            if row["passed_setup"] != row["setup"]:
                why = "it was never tested"
                if row["tested_ns"] is not None:
                    why = "no test has passed since its last failure or change"
                raise ConfigError(f"connection {name!r} cannot be activated: {why}.", fix="Test it first.")
            change.set(status=Status.ACTIVE.value, activated_setup=row["setup"])
            change.save("activate")
        return self.get(name)

    def deactivate(self, name: str) -> Connection:
        """Let a connection not be used; a test under way does not count, an error is put aside."""
        with self._changing(name, "deactivate") as change:
            change.set(status=Status.INACTIVE.value, activated_setup=None, lease=None, lease_until_ns=None)
            change.save("deactivate")
        return self.get(name)

    def mark_used(self, name: str) -> None:
        """Note that it was used: kept to the minute, and audited once a day (UTC), for it may be called at any rate."""
        with self._changing(name, "note the use of") as change:
            used_ns = change.row["used_ns"]
            if used_ns is not None and 0 <= change.now_ns - used_ns < NS_PER_MIN:
                return
            if used_ns is not None and used_ns // NS_PER_DAY == change.now_ns // NS_PER_DAY:
                change.write({"used_ns": change.now_ns})
                return
            change.set(used_ns=change.now_ns)
            change.save("use")

    def mark_error(self, name: str, says: str, *, refused: bool = False) -> Connection:
        """Note that using it failed: it is in error until a test passes; one ``refused`` must be activated anew.

        Secrets in ``says`` are starred before it is kept.
        """
        says = self._scrubbed(self.get(name), says)
        with self._changing(name, "note an error of") as change:
            _fail(change, says, refused)
            change.save("error", new={"says": says})
        return self.get(name)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _changing(
        self, name: str, what: str, seen: int | None = None, *, by_id: bool = False
    ) -> contextlib.AbstractContextManager[Change]:
        return changing(self.database, name, what, self.who, self._clock(), seen=seen, by_id=by_id)

    def _read(self, name: str | None = None) -> tuple[Connection, ...]:
        query = select(schema.connections).order_by(_ROW.name)
        with self.database.reading() as transaction:
            rows = transaction.execute(query if name is None else query.where(_ROW.name == name)).mappings().all()
            having = [(dict(row), fields(transaction, row["id"])) for row in rows]
        now_ns = self._clock()
        return tuple(connection_of(settled(row, now_ns), has, self._providers) for row, has in having)

    def _require_complete(self, change: Change) -> None:
        declared = self._providers(change.row["provider"])
        declared.check_settings(json.loads(change.row["settings"]))
        has = fields(change.transaction, change.row["id"])
        missing = [field.name for field in declared.credentials if field.required and field.name not in has]
        if missing:
            raise ConfigError(
                f"connection {change.row['name']!r} has no {', '.join(map(repr, missing))}.",
                fix="Set its credentials first.",
            )

    def _remember(self, change: Change, result: ConnectionTest, says: str) -> None:
        """Add to the history, and drop what is beyond its bound."""
        mine, tests = _TEST.connection_id == change.row["id"], schema.tests
        row = {"at_ns": change.now_ns, "passed": int(result.passed), "latency_ms": result.latency_ms, "says": says}
        change.transaction.execute(insert(tests).values(connection_id=change.row["id"], **row))
        newest = select(_TEST.id).where(mine).order_by(_TEST.id.desc()).limit(self._keep_tests)
        change.transaction.execute(delete(tests).where(mine, _TEST.id.not_in(newest)))

    def _scrubbed(self, connection: Connection, says: str) -> str:
        """Star the connection's secrets in what is to be kept, and keep nothing that cannot be searched for them."""
        if not says or not connection.credential_fields:
            return says[:_LONGEST]
        try:
            return self.vault.take(connection.key).scrub(says)[:_LONGEST]
        except TradelabError:
            return "(not kept: the credentials could not be unsealed, so it could not be searched for them)"


def _fail(change: Change, says: str, refused: bool) -> None:
    if refused:
        change.set(activated_setup=None)
    change.set(status=Status.ERROR.value, passed_setup=None, error_ns=change.now_ns, error=says)
