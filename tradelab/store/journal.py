"""Keep all that an engine has said, in order, each row chained to the one before; nothing of it is ever changed.

An engine writes one transaction for each thing that comes from outside: the message, and everything that followed from
it. What an engine does in the world it does after that, so what it did is always known to have been meant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import sqlalchemy
from sqlalchemy import insert, select, update

from tradelab.model.errors import LeaseError
from tradelab.store import schema
from tradelab.store.chain import START, Flaw
from tradelab.store.database import Database
from tradelab.store.journal_rows import FillKey, Row, page
from tradelab.store.verifying import flaws_of

_HEAD = schema.journal_heads.c
_PAGE = 2_000


class Writing:
    """One transaction of the journal: rows are numbered at once, and kept all or not at all."""

    def __init__(self, transaction: sqlalchemy.Connection, node: str, seq: int, digest: str) -> None:
        self.transaction = transaction
        self.seq, self.digest = seq, digest
        self._node = node
        self._rows: list[Row] = []
        self._fills: list[dict[str, object]] = []

    def append(self, kind: str, body: str, ts_event_ns: int, ts_init_ns: int, cause: int | None) -> Row:
        """Add a row and return it with its number."""
        row = Row(self.seq + 1, ts_event_ns, ts_init_ns, cause, kind, body, "")
        row = Row(row.seq, ts_event_ns, ts_init_ns, cause, kind, body, row.chained(self._node, self.digest))
        self._rows.append(row)
        self.seq, self.digest = row.seq, row.digest
        return row

    def book(self, key: FillKey) -> None:
        """Bind the row that was added last to a fill: the database refuses the same fill a second time."""
        self._fills.append({**key._asdict(), "node": self._node, "seq": self.seq})

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self._rows

    def flush(self) -> None:
        """Hand the rows to the database."""
        if self._rows:
            values = [
                {"node": self._node, **{name: getattr(row, name) for name in Row.__slots__}} for row in self._rows
            ]
            self.transaction.execute(insert(schema.journal), values)
        if self._fills:
            self.transaction.execute(insert(schema.fills), self._fills)


class Journal:
    """The journal of one engine.

    Parameters
    ----------
    database
        The records.
    node
        The engine's name; two engines of one name share a journal, and only one of them can write.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/records.sqlite") as database:
    ...     journal = Journal(database, "paper")
    ...     with journal.writing() as writing:
    ...         _ = writing.append("NodeStarted", "{}", 0, 0, None)
    ...     [row.kind for row in journal.rows()], journal.verify()
    (['NodeStarted'], [])
    """

    def __init__(self, database: Database, node: str) -> None:
        self.database = database
        self.node = node
        with database.writing("open the journal in") as transaction:
            head = self._head(transaction)
            if head is None:
                transaction.execute(insert(schema.journal_heads).values(node=node, seq=0, digest=START))
                head = (0, START)
        self.seq, self._digest = head

    def __repr__(self) -> str:
        return f"Journal({self.node!r}, {self.seq} rows)"

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writing]:
        """Give a transaction; with nothing added nothing is written.

        Raises
        ------
        LeaseError
            Another engine of this name has written meanwhile: this one must stop.
        StorageError
            It could not be kept: none of it was.
        """
        with self.database.writing("write the journal in") as transaction:
            if self._head(transaction, lock=True) != (self.seq, self._digest):
                raise LeaseError(
                    f"another engine named {self.node!r} has written to this journal.",
                    fix="Stop one of them; two may not share a name.",
                )
            writing = Writing(transaction, self.node, self.seq, self._digest)
            yield writing
            if writing.is_empty:
                return
            writing.flush()
            head = {"seq": writing.seq, "digest": writing.digest}
            transaction.execute(update(schema.journal_heads).where(_HEAD.node == self.node).values(**head))
        self.seq, self._digest = writing.seq, writing.digest

    def rows(self, after: int = 0, *, limit: int | None = None) -> Iterator[Row]:
        """Yield the rows behind number ``after``, oldest first, page by page."""
        last, left = after, limit
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = self._page(last, size)
            yield from page
            if len(page) < size:
                return
            last = page[-1].seq
            left = None if left is None else left - len(page)

    def verify(self) -> list[Flaw]:
        """Return every row that is not as it was written, and what is missing: nothing, if all is well.

        Who may write to the database may also write a whole journal anew, with digests that fit; against that only a
        copy of its end (:attr:`seq` and digest) kept elsewhere helps.
        """
        return flaws_of(self.database, self.node)

    def _page(self, after: int, size: int) -> list[Row]:
        with self.database.reading() as connection:
            return page(connection, self.node, after, size)

    def _head(self, connection: sqlalchemy.Connection, *, lock: bool = False) -> tuple[int, str] | None:
        query = select(_HEAD.seq, _HEAD.digest).where(_HEAD.node == self.node)
        found = connection.execute(query.with_for_update() if lock else query).one_or_none()
        return None if found is None else (found[0], found[1])
