"""Keep what people and programs ask an engine for, each once: a door that any reader of the records can use.

An engine that runs looks in every second, takes what is young enough, and answers in the same row. What it did stands
in its journal; here stands what was asked of it, by whom, and what it answered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from tradelab.model.clock import Clock, SystemClock
from tradelab.model.errors import ParameterError
from tradelab.store import schema
from tradelab.store.database import Database

_TABLE, _ROW = schema.commands, schema.commands.c


@dataclass(frozen=True, slots=True)
class Asked:
    """One command; ``done`` is ``None`` until it is answered, then whether it was carried out."""

    id: str
    node: str
    name: str
    arguments: Mapping[str, str] | None  # ``None`` where somebody wrote something else into the row
    by: str
    at_ns: int
    done: bool | None = None
    done_ns: int | None = None
    says: str | None = None


class Commands:
    """The commands to one engine.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/records.sqlite") as database:
    ...     commands = Commands(database, "paper")
    ...     _ = commands.ask("c-1", "halt", {"scope": "node"}, by="ada")
    ...     _ = commands.ask("c-1", "halt", {"scope": "node"}, by="ada")
    ...     [asked.name for asked in commands.waiting()]
    ['halt']
    """

    def __init__(self, database: Database, node: str, clock: Clock | None = None) -> None:
        self._database = database
        self._node = node
        self._clock = clock or SystemClock()

    def ask(self, id: str, name: str, arguments: Mapping[str, str], *, by: str) -> Asked:
        """Ask for something, once: a second one of the same id is the first one, with its answer if there is one.

        Raises
        ------
        ParameterError
            The id is empty, longer than 64 characters, or was used for another command.
        """
        if not 0 < len(id) <= 64:
            raise ParameterError(f"a command's id has 1 to 64 characters, not {len(id)}.", fix="Take a new UUID.")
        values = {
            "id": id, "node": self._node, "name": name, "arguments": _text(arguments), "by": by[:64],
            "at_ns": self._clock.now_ns(),
        }  # fmt: skip
        with self._database.writing("write a command into") as transaction:
            insert = sqlite.insert if transaction.dialect.name == "sqlite" else postgresql.insert
            transaction.execute(insert(_TABLE).values(**values).on_conflict_do_nothing(index_elements=[_ROW.id]))
            kept = self._found(transaction, _ROW.id == id)[0]
        same = (kept.node, kept.name, kept.arguments) == (self._node, name, dict(arguments))
        if not same:
            raise ParameterError(
                f"id {id!r} was used for {kept.name!r} to node {kept.node!r}.",
                fix="Give every command an id of its own.",
            )
        return kept

    def waiting(self, *, limit: int = 100) -> tuple[Asked, ...]:
        """Return what nobody has answered yet, oldest first."""
        with self._database.reading() as connection:
            return self._found(connection, (_ROW.node == self._node) & _ROW.done.is_(None), limit)

    def get(self, id: str) -> Asked | None:
        """Return one command to this engine, or ``None``."""
        with self._database.reading() as connection:
            found = self._found(connection, (_ROW.node == self._node) & (_ROW.id == id))
        return found[0] if found else None

    def answer(self, id: str, done: bool, says: str) -> None:
        """Write down what came of it; the first answer stays."""
        values = {"done": int(done), "says": says, "done_ns": self._clock.now_ns()}
        open_one = (_ROW.id == id) & (_ROW.node == self._node) & _ROW.done.is_(None)
        with self._database.writing("answer a command in") as transaction:
            transaction.execute(update(_TABLE).where(open_one).values(**values))

    def _found(
        self, connection: sqlalchemy.Connection, where: sqlalchemy.ColumnElement[bool], limit: int = 1
    ) -> tuple[Asked, ...]:
        rows = connection.execute(select(_TABLE).where(where).order_by(_ROW.at_ns, _ROW.id).limit(limit))
        return tuple(
            Asked(
                row.id, row.node, row.name, _arguments(row.arguments), row.by, row.at_ns,
                None if row.done is None else bool(row.done), row.done_ns, row.says,
            )
            for row in rows
        )  # fmt: skip


def _arguments(text: str) -> dict[str, str] | None:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _text(arguments: Mapping[str, str]) -> str:
    return json.dumps(dict(arguments), sort_keys=True, ensure_ascii=False)
