"""Have the days of an engine's trading: from the engine that runs, from what is stored, or from the journal itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tradelab.app.daemon_views import monitoring
from tradelab.app.engine_port import Engine
from tradelab.model.messages import Recorded
from tradelab.modules.position_monitoring.days import Cell, Days
from tradelab.store.day_rows import DayKey, DayRows

if TYPE_CHECKING:
    from tradelab.store.database import Database

_IDLE = 10_000  # messages that change no day, after which it is said all the same that what is stored is true


class KeepsDays:
    """Stores the days of a running engine now and then: all at first, then those that have changed."""

    def __init__(self, database: Database, engine: Engine) -> None:
        self._rows = DayRows(database, engine.name)
        self._engine = engine
        self._kept: int | None = None

    def keep(self) -> bool:
        """Store what has changed; whether there was anything to store, and it was.

        Raises
        ------
        StorageError
            It could not be stored; the next time tries again.
        """
        stage = monitoring(self._engine)
        if stage is None or stage.trades.failure is not None:
            return False
        days, seq = stage.trades.catch_up().days, self._engine.ledger.seq
        if self._kept is not None and not days.changed and seq - self._kept < _IDLE:
            return False
        cells = days.changed if self._kept is not None else None
        if not self._rows.keep(seq, rows_of(days, cells), after=self._kept):
            self._kept = None  # somebody has stored others: all of ours the next time
            return False
        self._kept = seq
        days.changed.clear()
        return True


def stored_days(database: Database, node: str) -> Days:
    """Return an engine's days without it: what is stored where nothing that counts was said since, else by folding.

    It is folded whole: where a shadow of an open trade stands is in no row. What had to be folded is stored: the next
    one who asks has it at once.

    Raises
    ------
    CorruptFileError
        The journal cannot be read.
    """
    from tradelab.store.journals import journals

    rows, head = DayRows(database, node), journals(database).get(node, 0)
    seq = rows.seq
    if seq == head or (seq and not _counts_behind(database, node, seq)):
        return read_rows(rows.read())
    days, seq = _folded(database, node)
    rows.keep(seq, rows_of(days))
    return days


def read_rows(rows: dict[DayKey, str]) -> Days:
    """Return days as they were stored."""
    days = Days()
    for key, body in rows.items():
        days.read(Cell(key.day, key.account, key.bot or None, key.symbol), body)
    return days


def rows_of(days: Days, cells: set[Cell] | None = None) -> dict[DayKey, str]:
    """Return days, or some cells of them, as they are to be stored."""
    if cells is None:
        cells = {*days.facts, *(Cell(day, account, None, "") for day, account in days.worth)}
    return {DayKey(cell.day, cell.account, cell.bot or "", cell.symbol): days.written(cell) for cell in cells}


def _counts_behind(database: Database, node: str, seq: int) -> bool:
    """Whether anything that days are counted from was said behind a message."""
    from tradelab.modules.position_monitoring.analytics_log import KINDS
    from tradelab.store.journal import Journal

    wanted = {kind.__name__ for kind in KINDS}
    return any(row.kind in wanted for row in Journal(database, node).rows(seq))


def _folded(database: Database, node: str) -> tuple[Days, int]:
    from tradelab.modules.position_monitoring.analytics_log import KINDS, TradeLog
    from tradelab.spine.codec import decode
    from tradelab.store.journal import Journal

    wanted, log, seq = {kind.__name__ for kind in KINDS}, TradeLog(), 0
    for row in Journal(database, node).rows():
        seq = row.seq
        if row.kind in wanted:
            message = decode(row.kind, row.body)
            log.remember(Recorded(row.seq, row.ts_event_ns, row.ts_init_ns, row.cause, message))
    return log.days, seq
