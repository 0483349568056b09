"""Say what a connection is, and turn its row into it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from tradelab.model.errors import ConfigError, CorruptFileError
from tradelab.store.settings import ConnectionSettings, Provider, Purpose, UncheckedSettings

_REPAIR = (
    "Put back your last copy of the records; or do without it: tl.connections.deactivate, then .remove, with its name."
)
EXPIRED = "a test did not end within its time: the process that ran it was probably killed"


class Status(StrEnum):
    """Where a connection is in its life; only an active one is used."""

    INACTIVE = "inactive"
    TESTING = "testing"
    ACTIVE = "active"
    ERROR = "error"


class AccountKind(StrEnum):
    """Whose money it is: nobody's, somebody's, or a local rehearsal venue's."""

    PAPER = "paper"
    LIVE = "live"
    REHEARSAL = "rehearsal"


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection as it was when read; times are UTC nanoseconds, ``None`` where it never happened."""

    id: str
    name: str
    provider: str
    purposes: tuple[Purpose, ...]
    owner: str
    settings: ConnectionSettings
    credential_fields: tuple[str, ...]
    account_kind: AccountKind
    armed_at_ns: int | None
    armed_by: str | None
    status: Status
    passed: bool  # the last test passed, and nothing that it depends on has changed since
    version: int
    created_ns: int
    updated_ns: int
    tested_ns: int | None
    passed_ns: int | None
    used_ns: int | None
    error_ns: int | None
    error: str | None
    setup: int = 0  # counts the changes of what a test depends on: credentials, settings, purposes
    resumes: bool = False  # it was in use when it failed: a test that passes makes it active again

    @property
    def identity(self) -> str:
        """What an engine's account is armed for: another venue, address, key or account is another identity.

        Nothing secret is in it. To put a change back makes it no identity of before: that was tested anew, too.
        """
        return f"{self.provider} {self.account_kind.value}, connection {self.id}, set-up {self.setup}"

    @property
    def key(self) -> tuple[str, str]:
        """Id and name: how the vault and the audit are told which connection is meant."""
        return self.id, self.name


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to test a connection, for a while: nobody else may, and a result that comes later does not count."""

    connection: Connection
    token: str
    until_ns: int


@dataclass(frozen=True, slots=True)
class PastTest:
    """One test in the history of a connection; ``latency_ms`` is ``None`` where nothing came back."""

    at_ns: int
    passed: bool
    latency_ms: float | None
    says: str


Row = Mapping[str, Any]
FindProvider = Callable[[str], Provider]


def settled(row: Row, now_ns: int) -> dict[str, Any]:
    """Return the row as it is at ``now_ns``: a test whose time is over ended in an error."""
    now = dict(row)
    if now["lease"] is not None and now_ns >= now["lease_until_ns"]:
        if now["status"] == Status.TESTING:
            now |= {"status": Status.ERROR.value, "error": EXPIRED, "error_ns": now["lease_until_ns"]}
            now["passed_setup"] = None
        now |= {"lease": None, "lease_until_ns": None}
    return now


def connection_of(row: Row, fields: tuple[str, ...], providers: FindProvider) -> Connection:
    """Turn a row, settled, into a connection.

    Raises
    ------
    CorruptFileError
        The row holds what we never write: somebody else did, or the disk.
    """
    said = "a time in it is no number"
    if all(row[name] is None or isinstance(row[name], int) for name in row if name.endswith("_ns")):
        try:
            return _connection_of(row, fields, providers)
        except ValueError as error:  # of JSON, of an enum, of pydantic
            said = str(error).splitlines()[0]
    raise CorruptFileError(f"the record of connection {row['name']!r} is damaged: {said}.", fix=_REPAIR)


def _connection_of(row: Row, fields: tuple[str, ...], providers: FindProvider) -> Connection:
    same = {name: row[name] for name in Connection.__slots__ if name in row}
    return Connection(
        **same
        | {
            "purposes": tuple(map(Purpose, json.loads(row["purposes"]))),
            "settings": _settings(row, providers),
            "account_kind": AccountKind(row["account_kind"]),
            "status": Status(row["status"]),
            "credential_fields": fields,
            "passed": row["passed_setup"] == row["setup"],
            "resumes": row["status"] != Status.ACTIVE and row["activated_setup"] == row["setup"],
        }
    )


def json_text(value: object) -> str:
    """Return ``value`` as the same text for the same content."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _settings(row: Row, providers: FindProvider) -> ConnectionSettings:
    """Read what was checked when it was stored; a list must not fail for a provider that is gone."""
    stored = json.loads(row["settings"])
    try:
        return providers(row["provider"]).settings.model_validate(stored)
    except (ConfigError, ValidationError):
        return UncheckedSettings.model_validate(stored)
