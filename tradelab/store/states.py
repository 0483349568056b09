"""Keep what may be sent where every engine and every person can reach it: by scope, active where nothing is said.

An engine writes here, in the transaction in which it says so. Who wants it to stop writes here past it: the engine
reads this table in the very transaction that keeps an intent, so even one that answers nobody sends nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from tradelab.model.clock import Clock, SystemClock
from tradelab.model.errors import ParameterError
from tradelab.model.states import TradingState
from tradelab.store import schema
from tradelab.store.database import Database

_TABLE, _ROW = schema.trading_states, schema.trading_states.c
_STRICTNESS = (TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED)
UNREADABLE = "the records"  # who has halted what cannot be read
_SCOPE = re.compile(r"node|(account|bot) \S.*")


@dataclass(frozen=True, slots=True)
class Standing:
    """What may be sent in a scope, who said so, why, and when (UTC nanoseconds)."""

    scope: str
    state: TradingState
    by: str
    says: str
    at_ns: int


class TradingStates:
    """The states of one engine.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/records.sqlite") as database:
    ...     states = TradingStates(database, "paper")
    ...     _ = states.tighten("node", TradingState.HALTED, by="ada", says="the market is mad")
    ...     states.read()["node"].state
    <TradingState.HALTED: 'halted'>
    """

    def __init__(self, database: Database, node: str, clock: Clock | None = None) -> None:
        self._database = database
        self._node = node
        self._clock = clock or SystemClock()

    def read(self, transaction: Connection | None = None) -> Mapping[str, Standing]:
        """Return what is said, by scope; in a transaction where one is given.

        A word that is no trading state (of another version, or typed into the table) counts as halted, and says so.
        """
        if transaction is None:
            with self._database.reading() as connection:
                return self.read(connection)
        query = select(_ROW.scope, _ROW.state, _ROW.by, _ROW.says, _ROW.at_ns).where(_ROW.node == self._node)
        rows = transaction.execute(query.order_by(_ROW.scope))
        return {row.scope: _standing(row) for row in rows}

    def write(self, transaction: Connection, scope: str, state: TradingState, *, by: str, says: str) -> Standing:
        """Say what may be sent in a scope, in the transaction of whoever decides it.

        Raises
        ------
        ParameterError
            There is no such scope.
        """
        told = Standing(check_scope(scope), state, by[:64], says, self._clock.now_ns())
        values = {"state": state.value, "by": told.by, "says": says, "at_ns": told.at_ns}
        insert = sqlite.insert if transaction.dialect.name == "sqlite" else postgresql.insert
        made = insert(_TABLE).values(node=self._node, scope=scope, **values)
        transaction.execute(made.on_conflict_do_update(index_elements=[_ROW.node, _ROW.scope], set_=values))
        return told

    def tighten(self, scope: str, state: TradingState, *, by: str, says: str) -> Standing:
        """Say it past the engine; what is stricter already stays, for only an engine loosens.

        Returns
        -------
        Standing
            What stands now.
        """
        check_scope(scope)
        with self._database.writing("change the trading state in") as transaction:
            now = self.read(transaction).get(scope)
            if now is not None and is_stricter(now.state, state):
                return now
            return self.write(transaction, scope, state, by=by, says=says)


def _standing(row: Any) -> Standing:
    try:
        return Standing(row.scope, TradingState(row.state), row.by, row.says, row.at_ns)
    except ValueError:
        says = f"{row.by} left {row.state!r} in the records, which is no trading state: it counts as halted"
        return Standing(row.scope, TradingState.HALTED, UNREADABLE, says, row.at_ns)


def is_stricter(one: TradingState, than: TradingState) -> bool:
    """Whether a state lets less through than another.

    >>> is_stricter(TradingState.HALTED, TradingState.REDUCING), is_stricter(TradingState.ACTIVE, TradingState.ACTIVE)
    (True, False)
    """
    return _STRICTNESS.index(one) > _STRICTNESS.index(than)


def check_scope(scope: str) -> str:
    """Return a scope that is one.

    >>> check_scope("bot eurusd")
    'bot eurusd'
    """
    if not _SCOPE.fullmatch(scope) or len(scope) > 80:
        raise ParameterError(f"scope {scope!r} is none.", allowed=["node", "account NAME", "bot NAME"])
    return scope
