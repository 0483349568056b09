"""Change one connection in one transaction: lock its row, note what differs, and keep both or neither."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import select, update

from tradelab.model.errors import StorageError, UnknownNameError
from tradelab.store import schema
from tradelab.store.audit import note
from tradelab.store.database import Database
from tradelab.store.records import EXPIRED, Row, Status, settled

_ROW = schema.connections.c
# Of no use to who reads the audit: our own counts, and what the row's time and words say already.
_UNSAID = {"version", "updated_ns", "setup", "passed_setup", "activated_setup", "lease", "lease_until_ns"}
_UNSAID |= {"tested_ns", "passed_ns", "error_ns", "error"}
JSON = {"purposes", "settings"}
_NOTHING: Mapping[str, Any] = {}


class Change:
    """The row of one connection, locked: what it is now, and what is to become of it."""

    def __init__(self, transaction: sqlalchemy.Connection, row: Row, now_ns: int, who: str) -> None:
        self.transaction = transaction
        self.now_ns = now_ns
        self.row = row
        self._new: dict[str, Any] = {}
        self._who = who

    @property
    def key(self) -> tuple[str, str]:
        """Id and name of the connection before the change."""
        return self.row["id"], self.row["name"]

    def set(self, **values: Any) -> None:
        """Give columns new values; those that have them already are not counted as changed."""
        self._new |= values

    def stop(self, **values: Any) -> None:
        """Change something that a test depends on: inactive and disarmed until a new test has passed."""
        self.set(**values, status=Status.INACTIVE.value, setup=self.row["setup"] + 1, passed_setup=None)
        self.set(activated_setup=None, lease=None, lease_until_ns=None, armed_at_ns=None, armed_by=None)

    def save(self, what: str, old: Mapping[str, Any] = _NOTHING, new: Mapping[str, Any] = _NOTHING) -> None:
        """Write the changed columns and one row of audit; with nothing changed and nothing to say, write nothing."""
        changed = {name: value for name, value in self._new.items() if self.row[name] != value}
        if not changed and not new:
            return
        said = [name for name in changed if name not in _UNSAID]
        was = {name: _said(name, self.row[name]) for name in said} | dict(old)
        becomes = {name: _said(name, changed[name]) for name in said} | dict(new)
        self.write(changed)
        note(self.transaction, self.now_ns, self._who, what, self.key, was, becomes)

    def write(self, changed: Mapping[str, Any]) -> None:
        """Write columns, counted as one change."""
        counted = {"version": self.row["version"] + 1, "updated_ns": self.now_ns}
        here = _ROW.id == self.row["id"]
        self.transaction.execute(update(schema.connections).where(here).values(**changed, **counted))
        self.row = {**self.row, **changed, **counted}


@contextlib.contextmanager
def changing(
    database: Database, name: str, what: str, who: str, now_ns: int, *, seen: int | None = None, by_id: bool = False
) -> Iterator[Change]:
    """Give the locked row of the connection called ``name`` (or, ``by_id``, whose id that is).

    A test whose time is over is ended first, with an audit row of its own.

    Raises
    ------
    UnknownNameError
        There is no such connection.
    StorageError
        It is no longer the version ``seen``.
    """
    with database.writing(f"{what} connection {name!r}") as transaction:
        column = _ROW.id if by_id else _ROW.name
        query = select(schema.connections).where(column == name).with_for_update()
        found = transaction.execute(query).mappings().one_or_none()
        if found is None:
            raise UnknownNameError.of("connection", name, transaction.scalars(select(_ROW.name)))
        if seen is not None and found["version"] != seen:
            raise StorageError(
                f"connection {found['name']!r} was changed meanwhile (version {found['version']}; you read {seen}).",
                fix="Read it again, then repeat your change.",
            )
        change = Change(transaction, dict(found), now_ns, who)
        now = settled(change.row, now_ns)
        if now != change.row:
            change.set(**now)
            change.save("test-expired", new={"says": EXPIRED})
            change = Change(transaction, change.row, now_ns, who)
        yield change


def _said(name: str, value: Any) -> Any:
    return json.loads(value) if name in JSON else value
