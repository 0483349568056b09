"""Store what each day of trading came to, for who reads records and runs no engine: a copy, and never another truth.

The journal says what happened; these rows are what a fold of it came to, up to the message whose number stands beside
them. They are written in one transaction with that number, whole rows at a time, and each is a function of the journal
alone. So a crash leaves an older copy and never a wrong one, a second writer writes the same, and who reads compares
the number with the journal's own: where the two differ he folds the journal himself. Nothing in trading reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from tradelab.store import schema
from tradelab.store.database import Database

FORMAT = 3  # of the bodies; raise it when what they hold or mean changes
_DAY, _HEAD = schema.analytics_days.c, schema.analytics_heads.c


class DayKey(NamedTuple):
    """What a row is of: ``bot`` is empty for nobody's, ``symbol`` for what an account was worth."""

    day: str
    account: str
    bot: str
    symbol: str


class DayRows:
    """The days of one engine.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/records.sqlite") as database:
    ...     rows = DayRows(database, "paper")
    ...     _ = rows.keep(7, {DayKey("2024-01-31", "main", "trend", "BTC/USDT"): "{}"})
    ...     rows.seq, list(rows.read())
    (7, [DayKey(day='2024-01-31', account='main', bot='trend', symbol='BTC/USDT')])
    """

    def __init__(self, database: Database, node: str) -> None:
        self._database, self._node = database, node

    @property
    def seq(self) -> int:
        """The number of the message up to which they are true; 0: there is none, or they are of another format."""
        with self._database.reading() as connection:
            return self._seq(connection)

    def read(self) -> dict[DayKey, str]:
        """Return all rows, in the order of days."""
        columns = (_DAY.day, _DAY.account, _DAY.bot, _DAY.symbol)
        query = select(*columns, _DAY.body).where(_DAY.node == self._node).order_by(*columns)
        with self._database.reading() as connection:
            return {DayKey(*key): body for *key, body in connection.execute(query)}

    def keep(self, seq: int, rows: Mapping[DayKey, str], *, after: int | None = None) -> bool:
        """Store rows, and that all are true up to ``seq`` now; ``False``: that would not be so, and nothing is stored.

        Parameters
        ----------
        after
            The rows are those that have changed behind this number; what is stored must be true at least up to it. By
            default they are all there are, and take the place of whatever is stored, if that is not newer.
        """
        with self._database.writing("store the days of trading in") as transaction:
            known = self._seq(transaction, lock=True)
            if known > seq or (after is not None and known < after):
                return False
            if after is None:
                transaction.execute(delete(schema.analytics_days).where(_DAY.node == self._node))
            insert = sqlite.insert if transaction.dialect.name == "sqlite" else postgresql.insert
            for key, body in rows.items():
                made = insert(schema.analytics_days).values(node=self._node, **key._asdict(), body=body)
                made = made.on_conflict_do_update(index_elements=[_DAY.node, *_KEY], set_={"body": body})
                transaction.execute(made)
            head = {"seq": seq, "format": FORMAT}
            told = insert(schema.analytics_heads).values(node=self._node, **head)
            transaction.execute(told.on_conflict_do_update(index_elements=[_HEAD.node], set_=head))
        return True

    def _seq(self, connection: Connection, *, lock: bool = False) -> int:
        query = select(_HEAD.seq, _HEAD.format).where(_HEAD.node == self._node)
        found = connection.execute(query.with_for_update() if lock else query).one_or_none()
        return found.seq if found is not None and found.format == FORMAT else 0


_KEY = (_DAY.day, _DAY.account, _DAY.bot, _DAY.symbol)
